//! The task: events in, effects out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use decube_core::codec::Decode as _;
use decube_core::ledger;
use decube_core::machine::{Machine, Outbox};
use decube_core::node::{Effect, Event, PeerMessage, Response};
use decube_core::raft::{Membership, Refusal, Role};
use decube_core::types::{NodeId, RequestId, Term, Time};
use decube_core::wal::{FileOp, FileOpId, FileResult};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::handle::{Control, HandlePorts, NodeHandle};
use super::ledger::{LedgerAsk, LedgerHost, LedgerInput};
use super::letters::Letters;
use super::metrics::Counter;
use super::recorder::Recorder;
use super::requests::{Ask, Delivery, Requests, ready};
use super::status::HostExit;
use super::{EVENTS_PER_TURN_MAX, ORDERS_OPEN_MAX, REQUEST_QUEUE_MAX};
use crate::ports::{
    Disk, DiskEvent, Network, NetworkEvent, Ports, StoreEvent, StoreQueue, WallClock,
};

/// What a host needs to know beside its ports.
#[derive(Debug, Clone, Copy)]
pub struct HostConfig {
    /// The node that the machine is.
    pub node: NodeId,
    /// How long a graceful stop may take before the host stops anyway.
    pub shutdown_timeout: Duration,
    /// How often the machine is told the wall clock.
    pub clock_interval: Duration,
}

impl HostConfig {
    /// The defaults for a node.
    pub const fn new(node: NodeId) -> Self {
        Self {
            node,
            shutdown_timeout: Duration::from_secs(10),
            clock_interval: Duration::from_secs(1),
        }
    }
}

/// Starts a host for `machine` on the current runtime. The machine must be fresh:
/// the first events it gets are `Clock` and `Start`.
///
/// Aborting the task is what a crash of the process is: nothing is flushed.
pub fn spawn<M, N, D, S, C, R>(
    config: HostConfig,
    machine: M,
    ports: Ports<N, D, S, C>,
    recorder: R,
) -> (NodeHandle, JoinHandle<HostExit>)
where
    M: Machine<Event = Event, Effect = Effect> + Send + 'static,
    N: Network,
    D: Disk,
    S: StoreQueue,
    C: WallClock,
    R: Recorder,
{
    let (handle, mut client) = NodeHandle::new(REQUEST_QUEUE_MAX);
    let mut ports = ports;
    let ledger_ports = ports.ledger.take();
    let ledger_peers = ledger_ports
        .as_ref()
        .map(|ports| ports.peers.clone())
        .unwrap_or_default();
    let asks = std::mem::replace(&mut client.ledger, tokio::sync::mpsc::channel(1).1);
    let ledger = LedgerHost::new(ledger_ports, asks, client.blocks.clone());
    let host = Host {
        ledger,
        ledger_peers,
        config,
        machine,
        out: Outbox::new(),
        ports,
        client,
        recorder,
        requests: Requests::default(),
        letters: Letters::default(),
        epoch: Instant::now(),
        now: Time::ZERO,
        clock_due: Instant::now(),
        files_open: 0,
        store_orders_open: 0,
        syncs_open: BTreeMap::new(),
        cancels: Vec::new(),
        requests_open: true,
        control_open: true,
        stop_by: None,
        exit: None,
    };
    (handle, tokio::spawn(host.run()))
}

struct Host<M, N, D, S, C, R> {
    ledger: LedgerHost<D, S>,
    /// Nodes of the ledger, in all clusters.
    ledger_peers: BTreeSet<NodeId>,
    config: HostConfig,
    machine: M,
    out: Outbox<Effect>,
    ports: Ports<N, D, S, C>,
    client: HandlePorts,
    recorder: R,
    requests: Requests,
    letters: Letters,
    /// Where the machine's time begins.
    epoch: Instant,
    /// The time of the last step: time never goes back.
    now: Time,
    /// When the wall clock is to be read again.
    clock_due: Instant,
    files_open: usize,
    store_orders_open: usize,
    /// When each open sync was ordered, for the latency histogram.
    syncs_open: BTreeMap<FileOpId, Instant>,
    /// Requests that the machine is to be told are cancelled.
    cancels: Vec<RequestId>,
    /// Handles exist that can send requests.
    requests_open: bool,
    /// Handles, watches or open requests exist that can be cancelled.
    control_open: bool,
    /// Set by a shutdown: when the host stops waiting for the machine.
    stop_by: Option<Instant>,
    exit: Option<HostExit>,
}

