//! Makes a module tell when its functions begin and end, and what wasmi charges for them.
//!
//! The module imports [`EVENT`]. After all other changes, so that wasmi charges what it does without this, calls of it
//! are added: where a function begins and ends, where wasmi opens a group that it charges at once, and around each
//! call of a host function. Each tells what the calls that were added to its group cost, to be taken off. A custom section
//! can name further positions in the code, whose calls tell that they are reached.

use super::{
    code::value_type,
    groups::encoded,
    rewrite::{
        Changes, leb128, leb128_i64, length, longer, next_section, offsets_after, section, sized,
    },
};
use alloc::{vec, vec::Vec};
use wasmparser::{BinaryReader, FunctionBody, Operator, Parser, Payload, TypeRef};

/// The import that is called: `(i32 kind and function, i32 added, i32 cost) -> ()`.
pub(crate) const EVENT: (&str, &str) = ("hostel-profile", "event");

/// The custom section that names positions: their number, and for each how many bytes of the module lie between it and
/// the one before, all as u32 of LEB128. The first one's bytes are those before it.
pub(crate) const POSITIONS: &str = "hostel-profile.positions";

/// The bits of a function's or a position's index below its event's kind.
pub(crate) const INDEX_BITS: u32 = 24;

/// The kinds of events.
pub(crate) const ENTER: u32 = 0;
pub(crate) const EXIT: u32 = 1;
pub(crate) const GROUP: u32 = 2;
pub(crate) const CALL_HOST: u32 = 3;
pub(crate) const HOST_RETURNS: u32 = 4;
pub(crate) const POSITION: u32 = 5;

/// The fuel of a call that is added: three constants and the call itself.
const ADDED: u32 = 4;

const TYPE_SECTION: u8 = 1;
const CODE_SECTION: u8 = 10;

/// What has to be known of a module before its functions are changed.
#[derive(Default)]
struct Declared {
    /// The results of each type, as they are written; `None` for those that a block can't have.
    results: Vec<Option<Vec<u8>>>,
    /// The type of each function, the imported ones first.
    functions: Vec<u32>,
    imported: u32,
    event: u32,
    /// The types of blocks that are added.
    added: Vec<Vec<u8>>,
    /// The offsets of the positions, in ascending order.
    positions: Vec<usize>,
}

/// Reads the positions that a module names, as offsets in it. `None` if they do not ascend, or are too many or in
/// another format.
fn positions(wasm: &[u8]) -> Option<Vec<usize>> {
    let mut positions = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::CustomSection(section) = payload.ok()? else {
            continue;
        };
        if section.name() != POSITIONS {
            continue;
        }
        let mut reader = BinaryReader::new(section.data(), 0);
        let mut at = 0usize;
        for _ in 0..reader.read_var_u32().ok()? {
            let next = at.checked_add(usize::try_from(reader.read_var_u32().ok()?).ok()?)?;
            // Each has a byte of code of its own, so that they make no module much larger.
            (next > at).then(|| positions.push(next))?;
            at = next;
        }
    }
    (positions.len() < 1 << INDEX_BITS).then_some(positions)
}

impl Declared {
    fn read(wasm: &[u8]) -> Option<Self> {
        let mut declared = Self::default();
        let mut event = None;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.ok()? {
                Payload::TypeSection(section) => {
                    for ty in section.into_iter_err_on_gc_types() {
                        let results = ty.ok()?;
                        let results = results.results().iter();
                        let written = results.map(|ty| encoded(value_type(*ty)));
                        declared.results.push(written.collect());
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section {
                        let import = import.ok()?;
                        if let TypeRef::Func(ty) = import.ty {
                            if (import.module, import.name) == EVENT {
                                event = Some(declared.imported);
                            }
                            declared.functions.push(ty);
                            declared.imported = declared.imported.checked_add(1)?;
                        }
                    }
                }
                Payload::FunctionSection(section) => {
                    for ty in section {
                        declared.functions.push(ty.ok()?);
                    }
                }
                Payload::CodeSectionStart { .. } => break,
                _ => {}
            }
        }
        declared.event = event?;
        Some(declared)
    }

