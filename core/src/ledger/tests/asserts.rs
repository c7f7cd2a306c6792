//! The node's own asserts. Each test breaks one thing by hand and expects the assert
//! that stands for it. Where the node stands is broken in `asserts_place.rs`. What is
//! private to a part is broken in the other files of that name, and in the tests of the pool.

extern crate std;

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::cluster::{Cluster, Knobs};
use crate::bft::{self, Epoch, Height};
use crate::crypto::sha256;
use crate::io::Done;
use crate::ledger::chain::pruning::Pruning;
use crate::ledger::execution::branch::{Branch, Branches};
use crate::ledger::reads::Purpose;
use crate::ledger::state::{Inner, Running};
use crate::ledger::*;
use crate::limits::{
    BLOCKS_OPEN_MAX, BRANCHES_OPEN_MAX, LEDGER_FOLLOWERS_MAX, LEDGER_HELPED_MAX,
    LEDGER_READERS_MAX, LEDGER_READS_MAX, LEDGER_READS_SERVED_MAX, LEDGER_WAITS_MAX,
};
use crate::machine::{Machine as _, Outbox};
use crate::store::StoreSeq;
use crate::types::{NodeId, RequestId, Span, Time};
use crate::wal::WalSeq;

/// A cluster of four with a few final blocks.
pub fn running() -> Cluster {
    let mut cluster = Cluster::new(3, Knobs::default());
    cluster.run_for(Span::from_millis(100));
    for sequence in 0..3 {
        let id = cluster.note(0, 100, sequence, "before it breaks");
        cluster.until("a note", Span::from_secs(10), |world| {
            world.checker.is_final(&id)
        });
    }
    cluster.run_for(Span::from_secs(1));
    cluster
}

/// One node of it, taken out. Everything is checked after its next step.
pub fn node() -> Ledger {
    let mut ledger = running().slots[0].machine.take().expect("it runs");
    ledger.steps = 0;
    ledger.check_invariants();
    ledger
}

pub fn parts(ledger: &mut Ledger) -> &mut Running {
    ledger.phase.running_mut().expect("it runs")
}

fn wait(ledger: &mut Ledger, request: u64) {
    let id = TxId(sha256(&request.to_be_bytes()));
    ledger.waits.insert(RequestId(request), id, Time(u64::MAX));
}

/// Each test gets a node of four that runs.
#[test]
fn blocks_that_nobody_keeps_are_not_waited_for() {
    let mut ledger = node();
    let block = Arc::new(crate::golden::samples::block());
    for number in 0..4 * BLOCKS_OPEN_MAX {
        let number = u64::try_from(number).unwrap();
        ledger.keep_early(TimeMs(u64::MAX - number), sha256(&number.to_be_bytes()));
        ledger.park(block.clone());
    }
    assert!(
        ledger.early.len() <= BLOCKS_OPEN_MAX,
        "the validator has forgotten them"
    );
    assert!(ledger.parked.blocks.len() <= BLOCKS_OPEN_MAX);
}

/// Each test gets a node, breaks its state, and sees the rule that stops it.
macro_rules! stopped {
    ($($name:ident: $rule:literal, |$ledger:ident| $break:block)+) => {$(
        #[test]
        #[should_panic(expected = $rule)]
        fn $name() {
            let mut ledger = node();
            let $ledger = &mut ledger;
            $break
            ledger.check_invariants();
        }
    )+};
}
pub(in crate::ledger) use stopped;

