//! Each rule of writing by itself.

use alloc::vec;
use alloc::vec::Vec;

use super::common::*;
use super::disk::{Disk, Rng};
use super::host::Host;
use crate::io::{FileName, FileOp};
use crate::machine::Machine;
use crate::mutant::Mutant;
use crate::types::Span;
use crate::wal::{Event, Record, RecordKind, WalSeq};

#[test]
fn an_empty_directory_becomes_a_log() {
    let host = fresh();
    let found = host.recovered.clone().expect("open");
    assert!(found.records.is_empty() && found.damage.is_empty() && found.torn_bytes == 0);
    let names: Vec<FileName> = host.disk.files.keys().copied().collect();
    let expected = [
        FileName::Superblock(0),
        FileName::Superblock(1),
        FileName::Segment(1),
    ];
    assert_eq!(names, expected);
    assert!(host.disk.files.values().all(|file| file.dirty.is_empty()));
    assert_eq!(host.wal.deadline(), None, "nothing to do");
}

#[test]
fn what_was_appended_comes_back_in_order() {
    let mut host = fresh();
    host.append(vec![vote(1), entry(1), entry(2)]);
    host.append(vec![record(RecordKind::Truncate, 2, b""), entry(2)]);
    host.settle();
    let (_, found) = reopen(host.disk);
    let expected = [
        vote(1),
        entry(1),
        entry(2),
        record(RecordKind::Truncate, 2, b""),
        entry(2),
    ];
    assert_eq!(found.records, expected);
    assert!(found.damage.is_empty() && found.torn_bytes == 0);
}

#[test]
fn an_append_asks_to_be_woken_and_writes_nothing_itself() {
    let mut host = fresh();
    let done = host.done.len();
    host.append(vec![entry(1)]);
    assert_eq!(host.wal.deadline(), Some(host.now));
    assert!(!host.run_one() && host.done.len() == done);
    host.step(Event::Wake);
    assert_eq!(host.wal.deadline(), None, "a sync is under way");
    while host.run_one() {}
    assert_eq!(host.durable, [WalSeq(1)]);
}

#[test]
fn batches_that_arrive_during_a_sync_share_the_next_one() {
    let mut host = fresh();
    host.append(vec![entry(1)]);
    host.step(Event::Wake);
    for index in 2..=50 {
        host.append(vec![entry(index)]);
        host.step(Event::Wake);
    }
    host.settle();
    assert_eq!(host.durable, [WalSeq(1), WalSeq(50)]);
    let opened = host.done.iter().position(is_segment_sync).expect("synced");
    assert_eq!(count(&host.done[opened..], is_segment_sync), 2);
}

#[test]
fn nothing_is_durable_before_its_sync_succeeds() {
    let mut host = fresh();
    host.append(vec![entry(1)]);
    host.step(Event::Wake);
    while !host.done.last().is_some_and(is_segment_sync) {
        assert!(host.durable.is_empty());
        assert!(host.run_one());
    }
    assert_eq!(host.durable, [WalSeq(1)]);
}

#[test]
fn a_synced_block_is_never_written_again() {
    let mut host = fresh();
    for index in 1..400 {
        host.append(vec![entry(index)]);
        if index % 3 == 0 {
            host.settle();
        }
    }
    host.settle();
    let mut written = alloc::collections::BTreeMap::new();
    for op in &host.done {
        if let FileOp::Write { file, offset, data } = op
            && matches!(file, FileName::Segment(_))
        {
            assert!(offset % 4096 == 0 && data.len() % BLOCK == 0);
            let end = written.entry(*file).or_insert(0);
            assert!(*offset >= *end, "writes only move forward");
            *end = offset + data.len() as u64;
        }
    }
    assert!(written.len() > 3, "the test rolls");
}

#[test]
fn the_next_segment_is_there_before_it_is_needed() {
    let mut host = fresh();
    fill(&mut host, 1..=8);
    let created = |ops: &[FileOp]| {
        count(ops, |op| {
            matches!(
                op,
                FileOp::Create {
                    file: FileName::Segment(_),
                    ..
                }
            )
        })
    };
    assert_eq!(created(&host.done), 2, "one in use and one ahead");
    fill(&mut host, 9..=40);
    let rolls = host
        .done
        .iter()
        .filter(|op| {
            matches!(
                op,
                FileOp::Write {
                    file: FileName::Segment(_),
                    offset: 0,
                    ..
                }
            )
        })
        .count();
    assert_eq!(created(&host.done), rolls + 1);
}

#[test]
fn a_batch_larger_than_a_segment_gets_one_of_its_own() {
    let mut host = fresh();
    fill(&mut host, 1..=1);
    let big = record(RecordKind::Entry, 2, &vec![9; 300_000]);
    host.append(vec![big.clone(), entry(3)]);
    host.settle();
    fill(&mut host, 4..=4);
    assert_eq!(host.durable.len(), 3);
    let (_, found) = reopen(host.disk);
    assert_eq!(found.records, [entry(1), big, entry(3), entry(4)]);
    assert!(found.damage.is_empty());
}

#[test]
fn each_segment_begins_with_the_head_of_its_time() {
    let mut host = fresh();
    host.append(vec![vote(1), entry(1)]);
    host.step(Event::SetHead(vec![vote(1), base(0)]));
    host.settle();
    // The newer vote is carried without being told; the older base is not.
    host.append(vec![vote(2)]);
    fill(&mut host, 2..=20);
    let (_, found) = reopen(host.disk);
    let states: Vec<&Record> = found
        .records
        .iter()
        .filter(|r| r.kind != RecordKind::Entry)
        .collect();
    assert_eq!(states, [&vote(1), &vote(2), &base(0), &vote(2)]);
}

