/* Greets people: with the setting `greeting` = `Salut`, "Ann" becomes "Salut, Ann!". */
#include "hostel.h"

HOSTEL_EXPORT_ALLOCATOR

static hostel_slice greet(hostel_slice name) {
    if (!hostel_is_utf8(name)) {
        return hostel_error(HOSTEL_TEXT("the name is not UTF-8"));
    }
    if (!name.size) {
        return hostel_error(HOSTEL_TEXT("the name is empty"));
    }
    hostel_slice line = HOSTEL_JOIN(HOSTEL_TEXT("greeting "), name);
    if (!hostel_is_error(line)) {
        host_log(line.ptr, line.size);
    }
    hostel_free_slice(line);

    const hostel_slice key = HOSTEL_TEXT("greeting");
    hostel_slice value = hostel_unpack(host_get_config(key.ptr, key.size));
    hostel_slice greeting = value.ptr ? value : HOSTEL_TEXT("Hello");
    hostel_slice answer = HOSTEL_JOIN(greeting, HOSTEL_TEXT(", "), name, HOSTEL_TEXT("!"));
    hostel_free_slice(value);
    return answer;
}

HOSTEL_EXPORT("process") uint64_t process(uint8_t *ptr, uint32_t size) {
    return hostel_pack(greet((hostel_slice){ptr, size}));
}
