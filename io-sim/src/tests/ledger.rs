//! Each promise of the ledger, broken on purpose: the judge has to see it.

use std::sync::Arc;

use bytes::Bytes;
use decube_core::bft::{
    self, BlockRef, Cert, Epoch, Evidence, Height, Statement, ValidatorIndex, View, Vote, VoteKind,
};
use decube_core::crypto::fake::FakeAuthority;
use decube_core::crypto::{Digest, Signer as _};
use decube_core::io::{FileName, FileOp, FileOpId};
use decube_core::ledger::{Genesis, Member, Message, Params, TimeMs};
use decube_core::types::{ClusterId, NodeId};

use super::LedgerChecker;
use super::fork::Fork;
use crate::config::{DiskSettings, SimConfig};
use crate::disk::Disk;

/// Four validators, of which slot 3 is a Byzantine validator, or those that a test names.
struct Court {
    authority: FakeAuthority,
    genesis: Genesis,
    checker: LedgerChecker,
}

impl Court {
    fn new(fork: bool) -> Self {
        Self::with_byzantine(u64::from(fork), &[3])
    }

    fn with_byzantine(fork: u64, byzantine: &[usize]) -> Self {
        let authority = FakeAuthority::new(3);
        let key = |number: u64| *authority.signer(number).public_key();
        let member = |number: u64| {
            let key = key(number);
            Member::new(key.node_id(), key, ClusterId(number.into()), 1)
        };
        let genesis = Genesis {
            name: "court".to_owned(),
            time: TimeMs(1),
            params: Params::default(),
            members: (0..4).map(member).collect(),
        };
        let nodes: Vec<NodeId> = (0..4).map(|number| key(number).node_id()).collect();
        let honest = (0..4).map(|slot| !byzantine.contains(&slot)).collect();
        let config = SimConfig::with(&[("fork", fork)]);
        let verifier = authority.verifier();
        let mut checker = LedgerChecker::new(&genesis, verifier, nodes, honest, &config);
        let set = genesis.validators().expect("four validators");
        checker.sets.insert(Epoch(0), Arc::new(set));
        Self {
            authority,
            genesis,
            checker,
        }
    }

    fn index(&self, slot: usize) -> ValidatorIndex {
        let set = &self.checker.sets[&Epoch(0)];
        set.index_of(self.checker.nodes[slot]).expect("a validator")
    }

    fn vote(&self, slot: usize, statement: Statement) -> Vote {
        let signer = self.authority.signer(u64::try_from(slot).expect("few"));
        Vote {
            statement,
            signer: self.index(slot),
            signature: signer.sign(&statement.preimage(self.genesis.chain())),
        }
    }

    fn cert(&self, slots: &[usize], statement: Statement) -> Cert {
        let mut votes: Vec<Vote> = slots
            .iter()
            .map(|slot| self.vote(*slot, statement))
            .collect();
        votes.sort_by_key(|vote| vote.signer);
        Cert {
            statement,
            signers: votes.iter().map(|vote| vote.signer).collect(),
            signatures: votes.iter().map(|vote| vote.signature).collect(),
        }
    }

    /// What the judge says of an honest slot that sends this.
    fn hear(&mut self, slot: usize, sent: bft::Message, disk: &Disk) -> Option<&'static str> {
        let message = Message::Bft(sent);
        let verdict = self.checker.sending(slot, &message, disk);
        verdict.err().map(|(promise, _)| promise)
    }

    fn hear_vote(&mut self, slot: usize, statement: Statement) -> Option<&'static str> {
        let vote = self.vote(slot, statement);
        let disk = disk_with(vote.signature.as_bytes());
        self.hear(slot, bft::Message::Vote(vote), &disk)
    }

    fn hear_cert(&mut self, cert: Cert) -> Option<&'static str> {
        let disk = Disk::new(1, 1);
        self.hear(0, bft::Message::Cert(Box::new(cert)), &disk)
    }
}

fn block(view: u64, name: u8) -> BlockRef {
    BlockRef {
        view: View(view),
        height: Height(view),
        hash: Digest([name; 32]),
    }
}

fn on(kind: VoteKind, view: u64, name: u8) -> Statement {
    Statement::on(kind, Epoch(0), block(view, name))
}

/// A disk that holds these bytes, written and synced.
fn disk_with(bytes: &[u8]) -> Disk {
    let mut disk = Disk::new(1, 1);
    let file = FileName::Segment(1);
    let data = Bytes::copy_from_slice(bytes);
    let create = FileOp::Create { file, len: 8_192 };
    let write = FileOp::Write {
        file,
        offset: 500,
        data,
    };
    for (number, op) in (0..).zip([create, write, FileOp::Sync { file }]) {
        disk.submit(FileOpId(number), op);
        disk.complete(&DiskSettings::default());
    }
    disk
}

