//! The only mutator: routing of events to the machines, and of their effects.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::effect::{Effect, Notice};
use super::event::{Event, Link};
use super::message::Message;
use super::reads::request::{Request, Response};
use super::state::{Clock, Inner, Ledger, Phase};
use crate::bft::{self, Bft};
use crate::crypto::SharedSigner;
use crate::io::{Done, Io};
use crate::ledger_types::{TimeMs, TxError};
use crate::limits::LEDGER_CLOCK_LEAD_MAX;
use crate::machine::{Machine, Outbox};
use crate::part::{Health, Part, Reason, Scope};
use crate::types::{NodeId, Time};
use crate::wal;

impl Machine for Ledger {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        assert!(self.queue.is_empty(), "a step leaves no effect behind");
        assert!(now >= self.now, "time never runs backwards");
        self.now = now;
        if self.has_ended() {
            return;
        }
        self.steps = self.steps.saturating_add(1);
        let before = self.heads();
        self.on_event(event, out);
        self.route(out);
        self.note_pending();
        self.route(out);
        self.forget_assemblies();
        self.maybe_stop();
        if core::mem::take(&mut self.is_peers_changed) {
            out.push(Effect::Peers);
        }
        self.tell_health(out);
        self.check_invariants();
        self.assert_forward(before.as_ref());
    }

    fn deadline(&self) -> Option<Time> {
        if self.has_ended() {
            return None;
        }
        let Phase::Running(running) = &self.phase else {
            return self.wal.deadline();
        };
        let push_now = (!self.push.fresh.is_empty()).then_some(self.now);
        let early = self.early.first().map(|(time, _)| self.due(*time));
        let wait = self.waits.deadlines.first().map(|(due, _)| *due);
        Time::earliest([
            running.bft.deadline(),
            self.wal.deadline(),
            push_now,
            self.push.again_at,
            early,
            wait,
            self.sync.deadline(),
        ])
    }
}

impl Ledger {
    fn on_event(&mut self, event: Event, out: &mut Outbox<Effect>) {
        match event {
            Event::Start { is_used } => self.start(is_used, out),
            Event::Wake => self.on_wake(out),
            Event::Clock { wall } => {
                self.clock = Clock {
                    wall: TimeMs(wall.0 / 1_000_000),
                    read_at: self.now,
                };
            }
            Event::Message { from, message } if self.is_running() => match message {
                Message::Bft(message) => self.on_bft_message(from, message, out),
                Message::Transactions(list) => self.on_pushed(from, list, out),
                Message::Sync(message) => self.on_sync(from, message, out),
                Message::EarliestRetained(height) => self.on_earliest_retained(from, height, out),
                Message::Compact(compact) => self.on_compact(from, *compact, out),
                Message::AskItems { block, items } => self.on_ask_items(from, block, &items, out),
                Message::Items { block, items } => self.on_items(from, block, items, out),
            },
            // Lost, as far as the sender can tell.
            Event::Message { .. } => {}
            Event::Request { id, request } => self.on_request(id, request, out),
            Event::Cancel { id } => self.cancel(id, out),
            Event::Io(done) => self.on_done(done, out),
            // Peers are asked when something is wanted of them.
            Event::Peer { .. } => {}
            Event::Link(link) => self.on_link(link, out),
            Event::Shutdown => self.begin_stop(out),
        }
    }

    /// The volume has done something, or failed.
    fn on_done(&mut self, done: Done, out: &mut Outbox<Effect>) {
        match done {
            Done::File { id, result } => self.step_wal(wal::Event::File { id, result }),
            Done::Committed { seq } => self.on_store_committed(seq),
            Done::Read { id, page } => self.on_store_read(id, page, out),
            Done::Failed => self.halt(
                "the store of the ledger failed: check the disk and its free space, then \
                 restart the node",
                out,
            ),
        }
    }

    /// Stops gracefully. Votes need nothing: those that were sent are durable. The store
    /// is synced, so that the next start has little to execute again.
    fn begin_stop(&mut self, out: &mut Outbox<Effect>) {
        match self.phase {
            Phase::Running(_) => {}
            Phase::New | Phase::Recovering(_) => {
                self.answer_all_unavailable(out);
                return self.phase.end(None);
            }
            Phase::Stopping { .. } | Phase::Ended { .. } => return,
        }
        self.answer_all_unavailable(out);
        let last = self.commit_to_store(Vec::new(), true, out);
        self.phase.stop(last);
    }

