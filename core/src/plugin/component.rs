//! [`Engine::load_component`], and calls of components.

use super::Plugin;
use crate::{
    base::text::text,
    component::{
        Lift, LowerParts, Types, Value,
        contract::Function,
        machine::{Bound, Supply},
        program::{ImportKind, Program},
    },
    engine::{Code, CompiledComponent, Engine},
    error::{CallError, LoadError, Mismatch},
    grants::Grants,
    instance::{Component, PendingCall},
    module::{Export, Extern, Import, ModuleInfo},
};
use alloc::{boxed::Box, string::ToString, sync::Arc, vec::Vec};
use core::{any::TypeId, future::Future, marker::PhantomData};

impl Engine {
    /// Checks and compiles a component to a plugin called `name`, with `grants` and nothing else. Its pool, budgets
    /// and limits are those of any other plugin; it is called by [`Plugin::call_component`].
    ///
    /// A core module with a world in its section `component-type`, as wit-bindgen leaves it, is loaded as the component
    /// that wit-component would make of it.
    ///
    /// Limits hold for the sum of its core modules.
    ///
    /// # Errors
    ///
    /// [`LoadError::Mismatch`] lists every import that does not fit the grants; the other variants say which limit the
    /// component exceeds, or what is invalid in it. Nothing of a refused component is kept.
    // Not inlined, so that the compiler's native stack does not come on top of the caller's.
    #[inline(never)]
    pub fn load_component<T: 'static>(
        &self,
        name: &str,
        wasm: &[u8],
        grants: &Grants<T>,
    ) -> Result<Plugin<T>, LoadError> {
        let own = self.bounded_by(grants);
        let engine = own.as_deref().unwrap_or(self).for_components();
        let CompiledComponent {
            mut program,
            modules,
            footprint,
        } = engine.compile_component(wasm)?;
        supply_resources(&mut program, grants);
        let supplies = supplies(&program, grants)?;
        let code = match modules.first() {
            Some(module) => module.code.clone(),
            None => engine.compile_once(EMPTY)?,
        };
        let modules = modules
            .into_iter()
            .map(|module| (module.info, module.code))
            .collect();
        let has_imports = !program.imports.is_empty();
        let bound = Bound::new(program, modules, supplies, engine.limits().component)?;
        let mut plugin = Plugin::new(
            &engine,
            name,
            Arc::new(ModuleInfo::default()),
            Arc::new(Code::of_linked(code)),
            Vec::new(),
            None,
            grants.sink(),
        );
        // A plugin that was just loaded has no other handle.
        if let Some(loaded) = Arc::get_mut(&mut plugin.loaded) {
            loaded.bound(&footprint, has_imports);
            loaded.run_component(Component::new(bound, wasm.len()));
        }
        Ok(plugin)
    }
}

/// A module without anything.
const EMPTY: &[u8] = b"\0asm\x01\0\0\0";

/// Notes the Rust types that stand for the resources that a component imports.
fn supply_resources<T: 'static>(program: &mut Program, grants: &Grants<T>) {
    for import in &program.imports {
        if let ImportKind::Resource(resource) = import.kind {
            let granted = grants.component_resource(import.interface.as_deref(), &import.name);
            let rust = granted.map_or(TypeId::of::<()>(), |granted| granted.rust_type());
            program.types.supply(resource, &import.name, rust);
        }
    }
}

/// Returns what supplies each import of a component, in its order.
fn supplies<T: 'static>(
    program: &Program,
    grants: &Grants<T>,
) -> Result<Vec<Supply<T>>, LoadError> {
    let mut found = Vec::new();
    let mut supplies = Vec::with_capacity(program.imports.len());
    for import in &program.imports {
        let interface = import.interface.as_deref();
        supplies.push(match import.kind {
            ImportKind::Resource(_) => {
                let granted = grants.component_resource(interface, &import.name);
                if granted.is_none() {
                    found.extend(unknown_resource(grants, interface, &import.name));
                }
                Supply::Resource(granted)
            }
            ImportKind::Function(ty) => {
                let ty = program.types.function(ty);
                let module = interface.unwrap_or("$root");
                match grants.component_function(interface, &import.name) {
                    Some(function) if function.fits(&program.types, ty) => {
                        Supply::Function(function)
                    }
                    _ if grants.is_stubbed(module, &import.name) => Supply::Trap,
                    Some(function) => {
                        found.push(Mismatch::ImportType {
                            module: module.into(),
                            name: import.name.clone(),
                            expected: function.shown().into(),
                            found: program.types.show_function(ty),
                        });
                        Supply::Trap
                    }
                    None => {
                        found.push(Mismatch::UnknownImport {
                            module: module.into(),
                            name: import.name.clone(),
                            found: program.types.show_function(ty),
                            hint: grants.component_hint(module),
                        });
                        Supply::Trap
                    }
                }
            }
        });
    }
    found.extend(unequal_resources(program, grants));
    if found.is_empty() {
        Ok(supplies)
    } else {
        Err(LoadError::Mismatch(found))
    }
}

