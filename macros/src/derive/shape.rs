//! A Rust type as the derive macros see it: the type in WIT for which it stands.

use crate::{krate, names};
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, Generics, Ident, LitStr, Path, Result, Type,
    ext::IdentExt, spanned::Spanned,
};

/// Most flags of one type.
const MOST_FLAGS: usize = 32;

/// A Rust type, and the type in WIT for which it stands.
pub(crate) struct Shape {
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    /// The crate that the code names.
    pub(crate) krate: Path,
    pub(crate) body: Body,
}

/// A kind of type.
pub(crate) enum Body {
    Record(Vec<Field>),
    Flags(Vec<Field>),
    /// A struct around a value of this type.
    Alias(Box<Type>),
    /// A variant or an enum.
    Variant(Vec<Case>),
}

/// A field of a record, or a flag.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    /// The name in WIT.
    pub(crate) name: String,
    pub(crate) ty: Type,
}

/// A case of a variant or enum.
pub(crate) struct Case {
    pub(crate) ident: Ident,
    /// The name in WIT.
    pub(crate) name: String,
    pub(crate) payload: Option<Type>,
}

impl Shape {
    /// Returns the shape of a type.
    ///
    /// # Errors
    ///
    /// An error at the part of the type that no type in WIT has.
    pub(crate) fn read(input: &DeriveInput) -> Result<Self> {
        let options = Options::read(&input.attrs, Place::Type)?;
        let body = match &input.data {
            Data::Struct(of) => match &of.fields {
                Fields::Named(fields) if options.flags => Body::Flags(flags(&fields.named)?),
                Fields::Named(fields) => Body::Record(record(&fields.named)?),
                Fields::Unnamed(fields) if fields.unnamed.len() == 1 && !options.flags => {
                    Body::Alias(Box::new(fields.unnamed[0].ty.clone()))
                }
                Fields::Unnamed(fields) => {
                    return Err(Error::new(
                        fields.span(),
                        "expected named fields, or one field without a name: WIT's records have names; a \
                         tuple is a field of type `(A, B)`",
                    ));
                }
                Fields::Unit => return Err(Error::new(input.ident.span(), NO_FIELDS)),
            },
            Data::Enum(of) => Body::Variant(cases(input, &of.variants)?),
            Data::Union(of) => {
                let message = "a union has no type in WIT: use an enum";
                return Err(Error::new(of.union_token.span(), message));
            }
        };
        if options.flags && !matches!(body, Body::Flags(_)) {
            let message = "`flags` is for a struct with named fields of type `bool`";
            return Err(Error::new(input.ident.span(), message));
        }
        Ok(Self {
            ident: input.ident.clone(),
            generics: input.generics.clone(),
            krate: options.krate.unwrap_or_else(krate::path),
            body,
        })
    }
}

/// The message for a record without fields.
const NO_FIELDS: &str = "a record has at least one field";

type Named = syn::punctuated::Punctuated<syn::Field, syn::Token![,]>;

/// Returns the fields of a record.
fn record(fields: &Named) -> Result<Vec<Field>> {
    if fields.is_empty() {
        return Err(Error::new(fields.span(), NO_FIELDS));
    }
    let mut read: Vec<Field> = Vec::new();
    for field in fields {
        let Some(ident) = &field.ident else {
            continue;
        };
        let name = Options::read(&field.attrs, Place::Part)?.name(ident)?;
        if read.iter().any(|known| known.name == name) {
            return Err(twice(ident, &name));
        }
        read.push(Field {
            ident: ident.clone(),
            name,
            ty: field.ty.clone(),
        });
    }
    Ok(read)
}

/// Returns the fields of flags.
fn flags(fields: &Named) -> Result<Vec<Field>> {
    let read = record(fields)?;
    for (at, field) in read.iter().enumerate() {
        if !matches!(&field.ty, Type::Path(path) if path.path.is_ident("bool")) {
            return Err(Error::new(field.ty.span(), "a flag is of type `bool`"));
        }
        if at >= MOST_FLAGS {
            let message = "flags have at most 32 names";
            return Err(Error::new(field.ident.span(), message));
        }
    }
    Ok(read)
}

/// Returns the cases of a variant or enum.
fn cases(
    input: &DeriveInput,
    cases: &syn::punctuated::Punctuated<syn::Variant, syn::Token![,]>,
) -> Result<Vec<Case>> {
    if cases.is_empty() {
        let message = "a variant has at least one case";
        return Err(Error::new(input.ident.span(), message));
    }
    let mut read: Vec<Case> = Vec::new();
    for case in cases {
        let payload = match &case.fields {
            Fields::Unit => None,
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                Some(fields.unnamed[0].ty.clone())
            }
            fields => {
                return Err(Error::new(
                    fields.span(),
                    "a case holds one value or none: hold a tuple `((A, B))`, or a struct that is a record",
                ));
            }
        };
        let name = Options::read(&case.attrs, Place::Part)?.name(&case.ident)?;
        if read.iter().any(|known| known.name == name) {
            return Err(twice(&case.ident, &name));
        }
        read.push(Case {
            ident: case.ident.clone(),
            name,
            payload,
        });
    }
    Ok(read)
}

