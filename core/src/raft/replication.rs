//! Leading: proposals, Append and its answers, and the commit index.

use bytes::Bytes;

use super::chain;
use super::effect::{Effect, Refusal, Role};
use super::entries::Entries;
use super::event::Context;
use super::log::ENTRY_OVERHEAD_BYTES;
use super::message::{AppendResult, Body, Incarnation, InflightId, RoundId};
use super::progress::{Mode, Progress};
use super::quorum;
use super::state::{Lead, Raft};
use super::types::EntryKind;
use crate::limits::{ENTRY_BYTES_MAX, LOG_BYTES_HARD_MAX};
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::types::{Chain, Index, LogId, NodeId};

impl Raft {
    /// A client's command.
    pub(super) fn on_propose(&mut self, context: Context, data: Bytes, out: &mut Outbox<Effect>) {
        if let Some(reason) = self.refuse_proposal(data.len()) {
            out.push(Effect::Refused { context, reason });
            return;
        }
        let id = self.append_own(EntryKind::App, data);
        out.push(Effect::Proposed { context, id });
    }

    /// Starts to lead the present term, with an empty entry (§8).
    pub(super) fn become_leader(&mut self, out: &mut Outbox<Effect>) {
        assert_eq!(self.role, Role::Candidate);
        assert!(self.gate.need_hard().is_none(), "the own vote is durable");
        self.role = Role::Leader;
        self.leader = Some(self.config.id);
        self.staging = None;
        let noop = self.log.last().index.next();
        let first = self.commit.next();
        let uncommitted_bytes = self.log.payload_bytes(first, self.log.last().index);
        self.lead = Some(Lead {
            peers: alloc::vec::Vec::new(),
            next_inflight: InflightId(1),
            round: RoundId(0),
            round_wanted: false,
            reads: alloc::collections::VecDeque::new(),
            transfer: None,
            heartbeat_at: self.now,
            quorum_at: self.now.saturating_add(self.config.election_timeout_min),
            uncommitted_bytes,
            noop,
        });
        self.follow_membership(out);
        let id = self.append_own(EntryKind::Noop, Bytes::new());
        assert_eq!(id.index, noop);
    }

    /// Stops leading; nothing happens if this node does not lead.
    pub(super) fn end_leadership(&mut self, out: &mut Outbox<Effect>) {
        let Some(lead) = self.lead.take() else {
            return;
        };
        for read in &lead.reads {
            out.push(Effect::Refused {
                context: read.context,
                reason: Refusal::NotLeader { leader: None },
            });
        }
        for peer in &lead.peers {
            if let Mode::Snapshot(_) = peer.mode {
                out.push(Effect::SnapshotClose { peer: peer.id });
            }
        }
        self.role = Role::Follower;
        self.leader = None;
    }

    /// Appends an entry of the leader's own term.
    pub(super) fn append_own(&mut self, kind: EntryKind, data: Bytes) -> LogId {
        let lead = self.lead.as_mut().expect("only a leader makes entries");
        lead.uncommitted_bytes += data.len();
        let id = LogId::new(self.hard.term, self.log.last().index.next());
        let entry = chain::seal(self.config.cluster, self.log.last_chain(), id, kind, data);
        self.log.append(entry);
        self.flush_wanted = true;
        id
    }

    /// Timers of a leader: heartbeat, quorum check, hand-over, snapshots.
    pub(super) fn on_leader_timers(&mut self, out: &mut Outbox<Effect>) {
        self.check_quorum(out);
        self.check_transfer();
        self.check_snapshots(out);
    }

    /// The next thing that a leader does by itself.
    pub(super) fn leader_deadline(&self) -> Option<crate::types::Time> {
        let lead = self.lead.as_ref()?;
        let mut deadline = lead.heartbeat_at.min(lead.quorum_at);
        if let Some(transfer) = &lead.transfer {
            deadline = deadline.min(transfer.until);
        }
        for peer in &lead.peers {
            if let Mode::Snapshot(sending) = &peer.mode {
                deadline = sending.resend_at().map_or(deadline, |at| deadline.min(at));
            }
        }
        Some(deadline)
    }

