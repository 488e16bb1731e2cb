//! Handles to resources: of the guest's, of the embedder's, and those that a guest forges.

use super::guests::load;
use hostel::{
    CallError, Context, Engine, Grants, Instance,
    component::{Borrow, Interface, Own, Resource, Table, Value},
};
use hostel_tests::code;

/// A component that defines a resource with a destructor, which counts. `run` does `body`.
fn defining(body: &str) -> String {
    format!(
        r#"(component
  (core module $D
    (global $n (mut i32) (i32.const 0))
    (func (export "destroy") (param i32) (global.set $n (i32.add (global.get $n) (local.get 0))))
    (func (export "destroyed") (result i32) (global.get $n)))
  (core instance $d (instantiate $D))
  (type $t (resource (rep i32) (dtor (core func $d "destroy"))))
  (export $r "r" (type $t))
  (core func $new (canon resource.new $t))
  (core func $rep (canon resource.rep $t))
  (core func $drop (canon resource.drop $t))
  (core module $M
    (import "h" "new" (func $new (param i32) (result i32)))
    (import "h" "rep" (func $rep (param i32) (result i32)))
    (import "h" "drop" (func $drop (param i32)))
    (import "d" "destroyed" (func $destroyed (result i32)))
    (func (export "make") (param i32) (result i32) (call $new (local.get 0)))
    (func (export "get") (param i32) (result i32) (local.get 0))
    (func (export "take") (param i32) (result i32) (call $rep (local.get 0)) (call $drop (local.get 0)))
    (func (export "both") (param i32 i32))
    (func (export "run") (result i32) {body}))
  (core instance $m (instantiate $M
    (with "h" (instance (export "new" (func $new)) (export "rep" (func $rep)) (export "drop" (func $drop))))
    (with "d" (instance $d))))
  (func (export "make") (param "n" u32) (result (own $r)) (canon lift (core func $m "make")))
  (func (export "get") (param "of" (borrow $r)) (result u32) (canon lift (core func $m "get")))
  (func (export "take") (param "of" (own $r)) (result u32) (canon lift (core func $m "take")))
  (func (export "both") (param "one" (borrow $r)) (param "other" (own $r)) (canon lift (core func $m "both")))
  (func (export "run") (result u32) (canon lift (core func $m "run")))
  (func (export "destroyed") (result u32) (canon lift (core func $d "destroyed"))))"#
    )
}

fn instance(body: &str) -> Instance {
    load(&defining(body), &Grants::new())
        .instantiate(())
        .unwrap()
}

fn make(instance: &mut Instance, number: u32) -> Resource {
    instance
        .call_component::<(u32,), Resource>("make", (number,))
        .unwrap()
}

fn destroyed(instance: &mut Instance) -> u32 {
    instance.call_component::<(), u32>("destroyed", ()).unwrap()
}

#[test]
fn the_host_lends_and_gives_back_resources_of_the_guest() {
    let instance = &mut instance("(i32.const 0)");
    let (one, other) = (make(instance, 10), make(instance, 200));
    for _ in 0..3 {
        let get = instance.call_component::<(&Resource,), u32>("get", (&one,));
        assert_eq!(get, Ok(10));
    }
    let taken = instance.call_component::<(&Resource,), u32>("take", (&other,));
    assert_eq!(taken, Ok(200));
    assert_eq!(destroyed(instance), 200);
    // It is the guest's now.
    for name in ["take", "get"] {
        let again = instance.call_component::<(&Resource,), u32>(name, (&other,));
        assert_eq!(code(&again), "value-type", "{again:?}");
    }
    instance.drop_resource(&one).unwrap();
    assert_eq!(destroyed(instance), 210);
    assert_eq!(code(&instance.drop_resource(&one)), "value-type");
    assert_eq!(destroyed(instance), 210);
}

#[test]
fn a_resource_of_another_instance_is_refused() {
    let expect = |result: Result<(), CallError>, what: &str| {
        assert_eq!(code(&result), "value-type", "{result:?}");
        let message = result.unwrap_err().to_string();
        assert!(message.contains(what), "{message}");
    };
    let other = "of another instance, or of this one before it was reset";
    let plugin = load(&defining("(i32.const 0)"), &Grants::new());
    let [mut one, mut two] = [(); 2].map(|()| plugin.instantiate(()).unwrap());
    let [of_one, of_two] = [(&mut one, 1), (&mut two, 2)].map(|(of, number)| make(of, number));
    // Both have this number in their instance.
    assert_eq!(of_one.number(), of_two.number());
    for name in ["get", "take"] {
        let used = two.call_component::<(&Resource,), u32>(name, (&of_one,));
        expect(used.map(drop), other);
        let forged = two.call_component::<(&Resource,), u32>(name, (&Resource::new(1),));
        expect(forged.map(drop), "the guest defines this resource");
    }
    expect(two.drop_resource(&of_one), other);
    let used = two.call_component::<(&Resource,), u32>("take", (&of_two,));
    assert_eq!(used, Ok(2));

    // An instance of the pool, which is reset after each request.
    let kept = plugin
        .with_instance(|instance| Ok(make(instance, 3)))
        .unwrap();
    let later = plugin.with_instance(|instance| {
        let again = make(instance, 4);
        assert_eq!(again.number(), kept.number());
        expect(instance.drop_resource(&kept), other);
        let used = instance.call_component::<(&Resource,), u32>("take", (&kept,));
        expect(used.map(drop), other);
        instance.call_component::<(&Resource,), u32>("take", (&again,))
    });
    assert_eq!(later, Ok(4));
    assert_eq!(plugin.pool_figures().resets, 2);
}

