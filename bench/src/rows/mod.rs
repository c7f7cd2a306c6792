//! The measurements, one file per row of the plan.

pub mod core_cost;
pub mod floor;
pub mod idle;
pub mod structural;
pub mod throughput;

/// How much time a measurement takes.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Interleaved runs of every contender.
    pub runs: usize,
    /// Processor time of one run of a core, in nanoseconds.
    pub run_ns: u64,
    /// Wall time of one run under load, in milliseconds.
    pub load_ms: u64,
    /// Groups that idle together.
    pub groups: usize,
}

impl Effort {
    /// For figures that are published.
    pub const FULL: Self = Self {
        runs: 7,
        run_ns: 50_000_000,
        load_ms: 250,
        groups: 100,
    };
    /// For a look.
    pub const QUICK: Self = Self {
        runs: 3,
        run_ns: 10_000_000,
        load_ms: 150,
        groups: 20,
    };
}
