//! Snapshots between nodes (§7): one chunk in flight per follower.
//!
//! The content is the state machine's business. Raft carries opaque chunks, and
//! installs the log position, chain and membership that come with them.

use alloc::boxed::Box;

use bytes::Bytes;

use super::effect::Effect;
use super::message::{Body, Incarnation, InflightId, RoundId, SnapshotResult};
use super::progress::Mode;
use super::state::Raft;
use super::types::{Base, SnapshotMeta};
use crate::limits::{
    KV_KEY_BYTES_MAX, KV_VALUE_BYTES_MAX, SNAPSHOT_CHUNK_BYTES, SNAPSHOT_METADATA_BYTES_MAX,
};
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::types::{Index, NodeId, Time};

/// Bytes of one chunk at the most: the state machine may overrun the aim by one
/// pair, since it cuts between pairs.
pub const CHUNK_BYTES_MAX: usize =
    SNAPSHOT_CHUNK_BYTES + KV_VALUE_BYTES_MAX + KV_KEY_BYTES_MAX + 1024;

/// A snapshot on its way to a follower.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sending {
    /// The state machine freezes its state.
    Opening,
    /// The state machine reads a chunk.
    Reading {
        /// What is sent.
        meta: Box<SnapshotMeta>,
        chunk: u64,
    },
    /// The follower has a chunk to answer.
    Waiting {
        /// What is sent.
        meta: Box<SnapshotMeta>,
        chunk: u64,
        /// The message.
        inflight: InflightId,
        /// When to send the chunk again.
        resend_at: Time,
    },
}

impl Sending {
    /// When to send again, if anything is on its way.
    pub fn resend_at(&self) -> Option<Time> {
        match self {
            Self::Waiting { resend_at, .. } => Some(*resend_at),
            Self::Opening | Self::Reading { .. } => None,
        }
    }
}

/// A snapshot being received.
#[derive(Debug, Clone, Hash)]
pub struct Staging {
    /// What is received.
    pub meta: Box<SnapshotMeta>,
    /// The next chunk.
    pub next: u64,
    /// Whether the last chunk was given to the state machine, which is now
    /// replacing its state: nothing is applied meanwhile.
    pub installing: bool,
    /// The last message, to be answered when it is done.
    incoming: Incoming,
}

/// The head of a Snapshot message of the present leader.
#[derive(Debug, Clone, Copy, Hash)]
pub struct Incoming {
    /// The leader.
    pub from: NodeId,
    /// See [`Body::Snapshot`].
    pub inflight: InflightId,
    /// See [`Body::Snapshot`].
    pub round: RoundId,
}

impl Raft {
    /// The follower at `at` needs entries that are gone.
    pub(super) fn begin_snapshot(&mut self, at: usize, out: &mut Outbox<Effect>) {
        let lead = self.lead.as_mut().expect("only a leader sends snapshots");
        let fresh = lead.next_inflight;
        let peer = &mut lead.peers[at];
        let next = peer.next;
        peer.probe_from(next, fresh, true);
        peer.mode = Mode::Snapshot(Sending::Opening);
        out.push(Effect::SnapshotOpen { peer: peer.id });
    }

    /// The state machine froze its state for a follower.
    pub(super) fn on_snapshot_opened(
        &mut self,
        peer: NodeId,
        meta: Box<SnapshotMeta>,
        out: &mut Outbox<Effect>,
    ) {
        assert!(
            meta.base.id.index <= self.handed,
            "a snapshot of the future"
        );
        assert!(
            meta.metadata.len() <= SNAPSHOT_METADATA_BYTES_MAX,
            "the owner bounds what travels along"
        );
        let base = self.log.base().id.index;
        match self.sending(peer) {
            Some(sending) if *sending == Sending::Opening => {
                if meta.base.id.index < base {
                    // The log moved on meanwhile: entries would be missing behind it.
                    out.push(Effect::SnapshotClose { peer });
                    out.push(Effect::SnapshotOpen { peer });
                    return;
                }
                *sending = Sending::Reading { meta, chunk: 0 };
                out.push(Effect::SnapshotRead { peer, chunk: 0 });
            }
            _ => {}
        }
    }

