//! Bindings for AssemblyScript, for which wit-bindgen has none.
//!
//! One file has the types of the world and the functions that it imports. Another is the entry of the build: it exports
//! what the world says, and calls the functions of the plugin's own file `plugin.ts`. The names of the exports and the
//! world itself are added by a transform, since AssemblyScript can write neither.

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
    wit_parser::{Function, InterfaceId, Resolve, SizeAlign, WorldId, WorldItem},
};

/// What the types and imports begin with.
const RUNTIME: &str = include_str!("runtime.ts");

/// What the exports begin with.
const EXPORTS: &str = include_str!("exports.ts");

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
    let mut bindings = Bindings {
        types: Types::new(resolve, world)?,
        sizes,
        declared: String::new(),
        externals: String::new(),
        exports: String::new(),
        names: String::new(),
        renamed: String::new(),
    };
    bindings.world(resolve, world)?;
    let name = resolve.worlds[world].name.replace('-', "_");
    let runtime = RUNTIME.replace("{{world}}", &name);
    let text = runtime + &bindings.declared + &bindings.externals;
    files.push(&format!("{name}_bindings.ts"), text.as_bytes());
    let exports = EXPORTS
        .replace("{{world}}", &name)
        .replace("{{names}}", &bindings.names);
    let text = exports + &bindings.exports;
    files.push(&format!("{name}_exports.ts"), text.as_bytes());
    let transform = TRANSFORM
        .replace("{{exports}}", &bindings.renamed)
        .replace("{{world}}", &name)
        .replace("{{section}}", &BASE64.encode(section));
    files.push(&format!("{name}_exports.mjs"), transform.as_bytes());
    Ok(())
}

struct Bindings<'a> {
    types: Types<'a>,
    sizes: SizeAlign,
    /// Types, and functions that call imports.
    declared: String,
    /// The declarations of imports, as the module has them.
    externals: String,
    /// The exports, as the module has them.
    exports: String,
    /// What the exports need of what is declared, as a list.
    names: String,
    /// Pairs of an export's name in the bindings and of its name in the module, for the transform.
    renamed: String,
}

impl Bindings<'_> {
    fn world(&mut self, resolve: &Resolve, world: WorldId) -> Result<()> {
        let world = &resolve.worlds[world];
        for count in self.types.tuples() {
            self.declared.push_str(&types::tuple(count));
            writeln!(self.names, "  Tuple{count},")?;
        }
        for (key, item) in &world.imports {
            let module = resolve.name_world_key(key);
            match item {
                WorldItem::Type { id, .. } => {
                    self.declared.push_str(&self.types.declaration(*id));
                    writeln!(self.names, "  {},", names::class(&module))?;
                }
                WorldItem::Function(function) => {
                    let import = self.import(resolve, function, "$root", "")?;
                    self.declared.push_str(&import);
                }
                WorldItem::Interface { id, .. } => {
                    let space = space(resolve, key);
                    let mut text = self.types_of(resolve, *id);
                    for function in resolve.interfaces[*id].functions.values() {
                        text.push_str(&self.import(resolve, function, &module, &space)?);
                    }
                    self.namespace(&space, &text)?;
                }
            }
        }
        for (key, item) in &world.exports {
            match item {
                WorldItem::Function(function) => self.export(resolve, function, "", "")?,
                WorldItem::Interface { id, .. } => {
                    let space = space(resolve, key);
                    let text = self.types_of(resolve, *id);
                    if !world.imports.contains_key(key) && !text.is_empty() {
                        self.namespace(&space, &text)?;
                    }
                    let prefix = format!("{}#", resolve.name_world_key(key));
                    for function in resolve.interfaces[*id].functions.values() {
                        self.export(resolve, function, &prefix, &space)?;
                    }
                }
                WorldItem::Type { .. } => {}
            }
        }
        Ok(())
    }

    /// Returns the types of an interface.
    fn types_of(&self, resolve: &Resolve, id: InterfaceId) -> String {
        let types = resolve.interfaces[id].types.values();
        types.map(|id| self.types.declaration(*id)).collect()
    }

    /// Declares the namespace of an interface.
    fn namespace(&mut self, name: &str, content: &str) -> Result<()> {
        let content = names::indented(content.trim_start_matches('\n'));
        writeln!(self.declared, "\nexport namespace {name} {{\n{content}}}")?;
        writeln!(self.names, "  {name},")?;
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
