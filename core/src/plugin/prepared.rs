//! Exports of a plugin that are looked up and checked once, then called in instances from the pool.

use super::Plugin;
use crate::{error::CallError, instance::Numbers, memory::copied};
use alloc::{boxed::Box, vec::Vec};
use core::{fmt, marker::PhantomData};

/// An export of a [`Plugin`], from numbers to numbers, looked up and checked once. Each call has an
/// instance of its own, the budget of the plugin's handle, and the fuel, results and errors of
/// [`Plugin::call`], but takes less time. A handle that is cheap to share between threads.
///
/// `P` and `R` are core values: `i32`, `u32`, `i64`, `u64`, `f32`, `f64`, and tuples of these.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module
/// #   (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#)?;
/// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::new())?;
/// let add = plugin.typed::<(u32, u32), u32>("add")?;
/// let sum = (1..=10).try_fold(0, |sum, n| add.call((sum, n)))?;
/// assert_eq!(sum, 55);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PluginFunction<P, R, T: 'static = ()> {
    plugin: Plugin<T>,
    name: Box<str>,
    /// Its number among the module's exports.
    export: usize,
    signature: PhantomData<fn(P) -> R>,
}

/// An export of a [`Plugin`], from bytes to bytes, checked once. Each call has an
/// instance of its own, the budget of the plugin's handle, and the fuel, results and errors of
/// [`Instance::call_bytes`](crate::Instance::call_bytes). A handle that is cheap to share between threads.
///
/// ```
/// # let wasm = wat::parse_str(r#"(module (memory (export "memory") 1)
/// #   (func (export "allocate") (param i32) (result i32) (i32.const 1024))
/// #   (func (export "echo") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1)))"#)?;
/// # let plugin = hostel_core::Engine::default().load("m", &wasm, &hostel_core::Grants::new())?;
/// let echo = plugin.bytes_function("echo")?;
/// assert_eq!(echo.call(b"hello")?, b"hello");
/// assert_eq!(echo.call_with(b"hello", |answer| answer.len())?, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PluginBytesFunction<T: 'static = ()> {
    plugin: Plugin<T>,
    name: Box<str>,
}

impl<T: 'static> Plugin<T> {
    /// Looks up the export `name` and checks its type, for calls that skip both.
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownExport`] if no function has this name; [`CallError::ExportType`] if its
    /// type differs, or contains references.
    pub fn typed<P, R>(&self, name: &str) -> Result<PluginFunction<P, R, T>, CallError>
    where
        P: Numbers,
        R: Numbers,
    {
        Ok(PluginFunction {
            plugin: self.clone(),
            name: name.into(),
            export: self.loaded.typed_export::<P, R>(name)?,
            signature: PhantomData,
        })
    }

    /// Looks up the export `name` and checks that it is a function from bytes to bytes, for calls that
    /// skip both.
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownExport`] if no function has this name; [`CallError::ExportType`] if it
    /// takes or returns something else.
    pub fn bytes_function(&self, name: &str) -> Result<PluginBytesFunction<T>, CallError> {
        self.loaded.check_bytes(name)?;
        Ok(PluginBytesFunction {
            plugin: self.clone(),
            name: name.into(),
        })
    }
}

impl<P: Numbers, R: Numbers, T: Default + 'static> PluginFunction<P, R, T> {
    /// Calls the function in an instance of its own.
    ///
    /// # Errors
    ///
    /// As for [`Plugin::call`]; [`CallError::Closed`] after [`Plugin::close`].
    pub fn call(&self, params: P) -> Result<R, CallError> {
        let Self { plugin, name, .. } = self;
        plugin.with_instance(|instance| instance.call_typed_export(self.export, name, params))
    }
}

impl<T: Default + 'static> PluginBytesFunction<T> {
    /// Calls the function with `input` in an instance of its own, and returns a copy of its output.
    ///
    /// # Errors
    ///
    /// As for [`Plugin::process`]; [`CallError::Closed`] after [`Plugin::close`].
    pub fn call(&self, input: &[u8]) -> Result<Vec<u8>, CallError> {
        self.call_with(input, copied)?
    }

    /// Calls the function with `input` in an instance of its own, and passes its output to `take`
    /// without a copy, as a slice of the guest's memory.
    ///
    /// # Errors
    ///
    /// As for [`call`](Self::call).
    pub fn call_with<R>(
        &self,
        input: &[u8],
        take: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, CallError> {
        let Self { plugin, name } = self;
        plugin.with_instance(|instance| instance.call_bytes(name, input, take))
    }
}

impl<P, R, T> Clone for PluginFunction<P, R, T> {
    fn clone(&self) -> Self {
        Self {
            plugin: self.plugin.clone(),
            name: self.name.clone(),
            export: self.export,
            signature: PhantomData,
        }
    }
}

impl<T> Clone for PluginBytesFunction<T> {
    fn clone(&self) -> Self {
        Self {
            plugin: self.plugin.clone(),
            name: self.name.clone(),
        }
    }
}

impl<P, R, T> fmt::Debug for PluginFunction<P, R, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginFunction")
            .field("plugin", &self.plugin.name())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for PluginBytesFunction<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginBytesFunction")
            .field("plugin", &self.plugin.name())
            .field("name", &self.name)
            .finish()
    }
}
