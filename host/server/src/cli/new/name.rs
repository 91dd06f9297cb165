//! Names of crates.

/// Validates the name of a crate, which is also the name of its directory and of its component.
pub(super) fn validate(name: &str) -> Result<(), String> {
    let invalid = |reason: &str| Err(format!("\"{name}\" cannot be the name of a crate: {reason}"));
    if !name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        return invalid("it must start with a letter");
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return invalid("it can contain a-z, A-Z, 0-9, `-` and `_`");
    }
    if name.len() > MAX_BYTES {
        return invalid("it is longer than 64 characters");
    }
    if RESERVED.contains(&name.replace('-', "_").as_str()) {
        return invalid("Rust or a dependency of the crate uses it");
    }
    Ok(())
}

/// The limit of crates.io.
const MAX_BYTES: usize = 64;

/// Keywords (Rust Reference, "Keywords"), crates of the toolchain, and dependencies of the crate.
const RESERVED: [&str; 59] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "delete_learning_policy",
    "delete_learning_sdk",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "wit_bindgen",
    "yield",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_a_crate_is_valid() {
        for name in ["a", "office-hours", "Office_Hours2", &"a".repeat(64)] {
            assert_eq!(validate(name), Ok(()));
        }
    }

    #[test]
    fn name_that_cargo_refuses_is_refused() {
        for name in [
            "",
            "-",
            "1a",
            "-a",
            "_a",
            "a b",
            "a/b",
            "../a",
            "a.b",
            "ä",
            "a\n",
            "fn",
            "async",
            "test",
            "core",
            "delete-learning-sdk",
            &"a".repeat(65),
        ] {
            assert!(validate(name).is_err(), "{name}");
        }
    }
}
