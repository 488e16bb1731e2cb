//! The options of `bindgen!`.

use proc_macro2::Span;
use std::path::PathBuf;
use syn::{
    Error, Ident, LitBool, LitStr, Path, Result, Token, braced, bracketed,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    punctuated::Punctuated,
    token,
};

/// The options of `bindgen!`.
pub(crate) struct Options {
    /// The place of the macro's call.
    pub(crate) span: Span,
    /// A file or folder of WIT. If it is not absolute, it is in the package that is compiled.
    pub(crate) path: Option<LitStr>,
    /// WIT itself.
    pub(crate) inline: Option<LitStr>,
    /// The world's name, if there are several.
    pub(crate) world: Option<LitStr>,
    /// Rust types that stand for resources of imported interfaces, by `interface/resource`.
    pub(crate) resources: Vec<(LitStr, Path)>,
    /// Imported functions that return a future: `function` or `interface#function`.
    pub(crate) asynchronous: Vec<LitStr>,
    /// Whether plugins are core modules, whose contract is not read.
    pub(crate) fixed: bool,
    /// The crate that the code names.
    pub(crate) krate: Option<Path>,
}

impl Options {
    /// Returns the file or folder that holds the WIT, if it is not given itself.
    pub(crate) fn folder(&self) -> PathBuf {
        let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
        let path = self
            .path
            .as_ref()
            .map_or_else(|| "wit".into(), LitStr::value);
        PathBuf::from(package).join(path)
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self {
            span: input.span(),
            path: None,
            inline: None,
            world: None,
            resources: Vec::new(),
            asynchronous: Vec::new(),
            fixed: false,
            krate: None,
        };
        if input.peek(LitStr) {
            options.world = Some(input.parse()?);
            return Ok(options);
        }
        let inside;
        let fields = if input.peek(token::Brace) {
            braced!(inside in input);
            &inside
        } else {
            input
        };
        while !fields.is_empty() {
            options.field(fields)?;
            if !fields.is_empty() {
                fields.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

impl Options {
    fn field(&mut self, input: ParseStream<'_>) -> Result<()> {
        let name = input.call(Ident::parse_any)?;
        input.parse::<Token![:]>()?;
        match name.to_string().as_str() {
            "path" => self.path = Some(input.parse()?),
            "inline" => self.inline = Some(input.parse()?),
            "world" => self.world = Some(input.parse()?),
            "fixed" => self.fixed = input.parse::<LitBool>()?.value,
            "crate" => self.krate = Some(input.call(Path::parse_mod_style)?),
            "resources" => {
                let inside;
                braced!(inside in input);
                let all = Punctuated::<_, Token![,]>::parse_terminated_with(&inside, resource)?;
                self.resources = all.into_iter().collect();
            }
            "async" => {
                let inside;
                bracketed!(inside in input);
                let all = inside.call(Punctuated::<LitStr, Token![,]>::parse_terminated)?;
                self.asynchronous = all.into_iter().collect();
            }
            _ => {
                let message =
                    "expected `path`, `inline`, `world`, `resources`, `async`, `fixed` or `crate`";
                return Err(Error::new(name.span(), message));
            }
        }
        Ok(())
    }
}

/// Reads the name of a resource, and the Rust type that stands for it.
fn resource(input: ParseStream<'_>) -> Result<(LitStr, Path)> {
    let name = input.parse()?;
    input.parse::<Token![:]>()?;
    Ok((name, input.parse()?))
}
