//! hostel as its README shows it: grants, the server's limits, a deadline.

use crate::{
    guests::{Guest, PREFIX},
    host::{Answer, Instance, Library, Plugin},
};
use hostel::{Budget, CallError, Grants, LogRecord, TypedFunction};
use std::{hint::black_box, time::Duration};

pub struct Hostel;

impl Library for Hostel {
    fn name(&self) -> &'static str {
        "hostel"
    }

    fn about(&self) -> String {
        format!(
            "this commit, version {}; default limits and budget, fuel, a deadline of 10 s",
            env!("CARGO_PKG_VERSION")
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
        let budget = Budget::server().with_deadline(Duration::from_secs(10));
        let engine = hostel::engine().with_budget(budget);
        Ok(Box::new(engine.load("compared", wasm, &grants)?))
    }
}

impl Plugin for hostel::Plugin {
    fn instance(&self) -> Answer<Box<dyn Instance>> {
        let instance = self.instantiate(())?;
        let add = instance.typed::<(u32, u32), u32>("add").ok();
        Ok(Box::new(Held { instance, add }))
    }

    fn reused(&self, call: &mut dyn FnMut(&mut dyn Instance) -> Answer<()>) -> Answer<bool> {
        // A failure ends the measuring, so that it may pass by hostel's pool.
        let called = self.with_instance(|instance| Ok(call(&mut Pooled(instance))))?;
        called.map(|()| true)
    }
}

/// An instance that is kept.
struct Held {
    instance: hostel::Instance,
    add: Option<TypedFunction<(u32, u32), u32>>,
}

impl Instance for Held {
    fn process(&mut self, input: &[u8], output: &mut Vec<u8>) -> Answer<()> {
        process(&mut self.instance, input, output)
    }

    fn add(&mut self, a: u32, b: u32) -> Answer<u32> {
        let add = self.add.as_ref().ok_or("no export `add`")?;
        Ok(add.call(&mut self.instance, (a, b))?)
    }

    fn run(&mut self, export: &str) -> Answer<()> {
        Ok(self.instance.call::<(), ()>(export, ())?)
    }
}

/// An instance from the plugin's pool.
struct Pooled<'a>(&'a mut hostel::Instance);

impl Instance for Pooled<'_> {
    fn process(&mut self, input: &[u8], output: &mut Vec<u8>) -> Answer<()> {
        process(self.0, input, output)
    }

    fn add(&mut self, a: u32, b: u32) -> Answer<u32> {
        Ok(self.0.call("add", (a, b))?)
    }

    fn run(&mut self, export: &str) -> Answer<()> {
        Ok(self.0.call::<(), ()>(export, ())?)
    }
}

fn process(instance: &mut hostel::Instance, input: &[u8], output: &mut Vec<u8>) -> Answer<()> {
    let copied: Result<(), CallError> = instance.process_with(input, |answer| {
        output.clear();
        output.extend_from_slice(answer);
    });
    Ok(copied?)
}