    /// One Append per peer: whatever is new, or nothing as a heartbeat.
    pub(super) fn broadcast(&mut self, out: &mut Outbox<Effect>) {
        let Some(lead) = self.lead.as_mut() else {
            return;
        };
        let heartbeat = self.now >= lead.heartbeat_at;
        if heartbeat {
            lead.heartbeat_at = self.now.saturating_add(self.config.heartbeat);
            // Each heartbeat is a round of its own: a repairing follower waits for
            // a round that began after its repair, reads or no reads.
            lead.round_wanted = true;
        }
        if core::mem::take(&mut lead.round_wanted) {
            lead.round = RoundId(lead.round.0 + 1);
        }
        let count = lead.peers.len();
        for at in 0..count {
            self.replicate(at, heartbeat, out);
        }
        self.send_timeout_now(out);
    }

    /// Sends one follower what it lacks, as far as its window allows.
    fn replicate(&mut self, at: usize, heartbeat: bool, out: &mut Outbox<Effect>) {
        let lead = self.lead.as_mut().expect("only a leader replicates");
        let peer = &mut lead.peers[at];
        if peer.next <= self.log.base().id.index && !matches!(peer.mode, Mode::Snapshot(_)) {
            self.begin_snapshot(at, out);
        }
        let lead = self.lead.as_mut().expect("only a leader replicates");
        let peer = &mut lead.peers[at];
        let (prev, prev_chain) = previous_of(peer, &self.log);
        let (entries, bytes) = if peer.has_window(&self.config) {
            let count = self.config.append_entries_max;
            self.log
                .slice(prev.index.next(), count, self.config.append_bytes_max)
        } else {
            (Entries::default(), 0)
        };
        let end = prev
            .index
            .plus(u64::try_from(entries.len()).expect("a short list"));
        let news = peer.mode == Mode::Replicate && peer.told_commit < self.commit.min(end);
        let due = heartbeat || news || peer.told_round < lead.round;
        if entries.is_empty() && !due {
            return;
        }
        let quiet = entries.is_empty()
            && peer.mode == Mode::Replicate
            && !heartbeat
            && peer.told_round == lead.round;
        peer.told_commit = peer.told_commit.max(self.commit.min(end));
        peer.told_round = lead.round;
        let inflight = lead.next_inflight;
        lead.next_inflight = InflightId(inflight.0 + 1);
        if !entries.is_empty() {
            peer.sent(inflight, end, bytes);
            let more = end < self.log.last().index && peer.has_window(&self.config);
            self.flush_wanted |= more;
        }
        let body = Body::Append {
            inflight,
            round: lead.round,
            prev,
            prev_chain,
            commit: self.commit,
            quiet,
            entries,
        };
        let to = peer.id;
        self.send(to, body, out);
    }

    /// An answer to an Append.
    pub(super) fn on_append_reply(
        &mut self,
        from: NodeId,
        inflight: InflightId,
        round: RoundId,
        incarnation: Incarnation,
        result: AppendResult,
        out: &mut Outbox<Effect>,
    ) {
        let Some(current) = self.note_activity(from, inflight, round, incarnation, out) else {
            return;
        };
        match result {
            AppendResult::Match { upto } => self.on_match(from, upto, current, out),
            AppendResult::Reject { prev, hint } if current => self.on_reject(from, prev, hint),
            AppendResult::Busy if current => {
                let lead = self.lead.as_mut().expect("heard by a leader");
                let fresh = lead.next_inflight;
                let peer = lead.peer_mut(from).expect("heard from a member");
                if !matches!(peer.mode, Mode::Snapshot(_)) {
                    peer.probe_from(peer.matched.next(), fresh, true);
                }
            }
            AppendResult::Reject { .. } | AppendResult::Busy => {}
        }
    }