/// Returns why the grants have no such resource; `None` if they stub it, or if WASI has the interface: its handles are
/// checked at each use.
fn unknown_resource<T: 'static>(
    grants: &Grants<T>,
    interface: Option<&str>,
    name: &str,
) -> Option<Mismatch> {
    let module = interface.unwrap_or("$root");
    if grants.is_of_wasi(module) {
        return None;
    }
    if let Some(function) = grants.component_function(interface, name) {
        return Some(Mismatch::ImportType {
            module: module.into(),
            name: name.into(),
            expected: function.shown().into(),
            found: "resource".into(),
        });
    }
    (!grants.is_stubbed(module, name)).then(|| Mismatch::UnknownImport {
        module: module.into(),
        name: name.into(),
        found: "resource".into(),
        hint: grants.component_hint(module),
    })
}

/// Returns the imported resources that the component takes for others of the embedder's than they are.
fn unequal_resources<T: 'static>(program: &Program, grants: &Grants<T>) -> Vec<Mismatch> {
    let mut found = Vec::new();
    for equal in &program.equal_resources {
        let interface = equal.interface.as_deref();
        let granted = grants.component_resource(interface, &equal.name);
        // An interface need not grant again what it uses of another one.
        let Some(rust) = granted.map(|granted| granted.rust_type()) else {
            continue;
        };
        if !program.types.is_supplied_by(equal.resource, rust) {
            found.push(Mismatch::ImportType {
                module: interface.unwrap_or("$root").into(),
                name: equal.name.clone(),
                expected: "a resource of its own".into(),
                found: text(format_args!(
                    "the resource {}",
                    program.types.resource_name(equal.resource)
                )),
            });
        }
    }
    found
}

/// Returns what a component declares: imports and exports with their interfaces, and the memories and tables of its
/// core instances.
pub(super) fn declared<T: 'static>(component: &Component<T>) -> ModuleInfo {
    let bound = &component.bound;
    let program = &bound.program;
    let ty =
        |ty| Extern::ComponentFunction(program.types.show_function(program.types.function(ty)));
    let modules = bound.modules.iter().map(|(info, _)| &**info);
    let mut declared = ModuleInfo::default();
    declared.size = component.size;
    declared.functions = modules
        .clone()
        .fold(0, |sum, info| sum.saturating_add(info.functions));
    declared.start = modules.into_iter().any(|info| info.start);
    for import in &program.imports {
        declared.imports.push(Import {
            module: import.interface.as_deref().unwrap_or("$root").into(),
            name: import.name.clone(),
            ty: match import.kind {
                ImportKind::Function(of) => ty(of),
                ImportKind::Resource(_) => Extern::Resource,
            },
        });
    }
    for (export, function) in program.exports.iter().zip(program.exported()) {
        declared.exports.push(Export {
            name: text(format_args!("{function}")),
            ty: ty(export.ty),
            imported: Program::runs(export).is_none(),
        });
    }
    for step in &program.steps {
        if let Some((info, _)) = bound.modules.get(step.module) {
            declared.memories.extend(info.own_memories());
            declared.tables.extend(info.own_tables());
        }
    }
    declared
}

/// What a component imports and exports.
#[derive(Clone, Copy)]
pub struct Contract<'a> {
    program: &'a Program,
}

impl<'a> Contract<'a> {
    /// Returns the component's types.
    #[must_use]
    pub const fn types(&self) -> &'a Types {
        &self.program.types
    }

    /// Returns the functions that it exports, in its order.
    pub fn exports(&self) -> impl Iterator<Item = Function<'a>> + use<'a> {
        self.program.exported()
    }

    /// Returns the functions that it imports, in its order.
    pub fn imports(&self) -> impl Iterator<Item = Function<'a>> + use<'a> {
        self.program.imported()
    }

    /// Returns the exported function of this name; see [`Plugin::call_component`].
    #[must_use]
    pub fn export(&self, name: &str) -> Option<Function<'a>> {
        let number = self.program.export_named(name)?;
        self.program.exported().nth(number)
    }
}

impl core::fmt::Debug for Contract<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list()
            .entries(self.exports().map(|function| function.to_string()))
            .finish()
    }
}

impl<T: 'static> Plugin<T> {
    /// Returns what the component imports and exports; `None` for a module.
    #[must_use]
    pub fn contract(&self) -> Option<Contract<'_>> {
        let program = self.loaded.program()?;
        Some(Contract { program })
    }

    /// Looks up the export `name` of a component and checks its type, for calls that skip both; see
    /// [`call_component`](Self::call_component).
    ///
    /// # Errors
    ///
    /// [`CallError::UnknownExport`] if no function has this name; [`CallError::ExportType`] if its type is not one
    /// for `P` and `R`.
    pub fn component_function<P, R>(
        &self,
        name: &str,
    ) -> Result<ComponentFunction<P, R, T>, CallError>
    where
        P: LowerParts,
        R: Lift,
    {
        Ok(ComponentFunction {
            plugin: self.clone(),
            name: name.into(),
            export: self.loaded.typed_component_export::<P, R>(name)?,
            types: PhantomData,
        })
    }
}

