//! [`Whole`]: the core instances of a component, their index spaces joined.

use crate::{
    constant::{Constant, evaluate},
    error::LowerError,
    made::Op,
    module::Module,
    plan::{Import, Item, Plan, Step},
};
use std::collections::HashMap;
use wasmparser::{
    DataKind, ElementItems, ElementKind, ExternalKind, FuncType, FunctionBody, GlobalType,
    MemoryType, RefType, TableType, TypeRef,
};

/// Most bytes of core modules, each counted as often as it is instantiated.
const MOST_BYTES: usize = 64 << 20;

/// Most core instances.
const MOST_INSTANCES: usize = 10_000;

/// All that the core instances define and import. Everything has one number, whichever instances use it.
#[derive(Default)]
pub(crate) struct Whole<'a> {
    pub(crate) functions: Vec<Function<'a>>,
    pub(crate) tables: Vec<TableType>,
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) globals: Vec<Global>,
    pub(crate) elements: Vec<Elements>,
    pub(crate) data: Vec<Data<'a>>,
    pub(crate) parts: Vec<Part>,
    /// Functions that run when instances are made: the instance and the function.
    pub(crate) starts: Vec<(usize, usize)>,
    imports: HashMap<(String, String), usize>,
    allocating: HashMap<(usize, usize), usize>,
}

/// A core function.
pub(crate) struct Function<'a> {
    pub(crate) ty: FuncType,
    pub(crate) code: Code<'a>,
    pub(crate) name: Option<&'a str>,
}

/// What a function runs.
pub(crate) enum Code<'a> {
    /// A function of the host, which takes and gives values in these memories.
    Import {
        module: String,
        name: String,
        memories: Vec<usize>,
    },
    /// Code of the module of an instance.
    Body { part: usize, body: FunctionBody<'a> },
    /// Code that is no module's.
    Made(Vec<Op>),
    /// Another function.
    Same(usize),
    /// The import `import`, which allocates by the function `realloc`.
    Allocating { import: usize, realloc: usize },
    /// No function of a module: the reason.
    Refused(String),
}

/// A global variable.
pub(crate) struct Global {
    pub(crate) ty: GlobalType,
    pub(crate) value: Constant,
}

/// A segment of elements.
pub(crate) struct Elements {
    pub(crate) ty: RefType,
    pub(crate) items: Vec<Constant>,
    pub(crate) place: Place,
    pub(crate) part: usize,
}

/// A segment of data.
pub(crate) struct Data<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) place: Place,
    pub(crate) part: usize,
}

/// Where a segment goes when its instance is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Into this memory or table, at this address.
    At(usize, Constant),
    /// Nowhere: code copies it.
    Passive,
    /// Nowhere: it only declares functions.
    Declared,
}

/// A core instance: the numbers that its module's indices stand for.
#[derive(Default)]
pub(crate) struct Part {
    pub(crate) types: Vec<FuncType>,
    pub(crate) functions: Vec<usize>,
    pub(crate) tables: Vec<usize>,
    pub(crate) memories: Vec<usize>,
    pub(crate) globals: Vec<usize>,
    pub(crate) first_element: usize,
    pub(crate) first_data: usize,
    exports: HashMap<String, (ExternalKind, usize)>,
}

impl<'a> Whole<'a> {
    /// Joins the instances of a plan.
    ///
    /// # Errors
    ///
    /// [`LowerError`].
    pub(crate) fn join(plan: &Plan<'a>) -> Result<Self, LowerError> {
        LowerError::at_most("core instances", MOST_INSTANCES, plan.steps.len())?;
        let modules = plan.modules.iter().map(|wasm| wasm.len());
        let modules: Vec<_> = modules.collect();
        let mut bytes = 0_usize;
        for step in &plan.steps {
            bytes = bytes.saturating_add(modules.get(step.module).copied().unwrap_or(0));
        }
        LowerError::at_most("bytes in all core instances", MOST_BYTES, bytes)?;

        let mut parsed: HashMap<usize, Module<'a>> = HashMap::new();
        let mut whole = Self::default();
        for step in &plan.steps {
            let module = match parsed.remove(&step.module) {
                Some(module) => module,
                None => Module::parse(plan.modules.get(step.module).ok_or_else(out_of_range)?)?,
            };
            whole.instance(step, &module)?;
            parsed.insert(step.module, module);
        }
        Ok(whole)
    }

