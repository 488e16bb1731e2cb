//! Files that attack those who write plugins: debug information, names, WIT and tests from elsewhere.

use super::{Files, hostel, path};
use std::{borrow::Cow, fs};
use wasm_encoder::{CustomSection, Encode as _};

/// A plugin whose `f` calls another function, which traps if it gets 1.
const PLUGIN: &str = r#"(module
    (func $inner (param i32) (if (local.get 0) (then (unreachable))))
    (func (export "f") (param i32) (call $inner (local.get 0))))"#;

/// Returns a plugin with custom sections.
fn with_sections(files: &Files, wat: &str, sections: &[(&str, Vec<u8>)]) -> String {
    let mut wasm = wat::parse_str(wat).expect("it is WAT");
    for (name, data) in sections {
        let (name, data) = (Cow::from(*name), Cow::from(data));
        let section = CustomSection { name, data };
        // As a section of a module.
        wasm.push(0);
        section.encode(&mut wasm);
    }
    files.file("plugin.wasm", &wasm)
}

/// Returns a plugin with the names of its two functions.
fn with_names(files: &Files, inner: &str, outer: &str) -> String {
    let mut names = vec![2];
    for (index, name) in [(0, inner), (1, outer)] {
        names.push(index);
        name.encode(&mut names);
    }
    let mut section = vec![1];
    names.encode(&mut section);
    let nameless = PLUGIN.replace("func $inner", "func").replace("$inner", "0");
    with_sections(files, &nameless, &[("name", section)])
}

/// A part of debug information, in its 32-bit form: its length, and its bytes.
fn part(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("it is short");
    [&length.to_le_bytes(), bytes].concat()
}

/// Units that have an address each, as the sections of a module: an abbreviation table, and units of this one entry.
fn units(
    count: usize,
    attributes: &[u8],
    entry: &[u8],
    line: Vec<u8>,
) -> Vec<(&'static str, Vec<u8>)> {
    let abbreviation = [&[1, 0x11, 0][..], attributes, &[0, 0, 0]].concat();
    let unit = part(&[&[4, 0, 0, 0, 0, 0, 4, 1], entry].concat());
    vec![
        (".debug_abbrev", abbreviation),
        (".debug_info", unit.repeat(count)),
        (".debug_line", line),
    ]
}

/// A line program of version 4 for `a.c`, with so many rows.
fn line_program(rows: usize) -> Vec<u8> {
    // Sets the address to 2; each of the rows advances it by one.
    let program = [&[0, 5, 2, 2, 0, 0, 0][..], &vec![32; rows], &[0, 1, 1]].concat();
    lines_of(b"\0a.c\0\0\0\0\0", &program)
}

/// A line program of version 4 with its directories and files.
fn lines_of(files: &[u8], program: &[u8]) -> Vec<u8> {
    let header = [1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1];
    let header = part(&[&header, files].concat());
    part(&[&[4, 0][..], &header, program].concat())
}

