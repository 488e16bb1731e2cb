//! [`Engine::load_linked`]: links several modules by name to one plugin.

use super::Plugin;
use crate::{
    abi::{Convention, native},
    base::text::{listed, text},
    engine::{Engine, LinkedModule},
    error::{LoadError, Mismatch},
    grants::{self, Grants},
    host_functions::Binding,
    instance::{Linked, Other, Supplier, instantiate},
    module::{Extern, Footprint, ModuleInfo},
};
use alloc::{format, sync::Arc, vec::Vec};

/// Modules that fit together, and the convention of their plugin.
struct Fitting<'a> {
    /// Each after those that supply its imports, the main one last.
    modules: Vec<LinkedModule<'a>>,
    convention: Convention,
    footprint: Footprint,
}

impl Engine {
    /// Links `modules`, each with its name, to one plugin called `name`. An import from a module of one of
    /// these names is the function that this module exports; [`Grants`] supply all other imports.
    ///
    /// The plugin's exports are those of its main module: the one named `main`, or else the last. Each module
    /// keeps its own memory, and the host functions that it calls work on that. All share the data of the
    /// instance, the budget of each call, and the limits: those of memories, tables and of the modules' sizes
    /// hold for the sum. There are at most 64 modules. Their start functions, and then `_initialize` or
    /// `__wasm_call_ctors`, run when an instance is made, a module's before those of the modules that need it.
    ///
    /// A module that exports `_start` is a program. Each call of it from another module runs as in a new instance:
    /// its memory and globals are reset before, and its start function runs. A call traps if its memory has
    /// grown in an earlier one, since memories don't shrink.
    ///
    /// Used instances are not reset: each request runs in a new one. Memories are on the heap. Traps don't name
    /// functions. One module is loaded as by [`load`](Self::load).
    ///
    /// ```
    /// # let parse = |text: &str| wat::parse_str(text);
    /// let math = parse(r#"(module (func (export "double") (param i32) (result i32)
    ///     (i32.mul (local.get 0) (i32.const 2))))"#)?;
    /// let main = parse(r#"(module (import "math" "double" (func $double (param i32) (result i32)))
    ///     (func (export "f") (param i32) (result i32) (call $double (local.get 0))))"#)?;
    /// use hostel_core::{Engine, Grants};
    /// let modules = [("math", &*math), ("main", &*main)];
    /// let plugin = Engine::default().load_linked("doubler", &modules, &Grants::new())?;
    /// assert_eq!(plugin.call::<(u32,), u32>("f", (21,))?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`LoadError::Linking`] if two modules have one name, if modules import from each other in a cycle, if
    /// there are none or too many, or if one supplies imports of others that is a program and can't be set
    /// back: it has more than 16 MiB of memory, or changes tables, drops segments or keeps references.
    /// [`LoadError::InModule`] with what [`load`](Self::load) would report of one of them.
    // Not inlined, so that the compiler's native stack does not come on top of the caller's.
    #[inline(never)]
    pub fn load_linked<T: 'static>(
        &self,
        name: &str,
        modules: &[(&str, &[u8])],
        grants: &Grants<T>,
    ) -> Result<Plugin<T>, LoadError> {
        if let [(_, wasm)] = modules {
            return self.load(name, wasm, grants);
        }
        let engine = &self
            .bounded_by(grants)
            .map_or_else(|| self.linking(), |own| own.linking());
        let Fitting {
            modules,
            convention,
            footprint,
        } = engine.fitting(modules, grants)?;
        let grants = grants.clone().with_convention(convention);
        let mut bound = Vec::with_capacity(modules.len());
        let mut bindings = Vec::new();
        for module in &modules {
            let suppliers = suppliers(&module.info, &modules, &grants, convention)?;
            bindings.extend(suppliers.iter().filter_map(host_function));
            bound.push(suppliers);
        }
        let (compiled, code) = engine.compile_linked(modules)?;
        let others = compiled.into_iter().zip(bound);
        let mut others: Vec<_> = others
            .map(|(compiled, imports)| Other { compiled, imports })
            .collect();
        let Some(main) = others.pop() else {
            return Err(LoadError::linking(format_args!("there is none")));
        };
        let protocol = grants.protocol_of(&main.compiled.info);
        let linked = Linked {
            others,
            main: main.imports,
            instantiate,
        };
        let code = Arc::new(code);
        let mut plugin = Plugin::new(
            engine,
            name,
            main.compiled.info,
            code,
            bindings,
            protocol,
            grants.sink(),
        );
        plugin.link(linked, &footprint);
        Ok(plugin)
    }

    /// Checks `modules` as [`load_linked`](Self::load_linked) does, without compiling them. Returns what each
    /// declares, in the order in which they are instantiated: the main one is the last.
    ///
    /// # Errors
    ///
    /// Those of [`load_linked`](Self::load_linked), except for faults in the bodies of functions, which are
    /// found when these are compiled.
    #[inline(never)]
    pub fn check_linked<T: 'static>(
        &self,
        modules: &[(&str, &[u8])],
        grants: &Grants<T>,
    ) -> Result<Vec<ModuleInfo>, LoadError> {
        if let [(_, wasm)] = modules {
            return Ok([self.check(wasm, grants)?].into());
        }
        let engine = self
            .bounded_by(grants)
            .map_or_else(|| self.linking(), |own| own.linking());
        let fitting = engine.fitting(modules, grants)?;
        Ok(fitting
            .modules
            .into_iter()
            .map(|module| module.info)
            .collect())
    }

    /// Reads modules, and checks that they fit together, and to the grants.
    fn fitting<'a, T: 'static>(
        &self,
        modules: &[(&'a str, &'a [u8])],
        grants: &Grants<T>,
    ) -> Result<Fitting<'a>, LoadError> {
        let modules = self.read_linked(modules)?;
        let convention = grants.convention_of_all(modules.iter().rev().map(|module| &module.info));
        let grants = grants.clone().with_convention(convention);
        let main = modules.len().saturating_sub(1);
        for (at, module) in modules.iter().enumerate() {
            module.check_program(&modules)?;
            let mismatches = mismatches(module, &modules, &grants, at == main);
            if !mismatches.is_empty() {
                return Err(LoadError::Mismatch(mismatches).in_module(module.name));
            }
        }
        let footprint = self.check_linked_fit(&modules)?;
        Ok(Fitting {
            modules,
            convention,
            footprint,
        })
    }
}

