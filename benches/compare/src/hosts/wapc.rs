//! waPC's Rust host with its engine on wasmtime: compiled once, instances made from what is compiled, epochs on.

use crate::{
    cases::Work,
    guests::{Convention, Guest, PREFIX},
    host::{Answer, Instance, Library, Plugin},
};
use ::wapc::WapcHost;
use std::sync::LazyLock;
use wasmtime::{Config, Engine};
use wasmtime_provider::{EpochDeadlines, WasmtimeEngineProviderBuilder, WasmtimeEngineProviderPre};

const DEADLINES: EpochDeadlines = EpochDeadlines {
    wapc_init: 1_000,
    wapc_func: 1_000,
};

pub struct Wapc;

/// Shared by all plugins.
static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let mut config = Config::new();
    config.epoch_interruption(true);
    Engine::new(&config).expect("the configuration is valid")
});

impl Library for Wapc {
    fn name(&self) -> &'static str {
        "wapc"
    }

    fn about(&self) -> String {
        format!(
            "{}, with wasmtime-provider {}, prepared instances, epochs; a plugin of its own in Rust with waPC's kit",
            super::version("wapc"),
            super::version("wasmtime-provider")
        )
    }

    fn convention(&self) -> Convention {
        Convention::Wapc
    }

    fn takes(&self, work: &Work) -> bool {
        // All that a guest can call passes bytes.
        *work != Work::HostNumbers
    }

    fn load(&self, _guest: Guest, wasm: &[u8]) -> Answer<Box<dyn Plugin>> {
        let prepared = WasmtimeEngineProviderBuilder::new()
            .engine(ENGINE.clone())
            .module_bytes(wasm)
            .enable_epoch_interruptions(DEADLINES)
            .build_pre()?;
        Ok(Box::new(Prepared(prepared)))
    }
}

struct Prepared(WasmtimeEngineProviderPre);

impl Plugin for Prepared {
    fn instance(&self) -> Answer<Box<dyn Instance>> {
        let engine = self.0.rehydrate(Some(DEADLINES))?;
        let host = WapcHost::new(
            Box::new(engine),
            Some(Box::new(|_, _, _, operation, payload| match operation {
                "get" if payload == b"prefix" => Ok(PREFIX.into()),
                "length" => Ok(Vec::new()),
                _ => Err("unknown operation".into()),
            })),
        )?;
        Ok(Box::new(Held(host)))
    }
}

struct Held(WapcHost);

impl Instance for Held {
    fn process(&mut self, input: &[u8], output: &mut Vec<u8>) -> Answer<()> {
        *output = self.0.call("process", input)?;
        Ok(())
    }

    fn add(&mut self, _: u32, _: u32) -> Answer<u32> {
        Err("exports take no numbers".into())
    }

    fn run(&mut self, export: &str) -> Answer<()> {
        self.0.call(export, b"")?;
        Ok(())
    }
}
