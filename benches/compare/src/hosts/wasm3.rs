//! wasm3 by hand, by its Rust bindings, without metering, which it has none of.

use crate::{
    cases::Work,
    guests::Guest,
    host::{Answer, Failure, Instance, Library, Plugin},
};
use ::wasm3::{CallContext, Environment, Function, Module, Runtime, error::Trap};

/// Slots of its stack, as its own examples have it.
const STACK: u32 = 64 << 10;

pub struct Wasm3;

impl Library for Wasm3 {
    fn name(&self) -> &'static str {
        "wasm3"
    }

    fn about(&self) -> String {
        format!(
            "by its bindings {}, by hand, no metering; it parses the module for each instance, compiles at a function's \
            first call, and has no validation to turn on",
            super::version("wasm3")
        )
    }

    fn takes(&self, work: &Work) -> bool {
        // The version in the bindings has no bulk memory, which today's compilers use by default.
        matches!(
            work,
            Work::AddHeld | Work::HostNumbers | Work::HostBytes | Work::Kernel(_)
        )
    }

    fn load(&self, guest: Guest, wasm: &[u8]) -> Answer<Box<dyn Plugin>> {
        Ok(Box::new(Bytes {
            wasm: wasm.into(),
            guest,
        }))
    }
}

/// A module can't be shared between runtimes: what is loaded is its bytes.
struct Bytes {
    wasm: Box<[u8]>,
    guest: Guest,
}

struct Held {
    add: Option<Function<'static, (i32, i32), i32>>,
    // After what borrows from it.
    runtime: Box<Runtime>,
}

impl Plugin for Bytes {
    fn instance(&self) -> Answer<Box<dyn Instance>> {
        let environment = Environment::new().map_err(failure)?;
        let runtime = Box::new(environment.create_runtime(STACK).map_err(failure)?);
        // SAFETY: the runtime is boxed, and lives in `Held` longer than the functions that borrow it.
        let borrowed: &'static Runtime = unsafe { &*(&raw const *runtime) };
        let module = environment
            .parse_module(self.wasm.clone())
            .map_err(failure)?;
        let mut module = borrowed.load_module(module).map_err(failure)?;
        link(&mut module)?;
        let add = match self.guest {
            Guest::Add => Some(borrowed.find_function("add").map_err(failure)?),
            _ => None,
        };
        Ok(Box::new(Held { add, runtime }))
    }
}

impl Instance for Held {
    fn process(&mut self, _: &[u8], _: &mut Vec<u8>) -> Answer<()> {
        Err("it has no bulk memory".into())
    }

    fn add(&mut self, a: u32, b: u32) -> Answer<u32> {
        let add = self.add.as_ref().ok_or("no export `add`")?;
        Ok(add.call(a as i32, b as i32).map_err(failure)? as u32)
    }

    fn run(&mut self, export: &str) -> Answer<()> {
        let run = self
            .runtime
            .find_function::<(), ()>(export)
            .map_err(failure)?;
        run.call().map_err(failure)
    }
}

/// Links the imports that the module has.
fn link(module: &mut Module<'_>) -> Answer<()> {
    let linked = [
        module.link_closure("env", "next", |_: CallContext<'_>, n: i32| Ok(n + 1)),
        module.link_closure(
            "env",
            "length",
            |context: CallContext<'_>, (ptr, len): (i32, i32)| {
                // SAFETY: the guest does not run while the slice is used.
                let memory = unsafe { &*context.memory() };
                let bytes =
                    slice(memory, ptr as u32, len as u32).ok_or(Trap::OutOfBoundsMemoryAccess)?;
                Ok(bytes.len() as i32)
            },
        ),
    ];
    for linked in linked {
        match linked {
            Ok(()) | Err(::wasm3::error::Error::FunctionNotFound) => {}
            Err(error) => return Err(failure(error)),
        }
    }
    Ok(())
}

fn slice(memory: &[u8], ptr: u32, len: u32) -> Option<&[u8]> {
    let start = ptr as usize;
    memory.get(start..start + len as usize)
}

/// wasm3's errors can't be sent between threads.
fn failure(error: ::wasm3::error::Error) -> Failure {
    error.to_string().into()
}
