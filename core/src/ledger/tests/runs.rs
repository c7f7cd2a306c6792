//! Other parts of the node read final blocks on.

use alloc::vec::Vec;

use super::cluster::{Cluster, Knobs};
use super::pruning::{KEPT, pruned};
use super::state_sync::{NEW, old_world};
use crate::bft::Height;
use crate::ledger::*;
use crate::types::Span;

const READER: Reader = Reader(3);

fn ask(cluster: &mut Cluster, slot: usize, after: u64, bytes_max: usize) {
    let link = Link::ReadOn(ReadOn {
        reader: READER,
        after: Height(after),
        bytes_max,
    });
    cluster.step(slot, Event::Link(link));
}

/// The answer, and the heights of its blocks.
fn read(cluster: &mut Cluster, slot: usize, after: u64, bytes_max: usize) -> (Run, Vec<u64>) {
    ask(cluster, slot, after, bytes_max);
    cluster.until("a run", Span::from_secs(1), |cluster| {
        !cluster.runs.is_empty()
    });
    let (by, run) = cluster.runs.pop().unwrap();
    assert!(cluster.runs.is_empty(), "one answer");
    assert_eq!((by, run.reader), (slot, READER));
    let heights = run.blocks.iter().map(|block| block.height().0).collect();
    (run, heights)
}

fn tip(cluster: &Cluster, slot: usize) -> u64 {
    cluster.ledger(slot).tip().unwrap().height.0
}

#[test]
fn a_part_reads_on_in_pages_from_where_it_is_to_the_end() {
    let (mut cluster, _) = pruned(31, [0, KEPT, KEPT, KEPT]);
    let mut after = 0;
    let mut pages = 0_u64;
    loop {
        let (run, heights) = read(&mut cluster, 0, after, 1);
        assert_eq!(run.after, Height(after));
        pages += 1;
        if run.is_last {
            break;
        }
        // At least one, and no more than was asked for.
        assert_eq!(heights, [after + 1]);
        after += 1;
    }
    assert!(after + 1 >= tip(&cluster, 0) && pages > 2 * KEPT);
    let (run, heights) = read(&mut cluster, 0, 3, usize::MAX);
    assert!(run.is_last && heights.len() as u64 >= after - 3);
    let end = tip(&cluster, 0);
    let (run, heights) = read(&mut cluster, 0, end + 100, 1 << 20);
    assert!(run.is_last && heights.is_empty() && run.after == Height(end + 100));
}

#[test]
fn what_was_pruned_is_jumped_over() {
    let (mut cluster, _) = pruned(32, [0, KEPT, KEPT, KEPT]);
    let (run, heights) = read(&mut cluster, 1, 2, 1 << 20);
    assert!(run.after > Height(2), "{run:?}");
    assert_eq!(heights.first(), Some(&(run.after.0 + 1)));
    // Who has taken more than that reads on where it is.
    let (later, _) = read(&mut cluster, 1, run.after.0 + 1, 1 << 20);
    assert_eq!(later.after, Height(run.after.0 + 1));
}

#[test]
fn behind_a_fetched_state_whole_blocks_begin() {
    let mut cluster = old_world(33, Knobs::default());
    cluster.blocks_from = Height(60);
    cluster.start(NEW);
    cluster.until("a fetched state", Span::from_secs(20), |cluster| {
        cluster.ledger(NEW).states_fetched() > 0
    });
    let at = tip(&cluster, NEW);
    let (run, heights) = read(&mut cluster, NEW, 0, 1 << 20);
    assert!(run.after >= Height(at), "{run:?}");
    assert!(
        heights
            .first()
            .is_none_or(|first| *first == run.after.0 + 1)
    );
}

#[test]
fn it_may_be_asked_during_recovery() {
    let (mut cluster, _) = pruned(34, [0, KEPT, KEPT, KEPT]);
    for slot in [0, 1] {
        cluster.crash(slot);
        cluster.runs.clear();
        cluster.start(slot);
        ask(&mut cluster, slot, 0, 1 << 20);
        assert!(cluster.ledger(slot).tip().is_none(), "it recovers");
        cluster.until("a run", Span::from_secs(1), |cluster| {
            !cluster.runs.is_empty()
        });
        let (_, run) = cluster.runs.pop().unwrap();
        assert_eq!(run.after.0 == 0, slot == 0, "{:?}", run.after);
        assert_eq!(run.blocks[0].height(), run.after.next());
    }
}

#[test]
fn a_damaged_or_missing_block_halts_the_ledger() {
    for is_missing in [false, true] {
        let (mut cluster, _) = pruned(35, [0, KEPT, KEPT, KEPT]);
        match is_missing {
            false => cluster.slots[0].disk.damage_all(b'b'),
            true => {
                let key = cluster.slots[0].disk.keys(b'b')[4].clone();
                cluster.slots[0].disk.forget(&key);
            }
        }
        ask(&mut cluster, 0, 0, 1 << 20);
        cluster.until("a halt", Span::from_secs(1), |cluster| {
            cluster.slots[0].halted().is_some()
        });
        assert!(cluster.runs.is_empty());
    }
}
