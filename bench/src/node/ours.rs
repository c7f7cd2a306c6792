//! The core of this project, `core::raft::Raft`.

use std::collections::VecDeque;

use bytes::Bytes;
use decube_core::machine::{Machine, Outbox};
use decube_core::raft::{
    Base, Config, Context, Effect, Entries, EntryKind, Event, Membership, Message, Persist, Raft,
    Recovered,
};
use decube_core::types::{ClusterId, Index, NodeId, Time};

use super::{Counts, NODES, Node, Settings};
use crate::workload::Sink;

/// A node around `core::raft::Raft`.
pub struct Ours {
    raft: Raft,
    out: Outbox<Effect>,
    /// Takes turns with `out`: its effects are carried out while `out` gathers
    /// what follows from them.
    work: Outbox<Effect>,
    /// The log in memory, in the runs in which it was written.
    disk: VecDeque<Entries>,
    sink: Sink,
    applied: Index,
    counts: Counts,
    settings: Settings,
}

fn node_id(id: usize) -> NodeId {
    NodeId(id as u128 + 1)
}

impl Node for Ours {
    type Message = Message;

    const NAME: &'static str = "DeCube core";

    fn new(id: usize, settings: Settings) -> Self {
        let membership = Membership {
            voters: (0..NODES).map(node_id).collect(),
            ..Membership::default()
        };
        let recovered = Recovered {
            base: Base {
                membership,
                ..Base::default()
            },
            ..Recovered::default()
        };
        let config = Config::new(node_id(id), ClusterId(1), 7);
        let mut out = Outbox::new();
        let raft = Raft::new(Time::ZERO, config, recovered, &mut out);
        Self {
            raft,
            out,
            work: Outbox::new(),
            disk: VecDeque::new(),
            sink: Sink::default(),
            applied: Index::ZERO,
            counts: Counts::default(),
            settings,
        }
    }

    fn stand(&mut self, _now_ns: u64) {
        // It stands by itself when its deadline comes.
    }

    fn leads(&self) -> bool {
        self.raft.is_ready_leader()
    }

    fn propose(&mut self, now_ns: u64, data: Bytes) {
        let event = Event::Propose {
            context: Context(0),
            data,
        };
        self.raft.step(Time(now_ns), event, &mut self.out);
    }

    fn receive(&mut self, now_ns: u64, from: usize, message: Message) {
        let from = node_id(from);
        let event = Event::Message { from, message };
        self.raft.step(Time(now_ns), event, &mut self.out);
    }

    fn iterate(&mut self, now_ns: u64, out: &mut Vec<(usize, Message)>) {
        let now = Time(now_ns);
        loop {
            let due = self.raft.deadline().is_some_and(|at| at <= now);
            if due {
                self.raft.step(now, Event::Wake, &mut self.out);
            }
            if !due && self.out.is_empty() {
                break;
            }
            let spare = std::mem::take(&mut self.work);
            let mut work = std::mem::replace(&mut self.out, spare);
            for effect in work.drain() {
                self.carry_out(now, effect, out);
            }
            self.work = work;
        }
        self.cut(now);
    }

    fn deadline_ns(&self) -> u64 {
        self.raft.deadline().map_or(u64::MAX, |at| at.0)
    }

    fn sink(&self) -> Sink {
        self.sink
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}

impl Ours {
    fn carry_out(&mut self, now: Time, effect: Effect, out: &mut Vec<(usize, Message)>) {
        match effect {
            Effect::Persist(persist) => {
                let seq = persist.seq;
                self.write(persist);
                self.raft.step(now, Event::Persisted { seq }, &mut self.out);
            }
            Effect::Send { to, message } => out.push((to.0 as usize - 1, message)),
            Effect::Apply { entries } => {
                for entry in entries.iter() {
                    if entry.kind == EntryKind::App {
                        self.sink.apply(&entry.data);
                    }
                    self.applied = entry.id.index;
                }
                let upto = self.applied;
                self.raft.step(now, Event::Applied { upto }, &mut self.out);
            }
            Effect::Refused { reason, .. } => panic!("a proposal was refused: {reason:?}"),
            _ => {}
        }
    }

    fn write(&mut self, persist: Persist) {
        self.counts.syncs += 1;
        self.counts.entries += persist.append.len() as u64;
        if let Some(base) = persist.base {
            while self
                .disk
                .front()
                .and_then(|run| run.last())
                .is_some_and(|entry| entry.id.index <= base.id.index)
            {
                self.disk.pop_front();
            }
        }
        if let Some(from) = persist.truncate_from {
            while let Some(run) = self.disk.pop_back() {
                let kept = run.partition_point(|entry| entry.id.index < from);
                if kept > 0 {
                    self.disk.push_back(run.part(0..kept));
                    break;
                }
            }
        }
        self.disk.extend(persist.append.into_runs());
    }

    fn cut(&mut self, now: Time) {
        let base = self.raft.base().id.index.0;
        let Settings {
            trailing,
            cut_every,
            ..
        } = self.settings;
        if self.applied.0 > base + trailing + cut_every {
            let upto = Index(self.applied.0 - trailing);
            self.raft.step(now, Event::Compact { upto }, &mut self.out);
        }
    }
}
