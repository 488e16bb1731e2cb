//! Operators that work on many bytes at once: right at every edge, and pausable in the middle,
//! however many bytes they are given.

use hostel::{Budget, CallError, Engine, Grants, Instance, Limits, ModuleInfo, Plugin, Step};
use hostel_tests::{Random, assemble, code, load_wat, try_load_wat};

/// Bytes of the memory.
const SIZE: usize = 10 << 16;
/// Bytes of the large data segment.
const LARGE: usize = 200_000;
/// Bytes of the small one.
const SMALL: usize = 1_000;

/// The contents of a data segment.
fn data(bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|at| (at % 251) as u8 ^ (at >> 8) as u8)
        .collect()
}

/// A guest with an export for each operator, and two that drop data segments.
fn guest() -> Plugin {
    let text = |bytes| {
        let escaped = |byte: u8| format!("\\{byte:02x}");
        data(bytes).into_iter().map(escaped).collect::<String>()
    };
    let (large, small) = (text(LARGE), text(SMALL));
    load_wat(
        &format!(
            r#"(module
                (memory (export "memory") 10)
                (data $large "{large}") (data $small "{small}")
                (data $active (i32.const 0) "{large}")
                (func (export "copy") (param i32 i32 i32)
                  (memory.copy (local.get 0) (local.get 1) (local.get 2)))
                (func (export "fill") (param i32 i32 i32)
                  (memory.fill (local.get 0) (local.get 1) (local.get 2)))
                (func (export "large") (param i32 i32 i32)
                  (memory.init $large (local.get 0) (local.get 1) (local.get 2)))
                (func (export "small") (param i32 i32 i32)
                  (memory.init $small (local.get 0) (local.get 1) (local.get 2)))
                (func (export "active") (param i32 i32 i32)
                  (memory.init $active (local.get 0) (local.get 1) (local.get 2)))
                (func (export "drop") (param i32 i32 i32)
                  (data.drop $large) (data.drop $small))
                (func (export "all") (result i32 i32)
                  (i32.const 0) (i32.mul (memory.size) (i32.const 65536))))"#
        ),
        &Grants::new(),
    )
}

/// What the guest's memory holds, and what is left of its data segments.
struct Model {
    memory: Vec<u8>,
    large: Vec<u8>,
    small: Vec<u8>,
}

impl Model {
    fn new() -> Self {
        let mut memory = vec![0; SIZE];
        memory[..LARGE].copy_from_slice(&data(LARGE));
        Self {
            memory,
            large: data(LARGE),
            small: data(SMALL),
        }
    }

    /// Does what an export does. `None` if it traps.
    fn run(&mut self, export: &str, to: u32, from: u32, bytes: u32) -> Option<()> {
        let range = |start: u32, size: usize| {
            let (start, bytes) = (start as usize, bytes as usize);
            (start + bytes <= size).then_some(start..start + bytes)
        };
        let source = match export {
            "drop" => {
                (self.large, self.small) = (Vec::new(), Vec::new());
                return Some(());
            }
            "fill" => {
                self.memory[range(to, SIZE)?].fill(from as u8);
                return Some(());
            }
            "copy" => self.memory.clone(),
            "large" => self.large.clone(),
            "small" => self.small.clone(),
            _ => Vec::new(),
        };
        let source = &source[range(from, source.len())?];
        self.memory[range(to, SIZE)?].copy_from_slice(source);
        Some(())
    }
}

/// A length: none, few, about a multiple of 64 KiB, about all, and nearly 2³².
fn length(random: &mut Random) -> u32 {
    let near = |value: usize, random: &mut Random| value.saturating_add(random.below(3)) - 1;
    let bytes = match random.below(8) {
        0 => 0,
        1 => 1 + random.below(100),
        2 | 3 => near((1 + random.below(4)) << 16, random),
        4 => near(LARGE, random),
        5 => near(SIZE, random),
        6 => random.below(SIZE),
        _ => u32::MAX as usize - random.below(3),
    };
    bytes as u32
}

