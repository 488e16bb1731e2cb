//! `hostel new`: what it writes builds without a network, and passes its tests. Under Wine there are no compilers.

use super::{Files, hostel, path};
#[cfg(not(windows))]
use super::{command, component_tools};
#[cfg(not(windows))]
use std::process::Command;
use std::{ffi::OsStr, path::Path};

/// Writes a plugin in a folder outside of the repository, and returns the folder.
fn written(files: &Files, lang: &str) -> String {
    let folder = files.path("my-plugin");
    let folder = path(&folder);
    let ended = hostel(&["new", folder, "--lang", lang]).expect(0);
    assert!(ended.text().contains("hostel test "), "{}", ended.text());
    files.file("next.txt", &ended.stdout);
    folder.to_owned()
}

/// Runs a tool in a folder. Returns false if it is missing, which is a failure in CI.
#[cfg(not(windows))]
fn built(folder: &str, tool: &str, arguments: &[&str]) -> bool {
    let mut run = Command::new(tool);
    run.args(arguments).current_dir(folder);
    // Those of the tests' own build.
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET",
    ] {
        run.env_remove(name);
    }
    match run.output() {
        Ok(output) => {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{stderr}");
            assert!(!stderr.contains("warning"), "{stderr}");
            true
        }
        Err(error) if std::env::var_os("CI").is_some() => panic!("{tool}: {error}"),
        Err(error) => {
            eprintln!("SKIPPED, without `{tool}`: {error}");
            false
        }
    }
}

/// Returns the arguments of the last command that `hostel new` printed for a folder, which calls the plugin.
fn printed_call(folder: &str) -> Vec<String> {
    let printed = std::fs::read_to_string(Path::new(folder).with_file_name("next.txt"));
    let printed = printed.expect("it can be read");
    let line = printed.lines().last().expect("there are commands");
    let call = line.trim().strip_prefix("hostel ").expect("it is hostel's");
    call.split(' ').map(str::to_owned).collect()
}

/// Expects that a built plugin passes the tests beside it, all of which are run, and that the command that was printed
/// calls it.
#[cfg(not(windows))]
fn passes(folder: &str, plugin: &str) {
    let output = command(&["test", plugin]).current_dir(folder).output();
    let output = output.expect("the program starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stdout.ends_with("\n4 passed, 0 failed\n"),
        "{stdout}{stderr}"
    );
    let call = printed_call(folder);
    let call: Vec<_> = call.iter().map(String::as_str).collect();
    let output = command(&call).current_dir(folder).output();
    let called = super::Ended::from(output.expect("the program starts"));
    assert_eq!(called.expect(0).text().trim_end(), "Hello, Ann!");
}

#[cfg(not(windows))]
#[test]
fn a_plugin_in_rust_builds_offline_and_passes() {
    let files = Files::new();
    let folder = written(&files, "rust");
    if built(&folder, "cargo", &["test", "--quiet", "--offline"]) {
        let target = "wasm32-unknown-unknown";
        built(
            &folder,
            "cargo",
            &[
                "build",
                "--quiet",
                "--offline",
                "--release",
                "--target",
                target,
            ],
        );
        passes(
            &folder,
            "target/wasm32-unknown-unknown/release/my_plugin.wasm",
        );
    }
}

#[cfg(not(windows))]
#[test]
fn a_plugin_in_c_builds_and_passes() {
    let files = Files::new();
    let folder = written(&files, "c");
    if built(&folder, "clang", &["--version"]) && built(&folder, "make", &[]) {
        passes(&folder, "my-plugin.wasm");
    }
}

/// Tests a plugin in a language whose tool is not needed for the other tests, not even in CI: it is built if the
/// tool is there.
#[cfg(not(windows))]
fn if_there(lang: &str, tools: &[&str], variable: &str) {
    let files = Files::new();
    let folder = written(&files, lang);
    let search = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        |tool: &&str| std::env::split_paths(&search).any(|path| path.join(tool).is_file());
    let Some(tool) = tools.iter().copied().find(is_there) else {
        eprintln!("SKIPPED, without `{}`", tools[0]);
        return;
    };
    if built(&folder, "make", &[&format!("{variable}={tool}")]) {
        passes(&folder, "my-plugin.wasm");
    }
}

