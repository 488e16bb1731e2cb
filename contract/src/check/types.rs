//! Compares types by their structure.

use std::collections::HashMap;
use wit_parser::{Handle, Resolve, Type, TypeDefKind, TypeId, TypeOwner};

/// Pairs of types that were compared, so that types which contain one another many times are compared once.
#[derive(Default)]
pub(super) struct Types {
    equal: HashMap<(TypeId, TypeId), bool>,
}

/// Receives a place, with the two types that differ there.
type Report<'r> = &'r mut dyn FnMut(&str, Type, Type);

/// The wanted contract and the plugin's.
type Sides<'a> = (&'a Resolve, &'a Resolve);

impl Types {
    /// Compares a wanted type with the found one at `place`. Reports every innermost place at which they
    /// differ, unless the types were compared before. A contract's types are nested within a limit, so the
    /// recursion is.
    pub(super) fn compare(
        &mut self,
        sides: Sides<'_>,
        place: &str,
        pair: (Type, Type),
        report: Report<'_>,
    ) -> bool {
        let (wanted, found) = (base(sides.0, pair.0), base(sides.1, pair.1));
        let (Type::Id(ours), Type::Id(theirs)) = (wanted, found) else {
            let equal = wanted == found;
            if !equal {
                report(place, wanted, found);
            }
            return equal;
        };
        if let Some(equal) = self.equal.get(&(ours, theirs)) {
            return *equal;
        }
        let kinds = (&sides.0.types[ours].kind, &sides.1.types[theirs].kind);
        let equal = match parts(sides, (ours, theirs), kinds) {
            Parts::Differ => {
                report(place, wanted, found);
                false
            }
            Parts::Compare(parts) => {
                let mut equal = true;
                for (name, wanted, found) in parts {
                    let comma = if place.is_empty() || name.is_empty() {
                        ""
                    } else {
                        ", "
                    };
                    let place = format!("{place}{comma}{name}");
                    equal &= self.compare(sides, &place, (wanted, found), report);
                }
                equal
            }
        };
        self.equal.insert((ours, theirs), equal);
        equal
    }
}

/// The outcome of a comparison of two types without their parts.
enum Parts {
    Differ,
    /// Equal if these parts are, each with its place.
    Compare(Vec<(String, Type, Type)>),
}

fn parts(sides: Sides<'_>, ids: (TypeId, TypeId), kinds: (&TypeDefKind, &TypeDefKind)) -> Parts {
    use TypeDefKind as Kind;
    let one = |name: &str, wanted: &Type, found: &Type| {
        Parts::Compare(vec![(name.to_owned(), *wanted, *found)])
    };
    match kinds {
        (Kind::Record(a), Kind::Record(b)) => named(
            "field",
            a.fields.iter().map(|it| (&*it.name, Some(it.ty))),
            b.fields.iter().map(|it| (&*it.name, Some(it.ty))),
        ),
        (Kind::Variant(a), Kind::Variant(b)) => named(
            "case",
            a.cases.iter().map(|it| (&*it.name, it.ty)),
            b.cases.iter().map(|it| (&*it.name, it.ty)),
        ),
        (Kind::Enum(a), Kind::Enum(b)) => named(
            "",
            a.cases.iter().map(|it| (&*it.name, None)),
            b.cases.iter().map(|it| (&*it.name, None)),
        ),
        (Kind::Flags(a), Kind::Flags(b)) => named(
            "",
            a.flags.iter().map(|it| (&*it.name, None)),
            b.flags.iter().map(|it| (&*it.name, None)),
        ),
        (Kind::Tuple(a), Kind::Tuple(b)) if a.types.len() == b.types.len() => {
            let pairs = a.types.iter().zip(&b.types).enumerate();
            let pairs = pairs.map(|(index, (a, b))| (format!("element {index}"), *a, *b));
            Parts::Compare(pairs.collect())
        }
        (Kind::Option(a), Kind::Option(b)) => one("some", a, b),
        (Kind::List(a), Kind::List(b)) => one("elements", a, b),
        (Kind::FixedLengthList(a, n), Kind::FixedLengthList(b, m)) if n == m => {
            one("elements", a, b)
        }
        (Kind::Map(a, x), Kind::Map(b, y)) => Parts::Compare(vec![
            ("keys".to_owned(), *a, *b),
            ("values".to_owned(), *x, *y),
        ]),
        (Kind::Result(a), Kind::Result(b)) => {
            both([("ok", a.ok, b.ok), ("err", a.err, b.err)].into_iter())
        }
        (Kind::Future(a), Kind::Future(b)) => both([("future", *a, *b)].into_iter()),
        (Kind::Stream(a), Kind::Stream(b)) => both([("stream", *a, *b)].into_iter()),
        (Kind::Handle(Handle::Own(a)), Kind::Handle(Handle::Own(b)))
        | (Kind::Handle(Handle::Borrow(a)), Kind::Handle(Handle::Borrow(b))) => {
            one("", &Type::Id(*a), &Type::Id(*b))
        }
        (Kind::Resource, Kind::Resource)
            if resource(sides.0, ids.0) == resource(sides.1, ids.1) =>
        {
            Parts::Compare(Vec::new())
        }
        _ => Parts::Differ,
    }
}

/// Pairs parts that have names, if the names and their order are equal.
fn named<'a>(
    word: &str,
    wanted: impl ExactSizeIterator<Item = (&'a str, Option<Type>)>,
    found: impl ExactSizeIterator<Item = (&'a str, Option<Type>)>,
) -> Parts {
    if wanted.len() != found.len() {
        return Parts::Differ;
    }
    let mut pairs = Vec::new();
    for ((name, wanted), (other, found)) in wanted.zip(found) {
        match (wanted, found) {
            _ if name != other => return Parts::Differ,
            (Some(wanted), Some(found)) => pairs.push((format!("{word} `{name}`"), wanted, found)),
            (None, None) => {}
            _ => return Parts::Differ,
        }
    }
    Parts::Compare(pairs)
}

/// Pairs parts that may be left out.
fn both<'a>(parts: impl Iterator<Item = (&'a str, Option<Type>, Option<Type>)>) -> Parts {
    let mut pairs = Vec::new();
    for (name, wanted, found) in parts {
        match (wanted, found) {
            (Some(wanted), Some(found)) => pairs.push((name.to_owned(), wanted, found)),
            (None, None) => {}
            _ => return Parts::Differ,
        }
    }
    Parts::Compare(pairs)
}

/// Returns the type that a chain of names ends at.
fn base(resolve: &Resolve, mut ty: Type) -> Type {
    while let Type::Id(id) = ty
        && let TypeDefKind::Type(next) = resolve.types[id].kind
    {
        ty = next;
    }
    ty
}

/// Returns the name by which a resource is known, and the interface with what of its version decides
/// compatibility.
fn resource(resolve: &Resolve, id: TypeId) -> (Option<&str>, Option<String>) {
    let ty = &resolve.types[id];
    let interface = match ty.owner {
        TypeOwner::Interface(id) => resolve.canonicalized_id_of(id),
        _ => None,
    };
    (ty.name.as_deref(), interface)
}
