//! Whatever a Raft node remembers changes its digest.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;

use super::cluster::id;
use super::solo::Solo;
use crate::crypto::tests::fingerprint::{Change, each_shows, equals_show_equal};
use crate::raft::membership::Transfer;
use crate::raft::progress::{Mode, Progress};
use crate::raft::repair::Repair;
use crate::raft::snapshot::Sending;
use crate::raft::state::{Lead, PendingRead, Raft};
use crate::raft::{CampaignId, Context, InflightId, Membership, Role, RoundId};
use crate::types::{Index, LogId, Term, Time};

fn node() -> Raft {
    Solo::with(1, &[1, 1]).raft
}

fn lead() -> Lead {
    Lead {
        peers: vec![Progress::new(id(2), Index(3))],
        next_inflight: InflightId(1),
        round: RoundId(1),
        round_wanted: false,
        reads: VecDeque::new(),
        transfer: None,
        heartbeat_at: Time(1),
        quorum_at: Time(1),
        uncommitted_bytes: 0,
        noop: Index(3),
    }
}

/// A leader that differs.
fn leads(of: &mut Raft, change: fn(&mut Lead)) {
    let mut lead = lead();
    change(&mut lead);
    of.lead = Some(lead);
}

/// A leader whose knowledge of a follower differs.
fn peer(of: &mut Raft, change: fn(&mut Progress)) {
    let mut lead = lead();
    change(&mut lead.peers[0]);
    of.lead = Some(lead);
}

fn repair(of: &mut Raft, change: fn(&mut Repair)) {
    let mut repair = Repair {
        damaged_upto: Index(2),
        first_round: None,
        confirmed: None,
    };
    change(&mut repair);
    of.repair = Some(repair);
}

fn read(round: u64, context: u64, index: u64) -> PendingRead {
    PendingRead {
        round: RoundId(round),
        context: Context(context),
        index: Index(index),
    }
}

const CHANGES: &[Change<Raft>] = &[
    ("now", |of| of.now = Time(9)),
    ("hard: term", |of| of.hard.term = Term(9)),
    ("hard: vote", |of| of.hard.voted_for = Some(id(2))),
    ("hard: repair", |of| of.hard.repair_upto = Some(Index(1))),
    ("role", |of| of.role = Role::Candidate),
    ("leader", |of| of.leader = Some(id(2))),
    ("contact", |of| of.contact = Some(Time(9))),
    ("election", |of| of.election_at = Time(9)),
    ("election_timeout", |of| of.election_timeout = None),
    ("campaign", |of| of.campaign.id = CampaignId(9)),
    ("campaign: transfer", |of| of.campaign.transfer = true),
    ("campaign: granted", |of| of.campaign.granted = vec![id(2)]),
    ("campaign: refused", |of| of.campaign.refused = vec![id(2)]),
    ("commit", |of| of.commit = Index(2)),
    ("handed", |of| of.handed = Index(9)),
    ("applied", |of| of.applied = Index(9)),
    ("gate: hard", |of| of.gate.mark_hard()),
    ("gate: base", |of| of.gate.mark_base()),
    ("gate: cut", |of| of.gate.mark_truncated(Index(2))),
    ("repair", |of| repair(of, |_| {})),
    ("repair: damaged", |of| {
        repair(of, |one| one.damaged_upto = Index(3))
    }),
    ("repair: round", |of| {
        repair(of, |one| one.first_round = Some(RoundId(1)))
    }),
    ("repair: confirmed", |of| {
        repair(of, |one| one.confirmed = Some(Index(1)))
    }),
    ("halted", |of| of.halt_reason = Some("full")),
    ("flush", |of| of.flush_wanted ^= true),
    ("announced: role", |of| of.announced.role = None),
    ("announced: term", |of| of.announced.term = Term(9)),
    ("announced: leader", |of| of.announced.leader = Some(id(3))),
    ("announced: members", |of| {
        of.announced.membership = Some(Membership::default())
    }),
    ("announced: epoch", |of| of.announced.epoch = Some(9)),
    ("announced: commit", |of| of.announced.commit = Index(9)),
    ("final epoch", |of| of.final_epoch = Some(9)),
    ("lead", |of| leads(of, |_| {})),
    ("lead: inflight", |of| {
        leads(of, |one| one.next_inflight = InflightId(2))
    }),
    ("lead: round", |of| leads(of, |one| one.round = RoundId(2))),
    ("lead: round wanted", |of| {
        leads(of, |one| one.round_wanted = true)
    }),
    ("lead: read", |of| {
        leads(of, |one| one.reads.push_back(read(1, 1, 1)))
    }),
    ("lead: read's round", |of| {
        leads(of, |one| one.reads.push_back(read(2, 1, 1)))
    }),
    ("lead: read's context", |of| {
        leads(of, |one| one.reads.push_back(read(1, 2, 1)))
    }),
    ("lead: read's index", |of| {
        leads(of, |one| one.reads.push_back(read(1, 1, 2)))
    }),
    ("lead: transfer", |of| {
        leads(of, |one| {
            let until = Time(1);
            one.transfer = Some(Transfer { to: id(2), until });
        });
    }),
    ("lead: heartbeat", |of| {
        leads(of, |one| one.heartbeat_at = Time(2))
    }),
    ("lead: quorum", |of| {
        leads(of, |one| one.quorum_at = Time(2))
    }),
    ("lead: uncommitted", |of| {
        leads(of, |one| one.uncommitted_bytes = 1)
    }),
    ("lead: first entry", |of| {
        leads(of, |one| one.noop = Index(4))
    }),
    ("peer: id", |of| peer(of, |one| one.id = id(3))),
    ("peer: matched", |of| peer(of, |one| one.matched = Index(1))),
    ("peer: next", |of| peer(of, |one| one.next = Index(2))),
    ("peer: replicates", |of| {
        peer(of, |one| one.mode = Mode::Replicate)
    }),
    ("peer: waits", |of| {
        peer(of, |one| one.mode = Mode::Probe { waiting: true })
    }),
    ("peer: snapshot", |of| {
        peer(of, |one| one.mode = Mode::Snapshot(Sending::Opening));
    }),
    ("peer: floor", |of| {
        peer(of, |one| one.floor = InflightId(9))
    }),
    ("peer: told commit", |of| {
        peer(of, |one| one.told_commit = Index(9))
    }),
    ("peer: told round", |of| {
        peer(of, |one| one.told_round = RoundId(9))
    }),
    ("peer: confirmed", |of| {
        peer(of, |one| one.confirmed_round = RoundId(9))
    }),
    ("peer: heard", |of| {
        peer(of, |one| one.heard = Some(Time(9)))
    }),
    ("log", |of| *of = Solo::with(1, &[1]).raft),
    ("log: terms", |of| *of = Solo::with(2, &[1, 2]).raft),
];

#[test]
fn whatever_changes_shows() {
    each_shows(node, CHANGES, Raft::digest);
}

#[test]
fn equal_histories_show_equal() {
    equals_show_equal(node, CHANGES, Raft::digest);
}

/// What is only counted does not show.
#[test]
fn what_is_counted_does_not_show() {
    let mut counted = Box::new(node());
    counted.steps += 7;
    assert_eq!(counted.digest(), node().digest());
    assert_eq!(counted.last(), LogId::new(Term(1), Index(2)));
}
