//! The link from the ledger to the toy, crashed at every effect boundary.

use std::collections::{BTreeMap, VecDeque};

use decube_core::bft::Height;
use decube_core::io::Volume;
use decube_core::ledger;
use decube_core::mutant::Mutant;
use decube_core::node::{Config, Event, Response};
use decube_core::rig::{Disk, Loss};
use decube_core::toy::{Bug, Position, Request, Response as ToyResponse, Toy};
use decube_toy_tests::expect::Blocks;
use decube_toy_tests::nodes::Nodes;
use decube_toy_tests::world::{Crash, World};

/// The blocks of a run.
const BLOCKS: u64 = 24;
/// Those of a run behind pruned ones.
const BLOCKS_MORE: u64 = 12;
/// Blocks that are there before a toy is.
const OLD_BLOCKS: u64 = 34;
/// Blocks that a node keeps which prunes.
const KEPT: u64 = 6;
/// Runs that crash again and again.
const STORMS: u64 = 200;

const LOSSES: [Loss; 3] = [
    Loss::Process,
    Loss::Power { batches_kept: 0 },
    // The log is cut back, and the store had written everything all the same.
    Loss::Power {
        batches_kept: usize::MAX,
    },
];
const SLOW: [Option<(Volume, u64)>; 3] = [None, Some((Volume::Toy, 3)), Some((Volume::Ledger, 0))];

/// How a run is disturbed.
#[derive(Debug, Clone, Default)]
struct Plan {
    slow: Option<(Volume, u64)>,
    crashes: VecDeque<Crash>,
    bug: Bug,
    /// What is wrong with the notices of the hub.
    mutant: Mutant,
}

/// Where a run begins.
struct Beginning<'a> {
    nodes: &'a Nodes,
    config: Config,
    volumes: BTreeMap<Volume, Disk>,
    blocks: Blocks,
    /// How many more there will be.
    more: u64,
}

impl<'a> Beginning<'a> {
    fn new(nodes: &'a Nodes) -> Self {
        Self {
            nodes,
            config: nodes.config(0),
            volumes: BTreeMap::new(),
            blocks: Blocks::default(),
            more: BLOCKS,
        }
    }
}

/// What is left of a run.
struct Ended {
    world: World,
    position: Position,
}

impl Ended {
    fn complaint(&self) -> Option<String> {
        self.world.blocks.complaint(self.position)
    }

    /// Blocks that the toy has jumped over.
    fn jumped(&self) -> u64 {
        self.position.height.0 - self.position.blocks
    }
}

/// A validator alone with its toy; a client submits transactions and adds numbers.
fn run(from: &Beginning<'_>, plan: Plan) -> Ended {
    let mut world = World::new();
    world.slow = plan.slow;
    world.crashes = plan.crashes;
    world.blocks = from.blocks.clone();
    let mut config = from.config.clone();
    config.toy.as_mut().expect("it has a toy").bug = plan.bug;
    plant(&mut config, plan.mutant);
    world.add(config, from.volumes.clone());
    let mut added = Vec::new();
    let first = world.blocks.tip().0;
    for sequence in first..first + from.more {
        if sequence.is_multiple_of(4) {
            added.push(world.ask(Request::Add { number: 1 }));
        }
        next_block(&mut world, 0, from.nodes, sequence);
    }
    world.crashes.clear();
    settle(&mut world);
    let position = world.position().expect("it runs");
    let acknowledged = added.iter().filter(|id| {
        let reply = world.replies.get(id);
        matches!(reply, Some(Response::Toy(ToyResponse::Added { .. })))
    });
    let acknowledged = acknowledged.count() as u64;
    assert!(
        (acknowledged..=added.len() as u64).contains(&position.sum),
        "{acknowledged} were acknowledged: {position:?}"
    );
    stop(&mut world);
    Ended { world, position }
}

/// Gives the hub a planted bug: it takes the one of a part.
fn plant(config: &mut Config, mutant: Mutant) {
    config.ledger.as_mut().expect("it has a ledger").mutant = mutant;
}

