//! A trait for the functions of an interface that the world imports.

use super::world::{Bindings, Module, docs_of, rust};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::Result;
use wit_parser::{Function, FunctionKind};

impl Bindings<'_> {
    /// Returns the trait that the embedder implements, and the function that makes the interface. Nothing if there are
    /// neither functions nor resources.
    pub(super) fn host<'f>(
        &self,
        module: Module,
        functions: impl Iterator<Item = &'f Function>,
    ) -> Result<TokenStream> {
        let krate = &self.krate;
        let (mut methods, mut calls) = (TokenStream::new(), TokenStream::new());
        for name in self.resources(module) {
            let drop = format_ident!("drop_{}", rust(name).to_string().trim_start_matches("r#"));
            let marker = super::world::rust_type(name);
            let about = format!("Drops a `{name}` that its owner has dropped.");
            methods.extend(quote! {
                #[doc = #about]
                ///
                /// # Errors
                ///
                /// A trap, which stops the plugin.
                fn #drop(
                    context: &mut #krate::Context<'_, Self>,
                    this: #krate::component::Own<#marker>,
                ) -> ::core::result::Result<(), #krate::Trap>;
            });
            calls.extend(quote!(.resource(#name, T::#drop)));
        }
        for function in functions {
            self.check(function)?;
            methods.extend(self.method(module, function)?);
            calls.extend(self.call(module, function)?);
        }
        if methods.is_empty() {
            return Ok(methods);
        }
        let (interface, granted) = match self.is_fixed() {
            true => (quote!(FixedInterface), "fixed"),
            false => (quote!(Interface), "interface"),
        };
        let about = format!("Returns the functions as an interface, for `Grants::{granted}`.");
        let (title, made) = match self.name_of(module) {
            "" => (
                "The functions that a plugin of the world imports directly.".into(),
                quote!(#krate::component::#interface::root()),
            ),
            name => (
                format!("The functions of `{name}`, which a plugin imports."),
                quote!(#krate::component::#interface::new(#name)),
            ),
        };
        Ok(quote! {
            #[doc = #title]
            ///
            /// The embedder implements it for the data of an instance.
            pub trait Host: Sized + 'static { #methods }

            #[doc = #about]
            #[must_use]
            pub fn interface<T: Host>() -> #krate::component::#interface<T> {
                #made #calls
            }
        })
    }

    /// Returns the names of the resources that an interface defines.
    pub(super) fn resources(&self, module: Module) -> Vec<&str> {
        let Some(id) = module.interface else {
            return Vec::new();
        };
        let types = self.resolve.interfaces[id].types.iter();
        let resources = types.filter(|(_, ty)| self.is_resource(**ty));
        resources.map(|(name, _)| &**name).collect()
    }

    /// Returns the declaration of a method.
    fn method(&self, module: Module, function: &Function) -> Result<TokenStream> {
        let krate = &self.krate;
        let name = method_name(function);
        let about = docs_of(&function.docs, "function", &function.name);
        let params = self.params(module, function)?;
        let result = match &function.result {
            Some(ty) => self.owned(module, ty)?,
            None => quote!(()),
        };
        let result = quote!(::core::result::Result<#result, #krate::Trap>);
        let result = if self.is_async(module, function) {
            quote!(impl ::core::future::Future<Output = #result> + ::core::marker::Send + 'static)
        } else {
            result
        };
        Ok(quote! {
            #about
            ///
            /// # Errors
            ///
            /// A trap, which stops the plugin.
            fn #name(context: &mut #krate::Context<'_, Self>, #(#params),*) -> #result;
        })
    }

    fn params(&self, module: Module, function: &Function) -> Result<Vec<TokenStream>> {
        let params = function.params.iter().map(|param| {
            let (name, ty) = (param_name(&param.name), self.owned(module, &param.ty)?);
            Ok(quote!(#name: #ty))
        });
        params.collect()
    }

    /// Returns the call that adds a function to the interface.
    fn call(&self, module: Module, function: &Function) -> Result<TokenStream> {
        let krate = &self.krate;
        let method = method_name(function);
        let name = &function.name;
        if !self.is_async(module, function) {
            return Ok(quote!(.function(#name, T::#method)));
        }
        let params = self.params(module, function)?;
        let names = function.params.iter().map(|param| param_name(&param.name));
        Ok(quote! {
            .function(#name, |context: &mut #krate::Context<'_, T>, #(#params),*| {
                #krate::Async(#krate::component::derived::boxed(T::#method(context, #(#names),*)))
            })
        })
    }
}

/// Returns the name of a parameter, other than those that the code has itself.
pub(super) fn param_name(name: &str) -> Ident {
    match name {
        "context" | "callee" | "self" => format_ident!("{name}_"),
        name => rust(name),
    }
}

/// Returns the name of the method for a function. Those of a resource start with its name.
pub(super) fn method_name(function: &Function) -> Ident {
    // `[constructor]name`, `[method]resource.name`, `[static]resource.name`, or `name`.
    let own = function.name.rsplit(']').next().unwrap_or_default();
    let text = match function.kind {
        FunctionKind::Constructor(_) => format!("new-{own}"),
        _ => own.replace('.', "-"),
    };
    rust(&text)
}