#[test]
fn debug_information_that_describes_too_much_is_not_used() {
    let stmt_list: &[u8] = &[0x10, 0x17];
    // A table of directories with an entry of no bytes, as often as it says: 2⁵⁶ times.
    let count = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1];
    let tables = [&[1, 1, 1, 0xfb, 14, 1, 1, 1, 0x19][..], &count].concat();
    let endless = part(&[&[5, 0, 4, 0][..], &part(&tables)].concat());
    // An entry in another one, and so on.
    let nested = [vec![1; 5_000], vec![0; 5_000]].concat();
    let mut deep = units(1, &[], &nested, Vec::new());
    deep[0].1[2] = 1;
    let many: Vec<u8> = (1..100).flat_map(|name| [name, 0x19]).collect();
    let long = (".debug_str", vec![b'a'; 100_000]);
    // A long directory of many files.
    let directory = [vec![b'a'; 10_000], vec![0, 0]].concat();
    let paths = [directory, b"b\0\x01\0\0".repeat(4_000), vec![0]].concat();
    let paths = units(1, stmt_list, &[0; 4], lines_of(&paths, &[]));
    // Functions that share a list of ranges.
    let mut shared = units(1, &[], &[2, 0, 0, 0, 0].repeat(2_000), Vec::new());
    shared[0].1 = vec![1, 0x11, 1, 0, 0, 2, 0x2e, 0, 0x55, 0x17, 0, 0, 0];
    let ranges = [1_u32.to_le_bytes(), 2_u32.to_le_bytes()].concat();
    let ranges = [ranges.repeat(1_000), vec![0; 8]].concat();
    let own = |sections: Vec<_>, more| [sections, vec![more]].concat();
    for (sections, bound) in [
        (
            units(2_000, stmt_list, &[0; 4], line_program(4_000)),
            "1000000 lines",
        ),
        (units(1, stmt_list, &[0; 4], endless), "1000000 lines"),
        (units(60_000, &[], &[], Vec::new()), "50000 units"),
        (units(1, &many, &[], Vec::new()), "64 attributes"),
        (deep, "256 entries in one another"),
        (paths, "33554432 bytes of files' paths"),
        (own(shared, (".debug_ranges", ranges)), "1000000 lines"),
        (
            own(units(1, &[], &[], Vec::new()), long),
            "16384 bytes of a name",
        ),
    ] {
        let files = Files::new();
        let plugin = with_sections(&files, PLUGIN, &sections);
        let to = files.path("lcov.info");
        let run = ["run", &plugin, "--call", "f", "1", "--backtrace"];
        let ended = hostel(&[&run[..], &["--coverage", path(&to)]].concat()).expect(4);
        let stderr = &ended.stderr;
        assert!(
            stderr.contains("is not used") && stderr.contains(bound),
            "{stderr}"
        );
        // Names alone.
        assert!(
            stderr.contains("at `inner`") || stderr.contains("at inner"),
            "{stderr}"
        );
        let coverage = fs::read_to_string(&to).expect("there is coverage");
        assert!(coverage.contains("FNDA:1,f"), "{coverage}");
    }
}

#[test]
fn debug_information_that_shares_a_little_is_used() {
    let files = Files::new();
    let sections = units(20, &[0x10, 0x17], &[0; 4], line_program(40));
    let plugin = with_sections(&files, PLUGIN, &sections);
    let ended = hostel(&["run", &plugin, "--call", "f", "1", "--backtrace"]).expect(4);
    assert!(ended.stderr.contains("a.c:"), "{}", ended.stderr);
}

#[test]
fn a_name_makes_no_record_and_no_stack_of_its_own() {
    let files = Files::new();
    let plugin = with_names(
        &files,
        "a\nSF:/etc/passwd\rDA:1,1",
        "b\nend_of_record;c\u{2028}",
    );
    let (lcov, folded) = (files.path("lcov.info"), files.path("fuel.folded"));
    hostel(&[
        "run",
        &plugin,
        "--call",
        "f",
        "0",
        "--coverage",
        path(&lcov),
    ])
    .expect(0);
    let text = fs::read_to_string(&lcov).expect("there is coverage");
    for line in text.lines() {
        assert_ne!(line, "SF:/etc/passwd", "{text}");
        let plain = line.chars().all(|character| !character.is_control());
        assert!(plain && !line.contains('\u{2028}'), "{text}");
    }
    assert_eq!(text.matches("end_of_record\n").count(), 1, "{text}");
    assert!(text.contains(r"FNDA:1,a\nSF:/etc/passwd\rDA:1,1"), "{text}");
    hostel(&["profile", &plugin, "--call", "f", "0", "-o", path(&folded)]).expect(0);
    let text = fs::read_to_string(&folded).expect("there is a profile");
    assert!(text.lines().all(|line| line.starts_with("host")), "{text}");
}