stopped! {
    a_step_leaves_nothing_behind: "a step leaves no effect behind", |ledger| {
        let effect = bft::Effect::Broadcast { message: bft::Message::AskStatus };
        ledger.queue.push_back(Inner::Bft(effect));
    }
    the_store_is_given_the_tip: "G1: the store is given the tip", |ledger| {
        ledger.storage.tip.height = Height(0);
    }
    the_tiles_are_of_the_tip: "G1: the tiles are of the tip", |ledger| {
        ledger.storage.history.append(sha256(b"another block"));
    }
    the_root_of_the_epoch_is_stored: "G1: the store knows what the epoch rests on", |ledger| {
        ledger.storage.epoch_root = sha256(b"another root");
    }
    only_final_blocks_are_pruned: "G1: only what is final is pruned", |ledger| {
        ledger.storage.pruning = Pruning::resume(Height(1 << 40));
    }
    waiting_clients_are_bounded: "G2: waiting clients", |ledger| {
        let many = u64::try_from(LEDGER_WAITS_MAX).unwrap() + 1;
        (0..many).for_each(|request| wait(ledger, request));
    }
    following_clients_are_bounded: "G2: following clients", |ledger| {
        let many = u64::try_from(LEDGER_FOLLOWERS_MAX).unwrap() + 1;
        ledger.followers.extend((0..many).map(RequestId));
    }
    reads_are_bounded: "G2: reads", |ledger| {
        let most = LEDGER_READS_MAX + LEDGER_READS_SERVED_MAX + LEDGER_READERS_MAX + 1;
        for request in (0..).take(most + 1) {
            ledger.reads.begin(Purpose::Block(RequestId(request)));
        }
    }
    parked_blocks_are_bounded: "G2: parked blocks", |ledger| {
        let block = Arc::new(crate::golden::samples::block());
        ledger.parked.blocks = alloc::vec![block; BRANCHES_OPEN_MAX + 1];
    }
    early_blocks_are_bounded: "G2: early blocks", |ledger| {
        for time in (0..).take(BRANCHES_OPEN_MAX + 1) {
            ledger.early.insert((TimeMs(time), sha256(b"block")));
        }
    }
    helped_peers_are_bounded: "G2: helped peers", |ledger| {
        let many = u128::try_from(LEDGER_HELPED_MAX).unwrap() + 1;
        ledger.helped.extend((0..many).map(|node| (NodeId(node), Time(0))));
    }
    each_waits_once: "G5: a request waits once", |ledger| {
        wait(ledger, 7);
        wait(ledger, 7);
    }
    each_has_one_deadline: "G5: one deadline each", |ledger| {
        wait(ledger, 7);
        ledger.waits.deadlines.clear();
    }
    each_waits_for_one_operation: "G5: each waits for one operation", |ledger| {
        wait(ledger, 7);
        ledger.waits.by_id.clear();
    }
    each_has_its_deadline: "G5: whoever waits has its deadline", |ledger| {
        wait(ledger, 7);
        ledger.waits.deadlines = BTreeSet::from([(Time(5), RequestId(7))]);
    }
    whoever_waits_is_told: "G5: whoever waits is told", |ledger| {
        wait(ledger, 7);
        let waiting: Vec<RequestId> = alloc::vec![RequestId(8)];
        ledger.waits.by_id.values_mut().for_each(|all| *all = waiting.clone());
    }
    peers_are_read_for_once: "G5: one read for each peer", |ledger| {
        ledger.reads.begin(Purpose::Serve(NodeId(1)));
        ledger.reads.begin(Purpose::Ends(NodeId(1), Epoch(0)));
        ledger.reads.begin_serving(NodeId(1), false);
    }
    who_is_read_for_is_served: "G5: who is read for is served", |ledger| {
        ledger.reads.begin(Purpose::Serve(NodeId(1)));
        ledger.reads.begin_serving(NodeId(2), false);
    }
    the_store_does_what_it_was_given: "G7: the store has what it was given", |ledger| {
        let done = Done::Committed { seq: StoreSeq(u64::MAX) };
        ledger.step(ledger.now, Event::Io(done), &mut Outbox::new());
    }
    only_what_was_written_is_durable: "G7: only what was written is durable", |ledger| {
        ledger.on_wal_durable(WalSeq(u64::MAX));
    }
    what_is_synced_is_under_way: "G7: what is synced is under way", |ledger| {
        let tip = ledger.storage.tip;
        ledger.storage.note_syncing(StoreSeq(u64::MAX), Epoch(0), tip);
    }
    only_final_blocks_are_synced: "G7: only what is final is synced", |ledger| {
        let mut tip = ledger.storage.tip;
        tip.height = tip.height.next();
        let seq = ledger.commit_to_store(Vec::new(), true, &mut Outbox::new());
        ledger.storage.note_syncing(seq, Epoch(0), tip);
    }
    the_log_of_an_epoch_is_taken_up: "G8: what the log held of an epoch", |ledger| {
        ledger.later_epochs.insert(Epoch(0), Vec::new());
    }
    one_validator_of_an_epoch: "one validator of an epoch", |ledger| {
        let start = parts(ledger).bft.epoch().clone();
        ledger.begin_epoch(start, bft::Recovered::default());
    }
    an_epoch_follows_the_last: "G8: epochs follow each other", |ledger| {
        let tip = parts(ledger).tip().clone();
        let header = crate::golden::samples::header();
        ledger.hand_over(&tip, &header);
    }
    blocks_are_kept_in_order: "G4: no block is left out", |ledger| {
        let block = ledger.recent.last().expect("a block").clone();
        ledger.recent.push(block, &[]);
    }
}

