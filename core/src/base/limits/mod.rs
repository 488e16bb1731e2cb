//! Limits of plugins and instances ([`Limits`]), and the budget and use of one call ([`Budget`],
//! [`Usage`]).

#[cfg(feature = "contract")]
#[cfg_attr(not(feature = "component"), allow(dead_code))]
mod component;

#[cfg(feature = "contract")]
pub use self::component::ComponentLimits;

use super::growth::RefusedGrowth;
use core::time::Duration;

/// Bounds of a plugin and of each of its instances. Set once, on the [`Engine`](crate::Engine).
///
/// All bounds are inclusive. Start from a preset and change fields:
///
/// ```
/// let mut limits = hostel_core::Limits::server();
/// limits.memory_bytes = 4 << 20;
/// ```
///
/// Each field's documentation says its value in [`server`](Self::server) and in
/// [`device`](Self::device), where `heap` is the argument of `device`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Most heap that a plugin may [need to run](crate::Footprint::to_run), in bytes. Loading fails
    /// with [`DoesNotFit`](crate::LoadError::DoesNotFit) above it.
    ///
    /// `server`: no limit. `device`: `heap`.
    pub heap_bytes: usize,
    /// Largest module that is read, in bytes.
    ///
    /// `server`: 16 MiB. `device`: `heap / 4`.
    pub module_bytes: usize,
    /// What a module may declare.
    ///
    /// `server`: [`ModuleLimits::server`]. `device`: [`ModuleLimits::device`].
    pub module: ModuleLimits,
    /// What a component may declare.
    ///
    /// `server`: [`ComponentLimits::server`]. `device`: [`ComponentLimits::device`].
    #[cfg(feature = "component")]
    pub component: ComponentLimits,
    /// Most linear memory of one instance, in bytes, summed over its memories. A module that starts
    /// with more is refused; a `memory.grow` beyond it returns -1 to the guest.
    ///
    /// `server`: 64 MiB. `device`: `heap / 4`.
    pub memory_bytes: usize,
    /// Most table elements of one instance, summed over its tables.
    ///
    /// `server`: 100,000. `device`: 512.
    pub table_elements: usize,
    /// Most value stack that guest code may use in one call, in bytes. The guest traps above it
    /// ([`StackOverflow`](crate::TrapKind::StackOverflow)).
    ///
    /// `server`: 512 KiB. `device`: `heap / 64`, but 1 KiB to 8 KiB.
    pub stack_bytes: usize,
    /// Deepest nesting of guest functions in one call. The guest traps above it
    /// ([`StackOverflow`](crate::TrapKind::StackOverflow)).
    ///
    /// `server`: 1,000. `device`: `heap / 8192`, but 16 to 64.
    pub call_depth: usize,
    /// Most instances of one plugin that run at a time in [`Plugin::process`](crate::Plugin::process)
    /// and the other calls of [`Plugin`](crate::Plugin). With 0, all of them fail with
    /// [`Busy`](crate::CallError::Busy).
    ///
    /// `server`: 16. `device`: 1.
    pub instances: usize,
    /// Most compiled copies of a plugin's code, from 1 to 256: less or more counts as these. Calls in
    /// one copy contend for a lock of wasmi's as they begin and end, so short calls on several
    /// processors run in as many copies.
    ///
    /// Loading compiles the first. Another one is compiled in the background while each copy has an
    /// instance, up to the number of [processors](crate::Platform::processors). A module of 1 MiB gets at
    /// most 4 copies, one of 2 MiB at most 2, and a larger one only the first. So does each module if
    /// [`heap_bytes`](Self::heap_bytes) or the platform bounds the heap.
    ///
    /// `server`: 256. `device`: 1.
    pub copies: usize,
    /// Most instances of one plugin that are kept for reuse between calls, each reset to its state
    /// after its start, or new. Each keeps its memory. One whose memory has grown is not kept, since it
    /// can't be reset. The plugin also keeps one copy of that state,
    /// without the parts of the memory that are 0.
    ///
    /// `server`: 4. `device`: 0.
    pub idle: usize,
    /// Number of idle instances up to which [`Plugin::warm_up`](crate::Plugin::warm_up) makes new
    /// ones ahead of calls. [`idle`](Self::idle) bounds it. `hostel::keep_warm` runs `warm_up` in a
    /// thread.
    ///
    /// `server` and `device`: 0.
    pub warm: usize,
    /// Most calls that wait for one of [`instances`](Self::instances), first come, first served.
    /// Further calls fail at once with [`Busy`](crate::CallError::Busy).
    ///
    /// `server`: 10,000. `device`: 16.
    pub waiting: usize,
}

/// The most copies of a plugin's code, whatever the limits say.
const MOST_COPIES: usize = 256;

