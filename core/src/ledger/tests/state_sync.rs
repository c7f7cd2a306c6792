//! Nodes that fetch the state: new ones, those that were away, and whoever deceives
//! them.

extern crate std;

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::cluster::{Cluster, Knobs, note};
use crate::bft::{Epoch, Height};
use crate::crypto::sha256;
use crate::ledger::state_sync::{Chunk, SyncMessage};
use crate::ledger::*;
use crate::merkle::KeyHash;
use crate::proof::ledger::TrustedEpoch;
use crate::rig::Disk;
use crate::types::Span;

/// The node that fetches: a follower behind four validators.
pub(super) const NEW: usize = 4;

/// A world with a state of several chunks, that is many epochs old, and without the
/// node that is to fetch it.
pub(super) fn old_world(seed: u64, knobs: Knobs) -> Cluster {
    let mut params = Params::default();
    params.set(Param::EpochBlocks, 10).unwrap();
    let mut cluster = Cluster::new(
        seed,
        Knobs {
            followers: 1,
            params,
            checkpoint_blocks: 8,
            ..knobs
        },
    );
    cluster.run_for(Span::from_millis(100));
    away(&mut cluster, NEW);
    cluster.slots[NEW].disk = Disk::default();
    for sequence in 0..20 {
        let snapshot = |number: u64| {
            Operation::SnapshotCreate(SnapshotRecord {
                id: Name::new(std::format!("{sequence}-{number}-{}", "n".repeat(180))).unwrap(),
                manifest: sha256(&number.to_be_bytes()),
                bytes: number,
                segments: 1,
            })
        };
        let (transaction, _) = cluster.sign(100, sequence * 200, (0..200).map(snapshot).collect());
        submit(&mut cluster, transaction);
    }
    blocks(&mut cluster, 60);
    assert!(cluster.epoch(0) > Epoch(5));
    cluster
}

/// Hands a transaction in and waits until it is final.
fn submit(cluster: &mut Cluster, transaction: Bytes) {
    let wait = true;
    let response = cluster.ask(0, Request::Submit { transaction, wait });
    assert!(matches!(response, Response::Transaction(_)), "{response:?}");
}

/// Makes blocks.
fn blocks(cluster: &mut Cluster, count: u64) {
    let account = 1_000 + cluster.checker.highest.0;
    for sequence in 0..count {
        let (transaction, _) = cluster.sign(account, sequence, vec![note("one more")]);
        submit(cluster, transaction);
    }
}

/// A node goes away.
fn away(cluster: &mut Cluster, slot: usize) {
    cluster.crash(slot);
}

/// Runs until the node is where the others are; without anything new to be final.
fn until_there(cluster: &mut Cluster, slot: usize) {
    cluster.until("the node is there", Span::from_secs(60), |world| {
        let tip = world.slots[slot].machine.as_ref().and_then(Ledger::tip);
        tip.is_some_and(|tip| tip.height >= world.checker.highest)
    });
    assert_eq!(cluster.slots[slot].halted(), None);
}

/// Chunks that a node was sent.
fn chunks_to(cluster: &Cluster, slot: usize) -> u64 {
    let sent = cluster.chunks.iter();
    sent.filter(|((_, to), _)| *to == slot)
        .map(|(_, count)| count)
        .sum()
}

fn near() -> Knobs {
    Knobs {
        fetch_behind: 20,
        ..Knobs::default()
    }
}

