//! The kept part of the log, in memory, with the memberships it contains.
//!
//! Entries are kept in the runs in which they came: what a leader made in one
//! iteration, what a follower got in one message. Runs are shared with writes,
//! messages and the state machine ([`Entries`]), so nothing is copied on the way.
//! A leader gathers the entries of an iteration in a tail and closes it with
//! [`Log::seal`]. A compaction inside a run keeps that one run whole in memory, so
//! the memory really taken may exceed [`Log::bytes`] by one run.

use core::hash::{Hash, Hasher};

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::entries::{Entries, Runs};
use super::types::{Base, Entry, EntryKind, Membership};
use crate::codec::Decode;
use crate::limits::{APPEND_BYTES_MAX, APPEND_ENTRIES_MAX};
use crate::types::{Chain, Index, LogId, Term};

/// Bytes that an entry is taken to cost beside its payload: itself, and its share
/// of a run, which is largest for runs of one entry.
pub const ENTRY_OVERHEAD_BYTES: usize = 144;

const _: () = assert!(size_of::<Entry>() + size_of::<Run>() + 16 <= ENTRY_OVERHEAD_BYTES);

/// Runs from the end that are looked at one by one before all are searched.
const NEAR_RUNS: usize = 4;

/// The entries after a base. Contiguous, terms never descending.
#[derive(Debug, Clone)]
pub struct Log {
    base: Base,
    runs: VecDeque<Run>,
    /// What a leader has made since it last sealed.
    tail: Vec<Entry>,
    tail_bytes: usize,
    last: LogId,
    last_chain: Chain,
    bytes: usize,
    /// The memberships in the log, oldest first.
    memberships: Vec<(Index, Membership)>,
    /// Counts the changes of memberships.
    epoch: u64,
}

/// What the chain stands for, and what was made of the entries.
impl Hash for Log {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            base,
            // How the entries lie in memory decides nothing, and the chain covers them.
            runs: _,
            tail,
            tail_bytes: _,
            last,
            last_chain,
            bytes,
            memberships,
            epoch,
        } = self;
        (base, tail.len(), last, last_chain, bytes).hash(state);
        (memberships, epoch).hash(state);
    }
}

/// Entries that came together. Never empty.
#[derive(Debug, Clone)]
struct Run {
    first: LogId,
    /// Payload bytes.
    bytes: usize,
    entries: Entries,
}

impl Run {
    fn new(entries: Entries, bytes: usize) -> Self {
        Self {
            first: entries[0].id,
            bytes,
            entries,
        }
    }

    fn last(&self) -> &Entry {
        self.entries.last().expect("runs are not empty")
    }

    /// The position of the last entry.
    fn last_index(&self) -> Index {
        Index(self.first.index.0 + self.entries.len() as u64 - 1)
    }

    /// The place of an entry that is in the run or behind it.
    fn offset(&self, index: Index) -> usize {
        let offset = index.0 - self.first.index.0;
        usize::try_from(offset).map_or(self.entries.len(), |offset| offset.min(self.entries.len()))
    }

    /// The part from one position to another, both inclusive.
    fn part(&self, from: Index, upto: Index) -> Entries {
        if from <= self.first.index && self.last_index() <= upto {
            return self.entries.clone();
        }
        let start = self.offset(from.max(self.first.index));
        self.entries.part(start..self.offset(upto.next()))
    }
}

impl Log {
    /// A log without entries.
    pub fn new(base: Base) -> Self {
        Self {
            runs: VecDeque::new(),
            tail: Vec::new(),
            tail_bytes: 0,
            last: base.id,
            last_chain: base.chain,
            bytes: 0,
            memberships: Vec::new(),
            epoch: 0,
            base,
        }
    }

