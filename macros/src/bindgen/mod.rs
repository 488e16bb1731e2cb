//! `bindgen!`: Rust for a world in WIT.
//!
//! | file | makes |
//! |---|---|
//! | `options` | what stands in the macro's call |
//! | `world` | a module for each interface, and a struct for the world |
//! | `types` | Rust types for those of WIT |
//! | `imports` | a trait for the functions of an interface that the world imports |
//! | `exports` | a struct for the functions of an interface that the world exports |

mod exports;
mod imports;
mod options;
mod types;
mod world;

use self::{options::Options, world::Bindings};
use proc_macro2::TokenStream;
use quote::quote;
use std::path::PathBuf;
use syn::{Error, LitStr, Result};
use wit_parser::{Resolve, WorldId};

/// Returns the code for a world, or the error as code.
pub(crate) fn bindgen(input: TokenStream) -> TokenStream {
    let made = syn::parse2::<Options>(input).and_then(|options| make(&options));
    made.unwrap_or_else(Error::into_compile_error)
}

fn make(options: &Options) -> Result<TokenStream> {
    let (resolve, world, sources) = read(options)?;
    let code = Bindings::new(&resolve, world, options)?.code()?;
    // So that the code is made anew when a file changes.
    let sources = sources.iter().map(|path| path.display().to_string());
    Ok(quote! {
        #code
        #(const _: &[u8] = ::core::include_bytes!(#sources);)*
    })
}

/// Reads the WIT that the options name. Returns it with the world, and the files that were read.
fn read(options: &Options) -> Result<(Resolve, WorldId, Vec<PathBuf>)> {
    let fail = |error: &dyn core::fmt::Display| Error::new(options.span, error);
    let mut resolve = Resolve::default();
    let (package, files) = match &options.inline {
        Some(_) if options.path.is_some() => {
            return Err(fail(&"expected either `inline` or `path`"));
        }
        Some(text) => {
            let package = resolve.push_str("inline", &text.value());
            (
                package.map_err(|error| fail(&format!("{error:#}")))?,
                Vec::new(),
            )
        }
        None => {
            let pushed = resolve.push_path(options.folder());
            let (package, files) = pushed.map_err(|error| fail(&format!("{error:#}")))?;
            (package, files.paths().map(PathBuf::from).collect())
        }
    };
    let name = options.world.as_ref().map(LitStr::value);
    let world = resolve.select_world(&[package], name.as_deref());
    let world = world.map_err(|error| fail(&format!("{error:#}")))?;
    Ok((resolve, world, files))
}