#[test]
fn a_new_node_fetches_the_state_and_goes_on_from_it() {
    let mut cluster = old_world(1, near());
    cluster.start(NEW);
    until_there(&mut cluster, NEW);
    assert_eq!(cluster.ledger(NEW).states_fetched(), 1);
    assert!(chunks_to(&cluster, NEW) >= 4, "a state of several chunks");
    let disk = &cluster.slots[NEW].disk;
    let left = [disk.keys(b'y'), disk.keys(b'Y')].concat();
    assert!(left.is_empty(), "nothing is left over");
    // It has the way from the genesis, for light clients.
    let Response::Epochs(ends) = cluster.ask(NEW, Request::Epochs { from: Epoch(0) }) else {
        panic!("ends of epochs");
    };
    let mut trusted = TrustedEpoch::genesis(&cluster.genesis).unwrap();
    for end in &ends {
        trusted
            .follow(end, &cluster.authority.verifier())
            .expect("it handed over");
    }
    assert_eq!(trusted.epoch(), cluster.epoch(NEW));
    // What is final from now on, it has and proves.
    let id = cluster.note(NEW, 500, 0, "after");
    cluster.until("it is final", Span::from_secs(10), |world| {
        world.checker.is_final(&id)
    });
    blocks(&mut cluster, 15);
    until_there(&mut cluster, NEW);
    let answer = cluster.ask(
        NEW,
        Request::Prove {
            id,
            from: Epoch(0),
            fresh: false,
        },
    );
    let Response::Receipt(receipt) = answer else {
        panic!("{answer:?}");
    };
    let genesis = TrustedEpoch::genesis(&cluster.genesis).unwrap();
    receipt
        .verify(&genesis, &cluster.authority.verifier())
        .expect("it holds");
    // And it starts again from what it has.
    cluster.crash(NEW);
    cluster.start(NEW);
    blocks(&mut cluster, 3);
    until_there(&mut cluster, NEW);
    assert_eq!(cluster.ledger(NEW).states_fetched(), 0, "not in this life");
}

#[test]
fn who_is_not_far_behind_executes_the_blocks() {
    let mut cluster = old_world(
        2,
        Knobs {
            fetch_behind: 1_000,
            ..Knobs::default()
        },
    );
    cluster.start(NEW);
    until_there(&mut cluster, NEW);
    assert_eq!(cluster.ledger(NEW).states_fetched(), 0);
    assert_eq!(chunks_to(&cluster, NEW), 0);
    let height = Some(Height(1));
    let block = cluster.ask(NEW, Request::Block { height });
    assert!(matches!(block, Response::Block(_)), "it has all of them");
}

#[test]
fn where_nobody_has_the_blocks_the_state_is_fetched() {
    let mut cluster = old_world(
        3,
        Knobs {
            fetch_behind: 1_000,
            ..Knobs::default()
        },
    );
    cluster.blocks_from = Height(60);
    cluster.start(NEW);
    until_there(&mut cluster, NEW);
    assert_eq!(cluster.ledger(NEW).states_fetched(), 1);
}

/// Runs in small steps until a part of the state is on the disk of the new node.
fn until_partly_there(cluster: &mut Cluster, chunks: u64) {
    let limit = cluster.now + Span::from_secs(30);
    while chunks_to(cluster, NEW) < chunks || cluster.slots[NEW].disk.keys(b'y').is_empty() {
        assert!(cluster.now < limit, "a part of the state comes");
        cluster.run_for(Span::from_millis(1));
    }
    assert_eq!(cluster.ledger(NEW).states_fetched(), 0, "not all of it");
}

#[test]
fn a_crash_in_the_middle_costs_little_of_what_was_fetched() {
    let mut whole = old_world(4, near());
    whole.start(NEW);
    until_there(&mut whole, NEW);
    let needed = chunks_to(&whole, NEW);
    let (mut resumed, mut begun_anew) = (0, 0);
    for stop in 2..needed {
        let mut cluster = old_world(4, near());
        cluster.start(NEW);
        until_partly_there(&mut cluster, stop);
        let kept = cluster.slots[NEW].disk.keys(b'y').len();
        cluster.crash(NEW);
        let survived = cluster.slots[NEW].disk.keys(b'y').len();
        assert!(survived <= kept);
        let before = chunks_to(&cluster, NEW);
        cluster.start(NEW);
        until_there(&mut cluster, NEW);
        let after = chunks_to(&cluster, NEW) - before;
        assert_eq!(cluster.ledger(NEW).states_fetched(), 1);
        // If the others have gone on to another state, all of that is fetched.
        match after < needed {
            true => resumed += 1,
            false => begun_anew += usize::from(survived > 0),
        }
    }
    assert!(
        resumed > begun_anew,
        "{resumed} went on, {begun_anew} began again"
    );
}

