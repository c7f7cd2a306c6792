//! Whatever a validator remembers changes its digest.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;

use super::solo::{Keys, machine};
use crate::bft::gate::Held;
use crate::bft::rejoin::Rejoin;
use crate::bft::round::Round;
use crate::bft::state::{Asked, Bft, Known, Peer, Phase, Verdict};
use crate::bft::*;
use crate::crypto::Digest;
use crate::crypto::tests::fingerprint::{Change, each_shows, equals_show_equal};
use crate::mutant::Mutant;
use crate::types::{NodeId, Time};

fn four() -> Keys {
    Keys::new(&[1, 1, 1, 1])
}

fn validator() -> Bft {
    machine(&four(), 0, Mutant::None)
}

fn known(verdict: Verdict, recorded: bool) -> Known {
    let keys = four();
    let block = keys.block(1, keys.epoch.root(), &[]);
    Known {
        block: Arc::new(block),
        verdict,
        recorded,
    }
}

fn keep(of: &mut Bft, one: Known) {
    of.blocks.insert(Digest([1; 32]), one);
}

fn peer(of: &mut Bft, one: Peer) {
    of.peers.insert(NodeId(2), one);
}

fn round(of: &mut Bft, one: Round) {
    of.rounds.insert(View(1), one);
}

const AT: Option<Time> = Some(Time(9));

const CHANGES: &[Change<Bft>] = &[
    ("phase", |of| of.phase = Phase::Running),
    ("phase: ended", |of| of.phase = Phase::Ended),
    ("phase: halted", |of| of.phase = Phase::Halted("full")),
    ("phase: rejoining", |of| {
        of.phase = Phase::Rejoining(Rejoin::new(Time(1)));
    }),
    ("phase: when it asks", |of| {
        of.phase = Phase::Rejoining(Rejoin::new(Time(2)));
    }),
    ("now", |of| of.now = Time(1)),
    ("view", |of| of.view = View(2)),
    ("entered at", |of| of.entered_at = Time(1)),
    ("entered by", |of| {
        let keys = four();
        of.entered_by = Some(Proven::assume(keys.cert(&[0, 1, 2], keys.null(1))));
    }),
    ("last final", |of| {
        let keys = four();
        of.last_final = Some(Proven::assume(keys.cert(&[0, 1, 2], keys.null(1))));
    }),
    ("committed", |of| of.committed.height = Height(1)),
    ("announced", |of| of.announced = Height(1)),
    ("rounds", |of| round(of, Round::default())),
    ("rounds: proposal", |of| {
        let mut one = Round::default();
        one.proposal = Some(Digest::default());
        round(of, one);
    }),
    ("rounds: asked", |of| {
        let mut one = Round::default();
        one.asked_at = AT;
        round(of, one);
    }),
    ("rounds: vote", |of| {
        let keys = four();
        let mut one = Round::default();
        one.votes[0].insert(ValidatorIndex(1), keys.vote(1, keys.null(1)));
        round(of, one);
    }),
    ("rounds: redundant vote", |of| {
        let keys = four();
        let mut one = Round::default();
        one.keep_redundant(keys.vote(1, keys.null(1)));
        round(of, one);
    }),
    ("rounds: reported", |of| {
        let mut one = Round::default();
        one.note_equivocation(ValidatorIndex(1));
        round(of, one);
    }),
    ("rounds: certificate", |of| {
        let keys = four();
        let mut one = Round::default();
        one.keep_cert(Proven::assume(keys.cert(&[0, 1, 2], keys.null(1))));
        round(of, one);
    }),
    ("blocks taken up", |of| of.blocks_taken_up = 1),
    ("blocks", |of| keep(of, known(Verdict::Open, false))),
    ("blocks: asked", |of| keep(of, known(Verdict::Asked, false))),
    ("blocks: bad", |of| keep(of, known(Verdict::Invalid, false))),
    ("blocks: recorded", |of| {
        keep(of, known(Verdict::Open, true))
    }),
    ("guard", |of| {
        let keys = four();
        of.guard.insert(keys.vote(0, keys.null(1)));
    }),
    ("gate: record", |of| {
        of.gate.record(Record::VoteFloor(View(1)))
    }),
    ("gate: held", |of| of.gate.hold(Held::Rejoined)),
    ("gate: held vote", |of| {
        let keys = four();
        of.gate.hold(Held::Vote(keys.vote(0, keys.null(1))));
    }),
    ("gate: pending", |of| {
        of.gate.record(Record::VoteFloor(View(1)));
        drop(of.gate.flush());
    }),
    ("timers: leader", |of| of.timers.leader = AT),
    ("timers: view", |of| of.timers.view = AT),
    ("timers: retry", |of| of.timers.retry = AT),
    ("timers: relay", |of| {
        of.timers.relay = Some((Time(9), View(1)))
    }),
    ("timers: ask", |of| of.timers.ask = AT),
    ("timers: idle", |of| of.timers.idle = AT),
    ("timers: idle_hold", |of| of.timers.idle_hold = AT),
    ("timers: hold", |of| of.timers.hold = AT),
    ("timers: held", |of| of.timers.held = 1),
    ("waiting", |of| of.waiting = true),
    ("building", |of| of.building = Some(View(1))),
    ("gives up", |of| of.gives_up = true),
    ("builds on", |of| of.builds_on = Digest([1; 32])),
    ("peers", |of| peer(of, Peer::default())),
    ("peers: view", |of| {
        peer(
            of,
            Peer {
                view: View(3),
                ..Peer::default()
            },
        );
    }),
    ("peers: heard", |of| {
        peer(
            of,
            Peer {
                heard_at: AT,
                ..Peer::default()
            },
        );
    }),
    ("peers: helped", |of| {
        peer(
            of,
            Peer {
                helped_at: AT,
                ..Peer::default()
            },
        );
    }),
    ("listens from", |of| of.listens_from = View(3)),
    ("wanted", |of| {
        of.wanted.insert(Digest([1; 32]), Asked::default());
    }),
    ("wanted: when", |of| {
        let asked = Asked {
            times: 0,
            last_at: AT,
        };
        of.wanted.insert(Digest([1; 32]), asked);
    }),
    ("catch up: times", |of| of.catch_up.times = 1),
    ("catch up: when", |of| of.catch_up.last_at = AT),
    ("peers asked", |of| of.peers_asked = 1),
    ("rules_dirty", |of| of.rules_dirty = true),
];

#[test]
fn whatever_changes_shows() {
    each_shows(validator, CHANGES, |of| of.digest());
}

#[test]
fn equal_histories_show_equal() {
    equals_show_equal(validator, CHANGES, |of| of.digest());
}

/// What is only counted does not show: the search over all states would see no end.
#[test]
fn what_is_counted_does_not_show() {
    let mut counted = Box::new(validator());
    counted.steps = 7;
    counted.rejected = 7;
    assert_eq!(vec![counted.digest()], vec![validator().digest()]);
}