impl Limits {
    /// Returns limits for a server: modules of 16 MiB, 64 MiB of memory for each instance, 16
    /// instances at a time.
    #[must_use]
    pub const fn server() -> Self {
        Self {
            heap_bytes: usize::MAX,
            module_bytes: 16 << 20,
            module: ModuleLimits::server(),
            #[cfg(feature = "component")]
            component: ComponentLimits::server(),
            memory_bytes: 64 << 20,
            table_elements: 100_000,
            stack_bytes: 512 << 10,
            call_depth: 1_000,
            instances: 16,
            copies: MOST_COPIES,
            idle: 4,
            warm: 0,
            waiting: 10_000,
        }
    }

    /// Returns limits for a microcontroller with a heap of `heap` bytes: a quarter of it for a
    /// module, a quarter for an instance's memory, one instance at a time. A plugin that needs more
    /// than the heap is refused before it is compiled.
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
            #[cfg(feature = "component")]
            component: ComponentLimits::device(),
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

    /// Returns the most compiled copies of a plugin's code.
    pub(crate) const fn most_copies(&self) -> usize {
        match self.copies {
            0 => 1,
            copies if copies < MOST_COPIES => copies,
            _ => MOST_COPIES,
        }
    }
}

/// Clamps `value`; `Ord::clamp` is not `const`.
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
    /// Returns [`Limits::server`].
    fn default() -> Self {
        Self::server()
    }
}

/// Bounds of what a module may declare. They bound the time and memory that loading takes, since a
/// small file can be built to need much of both.
///
/// All bounds are inclusive. A module that exceeds one fails to load with
/// [`OverLimit`](crate::LoadError::OverLimit), which names the field.
///
/// ```
/// let mut limits = hostel_core::Limits::server();
/// limits.module.locals = 500;
/// ```
///
/// Of modules that are [linked](crate::Engine::load_linked), the numbers of types, imports, exports, functions, tables,
/// globals, segments and elements hold for all together, and `segments` for both kinds. Limits on one type, name,
/// function or expression hold for each, and so does `custom_sections`, since those are not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleLimits {
    /// Most function types. `server`: 10,000. `device`: 200.
    pub types: usize,
    /// Most parameters of a function type. `server`: 64. `device`: 16.
    pub params: usize,
    /// Most results of a function type. `server` and `device`: 8.
    pub results: usize,
    /// Most imports. `server`: 1,000. `device`: 64.
    pub imports: usize,
    /// Most exports. `server`: 1,000. `device`: 64.
    pub exports: usize,
    /// Longest name of an import, its module or an export, in bytes. `server`: 1,024. `device`: 128.
    pub name_bytes: usize,
    /// Most functions that the module defines. `server`: 50,000. `device`: 1,000.
    pub functions: usize,
    /// Most functions beyond one for each 8 bytes of the module. The interpreter takes far more
    /// memory for an empty function than the few bytes that it has in the module.
    ///
    /// `server` and `device`: 1,000.
    pub small_functions: usize,
    /// Longest body of a function, in bytes. `server`: 1 MiB. `device`: 32 KiB.
    pub function_bytes: usize,
    /// Most locals of a function, without its parameters. Each call sets them to zero, for which
    /// wasmi charges no fuel.
    ///
    /// `server`: 2,000. `device`: 256.
    pub locals: usize,
    /// Deepest nesting of blocks in a function. `server`: 4,000. `device`: 128.
    pub nesting: usize,
    /// Most `memory.grow` instructions in one function. A failing one may leave native stack in use
    /// until the slice of fuel ends, and a straight line of code runs to its end in one slice.
    ///
    /// `server` and `device`: 100.
    pub memory_grows: usize,
    /// Most values that the branches of a function carry, beyond one for each byte of its body. The
    /// interpreter compiles each of them to code.
    ///
    /// `server` and `device`: 0.
    pub carried_values: usize,
    /// Most targets of one branch table. `server`: 10,000. `device`: 512.
    pub branch_targets: usize,
    /// Most tables. `server`: 16. `device`: 1.
    pub tables: usize,
    /// Most globals. `server`: 10,000. `device`: 100.
    pub globals: usize,
    /// Most data segments, and most element segments. Go's linker makes tens of thousands of data
    /// segments, 100,000 at most.
    ///
    /// `server`: 100,000. `device`: 100.
    pub segments: usize,
    /// Most elements of all element segments together. Each instance has its own copy.
    ///
    /// `server`: 100,000. `device`: 512.
    pub elements: usize,
    /// Longest constant expression (the value of a global, an offset or an element), in bytes.
    ///
    /// `server`: 128. `device`: 64.
    pub expression_bytes: usize,
    /// Most custom sections. They are read over and not kept.
    ///
    /// `server`: 100. `device`: 16.
    pub custom_sections: usize,
}

