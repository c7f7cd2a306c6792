//! Construction, the iteration, and the routing of events.

use super::config::Config;
use super::effect::{Effect, Refusal, Role};
use super::election::Campaign;
use super::event::{Event, PersistSeq};
use super::message::{Body, Message};
use super::persist::Gate;
use super::state::{Announced, Raft};
use super::types::Recovered;
use crate::machine::{Machine, Outbox};
use crate::mutant::Mutant;
use crate::types::{Index, NodeId, Term, Time};

/// Terms and positions above this are false: no cluster lives to see them, and
/// the arithmetic below never overflows.
const NUMBER_MAX: u64 = u64::MAX >> 1;

impl Raft {
    /// Starts a node from what it found on its disk. The node is a follower, or
    /// `Repairing`, or `Halted`; its new incarnation is the first thing that it
    /// writes.
    ///
    /// # Panics
    /// If the configuration contradicts itself.
    pub fn new(now: Time, config: Config, recovered: Recovered, out: &mut Outbox<Effect>) -> Self {
        config.validate();
        let found = super::repair::examine(&config, recovered);
        let base = found.log.base().id.index;
        let last = found.log.last().index;
        let mut hard = found.hard;
        hard.incarnation = hard.incarnation.saturating_add(1);
        let commit = match found.damaged_upto {
            None => hard.commit.max(found.applied).max(base).min(last),
            // What else is here may be of a log that was given up.
            Some(_) => base,
        };
        let mut raft = Self {
            now,
            steps: 0,
            role: Role::Follower,
            leader: None,
            contact: None,
            election_at: now,
            election_timeout: None,
            campaign: Campaign::new(hard.incarnation),
            lead: None,
            commit,
            handed: found.applied,
            applied: found.applied,
            gate: Gate::new(found.hard, found.durable, config.mutant),
            log: found.log,
            staging: None,
            repair: None,
            halt_reason: None,
            flush_wanted: true,
            announced: Announced::default(),
            final_epoch: None,
            hard,
            config,
        };
        raft.gate.mark_hard();
        if found.begins_anew {
            raft.gate.mark_reset(base);
        }
        raft.reset_election_timer();
        if let Some(reason) = found.halt {
            raft.halt(reason, out);
        } else if let Some(upto) = found.damaged_upto {
            raft.begin_repair(upto, found.state_lost);
        }
        raft.settle(out);
        raft.invariants();
        raft
    }

    /// Says the same to a peer as soon as term and vote are durable (P1).
    pub(super) fn send(&mut self, to: NodeId, body: Body, out: &mut Outbox<Effect>) {
        self.send_after(to, body, None, out);
    }

    /// Sends a message once the write `need` and the present term and vote are
    /// durable.
    pub(super) fn send_after(
        &mut self,
        to: NodeId,
        body: Body,
        need: Option<PersistSeq>,
        out: &mut Outbox<Effect>,
    ) {
        assert!(to != self.config.id, "no node writes to itself");
        let term = self.hard.term;
        let is_vote = matches!(body, Body::VoteReply { .. });
        let need = if is_vote && self.config.mutant.is(Mutant::VoteNotDurable) {
            None
        } else {
            need.max(self.gate.need_hard())
        };
        // Each made where it goes: messages are large to move.
        match need {
            None => out.push(Effect::Send {
                to,
                message: Message { term, body },
            }),
            Some(need) => {
                self.gate.hold(need, to, Message { term, body });
                self.flush_wanted = true;
            }
        }
    }

    /// Stops for good. Nothing that waits is ever sent.
    pub(super) fn halt(&mut self, reason: &'static str, out: &mut Outbox<Effect>) {
        self.end_leadership(out);
        self.gate.drop_held();
        self.role = Role::Halted;
        self.leader = None;
        self.repair = None;
        self.staging = None;
        self.flush_wanted = false;
        self.halt_reason = Some(reason);
    }

    /// Whether the node takes part in nothing any more.
    pub(super) fn is_halted(&self) -> bool {
        self.role == Role::Halted
    }

    /// Routes one event from which something may follow.
    fn dispatch(&mut self, event: Event, out: &mut Outbox<Effect>) {
        match event {
            Event::Wake => {
                self.on_timers(out);
                self.flush(out);
            }
            Event::Message { from, mut message } => self.on_message(from, &mut message, out),
            Event::Propose { .. } | Event::Read { .. } | Event::Applied { .. } => {
                unreachable!("nothing follows from them")
            }
            Event::ChangeMembership { context, target } => {
                self.on_change_membership(context, target, out);
            }
            Event::Transfer { to } => self.on_transfer(to),
            Event::Persisted { seq } => self.on_persisted(seq, out),
            Event::StoreFailed => self.halt("the disk failed", out),
            Event::Compact { upto } => self.on_compact(upto),
            Event::SnapshotOpened { peer, meta } => self.on_snapshot_opened(peer, meta, out),
            Event::SnapshotChunk {
                peer,
                chunk,
                data,
                last,
            } => self.on_snapshot_chunk(peer, chunk, data, last, out),
            Event::SnapshotInstalled { meta } => self.on_snapshot_installed(&meta, out),
            Event::SnapshotRefused => self.on_snapshot_refused(out),
            Event::PeerDown { peer } => self.on_peer_down(peer),
            Event::PeerUp { peer } => self.on_peer_up(peer),
        }
    }

