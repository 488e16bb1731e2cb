//! A module's code by its source: the positions at which lines begin, from its debug information (DWARF).

use addr2line::Context;
use gimli::{Dwarf, EndianRcSlice, LittleEndian, SectionId};
use std::{collections::BTreeSet, fmt, path::Path, rc::Rc};
use wasmparser::{FunctionBody, Operator, Parser, Payload};

/// A module's code.
pub(super) struct Code {
    /// The offset of the code section's contents, from which debug information counts.
    start: u64,
    /// The offset of each function's body, and that behind it.
    bodies: Vec<(u64, u64)>,
    /// The offsets of the operators at which a line or a block begins, in ascending order.
    pub(super) positions: Vec<u64>,
    debug: Option<Context<Slice>>,
}

type Slice = EndianRcSlice<LittleEndian>;

/// A place in a source file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub(super) file: String,
    pub(super) line: u32,
    pub(super) column: Option<u32>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Below the working directory, as other tools name it.
        let here = std::env::current_dir().unwrap_or_default();
        let path = Path::new(&self.file);
        let path = path.strip_prefix(here).unwrap_or(path);
        write!(f, "{}:{}", path.display(), self.line)?;
        self.column.map_or(Ok(()), |column| write!(f, ":{column}"))
    }
}

/// A function of the source that runs at an offset: others can be inlined in it.
pub(super) struct SourceFrame {
    pub(super) function: Option<String>,
    pub(super) line: Option<Line>,
}

impl Code {
    /// Reads the code of a valid module.
    pub(super) fn read(wasm: &[u8]) -> Option<Self> {
        let mut start = 0;
        let mut bodies = Vec::new();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.ok()? {
                Payload::CodeSectionStart {
                    unchecked_range, ..
                } => start = unchecked_range.start,
                Payload::CodeSectionEntry(body) => bodies.push(body),
                _ => {}
            }
        }
        let ends = |body: &FunctionBody<'_>| (body.range().start, body.range().end);
        let mut code = Self {
            start,
            bodies: bodies.iter().map(ends).collect(),
            positions: Vec::new(),
            debug: debug(wasm),
        };
        code.positions = code.positions_of(&bodies)?;
        Some(code)
    }

    /// Returns whether it has debug information.
    pub(super) fn has_lines(&self) -> bool {
        self.debug.is_some()
    }

    fn positions_of(&self, bodies: &[FunctionBody<'_>]) -> Option<Vec<u64>> {
        let rows = self.rows();
        let mut positions = Vec::new();
        for body in bodies {
            let reader = body.get_operators_reader().ok()?;
            // A row before the first operator, at the locals, is one of it.
            let mut from = body.range().start;
            let mut begins = true;
            for operator in reader.into_iter_with_offsets() {
                let (operator, at) = operator.ok()?;
                if begins || rows.range(from..=at).next().is_some() {
                    positions.push(at);
                }
                from = at + 1;
                // Reached from elsewhere than the line before it.
                begins = matches!(
                    operator,
                    Operator::Loop { .. } | Operator::If { .. } | Operator::Else | Operator::End
                );
                // What begins at a loop begins in it, each time.
                if let Operator::Loop { .. } = operator
                    && positions.last() == Some(&at)
                {
                    positions.pop();
                }
            }
        }
        Some(positions)
    }

    /// Returns the offsets at which debug information has another place of the source.
    fn rows(&self) -> BTreeSet<u64> {
        let ranges = self
            .debug
            .as_ref()
            .map(|debug| debug.find_location_range(0, u64::MAX));
        let ranges = ranges.into_iter().flatten().flatten();
        let offset = |address: u64| address.checked_add(self.start);
        ranges.filter_map(|(address, ..)| offset(address)).collect()
    }

    /// Returns the functions of the source at an offset, the innermost first; none without debug information.
    pub(super) fn frames(&self, at: u64) -> Vec<SourceFrame> {
        let Some(debug) = &self.debug else {
            return Vec::new();
        };
        let address = at.saturating_sub(self.start);
        let Ok(mut frames) = debug.find_frames(address).skip_all_loads() else {
            return Vec::new();
        };
        let mut found = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.as_ref();
            let name = name.and_then(|name| Some(name.demangle().ok()?.into_owned()));
            let line = frame.location.and_then(|at| {
                Some(Line {
                    file: at.file?.to_owned(),
                    line: at.line?,
                    column: at.column,
                })
            });
            found.push(SourceFrame {
                function: name,
                line,
            });
        }
        found
    }

    /// Returns the offset of each function's body, in their order.
    pub(super) fn body_starts(&self) -> impl Iterator<Item = u64> {
        self.bodies.iter().map(|(start, _)| *start)
    }

    /// Returns the first position in the function whose body is at an offset.
    pub(super) fn first_position(&self, body: u64) -> Option<u64> {
        let first = self.positions.partition_point(|at| *at < body);
        self.positions.get(first).copied()
    }

    /// Returns the offset of the body of the function that has an offset.
    pub(super) fn body(&self, at: u64) -> Option<u64> {
        let next = self.bodies.partition_point(|(start, _)| *start <= at);
        let (start, end) = self.bodies.get(next.checked_sub(1)?)?;
        (at < *end).then_some(*start)
    }
}

/// Reads a module's debug information. `None` if it has none, or none that can be read.
fn debug(wasm: &[u8]) -> Option<Context<Slice>> {
    let mut sections = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        if let Payload::CustomSection(section) = payload.ok()?
            && section.name().starts_with(".debug_")
        {
            sections.push((section.name(), section.data()));
        }
    }
    if sections.is_empty() {
        return None;
    }
    let section = |id: SectionId| {
        let found = sections.iter().find(|(name, _)| *name == id.name());
        let data = found.map_or(&[][..], |(_, data)| data);
        Ok::<_, gimli::Error>(Slice::new(Rc::from(data), LittleEndian))
    };
    Context::from_dwarf(Dwarf::load(section).ok()?).ok()
}