    /// Appends the entry that a leader has made.
    ///
    /// # Panics
    /// If it does not follow the last one, or holds a membership that does not
    /// decode: both are checked at the border, by `follow` and `repair`.
    pub fn append(&mut self, entry: Entry) {
        let id = entry.id;
        assert!(id.index == self.last.index.next(), "entries are contiguous");
        assert!(id.term >= self.last.term, "terms never descend");
        if entry.kind == EntryKind::Membership {
            self.note_membership(&entry);
        }
        self.bytes += cost(entry.data.len(), 1);
        self.last = id;
        self.last_chain = entry.chain;
        self.tail_bytes += entry.data.len();
        self.tail.push(entry);
        if self.tail.len() >= APPEND_ENTRIES_MAX || self.tail_bytes >= APPEND_BYTES_MAX {
            self.seal();
        }
    }

    /// Appends entries as they came. Panics as [`Log::append`].
    pub fn append_run(&mut self, entries: Entries) {
        if entries.is_empty() {
            return;
        }
        self.seal();
        let mut end = self.last;
        let mut bytes = 0;
        for entry in &entries {
            let id = entry.id;
            assert!(id.index == end.index.next(), "entries are contiguous");
            assert!(id.term >= end.term, "terms never descend");
            if entry.kind == EntryKind::Membership {
                self.note_membership(entry);
            }
            end = id;
            bytes += entry.data.len();
        }
        self.last = end;
        self.last_chain = entries[entries.len() - 1].chain;
        self.bytes += cost(bytes, entries.len());
        self.runs.push_back(Run::new(entries, bytes));
    }

    /// Closes the tail: what was appended can be shared now.
    pub fn seal(&mut self) {
        if self.tail.is_empty() {
            return;
        }
        let run: Arc<[Entry]> = self.tail.drain(..).collect();
        let bytes = core::mem::take(&mut self.tail_bytes);
        self.runs.push_back(Run::new(run.into(), bytes));
    }

    /// Keeps the membership that an entry holds.
    fn note_membership(&mut self, entry: &Entry) {
        let membership = Membership::from_bytes(&entry.data)
            .expect("memberships are decoded before they are appended");
        self.memberships.push((entry.id.index, membership));
        self.epoch += 1;
    }

    /// Drops the entries from `from` on; true if a membership went with them.
    pub fn truncate_from(&mut self, from: Index) -> bool {
        assert!(from > self.base.id.index, "the base is never cut");
        self.seal();
        while let Some(run) = self.runs.pop_back_if(|run| run.last().id.index >= from) {
            self.bytes -= cost(run.bytes, run.entries.len());
            if run.first.index < from {
                // Copied, so that what was cut is not kept alive by what stays.
                let kept = &run.entries[..run.offset(from)];
                let kept: Entries = kept.iter().cloned().collect();
                let bytes = kept.payload_bytes();
                self.bytes += cost(bytes, kept.len());
                self.runs.push_back(Run::new(kept, bytes));
            }
        }
        let (last, last_chain) = self
            .runs
            .back()
            .map_or((self.base.id, self.base.chain), |run| {
                (run.last().id, run.last().chain)
            });
        (self.last, self.last_chain) = (last, last_chain);
        let before = self.memberships.len();
        self.memberships.retain(|(index, _)| *index < from);
        assert!(self.last.index < from);
        let changed = self.memberships.len() < before;
        self.epoch += u64::from(changed);
        changed
    }

    /// Moves the base to an entry of the log; what lies before it is dropped.
    pub fn compact_to(&mut self, upto: Index) {
        assert!(upto > self.base.id.index);
        assert!(upto <= self.last.index);
        self.seal();
        let membership = self.membership_at(upto).clone();
        let entry = self.entry(upto).expect("inside the log");
        self.base = Base {
            id: entry.id,
            chain: entry.chain,
            membership,
        };
        while let Some(run) = self.runs.pop_front_if(|run| run.first.index <= upto) {
            self.bytes -= cost(run.bytes, run.entries.len());
            if run.last().id.index > upto {
                let kept = run.part(upto.next(), run.last().id.index);
                let bytes = kept.payload_bytes();
                self.bytes += cost(bytes, kept.len());
                self.runs.push_front(Run::new(kept, bytes));
            }
        }
        self.memberships.retain(|(index, _)| *index > upto);
        self.epoch += 1;
    }

