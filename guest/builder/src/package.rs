//! The crates to build, as `cargo metadata` describes them.

use crate::text;
use crate::toolchain::Toolchain;
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The crate's workspace, which can consist of the crate only.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

/// A crate.
#[derive(Deserialize)]
pub(crate) struct Package {
    name: String,
    version: String,
    description: Option<String>,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
    targets: Vec<Target>,
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Metadata {
    component: Option<Settings>,
}

/// The table `[package.metadata.component]`.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Settings {
    /// The file to write, relative to the crate.
    pub(crate) output: Option<PathBuf>,
    /// The maximum size of the component.
    pub(crate) max_bytes: Option<usize>,
    /// The size of the stack.
    pub(crate) stack_bytes: Option<u32>,
    /// Whether to add the digest of the sources.
    pub(crate) digest: bool,
}

impl Workspace {
    /// Reads the workspace of the crate in this directory.
    pub(crate) fn read(toolchain: &Toolchain, directory: &Path) -> Result<Self> {
        let output = toolchain
            .cargo(directory)
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .output()
            .context("cannot run cargo")?;
        ensure!(
            output.status.success(),
            "cannot read {}:\n{}",
            directory.join("Cargo.toml").display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        serde_json::from_slice(&output.stdout).context("cannot read the output of `cargo metadata`")
    }

    /// Whether this directory is that of a crate, and not only of a workspace.
    pub(crate) fn is_package(&self, directory: &Path) -> bool {
        self.packages.iter().any(|package| package.directory() == directory)
    }

    /// Returns the crate in this directory, or every crate with settings if the directory has a workspace only.
    pub(crate) fn packages_to_build(&self, directory: &Path) -> Result<Vec<&Package>> {
        if let Some(package) = self.packages.iter().find(|package| package.directory() == directory) {
            return Ok(vec![package]);
        }
        let has_settings =
            |package: &&Package| package.metadata.as_ref().is_some_and(|table| table.component.is_some());
        let packages: Vec<&Package> = self.packages.iter().filter(has_settings).collect();
        ensure!(
            !packages.is_empty(),
            "{} has no package, and no member of the workspace has a table [package.metadata.component]",
            directory.join("Cargo.toml").display()
        );
        Ok(packages)
    }

    /// The directory of Cargo.lock.
    pub(crate) fn root(&self) -> &Path {
        &self.workspace_root
    }

    /// The directory for build artifacts.
    pub(crate) fn target_directory(&self) -> PathBuf {
        self.target_directory.join("component")
    }
}

impl Package {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    pub(crate) fn license(&self) -> Option<&str> {
        self.license.as_deref()
    }

    pub(crate) fn repository(&self) -> Option<&str> {
        self.repository.as_deref()
    }

    pub(crate) fn directory(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    pub(crate) fn settings(&self) -> Settings {
        self.metadata.as_ref().and_then(|metadata| metadata.component.clone()).unwrap_or_default()
    }

    /// The file to write by default.
    pub(crate) fn output(&self) -> PathBuf {
        let file = self.settings().output.unwrap_or_else(|| PathBuf::from(format!("{}.wasm", self.name)));
        self.directory().join(file)
    }

    /// The file name of the core module.
    pub(crate) fn module(&self) -> Result<String> {
        let is_library = |target: &&Target| target.kind.iter().any(|kind| kind.ends_with("lib"));
        let library = self
            .targets
            .iter()
            .find(is_library)
            .with_context(|| format!("`{}` has no library; a policy or guard is in src/lib.rs", self.name))?;
        Ok(format!("{}.wasm", library.name.replace('-', "_")))
    }

    /// The manifest, as an argument.
    pub(crate) fn manifest(&self) -> Result<&str> {
        text(&self.manifest_path)
    }
}
