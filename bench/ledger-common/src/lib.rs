//! What the comparisons of the ledger's consensus share: our side of them, what is
//! measured, and the tables.
//!
//! | file | holds |
//! |---|---|
//! | `seen.rs` | what is read off a run in virtual time |
//! | `ours.rs` | our validators under the same conditions |
//! | `tables.rs` | the tables, row by row |

mod ours;
mod seen;
mod tables;

pub use decube_io_sim::validators::{Distance, Faults, PATIENCE, leaders};
pub use measure::{Count, process_cpu_ns, thread_cpu_ns};
pub use ours::signer;
pub use seen::{Finality, Seen};
pub use tables::compare;

#[global_allocator]
static ALLOCATOR: measure::Counting = measure::Counting;

/// Sizes of the set in the rows on processor time and work.
pub const COUNTS: [usize; 4] = [4, 16, 31, 100];

/// Sizes of the set in the rows on latency and traffic.
pub const LATENCY_COUNTS: [usize; 3] = [4, 31, 100];

/// Sizes of the set in the rows on faults.
pub const FAULT_COUNTS: [usize; 2] = [4, 31];

/// Blocks before and within the span over which work and traffic are counted.
pub const WORK: Length = Length {
    warm_up: 10,
    blocks: 30,
};

/// How many blocks a run on processor time has.
#[derive(Debug, Clone, Copy)]
pub struct Length {
    /// Left out at the beginning.
    pub warm_up: u64,
    /// Measured.
    pub blocks: u64,
}

impl Length {
    /// With signatures that cost nothing: about the same work for each size.
    pub fn free(count: usize) -> Self {
        let blocks = by_size(count, [4_000, 400, 120, 20]);
        let warm_up = 10;
        Self { warm_up, blocks }
    }

    /// With real signatures, which are most of the work.
    pub fn signed(count: usize) -> Self {
        let blocks = by_size(count, [300, 30, 10, 3]);
        let warm_up = 2;
        Self { warm_up, blocks }
    }
}

fn by_size(count: usize, [few, some, many, most]: [u64; 4]) -> u64 {
    match count {
        0..=8 => few,
        9..=20 => some,
        21..=50 => many,
        _ => most,
    }
}

/// What one run has taken, as microseconds per block and validator.
pub fn per_block(took_ns: u64, blocks: u64, count: usize) -> f64 {
    took_ns as f64 / 1e3 / blocks as f64 / count as f64
}

/// The quantile of a list, which it sorts.
pub fn quantile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(place).copied().unwrap_or(f64::NAN)
}

/// A run in virtual time, around the world.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many validators.
    pub count: usize,
    /// What goes wrong.
    pub faults: Faults,
    /// How many blocks everybody has to know as final.
    pub blocks: u64,
}

impl Plan {
    /// With nothing wrong.
    pub fn new(count: usize, blocks: u64) -> Self {
        let faults = Faults::default();
        Self {
            count,
            faults,
            blocks,
        }
    }
}

/// What a final block takes, of each validator on the average: the same on every
/// machine.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Signatures made, if that can be counted.
    pub signed: Option<f64>,
    /// Signatures checked, if that can be counted.
    pub checked: Option<f64>,
    /// Allocations and growths of them.
    pub allocations: f64,
}

impl Work {
    /// Of counts over so many blocks: signatures made and checked, if they were
    /// counted, and allocations.
    pub fn of(signatures: Option<[u64; 2]>, allocations: u64, blocks: u64, count: usize) -> Self {
        let each = |total: u64| total as f64 / blocks as f64 / count as f64;
        Self {
            signed: signatures.map(|[signed, _]| each(signed)),
            checked: signatures.map(|[_, checked]| each(checked)),
            allocations: each(allocations),
        }
    }
}

/// What travels for a final block, of all validators together.
#[derive(Debug, Clone, Copy)]
pub struct Traffic {
    /// Messages, one for each that they go to.
    pub messages: f64,
    /// Bytes of them.
    pub bytes: f64,
}

impl Traffic {
    /// Of what was sent until the span of so many blocks began, and until it ended:
    /// messages, and bytes.
    pub fn of(before: [u64; 2], after: [u64; 2], blocks: u64) -> Self {
        let each = |place: usize| (after[place] - before[place]) as f64 / blocks as f64;
        Self {
            messages: each(0),
            bytes: each(1),
        }
    }
}

/// One run on processor time, in microseconds per block and validator.
pub type CostRun = fn(usize, Length) -> f64;

/// A consensus that ours is measured beside.
pub struct Rival {
    /// Its name in the titles of tables.
    pub title: &'static str,
    /// Its name in their rows, with its version.
    pub row: &'static str,
    /// Ours in the same rows.
    pub ours: &'static str,
    /// With signatures that cost nothing.
    pub free: CostRun,
    /// With real ones: by what, and the run.
    pub signed: &'static [(&'static str, CostRun)],
    /// In virtual time.
    pub run: fn(Plan) -> Seen,
    /// What a block takes.
    pub work: fn(usize) -> Work,
    /// What travels for it.
    pub traffic: fn(usize) -> Traffic,
}