    /// Adds an instance.
    fn instance(&mut self, step: &Step, module: &Module<'a>) -> Result<(), LowerError> {
        let number = self.parts.len();
        let mut part = Part {
            types: module.types.clone(),
            first_element: self.elements.len(),
            first_data: self.data.len(),
            ..Part::default()
        };
        if step.arguments.len() != module.imports.len() {
            return Err(LowerError::invalid(
                "a core instance with too few or too many arguments",
            ));
        }
        for (argument, ty) in step.arguments.iter().zip(&module.imports) {
            self.argument(&mut part, argument, *ty)?;
        }
        for (at, ty) in module.functions.iter().enumerate() {
            let index = part.functions.len();
            part.functions.push(self.functions.len());
            self.functions.push(Function {
                ty: at_index(&module.types, *ty)?.clone(),
                code: Code::Body {
                    part: number,
                    body: module.bodies.get(at).ok_or_else(out_of_range)?.clone(),
                },
                name: u32::try_from(index)
                    .ok()
                    .and_then(|index| module.names.get(&index).copied()),
            });
        }
        for ty in &module.tables {
            part.tables.push(self.tables.len());
            self.tables.push(*ty);
        }
        for ty in &module.memories {
            part.memories.push(self.memories.len());
            self.memories.push(*ty);
        }
        for (ty, value) in &module.globals {
            let value = self.value(&part, value)?;
            part.globals.push(self.globals.len());
            self.globals.push(Global { ty: *ty, value });
        }
        self.segments(number, &part, module)?;
        if let Some(start) = module.start {
            self.starts
                .push((number, *at_index(&part.functions, start)?));
        }
        for (name, (kind, index)) in &module.exports {
            let space = match kind {
                ExternalKind::Func | ExternalKind::FuncExact => &part.functions,
                ExternalKind::Table => &part.tables,
                ExternalKind::Memory => &part.memories,
                ExternalKind::Global => &part.globals,
                ExternalKind::Tag => return Err(LowerError::unsupported("it has exceptions")),
            };
            let what = *at_index(space, *index)?;
            part.exports.insert((*name).to_owned(), (*kind, what));
        }
        self.parts.push(part);
        Ok(())
    }

