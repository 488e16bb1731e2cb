//! How much memory a plugin may take, told from its module before it is compiled.

use super::{Extern, ModuleInfo, code::Bytes};
use crate::base::limits::Limits;
use wasmi::Val;
use wasmi_core::RawRef;

/// Counts of what costs memory in a module and that no other field holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Function types.
    pub(super) types: usize,
    /// Globals that it defines.
    pub(super) globals: usize,
    /// Data segments and element segments.
    pub(super) segments: usize,
    /// Elements in all element segments.
    pub(super) elements: usize,
    /// Bytes of all constant expressions.
    pub(super) expression_bytes: usize,
    /// Operators in constant expressions that compute, at most.
    pub(super) sums: usize,
    /// The code of all functions.
    pub(super) code: Bytes,
    /// The most of each of a function's parts, in any function.
    pub(super) largest: Largest,
    /// Whether a function grows the memory.
    pub(super) grows: bool,
}

/// What makes the compiler's working memory grow. Each field is the most in any function.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Largest {
    pub(super) code: Bytes,
    /// Places that can be branched to.
    pub(super) labels: usize,
    pub(super) branches: usize,
    /// Targets of a branch table.
    pub(super) targets: usize,
    /// Values on the stack at once.
    pub(super) values: usize,
    /// Enclosing blocks.
    pub(super) nesting: usize,
    /// Locals, the parameters included.
    pub(super) locals: usize,
}

/// A machine, as far as the memory that a plugin takes depends on it: by the size of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// Microcontrollers: Cortex-M, RV32.
    Bits32,
    /// Servers.
    Bits64,
}

impl Machine {
    /// The one that this is compiled for.
    pub const HERE: Self = if size_of::<usize>() > 4 {
        Self::Bits64
    } else {
        Self::Bits32
    };
}

/// The most memory that a plugin takes from the heap, in bytes, whatever its guest does.
///
/// Linear memory, tables and stacks follow from the module and the limits. Code is measured operator by
/// operator, as wasmi encodes it for the machine. Each declaration of the module has a price, measured
/// at its worst. Tests compare the footprint with real, generated and hostile modules: none takes more.
/// Plugins of ordinary compilers hold two thirds to nine tenths of [`plugin`](Self::plugin); with wasmi's
/// `indirect-dispatch`, two fifths to three quarters. A block that grows counts as if it moved, old and
/// new at once.
///
/// Not included are the module's own bytes while it is loaded, messages of errors, inputs and
/// outputs of calls, the data of instances, and what host functions allocate.
///
/// An [`Engine`](crate::Engine) refuses what [needs more to run](Self::to_run) than
/// [`Limits::heap_bytes`], or than its [`Platform`](crate::Platform) has left, before it compiles
/// it. To compute it for another machine:
///
/// ```
/// use hostel_core::{Limits, Machine, ModuleInfo};
///
/// let wasm = wat::parse_str(r#"(module (memory 1) (func (export "f")))"#)?;
/// let module = ModuleInfo::read(&wasm)?;
/// let footprint = module.footprint_on(&Limits::device(256 << 10), Machine::Bits32);
/// assert_eq!(footprint.memory_at_start, 65_536);
/// assert_eq!(footprint.memory_at_most, 65_536);
/// assert!(footprint.to_run() <= 96 << 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Footprint {
    /// The plugin while it is loaded: its compiled code and declarations.
    pub plugin: u64,
    /// Memory that loading takes in addition and frees before the first instance: the compiler's working
    /// memory and a copy of the module.
    pub loading: u64,
    /// Linear memory of an instance when it starts.
    pub memory_at_start: u64,
    /// Linear memory of an instance at most: as its module and the limits allow, if it has code
    /// that grows its memory at all.
    pub memory_at_most: u64,
    /// What growing the linear memory takes beyond that: wasmi doubles the block, and moves it.
    pub memory_growth: u64,
    /// Tables of an instance. They don't grow: modules that use `table.grow` are refused.
    pub tables: u64,
    /// Stacks of a running instance at most: two where it imports functions, since a host function
    /// may call the guest's allocator.
    pub stacks: u64,
    /// The part of the stacks that a call needs before the guest runs: its frames and the first values. The
    /// guest is stopped if more values find no room.
    pub frames: u64,
    /// Globals of an instance.
    pub globals: u64,
    /// Everything else of an instance: a fixed part, and an entry for each function, import, export and
    /// segment.
    pub overhead: u64,
    /// Instances that are kept between calls, in the state after their start, and the copy of that state.
    /// With a start that may grow the memory, all of the memory that it may have counts.
    pub kept: u64,
    /// Most instances at once. Those from [`Plugin::instantiate`](crate::Plugin::instantiate) are not
    /// included.
    pub instances: u64,
}

