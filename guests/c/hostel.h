/*
 * hostel.h: write plugins for the hostel host in C, with or without a libc.
 *
 * Include it in one source file of the plugin. Without a libc, build that file with
 *
 *     clang --target=wasm32 -O2 -ffreestanding -mbulk-memory -nostdlib -Wl,--no-entry \
 *         -Wl,--stack-first -Wl,-z,stack-size=16384 -o plugin.wasm plugin.c
 *
 * With wasi-libc, build a reactor. The header then allocates with malloc (see HOSTEL_USE_MALLOC):
 *
 *     clang --target=wasm32-wasi -O2 -mexec-model=reactor -o plugin.wasm plugin.c
 *
 * For a microcontroller, make the memory grow by one byte instead of 64 KiB. This needs the linker of LLVM 21 or later,
 * or rustc's: lib/rustlib/.../bin/gcc-ld in the folder that `rustc --print sysroot` prints.
 *
 *     clang --target=wasm32 -Os -ffreestanding -mbulk-memory -c plugin.c
 *     wasm-ld --no-entry --stack-first -z stack-size=512 --page-size=1 --strip-all -o plugin.wasm plugin.o
 *
 * Host and plugin pass data as a pointer and a size in the plugin's memory. The host
 *   1. calls `allocate` and writes the input there,
 *   2. calls the function with the input's pointer and size,
 *   3. reads the answer, and frees both buffers with `deallocate`. It may keep the input's buffer for later calls.
 * So a function must not free its input, nor use it after it has returned. It must return each answer in a buffer from
 * `hostel_alloc`.
 *
 * An answer has one of two shapes. The host recognises the shape by the function's type:
 *   packed          the function returns uint64_t, made by `hostel_pack`
 *   return pointer  the function returns hostel_slice; clang passes the address for it as the first argument
 */
#ifndef HOSTEL_H
#define HOSTEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exports the function that follows under this name. */
#define HOSTEL_EXPORT(name) __attribute__((export_name(name)))

/* Imports the function that is declared next, under this module and name. An unused function is not imported. Text is a
 * pointer and a size; a result that is text or bytes is uint64_t, which `hostel_unpack` takes apart:
 *
 *     HOSTEL_HOST_FUNCTION("shop", "price") uint64_t price(const uint8_t *article, uint32_t size);
 *
 * An optional number of 32 bits is such a pair too: not 0 if there is one, and the number. `hostel_number` reads it. */
#define HOSTEL_HOST_FUNCTION(module, name) __attribute__((import_module(module), import_name(name)))
#define HOSTEL_IMPORT(name) HOSTEL_HOST_FUNCTION("env", name)

/* Selects the allocator: 0 for the one in this header, 1 for the malloc of a libc. The two can't share a memory: each
 * takes all of it. The default is 1 for WASI and Emscripten, else 0. To choose, define it before including this. */
#ifndef HOSTEL_USE_MALLOC
#if defined(__wasi__) || defined(__EMSCRIPTEN__)
#define HOSTEL_USE_MALLOC 1
#else
#define HOSTEL_USE_MALLOC 0
#endif
#endif

#if HOSTEL_USE_MALLOC
#include <stdlib.h>
#define HOSTEL_REFUSE_MALLOC
#else
#ifdef RAND_MAX /* <stdlib.h> defines it. */
#error "hostel.h has an allocator of its own, and this file includes <stdlib.h>: define HOSTEL_USE_MALLOC as 1"
#endif
/* Defines a function that libcs define beside malloc. A plugin that links both allocators does not link then, with the
 * message "duplicate symbol: malloc_usable_size"; else its heap would be overwritten. Define HOSTEL_USE_MALLOC as 1. */
#define HOSTEL_REFUSE_MALLOC                                                                       \
    size_t malloc_usable_size(void *ptr) {                                                         \
        (void)ptr;                                                                                 \
        return 0;                                                                                  \
    }
#endif

