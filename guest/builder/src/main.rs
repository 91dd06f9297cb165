//! Builds policies and guards: a Rust crate to a WebAssembly component.
//!
//! A toolchain compiles the crate to a core module for `wasm32-unknown-unknown`. The builder removes an unused table from
//! the module, encodes the module and the contract recorded by its bindings as a component, and adds the metadata of the
//! crate. The build is reproducible: the same sources and toolchain produce the same bytes in every directory.

mod arguments;
mod digest;
mod metadata;
mod package;
mod table;
mod toolchain;

use anyhow::{Context, Result, ensure};
use arguments::Arguments;
use package::{Package, Workspace};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use toolchain::Toolchain;
use wasm_encoder::{ComponentSection, CustomSection, Encode};
use wasmparser::{Parser, Payload};

fn main() -> ExitCode {
    let result = match Arguments::parse(std::env::args_os().skip(1)) {
        Ok(Some(arguments)) => run(&arguments),
        Ok(None) => {
            println!("{}", arguments::HELP);
            Ok(())
        }
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("component-builder: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    let directory = &arguments.directory;
    let manifest = directory.join("Cargo.toml");
    ensure!(
        manifest.is_file(),
        "{} does not exist; run this in the directory of a crate, or name one: component-builder DIRECTORY",
        manifest.display()
    );
    let toolchain = Toolchain::find(directory)?;
    println!("toolchain: {}", toolchain.version());
    let workspace = Workspace::read(&toolchain, directory)?;
    let packages = workspace.packages_to_build(directory)?;
    // Several components go to a directory.
    let output_directory = arguments.output.as_ref().filter(|_| !workspace.is_package(directory));
    if let Some(directory) = output_directory {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    }
    for package in packages {
        let component = build(&toolchain, &workspace, package)?;
        let default = package.output();
        let output = match (output_directory, &arguments.output) {
            (Some(directory), _) => directory.join(default.file_name().unwrap_or_default()),
            (None, Some(file)) => file.clone(),
            (None, None) => default,
        };
        fs::write(&output, &component).with_context(|| format!("cannot write {}", output.display()))?;
        println!("{}: {} bytes", output.display(), component.len());
    }
    Ok(())
}

fn build(toolchain: &Toolchain, workspace: &Workspace, package: &Package) -> Result<Vec<u8>> {
    let settings = package.settings();
    let module = toolchain.compile(workspace, package)?;
    let module = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let module = table::remove_unused(module)?;
    let component = wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .with_context(|| format!("cannot make `{}` a component", package.name()))?;
    ensure!(
        has_exports(&component)?,
        "`{}` exports neither a policy nor a guard; use `export_policy!` or `export_guard!` of the crate \
         `delete-learning-sdk`",
        package.name()
    );
    let mut component = metadata::add(&component, package)?;
    if settings.digest {
        let digest = digest::of_sources(workspace.root(), package.directory())
            .with_context(|| format!("cannot compute the digest of the sources of `{}`", package.name()))?;
        append_section(&mut component, digest::SECTION, &digest);
    }
    if let Some(max) = settings.max_bytes {
        let size = component.len();
        ensure!(size <= max, "the component of `{}` has {size} bytes; the maximum is {max}", package.name());
    }
    Ok(component)
}

/// Whether a component exports anything.
fn has_exports(component: &[u8]) -> Result<bool> {
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(_) if depth == 0 => return Ok(true),
            _ => {}
        }
    }
    Ok(false)
}

fn append_section(component: &mut Vec<u8>, name: &str, content: &str) {
    let section = CustomSection { name: name.into(), data: content.as_bytes().into() };
    component.push(ComponentSection::id(&section));
    section.encode(component);
}

/// Returns the path as text, for an environment variable or an argument.
fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not valid UTF-8", path.display()))
}
