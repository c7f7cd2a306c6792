//! The simulated world of the ledger: validators, some of which lie, followers,
//! clients and governors, in one queue of virtual time.
//!
//! Network, disks, stores, clocks, plan of faults, traces and minimiser are those of
//! [`crate::world`]. The nodes may be members of clusters as well. A
//! liar is an honest process whose words pass through [`liar`] on their way out,
//! which holds its key and no other; so its lies fit the situation. Twins are two
//! honest processes with one key that hear different halves of the others (Bano et
//! al., *Twins: BFT Systems Made Robust*, 2022).
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | the world, its main loop, and the two phases of a run |
//! | `draw.rs` | the settings of a seed |
//! | `parts.rs` | who validates, who lies, and the budget of lies |
//! | `host.rs` | a slot: its devices, clocks, and the process that runs on them |
//! | `step.rs` `send.rs` | one step of one node, its effects, its messages |
//! | `process.rs` `faults.rs` | boot, crash, pause; the plan of faults |
//! | `load.rs` `govern.rs` | clients; validators that change set and parameters |
//! | `liar.rs` `forge.rs` | the lies |
//! | `clusters.rs` | the clusters that nodes belong to, their clients and checkers |
//! | `heal.rs` | the end of the faults, and what must follow |

mod clusters;
mod draw;
mod faults;
mod forge;
mod govern;
mod heal;
mod host;
mod liar;
mod load;
mod parts;
mod process;
mod send;
mod step;

use std::sync::Arc;

use decube_core::crypto::fake::FakeAuthority;
use decube_core::io::Volume;
use decube_core::ledger::{Genesis, Ledger, Member, Message, Request};
use decube_core::machine::Outbox;
use decube_core::mutant::Mutant;
use decube_core::node::{Effect, Event};
use decube_core::types::{NodeId, RequestId};

use crate::check::ledger::LedgerChecker;
use crate::check::raft::Finding;
use crate::client::ClientStats;
use crate::config::SimConfig;
use crate::disk::DiskStats;
use crate::fingerprint::{CHECKPOINT_EVENTS, Rolling};
use crate::history::History;
use crate::network::Network;
use crate::plan::{Fault, FaultKind};
use crate::queue::{Queue, Tie};
use crate::rng::{Domain, Keyed};
use crate::subject::first_word;
use crate::world::{Checkpoint, Coverage, Outcome, Setup, Violation};

use clusters::{Clusters, InCluster};
use govern::Governor;
use host::Host;
use load::{Answer, Caller, Load};

/// Something that will happen.
#[derive(Debug, Clone)]
enum Happening {
    Deliver {
        slot: usize,
        event: Box<Event>,
    },
    /// A lie that was held back leaves.
    Say {
        slot: usize,
        to: NodeId,
        message: Box<Message>,
    },
    /// A liar has a free moment.
    Lie {
        slot: usize,
    },
    Wake {
        slot: usize,
        process: u64,
    },
    Disk {
        slot: usize,
        process: u64,
        volume: Volume,
    },
    Store {
        slot: usize,
        process: u64,
        volume: Volume,
    },
    Clock {
        slot: usize,
        process: u64,
    },
    /// The process of a slot hears of something, if it still runs.
    Tell {
        slot: usize,
        process: u64,
        event: Box<Event>,
    },
    Boot {
        slot: usize,
    },
    /// Somebody looks after a machine with a part that halted.
    Operator {
        slot: usize,
        process: u64,
    },
    Resume {
        slot: usize,
    },
    Call {
        caller: Caller,
        slot: usize,
        id: RequestId,
        request: Box<Request>,
    },
    Answer {
        caller: Caller,
        id: RequestId,
        answer: Box<Answer>,
    },
    Client {
        client: usize,
        generation: u64,
    },
    OfCluster(InCluster),
    Cancel {
        slot: usize,
        id: RequestId,
    },
    Govern,
    Begin(usize),
    End(usize),
}

/// The world of one run.
pub struct LedgerWorld {
    seed: u64,
    config: SimConfig,
    plan: Vec<Fault>,
    mutant: Mutant,
    now: u64,
    queue: Queue<Happening>,
    hosts: Vec<Host>,
    /// Under which name each of them speaks.
    names: Vec<NodeId>,
    authority: FakeAuthority,
    genesis: Arc<Genesis>,
    network: Network,
    load: Load,
    clusters: Clusters,
    governor: Governor,
    checker: LedgerChecker,
    rolling: Rolling,
    outbox: Outbox<Effect>,
    tie: Keyed,
    crash_point: Keyed,
    healed: bool,
    events: u64,
    events_max: u64,
    /// Steps taken in this very instant, to catch a node that spins.
    steps_now: u64,
    draws: u64,
    next_request: u64,
    checkpoints: Vec<Checkpoint>,
    violation: Option<Violation>,
    faults: [u64; FaultKind::COUNT],
    coverage: Coverage,
    log: Option<(u64, u64)>,
    lines: Vec<String>,
}