/// A node in a later epoch, with a header that ends the epoch before. Whether it is
/// the last block of that is up to the caller.
pub fn node_of_later_epoch(is_last: bool) -> (Ledger, bft::Header) {
    let mut params = Params::default();
    params.set(Param::EpochBlocks, 3).unwrap();
    let knobs = Knobs {
        params,
        ..Knobs::default()
    };
    let mut cluster = Cluster::new(5, knobs);
    cluster.run_for(Span::from_millis(100));
    for sequence in 0.. {
        let id = cluster.note(0, 100, sequence, "on with the epoch");
        cluster.until("a note", Span::from_secs(10), |world| {
            world.checker.is_final(&id)
        });
        let ledger = cluster.ledger(0);
        let (state, tip) = (
            ledger.ledger_state().unwrap().epoch(),
            ledger.tip().unwrap(),
        );
        if state.epoch > Epoch(0) && (state.root_height == tip.height) == is_last {
            break;
        }
    }
    let ledger = cluster.slots[0].machine.take().expect("it runs");
    let epoch = ledger.ledger_state().unwrap().epoch().epoch;
    let header = bft::Header {
        epoch: Epoch(epoch.0 - 1),
        ..crate::golden::samples::header()
    };
    (ledger, header)
}

#[test]
#[should_panic(expected = "G8: an epoch rests on the last block of the one before")]
fn an_epoch_rests_on_the_last_block() {
    let (mut ledger, header) = node_of_later_epoch(false);
    let tip = parts(&mut ledger).tip().clone();
    ledger.hand_over(&tip, &header);
}

#[test]
#[should_panic(expected = "G8: the set is the one that the header names")]
fn the_set_is_the_one_that_was_named() {
    let (mut ledger, header) = node_of_later_epoch(true);
    let tip = parts(&mut ledger).tip().clone();
    ledger.hand_over(&tip, &header);
}

/// What a head must not do, by the head that does it.
macro_rules! backwards {
    ($($name:ident: $rule:literal, |$ledger:ident| $break:block)+) => {$(
        #[test]
        #[should_panic(expected = $rule)]
        fn $name() {
            let mut ledger = node();
            let before = ledger.heads();
            let $ledger = &mut ledger;
            $break
            ledger.assert_forward(before.as_ref());
        }
    )+};
}

backwards! {
    the_base_only_rises: "G3: what is pruned stays away", |ledger| {
        ledger.storage.pruning = Pruning::resume(Height(0));
    }
    the_history_grows: "G3: the history grows", |ledger| {
        ledger.storage.history = crate::ledger::chain::history::History::default();
    }
    what_is_final_stays: "G3: what is final stays", |ledger| {
        let genesis = ledger.config.genesis.clone();
        let ledger_state = LedgerState::genesis(&genesis).unwrap();
        let first = Branch::genesis(genesis.hash(), genesis.time, ledger_state);
        let verifier = ledger.config.verifier.clone();
        let branches = Branches::new(ledger.chain, verifier, Arc::new(first));
        parts(ledger).branches = branches;
    }
    reads_count_upwards: "G3: reads count upwards", |ledger| {
        ledger.reads = crate::ledger::reads::Reads::default();
    }
}

#[test]
fn a_step_that_breaks_nothing_goes_through() {
    let mut ledger = node();
    for _ in 0..8 {
        ledger.step(ledger.now, Event::Wake, &mut Outbox::new());
    }
    assert!(!ledger.has_ended());
}
