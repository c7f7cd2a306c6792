//! Nodes that keep the last blocks only.

extern crate std;

use alloc::vec;

use super::cluster::{Cluster, Knobs};
use crate::bft::{Epoch, Height};
use crate::crypto::Signer as _;
use crate::crypto::fake::FakeAuthority;
use crate::ledger::chain::pruning::Pruning;
use crate::ledger::*;
use crate::limits::LEDGER_CATCH_UP_GRACE_SECS;
use crate::merkle::TreeSize;
use crate::proof::ledger::TrustedEpoch;
use crate::rig::Disk;
use crate::types::{Span, Time};

pub(super) const KEPT: u64 = 15;

/// Four nodes with short epochs that prune as they are told, and one more that is
/// down and has nothing.
pub(super) fn pruned(seed: u64, retain: [u64; 4]) -> (Cluster, alloc::vec::Vec<TxId>) {
    let mut params = Params::default();
    params.set(Param::EpochBlocks, 10).unwrap();
    let knobs = Knobs {
        followers: 1,
        retain: retain.to_vec(),
        params,
        ..Knobs::default()
    };
    let mut cluster = Cluster::new(seed, knobs);
    cluster.run_for(Span::from_millis(100));
    cluster.crash(4);
    cluster.slots[4].disk = Disk::default();
    let mut ids = vec![];
    for round in 0..10 {
        let sequence = round * 10;
        ids.extend((0..10).map(|more| {
            let id = cluster.note(0, 100, sequence + more, "n");
            cluster.run_for(Span::from_millis(150));
            id
        }));
    }
    cluster.run_for(Span::from_secs(1));
    (cluster, ids)
}

fn status(cluster: &mut Cluster, slot: usize) -> LedgerStatus {
    match cluster.ask(slot, Request::Status) {
        Response::Status(status) => *status,
        other => panic!("no status: {other:?}"),
    }
}

#[test]
fn pruned_blocks_are_named_and_everything_else_is_still_proven() {
    let (mut cluster, ids) = pruned(21, [0, KEPT, KEPT, KEPT]);
    cluster.crash(1);
    cluster.start(1);
    cluster.run_for(Span::from_secs(3));
    let tip = cluster.ledger(1).tip().unwrap().height;
    let base = status(&mut cluster, 1).base;
    assert!(
        tip.0 > 60 && base.0 + 2 * KEPT + 10 > tip.0,
        "{base} of {tip}"
    );
    assert!(base.0 + KEPT <= tip.0 + 1, "{base} of {tip}");
    let kept = cluster.slots[1].disk.keys(b'b').len();
    assert_eq!(u64::try_from(kept).unwrap(), tip.0 - base.0 + 1);
    let headers = cluster.slots[1].disk.keys(b'h').len();
    assert_eq!(u64::try_from(headers).unwrap(), tip.0);

    // What is gone is reported as gone, with what is there instead.
    let gone = Response::Pruned { base };
    let height = Some(Height(5));
    assert_eq!(cluster.ask(1, Request::Block { height }), gone);
    let old = ids[0];
    let prove = |id, fresh| Request::Prove {
        id,
        from: Epoch(0),
        fresh,
    };
    assert_eq!(cluster.ask(1, prove(old, false)), gone);
    assert_eq!(cluster.ask(1, prove(old, true)), gone);
    let head = |height, old: Option<u64>| Request::Checkpoint {
        from: Epoch(0),
        height,
        old: old.map(TreeSize),
    };
    assert_eq!(cluster.ask(1, head(height, None)), gone);
    let place = cluster.ask(1, Request::Transaction { id: old });
    assert!(matches!(place, Response::Transaction(TxState::Final(_))));
    let Response::Header(header) = cluster.ask(1, Request::Header { height: Height(5) }) else {
        panic!("headers are kept");
    };
    let Response::Block(block) = cluster.ask(0, Request::Block { height }) else {
        panic!("node 0 keeps all");
    };
    assert_eq!(*header, *block.block.header());

    // The history, the epochs and what is not pruned are proven as before.
    let trusted = TrustedEpoch::genesis(&cluster.genesis).unwrap();
    let verifier = cluster.authority.verifier();
    let Response::Extension(extension) = cluster.ask(1, head(None, Some(5))) else {
        panic!("the tree is kept");
    };
    assert!(extension.verify(&trusted, &verifier).is_ok());
    let last = *ids.last().unwrap();
    let Response::Receipt(receipt) = cluster.ask(1, prove(last, false)) else {
        panic!("the last blocks are kept");
    };
    assert_eq!(receipt.verify(&trusted, &verifier).unwrap().id(), last);
    let Response::Receipt(receipt) = cluster.ask(0, prove(old, true)) else {
        panic!("node 0 keeps all");
    };
    assert_eq!(receipt.verify(&trusted, &verifier).unwrap().id(), old);
}

