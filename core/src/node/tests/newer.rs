//! What a node does with a log, a state or a snapshot of a version that has a module
//! more than its own: it stops, says so, and keeps everything as it is.

use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use bytes::Bytes;

use super::cluster::{CLUSTER, Cluster, Event, members};
use crate::cluster;
use crate::codec::Encode as _;
use crate::kv::tests::put;
use crate::kv::{self, Kv};
use crate::node::Message;
use crate::raft::{self, Base, Body, Entry, EntryKind, InflightId, RoundId, SnapshotMeta, chain};
use crate::replica::tests::toy::{Op, TOY, Toy, ToyOp, WithToy};
use crate::replica::{Command, Config, Envelope, LogTime, Replica};
use crate::store::StoreOp;
use crate::types::{Chain, Index, LogId, NodeId, Span, Term};

/// The node of this version.
const OLD: NodeId = NodeId(1);
/// The node of a newer version that leads it. Only its messages exist.
const NEW: NodeId = NodeId(2);

const ENABLE: Command<Op> = Command::Enable { module: TOY };

const fn once(op: Op) -> Command<Op> {
    Command::Once { op }
}

fn envelope(command: Command<Op>) -> Envelope<Op> {
    Envelope {
        proposed_at: LogTime(1),
        command,
    }
}

/// A log of the newer version: the keys `a` and `b`, and between them something of the
/// module.
fn log(of_module: Command<Op>) -> Vec<Entry> {
    let commands = [
        once(Op::Kv(put("a", "1"))),
        of_module,
        once(Op::Kv(put("b", "2"))),
    ];
    let mut before = (LogId::ZERO, chain::EMPTY);
    let mut entries = Vec::new();
    for command in commands {
        let id = LogId::new(Term(7), before.0.index.next());
        let data = envelope(command).to_bytes();
        let entry = chain::seal(CLUSTER, before.1, id, EntryKind::App, data);
        before = (entry.id, entry.chain);
        entries.push(entry);
    }
    entries
}

/// The state that the log leads to as far as its switch, and its pairs in the store.
fn state() -> (Replica<WithToy>, Vec<StoreOp>) {
    let kv = Kv::new(kv::Config::new());
    let toy = Toy::default();
    let mut state = Replica::new(Config::new(), WithToy { kv, toy });
    let mut ops = Vec::new();
    let commands = [once(Op::Kv(put("a", "1"))), ENABLE];
    for (command, entry) in commands.into_iter().zip(log(ENABLE)) {
        state.apply(entry.id, &envelope(command), &mut ops);
    }
    (state, ops)
}

fn says(cluster: &mut Cluster, body: Body) {
    let message = raft::Message {
        term: Term(7),
        body,
    };
    let event = Event::Message {
        from: NEW,
        message: Message::Cluster(cluster::Message::Raft(message)),
    };
    cluster.step(OLD, event);
}

fn append(commit: Index, prev: (LogId, Chain), entries: Vec<Entry>) -> Body {
    Body::Append {
        inflight: InflightId(1),
        round: RoundId(0),
        prev: prev.0,
        prev_chain: prev.1,
        commit,
        quiet: false,
        entries: entries.into(),
    }
}

/// A voter of two, whose peer is the node of the newer version.
fn follower() -> Cluster {
    let mut cluster = Cluster::new(0);
    cluster.join(OLD, members(2));
    cluster.run_until("recovery", |cluster| cluster.slot(OLD).health.is_serving());
    cluster
}

fn expect_halt(cluster: &mut Cluster) {
    cluster.run_until("the halt", |cluster| cluster.slot(OLD).halted().is_some());
    let reason = cluster.slot(OLD).halted().as_ref().unwrap().to_string();
    assert!(reason.contains("written by a newer version"), "{reason}");
    // Nothing that it asked for before is under way any more.
    cluster.run_for(Span::from_millis(100));
}

fn store(cluster: &Cluster) -> alloc::collections::BTreeMap<Bytes, Bytes> {
    cluster.slot(OLD).disk.pairs().clone()
}

#[test]
fn a_committed_command_of_an_unknown_module_stops_the_node_and_is_not_skipped() {
    stops_in_front_of(log(once(Op::Toy(ToyOp::Make))));
}

#[test]
fn the_switch_of_an_unknown_module_stops_the_node_and_is_not_skipped() {
    stops_in_front_of(log(ENABLE));
}

/// In front of the second entry.
fn stops_in_front_of(log: Vec<Entry>) {
    let mut cluster = follower();
    let start = (LogId::ZERO, chain::EMPTY);
    let end = log.last().map(|entry| (entry.id, entry.chain)).unwrap();
    says(&mut cluster, append(Index(1), start, log));
    cluster.run_until("the first entry", |cluster| {
        cluster.part(OLD).replica().applied().index == Index(1)
    });
    assert!(
        cluster.slot(OLD).halted().is_none(),
        "it is only in the log"
    );
    let before = store(&cluster);
    says(&mut cluster, append(Index(3), end, Vec::new()));
    expect_halt(&mut cluster);
    assert_eq!(store(&cluster), before, "nothing behind it is applied");
    // The log still holds it, so it is met again, and the same is done.
    cluster.restart(OLD);
    cluster.run_until("recovery", |cluster| cluster.slot(OLD).health.is_serving());
    let last = cluster.part(OLD).raft().unwrap().last();
    assert_eq!(last, end.0, "the log is whole");
    says(&mut cluster, append(Index(3), end, Vec::new()));
    expect_halt(&mut cluster);
    assert_eq!(store(&cluster), before);
}

#[test]
fn a_stored_state_with_an_unknown_module_stops_the_node_and_is_not_wiped() {
    let mut cluster = follower();
    let start = (LogId::ZERO, chain::EMPTY);
    let entries = log(ENABLE).into_iter().take(1).collect();
    says(&mut cluster, append(Index(1), start, entries));
    cluster.run_until("the entry", |cluster| {
        cluster.part(OLD).replica().applied().index == Index(1)
    });
    let disk = &mut cluster.slot_mut(OLD).disk;
    let pairs = state().1.into_iter().filter_map(|op| match op {
        StoreOp::Put { key, value } => Some((key, value)),
        _ => None,
    });
    disk.replace_pairs(pairs.collect());
    let before = disk.clone();
    for _ in 0..2 {
        cluster.restart(OLD);
        expect_halt(&mut cluster);
        assert_eq!(store(&cluster), *before.pairs());
        let files = cluster.slot(OLD).disk.files();
        assert!(files.eq(before.files()), "the log is kept too");
    }
}

#[test]
fn a_snapshot_with_an_unknown_module_stops_the_node_and_is_not_installed() {
    let mut cluster = follower();
    let before = store(&cluster);
    let (state, _) = state();
    let at = log(ENABLE).swap_remove(1);
    let mut frozen = state.freeze();
    let (data, last) = frozen.chunk(0).unwrap();
    assert!(last, "a small state is one chunk");
    let base = Base {
        id: at.id,
        chain: at.chain,
        membership: members(2),
    };
    let meta = Box::new(SnapshotMeta {
        base,
        digest: frozen.digest(),
        metadata: Bytes::new(),
    });
    let body = Body::Snapshot {
        inflight: InflightId(1),
        round: RoundId(0),
        meta,
        chunk: 0,
        data,
        last,
    };
    says(&mut cluster, body);
    expect_halt(&mut cluster);
    assert_eq!(store(&cluster), before);
}
