//! Core instances, and core functions that lift, lower or are about resources.

use super::{
    asynchronous,
    inline::Inliner,
    missed, over,
    scope::{CoreInstance, Item, Names, entry},
};
use crate::{
    component::program::{
        BuiltIn, Callee, CoreItem, Encoding, Instantiate, Lifted, Lowered, Options,
    },
    error::LoadError,
};
use alloc::vec::Vec;
use component_parser::{CanonicalFunction, CanonicalOption, ExternalKind};

impl<'a> Inliner<'a> {
    /// Makes a core instance.
    pub(super) fn core_instance(
        &mut self,
        scope: usize,
        instance: component_parser::Instance<'a>,
    ) -> Result<(), LoadError> {
        let made = match instance {
            component_parser::Instance::Instantiate { module_index, args } => {
                let own = self.scope(scope)?;
                let module = entry(&own.modules, module_index)?;
                let component = own.instance;
                let mut suppliers = Vec::with_capacity(args.len());
                for argument in &args {
                    let supplier = entry(&own.core_instances, argument.index)?;
                    suppliers.push((argument.name, supplier));
                }
                let suppliers = Names::new(suppliers.into_iter());
                let imports = &self.modules.get(module).ok_or_else(missed)?.imports;
                let imports = imports.clone();
                let mut arguments = Vec::new();
                for (from, name) in imports {
                    let supplier = suppliers.get(from)?;
                    arguments.push(self.core_export(supplier, name)?);
                }
                let found = self.program.steps.len().saturating_add(1);
                if found > self.limits.instances {
                    return Err(over("component.instances", self.limits.instances, found));
                }
                self.program.steps.push(Instantiate {
                    module,
                    arguments,
                    instance: component,
                    initializer: None,
                });
                CoreInstance::Made(found.saturating_sub(1))
            }
            component_parser::Instance::FromExports(exports) => {
                let own = self.scope(scope)?;
                let mut items = Vec::with_capacity(exports.len());
                for export in &exports {
                    let list = match export.kind {
                        ExternalKind::Func | ExternalKind::FuncExact => &own.core_functions,
                        ExternalKind::Table => &own.core_tables,
                        ExternalKind::Memory => &own.core_memories,
                        ExternalKind::Global => &own.core_globals,
                        ExternalKind::Tag => return Err(missed()),
                    };
                    items.push((export.name, entry(list, export.index)?));
                }
                for (_, item) in &items {
                    self.spend(size_of_item(item))?;
                }
                self.loose.push(Names::new(items.into_iter()));
                CoreInstance::Loose(self.loose.len().saturating_sub(1))
            }
        };
        self.spend(size_of::<CoreInstance>())?;
        self.scope_mut(scope)?.core_instances.push(made);
        Ok(())
    }

    /// Returns the export of this name.
    pub(super) fn core_export(
        &mut self,
        from: CoreInstance,
        name: &str,
    ) -> Result<CoreItem, LoadError> {
        let item = match from {
            CoreInstance::Made(step) => CoreItem::Export(step, name.into()),
            CoreInstance::Loose(list) => self.loose.get(list).ok_or_else(missed)?.get(name)?,
        };
        self.spend(size_of_item(&item))?;
        Ok(item)
    }

    /// Adds a function that lifts or lowers, or that is about resources.
    pub(super) fn canonical(
        &mut self,
        scope: usize,
        function: CanonicalFunction,
    ) -> Result<(), LoadError> {
        let instance = self.scope(scope)?.instance;
        let item = match function {
            CanonicalFunction::Lift {
                core_func_index,
                type_index,
                options,
            } => {
                let core = entry(&self.scope(scope)?.core_functions, core_func_index)?;
                self.spend(size_of::<Lifted>().saturating_add(size_of_item(&core)))?;
                let lifted = Lifted {
                    core,
                    ty: self.type_of_function(scope, type_index, None)?,
                    options: self.options(scope, &options)?,
                    instance,
                };
                let number = self.program.lifted.len();
                self.program.lifted.push(lifted);
                return self.add(scope, Item::Function(Callee::Lifted(number)));
            }
            CanonicalFunction::Lower {
                func_index,
                options,
            } => {
                let callee = entry(&self.scope(scope)?.functions, func_index)?;
                self.spend(size_of::<Lowered>())?;
                let lowered = Lowered {
                    callee,
                    ty: self.function_type_of(callee)?,
                    options: self.options(scope, &options)?,
                    instance,
                };
                let number = self.program.lowered.len();
                self.program.lowered.push(lowered);
                CoreItem::Lowered(number)
            }
            CanonicalFunction::ResourceNew { resource } => {
                CoreItem::ResourceNew(self.resource_type(scope, resource)?, instance)
            }
            CanonicalFunction::ResourceRep { resource } => {
                CoreItem::ResourceRep(self.resource_type(scope, resource)?, instance)
            }
            CanonicalFunction::ResourceDrop { resource } => {
                CoreItem::ResourceDrop(self.resource_type(scope, resource)?, instance)
            }
            other => {
                let built_in = self.built_in(scope, other, instance)?;
                self.spend(size_of::<BuiltIn>())?;
                self.program.built_ins.push(built_in);
                CoreItem::BuiltIn(self.program.built_ins.len().saturating_sub(1))
            }
        };
        self.spend(size_of::<CoreItem>())?;
        self.scope_mut(scope)?.core_functions.push(item);
        Ok(())
    }

    fn options(&mut self, scope: usize, options: &[CanonicalOption]) -> Result<Options, LoadError> {
        let own = self.scope(scope)?;
        let mut read = Options::default();
        for option in options {
            match *option {
                CanonicalOption::UTF8 => read.encoding = Encoding::Utf8,
                CanonicalOption::UTF16 => read.encoding = Encoding::Utf16,
                CanonicalOption::CompactUTF16 => read.encoding = Encoding::Latin1OrUtf16,
                CanonicalOption::Memory(index) => {
                    read.memory = Some(entry(&own.core_memories, index)?);
                }
                CanonicalOption::Realloc(index) => {
                    read.realloc = Some(entry(&own.core_functions, index)?);
                }
                CanonicalOption::PostReturn(index) => {
                    read.post_return = Some(entry(&own.core_functions, index)?);
                }
                CanonicalOption::Async | CanonicalOption::Callback(_) => {
                    return Err(asynchronous("a function with the option `async`"));
                }
                CanonicalOption::CoreType(_) | CanonicalOption::Gc => return Err(missed()),
            }
        }
        let items = [&read.memory, &read.realloc, &read.post_return];
        for item in items.into_iter().flatten() {
            self.spend(size_of_item(item))?;
        }
        Ok(read)
    }
}

/// Returns the bytes that an item takes.
fn size_of_item(item: &CoreItem) -> usize {
    let name = match item {
        CoreItem::Export(_, name) => name.len(),
        _ => 0,
    };
    size_of::<CoreItem>().saturating_add(name)
}
