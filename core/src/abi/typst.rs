//! The convention of Typst's plugins, the *wasm minimal protocol*: any number of byte strings in, one
//! out.

use super::{
    Convention,
    environment::{length, utf8, words, write},
    protocol::{
        Ending, Entry, EnvironmentCall, EnvironmentFunction, Protocol, Session, StartFunctions,
        entry, foreign_session,
    },
};
use crate::{
    abi::native,
    base::signature::{Signature, ValType},
    call::{limiter::InstanceLimiter, run::word},
    error::{CallError, Mismatch},
    memory,
    module::ModuleInfo,
};
use ValType::I32;
use alloc::{boxed::Box, format, sync::Arc, vec::Vec};
use wasmi::Val;

/// The module name under which its guests import.
pub(super) const MODULE: &str = "typst_env";

/// The grant of the convention.
pub(crate) struct Typst;

/// The host's side of an instance.
#[derive(Default)]
struct Exchange {
    /// The arguments, back to back, until the guest has taken them.
    arguments: Vec<u8>,
    /// What the guest sent last.
    result: Vec<u8>,
    /// The first range outside the guest's memory that it passed.
    fault: Option<CallError>,
}

impl Session for Exchange {
    fn output(&self) -> &[u8] {
        &self.result
    }
}

const FUNCTIONS: [Entry; 2] = [
    Entry {
        name: "wasm_minimal_protocol_write_args_to_buffer",
        params: &[I32],
        results: &[],
        pointers: true,
        run: write_arguments,
    },
    Entry {
        name: "wasm_minimal_protocol_send_result_to_host",
        params: &[I32, I32],
        results: &[],
        pointers: true,
        run: send_result,
    },
];

impl Protocol for Typst {
    fn convention(&self) -> Convention {
        Convention::Typst
    }

    fn check_exports(&self, module: &ModuleInfo, found: &mut Vec<Mismatch>) {
        let needed = "arguments and results pass through it";
        found.extend(native::check_memory(module, Some(needed.into())));
    }

    fn start(&self, _: &ModuleInfo) -> StartFunctions {
        // `_initialize` is not called.
        [None; 2]
    }

    fn function(
        &self,
        module: &str,
        name: &str,
        _: &Signature,
    ) -> Option<Arc<dyn EnvironmentFunction>> {
        (module == MODULE).then(|| entry(&FUNCTIONS, name))?
    }

    fn session(&self) -> Box<dyn Session> {
        Box::new(Exchange::default())
    }

    fn begin(
        &self,
        session: &mut dyn Session,
        _: &mut InstanceLimiter,
        name: &str,
        inputs: &[&[u8]],
        ty: &Signature,
    ) -> Result<Vec<Val>, CallError> {
        let exchange: &mut Exchange = session.own().ok_or_else(foreign_session)?;
        let lengths = ty.params.iter().all(|param| *param == I32);
        if ty.params.len() != inputs.len() || !lengths || *ty.results != [I32] {
            let expected = format!("{} arguments: (i32 * {0}) -> i32", inputs.len());
            return Err(CallError::export_type(name, expected, ty));
        }
        let total = inputs.iter().map(|input| input.len()).sum();
        let mut arguments = Vec::new();
        arguments
            .try_reserve_exact(total)
            .map_err(|_| memory::no_room(total))?;
        inputs
            .iter()
            .for_each(|input| arguments.extend_from_slice(input));
        *exchange = Exchange {
            arguments,
            ..Exchange::default()
        };
        Ok(inputs.iter().map(|input| word(length(input))).collect())
    }

    fn end(
        &self,
        session: &mut dyn Session,
        ran: Result<(), CallError>,
        results: &[Val],
        ending: &Ending<'_>,
    ) -> Result<(), CallError> {
        let exchange: &mut Exchange = session.own().ok_or_else(foreign_session)?;
        ran?;
        // Told before the guest's own code, which may depend on it.
        if let Some(fault) = exchange.fault.take() {
            return Err(fault);
        }
        match results {
            [Val::I32(0)] => Ok(()),
            [Val::I32(1)] => {
                utf8(&exchange.result, "plugin's error text")?;
                Err(ending.guest_error(&exchange.result))
            }
            [Val::I32(code)] => Err(CallError::BadValue {
                expected: "code 0 or 1 of a Typst plugin",
                found: (*code).into(),
            }),
            _ => Ok(()),
        }
    }
}

/// `wasm_minimal_protocol_write_args_to_buffer(ptr)`: writes all arguments back to back. They are
/// consumed: a second call writes nothing.
fn write_arguments(
    call: &mut EnvironmentCall<'_>,
    params: &[Val],
) -> Result<Option<Val>, CallError> {
    let [ptr] = words(params);
    let exchange: &mut Exchange = call.session.own().ok_or_else(foreign_session)?;
    let arguments = core::mem::take(&mut exchange.arguments);
    let what = "buffer for the arguments";
    match memory::bytes(call.memory, ptr, length(&arguments), what) {
        Ok(_) => write(
            call.memory,
            call.meter,
            call.spending,
            ptr,
            &arguments,
            what,
        )?,
        Err(fault) => {
            exchange.fault.get_or_insert(fault);
        }
    }
    Ok(None)
}

/// `wasm_minimal_protocol_send_result_to_host(ptr, len)`: takes the result, or the text of an error. The
/// last one counts.
fn send_result(call: &mut EnvironmentCall<'_>, params: &[Val]) -> Result<Option<Val>, CallError> {
    let [ptr, len] = words(params);
    let limit = call.meter.budget().output_bytes;
    let too_large = |limit, found| CallError::OutputTooLarge { limit, found };
    let copied = match memory::find(call.memory, ptr, len) {
        Some(_) => Ok(call.copy(ptr, len, "result", limit, too_large)?),
        None => memory::bytes(call.memory, ptr, len, "result").map(|_| Vec::new()),
    };
    let exchange: &mut Exchange = call.session.own().ok_or_else(foreign_session)?;
    match copied {
        Ok(result) => exchange.result = result,
        Err(fault) => {
            exchange.fault.get_or_insert(fault);
        }
    }
    Ok(None)
}
