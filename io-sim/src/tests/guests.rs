//! Actors, checkers and adversaries that no scenario names, as another crate adds them to a run.

use std::ops::ControlFlow;

use bytes::Bytes;
use decube_core::bft;
use decube_core::cluster::{Consistency, Request, Response};
use decube_core::kv::{Condition, Found, Op, Query};
use decube_core::ledger;
use decube_core::limits::BLOCKS_ANSWERED_MAX;
use decube_core::mutant::Mutant;
use decube_core::node::{self, Node};
use decube_core::replica::Command;
use decube_core::types::{NodeId, RequestId};

use super::toy::Toy;
use crate::actors::{Actor, ActorStats, Answer, Context, Way};
use crate::adversary::{Adversary, Deviation, Mind, Outgoing, Scene};
use crate::cast::Cast;
use crate::check::{Checker, Finding, Hooks, Shared, Step, shared};
use crate::config::SimConfig;
use crate::plan;
use crate::runner::RunSpec;
use crate::scenario::Scenario;
use crate::subject::Subject;
use crate::workload::{Workload, value_bytes, value_id};
use crate::world::{Host, Outcome, Setup, World};

/// A key that no client of a scenario uses, and that no range of theirs has.
const KEY: &[u8] = b"counter0";
const MILLI: u64 = 1_000_000;
const PATIENCE: u64 = 400 * MILLI;

/// What is known of the register: one client counts up in it.
#[derive(Debug, Default)]
struct Register {
    /// The highest number whose write was acknowledged.
    acknowledged: u64,
    /// The lowest that a read found after that.
    read: Option<u64>,
    /// How many reads there were.
    reads: u64,
}

/// The client: it writes the next number until it has an answer, and reads it back.
#[derive(Debug)]
struct Counter {
    register: Shared<Register>,
    number: u64,
    reads: bool,
    waiting: Option<RequestId>,
    turn: u64,
}

impl Counter {
    const fn new(register: Shared<Register>) -> Self {
        Self {
            register,
            number: 1,
            reads: false,
            waiting: None,
            turn: 0,
        }
    }

    fn ask<S: Subject>(&mut self, ctx: &mut Context<'_, S>) {
        let slot = ctx.draw().index(ctx.hosts().len());
        let key = Bytes::from_static(KEY);
        let request = match self.reads {
            true => Request::Read {
                query: Query::Get { key },
                consistency: Consistency::Linearizable,
            },
            false => Request::Write(Command::Once {
                op: Op::Put {
                    key,
                    value: value_bytes(self.number, 0),
                    condition: Condition::Always,
                    lease: None,
                },
            }),
        };
        self.waiting = Some(ctx.call(Way::Remote, 0, slot, request));
        self.wake_after(ctx, PATIENCE);
    }

    fn wake_after<S: Subject>(&mut self, ctx: &mut Context<'_, S>, after: u64) {
        self.turn += 1;
        ctx.wake_at(ctx.now() + after, self.turn);
    }
}

impl<S: Subject> Actor<S> for Counter {
    fn begin(&mut self, ctx: &mut Context<'_, S>) {
        self.wake_after(ctx, MILLI);
    }

    fn wake(&mut self, ctx: &mut Context<'_, S>, token: u64) -> Result<(), Finding> {
        if token == self.turn {
            self.ask(ctx);
        }
        Ok(())
    }

    fn answered(
        &mut self,
        ctx: &mut Context<'_, S>,
        _token: u64,
        id: RequestId,
        answer: Answer,
    ) -> Result<(), Finding> {
        if self.waiting != Some(id) {
            return Ok(());
        }
        self.waiting = None;
        if let Answer::Answered(response) = answer {
            let mut register = self.register.borrow_mut();
            match *response {
                node::Response::Cluster(Response::Written { .. }) => {
                    register.acknowledged = self.number;
                    self.reads = true;
                }
                node::Response::Cluster(Response::Read(answer)) => {
                    let Found::One(found) = answer.found else {
                        return Err(("answer-kind", "one key was read".to_owned()));
                    };
                    register.read = Some(found.map_or(0, |pair| {
                        value_id(&pair.value).expect("a value holds a number")
                    }));
                    register.reads += 1;
                    self.number += 1;
                    self.reads = false;
                }
                _ => {}
            }
        }
        self.wake_after(ctx, 5 * MILLI);
        Ok(())
    }

