//! Whom a fork convicts: what two certificates of one view show together, and what one
//! node alone can see.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::cluster::CHAIN;
use super::solo::{DELTA, Keys, Solo};
use crate::bft::*;
use crate::machine::{Machine as _, Outbox};
use crate::mutant::Mutant;

/// Seven equal validators, so a quorum is five. The last three or more of them are Byzantine.
const POWERS: [u64; 7] = [1; 7];

fn two_blocks(keys: &Keys) -> [Block; 2] {
    let root = keys.epoch.root();
    [b"one", b"two"].map(|item| keys.block(1, root, &[&item[..]]))
}

fn proven(keys: &Keys, signers: &[u16], statement: Statement) -> Proven {
    let set = &keys.epoch.validators;
    let cert = keys.cert(signers, statement);
    let verifier = keys.authority.verifier();
    Proven::check(cert, CHAIN, keys.epoch.epoch, set, &verifier).expect("a quorum signed it")
}

fn guilty(certs: &[Proven]) -> BTreeSet<u16> {
    let culprits = forensics(certs);
    culprits.iter().map(|one| one.culprit().0).collect()
}

/// Three of seven are Byzantine. The honest 2 and 3 have notarised the first block, 0 and 1 the
/// second one; 2 has seen that one notarised in time and finalises it as well.
#[test]
fn a_notarization_and_a_finalization_convict_nobody_until_the_other_notarization_comes() {
    let keys = Keys::new(&POWERS);
    let [one, two] = two_blocks(&keys);
    let first = proven(&keys, &[2, 3, 4, 5, 6], keys.on(VoteKind::Notarize, &one));
    let second = proven(&keys, &[0, 1, 4, 5, 6], keys.on(VoteKind::Notarize, &two));
    let last = proven(
        &keys,
        &[0, 1, 2, 4, 5, 6],
        keys.on(VoteKind::Finalize, &two),
    );
    assert!(contradict(&first, &last));
    assert_eq!(guilty(&[first.clone(), last.clone()]), BTreeSet::new());
    let byzantine = BTreeSet::from([4, 5, 6]);
    assert_eq!(guilty(&[first, last, second]), byzantine);
}

/// Five of seven are a quorum by themselves. What they notarise and finalise breaks the
/// ledger, and none of them has signed two votes that contradict each other.
#[test]
fn a_byzantine_quorum_is_convicted_of_nothing() {
    let keys = Keys::new(&POWERS);
    let [one, two] = two_blocks(&keys);
    let byzantine = [2, 3, 4, 5, 6];
    let certs = [
        proven(&keys, &byzantine, keys.on(VoteKind::Notarize, &one)),
        proven(&keys, &byzantine, keys.on(VoteKind::Finalize, &two)),
    ];
    assert!(contradict(&certs[0], &certs[1]));
    assert_eq!(guilty(&certs), BTreeSet::new());
}

/// A node that stops names those whom it heard itself, even where the certificates
/// convict nobody.
#[test]
fn who_stops_names_whom_it_heard_equivocate() {
    let keys = Keys::new(&POWERS);
    let [one, two] = two_blocks(&keys);
    let (me, byzantine) = (0, 6);
    let mut solo = Solo::new(&keys, me, Mutant::None);
    solo.hear_cert(
        1,
        keys.cert(&[1, 2, 3, 4, 5], keys.on(VoteKind::Notarize, &one)),
    );
    let vote = keys.vote(byzantine, keys.on(VoteKind::Finalize, &one));
    solo.hear(byzantine, Message::Vote(vote));
    assert_eq!(solo.culprits, None);
    let last = keys.cert(&[2, 3, 4, 5, byzantine], keys.on(VoteKind::Finalize, &two));
    solo.hear_cert(byzantine, last);
    let culprits = solo.culprits.expect("it saw the ledger broken");
    let named: Vec<u16> = culprits.iter().map(|one| one.culprit().0).collect();
    assert_eq!(named, [byzantine]);
}

