//! The numbers of the errors' stable codes.

use core::ffi::CStr;
use hostel_core::{CallError, LoadError};

/// How something ended. A number never changes its meaning; new ones may come.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostelCode {
    /// It went well.
    Ok = 0,
    /// An error that this version of the header has no number for.
    Other = 1,
    /// A null pointer where none may be, or a name that is not UTF-8.
    BadArgument = 2,
    /// More bytes than a module may have.
    ModuleTooLarge = 10,
    /// No bytes at all.
    EmptyModule = 11,
    /// Not WebAssembly.
    NotWasm = 12,
    /// A component, not a core module.
    Component = 13,
    /// The module is cut off.
    TruncatedModule = 14,
    /// The module is broken.
    InvalidModule = 15,
    /// It uses something that hostel does not run.
    Unsupported = 16,
    /// It has more of something than the limits allow.
    OverLimit = 17,
    /// Imports or exports do not fit.
    Mismatch = 18,
    /// The interpreter refused it.
    Refused = 19,
    /// The heap has no room for the plugin, the instance, the call or the answer.
    DoesNotFit = 20,
    /// The plugin answered with an error of its own.
    GuestError = 40,
    /// The plugin exports no function of this name.
    UnknownExport = 41,
    /// The export can't be called with these types.
    ExportType = 42,
    /// The input is larger than the budget allows.
    InputTooLarge = 43,
    /// The output is larger than the budget allows.
    OutputTooLarge = 44,
    /// The caller's buffer is too small for the output.
    BufferTooSmall = 45,
    /// A pointer from the plugin lies outside of its memory.
    OutOfBounds = 46,
    /// Text from the plugin is not UTF-8.
    NotUtf8 = 47,
    /// A number from the plugin is not a value of the promised type.
    BadValue = 48,
    /// The plugin's allocator has no memory.
    NoMemory = 49,
    /// The plugin can't exchange bytes: it lacks an export.
    MissingExport = 50,
    /// A serialised value is broken.
    Serialization = 51,
    /// All instances that the limits allow are in use.
    Busy = 52,
    /// The plugin was closed.
    Closed = 53,
    /// The instance was stopped by an earlier call.
    Stopped = 54,
    /// The plugin ended itself.
    Exited = 55,
    /// The call used up its fuel.
    OutOfFuel = 56,
    /// The call passed its deadline.
    Deadline = 57,
    /// The call was cancelled.
    Cancelled = 58,
    /// The plugin called host functions too often.
    HostCalls = 59,
    /// The plugin called a host function with too many bytes.
    ArgumentTooLarge = 60,
    /// Host functions had too many bytes for the plugin.
    BytesToGuest = 61,
    /// A function of another instance. Not in C, where functions are called by name.
    OtherInstance = 62,
    /// The interpreter stopped the plugin.
    Trap = 80,
    /// A panic or assertion in the plugin.
    TrapUnreachable = 81,
    /// Access outside of its memory.
    TrapMemory = 82,
    /// Access outside of a table.
    TrapTable = 83,
    /// Indirect call to an empty table element.
    TrapNullCall = 84,
    /// Indirect call to a function of another type.
    TrapSignature = 85,
    /// Integer division by zero.
    TrapDivision = 86,
    /// Integer overflow.
    TrapOverflow = 87,
    /// Conversion of a float that has no integer value.
    TrapConversion = 88,
    /// Its call stack overflowed.
    TrapStack = 89,
    /// The machine has no memory left for it.
    TrapOutOfMemory = 90,
    /// A host function stopped it.
    TrapHost = 91,
    /// A host function panicked.
    TrapHostPanic = 92,
    /// It called a host function wrongly.
    TrapHostCall = 93,
    /// It called a host function from inside its allocator.
    TrapReentered = 94,
    /// It can't be instantiated.
    TrapInstantiation = 95,
}

/// Each with its code.
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
];

impl HostelCode {
    /// The number of a stable code.
    fn of(code: &str) -> Self {
        let mut codes = CODES.iter();
        let found = codes.find(|(_, known)| known.to_bytes() == code.as_bytes());
        found.map_or(Self::Other, |(number, _)| *number)
    }

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

/// The stable code's word, such as `out-of-fuel`, for logs. Never null; lives for ever. `code` is a
/// number of `HostelCode`; for any other it is `other`.
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

    /// All codes that the sources of the core give, as `=> "code"` or `=> ("code",`.
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
