//! wasmi by hand: what an embedder writes who checks nothing but what memory safety needs.

use crate::{
    cases::Work,
    guests::{Guest, PREFIX},
    host::{Answer, Failure, Instance, Library, Plugin},
};
use wasmi::{
    Caller, CompilationMode, Config, Engine, Error, Extern, Linker, Memory, Module, Store,
    TypedFunc,
};

pub struct Wasmi {
    mode: CompilationMode,
}

impl Wasmi {
    pub const fn eager() -> Self {
        Self {
            mode: CompilationMode::Eager,
        }
    }

    /// Translates a function at its first call.
    pub const fn lazy() -> Self {
        Self {
            mode: CompilationMode::LazyTranslation,
        }
    }
}

impl Library for Wasmi {
    fn name(&self) -> &'static str {
        match self.mode {
            CompilationMode::Eager => "wasmi by hand",
            _ => "wasmi by hand, lazy",
        }
    }

    fn about(&self) -> String {
        match self.mode {
            CompilationMode::Eager => format!(
                "{}, by hand, fuel, translated eagerly; the interpreter in hostel",
                super::version("wasmi")
            ),
            _ => "as above, but functions are translated at their first call; loading alone".into(),
        }
    }

    fn takes(&self, work: &Work) -> bool {
        matches!(self.mode, CompilationMode::Eager)
            || matches!(work, Work::Load(_) | Work::LoadAgain(_))
    }

    fn load(&self, guest: Guest, wasm: &[u8]) -> Answer<Box<dyn Plugin>> {
        let mut config = Config::default();
        config.consume_fuel(true).compilation_mode(self.mode);
        // Code is given back when its engine goes: a plugin has one of its own.
        let engine = Engine::new(&config);
        let module = Module::new(&engine, wasm)?;
        let mut linker = Linker::new(&engine);
        link(&mut linker)?;
        Ok(Box::new(Loaded {
            engine,
            module,
            linker,
            guest,
        }))
    }
}

/// What host functions need.
#[derive(Default)]
struct Data {
    memory: Option<Memory>,
    allocate: Option<TypedFunc<u32, u32>>,
    logged: usize,
}

struct Loaded {
    engine: Engine,
    module: Module,
    linker: Linker<Data>,
    guest: Guest,
}

/// The example's exports.
struct Example {
    memory: Memory,
    allocate: TypedFunc<u32, u32>,
    deallocate: TypedFunc<(u32, u32), ()>,
    process: TypedFunc<(u32, u32), u64>,
}

struct Held {
    store: Store<Data>,
    instance: wasmi::Instance,
    example: Option<Example>,
    add: Option<TypedFunc<(u32, u32), u32>>,
}

