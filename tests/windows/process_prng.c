// Wine 8 lacks bcryptprimitives.dll, from which Rust's standard library takes its randomness. This one stands in
// for it beside the tests' binaries.
#include <stddef.h>

__declspec(dllimport) unsigned char __stdcall SystemFunction036(void *bytes, unsigned long length);

__declspec(dllexport) int __stdcall ProcessPrng(unsigned char *bytes, size_t length) {
    while (length > 0) {
        unsigned long part = length > 65536 ? 65536 : (unsigned long)length;
        if (!SystemFunction036(bytes, part)) return 0;
        bytes += part;
        length -= part;
    }
    return 1;
}
