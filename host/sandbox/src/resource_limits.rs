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

#[cfg(test)]
mod tests {
    use super::{Limits, ResourceLimiter, ResourceLimits};

    fn limits() -> ResourceLimits {
        ResourceLimits::new(&Limits::default().max_memory_bytes(200_000).max_table_elements(10))
    }

    #[test]
    fn all_memories_and_all_tables_share_their_limits() {
        let mut limits = limits();
        let mut memory = |current, desired| limits.memory_growing(current, desired, None).expect("no error");
        assert!(memory(0, 150_000) && !memory(0, 50_001) && memory(0, 50_000) && !memory(50_000, 50_001));
        let mut table = |current, desired, maximum| limits.table_growing(current, desired, maximum).expect("no error");
        assert!(!table(0, 6, Some(5)), "its own maximum");
        assert!(table(0, 6, Some(6)) && !table(0, 5, None) && table(6, 10, None) && !table(0, 1, None));
    }

    #[test]
    fn only_what_is_refused_at_the_start_prevents_it() {
        for grow in [ResourceLimits::memory_growing, ResourceLimits::table_growing] {
            let refuse = |limits: &mut ResourceLimits| assert!(!grow(limits, 0, 1_000_000, None).expect("no error"));
            let mut started = limits();
            assert!(grow(&mut started, 0, 1, None).expect("no error") && !started.failed_to_start());
            started.set_started();
            refuse(&mut started);
            assert!(!started.failed_to_start(), "it was refused later");
            let mut starting = limits();
            refuse(&mut starting);
            assert!(starting.failed_to_start());
            assert!(grow(&mut starting, 0, 1, None).expect("no error") && starting.failed_to_start());
        }
    }
}
