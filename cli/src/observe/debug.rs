//! Reads a module's debug information (DWARF), within bounds.
//!
//! A short module can describe much: units share programs and tables, entries share lists, and sizes can lie. All of it is
//! walked and counted here before addr2line, which keeps what it reads, sees it.

use addr2line::Context;
use gimli::{
    AttributeValue, DebugAbbrev, DebugAbbrevOffset, Dwarf, EndianRcSlice, LittleEndian, Reader,
    Section, SectionId, UnitHeader, UnitRef, UnitType, constants as dw,
};
use std::{collections::BTreeSet, fmt, rc::Rc, sync::Arc};
use wasmparser::{Parser, Payload};

/// Most compilation units.
const MOST_UNITS: u64 = 50_000;

/// Most rows of line programs, files, functions and ranges of addresses, in all units. Each is kept.
const MOST_ENTRIES: u64 = 1_000_000;

/// Most bytes of line programs, and attributes, in all units, those that are shared counted each time.
const MOST_STEPS: u64 = 50_000_000;

/// Most attributes of one entry, and deepest nesting of entries. addr2line reads nested ones by recursion.
const MOST_ATTRIBUTES: u64 = 64;
const MOST_DEPTH: u64 = 256;

/// Most bytes of one name, and of the paths of all files.
const MOST_NAME_BYTES: u64 = 16 << 10;
const MOST_PATH_BYTES: u64 = 32 << 20;

/// Most ranges of units that are looked at to find the lines of all positions.
const MOST_LOOKUPS: u64 = 50_000_000;

pub(super) type Slice = EndianRcSlice<LittleEndian>;

/// Debug information that is within the bounds.
pub(super) struct Debug {
    pub(super) context: Context<Slice>,
    /// The addresses at which it has another place of the source.
    pub(super) rows: BTreeSet<u64>,
    /// The ends of the ranges of all units in ascending order, each with the lowest start of those from it on.
    ranges: Vec<(u64, u64)>,
}

/// The reason why debug information is not used.
pub(super) enum Unused {
    /// A bound that it passes: the most, and the things.
    TooMuch(u64, &'static str),
    Unreadable(gimli::Error),
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMuch(most, what) => write!(f, "{most} {what} allowed, more found"),
            Self::Unreadable(error) => write!(f, "it can't be read: {error}"),
        }
    }
}

impl From<gimli::Error> for Unused {
    fn from(error: gimli::Error) -> Self {
        Self::Unreadable(error)
    }
}

/// Refuses more than `most` things.
pub(super) fn at_most(most: u64, what: &'static str, found: u64) -> Result<(), Unused> {
    match found > most {
        true => Err(Unused::TooMuch(most, what)),
        false => Ok(()),
    }
}

impl Debug {
    /// Reads a module's debug information. `None` if it has none.
    pub(super) fn read(wasm: &[u8]) -> Result<Option<Self>, Unused> {
        let mut sections = Vec::new();
        for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
            if let Payload::CustomSection(section) = payload
                && section.name().starts_with(".debug_")
            {
                sections.push((section.name(), section.data()));
            }
        }
        if sections.is_empty() {
            return Ok(None);
        }
        let data = |name: &str| {
            let found = sections.iter().find(|(known, _)| *known == name);
            found.map_or(&[][..], |(_, data)| data)
        };
        for names in [".debug_info", ".debug_str", ".debug_line_str"] {
            let mut all = data(names).split(|byte| *byte == 0);
            let longest = all.by_ref().map(<[u8]>::len).max().unwrap_or(0);
            at_most(MOST_NAME_BYTES, "bytes of a name", longest as u64)?;
        }
        let section = |id: SectionId| {
            let data = match id {
                // Not counted, and needed by no compiler for WebAssembly.
                SectionId::DebugAranges | SectionId::DebugTypes => &[],
                _ => data(id.name()),
            };
            Ok::<_, gimli::Error>(Slice::new(Rc::from(data), LittleEndian))
        };
        let mut dwarf = Dwarf::load(section)?;
        share_abbreviations(&mut dwarf)?;
        let mut walk = Walk::default();
        let mut units = dwarf.units();
        while let Some(header) = units.next()? {
            walk.unit(&dwarf, header)?;
        }
        let mut ranges = walk.ranges;
        ranges.sort_unstable_by_key(|(_, end)| *end);
        let mut least = u64::MAX;
        for (begin, end) in ranges.iter_mut().rev() {
            least = least.min(*begin);
            (*begin, *end) = (*end, least);
        }
        Ok(Some(Self {
            context: Context::from_dwarf(dwarf)?,
            rows: walk.rows,
            ranges,
        }))
    }

    /// Refuses to look up so many addresses in units whose ranges overlap.
    pub(super) fn check_lookups(&self, addresses: impl Iterator<Item = u64>) -> Result<(), Unused> {
        let mut lookups = 0_usize;
        for address in addresses {
            // As addr2line does.
            let first = self.ranges.partition_point(|(end, _)| *end <= address);
            let last = self.ranges.partition_point(|(_, begin)| *begin <= address);
            lookups = lookups.saturating_add(last.saturating_sub(first));
            at_most(MOST_LOOKUPS, "steps to find lines", lookups as u64)?;
        }
        Ok(())
    }
}

