//! `hostel dev`: builds, loads and calls again after a change. Its stdin and stdout are pipes here.

use super::{Files, command, hostel, path};
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
};

/// The program while it runs: its lines on stdout and stderr.
struct Dev {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Dev {
    fn start(arguments: &[&str]) -> Self {
        let mut child = command(&[&["dev"], arguments].concat())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (send, lines) = mpsc::channel();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let from_stdout = send.clone();
        let read = |from: Box<dyn std::io::Read + Send>, send: mpsc::Sender<String>| {
            thread::spawn(move || {
                for line in BufReader::new(from).lines().map_while(Result::ok) {
                    // The test may have ended.
                    let _ = send.send(line);
                }
            });
        };
        read(Box::new(stdout.expect("it is a pipe")), from_stdout);
        read(Box::new(stderr.expect("it is a pipe")), send);
        let stdin = child.stdin.take().expect("it is a pipe");
        Self {
            child,
            stdin,
            lines,
        }
    }

    fn write(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").expect("the program reads");
    }

    /// Waits for a line with a text, and returns it.
    fn wait(&self, text: &str) -> String {
        let mut before = Vec::new();
        loop {
            let line = self.lines.recv();
            let line = line.unwrap_or_else(|_| panic!("ended without `{text}`: {before:#?}"));
            if line.contains(text) {
                return line;
            }
            before.push(line);
        }
    }

    fn quit(mut self) {
        self.write("q");
        let status = self.child.wait().expect("the program ends");
        assert_eq!(status.code(), Some(0));
    }
}

/// Returns a plugin whose output is a text.
fn plugin(text: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
            (memory (export "memory") 1)
            (data (i32.const 0) "{text}")
            (func (export "allocate") (param i32) (result i32) (i32.const 1024))
            (func (export "process") (param $ptr i32) (param $size i32) (result i32 i32)
                (memory.copy (i32.const {size}) (local.get $ptr) (local.get $size))
                (i32.const 0) (i32.add (i32.const {size}) (local.get $size))))"#,
        size = text.len(),
    );
    wat::parse_str(text).expect("it is WAT")
}

#[test]
fn a_change_of_the_source_is_built_and_called() {
    let files = Files::new();
    files.file("source.bin", &plugin("one "));
    // `make` builds the plugin of a file, or fails as a compiler does.
    let makefile = "plugin.wasm: source.bin\n\tcp source.bin plugin.wasm\n";
    files.file("Makefile", makefile.as_bytes());
    let folder = files.path("");
    let mut dev = Dev::start(&[path(&folder), "input"]);
    dev.wait("$ make");
    dev.wait("one input");
    let usage = dev.wait(" fuel, 64.0 KiB of memory");

    files.file("source.bin", &plugin("two "));
    dev.wait("two input");
    // The call again, of the same fuel.
    dev.write("r");
    dev.wait("two input");
    assert_eq!(dev.wait(" of memory"), usage);
    dev.write("i other");
    dev.wait("two other");
    dev.write("what");
    dev.wait("r calls again");

    // A build that fails after it removed the plugin.
    files.file(
        "Makefile",
        b"all:\n\trm plugin.wasm\n\techo 'error: no such thing' >&2; false\n",
    );
    dev.wait("error: no such thing");
    dev.wait("error: `make` failed");
    dev.wait("hint: the version before is kept");
    dev.write("r");
    dev.wait("two other");
    files.file("source.bin", &plugin("three "));
    files.file("Makefile", makefile.as_bytes());
    dev.wait("three other");
    dev.quit();
}

#[test]
fn without_input_the_first_test_case_is_called() {
    let files = Files::new();
    files.file("source.bin", &plugin("got "));
    files.file(
        "Makefile",
        b"plugin.wasm: source.bin\n\tcp source.bin plugin.wasm\n",
    );
    files.file(
        "tests.toml",
        b"[[case]]\nname = \"first\"\ninput = \"its input\"\n",
    );
    let folder = files.path("");
    let dev = Dev::start(&[path(&folder)]);
    dev.wait("got its input");
    // A plugin that traps is reported, and the next version called.
    let traps = r#"(module (memory (export "memory") 1)
        (func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "process") (param i32 i32) (result i32 i32) unreachable))"#;
    files.file("source.bin", &wat::parse_str(traps).expect("it is WAT"));
    dev.wait("error: the guest trapped");
    files.file("source.bin", &plugin("now "));
    dev.wait("now its input");
    dev.quit();
}

#[test]
fn the_host_of_the_first_test_case_is_kept() {
    let files = Files::new();
    let source = r#"(module
        (import "shop" "name" (func $name (result i32 i32)))
        (import "env" "host_get_config" (func $setting (param i32 i32) (result i32 i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "key")
        (func (export "allocate") (param i32) (result i32) (i32.const 1024))
        (func (export "name") (param i32 i32) (result i32 i32) (call $name))
        (func (export "process") (param i32 i32) (result i32 i32)
            (call $setting (i32.const 0) (i32.const 3))))"#;
    files.file("source.bin", &wat::parse_str(source).expect("it is WAT"));
    files.file(
        "Makefile",
        b"plugin.wasm: source.bin\n\tcp source.bin plugin.wasm\n",
    );
    files.file(
        "tests.toml",
        b"[host]\n\"shop.name\" = \"lamp\"\n[settings]\nkey = \"of the file\"\n\
          [[case]]\nname = \"first\"\ncall = \"name\"\ninput = \"x\"\n",
    );
    let folder = files.path("");
    for (options, output) in [
        (&[][..], "lamp"),
        (&["input"], "of the file"),
        (&["input", "--call", "name"], "lamp"),
        (&["input", "--config", "key=of the option"], "of the option"),
        (&["--callback", "shop.name=\"table\""], "table"),
    ] {
        let dev = Dev::start(&[&[path(&folder)], options].concat());
        dev.wait(output);
        dev.quit();
    }
}

#[test]
fn a_folder_without_a_build_file_is_refused() {
    let files = Files::new();
    fs::create_dir(files.path("empty")).expect("a folder can be made");
    let empty = files.path("empty");
    let ended = hostel(&["dev", path(&empty)]).expect(2);
    assert!(
        ended
            .stderr
            .contains("expected a Cargo.toml, package.json or Makefile"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("hostel new"), "{}", ended.stderr);
}
