//! Proofs that running nodes make, checked by the verifier that an outsider has.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::cluster::{CLUSTER, Cluster, Event};
use crate::cluster::{Config, HeadShare, Message, Request, Response};
use crate::codec::{Decode, Encode};
use crate::crypto::fake::{FakeAuthority, FakeSigner};
use crate::crypto::{
    P256Signer, PublicKey, SecretBytes, SecretKey, SharedSigner, SharedVerifier, Signer,
};
use crate::io::Done;
use crate::kv::{Condition, Op};
use crate::limits::{LOG_PROOF_ENTRIES_MAX, MESSAGE_BYTES_MAX};
use crate::proof::{LogProof, Payload, ProvenEntries, SignedHead, TrustedVoters, verify_log_proof};
use crate::raft::{Membership, Refusal};
use crate::replica::Command;
use crate::types::{Index, LogId, NodeId, PeerRequestId, ProcessNonce, Span};

fn received(from: NodeId, message: Message) -> Event {
    Event::Message {
        from,
        message: message.into(),
    }
}

fn authority() -> FakeAuthority {
    FakeAuthority::new(77)
}

fn signer(number: u64) -> FakeSigner {
    authority().signer(number)
}

fn node(number: u64) -> NodeId {
    signer(number).public_key().node_id()
}

fn keys(numbers: core::ops::Range<u64>) -> Vec<PublicKey> {
    numbers.map(|number| *signer(number).public_key()).collect()
}

fn voters(numbers: core::ops::Range<u64>) -> Membership {
    let mut voters: Vec<NodeId> = numbers.map(node).collect();
    voters.sort();
    Membership {
        voters,
        ..Membership::default()
    }
}

/// Gives a node its key, and the keys of the others.
fn with_keys(config: &mut Config) {
    let all = (0..5).map(signer);
    config.voter_keys = all
        .map(|signer| (signer.public_key().node_id(), *signer.public_key()))
        .collect();
    config.head_verifier = SharedVerifier::new(authority().verifier());
    config.signer = (0..5)
        .map(signer)
        .find(|signer| signer.public_key().node_id() == config.id)
        .map(SharedSigner::new);
}

fn compacting(config: &mut Config) {
    with_keys(config);
    config.log_entries_max = 40;
    config.log_trailing_entries = 5;
}

fn cluster(tune: fn(&mut Config)) -> Cluster {
    Cluster::of(&voters(0..3), tune)
}

fn write(key: &str, value: Bytes) -> Request {
    Request::Write(Command::Once {
        op: Op::Put {
            key: Bytes::copy_from_slice(key.as_bytes()),
            value,
            condition: Condition::Always,
            lease: None,
        },
    })
}

/// Writes through a node and returns the index of the last entry.
fn fill(cluster: &mut Cluster, at: NodeId, count: usize) -> Index {
    let mut last = Index::ZERO;
    for number in 0..count {
        let request = write(&format!("k{number}"), Bytes::from_static(b"v"));
        match cluster.ask(at, request) {
            Response::Written { at, .. } => last = at.index,
            other => panic!("{other:?}"),
        }
    }
    last
}

fn prove(first: Index, count: u32) -> Request {
    Request::ProveLog { first, count }
}

fn proof_of(response: Response) -> LogProof {
    match response {
        Response::LogProof(proof) => *proof,
        other => panic!("no proof: {other:?}"),
    }
}

fn head_of(response: Response) -> SignedHead {
    match response {
        Response::LogHead(made) => made.signed,
        other => panic!("no head: {other:?}"),
    }
}

/// What an outsider does, who knows the founders' keys. It takes the bytes.
fn verify(proof: &LogProof) -> ProvenEntries {
    let trusted = TrustedVoters::new(CLUSTER, Index(0), &keys(0..3)).unwrap();
    let received = LogProof::from_bytes(&proof.to_bytes()).unwrap();
    verify_log_proof(&authority().verifier(), &trusted, None, &received).unwrap()
}

/// The proven entries must be those of the log that every node holds.
fn check(cluster: &Cluster, proof: &LogProof) {
    let proven = verify(proof);
    for (id, proven) in proven.iter() {
        let logs = cluster.parts().filter_map(|part| part.raft());
        for entry in logs.filter_map(|raft| raft.entry(id.index)) {
            assert_eq!(entry.id, id);
            assert_eq!(proven.payload, Payload::Data(entry.data.clone()));
        }
    }
}

fn others(cluster: &Cluster, than: NodeId) -> Vec<NodeId> {
    let ids = cluster.nodes().into_iter();
    ids.filter(|id| *id != than).collect()
}

