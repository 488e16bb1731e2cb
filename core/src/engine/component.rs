//! Reads and compiles components. Their core instances run in one store, so one engine of wasmi's has the code
//! of all modules.

use super::{
    Engine,
    compile::{in_module, rewritten},
};
use crate::{
    base::limits::Limits,
    component::{
        program::{CoreItem, Instantiate, Program},
        read::{self, Bounds},
    },
    error::LoadError,
    module::{Extern, Footprint, Machine, ModuleInfo},
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
    /// What it declares. Its start function is the export [`START`](crate::module::START): call that after the
    /// instance is made.
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
        let bounds = Bounds {
            limits: &self.limits.component,
            room: self.heap_left(),
        };
        if wasm.starts_with(MODULE) {
            let info = ModuleInfo::read_inner(wasm, most, self.heap_left())?;
            let program = contained(&mut || read::read_module(wasm, bounds, &info))?;
            let infos = Vec::from([info]);
            check_sums(&self.limits, &program, &infos)?;
            return Ok((program, infos));
        }
        let program = contained(&mut || read::read(wasm, bounds))?;
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

    /// Checks a component as [`load_component`](Self::load_component) does, but for grants and bodies of functions.
    pub(crate) fn check_component(&self, wasm: &[u8]) -> Result<(), LoadError> {
        let (program, infos) = self.read_component(wasm)?;
        self.check_component_fits(&program, &infos).map(drop)
    }

    /// Returns the most memory that a plugin of a component takes on this machine under `limits`, without compiling
    /// it. The limits of this engine bound what is read.
    ///
    /// # Errors
    ///
    /// Those of [`load_component`](Self::load_component), but for bodies of functions and grants, which are not
    /// looked at.
    pub fn component_footprint(
        &self,
        wasm: &[u8],
        limits: &Limits,
        machine: Machine,
    ) -> Result<Footprint, LoadError> {
        let (program, infos) = self.read_component(wasm)?;
        Ok(footprint_of(&program, &infos, limits, machine))
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
        let sum = footprint_of(program, infos, &self.limits, Machine::HERE);
        let (needed, free) = (sum.to_run(), self.heap_left() as u64);
        if needed > free {
            return Err(LoadError::DoesNotFit { needed, free });
        }
        Ok(sum)
    }
}