/// Hands a transaction in and waits for the next final block.
fn next_block(world: &mut World, at: usize, nodes: &Nodes, sequence: u64) {
    let target = world.blocks.tip().next();
    let request = ledger::Request::Submit {
        transaction: nodes.note(sequence),
        wait: false,
    };
    world.ask_of(at, request);
    world.run_until("a block", |world| world.blocks.tip() >= target);
}

/// Until the toy has everything.
fn settle(world: &mut World) {
    world.run_until("a toy that follows", |world| {
        let at = world.position().map(|position| position.height);
        world.node().toy().is_some_and(Toy::is_following) && at >= Some(world.blocks.tip())
    });
}

/// A graceful end, after which the volume says what the toy had.
fn stop(world: &mut World) {
    let before = world.position().expect("it runs");
    world.tell(Event::Shutdown);
    world.run_until("an end", |world| world.machine().is_stopped);
    world.crash(world.watched, Loss::Power { batches_kept: 0 }, false);
    world.boot(world.watched);
    world.run_until("a start", |world| world.position().is_some());
    let after = world.position().expect("just seen");
    assert!(after.height >= before.height && after.sum == before.sum);
}

/// Every way to crash after an effect.
fn crashes(after: u64) -> impl Iterator<Item = Crash> {
    let each = LOSSES
        .into_iter()
        .flat_map(|loss| [(loss, false), (loss, true)]);
    each.map(move |(loss, is_carried_out)| Crash {
        after,
        loss,
        is_carried_out,
    })
}

/// Numbers that a seed gives.
fn draw(state: &mut u64, below: u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state % below
}

/// Runs that crash once, at each boundary in each way.
fn at_every_boundary(of: &str, run: impl Fn(Plan) -> Ended, mut check: impl FnMut(&Ended)) {
    let (mut runs, mut read) = (0_u64, 0_u64);
    let mut boundaries = Vec::new();
    for slow in SLOW {
        let plan = |crashes| Plan {
            slow,
            crashes,
            ..Plan::default()
        };
        let reference = run(plan(VecDeque::new()));
        assert_eq!(reference.complaint(), None, "{slow:?}");
        check(&reference);
        boundaries.push(reference.world.effects);
        for crash in (1..=reference.world.effects).flat_map(crashes) {
            let ended = run(plan([crash].into()));
            assert_eq!(ended.complaint(), None, "{slow:?} {crash:?}");
            check(&ended);
            runs += 1;
            read += ended.world.runs;
        }
    }
    println!("{of}: boundaries {boundaries:?}, runs {runs}, runs of blocks read {read}");
}

#[test]
fn a_crash_at_any_effect_leaves_no_gap_and_nothing_twice() {
    let nodes = Nodes::new(1);
    let from = Beginning::new(&nodes);
    at_every_boundary(
        "one node",
        |plan| run(&from, plan),
        |ended| {
            assert_eq!(ended.jumped(), 0);
            assert!(ended.position.height >= Height(BLOCKS));
        },
    );
}

#[test]
fn many_crashes_leave_no_gap_and_nothing_twice() {
    let nodes = Nodes::new(1);
    let from = Beginning::new(&nodes);
    let mut crashed = 0;
    for seed in 1..=STORMS {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut after = 0;
        let crashes = (0..16).map(|_| {
            after += 1 + draw(&mut state, 50);
            Crash {
                after,
                loss: LOSSES[draw(&mut state, 3) as usize],
                is_carried_out: draw(&mut state, 2) == 1,
            }
        });
        let crashes = crashes.collect();
        let slow = SLOW[draw(&mut state, 3) as usize];
        let plan = Plan {
            slow,
            crashes,
            ..Plan::default()
        };
        let ended = run(&from, plan);
        assert_eq!(ended.complaint(), None, "seed {seed}");
        assert_eq!(ended.jumped(), 0, "seed {seed}");
        crashed += ended.world.crashed;
    }
    println!("storms {STORMS}, crashes {crashed}");
}

