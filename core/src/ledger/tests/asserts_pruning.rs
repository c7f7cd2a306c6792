//! What is kept of others about pruned blocks: filled by them, and broken by hand.

use alloc::collections::BTreeSet;

use crate::bft::Height;
use crate::ledger::chain::pruning::Pruning;
use crate::ledger::tests::asserts::{node, parts};
use crate::limits::{LEDGER_ASKERS_MAX, VALIDATORS_MAX};
use crate::machine::Outbox;
use crate::types::{NodeId, Time};

fn nodes(count: usize) -> impl Iterator<Item = NodeId> {
    (1..).map(NodeId).take(count)
}

/// Whoever says where its blocks begin is believed for itself, if it is a validator.
#[test]
fn bases_are_kept_of_validators_alone() {
    let mut ledger = node();
    let set = parts(&mut ledger).bft.epoch().validators.clone();
    let all = set.iter().map(|(_, validator)| validator.node);
    let validators: BTreeSet<NodeId> = all.collect();
    for round in 0..3 {
        for from in nodes(5 * VALIDATORS_MAX).chain(validators.iter().copied()) {
            ledger.on_earliest_retained(from, Height(1_000 + round), &mut Outbox::new());
            ledger.check_invariants();
        }
    }
    let bases = &ledger.storage.pruning.bases;
    assert!(bases.keys().eq(&validators));
}

#[test]
fn a_crowd_that_fetches_does_not_hide_who_is_the_furthest_behind() {
    let (at, retain) = (Time::ZERO, 100);
    let mut pruning = Pruning::default();
    let behind = NodeId(1 << 100);
    for (round, other) in nodes(3 * LEDGER_ASKERS_MAX).enumerate() {
        if round == 2 * LEDGER_ASKERS_MAX {
            pruning.note_asked(behind, Height(120), at);
        }
        pruning.note_asked(other, Height(290), at);
        pruning.check_bounds();
    }
    assert_eq!(pruning.asked.len(), LEDGER_ASKERS_MAX);
    assert!(pruning.asked.contains_key(&behind));
    assert_eq!(pruning.next_base(Height(300), retain, at), Height(120));
}

#[test]
#[should_panic(expected = "G2: where the blocks of validators begin")]
fn bases_are_bounded() {
    let mut ledger = node();
    let bases = &mut ledger.storage.pruning.bases;
    bases.extend(nodes(VALIDATORS_MAX + 1).map(|node| (node, Height(1))));
    ledger.check_invariants();
}

#[test]
#[should_panic(expected = "G2: who fetches")]
fn who_fetches_is_bounded() {
    let mut ledger = node();
    let asked = &mut ledger.storage.pruning.asked;
    asked.extend(nodes(LEDGER_ASKERS_MAX + 1).map(|node| (node, (Height(1), Time(0)))));
    ledger.check_invariants();
}
