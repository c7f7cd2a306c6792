//! What the comparisons of the ledger's consensus share: our side of them, processor
//! time, quantiles and tables.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use decube_core::crypto::fake::FakeAuthority;
use decube_core::crypto::{PublicKey, Signature, Signer, Verifier, VerifyError};
use decube_core::types::Span;
pub use decube_io_sim::validators::{Distance, Figures, Setup, Validators};

/// Sizes of the set in the rows on processor time.
pub const COUNTS: [usize; 4] = [4, 16, 31, 100];

/// Sizes of the set in the rows on latency.
pub const LATENCY_COUNTS: [usize; 3] = [4, 31, 100];

/// Runs of each row on processor time.
pub const RUNS: usize = 5;

/// Blocks that are left out at the beginning.
pub const WARM_UP: u64 = 10;

/// Blocks that a row of this size measures: about the same work in each.
pub fn blocks_of(count: usize) -> u64 {
    match count {
        0..=8 => 4_000,
        9..=20 => 400,
        21..=50 => 120,
        _ => 20,
    }
}

/// Processor time of this thread. Other work on the machine disturbs it little.
pub fn thread_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live value of the type that the call fills.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "the clock of a thread exists");
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

/// Time until a block is final, and between blocks, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Finality {
    /// Half of all are final by then.
    pub p50: f64,
    /// Of a hundred, 99.
    pub p99: f64,
    /// Half of the pauses between two blocks are not longer.
    pub pause: f64,
}

/// The quantile of a list, which it sorts.
pub fn quantile(values: &mut [f64], percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = (values.len() * percent / 100).min(values.len().saturating_sub(1));
    values.get(place).copied().unwrap_or(f64::NAN)
}

/// Ours a millisecond apart, with signatures that cost nothing.
fn free_validators(count: usize) -> Validators {
    let mut setup = Setup::new(count, Distance::Uniform(Span::from_millis(1)), 0);
    setup.count_bytes = false;
    let authority = FakeAuthority::new(1);
    let signer = |number| Free(*authority.signer(number).public_key());
    Validators::with_scheme(setup, signer, Free::everything())
}

/// One run of ours on processor time: no signatures, no encoding, one thread.
pub fn ours_cost(count: usize) -> f64 {
    let mut validators = free_validators(count);
    validators.run_to(WARM_UP);
    let (blocks, begin) = (blocks_of(count), thread_time());
    validators.run_to(WARM_UP + blocks);
    per_block(thread_time() - begin, blocks, count)
}

/// Ours on latency, in virtual time.
pub fn ours_latency(count: usize, crashed: usize) -> Finality {
    let mut setup = Setup::new(count, Distance::World, 200);
    setup.count_bytes = false;
    setup.crashed = (0..crashed).map(|number| number * 3).collect();
    let mut validators = Validators::new(setup);
    validators.run();
    let figures: Figures = validators.figures();
    let millis = |nanos: u64| nanos as f64 / 1e6;
    Finality {
        p50: millis(figures.finality.p50),
        p99: millis(figures.finality.p99),
        pause: millis(figures.pause.p50),
    }
}

/// What a final block takes, of each validator on the average: the same on every
/// machine.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Signatures made.
    pub signed: f64,
    /// Signatures checked.
    pub checked: f64,
    /// Messages sent.
    pub messages: f64,
}

impl Work {
    /// Of counts over so many blocks.
    pub fn of(counts: [u64; 3], blocks: u64, count: usize) -> Self {
        let [signed, checked, messages] =
            counts.map(|total| total as f64 / blocks as f64 / count as f64);
        Self {
            signed,
            checked,
            messages,
        }
    }
}

/// Blocks over which work is counted.
pub const WORK_BLOCKS: u64 = 50;

/// Ours of it.
pub fn ours_work(count: usize) -> Work {
    let counts = || [&SIGNED, &CHECKED].map(|count| count.load(Ordering::Relaxed));
    let before = counts();
    let mut validators = free_validators(count);
    validators.run_to(WORK_BLOCKS);
    let [signed, checked] = counts();
    let messages = validators.figures().messages * WORK_BLOCKS;
    let counts = [signed - before[0], checked - before[1], messages];
    Work::of(counts, WORK_BLOCKS, count)
}

