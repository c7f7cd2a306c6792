//! Proofs from the stored history: old blocks under fresh certificates, one history
//! in another, and what damage of the store does to them.

extern crate std;

use alloc::vec;
use alloc::vec::Vec;

use super::cluster::{Cluster, Knobs};
use crate::bft::{Epoch, Height};
use crate::crypto::{Digest, sha256};
use crate::ledger::*;
use crate::merkle::TreeSize;
use crate::proof::ledger::{Extension, Receipt, TrustedEpoch};
use crate::types::Span;

/// The root of RFC 6962, as its definition reads.
fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => sha256(b""),
        [leaf] => *leaf,
        _ => {
            let split = (leaves.len() - 1).ilog2();
            let (left, right) = leaves.split_at(1 << split);
            let mut bytes = vec![1];
            bytes.extend(root(left).0);
            bytes.extend(root(right).0);
            sha256(&bytes)
        }
    }
}

fn receipt(cluster: &mut Cluster, id: TxId, from: Epoch, fresh: bool) -> Receipt {
    match cluster.ask(1, Request::Prove { id, from, fresh }) {
        Response::Receipt(receipt) => *receipt,
        other => panic!("no receipt: {other:?}"),
    }
}

fn extension(cluster: &mut Cluster, old: u64, height: Option<Height>) -> Extension {
    let request = Request::Checkpoint {
        from: Epoch(0),
        height,
        old: Some(TreeSize(old)),
    };
    match cluster.ask(1, request) {
        Response::Extension(extension) => *extension,
        other => panic!("no extension: {other:?}"),
    }
}

/// Makes blocks with one note each, until there are so many.
fn grow(cluster: &mut Cluster, account: u64, blocks: u64) -> Vec<TxId> {
    let mut ids = Vec::new();
    while cluster.lowest() < Height(blocks) {
        let sequence = u64::try_from(ids.len()).unwrap();
        ids.push(cluster.note(0, account, sequence, "n"));
        let id = *ids.last().unwrap();
        cluster.until("a note", Span::from_secs(10), |world| {
            world.checker.is_final(&id)
        });
    }
    ids
}

fn proves_everything(cluster: &mut Cluster, ids: &[TxId]) {
    let trusted = TrustedEpoch::genesis(&cluster.genesis).unwrap();
    let verifier = cluster.authority.verifier();
    for id in ids {
        let old = receipt(cluster, *id, Epoch(0), false);
        let fresh = receipt(cluster, *id, Epoch(0), true);
        for made in [&old, &fresh] {
            let proven = made.verify(&trusted, &verifier).expect("it holds");
            assert_eq!(proven.id(), *id);
            assert_eq!(proven.outcome(), Some(Outcome::Done));
            let height = cluster.checker.height_of(id);
            assert_eq!(proven.block().header().height, height);
        }
        assert!(fresh.finality.header.height >= old.finality.header.height);
    }
    let tip = cluster.ledger(1).tip().unwrap().height;
    for old in [1, 2, 255, 256, 257, tip.0 - 1, tip.0] {
        for height in [None, Some(Height(tip.0 - 3))] {
            if old > height.unwrap_or(tip).0 {
                continue;
            }
            let made = extension(cluster, old, height);
            let proven = made.verify(&trusted, &verifier).expect("it holds");
            let below = cluster.checker.hashes_below(Height(old));
            assert_eq!(proven.old().root, root(&below), "the first {old} blocks");
            let head = proven.history().head();
            let below = cluster.checker.hashes_below(Height(head.size.0));
            assert_eq!(head.root, root(&below));
        }
    }
}

#[test]
fn old_blocks_are_proven_under_fresh_certificates_after_crashes() {
    let mut cluster = Cluster::new(11, Knobs::default());
    cluster.run_for(Span::from_millis(100));
    let mut ids = grow(&mut cluster, 100, 150);
    // Two tiles are full and two are not: all nodes lose what they had not synced.
    (0..4).for_each(|slot| cluster.crash(slot));
    (0..4).for_each(|slot| cluster.start(slot));
    cluster.run_for(Span::from_millis(500));
    ids.extend(grow(&mut cluster, 101, 530));
    let some: Vec<TxId> = ids.iter().step_by(23).copied().collect();
    cluster.run_for(Span::from_secs(3));
    proves_everything(&mut cluster, &some);
    (0..4).for_each(|slot| cluster.crash(slot));
    (0..4).for_each(|slot| cluster.start(slot));
    // The last block is known again before the next one is final.
    cluster.run_for(Span::from_millis(100));
    proves_everything(&mut cluster, &some);
    let tiles = cluster.slots[1].disk.keys(b'x').len();
    assert_eq!(tiles, 4, "three of 256 hashes at most, and the one above");
}

