//! Reloads of the configuration: all of it or nothing.

use super::serving::{Serving, echo, prebuilt, says, token};

#[test]
fn a_reload_changes_settings_and_tokens() {
    let plugins: &[(&str, &[u8])] = &[("customize", &prebuilt("customize"))];
    let before =
        "[plugin.customize]\ngrants = [\"log\", \"config\"]\nconfig = { prefix = \"ONE\" }\n";
    let serving = Serving::with(before, plugins);
    // A connection that stays open over it.
    let mut client = serving.client();
    client
        .ask("POST /v1/plugins/customize", &[], b"x")
        .says("ONE_X");
    let anna = token("anna", "role = \"caller\"\nplugins = [\"customize\"]");
    let after = format!("{}{}", before.replace("ONE", "TWO"), anna.section);
    serving.reload(&after).unwrap();
    client
        .ask("POST /v1/plugins/customize", &[], b"x")
        .is(401, "unauthorized");
    let auth = [("authorization", &*anna.header)];
    client
        .ask("POST /v1/plugins/customize", &auth, b"x")
        .says("TWO_X");
}

#[test]
fn a_reload_that_is_refused_changes_nothing() {
    let plugins: &[(&str, &[u8])] = &[("customize", &prebuilt("customize")), ("echo", &echo())];
    let before =
        "[plugin.customize]\ngrants = [\"log\", \"config\"]\nconfig = { prefix = \"ONE\" }\n";
    let serving = Serving::with(before, plugins);
    for (config, word) in [
        // A text that can't be read.
        ("[plugin", "hostel.toml:1:"),
        ("[plugin.customize]\ngrnats = []", "did you mean `grants`"),
        // A plugin that is served would lose an import, though another one's change is right.
        ("[plugin.echo]\nconcurrency = 1\n", "`customize`"),
        (
            "[plugin.customize]\ngrants = [\"log\", \"config\"]\nlimits = { module_bytes = 10 }",
            "`customize`",
        ),
        ("[server]\nlisten = \"127.0.0.1:1\"\n", "`server.listen`"),
    ] {
        let error = serving.reload(config).unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
        serving.post("customize", b"x").says("ONE_X");
        let shown = serving.get("/v1/plugins/echo").json();
        assert_eq!(shown["limits"]["instances"], 16);
    }
    assert_eq!(
        serving.metric("hostel_reloads_total{result=\"refused\"}"),
        5.0
    );
    // The directory is still watched under the old configuration.
    hostel_server::hostel::install_module(serving.file("late.wasm"), &says("late")).unwrap();
    super::serving::eventually("new plugin", || serving.post("late", b"").status == 200);
}

#[test]
fn a_reload_gives_no_quota_back() {
    let config = "[plugin.echo]\nrate = { calls = 1, per = \"1h\", burst = 2 }\nfuel = { units = \"1G\", per = \"1h\" }\n";
    let serving = Serving::with(config, &[("echo", &echo())]);
    serving.post("echo", b"x").says("x");
    let left = |serving: &Serving| serving.get("/v1/plugins/echo").json()["fuel"]["left"].clone();
    let before = left(&serving);
    serving.reload(&format!("{config}queue = 7\n")).unwrap();
    assert_eq!(left(&serving), before);
    serving.post("echo", b"x").says("x");
    serving.post("echo", b"x").is(429, "rate-limited");
}

#[test]
fn a_file_that_was_cut_does_not_open_the_server() {
    let anna = token("anna", "role = \"caller\"\nplugins = [\"echo\"]");
    let serving = Serving::with(&anna.section, &[("echo", &echo())]);
    let error = serving.reload("").unwrap_err().to_string();
    assert!(error.contains("`server.anonymous = true`"), "{error}");
    serving.post("echo", b"x").is(401, "unauthorized");
    serving.reload("[server]\nanonymous = true\n").unwrap();
    serving.post("echo", b"x").says("x");
}

#[test]
fn calls_go_on_while_the_configuration_is_reloaded() {
    let config = |number: u32| {
        format!(
            "[plugin.customize]\ngrants = [\"log\", \"config\"]\nconfig = {{ prefix = \"P{number}\" }}\n"
        )
    };
    let serving = Serving::with(&config(0), &[("customize", &prebuilt("customize"))]);
    std::thread::scope(|threads| {
        let caller = threads.spawn(|| {
            let mut client = serving.client();
            loop {
                let answer = client.ask("POST /v1/plugins/customize", &[], b"x");
                assert_eq!(answer.status, 200, "{}", answer.text());
                if answer.text() == "P10_X" {
                    break;
                }
            }
        });
        for number in 1..=10 {
            serving.reload(&config(number)).unwrap();
        }
        caller.join().unwrap();
    });
}

/// As `check-config` says it.
#[test]
fn a_directory_that_is_not_there_is_told_in_the_system_s_words() {
    let files = tempfile::tempdir().unwrap();
    let directory = files.path().join("none");
    let expected = std::fs::read_dir(&directory).unwrap_err().to_string();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let options = hostel_server::ServeOptions {
        directory,
        config: None,
        listen: Some("127.0.0.1:0".parse().unwrap()),
    };
    let started = runtime.block_on(hostel_server::Server::start(options));
    let error = started.map(|_| ()).unwrap_err().to_string();
    assert!(error.ends_with(&expected), "{error}");
}