/// A consensus that ours is measured beside.
pub struct Rival {
    /// Its name in the titles of tables.
    pub title: &'static str,
    /// Its name in their rows, with its version.
    pub row: &'static str,
    /// Ours in the same rows.
    pub ours: &'static str,
    /// One run on processor time.
    pub cost: fn(usize) -> f64,
    /// A run on latency: validators, and how many of them have crashed.
    pub latency: fn(usize, usize) -> Finality,
    /// What a block takes, where that can be counted.
    pub work: Option<fn(usize) -> Work>,
}

/// Prints both tables. Runs on processor time alternate, so that whatever else the
/// machine does meets both.
pub fn compare(rival: &Rival) {
    cost_head(&format!(
        "Processor time of a final block, against {}",
        rival.title
    ));
    for count in COUNTS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            ours.push(ours_cost(count));
            theirs.push((rival.cost)(count));
        }
        let (ours, theirs) = (Cost::of(ours), Cost::of(theirs));
        cost_row(count, rival.ours, ours, ours);
        cost_row(count, rival.row, theirs, ours);
    }
    if let Some(theirs) = rival.work {
        work_head(&format!("Work of a final block, against {}", rival.title));
        for count in COUNTS {
            work_row(count, rival.ours, ours_work(count));
            work_row(count, rival.row, theirs(count));
        }
    }
    latency_head(&format!(
        "Time to finality in ten regions, against {}",
        rival.title
    ));
    for count in LATENCY_COUNTS {
        for crashed in [0, (count - 1) / 3] {
            latency_row(count, crashed, rival.ours, ours_latency(count, crashed));
            latency_row(count, crashed, rival.row, (rival.latency)(count, crashed));
        }
    }
}

/// Prints the head of the table on processor time.
pub fn cost_head(title: &str) {
    println!("### {title}\n");
    println!("| n | contender | CPU µs per block and validator | min–max | ours ÷ it |");
    println!("|---|---|---|---|---|");
}

/// Prints a row of it.
pub fn cost_row(count: usize, name: &str, cost: Cost, ours: Cost) {
    println!(
        "| {count} | {name} | {:.1} | {:.1}–{:.1} | {:.2} |",
        cost.median,
        cost.least,
        cost.most,
        ours.median / cost.median
    );
}

/// Prints the head of the table on work.
pub fn work_head(title: &str) {
    println!("\n### {title}\n");
    println!("| n | contender | signed | checked | messages sent |");
    println!("|---|---|---|---|---|");
}

/// Prints a row of it.
pub fn work_row(count: usize, name: &str, work: Work) {
    let Work {
        signed,
        checked,
        messages,
    } = work;
    println!("| {count} | {name} | {signed:.2} | {checked:.1} | {messages:.1} |");
}

/// Prints the head of the table on latency.
pub fn latency_head(title: &str) {
    println!("\n### {title}\n");
    println!("| n | crashed | contender | final p50 ms | p99 ms | block every ms |");
    println!("|---|---|---|---|---|---|");
}

/// Prints a row of it.
pub fn latency_row(count: usize, crashed: usize, name: &str, finality: Finality) {
    let Finality { p50, p99, pause } = finality;
    println!("| {count} | {crashed} | {name} | {p50:.0} | {p99:.0} | {pause:.0} |");
}

/// A scheme that costs nothing: every signature is the same, and all are good. Its
/// uses are counted.
struct Free(PublicKey);

static SIGNED: AtomicU64 = AtomicU64::new(0);
static CHECKED: AtomicU64 = AtomicU64::new(0);

impl Free {
    fn everything() -> Self {
        Self(*FakeAuthority::new(1).signer(0).public_key())
    }
}

impl Signer for Free {
    fn public_key(&self) -> &PublicKey {
        &self.0
    }

    fn sign_bytes(&self, _: &[u8]) -> Signature {
        SIGNED.fetch_add(1, Ordering::Relaxed);
        Signature::from_bytes([1; 64]).expect("in range and low")
    }
}

impl Verifier for Free {
    fn verify_bytes(&self, _: &PublicKey, _: &[u8], _: &Signature) -> Result<(), VerifyError> {
        CHECKED.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
