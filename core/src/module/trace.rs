//! Makes a module keep the names of the functions that run, for a trap to tell.
//!
//! wasmi tells nothing of the guest's functions after a trap. So each function is changed to keep a
//! global up to date: the numbers of the innermost functions, [`BITS`] bits each, the innermost lowest.
//!
//! * At its entry, a function puts its own number below its caller's, and keeps the result in a local.
//! * After each call, it sets the global from that local.
//!
//! That costs seven operators an entry, and two a call, so it is done only where it is asked for. The
//! result is a valid module, which is then checked, measured and changed as any other.

use super::rewrite::{leb128, length, longer, next_section, section, sized};
use alloc::{boxed::Box, vec::Vec};
use wasmparser::{
    BinaryReader, ExternalKind, FunctionBody, KnownCustom, Name, Operator, Parser, Payload, TypeRef,
};

/// Bits of a function's number, plus 1. Functions beyond have the number 0, which is none.
const BITS: u8 = 21;
const MASK: u64 = (1 << BITS) - 1;

const GLOBAL_SECTION: u8 = 6;
const CODE_SECTION: u8 = 10;

/// A mutable global of type i64 that starts with 0.
const GLOBAL: [u8; 5] = [0x7e, 1, 0x42, 0, 0x0b];

/// The names of a module's functions.
#[derive(Debug)]
pub(crate) struct FunctionNames(Vec<(u32, Box<str>)>);

impl FunctionNames {
    /// Reads the names that the module has for its functions: its own, or else those of its exports. Those that
    /// can't be read are left out.
    pub(crate) fn read(wasm: &[u8]) -> Self {
        let mut names = Vec::new();
        let mut exports = Vec::new();
        for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
            if let Payload::ExportSection(section) = &payload {
                let exported = section.clone().into_iter().map_while(Result::ok);
                let functions = exported.filter(|export| export.kind == ExternalKind::Func);
                exports.extend(functions.map(|export| (export.index, export.name.into())));
            }
            let Payload::CustomSection(section) = payload else {
                continue;
            };
            let KnownCustom::Name(subsections) = section.as_known() else {
                continue;
            };
            for subsection in subsections.map_while(Result::ok) {
                if let Name::Function(map) = subsection {
                    let named = map.into_iter().map_while(Result::ok);
                    names.extend(named.map(|naming| (naming.index, naming.name.into())));
                }
            }
        }
        // The sort is stable, so that a function's own name comes before those of its exports.
        names.append(&mut exports);
        names.sort_by_key(|(index, _)| *index);
        names.dedup_by_key(|(index, _)| *index);
        Self(names)
    }

    /// Returns the functions that the global's value tells of, the outermost first.
    pub(crate) fn told(&self, value: u64) -> Box<[Box<str>]> {
        let numbers = [2 * BITS, BITS, 0].map(|shift| value >> shift & MASK);
        let index = |number: u64| u32::try_from(number.checked_sub(1)?).ok();
        let indices = numbers.into_iter().filter_map(index);
        indices.map(|index| self.name(index)).collect()
    }

    fn name(&self, index: u32) -> Box<str> {
        let found = self.0.binary_search_by_key(&index, |(index, _)| *index);
        match found.ok().and_then(|at| self.0.get(at)) {
            Some((_, name)) => name.clone(),
            None => alloc::format!("function {index}").into(),
        }
    }
}

/// What has to be known of a module before its functions are changed.
#[derive(Default)]
struct Declared {
    /// The number of parameters of each type.
    params: Vec<u32>,
    /// The type of each function, the imported ones first.
    functions: Vec<u32>,
    imported_functions: u32,
    /// The number of globals, imported and own.
    globals: u32,
}

impl Declared {
    fn read(wasm: &[u8]) -> Option<Self> {
        let mut declared = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.ok()? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        let params = ty.ok()?.params().len();
                        declared.params.push(u32::try_from(params).ok()?);
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section {
                        match import.ok()?.ty {
                            TypeRef::Func(ty) => declared.functions.push(ty),
                            TypeRef::Global(_) => {
                                declared.globals = declared.globals.checked_add(1)?;
                            }
                            _ => {}
                        }
                    }
                    let imported = declared.functions.len();
                    declared.imported_functions = u32::try_from(imported).ok()?;
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        declared.functions.push(ty.ok()?);
                    }
                }
                Payload::GlobalSection(section) => {
                    declared.globals = declared.globals.checked_add(section.count())?;
                }
                Payload::CodeSectionStart { .. } => break,
                _ => {}
            }
        }
        Some(declared)
    }

    /// Returns the number of parameters of the function `index`.
    fn params(&self, index: u32) -> Option<u32> {
        let ty = self.functions.get(usize::try_from(index).ok()?)?;
        self.params.get(usize::try_from(*ty).ok()?).copied()
    }
}

