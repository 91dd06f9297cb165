//! The component's allocator: memory for one request.
//!
//! It hands out what the linear memory has left behind the program's data, from the bottom up, and grows the memory only
//! when that is used up. Rust's standard allocator on wasm grows it at the first allocation; then a host that makes a
//! fresh instance for every request changes the protection of pages twice for each, which takes longer than deciding.
//!
//! What was allocated last is given back when it is freed; everything is, once nothing is allocated any more, so that a
//! host which reuses an instance does not see it grow.
#![expect(unsafe_code, reason = "an allocator hands out raw memory")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::cell::Cell;

unsafe extern "C" {
    /// The end of the program's data and of its stack, as the linker has it.
    static __heap_base: u8;
}

const PAGE: usize = 64 * 1024;

/// The allocator. Its addresses are numbers: 0 stands for "not used yet".
pub(crate) struct Memory {
    /// The first byte that is free.
    next: Cell<usize>,
    /// How many allocations there are.
    live: Cell<usize>,
}

// SAFETY: a component of this contract has one thread.
unsafe impl Sync for Memory {}

impl Memory {
    pub(crate) const fn new() -> Self {
        Self { next: Cell::new(0), live: Cell::new(0) }
    }

    fn base() -> usize {
        (&raw const __heap_base).addr()
    }
}

// SAFETY: what is handed out lies between the program's data and the memory's end, is aligned as it is asked for, and
// does not overlap what was handed out before and is still in use.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let next = self.next.get().max(Self::base());
        let Some(start) = next.checked_next_multiple_of(layout.align()) else { return core::ptr::null_mut() };
        let Some(end) = start.checked_add(layout.size()) else { return core::ptr::null_mut() };
        let lacking = end.saturating_sub(memory_size::<0>() * PAGE);
        if lacking > 0 && memory_grow::<0>(lacking.div_ceil(PAGE)) == usize::MAX {
            return core::ptr::null_mut();
        }
        self.next.set(end);
        self.live.set(self.live.get() + 1);
        core::ptr::with_exposed_provenance_mut(start)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let live = self.live.get() - 1;
        self.live.set(live);
        if live == 0 {
            self.next.set(Self::base());
        } else if pointer.addr() + layout.size() == self.next.get() {
            self.next.set(pointer.addr());
        }
    }
}