/// Validator 0 has committed a block of view 1 when a quorum finalises this.
fn after_a_final_block<'a>(keys: &'a Keys, blocks: &[Block]) -> Solo<'a> {
    let signers = [1, 2, 3, 4, 5];
    let mut solo = Solo::new(keys, 0, Mutant::None);
    let [first, ..] = two_blocks(keys);
    for block in [&[first], blocks].concat() {
        let last = keys.on(VoteKind::Finalize, &block);
        solo.hear_cert(1, keys.cert(&signers, last));
        solo.hear(1, Message::Block(Box::new(block)));
        solo.wait(DELTA);
    }
    solo
}

/// Two sides of a fork in different views: no two certificates of one view contradict
/// each other.
#[test]
fn who_sees_a_final_block_beside_what_it_committed_stops() {
    let keys = Keys::new(&POWERS);
    let [_, beside] = two_blocks(&keys);
    let header = Header {
        view: View(2),
        proposer: ValidatorIndex(keys.leader(2)),
        ..*beside.header()
    };
    let beside = Block::new(header, beside.items().to_vec()).expect("the same items");
    let child = keys.block(3, beside.place(), &[b"three"]);
    for blocks in [&[beside.clone()][..], &[beside, child]] {
        let solo = after_a_final_block(&keys, blocks);
        assert_eq!(solo.commits.len(), 1);
        assert_eq!(solo.culprits, Some(Vec::new()), "{} blocks", blocks.len());
        assert!(solo.bft.halt_reason().is_some());
    }
}

/// A quorum of Byzantine validators can finalise what no honest validator would have notarised.
#[test]
fn who_sees_a_final_block_of_a_wrong_height_stops() {
    let keys = Keys::new(&POWERS);
    let [first, _] = two_blocks(&keys);
    let good = keys.block(2, first.place(), &[b"two"]);
    let header = Header {
        height: good.header().height.next(),
        ..*good.header()
    };
    let bad = Block::new(header, good.items().to_vec()).expect("the same items");
    let solo = after_a_final_block(&keys, &[bad]);
    assert_eq!(solo.commits.len(), 1);
    assert_eq!(solo.culprits, Some(Vec::new()));
    assert_eq!(after_a_final_block(&keys, &[good]).commits.len(), 2);
}

/// Only this node has both: the notarization of the first block, which it completes with
/// its own vote, and the finalization of the second one.
fn who_completes_a_notarization(keys: &Keys, mutant: Mutant) -> (Solo<'_>, [Statement; 2]) {
    let leader = keys.leader(1);
    let [one, two] = two_blocks(keys);
    let me = (0..7).find(|place| *place != leader).expect("seven");
    let statements = [
        keys.on(VoteKind::Notarize, &one),
        keys.on(VoteKind::Finalize, &two),
    ];
    let mut solo = Solo::new(keys, me, mutant);
    let others = keys.without(&[me]);
    for voter in &others[..4] {
        let vote = keys.vote(*voter, statements[0]);
        solo.hear(*voter, Message::Vote(vote));
    }
    solo.hear_cert(others[5], keys.cert(&others[1..6], statements[1]));
    assert!(
        solo.bft.halt_reason().is_none(),
        "four of seven are no quorum"
    );
    let header = *one.header();
    let vote = keys.vote(leader, statements[0]);
    let proposal = Proposal {
        block: Block::new(header, one.items().to_vec()).expect("the same items"),
        parent: None,
        skips: Vec::new(),
        vote,
    };
    solo.hear(leader, Message::Proposal(Box::new(proposal)));
    solo.hear(
        others[4],
        Message::Vote(keys.vote(others[4], statements[0])),
    );
    (solo, statements)
}

fn certified(solo: &Solo<'_>) -> BTreeSet<Statement> {
    let broadcast = solo.sent.iter().filter_map(|(to, message)| match message {
        Message::Cert(cert) if to.is_none() => Some(cert.statement),
        _ => None,
    });
    broadcast.collect()
}

