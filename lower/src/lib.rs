//! Lowers components: makes one core module of a component, which a device loads as it loads the modules of
//! wit-bindgen.
//!
//! A component is several core modules, and what connects them. [`lower`] joins these modules, drops what the
//! exports can't reach, and keeps the contract in a custom section `component-type`. The module imports
//! `ns:package/interface@version` `function` and exports `ns:package/interface@version#function` in the
//! canonical ABI's flat form, with the names that wit-bindgen gives them.
//!
//! Not every component can be one module; [`LowerError::Unsupported`] says why.
//!
//! ```
//! let component = wat::parse_str(r#"(component
//!     (core module $m (func (export "double") (param i32) (result i32) local.get 0 i32.const 1 i32.shl))
//!     (core instance $i (instantiate $m))
//!     (func (export "double") (param "number" u32) (result u32) (canon lift (core func $i "double"))))"#)?;
//! let module = hostel_lower::lower(&component, hostel_lower::Names::Stripped)?;
//! let contract = hostel_contract::Contract::read(&module)?;
//! assert!(contract.to_wit()?.contains("export double: func(number: u32) -> u32;"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
use hostel_contract::{Contract, StringEncoding, is_component};
use hostel_core::{
    ComponentLimits,
    component::program::{Encoding, Program},
};
use std::thread;
use wasm_encoder::CustomSection;
use wasmparser::{ExternalKind, Validator};

/// The custom section with the contract. Tools take any name that begins with `component-type`.
const SECTION: &str = "component-type:hostel-lower";

/// Stack of the thread that lowers.
const STACK_BYTES: usize = 16 << 20;

/// Whether the module has names for its functions, which traces show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// The functions have the names that the component's modules give them.
    Kept,
    /// The module has no section `name`.
    Stripped,
}

/// Makes a core module of a component.
///
/// Of the custom sections, only the names of functions are kept.
///
/// # Errors
///
/// [`LowerError`].
pub fn lower(wasm: &[u8], names: Names) -> Result<Vec<u8>, LowerError> {
    if !is_component(wasm) {
        return Err(LowerError::NotComponent);
    }
    // The libraries that parse and validate are known to panic on hostile components.
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("lower".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || lowered(wasm, names));
        match thread.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(LowerError::Fault),
            Err(error) => Err(LowerError::Thread(error)),
        }
    })
}

fn lowered(wasm: &[u8], names: Names) -> Result<Vec<u8>, LowerError> {
    // It validates all of the component, code included.
    let contract = Contract::read(wasm).map_err(LowerError::Contract)?;
    let program = Program::read(wasm, &ComponentLimits::server()).map_err(LowerError::Load)?;
    let exported = names::exported_resources(&program, &contract);
    let (plan, encoding) = read::plan(wasm, &program, &exported)?;
    let mut module = merge(&plan, names)?;
    let strings = match encoding {
        Encoding::Utf8 => StringEncoding::UTF8,
        Encoding::Utf16 => StringEncoding::UTF16,
        Encoding::Latin1OrUtf16 => StringEncoding::CompactUTF16,
    };
    let section = contract.to_section(strings);
    module.section(&CustomSection {
        name: SECTION.into(),
        data: section.map_err(LowerError::Contract)?.into(),
    });
    let module = module.finish();
    // A fault of this crate is not to reach a device.
    Validator::new_with_features(module::FEATURES).validate_all(&module)?;
    Ok(module)
}

/// Makes one module of a plan.
fn merge(plan: &Plan<'_>, names: Names) -> Result<wasm_encoder::Module, LowerError> {
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
        names: names == Names::Kept,
    };
    emit(&whole, &kept, &outside)
}
