//! What a test node keeps across a crash, and its state machine.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::raft::{Base, Entry, HardState, Persist};
use crate::types::{Index, LogId};

/// What a disk holds.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub hard: HardState,
    pub base: Base,
    pub entries: Vec<Entry>,
    /// The durable state: what was applied, in order.
    pub state: State,
    /// The base of the state that was installed last.
    pub installed: Option<Base>,
    /// Set by a test that damages the log.
    pub damaged_upto: Option<Index>,
    pub hard_state_lost: bool,
    /// Whether it ever lost synced entries: an acknowledgement given before may
    /// still be on its way, so it vouches for nothing in the checks.
    pub was_damaged: bool,
}

/// The state machine of the tests: the list of all it applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    pub applied: LogId,
    pub commands: Vec<Bytes>,
}

/// Bytes of a chunk of the tests' snapshots.
pub const CHUNK: usize = 16;

impl State {
    pub fn digest(&self) -> [u8; 32] {
        use sha2::{Digest, Sha256};
        Sha256::digest(self.encode()).into()
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for command in &self.commands {
            bytes.push(u8::try_from(command.len()).expect("short commands"));
            bytes.extend_from_slice(command);
        }
        bytes
    }

    pub fn decode(applied: LogId, mut bytes: &[u8]) -> Self {
        let mut commands = Vec::new();
        while let Some((length, rest)) = bytes.split_first() {
            let (command, rest) = rest.split_at(usize::from(*length).min(rest.len()));
            commands.push(Bytes::copy_from_slice(command));
            bytes = rest;
        }
        Self { applied, commands }
    }
}

impl Disk {
    /// Carries out a write, in the documented order.
    pub fn write(&mut self, persist: Persist) {
        if let Some(hard) = persist.hard_state {
            self.hard = *hard;
        }
        if let Some(base) = persist.base {
            let upto = base.id.index;
            self.entries
                .retain(|entry| !persist.reset && entry.id.index > upto);
            self.base = *base;
        }
        if let Some(from) = persist.truncate_from {
            self.entries.retain(|entry| entry.id.index < from);
        }
        for entry in persist.append.iter().cloned() {
            assert_eq!(entry.id.index, self.last().next(), "writes are contiguous");
            self.entries.push(entry);
        }
    }

    /// Whether an entry is durable here, in the log or behind its base.
    pub fn holds(&self, entry: LogId) -> bool {
        let kept = self.entries.iter().any(|kept| kept.id == entry);
        kept || self.base.id.index >= entry.index
    }

    /// The last durable index.
    pub fn last(&self) -> Index {
        self.entries
            .last()
            .map_or(self.base.id.index, |entry| entry.id.index)
    }
}
