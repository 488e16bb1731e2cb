//! Calls whose types don't fit the export's.

use super::guest;
use hostel::Grants;
use hostel_tests::{code, load_wat};

#[test]
fn a_call_with_other_types_is_refused_with_those_that_fit() {
    let plugin = guest("packed");
    let error = plugin.check::<&str, String>("own nothing").unwrap_err();
    assert_eq!(error.code(), "unknown-export");
    assert!(error.to_string().contains("`own str`"), "{error}");
    let error = plugin.check::<u32, String>("own str").unwrap_err();
    assert_eq!(
        error.to_string(),
        "export `own str` has the wrong type: expected (i32) -> (i32, i32) or (i32) -> i64 or \
         (i32, i32) -> (), found (i32, i32) -> i64"
    );
    let mut instance = plugin.instantiate(()).unwrap();
    assert_eq!(instance.call::<u32, String>("own str", 1), Err(error));
    assert!(!instance.is_stopped());
    assert_eq!(plugin.check::<&str, String>("own str"), Ok(()));
    assert_eq!(plugin.check::<(u32, u32), u64>("own str"), Ok(()));
}

#[test]
fn a_signature_of_more_than_16_core_values_fits_nothing() {
    type Five = (u64, u64, u64, u64, u64);
    let text = r#"(module (func (export "f") (param i64 i64 i64 i64 i64 i64 i64 i64 i64 i64
        i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)))"#;
    let error = load_wat(text, &Grants::new()).check::<(Five, Five, Five, Five), ()>("f");
    assert_eq!(code(&error), "export-type");
}