/// Returns the most memory that a plugin of this component takes on this machine under these limits.
fn footprint_of(
    program: &Program,
    infos: &[ModuleInfo],
    limits: &Limits,
    machine: Machine,
) -> Footprint {
    let mut instances = Vec::from_iter(infos.iter().map(|_| 0u64));
    for step in &program.steps {
        if let Some(count) = instances.get_mut(step.module) {
            *count = count.saturating_add(1);
        }
    }
    // The component's own text, and what its sections became.
    let mut sum = ModuleInfo::default().footprint_on(limits, machine);
    for (info, instances) in infos.iter().zip(instances) {
        sum = sum.linked_with(&info.footprint_on(limits, machine).times(instances));
    }
    sum
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use crate::module::START;
    use alloc::string::String;

    fn compile(text: &str) -> Result<CompiledComponent, LoadError> {
        compile_within(text, Limits::default())
    }

    fn compile_within(text: &str, limits: Limits) -> Result<CompiledComponent, LoadError> {
        Engine::new(limits).compile_component(&wat::parse_str(text).unwrap())
    }

    fn message(text: &str) -> String {
        format!("{}", compile(text).err().unwrap())
    }

    #[test]
    fn a_start_function_is_exported_and_not_run() {
        let compiled = compile(
            "(component (core module $m (func $f unreachable) (start $f))
                (core instance (instantiate $m)))",
        );
        let compiled = compiled.ok().unwrap();
        assert!(compiled.modules[0].info.start);
        assert!(compiled.modules[0].code.get_export(START).is_some());
    }

    #[test]
    fn core_modules_may_share_a_memory_which_counts_once() {
        let text = r#"(component
            (core module $owner (memory (export "m") 640))
            (core module $user (import "o" "m" (memory 1))
                (func (export "f") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2))))
            (core instance $o (instantiate $owner))
            (core instance (instantiate $user (with "o" (instance $o))))
            (core instance (instantiate $user (with "o" (instance $o)))))"#;
        let compiled = compile(text).ok().unwrap();
        assert_eq!(compiled.footprint.memory_at_start, 640 << 16);
        // Copying is split, though the import has 64 KiB and the module does not grow it.
        let wasm = wat::parse_str(text).unwrap();
        let (_, infos) = Engine::default().read_component(&wasm).ok().unwrap();
        assert!(infos[0].changes.edits() == 0 && infos[1].changes.edits() == 1);
        let two = text.replace(
            "(core instance (instantiate $user",
            "(core instance (instantiate $owner)) (core instance (instantiate $user",
        );
        let error = compile(&two).err().unwrap();
        assert!(
            matches!(
                error,
                LoadError::OverLimit {
                    name: "memory_bytes",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn a_memory_that_grows_has_to_be_imported_with_its_maximum() {
        let text = |declared: &str| {
            format!(
                r#"(component
                    (core module $owner (memory (export "m") 1 100))
                    (core module $through (import "o" "m" (memory 1)) (export "m" (memory 0)))
                    (core module $user (import "t" "m" (memory 1{declared}))
                        (func (export "f") (param i32) (result i32) (memory.grow (local.get 0))))
                    (core instance $o (instantiate $owner))
                    (core instance $t (instantiate $through (with "o" (instance $o))))
                    (core instance (instantiate $user (with "t" (instance $t)))))"#
            )
        };
        let error = message(&text(""));
        assert!(error.contains("core module 2"), "{error}");
        assert!(error.contains("maximum"), "{error}");
        // The module between would have to declare it too.
        let declared = text(" 100").replace("(memory 1))", "(memory 1 100))");
        assert!(compile(&declared).is_ok());
    }

    #[test]
    fn tail_calls_become_calls_and_returns() {
        let text = r#"(component (core module $m
            (type $t (func (param i32) (result i32)))
            (table 1 funcref) (elem (i32.const 0) $double)
            (func $double (type $t) (i32.mul (local.get 0) (i32.const 2)))
            (func (export "direct") (type $t) (return_call $double (i32.add (local.get 0) (i32.const 1))))
            (func (export "indirect") (type $t)
                (block (br_if 0 (i32.eqz (local.get 0))) (return_call_indirect (type $t) (local.get 0) (i32.const 0)))
                (i32.const 7)))
            (core instance (instantiate $m)))"#;
        let compiled = compile(text).ok().unwrap();
        let code = &compiled.modules[0].code;
        let mut store = wasmi::Store::new(code.engine(), ());
        store.set_fuel(100_000).unwrap();
        let instance = wasmi::Instance::new(&mut store, code, &[]).unwrap();
        for (name, argument, expected) in
            [("direct", 20, 42), ("indirect", 21, 42), ("indirect", 0, 7)]
        {
            let function = instance.get_typed_func::<i32, i32>(&store, name).unwrap();
            assert_eq!(
                function.call(&mut store, argument).unwrap(),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn names_of_interfaces_are_not_reserved() {
        let text = |name: &str| format!(r#"(component (core module (func (export "{name}"))))"#);
        assert!(compile(&text("hostel:a/b@1.0.0#f")).is_ok());
        let error = message(&text("hostel:start"));
        assert!(
            error.contains("core module 0") && error.contains("reserved"),
            "{error}"
        );
    }

    #[test]
    fn what_all_modules_declare_is_bounded_together() {
        let exports: String = (0..6_000)
            .map(|at| format!(r#"(export "e{at}" (global 0))"#))
            .collect();
        let module = format!("(core module (global i32 (i32.const 0)) {exports})");
        assert!(compile(&format!("(component {module})")).is_ok());
        let error = compile(&format!("(component {module} {module})"))
            .err()
            .unwrap();
        assert_eq!(
            error,
            LoadError::OverLimit {
                name: "component.module.exports",
                limit: 10_000,
                found: 12_000
            }
        );
    }

    #[test]
    fn a_component_that_does_not_fit_is_refused_by_all_its_instances() {
        let instances = |count: usize| {
            format!(
                "(component (core module $m (memory 2)) {})",
                "(core instance (instantiate $m))".repeat(count)
            )
        };
        let mut limits = Limits::device(1 << 20);
        limits.memory_bytes = 1 << 20;
        assert!(compile_within(&instances(3), limits).is_ok());
        let error = compile_within(&instances(8), limits).err().unwrap();
        assert!(matches!(error, LoadError::DoesNotFit { .. }), "{error}");
    }
}
