//! The log in shared runs, held against a plain list of entries.

use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use crate::codec::Encode;
use crate::raft::log::{ENTRY_OVERHEAD_BYTES, Log};
use crate::raft::{Base, Entry, EntryKind, Membership, chain};
use crate::types::{ClusterId, Index, LogId, NodeId, Term};

const CLUSTER: ClusterId = ClusterId(3);

/// What is done to both.
#[derive(Debug, Clone)]
enum Step {
    /// A leader makes entries with these payload sizes.
    Make(Vec<usize>),
    /// A follower gets them.
    Get(Vec<usize>),
    Seal,
    Cut(usize),
    Compact(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sizes = || prop::collection::vec(0_usize..40, 0..9);
    let step = prop_oneof![
        3 => sizes().prop_map(Step::Make),
        3 => sizes().prop_map(Step::Get),
        2 => Just(Step::Seal),
        1 => any::<usize>().prop_map(Step::Cut),
        1 => any::<usize>().prop_map(Step::Compact),
    ];
    prop::collection::vec(step, 0..40)
}

/// The list that the log must be equal to.
struct Model {
    base: Base,
    entries: Vec<Entry>,
}

impl Model {
    fn last(&self) -> (LogId, crate::types::Chain) {
        let last = self.entries.last().map(|entry| (entry.id, entry.chain));
        last.unwrap_or((self.base.id, self.base.chain))
    }

    /// Entries that follow; every seventh is a membership, terms grow now and then.
    fn following(&self, sizes: &[usize]) -> Vec<Entry> {
        let (mut id, mut before) = self.last();
        sizes
            .iter()
            .map(|size| {
                let index = id.index.next();
                id = LogId::new(Term(id.term.0.max(1) + u64::from(size % 8 == 0)), index);
                let (kind, data) = if index.0.is_multiple_of(7) {
                    let voters = Membership::of_voters([NodeId(u128::from(index.0) + 1)]);
                    (EntryKind::Membership, voters.to_bytes())
                } else {
                    (EntryKind::App, Bytes::from(alloc::vec![1; *size]))
                };
                let entry = chain::seal(CLUSTER, before, id, kind, data);
                before = entry.chain;
                entry
            })
            .collect()
    }

    fn membership_at(&self, index: Index) -> Membership {
        use crate::codec::Decode;
        let found = self
            .entries
            .iter()
            .rev()
            .find(|entry| entry.kind == EntryKind::Membership && entry.id.index <= index);
        found.map_or(self.base.membership.clone(), |entry| {
            Membership::from_bytes(&entry.data).unwrap()
        })
    }

