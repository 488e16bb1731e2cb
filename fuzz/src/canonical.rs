//! Types and values of the Component Model that are made up, and components that pass or give them.

use arbitrary::{Arbitrary, Result, Unstructured};
use hostel_core::component::{Type, TypeId, Types, Value};
use std::fmt::Write as _;

/// Most types in one another.
const DEPTH: usize = 4;
/// Most parts of a type, and elements of a value.
const PARTS: usize = 5;
/// Cases of the longest enum: their number takes two bytes.
const CASES: u32 = 300;

/// A value type.
#[derive(Clone, Debug)]
pub enum Ty {
    /// A type without parts: its name, and its core type.
    Plain(&'static str, &'static str),
    String,
    List(Box<Ty>),
    Tuple(Vec<Ty>),
    Record(Vec<Ty>),
    Variant(Vec<Option<Ty>>),
    Enum(u32),
    Flags(u32),
    Option(Box<Ty>),
    Result(Option<Box<Ty>>, Option<Box<Ty>>),
}

/// The types without parts.
const PLAIN: [(&str, &str); 12] = [
    ("bool", "i32"),
    ("s8", "i32"),
    ("u8", "i32"),
    ("s16", "i32"),
    ("u16", "i32"),
    ("s32", "i32"),
    ("u32", "i32"),
    ("s64", "i64"),
    ("u64", "i64"),
    ("f32", "f32"),
    ("f64", "f64"),
    ("char", "i32"),
];

impl Ty {
    /// Makes up a type.
    ///
    /// # Errors
    ///
    /// If `bytes` end.
    pub fn any(bytes: &mut Unstructured<'_>) -> Result<Self> {
        Self::within(bytes, DEPTH)
    }

    fn within(bytes: &mut Unstructured<'_>, depth: usize) -> Result<Self> {
        let boxed = |bytes: &mut Unstructured<'_>| Self::within(bytes, depth - 1).map(Box::new);
        let parts = |bytes: &mut Unstructured<'_>| {
            let count = bytes.int_in_range(1..=PARTS)?;
            (0..count)
                .map(|_| Self::within(bytes, depth - 1))
                .collect::<Result<Vec<_>>>()
        };
        let kinds = if depth == 0 { 3 } else { 9 };
        Ok(match bytes.int_in_range(0..=kinds)? {
            0 => {
                let (name, core) = *bytes.choose(&PLAIN)?;
                Self::Plain(name, core)
            }
            1 => Self::String,
            2 => Self::Flags(bytes.int_in_range(1..=32)?),
            3 => Self::Enum(bytes.int_in_range(1..=CASES)?),
            4 => Self::List(boxed(bytes)?),
            5 => Self::Tuple(parts(bytes)?),
            6 => Self::Record(parts(bytes)?),
            7 => {
                let cases = parts(bytes)?
                    .into_iter()
                    .map(|case| Ok(if bytes.ratio(1, 3)? { None } else { Some(case) }));
                Self::Variant(cases.collect::<Result<_>>()?)
            }
            8 => Self::Option(boxed(bytes)?),
            _ => {
                let mut payload = || match bool::arbitrary(bytes)? {
                    true => boxed(bytes).map(Some),
                    false => Ok(None),
                };
                Self::Result(payload()?, payload()?)
            }
        })
    }

    /// Returns the core types of the flat form.
    #[must_use]
    pub fn flat(&self) -> Vec<&'static str> {
        let all = |parts: &[Self]| parts.iter().flat_map(Self::flat).collect();
        match self {
            Self::Plain(_, core) => vec![core],
            Self::String | Self::List(_) => vec!["i32", "i32"],
            Self::Tuple(parts) | Self::Record(parts) => all(parts),
            Self::Variant(cases) => joined(cases.iter().map(Option::as_ref)),
            Self::Enum(_) | Self::Flags(_) => vec!["i32"],
            Self::Option(some) => joined([None, Some(&**some)].into_iter()),
            Self::Result(ok, err) => joined([ok.as_deref(), err.as_deref()].into_iter()),
        }
    }

    /// Returns the type as text. What must have a name is added to `named`, each after what it needs.
    fn text(&self, named: &mut Vec<String>) -> String {
        let mut all = |parts: &[Self], each: &mut dyn FnMut(usize, String) -> String| {
            let parts = parts.iter().enumerate();
            parts
                .map(|(at, part)| each(at, part.text(named)))
                .collect::<String>()
        };
        let definition = match self {
            Self::Plain(name, _) => return (*name).to_owned(),
            Self::String => return "string".to_owned(),
            Self::List(of) => return format!("(list {})", of.text(named)),
            Self::Option(some) => return format!("(option {})", some.text(named)),
            Self::Result(ok, err) => {
                let ok = ok.as_ref().map_or(String::new(), |ok| ok.text(named));
                let err = err
                    .as_ref()
                    .map_or(String::new(), |err| format!("(error {})", err.text(named)));
                return format!("(result {ok} {err})");
            }
            Self::Tuple(parts) => {
                return format!("(tuple {})", all(parts, &mut |_, ty| format!("{ty} ")));
            }
            Self::Record(parts) => {
                format!(
                    "(record {})",
                    all(parts, &mut |at, ty| format!("(field \"a{at}\" {ty})"))
                )
            }
            Self::Variant(cases) => {
                let cases: String = cases
                    .iter()
                    .enumerate()
                    .map(|(at, case)| {
                        let payload = case.as_ref().map_or(String::new(), |ty| ty.text(named));
                        format!("(case \"a{at}\" {payload})")
                    })
                    .collect();
                format!("(variant {cases})")
            }
            Self::Enum(cases) => format!("(enum {})", names(*cases)),
            Self::Flags(count) => format!("(flags {})", names(*count)),
        };
        named.push(definition);
        format!("$t{}", named.len() - 1)
    }
}

