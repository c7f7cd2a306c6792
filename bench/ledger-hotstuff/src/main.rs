//! Four validators of ours against four of `hotstuff_rs`, in one process, over
//! channels, in real time: `cargo run --release`.

mod ours;
mod post;
mod record;
mod theirs;

use std::time::{Duration, Instant};

use ledger_common::{process_cpu_ns, quantile};
use record::Record;

const COUNT: usize = 4;
const WARM_UP: Duration = Duration::from_secs(2);
const LENGTH: Duration = Duration::from_secs(5);
const RUNS: usize = 5;
const DELAYS: [Duration; 2] = [Duration::ZERO, Duration::from_millis(25)];

/// What one run has shown.
#[derive(Debug, Clone, Copy)]
struct Shown {
    blocks_per_second: f64,
    /// Of the whole process, per block.
    cpu_micros: f64,
    p50_millis: f64,
    p99_millis: f64,
}

fn main() {
    println!("\n#### Blocks per second, four validators in one process\n");
    println!(
        "| one way | contender | signatures | blocks/s | min–max | final p50 ms | p99 ms \
         | CPU µs per block | ours ÷ it |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for delay in DELAYS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            let replicas = ours::Replicas::start(COUNT, delay);
            ours.push(measure(replicas.record()));
            drop(replicas);
            let replicas = theirs::Replicas::start(COUNT, delay);
            theirs.push(measure(replicas.record()));
        }
        let base = middle(&mut ours).blocks_per_second;
        row(delay, "DeCube core, a thread each", "P-256", base, ours);
        row(
            delay,
            "hotstuff_rs 0.4.0 (waits busily)",
            "Ed25519",
            base,
            theirs,
        );
    }
}

fn measure(record: &Record) -> Shown {
    std::thread::sleep(WARM_UP);
    record.take();
    let (begin, cpu) = (Instant::now(), process_cpu_ns());
    std::thread::sleep(LENGTH);
    let (waits, cpu) = (record.take(), process_cpu_ns() - cpu);
    let blocks = waits.len().max(1) as f64;
    let mut millis: Vec<f64> = waits.iter().map(|wait| wait.as_secs_f64() * 1e3).collect();
    Shown {
        blocks_per_second: waits.len() as f64 / begin.elapsed().as_secs_f64(),
        cpu_micros: cpu as f64 / 1e3 / blocks,
        p50_millis: quantile(&mut millis, 50),
        p99_millis: quantile(&mut millis, 99),
    }
}

/// The run in the middle by blocks per second.
fn middle(runs: &mut [Shown]) -> Shown {
    runs.sort_by(|one, other| one.blocks_per_second.total_cmp(&other.blocks_per_second));
    runs[runs.len() / 2]
}

fn row(delay: Duration, name: &str, scheme: &str, base: f64, mut runs: Vec<Shown>) {
    let shown = middle(&mut runs);
    let (least, most) = (runs[0].blocks_per_second, runs[runs.len() - 1]);
    println!(
        "| {} ms | {name} | {scheme} | {:.0} | {least:.0}–{:.0} | {:.1} | {:.1} | {:.0} | {:.1} |",
        delay.as_millis(),
        shown.blocks_per_second,
        most.blocks_per_second,
        shown.p50_millis,
        shown.p99_millis,
        shown.cpu_micros,
        base / shown.blocks_per_second,
    );
}
