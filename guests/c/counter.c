/* Counts visits, in state that the host keeps, by imports in the return-pointer shape. Errors of the host are handed on:
 * the host's answers and the plugin's have the same form. */
#include "hostel.h"

HOSTEL_EXPORT_ALLOCATOR

/* "Gopher" becomes the number of its visits, 8 bytes, little-endian. */
HOSTEL_EXPORT("process") hostel_slice process(uint8_t *ptr, uint32_t size) {
    hostel_slice value = host_state_get_struct(ptr, size);
    if (value.size & HOSTEL_ERROR_BIT) {
        return value;
    }
    uint64_t visit = 0;
    if (value.ptr) {
        if (value.size != sizeof(visit)) {
            hostel_free_slice(value);
            return hostel_error(HOSTEL_TEXT("what was kept is not a number"));
        }
        __builtin_memcpy(&visit, value.ptr, sizeof(visit));
        hostel_free_slice(value);
    }
    visit++;

    hostel_slice done = host_state_set_struct(ptr, size, (const uint8_t *)&visit, sizeof(visit));
    if (done.size & HOSTEL_ERROR_BIT) {
        return done;
    }
    hostel_slice output = {hostel_alloc(sizeof(visit)), sizeof(visit)};
    if (!output.ptr) {
        return hostel_error(HOSTEL_TEXT("no memory"));
    }
    __builtin_memcpy(output.ptr, &visit, sizeof(visit));
    return output;
}

/* The first name that begins with the input. */
HOSTEL_EXPORT("first") hostel_slice first(uint8_t *ptr, uint32_t size) {
    hostel_slice list = host_state_list_struct(ptr, size, NULL, 0, 1);
    if (list.size & HOSTEL_ERROR_BIT) {
        return list;
    }
    hostel_slice rest = list, name, output = {HOSTEL_NOTHING, 0};
    if (hostel_next_key(&rest, &name)) {
        output = (hostel_slice){hostel_alloc(name.size), name.size};
        if (output.ptr) {
            __builtin_memcpy(output.ptr, name.ptr, name.size);
        } else {
            output = hostel_error(HOSTEL_TEXT("no memory"));
        }
    }
    hostel_free_slice(list);
    return output;
}

/* Counts from the beginning. */
HOSTEL_EXPORT("forget") hostel_slice forget(uint8_t *ptr, uint32_t size) {
    hostel_slice done = host_state_delete_struct(ptr, size);
    return done.size & HOSTEL_ERROR_BIT ? done : (hostel_slice){HOSTEL_NOTHING, 0};
}