    /// A halted node answers its clients and does nothing else.
    fn dispatch_halted(event: &Event, out: &mut Outbox<Effect>) {
        match event {
            Event::Propose { context, .. }
            | Event::Read { context }
            | Event::ChangeMembership { context, .. } => out.push(Effect::Refused {
                context: *context,
                reason: Refusal::Unavailable,
            }),
            _ => {}
        }
    }

    /// What the clock brings about.
    fn on_timers(&mut self, out: &mut Outbox<Effect>) {
        if self.lead.is_some() {
            self.on_leader_timers(out);
        } else if self.repair.is_none() && self.now >= self.election_at {
            self.on_election_timeout(out);
        }
    }

    /// The end of an iteration: one write, and one Append per peer. The Appends do not
    /// wait for the leader's own write (P4).
    fn flush(&mut self, out: &mut Outbox<Effect>) {
        self.flush_wanted = false;
        self.log.seal();
        let most = self.config.persists_pending_max;
        if let Some(persist) = self.gate.take(self.hard_state(), &self.log, most) {
            assert!(persist.seq > self.gate.done());
            out.push(Effect::Persist(persist));
        }
        self.broadcast(out);
    }

    /// A message of a peer, whose identity is proven and whose content is not.
    fn on_message(&mut self, from: NodeId, message: &mut Message, out: &mut Outbox<Effect>) {
        if from == self.config.id || !is_sane(message) {
            return;
        }
        let term = message.term;
        match &message.body {
            Body::PreVote { campaign, last } => {
                self.on_pre_vote(from, term, *campaign, *last, out);
                return;
            }
            Body::PreVoteReply { campaign, granted } if *granted => {
                self.on_pre_vote_granted(from, term, *campaign, out);
                return;
            }
            Body::Vote { transfer, .. }
                if term > self.hard.term && !transfer && self.is_sticky() =>
            {
                return;
            }
            _ => {}
        }
        if term < self.hard.term {
            self.on_stale(from, &message.body, out);
            return;
        }
        if term > self.hard.term {
            self.become_follower(term, None, out);
        }
        self.on_current(from, &mut message.body, out);
    }

    /// A message of the present term. Taken by reference: it is large to move.
    fn on_current(&mut self, from: NodeId, body: &mut Body, out: &mut Outbox<Effect>) {
        assert!(!self.is_halted());
        match body {
            Body::PreVote { .. } => unreachable!("handled before terms are compared"),
            Body::PreVoteReply { campaign, .. } => self.on_pre_vote_refused(from, *campaign, out),
            Body::Vote { campaign, last, .. } => self.on_vote(from, *campaign, *last, out),
            Body::VoteReply { campaign, granted } => {
                self.on_vote_reply(from, *campaign, *granted, out);
            }
            Body::Append {
                inflight,
                round,
                prev,
                prev_chain,
                commit,
                quiet,
                entries,
            } => {
                if self.accept_leader(from, out) {
                    let append = super::follow::Incoming {
                        from,
                        inflight: *inflight,
                        round: *round,
                        prev: *prev,
                        prev_chain: *prev_chain,
                        commit: *commit,
                        quiet: *quiet,
                    };
                    self.on_append(append, core::mem::take(entries), out);
                }
            }
            Body::AppendReply {
                inflight,
                round,
                incarnation,
                result,
            } => self.on_append_reply(from, *inflight, *round, *incarnation, *result, out),
            Body::Snapshot {
                inflight,
                round,
                meta,
                chunk,
                data,
                last,
            } => {
                if self.accept_leader(from, out) {
                    let incoming = super::snapshot::Incoming {
                        from,
                        inflight: *inflight,
                        round: *round,
                    };
                    let (meta, data) = (meta.clone(), core::mem::take(data));
                    self.on_snapshot(incoming, meta, *chunk, data, *last, out);
                }
            }
            Body::SnapshotReply {
                inflight,
                round,
                incarnation,
                result,
            } => self.on_snapshot_reply(from, *inflight, *round, *incarnation, *result, out),
            Body::TimeoutNow => self.on_timeout_now(from, out),
        }
    }

