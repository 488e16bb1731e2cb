//! Typed bindings of worlds, as `bindgen!` makes them: guests in Rust and C, embedder's resources, futures.

use hostel::{Budget, Context, Grants, Trap};
use std::collections::HashMap;

/// The world of the guests under version control.
mod text_world {
    hostel::component::bindgen!({ path: "../guests/components/wit", world: "plugin" });
}

use text_world::{
    Plugin as TextPlugin,
    exports::text::{Frame, Problem, Request, Response, Style},
    host,
};

#[derive(Default)]
struct State {
    lines: Vec<(host::Level, String)>,
    settings: HashMap<String, String>,
}

impl host::Host for State {
    fn log(
        context: &mut Context<'_, Self>,
        level: host::Level,
        message: String,
    ) -> Result<(), Trap> {
        context.charge(100)?;
        context.data_mut().lines.push((level, message));
        Ok(())
    }

    fn config(context: &mut Context<'_, Self>, key: String) -> Result<Option<String>, Trap> {
        if key.len() > 20 {
            return Err(Trap::host("a long key"));
        }
        Ok(context.data().settings.get(&key).cloned())
    }
}

/// Returns the bytes of a guest under version control.
macro_rules! guest {
    ($name:literal) => {
        include_bytes!(concat!(
            "../../../../guests/prebuilt/components/",
            $name,
            ".wasm"
        ))
    };
}

/// The contract in Rust and in C: as a component, and as a core module.
const GUESTS: [(&str, &[u8]); 4] = [
    ("Rust", guest!("rust_small")),
    ("Rust module", guest!("rust_module")),
    ("C", guest!("c_plugin")),
    ("C module", guest!("c_module")),
];

fn load(wasm: &[u8]) -> hostel::Plugin<State> {
    let grants = TextPlugin::grant(Grants::<State>::with_data());
    hostel::engine()
        .load_component("text", wasm, &grants)
        .unwrap()
}

#[test]
fn functions_of_a_world_are_methods() {
    for (name, wasm) in GUESTS {
        let plugin = load(wasm);
        let exports = TextPlugin::of(&plugin).unwrap();
        let state = State {
            settings: HashMap::from([("prefix".into(), "CUSTOM".into())]),
            ..State::default()
        };
        let mut instance = plugin.instantiate(state).unwrap();
        let output = exports.process(&mut instance, b"hello world").unwrap();
        assert_eq!(output.unwrap(), b"CUSTOM_HELLO WORLD", "{name}");
        let style = Style {
            upper: true,
            reverse: true,
            ..Style::default()
        };
        let mut request = Request {
            text: "hello".into(),
            style,
            frame: Some(Frame::Quotes(('<', '>'))),
        };
        let response = Response {
            text: "<OLLEH>".into(),
            length: 7,
        };
        let output = exports.text.customize(&mut instance, &request).unwrap();
        assert_eq!(output, Ok(response), "{name}");
        request.style.ascii = true;
        request.text = "é".into();
        let output = exports.text.customize(&mut instance, &request).unwrap();
        assert_eq!(output, Err(Problem::NotAscii('é')), "{name}");
        let logged = (host::Level::Info, "processing 11 bytes".into());
        assert_eq!(instance.data().lines[0], logged, "{name}");
        // In an instance of the pool, with data of its own.
        let output = exports.process(&plugin, b"hello").unwrap();
        assert_eq!(output.unwrap(), b"DEFAULT_PREFIX_HELLO", "{name}");
    }
}

#[test]
fn resources_of_a_guest_are_handles() {
    for (name, wasm) in GUESTS {
        let plugin = load(wasm);
        let text = TextPlugin::of(&plugin).unwrap().text;
        let mut instance = plugin.instantiate(State::default()).unwrap();
        let left = text.new_tally(&mut instance, "left").unwrap();
        let right = text.new_tally(&mut instance, "right").unwrap();
        assert_eq!(text.tally_add(&mut instance, &left, "a b a").unwrap(), 2);
        assert_eq!(text.tally_add(&mut instance, &right, "b c").unwrap(), 2);
        let both = text.tally_merge(&mut instance, &left, &right).unwrap();
        assert_eq!(text.tally_name(&mut instance, &both).unwrap(), "left+right");
        let counts = [("a", 2), ("b", 2), ("c", 1)];
        let counts = counts.map(|(word, count)| (word.to_string(), count));
        assert_eq!(
            text.tally_finish(&mut instance, both).unwrap(),
            counts,
            "{name}"
        );
        instance.drop_resource(&left.0).unwrap();
        let gone = text.tally_name(&mut instance, &left).unwrap_err();
        assert_eq!(gone.code(), "value-type", "{name}: {gone}");
        assert_eq!(text.tally_name(&mut instance, &right).unwrap(), "right");
    }
}

