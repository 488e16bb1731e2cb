//! The arguments of `hostel job`, `plugins` and `top`, and of workers.

use crate::arguments::time;
use clap::{Args, Subcommand};
use hostel_fleet::{DEFAULT_ATTEMPTS, FleetOptions, MOST_ATTEMPTS};
use std::path::PathBuf;

/// The environment variable for the servers of NATS.
const SERVERS: &str = "NATS_URL";

/// How a fleet is reached, besides the servers' addresses.
#[derive(Debug, Args)]
pub(crate) struct Access {
    /// File of NATS credentials, such as nsc makes
    #[arg(long, value_name = "FILE")]
    creds: Option<PathBuf>,
    /// Certificates to trust beside the system's, in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Name of the fleet on its NATS
    #[arg(long, value_name = "NAME", default_value = "hostel")]
    fleet: String,
    /// Prefix of inboxes; a worker replies to no other subject
    #[arg(long, value_name = "PREFIX", default_value = "_INBOX")]
    inbox: String,
}

impl Access {
    fn options(&self, servers: String) -> FleetOptions {
        FleetOptions {
            servers,
            credentials: self.creds.clone(),
            ca: self.ca.clone(),
            fleet: self.fleet.clone(),
            inbox: self.inbox.clone(),
            ..FleetOptions::default()
        }
    }
}

/// The fleet of a command.
#[derive(Debug, Args)]
pub(crate) struct Reach {
    /// Servers of NATS: nats://[USER:PASSWORD@]HOST[:PORT], or tls://… [default: NATS_URL, or this machine]
    #[arg(long, value_name = "URL", hide_default_value = true)]
    nats: Option<String>,
    #[command(flatten)]
    access: Access,
}

impl Reach {
    pub(super) fn options(&self) -> FleetOptions {
        // A password in the environment is in no list of processes.
        let given = self.nats.clone().or_else(|| std::env::var(SERVERS).ok());
        let servers = given.unwrap_or_else(|| FleetOptions::default().servers);
        self.access.options(servers)
    }
}

/// What makes a server a worker of a fleet.
#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Work for a fleet: servers of NATS, nats://… or tls://…; `env` reads NATS_URL
    #[arg(long, value_name = "URL", conflicts_with_all = ["directory", "config"])]
    pub(super) nats: Option<String>,
    #[command(flatten)]
    access: Access,
    /// Jobs at one time [default: two for each processor]
    #[arg(long, value_name = "N", requires = "nats", value_parser = jobs)]
    pub(super) jobs: Option<usize>,
    /// Servers of NATS that keep what is made anew, 1 to 5
    #[arg(long, value_name = "N", requires = "nats", default_value_t = 1, value_parser = replicas)]
    replicas: usize,
}

impl Worker {
    pub(super) fn options(&self, nats: &str) -> FleetOptions {
        let servers = match nats {
            "env" => std::env::var(SERVERS).unwrap_or_default(),
            servers => servers.to_owned(),
        };
        FleetOptions {
            replicas: self.replicas,
            ..self.access.options(servers)
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    /// Submit a job, and print its name: PLUGIN/ID
    Submit(Submit),
    /// Show how far a job is
    Status {
        /// Plugin and identifier of the job, as `submit` prints them
        #[arg(value_name = "PLUGIN/ID", value_parser = job)]
        job: (String, String),
        /// Print the status as one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Print the result of a job
    Result {
        /// Plugin and identifier of the job, as `submit` prints them
        #[arg(value_name = "PLUGIN/ID", value_parser = job)]
        job: (String, String),
        /// Longest time to wait for it, such as 30s [default: none]
        #[arg(long, value_name = "TIME", value_parser = time)]
        wait: Option<humantime::Duration>,
        #[command(flatten)]
        reach: Reach,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Submit {
    /// Name of the plugin
    pub(super) plugin: String,
    /// Text, @FILE, or - for stdin. @@… is text that begins with @
    pub(super) input: Option<String>,
    /// Function or operation [default: process]
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) call: String,
    /// Identifier among the plugin's jobs: one is done once however often it is submitted [default: new]
    #[arg(long, value_name = "ID")]
    pub(super) id: Option<String>,
    /// Most attempts, from 1 to 100
    #[arg(long, value_name = "N", default_value_t = DEFAULT_ATTEMPTS, value_parser = attempts)]
    pub(super) attempts: u32,
    /// Wait so long for the result, and print it instead of the name
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) wait: Option<humantime::Duration>,
    #[command(flatten)]
    pub(super) reach: Reach,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginsCommand {
    /// Load a plugin on all workers, as its new version
    Push {
        /// Name of the plugin
        name: String,
        /// Module or component: a .wasm file
        file: PathBuf,
        #[command(flatten)]
        reach: Reach,
    },
    /// List the plugins, their versions, and those to roll back to
    List {
        /// Print the releases as one JSON object
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Load an earlier version of a plugin on all workers
    Rollback {
        /// Name of the plugin
        name: String,
        /// Number or SHA-256 of the version [default: the one before]
        to: Option<String>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Unload a plugin on all workers
    Remove {
        /// Name of the plugin
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Load all plugins anew under other settings, on all workers
    Settings {
        /// Settings as of `hostel serve --config`, such as hostel.toml
        file: PathBuf,
        #[command(flatten)]
        reach: Reach,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Show it once, as if stdout were no terminal
    #[arg(long)]
    pub(super) once: bool,
    /// Print the fleet once, as one JSON object
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) reach: Reach,
}

pub(crate) const JOB: &str = "\
A job is kept by NATS until a worker has done it. Its result is kept for a day.
docs/fleet.md says what is promised. Exits with 1 if the job failed, and with 6
if it has no result within --wait.

Examples:
  hostel job submit customize 'hello world' --wait 10s
  hostel job submit resize @photo.png --id photo-17
  hostel job result resize/photo-17 --wait 1m > small.png";

pub(crate) const PLUGINS: &str = "\
All workers load the version; once all are ready, all switch to it. If one can't
load it, none switches, and its reason is told with the exit code 3. Calls and
jobs that run end in the version in which they began.

Examples:
  hostel plugins push customize customize.wasm
  hostel plugins rollback customize
  hostel plugins settings hostel.toml";

pub(crate) const TOP: &str = "\
Refreshes every second, until Ctrl-C. If stdout is no terminal, it is shown once.

Examples:
  hostel top
  hostel top --json --nats tls://nats.example.com --creds top.creds";

fn job(text: &str) -> Result<(String, String), &'static str> {
    let (plugin, id) = text
        .split_once('/')
        .ok_or("expected PLUGIN/ID, such as resize/photo-17")?;
    Ok((plugin.to_owned(), id.to_owned()))
}

fn jobs(text: &str) -> Result<usize, &'static str> {
    let number = text.parse().ok().filter(|number| *number <= 1_000);
    number.ok_or("expected a whole number from 0 to 1000")
}

fn replicas(text: &str) -> Result<usize, &'static str> {
    let number = text.parse().ok().filter(|number| (1..=5).contains(number));
    number.ok_or("expected a whole number from 1 to 5")
}

fn attempts(text: &str) -> Result<u32, String> {
    let number = text.parse().ok();
    let number = number.filter(|number| (1..=MOST_ATTEMPTS).contains(number));
    number.ok_or_else(|| format!("expected a whole number from 1 to {MOST_ATTEMPTS}"))
}
