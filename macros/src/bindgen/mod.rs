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

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the code for a world, without documentation and the spaces between its tokens.
    fn code(wit: &str, options: &str) -> String {
        let input = format!("{{ inline: {wit:?}, crate: hostel_core, {options} }}");
        let input = input.parse::<TokenStream>().unwrap_or_default();
        let code = bindgen(input);
        let whole: Result<syn::File> = syn::parse2(code.clone());
        assert!(whole.is_ok(), "{code}");
        let mut text: String = code.to_string().split_whitespace().collect();
        while let Some(start) = text.find("#[doc=") {
            let end = text[start..]
                .find("\"]")
                .map_or(text.len(), |end| start + end + 2);
            text.replace_range(start..end, "");
        }
        text
    }

    const SHOP: &str = "
        package shop:tools@1.2.0;
        interface types {
            /// What went wrong.
            variant problem { empty, other(string) }
            flags access { read, write }
            record item { name: string, %type: u32, owner: option<tuple<char, u8>> }
        }
        interface store {
            use types.{item, problem};
            resource bucket {
                constructor(name: string);
                get: func(key: string) -> result<item, problem>;
                open: static func() -> bucket;
            }
            count: func(of: borrow<bucket>) -> u64;
        }
        interface run {
            use types.{problem};
            resource job { step: func() -> bool; }
            start: func(jobs: list<string>) -> result<job, problem>;
        }
        world shop {
            import store;
            import now: func() -> u64;
            export run;
            export stop: func(reason: option<string>);
        }";

    #[test]
    fn an_imported_interface_is_a_trait() {
        let code = code(SHOP, "");
        for part in [
            "pubenumProblem{Empty,Other(hostel_core::component::derived::String)}",
            "pubstructAccess{pubread:bool,pubwrite:bool}",
            "pubr#type:u32",
            "pubtypeProblem=super::types::Problem;",
            "pubenumBucket{}",
            "pubtraitHost:Sized+'static{",
            "fndrop_bucket(context:&muthostel_core::Context<'_,Self>,this:hostel_core::component::Own<Bucket>,)",
            "fnnew_bucket(context:&muthostel_core::Context<'_,Self>,name:hostel_core::component::derived::String)",
            "Interface::new(\"shop:tools/store@1.2.0\")",
            ".function(\"[method]bucket.get\",T::bucket_get)",
            ".function(\"count\",T::count)",
            "Interface::root().function(\"now\",T::now)",
        ] {
            assert!(code.contains(part), "{part} in {code}");
        }
    }

    #[test]
    fn an_exported_interface_is_a_struct() {
        let code = code(SHOP, "");
        for part in [
            "pubstructJob(pubhostel_core::component::Resource);",
            "pubtypeProblem=super::super::types::Problem;",
            "pubfnstart<'a>(&self,callee:implhostel_core::ComponentCallee,jobs:&'a[hostel_core::component::derived::String]",
            "pubfnjob_step<'a>(&self,callee:implhostel_core::ComponentCallee,self_:&'asuper::super::exports::run::Job)",
            "(\"shop:tools/run@1.2.0#[method]job.step\")",
            "pubstructShop{",
            "T:self::Host+self::store::Host",
            "pubfnstop<'a>(&self,callee:implhostel_core::ComponentCallee,reason:::core::option::Option<&'astr>)",
            "pubfnstop_async<'a,C:hostel_core::ComponentCallee+'a>(&'aself,callee:C,reason:::core::option::Option<&'astr>)",
        ] {
            assert!(code.contains(part), "{part} in {code}");
        }
    }

    #[test]
    fn resources_and_futures_are_told_by_options() {
        let options = "resources: { \"store/bucket\": crate::Bucket }, async: [\"store#count\"]";
        let code = code(SHOP, options);
        assert!(code.contains("typeResource0=crate::Bucket;"), "{code}");
        assert!(code.contains("pubtypeBucket=super::Resource0;"), "{code}");
        assert!(
            code.contains("->impl::core::future::Future<Output="),
            "{code}"
        );
        for (options, reason) in [
            ("resources: { \"store/bin\": Bin }", "imports no resource"),
            ("resources: { \"run/job\": Job }", "imports no resource"),
            ("async: [\"run#start\"]", "imports no function"),
            ("folder: \"wit\"", "expected `path`"),
            ("path: \"wit\"", "expected either"),
            ("world: \"bakery\"", "not found"),
        ] {
            let input = format!("inline: {SHOP:?}, {options}");
            let code = bindgen(input.parse::<TokenStream>().unwrap_or_default()).to_string();
            assert!(
                code.contains("compile_error") && code.contains(reason),
                "{reason} in {code}"
            );
        }
    }

    #[test]
    fn a_fixed_contract_is_that_of_a_core_module() {
        let wit = "package a:b; interface log { line: func(text: string); }
            world w { import log; export f: func() -> u32; }";
        let code = code(wit, "fixed: true");
        for part in [
            "FixedInterface::new(\"a:b/log\").function(\"line\",T::line)",
            "grants.with_fixed_contract().fixed(self::log::interface())",
            "plugin.fixed_export::<(),u32>(\"f\")",
            "callee:implhostel_core::FixedCallee",
            "callee.call_fixed_export(&self.export_f,&())",
        ] {
            assert!(code.contains(part), "{part} in {code}");
        }
        let input = format!("inline: {SHOP:?}, fixed: true");
        let code = bindgen(input.parse().unwrap_or_default()).to_string();
        assert!(code.contains("the resource `bucket`"), "{code}");
    }

    #[test]
    fn what_is_not_run_yet_is_refused() {
        for (wit, reason) in [
            (
                "package a:b; world w { export f: async func(); }",
                "asynchronous",
            ),
            (
                "package a:b; world w { export f: func(s: stream<u8>); }",
                "stream",
            ),
            ("package a:b; world w { export f: func(", "expected"),
        ] {
            let code = bindgen(format!("inline: {wit:?}").parse().unwrap_or_default()).to_string();
            assert!(
                code.contains("compile_error") && code.contains(reason),
                "{reason} in {code}"
            );
        }
    }

    #[test]
    fn interfaces_of_wasi_are_left_to_their_grant() {
        let wit = "package a:b;
            package wasi:io@0.2.6 { interface poll { now: func() -> u64; } }
            world w { import wasi:io/poll@0.2.6; export f: func(); }";
        let code = code(wit, "");
        assert!(code.contains("pubmodpoll{}"), "{code}");
        assert!(!code.contains("Host"), "{code}");
    }
}
