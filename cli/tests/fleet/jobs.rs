//! Jobs: none is lost, and each has its effects once.

use super::machines::{Nats, Raw, SETTINGS, Worker, counter, on_runtime, push_endless, says, wasm};
use hostel_fleet::{Fleet, FleetError, JobState, NewJob};
use std::{
    collections::BTreeSet,
    env,
    time::{Duration, Instant},
};

const WAIT: Duration = Duration::from_secs(60);

fn visit(number: usize) -> NewJob {
    NewJob {
        id: Some(format!("visit-{number}")),
        plugin: "counter".into(),
        input: "all".into(),
        attempts: Some(100),
        ..NewJob::default()
    }
}

/// Submits a job until that succeeds: NATS may be away.
async fn submit(fleet: &Fleet, job: NewJob) {
    let began = Instant::now();
    loop {
        match fleet.submit(job.clone()).await {
            Ok(_) => return,
            Err(error) => assert!(began.elapsed() < WAIT, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Submits a job without input, and returns its identifier.
async fn submitted(fleet: &Fleet, plugin: &str) -> String {
    let job = NewJob {
        plugin: plugin.into(),
        ..NewJob::default()
    };
    fleet.submit(job).await.unwrap().id
}

async fn set_up(nats: &Nats) -> Fleet {
    let fleet = nats.fleet().await;
    fleet.set_settings(SETTINGS).await.unwrap();
    fleet.push("counter", &counter()).await.unwrap();
    fleet
}

async fn visits(fleet: &Fleet, id: &str) -> u64 {
    let result = fleet.result("counter", id, WAIT).await.unwrap();
    u64::from_le_bytes(result[..].try_into().unwrap())
}

/// `HOSTEL_FLEET_JOBS` sets the number of jobs.
#[test]
fn workers_are_killed_and_nats_restarts_but_each_job_is_done_once() {
    let Some(mut nats) = Nats::start() else {
        return;
    };
    let count = env::var("HOSTEL_FLEET_JOBS").ok();
    let count: usize = count.and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let mut workers: Vec<Worker> = (0..3).map(|_| nats.worker(8)).collect();
    on_runtime(async {
        let fleet = set_up(&nats).await;
        let began = Instant::now();
        let (client, submitter) = (fleet.clone(), 8);
        let mut submitting = tokio::task::JoinSet::new();
        for part in 0..submitter {
            let client = client.clone();
            submitting.spawn(async move {
                for number in (part..count).step_by(submitter) {
                    submit(&client, visit(number)).await;
                    // A client that got no answer submits again.
                    if number % 10 == 0 {
                        submit(&client, visit(number)).await;
                    }
                }
            });
        }
        let (mut kills, mut restarted) = (0, false);
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let left = fleet.view().await.map(|view| view.jobs.waiting);
            let submitted = submitting.try_join_next().is_none() && submitting.is_empty();
            if submitted && kills > 2 && restarted && left.as_ref().is_ok_and(|left| *left == 0) {
                break;
            }
            let most = Duration::from_secs(60 + u64::try_from(count / 10).unwrap());
            assert!(
                began.elapsed() < most,
                "{left:?} jobs are left after {kills} kills"
            );
            if kills == 2 && !restarted {
                nats.restart();
                restarted = true;
            }
            // One that has been killed is replaced, as by a supervisor.
            let which = kills % workers.len();
            workers[which].kill();
            workers[which] = nats.worker(8);
            kills += 1;
        }
        while let Some(ended) = submitting.join_next().await {
            ended.unwrap();
        }
        let mut numbers = BTreeSet::new();
        for number in 0..count {
            let id = format!("visit-{number}");
            assert!(
                numbers.insert(visits(&fleet, &id).await),
                "{id} has another one's number"
            );
        }
        // Each job counted one visit: no number is missing, and none is beyond.
        let last = u64::try_from(count).unwrap();
        assert_eq!((numbers.first(), numbers.last()), (Some(&1), Some(&last)));
        let view = fleet.view().await.unwrap();
        assert_eq!(view.jobs.dead, 0);
        eprintln!("{count} jobs, {kills} kills, {:?}", began.elapsed());
    });
}

#[test]
fn a_job_that_is_given_twice_has_its_effects_once() {
    let Some(nats) = Nats::start() else { return };
    let _worker = nats.worker(4);
    on_runtime(async {
        let fleet = set_up(&nats).await;
        for _ in 0..3 {
            submit(&fleet, visit(0)).await;
        }
        assert_eq!(visits(&fleet, "visit-0").await, 1);
        // By itself, NATS would take a message again after two minutes, or with another identifier for it.
        submit(&fleet, visit(0)).await;
        submit(&fleet, visit(1)).await;
        assert_eq!(visits(&fleet, "visit-1").await, 2);
        assert_eq!(visits(&fleet, "visit-0").await, 1);
        // Calls see what jobs have written, and change it at once.
        let reply = fleet.call("counter", "", "all".into(), WAIT).await.unwrap();
        assert_eq!(reply.output, 3_u64.to_le_bytes().to_vec());
    });
}

#[test]
fn an_identifier_is_that_of_one_plugin() {
    let Some(nats) = Nats::start() else { return };
    let worker = nats.worker(4);
    let mut submitter = Raw::connect(&nats, "_INBOX.none");
    on_runtime(async {
        let fleet = set_up(&nats).await;
        fleet.push("sayer", &says("secret")).await.unwrap();
        let say = NewJob {
            plugin: "sayer".into(),
            ..visit(1)
        };
        // Another plugin's submitter guesses what NATS would know the job by.
        for id in ["visit-1", "sayer.visit-1", "sayer/visit-1"] {
            let headers = [("Nats-Msg-Id", id), ("Hostel-Job", "other")];
            submitter.publish("hostel.job.counter", "", &headers, "other");
        }
        while fleet.result("counter", "other", WAIT).await.is_err() {}
        submit(&fleet, say).await;
        let said = fleet.result("sayer", "visit-1", WAIT).await.unwrap();
        assert_eq!(&said[..], b"secret");
        // The other plugin's job is unknown until it is submitted, and is done then.
        let unknown = fleet.job("counter", "visit-1").await.unwrap_err();
        assert_eq!(unknown.code(), "unknown-job", "{unknown}");
        submit(&fleet, visit(1)).await;
        assert_eq!(visits(&fleet, "visit-1").await, 1);
        // A name has one spelling, or a submitter's permissions would say little; and what is dropped is told.
        submitter.publish("hostel.job.=63ounter", "", &[("Hostel-Job", "x")], "");
        submitter.publish("hostel.job.counter", "", &[("Hostel-Job", "a.b")], "");
        submit(&fleet, visit(2)).await;
        assert_eq!(visits(&fleet, "visit-2").await, 2);
        let began = Instant::now();
        for told in [
            "messages to `hostel.job.=63ounter` are no jobs",
            "`hostel.job.counter` with the identifier `a.b`",
        ] {
            while !worker.log().contains(told) {
                assert!(began.elapsed() < WAIT, "{}", worker.log());
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
}

#[test]
fn what_can_not_be_stored_is_no_attempt() {
    let Some(nats) = Nats::start() else { return };
    let worker = nats.worker(4);
    let mut client = Raw::connect(&nats, "_INBOX.none");
    on_runtime(async {
        let fleet = set_up(&nats).await;
        // The first job makes the stream of the plugin's results, which then takes no more.
        submit(&fleet, visit(0)).await;
        assert_eq!(visits(&fleet, "visit-0").await, 1);
        nats.edit("hostel-results=counter", "max_bytes", 1);
        let headers = [("Hostel-Job", "kept"), ("Hostel-Attempts", "1")];
        client.publish("hostel.job.counter", "", &headers, "all");
        let began = Instant::now();
        // It is given several times.
        while worker.log().matches("the job is given back").count() < 3 {
            assert!(began.elapsed() < WAIT, "{}", worker.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        nats.edit("hostel-results=counter", "max_bytes", 1 << 20);
        while fleet.job("counter", "kept").await.is_err() {
            assert!(began.elapsed() < WAIT, "{}", worker.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(visits(&fleet, "kept").await, 2);
        let status = fleet.job("counter", "kept").await.unwrap();
        assert_eq!((status.state, status.attempts), (JobState::Done, 1));
        assert_eq!(fleet.view().await.unwrap().jobs.dead, 0);
    });
}

#[test]
fn a_job_that_fails_changes_nothing_and_is_a_dead_letter() {
    let Some(nats) = Nats::start() else { return };
    let _worker = nats.worker(4);
    on_runtime(async {
        let fleet = set_up(&nats).await;
        let guest = wasm(
            r#"(import "env" "host_state_set" (func $set (param i32 i32 i32 i32) (result i64)))
            (data (i32.const 0) "key")
            (func (export "process") (param i32 i32) (result i32 i32)
                (drop (call $set (i32.const 0) (i32.const 3) (local.get 0) (local.get 1)))
                unreachable)
            (func (export "large") (param i32 i32) (result i32 i32)
                (drop (memory.grow (i32.const 30)))
                (i32.store8 (i32.const 1599999) (i32.const 7))
                (i32.const 0) (i32.const 1600000))
            (func (export "loop") (param i32 i32) (result i32 i32) (loop (br 0)) unreachable)"#,
        );
        fleet
            .set_settings(&format!(
                "{SETTINGS}[plugin.guest]\ngrants = [\"state\"]\nbudget = {{ fuel = \"1M\" }}\n"
            ))
            .await
            .unwrap();
        fleet.push("guest", &guest).await.unwrap();
        let job = |plugin: &str, export: &str, attempts: u32| NewJob {
            plugin: plugin.into(),
            export: export.into(),
            input: "input".into(),
            attempts: Some(attempts),
            ..NewJob::default()
        };
        let fails = async |job: NewJob| {
            let plugin = job.plugin.clone();
            let id = fleet.submit(job).await.unwrap().id;
            let error = fleet.result(&plugin, &id, WAIT).await.unwrap_err();
            assert!(matches!(error, FleetError::Failed(..)), "{error}");
            let status = fleet.job(&plugin, &id).await.unwrap();
            assert_eq!(
                (status.state, &*status.code),
                (JobState::Failed, error.code())
            );
            (status.code, status.attempts)
        };
        // What would end alike is not tried again.
        assert_eq!(
            fails(job("guest", "", 9)).await,
            ("trap-unreachable".into(), 1)
        );
        assert_eq!(
            fails(job("guest", "loop", 9)).await,
            ("out-of-fuel".into(), 1)
        );
        // A plugin may be pushed later than its jobs.
        assert_eq!(
            fails(job("none", "", 2)).await,
            ("unknown-plugin".into(), 2)
        );
        let view = fleet.view().await.unwrap();
        assert_eq!((view.jobs.waiting, view.jobs.dead), (0, 3));
        // A result that no message holds is an object.
        let id = fleet.submit(job("guest", "large", 1)).await.unwrap().id;
        let large = fleet.result("guest", &id, WAIT).await.unwrap();
        assert_eq!((large.len(), large.last()), (1_600_000, Some(&7)));
        let status = fleet.job("guest", &id).await.unwrap();
        assert_eq!((status.state, status.bytes), (JobState::Done, 1_600_000));
        // A call's reply is a message.
        let reply = fleet.call("guest", "large", "".into(), WAIT).await;
        assert_eq!(reply.unwrap_err().code(), "output-too-large");
        let huge = NewJob {
            input: vec![0; 2 << 20].into(),
            ..job("guest", "", 1)
        };
        assert_eq!(
            fleet.submit(huge).await.unwrap_err().code(),
            "input-too-large"
        );
    });
}

#[test]
fn a_plugin_s_jobs_wait_for_no_other_plugin_s() {
    let Some(nats) = Nats::start() else { return };
    let _worker = nats.worker(2);
    on_runtime(async {
        let fleet = nats.fleet().await;
        let settings = "[plugin.flood]\ngrants = [\"state\", \"wasi\"]\ndeadline = \"60s\"\n[plugin.limited]\nconcurrency = 1\nqueue = 0\ngrants = [\"wasi\"]\n";
        fleet.set_settings(settings).await.unwrap();
        // Sleeps for half a second.
        let sleeps = wasm(
            r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (func (export "process") (param i32 i32) (result i32 i32)
                (i32.store (i32.const 16) (i32.const 1))
                (i64.store (i32.const 24) (i64.const 500000000))
                (if (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)) (then unreachable))
                (i32.const 0) (i32.const 0))"#,
        );
        fleet.push("flood", &sleeps).await.unwrap();
        fleet.push("limited", &sleeps).await.unwrap();
        fleet.push("sayer", &says("one")).await.unwrap();
        for _ in 0..40 {
            submitted(&fleet, "flood").await;
            submitted(&fleet, "limited").await;
        }
        let id = submitted(&fleet, "sayer").await;
        let began = Instant::now();
        fleet.result("sayer", &id, WAIT).await.unwrap();
        // All that were submitted before take 20 s at the least.
        let (took, left) = (began.elapsed(), fleet.view().await.unwrap().jobs.waiting);
        assert!(left > 40, "{took:?}, {left} jobs are left");
    });
}

#[test]
fn a_slow_job_is_done_by_one_worker() {
    let Some(nats) = Nats::start() else { return };
    let _workers = [nats.worker(1), nats.worker(1)];
    on_runtime(async {
        let fleet = nats.fleet().await;
        let settings =
            "[plugin.slow]\ndeadline = \"60s\"\nbudget = { fuel = \"1T\" }\ngrants = [\"wasi\"]\n";
        fleet.set_settings(settings).await.unwrap();
        // Sleeps for 7 seconds: longer than the time after which another worker would get the job.
        let guest = wasm(
            r#"(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (func (export "process") (param i32 i32) (result i32 i32)
                (i32.store (i32.const 16) (i32.const 1))
                (i64.store (i32.const 24) (i64.const 7000000000))
                (if (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)) (then unreachable))
                (i32.const 0) (i32.const 0))"#,
        );
        fleet.push("slow", &guest).await.unwrap();
        let job = NewJob {
            plugin: "slow".into(),
            ..NewJob::default()
        };
        let began = Instant::now();
        let id = fleet.submit(job).await.unwrap().id;
        fleet.result("slow", &id, WAIT).await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(7));
        let status = fleet.job("slow", &id).await.unwrap();
        assert_eq!(status.attempts, 1);
        let calls: u64 = fleet
            .view()
            .await
            .unwrap()
            .workers
            .iter()
            .map(|worker| {
                worker
                    .figures
                    .plugins
                    .get("slow")
                    .map_or(0, |(one, other)| one + other)
            })
            .sum();
        assert!(calls <= 1, "{calls}");
    });
}

/// Workers that are killed leave notes of the jobs that they have done. Those of jobs that NATS gives no more are removed.
#[test]
fn notes_of_jobs_that_have_ended_are_removed() {
    let Some(nats) = Nats::start() else { return };
    let worker = nats.worker(1);
    let mut client = Raw::connect(&nats, "_INBOX.client");
    // The values of the plugin: none, and notes of these jobs. `state/document.rs` in `fleet` has the format.
    let notes = |count: u32, sequence: u64| {
        let mut document = [&[1_u8][..], &0_u32.to_be_bytes(), &count.to_be_bytes()].concat();
        let mut names: Vec<_> = (0..count).map(|number| format!("gone-{number}")).collect();
        names.sort();
        for name in names {
            let outcome = format!("x-{sequence}");
            let lengths = [name.len(), outcome.len()].map(|length| u8::try_from(length).unwrap());
            document.extend_from_slice(&lengths);
            document.extend_from_slice([name, outcome].concat().as_bytes());
        }
        document
    };
    on_runtime(async {
        let fleet = set_up(&nats).await;
        submit(&fleet, visit(0)).await;
        assert_eq!(visits(&fleet, "visit-0").await, 1);
        while fleet.view().await.unwrap().jobs.waiting > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // One more would be too many, if these were not removed: their message is acknowledged.
        client.publish(
            "$KV.hostel-state.counter",
            "_INBOX.client",
            &[],
            notes(1_000, 1),
        );
        assert_eq!(client.next(), "_INBOX.client");
        for number in 1..=3 {
            submit(&fleet, visit(number)).await;
            let id = format!("visit-{number}");
            assert_eq!(visits(&fleet, &id).await, u64::try_from(number).unwrap());
        }
        // Notes of jobs that may be given again stay, and the next job waits until there is room.
        client.publish(
            "$KV.hostel-state.counter",
            "_INBOX.client",
            &[],
            notes(1_000, 1_000_000),
        );
        assert_eq!(client.next(), "_INBOX.client");
        submit(&fleet, visit(4)).await;
        let began = Instant::now();
        while !worker.log().contains("note 1000 jobs that have not ended") {
            assert!(began.elapsed() < WAIT, "{}", worker.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let waits = fleet.job("counter", "visit-4").await.unwrap();
        assert_eq!((waits.state, waits.attempts), (JobState::Pending, 0));
        client.publish(
            "$KV.hostel-state.counter",
            "_INBOX.client",
            &[],
            notes(999, 1_000_000),
        );
        assert_eq!(client.next(), "_INBOX.client");
        assert_eq!(visits(&fleet, "visit-4").await, 1);
    });
}

#[test]
fn a_plugin_s_first_job_waits_for_no_place() {
    let Some(nats) = Nats::start() else { return };
    let _worker = nats.worker(1);
    on_runtime(async {
        let fleet = nats.fleet().await;
        push_endless(&fleet).await;
        fleet.push("sayer", &says("one")).await.unwrap();
        submitted(&fleet, "endless").await;
        let began = Instant::now();
        while fleet.presences().await.unwrap()[0].figures.running == 0 {
            assert!(began.elapsed() < WAIT);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The one place is taken for an hour.
        let id = submitted(&fleet, "sayer").await;
        assert_eq!(&fleet.result("sayer", &id, WAIT).await.unwrap()[..], b"one");
        assert!(fleet.view().await.unwrap().jobs.waiting > 0);
    });
}