/* Exports the allocator as `allocate` and `deallocate`. Use it once, outside of any function. */
#define HOSTEL_EXPORT_ALLOCATOR                                                                    \
    HOSTEL_REFUSE_MALLOC                                                                           \
    HOSTEL_EXPORT("allocate") void *hostel_export_allocate(uint32_t size) {                        \
        return hostel_alloc(size);                                                                 \
    }                                                                                              \
    HOSTEL_EXPORT("deallocate") void hostel_export_deallocate(uint8_t *ptr, uint32_t size) {       \
        hostel_free_slice((hostel_slice){ptr, size});                                              \
    }

/* Bytes in the plugin's memory. Text is UTF-8, without a zero at its end. */
typedef struct {
    uint8_t *ptr;
    uint32_t size;
} hostel_slice;

/* Makes a slice of a string literal. It is not from the allocator: never free it, nor return it as an answer. */
#define HOSTEL_TEXT(literal) ((hostel_slice){(uint8_t *)(literal), sizeof(literal) - 1})

/* ---- Functions that the host may grant ---- */

/* Writes one line to the plugin's log. Before a trap, it can tell the reason. */
HOSTEL_IMPORT("host_log") void host_log(const uint8_t *ptr, uint32_t size);

/* Writes one line to the plugin's log, on hosts that grant only the function of this name. */
HOSTEL_IMPORT("host_log_message") void host_log_message(const uint8_t *ptr, uint32_t size);

/* Writes one line to the plugin's log at a level; the functions above write at HOSTEL_INFO. Another number traps. */
enum { HOSTEL_TRACE, HOSTEL_DEBUG, HOSTEL_INFO, HOSTEL_WARN, HOSTEL_ERROR };
HOSTEL_IMPORT("host_log_at") void host_log_at(uint32_t level, const uint8_t *ptr, uint32_t size);

/* Returns the value of a setting, or a null pointer if it is unset. Free the value with `hostel_free_slice`. Use one of
 * the two functions: the first returns the packed shape (see `hostel_unpack`), the second a struct. */
HOSTEL_IMPORT("host_get_config") uint64_t host_get_config(const uint8_t *key, uint32_t key_size);
HOSTEL_IMPORT("host_get_config") hostel_slice host_get_config_struct(const uint8_t *key, uint32_t key_size);

/* Read and write values that the host keeps beyond the call. Keys and values are any bytes. Each function comes in both
 * shapes; use one. Free each answer. If the answer's size has HOSTEL_ERROR_BIT set, it is an error. Its message begins
 * with a code, such as "state-keys: ".
 *   get     returns the value, or a null pointer if there is none
 *   set     returns a null pointer
 *   delete  returns a null pointer, also if there was no value
 *   list    returns up to `max` keys, at most 64 KiB, that begin with the prefix and are greater than the key `after`.
 *           If `after` is null, it starts with the first key. Read the keys with `hostel_next_key`. A size of 0 means
 *           that there are no more */
HOSTEL_IMPORT("host_state_get") uint64_t host_state_get(const uint8_t *key, uint32_t key_size);
HOSTEL_IMPORT("host_state_get") hostel_slice host_state_get_struct(const uint8_t *key, uint32_t key_size);
HOSTEL_IMPORT("host_state_set")
uint64_t host_state_set(const uint8_t *key, uint32_t key_size, const uint8_t *value, uint32_t value_size);
HOSTEL_IMPORT("host_state_set")
hostel_slice host_state_set_struct(const uint8_t *key, uint32_t key_size, const uint8_t *value, uint32_t value_size);
HOSTEL_IMPORT("host_state_delete") uint64_t host_state_delete(const uint8_t *key, uint32_t key_size);
HOSTEL_IMPORT("host_state_delete") hostel_slice host_state_delete_struct(const uint8_t *key, uint32_t key_size);
HOSTEL_IMPORT("host_state_list")
uint64_t host_state_list(const uint8_t *prefix, uint32_t prefix_size, const uint8_t *after, uint32_t after_size,
                         uint32_t max);
HOSTEL_IMPORT("host_state_list")
hostel_slice host_state_list_struct(const uint8_t *prefix, uint32_t prefix_size, const uint8_t *after,
                                    uint32_t after_size, uint32_t max);

