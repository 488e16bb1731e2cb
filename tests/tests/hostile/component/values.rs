//! V05 to V07: values that are none of their type. A row says what the guest gives as its result, as the argument of
//! a host function, and as that of another component: the same must happen each time.

use super::{LIBC, OPTIONS, breaks, outside};
use crate::case::{Case, Verdict, exceeds, returns};
use hostel::component::Value;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    pointers(&mut cases);
    texts(&mut cases);
    numbers(&mut cases);
    cases
}

/// A value that a guest gives: its type, after definitions that it needs, the core values, and the bytes at 8.
#[derive(Clone, Copy)]
struct Given<'a> {
    define: &'a str,
    ty: &'a str,
    flat: &'a [u32],
    bytes: &'a str,
    encoding: &'a str,
}

impl Given<'_> {
    /// A component that returns the value: two core values are in memory, at 32.
    fn result(&self) -> String {
        let Self {
            define,
            ty,
            bytes,
            encoding,
            ..
        } = *self;
        let code = match *self.flat {
            [one] => format!("(i32.const {one})"),
            [ptr, len] => format!(
                "(i32.store (i32.const 32) (i32.const {ptr})) (i32.store (i32.const 36) (i32.const {len})) (i32.const 32)"
            ),
            _ => panic!("more core values"),
        };
        format!(
            r#"(component {define}
  (core module $M (memory (export "memory") 1) (data (i32.const 8) "{bytes}")
    (func (export "run") (result i32) {code}))
  (core instance $m (instantiate $M))
  (func (export "run") (result {ty})
    (canon lift (core func $m "run") (memory (core memory $m "memory")) string-encoding={encoding})))"#
        )
    }

    /// A component that hands the value to the function that `sink` defines as `$sink`.
    fn argument(&self, sink: &str) -> String {
        let Self {
            define,
            bytes,
            encoding,
            ..
        } = *self;
        let constants: String = self
            .flat
            .iter()
            .map(|flat| format!("(i32.const {flat})"))
            .collect();
        let params = "i32 ".repeat(self.flat.len());
        format!(
            r#"(component {define} {sink}
  {LIBC}
  (core func $sink (canon lower (func $sink) {OPTIONS} string-encoding={encoding}))
  (core module $M (import "h" "sink" (func $sink (param {params}))) (import "libc" "memory" (memory 1))
    (data (i32.const 8) "{bytes}")
    (func (export "run") (call $sink {constants})))
  (core instance $m (instantiate $M (with "h" (instance (export "sink" (func $sink)))) (with "libc" (instance $libc))))
  (func (export "run") (canon lift (core func $m "run"))))"#
        )
    }

    /// A component that hands the value to the host.
    fn for_the_host(&self) -> String {
        self.argument(&format!(
            r#"(import "sink" (func $sink (param "v" {})))"#,
            self.ty
        ))
    }

    /// A component that hands the value to another component.
    fn for_another(&self) -> String {
        let Self { define, ty, .. } = *self;
        let params = "i32 ".repeat(self.flat.len());
        self.argument(&format!(
            r#"(component $Other {define} {LIBC}
    (core module $M (func (export "sink") (param {params})))
    (core instance $m (instantiate $M))
    (func (export "sink") (param "v" {ty}) (canon lift (core func $m "sink") {OPTIONS})))
  (instance $other (instantiate $Other))
  (alias export $other "sink" (func $sink))"#
        ))
    }

    /// Adds a case for each way. `shown` is the result, if the value is good after all.
    fn rows(&self, cases: &mut Vec<Case>, name: &str, verdict: &Verdict) {
        let (result, argument) = match verdict {
            Verdict::Returns(shown) => (returns(shown), returns("")),
            other => (other.clone(), other.clone()),
        };
        cases.push(Case::component(
            format!("{name}, as result"),
            self.result(),
            &[],
            result,
        ));
        if self.define.is_empty() || !self.define.contains("export") {
            let host = self.for_the_host();
            cases.push(Case::component(
                format!("{name}, to the host"),
                host,
                &[],
                argument.clone(),
            ));
            let other = self.for_another();
            cases.push(Case::component(
                format!("{name}, to a component"),
                other,
                &[],
                argument,
            ));
        }
    }
}

