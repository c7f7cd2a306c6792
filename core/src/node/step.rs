//! The only mutator: routing of events to the machines, and of their effects.

use super::effect::Effect;
use super::event::Event;
use super::message::PeerMessage;
use super::state::{Clock, Inner, Node, Phase};
use crate::ledger::{self, TimeMs};
use crate::machine::{Machine, Outbox};
use crate::raft::{self, Role};
use crate::types::{Span, Time};
use crate::wal;

/// How long a stopping leader waits for another node to take over.
const TRANSFER_WAIT: Span = Span::from_secs(2);

impl Machine for Node {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        debug_assert!(self.queue.is_empty(), "a step leaves no effect behind");
        if self.has_ended() {
            return;
        }
        self.on_event(now, event, out);
        self.route(now, out);
        self.advance(now, out);
        self.invariants();
    }

    fn deadline(&self) -> Option<Time> {
        if self.has_ended() {
            return None;
        }
        let stopping = match self.phase {
            Phase::Stopping {
                transfer_deadline,
                last_batch: None,
            } => Some(transfer_deadline),
            _ => None,
        };
        let raft = self.raft.as_ref().and_then(Machine::deadline);
        [
            raft,
            self.wal.deadline(),
            self.requests.deadline(),
            self.attest.deadline(),
            self.tick_deadline(),
            self.ledger.as_ref().and_then(Machine::deadline),
            stopping,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

impl Node {
    fn on_event(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        match event {
            Event::Start => {
                self.start(now, out);
                self.step_ledger(now, ledger::Event::Start, out);
            }
            Event::Wake => self.on_wake(now, out),
            Event::Clock { wall } => {
                self.clock = Clock { wall, read_at: now };
                let wall = TimeMs(wall.0 / 1_000_000);
                self.step_ledger(now, ledger::Event::Clock { wall }, out);
            }
            Event::Message { from, message } => self.on_message(now, from, message, out),
            Event::PeerUp { peer } | Event::PeerDown { peer }
                if self.config.foreign.contains(&peer) => {}
            Event::PeerUp { peer } => self.step_raft(now, raft::Event::PeerUp { peer }),
            Event::PeerDown { peer } => {
                self.step_raft(now, raft::Event::PeerDown { peer });
                self.forget_forwards_to(peer, out);
                self.attest.forget_peer(peer);
            }
            Event::Request { id, request } => self.on_request(now, id, request, out),
            Event::Cancel { id } => self.cancel(id),
            Event::File { id, result } => self.step_wal(now, wal::Event::File { id, result }),
            Event::StoreCommitted { seq } => self.on_store_committed(now, seq, out),
            Event::StorePage { pairs, done } => self.on_store_page(now, pairs, done, out),
            Event::StoreFailed => self.halt(
                "the state store failed: check the disk and its free space, then restart the node",
                out,
            ),
            Event::Ledger(event) => self.step_ledger(now, event, out),
            Event::Shutdown => self.begin_stop(now, out),
        }
    }

    fn on_message(
        &mut self,
        now: Time,
        from: crate::types::NodeId,
        message: PeerMessage,
        out: &mut Outbox<Effect>,
    ) {
        let is_foreign = self.config.foreign.contains(&from);
        if is_foreign && !matches!(message, PeerMessage::Ledger(_)) {
            return;
        }
        match message {
            PeerMessage::Ledger(message) => {
                self.step_ledger(now, ledger::Event::Message { from, message }, out);
            }
            PeerMessage::Raft(message) => {
                self.step_raft(now, raft::Event::Message { from, message });
            }
            PeerMessage::Forward { id, term, request } => {
                self.on_forward(now, from, id, term, request, out);
            }
            PeerMessage::ForwardReply { id, response } => {
                self.on_forward_reply(from, id, response, out);
            }
            PeerMessage::HeadRequest { id, size } => self.on_head_request(from, id, size, out),
            PeerMessage::HeadReply { id, share } => {
                self.on_head_reply(from, id, share.as_ref(), out);
            }
        }
    }

    /// A turn of the shell ends: the machines emit what they have gathered. Raft
    /// goes first, because its write is what the log then flushes.
    fn on_wake(&mut self, now: Time, out: &mut Outbox<Effect>) {
        self.expire_requests(now, out);
        let ledger = self.ledger.as_ref().and_then(Machine::deadline);
        if ledger.is_some_and(|due| due <= now) {
            self.step_ledger(now, ledger::Event::Wake, out);
        }
        self.drive_attest(now, out);
        self.propose_tick(now);
        if self
            .raft
            .as_ref()
            .and_then(Machine::deadline)
            .is_some_and(|due| due <= now)
        {
            self.step_raft(now, raft::Event::Wake);
            self.route(now, out);
        }
        if self.wal.deadline().is_some_and(|due| due <= now) {
            self.step_wal(now, wal::Event::Wake);
        }
    }

    /// Hands an event to Raft and queues its effects. Before recovery is
    /// complete there is no Raft, and the event is dropped like a lost message.
    pub(super) fn step_raft(&mut self, now: Time, event: raft::Event) {
        let Some(raft) = &mut self.raft else { return };
        raft.step(now, event, &mut self.raft_out);
        self.queue.extend(self.raft_out.drain().map(Inner::Raft));
    }

    /// Hands an event to the ledger's part and lifts its effects. A ledger that has
    /// halted leaves the cluster's own state alone.
    fn step_ledger(&mut self, now: Time, event: ledger::Event, out: &mut Outbox<Effect>) {
        let Some(ledger) = &mut self.ledger else {
            return;
        };
        ledger.step(now, event, &mut self.ledger_out);
        for effect in self.ledger_out.drain() {
            out.push(match effect {
                ledger::Effect::Send { to, message } => Effect::Send {
                    to,
                    message: PeerMessage::Ledger(message),
                },
                effect => Effect::Ledger(effect),
            });
        }
    }

    /// Hands an event to the log and queues its effects.
    pub(super) fn step_wal(&mut self, now: Time, event: wal::Event) {
        self.wal.step(now, event, &mut self.wal_out);
        self.queue.extend(self.wal_out.drain().map(Inner::Wal));
    }

    /// Routes queued effects until none is left; routing one may queue more.
    pub(super) fn route(&mut self, now: Time, out: &mut Outbox<Effect>) {
        while let Some(effect) = self.queue.pop_front() {
            if self.has_ended() {
                self.queue.clear();
                return;
            }
            match effect {
                Inner::Raft(effect) => self.on_raft(now, effect, out),
                Inner::Wal(effect) => self.on_wal(now, effect, out),
            }
        }
    }

    fn on_raft(&mut self, now: Time, effect: raft::Effect, out: &mut Outbox<Effect>) {
        match effect {
            raft::Effect::Persist(persist) => self.persist(now, &persist),
            raft::Effect::Send { to, message } => {
                out.push(Effect::Send {
                    to,
                    message: PeerMessage::Raft(message),
                });
            }
            raft::Effect::Apply { entries } => self.apply(now, &entries, out),
            raft::Effect::Proposed { context, id } => self.on_proposed(context, id, out),
            raft::Effect::Refused { context, reason } => self.on_refused(context, reason, out),
            raft::Effect::ReadReady { context, index } => self.on_read_ready(context, index, out),
            raft::Effect::SnapshotOpen { peer } => self.open_snapshot(now, peer),
            raft::Effect::SnapshotRead { peer, chunk } => self.read_snapshot(now, peer, chunk),
            raft::Effect::SnapshotClose { peer } => self.snapshots.close(peer),
            raft::Effect::SnapshotStage {
                meta,
                chunk,
                data,
                last,
            } => {
                self.stage_snapshot(now, meta, chunk, &data, last, out);
            }
            raft::Effect::RoleChanged { role, term, leader } => {
                self.on_role_changed(role, out);
                out.push(Effect::RoleChanged { role, term, leader });
                self.retry_early(now, out);
                self.unpark(now, out);
            }
            raft::Effect::MembershipChanged { membership } => {
                out.push(Effect::MembershipChanged { membership });
            }
            raft::Effect::Committed { .. } => self.retry_early(now, out),
        }
    }

    fn on_role_changed(&mut self, role: Role, out: &mut Outbox<Effect>) {
        if role != Role::Leader {
            self.tick_in_flight = false;
        }
        if role == Role::Halted {
            let reason = self.raft.as_ref().and_then(raft::Raft::halt_reason);
            self.halt(reason.unwrap_or("Raft halted"), out);
        }
    }

    fn on_wal(&mut self, now: Time, effect: wal::Effect, out: &mut Outbox<Effect>) {
        match effect {
            wal::Effect::File { id, op } => out.push(Effect::File { id, op }),
            wal::Effect::Recovered(recovered) => self.on_wal_recovered(now, recovered, out),
            wal::Effect::Durable { seq } => self.on_wal_durable(now, seq),
            wal::Effect::Failed { reason } => self.halt(reason, out),
        }
    }

    fn begin_stop(&mut self, now: Time, out: &mut Outbox<Effect>) {
        match self.phase {
            Phase::Running => {}
            // Nothing was taken on yet, so there is nothing to finish; but the
            // shell waits to be told.
            Phase::New | Phase::Recovering(_) => {
                self.answer_all_unknown(out);
                self.phase = Phase::Ended;
                out.push(Effect::Stopped);
                return;
            }
            Phase::Stopping { .. } | Phase::Ended => return,
        }
        self.phase = Phase::Stopping {
            transfer_deadline: now.saturating_add(TRANSFER_WAIT),
            last_batch: None,
        };
        if let Some(to) = self.best_successor() {
            self.step_raft(now, raft::Event::Transfer { to });
        }
    }

    /// The voter whose log is closest to this leader's.
    fn best_successor(&self) -> Option<crate::types::NodeId> {
        let raft = self
            .raft
            .as_ref()
            .filter(|raft| raft.role() == Role::Leader)?;
        let voters = &raft.membership().voters;
        let mut matched = raft.matched();
        matched.retain(|(node, _)| *node != self.config.id && voters.contains(node));
        matched
            .into_iter()
            .max_by_key(|(_, index)| *index)
            .map(|(node, _)| node)
    }

    /// What may have become possible by this step, whatever the event was.
    fn advance(&mut self, now: Time, out: &mut Outbox<Effect>) {
        if self.has_ended() {
            return;
        }
        self.maybe_compact(out);
        self.maybe_stop(now, out);
        self.route(now, out);
    }

    fn maybe_stop(&mut self, now: Time, out: &mut Outbox<Effect>) {
        let Phase::Stopping {
            transfer_deadline,
            last_batch,
        } = self.phase
        else {
            return;
        };
        let leads = self
            .raft
            .as_ref()
            .is_some_and(|raft| raft.role() == Role::Leader);
        match last_batch {
            None if leads && self.best_successor().is_some() && now < transfer_deadline => {}
            None => {
                let seq = self.sync_store(out);
                self.phase = Phase::Stopping {
                    transfer_deadline,
                    last_batch: Some(seq),
                };
            }
            Some(seq) if self.storage.committed_seq() >= seq => {
                self.answer_all_unknown(out);
                self.phase = Phase::Ended;
                out.push(Effect::Stopped);
            }
            Some(_) => {}
        }
    }

    /// Stops for good: nothing that was not durable has been acknowledged, and
    /// nothing more will be.
    pub(super) fn halt(&mut self, reason: &'static str, out: &mut Outbox<Effect>) {
        if self.has_ended() {
            return;
        }
        self.answer_all_unknown(out);
        self.phase = Phase::Ended;
        out.push(Effect::Halted { reason });
    }
}