#[test]
fn a_head_set_after_a_batch_is_not_written_before_it() {
    let mut host = fresh();
    fill(&mut host, 1..=16);
    // The next append rolls: its segment may repeat only what is durable already.
    host.append(vec![entry(17)]);
    host.append(vec![vote(7), base(3)]);
    host.step(Event::SetHead(vec![vote(7), base(3)]));
    host.settle();
    let (_, found) = reopen(host.disk);
    let tail: Vec<&Record> = found
        .records
        .iter()
        .skip_while(|r| **r != entry(16))
        .collect();
    assert_eq!(tail, [&entry(16), &entry(17), &vote(7), &base(3)]);
}

#[test]
fn pruning_removes_old_segments_after_both_superblocks_know() {
    let mut host = fresh();
    host.append(vec![vote(3)]);
    fill(&mut host, 1..=40);
    host.step(Event::SetHead(vec![vote(3), base(30)]));
    host.step(Event::Prune { below: 31 });
    let from = host.done.len();
    host.settle();
    let done = &host.done[from..];
    let first_remove = done
        .iter()
        .position(|op| matches!(op, FileOp::Remove { .. }));
    let first_remove = first_remove.expect("something is removed");
    for slot in [0, 1] {
        let sync = FileOp::Sync {
            file: FileName::Superblock(slot),
        };
        assert_eq!(count(&done[..first_remove], |op| *op == sync), 1);
    }
    assert!(!host.disk.files.contains_key(&FileName::Segment(1)));
    let (_, found) = reopen(host.disk);
    assert!(found.damage.is_empty());
    assert!(indexes(&found).ends_with(&(31..=40).collect::<Vec<_>>()));
    assert!(found.records.contains(&vote(3)) && found.records.contains(&base(30)));
}

#[test]
fn pruning_waits_for_what_was_appended_before() {
    let mut host = fresh();
    fill(&mut host, 1..=40);
    host.append(vec![base(40)]);
    host.step(Event::SetHead(vec![base(40)]));
    host.step(Event::Prune { below: 41 });
    host.step(Event::Wake);
    while host.durable.last() != Some(&WalSeq(41)) {
        assert!(host.disk.files.contains_key(&FileName::Segment(1)));
        assert!(host.run_one() || host.wake_due());
    }
    host.settle();
    assert!(!host.disk.files.contains_key(&FileName::Segment(1)));
}

#[test]
#[should_panic(expected = "the head holds the state")]
fn pruning_without_the_vote_is_a_bug_of_the_owner() {
    let mut host = fresh();
    host.append(vec![vote(1)]);
    fill(&mut host, 1..=40);
    let (mut host, _) = reopen(host.disk);
    host.step(Event::SetHead(vec![base(30)]));
    host.step(Event::Prune { below: 31 });
    host.settle();
}

#[test]
#[should_panic(expected = "the head holds a base")]
fn pruning_without_a_base_is_a_bug_of_the_owner() {
    let mut host = fresh();
    fill(&mut host, 1..=40);
    host.step(Event::Prune { below: 30 });
    host.settle();
}

#[test]
fn every_failing_operation_halts_the_log() {
    for failing in 0..40 {
        let mut host = fresh();
        host.disk.failing_op = Some(failing);
        for index in 1..=20 {
            if host.failed.is_none() {
                host.append(vec![entry(index)]);
            }
            host.settle();
        }
        assert!(host.failed.is_some(), "operation {failing}");
        assert_eq!(host.wal.deadline(), None);
        let durable = host.durable.len();
        host.append(vec![entry(99)]);
        host.pass(Span::from_secs(1));
        host.step(Event::Wake);
        assert!(!host.run_one());
        host.disk.crash(&mut Rng(failing as u64));
        let (_, found) = reopen(host.disk);
        assert!(indexes(&found).len() >= durable);
        assert!(found.damage.is_empty());
    }
}

#[test]
fn a_failing_operation_of_recovery_halts_it() {
    let reads = fresh().done.len();
    for failing in 0..reads {
        let mut disk = Disk::default();
        disk.failing_op = Some(failing);
        let host = Host::recover(disk, SEGMENT, Mutant::None);
        assert!(host.failed.is_some() && host.recovered.is_none());
    }
}

#[test]
fn the_same_events_make_the_same_operations() {
    let run = || {
        let mut host = fresh();
        host.append(vec![vote(1)]);
        fill(&mut host, 1..=60);
        host.step(Event::SetHead(vec![vote(1), base(50)]));
        host.step(Event::Prune { below: 51 });
        host.idle();
        host.done
    };
    assert_eq!(run(), run());
}

#[test]
fn groups_make_padding_cheap() {
    // Written bytes over payload bytes, in percent, for 256-byte entries.
    let overhead = |per_group: u64| {
        let mut host = fresh();
        let payload = vec![1; 256];
        for index in 1..=512 {
            host.append(vec![record(RecordKind::Entry, index, &payload)]);
            if index % per_group == 0 {
                host.settle();
            }
        }
        let written: usize = host
            .done
            .iter()
            .map(|op| match op {
                FileOp::Write {
                    file: FileName::Segment(_),
                    data,
                    ..
                } => data.len(),
                _ => 0,
            })
            .sum();
        written * 100 / (512 * 256)
    };
    assert_eq!(overhead(1), 1600);
    assert_eq!(overhead(8), 200);
    assert!(overhead(64) < 160);
}