/* Sends an HTTP request, and waits for the response. The request is the lines `METHOD URL` and `NAME: VALUE` for each
 * header, an empty line, and the body; lines end with "\n". The response begins with its status. Read it with
 * `hostel_read_response`, and free it. An error is one as of the state's functions, with a code such as
 * "http-not-allowed: ". */
HOSTEL_IMPORT("host_http_request") uint64_t host_http_request(const uint8_t *request, uint32_t size);

/* Takes the first key off a list: its size, a little-endian uint32_t, and its bytes. Returns false at the end. */
static inline bool hostel_next_key(hostel_slice *list, hostel_slice *key) {
    if (list->size < 4) {
        return false;
    }
    __builtin_memcpy(&key->size, list->ptr, 4);
    key->ptr = list->ptr + 4;
    if (key->size > list->size - 4) {
        return false;
    }
    list->ptr += 4 + key->size;
    list->size -= 4 + key->size;
    return true;
}

/* ---- The allocator ---- */

/* The pointer of an allocation of 0 bytes. It is not null, and must not be read or written. */
#define HOSTEL_NOTHING ((uint8_t *)8)

#if HOSTEL_USE_MALLOC

/* Allocates `size` bytes, aligned to 8. Returns null if memory is short. */
static inline uint8_t *hostel_alloc(uint32_t size) {
    return size == 0 ? HOSTEL_NOTHING : size > INT32_MAX ? NULL : (uint8_t *)malloc(size);
}

/* Frees a buffer. Does nothing for null and for an allocation of 0 bytes. */
static inline void hostel_free(uint8_t *ptr) {
    if (ptr != HOSTEL_NOTHING) {
        free(ptr);
    }
}

#else

/* The header of a block. `size` is the size of the whole block, a multiple of 8. `next` is valid while the block is
 * free. The caller's bytes follow the header. */
typedef struct hostel_block {
    uint32_t size;
    struct hostel_block *next;
} hostel_block;

/* The free blocks, in ascending order of their addresses. An allocation takes the first that fits. */
static hostel_block *hostel_free_blocks;

/* Inserts a block into the list, and joins it with adjacent blocks. */
static inline void hostel_release(hostel_block *block) {
    hostel_block *before = NULL, *after = hostel_free_blocks;
    while (after && after < block) {
        before = after;
        after = after->next;
    }
    if (after && (uint8_t *)block + block->size == (uint8_t *)after) {
        block->size += after->size;
        after = after->next;
    }
    block->next = after;
    if (!before) {
        hostel_free_blocks = block;
    } else if ((uint8_t *)before + before->size == (uint8_t *)block) {
        before->size += block->size;
        before->next = after;
    } else {
        before->next = block;
    }
}

/* Adds at least `size` bytes to the free blocks. Uses the rest of the initial memory first, then new pages. Returns
 * false if the memory can't grow. */
static inline bool hostel_add_memory(uint32_t size) {
    extern uint8_t __heap_base;
    /* Linkers that support pages of one byte define this symbol. Its address is the size of a page. */
    extern uint8_t __wasm_first_page_end[] __attribute__((weak));
    static bool started;
    const uint32_t page = __wasm_first_page_end ? (uint32_t)__wasm_first_page_end : 65536;
    const uint32_t most_pages = 0xffffffff / page; /* Below 4 GiB, so that the end of the memory has an address. */

    uint32_t pages = (size + page - 1) / page;
    uint32_t old_pages = __builtin_wasm_memory_size(0);
    uint32_t rest = 0;
    if (!started) {
        rest = old_pages * page - ((uint32_t)&__heap_base + 7) / 8 * 8;
        if (rest >= size) {
            pages = 0;
        }
    }
    if (pages && (pages > most_pages - old_pages || __builtin_wasm_memory_grow(0, pages) == (size_t)-1)) {
        return false;
    }
    started = true;
    if (rest + pages * page) {
        hostel_block *block = (hostel_block *)(old_pages * page - rest);
        block->size = rest + pages * page;
        hostel_release(block);
    }
    return true;
}

