/* An allocator that is exported as `malloc` and `free`, as TinyGo does; `process` gives its input back, reversed. */
#include "hostel.h"

HOSTEL_EXPORT("malloc") uint8_t *export_malloc(uint32_t size) {
    return hostel_alloc(size);
}

/* Takes no size, unlike `deallocate`. */
HOSTEL_EXPORT("free") void export_free(uint8_t *ptr) {
    hostel_free(ptr);
}

HOSTEL_EXPORT("process") uint64_t process(const uint8_t *ptr, uint32_t size) {
    uint8_t *reversed = hostel_alloc(size);
    if (!reversed) {
        return hostel_pack(hostel_error(HOSTEL_TEXT("no memory")));
    }
    for (uint32_t at = 0; at < size; at++) {
        reversed[at] = ptr[size - 1 - at];
    }
    return hostel_pack((hostel_slice){reversed, size});
}
