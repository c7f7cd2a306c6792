//! The gate between the log in memory and the log on disk: what has to be
//! written, what is being written, and the messages that wait for it.
//!
//! Writes complete in order. Each one in flight remembers how far the log is
//! durable once it completes; a truncation lowers that of all writes in flight
//! at once, so that a completion can never vouch for an entry that was replaced
//! meanwhile (the ABA of etcd's asynchronous storage). A log that begins again lowers
//! it to nothing: what was durable was durable in another log.

use core::hash::{Hash, Hasher};

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::effect::Persist;
use super::event::PersistSeq;
use super::log::Log;
use super::message::{AppendResult, Body, Message};
use super::types::{Base, HardState};
use crate::codec::Encode as _;
use crate::mutant::Mutant;
use crate::types::{Index, NodeId};

/// Messages that may wait for a write; a message beyond is dropped, as if lost.
pub const HELD_MAX: usize = 4096;

/// How far the commit index may go before it is written again. A restart that finds
/// an older one hears of the rest from the leader.
const COMMIT_LAG_MAX: u64 = 256;

/// What waits for the disk, and who waits for that.
#[derive(Debug, Clone, Hash)]
pub struct Gate {
    /// The number that the write being gathered will get.
    next: PersistSeq,
    /// The last write reported durable.
    done: PersistSeq,
    /// Whether term, vote or incarnation changed since the last write.
    hard_dirty: bool,
    /// The write that carries the present term and vote.
    hard_seq: PersistSeq,
    /// The hard state as last written.
    hard_written: HardState,
    base_dirty: bool,
    reset: bool,
    truncate_from: Option<Index>,
    /// The entries up to here have been handed to a write and not cut since.
    flushed: Index,
    /// The entries up to here are durable and not cut since.
    durable: Index,
    pending: VecDeque<Pending>,
    held: Vec<Held>,
    mutant: Mutant,
}

/// A write in flight.
#[derive(Debug, Clone, Copy, Hash)]
struct Pending {
    seq: PersistSeq,
    /// How far the log is durable once this completes.
    last: Index,
}

/// A message that waits for a write.
#[derive(Debug, Clone)]
struct Held {
    need: PersistSeq,
    to: NodeId,
    message: Message,
}

impl Hash for Held {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { need, to, message } = self;
        (need, to, message.to_bytes()).hash(state);
    }
}

impl Gate {
    /// A gate over a disk that holds `hard` and a log up to `last`.
    pub fn new(hard: HardState, last: Index, mutant: Mutant) -> Self {
        Self {
            next: PersistSeq(1),
            done: PersistSeq(0),
            hard_dirty: false,
            hard_seq: PersistSeq(0),
            hard_written: hard,
            base_dirty: false,
            reset: false,
            truncate_from: None,
            flushed: last,
            durable: last,
            pending: VecDeque::new(),
            held: Vec::new(),
            mutant,
        }
    }

    /// Term, vote or incarnation changed.
    pub fn mark_hard(&mut self) {
        self.hard_dirty = true;
    }

    /// The base moved forward inside the log.
    pub fn mark_base(&mut self) {
        self.base_dirty = true;
    }

    /// The log was replaced by what lies behind `base`, which holds nothing.
    ///
    /// What the disk holds is another log: an entry of it at the index of the new
    /// base, or below, need not be one of the new log. So nothing of the new log is
    /// durable, its base included, until the write that begins it is, and no write
    /// in flight can change that.
    pub fn mark_reset(&mut self, base: Index) {
        self.base_dirty = true;
        self.reset = true;
        self.truncate_from = None;
        let kept = if self.mutant.is(Mutant::ResetKeepsDurable) {
            base
        } else {
            Index::ZERO
        };
        self.clamp(kept);
        self.flushed = base;
        self.held
            .retain(|held| !vouches_beyond(&held.message, kept));
    }

    /// The entries from `from` on were cut.
    pub fn mark_truncated(&mut self, from: Index) {
        let kept = from.prev().expect("index 0 is never cut");
        if from <= self.flushed {
            let first = self.truncate_from.map_or(from, |other| other.min(from));
            self.truncate_from = Some(first);
            self.flushed = kept;
        }
        self.clamp(kept);
        self.held
            .retain(|held| !vouches_beyond(&held.message, kept));
    }

    /// Cuts whatever the disk holds behind `last`, known or not (repair).
    pub fn mark_unknown_tail(&mut self, last: Index) {
        assert_eq!(self.flushed, last);
        self.truncate_from = Some(last.next());
    }

    /// Whether anything has to be written.
    pub fn is_dirty(&self, log: &Log) -> bool {
        self.hard_dirty
            || self.base_dirty
            || self.truncate_from.is_some()
            || self.flushed < log.last().index
    }

