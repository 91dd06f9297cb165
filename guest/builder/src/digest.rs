//! The digest of the sources of a component.
//!
//! The builder writes the digest into the component. A test recomputes it from the sources, and fails if the component is
//! older than its sources.

use aws_lc_rs::digest::{Context, SHA256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The name of the custom section with the digest, in lower-case hexadecimal.
pub(crate) const SECTION: &str = "delete-learning:sources-sha256";

/// The package that is built to the component.
const PACKAGE: &str = "delete-learning-policy";

/// Computes the SHA-256 digest of everything that determines the component's bytes, except the compiler: the sources and
/// the manifest of the policy (without its tests), the contract, the builder (which contains the compiler flags), and the
/// exact versions of the policy's dependencies.
///
/// # Errors
/// Fails if a file below `root`, the repository's top directory, cannot be read, or if `Cargo.lock` does not contain the
/// policy.
pub(crate) fn of_sources(root: &Path) -> io::Result<String> {
    let mut files = vec![root.join("guest/policy/Cargo.toml")];
    // `guest/policy/wit` is a symlink to `wit`.
    for directory in ["guest/policy/src", "guest/builder/src", "wit"] {
        collect(&root.join(directory), &mut files)?;
    }
    files.retain(|file| !file.ends_with("tests.rs") && file.extension().is_none_or(|end| end != "md"));
    files.sort();

    let mut context = Context::new(&SHA256);
    let mut add = |name: &str, content: &[u8]| {
        context.update(format!("{name}\n{}\n", content.len()).as_bytes());
        context.update(content);
    };
    for file in &files {
        let name = file.strip_prefix(root).map_err(io::Error::other)?.to_string_lossy().replace('\\', "/");
        add(&name, &fs::read(file)?);
    }
    for package in locked_dependencies(&fs::read_to_string(root.join("Cargo.lock"))?)? {
        add("locked", package.as_bytes());
    }
    Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Returns `name version checksum` for the policy and each of its direct and indirect dependencies, sorted.
fn locked_dependencies(lock: &str) -> io::Result<BTreeSet<String>> {
    let lock: toml::Table = lock.parse().map_err(io::Error::other)?;
    let text = |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let mut packages: BTreeMap<String, Vec<&toml::Value>> = BTreeMap::new();
    for package in lock.get("package").and_then(toml::Value::as_array).into_iter().flatten() {
        packages.entry(text(package, "name").unwrap_or_default()).or_default().push(package);
    }

    let mut found = BTreeSet::new();
    // A dependency is `name`, or `name version` if the lock file has several versions.
    let mut pending = vec![PACKAGE.to_owned()];
    while let Some(dependency) = pending.pop() {
        let mut words = dependency.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        let package = packages
            .get(name)
            .and_then(|versions| {
                versions.iter().find(|package| version.is_none() || text(package, "version").as_deref() == version)
            })
            .ok_or_else(|| io::Error::other(format!("Cargo.lock does not contain the package `{dependency}`")))?;
        let line = ["name", "version", "checksum"].map(|key| text(package, key).unwrap_or_default()).join(" ");
        if found.insert(line) {
            let dependencies = package.get("dependencies").and_then(toml::Value::as_array);
            pending.extend(dependencies.into_iter().flatten().filter_map(toml::Value::as_str).map(str::to_owned));
        }
    }
    Ok(found)
}
