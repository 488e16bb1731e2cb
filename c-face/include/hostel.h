// hostel.h: run WebAssembly plugins that you don't trust, from C.
//
// Made by cbindgen from the crate hostel-c; don't edit.

#ifndef HOSTEL_H
#define HOSTEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How something ended. A number never changes its meaning; new ones may come.
typedef enum HostelCode {
    // It went well.
    HOSTEL_CODE_OK = 0,
    // An error that this version of the header has no number for.
    HOSTEL_CODE_OTHER = 1,
    // A null pointer where none may be, or a name that is not UTF-8.
    HOSTEL_CODE_BAD_ARGUMENT = 2,
    // More bytes than a module may have.
    HOSTEL_CODE_MODULE_TOO_LARGE = 10,
    // No bytes at all.
    HOSTEL_CODE_EMPTY_MODULE = 11,
    // Not WebAssembly.
    HOSTEL_CODE_NOT_WASM = 12,
    // A component, not a core module.
    HOSTEL_CODE_COMPONENT = 13,
    // The module is cut off.
    HOSTEL_CODE_TRUNCATED_MODULE = 14,
    // The module is broken.
    HOSTEL_CODE_INVALID_MODULE = 15,
    // It uses something that hostel does not run.
    HOSTEL_CODE_UNSUPPORTED = 16,
    // It has more of something than the limits allow.
    HOSTEL_CODE_OVER_LIMIT = 17,
    // Imports or exports do not fit.
    HOSTEL_CODE_MISMATCH = 18,
    // The interpreter refused it.
    HOSTEL_CODE_REFUSED = 19,
    // The heap has no room for the plugin, the instance, the call or the answer.
    HOSTEL_CODE_DOES_NOT_FIT = 20,
    // The plugin answered with an error of its own.
    HOSTEL_CODE_GUEST_ERROR = 40,
    // The plugin exports no function of this name.
    HOSTEL_CODE_UNKNOWN_EXPORT = 41,
    // The export can't be called with these types.
    HOSTEL_CODE_EXPORT_TYPE = 42,
    // The input is larger than the budget allows.
    HOSTEL_CODE_INPUT_TOO_LARGE = 43,
    // The output is larger than the budget allows.
    HOSTEL_CODE_OUTPUT_TOO_LARGE = 44,
    // The caller's buffer is too small for the output.
    HOSTEL_CODE_BUFFER_TOO_SMALL = 45,
    // A pointer from the plugin lies outside of its memory.
    HOSTEL_CODE_OUT_OF_BOUNDS = 46,
    // Text from the plugin is not UTF-8.
    HOSTEL_CODE_NOT_UTF8 = 47,
    // A number from the plugin is not a value of the promised type.
    HOSTEL_CODE_BAD_VALUE = 48,
    // The plugin's allocator has no memory.
    HOSTEL_CODE_NO_MEMORY = 49,
    // The plugin can't exchange bytes: it lacks an export.
    HOSTEL_CODE_MISSING_EXPORT = 50,
    // A serialised value is broken.
    HOSTEL_CODE_SERIALIZATION = 51,
    // All instances that the limits allow are in use.
    HOSTEL_CODE_BUSY = 52,
    // The plugin was closed.
    HOSTEL_CODE_CLOSED = 53,
    // The instance was stopped by an earlier call.
    HOSTEL_CODE_STOPPED = 54,
    // The plugin ended itself.
    HOSTEL_CODE_EXITED = 55,
    // The call used up its fuel.
    HOSTEL_CODE_OUT_OF_FUEL = 56,
    // The call passed its deadline.
    HOSTEL_CODE_DEADLINE = 57,
    // The call was cancelled.
    HOSTEL_CODE_CANCELLED = 58,
    // The plugin called host functions too often.
    HOSTEL_CODE_HOST_CALLS = 59,
    // The plugin called a host function with too many bytes.
    HOSTEL_CODE_ARGUMENT_TOO_LARGE = 60,
    // Host functions had too many bytes for the plugin.
    HOSTEL_CODE_BYTES_TO_GUEST = 61,
    // A function of another instance. Not in C, where functions are called by name.
    HOSTEL_CODE_OTHER_INSTANCE = 62,
    // The interpreter stopped the plugin.
    HOSTEL_CODE_TRAP = 80,
    // A panic or assertion in the plugin.
    HOSTEL_CODE_TRAP_UNREACHABLE = 81,
    // Access outside of its memory.
    HOSTEL_CODE_TRAP_MEMORY = 82,
    // Access outside of a table.
    HOSTEL_CODE_TRAP_TABLE = 83,
    // Indirect call to an empty table element.
    HOSTEL_CODE_TRAP_NULL_CALL = 84,
    // Indirect call to a function of another type.
    HOSTEL_CODE_TRAP_SIGNATURE = 85,
    // Integer division by zero.
    HOSTEL_CODE_TRAP_DIVISION = 86,
    // Integer overflow.
    HOSTEL_CODE_TRAP_OVERFLOW = 87,
    // Conversion of a float that has no integer value.
    HOSTEL_CODE_TRAP_CONVERSION = 88,
    // Its call stack overflowed.
    HOSTEL_CODE_TRAP_STACK = 89,
    // The machine has no memory left for it.
    HOSTEL_CODE_TRAP_OUT_OF_MEMORY = 90,
    // A host function stopped it.
    HOSTEL_CODE_TRAP_HOST = 91,
    // A host function panicked.
    HOSTEL_CODE_TRAP_HOST_PANIC = 92,
    // It called a host function wrongly.
    HOSTEL_CODE_TRAP_HOST_CALL = 93,
    // It called a host function from inside its allocator.
    HOSTEL_CODE_TRAP_REENTERED = 94,
    // It can't be instantiated.
    HOSTEL_CODE_TRAP_INSTANTIATION = 95,
} HostelCode;

