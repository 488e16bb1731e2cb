//! Host functions that return one value whatever they are called with: for tests of plugins.

use super::Grants;
use crate::{
    base::{shape::Shape, signature::ValType},
    call::StoreData,
    host_functions::{
        Define, Function, HostCall, HostFunction, HostReturn, Unfinished, definition, lower,
    },
    marshal::{FlatCounts, Lower as _, Types},
};
use alloc::{boxed::Box, sync::Arc};
use wasmi::StoreContextMut;

impl<T: 'static> Grants<T> {
    /// Grants the import `module`.`name` as a function that does not look at its parameters, of the core types
    /// `params`, and returns what `answer` returns. For a plugin whose imports are known only when it is read: by
    /// [`function`](Self::function), their types have to be written down.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module
    /// #   (import "shop" "price" (func $price (param i32 f64) (result i32)))
    /// #   (func (export "f") (result i32) (call $price (i32.const 1) (f64.const 2))))"#)?;
    /// use hostel_core::{Engine, Grants, ValType};
    /// let params = [ValType::I32, ValType::F64];
    /// let grants = Grants::new().answer("shop", "price", &params, || 1999_u32);
    /// let plugin = Engine::default().load("m", &wasm, &grants)?;
    /// assert_eq!(plugin.call::<(), u32>("f", ())?, 1999);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn answer<R: HostReturn + 'static>(
        mut self,
        module: &str,
        name: &str,
        params: &[ValType],
        answer: impl Fn() -> R + Send + Sync + 'static,
    ) -> Self {
        let params = params.into();
        self.insert(module, name, Function(Arc::new(Answers { params, answer })));
        self
    }
}

/// A host function that does not look at its parameters.
struct Answers<F> {
    params: Box<[ValType]>,
    answer: F,
}

impl<T, F, R> HostFunction<T> for Answers<F>
where
    T: 'static,
    F: Fn() -> R + Send + Sync + 'static,
    R: HostReturn + 'static,
{
    fn params(&self) -> Types {
        Types::collect(|types| self.params.iter().for_each(|ty| types.push(*ty)))
    }

    fn results(&self) -> Types {
        Types::collect(R::Value::types)
    }

    fn define(&self, shape: Shape) -> Define<T> {
        definition(FlatCounts::count(&self.params), R::Value::CORE, shape)
    }

    fn call(
        &self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        call: &mut HostCall<'_, '_>,
    ) -> Result<(), Box<Unfinished>> {
        lower(&mut guest, call, (self.answer)())
    }
}