    /// Adds what an instance is given for an import of this type.
    fn argument(&mut self, part: &mut Part, item: &Item, ty: TypeRef) -> Result<(), LowerError> {
        match ty {
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                let ty = at_index(&part.types, ty)?.clone();
                let function = match item {
                    Item::Export(..) => self.exported(item, ExternalKind::Func)?,
                    Item::Import(import) => self.import(import, ty)?,
                    Item::Refused(why) => self.add(ty, Code::Refused(why.clone())),
                };
                part.functions.push(function);
            }
            TypeRef::Table(_) => {
                part.tables.push(self.exported(item, ExternalKind::Table)?);
            }
            TypeRef::Memory(_) => {
                let memory = self.exported(item, ExternalKind::Memory)?;
                part.memories.push(memory);
            }
            TypeRef::Global(_) => {
                let global = self.exported(item, ExternalKind::Global)?;
                part.globals.push(global);
            }
            TypeRef::Tag(_) => return Err(LowerError::unsupported("it has exceptions")),
        }
        Ok(())
    }

    /// Returns the number of an instance's export.
    pub(crate) fn exported(&self, item: &Item, kind: ExternalKind) -> Result<usize, LowerError> {
        let Item::Export(step, name) = item else {
            return Err(LowerError::invalid("a host function where none can be"));
        };
        let part = self.parts.get(*step).ok_or_else(out_of_range)?;
        match part.exports.get(name) {
            Some((found, number)) if *found == kind => Ok(*number),
            _ => Err(LowerError::invalid(format!(
                "core instance {step} has no such export as `{name}`"
            ))),
        }
    }

    /// Returns the function of an item that the result exports.
    pub(crate) fn function(&self, item: &Item) -> Result<usize, LowerError> {
        match item {
            Item::Export(..) => self.exported(item, ExternalKind::Func),
            Item::Import(Import { module, name, .. }) => {
                let known = self.imports.get(&(module.clone(), name.clone()));
                known.copied().ok_or_else(|| {
                    LowerError::unsupported(format!(
                        "it exports its import `{module}` `{name}`, and no code of it calls that"
                    ))
                })
            }
            Item::Refused(why) => Err(LowerError::unsupported(why.clone())),
        }
    }

    /// Returns the function of the host of this name, whose type is `ty`.
    fn import(&mut self, import: &Import, ty: FuncType) -> Result<usize, LowerError> {
        let memory = import.memory.as_ref();
        let memory = memory.map(|item| self.exported(item, ExternalKind::Memory));
        let memory = memory.transpose()?;
        let key = (import.module.clone(), import.name.clone());
        let number = match self.imports.get(&key) {
            Some(known) => *known,
            None => {
                let code = Code::Import {
                    module: import.module.clone(),
                    name: import.name.clone(),
                    memories: Vec::new(),
                };
                let number = self.add(ty.clone(), code);
                self.imports.insert(key, number);
                number
            }
        };
        let function = self.functions.get_mut(number).ok_or_else(out_of_range)?;
        if function.ty != ty {
            return Err(LowerError::unsupported(format!(
                "it imports `{}` `{}` with two types",
                import.module, import.name
            )));
        }
        if let Code::Import { memories, .. } = &mut function.code {
            memories.extend(memory.filter(|memory| !memories.contains(memory)));
        }
        let Some(realloc) = &import.realloc else {
            return Ok(number);
        };
        let realloc = self.exported(realloc, ExternalKind::Func)?;
        if let Some(known) = self.allocating.get(&(number, realloc)) {
            return Ok(*known);
        }
        let code = Code::Allocating {
            import: number,
            realloc,
        };
        let allocating = self.add(ty, code);
        self.allocating.insert((number, realloc), allocating);
        Ok(allocating)
    }

    /// Adds a function that is no module's, and returns its number.
    pub(crate) fn add(&mut self, ty: FuncType, code: Code<'a>) -> usize {
        self.functions.push(Function {
            ty,
            code,
            name: None,
        });
        self.functions.len() - 1
    }

    /// Returns the function that runs if this one is called.
    pub(crate) fn target(&self, function: usize) -> usize {
        let mut found = function;
        // There are no circles.
        while let Some(Code::Same(other)) = self.functions.get(found).map(|function| &function.code)
        {
            found = *other;
        }
        found
    }

    fn segments(
        &mut self,
        number: usize,
        part: &Part,
        module: &Module<'a>,
    ) -> Result<(), LowerError> {
        for segment in &module.elements {
            let place = match &segment.kind {
                ElementKind::Passive => Place::Passive,
                ElementKind::Declared => Place::Declared,
                ElementKind::Active {
                    table_index,
                    offset_expr,
                } => Place::At(
                    *at_index(&part.tables, table_index.unwrap_or(0))?,
                    self.value(part, offset_expr)?,
                ),
            };
            let (ty, mut items) = (RefType::FUNCREF, Vec::new());
            let ty = match &segment.items {
                ElementItems::Functions(functions) => {
                    for function in functions.clone() {
                        let function = *at_index(&part.functions, function?)?;
                        items.push(Constant::Function(function));
                    }
                    ty
                }
                ElementItems::Expressions(ty, values) => {
                    for value in values.clone() {
                        items.push(self.value(part, &value?)?);
                    }
                    *ty
                }
            };
            self.elements.push(Elements {
                ty,
                items,
                place,
                part: number,
            });
        }
        for segment in &module.data {
            let place = match &segment.kind {
                DataKind::Passive => Place::Passive,
                DataKind::Active {
                    memory_index,
                    offset_expr,
                } => Place::At(
                    *at_index(&part.memories, *memory_index)?,
                    self.value(part, offset_expr)?,
                ),
            };
            self.data.push(Data {
                bytes: segment.data,
                place,
                part: number,
            });
        }
        Ok(())
    }

    fn value(
        &self,
        part: &Part,
        expression: &wasmparser::ConstExpr<'_>,
    ) -> Result<Constant, LowerError> {
        let function = |index| at_index(&part.functions, index).ok().copied();
        let global = |index| {
            let number = at_index(&part.globals, index).ok()?;
            self.globals.get(*number).map(|global| global.value)
        };
        evaluate(expression, function, global)
    }
}

/// Returns the entry of an index of a module.
pub(crate) fn at_index<T>(space: &[T], index: u32) -> Result<&T, LowerError> {
    let at = usize::try_from(index).ok();
    at.and_then(|at| space.get(at)).ok_or_else(out_of_range)
}

/// Modules are validated before they are joined.
pub(crate) fn out_of_range() -> LowerError {
    LowerError::invalid("an index out of range")
}
