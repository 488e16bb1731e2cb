//! Memories in mappings of the system: a reset leaves nothing behind, and no result tells where a memory is.

use hostel::{Budget, Engine, Grants, Instance, Limits, Mappings, Plugin, Std};
use hostel_tests::{guest_bytes, try_load_wat};
use std::{fmt::Write as _, thread};

/// An engine with its memories in mappings, and one with them on the heap.
fn engines() -> [Engine; 2] {
    let mut limits = Limits::server();
    // Which instances are kept must not depend on when another copy of the code is ready.
    limits.copies = 1;
    let heap = || Engine::new(limits).with_platform(Std::new());
    let mappings = Mappings::new().expect("the tests need a /proc that tells pages");
    [heap().with_mapped_memories(mappings), heap()]
}

/// Numbers by chance, equal in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(bound.max(1))).unwrap()
    }
}

/// A module with a memory of `pages`, with data at places by chance and a start that may write and grow.
fn module(chance: &mut Chance, pages: u32) -> String {
    let mut text = String::from("(module ");
    let most = match chance.below(3) {
        0 => String::new(),
        _ => (pages + chance.below(40)).to_string(),
    };
    write!(
        text,
        "(memory {pages} {most}) (global $n (mut i64) (i64.const 3))"
    )
    .unwrap();
    for _ in 0..chance.below(6) {
        let length = 1 + chance.below(9_000);
        let at = chance.below(pages * 65_536 - length);
        let data = char::from(b'a' + chance.below(26) as u8);
        let data = data.to_string().repeat(length as usize);
        write!(text, r#"(data (i32.const {at}) "{data}")"#).unwrap();
    }
    if chance.below(2) == 0 {
        let (at, grown) = (chance.below(pages * 65_536 - 8), chance.below(3));
        // So much that is not 0 is mapped when the instance is reset.
        let filled = match pages > 10 && chance.below(2) == 0 {
            true => format!(
                "(memory.fill (i32.const 70000) (i32.const 7) (i32.const {}))",
                300_000 + chance.below(100_000)
            ),
            false => String::new(),
        };
        write!(
            text,
            "(func $start (i64.store (i32.const {at}) (i64.const -1)) (global.set $n (i64.const 9))
               {filled}
               (drop (memory.grow (i32.const {grown})))) (start $start)"
        )
        .unwrap();
    }
    text.push_str(
        r#"(func (export "fill") (param i32 i32 i32) (result i64)
             (memory.fill (local.get 0) (local.get 1) (local.get 2)) (global.get $n))
           (func (export "store") (param i32 i32 i32) (result i64)
             (i64.store (local.get 0) (i64.extend_i32_u (local.get 1)))
             (global.set $n (i64.extend_i32_u (local.get 2))) (i64.const 0))
           (func (export "grow") (param i32 i32 i32) (result i64)
             (i64.extend_i32_s (memory.grow (i32.and (local.get 1) (i32.const 7)))))
           (func (export "copy") (param i32 i32 i32) (result i64)
             (memory.copy (local.get 0) (local.get 2) (local.get 1)) (i64.const 1))
           (func (export "load") (param i32 i32 i32) (result i64)
             (i64.xor (i64.load (local.get 0)) (i64.extend_i32_u (memory.size)))))"#,
    );
    text
}

