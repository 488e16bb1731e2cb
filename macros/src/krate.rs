//! The crate that generated code names: `hostel_core`, or `hostel`, which has all of it.

use std::{env, fs, path::Path};

/// Returns the path of the crate on which the package that is compiled depends.
pub(crate) fn path() -> syn::Path {
    let folder = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let manifest = fs::read_to_string(Path::new(&folder).join("Cargo.toml")).unwrap_or_default();
    let core = env::var("CARGO_PKG_NAME").is_ok_and(|package| package == "hostel-core");
    if !core && !depends_on(&manifest, "hostel-core") && depends_on(&manifest, "hostel") {
        syn::parse_quote!(::hostel)
    } else {
        syn::parse_quote!(::hostel_core)
    }
}

/// Returns whether a manifest lists a dependency under this name, of any kind and for any target.
fn depends_on(manifest: &str, name: &str) -> bool {
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.split(']').next().unwrap_or_default();
            let own = !header.starts_with("workspace");
            inside = own && header.ends_with("dependencies");
            let table = header.rsplit_once("dependencies.");
            if own && table.is_some_and(|(_, of)| of.trim_matches('"') == name) {
                return true;
            }
        } else if inside {
            let key = line.split(['=', '.']).next().unwrap_or_default();
            if key.trim().trim_matches('"') == name {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::depends_on;

    #[test]
    fn dependencies_of_a_manifest_are_found_by_name() {
        for manifest in [
            "[dependencies]\nhostel = \"1\"",
            "[dependencies]\nserde = \"1\"\nhostel.workspace = true",
            "[dev-dependencies]\nhostel = { path = \"..\" }",
            "[dependencies.hostel]\nversion = \"1\"",
            "[target.'cfg(unix)'.dependencies]\n\"hostel\" = \"1\"",
        ] {
            assert!(depends_on(manifest, "hostel"), "{manifest}");
            assert!(!depends_on(manifest, "hostel-core"), "{manifest}");
        }
        for manifest in [
            "[workspace.dependencies]\nhostel = \"1\"",
            "[features]\nhostel = []",
            "[dependencies]\nhostel-core = \"1\"",
            "[package]\nname = \"hostel\"",
        ] {
            assert!(!depends_on(manifest, "hostel"), "{manifest}");
        }
    }
}