    /// Tells the health if it is another one than before.
    fn tell_health(&mut self, out: &mut Outbox<Effect>) {
        let health = self.health();
        if health != self.told_health {
            self.told_health = health.clone();
            out.push(Effect::Health(health));
        }
    }

    /// An iteration of the shell ends: the machines emit what they have gathered. The
    /// consensus goes first, because its write is what the log then flushes.
    fn on_wake(&mut self, out: &mut Outbox<Effect>) {
        let now = self.now;
        if !self.is_running() {
            // Recovery and the end of a stop need the log alone.
            if self.wal.deadline().is_some_and(|due| due <= now) {
                self.step_wal(wal::Event::Wake);
            }
            return;
        }
        self.expire_waits(out);
        self.take_early();
        let bft = self.phase.running().and_then(|one| one.bft.deadline());
        if bft.is_some_and(|due| due <= now) {
            self.step_bft(bft::Event::Wake);
        }
        self.route(out);
        self.push_transactions(out);
        self.on_sync_wake(out);
        if self.wal.deadline().is_some_and(|due| due <= now) {
            self.step_wal(wal::Event::Wake);
        }
    }

    /// The last batch is in the store: nothing is left to do.
    fn maybe_stop(&mut self) {
        if let Phase::Stopping { last, .. } = self.phase
            && self.storage.committed_seq() >= last
        {
            self.phase.end(None);
        }
    }

    /// Whether it may not vote yet because its log was lost.
    fn is_rejoining(&self, bft: &Bft) -> bool {
        let votes = bft.validator().is_some() && (!bft.is_running() || bft.is_silent());
        self.storage.head.lost_upto.is_some() && votes
    }

    /// Hands an event to the validator of the present epoch.
    pub(super) fn step_bft(&mut self, event: bft::Event) {
        let Some(running) = self.phase.running_mut() else {
            return;
        };
        running.bft.step(self.now, event, &mut self.bft_out);
        self.queue.extend(self.bft_out.drain().map(Inner::Bft));
    }

    /// Hands an event to the log.
    pub(super) fn step_wal(&mut self, event: wal::Event) {
        self.wal.step(self.now, event, &mut self.wal_out);
        self.queue.extend(self.wal_out.drain().map(Inner::Wal));
    }

    /// Routes queued effects until none is left; routing one may queue more.
    fn route(&mut self, out: &mut Outbox<Effect>) {
        while let Some(effect) = self.queue.pop_front() {
            if self.has_ended() {
                self.queue.clear();
                return;
            }
            match effect {
                Inner::Bft(effect) => self.on_bft(effect, out),
                Inner::Wal(effect) => self.on_wal(effect, out),
            }
        }
    }

    fn on_wal(&mut self, effect: wal::Effect, out: &mut Outbox<Effect>) {
        match effect {
            wal::Effect::File { id, op } => out.push(Effect::Io(Io::File { id, op })),
            wal::Effect::Recovered(recovered) => self.on_wal_recovered(recovered, out),
            wal::Effect::Durable { seq } => self.on_wal_durable(seq),
            wal::Effect::Failed { reason } => self.halt(reason, out),
        }
    }

    /// When a block with this time may be voted for: clocks differ, and a message
    /// takes its time.
    pub(super) fn due(&self, time: TimeMs) -> Time {
        let ahead = LEDGER_CLOCK_LEAD_MAX
            .0
            .saturating_add(self.config.timing.delta.0);
        let due = self.clock.time_of(time).0.saturating_sub(ahead);
        Time(due)
    }

    /// Votes for good blocks whose time has come.
    fn take_early(&mut self) {
        while let Some((time, hash)) = self.early.first().copied() {
            if self.due(time) > self.now {
                return;
            }
            self.early.remove(&(time, hash));
            self.step_bft(bft::Event::Checked { hash, valid: true });
        }
    }

    /// Tells the consensus whether somebody waits for a block.
    fn note_pending(&mut self) {
        let is_changed = core::mem::take(&mut self.is_pool_changed);
        let Phase::Running(running) = &self.phase else {
            return;
        };
        if !is_changed {
            return;
        }
        let waiting = self.pool.has_ready(running.tip().ledger_state());
        self.step_bft(bft::Event::Pending { waiting });
    }

