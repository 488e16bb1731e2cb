/* Uses all that hostel.h has. Its argument is a folder with the plugins that it loads. Ends with 0 if all is as expected. */
#include "hostel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define EXPECT(what)                                                                               \
    do {                                                                                           \
        if (!(what)) {                                                                             \
            printf("line %d: not so: %s\n", __LINE__, #what);                                      \
            failures++;                                                                            \
        }                                                                                          \
    } while (0)

static uint8_t said[300];
static HostelMessage message = {said, sizeof said};

static bool says(const char *words) {
    return strstr((const char *)said, words) != NULL;
}

/* ---- What the machine can do ---- */

typedef struct {
    uint64_t micros;
    size_t free_bytes;
} board;

/* A clock that goes on by a millisecond whenever it is looked at. */
static uint64_t now(void *context) {
    return ((board *)context)->micros += 1000;
}

static size_t free_bytes(void *context) {
    return ((board *)context)->free_bytes;
}

/* ---- What plugins may call ---- */

static int32_t add(void *context, const int32_t *params, size_t count, int32_t *result) {
    int32_t *calls = context;
    (*calls)++;
    *result = 0;
    for (size_t at = 0; at < count; at++) {
        *result += params[at];
    }
    return *result == 13 ? 7 : 0; /* 13 stops the plugin. */
}

static int32_t twice(void *context, const uint8_t *input, size_t size, uint8_t *output, size_t capacity,
                     size_t *length) {
    (void)context;
    if (2 * size > capacity) {
        return 1;
    }
    memcpy(output, input, size);
    memcpy(output + size, input, size);
    *length = 2 * size;
    return 0;
}

static void keep_line(void *context, const HostelRecord *record) {
    const char *speaker = record->from_host ? " [host]" : "";
    snprintf(context, 100, "%s%s %d: %s", record->plugin, speaker, (int)record->level, record->text);
}

/* ---- Files ---- */

typedef struct {
    uint8_t *bytes;
    size_t size;
} file;

static file read_file(const char *folder, const char *name) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *stream = fopen(path, "rb");
    if (!stream) {
        printf("can't open %s\n", path);
        exit(2);
    }
    file all = {malloc(20000), 0};
    if (!all.bytes) {
        exit(2);
    }
    all.size = fread(all.bytes, 1, 20000, stream);
    fclose(stream);
    return all;
}

static HostelPlugin *load(const HostelEngine *engine, const char *folder, const char *name, const HostelGrants *grants) {
    file wasm = read_file(folder, name);
    HostelPlugin *plugin;
    HostelCode code = hostel_load(engine, name, wasm.bytes, wasm.size, grants, &plugin, &message);
    free(wasm.bytes);
    if (code != HOSTEL_CODE_OK) {
        printf("%s: %s\n", hostel_code_name(code), (const char *)said);
        exit(1);
    }
    return plugin;
}

/* ---- */

static void broken_modules(const HostelEngine *engine, board *machine, const char *folder) {
    HostelPlugin *plugin = (HostelPlugin *)&plugin;
    EXPECT(hostel_load(engine, "p", (const uint8_t *)"ELF", 3, NULL, &plugin, &message) == HOSTEL_CODE_NOT_WASM);
    EXPECT(plugin == NULL);
    EXPECT(says("not a WebAssembly module"));
    EXPECT(hostel_load(engine, "p", NULL, 0, NULL, &plugin, NULL) == HOSTEL_CODE_EMPTY_MODULE);

    file wasm = read_file(folder, "host.wasm");
    EXPECT(hostel_load(engine, "p", wasm.bytes, wasm.size, NULL, &plugin, &message) == HOSTEL_CODE_MISMATCH);
    EXPECT(says("`shop.add`") && says("`shop.twice`"));
    uint8_t little[8];
    HostelMessage cut = {little, sizeof little};
    EXPECT(hostel_load(engine, "p", wasm.bytes, wasm.size, NULL, &plugin, &cut) == HOSTEL_CODE_MISMATCH);
    EXPECT(strcmp((const char *)little, "the mod") == 0);
    free(wasm.bytes);

    size_t enough = machine->free_bytes;
    machine->free_bytes = 10000;
    wasm = read_file(folder, "loop.wasm");
    EXPECT(hostel_load(engine, "p", wasm.bytes, wasm.size, NULL, &plugin, &message) == HOSTEL_CODE_DOES_NOT_FIT);
    EXPECT(says("10000 are free"));
    machine->free_bytes = enough;
    free(wasm.bytes);
}