/// Reads the table of abbreviations of each unit, once. Tables that overlap are refused.
fn share_abbreviations(dwarf: &mut Dwarf<Slice>) -> Result<(), Unused> {
    let mut starts = BTreeSet::new();
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        starts.insert(header.debug_abbrev_offset().0);
        at_most(MOST_UNITS, "tables of abbreviations", starts.len() as u64)?;
    }
    let section = dwarf.debug_abbrev.reader().clone();
    let ends = starts.iter().skip(1).copied().chain([section.len()]);
    for (start, end) in starts.iter().copied().zip(ends) {
        if start > end {
            return Err(gimli::Error::UnexpectedEof(section.offset_id()).into());
        }
        let table = section.range(start..end);
        check_attributes(table.clone())?;
        let table = DebugAbbrev::from(table).abbreviations(DebugAbbrevOffset(0))?;
        let offset = DebugAbbrevOffset(start);
        dwarf
            .abbreviations_cache
            .set::<Slice>(offset, Arc::new(table));
    }
    Ok(())
}

/// Refuses a table of abbreviations one of which has too many attributes: these may take no bytes of an entry.
fn check_attributes(mut table: Slice) -> Result<(), Unused> {
    while table.read_uleb128()? != 0 {
        // Its tag, and whether it has children.
        table.skip_leb128()?;
        table.skip(1)?;
        let mut attributes = 0;
        loop {
            let (name, form) = (table.read_uleb128()?, table.read_uleb128()?);
            if (name, form) == (0, 0) {
                break;
            }
            if form == u64::from(dw::DW_FORM_implicit_const.0) {
                table.skip_leb128()?;
            }
            attributes += 1;
            at_most(MOST_ATTRIBUTES, "attributes of an entry", attributes)?;
        }
    }
    Ok(())
}

/// What all units have.
#[derive(Default)]
struct Walk {
    units: u64,
    entries: u64,
    steps: u64,
    path_bytes: u64,
    rows: BTreeSet<u64>,
    /// The ranges of units: start and end.
    ranges: Vec<(u64, u64)>,
}

impl Walk {
    fn add_entries(&mut self, more: u64) -> Result<(), Unused> {
        self.entries = self.entries.saturating_add(more);
        let what = "lines, files, functions and ranges in debug information";
        at_most(MOST_ENTRIES, what, self.entries)
    }

    fn add_steps(&mut self, more: usize) -> Result<(), Unused> {
        self.steps = self.steps.saturating_add(more as u64);
        let what = "attributes and bytes of line programs in debug information";
        at_most(MOST_STEPS, what, self.steps)
    }

    fn unit(&mut self, dwarf: &Dwarf<Slice>, header: UnitHeader<Slice>) -> Result<(), Unused> {
        self.units += 1;
        at_most(MOST_UNITS, "units of debug information", self.units)?;
        if matches!(
            header.type_(),
            UnitType::Type { .. } | UnitType::SplitType { .. }
        ) {
            return Ok(());
        }
        // Before gimli reads the header of its line program.
        let abbreviations = dwarf.abbreviations(&header)?;
        let mut entries = header.entries_raw(&abbreviations, None)?;
        if let Some(root) = entries.read_abbreviation()? {
            for attribute in root.attributes() {
                let attribute = entries.read_attribute(*attribute)?.value();
                if let AttributeValue::DebugLineRef(offset) = attribute {
                    self.files(dwarf.debug_line.reader().clone(), offset.0)?;
                }
            }
        }
        let unit = dwarf.unit(header)?;
        let unit = unit.unit_ref(dwarf);
        self.functions(unit)?;
        let sequences = self.lines(unit)?;
        let before = self.ranges.len();
        let mut ranges = unit.unit_ranges()?;
        while let Some(range) = ranges.next()? {
            self.add_range(range.begin, range.end)?;
        }
        if self.ranges.len() == before {
            for (begin, end) in sequences {
                self.add_range(begin, end)?;
            }
        }
        Ok(())
    }

    fn add_range(&mut self, begin: u64, end: u64) -> Result<(), Unused> {
        if begin < end {
            self.ranges.push((begin, end));
        }
        self.add_entries(1)
    }

