//! tinywasm by hand, without metering: its budgets of fuel and time exist only for calls that are resumed.

use crate::{
    cases::Work,
    guests::{Guest, PREFIX},
    host::{Answer, Instance, Library, Plugin},
};
use ::tinywasm::{
    FuncContext, FunctionTyped, HostFunction, Imports, Memory, Module, ModuleInstance, Store,
    parse_bytes,
};

pub struct Tinywasm;

thread_local! {
    // They can't be shared between threads.
    static IMPORTS: Imports = imports();
}

impl Library for Tinywasm {
    fn name(&self) -> &'static str {
        "tinywasm"
    }

    fn about(&self) -> String {
        format!("{}, by hand, no metering", super::version("tinywasm"))
    }

    fn takes(&self, work: &Work) -> bool {
        // It has no WASI.
        !matches!(
            work,
            Work::Held(Guest::Go, _)
                | Work::New(Guest::Go, _)
                | Work::Load(Guest::Go)
                | Work::LoadAgain(Guest::Go)
        )
    }

    fn load(&self, guest: Guest, wasm: &[u8]) -> Answer<Box<dyn Plugin>> {
        Ok(Box::new(Parsed {
            module: parse_bytes(wasm)?,
            guest,
        }))
    }
}

struct Parsed {
    module: Module,
    guest: Guest,
}

/// The example's exports.
struct Example {
    memory: Memory,
    allocate: FunctionTyped<i32, i32>,
    deallocate: FunctionTyped<(i32, i32), ()>,
    process: FunctionTyped<(i32, i32), i64>,
}

struct Held {
    store: Store,
    instance: ModuleInstance,
    example: Option<Example>,
    add: Option<FunctionTyped<(i32, i32), i32>>,
}

impl Plugin for Parsed {
    fn instance(&self) -> Answer<Box<dyn Instance>> {
        let mut store = Store::default();
        let instance = IMPORTS
            .with(|imports| ModuleInstance::instantiate(&mut store, &self.module, Some(imports)))?;
        let (mut example, mut add) = (None, None);
        match self.guest {
            Guest::Add => add = Some(instance.func(&store, "add")?),
            Guest::Caller | Guest::Kernel(_) => {}
            _ => {
                example = Some(Example {
                    memory: instance.memory("memory")?,
                    allocate: instance.func(&store, "allocate")?,
                    deallocate: instance.func(&store, "deallocate")?,
                    process: instance.func(&store, "process")?,
                });
            }
        }
        Ok(Box::new(Held {
            store,
            instance,
            example,
            add,
        }))
    }
}

impl Instance for Held {
    /// Five guest calls: `allocate`, `process` with `allocate` inside, `deallocate` twice.
    fn process(&mut self, input: &[u8], output: &mut Vec<u8>) -> Answer<()> {
        let Self { store, example, .. } = self;
        let example = example.as_ref().ok_or("not the example")?;
        let len = input.len() as i32;
        let ptr = example.allocate.call(store, len)?;
        example
            .memory
            .copy_from_slice(store, ptr as u32 as usize, input)?;
        let packed = example.process.call(store, (ptr, len))?;
        let (answer, size) = ((packed >> 32) as u32, packed as u32);
        output.resize(size as usize, 0);
        example.memory.read_exact(store, answer as usize, output)?;
        example.deallocate.call(store, (ptr, len))?;
        example
            .deallocate
            .call(store, (answer as i32, size as i32))?;
        Ok(())
    }

    fn add(&mut self, a: u32, b: u32) -> Answer<u32> {
        let add = self.add.as_ref().ok_or("no export `add`")?;
        Ok(add.call(&mut self.store, (a as i32, b as i32))? as u32)
    }

    fn run(&mut self, export: &str) -> Answer<()> {
        let run = self.instance.func::<(), ()>(&self.store, export)?;
        Ok(run.call(&mut self.store, ())?)
    }
}

/// Without WASI, which the plugin in Go needs.
fn imports() -> Imports {
    let mut imports = Imports::new();
    imports
        .define(
            "env",
            "host_log",
            HostFunction::from(|context: FuncContext<'_>, (ptr, len): (i32, i32)| {
                let memory = context.memory("memory")?;
                let text =
                    memory.read_vec(context.store(), ptr as u32 as usize, len as u32 as usize)?;
                std::hint::black_box(text);
                Ok(())
            }),
        )
        .define(
            "env",
            "host_get_config",
            HostFunction::from(|mut context: FuncContext<'_>, (ptr, len): (i32, i32)| {
                let memory = context.memory("memory")?;
                let key =
                    memory.read_vec(context.store(), ptr as u32 as usize, len as u32 as usize)?;
                if key != b"prefix" {
                    return Ok(0_i64);
                }
                let allocate = context
                    .module()
                    .func::<i32, i32>(context.store(), "allocate")?;
                let at = context.call(&allocate, PREFIX.len() as i32)?;
                memory.copy_from_slice(
                    context.store_mut(),
                    at as u32 as usize,
                    PREFIX.as_bytes(),
                )?;
                Ok(i64::from(at as u32) << 32 | PREFIX.len() as i64)
            }),
        )
        .define(
            "env",
            "next",
            HostFunction::from(|_: FuncContext<'_>, n: i32| Ok(n + 1)),
        )
        .define(
            "env",
            "length",
            HostFunction::from(|context: FuncContext<'_>, (ptr, len): (i32, i32)| {
                let memory = context.memory("memory")?;
                let bytes =
                    memory.read_vec(context.store(), ptr as u32 as usize, len as u32 as usize)?;
                Ok(bytes.len() as i32)
            }),
        );
    imports
}
