/* A function of numbers, which needs no memory from the host: the sum modulo 2^32. */
#include "hostel.h"

HOSTEL_EXPORT("add") uint32_t add(uint32_t a, uint32_t b) {
    return a + b;
}