    fn completed(&self) -> Vec<u64> {
        vec![self.number - 1]
    }

    fn stats(&self) -> ActorStats {
        ActorStats {
            completed: self.number - 1,
            ..ActorStats::default()
        }
    }
}

/// What was acknowledged is not forgotten.
#[derive(Debug)]
struct NothingForgotten(Shared<Register>);

impl<S: Subject> Checker<S> for NothingForgotten {
    fn hooks(&self) -> Hooks {
        Hooks::STEPPED
    }

    fn stepped(&mut self, _step: &Step<'_, S>) -> Result<(), Finding> {
        let mut register = self.0.borrow_mut();
        match register.read.take() {
            Some(read) if read < register.acknowledged => {
                let message = format!("{read} was read after {}", register.acknowledged);
                Err(("nothing-forgotten", message))
            }
            _ => Ok(()),
        }
    }

    /// Some read came after the faults as well.
    fn is_reached(&self, _hosts: &[Host<S>]) -> bool {
        self.0.borrow().reads > 0
    }
}

fn setup(seed: u64, clients: u64, mutant: Mutant) -> Setup {
    let config = SimConfig::with(&[
        ("nodes", 2),
        ("clients", clients),
        ("session_ppm", 0),
        ("horizon_ms", 4_000),
        ("power_losses", 8),
        ("crash_drop_ppm", 900_000),
        ("sync_mean_us", 3_000),
    ]);
    Setup {
        seed,
        cast: Cast::of_one_cluster(),
        plan: plan::draw(seed, &config),
        config,
        workload: Workload::new(seed),
        overrides: Vec::new(),
        mutant,
        events_max: u64::MAX,
        log: None,
    }
}

/// A run with the guests.
fn run(setup: Setup) -> Outcome {
    let register = shared(Register::default());
    World::<Toy>::new(setup)
        .with_actor(Box::new(Counter::new(register.clone())))
        .with_checker(Box::new(NothingForgotten(register)))
        .run()
}

#[test]
fn a_guest_acts_and_its_checker_finds_nothing_where_nothing_is_wrong() {
    let mut completed = 0;
    for seed in 0..20 {
        let outcome = run(setup(seed, 0, Mutant::None));
        assert_eq!(outcome.violation, None, "seed {seed}");
        completed += outcome.clients.completed;
    }
    assert!(completed > 1_000, "the guest is served: {completed}");
}

#[test]
fn the_checker_of_a_guest_ends_a_run_that_breaks_its_promise() {
    let found = (0..60).find_map(|seed| run(setup(seed, 0, Mutant::AckBeforeSync)).violation);
    let violation = found.expect("acknowledging before the sync must be noticed");
    assert_eq!(violation.checker, "nothing-forgotten", "{violation}");
    // Nobody else has an eye on the register.
    let alone = |seed| World::<Toy>::new(setup(seed, 0, Mutant::AckBeforeSync)).run();
    assert!((0..60).all(|seed| alone(seed).violation.is_none()));
}

/// Four validators, one of them Byzantine with no behaviour but a guest's, and what else a test
/// sets.
fn one_of_four(more: &[(&str, u64)]) -> RunSpec {
    let settings = [
        ("nodes", 4),
        ("byzantine_nodes", 1),
        ("twins", 0),
        ("strategies", 0),
        ("horizon_ms", 2_000),
    ];
    let settings = settings.iter().chain(more);
    RunSpec {
        settings: settings
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect(),
        ..RunSpec::new(Scenario::BftByzantine, 1)
    }
}

/// A Byzantine node that repeats to some what it hears.
#[derive(Debug)]
struct Echo(Shared<u64>);

impl Adversary for Echo {
    fn on_send(&mut self, _mind: &mut Mind, _scene: &Scene<'_>, deviation: Deviation) -> Outgoing {
        *self.0.borrow_mut() += 1;
        Outgoing::Pass(deviation)
    }

    fn on_receive(
        &mut self,
        mind: &mut Mind,
        scene: &Scene<'_>,
        _from: NodeId,
        message: &node::Message,
        deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        mind.spread(scene, message, deviations);
        ControlFlow::Continue(())
    }
}

