/* Answers its input in reverse, in a memory that is as small as its heap. */
#include "../c/hostel.h"

HOSTEL_EXPORT_ALLOCATOR

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
