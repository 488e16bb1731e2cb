//! `hostel dev`: builds, loads and calls a plugin whenever its source changes.

use super::{
    arguments::{Run, RunOnce},
    exit::Exit,
    failure::Failure,
    input::GivenInput,
    log, output, run, testing,
};
use std::{
    env, fs,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, SystemTime},
};

/// How often the source is looked at.
const PERIOD: Duration = Duration::from_millis(200);

/// Folders that builds write.
const BUILT: [&str; 3] = ["target", "node_modules", "zig-out"];

/// Files that builds write, by the ends of their names.
const WRITTEN: [&str; 4] = [".wasm", ".o", "Cargo.lock", "package-lock.json"];

pub(super) fn dev(arguments: &RunOnce) -> Result<Exit, Failure> {
    arguments.run.refuse_json("dev")?;
    log::show();
    let folder = &arguments.run.plugin;
    let build = Build::of(folder)?;
    let lines = commands();
    let mut dev = Dev {
        arguments,
        build,
        kept: Kept::new()?,
        input: arguments.run.input.clone(),
    };
    let mut seen = states(folder);
    let mut written = dev.build_and_call()?;
    while written == Exit::Ok {
        match lines.recv_timeout(PERIOD) {
            Ok(line) => match line.trim() {
                "q" => return Ok(Exit::Ok),
                "" | "r" => written = dev.call()?,
                line => match line.strip_prefix("i ") {
                    Some(input) => {
                        dev.input = vec![GivenInput::Argument(input.to_owned())];
                        written = dev.call()?;
                    }
                    None => output::note("r calls again, i TEXT sets the input and calls, q ends"),
                },
            },
            Err(RecvTimeoutError::Timeout) => {
                let now = settled(folder, &seen);
                if now != seen {
                    seen = now;
                    written = dev.build_and_call()?;
                }
            }
            // Stdin has ended, and there is no handler for Ctrl-C.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(PERIOD),
        }
    }
    // Nobody reads the output.
    Ok(written)
}

/// Returns the lines of stdin, and `q` for Ctrl-C.
fn commands() -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    let quit: Sender<String> = send.clone();
    // Without a handler, Ctrl-C ends the program at once, which leaves the kept plugin.
    let _ = ctrlc::set_handler(move || drop(quit.send("q".to_owned())));
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

/// What is built and called.
struct Dev<'a> {
    arguments: &'a RunOnce,
    build: Build,
    kept: Kept,
    input: Vec<GivenInput>,
}

impl Dev<'_> {
    fn build_and_call(&mut self) -> Result<Exit, Failure> {
        if io::stdout().is_terminal() {
            // Clears the screen, and puts the cursor into its corner.
            output::bytes(b"\x1b[2J\x1b[H")?;
        }
        let built = self.build.run();
        match built.and_then(|plugin| self.kept.keep(&plugin)) {
            Ok(()) => self.call(),
            Err(failure) => {
                output::failure(&failure);
                if self.kept.plugin.is_some() {
                    output::hint("the version before is kept: r calls it");
                }
                Ok(Exit::Ok)
            }
        }
    }

    /// Calls the version that was built last. A call that fails is reported, and ends nothing.
    fn call(&self) -> Result<Exit, Failure> {
        let Some(plugin) = &self.kept.plugin else {
            output::note("nothing is built yet");
            return Ok(Exit::Ok);
        };
        let called = self.options(plugin).map(|run| RunOnce {
            run,
            ..self.arguments.clone()
        });
        match called {
            Ok(called) => run::shown(&called),
            Err(failure) => {
                output::failure(&failure);
                Ok(Exit::Ok)
            }
        }
    }

    /// Returns the options of the call: those of the command line, beside those of the first test case.
    fn options(&self, plugin: &Path) -> Result<Run, Failure> {
        let given = &self.arguments.run;
        let tests = given.plugin.join("tests.toml");
        let given = Run {
            plugin: plugin.to_owned(),
            input: self.input.clone(),
            ..given.clone()
        };
        match tests.exists() {
            true => Ok(over(given, testing::first_call(&tests, plugin)?)),
            false => Ok(given),
        }
    }
}

/// Returns the options that are given, and where they say nothing, those of a test case, `case`. An input or a function takes the
/// place of the case's whole call.
fn over(given: Run, mut case: Run) -> Run {
    let calls = !given.input.is_empty() || given.call.is_some();
    let (call, input, numbers) = match calls {
        true => (given.call, given.input, given.numbers),
        false => (case.call, case.input, case.numbers || given.numbers),
    };
    case.callback.retain(|answer| {
        let mut answers = given.callback.iter();
        !answers.any(|given| given.name() == answer.name())
    });
    Run {
        call,
        input,
        numbers,
        arg: [case.arg, given.arg].concat(),
        env: [case.env, given.env].concat(),
        dir: [case.dir, given.dir].concat(),
        config: [case.config, given.config].concat(),
        abi: given.abi.or(case.abi),
        callback: [case.callback, given.callback].concat(),
        stub: [case.stub, given.stub].concat(),
        fuel: given.fuel.or(case.fuel),
        memory: given.memory.or(case.memory),
        limit: [case.limit, given.limit].concat(),
        timeout: given.timeout.or(case.timeout),
        http_answers: case.http_answers,
        memory_state: case.memory_state.filter(|_| given.state.is_none()),
        ..given
    }
}

