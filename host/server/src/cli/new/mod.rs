//! `delete-learning new`: creates a crate for a policy or a guard.

mod manifest;
mod name;
mod vendor;

use super::CommandResult;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What the crate is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Policy,
    Guard,
}

/// Creates a crate in a new directory with this name. Leaves nothing behind if it fails.
pub(super) fn new(name: &str, kind: Kind) -> CommandResult {
    name::validate(name)?;
    let directory = Path::new(name);
    let cannot_create = |error: io::Error| format!("cannot create the directory \"{name}\": {error}");
    if fs::symlink_metadata(directory).is_ok() {
        return Err(format!("\"{name}\" exists already; choose another name, or delete it").into());
    }
    // Written beside the directory, then renamed.
    let temporary = tempfile::Builder::new().prefix(&format!(".{name}-")).tempdir_in(".").map_err(cannot_create)?;
    let unfinished = temporary.path().join(name);
    for (path, content) in files(name, kind) {
        write(&unfinished.join(path), &content).map_err(cannot_create)?;
    }
    fs::rename(&unfinished, directory).map_err(cannot_create)?;
    writeln!(io::stdout(), "created {name}: the rule is in {name}/src/lib.rs, the commands are in {name}/README.md")?;
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, content: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, content)
}

/// The files of the crate, by their paths in its directory.
fn files(name: &str, kind: Kind) -> Vec<(PathBuf, String)> {
    let (library, readme) = match kind {
        Kind::Policy => (include_str!("templates/policy.rs"), include_str!("templates/policy.md")),
        Kind::Guard => (include_str!("templates/guard.rs"), include_str!("templates/guard.md")),
    };
    let mut files = vec![
        (PathBuf::from("Cargo.toml"), manifest::of_crate(name, kind)),
        (PathBuf::from("src/lib.rs"), library.to_owned()),
        (PathBuf::from("README.md"), readme.replace("NAME", name)),
        (PathBuf::from(".gitignore"), "/target\n/*.wasm\n".to_owned()),
    ];
    for (path, content) in vendor::FILES {
        // A guard does not call the default policy.
        if kind == Kind::Guard && path.starts_with("policy/") {
            continue;
        }
        let path = Path::new("vendor").join(path);
        files.push(if path.ends_with("manifest.toml") {
            (path.with_file_name("Cargo.toml"), manifest::vendored(content))
        } else {
            (path, (*content).to_owned())
        });
    }
    files
}