#[test]
fn a_flame_graph_is_xml_whatever_the_names() {
    let files = Files::new();
    let plugin = with_names(&files, "</title>&\"\u{ffff}\0", "b\u{fffe}\u{1b}\n");
    let to = files.path("fuel.svg");
    hostel(&["profile", &plugin, "--call", "f", "0", "-o", path(&to)]).expect(0);
    let text = fs::read_to_string(&to).expect("there is a picture");
    let permitted = |character: char| matches!(character, '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(text.chars().all(permitted), "{text}");
    assert!(!text.contains("</title>&"), "{text}");
}

#[test]
fn a_profile_has_an_end_however_many_stacks_there_are() {
    // Each of two functions calls both: 2¹⁸ stacks.
    let files = Files::new();
    let plugin = files.wat(
        r#"(module
            (func $a (export "f") (param i32) (if (local.get 0) (then
                (call $a (i32.sub (local.get 0) (i32.const 1)))
                (call $b (i32.sub (local.get 0) (i32.const 1))))))
            (func $b (param i32) (if (local.get 0) (then
                (call $a (i32.sub (local.get 0) (i32.const 1)))
                (call $b (i32.sub (local.get 0) (i32.const 1)))))))"#,
    );
    let (to, json) = (
        files.path("fuel.folded"),
        ["run", &plugin, "--call", "f", "17", "--json"],
    );
    let run = hostel(&json).json();
    hostel(&["profile", &plugin, "--call", "f", "17", "-o", path(&to)]).expect(0);
    let text = fs::read_to_string(&to).expect("there is a profile");
    assert!(text.contains("\nhost;other stacks "), "{}", &text[..1_000]);
    assert!(text.lines().count() <= 250_001, "{}", text.lines().count());
    let fuel = text.lines().map(|line| {
        let (_, fuel) = line.rsplit_once(' ').expect("it ends with its fuel");
        fuel.parse::<u64>().expect("fuel is a number")
    });
    assert_eq!(Some(fuel.sum()), run["fuel"]["call"].as_u64());
}

/// Returns a world with `count` records, each of which has the one before it twice.
fn doubling(count: usize) -> String {
    let records =
        (1..count).map(|nth| format!("record r{nth} {{ a: tuple<r{0}, r{0}> }}\n", nth - 1));
    format!(
        "package a:b; world w {{ record r0 {{ a: u8 }}\n{}export f: func(a: r{}); }}",
        records.collect::<String>(),
        count - 1
    )
}

#[test]
fn types_that_double_in_each_line_have_no_bindings() {
    let files = Files::new();
    let wit = files.file("many.wit", doubling(40).as_bytes());
    let out = files.path("out");
    #[cfg(feature = "bindgen")]
    for lang in ["rust", "c", "go", "assemblyscript", "markdown"] {
        let ended = hostel(&["bindgen", &wit, "--lang", lang, "--out", path(&out)]).expect(2);
        let stderr = ended.stderr;
        assert!(stderr.contains("500000 parts of types"), "{lang}: {stderr}");
    }
    assert!(!out.exists());
    // Nothing is made of each part.
    let plugin = files.wat(PLUGIN);
    hostel(&["check", &plugin, "--wit", &wit]).expect(3);
}

#[cfg(feature = "bindgen")]
#[test]
fn types_with_many_parts_have_bindings() {
    let files = Files::new();
    let wit = files.file("many.wit", doubling(10).as_bytes());
    for lang in ["rust", "c", "go", "assemblyscript", "markdown"] {
        let out = files.path(lang);
        hostel(&["bindgen", &wit, "--lang", lang, "--out", path(&out)]).expect(0);
    }
}

#[cfg(feature = "bindgen")]
#[test]
fn a_page_has_no_html_of_the_wit() {
    let files = Files::new();
    let wit = "package a:b; /// One `option<u8>` & <script>alert(1)</script>
        world w {
            /// ` <img src=x onerror=alert(2)>
            record r {
                /// <script>alert(3)</script> `list<u8>`
                a: u8 }
            export f: func(a: r); }";
    let wit = files.file("it.wit", wit.as_bytes());
    let out = files.path("out");
    hostel(&["bindgen", &wit, "--lang", "markdown", "--out", path(&out)]).expect(0);
    let page = fs::read_to_string(out.join("w.md")).expect("there is a page");
    assert!(
        !page.contains("<script") && !page.contains("<img"),
        "{page}"
    );
    assert!(page.contains("&lt;script>alert(1)"), "{page}");
    assert!(page.contains("`option<u8>` &amp;"), "{page}");
}

