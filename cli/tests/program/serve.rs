//! `hostel serve`, `check-config` and `token`.

use super::{Files, hostel, path};
#[cfg(unix)]
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
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
struct Serving(Child);

#[cfg(unix)]
impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(unix)]
#[test]
fn serve_answers_and_logs() {
    let files = Files::new();
    std::fs::copy(super::guest("customize"), files.path("customize.wasm")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_hostel"))
        .args(["serve", path(&files.path("")), "--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn();
    let mut serving = Serving(child.expect("the program starts"));
    let mut log = BufReader::new(serving.0.stderr.take().unwrap()).lines();
    let mut line = |word: &str| {
        let mut lines = log.by_ref().map(|line| line.unwrap());
        lines
            .find(|line| line.contains(word))
            .unwrap_or_else(|| panic!("no {word}"))
    };
    let told = line("serving 1 plugins on http://");
    let address = told
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split(": ").next())
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "POST /v1/plugins/customize HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
        traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
        content-length: 11\r\n\r\nhello world"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("DEFAULT_PREFIX_HELLO WORLD"), "{answer}");
    // The plugin's log record, with its request.
    let record = line("processing 11 bytes");
    assert!(
        record.contains("4bf92f3577b34da6a3ce929d0e0e4736"),
        "{record}"
    );
    assert!(record.contains("plugin=\"customize\""), "{record}");
}

#[cfg(unix)]
#[test]
fn sigterm_ends_the_server() {
    let files = Files::new();
    let child = Command::new(env!("CARGO_BIN_EXE_hostel"))
        .args(["serve", path(&files.path("")), "--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn();
    let mut serving = Serving(child.expect("the program starts"));
    let mut log = BufReader::new(serving.0.stderr.take().unwrap()).lines();
    assert!(
        log.by_ref()
            .any(|line| line.unwrap().contains("serving 0 plugins"))
    );
    let id = serving.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(serving.0.wait().unwrap().code(), Some(0));
}