    /// Begins with the validator of an epoch. The one before has ended, or a fetched
    /// state has led past its epoch: exactly one may sign.
    pub(super) fn begin_epoch(&mut self, start: bft::EpochStart, recovered: bft::Recovered) {
        let next = self.validator_of(start);
        let Some(running) = self.phase.running_mut() else {
            return;
        };
        let before = &running.bft;
        assert!(
            before.has_ended() || before.epoch().epoch < next.epoch().epoch,
            "one validator of an epoch"
        );
        running.bft = next;
        self.start_validator(recovered);
    }

    /// The validator of an epoch, not started.
    pub(super) fn validator_of(&self, start: bft::EpochStart) -> Bft {
        let config = bft::Config {
            node: self.config.node,
            chain: self.chain,
            signer: self.signer_of(&start),
            verifier: self.config.verifier.clone(),
            timing: self.config.timing,
            relay: self.config.relay,
            persists_pending_max: self.config.persists_pending_max,
            mutant: self.config.mutant,
        };
        Bft::new(config, start)
    }

    /// Starts the validator of an epoch that has just begun.
    pub(super) fn start_validator(&mut self, recovered: bft::Recovered) {
        self.early.clear();
        self.assemblies.clear();
        self.forget_bases();
        self.is_peers_changed = true;
        self.step_bft(bft::Event::Start(alloc::boxed::Box::new(recovered)));
        self.is_pool_changed = true;
    }

    /// The key that the set of an epoch names for this node.
    fn signer_of(&self, start: &bft::EpochStart) -> Option<SharedSigner> {
        let place = start.validators.index_of(self.config.node);
        let listed = place.and_then(|place| start.validators.get(place));
        let is_listed = |signer: &&SharedSigner| {
            listed.is_some_and(|listed| listed.key == *signer.public_key())
        };
        let further = self.config.voting_key.as_ref().filter(is_listed);
        further.or(self.config.signer.as_ref()).cloned()
    }

    /// Stops for good: nothing that was not durable has been acknowledged, and
    /// nothing more will be.
    pub(super) fn halt(&mut self, reason: impl Into<Reason>, out: &mut Outbox<Effect>) {
        if self.has_ended() {
            return;
        }
        self.phase.end(Some(reason.into()));
        self.answer_all_unavailable(out);
    }
}

impl Part for Ledger {
    type Message = Message;
    type Request = Request;
    type Response = Response;
    type Link = Link;
    type Notice = Notice;

    const SCOPE: Scope = Scope::Global;

    fn node(&self) -> NodeId {
        self.config.node
    }

    /// Those that are configured, and who votes now.
    fn peers(&self) -> BTreeSet<NodeId> {
        let running = self.phase.running().into_iter();
        let voting = running.flat_map(|running| running.bft.epoch().validators.iter());
        let voting = voting.map(|(_, validator)| validator.node);
        let all = self.config.peers.iter().copied().chain(voting);
        all.filter(|node| *node != self.config.node).collect()
    }

    fn health(&self) -> Health {
        match &self.phase {
            Phase::New | Phase::Recovering(_) => Health::Starting,
            Phase::Stopping { .. } => Health::Stopping,
            Phase::Ended { halted: None, .. } => Health::Stopped,
            Phase::Ended {
                halted: Some(reason),
                ..
            } => Health::Halted(reason.clone()),
            Phase::Running(_) if self.is_store_behind() => Health::Degraded(Reason::Borrowed(
                "its store is behind its log: it takes part in no new block until it has caught up",
            )),
            Phase::Running(running) if self.is_rejoining(&running.bft) => {
                Health::Degraded(Reason::Borrowed(
                    "its log was lost: it asks the other validators before it votes again",
                ))
            }
            Phase::Running(_) => Health::Ready,
        }
    }

    fn accepts(&self) -> bool {
        let running = self.phase.running();
        running.is_none_or(|running| running.bft.accepts())
    }

    fn is_change(request: &Request) -> bool {
        matches!(request, Request::Submit { .. })
    }

    fn unavailable() -> Response {
        Response::Unavailable
    }

    fn busy() -> Response {
        Response::Busy
    }

    fn invalid(_: &Request) -> Response {
        Response::Rejected(TxError::TooLarge.into())
    }

    /// A transaction names its sequence: to hand it in again is safe.
    fn unknown() -> Response {
        Response::Unavailable
    }

    fn digest(&self) -> u128 {
        self.fingerprint()
    }

    fn invariants(&self) {
        self.check_invariants();
    }
}