fn applied(cluster: &Cluster, id: NodeId) -> Index {
    cluster.part(id).replica().applied().index
}

fn level_up(cluster: &mut Cluster, id: NodeId, index: Index) {
    cluster.run_until("everything to be applied", |cluster| {
        applied(cluster, id) >= index
    });
}

#[test]
fn every_node_proves_the_log() {
    let mut cluster = cluster(with_keys);
    let leader = cluster.elect();
    let last = fill(&mut cluster, leader, 20);
    for at in cluster.nodes() {
        level_up(&mut cluster, at, last);
        for (first, count) in [(1, 1), (1, 20), (5, 3), (last.0, 1), (last.0 - 1, 9)] {
            let proof = proof_of(cluster.ask(at, prove(Index(first), count)));
            assert_eq!(proof.first, Index(first));
            let expected = u64::from(count).min(last.0 - first + 1);
            assert_eq!(proof.entries.len() as u64, expected);
            check(&cluster, &proof);
        }
        let head = head_of(cluster.ask(at, Request::LogHead));
        assert!(head.head.size >= last && head.signatures.len() >= 2);
    }
    assert!(cluster.parts().all(|part| part.head_disagreements() == 0));
}

#[test]
fn proofs_with_the_real_signatures_verify_without_a_key_list() {
    let secret = |number: u8| SecretKey::from_entropy(&SecretBytes::new([number; 32]));
    let keys: Vec<PublicKey> = (1..=3).map(|number| secret(number).public_key()).collect();
    let mut voters: Vec<NodeId> = keys.iter().map(PublicKey::node_id).collect();
    voters.sort();
    let membership = Membership {
        voters,
        ..Membership::default()
    };
    let mut cluster = Cluster::of(&membership, |config| {
        let secrets = (1..=3).map(|n| SecretKey::from_entropy(&SecretBytes::new([n; 32])));
        config.signer = secrets
            .map(|secret| P256Signer::new(&secret))
            .find(|signer| signer.public_key().node_id() == config.id)
            .map(SharedSigner::new);
    });
    let leader = cluster.elect();
    fill(&mut cluster, leader, 3);
    let proof = proof_of(cluster.ask(leader, prove(Index(1), 3)));
    let trusted = TrustedVoters::new(CLUSTER, Index(0), &keys).unwrap();
    verify_log_proof(&crate::crypto::P256Verifier, &trusted, None, &proof).unwrap();
}

#[test]
fn a_restarted_node_proves_what_it_proved_before() {
    let mut cluster = cluster(compacting);
    let leader = cluster.elect();
    let last = fill(&mut cluster, leader, 100);
    for id in others(&cluster, NodeId(0)) {
        cluster.run_for(Span::from_secs(1));
        cluster.restart(id);
    }
    let leader = cluster.elect();
    for at in cluster.nodes() {
        level_up(&mut cluster, at, last);
        let base = cluster.base(at);
        assert!(base > Index(50), "the log was compacted: {base}");
        let proof = proof_of(cluster.ask(at, prove(base.next(), 100)));
        check(&cluster, &proof);
    }
    let more = fill(&mut cluster, leader, 60);
    let proof = proof_of(cluster.ask(leader, prove(more, 1)));
    check(&cluster, &proof);
}

/// All start again at once: nobody knows what is committed before there is a leader. A
/// question that comes in between waits for that, and is not refused as if too few had
/// signed (found by a test with processes).
#[test]
fn who_asks_a_node_that_has_just_started_waits_for_what_it_applies() {
    let mut cluster = cluster(with_keys);
    let leader = cluster.elect();
    let at = cluster.follower_of(leader);
    let last = Index(1);
    cluster.run_until("an entry", |cluster| {
        let raft = cluster.part(at).raft();
        raft.is_some_and(|raft| raft.last().index == last)
    });
    for id in cluster.nodes() {
        cluster.restart(id);
    }
    cluster.run_until("the log is read", |cluster| {
        cluster.part(at).raft().is_some()
    });
    assert_eq!(cluster.part(at).replica().applied(), LogId::default());
    let asked = [prove(last, 1), Request::LogHead].map(|what| cluster.request(at, what));
    let gone = cluster.request(at, Request::LogHead);
    cluster.step(at, Event::Cancel { id: gone });
    assert_eq!(cluster.node(at).requests_open(), 2);
    assert!(cluster.leader().is_none());
    cluster.run_until("answers", |cluster| {
        asked.iter().all(|id| cluster.replies.contains_key(id))
    });
    let proof = proof_of(cluster.replies[&asked[0]].clone());
    check(&cluster, &proof);
    head_of(cluster.replies[&asked[1]].clone());
    assert!(!cluster.replies.contains_key(&gone));
    // Without a leader they wait as long as any request.
    for id in cluster.nodes() {
        cluster.restart(id);
    }
    cluster.cut.extend(cluster.nodes());
    cluster.run_until("the log is read", |cluster| {
        cluster.part(at).raft().is_some()
    });
    let before = cluster.now;
    let response = cluster.ask(at, prove(last, 1));
    assert_eq!(response, Response::Refused(Refusal::HeadUnsigned));
    assert!(cluster.now.saturating_since(before) >= Span::from_secs(4));
}