impl Footprint {
    /// Returns the bytes of a new instance.
    // Apart: sums in 64 bits are long where words have 32.
    #[inline(never)]
    #[must_use]
    pub const fn instance_at_start(&self) -> u64 {
        self.memory_at_start
            .saturating_add(self.tables)
            .saturating_add(self.globals)
            .saturating_add(self.overhead)
    }

    /// Returns the most bytes of one instance.
    #[must_use]
    pub const fn instance_at_most(&self) -> u64 {
        self.memory_at_most
            .saturating_add(self.memory_growth)
            .saturating_add(self.tables)
            .saturating_add(self.stacks)
            .saturating_add(self.globals)
            .saturating_add(self.overhead)
    }

    /// Returns this footprint for memories in slots: without linear memory, except for the copies of a new
    /// instance's contents. `idle` bytes are those of the memories of instances that are kept.
    #[cfg(feature = "slots")]
    pub(crate) const fn without_memory(mut self, idle: u64) -> Self {
        self.kept = self.kept.saturating_sub(idle);
        self.memory_at_start = 0;
        self.memory_at_most = 0;
        self.memory_growth = 0;
        self
    }

    /// Returns the footprint of a plugin of this module and of another one with the footprint `other`, linked by
    /// [`Engine::load_linked`](crate::Engine::load_linked): the modules are compiled one after the other, and
    /// share the stacks.
    #[must_use]
    pub fn linked_with(mut self, other: &Self) -> Self {
        self.loading = self.loading.max(other.loading);
        self.stacks = self.stacks.max(other.stacks);
        self.frames = self.frames.max(other.frames);
        for (sum, other) in [
            (&mut self.plugin, other.plugin),
            (&mut self.memory_at_start, other.memory_at_start),
            (&mut self.memory_at_most, other.memory_at_most),
            (&mut self.memory_growth, other.memory_growth),
            (&mut self.tables, other.tables),
            (&mut self.globals, other.globals),
            (&mut self.overhead, other.overhead),
            (&mut self.kept, other.kept),
        ] {
            *sum = sum.saturating_add(other);
        }
        self
    }

    /// Returns the footprint of a module with so many instances in each instance of a plugin.
    #[cfg(feature = "component")]
    pub(crate) fn times(mut self, instances: u64) -> Self {
        for part in [
            &mut self.memory_at_start,
            &mut self.memory_at_most,
            &mut self.memory_growth,
            &mut self.tables,
            &mut self.globals,
            &mut self.overhead,
            &mut self.kept,
        ] {
            *part = part.saturating_mul(instances);
        }
        self
    }

    /// Returns the bytes that one instance needs to begin a call.
    #[must_use]
    pub const fn instance_to_run(&self) -> u64 {
        self.instance_at_start().saturating_add(self.frames)
    }

    /// Returns the bytes that the plugin and all its instances need to begin calls. This much must be free
    /// before loading. If a guest later asks for more than is free, `memory.grow` fails or the guest is
    /// stopped.
    #[must_use]
    pub const fn to_run(&self) -> u64 {
        self.loaded_with(self.instance_to_run())
    }

    /// Returns the most bytes of the plugin and all its instances.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.loaded_with(self.instance_at_most())
    }

    /// Returns the bytes of the plugin while it is loaded, or with all its instances of `each` bytes.
    const fn loaded_with(&self, instance: u64) -> u64 {
        let instances = instance
            .saturating_mul(self.instances)
            .saturating_add(self.kept);
        let most = if self.loading > instances {
            self.loading
        } else {
            instances
        };
        self.plugin.saturating_add(most)
    }
}

impl ModuleInfo {
    /// Returns the most memory that a plugin of this module takes on this machine under `limits`, without
    /// compiling it.
    #[must_use]
    pub fn footprint(&self, limits: &Limits) -> Footprint {
        self.footprint_on(limits, Machine::HERE)
    }

