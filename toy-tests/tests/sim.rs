//! Nodes with a toy in the simulated world: many of them, on devices that fail, beside
//! validators that are Byzantine. A client asks the toys, and a judge follows each of them.

use std::collections::{BTreeMap, BTreeSet};

use decube_core::bft::Height;
use decube_core::crypto::Digest;
use decube_core::io::Volume;
use decube_core::ledger::{self, Ledger};
use decube_core::limits::TOY_PEERS_MAX;
use decube_core::machine::{Machine, Outbox};
use decube_core::mutant::Mutant;
use decube_core::node::{Config, Effect, Event, Message, Node, Notice, PartId, Response};
use decube_core::raft::Membership;
use decube_core::toy::{self, Bug, Position, Toy};
use decube_core::types::{Chain, Index, NodeId, RequestId, Term, Time};
use decube_io_sim::actors::{Actor, ActorStats, Answer, Context, Way};
use decube_io_sim::check::{Checker, Finding, Hooks, Shared, Step, shared};
use decube_io_sim::rng::Draw;
use decube_io_sim::runner::RunSpec;
use decube_io_sim::scenario::Scenario;
use decube_io_sim::subject::{Facts, Subject};
use decube_io_sim::world::{Host, Outcome, World};
use decube_toy_tests::expect::Blocks;

/// Seeds of each scenario.
const SEEDS: u64 = 12;
/// Between two questions of the client, in nanoseconds.
const PAUSE: u64 = 20_000_000;

/// What a toy may have wrong, by the number that a type can carry.
const BUGS: [Bug; 3] = [Bug::None, Bug::TrustsNotices, Bug::TakesRepeats];

/// A node with a toy.
struct WithToy<const BUG: usize>(Node);

impl<const BUG: usize> Machine for WithToy<BUG> {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        self.0.step(now, event, out);
    }

    fn deadline(&self) -> Option<Time> {
        self.0.deadline()
    }
}

impl<const BUG: usize> Subject for WithToy<BUG> {
    const MORE_VOLUMES: &'static [Volume] = &[Volume::Toy];

    fn build(mut config: Config) -> Self {
        let ledger = config.ledger.as_ref().expect("nodes of the ledger");
        let id = config.node;
        let others = ledger.genesis.members.iter().map(|member| member.node);
        let others = others.filter(|node| *node != id).take(TOY_PEERS_MAX);
        let mut toy = toy::Config::new(id);
        toy.peers = others.collect::<BTreeSet<NodeId>>();
        toy.page_bytes = 2048;
        toy.bug = BUGS[BUG];
        config.toy = Some(toy);
        Self(Node::new(config))
    }

    fn ledger(&self) -> Option<&Ledger> {
        self.0.ledger()
    }

    fn accepts(&self, part: PartId) -> bool {
        self.0.accepts(part)
    }

    fn is_serving(&self, part: PartId) -> bool {
        self.0.is_serving(part)
    }

    fn notices(&self) -> &[Notice] {
        self.0.notices()
    }

    fn facts(&self) -> Option<Facts> {
        self.0.facts()
    }

    fn entry_at(&self, index: Index) -> Option<(Term, Chain)> {
        self.0.entry_at(index)
    }

    fn membership(&self) -> Option<&Membership> {
        self.0.membership()
    }

    fn state_digest(&self) -> Option<u64> {
        self.0.state_digest()
    }

    fn over_the_wire(message: &Message, mutant: Mutant) -> Result<(), String> {
        Node::over_the_wire(message, mutant)
    }

    fn damaged_on_the_wire(message: &Message, flips: Draw) -> Result<bool, String> {
        Node::damaged_on_the_wire(message, flips)
    }

    fn digest(&self) -> u64 {
        Subject::digest(&self.0)
    }
}

/// What is known of the toys of a run.
#[derive(Debug, Default)]
struct Judge {
    blocks: Blocks,
    toys: BTreeMap<usize, OfSlot>,
    /// What all of them have to reach.
    aim: Height,
    counts: Counts,
}

/// What is known of the toy of a slot.
#[derive(Debug, Default)]
struct OfSlot {
    /// Where it must be; nothing before its process has recovered.
    expected: Option<Position>,
    /// Each position that a process of it was in, with the highest sum.
    positions: BTreeMap<(Height, Digest), u64>,
    /// The furthest that somebody was shown.
    shown: Position,
}

#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    starts: u64,
    taken: u64,
    jumps: u64,
    repeats: u64,
    added: u64,
    read: u64,
    words: u64,
}

fn finding<T>(message: String) -> Result<T, Finding> {
    Err(("toy", message))
}

