/* A greeting, made with wasi-libc: the host's buffers and the plugin's own come from one allocator. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../c/hostel.h"

HOSTEL_EXPORT_ALLOCATOR

HOSTEL_EXPORT("process") uint64_t process(const uint8_t *ptr, uint32_t size) {
    char *name = malloc(size + 1), *greeting = NULL;
    if (!name) {
        return hostel_pack(hostel_error(HOSTEL_TEXT("no memory")));
    }
    memcpy(name, ptr, size);
    name[size] = 0;
    int length = asprintf(&greeting, "Hello, %s!", name);
    free(name);
    if (length < 0) {
        return hostel_pack(hostel_error(HOSTEL_TEXT("no memory")));
    }
    return hostel_pack((hostel_slice){(uint8_t *)greeting, length});
}
