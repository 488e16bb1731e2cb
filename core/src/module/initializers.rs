//! Finds the exports that initialise an instance.

use super::{Extern, ModuleInfo};
use alloc::vec::Vec;
use wasmparser::{ExternalKind, FunctionBody, Operator, Parser, Payload};

/// The export that initialises a reactor.
pub(crate) const REACTOR: &str = "_initialize";

/// The export that runs the constructors of C, C++ and Rust, if the linker was told to export it.
pub(crate) const CONSTRUCTORS: &str = "__wasm_call_ctors";

/// The export that runs a command.
pub(crate) const COMMAND: &str = "_start";

/// How the names begin under which a module is run whose state is read for a snapshot. Underscores
/// may come before it.
pub(crate) const EXPOSED: &str = "state: ";

/// The exports that initialise an instance. The start function is none of them: it runs before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Initializers {
    /// The export that runs when an instance is made: `_initialize` or `__wasm_call_ctors`.
    pub(crate) at_start: Option<&'static str>,
    /// Whether `_start` runs before any other export is called.
    pub(crate) command: bool,
}

impl Initializers {
    /// Finds those of `wasm`, which was read into `info`.
    ///
    /// * A reactor's `_initialize` does all: it runs the constructors too.
    /// * `__wasm_call_ctors` is left to the module if one of its functions calls it. With crt1 of
    ///   wasi-libc, `_start` does.
    /// * `_start` is left out if each export begins with the call that `_start` begins with. `wasm-ld`
    ///   links commands so if crt1 does not call the constructors: each export then does.
    pub(super) fn find(wasm: &[u8], info: &ModuleInfo) -> Self {
        let defines = |name| {
            let export = info.export_named(name);
            export
                .is_some_and(|export| !export.imported && matches!(export.ty, Extern::Function(_)))
        };
        if defines(REACTOR) {
            return Self {
                at_start: Some(REACTOR),
                command: false,
            };
        }
        let (constructors, command) = (defines(CONSTRUCTORS), defines(COMMAND));
        if !constructors && !command {
            return Self::default();
        }
        let calls = Calls::read(wasm, info).unwrap_or_default();
        Self {
            at_start: (constructors && !calls.constructors_called).then_some(CONSTRUCTORS),
            command: command && calls.others && !matches!(calls.entry, Entry::Call(_)),
        }
    }
}

/// The calls that tell how a module is initialised.
#[derive(Default)]
struct Calls {
    /// The index of `__wasm_call_ctors`.
    constructors: Option<u32>,
    /// Whether the start function is, or a function calls, `__wasm_call_ctors`.
    constructors_called: bool,
    /// Whether functions other than `_start` are exported.
    others: bool,
    /// The indices of the exported functions, in ascending order.
    exported: Vec<u32>,
    entry: Entry,
}

/// The first operators of the exported functions.
#[derive(Default)]
enum Entry {
    /// None was read.
    #[default]
    Unread,
    /// All call the function of this index.
    Call(u32),
    /// Not all call one function.
    Other,
}

impl Calls {
    /// Reads them. `None` if a part of the module can't be read.
    fn read(wasm: &[u8], info: &ModuleInfo) -> Option<Self> {
        let mut calls = Self::default();
        let imports = info.imports.iter();
        let imported = imports.filter(|import| matches!(import.ty, Extern::Function(_)));
        let mut index = u32::try_from(imported.count()).ok()?;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.ok()? {
                Payload::ExportSection(section) => {
                    for export in section {
                        calls.export(&export.ok()?);
                    }
                    calls.exported.sort_unstable();
                    if calls.exported.first().is_some_and(|first| *first < index) {
                        // A re-exported import does not begin with any call.
                        calls.entry = Entry::Other;
                    }
                }
                Payload::StartSection { func, .. } => {
                    calls.constructors_called |= calls.constructors == Some(func);
                }
                Payload::CodeSectionEntry(body) => {
                    calls.body(&body, index)?;
                    index = index.checked_add(1)?;
                }
                _ => {}
            }
        }
        Some(calls)
    }

    fn export(&mut self, export: &wasmparser::Export<'_>) {
        let exposed = export.name.trim_start_matches('_').starts_with(EXPOSED);
        if export.kind != ExternalKind::Func || exposed {
            return;
        }
        if export.name == CONSTRUCTORS {
            self.constructors = Some(export.index);
        }
        self.others |= export.name != COMMAND;
        self.exported.push(export.index);
    }

    /// Reads the body of the function `index`.
    fn body(&mut self, body: &FunctionBody<'_>, index: u32) -> Option<()> {
        let is_exported = self.exported.binary_search(&index).is_ok();
        if !is_exported && self.constructors.is_none() {
            return Some(());
        }
        let mut operators = body.get_operators_reader().ok()?;
        if is_exported {
            self.entry = match (operators.clone().read().ok()?, &self.entry) {
                (Operator::Call { function_index }, Entry::Unread) => Entry::Call(function_index),
                (Operator::Call { function_index }, Entry::Call(first))
                    if *first == function_index =>
                {
                    Entry::Call(function_index)
                }
                _ => Entry::Other,
            };
        }
        // A call of itself does not make it run.
        let Some(constructors) = self
            .constructors
            .filter(|constructors| *constructors != index)
        else {
            return Some(());
        };
        while !self.constructors_called && !operators.eof() {
            let operator = operators.read().ok()?;
            self.constructors_called = matches!(
                operator,
                Operator::Call { function_index } if function_index == constructors
            );
        }
        Some(())
    }
}
