//! What a component was built from, as one digest.
//!
//! The command that builds the component writes it into the component; a test computes it again from the sources, so
//! that a component that is older than its sources cannot pass.

use aws_lc_rs::digest::{Context, SHA256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The name of the component's custom section that holds the digest, as lower-case hexadecimal text.
pub(crate) const SECTION: &str = "delete-learning:sources-sha256";

/// The package whose build makes the component.
const PACKAGE: &str = "delete-learning-policy";

/// SHA-256 over everything that decides what the component's bytes are, but for the compiler: the guest's sources and
/// manifest (without its tests), the contract, the builder (it holds the compiler's flags), and the exact versions of
/// the packages that the guest depends on.
///
/// # Errors
/// Where a file below `root`, the project's top folder, cannot be read, or `Cargo.lock` does not hold the guest.
pub(crate) fn of_sources(root: &Path) -> io::Result<String> {
    let mut files = vec![root.join("guest/Cargo.toml")];
    for folder in ["guest/src", "guest/builder/src", "wit"] {
        collect(&root.join(folder), &mut files)?;
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

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// `name version checksum` of every package that the guest depends on, directly or not, sorted.
fn locked_dependencies(lock: &str) -> io::Result<BTreeSet<String>> {
    let lock: toml::Table = lock.parse().map_err(io::Error::other)?;
    let text = |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let mut packages: BTreeMap<String, Vec<&toml::Value>> = BTreeMap::new();
    for package in lock.get("package").and_then(toml::Value::as_array).into_iter().flatten() {
        packages.entry(text(package, "name").unwrap_or_default()).or_default().push(package);
    }

    let mut found = BTreeSet::new();
    // A dependency is written `name`, or `name version` where the lock holds several versions.
    let mut open = vec![PACKAGE.to_owned()];
    while let Some(dependency) = open.pop() {
        let mut words = dependency.split(' ');
        let (name, version) = (words.next().unwrap_or_default(), words.next());
        let package = packages
            .get(name)
            .and_then(|versions| {
                versions.iter().find(|package| version.is_none() || text(package, "version").as_deref() == version)
            })
            .ok_or_else(|| io::Error::other(format!("Cargo.lock has no package `{dependency}`")))?;
        let line = ["name", "version", "checksum"].map(|key| text(package, key).unwrap_or_default()).join(" ");
        if found.insert(line) {
            let dependencies = package.get("dependencies").and_then(toml::Value::as_array);
            open.extend(dependencies.into_iter().flatten().filter_map(toml::Value::as_str).map(str::to_owned));
        }
    }
    Ok(found)
}
