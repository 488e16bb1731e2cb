//! What an operator sets up: permissions, credentials, replicas; and a worker that can't follow.

use super::machines::{Nats, Raw, Worker, counter, on_runtime, says};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hostel_fleet::{Fleet, FleetOptions, Presence, hostel_server::new_token};
use nkeys::KeyPair;
use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

const WAIT: Duration = Duration::from_secs(60);

/// The permissions of `docs/fleet.md`: those of a worker, of one who calls the plugin `one`, and of one who submits its jobs.
pub(super) const USERS: &str = r#"authorization { users = [
    { user: worker, password: w, permissions: {
        publish: ["hostel.>", "$JS.API.>", "$JS.ACK.>", "$JS.FC.>", "$KV.hostel-releases.>", "$KV.hostel-workers.>",
            "$KV.hostel-state.>", "$O.hostel-plugins.>", "_INBOX.>"],
        subscribe: ["hostel.call.>", "hostel.submit.>", "_INBOX.>"] } },
    { user: anna, password: a, permissions: {
        publish: ["hostel.call.one", "hostel.call.one.*"], subscribe: ["_INBOX.anna.>"] } },
    { user: ben, password: b, permissions: {
        publish: ["hostel.submit.one"], subscribe: ["_INBOX.ben.>"] } },
] }"#;

pub(super) async fn connect(servers: String) -> Fleet {
    let options = FleetOptions {
        servers,
        ..FleetOptions::default()
    };
    Fleet::connect(&options).await.expect("NATS takes clients")
}

#[test]
fn a_client_of_one_plugin_reaches_nothing_of_another() {
    let Some(nats) = Nats::start_with_config(USERS) else {
        return;
    };
    let url = nats.url_as("worker:w@");
    let _worker = nats.worker_with(2, &["--nats", &url]);
    let (mut anna, mut ben) = (
        Raw::connect_as(&nats, ("anna", "a"), "_INBOX.anna.>"),
        Raw::connect_as(&nats, ("ben", "b"), "_INBOX.ben.>"),
    );
    on_runtime(async {
        let fleet = connect(url.clone()).await;
        fleet
            .set_settings("[defaults]\ngrants = [\"state\"]\n")
            .await
            .unwrap();
        for name in ["one", "other"] {
            fleet.push(name, &counter()).await.unwrap();
        }
        // What is theirs works.
        anna.publish("hostel.call.one", "_INBOX.anna.1", &[], "key");
        assert_eq!(anna.next(), "_INBOX.anna.1");
        ben.publish(
            "hostel.submit.one",
            "_INBOX.ben.1",
            &[("Hostel-Job", "bens")],
            "key",
        );
        assert_eq!(ben.next(), "_INBOX.ben.1");
        let began = Instant::now();
        let done = loop {
            match fleet.result("one", "bens", WAIT).await {
                Ok(done) => break done,
                Err(error) => assert!(began.elapsed() < WAIT, "{error}"),
            }
        };
        assert_eq!(done, 2_u64.to_le_bytes().to_vec());
    });
    // With the permissions of the table, a worker lacks none.
    let log = nats.log();
    assert!(!log.contains("Violation"), "{log}");
    let publish = [
        "hostel.call.other",
        "hostel.call.other.process",
        "hostel.call.one.process.more",
        "hostel.submit.other",
        "hostel.job.one",
        "hostel.job.other",
        "hostel.dead.one",
        "$KV.hostel-state.one",
        "$KV.hostel-state.other",
        "hostel.result.one.job.bens",
        "$KV.hostel-releases.releases",
        "$KV.hostel-workers.forged",
        "$O.hostel-plugins.C.x",
        "$JS.API.STREAM.MSG.GET.KV_hostel-state",
        "$JS.API.STREAM.MSG.GET.hostel-results=one",
        "$JS.API.DIRECT.GET.OBJ_hostel-plugins.x",
        "$JS.API.CONSUMER.CREATE.hostel-jobs",
        "$JS.API.CONSUMER.MSG.NEXT.hostel-jobs.workers-other",
        "$JS.API.STREAM.PURGE.hostel-jobs",
        "$JS.API.STREAM.LIST",
        "$JS.ACK.hostel-jobs.workers-other.1.1.1.1.0",
        "_INBOX.worker.1",
    ];
    let subscribe = [
        ">",
        "hostel.>",
        "hostel.call.one",
        "hostel.call.other",
        "hostel.job.other",
        "hostel.dead.>",
        "$KV.hostel-state.>",
        "hostel.result.>",
        "$JS.EVENT.ADVISORY.>",
        "_INBOX.>",
        "_INBOX.*",
        "_INBOX.worker.>",
    ];
    for client in [&mut anna, &mut ben] {
        for subject in publish {
            client.publish(subject, "_INBOX.anna.2", &[], "");
            let error = client.error();
            let expected = format!("-ERR 'Permissions Violation for Publish to \"{subject}\"'");
            assert_eq!(error, expected);
        }
        for subject in subscribe {
            client.subscribe(subject);
            let error = client.error();
            assert!(
                error.contains(&format!("Violation for Subscription to \"{subject}\"")),
                "{error}"
            );
        }
    }
    for (client, subject) in [
        (&mut ben, "hostel.call.one"),
        (&mut anna, "hostel.submit.one"),
    ] {
        client.publish(subject, "", &[], "");
        assert!(client.error().contains("Violation"), "{subject}");
    }
    // Nothing of that was done.
    on_runtime(async {
        let fleet = connect(url).await;
        let one = fleet.call("one", "", "key".into(), WAIT).await.unwrap();
        assert_eq!(one.output, 3_u64.to_le_bytes().to_vec());
        let other = fleet.call("other", "", "key".into(), WAIT).await.unwrap();
        assert_eq!(other.output, 1_u64.to_le_bytes().to_vec());
        let view = fleet.view().await.unwrap();
        assert_eq!(
            (view.workers.len(), view.jobs.waiting, view.jobs.dead),
            (1, 0, 0)
        );
    });
}

