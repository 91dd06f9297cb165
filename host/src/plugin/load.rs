//! From the bytes of a component to a policy that is ready to run.

use super::cache::Cache;
use super::state::State;
use super::wasi::{self, Wasi};
use crate::contract::{Plugin as World, PluginPre};
use crate::limits::Limits;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Why a component cannot be a policy.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is larger than the limit `policy_bytes`.
    #[error("this has {bytes} bytes; a policy has at most {most} (the limit `policy_bytes`)")]
    TooManyBytes {
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        most: usize,
    },
    /// It is a core module. A policy is a component.
    #[error("this is a core WebAssembly module; a policy is a component (wrap it with `wasm-tools component new`)")]
    CoreModule,
    /// It is no valid component.
    #[error("this is not a valid WebAssembly component: {0:#}")]
    Invalid(#[source] wasmtime::Error),
    /// It is a component, and made of more than the limits `policy_memory_bytes`, `policy_table_elements` and
    /// `policy_parts` have room for.
    #[error(
        "the component needs more than a policy gets by the limits policy_memory_bytes, policy_table_elements and policy_parts: {0:#}"
    )]
    Outsized(#[source] wasmtime::Error),
    /// It imports what no policy gets.
    #[error("the component imports {}; a policy gets `identity` and `storage` of learnings:plugin@0.1.0 and nothing else", .0.join(", "))]
    ForeignImports(Vec<String>),
    /// It imports WASI, and none is granted.
    #[error("the component imports {}; WASI is off unless the configuration has `enabled = true` under `[wasi]`", .0.join(", "))]
    WasiIsOff(Vec<String>),
    /// It does not fit the contract.
    #[error("the component does not fit the contract learnings:plugin@0.1.0: {0:#}")]
    Unfit(#[source] wasmtime::Error),
    /// The sandbox cannot be set up on this machine.
    #[error("the sandbox cannot be set up: {0:#}")]
    Engine(#[source] wasmtime::Error),
    /// Its ticker cannot be started.
    #[error("the sandbox's ticker cannot be started: {0}")]
    Thread(#[source] io::Error),
}

/// What a policy may import.
const IMPORTS: [&str; 3] =
    ["learnings:plugin/types@0.1.0", "learnings:plugin/identity@0.1.0", "learnings:plugin/storage@0.1.0"];

/// The first bytes of a core module: magic number, version 1, layer 0 (a component's layer is 1).
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

pub(super) fn load(
    bytes: &[u8],
    limits: &Limits,
    granted: Wasi,
    cache: Option<&Cache>,
) -> Result<PluginPre<State>, LoadError> {
    examine(bytes, limits)?;
    let engine = engine(limits)?;
    // `from_binary` takes binary alone, whatever the bytes look like.
    let compile = || Component::from_binary(&engine, bytes);
    let component = match cache {
        Some(cache) => cache.component(&engine, bytes, compile),
        None => compile(),
    };
    let component = component.map_err(|error| {
        // The pool refuses what it has no place for. Without a pool, only what is no component is refused.
        match Component::from_binary(&Engine::default(), bytes) {
            Ok(_) => LoadError::Outsized(error),
            Err(error) => LoadError::Invalid(error),
        }
    })?;
    let component_type = component.component_type();
    let beyond = component_type.imports(&engine).map(|(name, _)| name.to_owned());
    let beyond = beyond.filter(|name| !IMPORTS.contains(&name.as_str()));
    let (wasi, foreign): (Vec<String>, Vec<String>) = beyond.partition(|name| wasi::is_wasi(name));
    if !foreign.is_empty() {
        return Err(LoadError::ForeignImports(foreign));
    }
    if !wasi.is_empty() && !granted.enabled {
        return Err(LoadError::WasiIsOff(wasi));
    }
    let mut linker = Linker::new(&engine);
    World::add_to_linker::<_, HasSelf<_>>(&mut linker, |state: &mut State| state).map_err(LoadError::Engine)?;
    if !wasi.is_empty() {
        wasi::link(&mut linker, granted).map_err(LoadError::Engine)?;
    }
    linker.instantiate_pre(&component).and_then(PluginPre::new).map_err(LoadError::Unfit)
}

/// The names that a component imports and exports, whether or not it fits the contract.
///
/// # Errors
/// Where the bytes are no component, or too many.
pub fn interface(bytes: &[u8], limits: &Limits) -> Result<(Vec<String>, Vec<String>), LoadError> {
    examine(bytes, limits)?;
    let engine = Engine::default();
    let component = Component::from_binary(&engine, bytes).map_err(LoadError::Invalid)?.component_type();
    let imports = component.imports(&engine).map(|(name, _)| name.to_owned()).collect();
    Ok((imports, component.exports(&engine).map(|(name, _)| name.to_owned()).collect()))
}

/// What can be seen without compiling.
fn examine(bytes: &[u8], limits: &Limits) -> Result<(), LoadError> {
    if bytes.len() > limits.policy_bytes {
        Err(LoadError::TooManyBytes { bytes: bytes.len() as u64, most: limits.policy_bytes })
    } else if bytes.starts_with(CORE_MODULE) {
        Err(LoadError::CoreModule)
    } else {
        Ok(())
    }
}

/// Reads the file of a policy, if it is not too large for one.
///
/// # Errors
/// Where the file cannot be read, or is too large.
pub fn read(file: &Path, limits: &Limits) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    let mut opened = File::open(file)?;
    // One more than the limit: whatever the file says of its size, that is seen then, and nothing more is read.
    let most = u64::try_from(limits.policy_bytes).unwrap_or(u64::MAX);
    opened.by_ref().take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > limits.policy_bytes {
        let bytes = opened.metadata()?.len();
        return Err(LoadError::TooManyBytes { bytes, most: limits.policy_bytes }.into());
    }
    Ok(bytes)
}

/// Why the file of a policy was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is too large.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// The engine that policies run in: one with a pool of instances; without a pool where this machine has no room for one.
///
/// # Errors
/// Where the sandbox cannot be set up on this machine.
pub fn engine(limits: &Limits) -> Result<Engine, LoadError> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.max_wasm_stack(limits.policy_stack_bytes);
    // The stack that a policy and the host functions under it run on, when they may be suspended.
    config.async_stack_size(limits.policy_stack_bytes + 256 * 1024);
    // Nobody reads addresses in a policy; a trap says what it was.
    config.wasm_backtrace_max_frames(None);
    config.memory_reservation(limits.policy_memory_bytes as u64);
    config.memory_guard_size(64 * 1024);

    let mut pool = PoolingAllocationConfig::new();
    let parts = limits.policy_parts;
    let places = limits.concurrent_policies;
    pool.total_component_instances(places)
        .total_core_instances(places.saturating_mul(parts))
        .total_memories(places.saturating_mul(parts))
        .total_tables(places.saturating_mul(parts))
        .total_stacks(places)
        .max_core_instances_per_component(parts)
        .max_memories_per_component(parts)
        .max_tables_per_component(parts)
        .max_memories_per_module(parts)
        .max_tables_per_module(parts)
        .max_memory_size(limits.policy_memory_bytes)
        .table_elements(limits.policy_table_elements)
        // What the shipped policy uses of memory and stack is reset in place, without giving pages back to the system:
        // 4 KiB of stack, its data and a few strings. What is beyond costs page faults, and memory only while it is used.
        .linear_memory_keep_resident(16 * 1024)
        .table_keep_resident(64 * 1024)
        .async_stack_keep_resident(64 * 1024);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).or_else(|error| {
        tracing::warn!(%error, "no room for a pool of instances; each request will pay for its own");
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        Engine::new(&config).map_err(LoadError::Engine)
    })
}
