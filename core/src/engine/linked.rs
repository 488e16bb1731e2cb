//! Reads, orders and compiles the modules of one plugin. They run in one store, so one engine of wasmi's has
//! the code of all.

use super::{
    Code, Engine, Gate, Memories,
    compile::{in_module, rewritten},
    program,
};
use crate::{
    base::signature::Signature,
    error::LoadError,
    module::{COMMAND, Extern, Footprint, ModuleInfo},
};
use alloc::{string::String, sync::Arc, vec, vec::Vec};
use core::fmt::Write as _;

/// Most modules of a plugin.
const MOST: usize = 64;

/// The name of the main module, wherever it stands.
const MAIN: &str = "main";

/// Most bytes of memory of a program at the start: resetting them can't be paused.
const MOST_RESET: u64 = 16 << 20;

/// One module of several.
pub(crate) struct LinkedModule<'a> {
    pub(crate) name: &'a str,
    wasm: &'a [u8],
    pub(crate) info: ModuleInfo,
}

impl LinkedModule<'_> {
    /// Returns the type of the function that it exports as `name`.
    pub(crate) fn exported(&self, name: &str) -> Option<&Extern> {
        self.info.export_named(name).map(|export| &export.ty)
    }

    /// Returns the functions that other modules import, if it is a program: if it exports `_start`. They are
    /// called through a [`Gate`].
    fn called_as_program(&self, modules: &[LinkedModule<'_>]) -> Vec<(&str, &Signature)> {
        let mut called = Vec::new();
        if !matches!(self.exported(COMMAND), Some(Extern::Function(_))) {
            return called;
        }
        for export in &self.info.exports {
            let mut imports = modules.iter().flat_map(|other| &other.info.imports);
            if let Extern::Function(ty) = &export.ty
                && imports.any(|import| *self.name == *import.module && import.name == export.name)
            {
                called.push((&*export.name, ty));
            }
        }
        called
    }

    /// Refuses a program that other modules call and that can't be reset.
    pub(crate) fn check_program(&self, modules: &[LinkedModule<'_>]) -> Result<(), LoadError> {
        if self.called_as_program(modules).is_empty() {
            return Ok(());
        }
        let memory = self.info.memories.iter().map(|memory| memory.min_bytes);
        let why = if self.info.changes.not_resettable {
            "it changes tables, drops segments or keeps references"
        } else if memory.fold(0, u64::saturating_add) > MOST_RESET {
            "it has more than 16 MiB of memory"
        } else {
            return Ok(());
        };
        Err(LoadError::linking(format_args!(
            "`{}` exports `{COMMAND}`, so each call from another module is to run as in a new instance, which can't be \
             done since {why}: build it as a library (`-mexec-model=reactor`)",
            self.name
        )))
    }
}

impl Engine {
    /// Returns this engine for a plugin of several modules. Their memories are on the heap, and no trace is kept.
    pub(crate) fn linking(&self) -> Self {
        let mut engine = self.untraced();
        engine.memories = Memories::Heap;
        engine
    }

    /// Reads modules, each within the limits, and together within those that bound what a plugin takes. Returns
    /// them in the order in which they are instantiated: each after those that supply its imports, the main one
    /// last.
    ///
    /// The main module is the one named `main`, or else the last.
    pub(crate) fn read_linked<'a>(
        &self,
        modules: &[(&'a str, &'a [u8])],
    ) -> Result<Vec<LinkedModule<'a>>, LoadError> {
        check_names(modules)?;
        let mut size = 0usize;
        for (_, wasm) in modules {
            self.check_size(wasm)?;
            size = size.saturating_add(wasm.len());
        }
        if size > self.limits.module_bytes {
            return Err(LoadError::TooLarge {
                limit: self.limits.module_bytes,
                found: size,
            });
        }
        let mut read = Vec::with_capacity(modules.len());
        for (name, wasm) in modules {
            let info = self.read(wasm).map_err(|error| error.in_module(name))?;
            read.push(LinkedModule { name, wasm, info });
        }
        self.check_sums(&read)?;
        let main = modules.iter().position(|(name, _)| *name == MAIN);
        let main = main.unwrap_or(read.len().saturating_sub(1));
        let order = in_order(&read, main)?;
        let mut read: Vec<_> = read.into_iter().map(Some).collect();
        let ordered = order.into_iter().filter_map(|at| read.get_mut(at)?.take());
        Ok(ordered.collect())
    }

    /// Checks what the modules declare together. Limits on one function, name or expression hold for each alone.
    fn check_sums(&self, modules: &[LinkedModule<'_>]) -> Result<(), LoadError> {
        let most = &self.limits.module;
        let limits = [
            ("memory_bytes", self.limits.memory_bytes),
            ("table_elements", self.limits.table_elements),
            ("types", most.types),
            ("imports", most.imports),
            ("exports", most.exports),
            ("functions", most.functions),
            ("small_functions", most.small_functions),
            ("tables", most.tables),
            ("globals", most.globals),
            ("segments", most.segments),
            ("elements", most.elements),
        ];
        let mut sums = [0u64; 11];
        for module in modules {
            for (sum, declared) in sums.iter_mut().zip(module.info.declared()) {
                *sum = sum.saturating_add(declared);
            }
        }
        for ((name, limit), found) in limits.into_iter().zip(sums) {
            let limit = limit as u64;
            if found > limit {
                return Err(LoadError::OverLimit { name, limit, found });
            }
        }
        Ok(())
    }

    /// Returns the bytes of heap that a plugin of these modules takes.
    ///
    /// # Errors
    ///
    /// [`LoadError::DoesNotFit`] if that is more than there is.
    pub(crate) fn check_linked_fit(
        &self,
        modules: &[LinkedModule<'_>],
    ) -> Result<Footprint, LoadError> {
        let mut footprints = modules.iter().map(|module| self.footprint(&module.info));
        let first = footprints.next().ok_or_else(no_module)?;
        let mut footprint = footprints.fold(first, |sum, other| sum.linked_with(&other));
        for module in modules {
            let functions = module.called_as_program(modules);
            if !functions.is_empty() {
                let gate = ModuleInfo::read(&program::gate(&functions, module.info.start)?)?;
                footprint = footprint.linked_with(&self.footprint(&gate));
                // The copy of its first state.
                let memory = self.footprint(&module.info).memory_at_start;
                footprint.overhead = footprint.overhead.saturating_add(memory);
            }
        }
        let (needed, free) = (footprint.to_run(), self.heap_left() as u64);
        if needed > free {
            return Err(LoadError::DoesNotFit { needed, free });
        }
        Ok(footprint)
    }

    /// Compiles modules, of which the last is the main one. Returns them, and the code of the main one.
    pub(crate) fn compile_linked(
        &self,
        modules: Vec<LinkedModule<'_>>,
    ) -> Result<(Vec<CompiledModule>, Code), LoadError> {
        let engine = wasmi::Engine::new(&self.config());
        let mut gates = Vec::new();
        for module in &modules {
            gates.push(self.gate(&engine, module, &modules)?);
        }
        let mut compiled = Vec::new();
        for (module, gate) in modules.into_iter().zip(gates) {
            let LinkedModule {
                name,
                wasm,
                mut info,
            } = module;
            let code = rewritten(&info, wasm)
                .and_then(|changed| self.compile_in(&engine, &changed))
                .map_err(|error| in_module(error, wasm, &info.changes).in_module(name))?;
            info.changes.forget_code();
            compiled.push(CompiledModule {
                info: Arc::new(info),
                code,
                gate,
            });
        }
        let main = compiled.last().ok_or_else(no_module)?;
        let code = Code::of_linked(main.code.clone());
        Ok((compiled, code))
    }

    /// Compiles the gate of a module, if it is a program that others call.
    fn gate(
        &self,
        engine: &wasmi::Engine,
        module: &LinkedModule<'_>,
        modules: &[LinkedModule<'_>],
    ) -> Result<Option<Gate>, LoadError> {
        let functions = module.called_as_program(modules);
        if functions.is_empty() {
            return Ok(None);
        }
        let starts = module.info.start;
        let wasm = program::gate(&functions, starts)?;
        Ok(Some(Gate {
            module: self.compile_in(engine, &wasm)?,
            starts,
            functions: functions.iter().map(|(name, _)| (*name).into()).collect(),
        }))
    }
}

/// One module of several, compiled.
pub(crate) struct CompiledModule {
    pub(crate) info: Arc<ModuleInfo>,
    pub(crate) code: wasmi::Module,
    /// Its gate, if it is a program that others call.
    pub(crate) gate: Option<Gate>,
}

/// Returns the error for a plugin without a module.
pub(crate) fn no_module() -> LoadError {
    LoadError::linking(format_args!("there is none"))
}

/// Checks the number of modules, and that each name is there once.
fn check_names(modules: &[(&str, &[u8])]) -> Result<(), LoadError> {
    if modules.len() > MOST {
        return Err(LoadError::linking(format_args!(
            "a plugin has at most {MOST}, found {}",
            modules.len()
        )));
    }
    for (at, (name, _)) in modules.iter().enumerate() {
        if modules.iter().take(at).any(|(before, _)| before == name) {
            return Err(LoadError::linking(format_args!(
                "two are named `{name}`: give each a name of its own"
            )));
        }
    }
    Ok(())
}

/// Returns the modules' numbers, each after those that supply its imports, `main` last.
fn in_order(modules: &[LinkedModule<'_>], main: usize) -> Result<Vec<usize>, LoadError> {
    let suppliers: Vec<_> = modules.iter().map(|own| suppliers(own, modules)).collect();
    let needs = |at: usize| suppliers.get(at).into_iter().flatten().copied();
    let mut order: Vec<usize> = Vec::with_capacity(modules.len());
    while order.len() < modules.len() {
        let left = |at: &usize| !order.contains(at);
        let mut ready = (0..modules.len())
            .filter(left)
            .filter(|at| !needs(*at).any(|supplier| left(&supplier)));
        // The main one only once no other one is left: nothing imports from it, or there is a cycle.
        let next = ready.find(|at| *at != main || order.len().saturating_add(1) == modules.len());
        let Some(next) = next else {
            return Err(cycle(modules, &needs, (0..modules.len()).filter(left)));
        };
        order.push(next);
    }
    Ok(order)
}

/// Returns the numbers of the modules that supply imports of `own`.
fn suppliers(own: &LinkedModule<'_>, modules: &[LinkedModule<'_>]) -> Vec<usize> {
    let mut found = vec![];
    for import in &own.info.imports {
        let supplier = modules.iter().position(|other| {
            other.name == &*import.module && other.exported(&import.name).is_some()
        });
        if let Some(supplier) = supplier
            && !found.contains(&supplier)
        {
            found.push(supplier);
        }
    }
    found
}

/// Returns the error that names a cycle among the modules `left`, each of which needs another one of them, or
/// itself.
fn cycle<'a, N: Iterator<Item = usize>>(
    modules: &[LinkedModule<'a>],
    needs: &dyn Fn(usize) -> N,
    left: impl Iterator<Item = usize>,
) -> LoadError {
    let left: Vec<_> = left.collect();
    let mut way: Vec<usize> = Vec::new();
    let mut next = left
        .iter()
        .copied()
        .find(|at| needs(*at).any(|to| left.contains(&to)));
    while let Some(at) = next {
        if let Some(start) = way.iter().position(|before| *before == at) {
            way.push(at);
            way.drain(..start);
            break;
        }
        way.push(at);
        next = needs(at).find(|supplier| left.contains(supplier));
    }
    let mut names = String::new();
    for module in way.iter().filter_map(|at| modules.get(*at)) {
        let arrow = if names.is_empty() { "" } else { " → " };
        // Writing to a string does not fail.
        let _ = write!(names, "{arrow}`{}`", module.name);
    }
    LoadError::linking(format_args!(
        "they import from each other in a cycle: {names}"
    ))
}
