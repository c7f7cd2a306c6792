//! The kept part of the log, in memory, with the memberships it contains.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::types::{Base, Entry, EntryKind, Membership};
use crate::codec::Decode;
use crate::types::{Chain, Index, LogId, Term};

/// Bytes that an entry is taken to cost beside its payload.
pub const ENTRY_OVERHEAD_BYTES: usize = 96;

/// The entries after a base. Contiguous, terms never descending.
#[derive(Debug, Clone)]
pub struct Log {
    base: Base,
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The memberships in `entries`, oldest first.
    memberships: Vec<(Index, Membership)>,
}

impl Log {
    /// A log without entries.
    pub fn new(base: Base) -> Self {
        Self {
            base,
            entries: VecDeque::new(),
            bytes: 0,
            memberships: Vec::new(),
        }
    }

    /// Appends the entry that follows the last one.
    ///
    /// # Panics
    /// If it does not follow, or holds a membership that does not decode: both
    /// are checked at the border, by `replication` and `repair`.
    pub fn append(&mut self, entry: Entry) {
        let last = self.last();
        assert_eq!(entry.id.index, last.index.next(), "entries are contiguous");
        assert!(entry.id.term >= last.term, "terms never descend");
        if entry.kind == EntryKind::Membership {
            let membership = Membership::from_bytes(&entry.data)
                .expect("memberships are decoded before they are appended");
            self.memberships.push((entry.id.index, membership));
        }
        self.bytes += cost(&entry);
        self.entries.push_back(entry);
    }

    /// Drops the entries from `from` on; true if a membership went with them.
    pub fn truncate_from(&mut self, from: Index) -> bool {
        assert!(from > self.base.id.index, "the base is never cut");
        while self
            .entries
            .back()
            .is_some_and(|last| last.id.index >= from)
        {
            let gone = self.entries.pop_back().expect("just seen");
            self.bytes -= cost(&gone);
        }
        let before = self.memberships.len();
        self.memberships.retain(|(index, _)| *index < from);
        assert!(self.last().index < from);
        self.memberships.len() < before
    }

    /// Moves the base to an entry of the log; what lies before it is dropped.
    pub fn compact_to(&mut self, upto: Index) {
        assert!(upto > self.base.id.index);
        assert!(upto <= self.last().index);
        let membership = self.membership_at(upto).clone();
        let entry = self.entry(upto).expect("inside the log");
        self.base = Base {
            id: entry.id,
            chain: entry.chain,
            membership,
        };
        while self
            .entries
            .front()
            .is_some_and(|first| first.id.index <= upto)
        {
            let gone = self.entries.pop_front().expect("just seen");
            self.bytes -= cost(&gone);
        }
        self.memberships.retain(|(index, _)| *index > upto);
    }

    /// Forgets everything and begins after `base`.
    pub fn reset(&mut self, base: Base) {
        *self = Self::new(base);
    }

    /// Replaces the membership of the base (a snapshot that kept the log).
    pub fn set_base_membership(&mut self, membership: Membership) {
        self.base.membership = membership;
    }

    /// Where the log begins.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The last entry, or the base.
    pub fn last(&self) -> LogId {
        self.entries.back().map_or(self.base.id, |entry| entry.id)
    }

    /// The chain at the last entry.
    pub fn last_chain(&self) -> Chain {
        self.entries
            .back()
            .map_or(self.base.chain, |entry| entry.chain)
    }

    /// The entry at an index, if it is kept.
    pub fn entry(&self, index: Index) -> Option<&Entry> {
        self.entries.get(self.position(index)?)
    }

    /// The term at an index. `None` before the base and beyond the end: a
    /// compacted term is unknown, never 0 (etcd 76f1249).
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.id.index {
            return Some(self.base.id.term);
        }
        self.entry(index).map(|entry| entry.id.term)
    }

    /// The chain at an index, like [`Log::term_at`].
    pub fn chain_at(&self, index: Index) -> Option<Chain> {
        if index == self.base.id.index {
            return Some(self.base.chain);
        }
        self.entry(index).map(|entry| entry.chain)
    }

    /// The last position at or before `index` whose term is at most `term`, not
    /// before the base.
    pub fn last_at_most(&self, index: Index, term: Term) -> LogId {
        // Terms never descend, so both conditions hold for a prefix.
        let count = self
            .entries
            .partition_point(|entry| entry.id.index <= index && entry.id.term <= term);
        match count.checked_sub(1) {
            Some(at) => self.entries[at].id,
            None => self.base.id,
        }
    }

    /// The entries from `from` on: at most `count_max`, and at most `bytes_max`
    /// payload bytes unless the first alone is larger.
    pub fn slice(&self, from: Index, count_max: usize, bytes_max: usize) -> Vec<Entry> {
        let Some(start) = self.position(from) else {
            return Vec::new();
        };
        let mut bytes = 0;
        let mut taken = 0;
        for entry in self.entries.iter().skip(start).take(count_max) {
            if taken > 0 && bytes + entry.data.len() > bytes_max {
                break;
            }
            bytes += entry.data.len();
            taken += 1;
        }
        self.entries.range(start..start + taken).cloned().collect()
    }

    /// All entries from `from` to `upto`, inclusive.
    pub fn range(&self, from: Index, upto: Index) -> impl Iterator<Item = &Entry> {
        assert!(from > self.base.id.index, "only kept entries");
        assert!(upto <= self.last().index, "only existing entries");
        let count = usize::try_from(upto.0.saturating_sub(from.0.saturating_sub(1)))
            .expect("the log fits memory");
        let start = self.position(from).unwrap_or(self.entries.len());
        self.entries.iter().skip(start).take(count)
    }

    /// Memory that the entries take, as [`LOG_BYTES_HARD_MAX`](crate::limits::LOG_BYTES_HARD_MAX)
    /// counts it.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The latest membership in the log: it is in force from its append on.
    pub fn membership(&self) -> &Membership {
        self.memberships
            .last()
            .map_or(&self.base.membership, |(_, membership)| membership)
    }

    /// Where the latest membership stands.
    pub fn membership_index(&self) -> Index {
        self.memberships
            .last()
            .map_or(self.base.id.index, |(index, _)| *index)
    }

    /// The membership in force at `index`.
    pub fn membership_at(&self, index: Index) -> &Membership {
        self.memberships
            .iter()
            .rev()
            .find(|(at, _)| *at <= index)
            .map_or(&self.base.membership, |(_, membership)| membership)
    }

    /// The place of an index in `entries`.
    fn position(&self, index: Index) -> Option<usize> {
        let offset = index.0.checked_sub(self.base.id.index.0)?.checked_sub(1)?;
        let position = usize::try_from(offset).ok()?;
        (position < self.entries.len()).then_some(position)
    }
}

/// What an entry costs in memory.
fn cost(entry: &Entry) -> usize {
    entry.data.len() + ENTRY_OVERHEAD_BYTES
}
