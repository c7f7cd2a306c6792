use alloc::vec::Vec;

use bytes::Bytes;

use super::CLUSTER;
use crate::codec::{Decode, Encode};
use crate::proof::{AppliedError, AppliedLog, AppliedTree};
use crate::raft::{Entry, EntryKind, chain};
use crate::types::{Chain, Index, LogId, Term};

/// A log with a membership at every seventh place.
fn log(size: u64) -> Vec<Entry> {
    let mut before = Chain::default();
    let entry = |index: u64| {
        let kind = match index % 7 {
            0 => EntryKind::Membership,
            1 => EntryKind::Noop,
            _ => EntryKind::App,
        };
        let id = LogId::new(Term(1 + index / 5), Index(index));
        let data = Bytes::copy_from_slice(&index.to_be_bytes());
        let entry = chain::seal(CLUSTER, before, id, kind, data);
        before = entry.chain;
        entry
    };
    (1..=size).map(entry).collect()
}

/// The sum over the first `size` entries, by the code that has no tree.
fn sum(log: &[Entry], size: usize) -> AppliedLog {
    let mut sum = AppliedLog::new(CLUSTER);
    for entry in &log[..size] {
        sum.apply(entry).unwrap();
    }
    sum
}

#[test]
fn heads_and_sums_of_every_size_are_those_of_a_log_that_ends_there() {
    let log = log(40);
    for begin in [0, 1, 6, 7, 8, 21, 40] {
        let stored = AppliedLog::from_bytes(&sum(&log, begin).to_bytes()).unwrap();
        let mut tree = AppliedTree::after(&stored);
        for entry in &log[begin..] {
            tree.apply(entry).unwrap();
        }
        for (size, entry) in (1..).zip(&log) {
            let expected = sum(&log, size);
            let known = size >= begin;
            let head = tree.head_at(entry.id);
            assert_eq!(head, expected.head().filter(|_| known));
            let found = tree.sum_at(entry.id, entry.chain);
            assert_eq!(found, Some(expected).filter(|_| known));
        }
    }
}

#[test]
fn forgetting_is_beginning_later() {
    let log = log(40);
    let mut tree = AppliedTree::after(&AppliedLog::new(CLUSTER));
    log.iter().for_each(|entry| tree.apply(entry).unwrap());
    for begin in 0..=40 {
        let mut later = AppliedTree::after(&sum(&log, begin));
        log[begin..]
            .iter()
            .for_each(|entry| later.apply(entry).unwrap());
        tree.forget_upto(Index(u64::try_from(begin).unwrap()));
        assert_eq!(tree, later);
    }
    let all_forgotten = tree.clone();
    tree.forget_upto(Index(99));
    tree.forget_upto(Index(3));
    assert_eq!(tree, all_forgotten);
}

#[test]
fn what_does_not_follow_changes_nothing() {
    let log = log(5);
    let mut tree = AppliedTree::after(&sum(&log, 3));
    let before = tree.clone();
    let refused = tree.apply(&log[4]);
    assert!(matches!(refused, Err(AppliedError::OutOfOrder { .. })));
    let mut damaged = log[3].clone();
    damaged.data = Bytes::from_static(b"other");
    let refused = tree.apply(&damaged);
    assert_eq!(refused, Err(AppliedError::ChainMismatch(damaged.id)));
    assert_eq!(tree, before);
}

#[test]
fn another_term_at_the_end_has_no_head() {
    let log = log(5);
    let tree = AppliedTree::after(&sum(&log, 5));
    let other = LogId::new(Term(9), Index(5));
    assert_eq!(tree.head_at(other), None);
    assert_eq!(tree.head_at(LogId::default()), None);
}