    /// Counts the directories and files in the header of a line program. A short header can have many: an entry may take no
    /// bytes.
    fn files(&mut self, mut rest: Slice, offset: usize) -> Result<(), Unused> {
        rest.skip(offset)?;
        let (length, format) = rest.read_initial_length()?;
        rest.truncate(length)?;
        let version = rest.read_u16()?;
        if version >= 5 {
            rest.skip(2)?;
        }
        let length = rest.read_length(format)?;
        rest.truncate(length)?;
        self.add_steps(length)?;
        rest.skip(if version >= 4 { 5 } else { 4 })?;
        let opcodes = rest.read_u8()?;
        rest.skip(usize::from(opcodes.saturating_sub(1)))?;
        if version < 5 {
            // A file has three numbers.
            for numbers in [0, 3] {
                while !rest.read_null_terminated_slice()?.is_empty() {
                    (0..numbers).try_for_each(|_| rest.skip_leb128())?;
                    self.add_entries(1)?;
                }
            }
            return Ok(());
        }
        for _ in ["directories", "files"] {
            let mut forms = Vec::new();
            for _ in 0..rest.read_u8()? {
                rest.skip_leb128()?;
                forms.push(dw::DwForm(rest.read_uleb128_u16()?));
            }
            let count = rest.read_uleb128()?;
            self.add_entries(count)?;
            for _ in 0..count {
                self.add_steps(forms.len())?;
                for form in &forms {
                    skip(&mut rest, *form, format)?;
                }
            }
        }
        Ok(())
    }

    /// Counts the entries of a unit.
    fn functions(&mut self, unit: UnitRef<'_, Slice>) -> Result<(), Unused> {
        let mut entries = unit.entries_raw(None)?;
        while !entries.is_empty() {
            let depth = u64::try_from(entries.next_depth()).unwrap_or(0);
            at_most(MOST_DEPTH, "entries in one another", depth)?;
            self.add_steps(1)?;
            let Some(entry) = entries.read_abbreviation()? else {
                continue;
            };
            self.add_steps(entry.attributes().len())?;
            if let dw::DW_TAG_subprogram | dw::DW_TAG_inlined_subroutine = entry.tag() {
                self.add_entries(1)?;
            }
            for attribute in entry.attributes() {
                let attribute = entries.read_attribute(*attribute)?;
                if attribute.name() == dw::DW_AT_ranges
                    && let Some(offset) = unit.attr_ranges_offset(attribute.value())?
                {
                    let mut ranges = unit.raw_ranges(offset)?;
                    while ranges.next()?.is_some() {
                        self.add_entries(1)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Counts the rows of a unit's line program, and the bytes of its files' paths. Returns the ranges of its sequences.
    fn lines(&mut self, unit: UnitRef<'_, Slice>) -> Result<Vec<(u64, u64)>, Unused> {
        let mut sequences = Vec::new();
        let Some(program) = unit.line_program.clone() else {
            return Ok(sequences);
        };
        self.add_steps(program.header().raw_program_buf().len())?;
        let mut rows = program.rows();
        let mut addresses = Vec::new();
        // A program that is broken is read up to the fault, as addr2line does.
        while let Ok(Some((_, row))) = rows.next_row() {
            self.add_entries(1)?;
            if !row.end_sequence() {
                addresses.push(row.address());
                continue;
            }
            if let Some(first) = addresses.first()
                && *first < row.address()
            {
                sequences.push((*first, row.address()));
                self.rows.extend(&addresses);
            }
            addresses.clear();
        }
        let header = rows.header();
        let length = |value| unit.attr_string(value).map_or(0, |text| text.len() as u64);
        for file in header.file_names() {
            let directory = file.directory(header).map_or(0, length);
            let own = unit.comp_dir.as_ref().map_or(0, |path| path.len() as u64);
            self.path_bytes += length(file.path_name()) + directory + own;
            at_most(MOST_PATH_BYTES, "bytes of files' paths", self.path_bytes)?;
        }
        Ok(sequences)
    }
}

/// Skips a value in a table of directories or files.
fn skip(rest: &mut Slice, form: dw::DwForm, format: gimli::Format) -> Result<(), gimli::Error> {
    let length = match form {
        dw::DW_FORM_string => return rest.read_null_terminated_slice().map(drop),
        dw::DW_FORM_udata | dw::DW_FORM_strx => return rest.skip_leb128(),
        dw::DW_FORM_line_strp | dw::DW_FORM_strp | dw::DW_FORM_sec_offset => {
            return rest.read_offset(format).map(drop);
        }
        dw::DW_FORM_block => rest.read_uleb128_u32()? as usize,
        dw::DW_FORM_data1 | dw::DW_FORM_strx1 => 1,
        dw::DW_FORM_data2 | dw::DW_FORM_strx2 => 2,
        dw::DW_FORM_strx3 => 3,
        dw::DW_FORM_data4 | dw::DW_FORM_strx4 => 4,
        dw::DW_FORM_data8 => 8,
        dw::DW_FORM_data16 => 16,
        // None of them is of use in such a table; some take no bytes.
        _ => return Err(gimli::Error::UnknownForm(form)),
    };
    rest.skip(length)
}
