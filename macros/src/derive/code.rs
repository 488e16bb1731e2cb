//! The code that the derive macros make.

use super::shape::{Body, Case, Field, Shape};
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{GenericParam, Type, parse_quote, spanned::Spanned};

/// Returns the implementation of `ComponentType`.
pub(crate) fn component_type(shape: &Shape) -> TokenStream {
    let krate = &shape.krate;
    let derived = quote!(#krate::component::derived);
    let part = |ty: &Type| {
        // At the type, so that an error points at it.
        quote_spanned!(ty.span()=> #derived::Part::of::<#ty>())
    };
    let (fits, wit) = match &shape.body {
        Body::Record(fields) => {
            let fields = fields.iter().map(|Field { name, ty, .. }| {
                let part = part(ty);
                quote!((#name, ::core::option::Option::Some(#part)))
            });
            let fields = quote!(&[#(#fields),*]);
            (
                quote!(#derived::is_record(types, ty, #fields)),
                quote!(#derived::write_record(to, #fields)),
            )
        }
        Body::Flags(fields) => {
            let names = fields.iter().map(|field| &field.name);
            let names = quote!(&[#(#names),*]);
            (
                quote!(#derived::is_flags(types, ty, #names)),
                quote!(#derived::write_flags(to, #names)),
            )
        }
        Body::Variant(cases) => {
            let cases = cases
                .iter()
                .map(|Case { name, payload, .. }| match payload {
                    None => quote!((#name, ::core::option::Option::None)),
                    Some(ty) => {
                        let part = part(ty);
                        quote!((#name, ::core::option::Option::Some(#part)))
                    }
                });
            let cases = quote!(&[#(#cases),*]);
            (
                quote!(#derived::is_variant(types, ty, #cases)),
                quote!(#derived::write_variant(to, #cases)),
            )
        }
        Body::Alias(of) => (
            quote_spanned!(of.span()=> <#of as #krate::component::ComponentType>::fits(types, ty)),
            quote_spanned!(of.span()=> <#of as #krate::component::ComponentType>::wit(to)),
        ),
    };
    implement(
        shape,
        quote!(ComponentType),
        &quote! {
            fn fits(types: &#krate::component::Types, ty: #krate::component::TypeId) -> bool {
                #fits
            }

            fn wit(to: &mut dyn ::core::fmt::Write) -> ::core::fmt::Result {
                #wit
            }
        },
    )
}

/// Returns the implementation of `Lift`.
pub(crate) fn lift(shape: &Shape) -> TokenStream {
    let krate = &shape.krate;
    let derived = quote!(#krate::component::derived);
    let lift = |ty: &Type| quote_spanned!(ty.span()=> <#ty as #krate::component::Lift>::lift);
    let body = match &shape.body {
        Body::Record(fields) => {
            let fields = fields
                .iter()
                .enumerate()
                .map(|(at, Field { ident, ty, .. })| {
                    let lift = lift(ty);
                    quote!(#ident: #lift(#derived::field(types, ty, #at)?, from)?)
                });
            quote! {
                let types = from.types();
                from.parts(ty, |from| ::core::result::Result::Ok(Self { #(#fields),* }))
            }
        }
        Body::Flags(fields) => {
            let number = fields.len();
            let fields = fields.iter().enumerate().map(|(at, Field { ident, .. })| {
                let at = at as u32;
                quote!(#ident: (bits >> #at) & 1 != 0)
            });
            quote! {
                let bits = from.flags(#number)?;
                ::core::result::Result::Ok(Self { #(#fields),* })
            }
        }
        Body::Variant(cases) => {
            let cases = cases
                .iter()
                .enumerate()
                .map(|(at, Case { ident, payload, .. })| match payload {
                    None => quote!(#at => ::core::result::Result::Ok(Self::#ident)),
                    Some(ty) => {
                        let lift = lift(ty);
                        quote! {
                            #at => ::core::result::Result::Ok(Self::#ident(
                                #lift(#derived::payload(types, ty, #at)?, from)?
                            ))
                        }
                    }
                });
            quote! {
                let types = from.types();
                from.variant(ty, |from, case| match case {
                    #(#cases,)*
                    _ => ::core::result::Result::Err(#derived::no_case()),
                })
            }
        }
        Body::Alias(of) => {
            let lift = lift(of);
            quote!(#lift(ty, from).map(Self))
        }
    };
    // Those of a variant without payloads are not used.
    let allow = quote!(#[allow(unused_variables)]);
    implement(
        shape,
        quote!(Lift),
        &quote! {
            #allow
            fn lift(
                ty: #krate::component::TypeId,
                from: &mut #krate::component::Lifting<'_>,
            ) -> ::core::result::Result<Self, #krate::CallError> {
                #body
            }
        },
    )
}

/// Returns the implementation of `Lower`.
pub(crate) fn lower(shape: &Shape) -> TokenStream {
    let krate = &shape.krate;
    let derived = quote!(#krate::component::derived);
    let lower = |ty: &Type| quote_spanned!(ty.span()=> <#ty as #krate::component::Lower>::lower);
    let body = match &shape.body {
        Body::Record(fields) => {
            let fields = fields
                .iter()
                .enumerate()
                .map(|(at, Field { ident, ty, .. })| {
                    let lower = lower(ty);
                    quote!(#lower(&self.#ident, #derived::field(types, ty, #at)?, to)?;)
                });
            quote! {
                let types = to.types();
                to.parts(ty, |to| {
                    #(#fields)*
                    ::core::result::Result::Ok(())
                })
            }
        }
        Body::Flags(fields) => {
            let number = fields.len();
            let bits = fields.iter().enumerate().map(|(at, Field { ident, .. })| {
                let at = at as u32;
                quote!((self.#ident as u32) << #at)
            });
            quote!(to.flags(0 #(| #bits)*, #number))
        }
        Body::Variant(cases) => {
            let cases = cases
                .iter()
                .enumerate()
                .map(|(at, Case { ident, payload, .. })| match payload {
                    None => quote! {
                        Self::#ident => to.variant(ty, #at, |_| ::core::result::Result::Ok(()))
                    },
                    Some(of) => {
                        let lower = lower(of);
                        quote! {
                            Self::#ident(payload) => {
                                let of = #derived::payload(to.types(), ty, #at)?;
                                to.variant(ty, #at, |to| #lower(payload, of, to))
                            }
                        }
                    }
                });
            quote!(match self { #(#cases,)* })
        }
        Body::Alias(of) => {
            let lower = lower(of);
            quote!(#lower(&self.0, ty, to))
        }
    };
    implement(
        shape,
        quote!(Lower),
        &quote! {
            // A name that no type has: types may have lifetimes themselves.
            fn lower<'__value>(
                &'__value self,
                ty: #krate::component::TypeId,
                to: &mut #krate::component::Lowering<'__value, '_>,
            ) -> ::core::result::Result<(), #krate::CallError> {
                #body
            }
        },
    )
}

/// Returns the implementation of a trait for the type. Its type parameters need the trait too.
fn implement(shape: &Shape, name: TokenStream, body: &TokenStream) -> TokenStream {
    let (ident, krate) = (&shape.ident, &shape.krate);
    let mut generics = shape.generics.clone();
    for param in &mut generics.params {
        if let GenericParam::Type(param) = param {
            param.bounds.push(parse_quote!(#krate::component::#name));
        }
    }
    let (impl_generics, _, clause) = generics.split_for_impl();
    let (_, ty_generics, _) = shape.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #impl_generics #krate::component::#name for #ident #ty_generics #clause {
            #body
        }
    }
}