#[test]
fn how_the_last_operation_of_an_epoch_ended_is_proven() {
    let mut params = Params::default();
    params.set(Param::EpochBlocks, 7).unwrap();
    let knobs = Knobs {
        params,
        ..Knobs::default()
    };
    let mut cluster = Cluster::new(12, knobs);
    cluster.run_for(Span::from_millis(100));
    let ids = grow(&mut cluster, 100, 240);
    cluster.run_for(Span::from_secs(5));
    let trusted = TrustedEpoch::genesis(&cluster.genesis).unwrap();
    let verifier = cluster.authority.verifier();
    let mut last_blocks = 0;
    for id in &ids {
        let made = receipt(&mut cluster, *id, Epoch(0), false);
        let proven = made.verify(&trusted, &verifier).expect("it holds");
        assert_eq!(proven.outcome(), Some(Outcome::Done));
        let (block, head) = (proven.block().header(), proven.head().header());
        if block.content.ends_epoch {
            assert_eq!(head.epoch.0, block.epoch.0 + 1);
            last_blocks += 1;
        }
    }
    assert!(last_blocks > 2, "{last_blocks} notes in last blocks");
    // No proof leads backwards, and this one is of an epoch that is over.
    let head = Request::Checkpoint {
        from: Epoch(4),
        height: Some(Height(3)),
        old: None,
    };
    let answer = cluster.ask(1, head);
    assert_eq!(answer, Response::OutOfReach { to: Epoch(0) });
    // Who trusts a late epoch gets a proof that begins there.
    let epoch = cluster.epoch(1);
    let late = cluster.checker.trusted[&epoch].clone();
    let made = receipt(&mut cluster, ids[0], epoch, false);
    assert!(made.epochs.is_empty());
    assert_eq!(made.verify(&late, &verifier).unwrap().id(), ids[0]);
}

#[test]
fn a_damaged_history_is_found_before_anything_is_proven_from_it() {
    let mut cluster = Cluster::new(13, Knobs::default());
    cluster.run_for(Span::from_millis(100));
    let ids = grow(&mut cluster, 100, 300);
    cluster.run_for(Span::from_secs(3));
    let tiles = cluster.slots[1].disk.keys(b'x');
    assert_eq!(tiles.len(), 3);
    // The first tile is full: nobody needs it until something old is proven.
    cluster.slots[1].disk.damage(&tiles[0]);
    let request = Request::Prove {
        id: ids[3],
        from: Epoch(0),
        fresh: true,
    };
    let answer = cluster.ask(1, request);
    assert_eq!(answer, Response::Unavailable);
    cluster.crash(1);
    cluster.start(1);
    cluster.must_progress(102, Span::from_secs(10));
    assert_eq!(cluster.slots[1].halted(), None);
    // One that still grows is needed to go on.
    cluster.crash(1);
    cluster.slots[1].disk.damage(&tiles[1]);
    cluster.start(1);
    cluster.run_for(Span::from_millis(100));
    let reason = cluster.slots[1].halted().expect("it halts");
    assert!(reason.contains("damaged"), "{reason}");
}

#[test]
fn a_history_that_is_not_there_yet_is_not_proven() {
    let mut cluster = Cluster::new(14, Knobs::default());
    cluster.run_for(Span::from_secs(5));
    let tip = cluster.ledger(1).tip().unwrap().height;
    let mut ask = |height: Option<u64>, old: u64| {
        let request = Request::Checkpoint {
            from: Epoch(0),
            height: height.map(Height),
            old: Some(TreeSize(old)),
        };
        cluster.ask(1, request)
    };
    assert_eq!(ask(None, tip.0 + 9), Response::NotFound);
    assert_eq!(ask(Some(1), 2), Response::NotFound);
    assert_eq!(ask(Some(tip.0 + 9), 1), Response::NotFound);
    assert_eq!(ask(Some(0), 0), Response::NotFound);
    assert!(matches!(ask(Some(1), 1), Response::Extension(_)));
}
