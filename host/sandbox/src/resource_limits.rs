//! Memory and table limits of one instance, over all its memories and tables together.

use crate::limits::Limits;
use wasmtime::ResourceLimiter;

/// What an instance can still allocate.
pub(crate) struct ResourceLimits {
    memory_bytes_left: usize,
    table_elements_left: usize,
    max_core_instances: u32,
    /// Whether the instance is being created, and whether an allocation was refused meanwhile.
    is_starting: bool,
    refused_at_start: bool,
}

impl ResourceLimits {
    pub(crate) const fn new(limits: &Limits) -> Self {
        Self {
            memory_bytes_left: limits.max_memory_bytes,
            table_elements_left: limits.max_table_elements,
            max_core_instances: limits.max_core_instances,
            is_starting: true,
            refused_at_start: false,
        }
    }

    /// Records that the instance exists: from now on a refused allocation fails inside the policy.
    pub(crate) const fn set_started(&mut self) {
        self.is_starting = false;
    }

    /// Whether the instance could not be created because it needs more than its limits.
    pub(crate) const fn failed_to_start(&self) -> bool {
        self.is_starting && self.refused_at_start
    }
}

/// Reserves growth from `current` to `desired`. Returns false without reserving if too little is left, or if `maximum`,
/// the declared maximum of the memory or table, makes the growth fail anyway.
fn try_reserve(left: &mut usize, current: usize, desired: usize, maximum: Option<usize>) -> bool {
    let rest = left.checked_sub(desired.saturating_sub(current));
    let rest = rest.filter(|_| maximum.is_none_or(|maximum| desired <= maximum));
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

impl ResourceLimiter for ResourceLimits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let granted = try_reserve(&mut self.memory_bytes_left, current, desired, maximum);
        self.refused_at_start |= self.is_starting && !granted;
        Ok(granted)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let granted = try_reserve(&mut self.table_elements_left, current, desired, maximum);
        self.refused_at_start |= self.is_starting && !granted;
        Ok(granted)
    }

    fn instances(&self) -> usize {
        self.max_core_instances as usize
    }

    fn tables(&self) -> usize {
        self.max_core_instances as usize
    }

    fn memories(&self) -> usize {
        self.max_core_instances as usize
    }
}
