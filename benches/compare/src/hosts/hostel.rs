//! hostel as its README shows it: grants, the server's limits, a deadline. Also with the plugins of Extism and waPC.

use crate::{
    cases::Work,
    guests::{Convention, Guest, PREFIX},
    host::{Answer, Instance, Library, Plugin},
};
use hostel::{
    Budget, Engine, Extism, Grants, LogRecord, PluginBytesFunction, PluginFunction, TypedFunction,
    Wapc,
};
use std::{hint::black_box, sync::LazyLock, time::Duration};

/// hostel, with plugins of one convention.
pub struct Hostel {
    name: &'static str,
    convention: Convention,
}

impl Hostel {
    pub const NATIVE: Self = Self {
        name: "hostel",
        convention: Convention::Native,
    };
    pub const EXTISM: Self = Self {
        name: "hostel, Extism's plugin",
        convention: Convention::Extism,
    };
    pub const WAPC: Self = Self {
        name: "hostel, waPC's plugin",
        convention: Convention::Wapc,
    };
}

/// One for all plugins, as in a server: equal modules share their code.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let budget = Budget::server().with_deadline(Duration::from_secs(10));
    hostel::engine().with_budget(budget)
});

impl Library for Hostel {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> String {
        match self.convention {
            Convention::Native => format!(
                "this commit, version {}; its default features, limits and budget, fuel, a deadline of 10 s",
                super::version("hostel")
            ),
            Convention::Extism => "as hostel, with the plugin that `extism` runs".into(),
            Convention::Wapc => "as hostel, with the plugin that `wapc` runs".into(),
        }
    }

    fn convention(&self) -> Convention {
        self.convention
    }

    fn takes(&self, work: &Work) -> bool {
        // The host functions of the cases pass numbers. hostel's grant for such plugins passes bytes.
        self.convention == Convention::Native
            || !matches!(work, Work::HostNumbers | Work::HostBytes)
    }

    fn load(&self, _guest: Guest, wasm: &[u8]) -> Answer<Box<dyn Plugin>> {
        let grants = Grants::new()
            .log(|record: &LogRecord<'_>| {
                black_box(record.text.raw());
            })
            .config([("prefix", PREFIX)])
            .wasi(hostel::wasi())
            .extism(Extism::new().config([("prefix", PREFIX)]))
            .wapc(Wapc::new().callback(|request| match request.operation {
                "get" if request.payload == b"prefix" => Ok(PREFIX.into()),
                _ => Err("unknown operation".into()),
            }))
            .function("env", "next", |n: u32| n + 1)
            .function("env", "length", |bytes: &[u8]| bytes.len() as u32);
        let plugin = ENGINE.load("compared", wasm, &grants)?;
        Ok(Box::new(Loaded {
            convention: self.convention,
            process: match self.convention {
                Convention::Native => plugin.bytes_function("process").ok(),
                _ => None,
            },
            add: plugin.typed("add").ok(),
            plugin,
        }))
    }
}

/// A plugin, and its exports looked up once, as far as they are called by their types.
struct Loaded {
    plugin: hostel::Plugin,
    convention: Convention,
    process: Option<PluginBytesFunction>,
    add: Option<PluginFunction<(u32, u32), u32>>,
}

impl Plugin for Loaded {
    fn instance(&self) -> Answer<Box<dyn Instance>> {
        let instance = self.plugin.instantiate(())?;
        let add = instance.typed::<(u32, u32), u32>("add").ok();
        let convention = self.convention;
        Ok(Box::new(Held {
            instance,
            add,
            convention,
        }))
    }

    fn process_reused(&self, input: &[u8], output: &mut Vec<u8>) -> Answer<bool> {
        match &self.process {
            Some(process) => process.call_with(input, |answer| copy(answer, output))?,
            None => *output = self.plugin.call_bytes("process", input)?,
        }
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
    convention: Convention,
}

impl Instance for Held {
    fn process(&mut self, input: &[u8], output: &mut Vec<u8>) -> Answer<()> {
        let copy = |answer: &[u8]| copy(answer, output);
        Ok(match self.convention {
            Convention::Native => self.instance.process_with(input, copy)?,
            _ => self.instance.call_arguments("process", &[input], copy)?,
        })
    }

    fn add(&mut self, a: u32, b: u32) -> Answer<u32> {
        let add = self.add.as_ref().ok_or("no export `add`")?;
        Ok(add.call(&mut self.instance, (a, b))?)
    }

    fn run(&mut self, export: &str) -> Answer<()> {
        Ok(match self.convention {
            Convention::Native => self.instance.call::<(), ()>(export, ())?,
            _ => self
                .instance
                .call_arguments(export, &[b""], |_: &[u8]| ())?,
        })
    }
}

fn copy(answer: &[u8], output: &mut Vec<u8>) {
    output.clear();
    output.extend_from_slice(answer);
}
