//! A trickle of single items: each gets its block, and nothing gets an empty one.

extern crate std;

use alloc::vec;

use super::cluster::{Cluster, Knobs};
use crate::bft::*;
use crate::types::Span;

/// Only what is wanted makes blocks.
const NEVER: Span = Span::from_secs(36_000);

fn quiet(knobs: Knobs) -> Knobs {
    Knobs {
        idle_block: NEVER,
        ..knobs
    }
}

/// Runs until an item is final at all validators.
fn until_final(cluster: &mut Cluster, item: &[u8]) {
    let has = |one: &Committed| one.block.items().iter().any(|kept| kept == item);
    let limit = cluster.now + Span::from_secs(10);
    while !cluster.slots.iter().all(|slot| slot.chain.iter().any(has)) {
        assert!(cluster.now < limit, "I10: not final within ten seconds");
        cluster.run_for(Span::from_millis(1));
    }
}

/// Submits items one after the other, each when the one before is final and a
/// pause is over; how many blocks of the first validator are empty.
fn empty_blocks(seed: u64, items: u64, pause: Span, knobs: Knobs) -> usize {
    let mut cluster = Cluster::new(seed, quiet(knobs));
    // Whoever starts begins with a block, wanted or not.
    cluster.run_for(Span::from_secs(1));
    let before = cluster.slots[0].chain.len();
    for number in 0..items {
        let item = number.to_be_bytes();
        cluster.submit(&item);
        until_final(&mut cluster, &item);
        cluster.run_for(pause);
    }
    let made = &cluster.slots[0].chain[before..];
    let is_empty = |one: &&Committed| one.block.items().is_empty();
    let empty = made.iter().filter(is_empty).count();
    assert_eq!(made.len() - empty, usize::try_from(items).unwrap());
    empty
}

#[test]
fn a_trickle_of_items_makes_no_empty_blocks() {
    let near = Knobs::default();
    let far = Knobs {
        delay_min: Span::from_millis(40),
        delay_max: Span::from_millis(45),
        ..Knobs::default()
    };
    let seven = Knobs {
        count: 7,
        ..Knobs::default()
    };
    let slow_disk = Knobs {
        disk_max: Span::from_millis(20),
        ..Knobs::default()
    };
    let alone = Knobs {
        count: 1,
        ..Knobs::default()
    };
    for (name, knobs) in [
        ("near", near),
        ("far", far),
        ("seven", seven),
        ("slow disk", slow_disk),
        ("alone", alone),
    ] {
        for pause in [0, 30, 400] {
            let empty = empty_blocks(21, 50, Span::from_millis(pause), knobs.clone());
            assert_eq!(empty, 0, "{name}, pause {pause} ms: empty blocks");
        }
    }
}

#[test]
fn a_trickle_over_a_network_that_is_as_slow_as_reckoned_with_flows() {
    let knobs = Knobs {
        delay_min: Span::from_millis(80),
        delay_max: Span::from_millis(99),
        ..Knobs::default()
    };
    let empty = empty_blocks(22, 50, Span::from_millis(30), knobs);
    std::println!("bft: {empty} empty blocks for 50 items, delays at their limit");
    assert!(empty <= 50, "{empty} empty blocks");
}

#[test]
fn an_item_that_comes_while_the_leader_holds_back_is_proposed_at_once() {
    let delay = Span::from_millis(50);
    let mut cluster = Cluster::new(
        23,
        quiet(Knobs {
            delay_min: delay,
            delay_max: delay,
            disk_max: Span::ZERO,
            ..Knobs::default()
        }),
    );
    cluster.run_for(Span::from_secs(1));
    cluster.submit(b"first");
    // Notarised everywhere after two delays, final after three.
    cluster.run_for(Span::from_millis(110));
    assert!(!cluster.checker.is_final(b"first"));
    let begin = cluster.now;
    cluster.submit(b"second");
    until_final(&mut cluster, b"second");
    let took = cluster.now.saturating_since(begin);
    assert!(took.as_millis() <= 3 * 50 + 4, "final after {took}");
}

