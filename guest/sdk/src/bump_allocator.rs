//! The component's allocator: a bump allocator for the memory of one request.
//!
//! It allocates upward from the end of the program's data and grows the linear memory only when no space is left. Rust's
//! default allocator on WebAssembly grows the memory at the first allocation; a host that creates an instance for every
//! request would then change page protections twice per request, which takes longer than the decision.
//!
//! Freeing the newest allocation makes its space available again. Once no allocation is live, all space is available, so
//! a host that reuses an instance does not see its memory grow.
#![expect(unsafe_code, reason = "an allocator returns raw memory")]

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::cell::Cell;

unsafe extern "C" {
    /// The end of the program's data and stack, defined by the linker.
    static __heap_base: u8;
}

const PAGE_BYTES: usize = 64 * 1024;

/// The allocator. Addresses are numbers; 0 means that nothing has been allocated yet.
pub(crate) struct BumpAllocator {
    /// The first free byte.
    next: Cell<usize>,
    /// The number of live allocations.
    live: Cell<usize>,
}

// SAFETY: a component of this contract has one thread.
unsafe impl Sync for BumpAllocator {}

impl BumpAllocator {
    pub(crate) const fn new() -> Self {
        Self { next: Cell::new(0), live: Cell::new(0) }
    }

    fn heap_base() -> usize {
        (&raw const __heap_base).addr()
    }
}

// SAFETY: every allocation lies between the program's data and the end of the memory, has the requested alignment, and
// does not overlap a live allocation.
unsafe impl GlobalAlloc for BumpAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let next = self.next.get().max(Self::heap_base());
        let Some(start) = next.checked_next_multiple_of(layout.align()) else { return core::ptr::null_mut() };
        let Some(end) = start.checked_add(layout.size()) else { return core::ptr::null_mut() };
        let missing = end.saturating_sub(memory_size::<0>() * PAGE_BYTES);
        if missing > 0 && memory_grow::<0>(missing.div_ceil(PAGE_BYTES)) == usize::MAX {
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
            self.next.set(Self::heap_base());
        } else if pointer.addr() + layout.size() == self.next.get() {
            self.next.set(pointer.addr());
        }
    }
}