/// Returns `wasm`, which is valid, changed to keep its trace. `None` if it defines no functions.
pub(crate) fn traced(wasm: &[u8]) -> Option<Vec<u8>> {
    let declared = Declared::read(wasm)?;
    let mut out = Vec::with_capacity(wasm.len().saturating_mul(2));
    let mut reader = BinaryReader::new(wasm, 0);
    out.extend_from_slice(reader.read_bytes(8).ok()?);
    let (mut has_global, mut has_code) = (false, false);
    while !reader.eof() {
        let (id, start, contents) = next_section(&mut reader)?;
        if !has_global && id > GLOBAL_SECTION {
            longer(&mut out, GLOBAL_SECTION, &[0], 1, &GLOBAL)?;
            has_global = true;
        }
        match id {
            GLOBAL_SECTION => {
                longer(&mut out, id, contents, 1, &GLOBAL)?;
                has_global = true;
            }
            CODE_SECTION => {
                section(&mut out, id, &code(contents, start, &declared)?);
                has_code = true;
            }
            _ => section(&mut out, id, contents),
        }
    }
    has_code.then_some(out)
}

/// Returns a code section's contents with all functions changed.
fn code(contents: &[u8], start: usize, declared: &Declared) -> Option<Vec<u8>> {
    let mut reader = BinaryReader::new(contents, start);
    let count = reader.read_var_u32().ok()?;
    let mut out = Vec::with_capacity(contents.len().saturating_mul(2));
    leb128(&mut out, count);
    for number in 0..count {
        let (start, body) = sized(&mut reader)?;
        let index = declared.imported_functions.checked_add(number)?;
        let changed = function(body, start, index, declared)?;
        leb128(&mut out, length(&changed));
        out.extend_from_slice(&changed);
    }
    Some(out)
}

/// Returns the body of the function `index`, which starts at `start`, changed.
fn function(body: &[u8], start: usize, index: u32, declared: &Declared) -> Option<Vec<u8>> {
    let function = FunctionBody::new(BinaryReader::new(body, start));
    let mut locals = function.get_locals_reader().ok()?;
    let groups = locals.get_count();
    let before = locals.original_position();
    let mut local = declared.params(index)?;
    for _ in 0..groups {
        local = local.checked_add(locals.read().ok()?.0)?;
    }
    let at = |position: usize| position.checked_sub(start);
    let groups_end = at(locals.original_position())?;
    let mut out = Vec::with_capacity(body.len().saturating_mul(2));
    leb128(&mut out, groups.checked_add(1)?);
    out.extend_from_slice(body.get(at(before)?..groups_end)?);
    out.extend_from_slice(&[1, 0x7e]);

    // What its caller set, moved up, with its own number below.
    out.push(0x23);
    leb128(&mut out, declared.globals);
    out.extend_from_slice(&[0x42, BITS, 0x86, 0x42]);
    let number = u64::from(index).checked_add(1)?;
    signed_leb128(&mut out, if number <= MASK { number } else { 0 });
    out.extend_from_slice(&[0x84, 0x22]);
    leb128(&mut out, local);
    out.push(0x24);
    leb128(&mut out, declared.globals);

    let mut operators = function.get_operators_reader().ok()?;
    let mut copied = groups_end;
    while !operators.eof() {
        let operator = operators.read().ok()?;
        if matches!(
            operator,
            Operator::Call { .. } | Operator::CallIndirect { .. }
        ) {
            let end = at(operators.original_position())?;
            out.extend_from_slice(body.get(copied..end)?);
            copied = end;
            out.push(0x20);
            leb128(&mut out, local);
            out.push(0x24);
            leb128(&mut out, declared.globals);
        }
    }
    out.extend_from_slice(body.get(copied..)?);
    Some(out)
}

/// Writes a number of few bits, which is not negative, as a signed one.
fn signed_leb128(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x40 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}