    /// Forgets everything and begins after `base`.
    pub fn reset(&mut self, base: Base) {
        let epoch = self.epoch + 1;
        *self = Self {
            epoch,
            ..Self::new(base)
        };
    }

    /// Replaces the membership of the base (a snapshot that kept the log).
    pub fn set_base_membership(&mut self, membership: Membership) {
        self.base.membership = membership;
        self.epoch += 1;
    }

    /// Where the log begins.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The last entry, or the base.
    pub fn last(&self) -> LogId {
        self.last
    }

    /// The chain at the last entry.
    pub fn last_chain(&self) -> Chain {
        self.last_chain
    }

    /// The entry at an index, if it is kept.
    pub fn entry(&self, index: Index) -> Option<&Entry> {
        if index <= self.base.id.index || index > self.last.index {
            return None;
        }
        if let Some(first) = self.tail.first()
            && index >= first.id.index
        {
            let offset = usize::try_from(index.0 - first.id.index.0).ok()?;
            return self.tail.get(offset);
        }
        let run = self.runs.get(self.run_of(index)?)?;
        run.entries.get(run.offset(index))
    }

    /// The term at an index. `None` before the base and beyond the end: a
    /// compacted term is unknown, never 0 (etcd 76f1249).
    pub fn term_at(&self, index: Index) -> Option<Term> {
        self.place_at(index).map(|(id, _)| id.term)
    }

    /// The chain at an index, like [`Log::term_at`].
    pub fn chain_at(&self, index: Index) -> Option<Chain> {
        self.place_at(index).map(|(_, chain)| chain)
    }

    /// Position and chain at an index, like [`Log::term_at`].
    pub fn place_at(&self, index: Index) -> Option<(LogId, Chain)> {
        if index == self.last.index {
            return Some((self.last, self.last_chain));
        }
        if index == self.base.id.index {
            return Some((self.base.id, self.base.chain));
        }
        self.entry(index).map(|entry| (entry.id, entry.chain))
    }

    /// The last position at or before `index` whose term is at most `term`, not
    /// before the base.
    pub fn last_at_most(&self, index: Index, term: Term) -> LogId {
        // Terms never descend, so both conditions hold for a prefix.
        let is_before = |id: LogId| id.index <= index && id.term <= term;
        let within = |entries: &[Entry]| {
            let count = entries.partition_point(|entry| is_before(entry.id));
            count.checked_sub(1).map(|at| entries[at].id)
        };
        within(&self.tail)
            .or_else(|| {
                let count = self.runs.partition_point(|run| is_before(run.first));
                within(&self.runs[count.checked_sub(1)?].entries)
            })
            .unwrap_or(self.base.id)
    }

    /// The entries from `from` on: at most `count_max`, and at most `bytes_max`
    /// payload bytes unless the first alone is larger. Shared if they are the end
    /// of the log or more than is left of a run; gathered from several runs
    /// otherwise, so that a slow follower is not fed by driblets. What the tail
    /// holds is not among them. With them come their payload bytes.
    pub fn slice(&self, from: Index, count_max: usize, bytes_max: usize) -> (Entries, usize) {
        let Some(at) = self.run_of(from) else {
            return (Entries::default(), 0);
        };
        let mut left = Budget {
            count: count_max,
            bytes: bytes_max,
        };
        let run = &self.runs[at];
        let start = run.offset(from);
        let whole = start == 0 && run.entries.len() <= count_max && run.bytes <= bytes_max;
        if whole && at + 1 == self.runs.len() {
            return (run.entries.clone(), run.bytes);
        }
        let taken = if whole {
            left.count -= run.entries.len();
            left.bytes -= run.bytes;
            run.entries.clone()
        } else {
            let count = left.take(&run.entries[start..], true);
            run.entries.part(start..start + count)
        };
        let ends_here = start + taken.len() < run.entries.len() || at + 1 == self.runs.len();
        let next_fits = |run: &Run| left.count > 0 && run.entries[0].data.len() <= left.bytes;
        if ends_here || !next_fits(&self.runs[at + 1]) {
            let bytes = taken.payload_bytes();
            return (taken, bytes);
        }
        let mut gathered = taken.to_vec();
        for run in self.runs.range(at + 1..) {
            let count = left.take(&run.entries, false);
            gathered.extend_from_slice(&run.entries[..count]);
            if count < run.entries.len() {
                break;
            }
        }
        let gathered = Entries::from(gathered);
        let bytes = gathered.payload_bytes();
        (gathered, bytes)
    }

