//! What no contender can save: the harness itself, and for this project the
//! chained checksum over the log, which the others do not have and which cannot be
//! switched off.

use decube_core::raft::EntryKind;
use decube_core::raft::chain::{EMPTY, follows, seal};
use decube_core::types::{ClusterId, Index, LogId, Term};

use crate::report::Table;
use crate::rows::Effort;
use crate::workload::{Payloads, Sink};
use measure::{Spread, thread_cpu_ns};

/// Entries of one timing.
const ENTRIES: u64 = 1000;

/// Measures both for every payload size.
pub fn table(effort: Effort) -> Table {
    let mut table = Table::new(&["payload", "what", "ns/entry", "min–max"]);
    for size in [16, 256, 4096] {
        // Made once: their making would be most of what is measured.
        let mut payloads = Payloads::new(size);
        let mut harness = Vec::new();
        let mut chain = Vec::new();
        for _ in 0..effort.runs {
            harness.push(timed(effort, || harness_pass(&mut payloads)));
            chain.push(timed(effort, || chain_pass(&mut payloads)));
        }
        let rows = [
            ("the harness: a payload, applied three times", harness),
            ("our chained checksum: made once, checked twice", chain),
        ];
        for (what, values) in rows {
            let spread = Spread::of(values);
            table.row([
                size.to_string(),
                what.to_owned(),
                format!("{:.0}", spread.median),
                format!("{:.0}–{:.0}", spread.min, spread.max),
            ]);
        }
    }
    table
}

/// Nanoseconds per entry of passes over [`ENTRIES`] entries.
fn timed(effort: Effort, mut pass: impl FnMut()) -> f64 {
    let start = thread_cpu_ns();
    let mut count = 0;
    loop {
        pass();
        count += ENTRIES;
        let spent = thread_cpu_ns() - start;
        if spent >= effort.run_ns / 2 {
            return spent as f64 / count as f64;
        }
    }
}

fn harness_pass(payloads: &mut Payloads) {
    let mut sinks = [Sink::default(); 3];
    for _ in 0..ENTRIES {
        let data = payloads.next();
        for sink in &mut sinks {
            sink.apply(std::hint::black_box(&data));
        }
    }
    assert_eq!(std::hint::black_box(sinks)[0].count, ENTRIES);
}

fn chain_pass(payloads: &mut Payloads) {
    let cluster = ClusterId(1);
    let mut chain = EMPTY;
    for index in 1..=ENTRIES {
        let id = LogId::new(Term(1), Index(index));
        let entry = seal(cluster, chain, id, EntryKind::App, payloads.next());
        for _ in 0..2 {
            assert!(follows(cluster, std::hint::black_box(chain), &entry));
        }
        chain = entry.chain;
    }
}
