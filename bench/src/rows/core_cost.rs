//! Processor time, allocations and allocated bytes per committed entry, all three
//! nodes together, in one thread.

use crate::cluster::{Direct, Group09, Group10, Hosted, Open, caught_up};
use crate::node::{Node, Ours, RaftRs, Settings};
use crate::report::{Table, per_entry, ratio};
use crate::rows::Effort;
use crate::workload::Payloads;
use measure::{Count, Spread, Usage, thread_cpu_ns};

const BATCHES: [usize; 3] = [1, 16, 256];
const SIZES: [usize; 3] = [16, 256, 4096];
/// Entries of the run that counts allocations.
const COUNTED_ENTRIES: usize = 4096;

/// One way to commit entries on three nodes in this thread.
struct Contender {
    name: String,
    run: fn(batch: usize, size: usize, run_ns: u64) -> Sample,
}

/// What one run found.
struct Sample {
    ns: f64,
    usage: Usage,
}

/// Measures all cells and returns the table.
pub fn table(effort: Effort) -> Table {
    let contenders = [
        contender(Ours::NAME, "function calls", direct::<Ours>),
        contender(RaftRs::NAME, "function calls", direct::<RaftRs>),
        contender(Ours::NAME, "tokio, 1 thread", hosted::<Hosted<Ours>>),
        contender(RaftRs::NAME, "tokio, 1 thread", hosted::<Hosted<RaftRs>>),
        contender("openraft 0.10", "tokio, 1 thread", hosted::<Group10>),
        contender("openraft 0.9", "tokio, 1 thread", hosted::<Group09>),
    ];
    let mut table = Table::new(&[
        "batch",
        "payload",
        "contender",
        "ns/entry",
        "min–max",
        "allocs/entry",
        "alloc B/entry",
        "× ours",
    ]);
    for batch in BATCHES {
        for size in SIZES {
            cell(&mut table, &contenders, batch, size, effort);
        }
    }
    table
}

/// Keeps our core busy for a profiler, and prints what an entry cost.
pub fn profile(batch: usize, size: usize) {
    let sample = direct::<Ours>(batch, size, 3_000_000_000);
    println!("{:.0} ns/entry", sample.ns);
}

fn contender(name: &str, how: &str, run: fn(usize, usize, u64) -> Sample) -> Contender {
    Contender {
        name: format!("{name} ({how})"),
        run,
    }
}

fn cell(table: &mut Table, contenders: &[Contender], batch: usize, size: usize, effort: Effort) {
    let mut times = vec![Vec::new(); contenders.len()];
    let mut usage = vec![Usage::default(); contenders.len()];
    for _ in 0..effort.runs {
        for (at, contender) in contenders.iter().enumerate() {
            let sample = (contender.run)(batch, size, effort.run_ns);
            times[at].push(sample.ns);
            usage[at] = sample.usage;
        }
    }
    let spreads: Vec<Spread> = times.into_iter().map(Spread::of).collect();
    for (at, contender) in contenders.iter().enumerate() {
        // Like is compared with like: a core with our core, a runtime with our
        // core under that runtime.
        let ours = if at < 2 { spreads[0] } else { spreads[2] };
        let spread = spreads[at];
        table.row([
            batch.to_string(),
            size.to_string(),
            contender.name.clone(),
            format!("{:.0}", spread.median),
            format!("{:.0}–{:.0}", spread.min, spread.max),
            per_entry(usage[at].calls, COUNTED_ENTRIES),
            per_entry(usage[at].bytes, COUNTED_ENTRIES),
            ratio(spread.median, ours.median),
        ]);
    }
}

/// Batches that bring a log to its steady length.
fn warm_up_batches(batch: usize) -> usize {
    (3 * Settings::SHORT_LOG.trailing as usize).div_ceil(batch)
}

fn direct<N: Node>(batch: usize, size: usize, run_ns: u64) -> Sample {
    let mut cluster = Direct::<N>::elected(Settings::SHORT_LOG);
    let mut payloads = Payloads::new(size);
    let mut written = 0;
    let mut write = |cluster: &mut Direct<N>| {
        cluster.write((0..batch).map(|_| payloads.next()));
        written += batch as u64;
    };
    for _ in 0..warm_up_batches(batch) {
        write(&mut cluster);
    }
    let start = thread_cpu_ns();
    let mut count = 0;
    let mut spent = 0;
    while spent < run_ns {
        for _ in 0..100_usize.div_ceil(batch) {
            write(&mut cluster);
            count += batch;
        }
        spent = thread_cpu_ns() - start;
    }
    let ns = spent as f64 / count as f64;
    let counter = Count::start();
    for _ in 0..COUNTED_ENTRIES / batch {
        write(&mut cluster);
    }
    let usage = counter.stop();
    let [first, second, third] = cluster.sinks();
    assert_eq!(first.count, written, "every entry was applied");
    assert!(first == second && second == third, "everywhere the same");
    Sample { ns, usage }
}

fn hosted<C: Open>(batch: usize, size: usize, run_ns: u64) -> Sample {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let cluster = C::start(Settings::SHORT_LOG).await;
        let mut payloads = Payloads::new(size);
        let mut written = 0;
        for _ in 0..warm_up_batches(batch) {
            write(&cluster, &mut payloads, batch).await;
            written += batch;
        }
        let start = thread_cpu_ns();
        let mut count = 0;
        let mut spent = 0;
        while spent < run_ns {
            for _ in 0..100_usize.div_ceil(batch) {
                write(&cluster, &mut payloads, batch).await;
                count += batch;
            }
            spent = thread_cpu_ns() - start;
        }
        written += count;
        caught_up(&cluster, written as u64).await;
        let ns = (thread_cpu_ns() - start) as f64 / count as f64;
        let counter = Count::start();
        for _ in 0..COUNTED_ENTRIES / batch {
            write(&cluster, &mut payloads, batch).await;
        }
        written += COUNTED_ENTRIES;
        caught_up(&cluster, written as u64).await;
        let usage = counter.stop();
        Sample { ns, usage }
    })
}

async fn write<C: Open>(cluster: &C, payloads: &mut Payloads, batch: usize) {
    if batch == 1 {
        cluster.write(payloads.next()).await;
    } else {
        let data = (0..batch).map(|_| payloads.next()).collect();
        cluster.write_all(data).await;
    }
}
