//! Measures the server: its speed beside an axum handler that does the work of the plugin in native Rust, and the latency
//! of one plugin's calls while another one loops and a third is flooded.
//!
//! Server and client share the machine and the process, so only ratios of one run tell something. Other work on the
//! machine disturbs them: run it several times.

mod load;

use axum::{Router, body::Bytes, routing::post};
use hostel_server::{ServeOptions, Server};
use load::{Latencies, closed_loop, paced};
use std::{error::Error, fs, net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, runtime::Runtime};

/// Connections of the comparison, and time for each of its rounds.
const CONNECTIONS: usize = 32;
const ROUND: Duration = Duration::from_secs(3);
const ROUNDS: usize = 3;

/// Calls of the good plugin by second, while its neighbours misbehave, and time for that.
const CALLS: u64 = 400;
const BESIDE: Duration = Duration::from_secs(5);

const CONFIG: &str = r#"
[defaults]
grants = ["log", "config"]
config = { prefix = "CUSTOM" }
[plugin.customize]
concurrency = 256
[plugin.loops]
deadline = "1h"
budget = { fuel = "1000T" }
[plugin.flooded]
rate = { calls = 100, per = "1s" }
"#;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let files = tempfile::tempdir()?;
    let plugins = files.path().join("plugins");
    fs::create_dir(&plugins)?;
    let prebuilt = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../guests/prebuilt/customize.wasm"
    );
    fs::copy(prebuilt, plugins.join("customize.wasm"))?;
    fs::copy(prebuilt, plugins.join("flooded.wasm"))?;
    let loops = wat::parse_str(
        r#"(module (memory (export "memory") 1)
            (func (export "allocate") (param i32) (result i32) (i32.const 0))
            (func (export "process") (param i32 i32) (result i32 i32)
                (loop $on (br $on)) (i32.const 0) (i32.const 0)))"#,
    )?;
    fs::write(plugins.join("loops.wasm"), loops)?;
    let config = files.path().join("hostel.toml");
    fs::write(&config, CONFIG)?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let server = runtime.block_on(Server::start(ServeOptions {
        directory: plugins,
        config: Some(config),
        listen: Some("127.0.0.1:0".parse()?),
    }))?;
    compare(&runtime, server.address())?;
    beside(server.address())?;
    runtime.block_on(server.shut_down());
    Ok(())
}

/// Compares the server with the native handler, in turns.
fn compare(runtime: &Runtime, hostel: SocketAddr) -> Result<()> {
    let native = runtime.block_on(native())?;
    let mut all = [Vec::new(), Vec::new()];
    let mut ticks = [0; 2];
    for _ in 0..ROUNDS {
        for (at, address) in [native, hostel].into_iter().enumerate() {
            let before = processor_ticks()?;
            all[at].push(closed_loop(address, "customize", CONNECTIONS, ROUND)?);
            ticks[at] += processor_ticks()? - before;
        }
    }
    let [native, hostel] = all.map(Latencies::merged);
    let seconds = ROUND.as_secs_f64() * ROUNDS as f64;
    for (name, it, ticks) in [("native", &native, ticks[0]), ("hostel", &hostel, ticks[1])] {
        let by_second = it.count() as f64 / seconds;
        // A tick is 10 ms on Linux.
        let each = ticks as f64 * 10_000.0 / it.count() as f64;
        println!(
            "{name}: {by_second:.0} requests/s, p50 {:?}, p99 {:?}, {each:.1} µs of processor each with the client, {CONNECTIONS} connections",
            it.quantile(0.5),
            it.quantile(0.99)
        );
    }
    let throughput = hostel.count() as f64 / native.count() as f64;
    let p99 = hostel.quantile(0.99).as_secs_f64() / native.quantile(0.99).as_secs_f64();
    println!(
        "throughput {throughput:.2} of native (wanted: 0.6 or more), p99 {p99:.2} times native's (2 or less)"
    );
    Ok(())
}

/// Returns the processor's time that this process took so far, in ticks: what other work on the machine disturbs least.
fn processor_ticks() -> Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Behind the program's name, which is in parentheses.
    let (_, rest) = stat.rsplit_once(')').ok_or("/proc/self/stat has no name")?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let field = |at: usize| fields.get(at).ok_or("/proc/self/stat has fewer fields");
    Ok(field(11)?.parse::<u64>()? + field(12)?.parse::<u64>()?)
}

/// Serves what the plugin does, without a plugin.
async fn native() -> Result<SocketAddr> {
    let answer = |body: Bytes| async move {
        let text = String::from_utf8_lossy(&body);
        format!("CUSTOM_{}", text.to_ascii_uppercase())
    };
    let app = Router::new().route("/v1/plugins/customize", post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async { axum::serve(listener, app).await });
    Ok(address)
}

/// Measures a good plugin alone, and beside one that loops and one that is called ten times as often as it may be.
fn beside(address: SocketAddr) -> Result<()> {
    let good = || paced(address, "customize", CALLS, BESIDE);
    let (mut alone, mut disturbed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        alone.push(good()?);
        let both = std::thread::scope(|threads| {
            let looping = threads
                .spawn(|| closed_loop(address, "loops", 4, BESIDE).map_err(|it| it.to_string()));
            let flood = threads
                .spawn(|| paced(address, "flooded", 1_000, BESIDE).map_err(|it| it.to_string()));
            let measured = good().map_err(|error| error.to_string());
            let ended = [looping.join(), flood.join()];
            (
                measured,
                ended
                    .into_iter()
                    .all(|ended| ended.is_ok_and(|ended| ended.is_ok())),
            )
        });
        let (measured, neighbours_ran) = both;
        if !neighbours_ran {
            return Err("a neighbour's client failed".into());
        }
        disturbed.push(measured?);
    }
    let (alone, disturbed) = (Latencies::merged(alone), Latencies::merged(disturbed));
    for (name, it) in [("alone", &alone), ("beside", &disturbed)] {
        println!(
            "good plugin {name}: p50 {:?}, p99 {:?}",
            it.quantile(0.5),
            it.quantile(0.99)
        );
    }
    let ratio = disturbed.quantile(0.99).as_secs_f64() / alone.quantile(0.99).as_secs_f64();
    println!("p99 {ratio:.2} times that alone (wanted: 1.5 or less)");
    Ok(())
}
