//! Bindings for AssemblyScript, for which wit-bindgen has none.
//!
//! The entry file of the build is the one that is written here: it exports what the world says, and calls the
//! functions of the plugin's own file `plugin.ts`. The names of the exports and the world itself are added by a
//! transform, since AssemblyScript can write neither.

mod function;
mod names;
mod types;

use self::{
    function::Body,
    names::{camel, identifier, space},
    types::Types,
};
use anyhow::{Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use std::fmt::Write as _;
use wit_bindgen_core::{
    Files,
    abi::{self, AbiVariant, LiftLower, WasmSignature, WasmType},
    wit_parser::{Function, Resolve, SizeAlign, WorldId, WorldItem},
};

/// What all bindings begin with.
const RUNTIME: &str = include_str!("runtime.ts");

const TRANSFORM: &str = include_str!("transform.mjs");

/// Writes the bindings. `section` is the world in binary form.
pub(super) fn generate(
    resolve: &Resolve,
    world: WorldId,
    section: &[u8],
    files: &mut Files,
) -> Result<()> {
    let mut sizes = SizeAlign::default();
    sizes.fill(resolve)?;
    let name = &resolve.worlds[world].name;
    let mut bindings = Bindings {
        types: Types::new(resolve, world)?,
        sizes,
        externals: String::new(),
        exports: String::new(),
        renamed: String::new(),
    };
    let file = format!("{}_bindings", name.replace('-', "_"));
    let mut text = RUNTIME.replace("{{file}}", &file);
    bindings.world(resolve, world, &mut text)?;
    text.push_str(&bindings.externals);
    text.push_str(&bindings.exports);
    files.push(&format!("{file}.ts"), text.as_bytes());
    let transform = TRANSFORM
        .replace("{{exports}}", &bindings.renamed)
        .replace("{{world}}", name)
        .replace("{{section}}", &BASE64.encode(section));
    files.push(&format!("{file}.mjs"), transform.as_bytes());
    Ok(())
}

struct Bindings<'a> {
    types: Types<'a>,
    sizes: SizeAlign,
    /// The declarations of imports, as the module has them.
    externals: String,
    /// The exports, as the module has them.
    exports: String,
    /// Pairs of an export's name in the bindings and of its name in the module, for the transform.
    renamed: String,
}

