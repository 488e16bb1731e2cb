//! Numbers for the stable codes of errors.

use core::ffi::CStr;
use hostel_core::{CallError, LoadError};

/// The result of a function. A number never changes its meaning. Later versions may add numbers.
///
/// 10 to 22 are about loading and memory, 40 to 69 about calls. 80 to 97 are traps: the instance
/// refuses further calls. After an error of a call, `hostel_is_stopped` tells whether it stopped the
/// instance.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostelCode {
    /// Success.
    Ok = 0,
    /// An error for which this version has no number. The message describes it.
    Other = 1,
    /// An argument is null but must not be, is not UTF-8, or is out of range.
    BadArgument = 2,
    /// The module has more bytes than the limits allow.
    ModuleTooLarge = 10,
    /// The module has no bytes.
    EmptyModule = 11,
    /// The bytes are not WebAssembly.
    NotWasm = 12,
    /// The bytes are a component, expected a core module.
    Component = 13,
    /// The module is cut off.
    TruncatedModule = 14,
    /// The module is not valid WebAssembly.
    InvalidModule = 15,
    /// The module uses a feature that hostel does not run.
    Unsupported = 16,
    /// The module declares more than the limits allow.
    OverLimit = 17,
    /// The module's imports are not granted, or its imports or exports have the wrong types.
    Mismatch = 18,
    /// The interpreter refused the module.
    Refused = 19,
    /// The heap has no room for the plugin, the instance, the call or the answer.
    DoesNotFit = 20,
    /// The module needs a proposal to WebAssembly that hostel does not run.
    NeedsProposal = 21,
    /// The modules of one plugin can't be linked.
    Linking = 22,
    /// The plugin answered with an error of its own. The message holds it.
    GuestError = 40,
    /// The plugin exports no function of this name.
    UnknownExport = 41,
    /// The export does not have the type of this call.
    ExportType = 42,
    /// The input is larger than the budget allows.
    InputTooLarge = 43,
    /// The output is larger than the budget allows.
    OutputTooLarge = 44,
    /// The caller's buffer is too small for the output. The plugin has run.
    BufferTooSmall = 45,
    /// The plugin gave a pointer and length outside of its memory.
    OutOfBounds = 46,
    /// The plugin gave text that is not UTF-8.
    NotUtf8 = 47,
    /// The plugin gave a number that is not a value of the declared type.
    BadValue = 48,
    /// The plugin's allocator has no memory.
    NoMemory = 49,
    /// The plugin can't exchange bytes: it lacks the export `memory` or `allocate`.
    MissingExport = 50,
    /// A serialised value is malformed.
    Serialization = 51,
    /// All instances that the limits allow are in use.
    Busy = 52,
    /// The plugin was closed.
    Closed = 53,
    /// An earlier call stopped the instance. Create a new one.
    Stopped = 54,
    /// The plugin ended itself.
    Exited = 55,
    /// The call used up its fuel.
    OutOfFuel = 56,
    /// The call passed its deadline.
    Deadline = 57,
    /// The call was cancelled.
    Cancelled = 58,
    /// The plugin called host functions more often than the budget allows.
    HostCalls = 59,
    /// The plugin passed more bytes to a host function than the budget allows.
    ArgumentTooLarge = 60,
    /// Host functions passed more bytes to the plugin than the budget allows.
    BytesToGuest = 61,
    /// A function of another instance was called. Does not occur in C, which calls functions by name.
    OtherInstance = 62,
    /// The plugin answered with an error whose message is larger than the budget allows.
    ErrorTooLarge = 63,
    /// Serialised values from the plugin take more heap than the budget allows. Does not occur in C.
    DeserializedTooLarge = 64,
    /// A serialised value from the plugin nests deeper than the budget allows. Does not occur in C.
    NestedTooDeep = 65,
    /// The call has a deadline, but the platform has no clock.
    NoClock = 66,
    /// Too many calls run inside one another: host functions call plugins.
    TooNested = 67,
    /// A host function called a plugin, and would have to wait for an instance that its own caller may
    /// hold.
    NestedWait = 68,
    /// A value is not of the type that a component declares. Does not occur in C.
    ValueType = 69,
    /// The interpreter stopped the plugin, for a reason without a number of its own.
    Trap = 80,
    /// The plugin panicked, or failed an assertion.
    TrapUnreachable = 81,
    /// The plugin accessed bytes outside of its memory.
    TrapMemory = 82,
    /// The plugin accessed an element outside of a table.
    TrapTable = 83,
    /// The plugin called an empty table element.
    TrapNullCall = 84,
    /// The plugin called a table element of another function type.
    TrapSignature = 85,
    /// The plugin divided an integer by zero.
    TrapDivision = 86,
    /// An integer operation of the plugin overflowed.
    TrapOverflow = 87,
    /// The plugin converted a float that has no integer value.
    TrapConversion = 88,
    /// The plugin's call stack overflowed.
    TrapStack = 89,
    /// The machine has no memory left for the plugin.
    TrapOutOfMemory = 90,
    /// A host function stopped the plugin.
    TrapHost = 91,
    /// A host function panicked.
    TrapHostPanic = 92,
    /// The plugin called a host function with bad arguments.
    TrapHostCall = 93,
    /// The plugin called a host function from inside its allocator.
    TrapReentered = 94,
    /// The plugin can't be instantiated.
    TrapInstantiation = 95,
    /// The plugin called an import that is only a stub. Does not occur in C.
    TrapStub = 96,
    /// The plugin broke the canonical ABI of components. Does not occur in C.
    TrapAbi = 97,
}