impl ModuleLimits {
    /// Returns limits for a server: enough for large programs in Rust, C or Go.
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

    /// Returns limits for a microcontroller.
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

    /// Returns no limits but the parser's. For looking at a module, not for loading it.
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

/// What one call may use, for the guest's work and for the host's on its behalf.
///
/// [`Plugin::process`](crate::Plugin::process) and the other calls of [`Plugin`](crate::Plugin) may
/// make an instance: one budget then covers instantiation and call, and its deadline the wait for a
/// free instance too. [`Plugin::instantiate`](crate::Plugin::instantiate) has a budget of its own,
/// of equal size.
///
/// Each field's documentation says its value in [`server`](Self::server) and in
/// [`device`](Self::device).
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
    /// Most units of fuel. The call ends with [`OutOfFuel`](crate::CallError::OutOfFuel) above it.
    ///
    /// Guest code costs one unit for each instruction that runs, and one more for each straight line of
    /// code: the interpreter charges a line when the guest enters it. A line ends after an early exit,
    /// unless at most four instructions follow, 16 if it leaves a loop, or values are on the stack, so that a little of what an
    /// exit skips is charged too. Programs that were measured are charged 1.1 to 1.3 units for each
    /// instruction. Bulk operations add 1 unit for each 64 bytes, up to 1.6 % more where they are split
    /// so that they can be paused, and 9 units more if their length is not constant. Growth adds 1 for
    /// each 64 bytes, and 255 for each 512 KiB.
    ///
    /// Host work adds 20 units for each call of a host function or an export, and 1 for each 64 bytes
    /// that are read, written or checked; host functions may [charge](crate::Context::charge) more.
    /// The fuel that a call uses is equal on all machines.
    ///
    /// `server`: 1,000,000,000, some seconds. `device`: 1,000,000.
    pub fuel: u64,
    /// Wall-clock time from the call's start. The call ends with
    /// [`Deadline`](crate::CallError::Deadline) after it, and never with a result. The time is checked
    /// between slices of at most 50,000 units of fuel, while the guest waits, and at the end. Needs a
    /// [`Platform`](crate::Platform) with a clock. Without one, loading fails with
    /// [`LoadError::NoClock`](crate::LoadError::NoClock) and calls with
    /// [`CallError::NoClock`](crate::CallError::NoClock).
    ///
    /// `server` and `device`: none.
    pub deadline: Option<Duration>,
    /// Most calls of host functions. The call ends with
    /// [`HostCalls`](crate::CallError::HostCalls) above it.
    ///
    /// `server`: 1,000,000. `device`: 1,000.
    pub host_calls: u32,
    /// Longest text or byte string among the call's arguments, in bytes. A longer one fails with
    /// [`InputTooLarge`](crate::CallError::InputTooLarge).
    ///
    /// `server`: 16 MiB. `device`: 4 KiB.
    pub input_bytes: usize,
    /// Most text and byte strings among the call's results, in bytes, summed over them: buffers may
    /// overlap in the guest, but each is copied. More fails with
    /// [`OutputTooLarge`](crate::CallError::OutputTooLarge), also if the guest returned an error.
    ///
    /// `server`: 16 MiB. `device`: 4 KiB.
    pub output_bytes: usize,
    /// Longest message of an error that the guest returns, in bytes, once invalid UTF-8 is replaced
    /// by U+FFFD, which has 3 bytes. A longer one fails with
    /// [`ErrorTooLarge`](crate::CallError::ErrorTooLarge). The message is bounded by
    /// [`output_bytes`](Self::output_bytes) too.
    ///
    /// `server`: 64 KiB. `device`: 1 KiB.
    pub error_bytes: usize,
    /// Longest text or byte string that the guest may pass to a host function, in bytes. Those that are
    /// copied, `String` and `Vec<u8>`, count together in each call of a host function. The guest's call
    /// ends with
    /// [`ArgumentTooLarge`](crate::CallError::ArgumentTooLarge) above it.
    ///
    /// `server`: 8 MiB. `device`: 4 KiB.
    pub argument_bytes: usize,
    /// Most heap of the `Postcard` values that one host call passes, or of
    /// those among a call's results, in bytes. It is foreseen from the sizes of the Rust types. The call
    /// ends with [`DeserializedTooLarge`](crate::CallError::DeserializedTooLarge) above it.
    ///
    /// `server`: 16 MiB. `device`: 16 KiB.
    pub deserialized_bytes: usize,
    /// Deepest nesting of such a value: sequences, maps, structs, enums and options inside each other.
    /// Reading each level takes native stack. The call ends with
    /// [`NestedTooDeep`](crate::CallError::NestedTooDeep) above it.
    ///
    /// `server`: 64. `device`: 16.
    pub deserialized_levels: usize,
    /// Most bytes of text and byte strings that host functions may return to the guest in one call,
    /// in buffers from its allocator. The call ends with
    /// [`BytesToGuest`](crate::CallError::BytesToGuest) above it.
    ///
    /// `server`: 64 MiB. `device`: 16 KiB.
    pub bytes_to_guest: usize,
    /// Most log records. Further ones are dropped and counted; one last record says how many.
    ///
    /// `server`: 1,000. `device`: 16.
    pub log_records: u32,
    /// Most log text, in bytes. A record that would exceed it is dropped whole, as above.
    ///
    /// `server`: 1 MiB. `device`: 1 KiB.
    pub log_bytes: u32,
}

