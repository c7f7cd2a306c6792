//! The simulated world: nodes with all their volumes, network, clocks, clients and faults
//! in one queue of virtual time.
//!
//! There is no thread, no task and no clock: the world takes the next event
//! from its queue, lets one node take one step, carries the step's effects out in
//! order, and lets the checkers look. A run is a pure function of its
//! [`Setup`], so equal setups give equal digests on every machine.
//!
//! Nodes are what they are in production: members of a cluster, of the ledger, or of
//! both. A scenario says which.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | the world, its main loop, and the two phases of a run |
//! | `host.rs` | a slot: its devices, clocks, and the process that runs on them |
//! | `inbox.rs` | messages that wait until their part takes them |
//! | `step.rs` | one step of one node, and its effects |
//! | `transport.rs` | messages between nodes, whichever part speaks |
//! | `compose.rs` | which actors and checkers a run has |
//! | `stage.rs` | what actors can do, and how they are told |
//! | `calls.rs` | requests on their way to a node, and answers on their way back |
//! | `process.rs` | boot, crash, pause, exit |
//! | `faults.rs` | the plan of faults |
//! | `heal.rs` | the end of the faults, and what must follow |
//! | `cover.rs` | the situations met |
//! | `outcome.rs` | what a run reports |
//! | `clusters/` | clusters: their members, and what befalls them |
//! | `ledger/` | the ledger: its validators, and Byzantine nodes |

mod calls;
mod clusters;
mod compose;
mod cover;
mod faults;
mod heal;
mod host;
mod inbox;
mod ledger;
mod outcome;
mod process;
mod stage;
mod step;
mod transport;

pub use host::Host;
pub(crate) use ledger::{cluster_of, furthest, members};
pub use outcome::{Checkpoint, Coverage, LeadersLost, Outcome, Violation};
pub use stage::Context;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use decube_core::crypto::fake::FakeAuthority;
use decube_core::io::Volume;
use decube_core::ledger::Genesis;
use decube_core::machine::Outbox;
use decube_core::mutant::Mutant;
use decube_core::node::{self, Effect, Request};
use decube_core::part::Scope;
use decube_core::types::{NodeId, RequestId};

use crate::actors::{Actor, Answer};
use crate::adversary::Adversary;
use crate::cast::Cast;
use crate::check::{Checker, Court, Finding};
use crate::config::SimConfig;
use crate::fingerprint::{Rolling, checkpoint_every};
use crate::network::{DecisionKey, Network};
use crate::plan::{Fault, FaultKind, VolumeFaults};
use crate::queue::{Queue, Tie};
use crate::rng::{Domain, Keyed};
use crate::shell::panic_message;
use crate::subject::Subject;
use crate::workload::Workload;

use calls::Caller;
use clusters::Clusters;
use ledger::budget::Budget;
use stage::Stage;