type Calls = Vec<(&'static str, (u32, u32, u32))>;

/// Calls by chance, few of them out of bounds.
fn calls(chance: &mut Chance, bytes: u32) -> Calls {
    let calls = chance.below(8);
    (0..calls)
        .map(|_| {
            let at = match chance.below(40) {
                0 => bytes - chance.below(10),
                1 => bytes + chance.below(200_000),
                _ => chance.below(bytes - 9_008),
            };
            let length =
                [1, 100, 9_000, bytes / 2][chance.below(4) as usize].min(bytes - at.min(bytes));
            let name = match chance.below(12) {
                0 => "grow",
                1..4 => "store",
                4..6 => "load",
                6..8 => "copy",
                _ => "fill",
            };
            let params = match name {
                "fill" => (at, chance.below(256), length),
                "copy" => (at, length.min(9_000), chance.below(bytes - 9_000)),
                _ => (at, chance.below(1 << 20), chance.below(1_000)),
            };
            (name, params)
        })
        .collect()
}

/// What a caller can tell of `calls` in one instance.
fn observed(instance: &mut Instance, calls: &Calls) -> String {
    let mut seen = format!("{:x} {}", instance.state_hash(), instance.memory_bytes());
    for (name, params) in calls {
        let result = instance.call::<(u32, u32, u32), i64>(name, *params);
        let mut used = instance.usage();
        used.time = std::time::Duration::ZERO;
        write!(seen, "\n{name} {params:?}: {result:?} {used:?}").unwrap();
        if instance.is_stopped() {
            break;
        }
    }
    write!(
        seen,
        "\n{:x} {}",
        instance.state_hash(),
        instance.memory_bytes()
    )
    .unwrap();
    seen
}

#[test]
fn random_calls_of_random_modules_are_as_on_the_heap_and_in_new_instances() {
    let [mapped, heap] = engines();
    let mut chance = Chance(7);
    let (mut reset, mut replaced) = (0, 0);
    for at in 0..24 {
        // Also below and at the size from which on there are mappings.
        let pages = [1, 2, 3, 17, 40, 3 + chance.below(60)][at % 6];
        let text = module(&mut chance, pages);
        let plugins =
            [&mapped, &heap].map(|engine| try_load_wat(engine, &text, &Grants::new()).unwrap());
        for round in 0..8 {
            let calls = calls(&mut chance, pages * 65_536);
            let [one, other] = plugins.each_ref().map(|plugin: &Plugin| {
                plugin
                    .with_instance(|instance| Ok(observed(instance, &calls)))
                    .unwrap()
            });
            assert_eq!(one, other, "module {at}, round {round}: {text:.300}");
            // The first call in a pool pays for making the instance; that is compared above.
            let [one, other] = plugins
                .each_ref()
                .map(|plugin: &Plugin| observed(&mut plugin.instantiate(()).unwrap(), &calls));
            assert_eq!(one, other, "module {at}, round {round}: {text:.300}");
        }
        let [one, other] = plugins.each_ref().map(Plugin::pool_figures);
        assert_eq!(one, other);
        reset += one.resets;
        replaced += one.discards;
    }
    assert!(
        reset > 50 && replaced > 20,
        "{reset} reset, {replaced} replaced"
    );
}

/// A guest that looks for anything in its memory, and leaves secrets everywhere.
const SPY: &str = r#"(module (memory 17 40)
    (data (i32.const 1048576) "public") (data (i32.const 300000) "public")
    (func (export "look") (result i64) (local $at i32) (local $found i64)
      (loop $on
        (local.set $found (i64.or (local.get $found) (i64.load (local.get $at))))
        (br_if $on (i32.lt_u
          (local.tee $at (i32.add (local.get $at) (i32.const 8)))
          (i32.mul (memory.size) (i32.const 65536)))))
      (local.get $found))
    (func (export "hide") (param $byte i32) (param $from i32) (param $step i32) (param $pages i32)
      (drop (memory.grow (local.get $pages)))
      (loop $on
        (i32.store8 (local.get $from) (local.get $byte))
        (br_if $on (i32.lt_u
          (local.tee $from (i32.add (local.get $from) (local.get $step)))
          (i32.mul (memory.size) (i32.const 65536))))))
    (func (export "grow") (param i32) (drop (memory.grow (local.get 0)))))"#;

#[test]
fn a_secret_that_is_hidden_in_any_page_is_found_by_no_later_call_of_any_tenant() {
    let [engine, _] = engines();
    let budget = Budget::server().with_fuel(1 << 32);
    let tenants = [(); 2].map(|()| {
        let engine = engine.clone().with_budget(budget);
        try_load_wat::<()>(&engine, SPY, &Grants::new()).unwrap()
    });
    let hidden = |plugin: &Plugin, secret: u32, from: u32, step: u32, pages: u32, grow: u32| {
        plugin.with_instance(|instance| {
            // Some look in the first memory, others in one that has grown.
            if grow > 0 {
                instance.call::<u32, ()>("grow", grow)?;
            }
            let found = instance.call::<(), i64>("look", ())?;
            instance.call::<_, ()>("hide", (secret, from, step, pages))?;
            Ok(found)
        })
    };
    let public = tenants[0]
        .instantiate(())
        .unwrap()
        .call::<(), i64>("look", ());
    let public = public.unwrap();
    thread::scope(|scope| {
        for thread in 0..2u64 {
            let (tenants, hidden) = (&tenants, &hidden);
            scope.spawn(move || {
                let mut chance = Chance(thread);
                for round in 0..60 {
                    let plugin = &tenants[chance.below(2) as usize];
                    // Each byte of a few pages, one byte of each page, or of some.
                    let step = [4_096, 4_099, 65_536, 300_001, 1_000][chance.below(5) as usize];
                    let grow = [0, 0, 0, 3][chance.below(4) as usize];
                    let pages = [0, 0, 0, 5][chance.below(4) as usize];
                    let from = chance.below(65_536);
                    let found = hidden(plugin, 0x80, from, step, pages, grow);
                    // No byte of a public one has the bit of a secret.
                    assert_eq!(found, Ok(public), "round {round}");
                }
            });
        }
    });
    let resets = tenants.map(|plugin| plugin.pool_figures().resets);
    assert!(resets.iter().sum::<u64>() > 40, "{resets:?}");
}

