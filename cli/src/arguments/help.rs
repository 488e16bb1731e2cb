//! The long help of the commands.

#[cfg(feature = "serve")]
pub(super) const SERVE: &str = "\
Files that are added, changed or removed are loaded, replaced or unloaded while
the server runs. SIGHUP or a change of FILE reloads the configuration; SIGTERM
lets requests end. Without --config, plugins may log, and nobody may change
them over HTTP. docs/server.md lists the keys of FILE, routes and figures.
With --nats, plugins and settings are those of a fleet: see docs/fleet.md.

Examples:
  hostel serve plugins
  curl -d 'hello world' localhost:8080/v1/plugins/customize
  hostel check-config hostel.toml && hostel serve plugins --config hostel.toml";

#[cfg(feature = "serve")]
pub(super) const TOKEN: &str = "\
Prints the token, to be kept secret, and its SHA-256 for the configuration:

  [token.anna]
  sha256 = \"...\"
  role = \"caller\"        # or \"monitor\", or \"admin\"
  plugins = [\"customize\"]";

pub(super) const RUN: &str = "\
A function over bytes takes one INPUT, or none for empty bytes. Its result is
printed unchanged. Any other function takes one number per parameter and prints
one result per line. i32 and i64 may be given signed, unsigned or as 0xff, and
are printed signed; floats as 1e-3 or 0x1.8p3. A WASI command uses hostel's
stdin, stdout, stderr and exit code. It can read the time, and only the files
below --dir. `--limit list` lists its larger limits. An instruction costs about
one unit of fuel. K to T are powers of 1000, KiB to TiB of 1024.

Examples:
  hostel run plugin.wasm @photo.png --timeout 2s --memory 16MiB > small.png
  hostel run sort.wasm --arg=-r --env LANG=C --dir texts:/in --dir out:/out:rw
  hostel run component.wasm --call 'count({text: \"one two\", most: some(10)})'";

pub(super) const BENCH: &str = "\
Each call gets a fresh or reset instance, as calls on a server do. Logs are
discarded. Failed calls are counted and measured too. The exit code is that of
`hostel run` for the failed calls, the highest if there are several. A tenth of
the calls, or of the time, runs first to warm up. Ctrl-C ends the measurement
and prints the report.

Examples:
  hostel bench plugin.wasm @photo.png --concurrency 2 --seconds 10
  hostel bench plugin.wasm hello --sliced=50k --concurrency 1000 --json";

pub(super) const NEW: &str = "\
The folder must not exist. It gets a plugin that greets people, a file that
builds it, tests.toml for `hostel test`, and a copy of the SDK: in Rust, C, Zig
and Go nothing is fetched. The build needs the language's own tool: cargo with
the target wasm32-unknown-unknown, clang and lld, zig, go, or npm.

Examples:
  hostel new greeter --lang rust
  hostel new plugins/greeter --lang c";

pub(super) const DEV: &str = "\
Builds the plugin in DIR by its Cargo.toml (cargo), package.json (npm) or
Makefile (make), calls it, and prints its output, log, fuel and memory. Does so
again when a file below DIR changes. If a build fails, the version before it is
kept. Settings, host functions and, without INPUT, the call are those of the
first case of DIR/tests.toml. It runs until Ctrl-C or q, also without a
terminal. Lines on stdin are commands: r calls again, i TEXT sets the input and
calls, q ends.

Examples:
  hostel dev greeter
  hostel dev greeter Ann --config greeting=Salut --backtrace";

pub(super) const TEST: &str = "\
Each case runs in a fresh instance, unless it continues in that of the case
before it. The file and all cases are checked before the first one runs.
docs/testing.md lists the keys of FILE.

  [[case]]
  name = \"makes it upper case\"
  settings = { prefix = \"CUSTOM\" }
  input = \"hello world\"
  [case.expect]
  output = \"CUSTOM_HELLO WORLD\"
  log = [{ level = \"info\", text = \"processing\" }]

Examples:
  hostel test plugin.wasm
  hostel test plugin.wasm tests.toml --filter upper --junit report.xml
  hostel test plugin.wasm --watch

Exit codes:
  0  all cases passed
  1  a case failed
  2  invalid arguments, or a fault in FILE
  3  the plugin can't be loaded, or does not fit a case
  7  hostel itself failed: stdout can't be written, for example";

pub(super) const PROFILE: &str = "\
Makes one call as `hostel run` does, and writes a flame graph: a box for each
function, as wide as its fuel, below the functions that it calls. The figures
are those of a call without a profile, to the unit, and equal on each machine.
The call takes many times longer. Text has a line for each stack, `f;g 123`, as
other tools read it. Names are those of the plugin's name section: build it
without stripping them. Not for components, calls by a contract in WIT (also of
modules that `hostel lower` made), manifests and tail calls.
--trace prints lines such as: env.host_get_config(\"prefix\") = \"CUSTOM\"

Examples:
  hostel profile plugin.wasm @photo.png -o fuel.svg > small.png
  hostel profile plugin.wasm --call learn @words.txt -o fuel.folded
  hostel profile plugin.wasm hello --trace";

pub(super) const SNAPSHOT: &str = "\
Runs the start function, the initialisers and the function of --call. The new
plugin starts with the memory, globals and tables that they left, and does not
run them again. The host's settings and state are not saved. Of a component, the
new plugin is a component; it can't hold handles, such as open files.

Example:
  hostel snapshot plugin.wasm --call learn @words.txt -o learned.wasm";

#[cfg(feature = "bindgen")]
pub(super) const BINDGEN: &str = "\
The plugin is built with these files, and is a core module that carries the
world: `hostel check` compares it, `hostel run` calls it by its types, and a host
in Rust does with bindgen! and the WIT file. Equal WIT gives equal files.
docs/contracts.md builds one plugin in each language.

Examples:
  hostel bindgen plugin.wit --lang rust --out src
  hostel bindgen wit --world my:package/plugin@1.0.0 --lang c
  hostel bindgen plugin.wit --lang markdown --out docs";

pub(super) const CHECK: &str = "\
The plugin is not run. It may import less than the world and export more.
Versions match if they are compatible: 0.2.6 fits 0.2.9, and 1.4.0 fits 1.0.0.
All differences are listed. Exits with 0 if the plugin fits, with 3 if not.
A module without a contract is compared by the names and core types of its
functions. A directory may hold the packages that its WIT uses in `deps`.

Examples:
  hostel check plugin.wasm --wit plugin.wit
  hostel check plugin.wasm --wit wit --world my:package/plugin@1.0.0";

pub(super) const LOWER: &str = "\
Joins the component's core modules and drops what its exports can't reach. The
contract stays, in a custom section: `hostel inspect` and `hostel check` read it.
The component is not run. Exits with 3 if it can't be one module: if components
in it call each other, if it has several memories, or if it uses a resource that
it defines and does not export.

Examples:
  hostel lower plugin.component.wasm -o plugin.wasm
  hostel lower plugin.component.wasm -o plugin.wasm --strip
  hostel check plugin.wasm --wit plugin.wit";

pub(super) const PROBE: &str = "\
The plugin is not run. The figure is an upper bound, whatever the plugin does.
Exits with 0 if the plugin can run, with 3 if not. Without --limits: `device`
for a microcontroller, `command` for a WASI command on a server, otherwise
`server`.

Examples:
  hostel probe plugin.wasm
  hostel probe plugin.wasm --target cortex-m4 --heap 128KiB
  hostel probe plugin.wasm --limits device --limit memory_bytes=128KiB";

pub(super) const COMPLETIONS: &str = "\
Examples:
  hostel completions bash > ~/.local/share/bash-completion/completions/hostel
  hostel completions zsh > ~/.zfunc/_hostel
  hostel completions fish > ~/.config/fish/completions/hostel.fish";

/// Returns help that `--help` shows and `-h` does not. clap's own long help would take three lines
/// per option, more than a screen.
pub(crate) fn long(text: &str) -> String {
    if asked_for("--help") || asked_for("help") {
        text.to_owned()
    } else {
        "Run with --help for details and examples.".to_owned()
    }
}

pub(super) fn asked_for(what: &str) -> bool {
    std::env::args_os().any(|argument| argument == what)
}
