//! Versions of plugins, served by all workers or by none.

use super::machines::{Nats, Raw, on_runtime, says, wasm};
use hostel_fleet::{Fleet, FleetError};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const WAIT: Duration = Duration::from_secs(20);

async fn said(fleet: &Fleet, plugin: &str) -> String {
    let reply = fleet.call(plugin, "", "".into(), WAIT).await.unwrap();
    String::from_utf8(reply.output.to_vec()).unwrap()
}

#[test]
fn a_new_version_fails_no_call_and_a_broken_one_is_refused_by_all() {
    let Some(nats) = Nats::start() else { return };
    let workers = [(); 3].map(|()| nats.worker(1));
    on_runtime(async {
        let fleet = nats.fleet().await;
        assert_eq!(fleet.push("sayer", &says("one")).await.unwrap().number, 1);
        let stop = Arc::new(AtomicBool::new(false));
        let calls = Arc::new(AtomicU64::new(0));
        let mut callers = Vec::new();
        for _ in 0..4 {
            let (fleet, stop, calls) = (fleet.clone(), stop.clone(), calls.clone());
            callers.push(tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let text = said(&fleet, "sayer").await;
                    assert!(["one", "two"].contains(&&*text), "{text}");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            }));
        }
        while calls.load(Ordering::Relaxed) < 100 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(fleet.push("sayer", &says("two")).await.unwrap().number, 2);
        let switched = Instant::now();
        let (mut old, mut of) = (0, std::collections::BTreeSet::new());
        // Each worker is met many times.
        for _ in 0..300 {
            let reply = fleet.call("sayer", "", "".into(), WAIT).await.unwrap();
            if switched.elapsed() > Duration::from_secs(2) || of.len() < 3 {
                old += u32::from(&reply.output[..] == b"one");
            }
            of.insert(reply.worker);
        }
        assert_eq!(
            (old, of.len()),
            (0, 3),
            "calls in the old version, and workers met"
        );
        // One that can't be loaded changes nothing, and says why.
        let broken = wasm(r#"(import "env" "fork" (func))"#);
        let refused = fleet.push("sayer", &broken).await.unwrap_err();
        let FleetError::Refused(_, reasons) = &refused else {
            panic!("{refused}")
        };
        assert!(
            !reasons.is_empty() && reasons.iter().all(|(_, reason)| reason.contains("fork")),
            "{refused}"
        );
        // Nor does a release of which one plugin of several can't be loaded, or whose settings are wrong.
        let refused = fleet
            .set_settings("[plugin.sayer]\nquue = 5\n")
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("did you mean `queue`?"),
            "{refused}"
        );
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await.expect("no call fails");
        }
        for worker in fleet.view().await.unwrap().workers {
            assert_eq!((worker.serves, worker.behind), (2, None));
        }
        assert_eq!(said(&fleet, "sayer").await, "two");
        // A worker that comes later serves what the others do.
        let late = nats.worker(0);
        assert!(late.log().contains("serving 1 plugins"), "{}", late.log());
        assert_eq!(fleet.rollback("sayer", None).await.unwrap().number, 1);
        assert_eq!(said(&fleet, "sayer").await, "one");
        fleet.remove("sayer").await.unwrap();
        let gone = fleet.call("sayer", "", "".into(), WAIT).await.unwrap_err();
        assert_eq!(gone.code(), "unknown-plugin");
        assert_eq!(fleet.rollback("sayer", Some("2")).await.unwrap().number, 2);
        drop(workers);
    });
}

#[test]
fn calls_have_the_codes_of_errors() {
    let Some(nats) = Nats::start() else { return };
    on_runtime(async {
        let fleet = nats.fleet().await;
        // Nobody is there to take it, which NATS says at once.
        let nobody = fleet.call("sayer", "", "".into(), WAIT).await.unwrap_err();
        assert_eq!(nobody.code(), "nats", "{nobody}");
        let worker = nats.worker(1);
        let guest = wasm(
            r#"(func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1))
            (func (export "trap") (param i32 i32) (result i32 i32) unreachable)
            (func (export "loop") (param i32 i32) (result i32 i32) (loop (br 0)) unreachable)
            (func (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))"#,
        );
        let settings = "[defaults]\nbudget = { fuel = \"1M\" }\n";
        fleet.set_settings(settings).await.unwrap();
        fleet.push("a.b", &guest).await.unwrap();
        let call = async |export: &str, input: &'static str| {
            let reply = fleet.call("a.b", export, input.into(), WAIT).await;
            reply.map(|reply| String::from_utf8(reply.output.to_vec()).unwrap())
        };
        assert_eq!(call("", "hello").await.unwrap(), "hello");
        assert_eq!(call("double", "[21]").await.unwrap(), "[42]");
        for (export, input, code) in [
            ("trap", "", "trap-unreachable"),
            ("loop", "", "out-of-fuel"),
            ("missing", "", "unknown-export"),
            ("double", "21", "bad-json"),
        ] {
            let error = call(export, input).await.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(matches!(error, FleetError::Failed(..)));
        }
        // The worker's own HTTP interface shows the fleet.
        let mut stream = TcpStream::connect(worker.address()).unwrap();
        let request = format!(
            "GET /v1/fleet HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            worker.address()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let view: serde_json::Value = serde_json::from_str(body).expect(body);
        assert_eq!(view["fleet"], "hostel");
        assert_eq!(view["workers"].as_array().map(Vec::len), Some(1), "{body}");
    });
}

