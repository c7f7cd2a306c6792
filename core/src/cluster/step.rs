//! The only mutator: routing of events to the machines, and of their effects.

use alloc::collections::BTreeSet;

use super::effect::{Effect, Notice};
use super::event::{Event, Link};
use super::message::Message;
use super::request::{Request, Response};
use super::state::{Clock, Cluster, Inner, Phase};
use crate::io::{Done, Io};
use crate::machine::{Machine, Outbox};
use crate::mutant::Mutant;
use crate::part::{Health, Part, Reason, Scope};
use crate::raft::{self, Role};
use crate::replica::LogTime;
use crate::types::{NodeId, Span, Time};
use crate::wal;

/// How long a stopping leader waits for another node to take over.
const TRANSFER_WAIT: Span = Span::from_secs(2);

impl Machine for Cluster {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        assert!(self.queue.is_empty(), "a step leaves no effect behind");
        if self.has_ended() {
            return;
        }
        self.on_event(now, event, out);
        self.route(now, out);
        self.advance(now, out);
        self.tell_health(out);
        self.check_invariants();
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
        Time::earliest([
            raft,
            self.wal.deadline(),
            self.requests.deadline(),
            self.attest.deadline(),
            self.module_checks.deadline(),
            self.tick_deadline(),
            stopping,
        ])
    }
}

impl Cluster {
    fn on_event(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        match event {
            Event::Start { is_used } => self.start(now, is_used, out),
            Event::Wake => self.on_wake(now, out),
            Event::Clock { wall } => {
                let wall = LogTime(wall.0);
                self.clock = Clock { wall, read_at: now };
            }
            Event::Message { from, message } => self.on_message(now, from, message, out),
            Event::Peer { peer, is_up: true } => {
                self.step_raft(now, raft::Event::PeerUp { peer });
                self.repeat_reads_to(now, peer, out);
            }
            Event::Peer { peer, is_up: false } => {
                self.step_raft(now, raft::Event::PeerDown { peer });
                self.forget_forwards_to(peer, out);
                self.attest.forget_peer(peer);
            }
            Event::Request { id, request } => self.on_request(now, id, request, out),
            Event::Cancel { id } => self.cancel(id, out),
            Event::Io(done) => self.on_done(now, done, out),
            Event::Link(link) => match link {},
            Event::Shutdown => self.begin_stop(now, out),
        }
    }

    /// The volume has done something, or failed.
    fn on_done(&mut self, now: Time, done: Done, out: &mut Outbox<Effect>) {
        match done {
            Done::File { id, result } => self.step_wal(now, wal::Event::File { id, result }),
            Done::Committed { seq } => self.on_store_committed(now, seq, out),
            Done::Read { page, .. } => self.on_store_page(now, page, out),
            Done::Failed => self.halt(
                "the state store failed: check the disk and its free space, then restart the node",
                out,
            ),
        }
    }

    fn on_message(&mut self, now: Time, from: NodeId, message: Message, out: &mut Outbox<Effect>) {
        match message {
            Message::Raft(message) => {
                self.step_raft(now, raft::Event::Message { from, message });
            }
            Message::Forward { id, term, request } => {
                let request = *request;
                self.on_forward(now, from, id, term, request, out);
            }
            Message::ForwardReply { id, response } => {
                self.on_forward_reply(from, id, response, out);
            }
            Message::HeadRequest { id, size } => self.on_head_request(from, id, size, out),
            Message::HeadReply { id, share } => {
                self.on_head_reply(from, id, share.as_deref(), out);
            }
            Message::ModulesRequest { id } => self.on_modules_request(from, id, out),
            Message::ModulesReply { id, modules } => {
                self.on_modules_reply(now, from, id, modules, out);
            }
        }
    }