fn names(count: u32) -> String {
    (0..count).map(|at| format!("\"a{at}\" ")).collect()
}

/// Returns the flat form of a variant: the number of the case, and core types that hold each case.
fn joined<'a>(cases: impl Iterator<Item = Option<&'a Ty>>) -> Vec<&'static str> {
    let mut all = vec!["i32"];
    for case in cases.flatten() {
        for (at, ty) in case.flat().into_iter().enumerate() {
            match all.get_mut(at + 1) {
                None => all.push(ty),
                Some(held) if *held == ty => {}
                Some(held) if matches!((*held, ty), ("i32", "f32") | ("f32", "i32")) => {
                    *held = "i32"
                }
                Some(held) => *held = "i64",
            }
        }
    }
    all
}

/// Makes up a value of a type that a component has. Floats are numbers, so that values can be compared.
///
/// # Errors
///
/// If `bytes` end.
pub fn value(types: &Types, ty: TypeId, bytes: &mut Unstructured<'_>) -> Result<Value> {
    let payload = |ty: Option<TypeId>, bytes: &mut Unstructured<'_>| {
        ty.map(|ty| value(types, ty, bytes).map(Box::new))
            .transpose()
    };
    let count = |bytes: &mut Unstructured<'_>| bytes.int_in_range(0..=PARTS);
    Ok(match types.get(ty) {
        Type::Bool => Value::Bool(bytes.arbitrary()?),
        Type::S8 => Value::S8(bytes.arbitrary()?),
        Type::U8 => Value::U8(bytes.arbitrary()?),
        Type::S16 => Value::S16(bytes.arbitrary()?),
        Type::U16 => Value::U16(bytes.arbitrary()?),
        Type::S32 => Value::S32(bytes.arbitrary()?),
        Type::U32 => Value::U32(bytes.arbitrary()?),
        Type::S64 => Value::S64(bytes.arbitrary()?),
        Type::U64 => Value::U64(bytes.arbitrary()?),
        Type::F32 => {
            let float = f32::from_bits(bytes.arbitrary()?);
            Value::F32(if float.is_nan() { 0.5 } else { float })
        }
        Type::F64 => {
            let float = f64::from_bits(bytes.arbitrary()?);
            Value::F64(if float.is_nan() { 0.5 } else { float })
        }
        Type::Char => Value::Char(bytes.arbitrary()?),
        Type::String => {
            let all = ["a", "é", "Ā", "日", "🦀", "\0", "\u{ff}", "\u{d7ff}"];
            let letters = (0..count(bytes)?).map(|_| bytes.choose(&all).copied());
            Value::String(letters.collect::<Result<_>>()?)
        }
        Type::List(of) if *types.get(*of) == Type::U8 => Value::Bytes(
            (0..count(bytes)?)
                .map(|_| bytes.arbitrary())
                .collect::<Result<_>>()?,
        ),
        Type::FixedList(of, len) if *types.get(*of) == Type::U8 => Value::Bytes(
            (0..*len)
                .map(|_| bytes.arbitrary())
                .collect::<Result<_>>()?,
        ),
        Type::List(of) => {
            let len = count(bytes)?;
            Value::List(
                (0..len)
                    .map(|_| value(types, *of, bytes))
                    .collect::<Result<_>>()?,
            )
        }
        Type::FixedList(of, len) => Value::List(
            (0..*len)
                .map(|_| value(types, *of, bytes))
                .collect::<Result<_>>()?,
        ),
        Type::Record(fields) => {
            let fields = fields
                .iter()
                .map(|(name, ty)| Ok((name.clone(), value(types, *ty, bytes)?)));
            Value::Record(fields.collect::<Result<_>>()?)
        }
        Type::Tuple(parts) => {
            let parts = parts.iter().map(|ty| value(types, *ty, bytes));
            Value::Tuple(parts.collect::<Result<_>>()?)
        }
        Type::Variant(cases) => {
            let (name, of) = bytes.choose(cases)?;
            Value::Variant(name.clone(), payload(*of, bytes)?)
        }
        Type::Enum(cases) => Value::Enum(bytes.choose(cases)?.clone()),
        Type::Option(some) => {
            let some = bool::arbitrary(bytes)?.then_some(*some);
            Value::Option(payload(some, bytes)?)
        }
        Type::Result(ok, err) => Value::Result(match bool::arbitrary(bytes)? {
            true => Ok(payload(*ok, bytes)?),
            false => Err(payload(*err, bytes)?),
        }),
        Type::Flags(names) => {
            let bits: u32 = bytes.arbitrary()?;
            let set = names
                .iter()
                .enumerate()
                .filter(|(at, _)| bits >> at & 1 != 0);
            Value::Flags(set.map(|(_, name)| name.clone()).collect())
        }
        Type::Own(_) | Type::Borrow(_) => {
            Value::Resource(hostel_core::component::Resource::new(bytes.arbitrary()?))
        }
    })
}