/// The plugin that was built last, in a file that no build removes.
struct Kept {
    folder: PathBuf,
    plugin: Option<PathBuf>,
}

impl Kept {
    fn new() -> Result<Self, Failure> {
        let folder = env::temp_dir().join(format!("hostel-dev-{}", process::id()));
        let made = fs::create_dir(&folder);
        made.map_err(|error| Failure::unwritable(&folder, &error))?;
        Ok(Self {
            folder,
            plugin: None,
        })
    }

    fn keep(&mut self, plugin: &Path) -> Result<(), Failure> {
        let kept = self.folder.join(plugin.file_name().unwrap_or_default());
        let copied = fs::copy(plugin, &kept);
        copied.map_err(|error| Failure::unwritable(&kept, &error))?;
        self.plugin = Some(kept);
        Ok(())
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // The system clears its folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// By what a plugin is built.
struct Build {
    folder: PathBuf,
    command: &'static [&'static str],
    /// The folder in which the build writes the plugin.
    output: PathBuf,
}

/// The files by which a build is known, its commands, and the folder of what it builds.
const BUILDS: [(&str, &[&str], &str); 3] = [
    (
        "Cargo.toml",
        &[
            "cargo",
            "build",
            "--release",
            "--target",
            "wasm32-unknown-unknown",
        ],
        "target/wasm32-unknown-unknown/release",
    ),
    ("package.json", &["npm", "run", "build"], ""),
    ("Makefile", &["make"], ""),
];

impl Build {
    fn of(folder: &Path) -> Result<Self, Failure> {
        let mut known = BUILDS.iter();
        let found = known.find(|(file, ..)| folder.join(file).is_file());
        let Some((_, command, output)) = found else {
            let message = format!(
                "expected a Cargo.toml, package.json or Makefile in {}",
                folder.display()
            );
            return Err(Failure::usage(message)
                .with_hint("`hostel new NAME --lang LANGUAGE` writes a folder with one"));
        };
        Ok(Self {
            folder: folder.to_owned(),
            command,
            output: folder.join(output),
        })
    }

    /// Builds the plugin, and returns its file.
    fn run(&self) -> Result<PathBuf, Failure> {
        if self.command[0] == "npm" && !self.folder.join("node_modules").exists() {
            self.execute(&["npm", "install"])?;
        }
        self.execute(self.command)?;
        self.newest().ok_or_else(|| {
            let output = self.output.display();
            Failure::usage(format!("the build left no .wasm file in {output}"))
        })
    }

    fn execute(&self, command: &[&str]) -> Result<(), Failure> {
        let shown = command.join(" ");
        output::note(&format!("$ {shown}"));
        let program = match command[0] {
            "npm" if cfg!(windows) => "npm.cmd",
            program => program,
        };
        let ended = Command::new(program)
            .args(&command[1..])
            .current_dir(&self.folder)
            // Where the plugin is looked for.
            .env_remove("CARGO_TARGET_DIR")
            .stdin(Stdio::null())
            .stdout(io::stderr())
            .status();
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => {
                let message = format!("`{shown}` failed: {status}");
                Err(Failure::new(Exit::Usage, "build", message))
            }
            Err(error) => {
                let message = format!("can't run `{shown}`: {error}");
                Err(Failure::new(Exit::Usage, "build", message))
            }
        }
    }

    /// Returns the .wasm file that was written last.
    fn newest(&self) -> Option<PathBuf> {
        let files = fs::read_dir(&self.output).ok()?.flatten();
        let plugins = files.filter(|file| file.path().extension().is_some_and(|it| it == "wasm"));
        let newest = plugins.max_by_key(|file| file.metadata().and_then(|it| it.modified()).ok());
        newest.map(|file| file.path())
    }
}

/// By what a change of a file is noticed.
type State = (PathBuf, u64, Option<SystemTime>);

/// Returns the states of the source's files once they do not change for one period: an editor may still write them.
fn settled(folder: &Path, seen: &[State]) -> Vec<State> {
    let mut now = states(folder);
    while now != seen {
        thread::sleep(PERIOD);
        let later = states(folder);
        if later == now {
            break;
        }
        now = later;
    }
    now
}

/// Returns the states of all files of the source, in the order of their paths.
fn states(folder: &Path) -> Vec<State> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let written = WRITTEN.iter().any(|end| name.ends_with(end));
            if name.starts_with('.') || BUILT.contains(&&*name) || written {
                continue;
            }
            match entry.metadata() {
                Ok(found) if found.is_dir() => folders.push(entry.path()),
                Ok(found) => files.push((entry.path(), found.len(), found.modified().ok())),
                // Removed meanwhile.
                Err(_) => {}
            }
        }
    }
    files.sort();
    files
}