    /// Notes that a follower spoke. `None` if what it says is void; otherwise
    /// whether it answers a message of the present way of feeding.
    pub(super) fn note_activity(
        &mut self,
        from: NodeId,
        inflight: InflightId,
        round: RoundId,
        incarnation: Incarnation,
        out: &mut Outbox<Effect>,
    ) -> Option<bool> {
        let next = self.log.last().index.next();
        let lead = self.lead.as_mut()?;
        let fresh = lead.next_inflight;
        let latest_round = lead.round;
        let reused = self.config.mutant.is(Mutant::ReadRoundReused);
        let at = lead.position(from)?;
        let peer = &mut lead.peers[at];
        if inflight >= fresh || round > peer.told_round {
            return None;
        }
        match peer.incarnation {
            Some(known) if incarnation < known => return None,
            Some(known) if incarnation > known => {
                // What it acknowledged may be lost: it starts over, and a round
                // begun from now on tells it that we know (see `repair`).
                if let Mode::Snapshot(_) = peer.mode {
                    out.push(Effect::SnapshotClose { peer: from });
                }
                peer.renew(incarnation, next, fresh);
                lead.round_wanted = true;
                self.flush_wanted = true;
            }
            Some(_) => {}
            None => {
                peer.incarnation = Some(incarnation);
                lead.round_wanted = true;
                self.flush_wanted = true;
            }
        }
        peer.heard = Some(self.now);
        let confirmed = if reused { latest_round } else { round };
        peer.confirmed_round = peer.confirmed_round.max(confirmed);
        Some(inflight >= peer.floor)
    }

    /// Takes a peer for unreachable: what was in flight is sent again.
    pub(super) fn on_peer_down(&mut self, peer: NodeId) {
        self.restart_probe(peer, true);
    }

    /// A peer can be reached again: it is asked at once.
    pub(super) fn on_peer_up(&mut self, peer: NodeId) {
        self.restart_probe(peer, false);
        self.flush_wanted |= self.lead.is_some();
    }

    /// Moves the commit index to what a quorum holds durably, if that entry is
    /// of the own term: earlier ones commit along with it (§5.4.2, figure 8).
    pub(super) fn advance_commit(&mut self) {
        let Some(lead) = &self.lead else {
            return;
        };
        if self.commit == self.log.last().index {
            return;
        }
        let own = if self.config.mutant.is(Mutant::LeaderCountsUnsynced) {
            self.log.last().index
        } else {
            self.gate.durable()
        };
        let reached = quorum::reached(self.membership(), self.config.mutant, |id| {
            if id == self.config.id {
                return own.0;
            }
            lead.position(id).map_or(0, |at| lead.peers[at].matched.0)
        });
        let Some(reached) = reached.map(Index) else {
            return;
        };
        let own_term = self.log.term_at(reached) == Some(self.hard.term);
        if reached > self.commit && (own_term || self.config.mutant.is(Mutant::CommitOldTerm)) {
            assert!(reached <= self.log.last().index);
            let freed = self.log.payload_bytes(self.commit.next(), reached);
            let lead = self.lead.as_mut().expect("just seen");
            assert!(lead.uncommitted_bytes >= freed);
            lead.uncommitted_bytes -= freed;
            self.commit = reached;
            self.flush_wanted = true;
        }
    }

    /// Why a command cannot be taken now.
    pub(super) fn refuse_proposal(&self, bytes: usize) -> Option<Refusal> {
        if bytes > ENTRY_BYTES_MAX {
            return Some(Refusal::TooLarge);
        }
        if let Some(reason) = self.refuse_service() {
            return Some(reason);
        }
        let lead = self.lead.as_ref().expect("service is refused otherwise");
        let uncommitted = lead.uncommitted_bytes.saturating_add(bytes);
        let total = self
            .log
            .bytes()
            .saturating_add(bytes + ENTRY_OVERHEAD_BYTES);
        let crowded = lead.uncommitted_bytes > 0 && uncommitted > self.config.uncommitted_bytes_max;
        (crowded || total > LOG_BYTES_HARD_MAX).then_some(Refusal::Busy)
    }

