//! The fuel that the host charges for its work, to the unit.
//!
//! The guest's own fuel is measured on bare wasmi, with imports that do nothing, and subtracted:
//! the rest is the host's. Each module holds one kind of work.

mod components;
mod conventions;
mod exports;
mod host_functions;
mod wasi;

use hostel::{Budget, Grants, Instance};
use hostel_tests::{assemble, load_wat};
use wasmi::{CompilationMode, Config, Engine, Linker, Module, Store, Val};

/// How many bytes each piece of work is done with.
const SIZES: [u32; 8] = [0, 1, 63, 64, 65, 4_095, 4_096, 1 << 20];

/// The charge for each call, of a host function or of an export.
const BASE: u64 = 20;

/// The charge for going over `bytes` bytes once.
fn pass(bytes: u64) -> u64 {
    bytes.div_ceil(64)
}

/// The address of a guest's 1 MiB of `a`s.
const TEXT: u32 = 65_536;

/// The text of a module with 6 MiB of memory: `fill` writes the `a`s at [`TEXT`], and `allocate`
/// returns an address behind them.
fn guest(import: &str, items: &str) -> String {
    format!(
        r#"(module
            {import}
            (memory (export "memory") 96)
            (func (export "fill")
              (memory.fill (i32.const 65536) (i32.const 97) (i32.const 1048576)))
            (func (export "allocate") (param i32) (result i32) (i32.const 0x200000))
            {items})"#
    )
}

/// The arguments of a call, as tables write them: a number, `ptr` for the address [`TEXT`], `len`
/// for the number of bytes. Each is an i32, or an i64 if it ends in `_i64`.
///
/// In the guest, local 0 is the address and local 1 the number of bytes.
struct Arguments(&'static str);

impl Arguments {
    /// The types of the parameters.
    fn types(&self) -> String {
        let types = self.0.split_whitespace().map(|argument| {
            if argument.ends_with("_i64") {
                "i64"
            } else {
                "i32"
            }
        });
        types.collect::<Vec<_>>().join(" ")
    }

    /// The code that pushes the arguments.
    fn code(&self) -> String {
        let code = self.0.split_whitespace().map(|argument| match argument {
            "ptr" => "(local.get 0)".to_owned(),
            "len" => "(local.get 1)".to_owned(),
            "len_i64" => "(i64.extend_i32_u (local.get 1))".to_owned(),
            number => match number.strip_suffix("_i64") {
                Some(number) => format!("(i64.const {number})"),
                None => format!("(i32.const {number})"),
            },
        });
        code.collect::<Vec<_>>().join(" ")
    }
}

/// The guest on bare wasmi, where no import does anything.
struct Bare {
    store: Store<()>,
    instance: wasmi::Instance,
}

impl Bare {
    fn new(wasm: &[u8]) -> Self {
        let mut config = Config::default();
        config
            .consume_fuel(true)
            .compilation_mode(CompilationMode::Eager);
        let engine = Engine::new(&config);
        let module = Module::new(&engine, wasm).unwrap();
        let mut linker = Linker::new(&engine);
        for import in module.imports() {
            let ty = import.ty().func().expect("functions alone are imported");
            let nothing = |_: wasmi::Caller<'_, ()>, _: &[Val], _: &mut [Val]| Ok(());
            linker
                .func_new(import.module(), import.name(), ty.clone(), nothing)
                .unwrap();
        }
        let mut store = Store::new(&engine, ());
        store.set_fuel(u64::MAX).unwrap();
        let instance = linker.instantiate_and_start(&mut store, &module).unwrap();
        Self { store, instance }
    }

    /// Returns the fuel of calling an export whose parameters are i32.
    fn fuel(&mut self, name: &str, params: &[u32]) -> u64 {
        let function = self.instance.get_func(&self.store, name).unwrap();
        let results = function.ty(&self.store).results().len();
        let params: Vec<_> = params.iter().map(|param| Val::I32(*param as i32)).collect();
        let mut results = vec![Val::I32(0); results];
        let before = self.store.get_fuel().unwrap();
        function
            .call(&mut self.store, &params, &mut results)
            .unwrap();
        before - self.store.get_fuel().unwrap()
    }
}

/// Makes an instance of a [`guest`], filled, with a budget for every size of log record and of error,
/// and its double on bare wasmi.
fn start(text: &str, grants: &Grants<()>) -> (Instance, Bare) {
    let mut budget = Budget::server();
    budget.log_bytes = u32::MAX;
    budget.error_bytes = usize::MAX;
    let plugin = load_wat(text, grants).with_budget(budget);
    let mut instance = plugin.instantiate(()).unwrap();
    instance.call::<(), ()>("fill", ()).unwrap();
    (instance, Bare::new(&assemble(text)))
}