#[test]
fn byzantine_nodes_take_up_a_behaviour_that_no_setting_names() {
    let spec = one_of_four(&[]);
    let world = || World::<Node>::new(spec.setup().expect("these settings exist"));
    let plain = world().run();
    assert_eq!(plain.violation, None);
    let own = shared(0);
    let echo = || Box::new(Echo(own.clone())) as Box<dyn Adversary>;
    let outcome = world().with_behaviour(echo).run();
    assert_eq!(outcome.violation, None);
    let told = outcome.coverage.deviations;
    let own = *own.borrow();
    assert!(own > 0, "it is asked");
    assert!(
        told > own,
        "{told} deviations, {own} of them its own messages"
    );
    assert_eq!(world().run().digest, plain.digest);
}

/// A Byzantine node whose answers have more blocks than an answer may have.
#[derive(Debug, Default)]
struct TooLong(Option<bft::Block>);

impl Adversary for TooLong {
    fn on_receive(
        &mut self,
        mind: &mut Mind,
        scene: &Scene<'_>,
        _from: NodeId,
        message: &node::Message,
        deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        let node::Message::Ledger(ledger::Message::Bft(heard)) = message else {
            return ControlFlow::Continue(());
        };
        match (heard, &self.0) {
            (bft::Message::Proposal(proposal), _) => self.0 = Some(proposal.block.clone()),
            (bft::Message::Cert(finalization), Some(block)) => {
                let blocks = bft::Message::Blocks(Box::new(bft::FinalBlocks {
                    blocks: vec![block.clone(); BLOCKS_ANSWERED_MAX + 1],
                    path: Vec::new(),
                    finalization: (**finalization).clone(),
                }));
                let message = node::Message::Ledger(ledger::Message::Bft(blocks));
                mind.spread(scene, &message, deviations);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// What could not even be encoded must not stop a run where links are narrow, frames are
/// damaged, or both.
#[test]
fn what_no_decoder_takes_goes_no_further_than_its_sender() {
    let spec = one_of_four(&[
        ("bandwidth_bytes_per_ms", 50_000),
        ("codec", 1),
        ("corrupt_ppm", 50_000),
    ]);
    let too_long = || Box::new(TooLong::default()) as Box<dyn Adversary>;
    let world = World::<Node>::new(spec.setup().expect("these settings exist"));
    let outcome = world.with_behaviour(too_long).run();
    assert_eq!(outcome.violation, None);
    assert!(outcome.coverage.deviations_unreadable > 0);
    assert!(outcome.coverage.blocks_final > 0);
}

/// A guest that breaks.
#[derive(Debug)]
struct Broken;

impl Adversary for Broken {
    fn on_receive(
        &mut self,
        _mind: &mut Mind,
        _scene: &Scene<'_>,
        _from: NodeId,
        _message: &node::Message,
        _deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        panic!("a mistake of the simulator's own");
    }
}

/// Otherwise nobody would learn which seed it was, nor could look at it.
#[test]
fn a_panic_of_the_simulator_itself_is_a_finding_of_the_seed() {
    let run = |spec: &RunSpec| {
        let broken = || Box::new(Broken) as Box<dyn Adversary>;
        let world = World::<Node>::new(spec.setup().expect("these settings exist"));
        world.with_behaviour(broken).run().violation
    };
    let violation = run(&one_of_four(&[])).expect("it panics");
    assert_eq!(violation.checker, "simulator-panic");
    assert!(violation.message.contains("a mistake"), "{violation}");
    assert!(violation.event > 0, "it names its event");
    assert_eq!(run(&one_of_four(&[("byzantine_nodes", 0)])), None);
}

/// The digests of `plain` runs are those from before there were guests: the tests of
/// determinism of `sim-tests` compare them with what is in the repository. Here: guests
/// leave no trace in a run without them, and clients are served beside them.
#[test]
fn guests_come_on_top() {
    let plain = |seed| World::<Toy>::new(setup(seed, 3, Mutant::None)).run();
    let before = plain(5);
    let with = run(setup(5, 3, Mutant::None));
    assert_eq!(with.violation, None);
    assert_ne!(with.digest, before.digest);
    assert_eq!(with.faults, before.faults);
    assert!(with.clients.completed > before.clients.completed / 2);
    assert_eq!(plain(5).digest, before.digest);
}
