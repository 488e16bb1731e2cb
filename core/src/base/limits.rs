//! What an instance may ever be ([`Limits`]) and what one call may use ([`Budget`], [`Usage`]).

use core::time::Duration;

/// What a plugin and each of its instances may ever be. Set once, on the [`Engine`](crate::Engine).
///
/// Start from a preset and change what differs:
///
/// ```
/// let mut limits = hostel_core::Limits::server();
/// limits.memory_bytes = 4 << 20;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most heap that a plugin may [need to run](crate::Footprint::to_run), in bytes.
    pub heap_bytes: usize,
    /// Largest module that is read at all, in bytes.
    pub module_bytes: usize,
    /// What a module may declare.
    pub module: ModuleLimits,
    /// Most linear memory that one instance may hold, in bytes, summed over its memories.
    pub memory_bytes: usize,
    /// Most table elements that one instance may hold, summed over its tables.
    pub table_elements: usize,
    /// Most bytes of value stack that guest code may use in one call.
    pub stack_bytes: usize,
    /// Deepest nesting of guest calls in one call.
    pub call_depth: usize,
    /// Most instances of one plugin that [`Plugin::process`](crate::Plugin::process) and its
    /// kin run at the same time.
    pub instances: usize,
    /// How often a plugin's code is compiled, 1 at least; its instances are spread over the copies.
    /// Calls of instances of one copy wait for each other for a moment as they begin and end, in
    /// wasmi: short calls on several processors want as many copies.
    pub copies: usize,
    /// Most instances of one plugin that are kept between calls, made as new. Each keeps its
    /// memory, and the plugin a copy of what a new one's holds.
    pub idle: usize,
    /// How many instances [`Plugin::warm_up`](crate::Plugin::warm_up) makes ahead of their calls,
    /// [`idle`](Self::idle) at most. `hostel::keep_warm` has a thread do so.
    pub warm: usize,
    /// Most calls that wait for one of [`instances`](Self::instances), first come, first served.
    /// Others are refused at once.
    pub waiting: usize,
}

impl Limits {
    /// For a server: 16 MiB of module, 64 MiB of memory, 16 instances at once.
    #[must_use]
    pub const fn server() -> Self {
        Self {
            heap_bytes: usize::MAX,
            module_bytes: 16 << 20,
            module: ModuleLimits::server(),
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            stack_bytes: 512 << 10,
            call_depth: 1_000,
            instances: 16,
            copies: 1,
            idle: 4,
            warm: 0,
            waiting: 10_000,
        }
    }

    /// For a microcontroller whose heap has `heap` bytes: a quarter of it for a module, as much for
    /// the memory of an instance, one instance at once. A plugin that needs more than the heap is
    /// refused before it is compiled.
    ///
    /// ```
    /// let limits = hostel_core::Limits::device(256 << 10);
    /// assert_eq!((limits.heap_bytes, limits.memory_bytes), (256 << 10, 64 << 10));
    /// ```
    #[must_use]
    pub const fn device(heap: usize) -> Self {
        Self {
            heap_bytes: heap,
            module_bytes: heap / 4,
            module: ModuleLimits::device(),
            memory_bytes: heap / 4,
            table_elements: 512,
            stack_bytes: within(heap / 64, 1 << 10, 8 << 10),
            call_depth: within(heap / 8_192, 16, 64),
            instances: 1,
            copies: 1,
            idle: 0,
            warm: 0,
            waiting: 16,
        }
    }
}

const fn within(value: usize, least: usize, most: usize) -> usize {
    if value < least {
        least
    } else if value > most {
        most
    } else {
        value
    }
}

impl Default for Limits {
    /// [`Limits::server`].
    fn default() -> Self {
        Self::server()
    }
}

/// What a module may declare, whatever its size. InstanceLimiter what loading it costs: a small file can be
/// built to need much time and memory.
///
/// ```
/// let mut limits = hostel_core::Limits::server();
/// limits.module.locals = 500;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleLimits {
    /// Most function types.
    pub types: usize,
    /// Most parameters of a function or block.
    pub params: usize,
    /// Most results of a function or block.
    pub results: usize,
    /// Most imports.
    pub imports: usize,
    /// Most exports.
    pub exports: usize,
    /// Longest name of an import or export, in bytes.
    pub name_bytes: usize,
    /// Most functions.
    pub functions: usize,
    /// Most functions beyond one for each 8 bytes of the module. Empty functions cost the interpreter
    /// far more memory than the few bytes that they have.
    pub small_functions: usize,
    /// Longest body of a function, in bytes.
    pub function_bytes: usize,
    /// Most locals of a function besides its parameters. They are set to zero at each call, for
    /// which wasmi charges no fuel.
    pub locals: usize,
    /// Deepest nesting of blocks in a function.
    pub nesting: usize,
    /// Most `memory.grow` instructions in one function. Fuel is taken for a straight line of code at
    /// once, so that each of them costs native stack before the next check of the time.
    pub memory_grows: usize,
    /// Most values that the branches of a function carry, beyond one for each byte of its body. Each
    /// becomes code of the interpreter's.
    pub carried_values: usize,
    /// Most targets of one branch table.
    pub branch_targets: usize,
    /// Most tables.
    pub tables: usize,
    /// Most globals.
    pub globals: usize,
    /// Most data segments, and most element segments. Go's linker makes tens of thousands of the
    /// former, and no more than 100,000.
    pub segments: usize,
    /// Most elements in all element segments together. Each instance has its own copy.
    pub elements: usize,
    /// Longest constant expression, of a global, an offset or an element, in bytes.
    pub expression_bytes: usize,
    /// Most custom sections. They are not kept.
    pub custom_sections: usize,
}