/// V05: pointers and lengths.
fn pointers(cases: &mut Vec<Case>) {
    let given = Given {
        define: "",
        ty: "string",
        flat: &[],
        bytes: "hello",
        encoding: "utf8",
    };
    let (long_text, long_list) = (
        breaks("a string of 2 GiB or more"),
        breaks("a list of 4 GiB or more"),
    );
    let unaligned = breaks("a pointer that is not aligned");
    let rows: [(&str, &str, [u32; 2], Verdict); 22] = [
        ("string", "utf8", [8, 5], returns(r#"String("hello")"#)),
        ("string", "utf8", [65_536, 0], returns(r#"String("")"#)),
        ("string", "utf8", [65_537, 0], outside("string", 0, 65_537)),
        ("string", "utf8", [65_535, 2], outside("string", 2, 65_535)),
        (
            "string",
            "utf8",
            [u32::MAX, 1],
            outside("string", 1, u32::MAX),
        ),
        (
            "string",
            "utf8",
            [8, 0x7fff_ffff],
            outside("string", 0x7fff_ffff, 8),
        ),
        ("string", "utf8", [8, 0x8000_0000], long_text.clone()),
        ("string", "utf8", [8, u32::MAX], long_text.clone()),
        ("string", "utf16", [9, 1], unaligned.clone()),
        ("string", "utf16", [8, 0x4000_0000], long_text.clone()),
        ("string", "utf16", [8, 0x8000_0001], long_text.clone()),
        ("string", "latin1+utf16", [9, 1], unaligned.clone()),
        (
            "string",
            "latin1+utf16",
            [8, 0xc000_0000],
            long_text.clone(),
        ),
        (
            "string",
            "latin1+utf16",
            [65_534, 0x8000_0002],
            outside("string", 4, 65_534),
        ),
        (
            "(list u8)",
            "utf8",
            [8, 0x8000_0000],
            outside("value", 1 << 31, 8),
        ),
        (
            "(list u8)",
            "utf8",
            [65_537, 0],
            outside("value", 0, 65_537),
        ),
        ("(list u16)", "utf8", [8, 0x8000_0000], long_list.clone()),
        ("(list u64)", "utf8", [8, 0x2000_0000], long_list.clone()),
        ("(list u64)", "utf8", [12, 1], unaligned.clone()),
        ("(list u64)", "utf8", [65_532, 0], unaligned),
        ("(list string)", "utf8", [8, 0x8000_0000], long_list),
        (
            "(list (tuple u8 u32 u8))",
            "utf8",
            [8, 0x1555_5555],
            outside("value", 0xffff_fffc, 8),
        ),
    ];
    for (ty, encoding, [ptr, len], verdict) in rows {
        let given = Given {
            ty,
            encoding,
            flat: &[ptr, len],
            ..given
        };
        given.rows(
            cases,
            &format!("V05/{ty} in {encoding} at {ptr:#x}, {len:#x} long"),
            &verdict,
        );
    }
    // The pointer to a result.
    for at in [1u32, 2, 65_532, 65_535, 65_536, 0x8000_0000, u32::MAX - 3] {
        let text = Given {
            flat: &[at],
            ..given
        }
        .result();
        let verdict = if at % 4 == 0 {
            outside("value", 8, at)
        } else {
            breaks("a pointer that is not aligned")
        };
        cases.push(Case::component(
            format!("V05/a result at {at:#x}"),
            text,
            &[],
            verdict,
        ));
    }
    // Many values that share the bytes: small for the guest, large for the host.
    let text = format!(
        r#"(component (import "sink" (func $sink (param "v" (list string))))
  {LIBC}
  (core func $sink (canon lower (func $sink) {OPTIONS}))
  (core module $M (import "h" "sink" (func $sink (param i32 i32))) (import "libc" "memory" (memory 1))
    (func (export "run") (local $at i32)
      (loop
        (i32.store offset=4 (local.get $at) (i32.const 0x6060))
        (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 64000))))
      (memory.fill (i32.const 64000) (i32.const 0) (i32.const 8))
      (call $sink (i32.const 0) (i32.const 8000))))
  (core instance $m (instantiate $M (with "h" (instance (export "sink" (func $sink)))) (with "libc" (instance $libc))))
  (func (export "run") (canon lift (core func $m "run"))))"#
    );
    let case = Case::component(
        "V05/8,000 texts that are one",
        text,
        &[],
        exceeds("argument-too-large"),
    );
    cases.push(
        case.fuel(10_000_000)
            .budget(|budget| budget.argument_bytes = 100_000),
    );
}

/// V06: bytes that are no text.
fn texts(cases: &mut Vec<Case>) {
    let utf8 = breaks("a string that is not UTF-8");
    let utf16 = breaks("a string that is not UTF-16");
    let tag = 1 << 31;
    let rows: [(&str, &str, &str, u32, Verdict); 16] = [
        (
            "a character that is split",
            "utf8",
            r"\c3\a9",
            1,
            utf8.clone(),
        ),
        ("a second half", "utf8", r"\a9", 1, utf8.clone()),
        ("a long form of a slash", "utf8", r"\c0\af", 2, utf8.clone()),
        ("a surrogate", "utf8", r"\ed\a0\80", 3, utf8.clone()),
        (
            "a number above the last character",
            "utf8",
            r"\f4\90\80\80",
            4,
            utf8,
        ),
        (
            "a character",
            "utf8",
            r"\c3\a9",
            2,
            returns(r#"String("é")"#),
        ),
        (
            "a high surrogate alone",
            "utf16",
            r"\3d\d8",
            1,
            utf16.clone(),
        ),
        (
            "a low surrogate alone",
            "utf16",
            r"\00\de",
            1,
            utf16.clone(),
        ),
        (
            "surrogates the wrong way round",
            "utf16",
            r"\00\de\3d\d8",
            2,
            utf16.clone(),
        ),
        (
            "two high surrogates",
            "utf16",
            r"\3d\d8\3d\d8",
            2,
            utf16.clone(),
        ),
        (
            "a pair of surrogates",
            "utf16",
            r"\3d\d8\00\de",
            2,
            returns("String(\"😀\")"),
        ),
        (
            "a pair that is split",
            "utf16",
            r"\3d\d8\00\de",
            1,
            utf16.clone(),
        ),
        (
            "a tag on Latin-1",
            "latin1+utf16",
            r"ab\3d\d8",
            tag | 2,
            utf16.clone(),
        ),
        (
            "no tag on UTF-16",
            "latin1+utf16",
            r"\3d\d8",
            2,
            returns("String(\"=Ø\")"),
        ),
        (
            "any bytes as Latin-1",
            "latin1+utf16",
            r"\80\ff\00\7f",
            4,
            returns(r#"String("\u{80}ÿ\0\u{7f}")"#),
        ),
        (
            "a surrogate with a tag",
            "latin1+utf16",
            r"\00\d8",
            tag | 1,
            utf16,
        ),
    ];
    for (name, encoding, bytes, len, verdict) in rows {
        let given = Given {
            define: "",
            ty: "string",
            flat: &[8, len],
            bytes,
            encoding,
        };
        given.rows(cases, &format!("V06/{name}, in {encoding}"), &verdict);
    }
}

/// V07: core values that are no values, or have bits that their type does not have.
fn numbers(cases: &mut Vec<Case>) {
    let (case, char) = (
        breaks("a case that its type does not have"),
        breaks("a number that is no character"),
    );
    let rows: [(&str, u32, Verdict); 16] = [
        ("char", 0xd7ff, returns(r"Char('\u{d7ff}')")),
        ("char", 0xd800, char.clone()),
        ("char", 0xdfff, char.clone()),
        ("char", 0x10_ffff, returns(r"Char('\u{10ffff}')")),
        ("char", 0x11_0000, char.clone()),
        ("char", u32::MAX, char),
        ("bool", 2, returns("Bool(true)")),
        ("bool", 0x100, returns("Bool(true)")),
        ("bool", 0x8000_0000, returns("Bool(true)")),
        ("u8", 0x1ff, returns("U8(255)")),
        ("s8", 0x80, returns("S8(-128)")),
        ("u16", 0xffff_0001, returns("U16(1)")),
        ("s16", 0x8000, returns(format!("{:?}", Value::S16(-32_768)))),
        ("(result)", 2, case.clone()),
        ("(result)", 0x100, case.clone()),
        ("(result)", u32::MAX, case.clone()),
    ];
    for (ty, value, verdict) in rows {
        let given = Given {
            define: "",
            ty,
            flat: &[value],
            bytes: "",
            encoding: "utf8",
        };
        given.rows(cases, &format!("V07/{ty}: {value:#x}"), &verdict);
    }
    // Types with names.
    let enumeration = r#"(type $v' (enum "a" "b")) (export $v "v" (type $v'))"#;
    let flags = r#"(type $v' (flags "a" "b")) (export $v "v" (type $v'))"#;
    for (define, name, value, verdict) in [
        (enumeration, "an enum of 2 cases", 2u32, case.clone()),
        (enumeration, "an enum of 2 cases", 0x100, case.clone()),
        (flags, "2 flags", 0xffff_fffc, returns("Flags([])")),
        (flags, "2 flags", u32::MAX, returns(r#"Flags(["a", "b"])"#)),
    ] {
        let given = Given {
            define,
            ty: "$v",
            flat: &[value],
            bytes: "",
            encoding: "utf8",
        };
        given.rows(cases, &format!("V07/{name}: {value:#x}"), &verdict);
    }
    // In memory the number of a case is one byte.
    for (ty, bytes, verdict) in [
        ("(option u32)", r"\02\00\00\00\07\00\00\00", case.clone()),
        ("(option u32)", r"\ff\00\00\00\07\00\00\00", case.clone()),
        (
            "(option u32)",
            r"\01\ff\ff\ff\07\00\00\00",
            returns("Option(Some(U32(7)))"),
        ),
        (
            "(result string (error u8))",
            r"\02\00\00\00\07\00\00\00\00\00\00\00",
            case,
        ),
        (
            "(option char)",
            r"\01\00\00\00\00\d8\00\00",
            breaks("a number that is no character"),
        ),
    ] {
        let given = Given {
            define: "",
            ty,
            flat: &[8],
            bytes,
            encoding: "utf8",
        };
        let name = format!("V07/{ty} in memory: {bytes}");
        cases.push(Case::component(name, given.result(), &[], verdict));
    }
}
