/* A function of text in the return-pointer shape: "Gopher" becomes "Hello, Gopher!". */
#include "hostel.h"

HOSTEL_EXPORT_ALLOCATOR

HOSTEL_EXPORT("greet") hostel_slice greet(uint8_t *ptr, uint32_t size) {
    hostel_slice name = {ptr, size};
    if (!hostel_is_utf8(name)) {
        return hostel_error(HOSTEL_TEXT("input is not UTF-8"));
    }
    const hostel_slice hello = HOSTEL_TEXT("Hello, ");
    hostel_slice output = {NULL, hello.size + size + 1};
    output.ptr = hostel_alloc(output.size);
    if (!output.ptr) {
        return hostel_error(HOSTEL_TEXT("no memory"));
    }
    __builtin_memcpy(output.ptr, hello.ptr, hello.size);
    __builtin_memcpy(output.ptr + hello.size, name.ptr, name.size);
    output.ptr[output.size - 1] = '!';
    return output;
}