const MILLI: u64 = 1_000_000;

impl LedgerWorld {
    /// A world before its first instant.
    pub fn new(setup: Setup) -> Self {
        let config = setup.config;
        let authority = FakeAuthority::new(setup.seed);
        let genesis = Arc::new(parts::genesis(&authority, &config));
        let mut hosts = parts::hosts(setup.seed, &config, &authority, &genesis);
        let clusters = Clusters::new(setup.seed, &config, &setup.workload, &mut hosts);
        let mut network = Network::new(setup.seed, hosts.len());
        network.set_overrides(setup.overrides);
        let honest: Vec<_> = hosts.iter().map(Host::is_honest).collect();
        let names: Vec<_> = hosts.iter().map(|host| host.node).collect();
        let mut world = Self {
            seed: setup.seed,
            load: Load::new(setup.seed, &config, setup.workload, &authority),
            checker: LedgerChecker::new(
                &genesis,
                authority.verifier(),
                names.clone(),
                honest,
                &config,
            ),
            names,
            clusters,
            governor: Governor::default(),
            plan: setup.plan,
            mutant: setup.mutant,
            now: 0,
            queue: Queue::new(),
            hosts,
            authority,
            genesis,
            network,
            rolling: Rolling::default(),
            outbox: Outbox::new(),
            tie: Keyed::new(setup.seed, Domain::Tie),
            crash_point: Keyed::new(setup.seed, Domain::CrashPoint),
            healed: false,
            events: 0,
            events_max: setup.events_max,
            steps_now: 0,
            draws: 0,
            next_request: 0,
            checkpoints: Vec::new(),
            violation: None,
            faults: [0; FaultKind::COUNT],
            coverage: Coverage::default(),
            log: setup.log,
            lines: Vec::new(),
            config,
        };
        world.prepare();
        world
    }

    /// Runs to the end, or to the first violation.
    pub fn run(mut self) -> Outcome {
        self.run_until(self.config.horizon_ns());
        let is_open = self.violation.is_none() && !self.is_exhausted();
        if is_open && !self.config.may_fork() {
            self.converge();
        }
        if self.violation.is_none() && !self.is_exhausted() {
            self.check_histories();
        }
        self.finish()
    }

    fn prepare(&mut self) {
        for slot in 0..self.hosts.len() {
            self.schedule(0, Happening::Boot { slot });
            if matches!(self.hosts[slot].part, host::Part::Liar(_)) {
                self.schedule(MILLI, Happening::Lie { slot });
            }
        }
        for client in 0..self.load.len() {
            self.wake_client(client, MILLI);
        }
        self.begin_clusters();
        for (number, fault) in self.plan.clone().iter().enumerate() {
            self.schedule(fault.at, Happening::Begin(number));
        }
    }

    fn run_until(&mut self, end: u64) {
        while self.violation.is_none() && !self.is_exhausted() && !self.checker.is_settled() {
            match self.queue.next_time() {
                Some(time) if time < end => self.advance(),
                _ => break,
            }
        }
        if self.violation.is_none() {
            self.now = self.now.max(end);
        }
    }

    const fn is_exhausted(&self) -> bool {
        self.events >= self.events_max
    }

