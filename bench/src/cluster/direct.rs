//! Three step machines in one thread, with function calls for a network.

use bytes::Bytes;

use crate::node::{NODES, Node, Settings};
use crate::workload::Sink;

/// A message on its way.
struct Letter<M> {
    from: usize,
    to: usize,
    message: M,
}

/// Three step machines in one thread. Time is virtual.
pub struct Direct<N: Node> {
    nodes: Vec<N>,
    leader: usize,
    now_ns: u64,
    mail: Vec<Letter<N::Message>>,
    arriving: Vec<Letter<N::Message>>,
    out: Vec<(usize, N::Message)>,
    messages: u64,
}

impl<N: Node> Direct<N> {
    /// A cluster with a leader that has committed an entry of its term.
    pub fn elected(settings: Settings) -> Self {
        let mut cluster = Self {
            nodes: (0..NODES).map(|id| N::new(id, settings)).collect(),
            leader: 0,
            now_ns: 0,
            mail: Vec::new(),
            arriving: Vec::new(),
            out: Vec::new(),
            messages: 0,
        };
        cluster.nodes[0].stand(0);
        cluster.settle();
        while !cluster.nodes.iter().any(N::leads) {
            cluster.pass(10_000_000);
        }
        let leads = cluster.nodes.iter().position(N::leads);
        cluster.leader = leads.expect("just seen");
        cluster
    }

    /// The nodes, the leader's number and the time, for another driver.
    pub fn take_apart(self) -> (Vec<N>, usize, u64) {
        (self.nodes, self.leader, self.now_ns)
    }

    /// Replicates a batch and returns when nothing is left to do.
    pub fn write(&mut self, batch: impl Iterator<Item = Bytes>) {
        self.propose(batch);
        self.settle();
    }

    /// Gives a batch to the leader.
    pub fn propose(&mut self, batch: impl Iterator<Item = Bytes>) {
        self.now_ns += 10_000;
        let now = self.now_ns;
        for data in batch {
            self.nodes[self.leader].propose(now, data);
        }
    }

    /// Iterates all nodes until nobody has anything to say.
    pub fn settle(&mut self) {
        while self.round() {}
    }

    /// One message delay: delivers what was sent before, and gives every node an
    /// iteration. False if nothing is on its way afterwards.
    pub fn round(&mut self) -> bool {
        let now = self.now_ns;
        std::mem::swap(&mut self.mail, &mut self.arriving);
        for letter in self.arriving.drain(..) {
            self.nodes[letter.to].receive(now, letter.from, letter.message);
        }
        for (from, node) in self.nodes.iter_mut().enumerate() {
            node.iterate(now, &mut self.out);
            for (to, message) in self.out.drain(..) {
                self.messages += 1;
                self.mail.push(Letter { from, to, message });
            }
        }
        !self.mail.is_empty()
    }

    /// Lets time pass, with every timer that comes due on the way.
    pub fn pass(&mut self, span_ns: u64) {
        let until = self.now_ns + span_ns;
        loop {
            let next = self.nodes.iter().map(N::deadline_ns).min();
            let next = next.expect("three nodes");
            if next > until {
                break;
            }
            self.now_ns = self.now_ns.max(next);
            self.settle();
        }
        self.now_ns = until;
    }

    /// Messages sent so far.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Durable writes so far.
    pub fn syncs(&self) -> u64 {
        self.nodes.iter().map(|node| node.counts().syncs).sum()
    }

    /// What the leader has applied.
    pub fn leader_sink(&self) -> Sink {
        self.nodes[self.leader].sink()
    }

    /// What each node has applied.
    pub fn sinks(&self) -> [Sink; NODES] {
        std::array::from_fn(|at| self.nodes[at].sink())
    }
}