    /// Returns the footprint on another machine. Does not check the limits: see
    /// [`Engine::check`](crate::Engine::check).
    #[must_use]
    pub fn footprint_on(&self, limits: &Limits, machine: Machine) -> Footprint {
        let (start, most) = self.memory(limits);
        let elements = sum(self.own_tables().map(|table| table.min));
        let frames = frames(limits, machine);
        let values = limits.stack_bytes as u64;
        let first = values.min(FIRST_STACK as u64);
        let stacks = if self.imports.is_empty() { 1 } else { 2 };
        let plugin = self.plugin(machine);
        let mut footprint = Footprint {
            plugin,
            loading: self.loading(machine),
            memory_at_start: start,
            memory_at_most: most,
            memory_growth: growth(start, most, self.page()),
            tables: elements.saturating_mul(size_of::<RawRef>() as u64),
            stacks: moved(values.saturating_add(frames)).saturating_mul(stacks),
            frames: moved(frames).saturating_add(first).saturating_mul(stacks),
            globals: priced(machine, &[(self.counts.globals, 130, 160)]),
            overhead: self.overhead(machine),
            kept: 0,
            instances: limits.instances as u64,
        };
        if limits.idle > 0 {
            let memory = self.memory_after_start(limits);
            footprint.kept = footprint
                .instance_at_start()
                .saturating_sub(start)
                .saturating_add(memory)
                .saturating_mul(limits.idle as u64)
                .saturating_add(memory);
        }
        footprint
    }

    /// Returns the most bytes of linear memory of an instance after its start, which may have grown it.
    pub(crate) fn memory_after_start(&self, limits: &Limits) -> u64 {
        let (start, most) = self.memory(limits);
        if self.changes.start.is_some() || self.initializers.at_start.is_some() {
            most.saturating_add(growth(start, most, self.page()))
        } else {
            start
        }
    }

    /// Bytes of linear memory of an instance at the start.
    #[cfg(any(feature = "slots", feature = "mappings"))]
    pub(crate) fn memory_at_start(&self) -> u64 {
        sum(self.memories.iter().map(|memory| memory.min_bytes))
    }

    /// Bytes of linear memory of an instance, at the start and at most.
    fn memory(&self, limits: &Limits) -> (u64, u64) {
        let limit = limits.memory_bytes as u64;
        let start = sum(self.own_memories().map(|memory| memory.min_bytes));
        let maximum = self
            .own_memories()
            .map(|memory| memory.max_bytes.unwrap_or(limit));
        if self.counts.grows {
            (start, sum(maximum).min(limit).max(start))
        } else {
            (start, start)
        }
    }

    /// Returns the bytes of a page of linear memory.
    pub(crate) fn page(&self) -> u64 {
        let pages = self.memories.iter().map(|memory| memory.page_bytes);
        pages.min().unwrap_or(1)
    }

    /// The plugin, loaded.
    fn plugin(&self, machine: Machine) -> u64 {
        let counts = &self.counts;
        let imported = self.imports.iter();
        let imported = imported.flat_map(|import| [&*import.module, &*import.name]);
        let sections = self.sections.iter().map(|section| &*section.name);
        priced(
            machine,
            &[
                (1, 4_400, 7_500),
                (counts.code.bits32, 1, 0),
                (counts.code.bits64, 0, 1),
                // One more function is compiled, to get the compiler's working memory back.
                (entries(self.compiled().saturating_add(1)), 44, 64),
                (self.compiled(), 16, 16),
                (counts.types, 100, 140),
                (self.section_size("type"), 2, 2),
                (self.imports.len(), 320, 420),
                (length(imported), 3, 3),
                (self.imported_values(), 4, 4),
                (self.exports.len(), 110, 160),
                (self.exported(), 2, 2),
                (self.tables.len(), 100, 100),
                (counts.globals, 48, 48),
                // Globals that can change are exported too.
                (self.changes.globals.len(), 90, 110),
                (counts.segments, 80, 100),
                (counts.elements, 32, 32),
                (counts.sums, 40, 56),
                // wasmi doubles the buffer of all segments.
                (self.section_size("data"), 2, 2),
                (self.sections.len(), 60, 120),
                (length(sections), 2, 2),
            ],
        )
    }

