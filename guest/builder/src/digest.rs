//! The digest of the sources of a component.
//!
//! The builder writes the digest into the component. A test recomputes it from the sources, and fails if the component is
//! older than its sources.

use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The name of the custom section with the digest, in lower-case hexadecimal.
pub(crate) const SECTION: &str = "delete-learning:sources-sha256";

/// Computes the SHA-256 digest of everything that determines the bytes of a component of this repository, except the
/// compiler: the sources and the manifest of its crate and of the SDK (without tests), the contract, the builder (which
/// contains the compiler flags), and the exact versions of the crate's dependencies.
///
/// # Errors
/// Fails if a file of these directories cannot be read, or if `Cargo.lock` does not contain the crate. `root` is the top
/// directory of the repository, `crate_directory` the directory of the crate in it.
pub(crate) fn of_sources(root: &Path, crate_directory: &Path) -> io::Result<String> {
    let manifest = crate_directory.join("Cargo.toml");
    let package = package_name(&fs::read_to_string(&manifest)?)?;
    let sdk = root.join("guest/sdk");
    let mut files = vec![manifest, sdk.join("Cargo.toml")];
    // `guest/sdk/wit` contains a symlink to `wit`.
    let directories = [crate_directory.join("src"), sdk.join("src"), sdk.join("wit"), root.join("guest/builder/src")];
    for directory in directories {
        collect(&directory, &mut files)?;
    }
    files.retain(|file| !file.ends_with("tests.rs") && file.extension().is_none_or(|end| end != "md"));
    files.sort();

    let mut hasher = Sha256::new();
    let mut add = |name: &str, content: &[u8]| {
        hasher.update(format!("{name}\n{}\n", content.len()).as_bytes());
        hasher.update(content);
    };
    for file in &files {
        let name = file.strip_prefix(root).map_err(io::Error::other)?.to_string_lossy().replace('\\', "/");
        add(&name, &fs::read(file)?);
    }
    for package in locked_dependencies(&fs::read_to_string(root.join("Cargo.lock"))?, &package)? {
        add("locked", package.as_bytes());
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn package_name(manifest: &str) -> io::Result<String> {
    let manifest: toml::Table = manifest.parse().map_err(io::Error::other)?;
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(toml::Value::as_str);
    name.map(str::to_owned).ok_or_else(|| io::Error::other("Cargo.toml has no package.name"))
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

/// Returns `name version checksum` for a package and each of its direct and indirect dependencies, sorted.
fn locked_dependencies(lock: &str, package: &str) -> io::Result<BTreeSet<String>> {
    let lock: toml::Table = lock.parse().map_err(io::Error::other)?;
    let text = |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let mut packages: BTreeMap<String, Vec<&toml::Value>> = BTreeMap::new();
    for package in lock.get("package").and_then(toml::Value::as_array).into_iter().flatten() {
        packages.entry(text(package, "name").unwrap_or_default()).or_default().push(package);
    }

    let mut found = BTreeSet::new();
    // A dependency is `name`, or `name version` if the lock file has several versions.
    let mut pending = vec![package.to_owned()];
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