#[test]
fn entries_that_are_compacted_or_not_applied_are_named() {
    let mut cluster = cluster(compacting);
    let leader = cluster.elect();
    let last = fill(&mut cluster, leader, 100);
    let base = cluster.base(leader);
    let range = Response::NoLogProof {
        first: base.next(),
        last,
    };
    for (first, count) in [
        (Index(0), 1),
        (Index(1), 1),
        (base, 5),
        (last.next(), 1),
        (Index(u64::MAX), u32::MAX),
        (last, 0),
    ] {
        assert_eq!(cluster.ask(leader, prove(first, count)), range);
    }
    let proof = proof_of(cluster.ask(leader, prove(base.next(), u32::MAX)));
    check(&cluster, &proof);
}

#[test]
fn a_node_that_got_a_snapshot_signs_and_proves() {
    let mut cluster = cluster(compacting);
    let leader = cluster.elect();
    let behind = others(&cluster, leader)[0];
    let gone = others(&cluster, leader)[1];
    cluster.cut.insert(behind);
    let last = fill(&mut cluster, leader, 150);
    cluster.cut.clear();
    level_up(&mut cluster, behind, last);
    let base = cluster.base(behind);
    assert!(base > Index(100), "it was a snapshot: {base}");
    let last = fill(&mut cluster, leader, 3);
    level_up(&mut cluster, behind, last);
    cluster.cut.insert(gone);
    for at in [leader, behind] {
        let proof = proof_of(cluster.ask(at, prove(last, 1)));
        check(&cluster, &proof);
    }
    cluster.restart(behind);
    level_up(&mut cluster, behind, last);
    assert!(cluster.part(behind).knows_log_tree());
    let proof = proof_of(cluster.ask(behind, prove(last, 1)));
    check(&cluster, &proof);
}

#[test]
fn a_node_that_lost_its_state_proves_again_after_the_repair() {
    let mut cluster = cluster(compacting);
    let leader = cluster.elect();
    let last = fill(&mut cluster, leader, 100);
    let victim = others(&cluster, leader)[0];
    let disk = &mut cluster.slot_mut(victim).disk;
    disk.replace_pairs(BTreeMap::new());
    cluster.restart(victim);
    level_up(&mut cluster, victim, last);
    let nothing_kept = Response::NoLogProof {
        first: last.next(),
        last,
    };
    assert_eq!(cluster.ask(victim, prove(last, 1)), nothing_kept);
    let last = fill(&mut cluster, leader, 1);
    level_up(&mut cluster, victim, last);
    let proof = proof_of(cluster.ask(victim, prove(last, 1)));
    check(&cluster, &proof);
    assert_eq!(cluster.part(victim).head_disagreements(), 0);
}

#[test]
fn one_voter_may_be_down_and_two_may_not() {
    let mut cluster = cluster(with_keys);
    let leader = cluster.elect();
    let last = fill(&mut cluster, leader, 5);
    let [first, second] = others(&cluster, leader)[..] else {
        panic!("three nodes")
    };
    cluster.cut.insert(first);
    let proof = proof_of(cluster.ask(leader, prove(last, 1)));
    check(&cluster, &proof);
    assert_eq!(proof.head.signatures.len(), 2);
    let last = fill(&mut cluster, leader, 1);
    cluster.cut.insert(second);
    let before = cluster.now;
    let response = cluster.ask(leader, prove(last, 1));
    assert_eq!(response, Response::Refused(Refusal::HeadUnsigned));
    let waited = cluster.now.saturating_since(before);
    assert!(waited >= Span::from_secs(4), "it asked until the deadline");
    assert_eq!(cluster.node(leader).requests_open(), 0);
}

