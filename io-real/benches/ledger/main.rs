//! What a validator of the ledger does in a second, with real files, real syncs and
//! real signatures: `cargo bench -p io-real --bench ledger [-- WORDS]`. Words choose
//! rows by what they say; `quick` measures for two seconds instead of eight.
//!
//! In the first table one node is the product; its three peers live on a thread of
//! their own, have no disk and check no signatures, but vote, lead and execute. In
//! the second all four are the product and speak over the loopback device.
//!
//! | file | holds |
//! |---|---|
//! | `net.rs` | the nodes |
//! | `load.rs` | clients, and what they wait for |
//! | `cpu.rs` | processor time of threads |

#![allow(clippy::unwrap_used, reason = "a panic is how a bench fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "this thread has no runtime: it waits while others work"
)]

mod cpu;
mod load;
mod net;

use std::time::{Duration, Instant};

use decube_core::ledger::{Request, Response};
use decube_io_real::host::NodeHandle;
use tokio::runtime::{Builder, Runtime};

use cpu::Cpu;
use load::{Clients, Load};

/// A row: what it is called, operations per signature, clients that each wait for
/// their last transaction before the next.
const ROWS: [(&str, usize, usize); 4] = [
    ("single signatures", 1, 2048),
    ("bundles of 16", 16, 512),
    ("bundles of 128", 128, 128),
    ("single signatures, one client", 1, 1),
];

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with("--"))
        .collect();
    let is_quick = words.iter().any(|word| word == "quick");
    let words: Vec<&String> = words.iter().filter(|word| *word != "quick").collect();
    let seconds = if is_quick { 2 } else { 8 };
    for (title, is_alone) in [
        ("One validator, three simulated peers", true),
        ("Four validators, loopback", false),
    ] {
        let name = title.to_lowercase();
        let wanted = |row: &str| {
            words.is_empty()
                || words
                    .iter()
                    .all(|word| format!("{name} {row}").contains(*word))
        };
        let rows: Vec<_> = ROWS.into_iter().filter(|(row, _, _)| wanted(row)).collect();
        if rows.is_empty() {
            continue;
        }
        println!("### {title}\n");
        println!(
            "| load | clients | B per operation | operations/s | blocks/s | final p50 ms | p99 ms \
             | CPU µs/operation: node | log | store | peers |"
        );
        println!("|---|---|---|---|---|---|---|---|---|---|---|");
        for (row, bundle, clients) in rows {
            measure(
                row,
                Load { bundle, clients },
                is_alone,
                Duration::from_secs(seconds),
            );
        }
        println!();
    }
}

/// The runtime that the product gives a node.
fn runtime() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).thread_name("node").enable_all();
    builder.build().unwrap()
}

fn measure(row: &str, load: Load, is_alone: bool, length: Duration) {
    let runtime = runtime();
    let nodes = match is_alone {
        true => net::with_simulated_peers(&runtime),
        false => runtime.block_on(net::over_loopback()),
    };
    let targets: Vec<NodeHandle> = nodes.handles.clone();
    let warm_up = Duration::from_secs(1);
    // More than any validator can take in that time, signed before it begins.
    let clients = Clients::sign(load, nodes.chain, warm_up + length + Duration::from_secs(1));
    let bytes = clients.bytes_per_operation();
    let running = clients.start(&targets);
    std::thread::sleep(warm_up);
    let (begin, cpu) = (Instant::now(), Cpu::now());
    let (operations, blocks) = counts(&runtime, &targets[0]);
    let seen = running.mark();
    std::thread::sleep(length);
    let latencies = running.since(seen);
    let (operations, blocks) = {
        let (operations_now, blocks_now) = counts(&runtime, &targets[0]);
        (operations_now - operations, blocks_now - blocks)
    };
    let (took, cpu) = (begin.elapsed(), Cpu::now().since(&cpu));
    let rate = |count: u64| count as f64 / took.as_secs_f64();
    let each = |nanos: u64| nanos as f64 / 1e3 / operations.max(1) as f64;
    println!(
        "| {row} | {} | {bytes} | {:.0} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
        load.clients,
        rate(operations),
        rate(blocks),
        load::quantile(&latencies, 50),
        load::quantile(&latencies, 99),
        each(cpu.of("node")),
        each(cpu.of("wal")),
        each(cpu.of("store")),
        each(cpu.of("peers")),
    );
    let ran_out = running.stop();
    assert!(!ran_out, "the clients had enough to submit");
    nodes.stop(runtime);
}

/// Final operations and blocks of a node so far.
fn counts(runtime: &Runtime, handle: &NodeHandle) -> (u64, u64) {
    match runtime.block_on(handle.ledger(Request::Status)) {
        Ok(Response::Status(status)) => (status.final_operations, status.final_blocks),
        other => panic!("the ledger runs: {other:?}"),
    }
}
