//! What a plugin may keep in NATS: one that fills its share takes nothing of the others'.

use super::machines::{Nats, Raw, on_runtime, push_endless, says, wasm};
use hostel_fleet::{Fleet, FleetError, JobState, NewJob};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(120);

async fn submit(fleet: &Fleet, plugin: &str, id: &str) -> Result<(), FleetError> {
    let job = NewJob {
        id: Some(id.into()),
        plugin: plugin.into(),
        ..NewJob::default()
    };
    fleet.submit(job).await.map(drop)
}

/// Asks a worker to submit a job. Returns the head of its reply.
fn asked(client: &mut Raw, plugin: &str, id: &str) -> String {
    let subject = format!("hostel.submit.{plugin}");
    client.publish(&subject, "_INBOX.ben.1", &[("Hostel-Job", id)], "");
    client.next_head()
}

/// Another plugin's job is submitted and done.
async fn another_plugin_works(fleet: &Fleet) {
    submit(fleet, "sayer", "one").await.unwrap();
    let said = fleet.result("sayer", "one", WAIT).await.unwrap();
    assert_eq!(&said[..], b"said");
}

#[test]
fn a_full_queue_is_that_of_one_plugin() {
    let Some(nats) = Nats::start() else { return };
    let _worker = nats.worker(1);
    let mut client = Raw::connect(&nats, "_INBOX.ben.>");
    on_runtime(async {
        let fleet = nats.fleet().await;
        push_endless(&fleet).await;
        fleet.push("sayer", &says("said")).await.unwrap();
        nats.edit("hostel-jobs", "max_msgs_per_subject", 3);
        for id in ["a", "b", "c"] {
            submit(&fleet, "endless", id).await.unwrap();
        }
        let error = submit(&fleet, "endless", "d").await.unwrap_err();
        assert_eq!(error.code(), "job-queue-full", "{error}");
        assert_eq!(
            error.to_string(),
            "3 jobs of `endless` wait or run, and `max_msgs_per_subject` of the stream `hostel-jobs` allows 3: submit it again later"
        );
        let head = asked(&mut client, "endless", "d");
        assert!(head.contains("Hostel-Code: job-queue-full\r\n"), "{head}");
        assert!(head.contains("Hostel-Status: 429\r\n"), "{head}");
        // A refused job leaves nothing behind, and one that was taken before stays.
        let unknown = fleet.job("endless", "d").await.unwrap_err();
        assert_eq!(unknown.code(), "unknown-job", "{unknown}");
        let error = submit(&fleet, "endless", "c").await.unwrap_err();
        assert_eq!(error.code(), "job-queue-full", "{error}");
        let waits = fleet.job("endless", "c").await.unwrap();
        assert_eq!(waits.state, JobState::Pending);
        another_plugin_works(&fleet).await;
        // With more room, it is taken.
        nats.edit("hostel-jobs", "max_msgs_per_subject", 4);
        submit(&fleet, "endless", "d").await.unwrap();
    });
}

#[test]
fn results_that_fill_their_share_are_those_of_one_plugin() {
    let Some(nats) = Nats::start() else { return };
    let worker = nats.worker(2);
    let mut client = Raw::connect(&nats, "_INBOX.ben.>");
    on_runtime(async {
        let fleet = nats.fleet().await;
        let large = wasm(
            r#"(func (export "process") (param i32 i32) (result i32 i32) (i32.const 0) (i32.const 90000))"#,
        );
        // A name that is escaped in subjects.
        fleet.push("fl.ood", &large).await.unwrap();
        fleet.push("sayer", &says("said")).await.unwrap();
        submit(&fleet, "fl.ood", "first").await.unwrap();
        fleet.result("fl.ood", "first", WAIT).await.unwrap();
        nats.edit("hostel-results=fl=2Eood", "max_bytes", 100_000);
        let (mut taken, began) = (Vec::new(), Instant::now());
        let error = loop {
            let id = format!("more-{}", taken.len());
            match submit(&fleet, "fl.ood", &id).await {
                Ok(()) => taken.push(id),
                Err(error) => break error,
            }
            assert!(taken.len() < 100 && began.elapsed() < WAIT);
        };
        assert_eq!(error.code(), "results-full", "{error}");
        let text = error.to_string();
        let named = "`max_bytes` of the stream `hostel-results=fl=2Eood` allows 100000";
        assert!(text.contains(named), "{text}");
        let head = asked(&mut client, "fl=2Eood", "refused");
        assert!(head.contains("Hostel-Code: results-full\r\n"), "{head}");
        assert!(head.contains("Hostel-Status: 429\r\n"), "{head}");
        // Those that were taken have no room for their results, and others' are done meanwhile.
        while worker.log().matches("the job is given back").count() < 4 {
            assert!(began.elapsed() < WAIT, "{}", worker.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        another_plugin_works(&fleet).await;
        for id in &taken {
            let status = fleet.job("fl.ood", id).await.unwrap();
            assert_eq!(status.state, JobState::Pending);
        }
        // None of them is lost.
        nats.edit("hostel-results=fl=2Eood", "max_bytes", 100_000_000);
        for id in &taken {
            let result = fleet.result("fl.ood", id, WAIT).await.unwrap();
            assert_eq!(result.len(), 90_000);
        }
        assert_eq!(fleet.view().await.unwrap().jobs.dead, 0);
    });
}
