//! A trickle of transactions over all of the ledger: who waits for one at a time.

extern crate std;

use alloc::vec;

use super::cluster::{Cluster, Knobs, MILD, note};
use crate::bft::Height;
use crate::ledger::*;
use crate::rig::Faults;
use crate::types::Span;

/// The final blocks of the first node above a height that hold nothing.
fn empty_above(cluster: &mut Cluster, height: Height) -> (u64, u64) {
    let tip = cluster.ledger(0).tip().unwrap().height;
    let mut empty = 0;
    for height in height.0 + 1..=tip.0 {
        let height = Some(Height(height));
        let Response::Block(block) = cluster.ask(0, Request::Block { height }) else {
            panic!("the block is there");
        };
        empty += u64::from(block.block.items().is_empty());
    }
    (empty, tip.0 - height.0)
}

#[test]
fn transactions_one_after_the_other_get_a_block_each_and_no_empty_ones() {
    for (pause, disk) in [(0, 2), (50, 2), (300, 10)] {
        let knobs = Knobs {
            faults: Faults {
                disk_max: Span::from_millis(disk),
                ..MILD
            },
            ..Knobs::default()
        };
        let mut cluster = Cluster::new(31, knobs);
        cluster.run_for(Span::from_secs(1));
        let before = cluster.ledger(0).tip().unwrap().height;
        let count = 40;
        for sequence in 0..count {
            let (transaction, _) = cluster.sign(100, sequence, vec![note("one")]);
            let slot = usize::try_from(sequence % 4).unwrap();
            let request = Request::Submit {
                transaction,
                wait: true,
            };
            let response = cluster.ask(slot, request);
            assert!(matches!(response, Response::Transaction(_)), "{response:?}");
            cluster.run_for(Span::from_millis(pause));
        }
        cluster.run_for(Span::from_millis(500));
        let (empty, all) = empty_above(&mut cluster, before);
        std::println!("ledger: {all} blocks for {count} transactions, {empty} of them empty");
        assert_eq!(all - empty, count, "a block each");
        // The idle ledger makes a block every two seconds here.
        assert!(
            empty <= 2 + count * pause / 2000,
            "pause {pause}: {empty} empty blocks"
        );
    }
}
