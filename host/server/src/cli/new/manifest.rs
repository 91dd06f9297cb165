//! Manifests: of the new crate, and of the crates that it contains.

use super::Kind;

/// The manifest of the new crate.
pub(super) fn of_crate(name: &str, kind: Kind) -> String {
    let (description, policy) = match kind {
        Kind::Policy => (
            "A policy on deleting learnings",
            "# The default policy, without its export, because a component has one.\n\
             delete-learning-policy = { path = \"vendor/policy\", default-features = false }\n",
        ),
        Kind::Guard => ("A guard on deleting learnings", ""),
    };
    let rust_version = env!("CARGO_PKG_RUST_VERSION");
    format!(
        "[package]\n\
         name = \"{name}\"\n\
         description = \"{description}\"\n\
         version = \"0.1.0\"\n\
         edition = \"2024\"\n\
         rust-version = \"{rust_version}\"\n\
         publish = false\n\
         \n\
         [dependencies]\n\
         {policy}\
         # The contract, test doubles, and the macro that exports the component.\n\
         delete-learning-sdk = {{ path = \"vendor/sdk\" }}\n\
         \n\
         # Also builds within the directory of another workspace.\n\
         [workspace]\n"
    )
}

/// Makes the manifest of a crate of this repository independent of its workspace.
pub(super) fn vendored(manifest: &str) -> String {
    let values = [
        ("version.workspace = true", Some(concat!("version = \"", env!("CARGO_PKG_VERSION"), "\""))),
        ("edition.workspace = true", Some("edition = \"2024\"")),
        ("rust-version.workspace = true", Some(concat!("rust-version = \"", env!("CARGO_PKG_RUST_VERSION"), "\""))),
        ("license.workspace = true", Some(concat!("license = \"", env!("CARGO_PKG_LICENSE"), "\""))),
        ("delete-learning-sdk.workspace = true", Some("delete-learning-sdk = { path = \"../sdk\" }")),
        ("categories.workspace = true", None),
        ("keywords.workspace = true", None),
        ("[lints]", None),
        ("workspace = true", None),
    ];
    let mut vendored = String::new();
    for line in manifest.lines() {
        let value = values.iter().find(|(inherited, _)| *inherited == line).map_or(Some(line), |(_, value)| *value);
        if let Some(line) = value {
            vendored.push_str(line);
            vendored.push('\n');
        }
    }
    vendored
}

#[cfg(test)]
mod tests {
    use super::super::vendor;
    use super::*;

    #[test]
    fn vendored_manifest_inherits_nothing() {
        let manifests: Vec<_> = vendor::FILES.iter().filter(|(path, _)| path.ends_with("manifest.toml")).collect();
        assert_eq!(manifests.len(), 2);
        for (path, manifest) in manifests {
            let vendored: toml::Table = vendored(manifest).parse().expect("TOML");
            assert!(!format!("{vendored:?}").contains("workspace"), "{path}: {vendored:?}");
        }
    }
}
