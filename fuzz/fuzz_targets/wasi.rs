//! A guest that calls WASI's functions with whatever the fuzzer says, granted nothing, everything,
//! or what lies: it writes to no memory but where its call says, is paid for, and stays within its
//! limits.
#![no_main]

use arbitrary::Arbitrary;
use hostel_core::{Budget, CallError, Engine, Grants, Instance, LogRecord, Plugin, Step, Value};
use hostel_fuzz::{
    modules, named,
    wasi::{self, FUNCTIONS, MEMORY, is_wide},
};
use libfuzzer_sys::fuzz_target;
use std::{ops::Range, sync::LazyLock, time::Duration};

const MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];
const OUTPUT: usize = 700;
const FUEL: u64 = 50_000;
const DEADLINE: Duration = Duration::from_millis(100);

/// What a call may use.
fn budget() -> Budget {
    let mut budget = Budget::device().with_fuel(FUEL).with_deadline(DEADLINE);
    budget.output_bytes = OUTPUT;
    budget
}

/// With each grant, each module's name.
static PLUGINS: LazyLock<[[Plugin<()>; 2]; 3]> = LazyLock::new(|| {
    [wasi::bare(), wasi::lying(), wasi::whole()].map(|wasi| {
        let engine = Engine::new(modules::limits()).with_platform(wasi::Machine);
        let grants = Grants::new()
            .log(|record: &LogRecord<'_>| {
                assert!(!record.text.to_string().contains(char::is_control))
            })
            .wasi(wasi);
        MODULES.map(|module| {
            let wasm = wat::parse_str(wasi::guest(module)).expect("the guest is well-formed");
            engine.load("guest", &wasm, &grants).expect("it loads")
        })
    })
});

#[derive(Arbitrary, Debug)]
struct Case {
    grant: u8,
    old: bool,
    /// What lies in memory: any bytes, a list of buffers, subscriptions, a path.
    bytes: [u8; 32],
    buffers: [(u16, u8); 4],
    subscriptions: [Subscription; 3],
    path: [u8; 6],
    calls: [Call; 12],
}

/// What paths are made of; a directory looks at how they begin and end.
const PARTS: [&str; 14] = [
    "a", "a", "l", "n", "e", "d", "d", "/", "/", ".", "..", "\0", "é", "a/../",
];

#[derive(Arbitrary, Debug)]
struct Subscription {
    kind: u8,
    /// A clock or a descriptor.
    id: u8,
    timeout: u32,
    absolute: bool,
}

#[derive(Arbitrary, Debug)]
struct Call {
    function: u8,
    how: How,
    arguments: [Argument; 9],
}

#[derive(Arbitrary, Debug, PartialEq, Eq)]
enum How {
    /// The host calls the import itself, which the guest hands on.
    Bare,
    Guest,
    /// As the guest, by steps.
    Steps,
}

#[derive(Arbitrary, Debug)]
struct Argument {
    kind: u8,
    value: i64,
}

/// Where each of them lies.
const BUFFERS: u32 = 0x1000;
const SUBSCRIPTIONS: u32 = 0x2000;
const PATH: u32 = 0x4000;

impl Case {
    /// The memory's first half.
    fn image(&self) -> Vec<u8> {
        let mut image = vec![0; 0x5000];
        let mut put = |at: u32, bytes: &[u8]| {
            for (place, byte) in image[at as usize..].iter_mut().zip(bytes) {
                *place = *byte;
            }
        };
        put(0, &self.bytes);
        for (at, (ptr, len)) in (BUFFERS..SUBSCRIPTIONS).step_by(8).zip(&self.buffers) {
            put(at, &u32::from(*ptr).to_le_bytes());
            put(at + 4, &[*len]);
        }
        let size = if self.old { 56 } else { 48 };
        let places = (SUBSCRIPTIONS..PATH - size).step_by(size as usize);
        for (at, wish) in places.zip(&self.subscriptions) {
            let clock = at + if self.old { 24 } else { 16 };
            put(at, &[wish.kind; 9]);
            put(at + 16, &[wish.id]);
            put(clock, &[wish.id]);
            put(clock + 8, &wish.timeout.to_le_bytes());
            put(clock + 24, &[wish.absolute.into()]);
        }
        put(PATH, self.path().as_bytes());
        image
    }

