//! hostel as its README shows it: grants, the server's limits, a deadline.

use crate::{
    guests::{Guest, PREFIX},
    host::{Answer, Instance, Library, Plugin},
};
use hostel::{
    Budget, Engine, Grants, LogRecord, PluginBytesFunction, PluginFunction, TypedFunction,
};
use std::{hint::black_box, sync::LazyLock, time::Duration};

pub struct Hostel;

/// One for all plugins, as in a server: equal modules share their code.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let budget = Budget::server().with_deadline(Duration::from_secs(10));
    hostel::engine().with_budget(budget)
});

impl Library for Hostel {
    fn name(&self) -> &'static str {
        "hostel"
    }

    fn about(&self) -> String {
        format!(
            "this commit, version {}; its default features, limits and budget, fuel, a deadline of 10 s",
            super::version("hostel")
        )
    }

    fn load(&self, _guest: Guest, wasm: &[u8]) -> Answer<Box<dyn Plugin>> {
        let grants = Grants::new()
            .log(|record: &LogRecord<'_>| {
                black_box(record.text.raw());
            })
            .config([("prefix", PREFIX)])
            .wasi(hostel::wasi())
            .function("env", "next", |n: u32| n + 1)
            .function("env", "length", |bytes: &[u8]| bytes.len() as u32);
        let plugin = ENGINE.load("compared", wasm, &grants)?;
        Ok(Box::new(Loaded {
            process: plugin.bytes_function("process").ok(),
            add: plugin.typed("add").ok(),
            plugin,
        }))
    }
}

/// A plugin, and its exports looked up once.
struct Loaded {
    plugin: hostel::Plugin,
    process: Option<PluginBytesFunction>,
    add: Option<PluginFunction<(u32, u32), u32>>,
}

impl Plugin for Loaded {
    fn instance(&self) -> Answer<Box<dyn Instance>> {
        let instance = self.plugin.instantiate(())?;
        let add = instance.typed::<(u32, u32), u32>("add").ok();
        Ok(Box::new(Held { instance, add }))
    }

    fn process_reused(&self, input: &[u8], output: &mut Vec<u8>) -> Answer<bool> {
        let process = self.process.as_ref().ok_or("no export `process`")?;
        process.call_with(input, |answer| copy(answer, output))?;
        Ok(true)
    }

    fn add_reused(&self, a: u32, b: u32) -> Answer<Option<u32>> {
        let add = self.add.as_ref().ok_or("no export `add`")?;
        Ok(Some(add.call((a, b))?))
    }
}

/// An instance that is kept.
struct Held {
    instance: hostel::Instance,
    add: Option<TypedFunction<(u32, u32), u32>>,
}

impl Instance for Held {
    fn process(&mut self, input: &[u8], output: &mut Vec<u8>) -> Answer<()> {
        Ok(self
            .instance
            .process_with(input, |answer| copy(answer, output))?)
    }

    fn add(&mut self, a: u32, b: u32) -> Answer<u32> {
        let add = self.add.as_ref().ok_or("no export `add`")?;
        Ok(add.call(&mut self.instance, (a, b))?)
    }

    fn run(&mut self, export: &str) -> Answer<()> {
        Ok(self.instance.call::<(), ()>(export, ())?)
    }
}

fn copy(answer: &[u8], output: &mut Vec<u8>) {
    output.clear();
    output.extend_from_slice(answer);
}
