//! wasmtime by hand, with what its documentation recommends for many short-lived instances: the pooling allocator,
//! images copied on write, pages that stay resident, imports resolved once.

use crate::{
    guests::{Guest, PREFIX},
    host::{Answer, Instance, Library, Plugin},
};
use std::sync::OnceLock;
use wasmtime::{
    Caller, Config, Enabled, Engine, Extern, InstanceAllocationStrategy, InstancePre, Linker,
    Memory, Module, PoolingAllocationConfig, Store, TypedFunc, format_err,
};

type Result<T> = std::result::Result<T, wasmtime::Error>;

/// Bytes of a reused memory that are set back by copying instead of by the system's mapping: all that the default layout
/// of a small plugin has.
const KEEP_RESIDENT: usize = 2 << 20;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Metering {
    Epoch,
    Fuel,
}

pub struct Wasmtime {
    name: &'static str,
    metering: Metering,
    /// Engines are shared by all plugins. That of new instances, and that of pooled ones.
    engines: OnceLock<(Engine, Engine)>,
    pulley: bool,
}

impl Wasmtime {
    const fn new(name: &'static str, pulley: bool, metering: Metering) -> Self {
        Self {
            name,
            metering,
            engines: OnceLock::new(),
            pulley,
        }
    }

    pub const fn cranelift_epoch() -> Self {
        Self::new("wasmtime", false, Metering::Epoch)
    }

    pub const fn cranelift_fuel() -> Self {
        Self::new("wasmtime, fuel", false, Metering::Fuel)
    }

    pub const fn pulley_epoch() -> Self {
        Self::new("wasmtime, Pulley", true, Metering::Epoch)
    }

    fn engine(&self, strategy: Option<PoolingAllocationConfig>) -> Result<Engine> {
        let mut config = Config::new();
        match self.metering {
            Metering::Epoch => config.epoch_interruption(true),
            Metering::Fuel => config.consume_fuel(true),
        };
        if self.pulley {
            config.target("pulley64")?;
        }
        config.allocation_strategy(match strategy {
            Some(pooling) => InstanceAllocationStrategy::Pooling(pooling),
            None => InstanceAllocationStrategy::OnDemand,
        });
        Engine::new(&config)
    }

    fn engines(&self) -> Result<&(Engine, Engine)> {
        if let Some(engines) = self.engines.get() {
            return Ok(engines);
        }
        let mut pooling = PoolingAllocationConfig::new();
        pooling
            .total_core_instances(64)
            .total_memories(64)
            .total_tables(64)
            .linear_memory_keep_resident(KEEP_RESIDENT)
            .table_keep_resident(64 << 10)
            .pagemap_scan(Enabled::Auto);
        let engines = (self.engine(None)?, self.engine(Some(pooling))?);
        Ok(self.engines.get_or_init(|| engines))
    }
}

impl Library for Wasmtime {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> String {
        let (compiler, metering) = match (self.pulley, self.metering) {
            (true, _) => ("its interpreter Pulley", "epochs"),
            (false, Metering::Epoch) => ("Cranelift", "epochs"),
            (false, Metering::Fuel) => ("Cranelift", "fuel"),
        };
        format!(
            "{}, by hand, {compiler}, {metering}, `InstancePre`; as new: pooling allocator, {} MiB kept resident, \
            pages found by `PAGEMAP_SCAN` if the system has it",
            super::version("wasmtime"),
            KEEP_RESIDENT >> 20
        )
    }