#[test]
fn a_resource_that_is_lent_cannot_be_given_away_in_the_same_call() {
    let instance = &mut instance("(i32.const 0)");
    let one = make(instance, 1);
    let both = instance.call_component::<(&Resource, &Resource), ()>("both", (&one, &one));
    assert_eq!(code(&both), "value-type", "{both:?}");
    assert_eq!(destroyed(instance), 0);
    // Nothing is lent any more.
    assert_eq!(
        instance.call_component::<(&Resource,), u32>("take", (&one,)),
        Ok(1)
    );
}

#[test]
fn a_guest_drops_what_it_made_and_its_destructor_runs() {
    let two = "(call $drop (call $new (i32.const 3))) (call $drop (call $new (i32.const 40)))";
    let instance = &mut instance(&format!("{two} (call $destroyed)"));
    assert_eq!(instance.call_component::<(), u32>("run", ()), Ok(43));
}

#[test]
fn forged_handles_trap_with_the_reason() {
    for (body, reason) in [
        ("(call $rep (i32.const 0))", "unknown handle index 0"),
        ("(call $rep (i32.const 1))", "unknown handle index 1"),
        (
            "(call $rep (i32.const -1))",
            "unknown handle index 4294967295",
        ),
        (
            "(call $drop (i32.const 7)) (i32.const 0)",
            "unknown handle index 7",
        ),
        (
            "(local $h i32) (local.set $h (call $new (i32.const 9))) (call $drop (local.get $h))
             (call $drop (local.get $h)) (i32.const 0)",
            "unknown handle index 1",
        ),
        (
            "(loop (drop (call $new (i32.const 0))) (br 0)) (unreachable)",
            "more than 100000 handles",
        ),
    ] {
        let ran = instance(body).call_component::<(), u32>("run", ());
        assert_eq!(code(&ran), "trap-abi", "{body}: {ran:?}");
        assert!(ran.unwrap_err().to_string().contains(reason), "{body}");
    }
}

/// A component that imports a resource of the host's. `use` gets a handle that it borrows.
fn borrowing(body: &str) -> String {
    format!(
        r#"(component
  (import "host:files/files@1.0.0" (instance $files
    (export "file" (type $file (sub resource)))
    (export "[constructor]file" (func (param "name" u32) (result (own $file))))
    (export "[method]file.name" (func (param "self" (borrow $file)) (result u32)))))
  (alias export $files "file" (type $file))
  (core func $open (canon lower (func $files "[constructor]file")))
  (core func $name (canon lower (func $files "[method]file.name")))
  (core func $drop (canon resource.drop $file))
  (core module $M
    (import "h" "open" (func $open (param i32) (result i32)))
    (import "h" "name" (func $name (param i32) (result i32)))
    (import "h" "drop" (func $drop (param i32)))
    (func (export "use") (param i32) (result i32) {body})
    (func (export "give") (param i32) (result i32) (call $open (local.get 0))))
  (core instance $m (instantiate $M (with "h" (instance
    (export "open" (func $open)) (export "name" (func $name)) (export "drop" (func $drop))))))
  (func (export "use") (param "of" (borrow $file)) (result u32) (canon lift (core func $m "use")))
  (func (export "give") (param "name" u32) (result (own $file)) (canon lift (core func $m "give"))))"#
    )
}

struct File(u32);

/// The host's files, and the names of those that were closed.
struct Files {
    open: Table<File>,
    closed: Vec<u32>,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            open: Table::new(10),
            closed: Vec::new(),
        }
    }
}

fn files() -> Grants<Files> {
    let interface = Interface::new("host:files/files@1.0.0")
        .resource(
            "file",
            |context: &mut Context<'_, Files>, file: Own<File>| {
                let File(name) = context.data_mut().open.remove(file)?;
                context.data_mut().closed.push(name);
                Ok(())
            },
        )
        .function(
            "[constructor]file",
            |context: &mut Context<'_, Files>, name: u32| {
                context.data_mut().open.insert(File(name))
            },
        )
        .function(
            "[method]file.name",
            |context: &mut Context<'_, Files>, file: Borrow<File>| {
                Ok::<_, hostel::Trap>(context.data().open.get(&file)?.0)
            },
        );
    Grants::with_data().interface(interface)
}

