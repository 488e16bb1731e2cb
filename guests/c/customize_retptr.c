/* The return-pointer shape, for the export `process` and for the import `host_get_config`. */
#include "customize.h"

HOSTEL_EXPORT_ALLOCATOR

static hostel_slice get_config(hostel_slice key) {
    return host_get_config_struct(key.ptr, key.size);
}

HOSTEL_EXPORT("process") hostel_slice process(uint8_t *ptr, uint32_t size) {
    return customize((hostel_slice){ptr, size});
}
