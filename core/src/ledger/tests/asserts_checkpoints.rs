//! The asserts of states that are fetched, broken by hand.

use super::Kept;
use crate::bft::{Epoch, Height};
use crate::crypto::Digest;
use crate::golden::samples;
use crate::ledger::state_sync::fetch::Loading;
use crate::ledger::tests::asserts::{node, parts};
use crate::ledger::tests::golden::checkpoint;
use crate::limits::LEDGER_CHECKPOINTS_KEPT;
use crate::machine::Outbox;

#[test]
#[should_panic(expected = "G2: states")]
fn states_to_be_fetched_are_bounded() {
    let mut ledger = node();
    let branch = parts(&mut ledger).tip().clone();
    for _ in 0..=LEDGER_CHECKPOINTS_KEPT {
        ledger.sync.checkpoints.kept.push_back(Kept {
            branch: branch.clone(),
            block: samples::header(),
            child: None,
            tiles: alloc::vec::Vec::new(),
        });
    }
    ledger.check_invariants();
}

#[test]
#[should_panic(expected = "only what was proven replaces the state")]
fn only_what_was_proven_replaces_the_state() {
    let loading = Loading::new(checkpoint());
    node().install(loading, Digest::default(), &mut Outbox::new());
}

#[test]
#[should_panic(expected = "the state is of its block's epoch")]
fn a_state_is_of_the_epoch_of_its_block() {
    let mut ledger = node();
    let mut loading = Loading::new(checkpoint());
    loading.tree = parts(&mut ledger).tip().ledger_state().tree().clone();
    let checkpoint = &mut loading.checkpoint;
    checkpoint.child.header.content.parent_state = loading.tree.root();
    checkpoint.block.height = Height(1 << 40);
    checkpoint.block.epoch = Epoch(9);
    checkpoint.block.content.ends_epoch = false;
    ledger.install(loading, Digest::default(), &mut Outbox::new());
}
