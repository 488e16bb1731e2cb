//! The functions of a component and the names in its types, prepared for calls.
//!
//! A component may have thousands of functions and of names in a type. To search them with each request, or with each
//! value of a body, would let one plugin take the time of all.

use super::{Form, is_of_bytes, parts, short};
use hostel::{
    Contract,
    component::{Function, FunctionType, Type, TypeId, Types},
};
use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    sync::Arc,
};

/// Most names that are searched one by one.
const FEW: usize = 16;

/// What is made once of each loaded version of a component.
#[derive(Debug)]
pub(crate) struct Interface {
    /// The functions by each name under which a client may call them; `None` for a name that several have.
    functions: HashMap<Box<str>, Option<Named>>,
    /// The orders of the types with more than a few names.
    orders: HashMap<TypeId, Order>,
}

/// A function.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// Its full name.
    pub(crate) name: Arc<str>,
    pub(crate) form: Form,
}

impl Interface {
    /// Looks at each function and each type once.
    pub(crate) fn of(contract: Contract<'_>) -> Self {
        let types = contract.types();
        let roots = contract.exports().flat_map(|function| {
            let FunctionType { params, result, .. } = function.ty;
            params.iter().copied().chain(*result)
        });
        let all = reachable(types, roots);
        let resources = holders(types, &all);
        let mut functions = HashMap::new();
        // Full names come first: another function's short name does not hide them.
        for function in contract.exports() {
            let name: Arc<str> = function.to_string().into();
            let form = form(types, function.ty, &resources);
            let key = Box::from(&*name);
            functions.insert(key, Some(Named { name, form }));
        }
        let mut shorter: HashMap<Box<str>, Option<Named>> = HashMap::new();
        for function in contract.exports() {
            let full = function.to_string();
            let Some(Some(named)) = functions.get(&*full) else {
                continue;
            };
            let own = function.name.into();
            let within = function
                .interface
                .map(|interface| format!("{}#{}", short(interface), function.name).into());
            for key in [Some(own), within].into_iter().flatten() {
                let several = shorter.contains_key(&key);
                shorter.insert(key, (!several).then(|| named.clone()));
            }
        }
        for (key, named) in shorter {
            functions.entry(key).or_insert(named);
        }
        let orders = all.iter().filter_map(|ty| {
            let names = Names::of(types.get(*ty))?;
            (names.len() > FEW).then(|| (*ty, Order::of(names)))
        });
        Self {
            functions,
            orders: orders.collect(),
        }
    }

    /// Returns the function of a name, if it is the name of one alone.
    pub(crate) fn function(&self, name: &str) -> Option<&Named> {
        self.functions.get(name)?.as_ref()
    }

    /// Returns how a function of the component is called.
    pub(crate) fn form(&self, function: &Function<'_>) -> Form {
        let named = self.function(&function.to_string());
        // Each has its full name here.
        named.map_or(Form::Resources, |named| named.form)
    }

    /// Returns the place of a name among those of a type.
    pub(super) fn position(&self, ty: TypeId, names: Names<'_>, name: &str) -> Option<usize> {
        match self.orders.get(&ty) {
            Some(order) => order.position(names, name),
            None => names.search(name),
        }
    }
}

