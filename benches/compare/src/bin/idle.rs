//! Measures the memory of a server that holds plugins and has nothing to do: `hostel serve`, and an axum server with
//! Extism's SDK, in processes of their own.
//!
//! `cargo run --release --features server --bin idle -- HOSTEL [PLUGINS]`: HOSTEL is the path of the program, and PLUGINS
//! is 100 by default. Each plugin is one module, made with Extism's kit, plus a number: so no two share code. Each is
//! called once, and then both servers idle for two seconds.

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    routing::post,
};
use extism::{Manifest, PluginBuilder, Wasm};
use std::{
    collections::HashMap,
    env,
    error::Error,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

const GUEST: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../guests/prebuilt/extism_kit.wasm"
);

/// The first argument of the process that serves with Extism's SDK; the folder of the plugins follows.
const SERVE: &str = "--serve-extism";

type Answer<T> = Result<T, Box<dyn Error>>;

fn main() -> Answer<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [first, folder] if first == SERVE => serve_extism(folder.into()),
        [hostel] => compare(hostel, 100),
        [hostel, plugins] => compare(hostel, plugins.parse()?),
        _ => Err("expected: idle HOSTEL [PLUGINS]".into()),
    }
}

fn compare(hostel: &str, plugins: usize) -> Answer<()> {
    let files = tempfile::tempdir()?;
    let folder = files.path().join("plugins");
    fs::create_dir(&folder)?;
    let guest = fs::read(GUEST)?;
    for number in 0..plugins {
        fs::write(
            folder.join(format!("{}.wasm", name(number))),
            numbered(&guest, number)?,
        )?;
    }
    let config = files.path().join("hostel.toml");
    fs::write(
        &config,
        "[defaults]\ngrants = [\"log\", \"config\"]\nconfig = { prefix = \"CUSTOM\" }\n",
    )?;

    let mut serve = Command::new(hostel);
    serve.arg("serve").arg(&folder).arg("--config").arg(&config);
    serve.args(["--listen", "127.0.0.1:0"]);
    measure("hostel serve", serve, plugins)?;

    let mut extism = Command::new(env::current_exe()?);
    extism.arg(SERVE).arg(&folder);
    measure("axum with Extism's SDK", extism, plugins)
}

/// Starts a server, calls each plugin once, waits, and prints the server's memory.
fn measure(name_of_server: &str, mut command: Command, plugins: usize) -> Answer<()> {
    let mut server = Server(
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?,
    );
    let address = server.address()?;
    let started = memory(server.0.id())?;
    for number in 0..plugins {
        call(&address, &name(number))?;
    }
    thread::sleep(Duration::from_secs(2));
    let idle = memory(server.0.id())?;
    println!(
        "{name_of_server}: {plugins} plugins loaded {:.1} MiB; each called once, then idle {:.1} MiB (memory of its own)",
        mebibytes(started),
        mebibytes(idle)
    );
    Ok(())
}

/// A server that ends with its handle.
struct Server(Child);

impl Server {
    /// Returns the address that the server names in its first line with one, and reads on so that it never waits.
    fn address(&mut self) -> Answer<String> {
        let out = self.0.stdout.take().ok_or("no stdout")?;
        let err = self.0.stderr.take().ok_or("no stderr")?;
        let (sender, receiver) = std::sync::mpsc::channel();
        for stream in [Box::new(out) as Box<dyn Read + Send>, Box::new(err)] {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(io::Result::ok) {
                    if let Some((_, rest)) = line.split_once("127.0.0.1:") {
                        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
                        let _ = sender.send(format!("127.0.0.1:{port}"));
                    }
                }
            });
        }
        Ok(receiver.recv_timeout(Duration::from_secs(300))?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn name(number: usize) -> String {
    format!("plugin{number}")
}

/// Returns the module with a custom section that holds a number.
fn numbered(guest: &[u8], number: usize) -> Answer<Vec<u8>> {
    let content = [&b"\x01n"[..], &u32::try_from(number)?.to_le_bytes()].concat();
    let mut module = guest.to_vec();
    // The section's number, and its length, which is below 128.
    module.extend([0, u8::try_from(content.len())?]);
    module.extend(content);
    Ok(module)
}

fn call(address: &str, plugin: &str) -> Answer<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    write!(
        stream,
        "POST /v1/plugins/{plugin} HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 11\r\n\r\nhello world"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") && answer.ends_with("CUSTOM_HELLO WORLD") {
        Ok(())
    } else {
        Err(format!("{plugin}: expected CUSTOM_HELLO WORLD, found {answer}").into())
    }
}

/// Returns the bytes that the process alone has in memory, without the pages of files that it shares.
fn memory(process: u32) -> Answer<u64> {
    let rollup = fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
    let kilobytes = |key: &str| -> Answer<u64> {
        let line = rollup.lines().find(|line| line.starts_with(key));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(number.ok_or(format!("no {key} in smaps_rollup"))?.parse()?)
    };
    Ok((kilobytes("Private_Clean:")? + kilobytes("Private_Dirty:")?) * 1024)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

type Plugins = Arc<HashMap<String, Mutex<extism::Plugin>>>;

/// Serves the folder's plugins as `hostel serve` does, with one instance each.
fn serve_extism(folder: PathBuf) -> Answer<()> {
    let mut plugins = HashMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .ok_or("no name")?
            .to_string_lossy()
            .into_owned();
        let manifest =
            Manifest::new([Wasm::data(fs::read(&path)?)]).with_config_key("prefix", "CUSTOM");
        let compiled = PluginBuilder::new(manifest)
            .with_cache_disabled()
            .compile()?;
        let plugin = extism::Plugin::new_from_compiled(&compiled)?;
        plugins.insert(name, Mutex::new(plugin));
    }
    let plugins: Plugins = Arc::new(plugins);
    let app = Router::new()
        .route("/v1/plugins/{name}", post(answer))
        .with_state(plugins);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on {}", listener.local_addr()?);
        axum::serve(listener, app).await
    })?;
    Ok(())
}

async fn answer(
    State(plugins): State<Plugins>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Vec<u8>, (StatusCode, String)> {
    let run = move || -> Result<Vec<u8>, (StatusCode, String)> {
        let plugin = plugins.get(&name).ok_or((StatusCode::NOT_FOUND, name))?;
        let mut plugin = plugin
            .lock()
            .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        plugin
            .call("process", &body[..])
            .map(<[u8]>::to_vec)
            .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
    };
    tokio::task::spawn_blocking(run)
        .await
        .map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?
}
