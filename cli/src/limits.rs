//! Limits by name, for `--limit`.

use bytesize::ByteSize;
use clap::ValueEnum;
use hostel::{Limits, Machine};

/// The default heap of a device, in bytes.
pub(super) const DEVICE_HEAP: usize = 256 << 10;

/// The machines that `probe` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Target {
    Server,
    CortexM3,
    CortexM4,
    CortexM33,
    Riscv32imac,
}

impl Target {
    pub(super) const fn machine(self) -> Machine {
        match self {
            Self::Server => Machine::Bits64,
            Self::CortexM3 | Self::CortexM4 | Self::CortexM33 | Self::Riscv32imac => {
                Machine::Bits32
            }
        }
    }

    /// Returns the limits to start from by default.
    pub(super) const fn preset(self) -> Preset {
        match self.machine() {
            Machine::Bits64 => Preset::Server,
            Machine::Bits32 => Preset::Device,
        }
    }
}

/// The sets of limits to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    Server,
    Device,
}

impl Preset {
    /// Returns the limits; those of a device are for a heap of `heap` bytes.
    pub(super) const fn limits(self, heap: usize) -> Limits {
        match self {
            Self::Server => Limits::server(),
            Self::Device => Limits::device(heap),
        }
    }
}

/// Returns each limit with its name.
pub(super) fn caps(limits: &mut Limits) -> [(&'static str, &mut usize); 28] {
    let module = &mut limits.module;
    [
        ("heap_bytes", &mut limits.heap_bytes),
        ("module_bytes", &mut limits.module_bytes),
        ("memory_bytes", &mut limits.memory_bytes),
        ("table_elements", &mut limits.table_elements),
        ("stack_bytes", &mut limits.stack_bytes),
        ("call_depth", &mut limits.call_depth),
        ("instances", &mut limits.instances),
        ("copies", &mut limits.copies),
        ("idle", &mut limits.idle),
        ("warm", &mut limits.warm),
        ("waiting", &mut limits.waiting),
        ("types", &mut module.types),
        ("params", &mut module.params),
        ("results", &mut module.results),
        ("imports", &mut module.imports),
        ("exports", &mut module.exports),
        ("name_bytes", &mut module.name_bytes),
        ("functions", &mut module.functions),
        ("function_bytes", &mut module.function_bytes),
        ("locals", &mut module.locals),
        ("nesting", &mut module.nesting),
        ("branch_targets", &mut module.branch_targets),
        ("tables", &mut module.tables),
        ("globals", &mut module.globals),
        ("segments", &mut module.segments),
        ("elements", &mut module.elements),
        ("expression_bytes", &mut module.expression_bytes),
        ("custom_sections", &mut module.custom_sections),
    ]
}

/// Returns the limit called `name`.
pub(super) fn cap<'a>(limits: &'a mut Limits, name: &str) -> Option<&'a mut usize> {
    let mut caps = caps(limits).into_iter();
    caps.find_map(|(known, value)| (known == name).then_some(value))
}

/// Lists the names of all limits for a message.
pub(super) fn names() -> String {
    caps(&mut Limits::server()).map(|(name, _)| name).join(", ")
}

/// Parses `NAME=N`. N may have a unit.
pub(super) fn setting(text: &str) -> Result<(String, usize), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=N")?;
    if cap(&mut Limits::server(), name).is_none() {
        return Err(format!(
            "unknown limit `{name}`; the limits are: {}",
            names()
        ));
    }
    let value = value.replace('_', "").parse::<ByteSize>().ok();
    value
        .and_then(|value| usize::try_from(value.as_u64()).ok())
        .map(|value| (name.to_owned(), value))
        .ok_or_else(|| "expected a number after `=`, such as 5000, 64KiB or 1MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Limits, caps};

    #[test]
    fn every_limit_has_a_name() {
        let mut limits = Limits::server();
        let shown = format!("{limits:?}");
        let fields = shown.split(['{', ',', '}']).filter_map(|field| {
            let (name, value) = field.trim().split_once(": ")?;
            value
                .parse()
                .ok()
                .map(|value: usize| (name.to_owned(), value))
        });
        let fields: std::collections::BTreeMap<_, _> = fields.collect();
        let caps = caps(&mut limits).map(|(name, value)| (name.to_owned(), *value));
        assert_eq!(fields, caps.into());
    }
}
