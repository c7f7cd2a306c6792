//! The crate `raft` (tikv/raft-rs), driven as its documentation asks: all
//! proposals of an iteration in one message, `ready` and `advance`, messages of the
//! leader before its own write.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::prelude::{ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot};
use raft::{GetEntriesContext, RaftState, RawNode, StateRole, Storage, StorageError};

use super::{Counts, NODES, Node, Settings};
use crate::workload::Sink;

/// Nanoseconds between ticks: a heartbeat each, as in the other contenders.
const TICK_NS: u64 = 100_000_000;

/// A node around `raft::RawNode`.
pub struct RaftRs {
    raw: RawNode<Log>,
    proposed: Vec<Entry>,
    next_tick_ns: u64,
    sink: Sink,
    applied: u64,
    counts: Counts,
    settings: Settings,
}

/// The log in memory: what `MemStorage` does, without its lock and its copies.
#[derive(Default)]
struct Log {
    state: RaftState,
    base_index: u64,
    base_term: u64,
    entries: VecDeque<Entry>,
}

impl Node for RaftRs {
    type Message = Message;

    const NAME: &'static str = "raft 0.7.0";

    fn new(id: usize, settings: Settings) -> Self {
        let config = raft::Config {
            id: id as u64 + 1,
            election_tick: 10,
            heartbeat_tick: 1,
            max_size_per_msg: 1 << 20,
            max_inflight_msgs: 256,
            check_quorum: true,
            pre_vote: true,
            batch_append: true,
            ..raft::Config::default()
        };
        let voters: Vec<u64> = (1..=NODES as u64).collect();
        let log = Log {
            state: RaftState::new(HardState::default(), ConfState::from((voters, Vec::new()))),
            ..Log::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        Self {
            raw: RawNode::new(&config, log, &logger).expect("a valid configuration"),
            proposed: Vec::new(),
            next_tick_ns: TICK_NS,
            sink: Sink::default(),
            applied: 0,
            counts: Counts::default(),
            settings,
        }
    }

    fn stand(&mut self, _now_ns: u64) {
        self.raw.campaign().expect("a node may stand");
    }

    fn leads(&self) -> bool {
        let raft = &self.raw.raft;
        raft.state == StateRole::Leader && raft.commit_to_current_term()
    }

    #[cfg_attr(
        not(feature = "raft-prost"),
        expect(clippy::useless_conversion, reason = "the other codec has `Vec<u8>`")
    )]
    fn propose(&mut self, _now_ns: u64, data: Bytes) {
        let entry = Entry {
            data: data.into(),
            ..Entry::default()
        };
        self.proposed.push(entry);
    }

    fn receive(&mut self, _now_ns: u64, _from: usize, message: Message) {
        self.raw.step(message).expect("a message of a member");
    }

    fn iterate(&mut self, now_ns: u64, out: &mut Vec<(usize, Message)>) {
        while now_ns >= self.next_tick_ns {
            self.next_tick_ns += TICK_NS;
            self.raw.tick();
        }
        if !self.proposed.is_empty() {
            let mut message = Message::default();
            message.set_msg_type(MessageType::MsgPropose);
            message.from = self.raw.raft.id;
            message.set_entries(std::mem::take(&mut self.proposed).into());
            self.raw.raft.step(message).expect("the leader takes it");
        }
        while self.raw.has_ready() {
            self.ready(out);
        }
        self.cut();
    }

    fn deadline_ns(&self) -> u64 {
        self.next_tick_ns
    }

    fn sink(&self) -> Sink {
        self.sink
    }

    fn counts(&self) -> Counts {
        self.counts
    }
}

impl RaftRs {
    fn ready(&mut self, out: &mut Vec<(usize, Message)>) {
        let mut ready = self.raw.ready();
        send(out, ready.take_messages());
        self.apply(ready.take_committed_entries());
        self.counts.syncs += u64::from(ready.must_sync());
        let entries = ready.take_entries();
        self.counts.entries += entries.len() as u64;
        let log = self.raw.mut_store();
        if let Some(hard) = ready.hs() {
            log.state.hard_state = hard.clone();
        }
        log.append(entries);
        send(out, ready.take_persisted_messages());
        let mut light = self.raw.advance(ready);
        if let Some(commit) = light.commit_index() {
            self.raw.mut_store().state.hard_state.commit = commit;
        }
        send(out, light.take_messages());
        self.apply(light.take_committed_entries());
        self.raw.advance_apply();
    }

    fn apply(&mut self, entries: Vec<Entry>) {
        for entry in &entries {
            if entry.get_entry_type() == EntryType::EntryNormal && !entry.data.is_empty() {
                self.sink.apply(&entry.data);
            }
            self.applied = entry.index;
        }
    }

    fn cut(&mut self) {
        let log = self.raw.mut_store();
        let Settings {
            trailing,
            cut_every,
            ..
        } = self.settings;
        if self.applied > log.base_index + trailing + cut_every {
            log.cut(self.applied - trailing);
        }
    }
}

fn send(out: &mut Vec<(usize, Message)>, messages: Vec<Message>) {
    out.extend(
        messages
            .into_iter()
            .map(|message| (message.to as usize - 1, message)),
    );
}

impl Log {
    fn append(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first() else {
            return;
        };
        let keep = first.index - self.base_index - 1;
        self.entries.truncate(keep as usize);
        self.entries.extend(entries);
    }

    fn cut(&mut self, upto: u64) {
        let count = (upto - self.base_index) as usize;
        self.base_term = self.entries[count - 1].term;
        self.base_index = upto;
        self.entries.drain(..count);
    }
}

impl Storage for Log {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(self.state.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.base_index {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        let from = (low - self.base_index - 1) as usize;
        let upto = (high - self.base_index - 1) as usize;
        let mut entries = self.entries.range(from..upto).cloned().collect();
        raft::util::limit_size(&mut entries, max_size.into());
        Ok(entries)
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index == self.base_index {
            return Ok(self.base_term);
        }
        if index < self.base_index {
            return Err(raft::Error::Store(StorageError::Compacted));
        }
        let at = (index - self.base_index - 1) as usize;
        let entry = self.entries.get(at);
        entry
            .map(|entry| entry.term)
            .ok_or(raft::Error::Store(StorageError::Unavailable))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.base_index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.base_index + self.entries.len() as u64)
    }

    fn snapshot(&self, _request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        Err(raft::Error::Store(
            StorageError::SnapshotTemporarilyUnavailable,
        ))
    }
}
