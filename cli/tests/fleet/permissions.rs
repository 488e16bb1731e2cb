//! What clients of NATS can do with the permissions that `docs/fleet.md` names.

use super::machines::{Nats, Raw, counter, on_runtime, says};
use hostel_fleet::{Fleet, FleetOptions, NewJob};
use std::time::Duration;

/// The permissions of the book.
const USERS: &str = r#"
authorization {
  users = [
    { user: "worker", password: "w", permissions: {
        publish: ["hostel.>", "$JS.API.>", "$JS.ACK.>", "$JS.FC.>", "$KV.hostel-releases.>", "$KV.hostel-workers.>",
            "$KV.hostel-state.>", "$KV.hostel-results.>", "$O.hostel-plugins.>", "$O.hostel-outputs.>", "_INBOX.>"],
        subscribe: ["hostel.call.>", "hostel.submit.>", "_INBOX.>"] } },
    { user: "anna", password: "a", permissions: {
        publish: ["hostel.submit.counter"], subscribe: ["_INBOX.anna.>"] } },
  ]
}
"#;

#[test]
fn the_permissions_of_the_book_suffice_and_a_submitter_writes_nowhere_else() {
    let Some(nats) = Nats::start_configured(USERS) else {
        return;
    };
    let _worker = nats.worker_as("worker:w@", 2);
    on_runtime(async {
        let options = FleetOptions {
            servers: nats.url_as("worker:w@"),
            ..FleetOptions::default()
        };
        let fleet = Fleet::connect(&options).await.unwrap();
        let settings = "[plugin.counter]\ngrants = [\"state\"]\ndeadline = \"30s\"\n";
        fleet.set_settings(settings).await.unwrap();
        fleet.push("counter", &counter()).await.unwrap();
        fleet.push("sayer", &says("one")).await.unwrap();

        let mut anna = Raw::connect_as(&nats, "_INBOX.anna.>", Some(("anna", "a")));
        let replies = [
            "$KV.hostel-state.counter",
            "$KV.hostel-releases.releases",
            "$KV.hostel-results.job.sayer.mine",
            "hostel.job.sayer",
            "hostel.submit.sayer",
        ];
        for (number, reply) in replies.into_iter().enumerate() {
            let id = format!("refused-{number}");
            anna.publish(
                "hostel.submit.counter",
                reply,
                &[("Hostel-Job", &id)],
                "all",
            );
        }
        let headers = [("Hostel-Job", "mine"), ("Hostel-Attempts", "3")];
        anna.publish("hostel.submit.counter", "_INBOX.anna.1", &headers, "all");
        assert_eq!(anna.next(), "_INBOX.anna.1");
        let wait = Duration::from_secs(60);
        let visits = fleet.result("counter", "mine", wait).await.unwrap();
        assert_eq!(visits[..], 1_u64.to_le_bytes());
        // Those with other reply subjects are no jobs, and nothing is where they would have led.
        for number in 0..replies.len() {
            assert!(
                fleet
                    .job("counter", &format!("refused-{number}"))
                    .await
                    .is_err()
            );
        }
        assert!(fleet.job("sayer", "mine").await.is_err());
        assert_eq!(fleet.releases().await.unwrap().active.plugins.len(), 2);
        assert_eq!(fleet.view().await.unwrap().jobs.waiting, 0);
    });
}

#[test]
fn submissions_have_the_codes_of_errors() {
    let Some(nats) = Nats::start() else { return };
    let _worker = nats.worker(1);
    let mut client = Raw::connect(&nats, "_INBOX.anna.>");
    let long = "e".repeat(1_025);
    let cases: [(&str, &[(&str, &str)], &str); 5] = [
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
        // The traces of a job go with it, and what is no header does not.
        let fleet = nats.fleet().await;
        let job = NewJob {
            plugin: "sayer".into(),
            export: "two\nlines".into(),
            ..NewJob::default()
        };
        assert_eq!(fleet.submit(job).await.unwrap_err().code(), "bad-export");
    });
}