    /// Turns what was gathered into one write. `None` if there is nothing, or if
    /// `pending_max` writes are in flight.
    pub fn take(&mut self, hard: HardState, log: &Log, pending_max: usize) -> Option<Persist> {
        if !self.is_dirty(log) || self.pending.len() >= pending_max {
            return None;
        }
        let seq = self.next;
        self.next = PersistSeq(seq.0 + 1);
        let last = log.last().index;
        assert!(self.flushed >= log.base().id.index, "the base is flushed");
        let append = log.shared(self.flushed.next(), last);
        if self.hard_dirty {
            self.hard_seq = seq;
        }
        // The commit index rides along now and then (P8).
        let far = hard.commit.0 >= self.hard_written.commit.0.saturating_add(COMMIT_LAG_MAX);
        let hard_state = (self.hard_dirty || far).then(|| Box::new(hard));
        if hard_state.is_some() {
            self.hard_written = hard;
        }
        self.hard_dirty = false;
        self.flushed = last;
        self.pending.push_back(Pending { seq, last });
        let base = core::mem::take(&mut self.base_dirty).then(|| Box::new(Base::clone(log.base())));
        Some(Persist {
            seq,
            hard_state,
            base,
            reset: core::mem::take(&mut self.reset),
            truncate_from: self.truncate_from.take(),
            append,
        })
    }

    /// Notes that all writes up to `seq` are durable. False if that is old news.
    ///
    /// # Panics
    /// If no such write was asked for: the owner is broken.
    pub fn complete(&mut self, seq: PersistSeq) -> bool {
        assert!(seq < self.next, "a write that was never asked for");
        if seq <= self.done {
            return false;
        }
        self.done = seq;
        while let Some(front) = self.pending.front().copied() {
            if front.seq > seq {
                break;
            }
            self.durable = self.durable.max(front.last);
            self.pending.pop_front();
        }
        assert!(self.durable <= self.flushed);
        true
    }

    /// The messages that no longer wait, in the order in which they were held.
    /// They leave as the iterator is driven; what it keeps back waits on.
    pub fn release(&mut self) -> impl Iterator<Item = (NodeId, Message)> + '_ {
        let done = self.done;
        let ready = self.held.extract_if(.., move |held| held.need <= done);
        ready.map(|held| (held.to, held.message))
    }

    /// Keeps a message until the write `need` is durable.
    pub fn hold(&mut self, need: PersistSeq, to: NodeId, message: Message) {
        assert!(need > self.done, "a message that need not wait is sent");
        assert!(need <= self.next);
        if !self.held.is_empty()
            && let Body::AppendReply { .. } = message.body
        {
            // A later acknowledgement that waits for the same write says all
            // that an earlier one did.
            self.held.retain(|held| {
                !(held.need == need
                    && held.to == to
                    && supersedes(&message.body, &held.message.body))
            });
        }
        if self.held.len() < HELD_MAX {
            self.held.push(Held { need, to, message });
        }
    }

    /// Forgets all waiting messages: their term is over.
    pub fn drop_held(&mut self) {
        self.held.clear();
    }

    /// The write that makes the present term and vote durable, if still needed.
    pub fn need_hard(&self) -> Option<PersistSeq> {
        let need = if self.hard_dirty {
            self.next
        } else {
            self.hard_seq
        };
        (need > self.done).then_some(need)
    }

    /// The write that makes the log durable up to `index`, if still needed.
    pub fn need_entry(&self, index: Index) -> Option<PersistSeq> {
        if index <= self.durable {
            return None;
        }
        let pending = self.pending.iter().find(|write| write.last >= index);
        Some(pending.map_or(self.next, |write| write.seq))
    }

    /// The write that will carry, or last carried, any change at all.
    pub fn need_all(&self, log: &Log) -> Option<PersistSeq> {
        if self.is_dirty(log) {
            return Some(self.next);
        }
        self.pending.back().map(|write| write.seq)
    }

    /// The last durable entry.
    pub fn durable(&self) -> Index {
        self.durable
    }

    /// The last write reported durable.
    pub fn done(&self) -> PersistSeq {
        self.done
    }

    /// Writes in flight.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// Messages waiting.
    pub fn held_len(&self) -> usize {
        self.held.len()
    }

    /// The last entry handed to a write.
    pub fn flushed(&self) -> Index {
        self.flushed
    }

    /// Lowers what the disk and the writes in flight vouch for.
    fn clamp(&mut self, kept: Index) {
        self.durable = self.durable.min(kept);
        for write in &mut self.pending {
            write.last = write.last.min(kept);
        }
    }
}

/// Whether a message says that the log is durable beyond `kept`.
fn vouches_beyond(message: &Message, kept: Index) -> bool {
    match &message.body {
        Body::AppendReply {
            result: AppendResult::Match { upto },
            ..
        } => *upto > kept,
        _ => false,
    }
}

/// Whether the acknowledgement `new` says at least what `old` says.
fn supersedes(new: &Body, old: &Body) -> bool {
    match (new, old) {
        (
            Body::AppendReply {
                inflight: new_id,
                round: new_round,
                result: AppendResult::Match { upto: new_upto },
                ..
            },
            Body::AppendReply {
                inflight: old_id,
                round: old_round,
                result: AppendResult::Match { upto: old_upto },
                ..
            },
        ) => new_id >= old_id && new_round >= old_round && new_upto >= old_upto,
        _ => false,
    }
}