impl Judge {
    /// A client was answered: what it was shown had to be durable, and stays.
    fn answered(&mut self, slot: usize, response: &toy::Response) -> Result<(), Finding> {
        let of_slot = self.toys.entry(slot).or_default();
        match response {
            toy::Response::Added { sum } => {
                self.counts.added += 1;
                of_slot.shown.sum = of_slot.shown.sum.max(*sum);
            }
            toy::Response::Read(view) => {
                self.counts.read += 1;
                let position = view.position;
                if !of_slot.was_at(position) {
                    return finding(format!("slot {slot} was never at {position:?}"));
                }
                of_slot.show(position.height);
                of_slot.shown.sum = of_slot.shown.sum.max(position.sum);
            }
            _ => {}
        }
        Ok(())
    }
}

impl<const BUG: usize> Checker<WithToy<BUG>> for Judge {
    fn hooks(&self) -> Hooks {
        Hooks::STARTED | Hooks::TOLD | Hooks::SENT | Hooks::STEPPED
    }

    fn started(&mut self, slot: usize) {
        self.toys.entry(slot).or_default().expected = None;
    }

    fn told(&mut self, step: &Step<'_, WithToy<BUG>>, notice: &Notice) -> Result<(), Finding> {
        if let Notice::Ledger(ledger::Notice::Final(block)) = notice {
            self.blocks.note(block.height(), block.block.hash());
        }
        let of_slot = self.toys.entry(step.slot).or_default();
        if let Some(expected) = &mut of_slot.expected {
            follow(notice, expected, &mut self.counts);
        }
        Ok(())
    }

    fn sent(
        &mut self,
        step: &Step<'_, WithToy<BUG>>,
        _to: NodeId,
        message: &Message,
    ) -> Result<(), Finding> {
        if let Message::Toy(toy::Message::At { height }) = message {
            self.counts.words += 1;
            self.toys.entry(step.slot).or_default().show(*height);
        }
        Ok(())
    }

    fn stepped(&mut self, step: &Step<'_, WithToy<BUG>>) -> Result<(), Finding> {
        let Some(position) = step.subject().0.toy().and_then(Toy::position) else {
            return Ok(());
        };
        let of_slot = self.toys.entry(step.slot).or_default();
        let complaint = match of_slot.expected {
            None => {
                self.counts.starts += 1;
                of_slot.complaint_at_start(position)
            }
            Some(expected) => {
                let is_it = position.height == expected.height
                    && position.blocks == expected.blocks
                    && position.hash == expected.hash
                    && position.sum >= expected.sum;
                (!is_it).then(|| format!("{position:?} instead of {expected:?}"))
            }
        };
        if let Some(complaint) = complaint {
            return finding(format!("slot {}: {complaint}", step.slot));
        }
        let place = (position.height, position.hash);
        let sum = of_slot.positions.entry(place).or_default();
        *sum = (*sum).max(position.sum);
        of_slot.expected = Some(position);
        Ok(())
    }

    fn aim(&mut self) {
        self.aim = self.blocks.tip();
    }

    fn is_reached(&self, hosts: &[Host<WithToy<BUG>>]) -> bool {
        let honest = hosts.iter().filter(|host| host.is_honest());
        let toys = honest.filter_map(|host| host.subject()?.0.toy()?.position());
        toys.into_iter().all(|position| position.height >= self.aim)
    }
}

impl OfSlot {
    /// Whether a process of it has been there.
    fn was_at(&self, position: Position) -> bool {
        let place = (position.height, position.hash);
        let known = self.positions.get(&place);
        position.height == Height(0) || known.is_some_and(|sum| *sum >= position.sum)
    }

    fn show(&mut self, height: Height) {
        self.shown.height = self.shown.height.max(height);
    }

    /// A process begins where an earlier one was, and not before what it has shown. Numbers
    /// that waited for it to recover are added in the same step.
    fn complaint_at_start(&self, position: Position) -> Option<String> {
        let shown = self.shown;
        if !self.was_at(Position { sum: 0, ..position }) {
            return Some(format!("no process of it was at {position:?}"));
        }
        let is_kept = position.height >= shown.height && position.sum >= shown.sum;
        (!is_kept).then(|| format!("{shown:?} was shown, and {position:?} is left"))
    }
}

/// What a notice must do to a position.
fn follow(notice: &Notice, position: &mut Position, counts: &mut Counts) {
    match notice {
        Notice::Ledger(ledger::Notice::Final(block)) => take(block, position, counts),
        Notice::Ledger(ledger::Notice::Run(run)) => {
            if run.after > position.height {
                *position = position.jump(run.after);
                counts.jumps += 1;
            }
            for block in &run.blocks {
                take(block, position, counts);
            }
        }
        _ => {}
    }
}