    /// Returns the type of a block with the results of the function `index`, as it is written.
    fn block_type(&mut self, index: u32) -> Option<Vec<u8>> {
        let ty = *self.functions.get(usize::try_from(index).ok()?)?;
        let results = self.results.get(usize::try_from(ty).ok()?)?.clone()?;
        Some(match &*results {
            [] => vec![0x40],
            [result] => vec![*result],
            _ => {
                let found = self.added.iter().position(|known| *known == results);
                let at = found.unwrap_or_else(|| {
                    self.added.push(results);
                    self.added.len().saturating_sub(1)
                });
                let mut written = Vec::new();
                let index = self.results.len().checked_add(at)?;
                leb128_i64(&mut written, u64::try_from(index).ok()?);
                written
            }
        })
    }

    /// Returns the types that are added, as they are written.
    fn types(&self) -> Vec<u8> {
        let mut types = Vec::new();
        for results in &self.added {
            types.extend_from_slice(&[0x60, 0]);
            leb128(&mut types, length(results));
            types.extend_from_slice(results);
        }
        types
    }
}

/// Returns `wasm`, which is valid, changed to tell of its functions: it is `original` with `changes` made. `None` if it
/// does not import [`EVENT`], or has tail calls, or a list of positions that can't be read.
pub(crate) fn profiled(wasm: &[u8], original: &[u8], changes: &Changes) -> Option<Vec<u8>> {
    let mut declared = Declared::read(wasm)?;
    declared.positions = offsets_after(original, changes, positions(original)?);
    let code = changed_code(wasm, &mut declared)?;
    let mut out = Vec::with_capacity(wasm.len().saturating_mul(3));
    let mut reader = BinaryReader::new(wasm, 0);
    out.extend_from_slice(reader.read_bytes(8).ok()?);
    while !reader.eof() {
        let (id, _, contents) = next_section(&mut reader)?;
        match id {
            TYPE_SECTION => {
                longer(
                    &mut out,
                    id,
                    contents,
                    declared.added.len(),
                    &declared.types(),
                )?;
            }
            CODE_SECTION => section(&mut out, id, &code),
            _ => section(&mut out, id, contents),
        }
    }
    Some(out)
}

/// Returns the contents of the code section with all functions changed.
fn changed_code(wasm: &[u8], declared: &mut Declared) -> Option<Vec<u8>> {
    let mut sections = BinaryReader::new(wasm, 0);
    sections.read_bytes(8).ok()?;
    let mut out = Vec::new();
    while !sections.eof() {
        let (id, start, contents) = next_section(&mut sections)?;
        if id != CODE_SECTION {
            continue;
        }
        let mut reader = BinaryReader::new(contents, start);
        let count = reader.read_var_u32().ok()?;
        leb128(&mut out, count);
        for number in 0..count {
            let (start, body) = sized(&mut reader)?;
            let index = declared.imported.checked_add(number)?;
            let changed = function(body, start, index, declared)?;
            leb128(&mut out, length(&changed));
            out.extend_from_slice(&changed);
        }
    }
    Some(out)
}

/// A group of operators that wasmi charges at once.
#[derive(Clone, Copy, Default)]
struct Group {
    /// The fuel of the calls that are added to it.
    added: u32,
    /// Its own fuel.
    cost: u32,
}

impl Group {
    /// A group without operators, for which wasmi charges too.
    const NEW: Self = Self { added: 0, cost: 1 };
}

/// A call that is added before the operator at an offset: its kind, the function or position that it tells of, and its
/// group.
struct Added {
    at: usize,
    kind: u32,
    function: u32,
    group: usize,
}

/// An enclosing block; the outermost one is added around the function's body.
#[derive(Clone, Copy)]
struct Frame {
    group: usize,
    /// Whether code before it reaches it.
    entered: bool,
    /// Whether its end is reached by a branch, or from before its `else`.
    branched: bool,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Block,
    Loop,
    /// An `if` without `else`, so far, whose end is reached if the condition is false.
    If,
    /// An `if` whose condition is known to be true, without `else` so far.
    Taken,
    /// A block in code that is never reached.
    Unreached,
}

