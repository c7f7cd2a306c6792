//! Following: what a node does with the leader's Append.

use super::chain;
use super::effect::Effect;
use super::entries::Entries;
use super::log::ENTRY_OVERHEAD_BYTES;
use super::message::{AppendResult, Body, InflightId, RoundId};
use super::state::Raft;
use super::types::{Entry, EntryKind, Membership};
use crate::codec::Decode;
use crate::limits::{ENTRY_BYTES_MAX, LOG_BYTES_HARD_MAX};
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::types::{Chain, Index, LogId, NodeId, Term};

/// The head of an Append of the present leader.
#[derive(Debug, Clone, Copy)]
pub struct Incoming {
    /// The leader.
    pub from: NodeId,
    /// See [`Body::Append`].
    pub inflight: InflightId,
    /// See [`Body::Append`].
    pub round: RoundId,
    /// See [`Body::Append`].
    pub prev: LogId,
    /// See [`Body::Append`].
    pub prev_chain: Chain,
    /// See [`Body::Append`].
    pub commit: Index,
    /// See [`Body::Append`].
    pub quiet: bool,
}

/// What an Append has to do with the follower's log.
enum Fit {
    /// It cannot be true of any log, or contradicts itself: ignored.
    Malformed,
    /// `prev` is not in the log. Where it may be.
    Gap(LogId),
    /// `prev` is in the log, or before its base.
    Match,
    /// Equal ids with different histories: corruption or a bug.
    Contradiction(&'static str),
}

impl Raft {
    /// An Append of the leader of our term.
    pub(super) fn on_append(&mut self, head: Incoming, entries: Entries, out: &mut Outbox<Effect>) {
        self.note_first_round(head.round);
        if self
            .staging
            .as_ref()
            .is_some_and(|staging| staging.installing)
            || self.is_full(&entries)
        {
            self.reply_append(&head, AppendResult::Busy, out);
            return;
        }
        match self.fit(&head, &entries) {
            Fit::Malformed => return,
            Fit::Contradiction(reason) => return self.halt(reason, out),
            Fit::Gap(hint) => {
                let prev = head.prev.index;
                return self.reply_append(&head, AppendResult::Reject { prev, hint }, out);
            }
            Fit::Match => {}
        }
        let count = u64::try_from(entries.len()).expect("a short list");
        let end = head.prev.index.plus(count);
        if let Err(reason) = self.merge(head.prev.index, entries) {
            return self.halt(reason, out);
        }
        self.learn_commit(head.commit, end);
        self.note_round(&head);
        self.acknowledge(&head, end, count == 0, out);
        self.leave_repair_if_whole();
    }

    /// Whether entries would take the log over its bound.
    fn is_full(&self, entries: &[Entry]) -> bool {
        let bytes: usize = entries
            .iter()
            .map(|entry| entry.data.len() + ENTRY_OVERHEAD_BYTES)
            .sum();
        !entries.is_empty() && self.log.bytes().saturating_add(bytes) > LOG_BYTES_HARD_MAX
    }

    /// Holds an Append against the log (§5.3, consistency check).
    fn fit(&self, head: &Incoming, entries: &[Entry]) -> Fit {
        if !self.is_well_formed(head, entries) {
            return Fit::Malformed;
        }
        let prev = head.prev;
        if prev.index < self.log.base().id.index {
            // Everything up to the base is committed, so the leader has it too.
            return Fit::Match;
        }
        if self.config.mutant.is(Mutant::SkipPrevCheck) && prev.index <= self.log.last().index {
            return Fit::Match;
        }
        if self.log.term_at(prev.index) != Some(prev.term) {
            let upto = prev.index.min(self.log.last().index);
            return Fit::Gap(self.log.last_at_most(upto, prev.term));
        }
        if self.log.chain_at(prev.index) != Some(head.prev_chain) {
            return Fit::Contradiction(
                "equal entries with different histories: the previous entry",
            );
        }
        Fit::Match
    }

