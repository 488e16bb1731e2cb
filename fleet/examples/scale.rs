//! Measures how many jobs that compute one worker and two workers do by second, and prints the ratio.
//!
//! `cargo run --release -p hostel-fleet --example scale -- HOSTEL NATS_SERVER [ROUNDS [JOBS]]`: the paths of the two
//! programs; 3 rounds of 200 jobs by default. Each worker has one thread for guests. Other work on the machine decides the
//! figures: the rounds alternate, and the median counts. Beside each ratio stands that of the machine: of two threads that
//! run the plugin without a fleet to one thread. Two processors that share a core come to much less than 2.

use hostel_fleet::{
    Fleet, FleetError, FleetOptions, NewJob,
    hostel_server::hostel::{self, Grants},
};
use std::{
    env,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const SETTINGS: &str = "[server]\nworkers = 1\n[plugin.work]\ndeadline = \"60s\"\n";

/// Computes for some tens of milliseconds.
const WORK: &str = r#"(module (memory (export "memory") 1)
    (func (export "allocate") (param i32) (result i32) (i32.const 1024))
    (func (export "process") (param i32 i32) (result i32 i32) (local $i i32)
        (loop $on
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $on (i32.lt_u (local.get $i) (i32.const 10000000))))
        (i32.const 0) (i32.const 0)))"#;

/// A process that ends with its handle.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(program: &str, arguments: &[&str]) -> Process {
    let started = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Process(started.unwrap_or_else(|error| panic!("can't start {program}: {error}")))
}

/// Returns the jobs by second.
async fn round(fleet: &Fleet, jobs: usize) -> Result<f64, FleetError> {
    let mut ids = Vec::new();
    let began = Instant::now();
    for _ in 0..jobs {
        let job = NewJob {
            plugin: "work".into(),
            ..NewJob::default()
        };
        ids.push(fleet.submit(job).await?.id);
    }
    for id in ids {
        fleet.result("work", &id, Duration::from_secs(300)).await?;
    }
    Ok(jobs as f64 / began.elapsed().as_secs_f64())
}

/// Returns how often by second the plugin runs on so many threads, each with `runs` calls, without a fleet.
fn alone(threads: usize, runs: usize) -> f64 {
    let wasm = wat::parse_str(WORK).expect("it is WAT");
    let load = || hostel::engine().load("work", &wasm, &Grants::new());
    let plugins: Vec<_> = (0..threads).map(|_| load().expect("it loads")).collect();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for plugin in &plugins {
            scope.spawn(move || {
                for _ in 0..runs {
                    plugin.process(b"").expect("it ends");
                }
            });
        }
    });
    (threads * runs) as f64 / began.elapsed().as_secs_f64()
}

async fn workers(fleet: &Fleet, count: usize) -> Result<(), FleetError> {
    while fleet.view().await?.workers.len() != count {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn measure(hostel: &str, nats: &str, rounds: usize, jobs: usize) -> Result<(), FleetError> {
    let files = tempfile::tempdir().expect("a directory is made");
    let store = files.path().to_str().expect("the path is text");
    let (port, url) = ("14333", "nats://127.0.0.1:14333");
    let _nats = start(
        nats,
        &["--addr", "127.0.0.1", "--port", port, "-js", "-sd", store],
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    let options = FleetOptions {
        servers: url.into(),
        ..FleetOptions::default()
    };
    let fleet = Fleet::connect(&options).await?;
    let worker = || {
        start(
            hostel,
            &[
                "serve",
                "--nats",
                url,
                "--listen",
                "127.0.0.1:0",
                "--jobs",
                "2",
            ],
        )
    };
    let first = worker();
    workers(&fleet, 1).await?;
    fleet.set_settings(SETTINGS).await?;
    fleet
        .push("work", &wat::parse_str(WORK).expect("it is WAT"))
        .await?;
    drop(first);
    // Its number of threads is set when a worker starts.
    workers(&fleet, 0).await?;
    let _one = worker();
    workers(&fleet, 1).await?;
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let one = round(&fleet, jobs).await?;
        let second = worker();
        workers(&fleet, 2).await?;
        let two = round(&fleet, jobs).await?;
        drop(second);
        workers(&fleet, 1).await?;
        let machine = alone(2, jobs / 4) / alone(1, jobs / 4);
        println!(
            "{one:.1} and {two:.1} jobs by second: {:.2}; without a fleet {machine:.2}",
            two / one
        );
        ratios.push(two / one);
    }
    ratios.sort_by(f64::total_cmp);
    println!("median {:.2}", ratios[ratios.len() / 2]);
    Ok(())
}

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [hostel, nats, rest @ ..] = &arguments[..] else {
        panic!("expected the paths of hostel and of nats-server");
    };
    let number = |at: usize, default| {
        let text = rest.get(at);
        text.map_or(default, |text| text.parse().expect("a number"))
    };
    let (rounds, jobs) = (number(0, 3), number(1, 200));
    if let Err(error) = hostel_fleet::run(measure(hostel, nats, rounds, jobs)) {
        panic!("{error}");
    }
}
