/*
 * The plugin of the example's contract, with wasi-libc for `malloc`. `plugin.h` is what `wit-bindgen c` makes of the
 * contract. What the host passes belongs to the plugin, which frees it with the functions `..._free`. What a function
 * returns is freed by `plugin.c`, after the host has read it.
 */
#include <stdlib.h>
#include <string.h>

#include "hostel.h" /* For `hostel_is_utf8`; the rest of it is for plugins without WIT. */
#include "plugin.h"

typedef plugin_string_t string;

#define TEXT(literal) ((string){(uint8_t *)(literal), sizeof(literal) - 1})

static void *allocate(size_t size) {
    void *memory = malloc(size);
    if (!memory && size) {
        abort();
    }
    return memory;
}

/* Returns a new string of three others, one after the other. */
static string join(string first, string second, string third) {
    size_t size = first.len + second.len + third.len;
    string joined = {allocate(size), size};
    memcpy(joined.ptr, first.ptr, first.len);
    memcpy(joined.ptr + first.len, second.ptr, second.len);
    memcpy(joined.ptr + first.len + second.len, third.ptr, third.len);
    return joined;
}

static string copy(string text) {
    return join(text, TEXT(""), TEXT(""));
}

/* The number of bytes of a character in UTF-8, by the first of them. */
static size_t width(uint8_t first) {
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* The first character of a text. */
static uint32_t first_of(const uint8_t *bytes) {
    size_t size = width(*bytes);
    if (size == 1) {
        return *bytes;
    }
    uint32_t character = *bytes & (0x7f >> size);
    for (size_t at = 1; at < size; at++) {
        character = character << 6 | (bytes[at] & 0x3f);
    }
    return character;
}

/* Writes a character to `to`, which has room for four bytes. */
static string encode(uint32_t character, uint8_t *to) {
    size_t size = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t at = size - 1; at > 0; at--) {
        to[at] = 0x80 | (character & 0x3f);
        character >>= 6;
    }
    to[0] = size == 1 ? character : (0xf00 >> size & 0xff) | character;
    return (string){to, size};
}

static void log_size(size_t size) {
    uint8_t digits[10], *first = digits + sizeof(digits);
    do {
        *--first = '0' + size % 10;
        size /= 10;
    } while (size);
    string line = join(TEXT("processing "), (string){first, digits + sizeof(digits) - first}, TEXT(" bytes"));
    hostel_example_host_log(HOSTEL_EXAMPLE_HOST_LEVEL_INFO, &line);
    plugin_string_free(&line);
}

static void upper_case(string text) {
    for (size_t at = 0; at < text.len; at++) {
        uint8_t byte = text.ptr[at];
        text.ptr[at] = byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte;
    }
}

/* Reverses the order of the characters. */
static void reverse(string text) {
    string reversed = copy(text);
    for (size_t at = 0; at < text.len;) {
        size_t size = width(text.ptr[at]);
        memcpy(reversed.ptr + text.len - at - size, text.ptr + at, size);
        at += size;
    }
    memcpy(text.ptr, reversed.ptr, text.len);
    plugin_string_free(&reversed);
}

/* Changes the text in place, and returns a new one with the frame around it. */
static string change(string text, exports_hostel_example_text_style_t style,
                     const exports_hostel_example_text_frame_t *frame) {
    log_size(text.len);
    if (style & EXPORTS_HOSTEL_EXAMPLE_TEXT_STYLE_UPPER) {
        upper_case(text);
    }
    if (style & EXPORTS_HOSTEL_EXAMPLE_TEXT_STYLE_REVERSE) {
        reverse(text);
    }
    if (!frame) {
        return copy(text);
    }
    switch (frame->tag) {
    case EXPORTS_HOSTEL_EXAMPLE_TEXT_FRAME_PREFIX:
        return join(frame->val.prefix, text, TEXT(""));
    case EXPORTS_HOSTEL_EXAMPLE_TEXT_FRAME_QUOTES: {
        uint8_t before[4], after[4];
        return join(encode(frame->val.quotes.f0, before), text, encode(frame->val.quotes.f1, after));
    }
    default: {
        string key = TEXT("prefix"), prefix;
        if (!hostel_example_host_config(&key, &prefix)) {
            return join(TEXT("DEFAULT_PREFIX"), TEXT("_"), text);
        }
        string framed = join(prefix, TEXT("_"), text);
        plugin_string_free(&prefix);
        return framed;
    }
    }
}

bool exports_plugin_process(plugin_list_u8_t *input, plugin_list_u8_t *output, string *error) {
    bool valid = hostel_is_utf8((hostel_slice){input->ptr, input->len});
    if (valid) {
        exports_hostel_example_text_frame_t frame = {.tag = EXPORTS_HOSTEL_EXAMPLE_TEXT_FRAME_CONFIGURED};
        string text = change((string){input->ptr, input->len}, EXPORTS_HOSTEL_EXAMPLE_TEXT_STYLE_UPPER, &frame);
        *output = (plugin_list_u8_t){text.ptr, text.len};
    } else {
        *error = copy(TEXT("input is not UTF-8"));
    }
    plugin_list_u8_free(input);
    return valid;
}

