//! Lowers components: makes one core module of a component, which a device loads as any other plugin.

mod constant;
mod emit;
mod error;
mod made;
mod module;
mod names;
mod plan;
mod reach;
mod read;
mod shims;
mod uses;
mod whole;

pub use self::error::LowerError;

use self::{
    emit::{Outside, emit},
    plan::Plan,
    uses::Uses,
    whole::Whole,
};
use hostel_core::{
    ComponentLimits,
    component::program::{Encoding, Program},
};
use wasm_encoder::CustomSection;
use wasmparser::{ExternalKind, Validator, WasmFeatures};
use wit_component::{DecodedWasm, StringEncoding};

/// Makes a core module of a component. `names` keeps the names of functions, for traces.
///
/// # Errors
///
/// [`LowerError`].
pub fn lower(wasm: &[u8], names: bool) -> Result<Vec<u8>, LowerError> {
    let program = Program::read(wasm, &ComponentLimits::server()).map_err(LowerError::invalid)?;
    let DecodedWasm::Component(resolve, world) =
        wit_component::decode(wasm).map_err(LowerError::invalid)?
    else {
        return Err(LowerError::NotComponent);
    };
    let exported = names::exported_resources(&program, &resolve, world);
    let (plan, encoding) = read::plan(wasm, &program, &exported)?;
    let mut module = merge(&plan, names)?;
    let encoding = match encoding {
        Encoding::Utf8 => StringEncoding::UTF8,
        Encoding::Utf16 => StringEncoding::UTF16,
        Encoding::Latin1OrUtf16 => StringEncoding::CompactUTF16,
    };
    let section = wit_component::metadata::encode(&resolve, world, encoding, None, false)
        .map_err(LowerError::invalid)?;
    module.section(&CustomSection {
        name: "component-type:lowered".into(),
        data: section.into(),
    });
    let module = module.finish();
    Validator::new_with_features(WasmFeatures::all()).validate_all(&module)?;
    Ok(module)
}

/// Makes one module of a plan. `names` keeps the names of functions.
fn merge(plan: &Plan<'_>, names: bool) -> Result<wasm_encoder::Module, LowerError> {
    let mut whole = Whole::join(plan)?;
    let mut uses = Uses::of_all(&whole)?;
    shims::resolve(&mut whole, &uses);

    let mut functions = Vec::new();
    for (name, item) in &plan.exports {
        functions.push((name.as_str(), whole.function(item)?));
    }
    let memories = plan.memories.iter();
    let memories = memories.map(|item| whole.exported(item, ExternalKind::Memory));
    let memories: Vec<_> = memories.collect::<Result<_, _>>()?;
    let mut own = None;
    for item in &plan.reallocs {
        let realloc = whole.target(whole.function(item)?);
        if *own.get_or_insert(realloc) != realloc {
            return Err(LowerError::unsupported(
                "its exports allocate by several functions, and a module has one `cabi_realloc`",
            ));
        }
    }
    let roots = |functions: &[(&str, usize)]| {
        let functions = functions.iter().map(|(_, function)| *function);
        functions.chain(own).collect::<Vec<_>>()
    };
    let kept = reach::reach(&whole, &uses, roots(&functions).into_iter(), &memories);
    if let Some(realloc) = made::allocator(&mut whole, own, &kept)? {
        functions.push(("cabi_realloc", realloc));
        Uses::update(&mut uses, &whole)?;
    }

    let mut kept = reach::reach(&whole, &uses, roots(&functions).into_iter(), &memories);
    let outside = Outside {
        functions,
        start: made::start(&mut whole, &mut kept),
        names,
    };
    emit(&whole, &kept, &outside)
}