#[test]
fn exports_of_another_plugin_do_not_run() {
    let (one, other) = (load(GUESTS[0].1), load(GUESTS[0].1));
    let exports = TextPlugin::of(&one).unwrap();
    let error = exports.process(&other, b"hello").unwrap_err();
    assert_eq!(error.code(), "other-instance");
    drop(one);
    assert_eq!(
        exports.process(&other, b"hello").unwrap_err().code(),
        "other-instance"
    );
}

#[test]
fn a_slice_of_fuel_of_any_size_charges_as_much() {
    let plugin = load(GUESTS[1].1);
    let used = |quantum| {
        let mut instance = plugin.instantiate(State::default()).unwrap();
        instance.set_budget(Budget::server());
        let input: (&[u8],) = (b"hello world",);
        let mut call =
            instance.call_component_async::<_, Result<Vec<u8>, String>>("process", input);
        let mut steps = 0;
        loop {
            steps += 1;
            if let hostel::Step::Done(output) = call.step(quantum) {
                assert_eq!(output.unwrap().unwrap(), b"DEFAULT_PREFIX_HELLO WORLD");
                break;
            }
        }
        drop(call);
        (instance.usage().fuel, steps > 10)
    };
    let (fuel, many) = used(1_000_000);
    assert!(!many);
    assert_eq!(used(100), (fuel, true));
}

/// A world whose host waits, and has resources.
mod shop_world {
    hostel::component::bindgen!({
        inline: "
            package shop:tools@1.2.0;
            interface store {
                enum problem { empty, full }
                resource bucket {
                    constructor(size: u32);
                    put: func(more: u32) -> result<u32, problem>;
                    merge: static func(one: bucket, other: borrow<bucket>) -> bucket;
                }
                price: func(of: string) -> option<u32>;
            }
            world shop {
                import store;
                import now: func() -> u64;
                export run: func(more: u32) -> u64;
            }",
        resources: { "store/bucket": super::Bucket },
        async: ["store#price"],
    });
}

use shop_world::{Shop, store};

pub(super) struct Bucket {
    size: u32,
    filled: u32,
}

struct Goods {
    buckets: hostel::component::Table<Bucket>,
    dropped: u32,
}

impl Default for Goods {
    fn default() -> Self {
        Self {
            buckets: hostel::component::Table::new(2),
            dropped: 0,
        }
    }
}

type Handle = hostel::component::Own<Bucket>;
type Borrowed = hostel::component::Borrow<Bucket>;

impl store::Host for Goods {
    fn new_bucket(context: &mut Context<'_, Self>, size: u32) -> Result<Handle, Trap> {
        context
            .data_mut()
            .buckets
            .insert(Bucket { size, filled: 0 })
    }

    fn bucket_put(
        context: &mut Context<'_, Self>,
        bucket: Borrowed,
        more: u32,
    ) -> Result<Result<u32, store::Problem>, Trap> {
        let bucket = context.data_mut().buckets.get_mut(&bucket)?;
        if bucket.filled + more > bucket.size {
            return Ok(Err(store::Problem::Full));
        }
        bucket.filled += more;
        Ok(Ok(bucket.filled))
    }

    fn bucket_merge(
        context: &mut Context<'_, Self>,
        one: Handle,
        other: Borrowed,
    ) -> Result<Handle, Trap> {
        let buckets = &mut context.data_mut().buckets;
        let filled = buckets.get(&other)?.filled;
        buckets.get_mut(&one)?.filled += filled;
        Ok(one)
    }

    fn drop_bucket(context: &mut Context<'_, Self>, bucket: Handle) -> Result<(), Trap> {
        context.data_mut().dropped += 1;
        context.data_mut().buckets.remove(bucket).map(drop)
    }

