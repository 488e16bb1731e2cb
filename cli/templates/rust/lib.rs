//! Greets people.

use hostel_guest::{Error, config, log};

hostel_guest::plugin!(process);

/// With the setting `greeting` = `Salut`, "Ann" becomes "Salut, Ann!".
fn process(name: &str) -> Result<String, Error> {
    if name.is_empty() {
        return Err("the name is empty".into());
    }
    log(&format!("greeting {name}"));
    let greeting = config("greeting").unwrap_or("Hello".into());
    Ok(format!("{greeting}, {name}!"))
}

#[cfg(test)]
mod tests {
    use super::process;
    use hostel_guest::{Level, testing::Host};

    #[test]
    fn the_setting_is_the_greeting() {
        let host = Host::new().config("greeting", "Salut");
        assert_eq!(host.call(process, b"Ann"), Ok(b"Salut, Ann!".into()));
        assert_eq!(host.log(), [(Level::Info, "greeting Ann".into())]);
    }
}
