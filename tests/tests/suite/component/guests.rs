//! Components as text, for the tests beside this.

use hostel::{Engine, Grants, Plugin, component::Value};

/// A core module with a memory and an allocator that never gives a place twice.
pub(super) const LIBC: &str = r#"(core module $Libc
    (memory (export "memory") 20)
    (global $at (mut i32) (i32.const 0x1000))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $p i32)
      (local.set $p (i32.and (i32.add (global.get $at) (i32.sub (local.get 2) (i32.const 1)))
                             (i32.sub (i32.const 0) (local.get 2))))
      (global.set $at (i32.add (local.get $p) (local.get 3)))
      (local.get $p)))"#;

/// A type of a value: its definition, and its flat form.
#[derive(Clone)]
pub(super) struct Of {
    /// What stands before it: definitions that it needs.
    pub(super) ty: &'static str,
    pub(super) flat: &'static [&'static str],
}

/// Returns the body of a component that imports the type `t` and the function `f`, from it to itself, and exports `g`,
/// which calls `f` with its argument and returns what that returns.
pub(super) fn passing(of: &Of, encoding: &str) -> String {
    let flat = of.flat.join(" ");
    let places: String = (0..of.flat.len())
        .map(|at| format!("(local.get {at})"))
        .collect();
    let many = of.flat.len() > 16;
    let (params, arguments) = match many {
        true => ("i32", "(local.get 0)"),
        false => (&*flat, &*places),
    };
    let (results, returned, at, call) = match of.flat {
        [one] => (*one, *one, "", format!("(call $f {arguments})")),
        // The result is in memory.
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
    format!(
        r#"
  (type $t (import "t") (type (eq $u)))
  (import "f" (func $f (param "v" $t) (result $t)))
  {LIBC}
  (core module $M
    (import "host" "f" (func $f (param {params} {at}) (result {returned})))
    (func (export "g") (param {params}) (result {results}) {call}))
  (core instance $libc (instantiate $Libc))
  (core func $f (canon lower (func $f) {options}))
  (core instance $m (instantiate $M (with "host" (instance (export "f" (func $f))))))
  (func (export "g") (param "v" $t) (result $t) (canon lift (core func $m "g") {options}))"#
    )
    .replace(
        r#"(type $t (import "t") (type (eq $u)))"#,
        r#"(import "t" (type $t (eq $u)))"#,
    )
}

/// Returns a component whose `g` returns what the host's function `f` returns for its argument.
pub(super) fn one(of: &Of, encoding: &str) -> String {
    format!("(component {} {})", of.ty, passing(of, encoding))
}

/// Returns a component as [`one`] does, of two components: `g` of the first calls that of the second.
pub(super) fn two(of: &Of, first: &str, second: &str) -> String {
    format!(
        r#"(component
  {}
  (import "t" (type $t (eq $u)))
  (import "f" (func $f (param "v" $t) (result $t)))
  (component $Inner {} {})
  (component $Outer {} {})
  (instance $inner (instantiate $Inner (with "t" (type $t)) (with "f" (func $f))))
  (instance $outer (instantiate $Outer (with "t" (type $t)) (with "f" (func $inner "g"))))
  (export "g" (func $outer "g")))"#,
        of.ty,
        of.ty,
        passing(of, second),
        of.ty,
        passing(of, first)
    )
}

/// Loads a component whose world has no interfaces.
pub(super) fn load(text: &str, grants: &Grants) -> Plugin {
    let wasm = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let loaded = Engine::default().load_component("component", &wasm, grants);
    loaded.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Returns grants of a function `f` that returns its argument.
pub(super) fn echo() -> Grants {
    let interface = hostel::component::Interface::root();
    Grants::new()
        .interface(interface.dynamic("f", |_, values: &[Value]| Ok(values.first().cloned())))
}
