//! Jobs of clients that may submit those of one plugin alone.

use super::{
    machines::{Nats, Raw, counter, on_runtime},
    operating::{USERS, connect},
};
use hostel_fleet::NewJob;
use std::time::Duration;

#[test]
fn a_submitter_writes_nowhere_by_its_reply_subject() {
    let Some(nats) = Nats::start_with_config(USERS) else {
        return;
    };
    let url = nats.url_as("worker:w@");
    let _worker = nats.worker_with(2, &["--nats", &url]);
    on_runtime(async {
        let fleet = connect(url).await;
        let settings = "[defaults]\ngrants = [\"state\"]\ndeadline = \"30s\"\n";
        fleet.set_settings(settings).await.unwrap();
        for name in ["one", "other"] {
            fleet.push(name, &counter()).await.unwrap();
        }
        let mut ben = Raw::connect_as(&nats, ("ben", "b"), "_INBOX.ben.>");
        let replies = [
            "$KV.hostel-state.other",
            "$KV.hostel-releases.releases",
            "hostel.result.other.job.mine",
            "hostel.job.other",
            "hostel.submit.other",
        ];
        for (number, reply) in replies.into_iter().enumerate() {
            let id = format!("refused-{number}");
            ben.publish("hostel.submit.one", reply, &[("Hostel-Job", &id)], "all");
        }
        let headers = [("Hostel-Job", "mine"), ("Hostel-Attempts", "3")];
        ben.publish("hostel.submit.one", "_INBOX.ben.1", &headers, "all");
        assert_eq!(ben.next(), "_INBOX.ben.1");
        let wait = Duration::from_secs(60);
        let visits = fleet.result("one", "mine", wait).await.unwrap();
        assert_eq!(visits[..], 1_u64.to_le_bytes());
        // Those with other reply subjects are no jobs, and nothing is at these subjects.
        for number in 0..replies.len() {
            let id = format!("refused-{number}");
            assert!(fleet.job("one", &id).await.is_err());
        }
        assert!(fleet.job("other", "mine").await.is_err());
        let other = fleet.call("other", "", "all".into(), wait).await.unwrap();
        assert_eq!(other.output, 1_u64.to_le_bytes().to_vec());
        let view = fleet.view().await.unwrap();
        assert_eq!(
            (view.releases.active.plugins.len(), view.jobs.waiting),
            (2, 0)
        );
    });
}

#[test]
fn submissions_have_the_codes_of_errors() {
    let Some(nats) = Nats::start() else { return };
    let _worker = nats.worker(1);
    let mut client = Raw::connect(&nats, "_INBOX.anna.>");
    let long = "e".repeat(1_025);
    // Subject, headers, and code.
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case<'_>; 5] = [
        ("hostel.submit.a.b", &[], "bad-path"),
        ("hostel.submit.=2E=2E", &[], "unknown-plugin"),
        ("hostel.submit.sayer", &[("Hostel-Job", "a.b")], "bad-name"),
        (
            "hostel.submit.sayer",
            &[("Hostel-Attempts", "many")],
            "bad-header",
        ),
        (
            "hostel.submit.sayer",
            &[("Hostel-Export", &long)],
            "bad-export",
        ),
    ];
    for (subject, headers, code) in cases {
        client.publish(subject, "_INBOX.anna.1", headers, "");
        let head = client.next_head();
        assert!(
            head.contains(&format!("Hostel-Code: {code}\r\n")),
            "{subject}: {head}"
        );
    }
    on_runtime(async {
        let fleet = nats.fleet().await;
        let job = NewJob {
            plugin: "sayer".into(),
            export: "two\nlines".into(),
            ..NewJob::default()
        };
        assert_eq!(fleet.submit(job).await.unwrap_err().code(), "bad-export");
    });
}
