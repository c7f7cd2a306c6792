//! Random schedules: loss, duplication, reordering, partitions, crashes, damaged
//! logs, compaction, reads, hand-overs and membership changes, in any order. The
//! checker watches every step; afterwards the faults stop and the cluster has to
//! make progress again.

use alloc::vec::Vec;

use super::cluster::{Cluster, Knobs, id};
use crate::mutant::Mutant;
use crate::raft::{Event, Membership, Role};
use crate::types::{Index, NodeId, Span};

/// Nodes of the world; the first three vote at first.
const NODES: u64 = 5;

/// What a schedule may contain.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    pub membership: bool,
    pub damage: bool,
    pub harsh: bool,
}

/// Runs one random schedule and then requires progress.
pub fn run_schedule(seed: u64, mix: Mix, mutant: Mutant, collect: bool) -> Cluster {
    let mut cluster = disturbed(seed, mix, mutant, collect);
    if collect && !cluster.checker.violations.is_empty() {
        return cluster;
    }
    cluster.heal();
    cluster.knobs.loss_percent = 0;
    cluster.knobs.duplicate_percent = 0;
    for number in 1..=NODES {
        let at = id(u128::from(number));
        if cluster.nodes[&at].raft.is_none() {
            cluster.start(at);
        }
    }
    require_progress(&mut cluster, seed);
    cluster
}

/// A schedule of faults and requests.
fn disturbed(seed: u64, mix: Mix, mutant: Mutant, collect: bool) -> Cluster {
    let knobs = Knobs {
        loss_percent: seed % 3 * 10,
        duplicate_percent: seed % 4 * 5,
        delay_max: Span::from_millis(1 + seed % 5 * 30),
        disk_max: Span::from_millis(1 + seed % 7 * 10),
        append_entries_max: 4,
        mutant,
    };
    let mut cluster = Cluster::with(3, seed, knobs);
    cluster.checker.collect = collect;
    for number in 4..=NODES {
        cluster.add(id(u128::from(number)), Membership::default());
    }
    for _ in 0..120 {
        act(&mut cluster, mix);
        let span = if mix.harsh { 120 } else { 400 };
        let pause = Span::from_millis(cluster.random(span));
        cluster.run(pause);
    }
    cluster
}

/// One random act.
fn act(cluster: &mut Cluster, mix: Mix) {
    let at = id(u128::from(cluster.random(NODES)) + 1);
    let leader = cluster.ready_leader().unwrap_or(at);
    let runs = cluster.nodes[&at].raft.is_some();
    match cluster.random(24) {
        0 | 1 if runs => cluster.crash(at),
        0..=2 if !runs => cluster.start(at),
        3 => cluster.isolate(at),
        4 => {
            let other = id(u128::from(cluster.random(NODES)) + 1);
            cluster.cut.insert((at, other));
        }
        5..=7 => cluster.heal(),
        8 => cluster.compact(at),
        9 => {
            cluster.event(leader, Event::Transfer { to: at });
        }
        10 | 11 if mix.membership => {
            let target = random_membership(cluster);
            cluster.change(leader, target);
        }
        12 if mix.damage => damage(cluster, at),
        13 => {
            cluster.read(at);
        }
        14 | 15 => {
            cluster.read(leader);
        }
        16 => {
            cluster.propose(at, b"stray");
        }
        _ => {
            for _ in 0..cluster.random(9) {
                cluster.propose(leader, b"x");
            }
        }
    }
}

/// A membership near the present one: everyone is a voter, a learner or neither.
fn random_membership(cluster: &mut Cluster) -> Membership {
    let mut target = Membership::default();
    for number in 1..=NODES {
        let node = id(u128::from(number));
        match cluster.random(5) {
            0..=2 => target.voters.push(node),
            3 => target.learners.push(node),
            _ => {}
        }
    }
    target
}

/// Damages one node's log, unless another one is still being repaired: a second
/// loss at a time is more than any quorum can bear.
fn damage(cluster: &mut Cluster, at: NodeId) {
    let healthy = cluster.nodes.values().all(|node| {
        node.disk.damaged_upto.is_none()
            && node
                .raft
                .as_ref()
                .is_none_or(|raft| raft.role() != Role::Repairing)
            && (node.raft.is_some() || !node.disk.was_damaged)
    });
    let disk = &cluster.nodes[&at].disk;
    let (first, last) = (disk.base.id.index, disk.last());
    if !healthy || first == last {
        return;
    }
    if cluster.nodes[&at].raft.is_some() {
        cluster.crash(at);
    }
    let offset = cluster.random(last.0 - first.0);
    cluster.damage(at, first.plus(offset + 1));
    cluster.start(at);
}

/// With all faults gone, a leader appears and every member applies its entry.
fn require_progress(cluster: &mut Cluster, seed: u64) {
    let found = cluster.run_until(Span::from_secs(60), |cluster| {
        cluster.ready_leader().is_some_and(|leader| {
            let raft = cluster.raft(leader);
            !raft.membership().is_joint() && raft.membership().votes(leader)
        })
    });
    assert!(found, "seed {seed}: no leader after the faults");
    for _ in 0..3 {
        let leader = cluster.elect();
        // Entries beyond whatever a repairing node may have acknowledged.
        for _ in 0..40 {
            cluster.propose(leader, b"end");
        }
        cluster.run(Span::from_secs(3));
    }
    let leader = cluster.elect();
    let target = cluster.raft(leader).committed();
    let members = cluster.raft(leader).membership().members();
    let done = cluster.run_until(Span::from_secs(30), |cluster| {
        members
            .iter()
            .all(|at| cluster.nodes[at].state.applied.index >= target)
    });
    assert!(done, "seed {seed}: a member does not catch up");
    let states: Vec<_> = members
        .iter()
        .map(|at| {
            (
                cluster.nodes[at].state.applied,
                &cluster.nodes[at].state.commands,
            )
        })
        .collect();
    assert!(
        states.windows(2).all(|pair| pair[0] == pair[1]),
        "seed {seed}: the states differ"
    );
    assert!(
        target > Index(60),
        "seed {seed}: hardly anything was committed"
    );
}

#[test]
fn crashes_and_a_bad_network_break_no_promise() {
    for seed in 0..150 {
        let mix = Mix {
            membership: false,
            damage: false,
            harsh: seed % 2 == 0,
        };
        run_schedule(seed, mix, Mutant::None, false);
    }
}

#[test]
fn membership_changes_break_no_promise() {
    let mut reads = 0;
    for seed in 1000..1150 {
        let mix = Mix {
            membership: true,
            damage: false,
            harsh: seed % 2 == 0,
        };
        reads += run_schedule(seed, mix, Mutant::None, false).reads_ready;
    }
    assert!(reads > 100, "the schedules hardly read anything");
}

#[test]
fn damaged_logs_break_no_promise() {
    for seed in 2000..2150 {
        let mix = Mix {
            membership: false,
            damage: true,
            harsh: seed % 2 == 0,
        };
        run_schedule(seed, mix, Mutant::None, false);
    }
}
