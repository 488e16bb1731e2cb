//! Limits by name, for `--limit`.

use super::quantity;
use clap::{
    Arg, Command, ValueEnum,
    builder::TypedValueParser,
    error::{ContextKind, ContextValue, ErrorKind},
};
pub(super) use hostel::limit_fields as caps;
use hostel::{Budget, Limits, Machine, files};
use std::{ffi::OsStr, fmt, iter, time::Duration};

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

    /// Returns the limits to start from by default, for a WASI `command` or another plugin.
    pub(super) const fn preset(self, command: bool) -> Preset {
        match self.machine() {
            Machine::Bits64 if command => Preset::Command,
            Machine::Bits64 => Preset::Server,
            Machine::Bits32 => Preset::Device,
        }
    }
}

/// What a plugin is, by which its limits differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Module,
    Component,
    Command,
}

/// The sets of limits to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    Server,
    Device,
    Command,
}

impl Preset {
    /// Returns the limits; those of a device are for a heap of `heap` bytes.
    pub(super) const fn limits(self, heap: usize) -> Limits {
        match self {
            Self::Server => Limits::server(),
            Self::Device => Limits::device(heap),
            Self::Command => Bounds::command().limits,
        }
    }
}

/// Everything that bounds a plugin and its calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) limits: Limits,
    pub(super) budget: Budget,
    pub(super) files: files::Limits,
}

impl Bounds {
    /// Returns the bounds of a plugin: those of a server, but for more files.
    pub(super) const fn plugin() -> Self {
        let mut files = files::Limits::server();
        files.written_bytes = 1 << 30;
        files.created = 100_000;
        Self {
            limits: Limits::server(),
            budget: Budget::server(),
            files,
        }
    }

    /// Returns the bounds of a component that is called: those of a plugin, but for the file's size, which has the
    /// libraries of its language in it.
    pub(super) const fn component() -> Self {
        let mut bounds = Self::plugin();
        bounds.limits.module_bytes = Self::command().limits.module_bytes;
        bounds
    }

    /// Returns the bounds of a WASI command, which a person runs and waits for: enough for
    /// interpreters and large programs in Go. The deadline ends it long before its fuel does.
    pub(super) const fn command() -> Self {
        let mut bounds = Self::plugin();
        let limits = &mut bounds.limits;
        limits.memory_bytes = 1 << 30;
        limits.call_depth = 10_000;
        limits.stack_bytes = 16 << 20;
        limits.instances = 1;
        limits.idle = 0;
        // Eight times the module, and of what grows with it.
        limits.module_bytes = 128 << 20;
        limits.module.functions = 400_000;
        limits.module.elements = 800_000;
        limits.table_elements = 800_000;
        bounds.budget.fuel = 1_000_000_000_000_000;
        bounds.budget.deadline = Some(Duration::from_secs(300));
        bounds.budget.host_calls = u32::MAX;
        bounds.files.open = 256;
        bounds
    }

    /// Sets the limits that the user changed. Those of a module hold for a component's modules together.
    pub(super) fn set(&mut self, changes: &[Change]) {
        for change in changes {
            let fields = self.fields().into_iter();
            let meant = |name: &str| name == change.name || of_module(name) == Some(&change.name);
            for (_, field) in fields.filter(|(name, _)| meant(name)) {
                field.set(change.value);
            }
        }
    }

    /// Returns each bound with its name, those of `limits` first.
    fn fields(&mut self) -> Vec<(&'static str, Field<'_>)> {
        let plugin = caps(&mut self.limits).into_iter();
        let plugin = plugin.map(|(name, value)| (name, Field::Size(value)));
        let (budget, files) = (&mut self.budget, &mut self.files);
        let call = [
            ("host_calls", Field::Word(&mut budget.host_calls)),
            ("input_bytes", Field::Size(&mut budget.input_bytes)),
            ("output_bytes", Field::Size(&mut budget.output_bytes)),
            ("error_bytes", Field::Size(&mut budget.error_bytes)),
            ("argument_bytes", Field::Size(&mut budget.argument_bytes)),
            (
                "deserialized_bytes",
                Field::Size(&mut budget.deserialized_bytes),
            ),
            (
                "deserialized_levels",
                Field::Size(&mut budget.deserialized_levels),
            ),
            ("bytes_to_guest", Field::Size(&mut budget.bytes_to_guest)),
            ("log_records", Field::Word(&mut budget.log_records)),
            ("log_bytes", Field::Word(&mut budget.log_bytes)),
            ("open_files", Field::Size(&mut files.open)),
            ("written_bytes", Field::Long(&mut files.written_bytes)),
            ("created_files", Field::Word(&mut files.created)),
            ("list_bytes", Field::Size(&mut files.list_bytes)),
        ];
        plugin.chain(call).collect()
    }

    /// Lists the names of all bounds for a message.
    fn names() -> String {
        let mut bounds = Self::plugin();
        let names = bounds.fields().into_iter().map(|(name, _)| name);
        listed_names(names)
    }
}

