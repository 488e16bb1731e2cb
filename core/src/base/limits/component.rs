//! Bounds of what a component may be.

use super::ModuleLimits;

/// Bounds of what a component may declare, and of what becomes of it when its nested components are inlined. A
/// small file can be built to become very large: a component that has two instances of another one, which
/// has two instances of a third, and so on.
///
/// All bounds are inclusive. A component that exceeds one fails to load with
/// [`OverLimit`](crate::LoadError::OverLimit), which names the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ComponentLimits {
    /// Deepest nesting of components, of instances of components, of types, and, up to 16, of calls of component
    /// instances inside one another, for each of which the host takes native stack. `server`: 32. `device`: 8.
    pub depth: usize,
    /// Deepest nesting of value types, such as lists of records of options. Values are lifted and lowered by
    /// recursion. `server`: 64. `device`: 24.
    pub type_depth: usize,
    /// Most parts of types that are compared and copied while the component is validated: fields, cases,
    /// parameters, and what instances export. They are counted wherever they occur.
    ///
    /// `server`: 10,000,000. `device`: 50,000.
    pub compared_parts: usize,
    /// Most core modules. `server`: 100. `device`: 8.
    pub modules: usize,
    /// Most instances of core modules, those of nested components included. `server`: 1,000. `device`: 32.
    pub instances: usize,
    /// Most instances of components, the component itself included. `server`: 1,000. `device`: 16.
    pub components: usize,
    /// Most functions and resources that the component imports. `server`: 2,000. `device`: 64.
    pub imports: usize,
    /// Most functions that the component exports. `server`: 2,000. `device`: 64.
    pub exports: usize,
    /// Most bytes of all sections but core modules and custom sections, those of a nested component counted
    /// once for each of its instances, and of what they become in memory.
    ///
    /// `server`: 16 MiB. `device`: 64 KiB.
    pub inlined_bytes: usize,
    /// Most handles to resources that an instance has at a time, in the tables of its component instances and of the
    /// host together. Each takes 32 bytes of the host's heap. A guest that makes more, or lends more in one call, traps.
    ///
    /// `server`: 100,000. `device`: 256.
    pub handles: usize,
    /// What its core modules may declare. The numbers of types, imports, exports, functions, tables, globals,
    /// segments and elements hold for all modules together; `segments` for both kinds. Limits on one type, name,
    /// function or expression, and on custom sections, hold for each module.
    ///
    /// `server`: [`ModuleLimits::server`], but 10,000 imports, 10,000 exports and 64 tables. `device`:
    /// [`ModuleLimits::device`], but 8 tables.
    pub module: ModuleLimits,
}

impl ComponentLimits {
    /// Returns limits for a server: enough for an interpreter of Python with all its libraries.
    #[must_use]
    pub const fn server() -> Self {
        Self {
            depth: 32,
            type_depth: 64,
            compared_parts: 10_000_000,
            modules: 100,
            instances: 1_000,
            components: 1_000,
            imports: 2_000,
            exports: 2_000,
            inlined_bytes: 16 << 20,
            handles: 100_000,
            module: ModuleLimits {
                imports: 10_000,
                exports: 10_000,
                tables: 64,
                ..ModuleLimits::server()
            },
        }
    }

    /// Returns limits for a microcontroller.
    #[must_use]
    pub const fn device() -> Self {
        Self {
            depth: 8,
            type_depth: 24,
            compared_parts: 50_000,
            modules: 8,
            instances: 32,
            components: 16,
            imports: 64,
            exports: 64,
            inlined_bytes: 64 << 10,
            handles: 256,
            module: ModuleLimits {
                tables: 8,
                ..ModuleLimits::device()
            },
        }
    }

    /// Returns limits for looking at a component, not for loading it: only nesting is bounded, as on a server.
    #[must_use]
    pub const fn none() -> Self {
        const ALL: usize = usize::MAX;
        Self {
            depth: Self::server().depth,
            type_depth: Self::server().type_depth,
            compared_parts: ALL,
            modules: ALL,
            instances: ALL,
            components: ALL,
            imports: ALL,
            exports: ALL,
            inlined_bytes: ALL,
            handles: ALL,
            module: ModuleLimits::none(),
        }
    }
}