#[test]
fn a_voter_that_lags_answers_when_it_has_caught_up() {
    let mut cluster = cluster(with_keys);
    let leader = cluster.elect();
    let [lagging, other] = others(&cluster, leader)[..] else {
        panic!("three nodes")
    };
    cluster.cut.insert(lagging);
    let last = fill(&mut cluster, leader, 5);
    cluster.cut.insert(other);
    let asked = cluster.request(leader, prove(last, 1));
    cluster.run_for(Span::from_millis(400));
    assert!(!cluster.replies.contains_key(&asked));
    cluster.cut.remove(&lagging);
    cluster.run_until("the answer", |cluster| cluster.replies.contains_key(&asked));
    let proof = proof_of(cluster.replies[&asked].clone());
    check(&cluster, &proof);
    assert!(proof.head.signatures.iter().any(|one| one.node == lagging));
}

/// The share of another head, one with a damaged signature, one of a stranger and
/// one for another question: none of them is in the proof.
#[test]
fn forged_shares_are_not_used() {
    let mut cluster = cluster(with_keys);
    let leader = cluster.elect();
    let last = fill(&mut cluster, leader, 5);
    let honest = head_of(cluster.ask(leader, Request::LogHead)).head;
    let [first, second] = others(&cluster, leader)[..] else {
        panic!("three nodes")
    };
    let last = last.max(fill(&mut cluster, leader, 1));
    cluster.cut.extend([first, second]);
    let asked = cluster.request(leader, prove(last, 1));
    cluster.run_for(Span::from_millis(100));
    let stranger = signer(4);
    let mut wrong_head = honest;
    wrong_head.root.0[0] ^= 1;
    let share = |head: crate::proof::LogHead, signer: &FakeSigner| HeadShare {
        head,
        signature: signer.sign(&head.preimage()),
    };
    let first_signer = (0..3)
        .map(signer)
        .find(|key| key.public_key().node_id() == first);
    let first_signer = first_signer.unwrap();
    let process = cluster.part(leader).config().process;
    for number in (0..20).chain([u64::MAX]) {
        let id = PeerRequestId { process, number };
        for (from, share) in [
            (node(4), Some(share(honest, &stranger))),
            (leader, Some(share(wrong_head, &stranger))),
            (first, Some(share(wrong_head, &first_signer))),
        ] {
            let share = share.map(Box::new);
            let message = Message::HeadReply { id, share };
            cluster.step(leader, received(from, message));
        }
    }
    cluster.run_for(Span::from_millis(100));
    assert!(!cluster.replies.contains_key(&asked));
    assert_eq!(
        cluster.part(leader).head_disagreements(),
        1,
        "only the voter's own signature is counted, once"
    );
    cluster.cut.clear();
    cluster.run_until("the answer", |cluster| cluster.replies.contains_key(&asked));
    let proof = proof_of(cluster.replies[&asked].clone());
    check(&cluster, &proof);
    assert!(proof.head.signatures.iter().all(|one| one.node != first));
}

#[test]
fn a_voter_with_another_key_than_announced_is_left_out() {
    let mut cluster = cluster(|config| {
        with_keys(config);
        let byzantine = voters(0..3).voters[0];
        config.voter_keys.insert(byzantine, *signer(4).public_key());
    });
    let byzantine = voters(0..3).voters[0];
    let leader = cluster.elect();
    let at = others(&cluster, byzantine)[0];
    let last = fill(&mut cluster, leader, 3);
    level_up(&mut cluster, at, last);
    let proof = proof_of(cluster.ask(at, prove(last, 1)));
    assert!(
        proof
            .head
            .signatures
            .iter()
            .all(|one| one.node != byzantine)
    );
    check(&cluster, &proof);
}

#[test]
fn without_enough_keys_the_answer_comes_at_once() {
    let mut cluster = cluster(|config| {
        with_keys(config);
        if config.id != voters(0..3).voters[0] {
            config.signer = None;
        }
    });
    let leader = cluster.elect();
    let last = fill(&mut cluster, leader, 3);
    let before = cluster.now;
    let response = cluster.ask(leader, prove(last, 1));
    assert_eq!(response, Response::Refused(Refusal::HeadUnsigned));
    assert!(cluster.now.saturating_since(before) < Span::from_secs(1));
}