/// Returns the names of all bounds that `--limit` changes.
pub(super) fn all() -> Vec<&'static str> {
    let mut bounds = Bounds::plugin();
    let fields = bounds.fields().into_iter();
    fields.map(|(name, _)| name).collect()
}

/// A number that bounds something.
enum Field<'a> {
    Word(&'a mut u32),
    Long(&'a mut u64),
    Size(&'a mut usize),
}

impl Field<'_> {
    /// Sets the number. Returns the largest possible one if `value` is larger.
    fn set(self, value: u64) -> Option<u64> {
        match self {
            Self::Word(field) => match u32::try_from(value) {
                Ok(value) => *field = value,
                Err(_) => return Some(u32::MAX.into()),
            },
            Self::Long(field) => *field = value,
            Self::Size(field) => match usize::try_from(value) {
                Ok(value) => *field = value,
                Err(_) => return Some(usize::MAX as u64),
            },
        }
        None
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size(value) if **value == usize::MAX => f.pad("none"),
            Self::Word(value) => value.fmt(f),
            Self::Long(value) => value.fmt(f),
            Self::Size(value) => value.fmt(f),
        }
    }
}

/// One `--limit` argument.
#[derive(Clone, Debug)]
pub(super) struct Change {
    name: String,
    value: u64,
}

impl Change {
    /// Parses `NAME=N` for a command that calls the plugin.
    pub(super) fn of_call(text: &str) -> Result<Self, String> {
        Self::parse(text, &Bounds::names())
    }

    /// Parses `NAME=N` for a command that only loads the plugin. Limits of a call are refused: they
    /// would have no effect.
    pub(super) fn of_plugin(text: &str) -> Result<Self, String> {
        let change = Self::parse(text, &names())?;
        if cap(&mut Limits::server(), &change.name).is_none() {
            let (name, names) = (change.name, names());
            return Err(format!(
                "`{name}` limits a call, and this command makes none; the limits of a plugin are: {names}"
            ));
        }
        Ok(change)
    }

    fn parse(text: &str, names: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once('=')
            .ok_or("expected NAME=N, such as call_depth=5000; `--limit list` lists all")?;
        let mut bounds = Bounds::plugin();
        let mut fields = bounds.fields().into_iter();
        let (_, field) = fields
            .find(|(known, _)| *known == name)
            .ok_or_else(|| unknown(name, names))?;
        let value = quantity::parse(value)
            .ok_or("expected a whole number after `=`, such as 5000, 64KiB or 1M")?;
        if value == 0 && ["copies", "instances"].contains(&name) {
            return Err(format!("`{name}` is at least 1, found 0"));
        }
        if let Some(most) = field.set(value) {
            return Err(format!("`{name}` is at most {most}, found {value}"));
        }
        let name = name.to_owned();
        Ok(Self { name, value })
    }
}

/// Parses the argument of `--limit`: the function's NAME=N, or `list`.
#[derive(Clone)]
pub(super) struct ChangeParser(pub(super) fn(&str) -> Result<Change, String>);

impl TypedValueParser for ChangeParser {
    type Value = Change;

    /// Returns the list for `list` as an error, because it ends the program wherever it stands.
    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Change, clap::Error> {
        if value == "list" {
            let all = (self.0)("host_calls=1").is_ok();
            let mut error = clap::Error::new(ErrorKind::DisplayHelp);
            error.insert(ContextKind::Custom, ContextValue::String(list(all)));
            return Err(error);
        }
        self.0.parse_ref(command, argument, value)
    }
}

/// Returns the list that `--limit list` asked for, if it did.
pub(super) fn listed(error: &clap::Error) -> Option<&str> {
    match error.get(ContextKind::Custom)? {
        ContextValue::String(list) if error.kind() == ErrorKind::DisplayHelp => Some(list),
        _ => None,
    }
}

/// Lists the limits of a plugin, or `all` limits, with their defaults.
fn list(all: bool) -> String {
    let (mut plugin, mut command) = (Bounds::plugin(), Bounds::command());
    let most = if all {
        usize::MAX
    } else {
        caps(&mut Limits::server()).len()
    };
    let rows = plugin.fields().into_iter().zip(command.fields()).take(most);
    let rows = rows.filter(|((name, _), _)| of_module(name).is_none());
    let head = format!(
        "{:<26}{:>14}{:>14}\n",
        "limit", "of a plugin", "of a command"
    );
    let rows =
        rows.map(|((name, plugin), (_, command))| format!("{name:<26}{plugin:>14}{command:>14}\n"));
    iter::once(head).chain(rows).collect()
}

/// Says that no limit is called `name`: names those that are near, or else all `names`.
fn unknown(name: &str, names: &str) -> String {
    let near: Vec<_> = names
        .split(", ")
        .filter(|known| is_near(name, known))
        .map(|known| format!("`{known}`"))
        .collect();
    match &*near {
        [] => format!("unknown limit `{name}`; the limits are: {names}"),
        near => format!(
            "unknown limit `{name}`; near it: {}; `--limit list` lists all",
            near.join(", ")
        ),
    }
}

