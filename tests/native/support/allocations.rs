//! The allocator of the tests, which knows how much memory a thread asked for at once: a header that lies takes none.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Remembers the largest piece of memory that each thread asked for.
struct Watch;

thread_local! {
    pub static LARGEST: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: all memory comes from `System`, as it was asked for.
unsafe impl GlobalAlloc for Watch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // a thread that is ending has no LARGEST any more
        let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(layout.size())));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static WATCH: Watch = Watch;
