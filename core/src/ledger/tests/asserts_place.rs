//! Where a node stands, broken by hand: its validator, its state and its store speak of
//! one block and one epoch. And what it is given: times, reads, heads.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::asserts::{node, parts, stopped};
use crate::bft::{Epoch, EpochStart, Height};
use crate::codec::Decode as _;
use crate::crypto::sha256;
use crate::ledger::chain::history::{History, HistoryImage};
use crate::ledger::chain::pruning::Pruning;
use crate::ledger::chain::record::{HEAD_KEY, Head, only};
use crate::ledger::execution::branch::{Branch, Branches};
use crate::ledger::execution::executor::Executed;
use crate::ledger::execution::ledger_state::{Changes, EpochState, Rules};
use crate::ledger::reads::Purpose;
use crate::ledger::{Event, Ledger};
use crate::limits::STORE_READ_BYTES_MAX;
use crate::machine::{Machine as _, Outbox};
use crate::store::StoreOp;
use crate::types::{NodeId, RequestId, Time};

/// The tip once more, in an epoch that rests on it and that may be changed.
fn stand(ledger: &mut Ledger, change: impl FnOnce(&mut EpochState, &mut EpochStart)) {
    let tip = parts(ledger).tip().clone();
    let rules = tip.ledger_state().rules();
    let mut state = (*rules.epoch).clone();
    let mut start = parts(ledger).bft.epoch().clone();
    state.root_height = tip.height;
    start.root_height = tip.height;
    change(&mut state, &mut start);
    let rules = Rules {
        epoch: Arc::new(state),
        ..rules.clone()
    };
    let ledger_state = tip.ledger_state().with(&Changes::new(), rules);
    let executed = Executed {
        ledger_state,
        ..tip.executed.clone()
    };
    let mut branch = copy_of(&tip);
    branch.executed = executed;
    be_at(ledger, branch);
    let validator = ledger.validator_of(start);
    parts(ledger).bft = validator;
}

fn copy_of(branch: &Branch) -> Branch {
    Branch {
        hash: branch.hash,
        height: branch.height,
        time: branch.time,
        history: branch.history.clone(),
        executed: branch.executed.clone(),
        transactions: Vec::new(),
    }
}

fn be_at(ledger: &mut Ledger, branch: Branch) {
    let (chain, verifier) = (ledger.chain, ledger.config.verifier.clone());
    parts(ledger).branches = Branches::new(chain, verifier, Arc::new(branch));
}

/// The head that a store would hold.
fn head(ledger: &mut Ledger) -> Head {
    let tip = parts(ledger).tip().clone();
    match ledger.head_op(Epoch(0), &tip) {
        StoreOp::Put { value, .. } => Head::from_bytes(&value).expect("a head"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_node_may_stand_at_the_root_of_its_epoch() {
    let mut ledger = node();
    stand(&mut ledger, |_, _| {});
    ledger.check_invariants();
}

stopped! {
    one_hash_for_each_block: "G1: one hash for each block", |ledger| {
        let mut branch = copy_of(&parts(ledger).tip().clone());
        branch.history = crate::merkle::Frontier::default();
        be_at(ledger, branch);
    }
    what_is_committed_is_ahead: "G1: what is committed and not durable yet", |ledger| {
        stand(ledger, |state, start| {
            state.root_height = Height(0);
            start.root_height = Height(0);
        });
    }
    one_epoch: "G1: one epoch", |ledger| {
        stand(ledger, |_, start| start.epoch = Epoch(9));
    }
    one_set_of_validators: "G1: one set of validators", |ledger| {
        stand(ledger, |_, _| {});
        parts(ledger).bft.miscount();
    }
    one_root: "G1: one root", |ledger| {
        stand(ledger, |_, start| start.root_height = start.root_height.next());
    }
    the_root_is_final: "G1: the root is final", |ledger| {
        stand(ledger, |state, start| {
            state.root_height = state.root_height.next();
            start.root_height = state.root_height;
        });
    }
    somebody_votes: "somebody votes", |ledger| {
        stand(ledger, |state, _| state.validators = None);
    }
    powers_add_up: "G8: powers add up", |ledger| {
        let counted = parts(ledger).bft.epoch().validators.clone();
        let miscounted = parts(ledger).bft.miscount();
        stand(ledger, |state, start| {
            state.validators = Some(miscounted);
            start.validators = counted;
        });
        parts(ledger).bft.miscount();
    }
    no_epoch_comes_again: "G3: no epoch comes again", |ledger| {
        stand(ledger, |_, start| start.epoch = Epoch(9));
        let before = ledger.heads();
        stand(ledger, |_, start| start.epoch = Epoch(0));
        ledger.assert_forward(before.as_ref());
    }
    the_base_only_rises: "the base only rises", |ledger| {
        ledger.storage.pruning = Pruning::resume(Height(1 << 40));
        drop(ledger.prune());
    }
    the_head_is_the_tip: "the head is the tip", |ledger| {
        ledger.storage.tip.hash = sha256(b"another block");
        head(ledger);
    }
    the_head_has_its_tiles: "with its tiles", |ledger| {
        ledger.storage.history = History::default();
        head(ledger);
    }
    nothing_more_is_read_of_the_history: "nothing more was asked for", |ledger| {
        let mut image = HistoryImage::new(alloc::boxed::Box::new(head(ledger)));
        while image.next().is_some() {
            image.take(&[]);
        }
        image.take(&[]);
    }
    every_read_is_bounded: "every read is bounded", |ledger| {
        let range = only(bytes::Bytes::from_static(HEAD_KEY));
        let purpose = Purpose::Block(RequestId(1));
        ledger.read(purpose, range, STORE_READ_BYTES_MAX + 1, &mut Outbox::new());
    }
    time_never_runs_backwards: "time never runs backwards", |ledger| {
        ledger.step(Time(ledger.now.0 - 1), Event::Wake, &mut Outbox::new());
    }
    a_node_starts_once: "a node starts once", |ledger| {
        ledger.step(ledger.now, Event::Start { is_used: true }, &mut Outbox::new());
    }
    a_node_has_the_id_of_its_key: "a node signs with the key that its id follows from", |ledger| {
        let mut config = ledger.config.clone();
        config.node = NodeId(1);
        drop(Ledger::new(config));
    }
}
