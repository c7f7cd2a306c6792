//! Each rule of recovery by itself.

use alloc::vec;
use alloc::vec::Vec;

use super::common::*;
use super::disk::{Rng, WriteFault};
use super::host::Host;
use crate::io::FileName;
use crate::machine::Machine;
use crate::wal::{Event, IDLE_MARK, RecordKind, WalSeq};

#[test]
fn damage_in_the_middle_is_reported_and_the_rest_is_there() {
    let mut host = fresh();
    fill(&mut host, 1..=10);
    let (name, at) = place(&host.disk, 5);
    host.disk.rot(name, at, at + 1, &mut Rng(1));
    let (_, found) = reopen(host.disk);
    assert_eq!(indexes(&found), [1, 2, 3, 4, 6, 7, 8, 9, 10]);
    let [damage] = found.damage[..] else {
        panic!("{:?}", found.damage)
    };
    assert_eq!((damage.after_index, damage.before_index), (4, Some(6)));
    assert!(!damage.may_hide_state, "only an entry is lost");
    assert_eq!(FileName::Segment(damage.segment), name);
}

#[test]
fn a_lost_vote_is_told_from_a_lost_entry() {
    for header in [false, true] {
        let mut host = fresh();
        fill(&mut host, 1..=3);
        host.append(vec![
            entry(4),
            record(RecordKind::State, 0, b"a vote of mine"),
        ]);
        host.settle();
        fill(&mut host, 5..=6);
        let (name, _) = place(&host.disk, 4);
        let at = host.disk.find(name, b"a vote of mine")[0] - if header { 20 } else { 0 };
        host.disk.rot(name, at, at + 1, &mut Rng(1));
        let (_, found) = reopen(host.disk);
        assert_eq!(indexes(&found), [1, 2, 3, 4, 5, 6]);
        assert_eq!(found.damage.len(), 1);
        assert!(found.damage[0].may_hide_state);
    }
}

#[test]
fn a_torn_tail_is_cut_to_whole_batches() {
    let mut host = fresh();
    fill(&mut host, 1..=3);
    host.append(vec![entry(4), record(RecordKind::Entry, 5, &[1; 9000])]);
    host.step(Event::Wake);
    host.run_one();
    // Written, not synced: the last sector is lost.
    let (name, at) = place(&host.disk, 4);
    let file = host.disk.files.get_mut(&name).expect("there");
    file.cached[at + 8192..].fill(0);
    file.stable = file.cached.clone();
    let (_, found) = reopen(host.disk);
    assert_eq!(indexes(&found), [1, 2, 3]);
    assert!(found.damage.is_empty());
    assert!(found.torn_bytes > 8000);
}

#[test]
fn the_idle_mark_closes_the_window_of_the_last_group() {
    for (idle, reported) in [(false, false), (true, true)] {
        let mut host = fresh();
        fill(&mut host, 1..=5);
        if idle {
            let due = host.wal.deadline().expect("a mark is due");
            assert_eq!(due, host.now + IDLE_MARK);
            host.idle();
            assert_eq!(host.wal.deadline(), None);
        }
        let (name, at) = place(&host.disk, 5);
        host.disk.rot(name, at, at + 1, &mut Rng(1));
        let (_, found) = reopen(host.disk);
        assert_eq!(indexes(&found), [1, 2, 3, 4]);
        assert_eq!(!found.damage.is_empty(), reported);
        if let [damage] = found.damage[..] {
            assert_eq!((damage.after_index, damage.before_index), (4, None));
        }
    }
}

#[test]
fn damage_is_reported_again_until_it_is_pruned() {
    let mut host = fresh();
    fill(&mut host, 1..=5);
    host.idle();
    let (name, at) = place(&host.disk, 5);
    host.disk.rot(name, at - 50, at, &mut Rng(1));
    let (host, first) = reopen(host.disk);
    assert_eq!(first.damage.len(), 1);
    let (mut host, second) = reopen(host.disk);
    assert_eq!(second.damage, first.damage);
    fill(&mut host, 5..=40);
    let (mut host, third) = reopen(host.disk);
    assert_eq!(third.damage.len(), 1);
    assert_eq!(third.damage[0].before_index, Some(5));
    host.step(Event::SetHead(vec![base(39)]));
    host.step(Event::Prune { below: 40 });
    host.settle();
    let (_, fourth) = reopen(host.disk);
    assert!(fourth.damage.is_empty());
}