    /// An iteration of the shell ends: the machines emit what they have gathered. Raft
    /// goes first, because its write is what the log then flushes.
    fn on_wake(&mut self, now: Time, out: &mut Outbox<Effect>) {
        self.expire_requests(now, out);
        self.drive_attest(now, out);
        self.expire_module_checks(now, out);
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
                    message: Message::Raft(message),
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
            raft::Effect::RoleChanged { role, .. } => {
                self.on_role_changed(role, out);
                self.tell_followers(out);
                self.retry_early(now, out);
                self.unpark(now, out);
                self.follow_leader(now, out);
            }
            raft::Effect::MembershipChanged { .. } => {
                out.push(Effect::Peers);
                self.tell_followers(out);
            }
            raft::Effect::Committed { .. } => self.retry_early(now, out),
        }
    }

    fn on_role_changed(&mut self, role: Role, out: &mut Outbox<Effect>) {
        if role != Role::Leader {
            self.tick_in_flight = false;
            self.give_up_module_checks(out);
        }
        if role == Role::Halted {
            let reason = self.raft.as_ref().and_then(raft::Raft::halt_reason);
            self.halt(reason.unwrap_or("Raft halted"), out);
        }
    }

    fn on_wal(&mut self, now: Time, effect: wal::Effect, out: &mut Outbox<Effect>) {
        match effect {
            wal::Effect::File { id, op } => out.push(Effect::Io(Io::File { id, op })),
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
                self.answer_all_at_end(out);
                self.phase = Phase::Ended { halted: None };
                if self.config.mutant.is(Mutant::ClusterStopsUntold) {
                    self.told_health = self.health();
                }
                return;
            }
            Phase::Stopping { .. } | Phase::Ended { .. } => return,
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
    fn best_successor(&self) -> Option<NodeId> {
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
                self.answer_all_at_end(out);
                self.phase = Phase::Ended { halted: None };
            }
            Some(_) => {}
        }
    }

    /// Stops for good: nothing that was not durable has been acknowledged, and
    /// nothing more will be.
    pub(super) fn halt(&mut self, reason: impl Into<Reason>, out: &mut Outbox<Effect>) {
        if self.has_ended() {
            return;
        }
        self.answer_all_at_end(out);
        self.phase = Phase::Ended {
            halted: Some(reason.into()),
        };
    }

    /// Tells the health if it is another one than before.
    fn tell_health(&mut self, out: &mut Outbox<Effect>) {
        let health = self.health();
        if health != self.told_health {
            self.told_health = health.clone();
            out.push(Effect::Health(health));
        }
    }
}

impl Part for Cluster {
    type Message = Message;
    type Request = Request;
    type Response = Response;
    type Link = Link;
    type Notice = Notice;

    const SCOPE: Scope = Scope::Cluster;

    fn node(&self) -> NodeId {
        self.config.id
    }

    /// The members.
    fn peers(&self) -> BTreeSet<NodeId> {
        let members = self.raft.as_ref().map(|raft| raft.membership().members());
        let members = members.into_iter().flatten();
        members.filter(|node| *node != self.config.id).collect()
    }

    fn health(&self) -> Health {
        match &self.phase {
            Phase::New | Phase::Recovering(_) => Health::Starting,
            Phase::Stopping { .. } => Health::Stopping,
            Phase::Ended { halted: None } => Health::Stopped,
            Phase::Ended {
                halted: Some(reason),
            } => Health::Halted(reason.clone()),
            Phase::Running => match self.raft.as_ref().map(raft::Raft::role) {
                Some(Role::Repairing) => Health::Degraded(Reason::Borrowed(
                    "its log lost entries and is repaired from the leader",
                )),
                _ if self.known_leader().is_none() => Health::Degraded(Reason::Borrowed(
                    "no leader is known: a majority of the voters has to be reachable",
                )),
                _ => Health::Ready,
            },
        }
    }

    fn accepts(&self) -> bool {
        !self.is_congested()
    }

    fn is_change(request: &Request) -> bool {
        matches!(
            request,
            Request::Write(_) | Request::ChangeMembership(_) | Request::TransferLeadership { .. }
        )
    }

    fn unavailable() -> Response {
        Response::Refused(raft::Refusal::Unavailable)
    }

    fn busy() -> Response {
        Response::Refused(raft::Refusal::Busy)
    }

    fn invalid(request: &Request) -> Response {
        let rule = match request {
            Request::ChangeMembership(target) => target.broken_rule(),
            _ => None,
        };
        Response::Refused(match rule {
            Some(rule) => raft::Refusal::InvalidMembership { rule },
            None => raft::Refusal::TooLarge,
        })
    }

    fn unknown() -> Response {
        Response::Unknown
    }

    fn digest(&self) -> u128 {
        self.fingerprint()
    }

    fn invariants(&self) {
        self.check_invariants();
    }
}
