//! A machine that writes down what it is given and answers from a script.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use decube_core::cluster::{Request, Response};
use decube_core::io::{Done, FileOp, FileOpId, FileResult, Io, Volume};
use decube_core::machine::{Machine, Outbox};
use decube_core::node::{Effect, Event, PartId};
use decube_core::part::{Health, Reason};
use decube_core::replica::Command;
use decube_core::types::{NodeId, RequestId, Time, WallTime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::host::{HostConfig, HostExit, Hosted, NodeHandle, spawn};
use crate::network::InProcessHub;
use crate::ports::{Disk, DiskEvent, Ports, VolumePorts, WallClock};
use crate::store::{MemoryStore, StoreThread};

/// Every event as its time and itself.
pub(super) type Journal = Arc<Mutex<Vec<(Time, Event)>>>;

type Script = Box<dyn FnMut(Time, &Event, &mut Outbox<Effect>) -> Option<Time> + Send>;

/// Runs a closure for each event; what the closure returns is the deadline.
pub(super) struct Toy {
    journal: Journal,
    script: Script,
    deadline: Option<Time>,
    accepts: Accepts,
}

impl Machine for Toy {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        self.deadline = (self.script)(now, &event, out);
        self.journal.lock().unwrap().push((now, event));
    }

    fn deadline(&self) -> Option<Time> {
        self.deadline
    }
}

impl Hosted for Toy {
    fn accepts(&self, part: PartId) -> bool {
        self.accepts.lock().unwrap().contains(&part)
    }
}

/// A disk that answers at once, or holds everything back.
pub(super) struct ToyDisk {
    pub(super) events: mpsc::UnboundedSender<DiskEvent>,
    pub(super) holds: bool,
}

impl Disk for ToyDisk {
    fn submit(&mut self, id: FileOpId, _op: FileOp) {
        let result = FileResult::Done;
        if !self.holds {
            self.events
                .send(DiskEvent {
                    id,
                    result,
                    said: None,
                })
                .unwrap();
        }
    }

    async fn close(self) {}
}

/// A wall clock that stands still.
pub(super) struct Noon;

impl WallClock for Noon {
    fn now(&self) -> WallTime {
        WallTime(12)
    }
}

/// A host around a toy.
pub(super) struct Rig {
    pub(super) handle: NodeHandle,
    pub(super) task: JoinHandle<HostExit>,
    pub(super) journal: Journal,
    /// Completes held file operations.
    pub(super) disk: mpsc::UnboundedSender<DiskEvent>,
    /// The parts that take messages: all at first.
    pub(super) accepts: Accepts,
}

/// Parts that take messages.
pub(super) type Accepts = Arc<Mutex<BTreeSet<PartId>>>;

pub(super) const NODE: NodeId = NodeId(1);

pub(super) fn config() -> HostConfig {
    HostConfig {
        shutdown_timeout: Duration::from_secs(3),
        clock_interval: Duration::from_secs(1),
    }
}

/// Starts a host whose machine runs `script` and whose disk answers at once
/// unless `disk_holds`.
pub(super) fn start<F>(hub: &InProcessHub, disk_holds: bool, script: F) -> Rig
where
    F: FnMut(Time, &Event, &mut Outbox<Effect>) -> Option<Time> + Send + 'static,
{
    let journal = Journal::default();
    let accepts = Accepts::new(Mutex::new(PartId::ALL.into()));
    let toy = Toy {
        journal: journal.clone(),
        script: Box::new(script),
        deadline: None,
        accepts: accepts.clone(),
    };
    let (network, network_events) = hub.attach(NODE);
    let (disk, disk_events) = mpsc::unbounded_channel();
    let (store, store_events) = StoreThread::start(MemoryStore::default()).unwrap();
    let volume = VolumePorts {
        disk: ToyDisk {
            events: disk.clone(),
            holds: disk_holds,
        },
        disk_events,
        store,
        store_events,
        is_used: false,
    };
    let ports = Ports {
        network,
        network_events,
        volumes: BTreeMap::from([(Volume::Cluster, volume)]),
        clock: Noon,
    };
    let (handle, task) = spawn(config(), toy, ports, ());
    Rig {
        handle,
        task,
        journal,
        disk,
        accepts,
    }
}

impl Rig {
    /// The events so far.
    pub(super) fn events(&self) -> Vec<Event> {
        let journal = self.journal.lock().unwrap();
        journal.iter().map(|(_, event)| event.clone()).collect()
    }
}

/// Answers requests of the kind that only the toy gives a meaning to.
pub(super) fn accept(event: &Event, out: &mut Outbox<Effect>) {
    if let Event::Request { id, .. } = event {
        out.push(reply(*id, Response::Accepted));
    }
}

/// An answer of the one part that the toy plays.
pub(super) fn reply(id: RequestId, response: Response) -> Effect {
    let response = response.into();
    Effect::Reply { id, response }
}

/// A part of an answer.
pub(super) fn stream(id: RequestId, response: Response) -> Effect {
    let response = response.into();
    Effect::Stream { id, response }
}

/// An operation on the one volume.
pub(super) const fn operation(io: Io) -> Effect {
    let volume = Volume::Cluster;
    Effect::Io { volume, io }
}

/// A file operation on it.
pub(super) const fn file(id: u64, op: FileOp) -> Effect {
    let id = FileOpId(id);
    operation(Io::File { id, op })
}

/// What became of an operation.
pub(super) const fn done(done: Done) -> Event {
    let volume = Volume::Cluster;
    Event::Io { volume, done }
}

/// The health of the one part.
pub(super) const fn health(health: Health) -> Effect {
    let part = PartId::Cluster;
    Effect::Health { part, health }
}

/// What the toy halts with.
pub(super) const FAILED: Reason = Reason::Borrowed("the disk failed");

/// The first event but for the clock.
pub(super) const START: Event = Event::Start {
    used: BTreeSet::new(),
};

/// The smallest request.
pub(super) fn tick() -> Request {
    Request::Write(Command::Tick)
}

pub(super) fn peers(ids: &[u128]) -> BTreeSet<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

/// Polls all futures once each before any answer is awaited, so that all
/// requests are queued together.
pub(super) async fn join_all<F: Future + Unpin>(mut all: Vec<F>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = all.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, slot) in all.iter_mut().zip(&mut done) {
            if slot.is_none()
                && let std::task::Poll::Ready(output) = std::pin::Pin::new(future).poll(cx)
            {
                *slot = Some(output);
            }
        }
        match done.iter().all(Option::is_some) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    done.into_iter().map(Option::unwrap).collect()
}