#[test]
fn a_memory_of_which_more_was_touched_than_stays_with_an_idle_instance_is_reset() {
    let [engine, _] = engines();
    let text = r#"(module (memory 160) (data (i32.const 8000000) "data")
        (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 1) (local.get 1))))"#;
    let plugin: Plugin = try_load_wat(&engine, text, &Grants::new()).unwrap();
    let new = plugin.instantiate(()).unwrap().state_hash();
    for (at, size) in [
        (0, 1),
        (0, 160 << 16),
        (7, 4 << 20),
        (8 << 20, 5),
        (0, 0),
        (0, 5 << 20),
        (0, 0),
    ] {
        let found = plugin.with_instance(|instance| {
            let found = instance.state_hash();
            instance.call::<(u32, u32), ()>("fill", (at, size))?;
            Ok(found)
        });
        assert_eq!(found, Ok(new));
    }
    assert_eq!(plugin.pool_figures().resets, 7);
}

/// A guest whose start writes 9 MB, in a memory of 160 pages.
const WRITER: &str = r#"(module (memory 160)
    (func $start (memory.fill (i32.const 1000000) (i32.const 5) (i32.const 9000000)))
    (start $start)
    (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 1) (local.get 1)))
    (func (export "fail") unreachable))"#;

#[test]
fn a_large_first_state_is_set_back_where_it_was_written() {
    let [engine, _] = engines();
    let plugin: Plugin = try_load_wat(&engine, WRITER, &Grants::new()).unwrap();
    let new = plugin.instantiate(()).unwrap().state_hash();
    let mut chance = Chance(3);
    // Hashing takes time: of most requests, only some.
    for request in 0..300u32 {
        let (at, size) = match request % 100 {
            0 => (0, 160 << 16),
            1 => (999_990, 5 << 20),
            2 => (0, 0),
            3 => (9_999_990, 100),
            _ => (chance.below(159 << 16), chance.below(20_000)),
        };
        let found = plugin.with_instance(|instance| {
            let found = (request % 100 < 5 || request > 295).then(|| instance.state_hash());
            instance.call::<(u32, u32), ()>("fill", (at, size))?;
            Ok(found)
        });
        assert!(
            found
                .as_ref()
                .is_ok_and(|found| found.is_none_or(|found| found == new)),
            "{request}: {found:?}"
        );
    }
    // One that is stopped is replaced, and its mapping is not used again.
    assert!(plugin.call::<(), ()>("fail", ()).is_err());
    let after = plugin.with_instance(|instance| Ok(instance.state_hash()));
    assert_eq!(after, Ok(new));
    assert_eq!(plugin.pool_figures().resets, 301);
}

#[test]
fn instances_share_what_they_have_not_written() {
    let [engine, _] = engines();
    let mut limits = *engine.limits();
    (limits.idle, limits.instances) = (16, 16);
    let engine = engine.with_limits(limits);
    let plugin: Plugin = try_load_wat(&engine, WRITER, &Grants::new()).unwrap();
    fn nested(plugin: &Plugin, depth: usize) {
        let called = plugin.with_instance(|instance| {
            instance.call::<(u32, u32), ()>("fill", (5_000_000, 100))?;
            if depth > 0 {
                nested(plugin, depth - 1);
            }
            Ok(())
        });
        assert_eq!(called, Ok(()));
    }
    // Of private pages only: those of a file are the system's.
    let own = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: Vec<usize> = pages
            .split(' ')
            .map_while(|it| it.trim().parse().ok())
            .collect();
        (pages[1] - pages[2]) * 4_096
    };
    let before = own();
    for _ in 0..3 {
        nested(&plugin, 15);
    }
    assert_eq!(plugin.pool_figures().idle, 16);
    let held = own().saturating_sub(before);
    // The image, and what other tests take meanwhile; not 144 MB.
    assert!(held < 100 << 20, "16 idle instances hold {held} bytes");
}

