//! A module's code by its source: the positions at which lines begin, from its debug information (DWARF).

use super::debug::{Debug, Slice, Unused, at_most};
use std::{
    collections::{HashMap, HashSet},
    fmt,
    path::Path,
    sync::Arc,
};
use wasmparser::{Operator, Parser, Payload};

/// A module's code.
pub(super) struct Code {
    /// The offset of the code section's contents, from which debug information counts.
    start: u64,
    /// The offset of each function's body, and that behind it.
    bodies: Vec<(u64, u64)>,
    /// The offsets of the operators at which a line or a block begins, in ascending order.
    pub(super) positions: Vec<u64>,
    debug: Option<Debug>,
}

/// Most lines of inlined functions, of all positions.
const MOST_INLINED: u64 = 4_000_000;

/// Most bytes of a name that is shown; a longer one is cut.
const NAME_BYTES: usize = 4_096;

/// The lines of the source that have code.
#[derive(Default)]
pub(super) struct Lines {
    /// Each with its file.
    pub(super) all: Vec<(Arc<str>, u32)>,
    /// For each position the lines at it, by their numbers: the outermost of inlined functions first.
    pub(super) chains: Vec<Vec<u32>>,
}

/// A place in a source file.
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
    /// Reads the code of a valid module. `None` if it can't be read.
    pub(super) fn read(wasm: &[u8]) -> Option<Self> {
        let mut code = Self {
            start: 0,
            bodies: Vec::new(),
            positions: Vec::new(),
            debug: None,
        };
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.ok()? {
                Payload::CodeSectionStart {
                    unchecked_range, ..
                } => code.start = unchecked_range.start,
                Payload::CodeSectionEntry(body) => {
                    code.bodies.push((body.range().start, body.range().end));
                }
                _ => {}
            }
        }
        Some(code)
    }

    /// Reads the lines of its module `wasm`, and the positions at which they begin. On an error there are none, as of a
    /// module without debug information.
    pub(super) fn read_lines(&mut self, wasm: &[u8]) -> Result<Lines, Unused> {
        let lines = self.lines(wasm);
        if lines.is_err() {
            self.debug = None;
            self.positions.clear();
        }
        lines
    }

    fn lines(&mut self, wasm: &[u8]) -> Result<Lines, Unused> {
        self.debug = Debug::read(wasm)?;
        let Some(debug) = &self.debug else {
            return Ok(Lines::default());
        };
        self.positions = self.positions_of(wasm, debug);
        let addresses = self.positions.iter().map(|at| self.address(*at));
        debug.check_lookups(addresses)?;
        let mut lines = Lines::default();
        let mut files: HashSet<Arc<str>> = HashSet::new();
        let mut numbers = HashMap::new();
        let mut inlined = 0;
        for at in &self.positions {
            let mut chain = Vec::new();
            self.each_frame(*at, |frame| {
                let place = frame.location.as_ref();
                let Some((file, line)) = place.and_then(|at| Some((at.file?, at.line?))) else {
                    return;
                };
                let file = files.get(file).cloned().unwrap_or_else(|| {
                    let file: Arc<str> = file.into();
                    files.insert(file.clone());
                    file
                });
                let next = numbers.len() as u32;
                chain.push(*numbers.entry((file, line)).or_insert(next));
            });
            chain.reverse();
            inlined += chain.len() as u64;
            at_most(MOST_INLINED, "lines of inlined functions", inlined)?;
            lines.chains.push(chain);
        }
        let mut all: Vec<_> = numbers.into_iter().collect();
        all.sort_unstable_by_key(|(_, number)| *number);
        lines.all = all.into_iter().map(|(line, _)| line).collect();
        Ok(lines)
    }

    /// Returns whether it has debug information.
    pub(super) fn has_lines(&self) -> bool {
        self.debug.is_some()
    }

    fn positions_of(&self, wasm: &[u8], debug: &Debug) -> Vec<u64> {
        let mut positions = Vec::new();
        let payloads = Parser::new(0).parse_all(wasm).map_while(Result::ok);
        for payload in payloads {
            let Payload::CodeSectionEntry(body) = payload else {
                continue;
            };
            let Ok(reader) = body.get_operators_reader() else {
                continue;
            };
            // A row before the first operator, at the locals, is one of it.
            let mut from = body.range().start;
            let mut begins = true;
            for (operator, at) in reader.into_iter_with_offsets().map_while(Result::ok) {
                let mut rows = debug.rows.range(self.address(from)..=self.address(at));
                if begins || rows.next().is_some() {
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
        positions
    }

    /// Returns the address of an offset, as debug information counts it.
    fn address(&self, at: u64) -> u64 {
        at.saturating_sub(self.start)
    }

    /// Calls `tell` with each function of the source at an offset, the innermost first.
    fn each_frame(&self, at: u64, mut tell: impl FnMut(&addr2line::Frame<'_, Slice>)) {
        let Some(debug) = &self.debug else {
            return;
        };
        let found = debug.context.find_frames(self.address(at));
        let Ok(mut frames) = found.skip_all_loads() else {
            return;
        };
        while let Ok(Some(frame)) = frames.next() {
            tell(&frame);
        }
    }

    /// Returns the functions of the source at an offset, the innermost first; none without debug information.
    pub(super) fn frames(&self, at: u64) -> Vec<SourceFrame> {
        let mut found = Vec::new();
        self.each_frame(at, |frame| {
            let line = frame.location.as_ref().and_then(|at| {
                Some(Line {
                    file: at.file?.to_owned(),
                    line: at.line?,
                    column: at.column,
                })
            });
            found.push(SourceFrame {
                function: frame.function.as_ref().and_then(name),
                line,
            });
        });
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

/// Returns a function's name as its language has it.
fn name(of: &addr2line::FunctionName<Slice>) -> Option<String> {
    let raw = of.raw_name().ok()?;
    // A long one takes long to read.
    let mut name = match raw.len() <= NAME_BYTES {
        true => of.demangle().ok()?.into_owned(),
        false => raw.into_owned(),
    };
    if name.len() > NAME_BYTES {
        let mut ends = (0..=NAME_BYTES).rev();
        let end = ends.find(|end| name.is_char_boundary(*end));
        name.truncate(end.unwrap_or(0));
        name.push('…');
    }
    Some(name)
}