impl ModuleLimits {
    /// For a server: what large programs in Rust, C or Go need.
    #[must_use]
    pub const fn server() -> Self {
        Self {
            types: 10_000,
            params: 64,
            results: 8,
            imports: 1_000,
            exports: 1_000,
            name_bytes: 1_024,
            functions: 50_000,
            small_functions: 1_000,
            function_bytes: 1 << 20,
            locals: 2_000,
            nesting: 4_000,
            memory_grows: 100,
            carried_values: 0,
            branch_targets: 10_000,
            tables: 16,
            globals: 10_000,
            segments: 100_000,
            elements: 100_000,
            expression_bytes: 128,
            custom_sections: 100,
        }
    }

    /// For a microcontroller.
    #[must_use]
    pub const fn device() -> Self {
        Self {
            types: 200,
            params: 16,
            results: 8,
            imports: 64,
            exports: 64,
            name_bytes: 128,
            functions: 1_000,
            small_functions: 1_000,
            function_bytes: 32 << 10,
            locals: 256,
            nesting: 128,
            memory_grows: 100,
            carried_values: 0,
            branch_targets: 512,
            tables: 1,
            globals: 100,
            segments: 100,
            elements: 512,
            expression_bytes: 64,
            custom_sections: 16,
        }
    }

    /// Whatever the parser takes: to look at a module, not to load it.
    #[must_use]
    pub const fn none() -> Self {
        const ALL: usize = usize::MAX;
        Self {
            types: ALL,
            params: ALL,
            results: ALL,
            imports: ALL,
            exports: ALL,
            name_bytes: ALL,
            functions: ALL,
            small_functions: ALL,
            function_bytes: ALL,
            locals: ALL,
            nesting: ALL,
            memory_grows: ALL,
            carried_values: ALL,
            branch_targets: ALL,
            tables: ALL,
            globals: ALL,
            segments: ALL,
            elements: ALL,
            expression_bytes: ALL,
            custom_sections: ALL,
        }
    }
}

/// What one call may use. Covers the guest and the work that the host does for it.
///
/// Where a plugin makes an instance for a call, as [`Plugin::process`](crate::Plugin::process)
/// does, the budget covers both, and its deadline the wait for a place too. Making an
/// [`Instance`](crate::Instance) to keep has a budget of the same size to itself.
///
/// ```
/// use core::time::Duration;
/// let budget = hostel_core::Budget::server()
///     .with_fuel(5_000_000)
///     .with_deadline(Duration::from_millis(50));
/// assert_eq!(budget.fuel, 5_000_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Units of fuel: about one for each instruction, plus what host work is charged.
    pub fuel: u64,
    /// Wall-clock time from the call's start. Needs a [`Platform`](crate::Platform) with a clock;
    /// without one it is not enforced.
    pub deadline: Option<Duration>,
    /// Most calls of host functions.
    pub host_calls: u32,
    /// Longest input, in bytes.
    pub input_bytes: usize,
    /// Longest output, in bytes.
    pub output_bytes: usize,
    /// Longest text or byte string that the guest may hand to a host function, in bytes. It is read,
    /// and may be copied, in one go.
    pub argument_bytes: usize,
    /// Most bytes that host functions may hand to the guest, in buffers from its allocator.
    pub bytes_to_guest: usize,
    /// Most log records. Further ones are counted and dropped, with one closing record.
    pub log_records: u32,
    /// Most bytes of log text. A record that would pass it is dropped as a whole.
    pub log_bytes: u32,
}

impl Budget {
    /// For a server: 1,000,000,000 fuel (some seconds), no deadline, 16 MiB in and out.
    #[must_use]
    pub const fn server() -> Self {
        Self {
            fuel: 1_000_000_000,
            deadline: None,
            host_calls: 1_000_000,
            input_bytes: 16 << 20,
            output_bytes: 16 << 20,
            argument_bytes: 8 << 20,
            bytes_to_guest: 64 << 20,
            log_records: 1_000,
            log_bytes: 1 << 20,
        }
    }

    /// For a microcontroller: 1,000,000 fuel, no deadline, 4 KiB in and out.
    #[must_use]
    pub const fn device() -> Self {
        Self {
            fuel: 1_000_000,
            deadline: None,
            host_calls: 1_000,
            input_bytes: 4 << 10,
            output_bytes: 4 << 10,
            argument_bytes: 4 << 10,
            bytes_to_guest: 16 << 10,
            log_records: 16,
            log_bytes: 1 << 10,
        }
    }

    /// The same budget with `fuel` units of fuel.
    #[must_use]
    pub const fn with_fuel(mut self, fuel: u64) -> Self {
        self.fuel = fuel;
        self
    }

    /// The same budget with a wall-clock deadline, counted from the call's start.
    #[must_use]
    pub const fn with_deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(after);
        self
    }
}

impl Default for Budget {
    /// [`Budget::server`].
    fn default() -> Self {
        Self::server()
    }
}

/// What a call used, whether it answered or was stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Units of fuel, for the guest and for host work. The whole budget when it ran out.
    pub fuel: u64,
    /// Calls of host functions.
    pub host_calls: u32,
    /// Bytes that host functions handed to the guest, in buffers from its allocator.
    pub bytes_to_guest: usize,
    /// Log records that reached the sink.
    pub log_records: u32,
    /// Bytes of log text that reached the sink.
    pub log_bytes: u32,
    /// Log records dropped because the budget's share of log was used up.
    pub log_dropped: u32,
}

impl Usage {
    /// Nothing used.
    pub(crate) const ZERO: Self = Self {
        fuel: 0,
        host_calls: 0,
        bytes_to_guest: 0,
        log_records: 0,
        log_bytes: 0,
        log_dropped: 0,
    };
}