    /// All entries from `from` to `upto`, inclusive, without copying them.
    ///
    /// # Panics
    /// If they are not all kept and sealed.
    pub fn shared(&self, from: Index, upto: Index) -> Runs {
        assert!(from > self.base.id.index, "only kept entries");
        let sealed = self
            .tail
            .first()
            .map_or(self.last.index.next(), |first| first.id.index);
        assert!(upto < sealed, "only existing and sealed entries");
        let mut shared = Runs::default();
        let Some(at) = self.run_of(from).filter(|_| from <= upto) else {
            return shared;
        };
        let run = &self.runs[at];
        if upto <= run.last_index() {
            return run.part(from, upto).into();
        }
        for run in self.runs.range(at..) {
            if run.first.index > upto {
                break;
            }
            shared.push(run.part(from, upto));
        }
        shared
    }

    /// Payload bytes of the entries from `from` to `upto`, inclusive.
    pub fn payload_bytes(&self, from: Index, upto: Index) -> usize {
        assert!(from > self.base.id.index, "only kept entries");
        assert!(upto <= self.last.index, "only existing entries");
        let mut bytes = 0;
        for run in self
            .runs
            .range(self.run_of(from).unwrap_or(self.runs.len())..)
        {
            if run.first.index > upto {
                break;
            }
            let whole = from <= run.first.index && run.last_index() <= upto;
            bytes += if whole {
                run.bytes
            } else {
                run.part(from, upto).payload_bytes()
            };
        }
        let tail = self
            .tail
            .iter()
            .filter(|entry| (from..=upto).contains(&entry.id.index));
        bytes + tail.map(|entry| entry.data.len()).sum::<usize>()
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

    /// Changes whenever any membership of the log may have changed.
    pub fn membership_epoch(&self) -> u64 {
        self.epoch
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

    /// The run that an index is in, if it is in one.
    fn run_of(&self, index: Index) -> Option<usize> {
        // Nearly all questions are about the last few entries.
        let last = self.runs.back()?;
        if index >= last.first.index {
            return (index <= last.last_index()).then(|| self.runs.len() - 1);
        }
        let mut at = self.runs.len() - 1;
        let mut steps = NEAR_RUNS;
        while self.runs[at].first.index > index {
            if steps == 0 {
                let count = self.runs.partition_point(|run| run.first.index <= index);
                at = count.checked_sub(1)?;
                break;
            }
            steps -= 1;
            at = at.checked_sub(1)?;
        }
        (index <= self.runs[at].last_index()).then_some(at)
    }
}

/// What a message may still take.
struct Budget {
    count: usize,
    bytes: usize,
}

impl Budget {
    /// How many of the entries fit; with `first`, the first one always does, and
    /// travels alone if it is too large.
    fn take(&mut self, entries: &[Entry], first: bool) -> usize {
        let mut taken = 0;
        while taken < entries.len() && self.count > 0 {
            let bytes = entries[taken].data.len();
            if bytes > self.bytes {
                if !(first && taken == 0) {
                    break;
                }
                self.count = 1;
            }
            self.bytes = self.bytes.saturating_sub(bytes);
            self.count -= 1;
            taken += 1;
        }
        taken
    }
}

/// What entries cost in memory.
fn cost(bytes: usize, count: usize) -> usize {
    bytes + count * ENTRY_OVERHEAD_BYTES
}