    fn price(
        context: &mut Context<'_, Self>,
        of: String,
    ) -> impl Future<Output = Result<Option<u32>, Trap>> + Send + 'static {
        let known = context.data().buckets.len();
        async move {
            tokio::task::yield_now().await;
            Ok((of == "lamp").then_some(known as u32 * 1000))
        }
    }
}

impl shop_world::Host for Goods {
    fn now(_: &mut Context<'_, Self>) -> Result<u64, Trap> {
        Ok(1_000_000)
    }
}

/// Makes two buckets of 10, puts `more` into each, merges them, adds the filling, the price of a lamp and the time.
const SHOPPER: &str = r#"(component
  (import "shop:tools/store@1.2.5" (instance $store
    (export "bucket" (type $bucket (sub resource)))
    (type $p (enum "empty" "full"))
    (export "problem" (type $problem (eq $p)))
    (export "[constructor]bucket" (func (param "size" u32) (result (own $bucket))))
    (export "[method]bucket.put" (func (param "self" (borrow $bucket)) (param "more" u32)
      (result (result u32 (error $problem)))))
    (export "[static]bucket.merge" (func (param "one" (own $bucket)) (param "other" (borrow $bucket))
      (result (own $bucket))))
    (export "price" (func (param "of" string) (result (option u32))))))
  (import "now" (func $now (result u64)))
  (alias export $store "bucket" (type $bucket))
  (core module $Memory (memory (export "memory") 1) (data (i32.const 64) "lamp"))
  (core instance $memory (instantiate $Memory))
  (core func $new (canon lower (func $store "[constructor]bucket")))
  (core func $put (canon lower (func $store "[method]bucket.put") (memory (core memory $memory "memory"))))
  (core func $merge (canon lower (func $store "[static]bucket.merge")))
  (core func $price (canon lower (func $store "price") (memory (core memory $memory "memory"))))
  (core func $now (canon lower (func $now)))
  (core func $drop (canon resource.drop $bucket))
  (core module $M
    (import "h" "new" (func $new (param i32) (result i32)))
    (import "h" "put" (func $put (param i32 i32 i32)))
    (import "h" "merge" (func $merge (param i32 i32) (result i32)))
    (import "h" "price" (func $price (param i32 i32 i32)))
    (import "h" "now" (func $now (result i64)))
    (import "h" "drop" (func $drop (param i32)))
    (import "m" "memory" (memory 1))
    (func $filled (param $bucket i32) (param $more i32) (result i32)
      (call $put (local.get $bucket) (local.get $more) (i32.const 0))
      ;; The case of the problem, and 100, if there is one.
      (if (result i32) (i32.load8_u (i32.const 0))
        (then (i32.add (i32.const 100) (i32.load8_u (i32.const 4)))) (else (i32.load (i32.const 4)))))
    (func (export "run") (param $more i32) (result i64) (local $one i32) (local $other i32) (local $sum i32)
      (local.set $one (call $new (i32.const 10)))
      (local.set $other (call $new (i32.const 10)))
      (local.set $sum (call $filled (local.get $one) (local.get $more)))
      (local.set $sum (i32.add (local.get $sum) (call $filled (local.get $other) (local.get $more))))
      (call $price (i32.const 64) (i32.const 4) (i32.const 0))
      (local.set $sum (i32.add (local.get $sum) (i32.load (i32.const 4))))
      (local.set $one (call $merge (local.get $one) (local.get $other)))
      (local.set $sum (i32.add (local.get $sum) (call $filled (local.get $one) (i32.const 0))))
      (call $drop (local.get $other))
      (call $drop (local.get $one))
      (i64.add (i64.extend_i32_u (local.get $sum)) (call $now))))
  (core instance $m (instantiate $M (with "m" (instance $memory))
    (with "h" (instance (export "new" (func $new)) (export "put" (func $put)) (export "merge" (func $merge))
      (export "price" (func $price)) (export "now" (func $now)) (export "drop" (func $drop))))))
  (func (export "run") (param "more" u32) (result u64) (canon lift (core func $m "run"))))"#;

fn shopper(grants: &Grants<Goods>) -> hostel::Plugin<Goods> {
    let wasm = wat::parse_str(SHOPPER).unwrap();
    hostel::engine()
        .load_component("shopper", &wasm, grants)
        .unwrap()
}

