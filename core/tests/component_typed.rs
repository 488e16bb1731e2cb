//! Typed bindings of a world: what `bindgen!` makes, with a guest in Rust.

#![cfg(feature = "bindgen")]
#![allow(clippy::unwrap_used)]

use hostel_core::{Budget, Context, Engine, Grants, Limits, Trap};
use std::collections::HashMap;

hostel_core::component::bindgen!({ path: "../guests/components/wit", world: "plugin" });

use exports::text::{Frame, Problem, Request, Response, Style};

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
        Ok(context.data().settings.get(&key).cloned())
    }
}

/// The contract in Rust and in C: as a component, and as a core module.
const GUESTS: [(&str, &[u8]); 4] = [
    (
        "Rust",
        include_bytes!("../../guests/prebuilt/components/rust_small.wasm"),
    ),
    (
        "Rust module",
        include_bytes!("../../guests/prebuilt/components/rust_module.wasm"),
    ),
    (
        "C",
        include_bytes!("../../guests/prebuilt/components/c_plugin.wasm"),
    ),
    (
        "C module",
        include_bytes!("../../guests/prebuilt/components/c_module.wasm"),
    ),
];

/// Runs `test` with each guest.
fn each(test: impl Fn(&str, hostel_core::Plugin<State>)) {
    for (name, wasm) in GUESTS {
        let engine = Engine::new(Limits::server()).with_budget(Budget::server());
        let grants = Plugin::grant(Grants::<State>::with_data());
        let plugin = engine.load_component("text", wasm, &grants);
        test(
            name,
            plugin.unwrap_or_else(|error| unreachable!("{name}: {error}")),
        );
    }
}

#[test]
fn functions_of_a_world_are_methods() {
    each(|name, plugin| {
        let exports = Plugin::of(&plugin).unwrap();
        let state = State {
            settings: HashMap::from([("prefix".into(), "CUSTOM".into())]),
            ..State::default()
        };
        let mut instance = plugin.instantiate(state).unwrap();
        assert_eq!(
            exports
                .process(&mut instance, b"hello world")
                .unwrap()
                .unwrap(),
            b"CUSTOM_HELLO WORLD"
        );
        let mut request = Request {
            text: "hello".into(),
            style: Style {
                upper: true,
                reverse: true,
                ..Style::default()
            },
            frame: Some(Frame::Quotes(('<', '>'))),
        };
        assert_eq!(
            exports.text.customize(&mut instance, &request).unwrap(),
            Ok(Response {
                text: "<OLLEH>".into(),
                length: 7
            })
        );
        request.style.ascii = true;
        request.text = "é".into();
        assert_eq!(
            exports.text.customize(&mut instance, &request).unwrap(),
            Err(Problem::NotAscii('é'))
        );
        assert_eq!(
            instance.data().lines[0],
            (host::Level::Info, "processing 11 bytes".into())
        );
        // In an instance of the pool, with data of its own.
        assert_eq!(
            exports.process(&plugin, b"hello").unwrap().unwrap(),
            b"DEFAULT_PREFIX_HELLO",
            "{name}"
        );
    });
}

#[test]
fn resources_of_a_guest_are_handles() {
    each(|name, plugin| {
        let text = Plugin::of(&plugin).unwrap().text;
        let mut instance = plugin.instantiate(State::default()).unwrap();
        let left = text.new_tally(&mut instance, "left").unwrap();
        let right = text.new_tally(&mut instance, "right").unwrap();
        assert_eq!(text.tally_add(&mut instance, &left, "a b a").unwrap(), 2);
        assert_eq!(text.tally_add(&mut instance, &right, "b c").unwrap(), 2);
        let both = text.tally_merge(&mut instance, &left, &right).unwrap();
        assert_eq!(text.tally_name(&mut instance, &both).unwrap(), "left+right");
        let counts = [("a", 2), ("b", 2), ("c", 1)].map(|(word, count)| (word.to_string(), count));
        assert_eq!(text.tally_finish(&mut instance, both).unwrap(), counts);
    });
}