#[test]
fn a_stale_tail_is_not_resurrected() {
    let mut host = fresh();
    fill(&mut host, 1..=3);
    for index in 4..=6 {
        host.append(vec![
            entry(index),
            record(RecordKind::Entry, index + 100, &[1; 5000]),
        ]);
    }
    host.step(Event::Wake);
    host.run_one();
    // A crash loses the middle of the group and keeps the batch behind it.
    let (name, at) = place(&host.disk, 5);
    let file = host.disk.files.get_mut(&name).expect("there");
    let lost = at / 512 * 512;
    let kept = file.cached.clone();
    file.cached[lost..lost + 512].fill(0);
    file.stable = file.cached.clone();
    let (mut host, found) = reopen(host.disk);
    assert_eq!(indexes(&found), [1, 2, 3]);
    // The lost sector comes back, before and after the same is appended again.
    let restore = |host: &mut Host| {
        let file = host.disk.files.get_mut(&name).expect("there");
        file.cached.clone_from(&kept);
    };
    restore(&mut host);
    let (mut host, again) = reopen(host.disk);
    assert_eq!(again.records, found.records);
    assert!(again.damage.is_empty());
    fill(&mut host, 4..=4);
    restore(&mut host);
    let (_, last) = reopen(host.disk);
    assert_eq!(last.records, [entry(1), entry(2), entry(3), entry(4)]);
    assert!(last.damage.is_empty());
}

#[test]
fn a_missing_segment_is_damage() {
    for missing in [1, 2, 3] {
        let mut host = fresh();
        fill(&mut host, 1..=45);
        host.idle();
        host.disk.files.remove(&FileName::Segment(missing));
        let (_, found) = reopen(host.disk);
        assert_eq!(found.damage.len(), 1, "segment {missing}");
        let here = indexes(&found);
        let damage = found.damage[0];
        assert!(here.len() < 45);
        assert!(here.contains(&damage.after_index) || damage.after_index == 0);
        assert_ne!(damage.before_index, Some(damage.after_index + 1));
    }
}

#[test]
fn unreadable_blocks_are_damage_of_themselves_only() {
    let mut host = fresh();
    fill(&mut host, 1..=10);
    let (name, at) = place(&host.disk, 4);
    host.disk.unreadable.insert((name, at / BLOCK));
    let (mut host, found) = reopen(host.disk);
    assert_eq!(indexes(&found), [1, 2, 3, 5, 6, 7, 8, 9, 10]);
    assert_eq!(found.damage.len(), 1);
    fill(&mut host, 11..=11);
    assert_eq!(host.durable, [WalSeq(1)]);
}

#[test]
fn one_superblock_is_enough_and_none_is_reported() {
    for bad in [vec![0], vec![1], vec![0, 1]] {
        let mut host = fresh();
        fill(&mut host, 1..=20);
        for slot in &bad {
            host.disk
                .rot(FileName::Superblock(*slot), 0, 512, &mut Rng(3));
        }
        let (host, found) = reopen(host.disk);
        assert_eq!(indexes(&found), (1..=20).collect::<Vec<_>>());
        assert_eq!(found.damage.len(), bad.len() - 1);
        // Whatever was lost stays reported.
        let (_, again) = reopen(host.disk);
        assert_eq!(again.damage, found.damage);
    }
}

#[test]
fn superblocks_alone_tell_that_all_segments_are_gone() {
    let mut host = fresh();
    fill(&mut host, 1..=3);
    host.idle();
    host.disk
        .files
        .retain(|name, _| matches!(name, FileName::Superblock(_)));
    let (mut host, found) = reopen(host.disk);
    assert!(found.records.is_empty());
    assert_eq!(found.damage.len(), 1);
    assert!(found.damage[0].before_index.is_none());
    fill(&mut host, 1..=3);
    assert_eq!(host.durable.len(), 3);
}

#[test]
fn a_misdirected_write_is_damage_at_both_places() {
    let mut host = fresh();
    fill(&mut host, 1..=9);
    let (name, at) = place(&host.disk, 3);
    host.disk.write_fault = Some(WriteFault::Misdirect(name, at / BLOCK * BLOCK));
    fill(&mut host, 10..=12);
    let (_, found) = reopen(host.disk);
    assert_eq!(indexes(&found), [1, 2, 4, 5, 6, 7, 8, 9, 11, 12]);
    assert_eq!(found.damage.len(), 2);
}

#[test]
fn a_record_inside_a_value_is_not_taken_for_one() {
    let mut host = fresh();
    host.append(vec![vote(1), entry(1)]);
    host.settle();
    // A client that knows the format stores a copy of a real record.
    let (name, _) = place(&host.disk, 1);
    let copy = host.disk.files[&name].cached[..300].to_vec();
    host.append(vec![record(RecordKind::Entry, 2, &copy)]);
    host.settle();
    fill(&mut host, 3..=4);
    let at = host.disk.find(name, &copy[..100])[1];
    host.disk.rot(name, at - 60, at - 59, &mut Rng(1));
    let (_, found) = reopen(host.disk);
    assert_eq!(found.records, [vote(1), entry(1), entry(3), entry(4)]);
    assert_eq!(found.damage.len(), 1);
}