impl Budget {
    /// Returns a budget for a server: 1,000,000,000 units of fuel (some seconds), no deadline, inputs
    /// and outputs of 16 MiB.
    #[must_use]
    pub const fn server() -> Self {
        Self {
            fuel: 1_000_000_000,
            deadline: None,
            host_calls: 1_000_000,
            input_bytes: 16 << 20,
            output_bytes: 16 << 20,
            error_bytes: 64 << 10,
            argument_bytes: 8 << 20,
            deserialized_bytes: 16 << 20,
            deserialized_levels: 64,
            bytes_to_guest: 64 << 20,
            log_records: 1_000,
            log_bytes: 1 << 20,
        }
    }

    /// Returns a budget for a microcontroller: 1,000,000 units of fuel, no deadline, inputs and outputs
    /// of 4 KiB.
    #[must_use]
    pub const fn device() -> Self {
        Self {
            fuel: 1_000_000,
            deadline: None,
            host_calls: 1_000,
            input_bytes: 4 << 10,
            output_bytes: 4 << 10,
            error_bytes: 1 << 10,
            argument_bytes: 4 << 10,
            deserialized_bytes: 16 << 10,
            deserialized_levels: 16,
            bytes_to_guest: 16 << 10,
            log_records: 16,
            log_bytes: 1 << 10,
        }
    }

    /// Returns this budget with `fuel` units of fuel.
    #[must_use]
    pub const fn with_fuel(mut self, fuel: u64) -> Self {
        self.fuel = fuel;
        self
    }

    /// Returns this budget with a wall-clock deadline `after` the call's start.
    #[must_use]
    pub const fn with_deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(after);
        self
    }
}

impl Default for Budget {
    /// Returns [`Budget::server`].
    fn default() -> Self {
        Self::server()
    }
}

/// What a call used, whether it returned or was stopped.
///
/// Two of them are equal if all but their [`time`](Self::time) is, which no two calls have in common.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Units of [fuel](Budget::fuel), for the guest's work and the host's. The whole budget if it ran
    /// out.
    pub fuel: u64,
    /// Calls of host functions.
    pub host_calls: u32,
    /// Bytes that host functions returned to the guest, in buffers from its allocator.
    pub bytes_to_guest: usize,
    /// Log records within the budget.
    pub log_records: u32,
    /// Bytes of log text within the budget.
    pub log_bytes: u32,
    /// Log records that were dropped because they exceeded the budget.
    pub log_dropped: u32,
    /// Most linear memory that the guest had during the call, in bytes, summed over its memories.
    pub memory_bytes: usize,
    /// Wall-clock time from the call's start to its end, its wait for an instance included, if the
    /// platform has a clock.
    ///
    /// Measured by [`with_instance_metered`](crate::Plugin::with_instance_metered) and for a
    /// [`PendingCall`](crate::PendingCall). Zero for other calls: reading the clock twice would take
    /// a good part of a short one.
    pub time: Duration,
    /// The last growth of its memory that the guest asked for and did not get, if there was one.
    pub refused_growth: Option<RefusedGrowth>,
}

impl PartialEq for Usage {
    fn eq(&self, other: &Self) -> bool {
        let parts = |it: &Self| {
            let log = (it.log_records, it.log_bytes, it.log_dropped);
            let host = (it.host_calls, it.bytes_to_guest);
            (it.fuel, host, log, it.memory_bytes, it.refused_growth)
        };
        parts(self) == parts(other)
    }
}

impl Eq for Usage {}

impl Usage {
    /// Nothing used.
    pub(crate) const ZERO: Self = Self {
        fuel: 0,
        host_calls: 0,
        bytes_to_guest: 0,
        log_records: 0,
        log_bytes: 0,
        log_dropped: 0,
        memory_bytes: 0,
        time: Duration::ZERO,
        refused_growth: None,
    };
}