/// An address: at the start or so that the range just ends in `size` bytes, about `other`, anywhere,
/// or nearly 2³².
fn address(random: &mut Random, bytes: u32, other: u32, size: usize) -> u32 {
    let few = random.below(3) as u32;
    match random.below(8) {
        0 => few,
        1 | 2 => (size as u32).wrapping_sub(bytes).saturating_sub(few),
        3 => (size as u32).wrapping_sub(bytes).saturating_add(few),
        4 => other.saturating_add(few * 30_000),
        5 => other.saturating_sub(few * 30_000),
        6 => random.below(size) as u32,
        _ => u32::MAX - few,
    }
}

/// Runs a call by steps of `quantum` fuel.
fn stepped(
    instance: &mut Instance,
    export: &str,
    params: (u32, u32, u32),
    quantum: u64,
) -> Result<(), CallError> {
    let mut call = instance.call_async::<_, ()>(export, params);
    loop {
        match call.step(quantum) {
            Step::Done(result) => return result,
            step => assert_eq!(step, Step::More),
        }
    }
}

#[test]
fn ranges_of_any_length_are_worked_on_as_a_model_says() {
    let plugin = guest();
    let fresh = || {
        [
            plugin.instantiate(()).unwrap(),
            plugin.instantiate(()).unwrap(),
        ]
    };
    let mut random = Random::new(7);
    let (mut model, mut instances) = (Model::new(), fresh());
    let (mut done, mut trapped) = ([0; 6], [0; 6]);
    let exports = ["copy", "fill", "large", "small", "active", "drop"];
    for round in 0..600 {
        // Copies are the most that can go wrong. Segments are dropped now and then.
        let export = match random.below(14) {
            0..6 => 0,
            6..9 => 1,
            9..11 => 2,
            11 => 3,
            12 => 4,
            _ if round % 5 == 0 => 5,
            _ => 2,
        };
        let name = exports[export];
        let bytes = length(&mut random);
        let size = match name {
            "large" => LARGE,
            "small" => SMALL,
            _ => SIZE,
        };
        let from = address(&mut random, bytes, 0, size);
        let to = address(&mut random, bytes, from, SIZE);
        let params = (to, from, bytes);
        let case = format!("round {round}: {name}{params:?}");
        let quantum = 1 + random.below(3_000) as u64;
        let expected = model.run(name, to, from, bytes);
        let hashes = expected
            .is_none()
            .then(|| instances.each_mut().map(Instance::state_hash));
        let [whole, steps] = &mut instances;
        let results = [
            whole.call::<_, ()>(name, params),
            stepped(steps, name, params, quantum),
        ];
        assert_eq!(whole.usage(), steps.usage(), "{case}");
        if let Some(hashes) = hashes {
            let codes = results.map(|result| result.unwrap_err().code());
            assert_eq!(codes, ["trap-memory"; 2], "{case}");
            assert_eq!(
                instances.each_mut().map(Instance::state_hash),
                hashes,
                "{case}"
            );
            (model, instances) = (Model::new(), fresh());
            trapped[export] += 1;
        } else {
            assert_eq!(results, [Ok(()), Ok(())], "{case}");
            for instance in &mut instances {
                let memory: Vec<u8> = instance.call("all", ()).unwrap();
                // Not by `assert_eq`, which would print both.
                assert!(memory == model.memory, "{case}");
            }
            done[export] += 1;
        }
    }
    // Each operator has met ranges on both sides of its bounds.
    assert!(done.iter().take(4).all(|count| *count > 5), "{done:?}");
    assert!(
        trapped.iter().take(5).all(|count| *count > 5),
        "{trapped:?}"
    );
}

/// The fuel that wasmi itself takes for `run`.
fn bare(text: &str) -> u64 {
    let mut config = wasmi::Config::default();
    config
        .consume_fuel(true)
        .compilation_mode(wasmi::CompilationMode::Eager);
    let engine = wasmi::Engine::new(&config);
    let module = wasmi::Module::new(&engine, assemble(text)).unwrap();
    let mut store = wasmi::Store::new(&engine, ());
    store.set_fuel(u64::MAX).unwrap();
    let instance = wasmi::Instance::new(&mut store, &module, &[]).unwrap();
    let run = instance.get_func(&store, "run").unwrap();
    run.call(&mut store, &[wasmi::Val::I32(0)], &mut [])
        .unwrap();
    u64::MAX - store.get_fuel().unwrap()
}