#[test]
fn whoever_needs_a_pruned_block_asks_the_one_that_has_it() {
    for seed in 22..25 {
        let (mut cluster, _) = pruned(seed, [KEPT, KEPT, 0, KEPT]);
        cluster.start(4);
        cluster.must_progress(101, Span::from_secs(60));
        assert_eq!(status(&mut cluster, 4).stuck_below, None);
    }
}

#[test]
fn whoever_is_a_little_behind_needs_nobody_who_keeps_all() {
    let (mut cluster, _) = pruned(26, [KEPT; 4]);
    cluster.crash(3);
    for sequence in 0..5 {
        cluster.note(0, 102, sequence, "n");
        cluster.run_for(Span::from_millis(150));
    }
    cluster.crash(4);
    cluster.start(3);
    cluster.until("all of four", Span::from_secs(30), |world| {
        let tip = |slot: usize| world.ledger(slot).tip().map(|tip| tip.height);
        (0..4).all(|slot| tip(slot) >= Some(world.checker.highest))
    });
}

#[test]
fn whoever_nobody_can_help_says_so() {
    let (mut cluster, _) = pruned(27, [KEPT; 4]);
    cluster.start(4);
    cluster.run_for(Span::from_secs(20));
    let stuck = status(&mut cluster, 4);
    assert_eq!(stuck.height, Height(0));
    let base = stuck.stuck_below.expect("it knows");
    assert!(base > Height(1), "{base}");
    // The others go on, and with the store of one of them so does this one.
    let id = cluster.note(0, 103, 0, "on");
    cluster.until("a note", Span::from_secs(10), |world| {
        world.checker.is_final(&id)
    });
    cluster.crash(4);
    let other = cluster.slots[0].disk.pairs().clone();
    cluster.slots[4].disk.replace_pairs(other);
    cluster.start(4);
    cluster.must_progress(104, Span::from_secs(30));
    assert_eq!(status(&mut cluster, 4).stuck_below, None);
}

#[test]
fn what_somebody_fetches_is_kept_for_a_while_and_within_bounds() {
    let node = |number| {
        let authority = FakeAuthority::new(1);
        authority.signer(number).public_key().node_id()
    };
    let at = Time::ZERO;
    let mut pruning = Pruning::default();
    assert_eq!(pruning.next_base(Height(500), 0, at), Height(1), "keep all");
    assert_eq!(pruning.next_base(Height(99), 100, at), Height(1));
    assert_eq!(pruning.next_base(Height(100), 100, at), Height(1));
    assert_eq!(pruning.next_base(Height(150), 100, at), Height(51));
    pruning.note_asked(node(1), Height(20), at);
    assert_eq!(pruning.next_base(Height(150), 100, at), Height(20));
    assert_eq!(
        pruning.next_base(Height(300), 100, at),
        Height(101),
        "twice"
    );
    pruning.note_asked(node(1), Height(290), at);
    assert_eq!(pruning.next_base(Height(300), 100, at), Height(201));
    pruning.note_asked(node(2), Height(150), at);
    assert_eq!(pruning.next_base(Height(300), 100, at), Height(150));
    let later = at + Span::from_secs(LEDGER_CATCH_UP_GRACE_SECS);
    assert_eq!(pruning.next_base(Height(300), 100, later), Height(201));
    // What is gone does not come back.
    let mut resumed = Pruning::resume(Height(250));
    assert_eq!(resumed.next_base(Height(300), 100, at), Height(250));
}
