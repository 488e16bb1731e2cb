//! Reads and compiles components. Their core instances run in one store, so one engine of wasmi's has the code
//! of all modules.

#![allow(dead_code)]

use super::{
    Engine,
    compile::{in_module, rewritten},
};
use crate::{
    base::limits::Limits,
    component::{
        program::{CoreItem, Instantiate, Program},
        read,
    },
    error::LoadError,
    module::{Extern, Footprint, ModuleInfo},
};
use alloc::{format, sync::Arc, vec::Vec};

/// What a core module begins with.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// A component that was read and compiled.
pub(crate) struct CompiledComponent {
    pub(crate) program: Program,
    /// The core modules, by their numbers in [`Program::modules`].
    pub(crate) modules: Vec<CoreModule>,
    /// The bytes of heap that a plugin of it takes.
    pub(crate) footprint: Footprint,
}

/// A core module of a component.
pub(crate) struct CoreModule {
    /// What it declares. If it has a start function, that is exported as [`START`](crate::module::START), and
    /// is to be called once it is instantiated.
    pub(crate) info: Arc<ModuleInfo>,
    pub(crate) code: wasmi::Module,
}

impl Engine {
    /// Returns this engine for components. Their memories are on the heap or in mappings, since there may be several,
    /// and no trace is kept.
    pub(crate) fn for_components(&self) -> Self {
        let mut engine = self.untraced();
        if engine.memories.are_apart() {
            engine.memories = super::Memories::Heap;
        }
        engine
    }

    /// Reads, validates and compiles a component, or a core module with a contract.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), those in a core module as [`LoadError::InModule`] with the module's
    /// number, which counts the core modules in the order of the file.
    pub(crate) fn compile_component(&self, wasm: &[u8]) -> Result<CompiledComponent, LoadError> {
        let (program, infos) = self.read_component(wasm)?;
        let footprint = self.check_component_fits(&program, &infos)?;
        let engine = wasmi::Engine::new(&self.config());
        let mut modules = Vec::with_capacity(infos.len());
        for ((number, mut info), range) in infos.into_iter().enumerate().zip(&program.modules) {
            let bytes = wasm.get(range.clone()).unwrap_or_default();
            #[cfg(feature = "mappings")]
            {
                info.changes.imports_memory =
                    info.changes.has_memory() && self.memories().place(&info);
            }
            let code = rewritten(&info, bytes)
                .and_then(|changed| self.compile_in(&engine, &changed))
                .map_err(|error| in_module(error, bytes, &info.changes))
                .map_err(|error| error.in_module(&name(number)))?;
            info.changes.forget_code();
            modules.push(CoreModule {
                info: Arc::new(info),
                code,
            });
        }
        Ok(CompiledComponent {
            program,
            modules,
            footprint,
        })
    }

    /// Reads and validates a component, except for the bodies of functions, within the limits. Returns its
    /// program, and what each core module declares.
    // Not inlined, so that its native stack is given back before the interpreter compiles.
    #[inline(never)]
    pub(crate) fn read_component(
        &self,
        wasm: &[u8],
    ) -> Result<(Program, Vec<ModuleInfo>), LoadError> {
        self.check_size(wasm)?;
        if wasm.is_empty() {
            return Err(LoadError::Empty);
        }
        let most = &self.limits.component.module;
        let contained = |read: &mut dyn FnMut() -> Result<Program, LoadError>| {
            let mut program = None;
            self.platform().contain(&mut || program = Some(read()));
            let panicked = "the validator panicked on it; please report the component";
            program.unwrap_or_else(|| Err(LoadError::refused(panicked)))
        };
        if wasm.starts_with(MODULE) {
            let info = ModuleInfo::read_inner(wasm, most, self.heap_left())?;
            let program =
                contained(&mut || read::read_module(wasm, &self.limits.component, &info))?;
            let infos = Vec::from([info]);
            check_sums(&self.limits, &program, &infos)?;
            return Ok((program, infos));
        }
        let program = contained(&mut || read::read(wasm, &self.limits.component))?;
        let mut infos: Vec<ModuleInfo> = Vec::with_capacity(program.modules.len());
        for (number, range) in program.modules.iter().enumerate() {
            let bytes = wasm.get(range.clone()).unwrap_or_default();
            let info = ModuleInfo::read_inner(bytes, most, self.heap_left());
            infos.push(info.map_err(|error| error.in_module(&name(number)))?);
        }
        check_sums(&self.limits, &program, &infos)?;
        check_growth(&program, &infos)?;
        Ok((program, infos))
    }

