//! Committed entries per second with a window of outstanding proposals: every
//! client proposes, waits until the leader has applied it, and proposes again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::cluster::{Cluster, Direct, Group09, Group10, Hosted, WholeNode, caught_up};
use crate::node::{Node, Ours, RaftRs, Settings};
use crate::report::{Table, ratio};
use crate::rows::Effort;
use crate::workload::Payloads;
use measure::{Spread, percentile, process_cpu_ns};

const WINDOWS: [usize; 4] = [1, 64, 1024, 4096];
const PAYLOAD: usize = 256;
/// Time before measuring begins, as a part of the measured time.
const WARM_UP_PART: u32 = 4;

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const STOPPED: u8 = 2;

/// One way to run three nodes.
struct Contender {
    name: String,
    run: fn(threads: usize, window: usize, load: Duration) -> Sample,
    /// Threads of the runtime; 0 means no runtime.
    threads: usize,
}

/// What one run found.
struct Sample {
    per_s: f64,
    cpu_ns: f64,
    p50_us: f64,
    p99_us: f64,
}

/// Measures all windows and returns the table.
pub fn table(effort: Effort) -> Table {
    let contenders = contenders();
    let mut table = Table::new(&[
        "window",
        "contender",
        "entries/s",
        "min–max",
        "CPU ns/entry",
        "p50 µs",
        "p99 µs",
        "ours ÷ it",
    ]);
    for window in WINDOWS {
        let mut samples: Vec<Vec<Sample>> = contenders.iter().map(|_| Vec::new()).collect();
        for _ in 0..effort.runs {
            for (at, contender) in contenders.iter().enumerate() {
                let load = Duration::from_millis(effort.load_ms);
                samples[at].push((contender.run)(contender.threads, window, load));
            }
        }
        let of = |at: usize, value: fn(&Sample) -> f64| {
            Spread::of(samples[at].iter().map(value).collect())
        };
        for (at, contender) in contenders.iter().enumerate() {
            let like = contenders
                .iter()
                .position(|other| other.threads == contender.threads);
            let ours = of(like.expect("itself at least"), |sample| sample.per_s);
            let rate = of(at, |sample| sample.per_s);
            table.row([
                window.to_string(),
                contender.name.clone(),
                format!("{:.0}", rate.median),
                format!("{:.0}–{:.0}", rate.min, rate.max),
                format!("{:.0}", of(at, |sample| sample.cpu_ns).median),
                format!("{:.1}", of(at, |sample| sample.p50_us).median),
                format!("{:.1}", of(at, |sample| sample.p99_us).median),
                ratio(ours.median, rate.median),
            ]);
        }
    }
    table
}

/// Keeps the whole node busy for a profiler, and prints what an entry cost.
pub fn profile(window: usize) {
    let sample = hosted::<WholeNode>(1, window, Duration::from_secs(4));
    println!(
        "{:.0} entries/s, {:.0} ns/entry",
        sample.per_s, sample.cpu_ns
    );
}

/// Ours first among those with equally many threads.
fn contenders() -> Vec<Contender> {
    let mut all = vec![
        contender(Ours::NAME, 0, direct::<Ours>),
        contender(RaftRs::NAME, 0, direct::<RaftRs>),
    ];
    for threads in [1, 2] {
        all.push(contender(Ours::NAME, threads, hosted::<Hosted<Ours>>));
        all.push(contender(RaftRs::NAME, threads, hosted::<Hosted<RaftRs>>));
        all.push(contender("openraft 0.10", threads, hosted::<Group10>));
        all.push(contender("openraft 0.9", threads, hosted::<Group09>));
        all.push(contender("DeCube node", threads, hosted::<WholeNode>));
    }
    all
}

fn contender(name: &str, threads: usize, run: fn(usize, usize, Duration) -> Sample) -> Contender {
    let how = match threads {
        0 => "no runtime",
        1 => "tokio, 1 thread",
        _ => "tokio, 2 threads",
    };
    Contender {
        name: format!("{name} ({how})"),
        run,
        threads,
    }
}

/// The window is one batch: all of it is proposed, and all of it is committed and
/// applied everywhere, before the next.
fn direct<N: Node>(_threads: usize, window: usize, load: Duration) -> Sample {
    let mut cluster = Direct::<N>::elected(Settings::LONG_LOG);
    let mut payloads = Payloads::new(PAYLOAD);
    let warm_until = Instant::now() + load / WARM_UP_PART;
    while Instant::now() < warm_until {
        cluster.write((0..window).map(|_| payloads.next()));
    }
    let mut latencies = Vec::new();
    let mut count = 0;
    let (start, start_cpu) = (Instant::now(), process_cpu_ns());
    while start.elapsed() < load {
        let sent = Instant::now();
        cluster.write((0..window).map(|_| payloads.next()));
        latencies.push(nanos(sent));
        count += window as u64;
    }
    sample(
        count,
        start.elapsed(),
        process_cpu_ns() - start_cpu,
        latencies,
    )
}

fn hosted<C: Cluster>(threads: usize, window: usize, load: Duration) -> Sample {
    runtime(threads).block_on(async {
        let cluster = C::start(Settings::LONG_LOG).await;
        let payloads = Payloads::new(PAYLOAD);
        let phase = Arc::new(AtomicU8::new(WARMING));
        let clients: Vec<_> = (0..window)
            .map(|_| tokio::spawn(client(cluster.clone(), payloads.clone(), phase.clone())))
            .collect();
        tokio::time::sleep(load / WARM_UP_PART).await;
        let (start, start_cpu) = (Instant::now(), process_cpu_ns());
        phase.store(MEASURING, Relaxed);
        tokio::time::sleep(load).await;
        phase.store(STOPPED, Relaxed);
        let (wall, cpu) = (start.elapsed(), process_cpu_ns() - start_cpu);
        let mut latencies = Vec::new();
        let mut written = 0;
        for client in clients {
            let outcome = client.await.expect("no client fails");
            latencies.extend(outcome.latencies);
            written += outcome.written;
        }
        caught_up(&cluster, written).await;
        sample(latencies.len() as u64, wall, cpu, latencies)
    })
}

/// What one client saw.
struct Outcome {
    latencies: Vec<u32>,
    written: u64,
}

async fn client<C: Cluster>(cluster: C, mut payloads: Payloads, phase: Arc<AtomicU8>) -> Outcome {
    let mut outcome = Outcome {
        latencies: Vec::new(),
        written: 0,
    };
    loop {
        let before = phase.load(Relaxed);
        if before == STOPPED {
            return outcome;
        }
        let sent = Instant::now();
        cluster.write(payloads.next()).await;
        outcome.written += 1;
        // Answers that come after the end are not part of the measured time.
        if before == MEASURING && phase.load(Relaxed) == MEASURING {
            outcome.latencies.push(nanos(sent));
        }
    }
}

fn runtime(threads: usize) -> Runtime {
    let mut builder = if threads == 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    let built = builder.worker_threads(threads).enable_time().build();
    built.expect("a runtime")
}

fn nanos(since: Instant) -> u32 {
    u32::try_from(since.elapsed().as_nanos()).unwrap_or(u32::MAX)
}

fn sample(count: u64, wall: Duration, cpu_ns: u64, mut latencies: Vec<u32>) -> Sample {
    latencies.sort_unstable();
    Sample {
        per_s: count as f64 / wall.as_secs_f64(),
        cpu_ns: cpu_ns as f64 / count as f64,
        p50_us: percentile(&latencies, 0.5) / 1e3,
        p99_us: percentile(&latencies, 0.99) / 1e3,
    }
}
