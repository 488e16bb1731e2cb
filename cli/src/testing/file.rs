//! Reads a file of tests, and finds every fault in it before anything runs.

use super::{
    bytes::{Folder, single},
    case::{Case, Setup},
    expect::{Expect, Expected, ExpectedError, ExpectedLog, Matches},
};
use crate::{
    answer::{Answer, NamedAnswer},
    directories::GivenDirectory,
    failure::Failure,
    http::HttpAnswer,
    input::read_plain,
    limits::Change,
};
use hostel::{
    Convention, LogLevel,
    settings::{DeTable, DeValue, Faults, Section, expected, flag, number, text, texts, time},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Most bytes of a file of tests.
const MOST_BYTES: usize = 16 << 20;

/// A file of tests.
pub(super) struct File {
    pub(super) cases: Vec<Case>,
    /// The files that its cases name.
    pub(super) files: BTreeSet<PathBuf>,
}

impl File {
    /// Reads the file `path`. What is outside of its folder may be named if it is `trusted`.
    pub(super) fn read(path: &Path, trusted: bool) -> Result<Self, Failure> {
        let unreadable =
            |why: String| Failure::usage(format!("can't read the tests {}: {why}", path.display()));
        let bytes = read_plain(path, MOST_BYTES).map_err(|error| unreadable(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|error| unreadable(error.to_string()))?;
        let folder = Folder::of(path, trusted);
        let cases = parse(&text, &folder).map_err(|faults| {
            let shown = path.display();
            let faults = faults.iter().map(|fault| format!("{shown}:{fault}"));
            Failure::faults(path, faults.collect())
        })?;
        let files = folder.into_files();
        Ok(Self { cases, files })
    }
}

/// Reads the cases of `text`. Returns all faults, each with its line and column, if there are any.
fn parse(text: &str, folder: &Folder) -> Result<Vec<Case>, Vec<String>> {
    let faults = Faults::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        faults.add(error.span().unwrap_or(0..0), error.message());
    }
    // A broken text would have faults that are none.
    let cases = match errors.is_empty() {
        true => cases(table.get_ref(), &faults, folder),
        false => Vec::new(),
    };
    let faults = faults.into_list();
    match faults.is_empty() {
        true => Ok(cases),
        false => Err(faults.iter().map(ToString::to_string).collect()),
    }
}

fn cases(table: &DeTable<'_>, faults: &Faults<'_>, folder: &Folder) -> Vec<Case> {
    let mut root = Section::root(table, faults);
    let shared = setup(&mut root, &Setup::default(), folder);
    let mut cases: Vec<Case> = Vec::new();
    for at in root.list("case") {
        let case = case(at, cases.last(), &shared, folder);
        cases.push(case);
    }
    if cases.is_empty() {
        root.fault("there is no case: begin one with [[case]]");
    }
    root.finish();
    cases
}

fn case(mut at: Section<'_, '_>, before: Option<&Case>, shared: &Setup, folder: &Folder) -> Case {
    let name = at.value("name", text).unwrap_or_else(|| {
        at.fault("expected a key `name`, with a text");
        String::new()
    });
    let continues = at.value("continues", flag).unwrap_or(false);
    let setup = setup(&mut at, shared, folder);
    let inherited = match (continues, before) {
        (false, _) => None,
        (true, None) => {
            at.fault_at("continues", "the first case has no instance to continue in");
            None
        }
        (true, Some(before)) => {
            if setup != *shared {
                at.fault_at(
                    "continues",
                    "the case before sets up the instance: a case that continues has only `name`, `call`, `input`, `numbers` and `expect`",
                );
            }
            Some(before.setup.clone())
        }
    };
    let case = Case {
        name,
        continues,
        setup: inherited.unwrap_or(setup),
        call: at.value("call", text),
        input: at
            .value("input", |value| inputs(value, folder))
            .unwrap_or_default(),
        numbers: at.value("numbers", flag).unwrap_or(false),
        expect: expect(at.section("expect"), folder),
    };
    at.finish();
    case
}

/// Reads the keys by which a plugin is loaded and its instance made. `shared` has those of all cases.
fn setup(at: &mut Section<'_, '_>, shared: &Setup, folder: &Folder) -> Setup {
    let mut setup = shared.clone();
    if let Some(given) = at.entries("settings", text) {
        put(&mut setup.settings, given);
    }
    if let Some(given) = at.entries("env", text) {
        put(&mut setup.env, given);
    }
    if let Some(given) = at.entries("state", |value| folder.bytes(value)) {
        put(&mut setup.state, given);
    }
    if let Some(given) = at.entries("host", |value| host_answer(value, folder)) {
        put(&mut setup.host, given);
    }
    if let Some(given) = at.entries("http", |value| http_answer(value, folder)) {
        put(&mut setup.http, given);
    }
    if let Some(args) = at.value("args", texts) {
        setup.args = args;
    }
    if let Some(abi) = at.value("abi", |value| {
        let convention = value.as_str().and_then(Convention::from_name);
        convention.ok_or_else(|| expected("native, wapc, extism or typst", value))
    }) {
        setup.abi = Some(abi);
    }
    if let Some(given) = at.value("dirs", |value| directories(value, folder)) {
        setup.directories = given;
    }
    setup.fuel = at.value("fuel", number).or(setup.fuel);
    setup.memory = at.value("memory", number).or(setup.memory);
    setup.timeout = at.value("timeout", time).or(setup.timeout);
    let mut limits = at.section("limits");
    // Names are checked as `--limit` checks them.
    for name in crate::limits::all() {
        if let Some(value) = limits.value(name, |value| limit(name, value)) {
            put(&mut setup.limits, vec![(name.to_owned(), value)]);
        }
    }
    limits.finish();
    setup
}

/// Adds named values. One replaces an earlier one of its name.
fn put<T>(to: &mut Vec<(String, T)>, given: Vec<(String, T)>) {
    for (name, value) in given {
        to.retain(|(known, _)| *known != name);
        to.push((name, value));
    }
}

fn limit(name: &str, value: &DeValue<'_>) -> Result<u64, String> {
    let number = number(value)?;
    Change::of_call(&format!("{name}={number}")).map(|_| number)
}

fn directories(value: &DeValue<'_>, folder: &Folder) -> Result<Vec<GivenDirectory>, String> {
    let given = texts(value)?.into_iter();
    given
        .map(|text| {
            let given = GivenDirectory::parse(&text)?;
            let place = folder.place(given.host())?;
            Ok(given.at(place))
        })
        .collect()
}

/// Reads one INPUT, or a list of them.
fn inputs(value: &DeValue<'_>, folder: &Folder) -> Result<Vec<Vec<u8>>, String> {
    match value.as_array() {
        Some(items) => items
            .iter()
            .map(|item| input(item.get_ref(), folder))
            .collect(),
        None => Ok(vec![input(value, folder)?]),
    }
}

/// Reads one INPUT: a number, or bytes.
fn input(value: &DeValue<'_>, folder: &Folder) -> Result<Vec<u8>, String> {
    match number_text(value)? {
        Some(text) => Ok(text.into_bytes()),
        None => folder.bytes(value),
    }
}

/// Returns a number as its text in base 10; `None` for a value that is none.
fn number_text(value: &DeValue<'_>) -> Result<Option<String>, String> {
    Ok(match value {
        DeValue::Integer(number) => {
            let digits = number.as_str().trim_start_matches('+');
            let parsed = i128::from_str_radix(digits, number.radix());
            let parsed = parsed.map_err(|_| expected("a number of up to 64 bits", value))?;
            Some(parsed.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    })
}

/// Reads the answer of a core module's import from the value of an option.
pub(crate) fn named_answer(name: &str, value: &str) -> Result<NamedAnswer, String> {
    const KINDS: &str = "expected a number, \"text\", { some = 1999 } or another value of the table [host] in docs/testing.md";
    let value = DeValue::parse(value).map_err(|_| KINDS.to_owned())?;
    let answer = host_answer(value.get_ref(), &Folder::of(Path::new(""), true))?;
    answer.named(name).ok_or_else(|| match answer {
        HostAnswer::Trap => "use --stub for an import that traps".to_owned(),
        _ => KINDS.to_owned(),
    })
}

/// Reads the answer of a host function.
fn host_answer(value: &DeValue<'_>, folder: &Folder) -> Result<HostAnswer, String> {
    const KINDS: [&str; 13] = [
        "text", "base64", "hex", "file", "json", "error", "trap", "echo", "absent", "none", "some",
        "nothing", "wave",
    ];
    if let Some(text) = number_text(value)? {
        return Ok(HostAnswer::Answer(Answer::Number(text)));
    }
    if value.as_table().is_none() {
        let bytes = folder.bytes(value)?;
        return Ok(HostAnswer::Answer(Answer::Bytes(bytes.into())));
    }
    let (kind, value) = single(value, &KINDS)?;
    let marked = |answer| match flag(value)? {
        true => Ok(HostAnswer::Answer(answer)),
        false => Err(format!("expected {kind} = true")),
    };
    match kind {
        "error" => text(value).map(|text| HostAnswer::Answer(Answer::Error(text))),
        "wave" => text(value).map(HostAnswer::Wave),
        "trap" => marked(Answer::Nothing).map(|_| HostAnswer::Trap),
        "echo" => marked(Answer::Echo),
        "absent" => marked(Answer::Absent),
        "none" => marked(Answer::Optional(None)),
        "nothing" => marked(Answer::Nothing),
        "some" => {
            let number = number(value)?;
            let number = u32::try_from(number)
                .map_err(|_| expected("a whole number of up to 32 bits", value))?;
            Ok(HostAnswer::Answer(Answer::Optional(Some(number))))
        }
        bytes => {
            let bytes: Arc<[u8]> = folder.kind(bytes, value)?.into();
            Ok(HostAnswer::Answer(Answer::Bytes(bytes)))
        }
    }
}

/// Reads the response to an HTTP request: its body, or a table of `status`, `headers` and `body`.
fn http_answer(value: &DeValue<'_>, folder: &Folder) -> Result<HttpAnswer, String> {
    const KEYS: [&str; 3] = ["status", "headers", "body"];
    let mut answer = HttpAnswer {
        status: 200,
        headers: Vec::new(),
        body: Vec::new(),
    };
    let is_whole = |table: &DeTable<'_>| table.keys().any(|key| KEYS.contains(&&**key.get_ref()));
    let Some(table) = value.as_table().filter(|table| is_whole(table)) else {
        answer.body = folder.bytes(value)?;
        return Ok(answer);
    };
    for (key, value) in table {
        let value = value.get_ref();
        match &**key.get_ref() {
            "status" => {
                let status = hostel::settings::number_in(100, 599)(value)?;
                answer.status = u16::try_from(status).unwrap_or(u16::MAX);
            }
            "headers" => {
                let headers = value.as_table();
                let headers = headers.ok_or_else(|| expected("a table of texts", value))?;
                for (name, value) in headers {
                    let value = text(value.get_ref())?.into_bytes();
                    answer.headers.push((name.get_ref().to_string(), value));
                }
            }
            "body" => answer.body = folder.bytes(value)?,
            other => {
                let known = KEYS.join(", ");
                return Err(format!("there is no key `{other}`; known are {known}"));
            }
        }
    }
    Ok(answer)
}

/// What a host function of a case does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum HostAnswer {
    Answer(Answer),
    /// A value of a component's function.
    Wave(String),
    Trap,
}

impl HostAnswer {
    /// Returns the text in WAVE for a component's function, and the answer for all functions of a convention.
    pub(super) fn wave(&self) -> Option<String> {
        // A text of JSON is one of WAVE too.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Wave(text) | Self::Answer(Answer::Number(text)) => Some(text.clone()),
            Self::Answer(Answer::Bytes(bytes)) => str::from_utf8(bytes).ok().map(quoted),
            Self::Answer(Answer::Error(text)) => Some(format!("err({})", quoted(text))),
            Self::Answer(Answer::Optional(Some(number))) => Some(format!("some({number})")),
            Self::Answer(Answer::Optional(None) | Answer::Absent) => Some("none".to_owned()),
            Self::Answer(Answer::Nothing) => Some(String::new()),
            Self::Answer(Answer::Echo) | Self::Trap => None,
        }
    }

    pub(super) fn named(&self, name: &str) -> Option<NamedAnswer> {
        match self {
            Self::Answer(answer) => Some(NamedAnswer {
                name: name.to_owned(),
                answer: answer.clone(),
            }),
            Self::Wave(_) | Self::Trap => None,
        }
    }
}

fn expect(mut at: Section<'_, '_>, folder: &Folder) -> Expect {
    let output = at.value("output", |value| output(value, folder));
    let error = at.value("error", error);
    if output.is_some() && error.is_some() {
        at.fault("expected `output` or `error`, found both");
    }
    let expect = Expect {
        output,
        error,
        log: at.value("log", logs),
        log_contains: at.value("log_contains", logs).unwrap_or_default(),
        fuel: at.value("fuel", range),
        state: at.entries("state", |value| folder.bytes(value)),
        exit: at.value("exit", hostel::settings::number_in(0, u32::MAX.into())),
    };
    at.finish();
    expect
}

fn output(value: &DeValue<'_>, folder: &Folder) -> Result<Expected, String> {
    if value.as_table().is_none() {
        return input(value, folder).map(Expected::Exact);
    }
    let (kind, value) = single(
        value,
        &["text", "base64", "hex", "file", "json", "contains"],
    )?;
    match kind {
        "json" => super::bytes::json(value).map(Expected::Json),
        "contains" => folder.bytes(value).map(Expected::Contains),
        kind => folder.kind(kind, value).map(Expected::Exact),
    }
}

/// Reads an error: its text, or a table.
fn error(value: &DeValue<'_>) -> Result<ExpectedError, String> {
    let fields = fields(value, &["code", "text", "contains"])?;
    let code = fields.get(0);
    Ok(ExpectedError {
        code,
        text: fields.text(1, 2)?,
    })
}

fn logs(value: &DeValue<'_>) -> Result<Vec<ExpectedLog>, String> {
    let items = value
        .as_array()
        .ok_or_else(|| expected("a list of log records", value))?;
    items.iter().map(|item| log(item.get_ref())).collect()
}

fn log(value: &DeValue<'_>) -> Result<ExpectedLog, String> {
    let fields = fields(value, &["level", "text", "contains"])?;
    let level = match fields.get(0) {
        Some(name) => Some(level(&name).ok_or_else(|| {
            format!("there is no level \"{name}\": expected trace, debug, info, warn or error")
        })?),
        None => None,
    };
    Ok(ExpectedLog {
        level,
        text: fields.text(1, 2)?,
    })
}

fn level(name: &str) -> Option<LogLevel> {
    use LogLevel::{Debug, Error, Info, Trace, Warn};
    let mut all = [Trace, Debug, Info, Warn, Error].into_iter();
    all.find(|level| level.as_str() == name)
}

/// The texts under the keys of a table; of a text alone, that is the second.
struct Fields(Vec<Option<String>>);

impl Fields {
    fn get(&self, index: usize) -> Option<String> {
        self.0.get(index).cloned().flatten()
    }

    /// Returns how a text has to be, by the fields of the whole text and of a part of it.
    fn text(&self, whole: usize, part: usize) -> Result<Matches, String> {
        match (self.get(whole), self.get(part)) {
            (Some(_), Some(_)) => Err("expected `text` or `contains`, found both".to_owned()),
            (Some(text), None) => Ok(Matches::Is(text)),
            (None, Some(text)) => Ok(Matches::Contains(text)),
            (None, None) => Ok(Matches::Any),
        }
    }
}

fn fields(value: &DeValue<'_>, names: &[&'static str; 3]) -> Result<Fields, String> {
    if let Some(text) = value.as_str() {
        return Ok(Fields(vec![None, Some(text.to_owned()), None]));
    }
    let wrong = || {
        expected(
            &format!("a text, or a table of {}", names.join(", ")),
            value,
        )
    };
    let table = value.as_table().ok_or_else(wrong)?;
    let mut found = vec![None; names.len()];
    for (key, value) in table.iter() {
        let name = &**key.get_ref();
        match names.iter().position(|known| *known == name) {
            Some(at) => found[at] = Some(text(value.get_ref())?),
            None => {
                // One of several keys, so not by `single`.
                let known = names.join(", ");
                return Err(match hostel::settings::nearest(name, names) {
                    Some(near) => format!("there is no key `{name}`: did you mean `{near}`?"),
                    None => format!("there is no key `{name}`; known are {known}"),
                });
            }
        }
    }
    Ok(Fields(found))
}

