//! What is always true is noticed when it is not.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

use crate::cluster::{Cluster, Config, Effect, Event, Request};
use crate::kv::{Condition, Op};
use crate::machine::{Machine as _, Outbox};
use crate::raft::{Membership, Raft, Role};
use crate::replica::Command;
use crate::rig::Disk;
use crate::types::{ClusterId, Index, LogId, NodeId, RequestId, Time};

/// The only member of its cluster, on a disk that does no harm.
struct Alone {
    part: Cluster,
    disk: Disk,
    now: Time,
    inbox: VecDeque<Event>,
}

impl Alone {
    fn step(&mut self, event: Event) {
        let mut out = Outbox::new();
        self.part.step(self.now, event, &mut out);
        for effect in out.drain() {
            if let Effect::Io(io) = effect {
                self.inbox.push_back(Event::Io(self.disk.carry_out(io)));
            }
        }
    }

    fn run_until(&mut self, what: &str, is_so: impl Fn(&Raft) -> bool) {
        for _ in 0..10_000 {
            if self.part.raft().is_some_and(&is_so) {
                return;
            }
            let event = self.inbox.pop_front().unwrap_or_else(|| {
                let due = self.part.deadline().expect("a voter has a deadline");
                self.now = self.now.max(due);
                Event::Wake
            });
            self.step(event);
        }
        panic!("{what} did not come");
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
    let mut alone = Alone {
        part: Cluster::new(config),
        disk: Disk::default(),
        now: Time(1_000_000),
        inbox: VecDeque::from([Event::Start { is_used: false }]),
    };
    alone.run_until("leadership", |raft| raft.role() == Role::Leader);
    for number in 0..20 {
        let op = Op::Put {
            key: format!("key {number}").into_bytes().into(),
            value: "value".into(),
            condition: Condition::Always,
            lease: None,
        };
        alone.inbox.push_back(Event::Request {
            id: RequestId(number),
            request: Request::Write(Command::Once { op }),
        });
    }
    alone.run_until("a compaction", |raft| raft.base().id.index > Index(4));
    alone.part.check_invariants();
    alone.part
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