    /// As the log's own, by going through all of them.
    fn slice(&self, from: Index, count: usize, bytes: usize) -> Vec<Entry> {
        let mut taken: Vec<Entry> = Vec::new();
        let mut sum = 0;
        for entry in self.entries.iter().filter(|entry| entry.id.index >= from) {
            let fits = taken.is_empty() || sum + entry.data.len() <= bytes;
            if taken.len() == count || !fits {
                break;
            }
            sum += entry.data.len();
            taken.push(entry.clone());
        }
        taken
    }
}

fn do_step(step: &Step, log: &mut Log, model: &mut Model) {
    let first = model.base.id.index.0;
    match step {
        Step::Make(sizes) => {
            let entries = model.following(sizes);
            model.entries.extend_from_slice(&entries);
            entries.into_iter().for_each(|entry| log.append(entry));
        }
        Step::Get(sizes) => {
            let entries = model.following(sizes);
            model.entries.extend_from_slice(&entries);
            log.append_run(entries.into());
        }
        Step::Seal => log.seal(),
        Step::Cut(at) => {
            let keep = at % (model.entries.len() + 1);
            let before = model.membership_at(Index(u64::MAX));
            model.entries.truncate(keep);
            let changed = log.truncate_from(Index(first + keep as u64 + 1));
            assert_eq!(changed, before != model.membership_at(Index(u64::MAX)));
        }
        Step::Compact(at) if !model.entries.is_empty() => {
            let gone = at % model.entries.len() + 1;
            let upto = model.entries[gone - 1].clone();
            model.base = Base {
                id: upto.id,
                chain: upto.chain,
                membership: model.membership_at(upto.id.index),
            };
            model.entries.drain(..gone);
            log.compact_to(upto.id.index);
        }
        Step::Compact(_) => {}
    }
}

fn assert_equal(log: &mut Log, model: &Model) {
    let (first, (last, last_chain)) = (model.base.id.index, model.last());
    assert_eq!(*log.base(), model.base);
    assert_eq!((log.last(), log.last_chain()), (last, last_chain));
    let payload: usize = model.entries.iter().map(|entry| entry.data.len()).sum();
    assert_eq!(
        log.bytes(),
        payload + model.entries.len() * ENTRY_OVERHEAD_BYTES
    );
    for index in first.0.saturating_sub(1)..last.index.0 + 3 {
        let index = Index(index);
        let entry = model.entries.iter().find(|entry| entry.id.index == index);
        assert_eq!(log.entry(index), entry);
        let at_base = (index == first).then_some((model.base.id.term, model.base.chain));
        let known = entry.map(|entry| (entry.id.term, entry.chain)).or(at_base);
        assert_eq!(log.term_at(index), known.map(|(term, _)| term));
        assert_eq!(log.chain_at(index), known.map(|(_, chain)| chain));
        for term in [0, 1, last.term.0 / 2, last.term.0, u64::MAX] {
            let fits = |entry: &&Entry| entry.id.index <= index && entry.id.term.0 <= term;
            let found = model.entries.iter().rev().find(fits).map(|entry| entry.id);
            let expected = found.unwrap_or(model.base.id);
            assert_eq!(log.last_at_most(index, Term(term)), expected);
        }
        if index > first && index <= last.index {
            assert_eq!(*log.membership_at(index), model.membership_at(index));
        }
    }
    assert_eq!(*log.membership(), model.membership_at(Index(u64::MAX)));
}

/// What is shared, once it is sealed.
fn assert_shares(log: &Log, model: &Model) {
    let (first, last) = (model.base.id.index, model.last().0.index);
    for from in first.0 + 1..=last.0 + 1 {
        for (count, bytes) in [(1, 0), (2, 50), (5, 30), (9, 1000), (1024, 1 << 20)] {
            let (slice, payload) = log.slice(Index(from), count, bytes);
            assert_eq!(payload, slice.payload_bytes());
            assert_eq!(slice[..], model.slice(Index(from), count, bytes)[..]);
        }
        for upto in from - 1..=last.0 {
            let shared = log.shared(Index(from), Index(upto));
            let entries = model.entries.iter();
            let expected = entries.filter(|entry| (from..=upto).contains(&entry.id.index.0));
            assert!(shared.iter().eq(expected.clone()));
            assert_eq!(shared.len(), expected.clone().count());
            assert_eq!(shared.is_empty(), expected.clone().next().is_none());
            assert_eq!(shared.last(), expected.clone().last());
            let payload: usize = expected.map(|entry| entry.data.len()).sum();
            assert_eq!(log.payload_bytes(Index(from), Index(upto)), payload);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn runs_hold_what_a_list_would(steps in steps()) {
        let base = Base { membership: Membership::of_voters([NodeId(1)]), ..Base::default() };
        let mut model = Model { base: base.clone(), entries: Vec::new() };
        let mut log = Log::new(base);
        for step in &steps {
            do_step(step, &mut log, &mut model);
            assert_equal(&mut log, &model);
        }
        log.seal();
        assert_equal(&mut log, &model);
        assert_shares(&log, &model);
    }
}

/// The leader's entries of an iteration are one run that everybody shares.
#[test]
fn what_was_made_in_a_turn_is_never_copied() {
    let base = Base::default();
    let model = Model {
        base: base.clone(),
        entries: Vec::new(),
    };
    let mut log = Log::new(base);
    for entry in model.following(&[5; 6]) {
        log.append(entry);
    }
    log.seal();
    let (sent, _) = log.slice(Index(1), 1024, 1 << 20);
    let written = log.shared(Index(1), Index(6));
    let (rest, _) = log.slice(Index(3), 2, 1 << 20);
    assert!(core::ptr::eq(&sent[0], written.iter().next().unwrap()));
    assert!(core::ptr::eq(&sent[2], &rest[0]));
}
