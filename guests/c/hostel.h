/*
 * hostel.h: write plugins for the hostel host in C, without a libc.
 *
 * Include it in the one source file of a plugin, and build that with
 *
 *     clang --target=wasm32 -O2 -ffreestanding -mbulk-memory -nostdlib -Wl,--no-entry \
 *         -Wl,--stack-first -Wl,-z,stack-size=16384 -o plugin.wasm plugin.c
 *
 * For a microcontroller, with memory in steps of one byte instead of 64 KiB, which takes the linker of LLVM 21 or later,
 * or the one that comes with rustc, in lib/rustlib/.../bin/gcc-ld of `rustc --print sysroot`:
 *
 *     clang --target=wasm32 -Os -ffreestanding -mbulk-memory -c plugin.c
 *     wasm-ld --no-entry --stack-first -z stack-size=512 --page-size=1 --strip-all -o plugin.wasm plugin.o
 *
 * Data crosses as a pointer and a size in the plugin's memory. The host
 *   1. calls `allocate` and writes the input there,
 *   2. calls the function with the input's pointer and size,
 *   3. reads the answer, and gives the buffers back with `deallocate`, that of the input perhaps only after later calls.
 * So a function never frees its input nor looks at it after it has returned, and each answer lies in a buffer from `hostel_alloc`.
 *
 * An answer takes one of two shapes, and the host tells them apart by the signature:
 *   packed          returns uint64_t, made by `hostel_pack`
 *   return pointer  returns hostel_slice; clang passes the address for it as a first argument
 */
#ifndef HOSTEL_H
#define HOSTEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes the function that follows an export of this name. */
#define HOSTEL_EXPORT(name) __attribute__((export_name(name)))

/* Makes the declaration that follows an import of this name. It is in the plugin only if it is used. */
#define HOSTEL_IMPORT(name) __attribute__((import_module("env"), import_name(name)))

/* Exports the allocator under the names the host looks for first. Use it once, at file level. */
#define HOSTEL_EXPORT_ALLOCATOR                                                                    \
    HOSTEL_EXPORT("allocate") void *hostel_export_allocate(uint32_t size) {                        \
        return hostel_alloc(size);                                                                 \
    }                                                                                              \
    HOSTEL_EXPORT("deallocate") void hostel_export_deallocate(uint8_t *ptr, uint32_t size) {       \
        hostel_free_slice((hostel_slice){ptr, size});                                              \
    }

/* Bytes in the plugin's memory. Text is UTF-8, with no zero at its end. */
typedef struct {
    uint8_t *ptr;
    uint32_t size;
} hostel_slice;

/* A slice of a string literal. It is not from the allocator: never free it, nor answer with it. */
#define HOSTEL_TEXT(literal) ((hostel_slice){(uint8_t *)(literal), sizeof(literal) - 1})

/* ---- What the host grants ---- */

/* Writes one line to the plugin's log. */
HOSTEL_IMPORT("host_log") void host_log(const uint8_t *ptr, uint32_t size);

/* The same, for hosts that grant it under this name. */
HOSTEL_IMPORT("host_log_message") void host_log_message(const uint8_t *ptr, uint32_t size);

/* Writes one line to the plugin's log at a level: HOSTEL_INFO is that of the functions above. Another number traps. */
enum { HOSTEL_TRACE, HOSTEL_DEBUG, HOSTEL_INFO, HOSTEL_WARN, HOSTEL_ERROR };
HOSTEL_IMPORT("host_log_at") void host_log_at(uint32_t level, const uint8_t *ptr, uint32_t size);

/* The value of a setting, in the packed shape (see `hostel_unpack`) and in that of a returned struct; use one of the
 * two. The pointer is null if the setting is unset. The value is the plugin's: give it back with `hostel_free_slice`. */
HOSTEL_IMPORT("host_get_config") uint64_t host_get_config(const uint8_t *key, uint32_t key_size);
HOSTEL_IMPORT("host_get_config") hostel_slice host_get_config_struct(const uint8_t *key, uint32_t key_size);

