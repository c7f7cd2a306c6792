//! What is always true is noticed when it is not.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::cluster::{Cluster, Config, Link, Message, Notice, Request, Response};
use crate::kv::{Condition, Op};
use crate::raft::{Membership, Raft, Role};
use crate::replica::Command;
use crate::rig::{Disk, Faults, Rig, Setting, Slot};
use crate::types::{ClusterId, Index, LogId, NodeId, Span};

/// The configuration of the only member of a cluster.
struct Alone(Config);

impl Setting for Alone {
    type Machine = Cluster;
    type Message = Message;
    type Request = Request;
    type Response = Response;
    type Link = Link;
    type Notice = Notice;

    fn process(&mut self, _: usize, _: NodeId) -> Cluster {
        Cluster::new(self.0.clone())
    }

    fn on_notice(&mut self, _: usize, _: &Slot<Cluster>, _: Notice) {}

    fn describe(part: &Cluster) -> String {
        format!("{:?}", part.raft().map(Raft::role))
    }
}

/// A part that has compacted its log and has entries behind the base.
fn compacted() -> Cluster {
    let node = NodeId(1);
    let bootstrap = Membership {
        voters: Vec::from([node]),
        ..Membership::default()
    };
    let mut config = Config::new(node, ClusterId(7), bootstrap, 42);
    config.wal_segment_bytes = 1 << 20;
    config.log_entries_max = 8;
    config.log_trailing_entries = 2;
    let mut alone = Rig::empty(1, Faults::NONE, Alone(config));
    alone.add(node, Disk::default());
    alone.start(node);
    let raft = |alone: &Rig<Alone>, is_so: fn(&Raft) -> bool| {
        alone.slot(0).machine().raft().is_some_and(is_so)
    };
    alone.until("leadership", Span::from_secs(60), |alone| {
        raft(alone, |raft| raft.role() == Role::Leader)
    });
    for number in 0..20 {
        let op = Op::Put {
            key: format!("key {number}").into_bytes().into(),
            value: "value".into(),
            condition: Condition::Always,
            lease: None,
        };
        alone.request(node, Request::Write(Command::Once { op }));
    }
    alone.until("a compaction", Span::from_secs(60), |alone| {
        raft(alone, |raft| raft.base().id.index > Index(4))
    });
    let part = alone.slot_mut(node).machine.take().expect("it runs");
    part.check_invariants();
    part
}

#[test]
#[should_panic(expected = "N1: the log begins no later")]
fn a_log_that_begins_behind_what_is_stored() {
    let mut part = compacted();
    let base = part.raft().expect("it runs").base().id.index;
    part.storage.stored = Index(base.0 - 1);
    part.check_invariants();
}

#[test]
#[should_panic(expected = "only committed entries are applied")]
fn an_entry_that_is_applied_before_it_is_committed() {
    let mut part = compacted();
    let committed = part.raft().expect("it runs").committed();
    while part.replica.applied().index <= committed {
        let applied = part.replica.applied();
        let next = LogId {
            index: applied.index.next(),
            ..applied
        };
        part.replica.note_applied(next, &mut Vec::new());
    }
    part.check_invariants();
}