/// Everything that decides a run.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The seed of all decisions that are not listed here.
    pub seed: u64,
    /// Who is in the run.
    pub cast: Cast,
    /// The settings.
    pub config: SimConfig,
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
enum SimEvent {
    Deliver {
        slot: usize,
        from: NodeId,
        scope: Scope,
        message: Box<node::Message>,
    },
    /// A message of a Byzantine node that was held back leaves.
    Say {
        slot: usize,
        to: NodeId,
        message: Box<node::Message>,
    },
    /// A Byzantine node has a free moment.
    Deviate {
        slot: usize,
    },
    Wake {
        slot: usize,
        process: u64,
        far: bool,
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
    /// The transport of a slot notices that a peer came or went.
    Peer {
        slot: usize,
        process: u64,
        peer: usize,
        up: bool,
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
    Cancel {
        slot: usize,
        id: RequestId,
    },
    /// An answer arrives from afar.
    Answer {
        to: (usize, u64),
        id: RequestId,
        answer: Answer,
    },
    /// A time that an actor asked for has come.
    Actor {
        actor: usize,
        token: u64,
    },
    Begin(usize),
    End(usize),
}

/// The world of one run.
pub struct World<S: Subject> {
    seed: u64,
    has_ledger: bool,
    config: SimConfig,
    plan: Vec<Fault>,
    mutant: Mutant,
    now: u64,
    queue: Queue<SimEvent>,
    hosts: Vec<Host<S>>,
    /// Under which name each of them speaks.
    names: Vec<NodeId>,
    network: Network,
    clusters: Clusters,
    authority: FakeAuthority,
    genesis: Arc<Genesis>,
    budget: Budget,
    stage: Stage<S>,
    court: Court<S>,
    rolling: Rolling,
    outbox: Outbox<Effect>,
    tie: Keyed,
    crash_point: Keyed,
    healed: bool,
    events: u64,
    events_max: u64,
    /// Steps taken in this very instant, to catch a node that spins.
    steps_now: u64,
    checkpoints: Vec<Checkpoint>,
    /// Events between two of them.
    checkpoint_every: u64,
    violation: Option<Violation>,
    faults: [u64; FaultKind::COUNT],
    volume_faults: VolumeFaults,
    /// See [`Outcome::leaders_lost`].
    leaders_lost: LeadersLost,
    coverage: Coverage,
    log: Option<(u64, u64)>,
    lines: Vec<String>,
}

const MILLI: u64 = 1_000_000;

impl<S: Subject> World<S> {
    /// A world before its first instant.
    pub fn new(setup: Setup) -> Self {
        let has_ledger = setup.cast.topology.has_ledger();
        let config = setup.config;
        let authority = FakeAuthority::new(setup.seed);
        let genesis = Arc::new(ledger::genesis(&authority, &config));
        let mut hosts = match has_ledger {
            true => ledger::hosts(setup.seed, &config, &authority, &genesis),
            false => clusters::hosts(&config, &authority),
        };
        host::add_volumes(setup.seed, &mut hosts);
        let clusters = Clusters::new(setup.seed, has_ledger, &config, &mut hosts);
        let mut network = Network::new(setup.seed, hosts.len());
        network.set_overrides(setup.overrides);
        let names: Vec<_> = hosts.iter().map(|host| host.node).collect();
        let checkpoint_every = checkpoint_every(hosts.len());
        let mut world = Self {
            seed: setup.seed,
            has_ledger,
            court: Court::default(),
            stage: Stage::default(),
            budget: Budget::default(),
            names,
            clusters,
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
            checkpoints: Vec::new(),
            checkpoint_every,
            violation: None,
            faults: [0; FaultKind::COUNT],
            volume_faults: VolumeFaults::default(),
            leaders_lost: LeadersLost::default(),
            coverage: Coverage::default(),
            log: setup.log,
            lines: Vec::new(),
            config,
        };
        world.compose(&setup.cast, setup.workload);
        world
    }

    /// The same with another actor, which begins behind those that are there. Its requests
    /// are numbered apart, so that those of the others keep their numbers.
    #[must_use]
    pub fn with_actor(mut self, actor: Box<dyn Actor<S>>) -> Self {
        self.stage.add_guest(actor);
        self
    }

    /// The same with another checker, which is asked behind those that are there.
    #[must_use]
    pub fn with_checker(mut self, checker: Box<dyn Checker<S>>) -> Self {
        self.court.add(checker);
        self
    }

    /// The same, where all Byzantine nodes behave in another way as well, which is asked behind
    /// those that the settings name.
    #[must_use]
    pub fn with_behaviour(mut self, make: impl Fn() -> Box<dyn Adversary>) -> Self {
        for host in &mut self.hosts {
            if let host::Part::Byzantine(byzantine) = &mut host.part {
                byzantine.add(make());
            }
        }
        self
    }

    /// Runs to the end, or to the first violation.
    pub fn run(mut self) -> Outcome {
        self.prepare();
        self.run_until(self.config.horizon_ns());
        if self.is_open() && !self.config.may_fork() {
            self.converge();
        }
        self.stage.close();
        if self.is_open()
            && let Err((checker, message)) = self.court.finish(&mut self.coverage)
        {
            self.violate(checker, message);
        }
        self.finish()
    }

    /// Whether there is more to be seen.
    const fn is_open(&self) -> bool {
        self.violation.is_none() && !self.is_exhausted()
    }

    fn prepare(&mut self) {
        for slot in 0..self.hosts.len() {
            self.schedule(0, SimEvent::Boot { slot });
            if matches!(self.hosts[slot].part, host::Part::Byzantine(_)) {
                self.schedule(MILLI, SimEvent::Deviate { slot });
            }
        }
        self.begin_actors();
        for (number, fault) in self.plan.clone().iter().enumerate() {
            self.schedule(fault.at, SimEvent::Begin(number));
        }
    }

    fn run_until(&mut self, end: u64) {
        let run = || {
            while self.is_open() && !self.court.is_decided() {
                match self.queue.next_time() {
                    Some(time) if time < end => self.advance(),
                    _ => break,
                }
            }
        };
        // A machine that panics is a finding where it steps. What panics outside of machines
        // is the simulator's own, and must name its seed and its event like any other.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            self.violate("simulator-panic", panic_message(&*panic).to_owned());
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
        let (time, event) = self.queue.pop().expect("there is a next time");
        assert!(time >= self.now, "time does not run backwards");
        if time > self.now {
            self.now = time;
            self.steps_now = 0;
        }
        if let Err((checker, message)) = self.happen(event) {
            self.violate(checker, message);
        }
    }

    fn happen(&mut self, event: SimEvent) -> Result<(), Finding> {
        match event {
            SimEvent::Deliver {
                slot,
                from,
                scope,
                message,
            } => return self.deliver(slot, from, scope, message),
            SimEvent::Wake { slot, process, far } => return self.wake(slot, process, far),
            SimEvent::Disk {
                slot,
                process,
                volume,
            } => return self.disk_done(slot, process, volume),
            SimEvent::Store {
                slot,
                process,
                volume,
            } => return self.store_done(slot, process, volume),
            SimEvent::Clock { slot, process } => return self.tell_clock(slot, process),
            SimEvent::Peer {
                slot,
                process,
                peer,
                up,
            } => return self.tell_peer(slot, process, peer, up),
            SimEvent::Boot { slot } => return self.boot(slot),
            SimEvent::Resume { slot } => return self.resume(slot),
            SimEvent::Call {
                caller,
                slot,
                id,
                request,
            } => return self.take_call(caller, slot, id, *request),
            SimEvent::Cancel { slot, id } => return self.cancel(slot, id),
            SimEvent::Answer { to, id, answer } => {
                let (actor, token) = to;
                return self.answer_actor(actor, token, id, answer);
            }
            SimEvent::Actor { actor, token } => return self.wake_actor(actor, token),
            SimEvent::Begin(number) => return self.begin_fault(number),
            SimEvent::Say { slot, to, message } => self.transmit(slot, to, message),
            SimEvent::Deviate { slot } => self.deviate(slot),
            SimEvent::Operator { slot, process } => self.look_after(slot, process),
            SimEvent::End(number) => self.end_fault(number),
        }
        Ok(())
    }

    /// Queues an event; times are rounded up to the quantum.
    fn schedule(&mut self, time: u64, event: SimEvent) {
        let quantum = self.config.process.quantum_ns.max(1);
        let time = time.max(self.now).next_multiple_of(quantum);
        let tie = match event {
            SimEvent::Wake { .. } => Tie::LAST,
            _ if quantum == 1 => Tie(0),
            _ => {
                let draw = self.tie.at(0, self.fresh_draw());
                Tie(u16::try_from(draw.below(1 << 15)).expect("15 bits"))
            }
        };
        self.queue.push(time, tie, event);
    }

    /// The number of a draw that belongs to nothing else.
    const fn fresh_draw(&mut self) -> u64 {
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

    /// Closes a checkpoint of the rolling digest when it is due.
    fn checkpoint(&mut self) {
        if !self.events.is_multiple_of(self.checkpoint_every) {
            return;
        }
        // A node that took no step is what it was.
        for host in &mut self.hosts {
            if let Some(subject) = &host.subject
                && std::mem::take(&mut host.stepped)
            {
                self.rolling.add(&subject.digest());
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
}
