//! Modules that wasm-smith makes up.

use crate::host::{FUNCTIONS, Shape};
use arbitrary::{Result, Unstructured};
use hostel_core::Limits;
use std::sync::LazyLock;
use wasm_smith::{Config, MemoryOffsetChoices, Module};

/// Most bytes of a module's memory: wide offsets have some to point to.
pub const MEMORY_BYTES: usize = 3 << 16;

/// Limits for modules that are made up.
#[must_use]
pub fn limits() -> Limits {
    let mut limits = Limits::server();
    limits.memory_bytes = MEMORY_BYTES;
    limits.table_elements = 4_000;
    limits
}

/// A module of the WebAssembly that hostel runs; `imports` are the functions that it may import,
/// `floats` is whether it may compute with such.
///
/// # Errors
///
/// Where `bytes` do not describe one.
pub fn valid(
    bytes: &mut Unstructured<'_>,
    imports: Option<Vec<u8>>,
    floats: bool,
) -> Result<Module> {
    let references = bytes.ratio(1u8, 4u8)?;
    let allow_floats = bytes.arbitrary::<bool>()? && floats;
    let config = Config {
        max_imports: if imports.is_some() { 10 } else { 0 },
        available_imports: imports,
        allow_floats,
        disallow_traps: bytes.arbitrary()?,
        bulk_memory_enabled: true,
        // Different interpreters may give different ones.
        canonicalize_nans: true,
        exceptions_enabled: false,
        export_everything: true,
        gc_enabled: false,
        generate_custom_sections: bytes.ratio(1u8, 8u8)?,
        max_memory32_bytes: MEMORY_BYTES as u64,
        max_table_elements: 1_000,
        max_tables: if references { 2 } else { 1 },
        max_type_size: 24,
        max_types: 12,
        max_globals: 12,
        max_funcs: 12,
        memory64_enabled: false,
        memory_offset_choices: MemoryOffsetChoices(60, 30, 10),
        min_funcs: 1,
        // With it come blocks that take parameters, which hostel refuses.
        multi_value_enabled: bytes.ratio(1u8, 4u8)?,
        min_memories: u32::from(bytes.ratio(7u8, 8u8)?),
        reference_types_enabled: references,
        relaxed_simd_enabled: false,
        simd_enabled: bytes.ratio(1u8, 2u8)?,
        tail_call_enabled: false,
        threads_enabled: false,
        ..Config::default()
    };
    Module::new(config, bytes)
}

/// A module that imports each granted function.
#[must_use]
pub fn all_imports() -> Vec<u8> {
    static MODULE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let imports = FUNCTIONS
            .iter()
            .map(|function| function.import(Shape::Values));
        let text = format!("(module {})", imports.collect::<String>());
        wat::parse_str(text).expect("the imports are well-formed")
    });
    MODULE.clone()
}