/// The fuel of `run` here, without the 20 units of a call.
fn split(text: &str) -> u64 {
    let mut instance = load_wat::<()>(text, &Grants::new())
        .instantiate(())
        .unwrap();
    instance.call::<_, ()>("run", 0u32).unwrap();
    instance.usage().fuel - 20
}

/// A guest that works on `bytes` bytes of a memory of so many pages, by each operator.
fn of_length(pages: u32, bytes: &str) -> [String; 3] {
    [
        format!("(memory.fill (i32.const 0) (i32.const 1) {bytes})"),
        format!("(memory.copy (i32.const 0) (i32.const 1) {bytes})"),
        format!("(memory.copy (i32.const 1) (i32.const 0) {bytes})"),
    ]
    .map(|operator| {
        format!(
            r#"(module (memory {pages})
                (func (export "run") (param i32) {operator}))"#
        )
    })
}

#[test]
fn a_split_operator_costs_hardly_more_fuel_than_a_whole_one() {
    for bytes in [65_537u32, 1 << 20, (64 << 20) - 1] {
        for text in of_length(1_024, &format!("(i32.const {bytes})")) {
            let (split, bare) = (split(&text), bare(&text));
            // 14 or 16 units for each chunk of 1,024, and up to 80 for the call and the check.
            assert!(split > bare, "{bytes} {text}");
            assert!(split <= bare + bare / 60 + 80, "{split} and {bare}: {text}");
        }
    }
}

#[test]
fn fuel_of_short_operators_does_not_change() {
    let constant = ["(i32.const 0)", "(i32.const 65536)"];
    let variable = "(local.get 0)";
    for (pages, bytes, added) in [
        (1_024, constant[0], 0),
        (1_024, constant[1], 0),
        // The memory does not grow, and is small.
        (4, variable, 0),
        // A call, and the length compared.
        (5, variable, 9),
    ] {
        for text in of_length(pages, bytes) {
            assert_eq!(split(&text), bare(&text) + added, "{text}");
        }
    }
    let may_grow = |most| {
        format!(
            r#"(module (memory 1 {most})
                (func (export "grow") (drop (memory.grow (i32.const 1))))
                (func (export "run") (param i32)
                  (memory.fill (i32.const 0) (i32.const 1) (local.get 0))))"#
        )
    };
    for (most, added) in [(4, 0), (5, 9)] {
        let text = may_grow(most);
        assert_eq!(split(&text), bare(&text) + added, "{text}");
    }
}

#[test]
fn a_step_ends_with_its_quantum_however_many_bytes_an_operator_works_on() {
    const FUEL: u64 = 20_000_000;
    const QUANTUM: u64 = 10_000;
    let all = "(i32.const 0x3ffffff)";
    let mut guests = of_length(1_024, all).to_vec();
    guests.push(
        r#"(module (memory 1024)
            (func (export "run") (param i32)
              (loop (memory.fill (i32.const 0) (i32.const 1) (i32.shl (memory.size) (i32.const 16)))
                (br 0))))"#
            .into(),
    );
    let engine = hostel::engine().with_budget(Budget::server().with_fuel(FUEL));
    for text in guests {
        let plugin = try_load_wat::<()>(&engine, &text, &Grants::new()).unwrap();
        let mut instance = plugin.instantiate(()).unwrap();
        let mut steps = 0;
        let mut call = instance.call_async::<_, ()>("run", 0u32);
        loop {
            steps += 1;
            if let Step::Done(_) = call.step(QUANTUM) {
                break;
            }
        }
        let expected = call.usage().fuel / QUANTUM;
        assert!(expected >= 100, "{text}");
        assert!(
            steps * 10 >= expected * 9,
            "{steps} steps of {expected}: {text}"
        );
    }
}

/// Grows a memory that is declared so by `delta` pages.
const GROW: &str = r#"
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "size") (result i32) (memory.size))
    (func (export "last") (result i32)
      (i32.load8_u (i32.sub (i32.mul (memory.size) (i32.const PAGE)) (i32.const 1))))"#;

