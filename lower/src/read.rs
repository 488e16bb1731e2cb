//! A component's program becomes a [`Plan`]: its canonical functions get the names that wit-bindgen gives them
//! in core modules.

use crate::{
    error::LowerError,
    names::ResourceName,
    plan::{Import, Item, Plan, Step},
};
use hostel_core::component::{
    FunctionTypeId, ResourceId, Type, TypeId, Types,
    program::{Callee, ComponentInstance, CoreItem, Encoding, Lifted, Options, Program, Resource},
};
use std::collections::{HashMap, HashSet};

/// Returns the plan of a component that exports these resources, and the encoding of its strings.
///
/// # Errors
///
/// [`LowerError::Unsupported`] if a module's exports can't be the component's.
pub(crate) fn plan<'a>(
    wasm: &'a [u8],
    program: &Program,
    exported: &HashMap<ResourceId, ResourceName>,
) -> Result<(Plan<'a>, Encoding), LowerError> {
    let mut reader = Reader {
        program,
        exported,
        plan: Plan::default(),
        encoding: None,
        handles: None,
    };
    for range in &program.modules {
        let module = wasm.get(range.clone()).unwrap_or_default();
        reader.plan.modules.push(module);
    }
    for step in &program.steps {
        let arguments = step.arguments.iter().map(|item| reader.item(item));
        let arguments = arguments.collect::<Result<_, _>>()?;
        reader.plan.steps.push(Step {
            module: step.module,
            arguments,
        });
    }
    for export in &program.exports {
        let name = exported_name(export.interface.as_deref(), &export.name);
        let Callee::Lifted(lifted) = export.function else {
            return Err(LowerError::unsupported(format!(
                "`{name}` is an import that it exports again, and no function of its own"
            )));
        };
        let lifted = program.lifted.get(lifted).ok_or_else(missing)?;
        reader.export(name, lifted)?;
    }
    let mut destructors: Vec<_> = exported.iter().collect();
    destructors.sort_unstable_by_key(|(id, _)| **id);
    for (id, resource) in destructors {
        if let Some(Resource::Defined {
            destructor: Some(destructor),
            ..
        }) = entry(&program.resources, *id)
        {
            let name = format!("{}#[dtor]{}", resource.interface, resource.name);
            let destructor = reader.item(destructor)?;
            reader.plan.exports.push((name, destructor));
        }
    }
    let encoding = reader.encoding.unwrap_or_default();
    Ok((reader.plan, encoding))
}

struct Reader<'p, 'a> {
    program: &'p Program,
    exported: &'p HashMap<ResourceId, ResourceName>,
    plan: Plan<'a>,
    /// The encoding of all strings, if there were any.
    encoding: Option<Encoding>,
    /// The component instance that has handles, if there were any.
    handles: Option<ComponentInstance>,
}

impl Reader<'_, '_> {
    /// Adds an exported function.
    fn export(&mut self, name: String, lifted: &Lifted) -> Result<(), LowerError> {
        self.values(lifted.ty, &lifted.options, lifted.instance)?;
        let core = self.item(&lifted.core)?;
        let Options {
            memory,
            realloc,
            post_return,
            ..
        } = &lifted.options;
        if let Some(memory) = memory {
            let memory = self.item(memory)?;
            self.plan.memories.push(memory);
        }
        if let Some(realloc) = realloc {
            let realloc = self.item(realloc)?;
            self.plan.reallocs.push(realloc);
        }
        if let Some(post_return) = post_return {
            let post_return = self.item(post_return)?;
            let name = format!("cabi_post_{name}");
            self.plan.exports.push((name, post_return));
        }
        self.plan.exports.push((name, core));
        Ok(())
    }

    fn item(&mut self, item: &CoreItem) -> Result<Item, LowerError> {
        match item {
            CoreItem::Export(step, name) => Ok(Item::Export(*step, name.to_string())),
            CoreItem::Lowered(lowered) => self.lowered(*lowered),
            CoreItem::ResourceNew(resource, instance) => self.handle("new", *resource, *instance),
            CoreItem::ResourceRep(resource, instance) => self.handle("rep", *resource, *instance),
            CoreItem::ResourceDrop(resource, instance) => self.handle("drop", *resource, *instance),
            CoreItem::BuiltIn(number) => {
                let function = self.program.built_ins.get(*number).ok_or_else(missing)?;
                Ok(Item::Refused(format!(
                    "it calls `{}`, which is for asynchronous functions, and a module has no name for it: build it without `async`",
                    function.name
                )))
            }
        }
    }

