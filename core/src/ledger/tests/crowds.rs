//! Strangers under ever new names: what is kept of them has a bound, and whoever is honest
//! is served all the same.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use super::asserts::{node, node_of_later_epoch, parts};
use crate::bft::{self, Epoch, Height, View};
use crate::golden::samples;
use crate::io::Io;
use crate::ledger::state_sync::SyncMessage;
use crate::ledger::*;
use crate::limits::{
    LEDGER_FETCH_OUTSIDERS_MAX, LEDGER_FETCH_SHUNNED_MAX, LEDGER_HELPED_MAX, LEDGER_READS_MAX,
    LEDGER_READS_SERVED_MAX, VALIDATORS_MAX,
};
use crate::machine::{Machine as _, Outbox};
use crate::types::{NodeId, RequestId, Time};

fn hear(ledger: &mut Ledger, now: Time, from: NodeId, message: Message) -> Vec<Effect> {
    let mut out = Outbox::new();
    ledger.step(now, Event::Message { from, message }, &mut out);
    out.drain().collect()
}

/// Something that is sent in an epoch, and proves nothing.
const fn sent_in(epoch: Epoch) -> Message {
    let view = View(1);
    Message::Bft(bft::Message::AskCerts { epoch, view })
}

fn strangers(count: usize) -> impl Iterator<Item = NodeId> {
    (1..).map(NodeId).take(count)
}

fn validators(ledger: &mut Ledger) -> Vec<NodeId> {
    let me = ledger.config().node;
    let set = parts(ledger).bft.epoch().validators.clone();
    let nodes = set.iter().map(|(_, validator)| validator.node);
    nodes.filter(|node| *node != me).collect()
}

#[test]
fn who_is_behind_is_helped_whoever_else_claims_to_be() {
    let (mut ledger, _) = node_of_later_epoch(false);
    let is_helped = |effects: &[Effect], who: NodeId| {
        effects.iter().any(|effect| {
            let Effect::Send { to, message } = effect else {
                return false;
            };
            *to == who && matches!(message, Message::Bft(bft::Message::Status(_)))
        })
    };
    let now = ledger.now;
    // Another node may have been helped just before.
    ledger.helped.clear();
    let mut helped = 0;
    for from in strangers(3 * LEDGER_HELPED_MAX) {
        let effects = hear(&mut ledger, now, from, sent_in(Epoch(0)));
        helped += usize::from(is_helped(&effects, from));
    }
    assert_eq!(helped, LEDGER_HELPED_MAX, "so many in one delay");
    let honest = validators(&mut ledger)[0];
    let effects = hear(&mut ledger, now, honest, sent_in(Epoch(0)));
    assert!(!is_helped(&effects, honest), "it is to say it again");
    let later = now + ledger.config().timing.delta;
    let effects = hear(&mut ledger, later, honest, sent_in(Epoch(0)));
    assert!(is_helped(&effects, honest));
    let effects = hear(&mut ledger, later, honest, sent_in(Epoch(0)));
    assert!(!is_helped(&effects, honest), "once in a delay");
}

/// Whom a node asks how epochs ended.
fn asked(effects: &[Effect]) -> Option<NodeId> {
    effects.iter().find_map(|effect| match effect {
        Effect::Send {
            to,
            message: Message::Sync(SyncMessage::AskEpochs { .. }),
        } => Some(*to),
        _ => None,
    })
}

/// The names are in order, and all below those of validators: each is next after the one
/// that has just made a false claim.
#[test]
fn who_falsely_claims_to_be_ahead_does_not_keep_the_validators_from_being_asked() {
    let mut ledger = node();
    let (now, far) = (ledger.now, Epoch(1_000_000));
    let claim = || Message::Sync(SyncMessage::Epochs(vec![samples::epoch_end()]));
    let first = hear(&mut ledger, now, NodeId(1), sent_in(far));
    let mut present = asked(&first).expect("it fetches the state");
    let mut seen = BTreeSet::new();
    for next in 2..500 {
        let stranger = NodeId(next);
        seen.insert(present);
        hear(&mut ledger, now, stranger, sent_in(far));
        let Some(next) = asked(&hear(&mut ledger, now, present, claim())) else {
            break;
        };
        assert!(ledger.sync.shunned() <= LEDGER_FETCH_SHUNNED_MAX);
        present = next;
    }
    let validators = validators(&mut ledger);
    assert!(
        validators.iter().all(|node| seen.contains(node)),
        "{seen:?}"
    );
    assert_eq!(seen.len(), LEDGER_FETCH_OUTSIDERS_MAX + validators.len());
}

/// What the node reads in the store.
fn reads(effects: &[Effect]) -> usize {
    let is_read = |effect: &&Effect| matches!(effect, Effect::Io(Io::Read { .. }));
    effects.iter().filter(is_read).count()
}

#[test]
fn neither_strangers_nor_clients_take_up_the_reads_of_others() {
    let mut ledger = node();
    let now = ledger.now;
    let ask = || Message::Sync(SyncMessage::AskEpochs { from: Epoch(0) });
    let mut served = 0;
    for from in strangers(3 * LEDGER_READS_SERVED_MAX) {
        served += reads(&hear(&mut ledger, now, from, ask()));
    }
    assert_eq!(served, LEDGER_READS_SERVED_MAX - VALIDATORS_MAX);
    let (mut read, mut busy) = (0, 0);
    for number in (0..).take(2 * LEDGER_READS_MAX) {
        let (id, height) = (RequestId(number), Height(0));
        let request = Request::Header { height };
        let mut out = Outbox::new();
        ledger.step(now, Event::Request { id, request }, &mut out);
        let effects: Vec<Effect> = out.drain().collect();
        read += reads(&effects);
        busy += usize::from(effects.contains(&Effect::Reply {
            id,
            response: Response::Busy,
        }));
    }
    assert_eq!((read, busy), (LEDGER_READS_MAX, LEDGER_READS_MAX));
    for validator in validators(&mut ledger) {
        assert_eq!(reads(&hear(&mut ledger, now, validator, ask())), 1);
        assert_eq!(reads(&hear(&mut ledger, now, validator, ask())), 0);
    }
}