impl<T: Default + 'static> Plugin<T> {
    /// Calls the export `name` of a component in an instance of its own; see
    /// [`Instance::call_component`](crate::Instance::call_component).
    ///
    /// # Errors
    ///
    /// As for [`Instance::call_component`](crate::Instance::call_component) and
    /// [`with_instance`](Self::with_instance).
    pub fn call_component<P, R>(&self, name: &str, params: P) -> Result<R, CallError>
    where
        P: LowerParts,
        R: Lift,
    {
        let export = self.loaded.typed_component_export::<P, R>(name)?;
        self.with_instance(|instance| instance.call_component_export(export, name, &params))
    }

    /// As [`call_component`](Self::call_component), with values whose types are known only at run time.
    ///
    /// # Errors
    ///
    /// As for [`Instance::call_component_values`](crate::Instance::call_component_values) and
    /// [`with_instance`](Self::with_instance).
    pub fn call_component_values(
        &self,
        name: &str,
        params: &[Value],
    ) -> Result<Option<Value>, CallError> {
        self.loaded.component_export(name)?;
        self.with_instance(|instance| instance.call_component_values(name, params))
    }

    /// Prepares a [`call_component`](Self::call_component), to run by steps or to await, the instance's start
    /// included: see [`PendingCall`].
    ///
    /// # Errors
    ///
    /// The call ends with the result of [`call_component`](Self::call_component).
    pub fn call_component_async<'a, P, R>(
        &'a self,
        name: &'a str,
        params: P,
    ) -> PendingCall<impl Future<Output = Result<R, CallError>> + use<'a, T, P, R>>
    where
        P: LowerParts + 'a,
        R: Lift + 'a,
    {
        PendingCall::begin(|pace| async move {
            let mut taken = self.take_paced(&pace, None).await?;
            let call = taken.instance.call_component_paced(name, params, pace);
            let result = call.await;
            self.return_to_pool(taken);
            result
        })
    }

    /// Prepares a [`call_component_values`](Self::call_component_values), to run by steps or to await, the
    /// instance's start included: see [`PendingCall`].
    ///
    /// # Errors
    ///
    /// The call ends with the result of [`call_component_values`](Self::call_component_values).
    pub fn call_component_values_async<'a>(
        &'a self,
        name: &'a str,
        params: &'a [Value],
    ) -> PendingCall<impl Future<Output = Result<Option<Value>, CallError>> + use<'a, T>> {
        PendingCall::begin(|pace| async move {
            let mut taken = self.take_paced(&pace, None).await?;
            let instance = &mut taken.instance;
            let result = instance
                .call_component_values_paced(name, params, pace)
                .await;
            self.return_to_pool(taken);
            result
        })
    }
}

/// An export of a component, looked up and checked once. Each call has an instance of its own, the budget of the
/// plugin's handle, and the fuel, results and errors of [`Plugin::call_component`].
pub struct ComponentFunction<P, R, T: 'static = ()> {
    plugin: Plugin<T>,
    name: Box<str>,
    /// Its number among the component's exports.
    export: usize,
    types: PhantomData<fn(P) -> R>,
}

impl<P: LowerParts, R: Lift, T: Default + 'static> ComponentFunction<P, R, T> {
    /// Calls the function in an instance of its own.
    ///
    /// # Errors
    ///
    /// As for [`Plugin::call_component`].
    pub fn call(&self, params: P) -> Result<R, CallError> {
        let Self {
            plugin,
            name,
            export,
            ..
        } = self;
        plugin.with_instance(|instance| instance.call_component_export(*export, name, &params))
    }
}

impl<P: LowerParts, R: Lift, T: 'static> ComponentFunction<P, R, T> {
    /// Calls the function in `instance`, which must be one of its plugin's.
    ///
    /// # Errors
    ///
    /// As for [`Instance::call_component`](crate::Instance::call_component), and [`CallError::OtherInstance`] if
    /// `instance` is another plugin's; then nothing has run.
    pub fn call_in(
        &self,
        instance: &mut crate::instance::Instance<T>,
        params: P,
    ) -> Result<R, CallError> {
        if !self.plugin.owns(instance) {
            return Err(CallError::OtherInstance {
                name: self.name.clone(),
            });
        }
        instance.call_component_export(self.export, &self.name, &params)
    }
}

impl<P, R, T> Clone for ComponentFunction<P, R, T> {
    fn clone(&self) -> Self {
        Self {
            plugin: self.plugin.clone(),
            name: self.name.clone(),
            export: self.export,
            types: PhantomData,
        }
    }
}

impl<P, R, T> core::fmt::Debug for ComponentFunction<P, R, T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ComponentFunction")
            .field("plugin", &self.plugin.name())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
