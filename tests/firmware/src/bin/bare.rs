//! The same as `hosted`, written by hand on wasmi.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::string::String;
use firmware::{figures, println};
use wasmi::{
    Caller, CompilationMode, Config, Engine, Error, Instance, Linker, Memory, Module, Store,
    TypedFunc,
};

firmware::main!(work);

fn work() -> bool {
    figures::measure(|| Bare);
    true
}

struct Bare;

struct Plugin {
    store: Store<Option<Guest>>,
    guest: Guest,
    process: Option<TypedFunc<(u32, u32), (u32, u32)>>,
    packed: Option<TypedFunc<(u32, u32), u64>>,
    add: Option<TypedFunc<(u32, u32), u32>>,
    deallocate: Option<TypedFunc<(u32, u32), ()>>,
    instance: Instance,
}

#[derive(Clone, Copy)]
struct Guest {
    memory: Memory,
    allocate: TypedFunc<u32, u32>,
}

/// The bytes that a guest points to.
fn bytes<'a>(caller: &'a Caller<'_, Option<Guest>>, ptr: u32, len: u32) -> Result<&'a [u8], Error> {
    let guest = caller.data().ok_or_else(|| Error::new("no memory"))?;
    let memory = guest.memory.data(caller);
    let start = ptr as usize;
    memory
        .get(start..start.saturating_add(len as usize))
        .ok_or_else(|| Error::new("out of bounds"))
}

fn link(linker: &mut Linker<Option<Guest>>) -> Result<(), Error> {
    linker.func_wrap("host", "none", |_: Caller<'_, Option<Guest>>| {})?;
    linker.func_wrap(
        "host",
        "bytes",
        |caller: Caller<'_, Option<Guest>>, ptr: u32, len: u32| {
            core::hint::black_box(bytes(&caller, ptr, len)?);
            Ok::<(), Error>(())
        },
    )?;
    linker.func_wrap(
        "env",
        "host_log",
        |caller: Caller<'_, Option<Guest>>, ptr: u32, len: u32| {
            println!("{}", String::from_utf8_lossy(bytes(&caller, ptr, len)?));
            Ok::<(), Error>(())
        },
    )?;
    linker.func_wrap(
        "env",
        "host_get_config",
        |mut caller: Caller<'_, Option<Guest>>, ptr: u32, len: u32| {
            let value: &[u8] = match bytes(&caller, ptr, len)? {
                b"prefix" => b"CUSTOM",
                _ => return Ok::<(u32, u32), Error>((0, 0)),
            };
            let guest = caller.data().ok_or_else(|| Error::new("no memory"))?;
            let at = guest.allocate.call(&mut caller, value.len() as u32)?;
            guest
                .memory
                .write(&mut caller, at as usize, value)
                .map_err(|_| Error::new("out of bounds"))?;
            Ok((at, value.len() as u32))
        },
    )?;
    Ok(())
}

fn load(wasm: &[u8]) -> Result<Plugin, Error> {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .compilation_mode(CompilationMode::Eager)
        .ignore_custom_sections(true)
        .wasm_custom_page_sizes(true)
        .set_max_recursion_depth(64)
        .set_min_stack_height(1_000)
        .set_max_stack_height(8 << 10);
    let engine = Engine::new(&config);
    let module = Module::new(&engine, wasm)?;
    let mut linker = Linker::new(&engine);
    link(&mut linker)?;
    let mut store = Store::new(&engine, None);
    store.set_fuel(1_000_000)?;
    let instance = linker.instantiate_and_start(&mut store, &module)?;
    let memory = instance.get_memory(&store, "memory");
    let guest = Guest {
        memory: memory.ok_or_else(|| Error::new("no memory"))?,
        allocate: instance.get_typed_func(&store, "allocate")?,
    };
    *store.data_mut() = Some(guest);
    Ok(Plugin {
        process: instance.get_typed_func(&store, "process").ok(),
        packed: instance.get_typed_func(&store, "process").ok(),
        add: instance.get_typed_func(&store, "add").ok(),
        deallocate: instance.get_typed_func(&store, "deallocate").ok(),
        instance,
        guest,
        store,
    })
}

fn process(plugin: &mut Plugin, input: &[u8], output: &mut [u8]) -> Result<usize, Error> {
    let store = &mut plugin.store;
    store.set_fuel(1_000_000)?;
    let len = input.len() as u32;
    let at = plugin.guest.allocate.call(&mut *store, len)?;
    let outside = |_| Error::new("out of bounds");
    let memory = plugin.guest.memory;
    memory
        .write(&mut *store, at as usize, input)
        .map_err(outside)?;
    let (ptr, length) = match (plugin.process, plugin.packed) {
        (Some(process), _) => process.call(&mut *store, (at, len))?,
        (_, Some(process)) => {
            let packed = process.call(&mut *store, (at, len))?;
            ((packed >> 32) as u32, packed as u32)
        }
        _ => return Err(Error::new("no process")),
    };
    let output = output
        .get_mut(..length as usize)
        .ok_or_else(|| Error::new("too long"))?;
    memory
        .read(&*store, ptr as usize, output)
        .map_err(outside)?;
    if let Some(deallocate) = plugin.deallocate {
        deallocate.call(&mut *store, (at, len))?;
        if ptr != at {
            deallocate.call(&mut *store, (ptr, length))?;
        }
    }
    Ok(length as usize)
}

fn fine<R>(result: Result<R, Error>) -> R {
    result.unwrap_or_else(|error| panic!("{error}"))
}

impl figures::Host for Bare {
    type Plugin = Plugin;

    fn load(&self, wasm: &[u8]) -> Plugin {
        fine(load(wasm))
    }

    fn process(&self, plugin: &mut Plugin, input: &[u8], output: &mut [u8]) -> usize {
        fine(process(plugin, input, output))
    }

    fn add(&self, plugin: &mut Plugin, a: u32, b: u32) -> u32 {
        fine(plugin.store.set_fuel(1_000_000));
        let add = plugin.add.expect("it has one");
        fine(add.call(&mut plugin.store, (a, b)))
    }

    fn add_by_name(&self, plugin: &mut Plugin, a: u32, b: u32) -> u32 {
        fine(plugin.store.set_fuel(1_000_000));
        let add = plugin.instance.get_typed_func(&plugin.store, "add");
        fine(fine(add).call(&mut plugin.store, (a, b)))
    }

    fn repeat(&self, plugin: &mut Plugin, export: &str, times: u32) {
        fine(plugin.store.set_fuel(1_000_000));
        let function = plugin
            .instance
            .get_typed_func::<u32, ()>(&plugin.store, export);
        fine(fine(function).call(&mut plugin.store, times))
    }
}
