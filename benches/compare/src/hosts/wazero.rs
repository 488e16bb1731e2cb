//! wazero, in a process of Go that does its own measuring: see `wazero/` in this folder's parent.

use crate::{
    cases::Work,
    guests::{Convention, Guest},
    host::{Answer, Host, Runner, Sample},
    memory::{self, KINDS},
};
use std::{
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Mutex,
};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/wazero");
const BUILT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/wazero");

pub struct Wazero {
    engine: &'static str,
    version: String,
    process: Mutex<Process>,
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Wazero {
    /// Builds the program with Go and the checkout of wazero that the variable `WAZERO` names, and starts it.
    pub fn start(engine: &'static str) -> Answer<Self> {
        let checkout = env::var("WAZERO")
            .map_err(|_| "WAZERO does not name a checkout of wazero's repository")?;
        let go = go()?;
        fs::create_dir_all(BUILT)?;
        let modules = Path::new(BUILT).join("go.mod");
        let requirements = fs::read_to_string(Path::new(FOLDER).join("go.mod"))?;
        fs::write(
            &modules,
            format!("{requirements}\nreplace github.com/tetratelabs/wazero => {checkout}\n"),
        )?;
        let built = Command::new(go)
            .current_dir(FOLDER)
            .args(["build", "-mod=mod", "-o"])
            .arg(program())
            .arg(format!("-modfile={}", modules.display()))
            .env("GOPROXY", "off")
            .output()?;
        if !built.status.success() {
            return Err(String::from_utf8_lossy(&built.stderr)
                .trim()
                .to_string()
                .into());
        }
        let mut child = Command::new(program())
            .arg(engine)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipes".into());
        };
        let version = requirements
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .trim()
            .to_string();
        Ok(Self {
            engine,
            version,
            process: Mutex::new(Process {
                child,
                input,
                output: BufReader::new(output),
            }),
        })
    }

    /// Writes a line, and reads the answer.
    fn ask(&self, line: &str) -> Answer<String> {
        let mut process = self
            .process
            .lock()
            .map_err(|_| "an earlier request panicked")?;
        writeln!(process.input, "{line}")?;
        let mut answer = String::new();
        if process.output.read_line(&mut answer)? == 0 {
            return Err(format!("it ended: {}", process.child.wait()?).into());
        }
        let answer = answer.trim();
        match answer.strip_prefix("error ") {
            Some(error) => Err(error.to_string().into()),
            None => Ok(answer.to_string()),
        }
    }
}

impl Host for Wazero {
    fn name(&self) -> &'static str {
        match self.engine {
            "compiler" => "wazero",
            _ => "wazero, interpreter",
        }
    }

    fn about(&self) -> String {
        format!(
            "{}, its {}, by hand in Go, no metering; compiled modules are cached by its runtime",
            self.version, self.engine
        )
    }

    fn prepare(&'static self, work: &Work) -> Answer<Option<Box<dyn Runner>>> {
        let (name, argument, guest) = match *work {
            Work::Held(guest, size) => ("held", size, guest),
            Work::New(guest, size) => ("new", size, guest),
            Work::Reused(..) | Work::AddReused | Work::Blocks => return Ok(None),
            Work::AddHeld => ("add", 0, Guest::Add),
            Work::HostNumbers => ("numbers", 0, Guest::Caller),
            Work::HostBytes => ("bytes", 0, Guest::Caller),
            Work::Load(guest) => ("load", 0, guest),
            Work::LoadAgain(guest) => ("load-again", 0, guest),
            Work::Threads(guest, threads) => ("threads", threads as usize, guest),
            Work::Kernel(index) => ("run", 0, Guest::Kernel(index)),
        };
        let module = written(guest)?;
        let answer = self.ask(&format!("prepare {name} {argument} {}", module.display()))?;
        let Some(number) = answer.strip_prefix("ok ") else {
            return Ok(None);
        };
        let threads = if let Work::Threads(_, threads) = work {
            *threads
        } else {
            1
        };
        Ok(Some(Box::new(Remote {
            host: self,
            number: number.parse()?,
            threads,
        })))
    }

    fn grow(&'static self, _kind: &str, _most: u32) -> Answer<()> {
        Err("wazero grows in a program of its own".into())
    }

    fn grow_command(&self, kind: &str, most: u32) -> Answer<Option<Command>> {
        let counts = KINDS
            .iter()
            .find(|(name, ..)| *name == kind)
            .ok_or("unknown kind")?
            .2;
        let counts = counts
            .iter()
            .filter(|count| **count <= most)
            .map(u32::to_string);
        let mut command = Command::new(program());
        command
            .args([self.engine, "grow", kind])
            .arg(written(Guest::RustStd)?)
            .arg(memory::most_bytes()?.to_string())
            .args(counts);
        Ok(Some(command))
    }
}

impl Drop for Wazero {
    fn drop(&mut self) {
        if let Ok(process) = self.process.get_mut() {
            let _ = process.child.kill();
        }
    }
}

/// Work that was prepared in the other process.
struct Remote {
    host: &'static Wazero,
    number: u32,
    threads: u32,
}

impl Runner for Remote {
    fn run(&mut self, rounds: u32) -> Answer<Sample> {
        let answer = self.host.ask(&format!("run {} {rounds}", self.number))?;
        let (processor, wall) = answer.split_once(' ').ok_or("expected two times")?;
        Ok(Sample {
            processor: processor.parse::<f64>()? / f64::from(self.threads),
            wall: wall.parse::<f64>()? / f64::from(self.threads),
        })
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        let _ = self.host.ask(&format!("drop {}", self.number));
    }
}

fn program() -> PathBuf {
    Path::new(BUILT).join("compare")
}

fn go() -> Answer<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join("go"))
        .find(|program| program.is_file())
        .ok_or_else(|| "there is no `go` in PATH".into())
}

/// Writes the guest to a file, for the other process.
fn written(guest: Guest) -> Answer<PathBuf> {
    let wasm = guest.wasm(Convention::Native).ok_or("no such guest")?;
    let path = Path::new(BUILT).join(format!(
        "{}.wasm",
        format!("{guest:?}").replace(['(', ')'], "")
    ));
    fs::write(&path, wasm)?;
    Ok(path)
}
