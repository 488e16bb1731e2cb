//! Names in Rust and in WIT.

use heck::ToKebabCase;
use proc_macro2::Ident;
use syn::ext::IdentExt;

/// Returns the name in WIT of something with this name in Rust.
pub(crate) fn in_wit(rust: &Ident) -> String {
    rust.unraw().to_string().to_kebab_case()
}

/// Returns whether a name is one that WIT allows: words of letters and digits with hyphens between, each in one
/// case and starting with a letter.
pub(crate) fn is_in_wit(name: &str) -> bool {
    name.split('-').enumerate().all(|(at, word)| {
        let one_case = |of: fn(&u8) -> bool| word.bytes().all(|c| c.is_ascii_digit() || of(&c));
        let starts =
            word.starts_with(|c: char| c.is_ascii_alphabetic() || at > 0 && c.is_ascii_digit());
        starts && (one_case(u8::is_ascii_lowercase) || one_case(u8::is_ascii_uppercase))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::format_ident;

    #[test]
    fn rust_names_become_names_of_wit() {
        for (rust, wit) in [
            ("text", "text"),
            ("not_ascii", "not-ascii"),
            ("NotAscii", "not-ascii"),
            ("HTTPError", "http-error"),
            ("u8x16", "u8x16"),
        ] {
            assert_eq!(in_wit(&format_ident!("{rust}")), wit);
        }
        assert_eq!(in_wit(&format_ident!("r#type")), "type");
    }

    #[test]
    fn names_of_wit_are_told_from_others() {
        for good in ["a", "not-ascii", "HTTP-error", "v2", "sha-256"] {
            assert!(is_in_wit(good), "{good}");
        }
        for bad in ["", "-", "a-", "not_ascii", "NotAscii", "2nd", "é"] {
            assert!(!is_in_wit(bad), "{bad}");
        }
    }
}
