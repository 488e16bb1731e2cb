//! Follows a page as a reader would: writes its files and runs its commands in an empty folder.

use super::page::Block;
use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::symlink, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tempfile::TempDir;

/// One reader of one page. Its folder has the links that a reader of the repository needs.
pub(super) struct Session {
    root: PathBuf,
    folder: TempDir,
    /// The port in place of 8080, which another program may have.
    port: u16,
    /// The process groups of servers that the page has started.
    servers: Vec<u32>,
}

impl Session {
    pub(super) fn new(root: &Path) -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        let work = folder.path().join("work");
        fs::create_dir_all(work.join("guests")).expect("a folder can be made");
        let links = [
            ("guests/prebuilt", "guests/prebuilt"),
            ("guests/components", "guests/components"),
            // The READMEs beside the sources are read in their folders.
            ("guests/prebuilt", "prebuilt"),
            ("guests/c", "c"),
            // As the book calls a folder of plugins.
            ("guests/prebuilt", "plugins"),
        ];
        for (to, name) in links {
            symlink(root.join(to), work.join(name)).expect("a link can be made");
        }
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = listener.local_addr().expect("it has an address").port();
        Self {
            root: root.to_owned(),
            folder,
            port,
            servers: Vec::new(),
        }
    }

    /// Does what a block says. Returns how many commands it ran.
    ///
    /// * A block with the attribute `file=PATH` is written to this file.
    /// * A block in `sh` is run and has to succeed.
    /// * A block in `console` has commands after `$ `, each followed by what it prints; `…` stands for any text.
    /// * A block in `c` with the attribute `include=FOLDER` has to compile.
    /// * A block in `toml` without a file has to parse.
    ///
    /// The attribute `not-run=REASON` leaves out a block whose commands need what a test has not. A command that
    /// begins with `hostel serve` goes on while the page does. The attribute `needs=TOOL` tells a tool that may be
    /// missing outside of CI.
    pub(super) fn follow(&mut self, block: &Block) -> Result<usize, String> {
        if block.attribute("not-run").is_some() {
            return Ok(0);
        }
        if let Some(path) = block.attribute("file") {
            let path = self.current().join(path);
            fs::create_dir_all(path.parent().expect("a file has a folder"))
                .map_err(|error| error.to_string())?;
            return fs::write(path, &block.text)
                .map_err(|error| error.to_string())
                .map(|()| 0);
        }
        if let Some(tool) = block.attribute("needs")
            && !is_there(tool)
        {
            return match std::env::var_os("CI").is_some() {
                true => Err(format!("`{tool}` is missing")),
                false => {
                    eprintln!("SKIPPED line {}, without `{tool}`", block.line);
                    Ok(0)
                }
            };
        }
        match block.language.as_str() {
            "sh" => self.run(&block.text).map(|_| 1),
            "console" => self.converse(&block.text),
            "toml" => toml::from_str::<toml::Table>(&block.text)
                .map(|_| 0)
                .map_err(|error| error.to_string()),
            "json" => serde_json::from_str::<serde_json::Value>(&block.text)
                .map(|_| 0)
                .map_err(|error| error.to_string()),
            "c" => self.check_c(block),
            "text" if block.text.starts_with("$ ") => {
                Err("a conversation in `text` is not run: make it `console`".to_owned())
            }
            _ => Ok(0),
        }
    }

    /// Checks a program in C with the headers of the folder that its attribute `include` names.
    fn check_c(&mut self, block: &Block) -> Result<usize, String> {
        let Some(folder) = block.attribute("include") else {
            return Ok(0);
        };
        fs::write(self.current().join("checked.c"), &block.text)
            .map_err(|error| error.to_string())?;
        let folder = self.root.join(folder);
        let check = format!(
            "clang -std=c11 -Wall -Wextra -Werror -fsyntax-only -I '{}' checked.c",
            folder.display()
        );
        self.run(&check).map(|_| 1)
    }

    /// Runs the commands of a conversation, and compares what they print.
    fn converse(&mut self, text: &str) -> Result<usize, String> {
        let mut ran = 0;
        for part in format!("\n{text}").split("\n$ ").skip(1) {
            let mut lines = part.lines();
            let mut command = lines.next().unwrap_or_default().to_owned();
            while command.ends_with('\\') {
                command += "\n";
                command += lines.next().unwrap_or_default();
            }
            let expected = lines.collect::<Vec<_>>().join("\n");
            let found = self.run(&format!("set +e\n{command}\ntrue"))?;
            if !fits(expected.trim_end(), found.trim_end()) {
                return Err(format!(
                    "`{command}` printed\n{found}\nexpected\n{expected}"
                ));
            }
            ran += 1;
        }
        Ok(ran)
    }

    /// Returns the folder in which the last command ended.
    fn current(&self) -> PathBuf {
        fs::read_to_string(self.folder.path().join("current")).map_or_else(
            |_| self.folder.path().join("work"),
            |path| path.trim_end().into(),
        )
    }

    /// Runs a script. Returns what it prints on both streams.
    fn run(&mut self, script: &str) -> Result<String, String> {
        let port = self.port.to_string();
        let script = script
            .replace("cargo run --release -- ", "hostel ")
            .replace("localhost:8080", &format!("localhost:{port}"));
        let mut lines = String::new();
        let mut serves = false;
        for line in script.lines() {
            lines += line;
            if line.starts_with("hostel serve ") {
                serves = true;
                lines += &format!(" --listen 127.0.0.1:{port} >served 2>&1 &\n");
                lines += &format!(
                    "until curl -sf localhost:{port}/readyz >/dev/null; do sleep 0.1; kill -0 $!; done"
                );
            }
            lines += "\n";
        }
        let folder = self.folder.path();
        let program = Path::new(env!("CARGO_BIN_EXE_hostel"))
            .parent()
            .expect("it is in a folder");
        let search = std::env::var("PATH").unwrap_or_default();
        let output = folder.join("output");
        let printed = fs::File::create(&output).map_err(|error| error.to_string())?;
        let ended = folder.join("current");
        let script_of_block = format!("{lines}\npwd >{}", ended.display());
        // A command that never ends is ended.
        let mut command = Command::new("timeout");
        command
            .args(["500", "bash", "-euo", "pipefail", "-c", &script_of_block])
            .current_dir(self.current())
            .env("PATH", format!("{}:{search}", program.display()))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(printed.try_clone().map_err(|error| error.to_string())?)
            .stderr(printed)
            .process_group(0);
        // Those of the tests' own build.
        for name in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_TARGET",
            "RUST_LOG",
        ] {
            command.env_remove(name);
        }
        let mut child = command
            .spawn()
            .map_err(|error| format!("timeout: {error}"))?;
        if serves {
            self.servers.push(child.id());
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        let printed = fs::read(&output).map_err(|error| error.to_string())?;
        let printed = String::from_utf8_lossy(&printed)
            .replace(&format!("localhost:{port}"), "localhost:8080");
        match status.success() {
            true => Ok(printed),
            false => Err(format!(
                "`{}` failed with {status}:\n{printed}",
                script.trim_end()
            )),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        for group in &self.servers {
            let kill = Command::new("kill")
                .args(["--", &format!("-{group}")])
                .stderr(Stdio::null())
                .status();
            kill.expect("`kill` is there");
        }
    }
}

/// Returns whether the path has a tool.
fn is_there(tool: &str) -> bool {
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search).any(|folder| folder.join(tool).is_file())
}

/// Returns whether a text fits one in which `…` stands for any text.
fn fits(expected: &str, found: &str) -> bool {
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = found.strip_prefix(first) else {
        return false;
    };
    let parts = parts.collect::<Vec<_>>();
    let Some((last, between)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in between {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
