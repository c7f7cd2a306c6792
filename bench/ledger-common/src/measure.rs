//! Processor time, allocations, quantiles.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Processor time of this thread. Other work on the machine disturbs it little.
pub fn thread_time() -> Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Processor time of all threads of this process.
pub fn process_time() -> Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn clock(id: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live value of the type that the call fills.
    let failed = unsafe { libc::clock_gettime(id, &mut time) };
    assert_eq!(failed, 0, "every Linux has these clocks");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Microseconds per block and validator of several runs: median, least, most.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Cost {
    /// Of these runs.
    pub fn of(mut runs: Vec<f64>) -> Self {
        runs.sort_by(f64::total_cmp);
        Self {
            median: runs[runs.len() / 2],
            least: runs[0],
            most: runs[runs.len() - 1],
        }
    }
}

/// What one run has taken, as microseconds per block and validator.
pub fn per_block(took: Duration, blocks: u64, count: usize) -> f64 {
    took.as_secs_f64() * 1e6 / blocks as f64 / count as f64
}

/// The quantile of a list, which it sorts.
pub fn quantile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(place).copied().unwrap_or(f64::NAN)
}

/// The system's allocator with a counter in front. Timed runs leave the counter off,
/// so that it costs them one load.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ON: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);

/// A count of allocations, on all threads. One at a time.
pub struct Count(u64);

impl Count {
    /// Starts to count.
    pub fn start() -> Self {
        ON.store(true, Relaxed);
        Self(CALLS.load(Relaxed))
    }

    /// Stops: allocations, and growths of them, since the start.
    pub fn stop(self) -> u64 {
        ON.store(false, Relaxed);
        CALLS.load(Relaxed) - self.0
    }
}

fn note() {
    if ON.load(Relaxed) {
        CALLS.fetch_add(1, Relaxed);
    }
}

// SAFETY: every call is passed on unchanged to the system's allocator; counting
// touches nothing but atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        unsafe { System.realloc(pointer, layout, size) }
    }
}
