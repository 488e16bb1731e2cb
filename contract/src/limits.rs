//! The size that a contract may have. All that was found in the field is below a tenth of each limit.

/// Most bytes of a component, of a WIT package, or of WIT text.
pub const BYTES: u64 = 64 << 20;

/// Most bytes of one contract in a core module.
pub const SECTION_BYTES: u64 = 4 << 20;

/// Most contracts in a core module.
pub const SECTIONS: u64 = 20;

/// Most types, imports and exports that a file declares, nested components and all.
pub const DECLARATIONS: u64 = 20_000;

/// Most components and modules, nested ones included.
pub const COMPONENTS: u64 = 1_000;

/// Deepest nesting of components.
pub const COMPONENT_DEPTH: u64 = 50;

/// Deepest nesting of a type, through all the types that it names. In a component a little less, for the
/// validator counts functions and interfaces too.
pub const TYPE_DEPTH: u64 = 100;

/// Most parts of all types and functions for which code is generated, with those of the types that they name, each time
/// again: a record of two pairs of numbers has seven. See [`Contract::check_parts`](crate::Contract::check_parts).
pub const PARTS: u64 = 500_000;

/// Most bytes of a world that is printed as WIT. The length is estimated beforehand: 32 bytes for each name and
/// type, and the names.
pub const TEXT_BYTES: u64 = 4 << 20;

/// Most differences that [`check`](crate::check) reports.
pub const DIFFERENCES: usize = 1_000;

/// Most bytes of a type in a difference. A longer text ends in `…`.
pub(crate) const TYPE_TEXT: usize = 300;

/// Stack of the thread that reads contracts. The deepest types and components take 1 MiB of it, in a build
/// without optimisation.
pub(crate) const STACK_BYTES: usize = 16 << 20;
