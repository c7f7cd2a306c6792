//! An allocator that counts while it is asked to.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};

/// The system's allocator with a counter in front. Timed runs leave the counter
/// off, so that it costs them one load.
pub struct Counting;

/// What was allocated while counting.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Calls that allocate or grow.
    pub calls: u64,
    /// Bytes that they asked for.
    pub bytes: u64,
    /// Bytes that were not given back.
    pub kept: i64,
}

static ON: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);

/// A count in progress, on all threads. One at a time.
pub struct Count {
    start: Usage,
}

impl Count {
    /// Starts to count.
    pub fn start() -> Self {
        let start = totals();
        ON.store(true, Relaxed);
        Self { start }
    }

    /// Stops, and returns what was allocated since the start.
    pub fn stop(self) -> Usage {
        ON.store(false, Relaxed);
        let end = totals();
        Usage {
            calls: end.calls - self.start.calls,
            bytes: end.bytes - self.start.bytes,
            kept: end.kept - self.start.kept,
        }
    }
}

fn totals() -> Usage {
    Usage {
        calls: CALLS.load(Relaxed),
        bytes: BYTES.load(Relaxed),
        kept: LIVE.load(Relaxed),
    }
}

fn note(bytes: usize, given_back: usize) {
    if ON.load(Relaxed) {
        if bytes > 0 {
            CALLS.fetch_add(1, Relaxed);
            BYTES.fetch_add(bytes as u64, Relaxed);
        }
        LIVE.fetch_add(bytes as i64 - given_back as i64, Relaxed);
    }
}

// SAFETY: every call is passed on unchanged to the system's allocator; counting
// touches nothing but atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, layout.size());
        unsafe { System.realloc(pointer, layout, size) }
    }
}
