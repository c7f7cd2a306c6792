//! The simulated world of a cluster: nodes, network, disks, clocks, clients and faults
//! in one queue of virtual time.
//!
//! There is no thread, no task and no clock: the world takes the next happening
//! from its queue, lets one node take one step, carries the step's effects out in
//! order, and lets the checkers look. A run is a pure function of its
//! [`Setup`], so equal setups give equal digests on every machine.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | the world, its main loop, and the two phases of a run |
//! | `host.rs` | a slot: disk, store, clocks, and the process that runs on them |
//! | `step.rs` | one step of one node, and its effects |
//! | `process.rs` | boot, crash, pause, exit |
//! | `faults.rs` | the plan of faults |
//! | `heal.rs` | the end of the faults, and whether the cluster converges |
//! | `cover.rs` | the situations met |
//! | `watch.rs` | watchers |
//! | `outcome.rs` | what a run reports |

mod cover;
mod faults;
mod heal;
mod host;
mod outcome;
mod process;
mod step;
mod watch;

pub(crate) use heal::calm;
pub use outcome::{Checkpoint, Coverage, Outcome, Violation};

use decube_core::cluster::Request;
use decube_core::machine::Outbox;
use decube_core::mutant::Mutant;
use decube_core::node::{Effect, Event};
use decube_core::types::RequestId;

use crate::check::history;
use crate::check::raft::{Finding, RaftChecker, slot_id};
use crate::check::watches::Watches;
use crate::client::{Clients, Ending, Intent};
use crate::config::SimConfig;
use crate::fingerprint::{CHECKPOINT_EVENTS, Rolling};
use crate::network::{DecisionKey, Network};
use crate::plan::{self, Fault, FaultKind};
use crate::queue::{Queue, Tie};
use crate::rng::{Domain, Keyed};
use crate::subject::Subject;
use crate::workload::Workload;

use host::Host;
use watch::Connection;

/// Everything that decides a run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The seed of all decisions that are not listed here.
    pub seed: u64,
    /// The settings.
    pub config: SimConfig,
    /// The faults.
    pub plan: Vec<Fault>,
    /// What clients do.
    pub workload: Workload,
    /// Decisions that differ from the seed's.
    pub overrides: Vec<(DecisionKey, u64)>,
    /// The planted bug.
    pub mutant: Mutant,
    /// Stop without a verdict after so many events.
    pub events_max: u64,
    /// Describe the steps with these event numbers, from and to.
    pub log: Option<(u64, u64)>,
}

/// Something that will happen. What is large is boxed: the queue moves happenings
/// about, and most of them carry a message.
#[derive(Debug, Clone)]
enum Happening {
    Deliver {
        slot: usize,
        event: Box<Event>,
    },
    Wake {
        slot: usize,
        process: u64,
        far: bool,
    },
    Disk {
        slot: usize,
        process: u64,
    },
    Store {
        slot: usize,
        process: u64,
    },
    Clock {
        slot: usize,
        process: u64,
    },
    Peer {
        slot: usize,
        process: u64,
        peer: usize,
        up: bool,
    },
    Boot {
        slot: usize,
    },
    Resume {
        slot: usize,
    },
    Call {
        client: Option<usize>,
        slot: usize,
        id: RequestId,
        request: Box<Request>,
    },
    Cancel {
        slot: usize,
        id: RequestId,
    },
    Answer {
        client: usize,
        id: RequestId,
        ending: Ending,
    },
    Timer {
        client: usize,
        long: bool,
    },
    Watcher {
        watcher: usize,
    },
    Replace {
        old: usize,
        new: usize,
    },
    Begin(usize),
    End(usize),
}

/// A timer of a client.
#[derive(Debug, Clone, Copy, Default)]
struct Timer {
    at: u64,
    generation: u64,
    /// When it is next looked at.
    queued: Option<u64>,
}

/// The world of one run.
pub struct World<S: Subject> {
    seed: u64,
    config: SimConfig,
    plan: Vec<Fault>,
    mutant: Mutant,
    now: u64,
    queue: Queue<Happening>,
    hosts: Vec<Host<S>>,
    network: Network,
    clients: Clients,
    checker: RaftChecker,
    rolling: Rolling,
    outbox: Outbox<Effect>,
    intents: Vec<Intent>,
    /// What watchers saw.
    watches: Watches,
    /// Where each of them is.
    watching: Vec<Option<Connection>>,
    /// For each client, how long it thinks or waits to repeat, and how long it
    /// waits for an answer.
    timers: Vec<[Timer; 2]>,
    tie: Keyed,
    crash_point: Keyed,
    healed: bool,
    events: u64,
    events_max: u64,
    /// Steps taken in this very instant, to catch a node that spins.
    steps_now: u64,
    checkpoints: Vec<Checkpoint>,
    violation: Option<Violation>,
    faults: [u64; FaultKind::COUNT],
    coverage: Coverage,
    log: Option<(u64, u64)>,
    lines: Vec<String>,
}