#[test]
fn two_votes_of_one_kind_are_seen_also_over_a_restart() {
    let mut court = Court::new(false);
    let notarize = |name| on(VoteKind::Notarize, 1, name);
    assert_eq!(court.hear_vote(0, notarize(1)), None);
    assert_eq!(court.hear_vote(0, notarize(1)), None, "repeated");
    court.checker.started(0);
    assert_eq!(court.hear_vote(0, notarize(2)), Some("I5 one vote"));
    assert_eq!(court.hear_vote(1, notarize(2)), None, "somebody else");
}

#[test]
fn a_view_given_up_and_finalised_is_seen() {
    let mut court = Court::new(false);
    let nullify = Statement::nullify(Epoch(0), View(4));
    assert_eq!(court.hear_vote(0, nullify), None);
    let finalize = on(VoteKind::Finalize, 4, 1);
    let verdict = court.hear_vote(0, finalize);
    assert_eq!(verdict, Some("I6 given up and final"));
}

#[test]
fn a_vote_that_is_not_on_the_disk_is_seen() {
    let mut court = Court::new(false);
    let vote = court.vote(0, on(VoteKind::Notarize, 1, 1));
    let empty = Disk::new(1, 1);
    let verdict = court.hear(0, bft::Message::Vote(vote), &empty);
    assert_eq!(verdict, Some("I7 durable before sent"));
    // Written is not synced.
    let mut disk = Disk::new(1, 1);
    let file = FileName::Segment(1);
    let data = Bytes::copy_from_slice(vote.signature.as_bytes());
    let ops = [
        FileOp::Create { file, len: 4_096 },
        FileOp::Write {
            file,
            offset: 0,
            data,
        },
    ];
    for (number, op) in (0..).zip(ops) {
        disk.submit(FileOpId(number), op);
        disk.complete(&DiskSettings::default());
    }
    let verdict = court.hear(0, bft::Message::Vote(vote), &disk);
    assert_eq!(verdict, Some("I7 durable before sent"));
}

#[test]
fn bytes_with_zeros_at_their_ends_are_found_on_the_disk() {
    // The last byte stands alone in a sector of zeros.
    let mut bytes = [7; 13];
    (bytes[0], bytes[12]) = (0, 0);
    assert!(disk_with(&bytes).holds_stable(&bytes));
    bytes[5] = 8;
    assert!(!disk_with(&[7; 13]).holds_stable(&bytes));
}

#[test]
fn bad_certificates_are_seen() {
    let good = on(VoteKind::Notarize, 2, 1);
    let mut court = Court::new(false);
    assert_eq!(court.hear_cert(court.cert(&[0, 1, 3], good)), None);
    let few = court.cert(&[0, 3], on(VoteKind::Notarize, 3, 1));
    assert_eq!(court.hear_cert(few), Some("I8 good certificates"));
    let mut padded = court.cert(&[0, 1, 3], on(VoteKind::Notarize, 3, 1));
    padded.signatures[1] = padded.signatures[0];
    assert_eq!(court.hear_cert(padded), Some("I8 good certificates"));
    let mut moved = court.cert(&[0, 1, 3], on(VoteKind::Notarize, 3, 1));
    moved.statement = on(VoteKind::Notarize, 3, 2);
    assert_eq!(court.hear_cert(moved), Some("I8 good certificates"));
}

#[test]
fn two_outcomes_of_a_view_are_seen() {
    let name = Some("I3, I4 one certified outcome of a view");
    let mut court = Court::new(false);
    let cert = |court: &Court, statement| court.cert(&[0, 1, 2], statement);
    let (one, other) = (
        on(VoteKind::Notarize, 2, 1),
        Statement::nullify(Epoch(0), View(2)),
    );
    // A view may be notarised and given up.
    assert_eq!(court.hear_cert(cert(&court, one)), None);
    assert_eq!(court.hear_cert(cert(&court, other)), None);
    let finalize = on(VoteKind::Finalize, 2, 1);
    assert_eq!(court.hear_cert(cert(&court, finalize)), name);
    let second = on(VoteKind::Notarize, 5, 2);
    assert_eq!(
        court.hear_cert(cert(&court, on(VoteKind::Notarize, 5, 1))),
        None
    );
    assert_eq!(court.hear_cert(cert(&court, second)), name);
}

