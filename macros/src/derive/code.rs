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
    let layout_of =
        |ty: &Type| quote_spanned!(ty.span()=> <#ty as #krate::component::ComponentType>::LAYOUT);
    let (layout, fits, wit) = match &shape.body {
        Body::Record(fields) => {
            let layouts = fields.iter().map(|field| layout_of(&field.ty));
            let layout = quote!(#derived::Layout::record(&[#(#layouts),*]));
            let fields = fields.iter().map(|Field { name, ty, .. }| {
                let part = part(ty);
                quote!((#name, ::core::option::Option::Some(#part)))
            });
            let fields = quote!(&[#(#fields),*]);
            (
                layout,
                quote!(#derived::is_record(types, ty, #fields)),
                quote!(#derived::write_record(to, #fields)),
            )
        }
        Body::Flags(fields) => {
            let number = fields.len();
            let layout = quote!(::core::option::Option::Some(#derived::Layout::flags(#number)));
            let names = fields.iter().map(|field| &field.name);
            let names = quote!(&[#(#names),*]);
            (
                layout,
                quote!(#derived::is_flags(types, ty, #names)),
                quote!(#derived::write_flags(to, #names)),
            )
        }
        Body::Variant(cases) => {
            let layouts = cases.iter().map(|case| match &case.payload {
                None => quote!(::core::option::Option::None),
                Some(ty) => {
                    let layout = layout_of(ty);
                    quote!(::core::option::Option::Some(#layout))
                }
            });
            let layout = quote!(#derived::Layout::variant(&[#(#layouts),*]));
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
                layout,
                quote!(#derived::is_variant(types, ty, #cases)),
                quote!(#derived::write_variant(to, #cases)),
            )
        }
        Body::Alias(of) => (
            layout_of(of),
            quote_spanned!(of.span()=> <#of as #krate::component::ComponentType>::fits(types, ty)),
            quote_spanned!(of.span()=> <#of as #krate::component::ComponentType>::wit(to)),
        ),
    };
    implement(
        shape,
        quote!(ComponentType),
        &quote! {
            const LAYOUT: ::core::option::Option<#derived::Layout> = #layout;

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
                    quote!(#ident: #lift(from.part(ty, #at)?, from)?)
                });
            quote! {
                from.parts::<Self, _>(ty, |from| ::core::result::Result::Ok(Self { #(#fields),* }))
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
                                #lift(from.part(ty, #at)?, from)?
                            ))
                        }
                    }
                });
            quote! {
                from.variant::<Self, _>(ty, |from, case| match case {
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
            fn lift<__S: #derived::Source>(
                ty: __S::Id,
                from: &mut #krate::component::Lifting<'_, __S>,
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
                    quote!(#lower(&self.#ident, to.part(ty, #at)?, to)?;)
                });
            quote! {
                to.parts::<Self>(ty, |to| {
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
                        Self::#ident => to.variant::<Self>(ty, #at, |_| ::core::result::Result::Ok(()))
                    },
                    Some(of) => {
                        let lower = lower(of);
                        quote! {
                            Self::#ident(payload) => {
                                let of = to.part(ty, #at)?;
                                to.variant::<Self>(ty, #at, |to| #lower(payload, of, to))
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
            fn lower<'__value, __S: #derived::Source>(
                &'__value self,
                ty: __S::Id,
                to: &mut #krate::component::Lowering<'__value, '_, __S>,
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
