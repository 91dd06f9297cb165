//! The crates that a new crate contains: the SDK with the contract, and the default policy.
//!
//! They are embedded through the symlinks in `vendor/`, so that a package of this crate contains them too. A directory with
//! a `Cargo.toml` would not be packaged, so manifests have another name there.

macro_rules! embed {
    ($($path:literal)*) => { &[$(($path, include_str!(concat!("vendor/", $path)))),*] };
}

/// Paths below `vendor/`, and contents.
pub(super) const FILES: &[(&str, &str)] = embed! {
    "policy/manifest.toml"
    "policy/src/lib.rs"
    "policy/src/policy.rs"
    "policy/src/policy/tests.rs"
    "sdk/manifest.toml"
    "sdk/src/bump_allocator.rs"
    "sdk/src/component.rs"
    "sdk/src/contract.rs"
    "sdk/src/export.rs"
    "sdk/src/guarded.rs"
    "sdk/src/guarded/tests.rs"
    "sdk/src/host.rs"
    "sdk/src/lib.rs"
    "sdk/src/testing.rs"
    "sdk/wit/deps/learnings-plugin/identity.wit"
    "sdk/wit/deps/learnings-plugin/storage.wit"
    "sdk/wit/deps/learnings-plugin/types.wit"
    "sdk/wit/deps/learnings-plugin/world.wit"
    "sdk/wit/deps/wasi-clocks.wit"
    "sdk/wit/deps/wasi-config/store.wit"
    "sdk/wit/deps/wasi-config/world.wit"
    "sdk/wit/deps/wasi-io.wit"
    "sdk/wit/world.wit"
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    fn collect(root: &Path, directory: &Path, paths: &mut Vec<String>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(root, &path, paths);
            } else if path.extension().is_some_and(|end| end != "md") {
                paths.push(path.strip_prefix(root).expect("below the root").to_str().expect("UTF-8").to_owned());
            }
        }
    }

    #[test]
    fn every_vendored_file_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/new/vendor");
        let mut paths = Vec::new();
        collect(&root, &root, &mut paths);
        paths.sort();
        let embedded: Vec<&str> = FILES.iter().map(|(path, _)| *path).collect();
        assert_eq!(embedded, paths);
    }
}