/* Whether the text is refused, and why. */
static bool refused(const exports_hostel_example_text_request_t *request,
                    exports_hostel_example_text_problem_t *problem) {
    if (request->text.len == 0) {
        problem->tag = EXPORTS_HOSTEL_EXAMPLE_TEXT_PROBLEM_EMPTY;
        return true;
    }
    for (size_t at = 0; request->style & EXPORTS_HOSTEL_EXAMPLE_TEXT_STYLE_ASCII && at < request->text.len; at++) {
        if (request->text.ptr[at] > 0x7f) {
            problem->tag = EXPORTS_HOSTEL_EXAMPLE_TEXT_PROBLEM_NOT_ASCII;
            problem->val.not_ascii = first_of(request->text.ptr + at);
            return true;
        }
    }
    return false;
}

bool exports_hostel_example_text_customize(exports_hostel_example_text_request_t *request,
                                           exports_hostel_example_text_response_t *response,
                                           exports_hostel_example_text_problem_t *problem) {
    bool fine = !refused(request, problem);
    if (fine) {
        response->text = change(request->text, request->style, request->frame.is_some ? &request->frame.val : NULL);
        response->length = 0;
        for (size_t at = 0; at < response->text.len; at += width(response->text.ptr[at])) {
            response->length++;
        }
    }
    exports_hostel_example_text_request_free(request);
    return fine;
}

typedef plugin_tuple2_string_u32_t count;

/* The counts of words, sorted by word. */
struct exports_hostel_example_text_tally_t {
    string name;
    plugin_list_tuple2_string_u32_t counts;
};

typedef exports_hostel_example_text_tally_t tally;

/* Takes the name over. */
static tally *new_tally(string name) {
    tally *made = allocate(sizeof(tally));
    *made = (tally){name, {NULL, 0}};
    return made;
}

void exports_hostel_example_text_tally_destructor(tally *self) {
    plugin_string_free(&self->name);
    plugin_list_tuple2_string_u32_free(&self->counts);
    free(self);
}

/* Less than 0, 0 or more than 0, by the bytes of the words. */
static int compare(string left, string right) {
    int order = memcmp(left.ptr, right.ptr, left.len < right.len ? left.len : right.len);
    return order ? order : (left.len > right.len) - (left.len < right.len);
}

static void add_word(tally *self, string word, uint32_t times) {
    size_t at = 0, end = self->counts.len;
    while (at < end) {
        size_t middle = at + (end - at) / 2;
        int order = compare(self->counts.ptr[middle].f0, word);
        if (order == 0) {
            self->counts.ptr[middle].f1 += times;
            return;
        }
        if (order < 0) {
            at = middle + 1;
        } else {
            end = middle;
        }
    }
    count *counts = realloc(self->counts.ptr, (self->counts.len + 1) * sizeof(count));
    if (!counts) {
        abort();
    }
    memmove(counts + at + 1, counts + at, (self->counts.len - at) * sizeof(count));
    counts[at] = (count){copy(word), times};
    self->counts = (plugin_list_tuple2_string_u32_t){counts, self->counts.len + 1};
}

exports_hostel_example_text_own_tally_t exports_hostel_example_text_constructor_tally(string *name) {
    return exports_hostel_example_text_tally_new(new_tally(*name));
}

uint32_t exports_hostel_example_text_method_tally_add(tally *self, string *text) {
    for (size_t at = 0; at < text->len;) {
        size_t start = at;
        while (at < text->len && text->ptr[at] != ' ') {
            at++;
        }
        if (at > start) {
            add_word(self, (string){text->ptr + start, at - start}, 1);
        }
        at++;
    }
    plugin_string_free(text);
    return self->counts.len;
}

void exports_hostel_example_text_method_tally_counts(tally *self, plugin_list_tuple2_string_u32_t *counts) {
    *counts = (plugin_list_tuple2_string_u32_t){allocate(self->counts.len * sizeof(count)), self->counts.len};
    for (size_t at = 0; at < counts->len; at++) {
        counts->ptr[at] = (count){copy(self->counts.ptr[at].f0), self->counts.ptr[at].f1};
    }
}

void exports_hostel_example_text_method_tally_name(tally *self, string *name) {
    *name = copy(self->name);
}

exports_hostel_example_text_own_tally_t exports_hostel_example_text_static_tally_merge(tally *left, tally *right) {
    tally *both[] = {left, right}, *merged = new_tally(join(left->name, TEXT("+"), right->name));
    for (int side = 0; side < 2; side++) {
        for (size_t at = 0; at < both[side]->counts.len; at++) {
            add_word(merged, both[side]->counts.ptr[at].f0, both[side]->counts.ptr[at].f1);
        }
    }
    return exports_hostel_example_text_tally_new(merged);
}

void exports_hostel_example_text_static_tally_finish(exports_hostel_example_text_own_tally_t handle,
                                                     plugin_list_tuple2_string_u32_t *counts) {
    exports_hostel_example_text_method_tally_counts(exports_hostel_example_text_tally_rep(handle), counts);
    exports_hostel_example_text_tally_drop_own(handle);
}
