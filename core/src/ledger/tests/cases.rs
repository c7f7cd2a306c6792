//! Single situations, by name.

extern crate std;

use alloc::vec;

use super::cluster::{Cluster, Knobs, note};
use crate::bft::Epoch;
use crate::codec::{Decode as _, Encode as _};
use crate::ledger::*;
use crate::mutant::Mutant;
use crate::proof::ledger::{Receipt, TrustedEpoch};
use crate::types::Span;

fn receipt(cluster: &mut Cluster, slot: usize, id: TxId) -> Receipt {
    let request = Request::Prove {
        id,
        from: Epoch(0),
        fresh: false,
    };
    match cluster.ask(slot, request) {
        Response::Receipt(receipt) => *receipt,
        other => panic!("no receipt: {other:?}"),
    }
}

#[test]
fn a_note_is_final_everywhere_and_its_receipt_holds_offline() {
    let mut cluster = Cluster::new(1, Knobs::default());
    cluster.run_for(Span::from_millis(100));
    let (transaction, ids) = cluster.sign(100, 0, vec![note("hello"), note("world")]);
    let request = Request::Submit {
        transaction,
        wait: true,
    };
    let response = cluster.ask(2, request);
    let Response::Transaction(TxState::Final(place)) = response else {
        panic!("{response:?}");
    };
    assert_eq!(place.outcome, Outcome::Done);
    cluster.run_for(Span::from_secs(5));
    let trusted = TrustedEpoch::genesis(&cluster.genesis).unwrap();
    let verifier = cluster.authority.verifier();
    for (place, id) in ids.iter().enumerate() {
        let receipt = receipt(&mut cluster, 0, *id);
        let proven = receipt.verify(&trusted, &verifier).expect("it holds");
        assert_eq!(proven.id(), *id);
        assert_eq!(proven.operation(), &note(["hello", "world"][place]));
        assert_eq!(proven.outcome(), Some(Outcome::Done));
        refuses_alterations(&receipt, &trusted, &verifier, *id);
    }
}

/// No altered byte of a receipt is believed as a proof of something else.
fn refuses_alterations(
    receipt: &Receipt,
    trusted: &TrustedEpoch,
    verifier: &crate::crypto::fake::FakeVerifier,
    id: TxId,
) {
    let bytes = receipt.to_bytes().to_vec();
    let proven = receipt.verify(trusted, verifier).unwrap();
    let mut refused = 0;
    for place in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[place] ^= 1;
        let Ok(altered) = Receipt::from_bytes(&altered.into()) else {
            refused += 1;
            continue;
        };
        match altered.verify(trusted, verifier) {
            Err(_) => refused += 1,
            // Another operation of the same transaction is another true statement.
            Ok(other) => assert!(other == proven || other.id() != id, "byte {place}"),
        }
    }
    assert!(refused + 8 >= bytes.len(), "{refused} of {}", bytes.len());
}

