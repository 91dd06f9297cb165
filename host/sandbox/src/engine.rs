//! The wasmtime engine with its pool of instances.

use crate::error::LoadError;
use crate::limits::Limits;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Stack for host functions below a policy, in bytes.
const HOST_STACK_BYTES: usize = 256 * 1024;

/// Creates the engine that policies and guards run in, with a pool of instances; without the pool on a machine that cannot
/// reserve its address space.
///
/// # Errors
/// [`LoadError::Engine`] if wasmtime does not support this machine.
pub fn engine(limits: &Limits) -> Result<Engine, LoadError> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    config.max_wasm_stack(limits.max_stack_bytes);
    config.async_stack_size(limits.max_stack_bytes + HOST_STACK_BYTES);
    // A trap is reported by its code; addresses inside a policy help nobody.
    config.wasm_backtrace_max_frames(None);
    config.memory_reservation(limits.max_memory_bytes as u64);
    config.memory_guard_size(64 * 1024);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits)));
    Engine::new(&config).or_else(|error| {
        tracing::warn!(%error, "cannot reserve a pool of instances; each request allocates its own");
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        Engine::new(&config).map_err(LoadError::Engine)
    })
}

fn pool(limits: &Limits) -> PoolingAllocationConfig {
    // A policy and its guards for each permit, one of which is for conformance cases.
    let permits = limits.max_concurrent_instances.saturating_add(1);
    let instances = permits.saturating_mul(limits.max_guards.saturating_add(1));
    let per_component = limits.max_core_instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(per_component))
        .total_memories(instances.saturating_mul(per_component))
        .total_tables(instances.saturating_mul(per_component))
        .total_stacks(instances)
        .max_core_instances_per_component(per_component)
        .max_memories_per_component(per_component)
        .max_tables_per_component(per_component)
        .max_memories_per_module(per_component)
        .max_tables_per_module(per_component)
        .max_memory_size(limits.max_memory_bytes)
        .table_elements(limits.max_table_elements)
        // The memory and stack that the default policy uses are reset in place, without returning pages to the operating
        // system. A policy that uses more costs page faults, and memory only while it runs.
        .linear_memory_keep_resident(16 * 1024)
        .table_keep_resident(64 * 1024)
        .async_stack_keep_resident(64 * 1024);
    pool
}