impl<S: Subject> World<S> {
    /// A world before its first instant.
    pub fn new(setup: Setup) -> Self {
        let slots = usize::try_from(setup.config.slots()).expect("few slots");
        let clients = usize::try_from(setup.config.clients).expect("few clients");
        let mut network = Network::new(setup.seed, slots);
        network.set_overrides(setup.overrides);
        let watches = Watches::new((0..setup.config.watchers).map(|watcher| watcher % 2 == 0));
        let mut world = Self {
            seed: setup.seed,
            clients: Clients::new(setup.seed, &setup.config, setup.workload),
            hosts: (0..slots).map(|slot| Host::new(setup.seed, slot)).collect(),
            config: setup.config,
            plan: setup.plan,
            mutant: setup.mutant,
            now: 0,
            queue: Queue::new(),
            network,
            checker: RaftChecker::new((0..slots).map(slot_id).collect()),
            rolling: Rolling::default(),
            outbox: Outbox::new(),
            timers: vec![[Timer::default(); 2]; clients],
            intents: Vec::new(),
            watching: vec![None; watches.len()],
            watches,
            tie: Keyed::new(setup.seed, Domain::Tie),
            crash_point: Keyed::new(setup.seed, Domain::CrashPoint),
            healed: false,
            events: 0,
            events_max: setup.events_max,
            steps_now: 0,
            checkpoints: Vec::new(),
            violation: None,
            faults: [0; FaultKind::COUNT],
            coverage: Coverage::default(),
            log: setup.log,
            lines: Vec::new(),
        };
        world.prepare();
        world
    }

    /// Runs to the end, or to the first violation.
    pub fn run(mut self) -> Outcome {
        let horizon = self.config.horizon_ns();
        self.run_until(horizon);
        if self.violation.is_none() && !self.is_exhausted() {
            self.converge();
        }
        self.clients.close();
        if self.violation.is_none() && !self.is_exhausted() {
            self.check_history();
        }
        self.finish()
    }

    fn prepare(&mut self) {
        for slot in plan::victims(self.seed, &self.config) {
            let slot = usize::try_from(slot).expect("few slots");
            self.hosts[slot].device.disk.allow_lost_reads();
        }
        let replacements = usize::try_from(self.config.replacements_from()).expect("few slots");
        for slot in 0..self.hosts.len() {
            self.hosts[slot].dead = slot >= replacements;
            self.schedule(0, Happening::Boot { slot });
        }
        for client in 0..self.clients.len() {
            self.set_timer(client, 0, 1_000_000);
        }
        self.begin_watchers();
        for (number, fault) in self.plan.clone().iter().enumerate() {
            self.schedule(fault.at, Happening::Begin(number));
        }
    }

    fn run_until(&mut self, end: u64) {
        while self.violation.is_none() && !self.is_exhausted() {
            match self.queue.next_time() {
                Some(time) if time < end => self.advance(),
                _ => break,
            }
        }
        if self.violation.is_none() {
            self.now = self.now.max(end);
        }
    }

