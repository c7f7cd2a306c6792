//! Who is named for bad signatures, when more come than are named.

use alloc::vec;

use bytes::Bytes;

use super::BadSignatures;
use crate::crypto::Fingerprint;
use crate::ledger::tests::asserts::{node, running};
use crate::ledger::tests::cluster::note;
use crate::ledger::{Effect, Event, Ledger, LedgerStatus, Message, Request, Response};
use crate::limits::{LEDGER_BAD_SOURCES_NAMED, LEDGER_OFFENDERS_MAX};
use crate::machine::{Machine as _, Outbox};
use crate::types::{NodeId, RequestId};

/// Nodes that are in no list, under as many names as somebody may like.
fn stranger(number: usize) -> NodeId {
    NodeId(u128::try_from(number).expect("a number") + 1_000)
}

fn status(ledger: &mut Ledger) -> LedgerStatus {
    let mut out = Outbox::new();
    let id = RequestId(1);
    let request = Request::Status;
    ledger.step(ledger.now, Event::Request { id, request }, &mut out);
    let answers = out.drain().filter_map(|effect| match effect {
        Effect::Reply {
            response: Response::Status(status),
            ..
        } => Some(*status),
        _ => None,
    });
    answers.last().expect("an answer")
}

/// A node, and a transaction whose signature is none.
fn node_and_forgery() -> (Ledger, Bytes) {
    let mut cluster = running();
    let (bytes, _) = cluster.sign(100, 3, vec![note("forged")]);
    let mut forged = bytes.to_vec();
    *forged.last_mut().expect("a signature") ^= 1;
    let ledger = cluster.slots[0].machine.take().expect("it runs");
    (ledger, forged.into())
}

#[test]
fn more_sources_than_are_named_leave_the_status_small_and_the_total_right() {
    let (mut ledger, forged) = node_and_forgery();
    let hand_in = |ledger: &mut Ledger, from: NodeId, copies: usize| {
        let message = Message::Transactions(vec![forged.clone(); copies]);
        let event = Event::Message { from, message };
        ledger.step(ledger.now, event, &mut Outbox::new());
    };
    // One that comes again, and then ever new ones, more than have buckets at once.
    let worst = stranger(0);
    hand_in(&mut ledger, worst, 7);
    let sources = 2 * LEDGER_OFFENDERS_MAX;
    for number in 1..sources {
        hand_in(&mut ledger, stranger(number), 1);
        if number % LEDGER_BAD_SOURCES_NAMED == 0 {
            hand_in(&mut ledger, worst, 1);
        }
    }
    let status = status(&mut ledger);
    assert_eq!(status.bad_signatures.len(), LEDGER_BAD_SOURCES_NAMED);
    assert!(status.bad_signatures.contains(&(worst, 22)), "it is named");
    let last = stranger(sources - 1);
    assert!(status.bad_signatures.contains(&(last, 1)), "and so is news");
    let named: u64 = status.bad_signatures.iter().map(|(_, count)| count).sum();
    let all = u64::try_from(sources - 1).unwrap() + 22;
    assert_eq!(named + status.bad_signatures_of_others, all);
    assert_eq!(ledger.pool().bad_signatures().total(), all);
}

/// Equal histories name equal nodes, and what was forgotten shows in the fingerprint.
#[test]
fn who_gives_way_depends_on_counts_and_ids_alone() {
    let digest = |bad: &BadSignatures| {
        let mut fingerprint = Fingerprint::new();
        fingerprint.add(bad);
        fingerprint.digest()
    };
    let mut bad = BadSignatures::default();
    for number in 0..LEDGER_BAD_SOURCES_NAMED {
        bad.note(stranger(number));
        bad.note(stranger(number));
    }
    assert_eq!(bad.of_others(), 0);
    bad.note(stranger(5_000));
    assert!(
        !bad.named().contains_key(&stranger(0)),
        "the first of equals"
    );
    bad.note(stranger(5_001));
    assert!(!bad.named().contains_key(&stranger(5_000)), "the fewest");
    assert_eq!(bad.of_others(), 3);
    let before = digest(&bad);
    bad.of_others += 1;
    assert_ne!(digest(&bad), before);
    bad.of_others = u64::MAX;
    bad.note(stranger(5_002));
    assert_eq!((bad.of_others(), bad.total()), (u64::MAX, u64::MAX));
}

#[test]
#[should_panic(expected = "G2: who is named for bad signatures")]
fn who_is_named_is_bounded() {
    let mut ledger = node();
    let names = &mut ledger.pool.bad_signatures.named;
    names.extend((0..=LEDGER_BAD_SOURCES_NAMED).map(|number| (stranger(number), 1)));
    ledger.check_invariants();
}