#[test]
fn bad_transactions_are_refused_with_their_reason() {
    let mut cluster = Cluster::new(2, Knobs::default());
    cluster.run_for(Span::from_millis(100));
    let (good, _) = cluster.sign(100, 0, vec![note("x")]);
    let submit = |cluster: &mut Cluster, bytes: bytes::Bytes| {
        let request = Request::Submit {
            transaction: bytes,
            wait: false,
        };
        match cluster.ask(0, request) {
            Response::Rejected(rejection) => rejection.code(),
            Response::Accepted { .. } => "accepted",
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(submit(&mut cluster, good.clone()), "accepted");
    assert_eq!(
        submit(&mut cluster, good.clone()),
        "accepted",
        "the same again"
    );
    let mut altered = good.to_vec();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(submit(&mut cluster, altered.into()), "tx_sequence_taken");
    let (far, _) = cluster.sign(100, 70, vec![note("y")]);
    assert_eq!(submit(&mut cluster, far), "tx_too_far_ahead");
    let (next, _) = cluster.sign(100, 1, vec![note("z")]);
    let mut altered = next.to_vec();
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(submit(&mut cluster, altered.into()), "tx_bad_signature");
    assert_eq!(
        submit(&mut cluster, bytes::Bytes::from_static(b"?")),
        "tx_malformed"
    );
    let large = bytes::Bytes::from(vec![0; 100_000]);
    assert_eq!(submit(&mut cluster, large), "tx_too_large");
    cluster.run_for(Span::from_secs(1));
    assert_eq!(submit(&mut cluster, good), "accepted", "it is final");
    let (other, _) = cluster.sign(100, 0, vec![note("other")]);
    assert_eq!(submit(&mut cluster, other), "tx_sequence_used");
    assert_eq!(cluster.ledger(0).pool().bad_signatures().total(), 1);
}

#[test]
fn a_node_goes_on_from_its_store_and_cuts_its_log() {
    let mut cluster = Cluster::new(3, Knobs::default());
    cluster.run_for(Span::from_millis(100));
    for sequence in 0..200 {
        cluster.note(0, 100, sequence, "n");
        cluster.run_for(Span::from_millis(150));
    }
    assert!(cluster.lowest().0 > 130, "{:?}", cluster.lowest());
    for slot in 0..4 {
        let files = cluster.slots[slot].disk.files().count();
        assert!(files < 14, "the log is cut: {files} files");
    }
    let before = cluster.lowest();
    (0..4).for_each(|slot| cluster.crash(slot));
    (0..4).for_each(|slot| cluster.start(slot));
    cluster.run_for(Span::from_millis(100));
    let tip = cluster.ledger(1).tip().unwrap().height;
    assert!(tip >= before, "what was final is final: {tip} of {before}");
    cluster.must_progress(101, Span::from_secs(10));
    let log = cluster.slots[0].disk.log_bytes();
    std::println!(
        "ledger restart: {} blocks, log of {log} bytes",
        cluster.lowest()
    );
}

#[test]
fn validators_join_and_leave_and_clients_follow() {
    let knobs = Knobs {
        followers: 1,
        ..Knobs::default()
    };
    let mut cluster = Cluster::new(4, knobs);
    cluster.run_for(Span::from_millis(100));
    let newcomer = cluster.signer(4);
    let key = *crate::crypto::Signer::public_key(&newcomer);
    let node = key.node_id();
    let owner = KeyOwner::Validator(node);
    let preimage = KeyProof::preimage(cluster.chain(), owner, &key);
    let signature = crate::crypto::Signer::sign(&newcomer, &preimage);
    let add = Operation::Validator(ValidatorChange::Add {
        node,
        cluster: crate::types::ClusterId(9),
        weight: 1,
        key: KeyProof { key, signature },
    });
    for number in 0..3 {
        let (transaction, _) = cluster.sign(number, 0, vec![add.clone()]);
        let request = Request::Submit {
            transaction,
            wait: true,
        };
        let slot = usize::try_from(number).unwrap();
        let response = cluster.ask(slot, request);
        let Response::Transaction(TxState::Final(place)) = response else {
            panic!("{response:?}");
        };
        let passes = number == 2;
        let expected = if passes {
            Outcome::Done
        } else {
            Outcome::Approved
        };
        assert_eq!(place.outcome, expected);
    }
    cluster.until("the next epoch", Span::from_secs(20), |world| {
        (0..5).all(|slot| world.epoch(slot) == Epoch(1))
    });
    assert!(cluster.ledger(4).bft().unwrap().validator().is_some());
    // One of the old ones leaves; the four that are left go on.
    let leaves = cluster.slots[0].node;
    let remove = Operation::Validator(ValidatorChange::Remove { node: leaves });
    for number in [1, 2, 3, 4] {
        let sequence = u64::from(number == 1 || number == 2);
        let (transaction, _) = cluster.sign(number, sequence, vec![remove.clone()]);
        let slot = usize::try_from(number).unwrap();
        let request = Request::Submit {
            transaction,
            wait: true,
        };
        cluster.ask(slot, request);
    }
    cluster.until("one more epoch", Span::from_secs(20), |world| {
        (0..5).all(|slot| world.epoch(slot) == Epoch(2))
    });
    assert!(cluster.ledger(0).bft().unwrap().validator().is_none());
    cluster.must_progress(101, Span::from_secs(10));
    // A client that knows the genesis alone follows both hand-overs.
    let id = cluster.note(3, 102, 0, "late");
    cluster.until("a note", Span::from_secs(5), |world| {
        world.checker.is_final(&id)
    });
    cluster.run_for(Span::from_secs(3));
    let receipt = receipt(&mut cluster, 4, id);
    assert_eq!(receipt.epochs.len(), 2);
    let trusted = TrustedEpoch::genesis(&cluster.genesis).unwrap();
    let verifier = cluster.authority.verifier();
    assert_eq!(receipt.verify(&trusted, &verifier).unwrap().id(), id);
    let mut gap = receipt.clone();
    gap.epochs.remove(0);
    assert!(
        gap.verify(&trusted, &verifier).is_err(),
        "no epoch is skipped"
    );
}

#[test]
fn a_validator_changes_its_key_without_missing_a_vote() {
    let mut cluster = Cluster::new(14, Knobs::default());
    // The node has both keys at hand before anybody votes about it.
    cluster.voting_keys.insert(3, 77);
    cluster.crash(3);
    cluster.start(3);
    cluster.run_for(Span::from_millis(300));
    let new = cluster.authority.signer(77);
    let key = *crate::crypto::Signer::public_key(&new);
    let node = cluster.slots[3].node;
    let preimage = KeyProof::preimage(cluster.chain(), KeyOwner::Validator(node), &key);
    let signature = crate::crypto::Signer::sign(&new, &preimage);
    let key = KeyProof { key, signature };
    let rotate = Operation::Validator(ValidatorChange::Rotate { node, key });
    for number in 0..3 {
        let (transaction, _) = cluster.sign(number, 0, vec![rotate.clone()]);
        let wait = true;
        cluster.ask(0, Request::Submit { transaction, wait });
    }
    cluster.until("the next epoch", Span::from_secs(20), |world| {
        (0..4).all(|slot| world.epoch(slot) == Epoch(1))
    });
    let bft = cluster.ledger(3).bft().unwrap();
    let place = bft.validator().expect("it votes with the new key");
    assert_eq!(bft.epoch().validators.get(place).unwrap().key, key.key);
    // Its vote is needed now, also after a restart.
    cluster.crash(3);
    cluster.start(3);
    cluster.crash(0);
    let id = cluster.note(1, 300, 0, "by three");
    cluster.until("three go on", Span::from_secs(20), |world| {
        world.checker.is_final(&id)
    });
    // Without the new key at hand it follows, and signs nothing with the old one.
    cluster.start(0);
    cluster.voting_keys.clear();
    cluster.crash(3);
    cluster.start(3);
    cluster.run_for(Span::from_secs(1));
    assert!(cluster.ledger(3).bft().unwrap().validator().is_none());
    cluster.must_progress(301, Span::from_secs(20));
}

#[test]
fn who_lost_its_disk_follows_through_epochs_and_votes_again() {
    let mut cluster = Cluster::new(5, Knobs::default());
    cluster.run_for(Span::from_millis(100));
    // A change of weight makes no other set in clusters of one, a new parameter does
    // not end the epoch; short epochs do.
    let short = Operation::Param {
        param: Param::EpochBlocks,
        value: 5,
    };
    for number in 0..3 {
        let (transaction, _) = cluster.sign(number, 0, vec![short.clone()]);
        let request = Request::Submit {
            transaction,
            wait: true,
        };
        cluster.ask(0, request);
    }
    for sequence in 0..30 {
        cluster.note(0, 100, sequence, "n");
        cluster.run_for(Span::from_millis(200));
    }
    let epoch = cluster.epoch(0);
    assert!(epoch > Epoch(3), "{epoch}");
    cluster.crash(2);
    cluster.slots[2].disk.lose_all();
    cluster.start(2);
    cluster.must_progress(101, Span::from_secs(60));
    assert!(cluster.epoch(2) >= epoch);
    cluster.until("votes", Span::from_secs(60), |world| {
        world.ledger(2).bft().unwrap().is_running()
    });
    std::println!("lost disk: back in epoch {}", cluster.epoch(2));
}

/// A node that lost its disk and asked its way back. Then what it has signed since is
/// damaged, in the same epoch.
fn twice_lost(mutant: Mutant) -> Cluster {
    let knobs = Knobs {
        mutant,
        ..Knobs::default()
    };
    let mut cluster = Cluster::new(6, knobs);
    cluster.note(0, 100, 0, "before");
    cluster.run_for(Span::from_secs(2));
    cluster.crash(2);
    cluster.slots[2].disk.lose_all();
    cluster.start(2);
    for sequence in 1..40 {
        cluster.note(0, 100, sequence, "n");
        cluster.run_for(Span::from_millis(200));
    }
    cluster.until("votes", Span::from_secs(60), votes);
    assert_eq!(cluster.epoch(2), Epoch(0));
    // An undamaged restart asks nobody.
    cluster.crash(2);
    cluster.start(2);
    cluster.until("recovered", Span::from_secs(1), is_up);
    assert!(cluster.ledger(2).bft().unwrap().is_running());
    cluster.crash(2);
    cluster.slots[2].disk.rot();
    cluster.start(2);
    cluster.until("recovered", Span::from_secs(1), is_up);
    cluster
}

fn votes(cluster: &Cluster) -> bool {
    let bft = cluster.ledger(2).bft();
    bft.is_some_and(|bft| bft.is_running() && !bft.is_silent())
}

fn is_up(cluster: &Cluster) -> bool {
    cluster.ledger(2).bft().is_some()
}

/// The answer from before the second loss is too old, so it asks again.
#[test]
fn a_second_loss_in_the_same_epoch_is_a_loss() {
    let mut cluster = twice_lost(Mutant::None);
    assert!(!cluster.ledger(2).bft().unwrap().is_running());
    cluster.note(0, 101, 0, "after");
    cluster.until("votes again", Span::from_secs(60), votes);
}

#[cfg(feature = "mutants")]
#[test]
fn an_old_answer_that_is_trusted_is_seen() {
    let cluster = twice_lost(Mutant::LedgerTrustsOldAnswer);
    assert!(cluster.ledger(2).bft().unwrap().is_running());
}

/// One of four is down each time, another one, and all start again in between: who
/// missed the last blocks gets them from nodes that have them only in their stores.
#[test]
fn any_three_of_four_go_on_after_every_restart() {
    for seed in 0..20 {
        let mut cluster = Cluster::new(seed, Knobs::default());
        cluster.run_for(Span::from_millis(100));
        for (sequence, round) in (0_u64..8).zip(0..) {
            let down = round % 4;
            (0..4).for_each(|slot| cluster.crash(slot));
            let up = (0..4).filter(|slot| *slot != down);
            up.for_each(|slot| cluster.start(slot));
            cluster.run_for(Span::from_millis(500));
            let id = cluster.note((down + 1) % 4, 100, sequence, "n");
            cluster.until("a note", Span::from_secs(20), |world| {
                world.checker.is_final(&id)
            });
            cluster.run_for(Span::from_millis(300));
        }
    }
}

/// A leader may write any time into its block. One that no clock ever shows is waited
/// for, and the view ends; nobody breaks.
#[test]
fn a_block_from_the_end_of_time_is_not_voted_for() {
    use crate::bft::Message as Consensus;
    let mut cluster = Cluster::new(6, Knobs::default());
    cluster.run_for(Span::from_millis(100));
    let (slot, proposal) = cluster.leaders_block(vec![], u64::MAX);
    let (node, hash) = (cluster.slots[slot].node, proposal.block.hash());
    let proposal = Consensus::Proposal(alloc::boxed::Box::new(proposal));
    cluster.crash(slot);
    for other in (0..4).filter(|other| *other != slot) {
        let message = Message::Bft(proposal.clone());
        let from = node;
        cluster.step(other, Event::Message { from, message });
    }
    let id = cluster.note((slot + 1) % 4, 100, 0, "on");
    cluster.until("a note", Span::from_secs(20), |world| {
        world.checker.is_final(&id)
    });
    assert!(!cluster.checker.is_block(&hash));
}

/// Questions for blocks that a node asks which was away for some epochs, if every
/// answer arrives four times.
fn questions_of_who_was_away(mutant: Mutant) -> u64 {
    let mut params = Params::default();
    params.set(Param::EpochBlocks, 3).unwrap();
    let knobs = Knobs {
        params,
        mutant,
        answer_copies: 4,
        ..Knobs::default()
    };
    let mut cluster = Cluster::new(9, knobs);
    cluster.run_for(Span::from_millis(200));
    cluster.crash(3);
    for sequence in 0..20 {
        cluster.note(0, 100, sequence, "n");
        cluster.run_for(Span::from_millis(100));
    }
    let (before, end) = (cluster.asked_blocks, cluster.now + Span::from_secs(3));
    cluster.start(3);
    while cluster.lowest() < cluster.checker.highest && cluster.now < end {
        cluster.run_for(Span::from_millis(1));
    }
    cluster.asked_blocks - before
}

#[test]
fn copies_of_an_answer_are_no_reason_to_ask_again() {
    let asked = questions_of_who_was_away(Mutant::None);
    std::println!("copies of answers: {asked} questions");
    assert!(asked < 20, "{asked}");
}

#[cfg(feature = "mutants")]
#[test]
fn asking_on_every_answer_is_seen() {
    let asked = questions_of_who_was_away(Mutant::LedgerAsksOnEveryAnswer);
    assert!(asked > 40, "{asked}");
}

/// A client that did not hear how its transaction ended hands it in again.
#[test]
fn a_final_transaction_that_is_handed_in_again_is_answered() {
    let mut cluster = Cluster::new(11, Knobs::default());
    cluster.run_for(Span::from_millis(100));
    let (transaction, ids) = cluster.sign(100, 0, vec![note("a"), note("b")]);
    let submit = |transaction: &bytes::Bytes, wait| Request::Submit {
        transaction: transaction.clone(),
        wait,
    };
    let Response::Transaction(TxState::Final(first)) = cluster.ask(0, submit(&transaction, true))
    else {
        panic!("not final");
    };
    cluster.run_for(Span::from_secs(1));
    let accepted = Response::Accepted { ids: ids.clone() };
    let again = Response::Transaction(TxState::Final(first));
    assert_eq!(cluster.ask(0, submit(&transaction, false)), accepted);
    assert_eq!(cluster.ask(1, submit(&transaction, true)), again);
    // Out of memory: from the store.
    cluster.crash(1);
    cluster.start(1);
    cluster.run_for(Span::from_secs(1));
    assert_eq!(cluster.ask(1, submit(&transaction, false)), accepted);
    assert_eq!(cluster.ask(1, submit(&transaction, true)), again);
    // A bundle that holds it and more is not final, from memory as from the store.
    let (single, ids) = cluster.sign(100, 2, vec![note("a")]);
    let (bundle, both) = cluster.sign(100, 2, vec![note("a"), note("b")]);
    assert_eq!(ids[0], both[0], "a name does not tell of the bundle");
    cluster.ask(0, submit(&single, true));
    cluster.run_for(Span::from_secs(1));
    let used = Response::Rejected(Rejection::Invalid(Invalid::Used(2, 3)));
    assert_eq!(cluster.ask(0, submit(&bundle, true)), used);
    cluster.crash(1);
    cluster.start(1);
    cluster.run_for(Span::from_secs(1));
    assert_eq!(cluster.ask(1, submit(&bundle, false)), used);
    // Something else in the same place is refused as ever.
    let (other, _) = cluster.sign(100, 1, vec![note("c")]);
    let used = Response::Rejected(Rejection::Invalid(Invalid::Used(1, 3)));
    assert_eq!(cluster.ask(0, submit(&other, false)), used);
    assert_eq!(cluster.ask(1, submit(&other, true)), used);
}

/// What waits here and is not final is told apart.
#[test]
fn an_account_shows_what_is_final_and_what_waits() {
    let mut cluster = Cluster::new(12, Knobs::default());
    cluster.run_for(Span::from_millis(100));
    let id = cluster.note(0, 100, 0, "final");
    cluster.until("a note", Span::from_secs(5), |world| {
        world.checker.is_final(&id)
    });
    cluster.run_for(Span::from_secs(1));
    for slot in 1..4 {
        cluster.crash(slot);
    }
    cluster.note(0, 100, 1, "waits");
    cluster.note(0, 100, 2, "waits");
    let id = AccountId::of(crate::crypto::Signer::public_key(
        &cluster.authority.signer(100),
    ));
    let Response::Account(view) = cluster.ask(0, Request::Account { id }) else {
        panic!("no account");
    };
    let lane = LaneView {
        lane: Lane(0),
        next: Sequence(3),
        next_final: Sequence(1),
    };
    assert_eq!(view.lanes, vec![lane]);
}