/// Every number with its stable code.
const CODES: &[(HostelCode, &CStr)] = &[
    (HostelCode::Ok, c"ok"),
    (HostelCode::Other, c"other"),
    (HostelCode::BadArgument, c"bad-argument"),
    (HostelCode::ModuleTooLarge, c"module-too-large"),
    (HostelCode::EmptyModule, c"empty-module"),
    (HostelCode::NotWasm, c"not-wasm"),
    (HostelCode::Component, c"component"),
    (HostelCode::TruncatedModule, c"truncated-module"),
    (HostelCode::InvalidModule, c"invalid-module"),
    (HostelCode::Unsupported, c"unsupported"),
    (HostelCode::OverLimit, c"over-limit"),
    (HostelCode::Mismatch, c"mismatch"),
    (HostelCode::Refused, c"refused"),
    (HostelCode::DoesNotFit, c"does-not-fit"),
    (HostelCode::NeedsProposal, c"needs-proposal"),
    (HostelCode::Linking, c"linking"),
    (HostelCode::GuestError, c"guest-error"),
    (HostelCode::UnknownExport, c"unknown-export"),
    (HostelCode::ExportType, c"export-type"),
    (HostelCode::InputTooLarge, c"input-too-large"),
    (HostelCode::OutputTooLarge, c"output-too-large"),
    (HostelCode::BufferTooSmall, c"buffer-too-small"),
    (HostelCode::OutOfBounds, c"out-of-bounds"),
    (HostelCode::NotUtf8, c"not-utf8"),
    (HostelCode::BadValue, c"bad-value"),
    (HostelCode::NoMemory, c"no-memory"),
    (HostelCode::MissingExport, c"missing-export"),
    (HostelCode::Serialization, c"serialization"),
    (HostelCode::Busy, c"busy"),
    (HostelCode::Closed, c"closed"),
    (HostelCode::Stopped, c"stopped"),
    (HostelCode::Exited, c"exited"),
    (HostelCode::OutOfFuel, c"out-of-fuel"),
    (HostelCode::Deadline, c"deadline"),
    (HostelCode::Cancelled, c"cancelled"),
    (HostelCode::HostCalls, c"host-calls"),
    (HostelCode::ArgumentTooLarge, c"argument-too-large"),
    (HostelCode::BytesToGuest, c"arena-bytes"),
    (HostelCode::OtherInstance, c"other-instance"),
    (HostelCode::ErrorTooLarge, c"error-too-large"),
    (HostelCode::DeserializedTooLarge, c"deserialized-too-large"),
    (HostelCode::NestedTooDeep, c"nested-too-deep"),
    (HostelCode::NoClock, c"no-clock"),
    (HostelCode::TooNested, c"too-nested"),
    (HostelCode::NestedWait, c"nested-wait"),
    (HostelCode::ValueType, c"value-type"),
    (HostelCode::Trap, c"trap"),
    (HostelCode::TrapUnreachable, c"trap-unreachable"),
    (HostelCode::TrapMemory, c"trap-memory"),
    (HostelCode::TrapTable, c"trap-table"),
    (HostelCode::TrapNullCall, c"trap-null-call"),
    (HostelCode::TrapSignature, c"trap-signature"),
    (HostelCode::TrapDivision, c"trap-division"),
    (HostelCode::TrapOverflow, c"trap-overflow"),
    (HostelCode::TrapConversion, c"trap-conversion"),
    (HostelCode::TrapStack, c"trap-stack"),
    (HostelCode::TrapOutOfMemory, c"trap-out-of-memory"),
    (HostelCode::TrapHost, c"trap-host"),
    (HostelCode::TrapHostPanic, c"trap-host-panic"),
    (HostelCode::TrapHostCall, c"trap-host-call"),
    (HostelCode::TrapReentered, c"trap-reentered"),
    (HostelCode::TrapInstantiation, c"trap-instantiation"),
    (HostelCode::TrapStub, c"trap-stub"),
    (HostelCode::TrapAbi, c"trap-abi"),
];