    /// The state machine read a chunk.
    pub(super) fn on_snapshot_chunk(
        &mut self,
        peer: NodeId,
        chunk: u64,
        data: Bytes,
        last: bool,
        out: &mut Outbox<Effect>,
    ) {
        assert!(data.len() <= CHUNK_BYTES_MAX, "a chunk fits a message");
        let resend_at = self.now.saturating_add(self.config.election_timeout_min);
        let Some(lead) = self.lead.as_mut() else {
            return;
        };
        let (inflight, round) = (lead.next_inflight, lead.round);
        let Some(progress) = lead.peer_mut(peer) else {
            return;
        };
        let Mode::Snapshot(sending) = &mut progress.mode else {
            return;
        };
        let meta = match sending {
            Sending::Reading {
                meta,
                chunk: wanted,
            } if *wanted == chunk => meta.clone(),
            _ => return,
        };
        *sending = Sending::Waiting {
            meta: meta.clone(),
            chunk,
            inflight,
            resend_at,
        };
        assert_eq!(lead.issue(), inflight);
        let body = Body::Snapshot {
            inflight,
            round,
            meta,
            chunk,
            data,
            last,
        };
        self.send(peer, body, out);
    }

    /// A follower answered a chunk.
    pub(super) fn on_snapshot_reply(
        &mut self,
        from: NodeId,
        inflight: InflightId,
        round: RoundId,
        incarnation: Incarnation,
        result: SnapshotResult,
        out: &mut Outbox<Effect>,
    ) {
        let last = self.log.last().index;
        let heard = self.note_activity(from, inflight, round, incarnation, out);
        if heard.is_none() {
            return;
        }
        let Some(sending) = self.sending(from) else {
            return;
        };
        let Sending::Waiting {
            meta,
            chunk,
            inflight: expected,
            ..
        } = sending
        else {
            return;
        };
        if *expected != inflight {
            return;
        }
        match result {
            SnapshotResult::Next { chunk: wanted } if wanted <= *chunk + 1 => {
                *sending = Sending::Reading {
                    meta: meta.clone(),
                    chunk: wanted,
                };
                let (peer, chunk) = (from, wanted);
                out.push(Effect::SnapshotRead { peer, chunk });
            }
            SnapshotResult::Installed { upto } if upto <= last => {
                self.end_snapshot(from, Some(upto), out);
            }
            SnapshotResult::Refused => self.end_snapshot(from, None, out),
            SnapshotResult::Next { .. } | SnapshotResult::Installed { .. } => {}
        }
    }

    /// Sends again what was not answered in time.
    pub(super) fn check_snapshots(&mut self, out: &mut Outbox<Effect>) {
        let Some(lead) = self.lead.as_mut() else {
            return;
        };
        for peer in &mut lead.peers {
            if let Mode::Snapshot(sending) = &mut peer.mode
                && sending.resend_at().is_some_and(|at| self.now >= at)
                && let Sending::Waiting { meta, chunk, .. } = sending
            {
                let chunk = *chunk;
                *sending = Sending::Reading {
                    meta: meta.clone(),
                    chunk,
                };
                let peer = peer.id;
                out.push(Effect::SnapshotRead { peer, chunk });
            }
        }
    }

    /// A chunk of a snapshot from the leader.
    pub(super) fn on_snapshot(
        &mut self,
        incoming: Incoming,
        meta: Box<SnapshotMeta>,
        chunk: u64,
        data: Bytes,
        last: bool,
        out: &mut Outbox<Effect>,
    ) {
        let too_large =
            data.len() > CHUNK_BYTES_MAX || meta.metadata.len() > SNAPSHOT_METADATA_BYTES_MAX;
        if too_large || meta.base.membership.broken_rule().is_some() {
            return;
        }
        if self
            .staging
            .as_ref()
            .is_some_and(|staging| staging.installing)
        {
            // The answer follows when it is done.
            return;
        }
        if meta.base.id.index <= self.commit {
            // Old, or a duplicate: what it covers is committed here already.
            self.staging = None;
            let upto = meta.base.id.index;
            self.reply_snapshot(incoming, SnapshotResult::Installed { upto }, out);
            return;
        }
        let is_taken = self.config.mutant.is(Mutant::RaftTakesOlderState);
        if meta.base.id.index < self.handed && !is_taken {
            // While the log is repaired the state can be ahead of it, and of a leader
            // that has not applied as much yet. It must not go back.
            self.staging = None;
            return self.reply_snapshot(incoming, SnapshotResult::Refused, out);
        }
        let next = self.next_chunk(&incoming, &meta, chunk);
        if chunk != next {
            self.reply_snapshot(incoming, SnapshotResult::Next { chunk: next }, out);
            return;
        }
        self.staging = Some(Staging {
            meta: meta.clone(),
            next: next + 1,
            installing: last,
            incoming,
        });
        out.push(Effect::SnapshotStage {
            meta,
            chunk,
            data,
            last,
        });
        if !last {
            let chunk = next + 1;
            self.reply_snapshot(incoming, SnapshotResult::Next { chunk }, out);
        }
    }