#[cfg(not(windows))]
#[test]
fn a_plugin_in_zig_builds_and_passes() {
    if_there("zig", &["zig", "python-zig"], "ZIG");
}

#[cfg(not(windows))]
#[test]
fn a_plugin_in_go_builds_and_passes() {
    if_there("go", &["go"], "GO");
}

#[cfg(not(windows))]
#[test]
fn a_plugin_in_javascript_builds_and_passes() {
    let files = Files::new();
    let folder = written(&files, "js");
    let Some(tools) = component_tools() else {
        return;
    };
    let modules = tools.join("components-npm/node_modules");
    std::os::unix::fs::symlink(modules, Path::new(&folder).join("node_modules")).expect("a link");
    assert!(built(&folder, "npm", &["run", "--silent", "build"]));
    passes(&folder, "my-plugin.wasm");
}

#[cfg(not(windows))]
#[test]
fn a_plugin_in_python_builds_and_passes() {
    let files = Files::new();
    let folder = written(&files, "python");
    let Some(tools) = component_tools() else {
        return;
    };
    let tool = tools.join("components-venv/bin/componentize-py");
    // As if it were older than what is installed: make would fetch it.
    let (tool, up_to_date) = (
        format!("TOOL={}", path(&tool)),
        "--assume-old=requirements.txt",
    );
    assert!(built(&folder, "make", &["--silent", up_to_date, &tool]));
    passes(&folder, "my-plugin.wasm");
}

#[test]
fn each_language_has_its_sdk_and_the_tests() {
    for (lang, sdk) in [
        ("rust", "hostel-guest/src/lib.rs"),
        ("c", "hostel.h"),
        ("zig", "hostel.zig"),
        ("go", "hostel/state.go"),
        ("assemblyscript", "hostel.ts"),
        ("js", "wit/plugin.wit"),
        ("javascript", "wit/plugin.wit"),
        ("python", "wit/plugin.wit"),
    ] {
        let files = Files::new();
        let folder = written(&files, lang);
        // Nothing else supplies what a contract imports.
        let is_component = sdk == "wit/plugin.wit";
        let answers = printed_call(&folder).contains(&"--callback".to_owned());
        assert_eq!(answers, is_component, "{lang}");
        let folder = Path::new(&folder);
        assert!(folder.join(sdk).is_file(), "{lang}");
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).expect("it can be read") {
                let found = entry.expect("it can be read").path();
                if found.is_dir() {
                    folders.push(found);
                    continue;
                }
                let text = std::fs::read_to_string(&found).expect("it is text");
                assert!(!text.contains("{{name}}") && !text.contains("{{version}}"));
                // A link that was checked out as a file has a path in it.
                assert!(
                    text.lines().count() > 1 || found.file_name() == Some(OsStr::new(".gitignore"))
                );
            }
        }
        assert!(folder.join("tests.toml").is_file());
        assert!(folder.join(".gitignore").is_file(), "{lang}");
    }
}

#[test]
fn nothing_is_replaced() {
    let files = Files::new();
    let folder = files.path("taken");
    std::fs::create_dir(&folder).expect("a folder can be made");
    let ended = hostel(&["new", path(&folder), "--lang", "c"]).expect(2);
    assert!(
        ended.stderr.contains("choose another name"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        std::fs::read_dir(&folder).expect("it can be read").count(),
        0
    );
    for (name, part) in [
        ("Upper", "expected a name"),
        ("a.b", "expected a name"),
        ("hostel", "the name `hostel` is reserved"),
        ("std", "is reserved"),
        ("con", "is reserved"),
        ("com1", "is reserved"),
    ] {
        let ended = hostel(&["new", path(&files.path(name)), "--lang", "c"]).expect(2);
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}