    /// Lets the next thing happen.
    fn advance(&mut self) {
        let (time, happening) = self.queue.pop().expect("there is a next time");
        assert!(time >= self.now, "time does not run backwards");
        if time > self.now {
            self.now = time;
            self.steps_now = 0;
        }
        if let Err((checker, message)) = self.happen(happening) {
            self.violate(checker, message);
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), Finding> {
        match happening {
            Happening::Deliver { slot, event } => self.deliver(slot, *event),
            Happening::Say { slot, to, message } => {
                self.transmit(slot, to, *message);
                Ok(())
            }
            Happening::Lie { slot } => {
                self.lie(slot);
                Ok(())
            }
            Happening::Wake { slot, process } => self.wake(slot, process),
            Happening::Disk {
                slot,
                process,
                volume,
            } => self.disk_done(slot, process, volume),
            Happening::Store {
                slot,
                process,
                volume,
            } => self.store_done(slot, process, volume),
            Happening::Clock { slot, process } => self.tell_clock(slot, process),
            Happening::Tell {
                slot,
                process,
                event,
            } if self.hosts[slot].process == process => self.give(slot, *event),
            Happening::Tell { .. } => Ok(()),
            Happening::Boot { slot } => self.boot(slot),
            Happening::Operator { slot, process } => {
                self.look_after(slot, process);
                Ok(())
            }
            Happening::Resume { slot } => self.resume(slot),
            Happening::Call {
                caller,
                slot,
                id,
                request,
            } => self.take_call(caller, slot, id, *request),
            Happening::Answer { caller, id, answer } => self.answered(caller, id, *answer),
            Happening::Client { client, generation } => {
                self.client_wakes(client, generation);
                Ok(())
            }
            Happening::OfCluster(happening) => self.happen_in_cluster(happening),
            Happening::Cancel { slot, id } => self.cancel(slot, id),
            Happening::Govern => {
                self.govern();
                Ok(())
            }
            Happening::Begin(number) => self.begin_fault(number),
            Happening::End(number) => {
                self.end_fault(number);
                Ok(())
            }
        }
    }

    /// Queues a happening; times are rounded up to the quantum.
    fn schedule(&mut self, time: u64, happening: Happening) {
        let quantum = self.config.quantum_ns.max(1);
        let time = time.max(self.now).next_multiple_of(quantum);
        let tie = match happening {
            Happening::Wake { .. } => Tie::LAST,
            _ if quantum == 1 => Tie(0),
            _ => {
                let draw = self.tie.at(0, self.fresh_draw());
                Tie(u16::try_from(draw.below(1 << 15)).expect("15 bits"))
            }
        };
        self.queue.push(time, tie, happening);
    }

    fn fresh_draw(&mut self) -> u64 {
        self.draws += 1;
        self.draws
    }

    fn fresh_request(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId(self.next_request)
    }

    /// How long something takes between a client and a node.
    fn client_delay(&mut self) -> u64 {
        let number = self.fresh_draw();
        let draw = Keyed::new(self.seed, Domain::Latency).at(1 << 40, number);
        self.network.client_delay(&self.config, draw)
    }

    /// The running honest process that has the most final blocks.
    fn furthest(&self) -> Option<&Ledger> {
        let honest = self.hosts.iter().filter(|host| host.is_honest());
        let running = honest.filter_map(|host| host.ledger());
        running
            .filter(|ledger| ledger.world().is_some())
            .max_by_key(|ledger| ledger.tip().map(|tip| tip.height))
    }

    /// The validators as the furthest node knows them.
    fn members(&self) -> Option<Vec<Member>> {
        Some(self.furthest()?.world()?.members())
    }

    /// Everybody who lies.
    fn lying_nodes(&self) -> Vec<NodeId> {
        let liars = self.hosts.iter().filter(|host| !host.is_honest());
        liars.map(|host| host.node).collect()
    }

    /// Honest nodes that lost their disk and do not vote yet.
    fn asking_nodes(&self) -> Vec<NodeId> {
        let asking = self.hosts.iter().filter(|host| host.asks());
        asking.map(|host| host.node).collect()
    }

    fn violate(&mut self, checker: &'static str, message: String) {
        if self.violation.is_none() {
            self.violation = Some(Violation {
                event: self.events,
                at: self.now,
                checker,
                message,
            });
        }
    }

    /// Closes a checkpoint of the rolling digest when it is due.
    fn checkpoint(&mut self) {
        if !self.events.is_multiple_of(CHECKPOINT_EVENTS) {
            return;
        }
        for host in &mut self.hosts {
            if let Some(node) = &host.process_node
                && std::mem::take(&mut host.stepped)
            {
                self.rolling.add(first_word(&node.digest()));
            }
        }
        let hash = self.rolling.checkpoint();
        self.checkpoints.push(Checkpoint {
            event: self.events,
            at: self.now,
            hash,
        });
    }

    fn describe(&mut self, slot: usize, mark: &str, what: &str) {
        let line = crate::shell::line(self.events, self.now, slot, mark, what);
        self.lines.push(line);
    }

    fn finish(mut self) -> Outcome {
        for host in &self.hosts {
            if let Some(node) = &host.process_node {
                self.rolling.add(first_word(&node.digest()));
            }
        }
        self.rolling.add(self.events);
        let mut disks = DiskStats::default();
        for host in &self.hosts {
            let all = host.devices.values();
            all.for_each(|device| disks.add(&device.disk.stats));
        }
        self.checker.cover(&mut self.coverage);
        let completed_each = self.load.completed_each();
        let of_clusters = self.clusters.completed_each();
        Outcome {
            violation: self.violation,
            events: self.events,
            simulated: self.now,
            digest: self.rolling.checkpoint(),
            checkpoints: self.checkpoints,
            faults: self.faults,
            coverage: self.coverage,
            network: self.network.stats,
            disks,
            clients: ClientStats {
                completed: completed_each.iter().chain(&of_clusters).sum(),
                ..ClientStats::default()
            },
            completed_each,
            decisions: self.network.take_decisions(),
            committed: self.checker.highest().0,
            history: History::default(),
            lines: self.lines,
        }
    }
}
