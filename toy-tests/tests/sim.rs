//! Nodes with a toy in the simulated world: many of them, on devices that fail, beside
//! validators that lie.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use decube_core::bft::Height;
use decube_core::crypto::Digest;
use decube_core::io::Volume;
use decube_core::ledger::{self, Ledger};
use decube_core::limits::TOY_PEERS_MAX;
use decube_core::machine::{Machine, Outbox};
use decube_core::node::{Config, Effect, Event, Message, Node, Notice, Request, Response};
use decube_core::raft::Membership;
use decube_core::toy::{self, Bug, Position, Toy};
use decube_core::types::{Chain, Index, NodeId, Term, Time};
use decube_io_sim::rng::Draw;
use decube_io_sim::runner::RunSpec;
use decube_io_sim::scenario::Scenario;
use decube_io_sim::subject::{Facts, Subject};
use decube_io_sim::world::{Outcome, World};
use decube_toy_tests::expect::Blocks;

/// Seeds of each scenario.
const SEEDS: u64 = 12;

/// What is known of a run, whichever process has shown it.
#[derive(Debug, Default)]
struct Seen {
    bug: Bug,
    blocks: Blocks,
    nodes: BTreeMap<NodeId, OfNode>,
    counts: Counts,
}

/// What is known of one node's toy.
#[derive(Debug, Default)]
struct OfNode {
    /// Each position that a process of it was in.
    positions: BTreeMap<(Height, Digest), u64>,
    /// The last position that somebody was shown.
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

thread_local! {
    // A run is in one thread, and builds its machines by itself.
    static SEEN: RefCell<Seen> = RefCell::default();
}

/// A node, and who watches its toy.
struct WithToy {
    node: Node,
    id: NodeId,
    /// Where the toy must be; nothing before it has started.
    expected: Option<Position>,
    visits: u64,
}

impl Machine for WithToy {
    type Event = Event;
    type Effect = Effect;

    fn step(&mut self, now: Time, event: Event, out: &mut Outbox<Effect>) {
        self.node.step(now, event, out);
        SEEN.with_borrow_mut(|seen| self.look(seen, out.as_slice()));
    }