static void calls(const HostelEngine *engine, const char *folder) {
    int32_t added = 0;
    char line[100] = "";
    HostelGrants *grants = hostel_grants_new();
    EXPECT(hostel_grant_numbers(grants, "shop", "add", 2, add, &added) == HOSTEL_CODE_OK);
    EXPECT(hostel_grant_numbers(grants, "shop", "many", 5, add, &added) == HOSTEL_CODE_BAD_ARGUMENT);
    EXPECT(hostel_grant_bytes(grants, "shop", "twice", 32, twice, NULL) == HOSTEL_CODE_OK);
    EXPECT(hostel_grant_log(grants, keep_line, line) == HOSTEL_CODE_OK);
    EXPECT(hostel_grant_config(grants, "prefix", "LAMP") == HOSTEL_CODE_OK);
    EXPECT(hostel_grant_config(grants, "other", "") == HOSTEL_CODE_OK);
    HostelPlugin *host = load(engine, folder, "host.wasm", grants);
    HostelPlugin *customize = load(engine, folder, "customize.wasm", grants);
    hostel_grants_free(grants);

    HostelInstance *instance;
    EXPECT(hostel_instantiate(host, &instance, &message) == HOSTEL_CODE_OK);
    int32_t params[2] = {30, -4}, result = 0;
    EXPECT(hostel_call_numbers(instance, "add", params, 2, &result, &message) == HOSTEL_CODE_OK);
    EXPECT(result == 26 && added == 1);
    EXPECT(hostel_fuel_used(instance) > 20);
    EXPECT(hostel_call_numbers(instance, "add", params, 1, &result, &message) == HOSTEL_CODE_EXPORT_TYPE);
    EXPECT(hostel_call_numbers(instance, "sub", params, 2, &result, &message) == HOSTEL_CODE_UNKNOWN_EXPORT);
    EXPECT(says("no function `sub`"));

    uint8_t answer[64];
    size_t length;
    HostelCode code = hostel_call_bytes(instance, "process", (const uint8_t *)"la", 2, answer, sizeof answer, &length,
                                        &message);
    EXPECT(code == HOSTEL_CODE_OK && length == 4 && memcmp(answer, "lala", 4) == 0 && said[0] == 0);
    code = hostel_call_bytes(instance, "process", (const uint8_t *)"la", 2, answer, 3, &length, &message);
    EXPECT(code == HOSTEL_CODE_BUFFER_TOO_SMALL && length == 4);
    EXPECT(!hostel_is_stopped(instance));
    params[0] = 17;
    EXPECT(hostel_call_numbers(instance, "add", params, 2, &result, &message) == HOSTEL_CODE_TRAP_HOST);
    EXPECT(says("it returned 7") && says("shop.add"));
    EXPECT(hostel_is_stopped(instance));
    EXPECT(hostel_call_numbers(instance, "add", params, 2, &result, NULL) == HOSTEL_CODE_STOPPED);
    hostel_instance_free(instance);
    hostel_unload(host);

    /* An instance outlives the plugin that it was made from. */
    EXPECT(hostel_instantiate(customize, &instance, &message) == HOSTEL_CODE_OK);
    hostel_unload(customize);
    code = hostel_call_bytes(instance, "process", (const uint8_t *)"hello", 5, answer, sizeof answer, &length, &message);
    EXPECT(code == HOSTEL_CODE_OK && length == 10 && memcmp(answer, "LAMP_HELLO", 10) == 0);
    EXPECT(strcmp(line, "customize.wasm 2: processing 5 bytes") == 0);
    code = hostel_call_bytes(instance, "process", (const uint8_t *)"\xff", 1, answer, sizeof answer, &length, &message);
    EXPECT(code == HOSTEL_CODE_GUEST_ERROR && says("input is not UTF-8"));
    hostel_instance_free(instance);
}

static void budgets(const HostelEngine *engine, const char *folder) {
    HostelPlugin *plugin = load(engine, folder, "loop.wasm", NULL);
    const struct {
        uint64_t fuel, deadline;
        HostelCode code;
    } cases[] = {{10000, 0, HOSTEL_CODE_OUT_OF_FUEL}, {UINT64_MAX / 2, 20000, HOSTEL_CODE_DEADLINE}};
    for (size_t at = 0; at < 2; at++) {
        HostelInstance *instance;
        int32_t result;
        EXPECT(hostel_instantiate(plugin, &instance, &message) == HOSTEL_CODE_OK);
        EXPECT(hostel_set_budget(instance, cases[at].fuel, cases[at].deadline) == HOSTEL_CODE_OK);
        EXPECT(hostel_call_numbers(instance, "loop", NULL, 0, &result, &message) == cases[at].code);
        EXPECT(hostel_is_stopped(instance));
        hostel_instance_free(instance);
    }
    hostel_unload(plugin);
}

static void null_pointers(const HostelEngine *engine) {
    HostelPlugin *plugin;
    HostelInstance *instance;
    const HostelCode bad = HOSTEL_CODE_BAD_ARGUMENT;
    int32_t number;
    EXPECT(hostel_load(NULL, "p", NULL, 0, NULL, &plugin, NULL) == bad);
    EXPECT(hostel_load(engine, NULL, NULL, 0, NULL, &plugin, NULL) == bad);
    EXPECT(hostel_load(engine, "\xff", NULL, 0, NULL, &plugin, NULL) == bad);
    EXPECT(hostel_load(engine, "p", NULL, 1, NULL, &plugin, NULL) == bad);
    EXPECT(hostel_load(engine, "p", NULL, 0, NULL, NULL, NULL) == bad);
    EXPECT(hostel_instantiate(NULL, &instance, NULL) == bad);
    EXPECT(hostel_call_numbers(NULL, "f", NULL, 0, &number, NULL) == bad);
    EXPECT(hostel_set_budget(NULL, 1, 0) == bad);
    EXPECT(hostel_grant_log(NULL, keep_line, NULL) == bad);
    EXPECT(hostel_fuel_used(NULL) == 0 && hostel_is_stopped(NULL));
    hostel_unload(NULL);
    hostel_instance_free(NULL);
    hostel_grants_free(NULL);
    hostel_engine_free(NULL);
}

int main(int argc, char **argv) {
    if (argc < 2) {
        printf("usage: all FOLDER\n");
        return 2;
    }
    board machine = {0, 200 * 1024};
    HostelPlatform platform = {&machine, now, free_bytes};
    HostelEngine *engine = hostel_engine_new(1 << 20, &platform);
    broken_modules(engine, &machine, argv[1]);
    calls(engine, argv[1]);
    budgets(engine, argv[1]);
    null_pointers(engine);
    hostel_engine_free(engine);

    EXPECT(strcmp(hostel_code_name(HOSTEL_CODE_OUT_OF_FUEL), "out-of-fuel") == 0);
    EXPECT(strcmp(hostel_code_name(9999), "other") == 0);
    printf(failures ? "%d failures\n" : "all is as expected\n", failures);
    return failures != 0;
}
