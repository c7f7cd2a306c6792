//! Laws, over random schedules: every fault on, then healing, then progress.

extern crate std;

use alloc::format;
use alloc::vec;

use super::cluster::{Cluster, Knobs};
use crate::bft::Relay;
use crate::types::Span;

/// One run: faults and load for a while, then a healed world that must progress.
pub fn run(seed: u64, knobs: Knobs) -> Cluster {
    let mut cluster = Cluster::new(seed, knobs);
    for round in 0..8_u64 {
        let item = format!("item {round}");
        if cluster.random(3) > 0 {
            cluster.submit(item.as_bytes());
        }
        cluster.cut.clear();
        if cluster.random(3) == 0 {
            partition(&mut cluster);
        }
        let pause = 50 + cluster.random(1500);
        cluster.run_for(Span::from_millis(pause));
    }
    cluster.must_progress(b"last", Span::from_secs(20));
    cluster
}

/// Some hear some, in one direction or in both.
fn partition(cluster: &mut Cluster) {
    let count = cluster.slots.len();
    for from in 0..count {
        for to in 0..count {
            if cluster.random(3) == 0 {
                cluster.cut.insert((from, to));
            }
        }
    }
}

/// Faults drawn from the seed.
pub fn faults(seed: u64) -> Knobs {
    Knobs {
        count: [4, 4, 5, 6, 7][usize::try_from(seed % 5).unwrap()],
        loss_percent: [0, 5, 30][usize::try_from(seed / 5 % 3).unwrap()],
        duplicate_percent: 10,
        crash_percent: 5 * (seed % 3),
        delay_max: Span::from_millis([5, 60, 200][usize::try_from(seed / 3 % 3).unwrap()]),
        relay: if seed.is_multiple_of(4) {
            Relay::Flood
        } else {
            Relay::Sparse
        },
        ..Knobs::default()
    }
}

/// How many seeds each law is tried with.
const SEEDS: u64 = 60;

#[test]
fn honest_validators_agree_and_progress_under_faults() {
    let mut blocks = 0;
    for seed in 0..SEEDS {
        blocks += run(seed, faults(seed)).checker.blocks - 10;
    }
    std::println!("bft faults: {SEEDS} seeds, {blocks} blocks final");
}

#[test]
fn as_many_byzantine_as_tolerated_change_nothing() {
    let mut blocks = 0;
    let mut convicted = 0;
    for seed in 0..SEEDS {
        let mut knobs = faults(seed);
        knobs.byzantine = if knobs.count == 7 {
            vec![2, 5]
        } else {
            vec![seed % 4]
        };
        let cluster = run(seed, knobs);
        blocks += cluster.checker.blocks - 10;
        convicted += cluster.checker.convicted.len();
    }
    std::println!(
        "bft: {SEEDS} seeds, {blocks} blocks final, {convicted} Byzantine validators convicted"
    );
    assert!(
        convicted > 0,
        "the Byzantine validators deviate and are found"
    );
}

#[test]
fn twins_of_one_key_change_nothing() {
    let mut blocks = 0;
    for seed in 0..SEEDS {
        let mut knobs = faults(seed);
        knobs.twins = vec![seed % 4];
        blocks += run(seed, knobs).checker.blocks - 10;
    }
    std::println!("bft twins: {SEEDS} seeds, {blocks} blocks final");
}