    /// Whether entries follow each other, carry the right chain, and are such
    /// that the log can hold them.
    fn is_well_formed(&self, head: &Incoming, entries: &[Entry]) -> bool {
        let mut before = head.prev;
        let mut before_chain = head.prev_chain;
        if before.index == Index::ZERO && head.prev != LogId::ZERO {
            return false;
        }
        for entry in entries {
            let follows = entry.id.index == before.index.next()
                && entry.id.term >= before.term
                && entry.id.term > Term(0)
                && entry.id.term <= self.hard.term
                && is_content_valid(entry)
                && chain::follows(self.config.cluster, before_chain, entry);
            if !follows {
                return false;
            }
            before = entry.id;
            before_chain = entry.chain;
        }
        true
    }

    /// Takes over what the log lacks. Only a real conflict cuts the log, and
    /// never below the commit index (hashicorp/raft 0f31a01).
    fn merge(&mut self, prev: Index, entries: Entries) -> Result<(), &'static str> {
        if self.config.mutant.is(Mutant::TruncateMatching)
            && prev >= self.commit
            && prev < self.log.last().index
        {
            self.truncate(prev.next());
        }
        let mut known = 0;
        for entry in &entries {
            let index = entry.id.index;
            if index > self.log.last().index {
                break;
            }
            if index >= self.log.base().id.index {
                if self.log.term_at(index) != Some(entry.id.term) {
                    if index <= self.commit {
                        return Err("the leader contradicts a committed entry");
                    }
                    self.truncate(index);
                    break;
                }
                if self.log.chain_at(index) != Some(entry.chain) {
                    return Err("equal entries with different histories");
                }
            }
            known += 1;
        }
        if known < entries.len() {
            let fresh = match known {
                0 => entries,
                _ => entries.part(known..entries.len()),
            };
            self.log.append_run(fresh);
            self.flush_wanted = true;
        }
        Ok(())
    }

    /// Cuts the log, in memory and, with the next write, on disk.
    fn truncate(&mut self, from: Index) {
        assert!(from > self.commit, "committed entries are never cut");
        assert!(self.lead.is_none(), "a leader only appends");
        self.log.truncate_from(from);
        self.gate.mark_truncated(from);
        self.flush_wanted = true;
    }

    /// The commit index moves no further than the message verified (CCF #8172).
    fn learn_commit(&mut self, leader_commit: Index, verified: Index) {
        let upto = if self.config.mutant.is(Mutant::CommitBeyondVerified) {
            leader_commit.min(self.log.last().index)
        } else {
            leader_commit.min(verified)
        };
        self.commit = self.commit.max(upto.min(self.log.last().index));
    }

    /// Confirms a match up to `end` once it is durable (P3). A heartbeat is
    /// answered at once, with what is durable already; a quiet message is not.
    fn acknowledge(
        &mut self,
        head: &Incoming,
        end: Index,
        heartbeat: bool,
        out: &mut Outbox<Effect>,
    ) {
        if head.quiet && self.repair.is_none() {
            return;
        }
        let durable = self.gate.durable();
        let upto = if heartbeat { end.min(durable) } else { end };
        let result = match &self.repair {
            None => AppendResult::Match { upto },
            Some(_) => self.repair_answer(head.prev.index, upto),
        };
        let body = self.append_reply(head, result);
        let need = if self.config.mutant.is(Mutant::AckBeforeSync) {
            None
        } else {
            self.gate.need_entry(upto)
        };
        self.send_after(head.from, body, need, out);
    }

    fn reply_append(&mut self, head: &Incoming, result: AppendResult, out: &mut Outbox<Effect>) {
        let body = self.append_reply(head, result);
        self.send(head.from, body, out);
    }

    fn append_reply(&self, head: &Incoming, result: AppendResult) -> Body {
        Body::AppendReply {
            inflight: head.inflight,
            round: head.round,
            incarnation: self.incarnation(),
            result,
        }
    }
}

/// Whether an entry's content is what its kind demands.
pub(super) fn is_content_valid(entry: &Entry) -> bool {
    match entry.kind {
        EntryKind::Noop => entry.data.is_empty(),
        EntryKind::Membership => Membership::from_bytes(&entry.data).is_ok(),
        EntryKind::App => entry.data.len() <= ENTRY_BYTES_MAX,
    }
}