impl HostelCode {
    /// Returns the number of a stable code.
    fn of(code: &str) -> Self {
        let mut codes = CODES.iter();
        let found = codes.find(|(_, known)| known.to_bytes() == code.as_bytes());
        found.map_or(Self::Other, |(number, _)| *number)
    }

    /// Returns the stable code of this number.
    fn text(self) -> &'static CStr {
        let mut codes = CODES.iter();
        let found = codes.find(|(number, _)| *number == self);
        found.map_or(c"other", |(_, code)| code)
    }
}

impl From<&CallError> for HostelCode {
    fn from(error: &CallError) -> Self {
        Self::of(error.code())
    }
}

impl From<&LoadError> for HostelCode {
    fn from(error: &LoadError) -> Self {
        Self::of(error.code())
    }
}

/// Returns the stable code of a `HostelCode` as text, such as `out-of-fuel`, for logs. The text ends
/// with a zero byte, is never null, and is never freed. For a number that is not a `HostelCode` it is
/// `other`.
#[unsafe(no_mangle)]
pub extern "C" fn hostel_code_name(code: u32) -> *const core::ffi::c_char {
    let mut codes = CODES.iter();
    let found = codes.find(|(number, _)| *number as u32 == code);
    found
        .map_or(HostelCode::Other.text(), |(_, code)| code)
        .as_ptr()
}

#[cfg(test)]
#[allow(clippy::indexing_slicing)]
mod tests {
    use super::*;

    /// All codes in the sources of the core, which have the form `=> "code"` or `=> ("code",`.
    fn of_core() -> alloc::vec::Vec<&'static str> {
        let sources = [
            include_str!("../../core/src/error/class.rs"),
            include_str!("../../core/src/error/load.rs"),
            include_str!("../../core/src/error/trap.rs"),
        ];
        let lines = sources.iter().flat_map(|source| source.lines());
        let quoted = lines.filter_map(|line| {
            let line = line.trim_start();
            let line = line.split_once("=> ").map_or(line, |(_, rest)| rest);
            let line = line.strip_prefix('(').unwrap_or(line);
            line.strip_prefix('"')?
                .split_once('"')
                .map(|(word, _)| word)
        });
        let is_code = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        quoted
            .filter(|word| !word.is_empty() && word.chars().all(is_code))
            .collect()
    }

    #[test]
    fn every_code_of_the_core_has_a_number() {
        let codes = of_core();
        assert!(codes.len() > 45, "{codes:?}");
        for code in codes {
            assert_ne!(HostelCode::of(code), HostelCode::Other, "{code}");
        }
    }

    #[test]
    fn numbers_and_words_are_used_once() {
        for (at, (number, code)) in CODES.iter().enumerate() {
            assert!(!code.is_empty(), "{number:?}");
            for (other, word) in &CODES[..at] {
                assert_ne!(*other as u32, *number as u32);
                assert_ne!(word, code);
            }
            assert_eq!(number.text(), *code);
        }
    }
}
