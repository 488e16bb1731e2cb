//! The counts that a module claims reserve no memory, and its types make no long message.

use super::peak;
use hostel::{Engine, Grants};

#[test]
fn counts_that_a_module_claims_reserve_no_memory() {
    // Each section claims a million entries, and ends there.
    let mut reserved = Vec::new();
    for id in 1..=13u8 {
        let wasm = [b"\0asm\x01\0\0\0", &[id, 3][..], &[0xc0, 0x84, 0x3d]].concat();
        let found = peak(|| {
            let result = Engine::default().load::<()>("guest", &wasm, &Grants::new());
            assert!(result.is_err(), "section {id}");
        });
        if found > 64 << 10 {
            reserved.push(format!("section {id}: {found} bytes"));
        }
    }
    assert_eq!(reserved, [""; 0], "for modules of 13 bytes");
}

#[test]
fn a_small_module_cannot_make_a_long_message() {
    // 490 imports of one type, of 1,000 parameters and results, in 4 KB.
    let number = |value: u32| [value as u8 | 0x80, (value >> 7) as u8];
    let section = |id: u8, contents: &[u8]| {
        let size = number(u32::try_from(contents.len()).unwrap());
        [&[id][..], &size, contents].concat()
    };
    let wide = [&number(1_000)[..], &[0x7f; 1_000]].concat();
    let types = section(1, &[&[1, 0x60], &wide[..], &wide].concat());
    let imports = section(2, &[&number(490)[..], &[0; 4 * 490]].concat());
    let wasm = [b"\0asm\x01\0\0\0", &types[..], &imports].concat();
    let found = peak(|| {
        let error = Engine::default().load::<()>("guest", &wasm, &Grants::new());
        let message = error.unwrap_err().to_string();
        assert!(
            message.len() < 64 << 10,
            "a message of {} bytes",
            message.len()
        );
    });
    assert!(
        found < 4 << 20,
        "{found} bytes for a module of {}",
        wasm.len()
    );
}
