//! The proposals to WebAssembly that a module may need and that are switched off.

use crate::error::LoadError;
use wasmparser::{BinaryReaderError, Operator};

/// A proposal to WebAssembly, as its faults are told.
struct Proposal {
    /// The name of its repository below github.com/WebAssembly.
    name: &'static str,
    /// Words by which the parser, or this crate's reader, refuses what belongs to it.
    words: &'static [&'static str],
    /// How to build without it.
    remedy: &'static str,
}

/// All proposals that are switched off. `docs/abi.md` lists them too.
///
/// The first whose words are part of a message counts, so longer words come first.
const PROPOSALS: &[Proposal] = &[
    Proposal {
        name: "relaxed-simd",
        words: &["relaxed SIMD"],
        remedy: "build without `-mrelaxed-simd`; in Rust with `-C target-feature=-relaxed-simd`",
    },
    Proposal {
        name: "simd",
        words: &["SIMD"],
        remedy: "build with `-mno-simd128`, in Rust with `-C target-feature=-simd128`, or build the host with its feature `simd`",
    },
    Proposal {
        name: "tail-call",
        words: &["tail calls"],
        remedy: "build with `-mno-tail-call`; in Rust with `-C target-feature=-tail-call`",
    },
    Proposal {
        name: "exception-handling",
        words: &["exceptions", "exception refs", "exception handling"],
        remedy: "build C++ with `-fno-exceptions`, Rust with `-C panic=abort`",
    },
    Proposal {
        name: "shared-everything-threads",
        words: &["shared-everything-threads"],
        remedy: "build for one thread",
    },
    Proposal {
        name: "threads",
        words: &["threads"],
        remedy: "build without `-pthread`, for a target without threads such as `wasm32-wasip1`; in Rust with `-C target-feature=-atomics`",
    },
    Proposal {
        name: "memory64",
        words: &["memory64"],
        remedy: "build for `wasm32` instead of `wasm64`",
    },
    Proposal {
        name: "multi-memory",
        words: &["multiple memories"],
        remedy: "build one memory, or merge them with `wasm-opt --multi-memory-lowering`",
    },
    Proposal {
        name: "wide-arithmetic",
        words: &["wide arithmetic"],
        remedy: "build with `-mno-wide-arithmetic`; in Rust with `-C target-feature=-wide-arithmetic`",
    },
    Proposal {
        name: "function-references",
        words: &[
            "function references",
            "function-references",
            "tables with expression initializers",
        ],
        remedy: "use a compiler that calls through tables; Rust and C compilers do",
    },
    Proposal {
        name: "stack-switching",
        words: &["stack switching", "continuation"],
        remedy: "build without coroutines of WebAssembly",
    },
    Proposal {
        name: "memory-control",
        words: &["memory control"],
        remedy: "build without `memory.discard`",
    },
    Proposal {
        name: "gc",
        words: &["gc", "heap types"],
        remedy: "use a language whose compiler needs no collector of the host, such as Rust, C or Go; Kotlin, Dart, Java and Scheme need this proposal",
    },
];

/// Returns the error for what the parser says: that the module needs a proposal, or is invalid.
pub(super) fn invalid_at(error: &BinaryReaderError) -> LoadError {
    invalid(error.message(), error.offset())
}

/// Returns the error for what a parser says about what is at this offset.
pub(crate) fn invalid(reason: &str, at: usize) -> LoadError {
    needs(reason, at).unwrap_or_else(|| LoadError::Invalid {
        at,
        reason: reason.into(),
        truncated: reason.starts_with("unexpected end"),
    })
}

/// Returns the error for the proposal that `reason` is about.
pub(super) fn needs(reason: &str, at: usize) -> Option<LoadError> {
    // The only message for a core module that quotes the guest, whose names must not be taken for a proposal's.
    if reason.starts_with("duplicate export name") {
        return None;
    }
    let about = |proposal: &&Proposal| proposal.words.iter().any(|words| reason.contains(words));
    let proposal = PROPOSALS.iter().find(about)?;
    Some(LoadError::NeedsProposal {
        proposal: proposal.name,
        remedy: proposal.remedy,
        at,
    })
}

/// Returns whether the operator opens a block that this crate does not follow, and whose `end` would
/// be taken for another block's.
pub(super) const fn opens_unknown_block(operator: &Operator<'_>) -> bool {
    matches!(operator, Operator::Try { .. } | Operator::TryTable { .. })
}