    /// Returns the bytes of heap that a plugin of this component takes.
    ///
    /// # Errors
    ///
    /// [`LoadError::DoesNotFit`] if that is more than there is.
    fn check_component_fits(
        &self,
        program: &Program,
        infos: &[ModuleInfo],
    ) -> Result<Footprint, LoadError> {
        let mut instances = Vec::from_iter(infos.iter().map(|_| 0u64));
        for step in &program.steps {
            if let Some(count) = instances.get_mut(step.module) {
                *count = count.saturating_add(1);
            }
        }
        // The component's own text, and what its sections became.
        let own = ModuleInfo::default().footprint(&self.limits);
        let mut sum = own;
        for (info, instances) in infos.iter().zip(instances) {
            sum = sum.linked_with(&info.footprint(&self.limits).times(instances));
        }
        let (needed, free) = (sum.to_run(), self.heap_left() as u64);
        if needed > free {
            return Err(LoadError::DoesNotFit { needed, free });
        }
        Ok(sum)
    }
}

/// Returns how errors name a core module.
fn name(number: usize) -> alloc::string::String {
    format!("core module {number}")
}

/// Checks what the core modules declare together, and what their instances begin with.
fn check_sums(limits: &Limits, program: &Program, infos: &[ModuleInfo]) -> Result<(), LoadError> {
    let most = &limits.component.module;
    let mut sums = [0u64; 11];
    for info in infos {
        for (sum, declared) in sums.iter_mut().zip(info.declared()) {
            *sum = sum.saturating_add(declared);
        }
    }
    let [_, _, declared @ ..] = sums;
    let (mut memory, mut table) = (0u64, 0u64);
    for step in &program.steps {
        if let Some([bytes, elements, ..]) = infos.get(step.module).map(ModuleInfo::declared) {
            memory = memory.saturating_add(bytes);
            table = table.saturating_add(elements);
        }
    }
    let sizes = [
        ("memory_bytes", limits.memory_bytes, memory),
        ("table_elements", limits.table_elements, table),
    ];
    let names = [
        ("component.module.types", most.types),
        ("component.module.imports", most.imports),
        ("component.module.exports", most.exports),
        ("component.module.functions", most.functions),
        ("component.module.small_functions", most.small_functions),
        ("component.module.tables", most.tables),
        ("component.module.globals", most.globals),
        ("component.module.segments", most.segments),
        ("component.module.elements", most.elements),
    ];
    let counts = names.into_iter().zip(declared);
    let counts = counts.map(|((name, limit), found)| (name, limit, found));
    for (name, limit, found) in sizes.into_iter().chain(counts) {
        let limit = limit as u64;
        if found > limit {
            return Err(LoadError::OverLimit { name, limit, found });
        }
    }
    Ok(())
}

/// Refuses a module that grows a memory which it imports with another maximum than the memory has. It grows a
/// memory in parts, after a look at the maximum that it declares: beyond the true one it would grow it by a
/// part of what it asks for.
fn check_growth(program: &Program, infos: &[ModuleInfo]) -> Result<(), LoadError> {
    let info = |step: &Instantiate| infos.get(step.module);
    for step in &program.steps {
        let Some(own) = info(step).filter(|own| own.changes.grows_in_parts) else {
            continue;
        };
        let declared = own.memories.first().and_then(|memory| memory.max_bytes);
        let mut at = step;
        while let Some(supplier) = supplier_of_memory(at, infos, &program.steps) {
            at = supplier;
        }
        let memory = info(at).and_then(|info| info.memories.first());
        if memory.is_some_and(|memory| memory.max_bytes != declared) {
            let error = LoadError::unsupported(
                "it grows a memory that it imports with another maximum than the memory has: declare the import with that maximum",
            );
            return Err(error.in_module(&name(step.module)));
        }
    }
    Ok(())
}

/// Returns the step that supplies the memory of a module, if it imports it.
fn supplier_of_memory<'s>(
    step: &Instantiate,
    infos: &[ModuleInfo],
    steps: &'s [Instantiate],
) -> Option<&'s Instantiate> {
    let mut imports = infos.get(step.module)?.imports.iter();
    let place = imports.position(|import| import.ty == Extern::Memory)?;
    match step.arguments.get(place)? {
        CoreItem::Export(supplier, _) => steps.get(*supplier),
        _ => None,
    }
}