/// What makes a node stop may be nowhere else: everybody gets it.
#[test]
fn who_stops_shows_everybody_why() {
    let keys = Keys::new(&POWERS);
    let (solo, both) = who_completes_a_notarization(&keys, Mutant::None);
    assert!(solo.bft.halt_reason().is_some());
    assert_eq!(solo.violations, 1);
    assert_eq!(certified(&solo), BTreeSet::from(both));
}

/// And it is in its log: a restart does not make it forget that the ledger is forked.
#[test]
fn who_has_seen_a_fork_stops_again_after_a_restart() {
    let keys = Keys::new(&POWERS);
    let (mut solo, both) = who_completes_a_notarization(&keys, Mutant::None);
    solo.sent.clear();
    solo.restart(false);
    assert!(solo.bft.halt_reason().is_some());
    assert_eq!(solo.violations, 2);
    assert_eq!(certified(&solo), BTreeSet::from(both));
}

/// The two tests before fail with the bugs that they are for.
#[cfg(feature = "mutants")]
#[test]
fn the_planted_bugs_of_forks_are_found() {
    let keys = Keys::new(&POWERS);
    let (solo, both) = who_completes_a_notarization(&keys, Mutant::BftKeepsForkToItself);
    assert_eq!(solo.violations, 1);
    assert_ne!(certified(&solo), BTreeSet::from(both));
    let (mut solo, _) = who_completes_a_notarization(&keys, Mutant::BftForgetsFork);
    solo.restart(false);
    assert!(solo.bft.halt_reason().is_none());
}

/// Durable before visible: until the proof is written nothing is sent, the report neither.
#[test]
fn who_sees_a_fork_is_silent_until_the_proof_is_durable() {
    let keys = Keys::new(&POWERS);
    let [one, two] = two_blocks(&keys);
    let mut solo = Solo::new(&keys, 0, Mutant::None);
    let certs = [
        keys.cert(&[1, 2, 3, 4, 5], keys.on(VoteKind::Notarize, &one)),
        keys.cert(&[2, 3, 4, 5, 6], keys.on(VoteKind::Finalize, &two)),
    ];
    let [first, last] = certs;
    solo.hear_cert(1, first);
    let mut step = |event| {
        let mut out = Outbox::new();
        solo.bft.step(solo.now, event, &mut out);
        out.drain().collect::<Vec<_>>()
    };
    let from = keys.node(2);
    let message = Message::Cert(Box::new(last.clone()));
    let effects = step(Event::Message { from, message });
    let [Effect::Persist { seq, records }] = &effects[..] else {
        panic!("nothing but the write: {effects:?}");
    };
    let is_written =
        |record: &Record| matches!(record, Record::Cert(cert) if cert.statement == last.statement);
    assert!(records.iter().any(is_written));
    let vote = keys.vote(3, keys.null(1));
    let message = Message::Vote(vote);
    assert_eq!(step(Event::Message { from, message }), []);
    assert_eq!(step(Event::Wake), []);
    let effects = step(Event::Persisted { seq: *seq });
    assert_eq!(
        effects.len(),
        3,
        "both certificates, and the report: {effects:?}"
    );
    assert!(matches!(effects[2], Effect::SafetyViolation { .. }));
    assert_eq!(step(Event::Wake), []);
    assert!(solo.bft.halt_reason().is_some());
    // A disk that fails ends it as well.
    let mut solo = Solo::new(&keys, 0, Mutant::None);
    solo.bft.break_off(
        alloc::vec![proven(
            &keys,
            &[2, 3, 4, 5, 6],
            keys.on(VoteKind::Notarize, &one)
        )],
        Vec::new(),
    );
    solo.step(Event::StoreFailed);
    assert!(solo.bft.halt_reason().is_some());
    assert_eq!(solo.violations, 0);
}
