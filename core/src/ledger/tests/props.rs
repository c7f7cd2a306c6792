//! Seeds with every fault on.

extern crate std;

use super::cluster::{Cluster, Knobs, MILD, note};
use crate::ledger::{Ledger, Param, Params, Request};
use crate::rig::Faults;
use crate::types::Span;

fn run(seed: u64) -> Cluster {
    let mut params = Params::default();
    params.set(Param::EpochBlocks, 3 + seed % 30).unwrap();
    let shapes: [&[u64]; 4] = [
        &[1, 1, 1, 1],
        &[3, 1, 1, 1],
        &[2, 2, 2],
        &[1, 1, 1, 1, 1, 1, 1],
    ];
    let knobs = Knobs {
        clusters: shapes[usize::try_from(seed % 4).unwrap()].to_vec(),
        followers: seed % 2,
        faults: Faults {
            loss_percent: seed % 5 * 4,
            crash_permille: seed % 3 * 4,
            ..MILD
        },
        params,
        // Half of the worlds fetch states at every opportunity.
        checkpoint_blocks: 4,
        fetch_behind: if seed.is_multiple_of(2) { 8 } else { 10_000 },
        // One of each shape keeps all, or nobody who lost much could come back.
        retain: alloc::vec![0, 9, 5],
        ..Knobs::default()
    };
    let mut cluster = Cluster::new(seed, knobs);
    cluster.run_for(Span::from_millis(200));
    let count = u64::try_from(cluster.slots.len()).unwrap();
    for round in 0..25 {
        for account in 0..3 {
            let slot = usize::try_from(cluster.random(count)).unwrap();
            let (transaction, _) = cluster.sign(100 + account, round, alloc::vec![note("n")]);
            let wait = cluster.random(2) == 0;
            cluster.request(slot, Request::Submit { transaction, wait });
        }
        if cluster.random(8) == 0 {
            let slot = usize::try_from(cluster.random(count)).unwrap();
            let node = cluster.slots[slot].node;
            cluster.cut.insert(node);
        }
        if cluster.random(4) == 0 {
            cluster.cut.clear();
        }
        cluster.run_for(Span::from_millis(200));
    }
    cluster.must_progress(200, Span::from_secs(60));
    for slot in &cluster.slots {
        assert_eq!(slot.halted(), None, "seed {seed}");
    }
    cluster
}

/// Says how to run a seed again, if the test ends in it.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let seed = self.0;
            std::println!(
                "again: DECUBE_SEEDS={seed}..{} cargo test -p core ledger::tests::props",
                seed + 1
            );
        }
    }
}

/// The seeds to run: `DECUBE_SEEDS=FROM..TO`, or a few.
fn seeds() -> core::ops::Range<u64> {
    let given = std::env::var("DECUBE_SEEDS").ok();
    let range = given.as_deref().and_then(|text| text.split_once(".."));
    let ends = range.and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    ends.unwrap_or(0..40)
}

#[test]
fn nodes_agree_on_every_state_under_faults() {
    let (mut blocks, mut epochs, mut fetched) = (0, 0, 0);
    let seeds = seeds();
    for seed in seeds.clone() {
        let _named = Seed(seed);
        let cluster = run(seed);
        blocks += cluster.lowest().0;
        epochs += cluster.epoch(0).0;
        let ledgers = cluster
            .slots
            .iter()
            .filter_map(|slot| slot.machine.as_ref());
        fetched += ledgers.map(Ledger::states_fetched).sum::<u64>();
    }
    std::println!(
        "ledger faults: seeds {seeds:?}, {blocks} blocks final, {epochs} epochs, {fetched} states \
         fetched in the last lives"
    );
}