/// Returns whether one name is part of the other, or at most two letters differ.
fn is_near(name: &str, known: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let part = name.len() > 2 && (known.contains(&name) || name.contains(known));
    part || distance(&name, known) <= 2
}

/// Returns how many letters to insert, remove or change to get from one word to the other.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<_> = (0..=other.len()).collect();
    for (at, a) in one.bytes().enumerate() {
        let mut before = row[0];
        row[0] = at + 1;
        for (to, b) in other.bytes().enumerate() {
            let changed = before + usize::from(a != b);
            before = row[to + 1];
            row[to + 1] = changed.min(before + 1).min(row[to] + 1);
        }
    }
    row[other.len()]
}

/// Returns the limit of a plugin called `name`.
fn cap<'a>(limits: &'a mut Limits, name: &str) -> Option<&'a mut usize> {
    let mut caps = caps(limits).into_iter();
    caps.find_map(|(known, value)| (known == name).then_some(value))
}

/// How the names of limits begin that hold for all modules of a component together.
const OF_MODULES: &str = "component.module.";

/// Returns the name of the module's limit that also changes the limit `name` of a component's modules.
fn of_module(name: &str) -> Option<&str> {
    name.strip_prefix(OF_MODULES)
}

/// Sets the limit called `name` that a plugin exceeds, and returns whether there is one. A module's limits hold for all
/// modules of a `component`.
pub(super) fn raise(limits: &mut Limits, component: bool, name: &str, value: usize) -> bool {
    let of_modules = format!("{OF_MODULES}{name}");
    let name = match component && cap(limits, &of_modules).is_some() {
        true => &of_modules,
        false => name,
    };
    match cap(limits, name) {
        Some(cap) => {
            *cap = value;
            true
        }
        None => false,
    }
}

/// Returns the name by which `--limit` changes the limit called `name`; `None` if it can't.
pub(super) fn option(name: &str) -> Option<&str> {
    let name = of_module(name).unwrap_or(name);
    cap(&mut Limits::server(), name).map(|_| name)
}

/// Lists the names of a plugin's limits for a message.
pub(super) fn names() -> String {
    listed_names(
        caps(&mut Limits::server())
            .into_iter()
            .map(|(name, _)| name),
    )
}

/// Lists names, but for those that a module's limit sets too.
fn listed_names(names: impl Iterator<Item = &'static str>) -> String {
    let names = names.filter(|name| of_module(name).is_none());
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Field, OF_MODULES};
    use std::collections::BTreeMap;

    /// The fields of the presets by their own names, as `Debug` shows them. Other options set fuel
    /// and deadline.
    fn declared(bounds: &Bounds) -> BTreeMap<String, u64> {
        let Bounds {
            limits,
            budget,
            files,
        } = bounds;
        let [limits, component, module] = [
            format!("{limits:?}"),
            format!("{:?}", limits.component),
            format!("{:?}", limits.component.module),
        ];
        let own = limits.replace(&component, "");
        let parts = [
            ("", format!("{own}, {budget:?}, {files:?}")),
            ("component.", component.replace(&module, "")),
            (OF_MODULES, module),
        ];
        let parts = parts.iter();
        let fields = parts.flat_map(|(prefix, shown)| {
            let fields = shown.split(['{', ',', '}']);
            fields.filter_map(move |field| {
                let (name, value) = field.trim().split_once(": ")?;
                let name = match name {
                    "open" => "open_files",
                    "created" => "created_files",
                    "fuel" => return None,
                    name => name,
                };
                let value = value.parse().ok();
                value.map(|value| (format!("{prefix}{name}"), value))
            })
        });
        fields.collect()
    }

    #[test]
    fn every_bound_has_a_name() {
        for mut bounds in [Bounds::plugin(), Bounds::command()] {
            let declared = declared(&bounds);
            let named = bounds.fields().into_iter().map(|(name, field)| {
                let value = match field {
                    Field::Word(value) => (*value).into(),
                    Field::Long(value) => *value,
                    Field::Size(value) => *value as u64,
                };
                (name.to_owned(), value)
            });
            assert_eq!(named.collect::<BTreeMap<_, _>>(), declared);
        }
    }

    #[test]
    fn a_command_is_bounded_by_no_less_than_a_plugin() {
        let (plugin, command) = (declared(&Bounds::plugin()), declared(&Bounds::command()));
        // The fastest guests use 20 G units of fuel per second: the deadline comes first.
        let budget = Bounds::command().budget;
        let seconds = budget.deadline.expect("it has one").as_secs();
        assert!(budget.fuel > seconds * 20_000_000_000);
        for (name, value) in plugin {
            // A person runs one.
            let fewer = ["instances", "idle"].contains(&&*name);
            assert!(command[&name] >= value || fewer, "{name}");
        }
    }
}
