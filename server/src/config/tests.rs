use super::*;
use std::fs;

/// The faults of a text, as lines.
fn faults(text: &str) -> Vec<String> {
    let faults = Config::parse(text).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn all_faults_are_told_at_once_with_their_places() {
    let text = "\
[server]
listn = \"127.0.0.1:1\"
workers = -1
head_timeout = \"soon\"

[plugin.shop]
grants = [\"log\", \"cofnig\"]
queue = 1000001
rate = { per = \"1s\" }
limits = { memroy_bytes = 1 }
";
    let found = faults(text);
    let starts = [
        "2:1: there is no key `server.listn`: did you mean `listen`?",
        "3:11: `server.workers`: expected a whole number",
        "4:16: `server.head_timeout`: expected a time from 1ms to 24h",
        "7:10: `plugin.shop.grants`: there is no grant \"cofnig\": did you mean \"config\"?",
        "8:9: `plugin.shop.queue`: expected 0 to 100000, found 1000001",
        "9:8: `plugin.shop.rate`: a rate has the key `calls`",
        "10:12: there is no key `plugin.shop.limits.memroy_bytes`: did you mean `memory_bytes`?",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found} is not {start}");
    }
}

#[test]
fn a_broken_text_is_told_once() {
    let found = faults("[server]\nlisten = \nworkers = 5\n[plugin.a\n");
    assert!(
        !found.is_empty() && found.iter().all(|fault| !fault.contains("there is no key")),
        "{found:?}"
    );
}

#[test]
fn settings_without_their_grant_are_refused() {
    for (settings, word) in [
        ("config = { a = \"b\" }", "\"config\""),
        ("args = [\"a\"]", "\"wasi\""),
        ("env = { A = \"b\" }", "\"wasi\""),
        ("grants = [\"clock\"]", "\"wasi\""),
        ("http = { hosts = [\"https://example.com\"] }", "\"http\""),
        ("grants = [\"http\"]", "`http.hosts`"),
        (
            "directories = [{ host = \"/nowhere\", guest = \"/a\" }]",
            "\"wasi\"",
        ),
    ] {
        let found = faults(&format!("[plugin.a]\n{settings}\n"));
        assert!(
            found.iter().any(|fault| fault.contains(word)),
            "{settings}: {found:?}"
        );
    }
}

#[test]
fn secrets_come_from_files_and_the_environment() {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("secret");
    fs::write(&file, "0123456789\n").unwrap();
    let file = file.display();
    let text = format!(
        "[plugin.a]\ngrants = [\"config\", \"http\"]\n\
        config = {{ token = {{ file = '{file}' }}, home = {{ env = \"PATH\" }} }}\n\
        [plugin.a.http]\nhosts = [\"https://example.com\"]\nsecrets = {{ T = {{ file = '{file}' }} }}\n\
        headers = [{{ origin = \"https://example.com\", name = \"Authorization\", value = \"Bearer ${{T}}\" }}]\n"
    );
    let config = Config::parse(&text).unwrap();
    let settings = config.plugin("a");
    assert_eq!(settings.config["token"], "0123456789");
    assert_eq!(settings.config["home"], std::env::var("PATH").unwrap());
    let missing = text.replace("PATH", "HOSTEL_NO_SUCH");
    assert!(
        faults(&missing)[0].contains("`HOSTEL_NO_SUCH` is not set"),
        "{:?}",
        faults(&missing)
    );
    let wrong = text.replace("${T}", "${U}");
    assert!(
        faults(&wrong)[0].contains("no secret `U`"),
        "{:?}",
        faults(&wrong)
    );
}

#[test]
fn a_plugin_has_the_defaults_where_it_says_nothing() {
    let config = Config::parse(
        "[defaults]\ngrants = [\"log\"]\nqueue = 5\nlimits = { memory_bytes = \"1MiB\" }\n\
        [plugin.a]\nqueue = 6\nlimits = { call_depth = 7 }\n",
    )
    .unwrap();
    let (a, other) = (config.plugin("a"), config.plugin("b"));
    assert_eq!((a.limits.waiting, other.limits.waiting), (6, 5));
    assert_eq!((a.limits.memory_bytes, a.limits.call_depth), (1 << 20, 7));
    assert!(a.has(Grant::Log) && other.has(Grant::Log) && !a.has(Grant::State));
    assert!(Config::parse("").unwrap().plugin("a").grants.is_empty());
}

#[test]
fn a_server_that_others_reach_needs_tokens() {
    let open = "[server]\nlisten = \"0.0.0.0:80\"\n";
    assert!(
        faults(open)[0].contains("`server.anonymous = true`"),
        "{:?}",
        faults(open)
    );
    assert!(faults(&format!("{open}anonymous = true\n")).is_empty());
    let token = format!(
        "{open}[token.a]\nrole = \"caller\"\nplugins = [\"*\"]\nsha256 = \"{}\"\n",
        "0".repeat(64)
    );
    let config = Config::parse(&token).unwrap();
    assert!(!config.is_anonymous());
    for wrong in [
        "role = \"root\"",
        "sha256 = \"00\"",
        "plugins = []\nrole = \"admin\"",
    ] {
        assert!(
            !faults(&format!("[token.a]\n{wrong}\n")).is_empty(),
            "{wrong}"
        );
    }
}

#[test]
fn what_would_shadow_something_else_is_refused() {
    let token = |name: &str, digit: &str, role: &str| {
        format!(
            "[token.{name}]\nsha256 = \"{}\"\n{role}\n",
            digit.repeat(64)
        )
    };
    let admin = "role = \"admin\"";
    let tokens = |first: &str, second: &str| {
        token("ann", first, admin) + &token("ben", second, "role = \"monitor\"")
    };
    assert!(faults(&tokens("a", "b")).is_empty());
    // Hexadecimal digits of either case are one hash.
    assert_eq!(
        faults(&tokens("a", "A")),
        ["5:10: `token.ben.sha256`: the token `ann` has this SHA-256, too"]
    );
    let caller = token(
        "ann",
        "a",
        "role = \"caller\"\nplugins = [\"shop\", \"shop\"]",
    );
    for (text, fault) in [
        (&*caller, "`token.ann.plugins`: \"shop\" is listed twice"),
        (
            "[plugin.a]\ngrants = [\"log\", \"log\"]\n",
            "`plugin.a.grants`: \"log\" is listed twice",
        ),
        (
            "[plugin.a]\ngrants = [\"wasi\"]\ndirectories = [{ host = \"/\", guest = \"/a\" }, { host = \"/\", guest = \"/a/\", access = \"rw\" }]\n",
            "`plugin.a.directories`: two have the guest's name `/a`",
        ),
        (
            "[plugin.a]\ngrants = [\"http\"]\nhttp.hosts = [\"a.example\", \"a.example\"]\n",
            "`plugin.a.http.hosts`: \"a.example\" is listed twice",
        ),
        (
            "[plugin.a]\ngrants = [\"http\"]\n[plugin.a.http]\nhosts = [\"a.example\"]\n\
            headers = [{ origin = \"a.example\", name = \"X-A\", value = \"1\" }, { origin = \"A.example\", name = \"x-a\", value = \"2\" }]\n",
            "`plugin.a.http`: the header `x-a` for `a.example` is set twice",
        ),
    ] {
        let found = faults(text);
        assert!(found.iter().any(|it| it.ends_with(fault)), "{found:?}");
    }
}

#[test]
fn a_wrong_value_is_told_once() {
    let sha256 = "0".repeat(64);
    for (text, at) in [
        (
            "[plugin.a]\nrate = { calls = 0 }\n".to_owned(),
            "`plugin.a.rate.calls`",
        ),
        (
            "[plugin.a]\nfuel = { units = 0 }\n".to_owned(),
            "`plugin.a.fuel.units`",
        ),
        ("[plugin.a]\nrate = 5\n".to_owned(), "`plugin.a.rate`"),
        (
            "[plugin.a]\ngrants = [\"wasi\"]\ndirectories = [{ host = \"/\", guest = 5 }]\n"
                .to_owned(),
            "`plugin.a.directories[0].guest`",
        ),
        (
            "[token.a]\nrole = \"admin\"\nsha256 = \"00\"\n".to_owned(),
            "`token.a.sha256`",
        ),
        (
            format!("[token.a]\nrole = \"root\"\nsha256 = \"{sha256}\"\n"),
            "`token.a.role`",
        ),
        (
            format!("[token.a]\nrole = \"caller\"\nplugins = 5\nsha256 = \"{sha256}\"\n"),
            "`token.a.plugins`",
        ),
        ("[token]\na = 5\n".to_owned(), "`token.a`"),
    ] {
        let found = faults(&text);
        assert!(
            found.len() == 1 && found[0].contains(at),
            "{text}: {found:?}"
        );
    }
    // What is missing is told.
    for text in ["[plugin.a]\nrate = {}\n", "[token.a]\nrole = \"admin\"\n"] {
        assert_eq!(faults(text).len(), 1, "{text}");
    }
}

#[test]
fn components_have_limits_of_their_own() {
    let text = "\
[plugin.a.limits]
functions = 7
imports = 8
component.depth = 3
component.module.imports = 9
";
    let config = Config::parse(text).expect("valid");
    let limits = config.plugin("a").limits;
    let component = limits.component;
    assert_eq!((limits.module.functions, limits.module.imports), (7, 8));
    // A module's limit holds for the modules of a component too, unless they have one of their own.
    assert_eq!(
        (component.module.functions, component.module.imports),
        (7, 9)
    );
    assert_eq!(component.depth, 3);
    let found =
        faults("[plugin.a]\nlimits.component = { deepth = 1, module = { functions = -1 } }\n");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn the_documentation_names_each_key() {
    let text = "[plugin.a]\ndirectories = [{}]\nhttp = { headers = [{}] }\n[token.a]\n";
    let faults = Faults::new(text);
    assert!(Config::parse_into(text, &faults).is_some());
    let documentation = include_str!("../../../docs/server.md");
    let mut server = hostel::Limits::server();
    let limits = hostel::limit_fields(&mut server).into_iter();
    let limits: Vec<_> = limits
        .filter_map(|(name, _)| name.rsplit('.').next())
        .collect();
    for path in faults.known() {
        let key = path.rsplit('.').next().unwrap_or_default();
        // Those are listed where the library's limits are.
        let mut words = documentation.split(|at: char| !at.is_alphanumeric() && at != '_');
        assert!(
            limits.contains(&key) || key == "a" || words.any(|word| word == key),
            "{path}"
        );
    }
}
