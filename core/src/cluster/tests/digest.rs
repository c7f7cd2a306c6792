//! Whatever a node's part in its cluster remembers changes its fingerprint.

use alloc::vec;

use bytes::Bytes;

use crate::cluster::Config;
use crate::cluster::state::{Clock, Cluster, Phase, Watch};
use crate::crypto::tests::fingerprint::{Change, each_shows, equals_show_equal};
use crate::machine::{Machine as _, Outbox};
use crate::part::Health;
use crate::proof::{AppliedLog, AppliedTree};
use crate::raft::{Base, HardState, Membership, Raft, Recovered};
use crate::replica::LogTime;
use crate::types::{
    ClusterId, Index, LogId, NodeId, PeerRequestId, ProcessNonce, RequestId, Revision, Term, Time,
};
use crate::wal;

const CLUSTER: ClusterId = ClusterId(7);

fn cluster() -> Cluster {
    let members = Membership::of_voters([NodeId(1), NodeId(2)]);
    Cluster::new(Config::new(NodeId(1), CLUSTER, members, 1))
}

fn raft(term: u64) -> Option<Raft> {
    let config = cluster().config.raft_config();
    let recovered = Recovered {
        hard_state: HardState {
            term: Term(term),
            ..HardState::default()
        },
        base: Base {
            membership: Membership::of_voters([NodeId(1), NodeId(2)]),
            ..Base::default()
        },
        ..Recovered::default()
    };
    Some(Raft::new(Time::ZERO, config, recovered, &mut Outbox::new()))
}

fn watch(since: u64) -> Watch {
    Watch {
        from: Bytes::from_static(b"a"),
        to: None,
        since: Revision(since),
    }
}

const CHANGES: &[Change<Cluster>] = &[
    ("phase", |of| of.phase = Phase::Running),
    ("phase: deadline", |of| of.phase = stopping(5)),
    ("phase: another deadline", |of| of.phase = stopping(6)),
    ("phase: halted", |of| {
        of.phase = Phase::Ended {
            halted: Some("full".into()),
        };
    }),
    ("clock", |of| {
        of.clock = Clock {
            wall: LogTime(9),
            read_at: Time::ZERO,
        };
    }),
    ("clock: read at", |of| of.clock.read_at = Time(9)),
    ("wal", |of| {
        of.wal
            .step(Time::ZERO, wal::Event::Start, &mut Outbox::new());
    }),
    ("raft", |of| of.raft = raft(1)),
    ("raft: term", |of| of.raft = raft(2)),
    ("replica", |of| {
        let at = LogId {
            term: Term(1),
            index: Index(1),
        };
        of.replica.note_applied(at, &mut vec![]);
    }),
    ("storage: stored", |of| of.storage.stored = Index(1)),
    ("storage: vote", |of| of.storage.hard_state.term = Term(1)),
    ("storage: base", |of| of.storage.base.id.index = Index(1)),
    ("storage: accumulator", |of| {
        of.storage.log_accumulator = Some(AppliedLog::new(CLUSTER));
    }),
    ("requests", |of| {
        of.requests
            .is_first_sight(NodeId(2), PeerRequestId::default(), &Membership::default());
    }),
    ("requests: term", |of| of.requests.set_start_term(Term(1))),
    ("watches", |of| {
        of.watches.insert(RequestId(1), watch(1));
    }),
    ("watches: from where", |of| {
        of.watches.insert(RequestId(1), watch(2));
    }),
    ("snapshots", |of| {
        of.snapshots.outgoing.insert(NodeId(2), of.replica.freeze());
    }),
    ("log tree", |of| {
        of.log_tree = Some(AppliedTree::after(&AppliedLog::new(CLUSTER)));
    }),
    ("attest", |of| {
        of.attest.next_id(ProcessNonce(1));
    }),
    ("followers", |of| {
        of.followers.insert(RequestId(1));
    }),
    ("told health", |of| of.told_health = Health::Ready),
    ("tick", |of| of.tick_in_flight = true),
];

fn stopping(deadline: u64) -> Phase {
    Phase::Stopping {
        transfer_deadline: Time(deadline),
        last_batch: None,
    }
}

#[test]
fn whatever_changes_shows() {
    each_shows(cluster, CHANGES, Cluster::fingerprint);
}

#[test]
fn equal_histories_show_equal() {
    equals_show_equal(cluster, CHANGES, Cluster::fingerprint);
}