// What plugins are loaded from. May be used from several threads.
typedef struct HostelEngine HostelEngine;

// What a plugin may do beyond its own memory. Nothing at first.
typedef struct HostelGrants HostelGrants;

// One running sandbox of a plugin. Only one thread at a time may use it.
typedef struct HostelInstance HostelInstance;

// A plugin, loaded. May be used from several threads.
typedef struct HostelPlugin HostelPlugin;

// What the machine can do, each null where it can't. The functions may be called from any thread
// that calls hostel, with `context`.
typedef struct HostelPlatform {
    // Handed to the functions.
    void *context;
    // Microseconds since any fixed moment; never goes back. Without it there are no deadlines.
    uint64_t (*now)(void *context);
    // Bytes of the heap that are free. With it, what has no room is refused before it is tried.
    size_t (*free_bytes)(void *context);
} HostelPlatform;

// A host function of numbers: gets `count` of them and writes one to `result`. What it returns is 0,
// or any other number to stop the plugin.
typedef int32_t (*HostelNumbersFunction)(void *context, const int32_t *params, size_t count, int32_t *result);

// A host function of bytes: gets `input`, writes its answer to `output`, which has room for
// `capacity` bytes, and the answer's length to `length`. What it returns is 0, or any other number
// to stop the plugin.
typedef int32_t (*HostelBytesFunction)(void *context,
                                       const uint8_t *input,
                                       size_t size,
                                       uint8_t *output,
                                       size_t capacity,
                                       size_t *length);

// Takes one record of a plugin's log: its name, and a line of text without control characters,
// both with a zero at their end and valid until it returns.
typedef void (*HostelLog)(void *context, const char *plugin, const char *text);

// Where a message goes: a buffer of the caller's. It gets a text in UTF-8, cut to what has room,
// with a zero at its end; an empty one where there was no error.
typedef struct HostelMessage {
    // The buffer, or null for no message.
    uint8_t *text;
    // Its size in bytes.
    size_t capacity;
} HostelMessage;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The stable code's word, such as `out-of-fuel`, for logs. Never null; lives for ever. `code` is a
// number of `HostelCode`; for any other it is `other`.
const char *hostel_code_name(uint32_t code);

// An engine for a device whose heap has `heap_bytes` bytes, with limits and budgets that fit; or
// for a server, where that is 0. `platform` may be null. Give it back with `hostel_engine_free`.
//
// # Safety
//
// `platform` is null or points at a platform, whose functions are safe to call for as long as the
// engine, or anything loaded from it, is there.
struct HostelEngine *hostel_engine_new(size_t heap_bytes, const struct HostelPlatform *platform);

// Gives an engine back. What was loaded from it goes on. Null is fine.
//
// # Safety
//
// `engine` is null, or from `hostel_engine_new` and not used any more.
void hostel_engine_free(struct HostelEngine *engine);

// Grants of nothing. Give them back with `hostel_grants_free`; plugins that were loaded with them
// keep what they got.
struct HostelGrants *hostel_grants_new(void);

// Gives grants back. Null is fine.
//
// # Safety
//
// `grants` is null, or from `hostel_grants_new` and not used any more.
void hostel_grants_free(struct HostelGrants *grants);

// Grants `function` as `module.name`, of `count` numbers of 32 bits, 4 at most, with one as result.
//
// # Safety
//
// `grants` is from `hostel_grants_new`; `module` and `name` are texts with a zero at their end;
// `function` may be called with `context`, from any thread, for as long as a plugin has the grant.
enum HostelCode hostel_grant_numbers(struct HostelGrants *grants,
                                     const char *module,
                                     const char *name,
                                     size_t count,
                                     HostelNumbersFunction function,
                                     void *context);

