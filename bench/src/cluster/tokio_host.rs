//! The same step machines as tokio tasks: one task and one queue per node, as a
//! server would host them. The host is one and the same for every step machine.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::{Cluster, Direct, Open, Traffic};
use crate::node::{NODES, Node, Settings};
use crate::workload::Sink;

/// Events that one iteration takes at the most.
const TURN_EVENTS_MAX: usize = 4096;

/// Step machines hosted by tokio tasks.
pub struct Hosted<N: Node> {
    leader: UnboundedSender<Input<N>>,
    shared: Arc<[Shared; NODES]>,
}

/// What a node shows to the outside.
#[derive(Default)]
struct Shared {
    sink: Mutex<Sink>,
    messages: AtomicU64,
    syncs: AtomicU64,
}

/// What a task can be sent.
enum Input<N: Node> {
    Message {
        from: usize,
        message: N::Message,
    },
    Propose {
        data: Bytes,
        done: oneshot::Sender<()>,
    },
}

/// One node with its queue.
struct Task<N: Node> {
    id: usize,
    node: N,
    inbox: UnboundedReceiver<Input<N>>,
    peers: Vec<UnboundedSender<Input<N>>>,
    shared: Arc<[Shared; NODES]>,
    /// Who waits for the entries that are not applied yet, in log order.
    waiting: VecDeque<oneshot::Sender<()>>,
    /// Commands applied when the first of them was proposed.
    answered: u64,
    start: Instant,
    start_ns: u64,
}

impl<N: Node> Clone for Hosted<N> {
    fn clone(&self) -> Self {
        Self {
            leader: self.leader.clone(),
            shared: self.shared.clone(),
        }
    }
}

impl<N: Node> Cluster for Hosted<N> {
    async fn start(settings: Settings) -> Self {
        let (nodes, leader, start_ns) = Direct::<N>::elected(settings).take_apart();
        let shared: Arc<[Shared; NODES]> = Arc::default();
        let mut peers = Vec::new();
        let mut inboxes = Vec::new();
        for _ in 0..NODES {
            let (sender, inbox) = unbounded_channel();
            peers.push(sender);
            inboxes.push(inbox);
        }
        let start = Instant::now();
        for (id, (node, inbox)) in nodes.into_iter().zip(inboxes).enumerate() {
            // The tasks hold each other's queues open: they end with the runtime.
            let task = Task {
                id,
                answered: node.sink().count,
                node,
                inbox,
                peers: peers.clone(),
                shared: shared.clone(),
                waiting: VecDeque::new(),
                start,
                start_ns,
            };
            tokio::spawn(task.run());
        }
        Self {
            leader: peers[leader].clone(),
            shared,
        }
    }

    async fn write(&self, data: Bytes) {
        let (done, applied) = oneshot::channel();
        let input = Input::Propose { data, done };
        assert!(self.leader.send(input).is_ok(), "the leader runs");
        applied.await.expect("the leader stays");
    }

    async fn is_caught_up(&self, written: u64) -> bool {
        super::agree(self.sinks(), written)
    }
}

impl<N: Node> Open for Hosted<N> {
    async fn write_all(&self, data: Vec<Bytes>) {
        let mut answers = Vec::with_capacity(data.len());
        for data in data {
            let (done, applied) = oneshot::channel();
            let input = Input::Propose { data, done };
            assert!(self.leader.send(input).is_ok(), "the leader runs");
            answers.push(applied);
        }
        for applied in answers {
            applied.await.expect("the leader stays");
        }
    }

    fn sinks(&self) -> [Sink; NODES] {
        std::array::from_fn(|at| *self.shared[at].sink.lock().expect("no panic"))
    }

    fn traffic(&self) -> Traffic {
        let sum = |of: fn(&Shared) -> &AtomicU64| {
            self.shared
                .iter()
                .map(|shared| of(shared).load(Relaxed))
                .sum()
        };
        Traffic {
            messages: sum(|shared| &shared.messages),
            syncs: sum(|shared| &shared.syncs),
        }
    }
}

impl<N: Node> Task<N> {
    async fn run(mut self) {
        let mut events = Vec::new();
        let mut out = Vec::new();
        let mut timer = tokio::time::interval(Duration::from_millis(20));
        loop {
            tokio::select! {
                biased;
                count = self.inbox.recv_many(&mut events, TURN_EVENTS_MAX) => {
                    if count == 0 {
                        return;
                    }
                }
                _ = timer.tick() => {}
            }
            let now_ns = self.start_ns + self.start.elapsed().as_nanos() as u64;
            for event in events.drain(..) {
                match event {
                    Input::Message { from, message } => self.node.receive(now_ns, from, message),
                    Input::Propose { data, done } => {
                        self.node.propose(now_ns, data);
                        self.waiting.push_back(done);
                    }
                }
            }
            self.iterate(now_ns, &mut out);
        }
    }

    fn iterate(&mut self, now_ns: u64, out: &mut Vec<(usize, N::Message)>) {
        self.node.iterate(now_ns, out);
        let shared = &self.shared[self.id];
        shared.messages.fetch_add(out.len() as u64, Relaxed);
        for (to, message) in out.drain(..) {
            let from = self.id;
            // A peer that has stopped already is as good as unreachable.
            let _ = self.peers[to].send(Input::Message { from, message });
        }
        shared.syncs.store(self.node.counts().syncs, Relaxed);
        let sink = self.node.sink();
        while self.answered < sink.count {
            self.answered += 1;
            if let Some(done) = self.waiting.pop_front() {
                // The client may have been stopped at the end of its run.
                let _ = done.send(());
            }
        }
        *shared.sink.lock().expect("no panic") = sink;
    }
}