#[test]
fn a_file_of_credentials_is_what_a_worker_needs() {
    let [operator, account, system, user] = [
        KeyPair::new_operator(),
        KeyPair::new_account(),
        KeyPair::new_account(),
        KeyPair::new_user(),
    ];
    // As `nsc` makes them: claims of JSON, signed by the key above.
    let signed = |by: &KeyPair, of: &KeyPair, nats: &str| {
        let (by_name, of_name) = (by.public_key(), of.public_key());
        let claims = format!(
            r#"{{"jti":"{of_name}","iat":1700000000,"iss":"{by_name}","sub":"{of_name}","name":"test","nats":{nats}}}"#
        );
        let head = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
        let text = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = by.sign(text.as_bytes()).expect("the key signs");
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    };
    let limits = r#"{"limits":{"subs":-1,"data":-1,"payload":-1,"imports":-1,"exports":-1,"wildcards":true,"conn":-1,"leaf":-1,
        "mem_storage":-1,"disk_storage":-1,"streams":-1,"consumer":-1},"type":"account","version":2}"#;
    let of_system = limits.replace(r#""mem_storage":-1,"disk_storage":-1,"#, "");
    let config = format!(
        "operator: {}\nsystem_account: {1}\nresolver: MEMORY\nresolver_preload: {{ {1}: {2}\n{3}: {4} }}\n",
        signed(&operator, &operator, r#"{"type":"operator","version":2}"#),
        system.public_key(),
        signed(&operator, &system, &of_system),
        account.public_key(),
        signed(&operator, &account, limits),
    );
    let Some(nats) = Nats::start_with_config(&config) else {
        return;
    };
    let rights =
        r#"{"pub":{},"sub":{},"subs":-1,"data":-1,"payload":-1,"type":"user","version":2}"#;
    let file = |name: &str, seed: &str| {
        let token = signed(&account, &user, rights);
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
            -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        nats.file(name, text.as_bytes())
    };
    let seed = user.seed().expect("it has one");
    let credentials = file("right.creds", &seed);
    let _worker = nats.worker_with(1, &["--nats", &nats.url(), "--creds", &credentials]);
    let plugin = nats.file("sayer.wasm", &says("one"));
    let push = |credentials: &[&str]| {
        let push = ["plugins", "push", "sayer", &plugin];
        let ended = nats.hostel(&[&push, credentials].concat());
        let text = String::from_utf8_lossy(&ended.stderr).into_owned();
        (ended.status.code(), text)
    };
    assert_eq!(push(&["--creds", &credentials]), (Some(0), String::new()));
    let other_seed = KeyPair::new_user().seed().expect("it has one");
    let wrong = file("wrong.creds", &other_seed);
    let empty = nats.file("empty.creds", seed.as_bytes());
    for arguments in [&["--creds", &*wrong][..], &["--creds", &empty], &[]] {
        let (code, text) = push(arguments);
        assert_eq!(code, Some(7), "{arguments:?}: {text}");
        // No error has a key.
        assert!(text.contains("can't connect"), "{text}");
        assert!(
            !text.contains(&other_seed) && !text.contains(&seed),
            "{text}"
        );
    }
}

#[test]
fn replicas_need_as_many_servers() {
    let Some(nats) = Nats::start() else { return };
    let arguments = ["serve", "--replicas", "3", "--listen", "127.0.0.1:0"];
    let url = nats.url();
    let ended = nats.hostel(&[&arguments[..], &["--nats", &url]].concat());
    let text = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(7), "{text}");
    assert!(text.contains("can't make the stream"), "{text}");
    // Nothing is left that would have one replica for ever, and one server is enough for one.
    let _worker = nats.worker(1);
}