    /// The state machine has become the snapshot. The log follows, and only once
    /// that is durable the leader is told (P7).
    pub(super) fn on_snapshot_installed(&mut self, meta: &SnapshotMeta, out: &mut Outbox<Effect>) {
        let staged = self.staging.take_if(|staging| staging.installing);
        let Some(staging) = staged else {
            return;
        };
        assert_eq!(*staging.meta, *meta, "another snapshot than the one staged");
        let mut base = meta.base.clone();
        let at = base.id.index;
        assert!(at > self.commit, "nothing was committed while installing");
        assert!(at >= self.applied, "a state never goes back");
        if self.config.mutant.is(Mutant::SnapshotKeepsMembership) {
            base.membership = self.log.membership().clone();
        }
        if self.log.term_at(at) == Some(base.id.term) {
            if self.log.chain_at(at) != Some(base.chain) {
                self.halt("equal entries with different histories: a snapshot", out);
                return;
            }
            self.keep_behind(base);
        } else {
            self.log.reset(base);
            self.gate.mark_reset(at);
        }
        self.commit = at;
        self.handed = at;
        self.applied = at;
        self.flush_wanted = true;
        if staging.incoming.from == self.leader.unwrap_or(self.config.id) {
            let result = SnapshotResult::Installed { upto: at };
            self.reply_snapshot(staging.incoming, result, out);
        }
    }

    /// The chunks were not what their digest promised.
    pub(super) fn on_snapshot_refused(&mut self, out: &mut Outbox<Effect>) {
        if let Some(staging) = self.staging.take()
            && staging.incoming.from == self.leader.unwrap_or(self.config.id)
        {
            self.reply_snapshot(staging.incoming, SnapshotResult::Refused, out);
        }
    }

    /// The chunk that would continue what is staged. A later message with chunk 0
    /// means that the leader opened its snapshot again.
    fn next_chunk(&self, incoming: &Incoming, meta: &SnapshotMeta, chunk: u64) -> u64 {
        match &self.staging {
            Some(staging) if *staging.meta == *meta => {
                let again = chunk == 0 && incoming.inflight > staging.incoming.inflight;
                if again { 0 } else { staging.next }
            }
            _ => 0,
        }
    }

    /// The log holds the snapshot's last entry: what follows it stays.
    fn keep_behind(&mut self, base: Base) {
        let at = base.id.index;
        self.log.compact_to(at);
        self.log.set_base_membership(base.membership);
        let reaches = self.gate.flushed() >= at;
        if reaches || self.config.mutant.is(Mutant::RaftLeavesGapBeforeBase) {
            self.gate.mark_base();
        } else {
            // The disk hangs, and entries up to the base wait to be written. They are not
            // needed any more: the log begins again on disk, with what follows them.
            self.gate.mark_reset(at);
        }
    }

    fn reply_snapshot(
        &mut self,
        incoming: Incoming,
        result: SnapshotResult,
        out: &mut Outbox<Effect>,
    ) {
        let body = Body::SnapshotReply {
            inflight: incoming.inflight,
            round: incoming.round,
            incarnation: self.incarnation(),
            result,
        };
        let need = match result {
            SnapshotResult::Installed { .. } => self.gate.need_all(&self.log),
            SnapshotResult::Next { .. } | SnapshotResult::Refused => None,
        };
        self.send_after(incoming.from, body, need, out);
    }

    /// The snapshot on its way to a follower.
    fn sending(&mut self, peer: NodeId) -> Option<&mut Sending> {
        match &mut self.lead.as_mut()?.peer_mut(peer)?.mode {
            Mode::Snapshot(sending) => Some(sending),
            Mode::Probe { .. } | Mode::Replicate => None,
        }
    }

    /// The snapshot of a follower is over: installed up to an index, or refused.
    fn end_snapshot(&mut self, from: NodeId, upto: Option<Index>, out: &mut Outbox<Effect>) {
        let lead = self.lead.as_mut().expect("only a leader sends snapshots");
        let fresh = lead.next_inflight;
        let peer = lead.peer_mut(from).expect("a member");
        let next = upto.map_or(peer.next, Index::next);
        if let Some(upto) = upto {
            peer.matched(upto, true);
        }
        // After a refusal the next heartbeat, not this iteration, opens another one.
        peer.probe_from(next, fresh, upto.is_none());
        out.push(Effect::SnapshotClose { peer: from });
        self.flush_wanted |= upto.is_some();
    }
}
