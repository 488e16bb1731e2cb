//! The state that the host keeps for plugins.
//!
//! Each module holds one subject; this file holds a guest that passes calls on to the host, and the
//! stores that the tests use.

mod guests;
mod hostile_guests;
mod keys_and_values;
mod limits;
mod namespaces;
mod stores;

use hostel::{CallError, FileState, Grants, MemoryState, Plugin, StateLimits, StateStore};
use hostel_tests::{load_wat, with_allocator};
use std::sync::Arc;

/// Returns the text of a guest whose exports pass their parameters on to the host, and return its
/// result.
fn forwarding() -> String {
    let imports = r#"
        (import "env" "host_state_get" (func $get (param i32 i32) (result i32 i32)))
        (import "env" "host_state_set" (func $set (param i32 i32 i32 i32) (result i32 i32)))
        (import "env" "host_state_delete" (func $delete (param i32 i32) (result i32 i32)))
        (import "env" "host_state_list"
          (func $list (param i32 i32 i32 i32 i32) (result i32 i32)))"#;
    let items = r#"
        (func (export "get") (param i32 i32) (result i32 i32)
          (call $get (local.get 0) (local.get 1)))
        (func (export "set") (param i32 i32 i32 i32) (result i32 i32)
          (call $set (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
        (func (export "delete") (param i32 i32) (result i32 i32)
          (call $delete (local.get 0) (local.get 1)))
        (func (export "list") (param i32 i32 i32 i32 i32) (result i32 i32)
          (call $list (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4)))"#;
    with_allocator(imports, items)
}

/// Calls of the forwarding guest, each in an instance of its own.
struct Forward(Plugin);

type Answer = Result<Option<Vec<u8>>, CallError>;

impl Forward {
    fn to(store: impl StateStore) -> Self {
        Self(load_wat(&forwarding(), &Grants::new().state(store)))
    }

    fn get(&self, key: &[u8]) -> Answer {
        self.0.call("get", (key,))
    }

    fn set(&self, key: &[u8], value: &[u8]) -> Answer {
        self.0.call("set", (key, value))
    }

    fn delete(&self, key: &[u8]) -> Answer {
        self.0.call("delete", (key,))
    }

    fn list(&self, prefix: &[u8], after: Option<&[u8]>, max: u32) -> Answer {
        self.0.call("list", (prefix, after, max))
    }
}

fn memory() -> Arc<MemoryState> {
    Arc::new(MemoryState::new(StateLimits::server()))
}

fn small() -> StateLimits {
    let mut limits = StateLimits::device();
    (limits.keys, limits.key_bytes) = (12, 4);
    (limits.value_bytes, limits.total_bytes) = (40, 200);
    limits
}

fn file(limits: StateLimits) -> (FileState, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let store = FileState::open(directory.path().join("state"), limits).unwrap();
    (store, directory)
}

/// Returns the code that begins the guest's error message.
fn told(result: &Answer) -> &str {
    match result {
        Err(CallError::Guest { message }) => message.split(": ").next().unwrap(),
        other => panic!("{other:?}"),
    }
}