/* Allocates `size` bytes, aligned to 8. Returns null if memory is short. */
static inline uint8_t *hostel_alloc(uint32_t size) {
    if (size == 0) {
        return HOSTEL_NOTHING;
    }
    if (size > INT32_MAX) {
        return NULL;
    }
    const uint32_t header = sizeof(hostel_block);
    uint32_t whole = header + (size + 7) / 8 * 8;
    for (;;) {
        for (hostel_block **link = &hostel_free_blocks; *link; link = &(*link)->next) {
            hostel_block *block = *link;
            if (block->size < whole) {
                continue;
            }
            if (block->size - whole < 2 * header) {
                *link = block->next;
            } else {
                hostel_block *rest = (hostel_block *)((uint8_t *)block + whole);
                rest->size = block->size - whole;
                rest->next = block->next;
                *link = rest;
                block->size = whole;
            }
            return (uint8_t *)block + header;
        }
        if (!hostel_add_memory(whole)) {
            return NULL;
        }
    }
}

/* Frees a buffer. Does nothing for null and for an allocation of 0 bytes. */
static inline void hostel_free(uint8_t *ptr) {
    if (ptr && ptr != HOSTEL_NOTHING) {
        hostel_release((hostel_block *)ptr - 1);
    }
}

#endif

/* Frees a buffer that comes with its size, such as the value of a setting. */
static inline void hostel_free_slice(hostel_slice slice) {
    if (slice.size) {
        hostel_free(slice.ptr);
    }
}

/* ---- Answers ---- */

/* The bit of an answer's size that marks an error. */
#define HOSTEL_ERROR_BIT 0x80000000u

/* Converts an answer to the packed shape. */
static inline uint64_t hostel_pack(hostel_slice slice) {
    return (uint64_t)(uint32_t)slice.ptr << 32 | slice.size;
}

/* Converts the packed shape to a slice. */
static inline hostel_slice hostel_unpack(uint64_t packed) {
    return (hostel_slice){(uint8_t *)(uint32_t)(packed >> 32), (uint32_t)packed};
}

/* Returns an error answer with a copy of this message. If memory is short, the message is empty. */
static inline hostel_slice hostel_error(hostel_slice message) {
    uint8_t *ptr = hostel_alloc(message.size);
    if (!ptr) {
        return (hostel_slice){HOSTEL_NOTHING, HOSTEL_ERROR_BIT};
    }
    __builtin_memcpy(ptr, message.ptr, message.size);
    return (hostel_slice){ptr, message.size | HOSTEL_ERROR_BIT};
}

/* Returns whether an answer of the host is an error. The plugin may return that as its own error. */
static inline bool hostel_is_error(hostel_slice answer) {
    return answer.size & HOSTEL_ERROR_BIT;
}

/* Reads the optional number of 32 bits that a host function returned. Returns false if there is none. */
static inline bool hostel_number(uint64_t packed, uint32_t *number) {
    *number = (uint32_t)packed;
    return packed >> 32 != 0;
}

/* Writes the message to the log at HOSTEL_ERROR, and stops the plugin by a trap. */
_Noreturn static inline void hostel_panic(hostel_slice message) {
    host_log_at(HOSTEL_ERROR, message.ptr, message.size);
    __builtin_trap();
}

/* An HTTP response, in the bytes that the host returned. Headers are lines. */
typedef struct {
    uint32_t status;
    hostel_slice headers;
    hostel_slice body;
} hostel_response;

/* Takes a response of `host_http_request` apart. Returns false if it is none. */
static inline bool hostel_read_response(hostel_slice text, hostel_response *response) {
    uint32_t at = 0, status = 0;
    for (; at < text.size && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
        status = status * 10 + (text.ptr[at] - '0');
    }
    for (uint32_t start = at + 1; at + 1 < text.size; at++) {
        if (text.ptr[at] == '\n' && text.ptr[at + 1] == '\n') {
            uint32_t headers = at > start ? at - start : 0;
            response->status = status;
            response->headers = (hostel_slice){text.ptr + start, headers};
            response->body = (hostel_slice){text.ptr + at + 2, text.size - at - 2};
            return true;
        }
    }
    return false;
}