#[test]
fn what_the_disk_damaged_meanwhile_never_comes_into_force() {
    let mut cluster = old_world(5, near());
    cluster.start(NEW);
    until_partly_there(&mut cluster, 3);
    // So that the damage is where a crash does not take it away.
    let disk = cluster.slots[NEW].disk.clone();
    cluster.crash(NEW);
    cluster.slots[NEW].disk = disk;
    cluster.slots[NEW].disk.damage_all(b'y');
    cluster.start(NEW);
    until_there(&mut cluster, NEW);
    assert_eq!(cluster.ledger(NEW).states_fetched(), 1);
}

#[test]
fn a_crash_while_the_new_state_comes_into_force_leaves_one_or_the_other() {
    for seed in 0..12 {
        let mut cluster = old_world(6 + seed, near());
        cluster.start(NEW);
        let limit = cluster.now + Span::from_secs(30);
        while cluster.ledger(NEW).states_fetched() == 0 {
            assert!(cluster.now < limit, "it comes");
            cluster.run_for(Span::from_micros(200));
        }
        cluster.crash(NEW);
        cluster.start(NEW);
        until_there(&mut cluster, NEW);
    }
}

#[test]
fn who_goes_away_is_replaced_by_another() {
    let mut cluster = old_world(20, near());
    cluster.start(NEW);
    until_partly_there(&mut cluster, 2);
    let served = |cluster: &Cluster| {
        let sent = cluster.chunks.keys();
        sent.filter(|(_, to)| *to == NEW)
            .map(|(from, _)| *from)
            .collect::<Vec<_>>()
    };
    let [first] = served(&cluster)[..] else {
        panic!("one at a time");
    };
    cluster.crash(first);
    until_there(&mut cluster, NEW);
    assert_eq!(cluster.ledger(NEW).states_fetched(), 1);
    assert!(served(&cluster).len() > 1, "another one went on");
    cluster.start(first);
    cluster.must_progress(700, Span::from_secs(30));
}

#[test]
fn who_promises_later_epochs_without_proof_is_left() {
    with_byzantine_peers(62, |from, _, message| {
        Some(match message {
            Message::Sync(SyncMessage::Epochs(_)) if from != 2 => {
                Message::Sync(SyncMessage::Epochs(Vec::new()))
            }
            Message::Sync(SyncMessage::Checkpoint(mut checkpoint)) if from != 2 => {
                checkpoint.child.header.epoch = Epoch(1_000_000);
                Message::Sync(SyncMessage::Checkpoint(checkpoint))
            }
            other => other,
        })
    });
}

/// What Byzantine validators make of a chunk.
fn altered(kind: u64, mut chunk: Chunk) -> Chunk {
    let middle = chunk.pairs.len() / 2;
    match kind {
        0 => chunk.pairs[middle].1 = Bytes::from_static(b"mine"),
        1 => drop(chunk.pairs.remove(middle)),
        2 => chunk.pairs.swap(middle, middle + 1),
        3 => drop(chunk.pairs.pop()),
        4 => {
            let first = KeyHash::of(&chunk.pairs[0].0);
            let second = KeyHash::of(&chunk.pairs[1].0);
            let new = (0_u64..).map(|number| Bytes::from(number.to_be_bytes().to_vec()));
            let mut new = new.filter(|key| (first..second).contains(&KeyHash::of(key)));
            // Rarely far to find; if it is, the last one is left out instead.
            match new.by_ref().take(1).next() {
                Some(key) => chunk.pairs.insert(1, (key, Bytes::new())),
                None => drop(chunk.pairs.pop()),
            }
        }
        5 => chunk.path.clear(),
        6 => chunk.pairs.clear(),
        _ => chunk.pairs[0].0 = Bytes::from_static(b"another key"),
    }
    chunk
}

