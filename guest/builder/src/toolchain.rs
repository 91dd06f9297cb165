//! The toolchain that compiles a crate to a core module.

use crate::package::{Package, Workspace};
use crate::text;
use anyhow::{Context, Result, bail, ensure};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

/// The default size of the stack, in bytes. An overflow traps, because the stack lies below the data.
const STACK_BYTES: u32 = 64 * 1024;

/// The compilation profile. It is set through environment variables, so that it applies to every crate.
const PROFILE: [(&str, &str); 6] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
];

/// A toolchain that compiles to WebAssembly.
pub(crate) struct Toolchain {
    version: String,
    sysroot: PathBuf,
    cargo: PathBuf,
    rustc: PathBuf,
    /// The linker to use if the toolchain has no compiled `core` and `alloc` for the target and must build both.
    build_std_with: Option<PathBuf>,
}

impl Toolchain {
    /// Finds the toolchain of this directory if it has the target, or else the distribution's if it has Rust's sources.
    pub(crate) fn find(directory: &Path) -> Result<Self> {
        let own = Rustc { path: env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()).into(), directory };
        let sysroot = own.sysroot()?;
        if sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
            let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into()).into();
            return Ok(Self { version: own.version()?, sysroot, cargo, rustc: own.path, build_std_with: None });
        }
        let distribution = Rustc { path: PathBuf::from("/usr/bin/rustc"), directory };
        let cargo = PathBuf::from("/usr/bin/cargo");
        if cargo.is_file() && distribution.path.is_file() {
            let linker = sysroot.join("lib/rustlib").join(own.host_triple()?).join("bin/rust-lld");
            let sysroot = distribution.sysroot()?;
            if linker.is_file() && sysroot.join("lib/rustlib/src/rust/library/core").is_dir() {
                let version = distribution.version()?;
                return Ok(Self { version, sysroot, cargo, rustc: distribution.path, build_std_with: Some(linker) });
            }
        }
        bail!(
            "cannot find a toolchain for {TARGET}. Install one of these:\n  \
             rustup target add {TARGET}\n  \
             apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src   (Debian; also needs \
             rustup's stable toolchain, for its linker)"
        )
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Runs cargo in this directory.
    pub(crate) fn cargo(&self, directory: &Path) -> Command {
        let mut command = Command::new(&self.cargo);
        command.current_dir(directory).env_remove("RUSTUP_TOOLCHAIN").env("RUSTC", &self.rustc);
        command
    }

    /// Compiles a crate and returns the path of the core module.
    pub(crate) fn compile(&self, workspace: &Workspace, package: &Package) -> Result<PathBuf> {
        let settings = package.settings();
        let target_directory = workspace.target_directory();
        let cargo_home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
            .context("neither CARGO_HOME nor a home directory is set")?;
        // Keeps local paths out of the component, including those in panic messages.
        let remap =
            |path: &Path, name: &str| -> Result<String> { Ok(format!("--remap-path-prefix={}={name}", text(path)?)) };
        let flags: [String; 3] =
            [remap(workspace.root(), "workspace")?, remap(&cargo_home, "cargo")?, remap(&self.sysroot, "sysroot")?];
        let stack = format!("-Clink-arg=-zstack-size={}", settings.stack_bytes.unwrap_or(STACK_BYTES));
        let mut command = self.cargo(package.directory());
        command
            .args(["rustc", "--release", "--lib", "--crate-type", "cdylib", "--target", TARGET])
            .args(["--manifest-path", package.manifest()?])
            .env("CARGO_TARGET_DIR", &target_directory)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
            .envs(PROFILE);
        if settings.digest {
            command.arg("--locked");
        }
        if let Some(linker) = &self.build_std_with {
            // Building `core` from source is unstable; RUSTC_BOOTSTRAP permits it for this build.
            command
                .arg("-Zbuild-std=core,alloc")
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        // Only the crate itself is linked, so the flag is not for its dependencies, which are compiled once for all stacks.
        let status =
            command.args(["--", &stack]).status().with_context(|| format!("cannot run {}", self.cargo.display()))?;
        ensure!(status.success(), "cannot compile `{}`", package.name());
        Ok(target_directory.join(TARGET).join("release").join(package.module()?))
    }
}

/// A compiler, as it behaves in a directory, whose files can select another version.
struct Rustc<'a> {
    path: PathBuf,
    directory: &'a Path,
}

impl Rustc<'_> {
    fn sysroot(&self) -> Result<PathBuf> {
        Ok(PathBuf::from(self.run(&["--print", "sysroot"])?.trim()))
    }

    fn version(&self) -> Result<String> {
        Ok(self.run(&["--version"])?.trim().to_owned())
    }

    fn host_triple(&self) -> Result<String> {
        let text = self.run(&["-vV"])?;
        let triple =
            text.lines().find_map(|line| line.strip_prefix("host: ")).context("`rustc -vV` printed no host triple")?;
        Ok(triple.to_owned())
    }

    fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(&self.path)
            .args(arguments)
            .current_dir(self.directory)
            .env_remove("RUSTUP_TOOLCHAIN")
            .output()
            .with_context(|| format!("cannot run {}", self.path.display()))?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{} {} failed: {error}", self.path.display(), arguments.join(" "));
        Ok(String::from_utf8(output.stdout)?)
    }
}