    /// A write is durable.
    fn on_persisted(&mut self, seq: PersistSeq, out: &mut Outbox<Effect>) {
        if !self.gate.complete(seq) {
            return;
        }
        if self.gate.held_len() > 0 {
            for (to, message) in self.gate.release() {
                assert!(message.term <= self.hard.term);
                out.push(Effect::Send { to, message });
            }
        }
        self.count_own_vote(out);
        self.leave_repair_if_whole();
        if self.gate.is_dirty(&self.log) {
            self.flush_wanted = true;
        }
    }

    /// The state machine has come further.
    fn on_applied(&mut self, upto: Index) {
        assert!(upto <= self.handed, "applied what was never given");
        self.applied = self.applied.max(upto);
    }

    /// The log before `upto` may go, as far as it is committed: while a log is
    /// repaired, the state can be ahead of what is known of it.
    fn on_compact(&mut self, upto: Index) {
        let upto = upto.min(self.applied).min(self.commit);
        let upto = upto.min(self.gate.durable());
        if upto <= self.log.base().id.index || upto > self.log.last().index {
            return;
        }
        self.log.compact_to(upto);
        self.gate.mark_base();
        self.flush_wanted = true;
    }

    /// What follows from any event: commits, announcements, entries to apply.
    fn settle(&mut self, out: &mut Outbox<Effect>) {
        if self.lead.is_some() {
            self.advance_commit();
            self.advance_membership(out);
        }
        self.announce(out);
        self.hand_out(out);
        self.answer_reads(out);
    }

    /// Tells the owner what changed.
    fn announce(&mut self, out: &mut Outbox<Effect>) {
        let (role, term, leader) = (self.role, self.hard.term, self.leader);
        let known = &mut self.announced;
        if known.term != term || known.role != Some(role) || known.leader != leader {
            (known.role, known.term, known.leader) = (Some(role), term, leader);
            out.push(Effect::RoleChanged { role, term, leader });
        }
        // A planted bug has memberships take effect when nothing in the log changes.
        let epoch = self.log.membership_epoch();
        let is_fixed = self.announced.epoch == Some(epoch)
            && !self.config.mutant.is(Mutant::MembershipAtCommit);
        self.announced.epoch = Some(epoch);
        if !is_fixed && self.announced.membership.as_ref() != Some(self.membership()) {
            let membership = self.membership().clone();
            self.announced.membership = Some(membership.clone());
            out.push(Effect::MembershipChanged { membership });
        }
        if self.announced.commit != self.commit {
            assert!(self.announced.commit < self.commit || self.repair.is_some());
            self.announced.commit = self.commit;
            out.push(Effect::Committed { index: self.commit });
        }
    }

    /// Gives the state machine what is committed *and* durable here (P5), unless
    /// it is being replaced by a snapshot.
    fn hand_out(&mut self, out: &mut Outbox<Effect>) {
        let upto = self.commit.min(self.gate.durable());
        if upto <= self.handed {
            return;
        }
        let installing = self
            .staging
            .as_ref()
            .is_some_and(|staging| staging.installing);
        if installing || self.is_halted() {
            return;
        }
        let entries = self.log.shared(self.handed.next(), upto);
        self.handed = upto;
        out.push(Effect::Apply { entries });
    }
}

impl Machine for Raft {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        assert!(now >= self.now, "the owner's time ran backwards");
        self.now = now;
        self.steps = self.steps.wrapping_add(1);
        if self.is_halted() {
            Self::dispatch_halted(&event, out);
            return;
        }
        match event {
            // These only gather work, or only count: nothing follows from them.
            Event::Propose { context, data } => self.on_propose(context, data, out),
            Event::Read { context } => self.on_read(context, out),
            Event::Applied { upto } => self.on_applied(upto),
            event => {
                self.dispatch(event, out);
                self.settle(out);
            }
        }
        if cfg!(debug_assertions) || self.is_sampled() {
            self.invariants();
        }
    }

    fn deadline(&self) -> Option<Time> {
        if self.is_halted() {
            return None;
        }
        if self.flush_wanted {
            return Some(self.now);
        }
        match &self.lead {
            Some(_) => self.leader_deadline(),
            None => (self.repair.is_none() && self.is_eligible()).then_some(self.election_at),
        }
    }
}

/// Whether the numbers of a message are such that arithmetic on them is safe.
fn is_sane(message: &Message) -> bool {
    let index_ok = |index: Index| index.0 <= NUMBER_MAX;
    let body_ok = match &message.body {
        Body::Append {
            prev,
            commit,
            entries,
            ..
        } => {
            index_ok(prev.index)
                && index_ok(*commit)
                && prev.term <= message.term
                && entries.len() <= crate::limits::APPEND_ENTRIES_MAX
        }
        Body::Snapshot { meta, chunk, .. } => {
            index_ok(meta.base.id.index)
                && meta.base.id.term <= message.term
                && *chunk <= NUMBER_MAX
        }
        _ => true,
    };
    body_ok && message.term > Term(0) && message.term.0 <= NUMBER_MAX
}