#[test]
fn a_vote_in_an_epoch_that_is_over_is_seen() {
    let mut court = Court::new(false);
    let set = court.checker.sets[&Epoch(0)].clone();
    court.checker.sets.insert(Epoch(1), set);
    let next = Statement::nullify(Epoch(1), View(1));
    assert_eq!(court.hear_vote(0, next), None);
    let back = Statement::nullify(Epoch(0), View(9));
    let verdict = court.hear_vote(0, back);
    assert_eq!(verdict, Some("I15 vote in an earlier epoch"));
}

#[test]
fn reports_must_show_an_equivocation_and_enough_culprits() {
    let mut court = Court::new(true);
    let pair = |court: &Court, slot| {
        let first = court.vote(slot, on(VoteKind::Finalize, 1, 1));
        let second = court.vote(slot, on(VoteKind::Finalize, 1, 2));
        Evidence::of(first, second).expect("two blocks of one view")
    };
    // One of four is no third.
    let one = pair(&court, 3);
    assert!(
        court
            .checker
            .on_fork_report(0, std::slice::from_ref(&one))
            .is_err()
    );
    // Slot 2 is honest.
    let two = pair(&court, 2);
    let verdict = court.checker.on_fork_report(0, &[one.clone(), two.clone()]);
    assert!(verdict.is_err());
    court.checker.honest[2] = false;
    assert!(court.checker.on_fork_report(0, &[one, two]).is_ok());
    assert!(court.checker.settled.is_some());
    let mut calm = Court::new(false);
    let name = calm
        .checker
        .on_fork_report(0, &[])
        .expect_err("no fork was expected");
    assert_eq!(name.0, "safety-violation");
}

/// A block that a quorum notarised, and another one of its view that a quorum finalised.
fn half_of_a_fork(court: &Court) -> [Cert; 2] {
    [
        court.cert(&[0, 2, 3], on(VoteKind::Notarize, 1, 1)),
        court.cert(&[1, 2, 3], on(VoteKind::Finalize, 1, 2)),
    ]
}

#[test]
fn a_fork_must_convict_while_the_byzantine_are_no_quorum() {
    // Slot 1 is honest, and yet nobody has notarised what it finalised.
    let mut court = Court::with_byzantine(1, &[2, 3]);
    let [first, second] = half_of_a_fork(&court);
    assert_eq!(court.hear_cert(first.clone()), None);
    assert_eq!(court.hear_cert(second.clone()), Some("forensics"));
    assert!(court.checker.settled.is_none());
    // With the notarization that slot 1 has seen both Byzantine validators are named, whoever sent
    // it, and even if the node that stops names nobody itself.
    let mut court = Court::with_byzantine(1, &[2, 3]);
    let seen = court.cert(&[1, 2, 3], on(VoteKind::Notarize, 1, 2));
    let sent = Message::Bft(bft::Message::Cert(Box::new(seen)));
    assert!(court.checker.on_anything(&sent).is_ok());
    let clash = Message::Bft(bft::Message::Cert(Box::new(first)));
    assert!(court.checker.on_anything(&clash).is_ok());
    assert_eq!(court.checker.settled, Some(Fork::Convicted));
    assert!(court.checker.on_fork_report(1, &[]).is_ok());
}

#[test]
fn votes_that_add_up_to_a_certificate_count_as_one() {
    let mut court = Court::with_byzantine(1, &[2, 3]);
    let vote = |court: &Court, slot, statement| {
        let vote = court.vote(slot, statement);
        Message::Bft(bft::Message::Vote(vote))
    };
    for name in [1, 2] {
        for slot in [2, 3, usize::from(name - 1)] {
            let sent = vote(&court, slot, on(VoteKind::Finalize, 1, name));
            assert!(court.checker.settled.is_none());
            assert!(court.checker.on_anything(&sent).is_ok());
        }
    }
    assert_eq!(court.checker.settled, Some(Fork::Convicted));
}

#[test]
fn a_byzantine_quorum_may_fork_unconvicted_and_nobody_honest_is_reported() {
    let mut court = Court::with_byzantine(2, &[1, 2, 3]);
    let [first, second] = half_of_a_fork(&court);
    assert_eq!(court.hear_cert(first), None);
    assert_eq!(court.hear_cert(second), None);
    assert_eq!(court.checker.settled, Some(Fork::Unproven));
    let mut court = Court::with_byzantine(2, &[1, 2, 3]);
    let mine = [1, 2].map(|name| court.vote(0, on(VoteKind::Finalize, 1, name)));
    let [one, two] = mine;
    let evidence = Evidence::of(one, two).expect("two blocks of one view");
    let verdict = court.checker.on_fork_report(1, &[evidence]);
    assert_eq!(verdict.map_err(|(name, _)| name), Err("forensics"));
}