    fn deadline(&self) -> Option<Time> {
        self.node.deadline()
    }
}

impl WithToy {
    /// The judge: a panic is a finding of the world.
    fn look(&mut self, seen: &mut Seen, out: &[Effect]) {
        let Seen {
            blocks,
            nodes,
            counts,
            ..
        } = seen;
        for notice in self.node.notices() {
            if let Notice::Ledger(ledger::Notice::Final(block)) = notice {
                blocks.note(block.height(), block.block.hash());
            }
        }
        let Some(position) = self.node.toy().and_then(Toy::position) else {
            return;
        };
        let of_node = nodes.entry(self.id).or_default();
        let Some(expected) = &mut self.expected else {
            counts.starts += 1;
            of_node.check_start(position);
            self.expected = Some(position);
            return;
        };
        for notice in self.node.notices() {
            follow(notice, expected, counts);
        }
        let at = |position: &Position| (position.height, position.blocks, position.hash);
        assert_eq!(at(&position), at(expected), "a block twice, or none");
        assert!(position.sum >= expected.sum, "a sum only rises");
        let place = (position.height, position.hash);
        let sum = of_node.positions.entry(place).or_default();
        *sum = (*sum).max(position.sum);
        expected.sum = position.sum;
        for effect in out {
            of_node.check_shown(effect, counts);
        }
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

impl OfNode {
    /// A process begins where an earlier one was, and not before what it has shown.
    fn check_start(&self, position: Position) {
        let place = (position.height, position.hash);
        let known = self.positions.get(&place).copied();
        let is_new = position == Position::default();
        assert!(
            is_new || known.is_some_and(|sum| sum >= position.sum),
            "no process of it was at {position:?}"
        );
        assert!(
            position.height >= self.shown.height && position.sum >= self.shown.sum,
            "{:?} was shown, and {position:?} is left",
            self.shown
        );
    }

    /// What leaves the node was in its volume.
    fn check_shown(&mut self, effect: &Effect, counts: &mut Counts) {
        match effect {
            Effect::Reply { response, .. } => match response {
                Response::Toy(toy::Response::Added { sum }) => {
                    counts.added += 1;
                    self.shown.sum = self.shown.sum.max(*sum);
                }
                Response::Toy(toy::Response::Read(view)) => {
                    counts.read += 1;
                    let Position { height, hash, .. } = view.position;
                    let is_new = view.position == Position::default();
                    assert!(is_new || self.positions.contains_key(&(height, hash)));
                    self.shown.height = self.shown.height.max(height);
                    self.shown.sum = self.shown.sum.max(view.position.sum);
                }
                _ => {}
            },
            Effect::Send {
                message: Message::Toy(toy::Message::At { height }),
                ..
            } => {
                counts.words += 1;
                self.shown.height = self.shown.height.max(*height);
            }
            _ => {}
        }
    }
}

impl Subject for WithToy {
    const MORE_VOLUMES: &'static [Volume] = &[Volume::Toy];

    /// Somebody adds a number, or reads.
    fn visited(&mut self) -> Option<Request> {
        self.visits += 1;
        let request = match self.visits % 2 {
            0 => toy::Request::Add { number: 1 },
            _ => toy::Request::Read,
        };
        Some(request.into())
    }

    fn build(mut config: Config) -> Self {
        let ledger = config.ledger.as_ref().expect("nodes of the ledger");
        let id = config.node;
        let others = ledger.genesis.members.iter().map(|member| member.node);
        let mut toy = toy::Config::new(id);
        toy.peers = others
            .filter(|node| *node != id)
            .take(TOY_PEERS_MAX)
            .collect::<BTreeSet<NodeId>>();
        toy.page_bytes = 2048;
        toy.bug = SEEN.with_borrow(|seen| seen.bug);
        config.toy = Some(toy);
        Self {
            node: Node::new(config),
            id,
            expected: None,
            visits: 0,
        }
    }

    fn ledger(&self) -> Option<&Ledger> {
        self.node.ledger()
    }

    fn notices(&self) -> &[Notice] {
        self.node.notices()
    }

    fn facts(&self) -> Option<Facts> {
        self.node.facts()
    }

    fn entry_at(&self, index: Index) -> Option<(Term, Chain)> {
        self.node.entry_at(index)
    }

    fn membership(&self) -> Option<&Membership> {
        self.node.membership()
    }

    fn state_digest(&self) -> Option<u64> {
        self.node.state_digest()
    }

    fn over_the_wire(message: &Message) -> Result<(), String> {
        Node::over_the_wire(message)
    }

    fn damaged_on_the_wire(message: &Message, flips: Draw) -> Result<bool, String> {
        Node::damaged_on_the_wire(message, flips)
    }

    fn digest(&self) -> u64 {
        Subject::digest(&self.node)
    }
}

/// One run, without twins: two processes of one name would be taken for one.
fn run(scenario: Scenario, seed: u64, bug: Bug) -> (Outcome, Counts) {
    SEEN.set(Seen {
        bug,
        ..Seen::default()
    });
    let mut spec = RunSpec::new(scenario, seed);
    spec.settings.push(("twins".to_owned(), 0));
    let setup = spec.setup().expect("a known setting");
    let outcome = World::<WithToy>::new(setup).run();
    (outcome, SEEN.take().counts)
}

fn sound(scenario: Scenario) {
    let mut total = Counts::default();
    let (mut boundary_crashes, mut events, mut fetched) = (0, 0, 0);
    for seed in 1..=SEEDS {
        let (outcome, counts) = run(scenario, seed, Bug::None);
        let name = scenario.name();
        assert!(
            outcome.violation.is_none(),
            "{name} seed {seed}: {:?}",
            outcome.violation
        );
        boundary_crashes += outcome.coverage.boundary_crashes;
        fetched += outcome.coverage.states_fetched;
        events += outcome.events;
        let Counts {
            starts,
            taken,
            jumps,
            repeats,
            added,
            read,
            words,
        } = counts;
        total.starts += starts;
        total.taken += taken;
        total.jumps += jumps;
        total.repeats += repeats;
        total.added += added;
        total.read += read;
        total.words += words;
    }
    println!(
        "{}: {SEEDS} seeds, {events} events, {boundary_crashes} crashes at boundaries, {fetched} \
         fetched states, {total:?}",
        scenario.name()
    );
    assert!(total.taken > 0 && total.added > 0 && total.read > 0 && total.words > 0);
}

#[test]
fn toys_beside_liars_are_sound() {
    sound(Scenario::BftByzantine);
}

#[test]
fn toys_on_the_platform_are_sound() {
    sound(Scenario::Platform);
}

#[test]
fn a_toy_that_breaks_the_rule_is_found() {
    for bug in [Bug::TrustsNotices, Bug::TakesRepeats] {
        let seed = (1..=SEEDS).find(|seed| {
            let (outcome, _) = run(Scenario::BftByzantine, *seed, bug);
            outcome
                .violation
                .is_some_and(|found| found.checker == "panic")
        });
        println!("{bug:?}: found by seed {seed:?}");
        assert!(seed.is_some(), "{bug:?}");
    }
}