/// The names in a type, or of parameters.
#[derive(Clone, Copy)]
pub(super) enum Names<'t> {
    Alone(&'t [Arc<str>]),
    Fields(&'t [(Arc<str>, TypeId)]),
    Cases(&'t [(Arc<str>, Option<TypeId>)]),
}

impl<'t> Names<'t> {
    fn of(ty: &'t Type) -> Option<Self> {
        match ty {
            Type::Record(fields) => Some(Self::Fields(fields)),
            Type::Variant(cases) => Some(Self::Cases(cases)),
            Type::Enum(names) | Type::Flags(names) => Some(Self::Alone(names)),
            _ => None,
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Alone(names) => names.len(),
            Self::Fields(fields) => fields.len(),
            Self::Cases(cases) => cases.len(),
        }
    }

    fn get(self, at: usize) -> Option<&'t str> {
        match self {
            Self::Alone(names) => names.get(at).map(|name| &**name),
            Self::Fields(fields) => fields.get(at).map(|(name, _)| &**name),
            Self::Cases(cases) => cases.get(at).map(|(name, _)| &**name),
        }
    }

    fn search(self, name: &str) -> Option<usize> {
        (0..self.len()).find(|at| self.get(*at) == Some(name))
    }
}

/// The places of names, in the names' order. It takes four bytes for each.
#[derive(Debug)]
pub(super) struct Order(Box<[u32]>);

impl Order {
    pub(super) fn of(names: Names<'_>) -> Self {
        let mut places: Box<[u32]> = (0..names.len())
            .map_while(|at| at.try_into().ok())
            .collect();
        places.sort_by_key(|at| names.get(*at as usize));
        Self(places)
    }

    pub(super) fn position(&self, names: Names<'_>, name: &str) -> Option<usize> {
        let compare = |at: &u32| match names.get(*at as usize) {
            Some(known) => known.cmp(name),
            None => Ordering::Greater,
        };
        let found = self.0.binary_search_by(compare).ok()?;
        self.0.get(found).map(|at| *at as usize)
    }
}

/// Returns the types that values of `roots` have or hold, each once: types that are small as a graph may be long as a
/// tree. A type comes after its parts.
fn reachable(types: &Types, roots: impl Iterator<Item = TypeId>) -> Vec<TypeId> {
    let mut left: Vec<_> = roots.collect();
    let mut seen = HashSet::new();
    while let Some(ty) = left.pop() {
        if seen.insert(ty) {
            left.extend(parts(types.get(ty)));
        }
    }
    let mut all: Vec<_> = seen.into_iter().collect();
    // A type can only be made of types that were there before.
    all.sort_unstable();
    all
}

/// Returns those of the types whose values may hold a resource.
fn holders(types: &Types, all: &[TypeId]) -> HashSet<TypeId> {
    let mut holders = HashSet::new();
    for ty in all {
        let holds = match types.get(*ty) {
            Type::Own(_) | Type::Borrow(_) => true,
            ty => parts(ty).iter().any(|part| holders.contains(part)),
        };
        if holds {
            holders.insert(*ty);
        }
    }
    holders
}

/// Returns how a function is called.
fn form(types: &Types, ty: &FunctionType, resources: &HashSet<TypeId>) -> Form {
    if is_of_bytes(types, ty) {
        return Form::Bytes;
    }
    let mut all = ty.params.iter().chain(&ty.result);
    match all.any(|ty| resources.contains(ty)) {
        true => Form::Resources,
        false => Form::Json {
            takes_any: !ty.params.is_empty(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Stop, Unreadable, arguments, find},
        *,
    };
    use hostel::{Grants, Plugin};
    use std::{
        fmt::Write as _,
        sync::atomic::AtomicBool,
        time::{Duration, Instant},
    };

    const CASES: usize = 5_000;

    fn name(at: usize) -> String {
        format!("c{at:04}")
    }

    /// Returns a component that takes lists of types with many names.
    fn wide() -> Plugin {
        let [mut cases, mut variants, mut fields] = [const { String::new() }; 3];
        for at in 0..CASES {
            let _ = write!(cases, " \"{}\"", name(at));
            let _ = write!(variants, " (case \"{}\" bool)", name(at));
            let _ = write!(fields, " (field \"{}\" (option bool))", name(at));
        }
        let text = format!(
            r#"(component
                (core module $m (memory (export "memory") 1)
                  (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
                  (func (export "f") (param i32 i32)))
                (core instance $i (instantiate $m))
                (type $e0 (enum {cases})) (export $e "e" (type $e0))
                (type $r0 (record {fields})) (export $r "r" (type $r0))
                (type $v0 (variant {variants})) (export $v "v" (type $v0))
                (func (export "enums") (param "all" (list $e)) (canon lift (core func $i "f")
                  (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
                (func (export "records") (param "all" (list $r)) (canon lift (core func $i "f")
                  (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
                (func (export "variants") (param "all" (list $v)) (canon lift (core func $i "f")
                  (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))"#
        );
        let wasm = wat::parse_str(text).unwrap();
        hostel::engine()
            .load_any("wide", &wasm, &Grants::new())
            .unwrap()
    }

    fn read(plugin: &Plugin, function: &str, body: &str, stop: Stop<'_>) -> Result<(), Unreadable> {
        let contract = plugin.contract().unwrap();
        let interface = Interface::of(contract);
        let function = contract.export(function).unwrap();
        let types = contract.types();
        let body = body.as_bytes();
        arguments(body, types, &interface, function.ty, 1 << 30, stop).map(drop)
    }

    #[test]
    fn the_last_of_many_names_is_found_as_fast_as_the_first() {
        let plugin = wide();
        let never = Stop {
            at: None,
            gone: &AtomicBool::new(false),
        };
        let time = |function: &str, body: &str| {
            let began = Instant::now();
            read(&plugin, function, body, never).unwrap();
            began.elapsed()
        };
        let last = name(CASES - 1);
        for (function, form) in [("enums", "\"NAME\""), ("variants", "{\"NAME\":true}")] {
            let list =
                |name: &str| format!("[[{}]]", vec![form.replace("NAME", name); 10_000].join(","));
            let (first, last) = (list(&name(0)), list(&last));
            let (first, last) = (time(function, &first), time(function, &last));
            assert!(last < 10 * first, "{function}: {first:?} and {last:?}");
        }
        let record = |ats: &mut dyn Iterator<Item = usize>| {
            let fields: Vec<_> = ats.map(|at| format!("\"{}\":true", name(at))).collect();
            format!("[[{{{}}}]]", fields.join(","))
        };
        let whole = record(&mut (0..CASES));
        let one = time("records", &record(&mut std::iter::once(0)));
        assert!(time("records", &whole) < 10 * one, "{one:?}");
    }

    #[test]
    fn reading_ends_with_the_call() {
        let plugin = wide();
        let body = format!("[[{}]]", vec!["\"c0000\""; 10_000].join(","));
        let gone = AtomicBool::new(true);
        let past = Instant::now().checked_sub(Duration::from_millis(1));
        for stop in [
            Stop {
                at: None,
                gone: &gone,
            },
            Stop {
                at: past,
                gone: &AtomicBool::new(false),
            },
        ] {
            let ended = read(&plugin, "enums", &body, stop);
            assert!(matches!(ended, Err(Unreadable::Stopped)), "{ended:?}");
        }
    }

    #[test]
    fn a_name_that_several_functions_have_is_that_of_none() {
        let text = r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $a (export "g" (func $f)) (export "h" (func $f)))
            (instance $b (export "g" (func $f)) (export "top" (func $f)))
            (export "x:y/a@1.2.0" (instance $a))
            (export "x:y/b" (instance $b))
            (export "top" (func $f)))"#;
        let wasm = wat::parse_str(text).unwrap();
        let plugin = hostel::engine()
            .load_any("p", &wasm, &Grants::new())
            .unwrap();
        let contract = plugin.contract().unwrap();
        let interface = Interface::of(contract);
        let full = |asked: &str| {
            find(contract, &interface, asked)
                .ok()
                .map(|named| named.name)
        };
        for (asked, expected) in [
            ("h", "x:y/a@1.2.0#h"),
            ("a#g", "x:y/a@1.2.0#g"),
            ("x:y/a@1.2.0#g", "x:y/a@1.2.0#g"),
            ("x:y/a#g", "x:y/a@1.2.0#g"),
            ("x:y/a@1.1.0#g", "x:y/a@1.2.0#g"),
            ("top", "top"),
            ("b#top", "x:y/b#top"),
        ] {
            assert_eq!(full(asked).as_deref(), Some(expected), "{asked}");
        }
        assert_eq!((full("g"), full("none")), (None, None));
    }
}