#[test]
fn a_learner_proves_and_does_not_sign() {
    let mut cluster = cluster(with_keys);
    let leader = cluster.elect();
    fill(&mut cluster, leader, 3);
    cluster.join(node(3), Membership::default());
    let mut target = voters(0..3);
    target.learners.push(node(3));
    let response = cluster.ask(leader, Request::ChangeMembership(target));
    assert_eq!(response, Response::Accepted);
    let last = fill(&mut cluster, leader, 1);
    level_up(&mut cluster, node(3), last);
    let proof = proof_of(cluster.ask(node(3), prove(last, 1)));
    assert!(proof.head.signatures.iter().all(|one| one.node != node(3)));
    let epoch = proof.head.head.membership_epoch;
    assert!(epoch > Index(0), "the change stands in the log");
    let trusted = TrustedVoters::new(CLUSTER, epoch, &keys(0..3)).unwrap();
    verify_log_proof(&authority().verifier(), &trusted, None, &proof).unwrap();
    // Asked directly, the learner says that it will not.
    let message = Message::HeadRequest {
        id: PeerRequestId::default(),
        size: last,
    };
    cluster.step(node(3), received(leader, message));
    cluster.run_for(Span::from_millis(50));
    assert_eq!(cluster.part(leader).head_disagreements(), 0);
}

#[test]
fn a_grown_cluster_signs_under_its_new_membership() {
    let mut cluster = cluster(with_keys);
    let leader = cluster.elect();
    fill(&mut cluster, leader, 3);
    cluster.join(node(3), Membership::default());
    let mut target = voters(0..3);
    target.learners.push(node(3));
    cluster.ask(leader, Request::ChangeMembership(target));
    let last = fill(&mut cluster, leader, 1);
    level_up(&mut cluster, node(3), last);
    // The leader hears of it.
    cluster.run_for(Span::from_millis(10));
    let response = cluster.ask(leader, Request::ChangeMembership(voters(0..4)));
    assert_eq!(response, Response::Accepted);
    cluster.run_until("the joint membership to be left", |cluster| {
        let membership = cluster.part(node(3)).raft().unwrap().membership();
        membership.voters.len() == 4 && membership.outgoing.is_empty()
    });
    let last = fill(&mut cluster, leader, 1);
    let proof = proof_of(cluster.ask(leader, prove(last, 1)));
    let epoch = proof.head.head.membership_epoch;
    let trusted = TrustedVoters::new(CLUSTER, epoch, &keys(0..4)).unwrap();
    verify_log_proof(&authority().verifier(), &trusted, None, &proof).unwrap();
    assert!(proof.head.signatures.len() >= 3);
}

#[test]
fn large_entries_are_cut_to_what_a_message_carries() {
    let mut cluster = cluster(with_keys);
    let leader = cluster.elect();
    let value = Bytes::from(vec![7; 400 << 10]);
    for number in 0..12 {
        cluster.ask(leader, write(&format!("large{number}"), value.clone()));
    }
    let response = cluster.ask(leader, prove(Index(1), 100));
    assert!(response.to_bytes().len() < MESSAGE_BYTES_MAX);
    let proof = proof_of(response);
    assert!((3..12).contains(&proof.entries.len()));
    assert!(proof.entries.len() < LOG_PROOF_ENTRIES_MAX);
    check(&cluster, &proof);
}

#[test]
fn requests_from_strangers_and_for_the_future_are_bounded() {
    let mut cluster = cluster(with_keys);
    let leader = cluster.elect();
    let peer = others(&cluster, leader)[0];
    for number in 0..1000 {
        for from in [peer, NodeId(99)] {
            let message = Message::HeadRequest {
                id: PeerRequestId {
                    process: ProcessNonce(1),
                    number,
                },
                size: Index(u64::MAX - number),
            };
            cluster.step(leader, received(from, message));
        }
    }
    cluster.run_for(Span::from_secs(1));
    let last = fill(&mut cluster, leader, 2);
    let proof = proof_of(cluster.ask(leader, prove(last, 1)));
    check(&cluster, &proof);
}

#[test]
fn a_cancelled_client_and_a_stopped_node_leave_nothing_open() {
    let mut cluster = cluster(with_keys);
    let leader = cluster.elect();
    fill(&mut cluster, leader, 1);
    let rest = others(&cluster, leader);
    cluster.cut.extend(rest);
    let gone = cluster.request(leader, Request::LogHead);
    cluster.step(leader, Event::Cancel { id: gone });
    cluster.run_for(Span::from_millis(10));
    assert_eq!(cluster.node(leader).requests_open(), 0);
    let stays = cluster.request(leader, Request::LogHead);
    cluster.run_for(Span::from_millis(10));
    cluster.step(leader, Event::Io(Done::Failed));
    cluster.run_for(Span::from_millis(10));
    assert!(!cluster.replies.contains_key(&gone));
    let unavailable = Response::Refused(Refusal::Unavailable);
    assert_eq!(cluster.replies.get(&stays), Some(&unavailable));
}