/// The encodings of strings.
pub const ENCODINGS: [&str; 3] = ["utf8", "utf16", "latin1+utf16"];

/// A core module with a memory and an allocator that never gives a place twice.
const LIBC: &str = r#"(core module $Libc
    (memory (export "memory") 4)
    (global $at (mut i32) (i32.const 0x4000))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $p i32)
      (local.set $p (i32.and (i32.add (global.get $at) (i32.sub (local.get 2) (i32.const 1)))
                             (i32.sub (i32.const 0) (local.get 2))))
      (global.set $at (i32.add (local.get $p) (local.get 3)))
      (local.get $p)))
  (core instance $libc (instantiate $Libc))"#;

/// A type as components define it.
pub struct Defined {
    flat: Vec<&'static str>,
    /// The definitions, and imports that give them names.
    definitions: String,
    /// Its name.
    name: String,
    /// The arguments by which a nested component gets the definitions.
    arguments: String,
}

impl Defined {
    #[must_use]
    pub fn new(ty: &Ty) -> Self {
        let mut named = Vec::new();
        let name = ty.text(&mut named);
        let (mut definitions, mut arguments) = (String::new(), String::new());
        for (at, definition) in named.iter().enumerate() {
            let _ = write!(
                definitions,
                "(type $u{at} {definition}) (import \"t{at}\" (type $t{at} (eq $u{at})))\n"
            );
            let _ = write!(arguments, "(with \"t{at}\" (type $t{at}))");
        }
        Self {
            flat: ty.flat(),
            definitions,
            name,
            arguments,
        }
    }

