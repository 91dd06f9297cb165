//! Builds the policy's component from source: `cargo run -p component-builder [FILE]`.
//!
//! A toolchain compiles the policy to a core module for `wasm32-unknown-unknown`. The builder removes an unused table from
//! the module, encodes the module and the contract recorded by its bindings as a component, and appends a section with the
//! digest of the sources. The build is reproducible: the same sources and toolchain produce the same bytes in every
//! directory.

mod digest;
mod table;

use anyhow::{Context, Result, bail, ensure};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wasm_encoder::{ComponentSection, CustomSection, Encode};

const TARGET: &str = "wasm32-unknown-unknown";

/// The maximum size of the component, in bytes.
const MAX_BYTES: usize = 32 * 1024;

/// The size of the stack, in bytes. It is small, so that the stack, the data and the allocations of a request share a few
/// pages, which a pooling host resets in place. The policy uses less than a fourth of it. An overflow traps, because the
/// stack lies below the data.
const STACK_BYTES: u32 = 4 * 1024;

/// The compilation profile. It is set through environment variables, so that this file, and with it the digest, contains
/// all of it.
const PROFILE: [(&str, &str); 6] = [
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "true"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
];

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let output = match env::args_os().nth(1) {
        Some(argument) if argument == "--help" || argument == "-h" => {
            println!("Builds the policy's component from source.\n");
            println!("  cargo run -p component-builder [FILE]\n");
            println!("FILE is the output. By default, the build replaces the component in the repository.");
            return Ok(());
        }
        Some(file) => env::current_dir()?.join(file),
        None => root.join("guest/policy/component/delete-learning.wasm"),
    };

    let toolchain = Toolchain::find()?;
    println!("toolchain: {}", toolchain.version);
    let module = toolchain.compile(&root)?;
    let module = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let module = table::remove_unused(module)?;
    let mut component = wit_component::ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    append_section(&mut component, digest::SECTION, &digest::of_sources(&root)?);

    ensure!(
        component.len() <= MAX_BYTES,
        "the component has {} bytes, more than the maximum of {MAX_BYTES}",
        component.len()
    );
    fs::write(&output, &component).with_context(|| format!("cannot write {}", output.display()))?;
    println!("{}: {} bytes (maximum {MAX_BYTES})", output.display(), component.len());
    Ok(())
}

/// A toolchain that compiles to WebAssembly.
struct Toolchain {
    version: String,
    cargo: PathBuf,
    rustc: PathBuf,
    /// The linker to use if the toolchain has no compiled `core` and `alloc` for the target and must build both.
    build_std_with: Option<PathBuf>,
}

impl Toolchain {
    /// Finds the toolchain that runs this command if it has the target, or else the distribution's if it has Rust's
    /// sources.
    fn find() -> Result<Self> {
        let own = PathBuf::from(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let own_sysroot = sysroot(&own)?;
        if own_sysroot.join("lib/rustlib").join(TARGET).join("lib").is_dir() {
            let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            return Ok(Self { version: version(&own)?, cargo: cargo.into(), rustc: own, build_std_with: None });
        }
        let (cargo, rustc) = (PathBuf::from("/usr/bin/cargo"), PathBuf::from("/usr/bin/rustc"));
        if cargo.is_file() && rustc.is_file() {
            let has_sources = sysroot(&rustc)?.join("lib/rustlib/src/rust/library/core").is_dir();
            let linker = own_sysroot.join("lib/rustlib").join(host_triple(&own)?).join("bin/rust-lld");
            if has_sources && linker.is_file() {
                return Ok(Self { version: version(&rustc)?, cargo, rustc, build_std_with: Some(linker) });
            }
        }
        bail!(
            "cannot find a toolchain for {TARGET}. Install one of these:\n  \
             rustup target add {TARGET}\n  \
             apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src   (Debian; also needs \
             rustup's stable toolchain, for its linker)"
        )
    }

    /// Compiles the policy and returns the path of the core module.
    fn compile(&self, root: &Path) -> Result<PathBuf> {
        let target_dir = root.join("target/component");
        let cargo_home = env::var_os("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
            .context("neither CARGO_HOME nor a home directory is set")?;
        // Keeps local paths out of the component, including those in panic messages.
        let flags = [
            format!("-Clink-arg=-zstack-size={STACK_BYTES}"),
            format!("--remap-path-prefix={}=delete-learning", root.display()),
            format!("--remap-path-prefix={}=cargo", cargo_home.display()),
            format!("--remap-path-prefix={}=sysroot", sysroot(&self.rustc)?.display()),
        ];
        let mut command = Command::new(&self.cargo);
        command
            .current_dir(root)
            .args(["rustc", "--locked", "--release", "--package", "delete-learning-policy", "--lib"])
            .args(["--crate-type", "cdylib", "--target", TARGET])
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("RUSTC", &self.rustc)
            .env("CARGO_TARGET_DIR", &target_dir)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
            .envs(PROFILE);
        if let Some(linker) = &self.build_std_with {
            // Building `core` from source is unstable; RUSTC_BOOTSTRAP permits it for this build.
            command
                .arg("-Zbuild-std=core,alloc")
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
        }
        let status = command.status().with_context(|| format!("cannot run {}", self.cargo.display()))?;
        ensure!(status.success(), "cannot compile the policy");
        Ok(target_dir.join(TARGET).join("release/delete_learning_policy.wasm"))
    }
}

fn sysroot(rustc: &Path) -> Result<PathBuf> {
    Ok(PathBuf::from(run_rustc(rustc, &["--print", "sysroot"])?.trim()))
}

fn version(rustc: &Path) -> Result<String> {
    Ok(run_rustc(rustc, &["--version"])?.trim().to_owned())
}

fn host_triple(rustc: &Path) -> Result<String> {
    let text = run_rustc(rustc, &["-vV"])?;
    let triple =
        text.lines().find_map(|line| line.strip_prefix("host: ")).context("`rustc -vV` printed no host triple")?;
    Ok(triple.to_owned())
}

fn run_rustc(rustc: &Path, arguments: &[&str]) -> Result<String> {
    let output =
        Command::new(rustc).args(arguments).output().with_context(|| format!("cannot run {}", rustc.display()))?;
    ensure!(output.status.success(), "{} {} failed", rustc.display(), arguments.join(" "));
    Ok(String::from_utf8(output.stdout)?)
}

fn append_section(component: &mut Vec<u8>, name: &str, content: &str) {
    let section = CustomSection { name: name.into(), data: content.as_bytes().into() };
    component.push(ComponentSection::id(&section));
    section.encode(component);
}
