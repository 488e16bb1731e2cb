//! A NATS and workers, as processes.

use hostel_fleet::{Fleet, FleetOptions};
use std::{
    env, fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longest time for a process to be ready, on a machine that is busy.
const READY: Duration = Duration::from_secs(60);

/// A NATS with a directory of its own.
pub(crate) struct Nats {
    program: PathBuf,
    arguments: Vec<String>,
    port: u16,
    files: TempDir,
    process: Child,
}

impl Nats {
    /// Starts one; `None` if there is no `nats-server` here, and this is not CI.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// As [`start`](Self::start), with more arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Option<Self> {
        let files = tempfile::tempdir().expect("a directory is made");
        Self::start_in(files, arguments.iter().map(|it| it.to_string()).collect())
    }

    /// As [`start`](Self::start), with a file of configuration. What it refuses is in its [`log`](Self::log).
    pub(crate) fn start_with_config(config: &str) -> Option<Self> {
        let files = tempfile::tempdir().expect("a directory is made");
        let file = files.path().join("nats.conf");
        fs::write(&file, config).expect("a file is written");
        let log = files.path().join("nats.log");
        let paths = [("--config", file), ("--log", log)];
        let arguments = paths.map(|(name, path)| format!("{name}={}", path.display()));
        Self::start_in(files, arguments.into())
    }

    fn start_in(files: TempDir, arguments: Vec<String>) -> Option<Self> {
        let program = env::var_os("HOSTEL_NATS_SERVER").unwrap_or_else(|| "nats-server".into());
        let program = PathBuf::from(program);
        let found = Command::new(&program).arg("--version").output();
        if found.is_err() {
            assert!(
                env::var_os("CI").is_none(),
                "there is no nats-server: set HOSTEL_NATS_SERVER"
            );
            // Past the harness, which shows nothing of a test that passes.
            let skipped = b"SKIPPED: there is no nats-server; set HOSTEL_NATS_SERVER\n";
            let _ = std::io::stderr().write_all(skipped);
            return None;
        }
        let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let process = run(&program, port, &files, &arguments);
        let it = Self {
            program,
            arguments,
            port,
            files,
            process,
        };
        it.wait();
        Some(it)
    }

    /// Kills it, and starts it again with what it has stored.
    pub(crate) fn restart(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
        self.process = run(&self.program, self.port, &self.files, &self.arguments);
        self.wait();
    }

    fn wait(&self) {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < READY, "NATS does not listen");
            sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn url(&self) -> String {
        self.url_as("")
    }

    /// Returns its URL for a login: `USER:PASSWORD@`.
    pub(crate) fn url_as(&self, login: &str) -> String {
        format!("nats://{login}127.0.0.1:{}", self.port)
    }

    /// Returns the log of one that was started with a configuration.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.files.path().join("nats.log")).unwrap_or_default()
    }

    pub(crate) async fn fleet(&self) -> Fleet {
        let options = FleetOptions {
            servers: self.url(),
            ..FleetOptions::default()
        };
        Fleet::connect(&options).await.expect("NATS takes clients")
    }

    /// Runs the program with this NATS.
    pub(crate) fn hostel(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_hostel"))
            .args(arguments)
            .env("NATS_URL", self.url())
            .output()
            .expect("the program runs")
    }

    /// Starts a worker.
    pub(crate) fn worker(&self, jobs: usize) -> Worker {
        self.worker_with(jobs, &["--nats", &self.url()])
    }

    /// Starts a worker with arguments that tell the way to this NATS.
    pub(crate) fn worker_with(&self, jobs: usize, arguments: &[&str]) -> Worker {
        let log = self.files.path().join(format!("{:x}.log", rand()));
        let file = fs::File::create(&log).expect("a file is made");
        let process = Command::new(env!("CARGO_BIN_EXE_hostel"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(["--jobs", &jobs.to_string()])
            .args(arguments)
            .stderr(file)
            .spawn()
            .expect("the program runs");
        let mut worker = Worker { process, log };
        let began = Instant::now();
        while !worker.log().contains(": serving ") {
            let ended = worker.process.try_wait().expect("it can be waited for");
            assert!(ended.is_none(), "{}", worker.log());
            assert!(began.elapsed() < READY, "{}", worker.log());
            sleep(Duration::from_millis(20));
        }
        worker
    }

    /// Changes a setting of a stream, as `nats stream edit` does.
    pub(crate) fn edit(&self, stream: &str, key: &str, value: i64) {
        let mut client = Raw::connect(self, "_INBOX.operator");
        let mut ask = |what: &str, request: &[u8]| {
            let subject = format!("$JS.API.STREAM.{what}.{stream}");
            client.publish(&subject, "_INBOX.operator", &[], request);
            let reply: serde_json::Value =
                serde_json::from_slice(&client.next_payload()).expect("NATS replies in JSON");
            assert!(reply.get("error").is_none(), "{reply}");
            reply["config"].clone()
        };
        let mut config = ask("INFO", b"");
        assert!(config[key].is_i64(), "{config}");
        config[key] = value.into();
        ask("UPDATE", config.to_string().as_bytes());
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, contents: &[u8]) -> String {
        let path = self.files.path().join(name);
        fs::write(&path, contents).expect("a file is written");
        path.to_str().expect("the path is text").to_owned()
    }
}

fn run(program: &PathBuf, port: u16, files: &TempDir, arguments: &[String]) -> Child {
    Command::new(program)
        .args([
            "--addr",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "-js",
            "-sd",
        ])
        .arg(files.path().join("nats"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nats-server runs")
}

/// Returns a number that no other call has returned.
fn rand() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A worker.
pub(crate) struct Worker {
    process: Child,
    log: PathBuf,
}

impl Worker {
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Returns the address of its HTTP interface.
    pub(crate) fn address(&self) -> String {
        let log = self.log();
        let rest = log.split("on http://").nth(1).expect("it serves");
        rest.split(": ").next().expect("it has a place").to_owned()
    }

    /// Sends it a signal, such as `-STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client that sends what it likes: the protocol of NATS by hand.
pub(crate) struct Raw(BufReader<TcpStream>);

impl Raw {
    /// Connects, and subscribes to a subject.
    pub(crate) fn connect(nats: &Nats, subscribe: &str) -> Self {
        Self::connect_as(nats, ("", ""), subscribe)
    }

    /// Connects with a user's name and password.
    pub(crate) fn connect_as(nats: &Nats, (user, pass): (&str, &str), subscribe: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", nats.port)).expect("NATS listens");
        stream.set_read_timeout(Some(READY)).expect("it has one");
        let mut it = Self(BufReader::new(stream));
        it.send(&format!(
            "CONNECT {{\"verbose\":false,\"headers\":true,\"user\":\"{user}\",\"pass\":\"{pass}\"}}\r\n"
        ));
        it.subscribe(subscribe);
        it
    }

    /// Subscribes to a subject.
    pub(crate) fn subscribe(&mut self, subject: &str) {
        self.send(&format!("SUB {subject} 1\r\n"));
    }

    /// Returns the next error that NATS tells.
    pub(crate) fn error(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("NATS sends");
            assert!(!line.is_empty(), "NATS has closed the connection");
            if line.starts_with("-ERR") {
                return line.trim_end().to_owned();
            }
        }
    }

    fn send(&mut self, text: &str) {
        let stream = self.0.get_mut();
        stream.write_all(text.as_bytes()).expect("NATS reads");
    }

    /// Publishes a message. `reply` may be empty.
    pub(crate) fn publish(
        &mut self,
        subject: &str,
        reply: &str,
        headers: &[(&str, &str)],
        payload: impl AsRef<[u8]>,
    ) {
        let payload = payload.as_ref();
        let mut head = "NATS/1.0\r\n".to_owned();
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        let (first, all) = (head.len(), head.len() + payload.len());
        let line = format!("HPUB {subject} {reply} {first} {all}\r\n{head}");
        let message = [line.as_bytes(), payload, b"\r\n"].concat();
        let stream = self.0.get_mut();
        stream.write_all(&message).expect("NATS reads");
    }

    /// Returns the headers of the next message that it gets.
    pub(crate) fn next_head(&mut self) -> String {
        self.next();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let read = self.0.read_line(&mut head).expect("NATS sends");
            assert!(read > 0, "NATS has closed the connection");
        }
        head
    }

    /// Returns the payload of the next message that it gets, which has no headers.
    pub(crate) fn next_payload(&mut self) -> Vec<u8> {
        let line = self.next_line();
        let size = line.split_whitespace().last().expect("it has a size");
        let mut payload = vec![0; size.parse().expect("it is a number")];
        self.0.read_exact(&mut payload).expect("NATS sends");
        payload
    }

    /// Returns the subject of the next message that it gets.
    pub(crate) fn next(&mut self) -> String {
        let line = self.next_line();
        line.split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    }

    fn next_line(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("NATS sends");
            match line.split_whitespace().next() {
                Some("PING") => self.send("PONG\r\n"),
                Some("MSG" | "HMSG") => return line,
                Some("-ERR") => panic!("{line}"),
                _ => assert!(!line.is_empty(), "NATS has closed the connection"),
            }
        }
    }
}

/// Returns a plugin whose `process` returns a text.
pub(crate) fn says(text: &str) -> Vec<u8> {
    let length = text.len();
    wasm(&format!(
        r#"(data (i32.const 0) "{text}")
        (func (export "process") (param i32 i32) (result i32 i32) (i32.const 0) (i32.const {length}))"#
    ))
}

/// Returns a module that takes bytes, with more in it.
pub(crate) fn wasm(body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {body}
            (memory (export "memory") 2)
            (func (export "allocate") (param i32) (result i32) (i32.const 1024)))"#
    );
    wat::parse_str(text).expect("it is WAT")
}

/// Returns a plugin of the repository: `process` counts the visits of a name, as 8 bytes.
pub(crate) fn counter() -> Vec<u8> {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../guests/prebuilt/c_counter.wasm"
    );
    fs::read(file).expect("the plugin is there")
}

/// Settings with which the counter has values.
pub(crate) const SETTINGS: &str = "[plugin.counter]\ngrants = [\"state\"]\ndeadline = \"30s\"\n";

/// Runs a test on a runtime.
pub(crate) fn on_runtime(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .expect("there are threads");
    runtime.block_on(test);
}

/// Pushes the plugin `endless`, whose calls take an hour.
pub(crate) async fn push_endless(fleet: &Fleet) {
    let settings = "[plugin.endless]\ndeadline = \"1h\"\nbudget = { fuel = \"1000T\" }\n";
    fleet.set_settings(settings).await.unwrap();
    let endless = wasm(
        r#"(func (export "process") (param i32 i32) (result i32 i32) (loop (br 0)) unreachable)"#,
    );
    fleet.push("endless", &endless).await.unwrap();
}