    fn load(&self, guest: Guest, wasm: &[u8]) -> Answer<Box<dyn Plugin>> {
        Ok(Box::new(Loaded {
            engines: self.engines()?.clone(),
            new: OnceLock::new(),
            pooled: OnceLock::new(),
            wasm: wasm.into(),
            guest,
            metering: self.metering,
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

struct Compiled {
    engine: Engine,
    instances: InstancePre<Data>,
}

impl Compiled {
    fn new(engine: &Engine, wasm: &[u8]) -> Result<Self> {
        let module = Module::new(engine, wasm)?;
        let mut linker = Linker::new(engine);
        link(&mut linker)?;
        Ok(Self {
            engine: engine.clone(),
            instances: linker.instantiate_pre(&module)?,
        })
    }
}

struct Loaded {
    engines: (Engine, Engine),
    // Compiled for an engine when an instance is first made with it, so that loading compiles once. Loading is
    // measured up to a first answer.
    new: OnceLock<Compiled>,
    pooled: OnceLock<Compiled>,
    wasm: Box<[u8]>,
    guest: Guest,
    metering: Metering,
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
    instance: wasmtime::Instance,
    example: Option<Example>,
    add: Option<TypedFunc<(u32, u32), u32>>,
}

impl Loaded {
    fn compiled<'a>(&self, place: &'a OnceLock<Compiled>, engine: &Engine) -> Result<&'a Compiled> {
        if let Some(compiled) = place.get() {
            return Ok(compiled);
        }
        let compiled = Compiled::new(engine, &self.wasm)?;
        Ok(place.get_or_init(|| compiled))
    }

    fn held(&self, compiled: &Compiled) -> Result<Held> {
        let mut store = Store::new(&compiled.engine, Data::default());
        match self.metering {
            Metering::Epoch => store.set_epoch_deadline(1_000),
            Metering::Fuel => store.set_fuel(u64::MAX / 2)?,
        }
        let instance = compiled.instances.instantiate(&mut store)?;
        let memory = instance.get_memory(&mut store, "memory");
        store.data_mut().memory = memory;
        let (mut example, mut add) = (None, None);
        match self.guest {
            Guest::Add => add = Some(instance.get_typed_func(&mut store, "add")?),
            Guest::Caller | Guest::Kernel(_) => {}
            _ => {
                let made = Example {
                    memory: memory.ok_or_else(|| format_err!("no memory"))?,
                    allocate: instance.get_typed_func(&mut store, "allocate")?,
                    deallocate: instance.get_typed_func(&mut store, "deallocate")?,
                    process: instance.get_typed_func(&mut store, "process")?,
                };
                store.data_mut().allocate = Some(made.allocate.clone());
                example = Some(made);
                if self.guest == Guest::Go {
                    let start = instance.get_typed_func::<(), ()>(&mut store, "_initialize")?;
                    start.call(&mut store, ())?;
                }
            }
        }
        Ok(Held {
            store,
            instance,
            example,
            add,
        })
    }
}

impl Plugin for Loaded {
    fn instance(&self) -> Answer<Box<dyn Instance>> {
        Ok(Box::new(
            self.held(self.compiled(&self.new, &self.engines.0)?)?,
        ))
    }

    fn process_reused(&self, input: &[u8], output: &mut Vec<u8>) -> Answer<bool> {
        let compiled = self.compiled(&self.pooled, &self.engines.1)?;
        self.held(compiled)?.process(input, output)?;
        Ok(true)
    }

    fn add_reused(&self, a: u32, b: u32) -> Answer<Option<u32>> {
        let compiled = self.compiled(&self.pooled, &self.engines.1)?;
        self.held(compiled)?.add(a, b).map(Some)
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
            .get_typed_func::<(), ()>(&mut self.store, export)?;
        Ok(run.call(&mut self.store, ())?)
    }
}

fn link(linker: &mut Linker<Data>) -> Result<()> {
    linker.func_wrap(
        "env",
        "host_log",
        |mut caller: Caller<'_, Data>, ptr: u32, len: u32| -> Result<()> {
            let memory = caller
                .data()
                .memory
                .ok_or_else(|| format_err!("no memory"))?;
            let (memory, data) = memory.data_and_store_mut(&mut caller);
            data.logged += slice(memory, ptr, len)?.len();
            Ok(())
        },
    )?;
    linker.func_wrap(
        "env",
        "host_get_config",
        |mut caller: Caller<'_, Data>, ptr: u32, len: u32| -> Result<u64> {
            let data = caller.data();
            let (Some(memory), Some(allocate)) = (data.memory, data.allocate.clone()) else {
                return Err(format_err!("no memory"));
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
        |caller: Caller<'_, Data>, ptr: u32, len: u32| -> Result<u32> {
            let memory = caller
                .data()
                .memory
                .ok_or_else(|| format_err!("no memory"))?;
            Ok(slice(memory.data(&caller), ptr, len)?.len() as u32)
        },
    )?;
    link_wasi(linker)
}

/// The functions of WASI that the plugin in Go imports, as far as it needs them: no arguments, no environment, a clock
/// that stands still. Go gives up if it reads 0.
fn link_wasi(linker: &mut Linker<Data>) -> Result<()> {
    const WASI: &str = "wasi_snapshot_preview1";
    let write = |mut caller: Caller<'_, Data>, places: &[u32], value: &[u8]| -> Result<u32> {
        let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
            return Err(format_err!("no memory"));
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
    linker.func_wrap(WASI, "proc_exit", |code: u32| -> Result<()> {
        Err(format_err!("the guest exits with {code}"))
    })?;
    Ok(())
}

fn slice(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8]> {
    let start = ptr as usize;
    memory
        .get(start..start + len as usize)
        .ok_or_else(|| format_err!("out of bounds"))
}