    fn lowered(&mut self, lowered: usize) -> Result<Item, LowerError> {
        let program = self.program;
        let lowered = program.lowered.get(lowered).ok_or_else(missing)?;
        let Callee::Import(import) = lowered.callee else {
            return Ok(Item::Refused(
                "one component in it calls another, and copies values between their memories: lower each on its own".to_owned(),
            ));
        };
        let import = program.imports.get(import).ok_or_else(missing)?;
        self.values(lowered.ty, &lowered.options, lowered.instance)?;
        let memory = lowered.options.memory.as_ref();
        let realloc = lowered.options.realloc.as_ref();
        Ok(Item::Import(Import {
            module: module_name(import.interface.as_deref()),
            name: import.name.to_string(),
            memory: memory
                .map(|item| self.item(item))
                .transpose()?
                .map(Box::new),
            realloc: realloc
                .map(|item| self.item(item))
                .transpose()?
                .map(Box::new),
        }))
    }

    /// Returns the function that makes, looks up or drops a handle.
    fn handle(
        &mut self,
        does: &str,
        id: ResourceId,
        instance: ComponentInstance,
    ) -> Result<Item, LowerError> {
        let program = self.program;
        let (module, name) = match entry(&program.resources, id).ok_or_else(missing)? {
            Resource::Imported(import) => {
                let import = program.imports.get(*import).ok_or_else(missing)?;
                (module_name(import.interface.as_deref()), &*import.name)
            }
            Resource::Defined { .. } => {
                let Some(ResourceName { interface, name }) = self.exported.get(&id) else {
                    return Ok(Item::Refused(
                        "it uses a resource that it defines and does not export, and a module has no name for that: export the resource".to_owned(),
                    ));
                };
                (format!("[export]{interface}"), &**name)
            }
        };
        self.has_handles(instance)?;
        Ok(Item::Import(Import {
            module,
            name: format!("[resource-{does}]{name}"),
            memory: None,
            realloc: None,
        }))
    }

    /// Checks that one module can exchange the values of such a function.
    fn values(
        &mut self,
        ty: FunctionTypeId,
        options: &Options,
        instance: ComponentInstance,
    ) -> Result<(), LowerError> {
        let content = Content::of(&self.program.types, ty);
        if content.handles {
            self.has_handles(instance)?;
        }
        if content.strings && *self.encoding.get_or_insert(options.encoding) != options.encoding {
            return Err(LowerError::unsupported(
                "its strings have several encodings, and those of a module have one",
            ));
        }
        Ok(())
    }

    fn has_handles(&mut self, instance: ComponentInstance) -> Result<(), LowerError> {
        if *self.handles.get_or_insert(instance) != instance {
            return Err(LowerError::unsupported(
                "several components in it have handles to resources, and the handles of a module are in one table: lower each on its own",
            ));
        }
        Ok(())
    }
}

/// What is in the values of a function.
#[derive(Default)]
struct Content {
    strings: bool,
    handles: bool,
}

impl Content {
    fn of(types: &Types, function: FunctionTypeId) -> Self {
        let mut content = Self::default();
        let function = types.function(function);
        let mut open: Vec<TypeId> = function.params.to_vec();
        open.extend(function.result);
        let mut seen = HashSet::new();
        while let Some(ty) = open.pop() {
            if !seen.insert(ty) {
                continue;
            }
            match types.get(ty) {
                Type::String => content.strings = true,
                Type::Own(_) | Type::Borrow(_) => content.handles = true,
                Type::List(element) | Type::FixedList(element, _) | Type::Option(element) => {
                    open.push(*element);
                }
                Type::Record(fields) => open.extend(fields.iter().map(|(_, ty)| *ty)),
                Type::Tuple(fields) => open.extend(fields.iter().copied()),
                Type::Variant(cases) => open.extend(cases.iter().filter_map(|(_, ty)| *ty)),
                Type::Result(ok, err) => open.extend([*ok, *err].into_iter().flatten()),
                _ => {}
            }
        }
        content
    }
}

/// Returns the entry of a resource.
fn entry(resources: &[Resource], id: ResourceId) -> Option<&Resource> {
    resources.get(usize::try_from(id.number()).ok()?)
}

/// Returns the module of an import.
fn module_name(interface: Option<&str>) -> String {
    interface.unwrap_or("$root").to_owned()
}

/// Returns the name of an exported function.
fn exported_name(interface: Option<&str>, name: &str) -> String {
    match interface {
        Some(interface) => format!("{interface}#{name}"),
        None => name.to_owned(),
    }
}

/// The reader gives out numbers of what is there only.
fn missing() -> LowerError {
    LowerError::invalid("a number of the component's program leads nowhere")
}