fn with_files(body: &str) -> Instance<Files> {
    let wasm = wat::parse_str(borrowing(body)).unwrap();
    let plugin = Engine::default().load_component("files", &wasm, &files());
    plugin.unwrap().instantiate(Files::default()).unwrap()
}

/// Lends a file of the host's to the guest.
fn lend(instance: &mut Instance<Files>) -> Result<Option<Value>, CallError> {
    let file = instance.data_mut().open.insert(File(77)).unwrap();
    instance.call_component_values("use", &[Value::Resource(Resource::new(file.number()))])
}

#[test]
fn a_guest_uses_and_drops_resources_of_the_host() {
    let mut instance = with_files(
        "(local $own i32) (local.set $own (call $open (i32.const 5)))
         (i32.mul (call $name (local.get $own)) (call $name (local.get 0)))
         (call $drop (local.get $own)) (call $drop (local.get 0))",
    );
    assert_eq!(lend(&mut instance), Ok(Some(Value::U32(385))));
    assert_eq!(instance.data().closed, [5]);
    let file = instance
        .call_component::<(u32,), Own<File>>("give", (6,))
        .unwrap();
    assert_eq!(instance.data().open.get(&file).unwrap().0, 6);
}

#[test]
fn what_a_guest_may_not_do_with_borrowed_handles_traps() {
    for (body, reason) in [
        (
            "(i32.const 0)",
            "borrow handles still remain at the end of the call",
        ),
        (
            "(call $drop (local.get 0)) (call $name (local.get 0))",
            "unknown handle index 1",
        ),
        (
            "(call $drop (local.get 0)) (call $drop (local.get 0)) (i32.const 0)",
            "unknown handle index 1",
        ),
    ] {
        let mut instance = with_files(body);
        let used = lend(&mut instance);
        assert_eq!(code(&used), "trap-abi", "{body}: {used:?}");
        assert!(used.unwrap_err().to_string().contains(reason), "{body}");
        assert!(instance.is_stopped());
        assert_eq!(instance.data().closed, [0; 0]);
    }
}

/// Two resources of the host.
struct One;
struct Two;

#[test]
fn resources_that_are_not_those_of_the_host_are_refused() {
    let host = || {
        Interface::new("host")
            .function("f", || 3u32)
            .resource("one", |_: &mut Context<'_, ()>, _: Own<One>| Ok(()))
            .resource("two", |_: &mut Context<'_, ()>, _: Own<Two>| Ok(()))
            .resource("again", |_: &mut Context<'_, ()>, _: Own<One>| Ok(()))
    };
    let loaded = |exports: &str| {
        let text = format!(r#"(component (import "host" (instance {exports})))"#);
        let wasm = wat::parse_str(text).unwrap();
        let grants = Grants::new().interface(host());
        Engine::default().load_component("component", &wasm, &grants)
    };
    for (exports, reason) in [
        (r#"(export "other" (type (sub resource)))"#, "`host.other`"),
        (r#"(export "f" (type (sub resource)))"#, "func() -> u32"),
        (
            r#"(export "two" (type $two (sub resource))) (export "again" (type (eq $two)))"#,
            "the resource `two`",
        ),
    ] {
        let error = loaded(exports).unwrap_err();
        assert_eq!(error.code(), "mismatch", "{error}");
        let message = error.to_string();
        assert!(message.contains(reason), "{message}");
    }
    let exports = r#"(export "one" (type $one (sub resource))) (export "again" (type (eq $one)))"#;
    assert!(loaded(exports).is_ok());
}

#[test]
fn a_call_that_fails_with_a_handle_on_its_way_is_the_last_one_of_its_instance() {
    let text = r#"(component
  (import "host" (instance $host (export "one" (type $one (sub resource)))))
  (alias export $host "one" (type $one))
  (core func $drop (canon resource.drop $one))
  (core module $M
    (import "h" "drop" (func $drop (param i32)))
    (func (export "use") (param i32 i32) (call $drop (local.get 0))))
  (core instance $m (instantiate $M (with "h" (instance (export "drop" (func $drop))))))
  (func (export "use") (param "one" (borrow $one)) (param "n" u32) (canon lift (core func $m "use"))))"#;
    let host =
        Interface::new("host").resource("one", |_: &mut Context<'_, ()>, _: Own<One>| Ok(()));
    let plugin = load(text, &Grants::new().interface(host));
    let mut instance = plugin.instantiate(()).unwrap();
    let mut use_with = |n| {
        let params = (Borrow::<One>::new(7), n);
        instance.call_component::<(Borrow<One>, Value), ()>("use", params)
    };
    assert_eq!(use_with(Value::U32(1)), Ok(()));
    // The guest has the first argument's handle by then, and would find it in the next call.
    let failed = use_with(Value::String("1".into()));
    assert_eq!(code(&failed), "value-type", "{failed:?}");
    assert_eq!(use_with(Value::U32(1)), Err(CallError::Stopped));
}
