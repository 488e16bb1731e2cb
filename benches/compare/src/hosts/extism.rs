//! Extism's Rust SDK: compiled once, its cache off, its epoch-based time-outs on as always.

use crate::{
    guests::{Convention, Guest, PREFIX},
    host::{Answer, Instance, Library, Plugin},
};
use extism::{CompiledPlugin, Manifest, PluginBuilder, UserData, Val, ValType, Wasm};

pub struct Extism;

impl Library for Extism {
    fn name(&self) -> &'static str {
        "extism"
    }

    fn about(&self) -> String {
        format!(
            "{}, `CompiledPlugin`, cache on disk off; a plugin of its own in Rust with Extism's kit",
            super::version("extism")
        )
    }

    fn convention(&self) -> Convention {
        Convention::Extism
    }

    fn load(&self, _guest: Guest, wasm: &[u8]) -> Answer<Box<dyn Plugin>> {
        let manifest = Manifest::new([Wasm::data(wasm)]).with_config_key("prefix", PREFIX);
        let compiled = PluginBuilder::new(manifest)
            .with_cache_disabled()
            .with_function(
                "next",
                [ValType::I64],
                [ValType::I64],
                UserData::new(()),
                |_, params, results, _| {
                    results[0] = Val::I64(params[0].unwrap_i64() + 1);
                    Ok(())
                },
            )
            .with_function(
                "length",
                [ValType::I64],
                [ValType::I64],
                UserData::new(()),
                |plugin, params, results, _| {
                    let bytes: &[u8] = plugin.memory_get_val(&params[0])?;
                    results[0] = Val::I64(bytes.len() as i64);
                    Ok(())
                },
            )
            .compile()?;
        Ok(Box::new(Compiled(compiled)))
    }
}

struct Compiled(CompiledPlugin);

// SAFETY: a compiled plugin is modules, an engine and options, which are only read here; the SDK's own pool shares them
// between threads.
unsafe impl Send for Compiled {}
// SAFETY: as above.
unsafe impl Sync for Compiled {}

impl Plugin for Compiled {
    fn instance(&self) -> Answer<Box<dyn Instance>> {
        Ok(Box::new(extism::Plugin::new_from_compiled(&self.0)?))
    }
}

impl Instance for extism::Plugin {
    fn process(&mut self, input: &[u8], output: &mut Vec<u8>) -> Answer<()> {
        let answer: &[u8] = self.call("process", input)?;
        output.clear();
        output.extend_from_slice(answer);
        Ok(())
    }

    fn add(&mut self, _: u32, _: u32) -> Answer<u32> {
        Err("exports take no parameters".into())
    }

    fn run(&mut self, export: &str) -> Answer<()> {
        let _: &[u8] = self.call(export, "")?;
        Ok(())
    }
}
