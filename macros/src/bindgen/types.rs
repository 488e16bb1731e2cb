//! Rust types for those of WIT.

use super::world::{Bindings, Module, Side, docs_of, rust, rust_type};
use crate::derive::{
    self,
    shape::{Body, Case, Field, Shape},
};
use proc_macro2::{Literal, TokenStream};
use quote::quote;
use syn::{Generics, Result, parse_quote};
use wit_parser::{Docs, Handle, Type, TypeDefKind, TypeId, TypeOwner};

impl Bindings<'_> {
    /// Returns the definition of a type with a name.
    pub(super) fn type_definition(
        &self,
        module: Module,
        name: &str,
        id: TypeId,
    ) -> Result<TokenStream> {
        let krate = &self.krate;
        let ty = &self.resolve.types[id];
        let ident = rust_type(name);
        let about = docs_of(&ty.docs, ty.kind.as_str(), name);
        let (body, notes) = match &ty.kind {
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter();
                let fields =
                    fields.map(|field| self.field(module, &field.name, &field.ty, &field.docs));
                let (fields, notes) = unzip(fields)?;
                (Body::Record(fields), notes)
            }
            TypeDefKind::Flags(flags) => {
                let names = flags.flags.iter();
                let names =
                    names.map(|flag| self.field(module, &flag.name, &Type::Bool, &flag.docs));
                let (fields, notes) = unzip(names)?;
                if fields.len() > 32 {
                    return Err(self.unsupported(&format!("`{name}` has more than 32 flags")));
                }
                (Body::Flags(fields), notes)
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter();
                let cases =
                    cases.map(|case| self.case(module, &case.name, case.ty.as_ref(), &case.docs));
                let (cases, notes) = unzip(cases)?;
                (Body::Variant(cases), notes)
            }
            TypeDefKind::Enum(of) => {
                let cases = of.cases.iter();
                let cases = cases.map(|case| self.case(module, &case.name, None, &case.docs));
                let (cases, notes) = unzip(cases)?;
                (Body::Variant(cases), notes)
            }
            TypeDefKind::Resource if module.side == Side::Export => {
                let body = Body::Alias(Box::new(parse_quote!(#krate::component::Resource)));
                (body, vec![quote!()])
            }
            TypeDefKind::Resource => {
                return Ok(match self.resource(module, name) {
                    Some(path) => quote!(#about pub type #ident = #path;),
                    // Stands for the resource in handles, and has no values.
                    None => quote!(#about pub enum #ident {}),
                });
            }
            TypeDefKind::Type(Type::Id(other)) => {
                // Also of a resource, whose handles have types of their own.
                let path = self.path(module, *other)?;
                return Ok(quote!(#about pub type #ident = #path;));
            }
            _ => {
                let of = self.structure(module, &ty.kind)?;
                return Ok(quote!(#about pub type #ident = #of;));
            }
        };
        let derives = self.derives(id, &body);
        let definition = match &body {
            Body::Record(fields) | Body::Flags(fields) => {
                let fields = fields
                    .iter()
                    .zip(&notes)
                    .map(|(Field { ident, ty, .. }, note)| quote!(#note pub #ident: #ty));
                quote!(pub struct #ident { #(#fields),* })
            }
            Body::Alias(of) => quote!(pub struct #ident(pub #of);),
            Body::Variant(cases) => {
                let cases = cases
                    .iter()
                    .zip(&notes)
                    .map(|(Case { ident, payload, .. }, note)| {
                        let payload = payload.iter();
                        quote!(#note #ident #((#payload))*)
                    });
                quote!(pub enum #ident { #(#cases),* })
            }
        };
        let shape = Shape {
            ident,
            generics: Generics::default(),
            krate: krate.clone(),
            body,
        };
        let (types, lift, lower) = (
            derive::component_type(&shape),
            derive::lift(&shape),
            derive::lower(&shape),
        );
        Ok(quote!(#about #[derive(#derives)] #definition #types #lift #lower))
    }

    fn field(
        &self,
        module: Module,
        name: &str,
        ty: &Type,
        about: &Docs,
    ) -> Result<(Field, TokenStream)> {
        let ty = self.owned(module, ty)?;
        let field = Field {
            ident: rust(name),
            name: name.into(),
            ty: parse_quote!(#ty),
        };
        Ok((field, docs_of(about, "field", name)))
    }

    fn case(
        &self,
        module: Module,
        name: &str,
        payload: Option<&Type>,
        about: &Docs,
    ) -> Result<(Case, TokenStream)> {
        let payload = payload.map(|ty| self.owned(module, ty)).transpose()?;
        let case = Case {
            ident: rust_type(name),
            name: name.into(),
            payload: payload.map(|ty| parse_quote!(#ty)),
        };
        Ok((case, docs_of(about, "case", name)))
    }

    /// Returns the standard traits that a type can derive.
    fn derives(&self, id: TypeId, body: &Body) -> TokenStream {
        match body {
            Body::Flags(_) => quote!(Clone, Copy, Debug, Default, PartialEq, Eq),
            Body::Variant(cases) if cases.iter().all(|case| case.payload.is_none()) => {
                quote!(Clone, Copy, Debug, PartialEq, Eq)
            }
            // Handles that own something have one holder.
            _ if self.has_handle(id) => quote!(Debug),
            _ => quote!(Clone, Debug, PartialEq),
        }
    }

    /// Returns whether values of a type may hold handles.
    fn has_handle(&self, id: TypeId) -> bool {
        let has = |ty: &Type| matches!(ty, Type::Id(id) if self.has_handle(*id));
        let may_have = |ty: &Option<Type>| ty.as_ref().is_some_and(has);
        match &self.resolve.types[id].kind {
            TypeDefKind::Handle(_) | TypeDefKind::Resource => true,
            TypeDefKind::Record(record) => record.fields.iter().any(|field| has(&field.ty)),
            TypeDefKind::Tuple(tuple) => tuple.types.iter().any(has),
            TypeDefKind::Variant(variant) => variant.cases.iter().any(|case| may_have(&case.ty)),
            TypeDefKind::Option(ty) | TypeDefKind::List(ty) | TypeDefKind::Type(ty) => has(ty),
            TypeDefKind::FixedLengthList(ty, _) => has(ty),
            TypeDefKind::Map(key, value) => has(key) || has(value),
            TypeDefKind::Result(result) => may_have(&result.ok) || may_have(&result.err),
            _ => false,
        }
    }

    /// Returns whether a type is a resource, and defined here rather than used.
    pub(super) fn is_resource(&self, id: TypeId) -> bool {
        matches!(self.resolve.types[id].kind, TypeDefKind::Resource)
    }

    /// Returns the path of a type with a name.
    fn path(&self, module: Module, id: TypeId) -> Result<TokenStream> {
        let ty = &self.resolve.types[id];
        let Some(name) = &ty.name else {
            return self.structure(module, &ty.kind);
        };
        let owner = match ty.owner {
            TypeOwner::Interface(interface) => Some(interface),
            TypeOwner::World(_) | TypeOwner::None => None,
        };
        let (path, _) = self.path_to(module, owner);
        let name = rust_type(name);
        Ok(quote!(#path #name))
    }

    /// Returns the type of values that own what they hold.
    pub(super) fn owned(&self, module: Module, ty: &Type) -> Result<TokenStream> {
        let krate = &self.krate;
        Ok(match ty {
            Type::Bool => quote!(bool),
            Type::U8 => quote!(u8),
            Type::U16 => quote!(u16),
            Type::U32 => quote!(u32),
            Type::U64 => quote!(u64),
            Type::S8 => quote!(i8),
            Type::S16 => quote!(i16),
            Type::S32 => quote!(i32),
            Type::S64 => quote!(i64),
            Type::F32 => quote!(f32),
            Type::F64 => quote!(f64),
            Type::Char => quote!(char),
            Type::String => quote!(#krate::component::derived::String),
            Type::ErrorContext => return Err(self.unsupported_type("error-context")),
            Type::Id(id) => self.path(module, *id)?,
        })
    }

    /// Returns the type of a type in WIT that has no name.
    fn structure(&self, module: Module, kind: &TypeDefKind) -> Result<TokenStream> {
        let krate = &self.krate;
        let optional = |ty: &Option<Type>| match ty {
            Some(ty) => self.owned(module, ty),
            None => Ok(quote!(())),
        };
        Ok(match kind {
            TypeDefKind::Option(ty) => {
                let ty = self.owned(module, ty)?;
                quote!(::core::option::Option<#ty>)
            }
            TypeDefKind::Result(result) => {
                let (ok, err) = (optional(&result.ok)?, optional(&result.err)?);
                quote!(::core::result::Result<#ok, #err>)
            }
            TypeDefKind::List(ty) => {
                let ty = self.owned(module, ty)?;
                quote!(#krate::component::derived::Vec<#ty>)
            }
            TypeDefKind::FixedLengthList(ty, length) => {
                let ty = self.owned(module, ty)?;
                let length = Literal::u32_unsuffixed(*length);
                quote!([#ty; #length])
            }
            TypeDefKind::Map(key, value) => {
                let (key, value) = (self.owned(module, key)?, self.owned(module, value)?);
                quote!(#krate::component::derived::BTreeMap<#key, #value>)
            }
            TypeDefKind::Tuple(tuple) => {
                let types = tuple.types.iter().map(|ty| self.owned(module, ty));
                let types = types.collect::<Result<Vec<_>>>()?;
                quote!((#(#types,)*))
            }
            TypeDefKind::Type(ty) => self.owned(module, ty)?,
            TypeDefKind::Handle(Handle::Own(id)) => self.handle(module, *id, &quote!(Own))?,
            TypeDefKind::Handle(Handle::Borrow(id)) => self.handle(module, *id, &quote!(Borrow))?,
            kind => return Err(self.unsupported_type(kind.as_str())),
        })
    }

    /// Returns the type of a handle: hostel's for the embedder's resources, and that of the resource for the guest's.
    fn handle(&self, module: Module, resource: TypeId, kind: &TokenStream) -> Result<TokenStream> {
        let krate = &self.krate;
        let path = self.path(module, resource)?;
        Ok(match self.side_of(module, resource) {
            Side::Import => quote!(#krate::component::#kind<#path>),
            Side::Export => path,
        })
    }

    /// Returns who defines a resource: for an imported interface the embedder, for an exported one the guest.
    fn side_of(&self, module: Module, resource: TypeId) -> Side {
        let ty = &self.resolve.types[resource];
        match (&ty.kind, ty.owner) {
            (TypeDefKind::Type(Type::Id(other)), TypeOwner::Interface(owner)) => {
                let (_, module) = self.path_to(module, Some(owner));
                self.side_of(module, *other)
            }
            (TypeDefKind::Type(Type::Id(other)), _) => self.side_of(module, *other),
            (_, TypeOwner::Interface(owner)) => self.path_to(module, Some(owner)).1.side,
            _ => Side::Import,
        }
    }

    /// Returns the type of an argument, which is borrowed for the lifetime `'a` if that spares a copy.
    pub(super) fn borrowed(&self, module: Module, ty: &Type) -> Result<TokenStream> {
        let kind = match ty {
            Type::String => return Ok(quote!(&'a str)),
            Type::Id(id) => &self.resolve.types[*id].kind,
            _ => return self.owned(module, ty),
        };
        let owned = self.owned(module, ty)?;
        Ok(match kind {
            TypeDefKind::Type(inner) if !matches!(inner, Type::Id(_)) => {
                return self.borrowed(module, inner);
            }
            TypeDefKind::List(of) => {
                let of = self.owned(module, of)?;
                quote!(&'a [#of])
            }
            TypeDefKind::Option(of) => {
                let of = self.borrowed(module, of)?;
                quote!(::core::option::Option<#of>)
            }
            TypeDefKind::Enum(_) | TypeDefKind::Flags(_) => owned,
            TypeDefKind::Handle(Handle::Own(_)) => owned,
            _ => quote!(&'a #owned),
        })
    }

    fn unsupported_type(&self, kind: &str) -> syn::Error {
        self.unsupported(&format!("types of the kind `{kind}` are not supported yet"))
    }
}

/// Returns the parts of pairs, or the first error.
fn unzip<A, B>(pairs: impl Iterator<Item = Result<(A, B)>>) -> Result<(Vec<A>, Vec<B>)> {
    let pairs = pairs.collect::<Result<Vec<_>>>()?;
    Ok(pairs.into_iter().unzip())
}
