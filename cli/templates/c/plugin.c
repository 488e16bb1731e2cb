/* Greets people: with the setting `greeting` = `Salut`, "Ann" becomes "Salut, Ann!". */
#include "hostel.h"

HOSTEL_EXPORT_ALLOCATOR

/* Returns the texts, one after the other, in a buffer that the host frees. */
static hostel_slice join(const hostel_slice *texts, uint32_t count) {
    hostel_slice all = {NULL, 0};
    for (uint32_t at = 0; at < count; at++) {
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

static hostel_slice greet(hostel_slice name) {
    if (!hostel_is_utf8(name)) {
        return hostel_error(HOSTEL_TEXT("the name is not UTF-8"));
    }
    if (!name.size) {
        return hostel_error(HOSTEL_TEXT("the name is empty"));
    }
    hostel_slice line = join((hostel_slice[]){HOSTEL_TEXT("greeting "), name}, 2);
    if (!(line.size & HOSTEL_ERROR_BIT)) {
        host_log(line.ptr, line.size);
    }
    hostel_free_slice(line);

    const hostel_slice key = HOSTEL_TEXT("greeting");
    hostel_slice value = hostel_unpack(host_get_config(key.ptr, key.size));
    hostel_slice greeting = value.ptr ? value : HOSTEL_TEXT("Hello");
    hostel_slice answer = join((hostel_slice[]){greeting, HOSTEL_TEXT(", "), name, HOSTEL_TEXT("!")}, 4);
    hostel_free_slice(value);
    return answer;
}

HOSTEL_EXPORT("process") uint64_t process(uint8_t *ptr, uint32_t size) {
    return hostel_pack(greet((hostel_slice){ptr, size}));
}
