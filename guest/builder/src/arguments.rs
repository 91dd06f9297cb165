//! The command line.

use anyhow::{Context, Result, bail};
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Builds policies and guards: a Rust crate to a WebAssembly component.

  component-builder [DIRECTORY] [--output FILE]

DIRECTORY is the directory of the crate; the default is the current directory. In the directory of a workspace without a
package of its own, this builds every member with a table [package.metadata.component].

  -o, --output FILE    where to write the component; the default is NAME.wasm in the directory of the crate. For a
                       workspace, FILE is a directory
  -h, --help           prints this

The crate uses `export_policy!` or `export_guard!` of `delete-learning-sdk` and is `no_std` on WebAssembly. The component
gets the crate's name, version, license, repository and description as metadata. Compiling needs a Rust toolchain with the
target wasm32-unknown-unknown, and no C compiler.

All keys of [package.metadata.component] are optional:

  output = \"FILE\"      the default of --output, relative to the directory of the crate
  max-bytes = NUMBER   the maximum size of the component, without which there is none
  stack-bytes = NUMBER the size of the stack; the default is 65536
  digest = true        adds a digest of the sources, and builds only what Cargo.lock contains; for the repository of
                       delete-learning";

/// The arguments.
pub(crate) struct Arguments {
    /// The directory of the crate or workspace, absolute.
    pub(crate) directory: PathBuf,
    /// The file to write, absolute.
    pub(crate) output: Option<PathBuf>,
}

impl Arguments {
    /// Parses the arguments. Returns none if they ask for help.
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>> {
        let (mut directory, mut output) = (None, None);
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("-h" | "--help") => return Ok(None),
                Some("-o" | "--output") => {
                    let file = arguments.next().context("--output requires a file")?;
                    output = Some(env::current_dir()?.join(file));
                }
                Some(option) if option.starts_with('-') => bail!("unknown option {option}; see --help"),
                _ if directory.is_some() => bail!("more than one directory; see --help"),
                _ => directory = Some(argument),
            }
        }
        let directory = PathBuf::from(directory.unwrap_or_else(|| ".".into()));
        let directory =
            directory.canonicalize().with_context(|| format!("cannot open the directory {}", directory.display()))?;
        Ok(Some(Self { directory, output }))
    }
}