#[test]
fn a_worker_that_can_not_follow_takes_no_work() {
    let Some(nats) = Nats::start() else { return };
    let workers: [Worker; 2] = [nats.worker(2), nats.worker(2)];
    on_runtime(async {
        let fleet = nats.fleet().await;
        fleet.push("sayer", &says("one")).await.unwrap();
        let until = async |what: &str, holds: &dyn Fn(&[Presence]) -> bool| {
            let began = Instant::now();
            loop {
                let all = fleet.presences().await.unwrap();
                if holds(&all) {
                    return all;
                }
                assert!(began.elapsed() < WAIT, "{what}: {all:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let all = until("two", &|all| all.len() == 2).await;
        let old = all[0].serves;
        // One is away while a release is decided. The file that the release needs is gone when it comes back.
        workers[1].signal("-STOP");
        let rest = until("one", &|all| all.len() == 1).await;
        let secret = nats.file("secret", b"key");
        let settings = format!(
            "[plugin.sayer]\ngrants = [\"config\"]\nconfig = {{ key = {{ file = '{secret}' }} }}\n"
        );
        fleet.set_settings(&settings).await.unwrap();
        let active = fleet.view().await.unwrap().releases.active.number;
        assert!(active > old);
        fs::remove_file(&secret).unwrap();
        workers[1].signal("-CONT");
        let all = until("behind", &|all| all.iter().any(|it| it.behind.is_some())).await;
        let behind = all.iter().find(|it| it.behind.is_some()).unwrap();
        assert_ne!(behind.worker, rest[0].worker);
        assert_eq!(behind.serves, old);
        let reason = behind.behind.clone().unwrap();
        assert!(reason.contains("secret"), "{reason}");
        let top = nats.hostel(&["top"]);
        let top = String::from_utf8_lossy(&top.stdout).into_owned();
        assert!(top.contains("secret"), "{top}");
        for _ in 0..20 {
            let reply = fleet.call("sayer", "", "".into(), WAIT).await.unwrap();
            assert_eq!((&reply.worker, reply.release), (&rest[0].worker, active));
        }
        // It catches up when it can.
        nats.file("secret", b"key");
        until("caught up", &|all| {
            all.len() == 2
                && all
                    .iter()
                    .all(|it| it.serves == active && it.behind.is_none())
        })
        .await;
        let began = Instant::now();
        while fleet
            .call("sayer", "", "".into(), WAIT)
            .await
            .unwrap()
            .worker
            != behind.worker
        {
            assert!(began.elapsed() < WAIT);
        }
    });
}

/// Makes a request to a worker's HTTP interface, and returns the head of the answer.
fn ask(worker: &Worker, line: &str, token: &str) -> String {
    let mut stream = TcpStream::connect(worker.address()).unwrap();
    let request = format!(
        "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-length: 1\r\n\r\nx"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_token_of_one_plugin_sees_nothing_of_the_fleet() {
    let Some(nats) = Nats::start() else { return };
    let worker = nats.worker(1);
    let (token, sha256) = new_token().unwrap();
    on_runtime(async {
        let fleet = nats.fleet().await;
        for name in ["one", "other"] {
            fleet.push(name, &says(name)).await.unwrap();
        }
        let settings = format!(
            "[token.anna]\nsha256 = \"{sha256}\"\nrole = \"caller\"\nplugins = [\"one\"]\n"
        );
        fleet.set_settings(&settings).await.unwrap();
        fleet.call("other", "", "".into(), WAIT).await.unwrap();
    });
    let own = ask(&worker, "POST /v1/plugins/one", &token);
    assert!(
        own.starts_with("HTTP/1.1 200 ") && own.ends_with("one"),
        "{own}"
    );
    let listed = ask(&worker, "GET /v1/plugins", &token);
    assert!(!listed.contains("other"), "{listed}");
    for line in [
        "GET /v1/fleet",
        "GET /metrics",
        "GET /v1/plugins/other",
        "GET /v1/openapi/other",
        "POST /v1/plugins/other",
        "PUT /v1/plugins/one",
        "DELETE /v1/plugins/one",
        "POST /v1/versions/one/rollback",
    ] {
        let answer = ask(&worker, line, &token);
        assert!(answer.starts_with("HTTP/1.1 403 "), "{line}: {answer}");
        assert!(!answer.contains(&token));
        let unknown = ask(&worker, line, "wrong");
        assert!(unknown.starts_with("HTTP/1.1 401 "), "{line}: {unknown}");
    }
    let log = worker.log();
    assert!(!log.contains(&token) && !log.contains(&sha256), "{log}");
}