/// Returns the module that supplies an import of `own`.
fn supplier<'m>(
    module: &str,
    name: &str,
    modules: &'m [LinkedModule<'_>],
) -> Option<(usize, &'m Extern)> {
    let mut modules = modules.iter().enumerate();
    let (at, found) = modules.find(|(_, other)| other.name == module)?;
    Some((at, found.exported(name)?))
}

/// Returns the imports and exports of a module that do not fit.
fn mismatches<T: 'static>(
    module: &LinkedModule<'_>,
    modules: &[LinkedModule<'_>],
    grants: &Grants<T>,
    is_main: bool,
) -> Vec<Mismatch> {
    let mut found = Vec::new();
    let mut of_host = ModuleInfo::default();
    for import in &module.info.imports {
        match supplier(&import.module, &import.name, modules) {
            None => of_host.imports.push(import.clone()),
            Some((_, ty)) if *ty == import.ty && matches!(ty, Extern::Function(_)) => {}
            Some((_, ty @ Extern::Function(_))) => found.push(Mismatch::ImportType {
                module: import.module.clone(),
                name: import.name.clone(),
                expected: text(format_args!("{ty}, as the module of this name exports it")),
                found: text(format_args!("{}", import.ty)),
            }),
            Some((_, ty)) => found.push(Mismatch::ImportKind {
                module: import.module.clone(),
                name: import.name.clone(),
                found: ty.kind(),
            }),
        }
    }
    let needs = grants::check_imports(&of_host, grants, &mut found);
    for mismatch in &mut found {
        if let Mismatch::UnknownImport { module, hint, .. } = mismatch
            && let Some(other) = modules.iter().find(|other| other.name == &**module)
        {
            let names = listed(other.info.function_names());
            *hint = format!("the module of this name exports: {names}").into();
        }
    }
    match grants.protocol_of(&module.info) {
        Some(protocol) if is_main => protocol.check_exports(&module.info, &mut found),
        Some(_) => {}
        None => native::check_exports(&module.info, needs, &mut found),
    }
    if !is_main {
        // Only the main module needs functions to be called.
        found.retain(|mismatch| !matches!(mismatch, Mismatch::MissingExport { name, .. } if &**name == "process"));
    }
    found.extend(grants::conflicting_imports(&module.info));
    found
}

/// Returns what supplies each import of a module, in their order.
fn suppliers<T: 'static>(
    info: &ModuleInfo,
    modules: &[LinkedModule<'_>],
    grants: &Grants<T>,
    convention: Convention,
) -> Result<Vec<Supplier<T>>, LoadError> {
    let mut suppliers = Vec::with_capacity(info.imports.len());
    for import in &info.imports {
        suppliers.push(match supplier(&import.module, &import.name, modules) {
            Some((at, _)) => Supplier::Module(at, import.name.clone()),
            None => Supplier::Host(grants.bind_import(convention, import)?),
        });
    }
    Ok(suppliers)
}

fn host_function<T>(supplier: &Supplier<T>) -> Option<Arc<Binding<T>>> {
    match supplier {
        Supplier::Host(binding) => Some(binding.clone()),
        Supplier::Module(..) => None,
    }
}
