//! `hostel serve`, `check-config` and `token`.

use super::{Files, hostel, path};
#[cfg(unix)]
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

#[test]
fn check_config_tells_every_fault() {
    let files = Files::new();
    let right = files.file("right.toml", b"[plugin.a]\nqueue = 5\n");
    let ended = hostel(&["check-config", &right]).expect(0);
    assert!(
        ended.text().contains("is right: 1 plugins, 0 tokens"),
        "{}",
        ended.text()
    );
    let wrong = files.file(
        "wrong.toml",
        b"[plugin.a]\nquue = 5\n[server]\nworkers = -1\n",
    );
    let ended = hostel(&["check-config", &wrong]).expect(2);
    for word in [
        "2 faults",
        "wrong.toml:2:1: ",
        "did you mean `queue`?",
        "wrong.toml:4:11: ",
    ] {
        assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
    }
    let missing = files.path("missing.toml");
    let ended = hostel(&["check-config", path(&missing)]).expect(2);
    assert!(ended.stderr.contains("can't read"), "{}", ended.stderr);
    // A server does not start with it.
    let ended = hostel(&["serve", path(&files.path("")), "--config", &wrong]).expect(2);
    assert!(
        ended.stderr.contains("wrong.toml:2:1: "),
        "{}",
        ended.stderr
    );
}

#[test]
fn no_file_is_read_beyond_its_limit() {
    let files = Files::new();
    let (long, secret) = (files.path("long.toml"), files.path("secret"));
    for (file, bytes) in [(&long, (1 << 20) + 1), (&secret, (64 << 10) + 1)] {
        let file = std::fs::File::create(file).unwrap();
        file.set_len(bytes).unwrap();
    }
    let ended = hostel(&["check-config", path(&long)]).expect(2);
    let told = "expected at most 1048576 bytes, found 1048577";
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    let endless = if cfg!(unix) {
        "/dev/zero"
    } else {
        path(&secret)
    };
    for (file, found) in [
        (path(&secret), "65537"),
        (endless, if cfg!(unix) { "more" } else { "65537" }),
    ] {
        let text =
            format!("[plugin.a]\ngrants = [\"config\"]\nconfig.token = {{ file = '{file}' }}\n");
        let config = files.file("right.toml", text.as_bytes());
        let ended = hostel(&["check-config", &config]).expect(2);
        let told =
            format!("can't read the file `{file}`: expected at most 65536 bytes, found {found}");
        assert!(ended.stderr.contains(&told), "{}", ended.stderr);
    }
}

#[test]
fn a_token_has_its_hash_beside_it() {
    let ended = hostel(&["token"]).expect(0);
    let text = ended.text();
    let mut lines = text.lines();
    let token = lines
        .next()
        .and_then(|line| line.strip_prefix("token:  "))
        .unwrap();
    let sha256 = lines
        .next()
        .and_then(|line| line.strip_prefix("sha256: "))
        .unwrap();
    let digest = hostel::Version::sha256(token.as_bytes());
    let expected: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(sha256, expected);
}

/// A server that is ended with the test. On Unix alone: under Wine no server is tested.
#[cfg(unix)]
struct Serving {
    child: Child,
    address: String,
    /// The lines of the log that were not asked for yet.
    log: Receiver<String>,
    /// Those of the access log.
    access: Receiver<String>,
}