/// Follows the blocks of a function as wasmi does: it charges operators that are never reached too, but opens no groups
/// among them.
struct Walk {
    groups: Vec<Group>,
    frames: Vec<Frame>,
    reached: bool,
    /// The constant that the last operator pushed.
    constant: Option<i32>,
    calls: Vec<Added>,
}

impl Walk {
    fn new(function: u32, at: usize) -> Self {
        let mut walk = Self {
            groups: Vec::new(),
            frames: Vec::new(),
            reached: true,
            constant: None,
            calls: Vec::new(),
        };
        let group = walk.new_group();
        walk.frames.push(Frame {
            group,
            entered: true,
            branched: false,
            kind: Kind::Block,
        });
        walk.add(at, ENTER, function);
        walk
    }

    fn new_group(&mut self) -> usize {
        self.groups.push(Group::NEW);
        self.groups.len().saturating_sub(1)
    }

    /// Returns the group of the next operator.
    fn group(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.group)
    }

    /// Adds a call before the operator at an offset.
    fn add(&mut self, at: usize, kind: u32, function: u32) {
        let group = self.group();
        if let Some(group) = self.groups.get_mut(group) {
            group.added = group.added.saturating_add(ADDED);
        }
        self.calls.push(Added {
            at,
            kind,
            function,
            group,
        });
    }

    fn charge(&mut self, cost: u32) {
        let group = self.group();
        if let Some(group) = self.groups.get_mut(group) {
            group.cost = group.cost.saturating_add(cost);
        }
    }

    fn push(&mut self, group: usize, kind: Kind) {
        self.frames.push(Frame {
            group,
            entered: self.reached,
            branched: false,
            kind,
        });
    }

    /// Goes on with the other branch of an `if`.
    fn otherwise(&mut self) {
        let reached = self.reached;
        let group = self.groups.len();
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        if frame.kind == Kind::Unreached {
            return;
        }
        self.reached = frame.entered && frame.kind != Kind::Taken;
        frame.branched |= reached;
        frame.kind = Kind::Block;
        frame.group = group;
        self.groups.push(Group::NEW);
    }

    /// Notes a branch out of so many blocks.
    fn branch(&mut self, depth: u32) -> Option<()> {
        let at = self.frames.len().checked_sub(1)?;
        let at = at.checked_sub(usize::try_from(depth).ok()?)?;
        let frame = self.frames.get_mut(at)?;
        frame.branched |= frame.kind != Kind::Loop;
        Some(())
    }

    /// Follows an operator that lies between two offsets, in the function `function`. `None` for a tail call.
    fn follow(
        &mut self,
        operator: &Operator<'_>,
        (at, end): (usize, usize),
        function: u32,
        declared: &Declared,
    ) -> Option<()> {
        self.charge(cost(operator));
        let constant = self.constant.take();
        match operator {
            Operator::End => {
                let frame = self.frames.pop()?;
                let ends = self.reached || frame.branched || frame.kind == Kind::If;
                self.reached = frame.entered && ends;
                return Some(());
            }
            Operator::Else => {
                self.otherwise();
                if self.reached {
                    self.add(end, GROUP, function);
                }
                return Some(());
            }
            Operator::Block { .. } | Operator::Loop { .. } | Operator::If { .. }
                if !self.reached =>
            {
                self.push(self.group(), Kind::Unreached);
                return Some(());
            }
            _ if !self.reached => return Some(()),
            _ => {}
        }
        match operator {
            Operator::Block { .. } => self.push(self.group(), Kind::Block),
            Operator::Loop { .. } => {
                let group = self.new_group();
                self.push(group, Kind::Loop);
                self.add(end, GROUP, function);
            }
            // wasmi opens no group for a condition that it knows.
            Operator::If { .. } if constant.is_some() => {
                let taken = constant != Some(0);
                self.push(self.group(), if taken { Kind::Taken } else { Kind::If });
                self.reached = taken;
            }
            Operator::If { .. } => {
                let group = self.new_group();
                self.push(group, Kind::If);
                self.add(end, GROUP, function);
            }
            Operator::I32Const { value } => self.constant = Some(*value),
            Operator::Br { relative_depth } => {
                self.branch(*relative_depth)?;
                self.reached = false;
            }
            Operator::BrIf { .. } if constant == Some(0) => {}
            Operator::BrIf { relative_depth } => {
                self.branch(*relative_depth)?;
                self.reached = constant.is_none();
            }
            Operator::BrTable { targets } => {
                for depth in targets.targets() {
                    self.branch(depth.ok()?)?;
                }
                self.branch(targets.default())?;
                self.reached = false;
            }
            Operator::Return => {
                self.add(at, EXIT, function);
                self.reached = false;
            }
            Operator::Unreachable => self.reached = false,
            Operator::Call { function_index } if *function_index < declared.imported => {
                self.add(at, CALL_HOST, *function_index);
                self.add(end, HOST_RETURNS, *function_index);
            }
            Operator::ReturnCall { .. } | Operator::ReturnCallIndirect { .. } => return None,
            _ => {}
        }
        Some(())
    }
}