/// What the host waits for.
enum Input {
    Disk(Option<DiskEvent>),
    Store(Option<StoreEvent>),
    Control(Option<Control>),
    Network(Option<NetworkEvent>),
    Request(Option<Ask>),
    Ledger(LedgerInput),
    LedgerRequest(Option<LedgerAsk>),
    StopBy,
    Clock,
    Wake,
}

impl<M, N, D, S, C, R> Host<M, N, D, S, C, R>
where
    M: Machine<Event = Event, Effect = Effect> + Send + 'static,
    N: Network,
    D: Disk,
    S: StoreQueue,
    C: WallClock,
    R: Recorder,
{
    async fn run(mut self) -> HostExit {
        if self.ledger.is_present() {
            let mut peers = self.ledger_peers.clone();
            peers.remove(&self.config.node);
            self.ports.network.connect(&peers);
        }
        self.tell_clock();
        self.step(Event::Start);
        while self.exit.is_none() {
            let events_before = self.client.metrics.get(Counter::Events);
            let input = self.wait().await;
            self.take(input);
            let drained = self.drain();
            self.wake_if_due();
            let metrics = &self.client.metrics;
            metrics.add(Counter::Turns, 1);
            metrics
                .turn_events
                .record(metrics.get(Counter::Events).saturating_sub(events_before));
            if !drained {
                // More is waiting; let the adapters on this runtime run as well.
                tokio::task::yield_now().await;
            }
        }
        self.close().await
    }

    /// Waits for one event. Completions come first, so that open orders shrink
    /// before new work is taken; the wake comes last, when nothing else is there.
    async fn wait(&mut self) -> Input {
        let takes_work = self.takes_work();
        let deadline = self.machine.deadline();
        let wake_at = deadline.map_or(self.clock_due, |at| self.instant_of(at));
        let stop_by = self.stop_by.unwrap_or(self.clock_due);
        let (ports, client, ledger) = (&mut self.ports, &mut self.client, &mut self.ledger);
        let ledger_asks_open = ledger.asks_open;
        let (asks, completion) = ledger.sources();
        tokio::select! {
            biased;
            event = ports.disk_events.recv() => Input::Disk(event),
            event = ports.store_events.recv() => Input::Store(event),
            input = completion => Input::Ledger(input),
            control = client.control.recv(), if self.control_open => Input::Control(control),
            event = ports.network_events.recv(), if takes_work => Input::Network(event),
            ask = client.requests.recv(), if takes_work && self.requests_open => Input::Request(ask),
            ask = asks.recv(), if takes_work && ledger_asks_open => Input::LedgerRequest(ask),
            () = sleep_until(stop_by), if self.stop_by.is_some() => Input::StopBy,
            () = sleep_until(self.clock_due) => Input::Clock,
            () = sleep_until(wake_at), if deadline.is_some() => Input::Wake,
        }
    }

    /// Takes what is already there, one event of each source at a time. Returns
    /// whether every source is empty now.
    fn drain(&mut self) -> bool {
        let mut taken = 1_usize;
        while taken < EVENTS_PER_TURN_MAX && self.exit.is_none() {
            let before = taken;
            if let Some(event) = ready(self.ports.disk_events.try_recv()) {
                self.take(Input::Disk(event));
                taken += 1;
            }
            if let Some(event) = ready(self.ports.store_events.try_recv()) {
                self.take(Input::Store(event));
                taken += 1;
            }
            if let Some(input) = self.ledger.try_completion() {
                self.take(Input::Ledger(input));
                taken += 1;
            }
            if let Ok(control) = self.client.control.try_recv() {
                self.take(Input::Control(Some(control)));
                taken += 1;
            }
            if self.takes_work() {
                if let Some(event) = ready(self.ports.network_events.try_recv()) {
                    self.take(Input::Network(event));
                    taken += 1;
                }
                // That the handles are gone is news only once: `wait` sees it.
                if let Ok(ask) = self.client.requests.try_recv() {
                    self.take(Input::Request(Some(ask)));
                    taken += 1;
                }
                if let Ok(ask) = self.ledger.asks.try_recv() {
                    self.take(Input::LedgerRequest(Some(ask)));
                    taken += 1;
                }
            }
            if taken == before {
                return true;
            }
        }
        false
    }

    fn wake_if_due(&mut self) {
        self.now = self.read_time();
        if self.exit.is_none() && self.machine.deadline().is_some_and(|at| at <= self.now) {
            self.client.metrics.add(Counter::Wakes, 1);
            self.step(Event::Wake);
        }
    }

    /// Whether clients and peers may bring new work.
    fn takes_work(&self) -> bool {
        let orders = self.files_open.saturating_add(self.store_orders_open);
        orders.saturating_add(self.ledger.orders_open()) < ORDERS_OPEN_MAX
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Disk(Some(event)) => self.take_disk(event),
            Input::Disk(None) => self.end(HostExit::AdapterGone("disk")),
            Input::Store(Some(event)) => self.take_store(event),
            Input::Store(None) => self.end(HostExit::AdapterGone("store")),
            Input::Control(Some(Control::Cancel(id))) => self.take_cancel(id),
            Input::Control(Some(Control::CancelLedger(id))) => {
                if self.ledger.cancel(id) {
                    self.step(Event::Ledger(ledger::Event::Cancel { id }));
                }
            }
            Input::Control(Some(Control::Shutdown)) => self.begin_shutdown(),
            Input::Ledger(input) => match self.ledger.event(input) {
                Some(event) => self.step(Event::Ledger(event)),
                None => self.end(HostExit::AdapterGone("disk or store of the ledger")),
            },
            Input::LedgerRequest(Some(ask)) => {
                if let Some(event) = self.ledger.ask(ask) {
                    self.client.metrics.add(Counter::Requests, 1);
                    self.step(Event::Ledger(event));
                }
            }
            Input::LedgerRequest(None) => self.ledger.asks_open = false,
            Input::Network(Some(event)) => self.take_network(event),
            Input::Network(None) => self.end(HostExit::AdapterGone("network")),
            Input::Request(Some(ask)) => self.take_request(ask),
            Input::Control(None) => self.control_open = false,
            Input::Request(None) => {
                // Nobody can ask anything any more.
                self.requests_open = false;
                self.begin_shutdown();
            }
            Input::StopBy => self.end(HostExit::ShutdownTimedOut),
            Input::Clock => self.tell_clock(),
            // `wake_if_due` follows in the same turn.
            Input::Wake => {}
        }
    }

    fn take_disk(&mut self, DiskEvent { id, result }: DiskEvent) {
        assert!(self.files_open > 0, "a completion answers an open order");
        self.files_open -= 1;
        let metrics = &self.client.metrics;
        if let Some(ordered_at) = self.syncs_open.remove(&id) {
            metrics.add(Counter::FileSyncs, 1);
            metrics.sync_latency.record_duration(ordered_at.elapsed());
        }
        if let FileResult::Failed(error) = &result {
            metrics.add(Counter::FileErrors, 1);
            tracing::warn!(?error, id = id.0, "file operation failed");
        }
        self.step(Event::File { id, result });
    }

    fn take_store(&mut self, event: StoreEvent) {
        let metrics = &self.client.metrics;
        match event {
            StoreEvent::Committed(seq) => {
                self.store_orders_open = self.store_orders_open.saturating_sub(1);
                metrics.add(Counter::StoreCommits, 1);
                self.step(Event::StoreCommitted { seq });
            }
            StoreEvent::Page { pairs, done } => {
                self.store_orders_open = self.store_orders_open.saturating_sub(1);
                metrics.add(Counter::StorePages, 1);
                self.step(Event::StorePage { pairs, done });
            }
            StoreEvent::Read { .. } => unreachable!("only the ledger reads"),
            StoreEvent::Failed { reason } => {
                tracing::error!(reason, "the store failed");
                self.step(Event::StoreFailed);
            }
        }
    }

    fn take_network(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Up(peer) => self.step(Event::PeerUp { peer }),
            NetworkEvent::Down(peer) => self.step(Event::PeerDown { peer }),
            NetworkEvent::Message { from, bytes } => {
                let metrics = &self.client.metrics;
                metrics.add(Counter::MessagesIn, 1);
                metrics.add(Counter::MessageBytesIn, count(bytes.len()));
                match PeerMessage::from_bytes(&bytes) {
                    Ok(message) => self.step(Event::Message { from, message }),
                    Err(error) => {
                        metrics.add(Counter::MessagesInvalid, 1);
                        tracing::warn!(%from, %error, "undecodable message from a peer");
                    }
                }
            }
        }
    }

    fn take_request(
        &mut self,
        Ask {
            id,
            request,
            mut waiter,
        }: Ask,
    ) {
        // The cancellation of an abandoned request may have overtaken it.
        if waiter.is_abandoned() {
            self.client.metrics.add(Counter::RequestsCancelled, 1);
            return;
        }
        if !self.requests.has_room() || self.stop_by.is_some() {
            let refusal = match self.stop_by {
                Some(_) => Refusal::Unavailable,
                None => Refusal::Busy,
            };
            self.client.metrics.add(Counter::RequestsRefused, 1);
            if let Some(answer) = waiter.answer.take() {
                // A client that left meanwhile does not miss the answer.
                let _ = answer.send(Response::Refused(refusal));
            }
            return;
        }
        self.client.metrics.add(Counter::Requests, 1);
        self.requests.open(id, waiter);
        self.step(Event::Request { id, request });
    }

    fn take_cancel(&mut self, id: RequestId) {
        if self.requests.cancel(id) {
            self.client.metrics.add(Counter::RequestsCancelled, 1);
            self.step(Event::Cancel { id });
        }
    }

    fn begin_shutdown(&mut self) {
        if self.stop_by.is_none() {
            self.stop_by = Some(Instant::now() + self.config.shutdown_timeout);
            self.step(Event::Shutdown);
        }
    }

    fn tell_clock(&mut self) {
        self.clock_due = Instant::now() + self.config.clock_interval;
        let wall = self.ports.clock.now();
        self.step(Event::Clock { wall });
    }

    fn end(&mut self, exit: HostExit) {
        // The first reason is the one that explains the rest.
        self.exit.get_or_insert(exit);
    }

    /// One step of the machine, and then what it asks for.
    fn step(&mut self, event: Event) {
        if self.exit.is_some() {
            return;
        }
        self.now = self.read_time();
        self.client.metrics.add(Counter::Events, 1);
        self.recorder.event(self.now, &event);
        assert!(self.out.is_empty(), "all effects of a step are carried out");
        self.machine.step(self.now, event, &mut self.out);
        self.recorder.effects(self.out.as_slice());
        self.carry_out();
        // Watches that ended while their changes were handed out. Each pass
        // shortens the list by one, and a cancellation makes no changes.
        while let Some(id) = self.cancels.pop() {
            self.client.metrics.add(Counter::WatchesEnded, 1);
            self.step(Event::Cancel { id });
        }
    }

    fn carry_out(&mut self) {
        let mut out = std::mem::take(&mut self.out);
        for effect in out.drain() {
            self.perform(effect);
        }
        // Hand the allocation back for the next step.
        self.out = out;
    }

    fn perform(&mut self, effect: Effect) {
        let metrics = self.client.metrics.clone();
        let kind = match effect {
            Effect::Send { to, message } => {
                let network = &mut self.ports.network;
                self.letters.send(to, message, network, &metrics);
                Counter::EffectsSend
            }
            Effect::Reply { id, response } => {
                self.requests.answer(id, response);
                Counter::EffectsReply
            }
            Effect::Changed { id, changes } => {
                if self.requests.changed(id, changes) == Delivery::Ended {
                    self.cancels.push(id);
                }
                Counter::EffectsChanged
            }
            Effect::File { id, op } => {
                self.order_file(id, op);
                Counter::EffectsFile
            }
            Effect::StoreCommit(batch) => {
                self.store_orders_open += 1;
                self.ports.store.commit(batch);
                Counter::EffectsStore
            }
            Effect::StoreScan { from } => {
                self.store_orders_open += 1;
                self.ports.store.scan(from);
                Counter::EffectsStore
            }
            Effect::Ledger(effect) => {
                self.perform_ledger(effect);
                Counter::EffectsLedger
            }
            Effect::RoleChanged { role, term, leader } => {
                self.note_role(role, term, leader);
                Counter::EffectsOther
            }
            Effect::MembershipChanged { membership } => {
                self.note_membership(membership);
                Counter::EffectsOther
            }
            Effect::Ready => {
                self.client.status.send_modify(|status| status.ready = true);
                Counter::EffectsOther
            }
            Effect::Stopped => {
                self.end(HostExit::Stopped);
                Counter::EffectsOther
            }
            Effect::Halted { reason } => {
                tracing::error!(reason, "the node halted itself");
                self.client
                    .status
                    .send_modify(|status| status.halted = Some(reason));
                self.end(HostExit::Halted(reason));
                Counter::EffectsOther
            }
        };
        metrics.add(kind, 1);
    }

    fn perform_ledger(&mut self, effect: ledger::Effect) {
        let happened = self.ledger.perform(effect, &self.client.metrics);
        self.client
            .status
            .send_if_modified(|status| happened.note(status));
    }

    fn note_role(&self, role: Role, term: Term, leader: Option<NodeId>) {
        tracing::info!(?role, term = term.0, ?leader, "role");
        self.client.status.send_modify(|status| {
            (status.role, status.term, status.leader) = (role, term, leader);
        });
    }

    fn note_membership(&mut self, membership: Membership) {
        let mut peers: BTreeSet<NodeId> = membership.voters.iter().copied().collect();
        peers.extend(&membership.outgoing);
        peers.extend(&membership.learners);
        peers.extend(&self.ledger_peers);
        peers.remove(&self.config.node);
        self.ports.network.connect(&peers);
        self.client
            .status
            .send_modify(|status| status.membership = membership);
    }

    fn order_file(&mut self, id: FileOpId, op: FileOp) {
        self.files_open += 1;
        match &op {
            FileOp::Write { data, .. } => {
                self.client
                    .metrics
                    .add(Counter::FileBytesWritten, count(data.len()));
            }
            FileOp::Sync { .. } => {
                self.syncs_open.insert(id, Instant::now());
            }
            FileOp::List | FileOp::Create { .. } | FileOp::Read { .. } | FileOp::Remove { .. } => {}
        }
        self.ports.disk.submit(id, op);
    }

    /// Closes everything. Clients see the exit only when files and sockets are
    /// released, so that a next host can start at once.
    async fn close(self) -> HostExit {
        let exit = self.exit.expect("the loop ends with an exit");
        tracing::info!(?exit, open = self.requests.len(), "host ends");
        self.recorder.close();
        let Ports {
            network,
            disk,
            store,
            ..
        } = self.ports;
        network.close().await;
        disk.close().await;
        store.close().await;
        self.ledger.close().await;
        self.client
            .status
            .send_modify(|status| status.exit = Some(exit.clone()));
        exit
    }

    fn read_time(&self) -> Time {
        let nanos = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.now.max(Time(nanos))
    }

    fn instant_of(&self, time: Time) -> Instant {
        // A deadline that no clock reaches is as good as the next clock event.
        self.epoch
            .checked_add(Duration::from_nanos(time.0))
            .unwrap_or(self.clock_due)
    }
}

pub(super) fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