#[cfg(unix)]
#[test]
fn devices_are_no_tests_and_no_wit() {
    let files = Files::new();
    let plugin = files.wat(PLUGIN);
    let tests = files.file(
        "tests.toml",
        b"[[case]]\nname = \"a\"\ninput = { file = \"zero\" }",
    );
    let package = files.path("package");
    fs::create_dir_all(package.join("deps/a")).expect("it can be made");
    for link in [files.path("zero"), package.join("deps/a/zero.wit")] {
        std::os::unix::fs::symlink("/dev/zero", link).expect("it can be made");
    }
    let (plain, bytes) = ("expected a plain file", "67108864 bytes allowed");
    for (command, why) in [
        (&["test", &plugin, "/dev/zero"][..], plain),
        (&["test", &plugin, &tests, "--trust-tests"], plain),
        (&["check", &plugin, "--wit", "/dev/zero"], bytes),
        (
            &["check", &plugin, "--wit", path(&package)],
            "not a regular file",
        ),
        #[cfg(feature = "bindgen")]
        (&["bindgen", "/dev/zero", "--lang", "c"], bytes),
    ] {
        let ended = hostel(command).expect(2);
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    }
}

#[test]
fn tests_name_no_file_and_no_directory_outside_of_their_folder() {
    let files = Files::new();
    let plugin = files.wat(PLUGIN);
    files.file("secret", b"0");
    fs::create_dir_all(files.path("tests/data")).expect("it can be made");
    let outside = path(&files.path("")).replace('\\', "/");
    for (key, place) in [
        ("dirs = [\"..:/data:rw\"]", "dirs"),
        ("dirs = [\"data/../../\"]", "dirs"),
        (&format!("dirs = [\"{outside}:/data\"]"), "dirs"),
        ("input = { file = \"../secret\" }", "input"),
        (
            "http = { \"GET https://a.example/\" = { file = \"../secret\" } }",
            "http",
        ),
        #[cfg(unix)]
        ("input = { file = \"link\" }", "input"),
        #[cfg(unix)]
        ("dirs = [\"folder\"]", "dirs"),
    ] {
        #[cfg(unix)]
        for (link, to) in [("link", "../secret"), ("folder", "..")] {
            let link = files.path("tests").join(link);
            let _ = std::os::unix::fs::symlink(to, link);
        }
        let input = if place == "input" { "" } else { "input = 0" };
        let text = format!("[[case]]\nname = \"a\"\ncall = \"f\"\n{input}\n{key}\n");
        let tests = files.file("tests/tests.toml", text.as_bytes());
        let refused = hostel(&["test", &plugin, &tests]).expect(2);
        for word in [place, "outside of the folder", "--trust-tests"] {
            assert!(refused.stderr.contains(word), "{key}: {}", refused.stderr);
        }
        let trusted = hostel(&["test", &plugin, &tests, "--trust-tests"]);
        assert_ne!(trusted.code, Some(2), "{key}: {}", trusted.stderr);
    }
    let text = "[[case]]\nname = \"a\"\ncall = \"f\"\ndirs = [\"data:/data:rw\"]\ninput = 0";
    let tests = files.file("tests/tests.toml", text.as_bytes());
    hostel(&["test", &plugin, &tests]).expect(0);
}

#[test]
fn a_report_that_can_t_be_written_is_told_before_the_plugin_runs() {
    let files = Files::new();
    let plugin =
        files.process("(call $log (i32.const 4) (i32.const 3)) (local.get $ptr) (local.get $size)");
    let missing = files.path("missing/report.svg");
    let tests = files.file(
        "tests.toml",
        b"[[case]]\nname = \"told first\"\ninput = \"hi\"",
    );
    for (command, option) in [
        (["run", &plugin, "hi"], "--coverage"),
        (["run", &plugin, "hi"], "--coredump"),
        (["profile", &plugin, "hi"], "-o"),
        (["test", &plugin, &tests], "--coverage"),
        (["test", &plugin, &tests], "--junit"),
    ] {
        let ended = hostel(&[&command[..], &[option, path(&missing)]].concat()).expect(2);
        assert_eq!(ended.text(), "", "{command:?}");
        assert!(ended.stderr.contains("can't write"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("red"), "{}", ended.stderr);
    }
    let core = files.path("no.core");
    hostel(&["run", &plugin, "hi", "--coredump", path(&core)]).expect(0);
    assert!(
        !core.exists(),
        "a plugin that was not stopped has no core dump"
    );
}
