//! `hostel check`: says whether a plugin fits a world.

use super::{arguments::Check, exit::Exit, failure::Failure, output};
use hostel_contract::{Contract, Difference, limits};
use serde_json::{Value, json};

pub(super) fn check(arguments: &Check) -> Result<Exit, Failure> {
    let path = &arguments.plugin;
    let compared = compare(arguments);
    if !arguments.json {
        let (world, differences) = compared?;
        if !differences.is_empty() {
            return Err(Failure::differences(path, &world, &differences));
        }
        let path = path.to_string_lossy();
        let fits = format!(
            "{} fits the world `{}`\n",
            output::escaped(&path),
            output::escaped(&world)
        );
        return output::text(&fits);
    }
    let (world, differences, failure) = match compared {
        Ok((world, differences)) => {
            let failure =
                (!differences.is_empty()).then(|| Failure::differences(path, &world, &differences));
            (Some(world), differences, failure)
        }
        Err(failure) => (None, Vec::new(), Some(failure)),
    };
    let exit = failure.as_ref().map_or(Exit::Ok, |failure| failure.exit);
    let report = json!({
        "code": exit.code(),
        "differences": differences.iter().map(difference).collect::<Vec<_>>(),
        "error": failure,
        "fits": failure.is_none(),
        "path": path.to_string_lossy(),
        "world": world,
    });
    Ok(output::json(&report)?.or(exit))
}

/// Returns the world's name, and where the plugin differs from it.
fn compare(arguments: &Check) -> Result<(String, Vec<Difference>), Failure> {
    let wanted = Contract::from_path(&arguments.wit, arguments.world.as_deref())
        .map_err(|error| Failure::wit(&arguments.wit, &error))?;
    let path = &arguments.plugin;
    let most = usize::try_from(limits::BYTES).unwrap_or(usize::MAX);
    let wasm = hostel::read_module(path, most)?;
    let plugin = Contract::read(&wasm).map_err(|error| Failure::contract(path, &error))?;
    Ok((wanted.name(), hostel_contract::check(&plugin, &wanted)))
}

fn difference(one: &Difference) -> Value {
    json!({
        "expected": one.expected,
        "found": one.found,
        "interface": one.interface,
        "item": one.item,
        "kind": one.kind.code(),
        "place": one.place,
        "remedy": one.remedy,
        "side": one.side.name(),
    })
}