#[test]
fn a_caller_gets_replies_in_its_inbox_alone() {
    let Some(nats) = Nats::start() else { return };
    let worker = nats.worker(1);
    on_runtime(async {
        let fleet = nats.fleet().await;
        fleet.push("sayer", &says("one")).await.unwrap();
    });
    let mut caller = Raw::connect(&nats, ">");
    let replies = [
        "$KV.hostel-state.sayer",
        "$KV.hostel-releases.releases",
        "hostel.job.sayer",
        "hostel.call.sayer.process",
        "hostel.submit.sayer",
        "_INBOX",
        "_INBOXES.caller",
    ];
    for reply in replies {
        caller.publish("hostel.call.sayer", reply, &[], "");
    }
    // It comes last: a worker replies to its calls in any order, but refuses before it begins one.
    for reply in ["_INBOX.caller.1", "_INBOX.caller.2"] {
        caller.publish("hostel.call.sayer", reply, &[], "");
        loop {
            let subject = caller.next();
            assert!(!replies.contains(&&*subject), "{subject}");
            if subject == reply {
                break;
            }
        }
    }
    let log = worker.log();
    for reply in replies {
        assert!(log.contains(&format!("reply subject `{reply}`")), "{log}");
    }
}

#[test]
fn the_program_pushes_lists_and_shows() {
    let Some(nats) = Nats::start() else { return };
    let _worker = nats.worker(1);
    let run = |arguments: &[&str], code: i32| {
        let output = nats.hostel(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {stdout}{stderr}"
        );
        format!("{stdout}{stderr}")
    };
    let one = nats.file("one.wasm", &says("one"));
    let two = nats.file("two.wasm", &says("two"));
    let broken = nats.file("broken.wasm", b"\0asm\x01\0\0\0\xff");
    assert!(run(&["plugins", "push", "sayer", &one], 0).starts_with("sayer: version 1, "));
    assert!(run(&["plugins", "push", "sayer", &two], 0).starts_with("sayer: version 2, "));
    let refused = run(&["plugins", "push", "sayer", &broken], 3);
    assert!(
        refused.contains("error: release 3 was refused"),
        "{refused}"
    );
    assert!(refused.contains("plugin `sayer`: "), "{refused}");
    let needy = wasm(
        r#"(import "env" "absent" (func))
        (func (export "process") (param i32 i32) (result i32 i32) (local.get 0) (local.get 1))"#,
    );
    let needy = run(
        &["plugins", "push", "sayer", &nats.file("needy.wasm", &needy)],
        3,
    );
    assert!(needy.contains("absent") && !needy.contains("::"), "{needy}");
    assert_eq!(run(&["job", "submit", "sayer", "--wait", "20s"], 0), "two");
    run(&["plugins", "rollback", "sayer"], 0);
    let list = run(&["plugins", "list"], 0);
    assert!(
        list.contains("\n* sayer                         1  "),
        "{list}"
    );
    assert!(
        list.contains("\n  sayer                         2  "),
        "{list}"
    );
    let id = run(&["job", "submit", "sayer", "--id", "job-7"], 0);
    assert_eq!(id, "sayer/job-7\n");
    assert_eq!(
        run(&["job", "result", "sayer/job-7", "--wait", "20s"], 0),
        "one"
    );
    let status = run(&["job", "status", "sayer/job-7"], 0);
    assert!(status.starts_with("sayer/job-7: done, 3 bytes"), "{status}");
    assert!(run(&["job", "status", "sayer/job-8"], 2).contains("there is no job `sayer/job-8`"));
    assert!(run(&["job", "status", "job-7"], 2).contains("PLUGIN/ID"));
    run(&["job", "submit", "sayer", "--id", "a.b"], 2);
    let failed = run(
        &["job", "submit", "sayer", "--call", "none", "--wait", "20s"],
        1,
    );
    assert!(failed.contains("unknown-export"), "{failed}");
    let top = run(&["top"], 0);
    assert!(
        top.contains("1 workers, release 5") && !top.contains('\x1b'),
        "{top}"
    );
    // A password is in no error.
    let secret = "nats://user:hidden@127.0.0.1:1";
    let refused = run(&["top", "--nats", secret], 7);
    assert!(
        refused.contains("can't connect") && !refused.contains("hidden"),
        "{refused}"
    );
}

#[test]
fn a_user_and_a_password_are_those_of_the_url() {
    let arguments = &["--user", "anna", "--pass", "hid/den"];
    let Some(nats) = Nats::start_with(arguments) else {
        return;
    };
    let ended = |login: &str| {
        let url = nats.url_as(login);
        let output = nats.hostel(&["plugins", "list", "--nats", &url]);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text)
    };
    assert_eq!(ended("anna:hid%2Fden@"), (Some(0), String::new()));
    for login in ["anna:wrong@", "anna@", ""] {
        let (code, text) = ended(login);
        assert_eq!(code, Some(7), "{text}");
        assert!(text.contains("authorization violation"), "{text}");
        assert!(!text.contains("wrong"), "{text}");
    }
}

#[test]
fn workers_show_themselves_again_after_a_restart_of_nats() {
    let Some(mut nats) = Nats::start() else {
        return;
    };
    let workers: Vec<_> = (0..2).map(|_| nats.worker(1)).collect();
    on_runtime(async {
        let fleet = nats.fleet().await;
        fleet.push("sayer", &says("one")).await.unwrap();
        // The bucket of workers is in memory. This client was there before, and makes nothing again.
        nats.restart();
        let began = Instant::now();
        while fleet.presences().await.map_or(0, |all| all.len()) < workers.len() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "{}",
                workers[0].log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        fleet.push("sayer", &says("two")).await.unwrap();
        assert_eq!(said(&fleet, "sayer").await, "two");
    });
}
