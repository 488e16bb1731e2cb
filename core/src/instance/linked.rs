//! Several modules of one plugin: each becomes an instance in the plugin's store, and the functions that one
//! exports are imports of others.

use super::{
    image::{Image, MutableState},
    loaded::Loaded,
    sandbox::Sandbox,
    written::Written,
};
use crate::{
    abi::native,
    call::{LinkedInstances, StoreData, meter, run::stopped},
    engine::{CompiledModule, Gate},
    error::{CallError, Trap, TrapKind},
    host_functions::Binding,
    module::{Extern, ModuleInfo, START},
};
use alloc::{boxed::Box, sync::Arc, vec::Vec};
use spin::Mutex;
use wasmi::{Caller, Func, Store};

/// The modules of a plugin that has several.
pub(crate) struct Linked<T: 'static> {
    /// All but the main one, each after those that supply its imports.
    pub(crate) others: Vec<Other<T>>,
    /// What supplies the imports of the main one, in their order.
    pub(crate) main: Vec<Supplier<T>>,
    /// Makes the instances: [`instantiate`]. By pointer, so that a program that links no modules
    /// is linked without it.
    pub(crate) instantiate: Instantiate<T>,
}

/// The trap of a program whose memory can't be reset.
const GROWN: &str = "a linked program was called again after its memory had grown, which can't be undone: build it \
                     as a library (`-mexec-model=reactor`)";

/// Makes the instances of a plugin's modules, and returns that of the main one.
type Instantiate<T> =
    fn(&Loaded<T>, &Linked<T>, &mut Sandbox<T>) -> Result<wasmi::Instance, CallError>;

/// A module that supplies imports of others.
pub(crate) struct Other<T: 'static> {
    pub(crate) compiled: CompiledModule,
    /// What supplies its imports, in their order.
    pub(crate) imports: Vec<Supplier<T>>,
}

/// What supplies an import.
pub(crate) enum Supplier<T: 'static> {
    /// A host function that is granted.
    Host(Arc<Binding<T>>),
    /// An export of the linked module of this number.
    Module(usize, Box<str>),
}

/// Makes the instances of all modules, and returns that of the main one. No guest code runs.
pub(crate) fn instantiate<T: 'static>(
    loaded: &Loaded<T>,
    linked: &Linked<T>,
    sandbox: &mut Sandbox<T>,
) -> Result<wasmi::Instance, CallError> {
    let Sandbox { store, code, .. } = sandbox;
    let others = linked.others.iter().map(|other| {
        let CompiledModule { info, code, gate } = &other.compiled;
        (info, code, gate.as_ref(), &other.imports)
    });
    let main = (&loaded.info, code.module(), None, &linked.main);
    // Gates have no memory, but are instances.
    let most = linked.others.len().saturating_mul(2).saturating_add(1);
    store.data_mut().limiter.expect_modules(most);
    let mut made = LinkedInstances::default();
    // Instances, or their gates, that supply imports of others.
    let mut suppliers = Vec::new();
    let mut in_parts = false;
    for (number, (info, code, gate, imported)) in others.chain([main]).enumerate() {
        meter::charge(store, info.instantiation_fuel())?;
        let imports = imports(store, info, imported, number, &suppliers)?;
        let instance = wasmi::Instance::new(&mut *store, code, &imports)
            .map_err(|error| stopped(store, &error))?;
        // Copying the segments can't be interrupted, so the deadline is checked after it.
        meter::check_time(store.data())?;
        made.guests.push(native::guest(store, instance));
        made.others.push(instance);
        suppliers.push(match gate {
            Some(gate) => open(store, gate, info, instance)?,
            None => instance,
        });
        in_parts |= info.changes.grows_in_parts;
    }
    // After all memories are made, which is not in parts.
    if in_parts {
        store.data_mut().limiter.grow_in_parts();
    }
    let main = made.others.pop().ok_or(CallError::Stopped)?;
    for (other, instance) in linked.others.iter().zip(&made.others) {
        if other.compiled.gate.is_some() {
            continue;
        }
        for name in [Some(START), other.compiled.info.initializers.at_start] {
            let function = name.and_then(|name| instance.get_func(&*store, name));
            made.starts.extend(name.zip(function));
        }
    }
    store.data_mut().linked = Some(Box::new(made));
    Ok(main)
}

/// A program, as it was before its first call.
struct Program {
    mutable: MutableState,
    image: Image,
    /// Whether a call of it runs.
    runs: bool,
}

/// Instantiates the gate of the program `instance`, which was just made.
fn open<T: 'static>(
    store: &mut Store<StoreData<T>>,
    gate: &Gate,
    info: &ModuleInfo,
    instance: wasmi::Instance,
) -> Result<wasmi::Instance, CallError> {
    let mutable = MutableState::of(store, instance);
    let program = Arc::new(Mutex::new(Program {
        image: Image::capture(store, &mutable),
        mutable,
        runs: false,
    }));
    let (entered, fuel) = (program.clone(), info.instantiation_fuel());
    let enter = move |mut guest: Caller<'_, StoreData<T>>| {
        let reset = |guest: &mut Caller<'_, StoreData<T>>| {
            meter::charge(guest, fuel)?;
            let program = &mut *entered.lock();
            if core::mem::replace(&mut program.runs, true) {
                return Err(CallError::Trap(Trap::new(TrapKind::Reentered, "")));
            }
            let written = &mut Written::default();
            if !program.image.restore(guest, &program.mutable, written) {
                return Err(CallError::Trap(Trap::host(GROWN)));
            }
            Ok(())
        };
        reset(&mut guest).map_err(CallError::into_wasmi)
    };
    let leave = move |_: Caller<'_, StoreData<T>>| program.lock().runs = false;
    let mut imports = Vec::with_capacity(gate.functions.len().saturating_add(3));
    imports.extend([
        Func::wrap(&mut *store, enter),
        Func::wrap(&mut *store, leave),
    ]);
    let start = gate.starts.then_some(START);
    for name in start
        .into_iter()
        .chain(gate.functions.iter().map(|name| &**name))
    {
        // Loading has checked that they are there.
        imports.push(instance.get_func(&*store, name).ok_or(CallError::Stopped)?);
    }
    let imports: Vec<_> = imports.into_iter().map(wasmi::Extern::from).collect();
    wasmi::Instance::new(&mut *store, &gate.module, &imports)
        .map_err(|error| stopped(store, &error))
}

/// Returns the imports of the module `info` of the number `module`, in their order.
fn imports<T: 'static>(
    store: &mut Store<StoreData<T>>,
    info: &ModuleInfo,
    suppliers: &[Supplier<T>],
    module: usize,
    instances: &[wasmi::Instance],
) -> Result<Vec<wasmi::Extern>, CallError> {
    let mut imports = Vec::with_capacity(suppliers.len());
    for (import, supplier) in info.imports.iter().zip(suppliers) {
        let function = match supplier {
            Supplier::Host(binding) => match &import.ty {
                Extern::Function(ty) => Some(binding.define_in_module(store, ty, module)),
                _ => None,
            },
            Supplier::Module(at, name) => instances
                .get(*at)
                .and_then(|instance| instance.get_func(&*store, name)),
        };
        // Loading has checked each import, so there is none without a function.
        let function = function.ok_or(CallError::Stopped)?;
        imports.push(function.into());
    }
    Ok(imports)
}