#[test]
fn who_is_told_again_and_again_that_something_waits_soon_proposes() {
    // The application says that something waits, and has nothing for a block.
    let mut cluster = Cluster::new(26, quiet(Knobs::default()));
    cluster.run_for(Span::from_secs(1));
    let before = cluster.lowest();
    cluster.submit(b"first");
    let begin = cluster.now;
    while cluster.lowest() == before {
        cluster.run_for(Span::from_millis(1));
        for slot in 0..4 {
            cluster.step(slot, Event::Pending { waiting: true });
        }
    }
    for _ in 0..60 {
        for slot in 0..4 {
            cluster.step(slot, Event::Pending { waiting: true });
        }
        cluster.run_for(Span::from_millis(1));
    }
    let took = cluster.now.saturating_since(begin);
    assert!(cluster.lowest() > before + 1, "no second block in {took}");
}

#[test]
fn with_losses_an_item_is_final_within_a_few_views() {
    // Some give a view up in which others notarise: then the block is final by the
    // next one only, and the leader of that does not hold it back.
    let mut slowest = Span::ZERO;
    for seed in 0..40 {
        let mut cluster = Cluster::new(
            seed,
            quiet(Knobs {
                loss_percent: 20,
                ..Knobs::default()
            }),
        );
        cluster.run_for(Span::from_secs(1));
        let begin = cluster.now;
        cluster.submit(b"lossy");
        until_final(&mut cluster, b"lossy");
        slowest = slowest.max(cluster.now.saturating_since(begin));
    }
    std::println!("bft: with every fifth message lost an item is final after {slowest} at most");
    assert!(slowest < Span::from_secs(3), "{slowest}");
}

#[test]
fn a_dead_leader_behind_a_block_delays_nothing() {
    // Whoever leads after the item's block is dead: the item is final all the same,
    // and the living sleep when they know.
    for dead in 0..4 {
        let mut cluster = Cluster::new(24, quiet(Knobs::default()));
        cluster.run_for(Span::from_secs(1));
        cluster.crash(dead);
        cluster.gone.insert(dead);
        for number in 0..8_u64 {
            cluster.submit(&number.to_be_bytes());
            let limit = cluster.now + Span::from_secs(3);
            while !cluster.checker.is_final(&number.to_be_bytes()) {
                assert!(cluster.now < limit, "I10: {dead} is dead");
                cluster.run_for(Span::from_millis(1));
            }
        }
        cluster.run_for(Span::from_secs(2));
        let messages = cluster.messages;
        cluster.run_for(Span::from_secs(10));
        assert_eq!(cluster.messages, messages, "the living are not asleep");
    }
}

#[test]
fn who_missed_the_finalization_wakes_those_who_rest() {
    let knobs = quiet(Knobs {
        idle_block: NEVER,
        ..Knobs::default()
    });
    let mut cluster = Cluster::new(25, knobs);
    cluster.run_for(Span::from_secs(1));
    // Nobody tells slot 3 how the view of the item ends.
    cluster.filter = |message, to| {
        let is_final = match message {
            Message::Vote(vote) => vote.statement.kind == VoteKind::Finalize,
            Message::Cert(cert) => cert.statement.kind == VoteKind::Finalize,
            _ => false,
        };
        !(to == 3 && is_final)
    };
    cluster.submit(b"missed");
    cluster.run_for(Span::from_millis(150));
    assert!(cluster.checker.is_final(b"missed"));
    let heights = vec![0, 1, 2, 3].into_iter().map(|slot: usize| {
        let bft = cluster.slots[slot].bft.as_ref().unwrap();
        bft.committed().height.0
    });
    let heights: alloc::vec::Vec<u64> = heights.collect();
    assert!(heights[3] < heights[0], "slot 3 knows nothing: {heights:?}");
    cluster.filter = |_, _| true;
    cluster.run_for(Span::from_secs(1));
    assert_eq!(cluster.lowest(), cluster.checker.blocks);
}