#[test]
fn growth_in_parts_is_all_or_nothing() {
    let mut random = Random::new(11);
    // The memory, bytes of a page, its own maximum in pages.
    for (memory, page, most) in [
        ("1", 1 << 16, u32::MAX),
        ("0", 1 << 16, u32::MAX),
        ("1 500", 1 << 16, 500),
        ("1 6", 1 << 16, 6),
        ("1000 (pagesize 1)", 1, u32::MAX),
        ("1000 2000000 (pagesize 1)", 1, 2_000_000),
    ] {
        let text = format!("(module (memory {memory}) {GROW})").replace("PAGE", &page.to_string());
        for limit in [3 << 20, 64 << 20] {
            let mut limits = Limits::server();
            limits.memory_bytes = limit;
            let engine = Engine::new(limits);
            let plugin = try_load_wat::<()>(&engine, &text, &Grants::new()).unwrap();
            let mut instance = plugin.instantiate(()).unwrap();
            let most = most.min((limit / page) as u32);
            let mut size: u32 = instance.call("size", ()).unwrap();
            for round in 0..40 {
                let part = (512 << 10) / page;
                let delta = match random.below(6) {
                    0 => random.below(3),
                    1 => part - 1 + random.below(3),
                    2 => random.below(3 * part),
                    3 => ((most - size) as usize + random.below(3)).saturating_sub(1),
                    4 => most as usize + random.below(3),
                    _ => u32::MAX as usize - random.below(3),
                } as u32;
                let fits = size.checked_add(delta).is_some_and(|size| size <= most);
                let expected = if fits { size } else { u32::MAX };
                let case = format!("{memory}, limit {limit}, round {round}: {size} + {delta}");
                assert_eq!(instance.call("grow", delta), Ok(expected), "{case}");
                if fits {
                    size += delta;
                }
                assert_eq!(instance.call("size", ()), Ok(size), "{case}");
                if size > 0 {
                    assert_eq!(instance.call("last", ()), Ok(0u32), "{case}");
                }
            }
        }
    }
}

#[test]
fn growth_takes_as_many_steps_as_it_costs() {
    let text = format!("(module (memory 1) {GROW})").replace("PAGE", "65536");
    let mut instance = load_wat::<()>(&text, &Grants::new())
        .instantiate(())
        .unwrap();
    let mut call = instance.call_async::<_, u32>("grow", 1_023u32);
    let mut steps = 1;
    while let step @ (Step::More | Step::Waiting) = call.step(10_000) {
        assert_eq!(step, Step::More);
        steps += 1;
    }
    let fuel = call.usage().fuel;
    let bytes = 1_023 << 16;
    // 255 units and a few for each part, and as many to ask.
    assert!(
        (bytes / 64..bytes / 64 * 104 / 100 + 600).contains(&fuel),
        "{fuel}"
    );
    // A part that no longer fits into a step is done in it nevertheless.
    assert!(steps >= fuel / 15_000, "{steps} steps for {fuel}");
}

#[test]
fn a_long_argument_is_written_in_steps() {
    let text = r#"(module (memory (export "memory") 300)
        (func (export "allocate") (param i32) (result i32) (i32.const 65536))
        (func (export "outside") (param i32 i32))
        (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1))
        (func (export "both") (param i32 i32 i32 i32) (result i32)
          (i32.load8_u (i32.add (local.get 2) (i32.sub (local.get 3) (i32.const 1))))))"#;
    let plugin = load_wat::<()>(text, &Grants::new());
    let input: Vec<u8> = (0..16u32 << 20).map(|at| (at >> 4) as u8).collect();
    for bytes in [1 << 16, (512 << 10) + 1, 16 << 20] {
        let input = &input[..bytes];
        let mut whole = plugin.instantiate(()).unwrap();
        let expected = (whole.process(input), whole.usage());
        assert_eq!(expected.0.as_deref(), Ok(input));
        let mut instance = plugin.instantiate(()).unwrap();
        let mut steps = 1;
        let mut call = instance.process_async(input);
        let result = loop {
            match call.step(5_000) {
                Step::Done(result) => break result,
                step => assert_eq!(step, Step::More),
            }
            steps += 1;
        };
        drop(call);
        // Not by `assert_eq`, which would print both.
        assert!((result, instance.usage()) == expected, "{bytes}");
        assert!(
            steps >= bytes / (512 << 10),
            "{steps} steps for {bytes} bytes"
        );
        let mut call = instance.call_async::<_, u32>("both", (&input[..bytes / 2], input));
        let last = loop {
            match call.step(5_000) {
                Step::Done(result) => break result,
                step => assert_eq!(step, Step::More),
            }
        };
        assert_eq!(last, Ok(input[bytes - 1].into()));
    }
    // A buffer that does not lie in the memory gets nothing at all.
    let small = text.replace("300", "100");
    let mut instance = load_wat::<()>(&small, &Grants::new())
        .instantiate(())
        .unwrap();
    let before = instance.state_hash();
    let mut call = instance.call_async::<_, ()>("outside", &*input);
    let result = loop {
        if let Step::Done(result) = call.step(5_000) {
            break result;
        }
    };
    drop(call);
    assert_eq!(code(&result), "out-of-bounds");
    assert_eq!(instance.state_hash(), before);
}