    fn path(&self) -> String {
        let part = |byte: &u8| PARTS[usize::from(*byte) % PARTS.len()];
        let [count, parts @ ..] = &self.path;
        let count = usize::from(count % 5) + 1;
        parts.iter().take(count).map(part).collect()
    }

    /// An argument: mostly one that the parameter is for.
    fn value(&self, (letter, argument): (char, &Argument)) -> i64 {
        let value = argument.value;
        let below = |end: i64| value.rem_euclid(end);
        match (argument.kind % 16, letter) {
            (0, _) => value,
            (1, _) => i64::from(MEMORY) - below(64),
            (2, _) => below(256),
            (_, 'f') => below(7),
            (_, 'd') => 3 + below(3),
            (3..5, 'n') => below(16),
            (_, 'n') => below(2),
            (_, 'z') => below(300),
            (_, 'b') => BUFFERS.into(),
            (_, 'c') => below(self.buffers.len() as i64 + 1),
            (_, 'p') => PATH.into(),
            (_, 'k') => self.path().len() as i64,
            (_, 's') => SUBSCRIPTIONS.into(),
            (_, 'm') => below(self.subscriptions.len() as i64 + 1),
            // All of them, or those to read.
            (3..8, 'r') => 0x0820_40ae,
            (_, 'r') => !0,
            (_, 'l') => below(10_000),
            _ => below(MEMORY.into()),
        }
    }
}

fuzz_target!(|case: Case| {
    let [bare, lying, whole] = &*PLUGINS;
    let plugins = match case.grant % 8 {
        0 => bare,
        1 | 2 => lying,
        _ => whole,
    };
    let mut instance = named(plugins[usize::from(case.old)].instantiate(())).expect("it starts");
    instance.set_budget(Budget::server());
    named(instance.call::<&[u8], ()>("fill", &case.image())).expect("there is room");
    let mut memory = dump(&mut instance);
    for call in &case.calls {
        let (name, letters) = FUNCTIONS[usize::from(call.function) % FUNCTIONS.len()];
        let arguments = letters.chars().zip(&call.arguments);
        let values: Vec<i64> = arguments.map(|argument| case.value(argument)).collect();
        let values = &values[..];
        instance.set_budget(budget());
        let begun = wasi::now();
        let answer = run(&mut instance, call, name, letters, values);
        let usage = instance.usage();
        assert!((40..=FUEL).contains(&usage.fuel), "{name}: {usage:?}");
        assert!(wasi::now() <= begun + DEADLINE, "{name} waits too long");
        let output = instance.take_stdout().len() + instance.take_stderr().len();
        assert!(output <= OUTPUT, "{name}: {output} bytes of output");
        let limits = wasi::file_limits();
        assert!(wasi::open() <= limits.open, "{name}: {} open", wasi::open());
        let written = wasi::take_written();
        assert!(written <= limits.written_bytes, "{name}: {written} bytes");
        if named(answer).is_none() {
            break;
        }
        memory = check_memory(&mut instance, &memory, name, values, case.old);
    }
    drop(instance);
    assert_eq!(wasi::open(), 0, "nothing stays open");
});

/// Calls a function, whose answer is an error number of WASI's.
fn run(
    instance: &mut Instance<()>,
    call: &Call,
    name: &str,
    letters: &str,
    values: &[i64],
) -> Result<(), CallError> {
    let errno = match (&call.how, letters, values) {
        (How::Steps, "somo" | "fbco", &[a, b, c, d]) => {
            let params = (a as u32, b as u32, c as u32, d as u32);
            let mut running = instance.call_async::<(u32, u32, u32, u32), u32>(name, params);
            loop {
                if let Step::Done(answer) = running.step(1_000) {
                    break answer?;
                }
            }
        }
        _ => {
            let values: Vec<_> = letters.chars().zip(values).map(typed).collect();
            let name = match call.how {
                How::Bare => format!("bare_{name}"),
                _ => name.to_owned(),
            };
            match *instance.call_values(&name, &values)? {
                [Value::I32(errno)] => errno.cast_unsigned(),
                ref other => panic!("{name} answers {other:?}"),
            }
        }
    };
    assert!(errno <= 76, "{name}: {errno} is no error number");
    Ok(())
}

