//! The task: events in, effects out.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use decube_core::codec::Decode as _;
use decube_core::limits::VOLUME_SLOW_AFTER;
use decube_core::machine::{Machine, Outbox};
use decube_core::node::{Effect, Event, Message, Node, PartId, Response};
use decube_core::part::{Health, Reason};
use decube_core::types::{RequestId, Time};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep_until};

use super::handle::{Control, HandlePorts, NodeHandle};
use super::metrics::Counter;
use super::outbound::OutboundEncoder;
use super::recorder::Recorder;
use super::requests::{Ask, Delivery, Requests};
use super::status::HostExit;
use super::volume::{VolumeInput, Volumes};
use super::{EVENTS_PER_ITERATION_MAX, OPERATIONS_IN_FLIGHT_MAX, REQUEST_QUEUE_MAX};
use crate::inbox::{Look, NetworkInbox, PartSet};
use crate::ports::{Disk, Network, NetworkEvent, Peer, Ports, StoreQueue, WallClock};

/// What a host needs to know beside its ports.
#[derive(Debug, Clone, Copy)]
pub struct HostConfig {
    /// How long a graceful stop may take before the host stops anyway.
    pub shutdown_timeout: Duration,
    /// How often the machine is told the wall clock.
    pub clock_interval: Duration,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            shutdown_timeout: Duration::from_secs(10),
            clock_interval: Duration::from_secs(1),
        }
    }
}

/// A machine that a host can drive.
pub trait Hosted: Machine<Event = Event, Effect = Effect> + Send + 'static {
    /// Whether a part takes messages now: what it does not take stays with whoever sent
    /// it, and the other parts go on.
    fn accepts(&self, part: PartId) -> bool;
}