/* Finds the first value of a header; `name` is in lower case. Returns false if there is none. */
static inline bool hostel_find_header(hostel_slice headers, hostel_slice name, hostel_slice *value) {
    for (uint32_t start = 0, end = 0; start < headers.size; start = end + 1) {
        for (end = start; end < headers.size && headers.ptr[end] != '\n';) {
            end++;
        }
        uint32_t same = 0;
        for (; same < name.size && start + same < end; same++) {
            uint8_t letter = headers.ptr[start + same];
            if ((letter >= 'A' && letter <= 'Z' ? letter + 32 : letter) != name.ptr[same]) {
                break;
            }
        }
        if (same == name.size && start + same + 1 < end && headers.ptr[start + same] == ':') {
            *value = (hostel_slice){headers.ptr + start + same + 2, end - start - same - 2};
            return true;
        }
    }
    return false;
}

/* ---- Text ---- */

/* Joins texts in a buffer from the allocator. If memory is short, returns an error. */
static inline hostel_slice hostel_join(const hostel_slice *texts, uint32_t count) {
    hostel_slice all = {NULL, 0};
    for (uint32_t at = 0; at < count; at++) {
        if (texts[at].size > INT32_MAX - all.size) {
            return hostel_error(HOSTEL_TEXT("no memory"));
        }
        all.size += texts[at].size;
    }
    all.ptr = hostel_alloc(all.size);
    if (!all.ptr) {
        return hostel_error(HOSTEL_TEXT("no memory"));
    }
    uint8_t *end = all.ptr;
    for (uint32_t at = 0; at < count; at++) {
        __builtin_memcpy(end, texts[at].ptr, texts[at].size);
        end += texts[at].size;
    }
    return all;
}

/* Joins texts that are written one after the other: HOSTEL_JOIN(HOSTEL_TEXT("Hello, "), name). */
#define HOSTEL_JOIN(...)                                                                           \
    hostel_join((const hostel_slice[]){__VA_ARGS__},                                               \
                sizeof((const hostel_slice[]){__VA_ARGS__}) / sizeof(hostel_slice))

/* Writes a number in decimal digits to `digits`, and returns them. */
static inline hostel_slice hostel_digits(uint32_t number, uint8_t digits[10]) {
    uint32_t at = 10;
    do {
        digits[--at] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number);
    return (hostel_slice){digits + at, 10 - at};
}

/* Reads a number of decimal digits alone. Returns false if it is none, or over UINT32_MAX. */
static inline bool hostel_read_number(hostel_slice text, uint32_t *number) {
    *number = 0;
    for (uint32_t at = 0; at < text.size; at++) {
        uint8_t digit = (uint8_t)(text.ptr[at] - '0');
        if (digit > 9 || *number > (UINT32_MAX - digit) / 10) {
            return false;
        }
        *number = *number * 10 + digit;
    }
    return text.size != 0;
}


/* Returns whether these bytes are UTF-8. Refuses stray or missing bytes, overlong forms, surrogates, and code points
 * over U+10FFFF. */
static inline bool hostel_is_utf8(hostel_slice text) {
    for (uint32_t at = 0; at < text.size;) {
        uint8_t first = text.ptr[at++];
        if (first < 0x80) {
            continue;
        }
        /* The number of leading ones in the first byte is the number of bytes. */
        uint32_t bytes = first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
        if (bytes == 0 || bytes - 1 > text.size - at) {
            return false;
        }
        uint32_t point = first & (0x7f >> bytes);
        for (uint32_t more = 1; more < bytes; more++) {
            uint8_t byte = text.ptr[at++];
            if ((byte & 0xc0) != 0x80) {
                return false;
            }
            point = point << 6 | (byte & 0x3f);
        }
        uint32_t least = bytes == 2 ? 0x80 : bytes == 3 ? 0x800 : 0x10000;
        if (point < least || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
            return false;
        }
    }
    return true;
}

#endif