#[cfg(unix)]
impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines on a thread of its own, so that a test can wait for one no longer than it means to.
#[cfg(unix)]
fn lines(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Waits for a line with a word.
#[cfg(unix)]
#[track_caller]
fn line(lines: &Receiver<String>, word: &str) -> String {
    loop {
        match lines.recv_timeout(Duration::from_secs(60)) {
            Ok(line) if line.contains(word) => return line,
            Ok(_) => {}
            Err(error) => panic!("no line with {word}: {error}"),
        }
    }
}

#[cfg(unix)]
impl Serving {
    /// Serves the directory of `files`, under its `hostel.toml` if there is one.
    fn start(files: &Files) -> Self {
        let config = files.path("hostel.toml");
        let mut command = Command::new(env!("CARGO_BIN_EXE_hostel"));
        command.args(["serve", path(&files.path("")), "--listen", "127.0.0.1:0"]);
        if config.exists() {
            command.args(["--config", path(&config)]);
        }
        command.stderr(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let log = lines(child.stderr.take().unwrap());
        let access = lines(child.stdout.take().unwrap());
        let told = line(&log, "plugins on http://");
        let address = told.split("http://").nth(1);
        let address = address.and_then(|rest| rest.split(": ").next()).unwrap();
        Self {
            address: address.to_owned(),
            child,
            log,
            access,
        }
    }

    /// Calls a plugin with `hello world`, as part of a trace. Returns the whole answer.
    fn call(&self, path: &str) -> String {
        let address = &self.address;
        let mut stream = TcpStream::connect(address).unwrap();
        let request = format!(
            "POST /v1/plugins/{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
            traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\ncontent-length: 11\r\n\r\nhello world"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status();
        assert!(sent.unwrap().success());
    }
}

#[cfg(unix)]
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[cfg(unix)]
fn customize(files: &Files) {
    std::fs::copy(super::guest("customize"), files.path("customize.wasm")).unwrap();
}

/// Writes another configuration, as a whole: the server may read it at any time.
#[cfg(unix)]
fn replace(files: &Files, config: &[u8]) {
    let written = files.file("hostel.toml.new", config);
    std::fs::rename(written, files.path("hostel.toml")).unwrap();
}

#[cfg(unix)]
#[test]
fn serve_answers_and_logs() {
    let files = Files::new();
    customize(&files);
    let serving = Serving::start(&files);
    let answer = serving.call("customize");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("DEFAULT_PREFIX_HELLO WORLD"), "{answer}");
    // The plugin's log record, with its request.
    let record = line(&serving.log, "processing 11 bytes");
    assert!(record.contains(TRACE), "{record}");
    assert!(record.contains("plugin=\"customize\""), "{record}");
}

#[cfg(unix)]
#[test]
fn a_file_that_does_not_load_is_told_once_and_without_rust() {
    let files = Files::new();
    let wat = r#"(module (import "env" "secret" (func)) (import "env" "host_state_get" (func (param i32 i32) (result i64))))"#;
    files.file("odd.wasm", &wat::parse_str(wat).unwrap());
    customize(&files);
    let serving = Serving::start(&files);
    let names = line(&serving.log, "not loaded");
    assert!(
        names.ends_with("not loaded, for the reasons above: odd"),
        "{names}"
    );
    // Its reason came before, and comes again when the file changes alone.
    files.file("odd.wasm", b"\0asm\x01\0\0\0\x01");
    let again = line(&serving.log, "odd.wasm");
    assert!(again.contains("cut off"), "{again}");
    let files = Files::new();
    files.file("odd.wasm", &wat::parse_str(wat).unwrap());
    let program = Command::new(env!("CARGO_BIN_EXE_hostel"))
        .args(["serve", path(&files.path("")), "--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn();
    let mut child = program.unwrap();
    let log = lines(child.stderr.take().unwrap());
    let reason = line(&log, "odd.wasm");
    let _ = child.kill();
    let _ = child.wait();
    assert!(reason.contains("`env.secret`"), "{reason}");
    assert!(reason.contains("the grant `state` would"), "{reason}");
    assert!(!reason.contains("Grants::"), "{reason}");
}

#[cfg(unix)]
#[test]
fn the_access_log_has_a_line_for_each_request() {
    let files = Files::new();
    customize(&files);
    files.file(
        "hostel.toml",
        b"[server]\naccess_log = \"json\"\n[defaults]\ngrants = [\"log\", \"config\"]\n",
    );
    let serving = Serving::start(&files);
    serving.call("customize?secret=1");
    let text = line(&serving.access, "\"customize\"");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["request"], TRACE);
    assert_eq!(
        (&json["method"], &json["path"]),
        (&"POST".into(), &"/v1/plugins/customize".into())
    );
    assert_eq!((&json["status"], &json["code"]), (&200.into(), &"".into()));
    assert_eq!(
        (&json["bytes_in"], &json["bytes_out"]),
        (&11.into(), &26.into())
    );
    assert!(json["fuel"].as_u64().unwrap() > 0 && json["seconds"].as_f64().unwrap() > 0.0);
    assert!(!text.contains("secret"), "{text}");
    serving.call("nobody");
    let text = line(&serving.access, "nobody");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&json["status"], &json["code"]),
        (&404.into(), &"unknown-plugin".into())
    );
}

#[cfg(unix)]
#[test]
fn the_configuration_is_reloaded_by_signal_and_by_change() {
    let config = |prefix: &str| {
        format!(
            "[defaults]\ngrants = [\"log\", \"config\"]\nconfig = {{ prefix = {{ file = \"{prefix}\" }} }}\n"
        )
    };
    let files = Files::new();
    customize(&files);
    let prefix = files.file("prefix", b"ONE");
    files.file("hostel.toml", config(&prefix).as_bytes());
    let serving = Serving::start(&files);
    assert!(serving.call("customize").ends_with("ONE_HELLO WORLD"));
    // The configuration's file is as it was, so nothing but the signal tells of the secret's change.
    files.file("prefix", b"TWO");
    serving.signal("-HUP");
    line(&serving.log, "reloaded the configuration");
    assert!(serving.call("customize").ends_with("TWO_HELLO WORLD"));
    let other = files.file("other", b"THREE");
    replace(&files, config(&other).as_bytes());
    line(&serving.log, "reloaded the configuration");
    assert!(serving.call("customize").ends_with("THREE_HELLO WORLD"));
    // One with a fault changes nothing, by either way.
    replace(&files, b"[defaults]\ngrnats = []\n");
    let told = line(&serving.log, "the configuration stays as it was");
    assert!(told.contains("did you mean `grants`"), "{told}");
    serving.signal("-HUP");
    line(&serving.log, "the configuration stays as it was");
    assert!(serving.call("customize").ends_with("THREE_HELLO WORLD"));
}

#[cfg(unix)]
#[test]
fn sigterm_ends_the_server() {
    let mut serving = Serving::start(&Files::new());
    serving.signal("-TERM");
    assert_eq!(serving.child.wait().unwrap().code(), Some(0));
}

/// Everything that an operator, a client or a collector can read, after requests with right and wrong tokens.
#[cfg(unix)]
#[test]
fn tokens_and_secrets_are_in_nothing_that_the_server_tells() {
    let files = Files::new();
    customize(&files);
    let made = || {
        let text = hostel(&["token"]).expect(0).text().to_owned();
        let mut words = text.split_whitespace().map(str::to_owned);
        (words.nth(1).unwrap(), words.nth(1).unwrap())
    };
    let ((admin, admin_hash), (anna, anna_hash)) = (made(), made());
    let (unknown, _) = made();
    let config = format!(
        "[server]\naccess_log = \"json\"\n\
        [token.root]\nrole = \"admin\"\nsha256 = \"{admin_hash}\"\n\
        [token.anna]\nrole = \"caller\"\nplugins = [\"customize\"]\nsha256 = \"{anna_hash}\"\n\
        [defaults]\ngrants = [\"log\", \"config\", \"http\"]\nconfig = {{ key = \"hidden-setting\" }}\n\
        [defaults.http]\nhosts = [\"https://example.com\"]\nsecrets = {{ KEY = \"hidden-secret\" }}\n\
        headers = [{{ origin = \"https://example.com\", name = \"a\", value = \"${{KEY}}\" }}]\n"
    );
    let file = files.file("hostel.toml", config.as_bytes());
    let mut told = hostel(&["check-config", &file]).expect(0).text().to_owned();
    let serving = Serving::start(&files);
    let mut ask = |line: &str, header: &str| {
        let mut stream = TcpStream::connect(&serving.address).unwrap();
        let request = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\ncontent-length: 1\r\n\r\nx"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        told.push_str(&answer);
    };
    for token in [&admin, &anna, &unknown] {
        let bearer = format!("authorization: Bearer {token}");
        for line in [
            "GET /",
            "GET /metrics",
            "GET /openapi.json",
            "GET /v1/plugins",
            "GET /v1/plugins/customize",
            "GET /v1/openapi/customize",
            "GET /v1/versions/customize",
            "GET /v1/fleet",
            "POST /v1/plugins/customize",
            "POST /v1/plugins/nobody",
            "PUT /v1/plugins/new",
            "DELETE /v1/plugins/nobody",
        ] {
            ask(line, &bearer);
        }
        // Where a client could put it by mistake.
        ask(
            &format!("POST /v1/plugins/customize?token={token}"),
            &bearer,
        );
        ask("GET /v1/plugins", &format!("authorization: Basic {token}"));
        ask("GET /v1/plugins", &format!("authorization: {token}"));
        ask("GET /v1/plugins", &format!("{bearer}\r\n{bearer}"));
        ask(
            "GET /v1/plugins",
            &format!("{bearer}\r\ncookie: token={token}"),
        );
    }
    // The live log does not end: its first lines do.
    let mut stream = TcpStream::connect(&serving.address).unwrap();
    let request = format!(
        "GET /v1/logs HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {admin}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let log = lines(stream);
    told.push_str(&line(&log, "processing 1 bytes"));
    // Faults beside secrets, by each way of reading a configuration.
    for wrong in [
        config.replace("[token.root]", "[token.root"),
        config.replace(
            "key = \"hidden-setting\"",
            "key = \"hidden-setting\" \"hidden-setting\"",
        ),
        config.replace("KEY = \"hidden-secret\"", "KEY = [\"hidden-secret\"]"),
        config.replace(
            "KEY = \"hidden-secret\"",
            "KEY = { text = \"hidden-secret\" }",
        ),
        config.replace("KEY = \"hidden-secret\"", "KEY = hidden-secret"),
        config.replace("${KEY}", "${YEK}"),
        config.replace(&admin_hash, &admin),
        config.replace("sha256 =", "token ="),
    ] {
        assert_ne!(wrong, config);
        let file = files.file("wrong.toml", wrong.as_bytes());
        told.push_str(&hostel(&["check-config", &file]).expect(2).stderr);
        replace(&files, wrong.as_bytes());
        told.push_str(&line(&serving.log, "the configuration stays as it was"));
    }
    serving.signal("-TERM");
    let mut written = String::new();
    for lines in [&serving.log, &serving.access] {
        written.extend(lines.iter());
    }
    assert!(
        written.contains("\"client\":\"root\"") && written.contains("\"code\":\"unauthorized\"")
    );
    for secret in [&admin, &anna, &unknown, "hidden-setting", "hidden-secret"] {
        for text in [&told, &written] {
            let found = text.lines().find(|line| line.contains(secret));
            assert_eq!(found, None, "{secret}");
        }
    }
}
