//! The features of WebAssembly that plugins may use.

use super::proposal::invalid_at;
use crate::error::LoadError;
use wasmparser::{Validator, WasmFeatures};

/// Validates all of `wasm`, the functions' bodies too.
pub(crate) fn validate(wasm: &[u8]) -> Result<(), LoadError> {
    let mut validator = Validator::new_with_features(features());
    let validated = validator.validate_all(wasm);
    validated.map(drop).map_err(|error| invalid_at(&error))
}

/// Returns the WebAssembly features that the reader and the interpreter accept.
pub(super) fn features() -> WasmFeatures {
    let mut features = WasmFeatures::MUTABLE_GLOBAL
        | WasmFeatures::MULTI_VALUE
        | WasmFeatures::SATURATING_FLOAT_TO_INT
        | WasmFeatures::SIGN_EXTENSION
        | WasmFeatures::BULK_MEMORY
        | WasmFeatures::REFERENCE_TYPES
        | WasmFeatures::GC_TYPES
        | WasmFeatures::EXTENDED_CONST
        | WasmFeatures::CUSTOM_PAGE_SIZES
        | WasmFeatures::FLOATS;
    features.set(WasmFeatures::SIMD, cfg!(feature = "simd"));
    features
}

/// Switches on in the interpreter what [`features`] names, and no more.
pub(crate) fn configure_features(config: &mut wasmi::Config) {
    config
        .wasm_multi_memory(false)
        .wasm_tail_call(false)
        .wasm_custom_page_sizes(true);
    #[cfg(feature = "simd")]
    config.wasm_relaxed_simd(false);
}
