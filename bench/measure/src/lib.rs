//! How things are measured: clocks, allocations and statistics.

mod alloc;
mod clock;
mod stats;

pub use alloc::{Count, Counting, Usage};
pub use clock::{process_cpu_ns, thread_cpu_ns};
pub use stats::{Spread, percentile};
