//! Lowers components: makes one core module of a component, which a device loads as any other plugin.

mod constant;
mod emit;
mod error;
mod made;
mod module;
mod plan;
mod reach;
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
use wasmparser::ExternalKind;

/// Makes one module of a plan. `names` keeps the names of functions.
fn merge(plan: &Plan<'_>, names: bool) -> Result<wasm_encoder::Module, LowerError> {
    let mut whole = Whole::join(plan)?;
    let own = plan.realloc.as_ref();
    let own = own.map(|item| whole.function(item)).transpose()?;
    let realloc = made::allocator(&mut whole, own)?;
    let uses = Uses::of_all(&whole)?;
    shims::resolve(&mut whole, &uses);

    let mut functions = Vec::new();
    for (name, item) in &plan.exports {
        functions.push((name.as_str(), whole.function(item)?));
    }
    functions.extend(realloc.map(|function| ("cabi_realloc", function)));
    let memory = plan.memory.as_ref();
    let memory = memory
        .map(|item| whole.exported(item, ExternalKind::Memory))
        .transpose()?;
    let roots = functions.iter().map(|(_, function)| *function);
    let mut kept = reach::reach(&whole, &uses, roots, memory);
    let outside = Outside {
        functions,
        start: made::start(&mut whole, &mut kept),
        names,
    };
    emit(&whole, &kept, &outside)
}