fn twice(ident: &Ident, name: &str) -> Error {
    Error::new(ident.span(), format!("the name `{name}` is there already"))
}

/// Where an attribute stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Type,
    /// A field or case.
    Part,
}

/// The attributes `#[component(…)]` of a type, field or case.
#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    flags: bool,
    krate: Option<Path>,
}

impl Options {
    fn read(attributes: &[Attribute], place: Place) -> Result<Self> {
        let mut options = Self::default();
        for attribute in attributes {
            if !attribute.path().is_ident("component") {
                continue;
            }
            attribute.parse_nested_meta(|meta| {
                if place == Place::Part && meta.path.is_ident("name") {
                    options.name = Some(meta.value()?.parse()?);
                } else if place == Place::Type && meta.path.is_ident("flags") {
                    options.flags = true;
                } else if place == Place::Type && meta.path.is_ident("crate") {
                    options.krate = Some(meta.value()?.call(Path::parse_mod_style)?);
                } else {
                    return Err(meta.error(match place {
                        Place::Type => {
                            "expected `flags` or `crate = path`: a type's name is not compared"
                        }
                        Place::Part => "expected `name = \"the-name-in-wit\"`",
                    }));
                }
                Ok(())
            })?;
        }
        Ok(options)
    }

    /// Returns the name in WIT of a field or case.
    fn name(self, ident: &Ident) -> Result<String> {
        let Some(name) = self.name else {
            let name = names::in_wit(ident);
            if names::is_in_wit(&name) {
                return Ok(name);
            }
            return Err(Error::new(
                ident.span(),
                format!(
                    "`{}` has no name in WIT: give it one by `#[component(name = \"…\")]`",
                    ident.unraw()
                ),
            ));
        };
        if names::is_in_wit(&name.value()) {
            return Ok(name.value());
        }
        Err(Error::new(
            name.span(),
            "not a name in WIT: expected words of ASCII letters and digits with `-` between, such as `not-ascii`",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn error(input: &DeriveInput) -> String {
        Shape::read(input)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn a_struct_is_a_record() {
        let read = Shape::read(&parse_quote! {
            struct Request { text: String, #[component(name = "max-len")] most: u32, r#type: u8 }
        });
        let Ok(Shape {
            body: Body::Record(fields),
            ..
        }) = read
        else {
            unreachable!("a record");
        };
        let names: Vec<_> = fields.iter().map(|field| &*field.name).collect();
        assert_eq!(names, ["text", "max-len", "type"]);
    }

    #[test]
    fn an_enum_is_a_variant() {
        let read = Shape::read(&parse_quote! { enum Problem { Empty, NotAscii(char) } });
        let Ok(Shape {
            body: Body::Variant(cases),
            ..
        }) = read
        else {
            unreachable!("a variant");
        };
        let names: Vec<_> = cases
            .iter()
            .map(|case| (&*case.name, case.payload.is_some()))
            .collect();
        assert_eq!(names, [("empty", false), ("not-ascii", true)]);
    }

    #[test]
    fn types_that_wit_does_not_have_are_refused() {
        for (input, reason) in [
            (parse_quote! { struct Nothing; }, "at least one field"),
            (parse_quote! { struct Nothing {} }, "at least one field"),
            (
                parse_quote! { struct Pair(u8, u8); },
                "expected named fields",
            ),
            (parse_quote! { enum Never {} }, "at least one case"),
            (
                parse_quote! { enum Two { Both(u8, u8) } },
                "one value or none",
            ),
            (
                parse_quote! { enum Two { Both { a: u8 } } },
                "one value or none",
            ),
            (parse_quote! { union Bits { a: u8 } }, "union"),
            (
                parse_quote! { struct Same { a_b: u8, #[component(name = "a-b")] c: u8 } },
                "there already",
            ),
            (parse_quote! { struct Odd { é: u8 } }, "no name in WIT"),
            (
                parse_quote! { struct Odd { #[component(name = "a_b")] a: u8 } },
                "not a name in WIT",
            ),
            (
                parse_quote! { struct Odd { #[component(rename = "a")] a: u8 } },
                "expected `name",
            ),
            (
                parse_quote! { #[component(name = "a")] struct Odd { a: u8 } },
                "expected `flags`",
            ),
            (
                parse_quote! { #[component(flags)] struct Odd { a: u8 } },
                "of type `bool`",
            ),
            (
                parse_quote! { #[component(flags)] enum Odd { A } },
                "`flags` is for",
            ),
        ] {
            let found = error(&input);
            assert!(found.contains(reason), "expected {reason}, found {found}");
        }
    }

    #[test]
    fn there_are_32_flags_at_most() {
        let fields = |number| {
            let names = (0..number).map(|at| quote::format_ident!("f{at}"));
            parse_quote! { #[component(flags)] struct Many { #(#names: bool),* } }
        };
        assert_eq!(error(&fields(32)), "");
        assert!(error(&fields(33)).contains("at most 32"));
    }
}
