//! wasm3 by hand, by its Rust bindings, without metering, which it has none of.

use crate::{
    cases::Work,
    guests::{Guest, PREFIX},
    host::{Answer, Failure, Instance, Library, Plugin},
};
use ::wasm3::{CallContext, Environment, Function, Module, Runtime, error::Trap};
use std::{cell::Cell, rc::Rc};

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
        // Its closures can't call back into the guest for memory in every case: see `link`.
        !matches!(work, Work::Threads(..))
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

type Allocate = Function<'static, i32, i32>;

struct Example {
    allocate: Allocate,
    deallocate: Function<'static, (i32, i32), ()>,
    process: Function<'static, (i32, i32), i64>,
}

struct Held {
    example: Option<Example>,
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
        let allocate = Rc::new(Cell::new(None));
        link(&mut module, &allocate)?;
        let (mut example, mut add) = (None, None);
        match self.guest {
            Guest::Add => add = Some(borrowed.find_function("add").map_err(failure)?),
            Guest::Caller | Guest::Kernel(_) => {}
            _ => {
                let made = Example {
                    allocate: borrowed.find_function("allocate").map_err(failure)?,
                    deallocate: borrowed.find_function("deallocate").map_err(failure)?,
                    process: borrowed.find_function("process").map_err(failure)?,
                };
                allocate.set(Some(made.allocate));
                example = Some(made);
            }
        }
        Ok(Box::new(Held {
            example,
            add,
            runtime,
        }))
    }
}

impl Instance for Held {
    /// Five guest calls: `allocate`, `process` with `allocate` inside, `deallocate` twice.
    fn process(&mut self, input: &[u8], output: &mut Vec<u8>) -> Answer<()> {
        let example = self.example.as_ref().ok_or("not the example")?;
        let len = input.len() as i32;
        let ptr = example.allocate.call(len).map_err(failure)?;
        // SAFETY: the guest does not run while the slice is used.
        let memory = unsafe { &mut *self.runtime.memory_mut() };
        let start = ptr as u32 as usize;
        memory
            .get_mut(start..start + input.len())
            .ok_or("out of bounds")?
            .copy_from_slice(input);
        let packed = example.process.call(ptr, len).map_err(failure)?;
        let (answer, size) = ((packed >> 32) as u32, packed as u32);
        output.clear();
        // SAFETY: as above.
        output.extend_from_slice(
            slice(unsafe { &*self.runtime.memory() }, answer, size).ok_or("out of bounds")?,
        );
        example.deallocate.call(ptr, len).map_err(failure)?;
        example
            .deallocate
            .call(answer as i32, size as i32)
            .map_err(failure)?;
        Ok(())
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
fn link(module: &mut Module<'_>, allocate: &Rc<Cell<Option<Allocate>>>) -> Answer<()> {
    let allocate = allocate.clone();
    let linked = [
        module.link_closure(
            "env",
            "host_log",
            |context: CallContext<'_>, (ptr, len): (i32, i32)| {
                // SAFETY: the guest does not run while the slice is used.
                let memory = unsafe { &*context.memory() };
                std::hint::black_box(
                    slice(memory, ptr as u32, len as u32).ok_or(Trap::OutOfBoundsMemoryAccess)?,
                );
                Ok(())
            },
        ),
        module.link_closure(
            "env",
            "host_get_config",
            move |context: CallContext<'_>, (ptr, len): (i32, i32)| {
                // SAFETY: the guest does not run while the slice is used.
                let memory = unsafe { &*context.memory() };
                if slice(memory, ptr as u32, len as u32) != Some(b"prefix") {
                    return Ok(0);
                }
                let allocate = allocate.get().ok_or(Trap::Abort)?;
                let at = allocate
                    .call(PREFIX.len() as i32)
                    .map_err(|_| Trap::Abort)? as u32;
                // SAFETY: as above; the memory is looked up again, since it may have moved.
                let memory = unsafe { &mut *context.memory_mut() };
                let start = at as usize;
                memory
                    .get_mut(start..start + PREFIX.len())
                    .ok_or(Trap::OutOfBoundsMemoryAccess)?
                    .copy_from_slice(PREFIX.as_bytes());
                Ok(i64::from(at) << 32 | PREFIX.len() as i64)
            },
        ),
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