/// A node whose ledger has pruned its first blocks before it had a toy.
fn pruned(nodes: &Nodes) -> Beginning<'_> {
    let mut config = nodes.config(0);
    config
        .ledger
        .as_mut()
        .expect("it has a ledger")
        .retain_blocks = KEPT;
    let mut world = World::new();
    world.add(
        Config {
            toy: None,
            ..config.clone()
        },
        BTreeMap::new(),
    );
    for sequence in 0..OLD_BLOCKS {
        next_block(&mut world, 0, nodes, sequence);
    }
    world.tell(Event::Shutdown);
    world.run_until("an end", |world| world.machine().is_stopped);
    Beginning {
        nodes,
        config,
        volumes: world.machines.remove(0).volumes,
        blocks: world.blocks,
        more: BLOCKS_MORE,
    }
}

#[test]
fn what_was_pruned_before_is_jumped_over_once() {
    let nodes = Nodes::new(1);
    let from = pruned(&nodes);
    let old = from.blocks.tip().0;
    let mut jumps = BTreeMap::new();
    at_every_boundary(
        "pruned",
        |plan| run(&from, plan),
        |ended| {
            // The epoch that ended last was behind the blocks that are kept.
            let jumped = ended.jumped();
            assert!(jumped >= old - 10 - 2 * KEPT && jumped < ended.position.height.0);
            *jumps.entry(jumped).or_insert(0_u64) += 1;
        },
    );
    println!("pruned: jumps by length {jumps:?}");
}

/// A node that fetches the state of a validator that is far ahead.
fn fetch(nodes: &Nodes, plan: Plan) -> Ended {
    let mut world = World::new();
    world.watched = 1;
    for node in 0..2 {
        let mut config = nodes.config(node);
        let ledger = config.ledger.as_mut().expect("it has a ledger");
        ledger.checkpoint_blocks = 8;
        ledger.fetch_behind = 10;
        if node == 1 {
            plant(&mut config, plan.mutant);
            world.slow = plan.slow;
            world.crashes.clone_from(&plan.crashes);
        }
        world.add(config, BTreeMap::new());
        if node == 0 {
            for sequence in 0..OLD_BLOCKS {
                next_block(&mut world, 0, nodes, sequence);
            }
        }
    }
    for sequence in OLD_BLOCKS..OLD_BLOCKS + 6 {
        next_block(&mut world, 0, nodes, sequence);
    }
    settle(&mut world);
    world.crashes.clear();
    next_block(&mut world, 0, nodes, OLD_BLOCKS + 6);
    settle(&mut world);
    let position = world.position().expect("it runs");
    Ended { world, position }
}

#[test]
fn a_fetched_state_is_one_jump() {
    let nodes = Nodes::new(2);
    let reference = fetch(&nodes, Plan::default());
    assert!(reference.world.replaced > 0 && reference.jumped() > 0);
    let mut world = reference.world;
    let asked = world.ask(Request::Read);
    world.run_until("an answer", |world| world.replies.contains_key(&asked));
    let Response::Toy(ToyResponse::Read(view)) = &world.replies[&asked] else {
        panic!("{:?}", world.replies[&asked]);
    };
    let other = view.peers.get(&nodes.id(0)).copied();
    assert!(other > Some(Height(OLD_BLOCKS / 2)), "{view:?}");
    let words = world.words;
    let mut jumps = BTreeMap::new();
    at_every_boundary(
        "fetched",
        |plan| fetch(&nodes, plan),
        |ended| {
            assert!(ended.jumped() > 0, "{:?}", ended.position);
            *jumps.entry(ended.jumped()).or_insert(0_u64) += 1;
        },
    );
    println!("fetched: {words} words of toys in the first run, jumps by length {jumps:?}");
}