    /// The import `f`, from the type to itself.
    fn import(&self) -> String {
        let Self {
            definitions, name, ..
        } = self;
        format!("{definitions} (import \"f\" (func $f (param \"v\" {name}) (result {name})))")
    }

    /// What a component is made of whose export `g` returns what its import `f` does for the argument.
    fn passing(&self, encoding: &str) -> String {
        let flat = self.flat.join(" ");
        let places: String = (0..self.flat.len())
            .map(|at| format!("(local.get {at})"))
            .collect();
        let (params, arguments) = match self.flat.len() > 16 {
            true => ("i32", "(local.get 0)"),
            false => (&*flat, &*places),
        };
        let (results, returned, at, call) = match &*self.flat {
            [one] => (*one, *one, "", format!("(call $f {arguments})")),
            _ => (
                "i32",
                "",
                "i32",
                format!("(call $f {arguments} (i32.const 256)) (i32.const 256)"),
            ),
        };
        let options = format!(
            r#"(memory (core memory $libc "memory")) (realloc (core func $libc "realloc")) string-encoding={encoding}"#
        );
        let (import, name) = (self.import(), &self.name);
        format!(
            r#"{import} {LIBC}
  (core module $M (import "h" "f" (func $f (param {params} {at}) (result {returned})))
    (func (export "g") (param {params}) (result {results}) {call}))
  (core func $f (canon lower (func $f) {options}))
  (core instance $m (instantiate $M (with "h" (instance (export "f" (func $f))))))
  (func (export "g") (param "v" {name}) (result {name}) (canon lift (core func $m "g") {options}))"#
        )
    }

    /// Returns a component whose `g` returns what the host's function `f` does for its argument, in this encoding.
    #[must_use]
    pub fn one(&self, encoding: &str) -> String {
        format!("(component {})", self.passing(encoding))
    }

    /// Returns a component as [`one`](Self::one) does, of two: `g` of the first calls that of the second.
    #[must_use]
    pub fn two(&self, first: &str, second: &str) -> String {
        let (import, arguments) = (self.import(), &self.arguments);
        let (inner, outer) = (self.passing(second), self.passing(first));
        format!(
            r#"(component {import}
  (component $Inner {inner})
  (component $Outer {outer})
  (instance $inner (instantiate $Inner {arguments} (with "f" (func $f))))
  (instance $outer (instantiate $Outer {arguments} (with "f" (func $inner "g"))))
  (export "g" (func $outer "g")))"#
        )
    }

    /// Returns a component whose `g` ignores its arguments and returns `core`: the value, or its address if it is in
    /// memory. `bytes` are at the start of its memory, and its `realloc` returns `places`, one after the other.
    #[must_use]
    pub fn lying(&self, encoding: &str, core: u64, bytes: &[u8], places: &[u32]) -> String {
        let params = if self.flat.len() > 16 {
            "i32".to_owned()
        } else {
            self.flat.join(" ")
        };
        let (ty, result) = match &*self.flat {
            ["f32"] => (
                "f32",
                format!("(f32.reinterpret_i32 (i32.const {}))", core as u32),
            ),
            ["f64"] => ("f64", format!("(f64.reinterpret_i64 (i64.const {core}))")),
            ["i64"] => ("i64", format!("(i64.const {core})")),
            _ => ("i32", format!("(i32.const {})", core as u32)),
        };
        let data: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let chosen: String = places
            .iter()
            .enumerate()
            .map(|(at, place)| {
                format!("(if (i32.eq (global.get $n) (i32.const {at})) (then (return (i32.const {place}))))")
            })
            .collect();
        let (definitions, name) = (&self.definitions, &self.name);
        format!(
            r#"(component {definitions}
  (core module $M (memory (export "memory") 1) (data (i32.const 0) "{data}") (global $n (mut i32) (i32.const -1))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1))) {chosen} (i32.const 0x8000))
    (func (export "g") (param {params}) (result {ty}) {result}))
  (core instance $m (instantiate $M))
  (func (export "g") (param "v" {name}) (result {name}) (canon lift (core func $m "g")
    (memory (core memory $m "memory")) (realloc (core func $m "realloc")) string-encoding={encoding})))"#
        )
    }
}