impl Plugin for Loaded {
    fn instance(&self) -> Answer<Box<dyn Instance>> {
        let mut store = Store::new(&self.engine, Data::default());
        store.set_fuel(u64::MAX / 2)?;
        let instance = self
            .linker
            .instantiate_and_start(&mut store, &self.module)?;
        let memory = instance.get_memory(&store, "memory");
        store.data_mut().memory = memory;
        let (mut example, mut add) = (None, None);
        match self.guest {
            Guest::Add => add = Some(instance.get_typed_func(&store, "add")?),
            Guest::Caller | Guest::Kernel(_) => {}
            _ => {
                let made = Example {
                    memory: memory.ok_or("no memory")?,
                    allocate: instance.get_typed_func(&store, "allocate")?,
                    deallocate: instance.get_typed_func(&store, "deallocate")?,
                    process: instance.get_typed_func(&store, "process")?,
                };
                store.data_mut().allocate = Some(made.allocate);
                example = Some(made);
                if self.guest == Guest::Go {
                    let start = instance.get_typed_func::<(), ()>(&store, "_initialize")?;
                    start.call(&mut store, ())?;
                }
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
        let len = input.len() as u32;
        let ptr = example.allocate.call(&mut *store, len)?;
        example.memory.write(&mut *store, ptr as usize, input)?;
        let packed = example.process.call(&mut *store, (ptr, len))?;
        let (answer, size) = ((packed >> 32) as u32, packed as u32);
        output.clear();
        output.extend_from_slice(slice(example.memory.data(&*store), answer, size)?);
        example.deallocate.call(&mut *store, (ptr, len))?;
        example.deallocate.call(&mut *store, (answer, size))?;
        Ok(())
    }

    fn add(&mut self, a: u32, b: u32) -> Answer<u32> {
        let add = self.add.as_ref().ok_or("no export `add`")?;
        Ok(add.call(&mut self.store, (a, b))?)
    }

    fn run(&mut self, export: &str) -> Answer<()> {
        let run = self
            .instance
            .get_typed_func::<(), ()>(&self.store, export)?;
        Ok(run.call(&mut self.store, ())?)
    }
}

fn link(linker: &mut Linker<Data>) -> Result<(), Failure> {
    linker.func_wrap(
        "env",
        "host_log",
        |mut caller: Caller<'_, Data>, ptr: u32, len: u32| {
            let memory = caller
                .data()
                .memory
                .ok_or_else(|| Error::new("no memory"))?;
            let (memory, data) = memory.data_and_store_mut(&mut caller);
            data.logged += slice(memory, ptr, len)?.len();
            Ok(())
        },
    )?;
    linker.func_wrap(
        "env",
        "host_get_config",
        |mut caller: Caller<'_, Data>, ptr: u32, len: u32| -> Result<u64, Error> {
            let data = caller.data();
            let (Some(memory), Some(allocate)) = (data.memory, data.allocate) else {
                return Err(Error::new("no memory"));
            };
            if slice(memory.data(&caller), ptr, len)? != b"prefix" {
                return Ok(0);
            }
            let size = PREFIX.len() as u32;
            let at = allocate.call(&mut caller, size)?;
            memory.write(&mut caller, at as usize, PREFIX.as_bytes())?;
            Ok(u64::from(at) << 32 | u64::from(size))
        },
    )?;
    linker.func_wrap("env", "next", |n: u32| n + 1)?;
    linker.func_wrap(
        "env",
        "length",
        |caller: Caller<'_, Data>, ptr: u32, len: u32| {
            let memory = caller
                .data()
                .memory
                .ok_or_else(|| Error::new("no memory"))?;
            Ok(slice(memory.data(&caller), ptr, len)?.len() as u32)
        },
    )?;
    link_wasi(linker)
}

/// The functions of WASI that the plugin in Go imports, as far as it needs them: no arguments, no environment, a clock
/// that stands still. Go gives up if it reads 0.
fn link_wasi(linker: &mut Linker<Data>) -> Result<(), Failure> {
    const WASI: &str = "wasi_snapshot_preview1";
    let write =
        |mut caller: Caller<'_, Data>, places: &[u32], value: &[u8]| -> Result<u32, Error> {
            let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
                return Err(Error::new("no memory"));
            };
            for place in places {
                memory.write(&mut caller, *place as usize, value)?;
            }
            Ok(0)
        };
    linker.func_wrap(
        WASI,
        "args_sizes_get",
        move |caller: Caller<'_, Data>, a: u32, b: u32| write(caller, &[a, b], &[0; 4]),
    )?;
    linker.func_wrap(
        WASI,
        "environ_sizes_get",
        move |caller: Caller<'_, Data>, a: u32, b: u32| write(caller, &[a, b], &[0; 4]),
    )?;
    linker.func_wrap(
        WASI,
        "clock_time_get",
        move |caller: Caller<'_, Data>, _: u32, _: u64, at: u32| write(caller, &[at], &[1; 8]),
    )?;
    linker.func_wrap(WASI, "sched_yield", || 0u32)?;
    linker.func_wrap(WASI, "args_get", |_: u32, _: u32| 0u32)?;
    linker.func_wrap(WASI, "environ_get", |_: u32, _: u32| 0u32)?;
    linker.func_wrap(WASI, "random_get", |_: u32, _: u32| 0u32)?;
    linker.func_wrap(WASI, "fd_write", |_: u32, _: u32, _: u32, _: u32| 0u32)?;
    linker.func_wrap(WASI, "poll_oneoff", |_: u32, _: u32, _: u32, _: u32| 0u32)?;
    linker.func_wrap(WASI, "proc_exit", |code: u32| -> Result<(), Error> {
        Err(Error::new(format!("the guest exits with {code}")))
    })?;
    Ok(())
}

fn slice(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8], Error> {
    let start = ptr as usize;
    memory
        .get(start..start + len as usize)
        .ok_or_else(|| Error::new("out of bounds"))
}