#[test]
fn a_follower_that_breaks_the_rule_is_caught() {
    let nodes = Nodes::new(1);
    let from = Beginning::new(&nodes);
    for bug in [Bug::TrustsNotices, Bug::TakesRepeats] {
        let (mut caught, mut runs) = (0_u64, 0_u64);
        let plan = |crashes| Plan {
            crashes,
            bug,
            ..Plan::default()
        };
        let reference = run(&from, plan(VecDeque::new()));
        assert_eq!(reference.complaint(), None, "{bug:?} shows in a crash only");
        for crash in (1..=reference.world.effects).flat_map(crashes) {
            let ended = run(&from, plan([crash].into()));
            caught += u64::from(ended.complaint().is_some());
            runs += 1;
        }
        println!("{bug:?}: caught in {caught} of {runs} runs");
        assert!(caught > 0, "{bug:?}");
    }
}

#[test]
#[should_panic(expected = "what a link causes becomes a notice only after an answer of the shell")]
fn what_links_cause_without_end_is_refused() {
    let nodes = Nodes::new(1);
    let plan = Plan {
        bug: Bug::AnswersItself,
        ..Plan::default()
    };
    run(&Beginning::new(&nodes), plan);
}

/// A node that catches up has many blocks to tell in one step, and tells the last one first.
#[test]
fn notices_in_another_order_leave_no_gap_and_nothing_twice() {
    let nodes = Nodes::new(2);
    let plan = |crashes| Plan {
        crashes,
        mutant: Mutant::NodeReordersNotices,
        ..Plan::default()
    };
    let reference = fetch(&nodes, plan(VecDeque::new()));
    assert!(reference.world.told_several > 0, "there is an order");
    let crashes = (1..=reference.world.effects).flat_map(crashes);
    for crash in core::iter::once(None).chain(crashes.map(Some)) {
        let ended = fetch(&nodes, plan(crash.into_iter().collect()));
        assert_eq!(ended.complaint(), None, "{crash:?}");
    }
}

/// What a toy reads on is told by a notice as well, and is an answer: blocks may come again,
/// answers never do. The toy does not go on with a hub that tells one twice.
#[test]
#[should_panic(expected = "one answer for each question")]
fn an_answer_that_comes_twice_is_refused() {
    let nodes = Nodes::new(1);
    let plan = Plan {
        mutant: Mutant::NodeDoublesNotice,
        ..Plan::default()
    };
    run(&Beginning::new(&nodes), plan);
}

/// Every notice is lost, so the toy learns nothing, and that is seen: it lags. It has no gap
/// either, and has everything as soon as it hears something.
#[test]
fn notices_that_are_lost_leave_a_toy_behind_and_no_gap() {
    let nodes = Nodes::new(1);
    let sound = nodes.config(0);
    let mut deaf = sound.clone();
    plant(&mut deaf, Mutant::NodeDropsNotice);
    let mut world = World::new();
    world.add(deaf, BTreeMap::new());
    for sequence in 0..BLOCKS {
        next_block(&mut world, 0, &nodes, sequence);
        let position = world.position().unwrap_or_default();
        assert_eq!(world.blocks.complaint(position), None);
    }
    let lags = world.position().unwrap_or_default();
    assert!(lags.height < world.blocks.tip(), "{lags:?}");
    world.machines[0].config = sound;
    world.crash(0, Loss::Process, false);
    world.boot(0);
    settle(&mut world);
    let position = world.position().expect("it runs");
    assert_eq!(world.blocks.complaint(position), None);
    assert_eq!(position.height.0, position.blocks, "nothing is left out");
}

/// A toy that is not told of a fetched state hears of the next block, which leads too far:
/// it reads on, and jumps all the same.
#[test]
fn a_replaced_state_that_is_not_told_is_jumped_over() {
    let nodes = Nodes::new(2);
    let ended = fetch(
        &nodes,
        Plan {
            mutant: Mutant::NodeForgetsReplaced,
            ..Plan::default()
        },
    );
    assert_eq!(ended.world.replaced, 0, "nobody was told");
    assert_eq!(ended.complaint(), None);
    assert!(ended.jumped() > 0, "{:?}", ended.position);
}
