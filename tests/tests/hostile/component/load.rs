//! V14, V15: components that are not loaded.

use crate::case::{Case, loads, refused};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    bytes(&mut cases);
    counts(&mut cases);
    cases
}

/// What a component begins with.
const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

/// A component of these sections.
fn component(sections: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    for (id, contents) in sections {
        bytes.push(*id);
        bytes.extend(leb128(contents.len()));
        bytes.extend(contents);
    }
    bytes
}

fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// V14: bytes that are no component, or one that hostel does not run.
fn bytes(cases: &mut Vec<Case>) {
    cases.push(Case::load_component(
        "V14/nothing in it",
        component(&[]),
        loads(),
    ));
    let rows: [(&str, Vec<u8>, &str); 7] = [
        ("no bytes", Vec::new(), "empty-module"),
        ("half a header", HEADER[..6].to_vec(), "truncated-module"),
        (
            "a version of its own",
            b"\0asm\x0e\0\x01\0".to_vec(),
            "invalid-module",
        ),
        (
            "a section that is cut off",
            [HEADER, &[4, 100, 0]].concat(),
            "truncated-module",
        ),
        (
            "a section that has no meaning",
            component(&[(99, vec![0])]),
            "invalid-module",
        ),
        (
            "an alias of what is not there",
            component(&[(6, vec![1, 0, 0, 0, 5, 1, b'a'])]),
            "invalid-module",
        ),
        (
            "an instance of itself",
            component(&[(5, vec![1, 0, 0, 0])]),
            "invalid-module",
        ),
    ];
    for (name, bytes, code) in rows {
        cases.push(Case::load_component(
            format!("V14/{name}"),
            bytes,
            refused(code),
        ));
    }
}

/// V15: more of something than the limits allow.
fn counts(cases: &mut Vec<Case>) {
    let mut nested = component(&[]);
    for _ in 0..10_000 {
        nested = component(&[(4, nested)]);
    }
    let deep = refused("over-limit component.depth");
    cases.push(Case::load_component(
        "V15/10,000 components in one another",
        nested,
        deep.clone(),
    ));
    // Types of components in one another.
    let mut ty = vec![0x41, 0];
    for _ in 0..10_000 {
        ty = [vec![0x41, 1, 1], ty].concat();
    }
    let types = component(&[(7, [vec![1], ty].concat())]);
    cases.push(Case::load_component(
        "V15/10,000 types of components in one another",
        types,
        deep,
    ));
    // Each a list of the one before.
    let lists = |count: usize| {
        let mut types = leb128(count);
        types.extend([0x70, 0x7d]);
        for at in 0..count - 1 {
            types.push(0x70);
            // The number has a sign, of which the last bit tells.
            let mut number = leb128(at);
            if let Some(last) = number.last_mut().filter(|last| **last & 0x40 != 0) {
                *last |= 0x80;
                number.push(0);
            }
            types.extend(number);
        }
        component(&[(7, types)])
    };
    cases.push(Case::load_component(
        "V15/900 lists in one another",
        lists(900),
        refused("over-limit component.type_depth"),
    ));
    let mut text = String::from("(component (type $t0 (tuple u64 u64))");
    for at in 1..30 {
        let before = at - 1;
        text.push_str(&format!("(type $t{at} (tuple $t{before} $t{before}))"));
    }
    let exploding = text.clone() + ")";
    cases.push(Case::load_component(
        "V15/tuples that double 30 times",
        exploding,
        refused("invalid-module"),
    ));
    let imports: String = (0..10_000)
        .map(|at| format!("(import \"f{at}\" (func))"))
        .collect();
    cases.push(Case::load_component(
        "V15/10,000 imports",
        format!("(component {imports})"),
        refused("over-limit component.imports"),
    ));
    let mut text = String::from(
        "(component (component $c0 (core module $m) (core instance (instantiate $m)))",
    );
    for at in 1..30 {
        let before = at - 1;
        text.push_str(&format!(
            "(component $c{at} (alias outer 1 $c{before} (component $c)) (instance (instantiate $c)) (instance (instantiate $c)))"
        ));
    }
    text.push_str("(instance (instantiate $c29)))");
    cases.push(Case::load_component(
        "V15/instances that double 30 times",
        text,
        refused("over-limit component.components"),
    ));
    let modules = "(core module)".repeat(1_000);
    cases.push(Case::load_component(
        "V15/1,000 core modules",
        format!("(component {modules})"),
        refused("over-limit component.modules"),
    ));
    let memories =
        "(core module $m (memory 1)) ".to_owned() + &"(core instance (instantiate $m)) ".repeat(17);
    cases.push(Case::load_component(
        "V15/memories that are too large together",
        format!("(component {memories})"),
        refused("over-limit memory_bytes"),
    ));
}