#[test]
fn the_embedder_has_resources_and_futures() {
    let plugin = shopper(&Shop::grant(Grants::with_data()));
    let shop = Shop::of(&plugin).unwrap();
    let mut instance = plugin.instantiate(Goods::default()).unwrap();
    assert_eq!(
        shop.run(&mut instance, 3).unwrap(),
        1_000_000 + 2_000 + 3 + 3 + 6
    );
    assert_eq!(instance.data().dropped, 2);
    assert!(instance.data().buckets.is_empty());
    // Too much for a bucket: the error is the second case.
    assert_eq!(
        shop.run(&mut instance, 11).unwrap(),
        1_000_000 + 2_000 + 101 + 101
    );
    assert_eq!(shop.run(&plugin, 1).unwrap(), 1_000_000 + 2_000 + 1 + 1 + 2);
}

#[test]
fn a_full_table_stops_the_guest() {
    let plugin = shopper(&Shop::grant(Grants::with_data()));
    let shop = Shop::of(&plugin).unwrap();
    let goods = Goods {
        buckets: hostel::component::Table::new(1),
        dropped: 0,
    };
    let mut instance = plugin.instantiate(goods).unwrap();
    let error = shop.run(&mut instance, 3).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("table of the host's resources is full"),
        "{error}"
    );
}

#[test]
fn values_of_any_type_are_for_tools() {
    use hostel::component::{Interface, Value};
    let own = Interface::new("shop:tools/store@1.2.0").dynamic(
        "price",
        |context: &mut Context<'_, Goods>, values| {
            context.charge(1)?;
            assert_eq!(values, [Value::String("lamp".into())]);
            Ok(Some(Value::Option(Some(Box::new(Value::U32(5))))))
        },
    );
    let plugin = shopper(&Shop::grant(Grants::with_data()).interface(own));
    assert_eq!(
        Shop::of(&plugin).unwrap().run(&plugin, 3).unwrap(),
        1_000_000 + 5 + 3 + 3 + 6
    );
    let wrong = Interface::new("shop:tools/store@1.2.0")
        .dynamic("price", |_: &mut Context<'_, Goods>, _| {
            Ok(Some(Value::U32(5)))
        });
    let plugin = shopper(&Shop::grant(Grants::with_data()).interface(wrong));
    let error = Shop::of(&plugin).unwrap().run(&plugin, 3).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected option<u32>, found a u32"),
        "{error}"
    );
}

#[test]
fn types_that_differ_are_told_at_load() {
    use hostel::component::{Borrow, Interface, Own};
    struct Other;
    let own = Interface::new("shop:tools/store@1.2.0")
        .resource("bucket", |_: &mut Context<'_, Goods>, _: Own<Other>| Ok(()))
        .function("price", |_: String| 5u32)
        .function("[method]bucket.put", |_: Borrow<Bucket>, _: u32| {
            Ok::<u32, store::Problem>(1)
        });
    let wasm = wat::parse_str(SHOPPER).unwrap();
    let grants = Shop::grant(Grants::with_data()).interface(own);
    let error = hostel::engine().load_component("shopper", &wasm, &grants);
    let error = error.unwrap_err().to_string();
    for part in [
        "`shop:tools/store@1.2.5#price`",
        "func(string) -> u32",
        "func(of: string) -> option<u32>",
        // Of another Rust type than the resource that is granted.
        "`shop:tools/store@1.2.5#[method]bucket.put`",
        "func(borrow<Bucket>, u32) -> result<u32, enum { empty, full }>",
        "func(self: borrow<bucket>, more: u32) -> result<u32, enum { empty, full }>",
        "`shop:tools/store@1.2.5#[constructor]bucket`",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let plugin = shopper(&Shop::grant(Grants::with_data()));
    let error = plugin
        .component_export::<(u64,), String>("run")
        .unwrap_err()
        .to_string();
    assert!(error.contains("func(u64) -> string"), "{error}");
    assert!(error.contains("func(more: u32) -> u64"), "{error}");
    let error = text_world::exports::text::Guest::of(&plugin).unwrap_err();
    assert_eq!(error.code(), "unknown-export", "{error}");
}