/// What follows is taken, and nothing else.
fn take(block: &ledger::FinalBlock, position: &mut Position, counts: &mut Counts) {
    if block.height() == position.height.next() {
        *position = position.take(block.height(), &block.block.hash());
        counts.taken += 1;
    } else if block.height() <= position.height {
        counts.repeats += 1;
    }
}

/// A client of all toys: it adds and reads in turn.
#[derive(Debug)]
struct Client {
    judge: Shared<Judge>,
    turn: u64,
    completed: u64,
}

impl<S: Subject> Actor<S> for Client {
    fn begin(&mut self, ctx: &mut Context<'_, S>) {
        ctx.wake_at(ctx.now() + PAUSE, 0);
    }

    fn wake(&mut self, ctx: &mut Context<'_, S>, _token: u64) -> Result<(), Finding> {
        self.turn += 1;
        let slot = ctx.draw().index(ctx.hosts().len());
        let request = match self.turn % 2 {
            0 => toy::Request::Add { number: 1 },
            _ => toy::Request::Read,
        };
        let token = u64::try_from(slot).expect("few slots");
        ctx.call(Way::Remote, token, slot, request);
        ctx.wake_at(ctx.now() + PAUSE, 0);
        Ok(())
    }

    fn answered(
        &mut self,
        _ctx: &mut Context<'_, S>,
        token: u64,
        _id: RequestId,
        answer: Answer,
    ) -> Result<(), Finding> {
        let Answer::Answered(response) = answer else {
            return Ok(());
        };
        self.completed += 1;
        let slot = usize::try_from(token).expect("the number of a slot");
        match *response {
            Response::Toy(response) => self.judge.borrow_mut().answered(slot, &response),
            other => finding(format!("the toy was asked: {other:?}")),
        }
    }

    fn stats(&self) -> ActorStats {
        ActorStats {
            completed: self.completed,
            ..ActorStats::default()
        }
    }
}

/// One run with the client and the judge.
fn run<const BUG: usize>(scenario: Scenario, seed: u64) -> (Outcome, Counts) {
    let setup = RunSpec::new(scenario, seed).setup();
    let setup = setup.expect("nothing is set");
    let judge = shared(Judge::default());
    let client = Client {
        judge: judge.clone(),
        turn: 0,
        completed: 0,
    };
    let world = World::<WithToy<BUG>>::new(setup)
        .with_actor(Box::new(client))
        .with_checker(Box::new(judge.clone()));
    let outcome = world.run();
    let counts = judge.borrow().counts;
    (outcome, counts)
}

fn sound(scenario: Scenario) {
    let mut total = Counts::default();
    let (mut boundary_crashes, mut events, mut fetched) = (0, 0, 0);
    for seed in 1..=SEEDS {
        let (outcome, counts) = run::<0>(scenario, seed);
        let name = scenario.name();
        assert!(
            outcome.violation.is_none(),
            "{name} seed {seed}: {:?}",
            outcome.violation
        );
        boundary_crashes += outcome.coverage.boundary_crashes;
        fetched += outcome.coverage.states_fetched;
        events += outcome.events;
        total.starts += counts.starts;
        total.taken += counts.taken;
        total.jumps += counts.jumps;
        total.repeats += counts.repeats;
        total.added += counts.added;
        total.read += counts.read;
        total.words += counts.words;
    }
    println!(
        "{}: {SEEDS} seeds, {events} events, {boundary_crashes} crashes at boundaries, {fetched} \
         fetched states, {total:?}",
        scenario.name()
    );
    assert!(total.taken > 0 && total.added > 0 && total.read > 0 && total.words > 0);
    assert!(total.jumps > 0 && total.repeats > 0);
}

#[test]
fn toys_beside_byzantine_nodes_are_sound() {
    sound(Scenario::BftByzantine);
}

#[test]
fn toys_on_the_platform_are_sound() {
    sound(Scenario::Platform);
}

fn found<const BUG: usize>() {
    let mut violations = (1..=SEEDS).filter_map(|seed| {
        let (outcome, _) = run::<BUG>(Scenario::BftByzantine, seed);
        Some((seed, outcome.violation?))
    });
    let first = violations.next();
    println!("{:?}: {first:?}", BUGS[BUG]);
    let (_, violation) = first.expect("some seed finds it");
    assert_eq!(violation.checker, "toy");
}

#[test]
fn a_toy_that_breaks_the_rule_is_found() {
    found::<1>();
    found::<2>();
}
