//! Calls whose types don't fit the export's.

use super::guest;
use hostel::{Grants, Limits};
use hostel_tests::{code, try_load_wat};

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
    type Sixteen = (Five, Five, Five, u64);
    type Seventeen = (Five, Five, Five, (u64, u64));
    let mut limits = Limits::server();
    limits.module.results = 20;
    let engine = hostel::engine_with(limits);
    for values in [16, 17, 20] {
        let types = "i64 ".repeat(values);
        let zeros = "(i64.const 0) ".repeat(values);
        let text = format!(
            r#"(module (func (export "takes") (param {types}))
                 (func (export "returns") (result {types}) {zeros}))"#
        );
        let plugin = try_load_wat::<()>(&engine, &text, &Grants::new()).unwrap();
        let fits = if values == 16 { "ok" } else { "export-type" };
        assert_eq!(code(&plugin.check::<Sixteen, ()>("takes")), fits);
        assert_eq!(code(&plugin.check::<(), Sixteen>("returns")), fits);
        for error in [
            plugin.check::<Seventeen, ()>("takes"),
            plugin.check::<(Five, Five, Five, Five), ()>("takes"),
            plugin.check::<(), Seventeen>("returns"),
            plugin.check::<(), (Five, Five, Five, Five)>("returns"),
        ] {
            assert_eq!(code(&error), "export-type", "{values}");
        }
    }
}
