/* The packed shape, for the export `process` and for the import `host_get_config`. */
#include "customize.h"

HOSTEL_EXPORT_ALLOCATOR

static hostel_slice get_config(hostel_slice key) {
    return hostel_unpack(host_get_config(key.ptr, key.size));
}

HOSTEL_EXPORT("process") uint64_t process(uint8_t *ptr, uint32_t size) {
    return hostel_pack(customize((hostel_slice){ptr, size}));
}