/// Returns the bytes of memory that this process holds.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[test]
fn an_idle_instance_holds_the_pages_that_its_calls_touched() {
    let [engine, _] = engines();
    let mut limits = *engine.limits();
    (limits.idle, limits.instances, limits.memory_bytes) = (16, 16, 64 << 20);
    let engine = engine.with_limits(limits);
    // 32 MiB each, so that what other tests take meanwhile does not matter.
    let text = r#"(module (memory 512) (data (i32.const 1048576) "data")
        (func (export "touch") (i32.store (i32.const 500000) (i32.const 1))))"#;
    let plugin: Plugin = try_load_wat(&engine, text, &Grants::new()).unwrap();
    let before = resident();
    fn nested(plugin: &Plugin, depth: usize) {
        let called = plugin.with_instance(|instance| {
            instance.call::<(), ()>("touch", ())?;
            if depth > 0 {
                nested(plugin, depth - 1);
            }
            Ok(())
        });
        assert_eq!(called, Ok(()));
    }
    nested(&plugin, 7);
    let held = resident().saturating_sub(before);
    assert_eq!(plugin.pool_figures().idle, 8);
    assert!(held < 128 << 20, "8 idle instances hold {held} bytes");
}

#[test]
fn an_instance_that_is_kept_holds_what_is_not_zero_and_works_as_on_the_heap() {
    let text = r#"(module (memory (export "memory") 512)
        (data (i32.const 1048570) "across two pages") (data (i32.const 33554430) "!")
        (func (export "sum") (result i64) (local $at i32) (local $sum i64)
          (loop $on
            (local.set $sum (i64.add (i64.rotl (local.get $sum) (i64.const 1)) (i64.load (local.get $at))))
            (br_if $on (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 33554432))))
          (local.get $sum))
        (func (export "touch") (i32.store (i32.const 20000000) (i32.const 77))))"#;
    let [mapped, heap] = engines().map(|engine| {
        let mut limits = *engine.limits();
        limits.memory_bytes = 64 << 20;
        let engine = engine.with_limits(limits);
        try_load_wat::<()>(&engine, text, &Grants::new()).unwrap()
    });
    let before = resident();
    let mut kept = [(); 8].map(|()| mapped.instantiate(()).unwrap());
    let held = resident().saturating_sub(before);
    assert!(held < 128 << 20, "8 instances of 32 MiB hold {held} bytes");
    let mut other = heap.instantiate(()).unwrap();
    for _ in 0..2 {
        let expected = other.call::<(), i64>("sum", ()).unwrap();
        for instance in &mut kept {
            assert_eq!(instance.call::<(), i64>("sum", ()), Ok(expected));
            assert_eq!(instance.usage(), other.usage());
            assert_eq!(instance.state_hash(), other.state_hash());
            instance.call::<(), ()>("touch", ()).unwrap();
        }
        other.call::<(), ()>("touch", ()).unwrap();
    }
}

#[test]
fn real_guests_answer_as_on_the_heap_and_use_the_same_fuel() {
    let grants = Grants::new()
        .log(|_: &hostel::LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")]);
    let engines = engines();
    for (name, reused) in [
        ("customize", true),
        ("default_customize", true),
        ("default_std_customize", false),
        ("zig_customize", false),
    ] {
        let wasm = guest_bytes(name);
        let [mapped, heap] = engines.each_ref().map(|engine| {
            let plugin = engine.load(name, &wasm, &grants).unwrap();
            let mut answers = Vec::new();
            for _ in 0..5 {
                let (answer, mut used) =
                    plugin.with_instance_metered(|instance| instance.process(b"hello world"));
                used.time = std::time::Duration::ZERO;
                answers.push((answer.unwrap(), used));
            }
            assert_eq!(
                plugin.pool_figures().resets,
                if reused { 5 } else { 0 },
                "{name}"
            );
            answers
        });
        assert_eq!(mapped, heap, "{name}");
    }
}

#[test]
fn a_guest_that_grows_in_each_first_call_is_reset_if_it_is_loaded_from_a_snapshot_after_one() {
    let grants = Grants::new()
        .log(|_: &hostel::LogRecord<'_>| {})
        .config([("prefix", "CUSTOM")]);
    let engines = engines();
    for name in ["default_std_customize", "zig_customize"] {
        let wasm = guest_bytes(name);
        for engine in &engines {
            // As long as the inputs to come: an allocator may keep other sizes apart.
            let warm = |instance: &mut Instance| instance.process(b"HELLO WORLD").map(drop);
            let snapshot = engine.snapshot(name, &wasm, &grants, warm).unwrap();
            let plugin = engine.load(name, &snapshot, &grants).unwrap();
            for _ in 0..5 {
                let answer = plugin.process(b"hello world");
                assert_eq!(answer.as_deref(), Ok(&b"CUSTOM_HELLO WORLD"[..]));
            }
            assert_eq!(plugin.pool_figures().resets, 5, "{name}");
        }
    }
}