#[test]
fn functions_that_are_added_move_no_other_function() {
    let text = |size: &str| {
        format!(
            r#"(module
                (type $wide (func (param i64) (result i64)))
                (memory (export "memory") {size})
                (table 2 funcref) (elem (i32.const 0) $one $two) (elem declare func $two)
                (global $g (mut i32) (i32.const 0))
                (func $one (export "one") (result i32) (i32.const 1))
                (func $two (result i32) (i32.const 2))
                (func $start (global.set $g (i32.const 3))
                  (memory.fill (i32.const 0) (i32.const 7) (global.get $g)))
                (func (export "at") (param i32) (result i32)
                  (call_indirect (result i32) (local.get 0)))
                (func (export "first") (param $n i32) (result i32)
                  (memory.fill (i32.const 0) (i32.const 9) (local.get $n))
                  (memory.copy (i32.const 1) (i32.const 0) (local.get $n))
                  (i32.load8_u (local.get $n)))
                (start $start))"#
        )
    };
    for size in ["10", "1"] {
        let plugin = load_wat::<()>(&text(size), &Grants::new());
        let mut instance = plugin.instantiate(()).unwrap();
        assert_eq!(instance.call("one", ()), Ok(1u32));
        assert_eq!(
            [0u32, 1].map(|at| instance.call("at", at)),
            [Ok(1u32), Ok(2)]
        );
        assert_eq!(instance.call("first", 60_000u32), Ok(9u32));
    }
}

#[test]
fn functions_that_are_added_do_not_count_against_limits_nor_show_in_snapshots() {
    let text = r#"(module
        (memory (export "memory") 10) (data $kept "kept") (data $gone "gone")
        (func (export "init") (param $n i32)
          (memory.fill (i32.const 0) (i32.const 5) (local.get $n))
          (memory.init $kept (local.get $n) (i32.const 0) (i32.const 4))
          (data.drop $gone))
        (func (export "byte") (param i32) (result i32) (i32.load8_u (local.get 0))))"#;
    let wasm = assemble(text);
    let mut limits = Limits::server();
    (limits.module.functions, limits.module.types) = (2, 2);
    let engine = Engine::new(limits);
    let grants = Grants::<()>::new();
    let warmed = engine.snapshot("guest", &wasm, &grants, |instance| {
        instance.call::<_, ()>("init", 300_000u32)
    });
    let warmed = warmed.unwrap();
    let info = ModuleInfo::read(&warmed).unwrap();
    assert_eq!(info.functions, 2);
    let plugin = engine.load("guest", &warmed, &grants).unwrap();
    let mut instance = plugin.instantiate(()).unwrap();
    for (at, expected) in [
        (0, 5),
        (299_999, 5),
        (300_000, u32::from(b'k')),
        (300_004, 0),
    ] {
        assert_eq!(instance.call("byte", at), Ok(expected), "{at}");
    }
    let trapped = instance.call::<_, ()>("init", u32::MAX);
    assert_eq!(code(&trapped), "trap-memory");
}

#[test]
fn an_operator_that_is_invalid_is_refused() {
    for text in [
        "(module (func (export \"f\") (param i32) (memory.fill (i32.const 0) (i32.const 0) (local.get 0))))",
        "(module (memory 10) (func (export \"f\") (memory.fill (i64.const 0) (i32.const 0) (i32.const -1))))",
        "(module (memory 10) (func (export \"f\") (memory.copy (i32.const 0) (i32.const -1))))",
    ] {
        let refused = try_load_wat::<()>(&hostel::engine(), text, &Grants::new());
        assert_eq!(refused.unwrap_err().code(), "invalid-module", "{text}");
    }
}