fn typed((letter, value): (char, &i64)) -> Value {
    if is_wide(letter) {
        Value::I64(*value)
    } else {
        Value::I32(*value as i32)
    }
}

fn dump(instance: &mut Instance<()>) -> Vec<u8> {
    instance.set_budget(Budget::server());
    let dumped = instance.call_bytes("dump", b"", <[u8]>::to_vec);
    dumped.expect("reading memory works")
}

/// Checks that a call wrote only where its parameters say. Gives what is in memory now.
fn check_memory(
    instance: &mut Instance<()>,
    before: &[u8],
    name: &str,
    values: &[i64],
    old: bool,
) -> Vec<u8> {
    let after = dump(instance);
    let Some(ranges) = writable(before, name, values, old) else {
        return after;
    };
    let mut expected = before.to_vec();
    for range in ranges {
        let range = range.start.min(after.len())..range.end.min(after.len());
        expected[range.clone()].copy_from_slice(&after[range]);
    }
    if after != expected {
        let at = (0..after.len()).find(|at| after[*at] != expected[*at]);
        panic!("{name} {values:?} writes at {at:?}");
    }
    after
}

/// Where a call may write. `None` where a list of buffers may have been written over by what was
/// read into them.
fn writable(memory: &[u8], name: &str, values: &[i64], old: bool) -> Option<Vec<Range<usize>>> {
    let at = |place: usize| values[place] as u32 as usize;
    let fixed = |places: &[(usize, usize)]| {
        let ranges = places.iter().map(|(place, size)| range(at(*place), *size));
        Some(ranges.collect())
    };
    match name {
        // The words that are granted are shorter.
        "args_get" | "environ_get" => fixed(&[(0, 12), (1, 40)]),
        "args_sizes_get" | "environ_sizes_get" => fixed(&[(0, 4), (1, 4)]),
        "clock_res_get" | "fd_tell" => fixed(&[(1, 8)]),
        "clock_time_get" => fixed(&[(2, 8)]),
        "fd_fdstat_get" => fixed(&[(1, 24)]),
        "fd_filestat_get" => fixed(&[(1, if old { 56 } else { 64 })]),
        "path_filestat_get" => fixed(&[(4, if old { 56 } else { 64 })]),
        "fd_prestat_get" => fixed(&[(1, 8)]),
        "fd_prestat_dir_name" => fixed(&[(1, at(2))]),
        "fd_seek" => fixed(&[(3, 8)]),
        "fd_write" => fixed(&[(3, 4)]),
        "fd_pwrite" => fixed(&[(4, 4)]),
        "fd_readdir" => fixed(&[(1, at(2)), (4, 4)]),
        "path_open" => fixed(&[(8, 4)]),
        "path_readlink" => fixed(&[(3, at(4)), (5, 4)]),
        "poll_oneoff" => fixed(&[(1, at(2).saturating_mul(32)), (3, 4)]),
        "random_get" => fixed(&[(0, at(1))]),
        "fd_read" => read_into(memory, at(1), at(2), range(at(3), 4)),
        "fd_pread" => read_into(memory, at(1), at(2), range(at(4), 4)),
        _ => Some(Vec::new()),
    }
}

/// The buffers of a list, and where their number of bytes goes.
fn read_into(
    memory: &[u8],
    list: usize,
    count: usize,
    read: Range<usize>,
) -> Option<Vec<Range<usize>>> {
    let list = range(list, count.saturating_mul(8));
    let Some(bytes) = memory.get(list.clone()) else {
        return Some(Vec::new());
    };
    let mut ranges = vec![read];
    for buffer in bytes.chunks_exact(8) {
        let word = |at: usize| {
            buffer[at..]
                .first_chunk()
                .map(|word| u32::from_le_bytes(*word))
        };
        let buffer = range(word(0)? as usize, word(4)? as usize);
        if buffer.start < list.end && list.start < buffer.end {
            return None;
        }
        ranges.push(buffer);
    }
    Some(ranges)
}

fn range(at: usize, size: usize) -> Range<usize> {
    at..at.saturating_add(size)
}
