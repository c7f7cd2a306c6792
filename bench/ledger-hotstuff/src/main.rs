//! Four validators of ours against four of `hotstuff_rs`, in one process, over
//! channels, in real time: `cargo run --release`.

mod ours;
mod theirs;

use std::time::{Duration, Instant};

const COUNT: usize = 4;
const WARM_UP: Duration = Duration::from_secs(2);
const LENGTH: Duration = Duration::from_secs(5);
const RUNS: usize = 5;

fn main() {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let replicas = ours::Replicas::start(COUNT);
        ours.push(rate(|| replicas.committed()));
        drop(replicas);
        let replicas = theirs::Replicas::start(COUNT);
        theirs.push(rate(|| replicas.committed()));
    }
    println!("### Blocks per second, four validators in one process\n");
    println!("| contender | signatures | blocks/s | min–max | CPU µs per block | ours ÷ it |");
    println!("|---|---|---|---|---|---|");
    let median = |runs: &[(f64, f64)]| {
        let mut rates: Vec<f64> = runs.iter().map(|run| run.0).collect();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    };
    let base = median(&ours);
    for (name, scheme, runs) in [
        ("DeCube core, a thread each", "P-256, ring", &mut ours),
        ("hotstuff_rs 0.4.0", "Ed25519", &mut theirs),
    ] {
        runs.sort_by(|one, other| one.0.total_cmp(&other.0));
        let (rate, cpu) = runs[runs.len() / 2];
        let (least, most) = (runs[0].0, runs[runs.len() - 1].0);
        let ratio = base / rate;
        println!(
            "| {name} | {scheme} | {rate:.0} | {least:.0}–{most:.0} | {cpu:.0} | {ratio:.1} |"
        );
    }
}

/// Blocks per second, and processor time of the whole process per block.
fn rate(committed: impl Fn() -> u64) -> (f64, f64) {
    std::thread::sleep(WARM_UP);
    let (begin, cpu, blocks) = (Instant::now(), process_time(), committed());
    std::thread::sleep(LENGTH);
    let blocks = (committed() - blocks).max(1) as f64;
    let cpu = (process_time() - cpu).as_secs_f64() * 1e6 / blocks;
    (blocks / begin.elapsed().as_secs_f64(), cpu)
}

fn process_time() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a live value of the type that the call fills.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    assert_eq!(failed, 0, "the clock of a process exists");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