    /// What loading it takes besides. The compiler's working memory grows with the longest function,
    /// by doubling.
    fn loading(&self, machine: Machine) -> u64 {
        let counts = &self.counts;
        let largest = &counts.largest;
        priced(
            machine,
            &[
                (1, 1_500, 2_200),
                (largest.code.bits32, 3, 0),
                (largest.code.bits64, 0, 3),
                (largest.labels, 24, 48),
                (largest.branches, 36, 72),
                (largest.targets, 72, 72),
                (largest.values, 84, 84),
                (largest.nesting, 288, 480),
                (largest.locals, 72, 84),
                (counts.globals, 160, 200),
                (counts.segments, 48, 64),
                (counts.types, 240, 320),
                (self.section_size("type"), 8, 12),
                (self.exports.len(), 100, 140),
                (self.exported(), 3, 3),
                (self.section_size("data"), 1, 1),
                (self.changes.copied(self.size), 1, 1),
                (self.changes.edits.heap_bytes(), 1, 1),
            ],
        )
    }

    /// How many functions are compiled: the module's own, and those that are added to it.
    fn compiled(&self) -> usize {
        let added = self.changes.functions.bulk.len();
        self.functions.saturating_add(added)
    }

    /// The size of the section of this name, in bytes.
    fn section_size(&self, name: &str) -> usize {
        let mut sections = self.sections.iter();
        let found = sections.find(|section| !section.custom && &*section.name == name);
        found.map_or(0, |section| section.size)
    }

    /// The bytes of the names of its exports.
    fn exported(&self) -> usize {
        length(self.exports.iter().map(|export| &*export.name))
    }

    /// How many parameters and results the functions have that it imports.
    fn imported_values(&self) -> usize {
        let values = self.imports.iter().map(|import| match &import.ty {
            Extern::Function(ty) => ty.params.len().saturating_add(ty.results.len()),
            _ => 0,
        });
        values.fold(0, usize::saturating_add)
    }

    /// An instance, but for its memory, tables, globals and stacks.
    fn overhead(&self, machine: Machine) -> u64 {
        priced(
            machine,
            &[
                (1, 5_000, 8_000),
                (self.compiled(), 120, 200),
                (self.imports.len(), 180, 250),
                // As wasmi keeps them for a host function of many, or of others than i32.
                (self.imported_values(), size_of::<Val>(), size_of::<Val>()),
                (self.exports.len(), 150, 200),
                (self.exported(), 2, 2),
                (self.tables.len(), 150, 200),
                (self.counts.segments, 100, 140),
                (
                    self.counts.elements,
                    size_of::<RawRef>(),
                    size_of::<RawRef>(),
                ),
            ],
        )
    }
}

/// Returns the places that wasmi makes for so many functions: 32 in the first block, twice as many in
/// each further one.
fn entries(functions: usize) -> usize {
    let mut entries = 0usize;
    let mut block = 32usize;
    while entries < functions {
        entries = entries.saturating_add(block);
        block = block.saturating_mul(2);
    }
    entries
}

/// The least that wasmi sets aside for a stack of values, in bytes.
pub(crate) const FIRST_STACK: usize = 1_000;

/// Bytes of all frames of wasmi's call stack.
const fn frames(limits: &Limits, machine: Machine) -> u64 {
    let frame = match machine {
        Machine::Bits32 => 12,
        Machine::Bits64 => 24,
    };
    (limits.call_depth as u64).saturating_mul(frame)
}

/// So many of each, at so many bytes on a machine of 32 bits, and on one of 64.
#[inline(never)]
fn priced(machine: Machine, items: &[(usize, usize, usize)]) -> u64 {
    let bytes = |&(count, bits32, bits64): &(usize, usize, usize)| {
        let price = match machine {
            Machine::Bits32 => bits32,
            Machine::Bits64 => bits64,
        };
        (count as u64).saturating_mul(price as u64)
    };
    sum(items.iter().map(bytes))
}

/// The bytes of all `names`.
fn length<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.fold(0, |sum, name| sum.saturating_add(name.len()))
}

fn sum(numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.fold(0, u64::saturating_add)
}

/// What a vector that grows to `bytes` may hold while it is moved: it doubles.
const fn moved(bytes: u64) -> u64 {
    bytes.saturating_mul(3)
}

/// What a linear memory may take, beyond `most` bytes, while it grows to that by `page` or more.
fn growth(start: u64, most: u64, page: u64) -> u64 {
    if start >= most {
        return 0;
    }
    // The last time that it moves, it has at most a page less than it may have.
    let before = most.saturating_sub(page);
    moved(before)
        .max(before.saturating_add(most))
        .saturating_sub(most)
}
