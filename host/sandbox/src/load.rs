//! From the bytes of a component to a policy that is ready to run.

use crate::cache::Cache;
use crate::contract::{PolicyInstance, PolicyPre};
use crate::engine::engine;
use crate::error::{LoadError, ReadError};
use crate::host_state::HostState;
use crate::limits::Limits;
use crate::wasi::{self, Wasi};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

/// The interfaces that every policy can import.
const CONTRACT_IMPORTS: [&str; 3] =
    ["learnings:plugin/types@0.1.0", "learnings:plugin/identity@0.1.0", "learnings:plugin/storage@0.1.0"];

/// The first bytes of a core module: magic number, version 1, layer 0. A component has layer 1.
const CORE_MODULE_HEADER: &[u8] = b"\0asm\x01\0\0\0";

/// The names that a component imports and exports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Its imports, in its order.
    pub imports: Vec<String>,
    /// Its exports, in its order.
    pub exports: Vec<String>,
}

/// Compiles and links a component.
pub(crate) fn load(
    bytes: &[u8],
    limits: &Limits,
    wasi: Wasi,
    cache: Option<&Cache>,
) -> Result<PolicyPre<HostState>, LoadError> {
    validate_header(bytes, limits)?;
    let engine = engine(limits)?;
    let component = compile(&engine, bytes, cache)?;
    let wasi_imports = wasi_imports(&engine, &component)?;
    if !wasi_imports.is_empty() && !wasi.enabled {
        return Err(LoadError::WasiDisabled(wasi_imports));
    }
    let mut linker = Linker::new(&engine);
    PolicyInstance::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut HostState| state)
        .map_err(LoadError::Engine)?;
    if !wasi_imports.is_empty() {
        wasi::link(&mut linker, wasi).map_err(LoadError::Engine)?;
    }
    linker.instantiate_pre(&component).and_then(PolicyPre::new).map_err(LoadError::IncompatibleWorld)
}

/// Describes a component, whether or not it implements the contract.
///
/// # Errors
/// [`LoadError::TooLarge`], [`LoadError::CoreModule`] or [`LoadError::Invalid`].
pub fn describe(bytes: &[u8], limits: &Limits) -> Result<Description, LoadError> {
    validate_header(bytes, limits)?;
    let engine = Engine::default();
    let component = Component::from_binary(&engine, bytes).map_err(LoadError::Invalid)?.component_type();
    Ok(Description {
        imports: component.imports(&engine).map(|(name, _)| name.to_owned()).collect(),
        exports: component.exports(&engine).map(|(name, _)| name.to_owned()).collect(),
    })
}

/// Reads the file of a policy.
///
/// # Errors
/// [`ReadError::Io`] if the file cannot be read, [`ReadError::Load`] if it exceeds `max_component_bytes`.
pub fn read(file: &Path, limits: &Limits) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let mut opened = File::open(file)?;
    // One byte more than the limit shows that the file is too large, whatever its metadata reports.
    let max = u64::try_from(limits.max_component_bytes).unwrap_or(u64::MAX);
    opened.by_ref().take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > limits.max_component_bytes {
        let bytes = opened.metadata()?.len();
        return Err(LoadError::TooLarge { bytes, max: limits.max_component_bytes }.into());
    }
    Ok(bytes)
}

/// Checks what can be seen without compiling.
fn validate_header(bytes: &[u8], limits: &Limits) -> Result<(), LoadError> {
    if bytes.len() > limits.max_component_bytes {
        Err(LoadError::TooLarge { bytes: bytes.len() as u64, max: limits.max_component_bytes })
    } else if bytes.starts_with(CORE_MODULE_HEADER) {
        Err(LoadError::CoreModule)
    } else {
        Ok(())
    }
}

fn compile(engine: &Engine, bytes: &[u8], cache: Option<&Cache>) -> Result<Component, LoadError> {
    // `from_binary` accepts the binary format alone, never text.
    let compile = || Component::from_binary(engine, bytes);
    let component = match cache {
        Some(cache) => cache.get_or_compile(engine, bytes, compile),
        None => compile(),
    };
    // The pool refuses a component that exceeds its limits. An engine without a pool accepts it, if it is valid.
    component.map_err(|error| match Component::from_binary(&Engine::default(), bytes) {
        Ok(_) => LoadError::ExceedsLimits(error),
        Err(error) => LoadError::Invalid(error),
    })
}

/// The imports from WASI; an error if there are imports from neither WASI nor the contract.
fn wasi_imports(engine: &Engine, component: &Component) -> Result<Vec<String>, LoadError> {
    let component_type = component.component_type();
    let others = component_type.imports(engine).map(|(name, _)| name.to_owned());
    let others = others.filter(|name| !CONTRACT_IMPORTS.contains(&name.as_str()));
    let (wasi, unknown): (Vec<String>, Vec<String>) = others.partition(|name| wasi::is_wasi(name));
    if unknown.is_empty() { Ok(wasi) } else { Err(LoadError::UnknownImports(unknown)) }
}
