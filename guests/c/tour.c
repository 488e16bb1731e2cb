/* Each feature of hostel.h, in one plugin. `guests/tour/tests.toml` says what the functions do. C has no JSON of its own:
 * plugins take a library for it, so this one has no function `json`. */
#include "hostel.h"

HOSTEL_EXPORT_ALLOCATOR

HOSTEL_HOST_FUNCTION("shop", "price") uint64_t price(const uint8_t *article, uint32_t size);

HOSTEL_EXPORT("bytes") hostel_slice bytes(uint8_t *ptr, uint32_t size) {
    hostel_slice reversed = {hostel_alloc(size), size};
    if (!reversed.ptr) {
        return hostel_error(HOSTEL_TEXT("no memory"));
    }
    for (uint32_t at = 0; at < size; at++) {
        reversed.ptr[at] = ptr[size - 1 - at];
    }
    return reversed;
}

HOSTEL_EXPORT("text") hostel_slice text(uint8_t *ptr, uint32_t size) {
    hostel_slice input = {ptr, size};
    if (!hostel_is_utf8(input)) {
        return hostel_error(HOSTEL_TEXT("input is not UTF-8"));
    }
    hostel_slice upper = HOSTEL_JOIN(input);
    for (uint32_t at = 0; at < size && !hostel_is_error(upper); at++) {
        if (ptr[at] >= 'a' && ptr[at] <= 'z') {
            upper.ptr[at] -= 32;
        }
    }
    return upper;
}

/* Makes the texts an error, and frees them. */
static hostel_slice failed(hostel_slice text) {
    hostel_slice error = hostel_error(text);
    hostel_free_slice(text);
    return error;
}

HOSTEL_EXPORT("fail") hostel_slice fail(uint8_t *ptr, uint32_t size) {
    hostel_slice input = {ptr, size};
    uint32_t number;
    if (!hostel_read_number(input, &number)) {
        return failed(HOSTEL_JOIN(HOSTEL_TEXT("`"), input, HOSTEL_TEXT("` is no number")));
    }
    uint8_t digits[10];
    return HOSTEL_JOIN(hostel_digits(number, digits));
}

HOSTEL_EXPORT("setting") hostel_slice setting(uint8_t *ptr, uint32_t size) {
    hostel_slice value = hostel_unpack(host_get_config(ptr, size));
    return value.ptr ? value : HOSTEL_JOIN(HOSTEL_TEXT("unset"));
}

HOSTEL_EXPORT("levels") hostel_slice levels(uint8_t *ptr, uint32_t size) {
    for (uint32_t level = HOSTEL_TRACE; level <= HOSTEL_ERROR; level++) {
        host_log_at(level, ptr, size);
    }
    return HOSTEL_TEXT("");
}

HOSTEL_EXPORT("count") hostel_slice count(uint8_t *ptr, uint32_t size) {
    hostel_slice value = hostel_unpack(host_state_get(ptr, size));
    if (hostel_is_error(value)) {
        return value;
    }
    uint32_t count = 0;
    if (value.ptr && !hostel_read_number(value, &count)) {
        return hostel_error(HOSTEL_TEXT("the state is no number"));
    }
    hostel_free_slice(value);
    uint8_t digits[10];
    hostel_slice written = hostel_digits(count + 1, digits);
    hostel_slice done = hostel_unpack(host_state_set(ptr, size, written.ptr, written.size));
    return hostel_is_error(done) ? done : HOSTEL_JOIN(written);
}

HOSTEL_EXPORT("keys") hostel_slice keys(uint8_t *ptr, uint32_t size) {
    hostel_slice page = hostel_unpack(host_state_list(ptr, size, NULL, 0, UINT32_MAX));
    if (hostel_is_error(page)) {
        return page;
    }
    hostel_slice rest = page, key, all = HOSTEL_TEXT("");
    while (hostel_next_key(&rest, &key)) {
        hostel_slice before = all;
        all = before.size ? HOSTEL_JOIN(before, HOSTEL_TEXT(","), key) : HOSTEL_JOIN(key);
        hostel_free_slice(before);
        if (hostel_is_error(all)) {
            break;
        }
    }
    hostel_free_slice(page);
    return all;
}

HOSTEL_EXPORT("forget") hostel_slice forget(uint8_t *ptr, uint32_t size) {
    hostel_slice done = hostel_unpack(host_state_delete(ptr, size));
    return hostel_is_error(done) ? done : HOSTEL_TEXT("");
}

HOSTEL_EXPORT("fetch") hostel_slice fetch(uint8_t *ptr, uint32_t size) {
    hostel_slice request =
        HOSTEL_JOIN(HOSTEL_TEXT("GET "), {ptr, size}, HOSTEL_TEXT("\naccept: text/plain\n\n"));
    if (hostel_is_error(request)) {
        return request;
    }
    hostel_slice answer = hostel_unpack(host_http_request(request.ptr, request.size));
    hostel_free_slice(request);
    hostel_response response;
    if (hostel_is_error(answer) || !hostel_read_response(answer, &response)) {
        return answer;
    }
    hostel_slice kind = HOSTEL_TEXT("none");
    hostel_find_header(response.headers, HOSTEL_TEXT("content-type"), &kind);
    uint8_t digits[10];
    hostel_slice status = hostel_digits(response.status, digits);
    hostel_slice text = HOSTEL_JOIN(status, HOSTEL_TEXT(" "), kind, HOSTEL_TEXT(" "), response.body);
    hostel_free_slice(answer);
    return text;
}

HOSTEL_EXPORT("buy") hostel_slice buy(uint8_t *ptr, uint32_t size) {
    uint32_t cents;
    if (!hostel_number(price(ptr, size), &cents)) {
        return hostel_error(HOSTEL_TEXT("there is no such article"));
    }
    uint8_t digits[10];
    return HOSTEL_JOIN(hostel_digits(cents, digits));
}

HOSTEL_EXPORT("crash") hostel_slice crash(uint8_t *ptr, uint32_t size) {
    hostel_panic(HOSTEL_JOIN(HOSTEL_TEXT("the input is "), {ptr, size}));
}
