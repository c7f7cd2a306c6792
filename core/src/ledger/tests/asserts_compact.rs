//! The bound on blocks that come in parts, broken by hand.

use super::{Assembly, Compact};
use crate::bft::{View, VoteKind};
use crate::golden::samples;
use crate::ledger::Ledger;
use crate::ledger::tests::asserts::node;
use crate::limits::LEDGER_ASSEMBLIES_MAX;
use crate::types::{NodeId, Time};

/// A node that keeps parts of one block more than it may, all of views to come.
fn crowded() -> Ledger {
    let mut ledger = node();
    for view in (0..).take(LEDGER_ASSEMBLIES_MAX + 1) {
        let header = samples::header();
        let compact = Compact {
            header,
            leaves: alloc::vec::Vec::new(),
            parent: None,
            skips: alloc::vec::Vec::new(),
            vote: samples::vote(VoteKind::Notarize),
        };
        let assembly = Assembly {
            hash: header.hash(),
            compact,
            items: alloc::vec::Vec::new(),
            leader: NodeId(1),
            asked_at: Time(0),
        };
        let view = View(1 << 40 | view);
        ledger.assemblies.by_view.insert(view, assembly);
    }
    ledger
}

#[test]
#[should_panic(expected = "G2: blocks in parts")]
fn blocks_in_parts_are_bounded() {
    crowded().check_invariants();
}

#[test]
#[should_panic(expected = "of few views at a time")]
fn parts_of_old_blocks_are_forgotten() {
    crowded().forget_assemblies();
}
