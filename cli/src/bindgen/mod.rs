//! `hostel bindgen`: writes a plugin's side of a world in WIT.

mod assemblyscript;

use super::{
    arguments::{Bindgen, Bindings},
    exit::Exit,
    failure::Failure,
    output,
};
use hostel_contract::{Contract, StringEncoding};
use std::{
    fs,
    path::{Path, PathBuf},
};
use wit_bindgen_core::{
    Files, WorldGenerator,
    wit_parser::{Resolve, WorldId},
};

pub(super) fn bindgen(arguments: &Bindgen) -> Result<Exit, Failure> {
    let path = &arguments.wit;
    // Its errors and bounds are those of `hostel check`.
    let contract = Contract::from_path(path, arguments.world.as_deref());
    let contract = contract.and_then(|it| it.check_parts().map(|()| it));
    let contract = contract.map_err(|error| Failure::wit(path, &error))?;
    let world = contract.name();
    let files = generate(path, &contract, arguments.lang)?;
    let mut told = format!("Wrote the world `{}`:\n", output::escaped(&world));
    for (name, content) in files.iter() {
        // Names have `/` between their parts: the path has what the system writes.
        let path: PathBuf = arguments.out.join(name).components().collect();
        write(&path, content).map_err(|error| Failure::unwritable(&path, &error))?;
        told.push_str(&format!("  {}\n", output::escaped(&path.to_string_lossy())));
    }
    output::text(&told)
}

/// Returns the files for a world.
fn generate(wit: &Path, contract: &Contract, lang: Bindings) -> Result<Files, Failure> {
    let failed = |error: anyhow::Error| Failure::bindings(wit, &format!("{error:#}"));
    let (mut resolve, world) = read(wit, &contract.name()).map_err(failed)?;
    let mut files = Files::default();
    let mut with = |mut generator: Box<dyn WorldGenerator>| {
        generator.generate(&mut resolve, world, &mut files)
    };
    let made = match lang {
        Bindings::Rust => with(rust()),
        Bindings::C => with(wit_bindgen_c::Opts::default().build()),
        Bindings::Go => with(go()),
        Bindings::Assemblyscript => {
            let section = contract.to_section(StringEncoding::UTF8);
            let section = section.map_err(|error| Failure::wit(wit, &error))?;
            assemblyscript::generate(&resolve, world, &section, &mut files)
        }
        Bindings::Markdown => {
            let page = contract.to_markdown();
            let page = page.map_err(|error| Failure::wit(wit, &error))?;
            let name = &resolve.worlds[world].name;
            files.push(&format!("{name}.md"), page.as_bytes());
            Ok(())
        }
        Bindings::Js => return Err(elsewhere(wit, "JavaScript", "npx componentize-qjs --wit")),
        Bindings::Python => return Err(elsewhere(wit, "Python", "componentize-py -d")),
    };
    made.map_err(failed)?;
    Ok(files)
}

/// Reads the world once more, for the generators, whose version of wit-parser is another.
fn read(wit: &Path, world: &str) -> anyhow::Result<(Resolve, WorldId)> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit)?;
    let world = resolve.select_world(&[package], Some(world))?;
    Ok((resolve, world))
}

fn rust() -> Box<dyn WorldGenerator> {
    let options = wit_bindgen_rust::Opts {
        format: true,
        generate_all: true,
        ..wit_bindgen_rust::Opts::default()
    };
    Box::new(options.build())
}

fn go() -> Box<dyn WorldGenerator> {
    let options = wit_bindgen_go::Opts {
        // What gofmt is there would decide the bytes.
        format: wit_bindgen_go::Format::False,
        quiet: true,
        ..wit_bindgen_go::Opts::default()
    };
    options.build()
}

/// Refuses a language whose tool makes the bindings itself when it builds the component.
fn elsewhere(wit: &Path, language: &str, command: &str) -> Failure {
    let failure = Failure::usage(format!(
        "plugins in {language} need no files: their tool reads the WIT when it builds the component"
    ));
    failure.with_hint(format!("{command} {} …", wit.display()))
}

fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content)
}