/// Reads an amount of fuel, or a table with `min` and `max`.
fn range(value: &DeValue<'_>) -> Result<(u64, u64), String> {
    let Some(table) = value.as_table() else {
        return number(value).map(|fuel| (fuel, fuel));
    };
    let mut range = (0, u64::MAX);
    for (key, value) in table.iter() {
        match &**key.get_ref() {
            "min" => range.0 = number(value.get_ref())?,
            "max" => range.1 = number(value.get_ref())?,
            other => return Err(format!("there is no key `{other}`; known are min, max")),
        }
    }
    match range.0 <= range.1 {
        true => Ok(range),
        false => Err(format!("min is {}, above max, {}", range.0, range.1)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Folder, parse};
    use std::path::Path;

    #[track_caller]
    fn faults(text: &str) -> Vec<String> {
        match parse(text, &Folder::of(Path::new("tests.toml"), false)) {
            Ok(cases) => panic!("{} cases", cases.len()),
            Err(faults) => faults,
        }
    }

    #[test]
    fn each_fault_has_its_place_and_the_nearest_name() {
        let text = r#"
fule = 1
[[case]]
nmae = "a"
[[case]]
name = "b"
input = { basse64 = "" }
limits = { host_cals = 1, call_depth = -1 }
[case.expect]
outptu = "x"
log = [{ level = "loud" }]
fuel = { min = 2, max = 1 }
"#;
        let expected = [
            "2:1: there is no key `fule`: did you mean `fuel`?",
            "3:1: `case[0]`: expected a key `name`, with a text",
            "4:1: there is no key `case[0].nmae`: did you mean `name`?",
            "7:9: `case[1].input`: there is no key `basse64`: did you mean `base64`?",
            "8:12: there is no key `case[1].limits.host_cals`: did you mean `host_calls`?",
            "8:40: `case[1].limits.call_depth`: expected a whole number",
            "10:1: there is no key `case[1].expect.outptu`: did you mean `output`?",
            "11:7: `case[1].expect.log`: there is no level \"loud\"",
            "12:8: `case[1].expect.fuel`: min is 2, above max, 1",
        ];
        let found = faults(text);
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}\n{expected}");
        }
        assert_eq!(found.len(), expected.len(), "{found:#?}");
    }

    #[test]
    fn what_contradicts_itself_is_a_fault() {
        for (text, expected) in [
            ("", "there is no case"),
            ("[[case]]\nname = \"a\"\ncontinues = true", "no instance"),
            (
                "[[case]]\nname=\"a\"\n[[case]]\nname=\"b\"\ncontinues=true\nfuel=1",
                "the case before sets up",
            ),
            (
                "[[case]]\nname=\"a\"\n[case.expect]\noutput=\"\"\nerror=\"\"",
                "found both",
            ),
            (
                "[[case]]\nname=\"a\"\ninput={ text=\"\", hex=\"\" }",
                "a table with one key",
            ),
            ("[[case]]\nname=\"a\"\ninput={ hex=\"0\" }", "pairs of"),
            ("[[case]]\nname=\"a\"\ninput={ json=\"{\" }", "invalid JSON"),
            (
                "[[case]]\nname=\"a\"\nhost={ f={ trap=false } }",
                "trap = true",
            ),
            ("[[case]", "1:"),
        ] {
            let found = faults(text);
            assert!(
                found.iter().any(|fault| fault.contains(expected)),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_case_has_the_setup_of_all_cases_and_its_own() {
        let text = r#"
            settings = { a = "1", b = "2" }
            fuel = "5M"
            [[case]]
            name = "first"
            settings = { b = "3" }
            input = ["x", 0x10, { json = { a = [1, 2.5, true] } }]
            [[case]]
            name = "second"
            continues = true
        "#;
        let Ok(cases) = parse(text, &Folder::of(Path::new("tests.toml"), false)) else {
            panic!("{:?}", faults(text));
        };
        let [first, second] = &*cases else {
            panic!("{} cases", cases.len());
        };
        let settings = [("a", "1"), ("b", "3")].map(|(key, value)| (key.into(), value.into()));
        assert_eq!(first.setup.settings, settings);
        assert_eq!(first.setup.fuel, Some(5_000_000));
        let inputs = [&b"x"[..], b"16", br#"{"a":[1,2.5,true]}"#];
        assert_eq!(first.input, inputs);
        assert!(second.continues && second.setup == first.setup);
    }
}
