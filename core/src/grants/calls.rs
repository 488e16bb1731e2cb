//! Tells an embedder which host functions a plugin calls, with their arguments and results.

use super::Grants;
use crate::{
    base::{shape::Shape, signature::ValType, text::Escaped},
    call::StoreData,
    error::CallError,
    host_functions::{Define, HostCall, HostFunction, Unfinished},
    marshal::Types,
    memory,
};
use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};
use wasmi::{StoreContextMut, Val};

/// Receives a line for each call of a host function.
pub(super) type CallSink = Arc<dyn Fn(&str) + Send + Sync>;

/// Most bytes that are shown of a text.
const SHOWN: usize = 80;

impl<T: 'static> Grants<T> {
    /// Tells `sink` of each call of a host function, once it has returned: the import, its arguments and its results,
    /// such as `env.host_get_config("prefix") = "CUSTOM"`. Text and bytes are shown up to 80 bytes, control characters
    /// escaped. For finding errors: each line is made anew. Fuel is the same as without.
    ///
    /// Components are not supported.
    ///
    /// ```
    /// # let wasm = wat::parse_str(r#"(module
    /// #   (import "env" "host_log" (func $log (param i32 i32)))
    /// #   (memory (export "memory") 1) (data (i32.const 8) "hi")
    /// #   (func (export "f") (call $log (i32.const 8) (i32.const 2))))"#)?;
    /// use hostel_core::{Engine, Grants, LogRecord};
    /// use std::sync::{Arc, Mutex};
    /// let lines = Arc::new(Mutex::new(Vec::new()));
    /// let told = lines.clone();
    /// let grants = Grants::new()
    ///     .log(|_: &LogRecord<'_>| {})
    ///     .trace_host_calls(move |line| told.lock().unwrap().push(line.to_owned()));
    /// let plugin = Engine::default().load("m", &wasm, &grants)?;
    /// plugin.call::<(), ()>("f", ())?;
    /// assert_eq!(*lines.lock().unwrap(), ["env.host_log(\"hi\")"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn trace_host_calls(mut self, sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.calls = Some(Arc::new(sink));
        self
    }

    /// Returns the function that tells of its calls, if that is asked for.
    pub(super) fn told(
        &self,
        function: Arc<dyn HostFunction<T>>,
        module: &str,
        name: &str,
    ) -> Arc<dyn HostFunction<T>> {
        match &self.calls {
            Some(sink) => Arc::new(Told {
                texts: [function.params().texts, function.results().texts],
                results: function.results().flat.to_vec(),
                function,
                name: format!("{module}.{name}"),
                sink: sink.clone(),
            }),
            None => function,
        }
    }
}

/// A host function that tells of its calls.
struct Told<T> {
    function: Arc<dyn HostFunction<T>>,
    name: String,
    /// Which core values of the parameters and of the results begin a text, as bits.
    texts: [u32; 2],
    /// The types of the results.
    results: Vec<ValType>,
    sink: CallSink,
}

impl<T: 'static> HostFunction<T> for Told<T> {
    fn params(&self) -> Types {
        self.function.params()
    }

    fn results(&self) -> Types {
        self.function.results()
    }

    fn define(&self, shape: Shape) -> Define<T> {
        self.function.define(shape)
    }

    fn refusal_when_nested(&self) -> Option<CallError> {
        self.function.refusal_when_nested()
    }

    fn call(
        &self,
        mut guest: StoreContextMut<'_, StoreData<T>>,
        call: &mut HostCall<'_, '_>,
    ) -> Result<(), Box<Unfinished>> {
        let [params, results] = self.texts;
        // Before the call, which may change the memory.
        let arguments = shown(bytes_of(&guest), call.params(), params);
        let done = self.function.call(reborrowed(&mut guest), call);
        let result = match &done {
            Ok(()) => {
                let bytes = bytes_of(&guest);
                match shown(bytes, &call.results(bytes, &self.results), results) {
                    nothing if nothing.is_empty() => nothing,
                    result => format!(" = {result}"),
                }
            }
            Err(unfinished) => match &**unfinished {
                Unfinished::Failed(error) => format!(": {error}"),
                Unfinished::Suspended(_) => " …".into(),
            },
        };
        (self.sink)(&format!("{}({arguments}){result}", self.name));
        done
    }
}

fn reborrowed<'a, T>(
    guest: &'a mut StoreContextMut<'_, StoreData<T>>,
) -> StoreContextMut<'a, StoreData<T>> {
    wasmi::AsContextMut::as_context_mut(guest)
}

/// Returns the guest's memory; no bytes if it exports none.
fn bytes_of<'a, T>(guest: &'a StoreContextMut<'_, StoreData<T>>) -> &'a [u8] {
    match guest.data().guest.memory {
        Some(memory) => memory.data(guest),
        None => &[],
    }
}

/// Returns core values as text. Where a bit of `texts` is set, two values are a text.
fn shown(memory: &[u8], values: &[Val], texts: u32) -> String {
    let mut parts: Vec<String> = Vec::with_capacity(values.len());
    let mut rest = values.iter().enumerate();
    while let Some((at, value)) = rest.next() {
        let begins = u32::try_from(at)
            .ok()
            .and_then(|at| texts.checked_shr(at))
            .is_some_and(|bits| bits & 1 == 1);
        parts.push(match (begins, value) {
            (true, Val::I32(ptr)) => match rest.next() {
                Some((_, Val::I32(len))) => text(memory, *ptr, *len),
                _ => String::new(),
            },
            (_, Val::I32(number)) => format!("{number}"),
            (_, Val::I64(number)) => format!("{number}"),
            (_, Val::F32(number)) => format!("{}", number.to_float()),
            (_, Val::F64(number)) => format!("{}", number.to_float()),
            _ => "…".into(),
        });
    }
    parts.join(", ")
}

fn text(memory: &[u8], ptr: i32, len: i32) -> String {
    let [ptr, len] = [ptr, len].map(i32::cast_unsigned);
    // The services mark an error so.
    let (mark, len) = (if len >> 31 == 1 { "error " } else { "" }, len & !(1 << 31));
    if ptr == 0 {
        return "none".into();
    }
    match memory::bytes(memory, ptr, len, "text") {
        Ok(bytes) => {
            let part = bytes.get(..SHOWN).unwrap_or(bytes);
            let more = if part.len() < bytes.len() { "…" } else { "" };
            format!("{mark}\"{}{more}\"", Escaped::new(part))
        }
        Err(_) => format!("{mark}bytes out of bounds"),
    }
}