/* Values that the host keeps beyond the call. Keys and values are any bytes. As above, in both shapes; each answer is the
 * plugin's, and an error if its size has HOSTEL_ERROR_BIT: the message begins with a code, such as "state-keys: ".
 *   get     the value; the pointer is null if there is none
 *   set     nothing: the pointer is null
 *   delete  the same, also where there was no value
 *   list    at most `max` keys, no more than 64 KiB, that begin with the prefix and come after the key `after`, or from
 *           the first one if that is null; see `hostel_next_key`. The size is 0 if there are no more */
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

/* Takes the first key off a list: its size, a little-endian uint32_t, and its bytes. False if there are no more. */
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

/* ---- The allocator: first fit in a list of free blocks, which are joined with their neighbours ---- */

/* The header of a block. The size counts the whole block, and is a multiple of 8. `next` is used while the block is
 * free; else the caller's bytes follow the header. */
typedef struct hostel_block {
    uint32_t size;
    struct hostel_block *next;
} hostel_block;

/* What an allocation of no bytes is: not null, and nothing to read or write. */
#define HOSTEL_NOTHING ((uint8_t *)8)

/* The free blocks by rising address. */
static hostel_block *hostel_free_blocks;

/* Puts a block into the list, and joins it with those it touches. */
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

/* Adds at least `size` bytes to the free blocks: first what the linker left of the memory, then new pages. */
static inline bool hostel_add_memory(uint32_t size) {
    extern uint8_t __heap_base;
    /* Linkers that know pages of one byte tell here how large they are. */
    extern uint8_t __wasm_first_page_end[] __attribute__((weak));
    static bool started;
    const uint32_t page = __wasm_first_page_end ? (uint32_t)__wasm_first_page_end : 65536;
    const uint32_t most_pages = 0xffffffff / page; /* Below 4 GiB, so that the end has an address. */

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

/* A buffer of `size` bytes at a multiple of 8. Null if there is no memory for it. */
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

/* Gives a buffer back. Null and an allocation of no bytes are fine. */
static inline void hostel_free(uint8_t *ptr) {
    if (ptr && ptr != HOSTEL_NOTHING) {
        hostel_release((hostel_block *)ptr - 1);
    }
}

/* Gives a buffer back that comes with its size, as answers and settings do. */
static inline void hostel_free_slice(hostel_slice slice) {
    if (slice.size) {
        hostel_free(slice.ptr);
    }
}

/* ---- Answers ---- */

/* The bit of an answer's size that says it is an error. */
#define HOSTEL_ERROR_BIT 0x80000000u

/* An answer in the packed shape. */
static inline uint64_t hostel_pack(hostel_slice slice) {
    return (uint64_t)(uint32_t)slice.ptr << 32 | slice.size;
}

/* A slice from the packed shape. */
static inline hostel_slice hostel_unpack(uint64_t packed) {
    return (hostel_slice){(uint8_t *)(uint32_t)(packed >> 32), (uint32_t)packed};
}

/* An error answer with this message, which is copied. Without memory for it, the message is empty. */
static inline hostel_slice hostel_error(hostel_slice message) {
    uint8_t *ptr = hostel_alloc(message.size);
    if (!ptr) {
        return (hostel_slice){HOSTEL_NOTHING, HOSTEL_ERROR_BIT};
    }
    __builtin_memcpy(ptr, message.ptr, message.size);
    return (hostel_slice){ptr, message.size | HOSTEL_ERROR_BIT};
}

/* ---- Text ---- */

/* Whether these bytes are UTF-8: no stray or missing bytes, no overlong forms, no surrogates, nothing over U+10FFFF. */
static inline bool hostel_is_utf8(hostel_slice text) {
    for (uint32_t at = 0; at < text.size;) {
        uint8_t first = text.ptr[at++];
        if (first < 0x80) {
            continue;
        }
        /* The first byte's leading ones say how many bytes there are. */
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