    pub(super) const fn is_exhausted(&self) -> bool {
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
            Happening::Deliver { slot, event } => self.give(slot, *event),
            Happening::Wake { slot, process, far } => self.wake(slot, process, far),
            Happening::Disk { slot, process } => self.disk_done(slot, process),
            Happening::Store { slot, process } => self.store_done(slot, process),
            Happening::Clock { slot, process } => self.tell_clock(slot, process),
            Happening::Peer {
                slot,
                process,
                peer,
                up,
            } => self.tell_peer(slot, process, peer, up),
            Happening::Boot { slot } => self.boot(slot),
            Happening::Resume { slot } => self.resume(slot),
            Happening::Call {
                client,
                slot,
                id,
                request,
            } => self.take_call(client, slot, id, *request),
            Happening::Cancel { slot, id } => self.cancel(slot, id),
            Happening::Answer { client, id, ending } => self.answer(client, id, ending),
            Happening::Timer { client, long } => {
                self.timer(client, long);
                Ok(())
            }
            Happening::Watcher { watcher } => self.turn_watcher(watcher),
            Happening::Replace { old, new } => self.replace(old, new),
            Happening::Begin(number) => self.begin_fault(number),
            Happening::End(number) => {
                self.end_fault(number);
                Ok(())
            }
        }
    }

    fn answer(&mut self, client: usize, id: RequestId, ending: Ending) -> Result<(), Finding> {
        let outcome = self
            .clients
            .ended(&self.config, client, id, ending, &mut self.intents);
        self.carry_out_intents();
        outcome
    }

    /// Sets a timer of a client, which replaces its earlier one of the same kind.
    /// Only one of each is queued; one that comes too early is queued again.
    fn set_timer(&mut self, client: usize, generation: u64, after: u64) {
        let long = after >= self.config.client_timeout_ms * 1_000_000;
        let at = self.now.saturating_add(after);
        let timer = &mut self.timers[client][usize::from(long)];
        (timer.at, timer.generation) = (at, generation);
        self.queue_timer(client, long);
    }

    fn queue_timer(&mut self, client: usize, long: bool) {
        let timer = &mut self.timers[client][usize::from(long)];
        let at = timer.at;
        if timer.queued.is_none_or(|queued| queued > at) {
            timer.queued = Some(at);
            self.schedule(at, Happening::Timer { client, long });
        }
    }

    fn timer(&mut self, client: usize, long: bool) {
        let now = self.now;
        let timer = &mut self.timers[client][usize::from(long)];
        if timer.queued.is_none_or(|queued| queued > now) {
            return;
        }
        timer.queued = None;
        let Timer { at, generation, .. } = *timer;
        if at > now {
            self.queue_timer(client, long);
            return;
        }
        self.clients
            .wake(&self.config, client, generation, &mut self.intents);
        self.carry_out_intents();
    }

    fn carry_out_intents(&mut self) {
        let mut intents = std::mem::take(&mut self.intents);
        for intent in intents.drain(..) {
            match intent {
                Intent::Call {
                    client,
                    slot,
                    id,
                    request,
                } => {
                    let at = self.now + self.client_delay(id.0);
                    let happening = Happening::Call {
                        client: Some(client),
                        slot,
                        id,
                        request: Box::new(request),
                    };
                    self.schedule(at, happening);
                }
                Intent::Timer {
                    client,
                    generation,
                    after,
                } => self.set_timer(client, generation, after),
                Intent::Cancel { slot, id } => {
                    let at = self.now + self.client_delay(id.0 ^ 1 << 60);
                    self.schedule(at, Happening::Cancel { slot, id });
                }
            }
        }
        self.intents = intents;
    }

    fn client_delay(&self, salt: u64) -> u64 {
        let draw = Keyed::new(self.seed, Domain::Latency).at(1 << 40, salt);
        self.network.client_delay(&self.config, draw)
    }

    /// Queues a happening; times are rounded up to the quantum.
    fn schedule(&mut self, time: u64, happening: Happening) {
        let quantum = self.config.quantum_ns.max(1);
        let time = time.max(self.now).next_multiple_of(quantum);
        let tie = match happening {
            Happening::Wake { .. } => Tie::LAST,
            _ if quantum == 1 => Tie(0),
            _ => {
                let draw = self.tie.at(0, self.queue_draws());
                Tie(u16::try_from(draw.below(1 << 15)).expect("15 bits"))
            }
        };
        self.queue.push(time, tie, happening);
    }

    fn queue_draws(&mut self) -> u64 {
        self.coverage.scheduled += 1;
        self.coverage.scheduled
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

    fn check_history(&mut self) {
        let (undecided, finding) = history::check(&self.clients.history);
        self.coverage.keys_undecided += undecided;
        let finding = finding.or_else(|| self.clients.guards.check().err());
        let finding = finding.or_else(|| self.watches.check(&self.clients.history).err());
        if let Some((checker, message)) = finding {
            self.violate(checker, message);
        }
    }

    /// Closes a checkpoint of the rolling digest when it is due.
    fn checkpoint(&mut self) {
        if !self.events.is_multiple_of(CHECKPOINT_EVENTS) {
            return;
        }
        // A node that took no step is what it was.
        for host in &mut self.hosts {
            if let Some(subject) = &host.subject
                && std::mem::take(&mut host.stepped)
            {
                self.rolling.add(subject.digest());
            }
        }
        let hash = self.rolling.checkpoint();
        self.checkpoints.push(Checkpoint {
            event: self.events,
            at: self.now,
            hash,
        });
    }
}