impl Bindings<'_> {
    fn world(&mut self, resolve: &Resolve, world: WorldId, text: &mut String) -> Result<()> {
        let world = &resolve.worlds[world];
        for tuple in self.types.tuples() {
            text.push_str(&types::tuple(tuple));
        }
        let own = world.imports.values().filter_map(|item| match item {
            WorldItem::Type { id, .. } => Some(*id),
            _ => None,
        });
        for id in own {
            text.push_str(&self.types.declaration(id, ""));
        }
        for (key, item) in &world.imports {
            let module = resolve.name_world_key(key);
            match item {
                WorldItem::Function(function) => {
                    let import = self.import(resolve, function, "$root", "")?;
                    text.push_str(&import);
                }
                WorldItem::Interface { id, .. } => {
                    let space = space(resolve, key);
                    writeln!(text, "\nexport namespace {space} {{")?;
                    let interface = &resolve.interfaces[*id];
                    for id in interface.types.values() {
                        text.push_str(&self.types.declaration(*id, "  "));
                    }
                    for function in interface.functions.values() {
                        let import = self.import(resolve, function, &module, &space)?;
                        text.push_str(&names::indented(&import));
                    }
                    text.push_str("}\n");
                }
                WorldItem::Type { .. } => {}
            }
        }
        for (key, item) in &world.exports {
            match item {
                WorldItem::Function(function) => self.export(resolve, function, "", "")?,
                WorldItem::Interface { id, .. } => {
                    let space = space(resolve, key);
                    let interface = &resolve.interfaces[*id];
                    let imported = world.imports.contains_key(key);
                    if !imported && !interface.types.is_empty() {
                        writeln!(text, "\nexport namespace {space} {{")?;
                        for id in interface.types.values() {
                            text.push_str(&self.types.declaration(*id, "  "));
                        }
                        text.push_str("}\n");
                    }
                    let prefix = format!("{}#", resolve.name_world_key(key));
                    for function in interface.functions.values() {
                        self.export(resolve, function, &prefix, &space)?;
                    }
                }
                WorldItem::Type { .. } => {}
            }
        }
        Ok(())
    }

    /// Returns a function that calls an import.
    fn import(
        &mut self,
        resolve: &Resolve,
        function: &Function,
        module: &str,
        space: &str,
    ) -> Result<String> {
        refuse_async(function)?;
        let external = format!("import_{space}_{}", camel(&function.name));
        let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
        writeln!(
            self.externals,
            "\n// @ts-ignore: decorator\n@external(\"{module}\", \"{}\")\ndeclare function {external}({}): {};",
            function.name,
            core_params(&signature),
            core_result(&signature),
        )?;
        let names = function.params.iter().map(|param| identifier(&param.name));
        let names: Vec<_> = names.collect();
        let mut body = Body::new(&self.types, &self.sizes, names.clone(), external);
        abi::call(
            resolve,
            AbiVariant::GuestImport,
            LiftLower::LowerArgsLiftResults,
            function,
            &mut body,
            false,
        );
        let params = function.params.iter().zip(&names);
        let params = params.map(|(param, name)| format!("{name}: {}", self.types.name(&param.ty)));
        let result = function.result.map(|ty| self.types.name(&ty));
        Ok(format!(
            "\n{}export function {}({}): {} {{\n{}}}\n",
            types::docs(&function.docs),
            identifier(&function.name),
            params.collect::<Vec<_>>().join(", "),
            result.as_deref().unwrap_or("void"),
            body.finish(),
        ))
    }

    /// Adds an export, which calls the plugin's function.
    fn export(
        &mut self,
        resolve: &Resolve,
        function: &Function,
        prefix: &str,
        space: &str,
    ) -> Result<()> {
        refuse_async(function)?;
        let called = match space {
            "" => identifier(&function.name),
            space => camel(&format!("{space}-{}", function.name)),
        };
        let exported = format!("export_{called}");
        let signature = resolve.wasm_signature(AbiVariant::GuestExport, function);
        let names = (0..signature.params.len()).map(|nth| format!("p{nth}"));
        let mut body = Body::new(
            &self.types,
            &self.sizes,
            names.collect(),
            format!("plugin.{called}"),
        );
        abi::call(
            resolve,
            AbiVariant::GuestExport,
            LiftLower::LiftArgsLowerResults,
            function,
            &mut body,
            false,
        );
        let result = core_result(&signature);
        writeln!(
            self.exports,
            "\nexport function {exported}({}): {result} {{\n{}}}",
            core_params(&signature),
            body.finish(),
        )?;
        let name = format!("{prefix}{}", function.name);
        writeln!(self.renamed, "  {exported}: {name:?},")?;
        if abi::guest_export_needs_post_return(resolve, function) {
            writeln!(
                self.exports,
                "\nexport function {exported}_after(_: {result}): void {{\n  release(0);\n}}"
            )?;
            writeln!(
                self.renamed,
                "  {exported}_after: {:?},",
                format!("cabi_post_{name}")
            )?;
        }
        Ok(())
    }
}

fn refuse_async(function: &Function) -> Result<()> {
    if function.kind.is_async() {
        bail!(
            "`{}` is async, which bindings for AssemblyScript don't support: make it a function without `async`",
            function.name
        );
    }
    Ok(())
}

/// Returns the AssemblyScript type of a core value.
fn core(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I32 => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
        WasmType::Pointer | WasmType::Length => "usize",
    }
}

fn core_params(signature: &WasmSignature) -> String {
    let params = signature.params.iter().enumerate();
    let params = params.map(|(nth, ty)| format!("p{nth}: {}", core(*ty)));
    params.collect::<Vec<_>>().join(", ")
}

fn core_result(signature: &WasmSignature) -> &'static str {
    signature.results.first().map_or("void", |ty| core(*ty))
}