    /// Why this node serves no client at all now.
    pub(super) fn refuse_service(&self) -> Option<Refusal> {
        match (&self.lead, self.role) {
            (Some(lead), _) => lead.transfer.map(|_| Refusal::Transferring),
            (None, Role::Repairing | Role::Halted) => Some(Refusal::Unavailable),
            (None, _) => Some(Refusal::NotLeader {
                leader: self.leader,
            }),
        }
    }

    /// A follower holds our log up to `upto`.
    fn on_match(&mut self, from: NodeId, upto: Index, current: bool, out: &mut Outbox<Effect>) {
        let last = self.log.last().index;
        let base = self.log.base().id.index;
        if upto > last {
            return;
        }
        let lead = self.lead.as_mut().expect("heard by a leader");
        let fresh = lead.next_inflight;
        let peer = lead.peer_mut(from).expect("heard from a member");
        peer.matched(upto, current);
        if matches!(peer.mode, Mode::Snapshot(_)) && upto >= base {
            // It caught up some other way.
            peer.probe_from(upto.next(), fresh, false);
            out.push(Effect::SnapshotClose { peer: from });
        }
        self.flush_wanted |= peer.next <= last && peer.has_window(&self.config)
            || peer.told_commit < self.commit.min(peer.matched);
        self.continue_transfer(from);
    }

    /// A follower does not have `prev`. The hint skips a whole term at once
    /// (§5.3, last paragraph).
    fn on_reject(&mut self, from: NodeId, prev: Index, hint: LogId) {
        let last = self.log.last().index;
        let holds = self.log.term_at(hint.index) == Some(hint.term);
        let next = if hint.index >= prev && holds {
            // A repairing follower has it, and does not acknowledge it yet.
            hint.index.next()
        } else {
            let limit = hint.index.min(prev.prev().unwrap_or(Index::ZERO));
            let candidate = self.log.last_at_most(limit, hint.term).index;
            candidate.min(limit).next()
        };
        let lead = self.lead.as_mut().expect("heard by a leader");
        let fresh = lead.next_inflight;
        let peer = lead.peer_mut(from).expect("heard from a member");
        let in_snapshot = matches!(peer.mode, Mode::Snapshot(_));
        if in_snapshot || prev > last || prev < peer.matched {
            return;
        }
        peer.probe_from(next, fresh, false);
        self.flush_wanted |= next <= last;
    }

    /// Forgets what is in flight to a peer.
    fn restart_probe(&mut self, peer: NodeId, waiting: bool) {
        let Some(lead) = self.lead.as_mut() else {
            return;
        };
        let fresh = lead.next_inflight;
        if let Some(peer) = lead.peer_mut(peer)
            && !matches!(peer.mode, Mode::Snapshot(_))
        {
            peer.probe_from(peer.matched.next(), fresh, waiting);
        }
    }

    /// Steps down unless a quorum was heard lately (CheckQuorum).
    fn check_quorum(&mut self, out: &mut Outbox<Effect>) {
        let Some(lead) = self.lead.as_mut() else {
            return;
        };
        if self.now < lead.quorum_at {
            return;
        }
        let since = lead
            .quorum_at
            .0
            .saturating_sub(self.config.election_timeout_min.0);
        lead.quorum_at = self.now.saturating_add(self.config.election_timeout_min);
        let lead = self.lead.as_ref().expect("just seen");
        let heard = quorum::agrees(self.membership(), self.config.mutant, |id| {
            let heard = lead.position(id).and_then(|at| lead.peers[at].heard);
            id == self.config.id || heard.is_some_and(|at| at.0 >= since)
        });
        if !heard {
            self.become_follower(self.hard.term, None, out);
        }
    }
}

/// The entry before those that a follower gets next. While a snapshot is on its
/// way only heartbeats go out: they rest on the base, which it will match once
/// it has caught up.
fn previous_of(peer: &Progress, log: &super::log::Log) -> (LogId, Chain) {
    let wanted = match peer.mode {
        Mode::Snapshot(_) => log.base().id.index.max(peer.matched),
        _ => peer.next.prev().expect("next is never 0"),
    };
    let index = wanted.min(log.last().index);
    log.place_at(index).expect("prev is kept or the base")
}
