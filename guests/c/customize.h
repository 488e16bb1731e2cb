/*
 * customize.h: the work of the `customize` guests, which differ in the shape of their imports and exports alone.
 *
 * With the setting `prefix` = `CUSTOM`, "hello world" becomes "CUSTOM_HELLO WORLD". Only ASCII letters change case.
 */
#ifndef CUSTOMIZE_H
#define CUSTOMIZE_H

#include "hostel.h"

/* Asks the host for a setting; the including file says in which shape. */
static hostel_slice get_config(hostel_slice key);

/* Copies `from` to `to`, and returns where it ends. */
static inline uint8_t *append(uint8_t *to, hostel_slice from) {
    __builtin_memcpy(to, from.ptr, from.size);
    return to + from.size;
}

/* Logs "processing N bytes". */
static inline void log_size(uint32_t size) {
    uint8_t digits[10], *first = digits + sizeof(digits);
    do {
        *--first = '0' + size % 10;
        size /= 10;
    } while (size);

    uint8_t line[32], *end = append(line, HOSTEL_TEXT("processing "));
    end = append(end, (hostel_slice){first, digits + sizeof(digits) - first});
    end = append(end, HOSTEL_TEXT(" bytes"));
    host_log(line, end - line);
}

static inline hostel_slice customize(hostel_slice input) {
    if (!hostel_is_utf8(input)) {
        return hostel_error(HOSTEL_TEXT("input is not UTF-8"));
    }
    log_size(input.size);

    hostel_slice value = get_config(HOSTEL_TEXT("prefix"));
    hostel_slice prefix = value.ptr ? value : HOSTEL_TEXT("DEFAULT_PREFIX");
    hostel_slice output = {NULL, prefix.size + 1 + input.size};
    output.ptr = hostel_alloc(output.size);
    if (output.ptr) {
        uint8_t *end = append(output.ptr, prefix);
        *end++ = '_';
        for (uint32_t at = 0; at < input.size; at++) {
            uint8_t byte = input.ptr[at];
            end[at] = byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte;
        }
    } else {
        output = hostel_error(HOSTEL_TEXT("no memory"));
    }
    hostel_free_slice(value);
    return output;
}

#endif
