//! `hostel check`: says whether a plugin fits a world.

use super::{arguments::Check, exit::Exit, failure::Failure, output};
use hostel_contract::{Contract, Difference, ReadError, check_native, limits};
use serde_json::{Value, json};

pub(super) fn check(arguments: &Check) -> Result<Exit, Failure> {
    let path = &arguments.plugin;
    let compared = compare(arguments);
    if !arguments.json {
        let Compared {
            world,
            native,
            differences,
        } = compared?;
        if !differences.is_empty() {
            return Err(Failure::differences(path, &world, &differences));
        }
        let path = path.to_string_lossy();
        let by = match native {
            true => ", by the names and core types of its functions: it has no contract",
            false => "",
        };
        let fits = format!(
            "{} fits the world `{}`{by}\n",
            output::escaped(&path),
            output::escaped(&world)
        );
        return output::text(&fits);
    }
    let (compared, failure) = match compared {
        Ok(compared) => {
            let differences = &compared.differences;
            let failure = (!differences.is_empty())
                .then(|| Failure::differences(path, &compared.world, differences));
            (Some(compared), failure)
        }
        Err(failure) => (None, Some(failure)),
    };
    let differences = compared.iter().flat_map(|compared| &compared.differences);
    let exit = failure.as_ref().map_or(Exit::Ok, |failure| failure.exit);
    let report = json!({
        "code": exit.code(),
        "differences": differences.map(difference).collect::<Vec<_>>(),
        "error": failure,
        "fits": failure.is_none(),
        "native": compared.as_ref().map(|compared| compared.native),
        "path": path.to_string_lossy(),
        "world": compared.as_ref().map(|compared| &compared.world),
    });
    Ok(output::json(&report)?.or(exit))
}

/// A plugin beside a world.
struct Compared {
    /// The world's name.
    world: String,
    /// Whether the plugin has no contract, so that names and core types were compared.
    native: bool,
    differences: Vec<Difference>,
}

fn compare(arguments: &Check) -> Result<Compared, Failure> {
    let wanted = Contract::from_path(&arguments.wit, arguments.world.as_deref())
        .map_err(|error| Failure::wit(&arguments.wit, &error))?;
    let path = &arguments.plugin;
    let most = usize::try_from(limits::BYTES).unwrap_or(usize::MAX);
    let wasm = hostel::read_module(path, most)?;
    let (native, differences) = match Contract::read(&wasm) {
        Ok(plugin) => (false, Ok(hostel_contract::check(&plugin, &wanted))),
        Err(ReadError::NoContract) => (true, check_native(&wasm, &wanted)),
        Err(error) => (false, Err(error)),
    };
    Ok(Compared {
        world: wanted.name(),
        native,
        differences: differences.map_err(|error| Failure::contract(path, &error))?,
    })
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