// Grants `function` as `module.name`, from bytes to bytes, with an answer of `capacity` bytes at
// most.
//
// # Safety
//
// As for `hostel_grant_numbers`.
enum HostelCode hostel_grant_bytes(struct HostelGrants *grants,
                                   const char *module,
                                   const char *name,
                                   size_t capacity,
                                   HostelBytesFunction function,
                                   void *context);

// Grants the log: `env.host_log` and `env.host_log_message`.
//
// # Safety
//
// `grants` is from `hostel_grants_new`; `log` may be called with `context`, from any thread, for as
// long as a plugin has the grant.
enum HostelCode hostel_grant_log(struct HostelGrants *grants, HostelLog log, void *context);

// Grants `env.host_get_config`, with the value of one setting. Can be called for several.
//
// # Safety
//
// `grants` is from `hostel_grants_new`; `key` and `value` are texts with a zero at their end.
enum HostelCode hostel_grant_config(struct HostelGrants *grants, const char *key, const char *value);

// Makes an instance of `plugin`. Where that fails, `instance` becomes null, and `message`, which may
// be null, says why.
//
// # Safety
//
// `plugin` is a handle; `instance` may be written to; `message` is as it says.
enum HostelCode hostel_instantiate(const struct HostelPlugin *plugin,
                                   struct HostelInstance **instance,
                                   struct HostelMessage *message);

// Gives an instance back. Null is fine.
//
// # Safety
//
// `instance` is null, or from `hostel_instantiate` and not used any more.
void hostel_instance_free(struct HostelInstance *instance);

// Sets what each further call may use: `fuel`, about one unit for an instruction, and a deadline of
// so many microseconds from its start, or none for 0, which needs a platform with a clock.
//
// # Safety
//
// `instance` is a handle that nobody else uses meanwhile.
enum HostelCode hostel_set_budget(struct HostelInstance *instance, uint64_t fuel, uint64_t deadline_micros);

// The fuel that the last call used, or making the instance before the first one.
//
// # Safety
//
// `instance` is null, for which it is 0, or a handle that nobody else uses meanwhile.
uint64_t hostel_fuel_used(const struct HostelInstance *instance);

// Whether a call stopped the instance, which then refuses further ones.
//
// # Safety
//
// As for `hostel_fuel_used`; null is as one that was stopped.
bool hostel_is_stopped(const struct HostelInstance *instance);

// Calls the export `name`, from bytes to bytes, with `input`, and writes its answer to `output`, which
// has room for `capacity` bytes, and its length to `length`. Where the room is too little, that is
// the error, nothing is written, and `length` says how much it takes. `message` may be null.
//
// # Safety
//
// `instance` is a handle that nobody else uses meanwhile; `name` is a text with a zero at its end;
// `input` points at `size` bytes and `output` at `capacity`, which don't overlap; `length` may be
// written to; `message` is as it says.
enum HostelCode hostel_call_bytes(struct HostelInstance *instance,
                                  const char *name,
                                  const uint8_t *input,
                                  size_t size,
                                  uint8_t *output,
                                  size_t capacity,
                                  size_t *length,
                                  struct HostelMessage *message);

// Calls the export `name`, of `count` numbers of 32 bits, 16 at most, and writes its result, if it has
// one, to `result`. `message` may be null.
//
// # Safety
//
// `instance` is a handle that nobody else uses meanwhile; `name` is a text with a zero at its end;
// `params` points at `count` numbers; `result` may be written to; `message` is as it says.
enum HostelCode hostel_call_numbers(struct HostelInstance *instance,
                                    const char *name,
                                    const int32_t *params,
                                    size_t count,
                                    int32_t *result,
                                    struct HostelMessage *message);

// Checks and compiles a module of `size` bytes to a plugin called `name`, with `grants` and nothing
// else; null for none. The module's bytes are not needed afterwards. Where it does not load,
// `plugin` becomes null, and `message`, which may be null, says why.
//
// # Safety
//
// `engine` and `grants` are handles; `name` is a text with a zero at its end; `wasm` points at
// `size` bytes; `plugin` may be written to; `message` is as it says.
enum HostelCode hostel_load(const struct HostelEngine *engine,
                            const char *name,
                            const uint8_t *wasm,
                            size_t size,
                            const struct HostelGrants *grants,
                            struct HostelPlugin **plugin,
                            struct HostelMessage *message);

// Gives a plugin back. Its memory is free when its last instance has gone too; these refuse no
// calls until then. Null is fine.
//
// # Safety
//
// `plugin` is null, or from `hostel_load` and not used any more.
void hostel_unload(struct HostelPlugin *plugin);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* HOSTEL_H */
