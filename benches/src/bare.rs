//! The host that an embedder would write by hand on bare wasmi for `customize`: handles are
//! looked up once, fuel is on, and nothing is checked but what memory safety needs.

use wasmi::{
    Caller, CompilationMode, Config, Engine, Error, Linker, Memory, Module, Store, TypedFunc,
};

/// What the host functions need.
pub struct Data {
    memory: Option<Memory>,
    allocate: Option<TypedFunc<u32, u32>>,
    prefix: &'static str,
    /// Bytes of log that were seen.
    pub logged: u64,
}

/// A compiled module and its imports.
pub struct BarePlugin {
    engine: Engine,
    module: Module,
    linker: Linker<Data>,
    prefix: &'static str,
}

/// An instance and its handles.
pub struct Bare {
    store: Store<Data>,
    memory: Memory,
    allocate: TypedFunc<u32, u32>,
    deallocate: TypedFunc<(u32, u32), ()>,
    process: TypedFunc<(u32, u32), u64>,
}

impl BarePlugin {
    /// Compiles `wasm`.
    pub fn new(wasm: &[u8], prefix: &'static str) -> Result<Self, Error> {
        Self::compiled(wasm, prefix, CompilationMode::Eager)
    }

    /// Compiles `wasm` at once, or when functions are called.
    pub fn compiled(
        wasm: &[u8],
        prefix: &'static str,
        mode: CompilationMode,
    ) -> Result<Self, Error> {
        let mut config = Config::default();
        config.consume_fuel(true).compilation_mode(mode);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, wasm)?;
        let mut linker = Linker::<Data>::new(&engine);
        linker.func_wrap(
            "env",
            "host_log",
            |mut caller: Caller<'_, Data>, ptr: u32, len: u32| -> Result<(), Error> {
                let memory = caller
                    .data()
                    .memory
                    .ok_or_else(|| Error::new("no memory"))?;
                let (memory, data) = memory.data_and_store_mut(&mut caller);
                let text = slice(memory, ptr, len)?;
                data.logged += text.len() as u64;
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
                let value = data.prefix;
                if slice(memory.data(&caller), ptr, len)? != b"prefix" {
                    return Ok(0);
                }
                let size = value.len() as u32;
                let at = allocate.call(&mut caller, size)?;
                memory.write(&mut caller, at as usize, value.as_bytes())?;
                Ok(u64::from(at) << 32 | u64::from(size))
            },
        )?;
        Ok(Self {
            engine,
            module,
            linker,
            prefix,
        })
    }

    /// A new instance.
    pub fn instantiate(&self) -> Result<Bare, Error> {
        let data = Data {
            memory: None,
            allocate: None,
            prefix: self.prefix,
            logged: 0,
        };
        let mut store = Store::new(&self.engine, data);
        store.set_fuel(u64::MAX / 2)?;
        let instance = self
            .linker
            .instantiate_and_start(&mut store, &self.module)?;
        let memory = instance
            .get_memory(&store, "memory")
            .ok_or_else(|| Error::new("no memory"))?;
        let allocate = instance.get_typed_func(&store, "allocate")?;
        store.data_mut().memory = Some(memory);
        store.data_mut().allocate = Some(allocate);
        Ok(Bare {
            memory,
            allocate,
            deallocate: instance.get_typed_func(&store, "deallocate")?,
            process: instance.get_typed_func(&store, "process")?,
            store,
        })
    }
}

impl Bare {
    /// Five guest calls: `allocate`, `process` with `allocate` inside, `deallocate` twice.
    pub fn process(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<(), Error> {
        let len = input.len() as u32;
        let ptr = self.allocate.call(&mut self.store, len)?;
        self.memory.write(&mut self.store, ptr as usize, input)?;
        let packed = self.process.call(&mut self.store, (ptr, len))?;
        let (answer, size) = ((packed >> 32) as u32, packed as u32);
        output.clear();
        output.extend_from_slice(slice(self.memory.data(&self.store), answer, size)?);
        self.deallocate.call(&mut self.store, (ptr, len))?;
        self.deallocate.call(&mut self.store, (answer, size))
    }
}

fn slice(memory: &[u8], ptr: u32, len: u32) -> Result<&[u8], Error> {
    let start = ptr as usize;
    memory
        .get(start..start + len as usize)
        .ok_or_else(|| Error::new("out of bounds"))
}
