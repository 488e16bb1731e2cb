//! A struct for the functions of an interface that the world exports, and one for the world.

use super::{
    imports::{method_name, param_name},
    world::{Bindings, Module, Side, docs, docs_of, rust_type},
};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::Result;
use wit_parser::Function;

/// The parts of a struct for exported functions.
#[derive(Default)]
struct Parts {
    fields: Vec<Ident>,
    /// Looks each export up, in the order of the fields.
    lookups: Vec<TokenStream>,
    methods: TokenStream,
}

/// The names of what the code calls.
struct Calls {
    export: Ident,
    look_up: Ident,
    callee: Ident,
    call: Ident,
    grant: Ident,
}

impl Bindings<'_> {
    fn calls(&self) -> Calls {
        let [export, look_up, callee, call, grant] = match self.is_fixed() {
            true => [
                "FixedExport",
                "fixed_export",
                "FixedCallee",
                "call_fixed_export",
                "fixed",
            ],
            false => [
                "ComponentExport",
                "component_export",
                "ComponentCallee",
                "call_export",
                "interface",
            ],
        }
        .map(|name| format_ident!("{name}"));
        Calls {
            export,
            look_up,
            callee,
            call,
            grant,
        }
    }

    /// Returns the struct for the functions of an interface. Nothing if it has none.
    pub(super) fn guest<'f>(
        &self,
        module: Module,
        functions: impl Iterator<Item = &'f Function>,
    ) -> Result<TokenStream> {
        let krate = &self.krate;
        let Calls { export, .. } = self.calls();
        let Parts {
            fields,
            lookups,
            methods,
        } = self.parts(module, functions)?;
        if fields.is_empty() {
            return Ok(TokenStream::new());
        }
        let title = format!(
            "The functions of `{}`, which a plugin exports.",
            self.name_of(module)
        );
        Ok(quote! {
            #[doc = #title]
            #[derive(Clone, Debug)]
            pub struct Guest { #(#fields: #krate::#export),* }

            impl Guest {
                /// Looks the functions up in a plugin, and compares their types.
                ///
                /// # Errors
                ///
                /// `UnknownExport` or `ExportType` for the first function that does not fit.
                pub fn of<T: 'static>(
                    plugin: &#krate::Plugin<T>,
                ) -> ::core::result::Result<Self, #krate::CallError> {
                    ::core::result::Result::Ok(Self { #(#fields: #lookups?),* })
                }

                #methods
            }
        })
    }

    /// Returns the struct for the world.
    pub(super) fn world_struct(&self) -> Result<TokenStream> {
        let krate = &self.krate;
        let root = Module {
            side: Side::Export,
            interface: None,
        };
        let Parts {
            fields,
            lookups,
            methods,
        } = self.parts(root, self.functions(Side::Export))?;
        let Calls { export, grant, .. } = self.calls();
        let interfaces = self.exported();
        let name = rust_type(&self.world.name);
        let title = format!("The world `{}`: what a plugin exports.", self.world.name);
        let about = docs(&self.world.docs);
        let hosts: Vec<_> = self
            .implemented()
            .into_iter()
            .map(|module| match module {
                Some(module) => quote!(self::#module::),
                None => quote!(self::),
            })
            .collect();
        let bounds = match hosts.is_empty() {
            true => quote!('static),
            false => quote!(#(#hosts Host)+*),
        };
        let fixed = self.is_fixed().then(|| quote!(.with_fixed_contract()));
        let grant = (self.is_fixed() || !hosts.is_empty()).then(|| {
            quote! {
                /// Returns the grants with all that a plugin of the world imports. WASI is another grant,
                /// `Grants::wasi`.
                #[must_use]
                pub fn grant<T>(grants: #krate::Grants<T>) -> #krate::Grants<T>
                where
                    T: #bounds,
                {
                    grants #fixed #(.#grant(#hosts interface()))*
                }
            }
        });
        Ok(quote! {
            #[doc = #title]
            ///
            #about
            #[derive(Clone, Debug)]
            pub struct #name {
                #(
                    /// The functions of this interface.
                    pub #interfaces: self::exports::#interfaces::Guest,
                )*
                #(#fields: #krate::#export,)*
            }

            impl #name {
                #grant

                /// Looks the world's exports up in a plugin, and compares their types.
                ///
                /// # Errors
                ///
                /// `UnknownExport` or `ExportType` for the first function that does not fit.
                pub fn of<T: 'static>(
                    plugin: &#krate::Plugin<T>,
                ) -> ::core::result::Result<Self, #krate::CallError> {
                    ::core::result::Result::Ok(Self {
                        #(#interfaces: self::exports::#interfaces::Guest::of(plugin)?,)*
                        #(#fields: #lookups?,)*
                    })
                }

                #methods
            }
        })
    }

    fn parts<'f>(
        &self,
        module: Module,
        functions: impl Iterator<Item = &'f Function>,
    ) -> Result<Parts> {
        let krate = &self.krate;
        let Calls {
            look_up,
            callee,
            call,
            ..
        } = self.calls();
        let mut parts = Parts::default();
        let functions: Vec<_> = functions.collect();
        let taken: Vec<_> = functions
            .iter()
            .map(|function| method_name(function).to_string())
            .collect();
        for function in functions {
            self.check(function)?;
            let method = method_name(function);
            let mut pending = format!("{}_async", method.to_string().trim_start_matches("r#"));
            // The world may have a function of this name.
            while taken.contains(&pending) {
                pending.push('_');
            }
            let pending = format_ident!("{pending}");
            let field = format_ident!("export_{}", method.to_string().trim_start_matches("r#"));
            let method = match method.to_string().as_str() {
                // The struct has methods of these names.
                name @ ("of" | "grant") => format_ident!("{name}_"),
                _ => method,
            };
            let result = match &function.result {
                Some(ty) => self.owned(module, ty)?,
                None => quote!(()),
            };
            let export = match self.name_of(module) {
                "" => function.name.clone(),
                interface => format!("{interface}#{}", function.name),
            };
            let params = &function.params;
            let owned = params.iter().map(|param| self.owned(module, &param.ty));
            let owned = owned.collect::<Result<Vec<_>>>()?;
            let borrowed = params.iter().map(|param| self.borrowed(module, &param.ty));
            let borrowed = borrowed.collect::<Result<Vec<_>>>()?;
            let names: Vec<_> = params.iter().map(|param| param_name(&param.name)).collect();
            let about = docs_of(&function.docs, "function", &function.name);
            parts.lookups.push(quote! {
                plugin.#look_up::<(#(#owned,)*), #result>(#export)
            });
            let is_borrowed = |ty: &TokenStream| ty.to_string().contains("'a");
            let lifetime = borrowed.iter().any(is_borrowed).then(|| quote!(<'a>));
            let about_pending =
                format!("Prepares a call of `{method}`, to run by steps or to await.");
            let twin = (!self.is_fixed()).then(|| {
                quote! {
                    #[doc = #about_pending]
                    ///
                    /// # Errors
                    ///
                    /// The call ends with the result of that method.
                    pub fn #pending<'a, C: #krate::ComponentCallee + 'a>(
                        &'a self,
                        callee: C,
                        #(#names: #borrowed),*
                    ) -> #krate::PendingCall<
                        impl ::core::future::Future<
                            Output = ::core::result::Result<#result, #krate::CallError>,
                        > + use<'a, C>,
                    > {
                        callee.call_export_async(&self.#field, (#(#names,)*))
                    }
                }
            });
            parts.methods.extend(quote! {
                #twin

                #about
                ///
                /// Runs in `callee`: an instance, or one of the plugin's pool.
                ///
                /// # Errors
                ///
                /// Those of a call.
                pub fn #method #lifetime(
                    &self,
                    callee: impl #krate::#callee,
                    #(#names: #borrowed),*
                ) -> ::core::result::Result<#result, #krate::CallError> {
                    callee.#call(&self.#field, &(#(#names,)*))
                }
            });
            parts.fields.push(field);
        }
        Ok(parts)
    }
}