/// Returns the fuel that wasmi charges for an operator, besides what depends on its operands.
const fn cost(operator: &Operator<'_>) -> u32 {
    match operator {
        Operator::Nop
        | Operator::Drop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::Unreachable
        | Operator::Return
        | Operator::Else
        | Operator::End => 0,
        // As the engine's configuration has it.
        Operator::MemoryGrow { .. } => u8::MAX as u32,
        _ => 1,
    }
}

/// Returns the body of the function `index`, which starts at `start`, changed.
fn function(body: &[u8], start: usize, index: u32, declared: &mut Declared) -> Option<Vec<u8>> {
    let function = FunctionBody::new(BinaryReader::new(body, start));
    let mut operators = function.get_operators_reader().ok()?;
    let at = |position: usize| position.checked_sub(start);
    let first = at(operators.original_position())?;
    let mut walk = Walk::new(index, first);
    let next = declared.positions.partition_point(|at| *at < start);
    let mut positions = (next..).zip(declared.positions.get(next..)?).peekable();
    while !operators.eof() {
        let before = at(operators.original_position())?;
        while let Some((number, _)) =
            positions.next_if(|(_, at)| **at <= start.saturating_add(before))
        {
            if walk.reached {
                walk.add(before, POSITION, u32::try_from(number).ok()?);
            }
        }
        let operator = operators.read().ok()?;
        let after = at(operators.original_position())?;
        walk.follow(&operator, (before, after), index, declared)?;
    }
    // The group of the function goes on behind the block that is added around its body.
    if let Some(group) = walk.groups.first_mut() {
        group.added = group.added.saturating_add(ADDED);
    }
    let mut out = Vec::with_capacity(body.len().saturating_mul(3));
    out.extend_from_slice(body.get(..first)?);
    out.push(0x02);
    out.extend_from_slice(&declared.block_type(index)?);
    let mut copied = first;
    for call in &walk.calls {
        out.extend_from_slice(body.get(copied..call.at)?);
        copied = call.at;
        let group = walk.groups.get(call.group).copied().unwrap_or_default();
        let told = match call.kind {
            ENTER | GROUP => group,
            _ => Group::default(),
        };
        event(&mut out, call.kind, call.function, told, declared.event)?;
    }
    out.extend_from_slice(body.get(copied..)?);
    event(&mut out, EXIT, index, Group::default(), declared.event)?;
    out.push(0x0b);
    Some(out)
}

/// Writes a call of the import.
fn event(out: &mut Vec<u8>, kind: u32, index: u32, group: Group, import: u32) -> Option<()> {
    let kind = kind.checked_shl(INDEX_BITS)?.checked_add(index)?;
    for value in [kind, group.added, group.cost] {
        out.push(0x41);
        leb128_i64(out, value.into());
    }
    out.push(0x10);
    leb128(out, import);
    Some(())
}