/// A world in which all but one validator offer false states.
fn with_byzantine_peers(seed: u64, tamper: fn(usize, usize, Message) -> Option<Message>) {
    let mut cluster = old_world(seed, near());
    cluster.tamper = tamper;
    // Blocks are not to be quicker than the one who tells the truth.
    cluster.blocks_from = Height(60);
    cluster.start(NEW);
    until_there(&mut cluster, NEW);
    assert_eq!(cluster.ledger(NEW).states_fetched(), 1);
    assert_eq!(
        cluster.ledger(NEW).ledger_state().unwrap().root(),
        cluster.ledger(0).ledger_state().unwrap().root()
    );
}

macro_rules! tampered {
    ($($name:ident: $kind:literal),+ $(,)?) => {$(
        #[test]
        fn $name() {
            with_byzantine_peers(40 + $kind, |from, _, message| Some(match message {
                Message::Sync(SyncMessage::Chunk(chunk)) if from != 2 => {
                    let chunk = altered($kind, *chunk);
                    Message::Sync(SyncMessage::Chunk(chunk.into()))
                }
                other => other,
            }));
        }
    )+};
}

tampered! {
    a_changed_value_is_refused: 0,
    an_entry_that_is_left_out_is_refused: 1,
    entries_in_another_order_are_refused: 2,
    a_shortened_chunk_is_refused: 3,
    an_added_entry_is_refused: 4,
    a_chunk_without_its_way_is_refused: 5,
    an_empty_chunk_is_refused: 6,
    a_changed_key_is_refused: 7,
}

#[test]
fn a_forged_point_or_end_of_an_epoch_is_refused() {
    with_byzantine_peers(60, |from, _, message| {
        Some(match message {
            Message::Sync(SyncMessage::Checkpoint(mut checkpoint)) if from != 2 => {
                match from {
                    0 => checkpoint.child.header.content.parent_state = sha256(b"mine"),
                    1 => checkpoint.block.content.time_ms += 1,
                    _ => drop(checkpoint.history.append(crate::merkle::LeafHash::of(b"x"))),
                };
                Message::Sync(SyncMessage::Checkpoint(checkpoint))
            }
            other => other,
        })
    });
    with_byzantine_peers(61, |from, _, message| {
        Some(match message {
            Message::Sync(SyncMessage::Epochs(mut ends)) if from != 2 => {
                match (from, ends.pop()) {
                    (_, None) => {}
                    (0, Some(mut end)) => {
                        end.finality.header.content.time_ms += 1;
                        ends.push(end);
                    }
                    (_, Some(mut end)) => {
                        end.finality.finalization.signatures.pop();
                        ends.push(end);
                    }
                }
                Message::Sync(SyncMessage::Epochs(ends))
            }
            other => other,
        })
    });
}

#[test]
fn a_validator_that_was_away_for_epochs_fetches_the_state_and_votes_again() {
    let mut params = Params::default();
    params.set(Param::EpochBlocks, 10).unwrap();
    let mut cluster = Cluster::new(
        70,
        Knobs {
            params,
            checkpoint_blocks: 8,
            fetch_behind: 20,
            ..Knobs::default()
        },
    );
    cluster.run_for(Span::from_millis(100));
    blocks(&mut cluster, 15);
    cluster.crash(3);
    blocks(&mut cluster, 90);
    cluster.start(3);
    until_there(&mut cluster, 3);
    assert_eq!(cluster.ledger(3).states_fetched(), 1);
    // Without it there is no quorum now.
    cluster.crash(1);
    let id = cluster.note(0, 800, 0, "with its vote");
    cluster.until("it votes", Span::from_secs(20), |world| {
        world.checker.is_final(&id)
    });
    cluster.start(1);
    cluster.must_progress(801, Span::from_secs(30));
}