impl Hosted for Node {
    fn accepts(&self, part: PartId) -> bool {
        Self::accepts(self, part)
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
    M: Hosted,
    N: Network,
    D: Disk,
    S: StoreQueue,
    C: WallClock,
    R: Recorder,
{
    let (handle, client) = NodeHandle::new(REQUEST_QUEUE_MAX);
    let Ports {
        network,
        network_events,
        volumes,
        clock,
    } = ports;
    let host = Host {
        config,
        machine,
        out: Outbox::new(),
        network,
        network_events,
        volumes: Volumes::new(volumes),
        clock,
        client,
        recorder,
        requests: Requests::default(),
        outbound: OutboundEncoder::default(),
        epoch: Instant::now(),
        now: Time::ZERO,
        clock_due: Instant::now(),
        alarm: Box::pin(sleep_until(Instant::now())),
        follow_ups: Vec::new(),
        requests_open: true,
        control_open: true,
        stop_by: None,
        halted: None,
        exit: None,
    };
    (handle, tokio::spawn(host.run()))
}

struct Host<M, N, D, S, C, R> {
    config: HostConfig,
    machine: M,
    out: Outbox<Effect>,
    network: N,
    network_events: NetworkInbox,
    volumes: Volumes<D, S>,
    clock: C,
    client: HandlePorts,
    recorder: R,
    requests: Requests,
    outbound: OutboundEncoder,
    /// Where the machine's time begins.
    epoch: Instant,
    /// The time of the last step: time never goes back.
    now: Time,
    /// When the wall clock is to be read again.
    clock_due: Instant,
    /// Rings at the earliest of all times that the host waits for, or before: one that is put
    /// off, as most are, leaves it as it is.
    alarm: Pin<Box<Sleep>>,
    /// What the machine is to be told after the step that led to it.
    follow_ups: Vec<Event>,
    /// Handles exist that can send requests.
    requests_open: bool,
    /// Handles, streams or open requests exist that can be cancelled.
    control_open: bool,
    /// Set by a shutdown: when the host stops waiting for the machine.
    stop_by: Option<Instant>,
    /// Why the part halted without which the process must end.
    halted: Option<Reason>,
    exit: Option<HostExit>,
}

/// What the host waits for.
enum Input {
    Volume(VolumeInput),
    Control(Option<Control>),
    Network(Option<NetworkEvent>),
    Request(Option<Ask>),
    Alarm,
}

impl<M, N, D, S, C, R> Host<M, N, D, S, C, R>
where
    M: Hosted,
    N: Network,
    D: Disk,
    S: StoreQueue,
    C: WallClock,
    R: Recorder,
{
    async fn run(mut self) -> HostExit {
        self.tell_clock();
        let used = self.volumes.used();
        self.step(Event::Start { used });
        while self.exit.is_none() {
            let events_before = self.client.metrics.get(Counter::Events);
            let input = self.wait().await;
            // A source that never dries up must leave room for the adapters on this thread.
            tokio::task::consume_budget().await;
            self.take(input);
            let drained = self.drain();
            self.wake_if_due();
            let metrics = &self.client.metrics;
            metrics.add(Counter::Iterations, 1);
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

    /// Waits for one event. Completions come first, so that operations in flight shrink
    /// before new work is taken; the alarm comes last, when nothing else is there.
    async fn wait(&mut self) -> Input {
        let requests = self.takes_requests();
        let messages = self.takes_messages(requests);
        let due = self.due();
        if self.alarm.is_elapsed() || due < self.alarm.deadline() {
            self.alarm.as_mut().reset(due);
        }
        poll_fn(|cx| {
            // What has woken the task is there: to see it costs less than to leave a waker
            // with every source before it.
            for mut look in [Look::Now, Look::Waiting(cx)] {
                let found = self.look(messages, requests, &mut look);
                if found.is_ready() {
                    return found;
                }
            }
            self.alarm.as_mut().poll(cx).map(|()| Input::Alarm)
        })
        .await
    }

    /// The first of what is there, by source.
    fn look(
        &mut self,
        messages: PartSet,
        requests: PartSet,
        look: &mut Look<'_, '_>,
    ) -> Poll<Input> {
        if let Poll::Ready(input) = self.volumes.take(look) {
            return Poll::Ready(Input::Volume(input));
        }
        if self.control_open
            && let Poll::Ready(control) = look.next_of_all(&mut self.client.control)
        {
            return Poll::Ready(Input::Control(control));
        }
        if let Poll::Ready(event) = self.network_events.take(messages, look) {
            return Poll::Ready(Input::Network(event));
        }
        if self.requests_open
            && let Poll::Ready(ask) = self.client.requests.take(requests, look)
        {
            return Poll::Ready(Input::Request(ask));
        }
        Poll::Pending
    }

    /// When something is to be done though nothing comes.
    fn due(&self) -> Instant {
        let wake_at = self.machine.deadline().map(|at| self.instant_of(at));
        let others = [wake_at, self.stop_by].into_iter().flatten();
        others.fold(self.clock_due, Instant::min)
    }

    /// A time has come, or one that has been put off since.
    fn take_alarm(&mut self) {
        let now = Instant::now();
        if self.stop_by.is_some_and(|at| at <= now) {
            return self.end_stopping(HostExit::ShutdownTimedOut);
        }
        if self.clock_due <= now {
            self.tell_clock();
        }
        // `wake_if_due` follows in the same iteration.
    }

    /// Takes what is already there, one event of each source at a time. Returns
    /// whether every source is empty now.
    fn drain(&mut self) -> bool {
        let mut taken = 1_usize;
        while taken < EVENTS_PER_ITERATION_MAX && self.exit.is_none() {
            let before = taken;
            if let Some(input) = self.volumes.try_completion() {
                self.take(Input::Volume(input));
                taken += 1;
            }
            if let Ok(control) = self.client.control.try_recv() {
                self.take(Input::Control(Some(control)));
                taken += 1;
            }
            // That the transport or the handles are gone is news only once: `wait` sees it.
            let requests = self.takes_requests();
            let messages = self.takes_messages(requests);
            if let Some(event) = self.network_events.try_recv(messages) {
                self.take(Input::Network(Some(event)));
                taken += 1;
            }
            if let Some(ask) = self.client.requests.try_recv(requests) {
                self.take(Input::Request(Some(ask)));
                taken += 1;
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

    /// For which parts peers may bring new work, of those for which clients may.
    fn takes_messages(&self, requests: PartSet) -> PartSet {
        PartSet::of(|part| requests.contains(part) && self.machine.accepts(part))
    }

    /// For which parts clients may: one that does not accept answers for itself.
    fn takes_requests(&self) -> PartSet {
        PartSet::of(|part| self.volumes.in_flight(part.volume()) < OPERATIONS_IN_FLIGHT_MAX)
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Volume(input) => self.take_volume(input),
            Input::Control(Some(Control::Cancel(id))) => self.take_cancel(id),
            Input::Control(Some(Control::Shutdown)) => self.begin_shutdown(),
            Input::Network(Some(event)) => self.take_network(event),
            Input::Network(None) => self.end(HostExit::AdapterGone("network")),
            Input::Request(Some(ask)) => self.take_request(ask),
            Input::Control(None) => self.control_open = false,
            Input::Request(None) => {
                // Nobody can ask anything any more.
                self.requests_open = false;
                self.begin_shutdown();
            }
            Input::Alarm => self.take_alarm(),
        }
    }

    fn take_volume(&mut self, input: VolumeInput) {
        let metrics = self.client.metrics.clone();
        let (volume, done) = match input {
            VolumeInput::Disk(volume, event) => {
                (volume, self.volumes.disk_done(volume, event, &metrics))
            }
            VolumeInput::Store(volume, event) => {
                (volume, self.volumes.store_done(volume, event, &metrics))
            }
            VolumeInput::Gone(volume, what) => {
                tracing::error!(volume = volume.name(), what, "an adapter is gone");
                return self.end(HostExit::AdapterGone(what));
            }
        };
        self.step(Event::Io { volume, done });
    }

    fn take_network(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Up(peer) => self.tell_peer(peer, true),
            NetworkEvent::Down(peer) => self.tell_peer(peer, false),
            NetworkEvent::Message { from, bytes } => {
                let metrics = &self.client.metrics;
                metrics.add(Counter::MessagesIn, 1);
                metrics.add(Counter::MessageBytesIn, count(bytes.len()));
                let Peer { node: from, scope } = from;
                match Message::from_bytes(&bytes) {
                    Ok(message) => self.step(Event::Message {
                        from,
                        scope,
                        message,
                    }),
                    Err(error) => {
                        metrics.add(Counter::MessagesInvalid, 1);
                        tracing::warn!(%from, %error, "undecodable message from a peer");
                    }
                }
            }
        }
    }

    fn tell_peer(&mut self, Peer { node: peer, scope }: Peer, is_up: bool) {
        self.step(Event::Peer { peer, scope, is_up });
    }

    fn take_request(
        &mut self,
        Ask {
            id,
            request,
            waiter,
        }: Ask,
    ) {
        // The cancellation of an abandoned request may have overtaken it.
        if waiter.is_abandoned() {
            self.client.metrics.add(Counter::RequestsCancelled, 1);
            return;
        }
        let part = request.part();
        if self.stop_by.is_some() || !self.requests.has_room() {
            self.client.metrics.add(Counter::RequestsRefused, 1);
            return waiter.refuse(match self.stop_by {
                Some(_) => Response::unavailable(part),
                None => Response::busy(part),
            });
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
        self.note_slow_volumes();
        let wall = self.clock.now();
        self.step(Event::Clock { wall });
    }

    fn note_slow_volumes(&self) {
        let slow = self.volumes.slow(Duration::from_nanos(VOLUME_SLOW_AFTER.0));
        self.client.status.send_if_modified(|status| {
            for (volume, slow) in &slow {
                if !status.slow.contains_key(volume) {
                    let (volume, operation) = (volume.name(), &slow.operation);
                    tracing::warn!(volume, operation, "a volume is slow: check its disk");
                }
            }
            let is_news = status.slow != slow;
            status.slow = slow;
            is_news
        });
    }

    /// A stop is over; it may have begun because a part halted.
    fn end_stopping(&mut self, exit: HostExit) {
        let halted = self.halted.take().map(HostExit::Halted);
        self.end(halted.unwrap_or(exit));
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
        // Streams that ended while their parts were handed out, and the end of a part.
        // Each pass shortens the list by one, and what follows is answered by no stream.
        while let Some(event) = self.follow_ups.pop() {
            self.step(event);
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
                let network = &mut self.network;
                self.outbound.send(to, message, network, &metrics);
                Counter::EffectsSend
            }
            Effect::Reply { id, response } => {
                self.requests.answer(id, response);
                Counter::EffectsReply
            }
            Effect::Stream { id, response } => {
                if self.requests.stream(id, response) == Delivery::Ended {
                    metrics.add(Counter::StreamsEnded, 1);
                    self.follow_ups.push(Event::Cancel { id });
                }
                Counter::EffectsStream
            }
            Effect::Io { volume, io } => {
                let at = self.instant_of(self.now);
                self.volumes.submit(volume, io, at, &metrics);
                Counter::EffectsIo
            }
            Effect::Connect { peers } => {
                self.network.connect(&peers);
                Counter::EffectsOther
            }
            Effect::Health { part, health } => {
                self.note_health(part, health);
                Counter::EffectsOther
            }
            Effect::Stopped => {
                self.end_stopping(HostExit::Stopped);
                Counter::EffectsOther
            }
        };
        metrics.add(kind, 1);
    }

    /// Tells the health of a part. Without its part in the cluster a node is of no use:
    /// the others are shut down, and the process ends. It goes on without the ledger.
    fn note_health(&mut self, part: PartId, mut health: Health) {
        // The part knows that its volume failed, the adapter what the system said.
        if let Health::Halted(reason) = &mut health
            && let Some(failure) = self.volumes.failure(part.volume())
        {
            *reason = format!("{reason} ({failure})").into();
        }
        match &health {
            Health::Halted(reason) => {
                tracing::error!(part = part.name(), %reason, "a part halted itself");
                if part == PartId::Cluster {
                    self.halted = Some(reason.clone());
                    if self.stop_by.is_none() {
                        self.stop_by = Some(Instant::now() + self.config.shutdown_timeout);
                        self.follow_ups.push(Event::Shutdown);
                    }
                }
            }
            health => tracing::info!(part = part.name(), ?health, "health"),
        }
        self.client.status.send_modify(|status| {
            status.parts.insert(part, health);
        });
    }

    /// Closes everything. Clients see the exit only when files and sockets are
    /// released, so that a next host can start at once.
    async fn close(self) -> HostExit {
        let exit = self.exit.expect("the loop ends with an exit");
        tracing::info!(?exit, open = self.requests.len(), "host ends");
        self.recorder.close();
        self.network.close().await;
        self.volumes.close().await;
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
