//! The ledger: who validates at the beginning, who is Byzantine, and how much power is Byzantine at
//! most.
//!
//! A Byzantine validator is an honest process whose messages pass through a [`ByzantineNode`] on
//! their way out, which holds its key and no other; so its deviations fit the situation. How they
//! deviate, and what twins are, stands in [`adversary`](crate::adversary).
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | who validates, who is Byzantine, and who cannot be counted on |
//! | `config.rs` | what a node's part in the ledger is built from |
//! | `send.rs` | messages, and whom of two twins one hears |
//! | `budget.rs` | how much may fail at once |
//! | `faults.rs` | damaged and lost disks |
//! | `heal.rs` | who stays dead, and what must follow |

pub(super) mod budget;
mod config;
mod faults;
mod heal;
mod send;

use std::collections::BTreeSet;

use decube_core::crypto::fake::FakeAuthority;
use decube_core::crypto::{SharedSigner, Signer as _};
use decube_core::io::Volume;
use decube_core::ledger::{Genesis, Ledger, Member, Param, Params, TimeMs, normalise};
use decube_core::types::{ClusterId, NodeId};

use super::host::{Host, Part};
use super::{MILLI, SimEvent, World};
use crate::adversary::ByzantineNode;
use crate::clock::WALL_EPOCH_NS;
use crate::config::{SimConfig, TopologySettings};
use crate::device::Device;
use crate::rng::{Domain, Stream};
use crate::subject::Subject;
pub(super) use heal::{calm, standing};

/// The first signer that is a further key of a node.
const VOTING_KEYS_FROM: u64 = 500;

/// The cluster of a slot: clusters take turns.
pub(crate) fn cluster_of(topology: &TopologySettings, slot: u64) -> ClusterId {
    ClusterId(u128::from(slot % topology.clusters.max(1)) + 1)
}

/// How the ledger of a run begins, or would begin if its nodes had one.
pub(super) fn genesis(authority: &FakeAuthority, config: &SimConfig) -> Genesis {
    let members = (0..config.topology.nodes).map(|number| {
        let key = *authority.signer(number).public_key();
        Member::new(key.node_id(), key, cluster_of(&config.topology, number), 1)
    });
    let mut params = Params::default();
    let (least, most) = Param::EpochBlocks.bounds();
    let blocks = config.ledger.epoch_blocks.clamp(least, most);
    params
        .set(Param::EpochBlocks, blocks)
        .expect("clamped to its bounds");
    Genesis {
        name: "simulated".to_owned(),
        time: TimeMs(WALL_EPOCH_NS / 1_000_000 - 60_000),
        params,
        members: members.collect(),
    }
}

/// The slots: validators, followers, and the second halves of twins.
pub(super) fn hosts<S: Subject>(
    seed: u64,
    config: &SimConfig,
    authority: &FakeAuthority,
    genesis: &Genesis,
) -> Vec<Host<S>> {
    let host = |slot: u64| named_by(SharedSigner::new(authority.signer(slot)));
    let mut hosts: Vec<Host<S>> = (0..config.slots()).map(host).collect();
    for (number, host) in (VOTING_KEYS_FROM..).zip(&mut hosts) {
        host.voting_key = Some(SharedSigner::new(authority.signer(number)));
    }
    let byzantine = choose_byzantine(seed, config, genesis, &hosts);
    let second = second_side(&hosts, &byzantine);
    for (number, slot) in (0..).zip(&byzantine) {
        let signer = u64::try_from(*slot).expect("few slots");
        if number < config.adversary.twins {
            hosts[*slot].part = Part::Twin;
            let mut second = named_by(hosts[*slot].key.clone());
            second.part = Part::Twin;
            hosts.push(second);
        } else {
            let key = authority.signer(signer);
            let byzantine =
                ByzantineNode::new(seed, signer, key, genesis.chain(), config, second.clone());
            hosts[*slot].part = Part::Byzantine(Box::new(byzantine));
        }
    }
    for (entity, host) in (0..).zip(&mut hosts) {
        host.devices
            .insert(Volume::Ledger, Device::new(seed, entity));
        let replaces = config.replacements_from()..config.slots();
        host.dead = replaces.contains(&entity);
    }
    hosts
}

/// A slot whose name follows from its key.
fn named_by<S: Subject>(key: SharedSigner) -> Host<S> {
    Host::new(key.public_key().node_id(), key)
}

/// As many of the wanted Byzantine validators as the budget allows: less than a third of the power.
/// In runs that are to fork, as many as it takes, but no quorum: a fork by a quorum of
/// Byzantine validators need not convict anybody. Where that is what the run is about, just a
/// quorum.
fn choose_byzantine<S: Subject>(
    seed: u64,
    config: &SimConfig,
    genesis: &Genesis,
    hosts: &[Host<S>],
) -> Vec<usize> {
    let mut stream = Stream::new(seed, Domain::Byzantine);
    let mut order: Vec<usize> = (0..genesis.members.len()).collect();
    stream.shuffle(&mut order);
    let wanted = usize::try_from(config.adversary.byzantine_nodes).expect("few validators");
    let mut byzantine: Vec<usize> = Vec::new();
    for slot in order {
        let more = [byzantine.as_slice(), &[slot]].concat();
        let members = &genesis.members;
        let may = match config.adversary.fork {
            1 => !can_fork(members, hosts, &byzantine) && !is_quorum(members, &named(hosts, &more)),
            2 => {
                let is_last = more.len() == members.len();
                !is_last && !is_quorum(members, &named(hosts, &byzantine))
            }
            _ => byzantine.len() < wanted && is_within_budget(members, &named(hosts, &more)),
        };
        if may {
            byzantine = more;
        }
    }
    byzantine
}

/// Whether Byzantine validators are a quorum with each half of the others.
fn can_fork<S: Subject>(members: &[Member], hosts: &[Host<S>], byzantine: &[usize]) -> bool {
    let second = second_side(hosts, byzantine);
    let with = |side: bool| {
        let validators = hosts.iter().take(members.len()).enumerate();
        let its = validators
            .filter(|(slot, host)| byzantine.contains(slot) || second.contains(&host.node) == side);
        let nodes: Vec<NodeId> = its.map(|(_, host)| host.node).collect();
        is_quorum(members, &nodes)
    };
    with(false) && with(true)
}

/// Every other honest node: the half that hears of the second of two blocks.
fn second_side<S: Subject>(hosts: &[Host<S>], byzantine: &[usize]) -> BTreeSet<NodeId> {
    let honest = hosts.iter().enumerate();
    let honest = honest.filter(|(slot, _)| !byzantine.contains(slot));
    honest
        .skip(1)
        .step_by(2)
        .map(|(_, host)| host.node)
        .collect()
}

fn named<S: Subject>(hosts: &[Host<S>], slots: &[usize]) -> Vec<NodeId> {
    slots.iter().map(|slot| hosts[*slot].node).collect()
}

/// Whether Byzantine validators have less than a third of the power of these members.
pub(super) fn is_within_budget(members: &[Member], byzantine: &[NodeId]) -> bool {
    share_of(members, byzantine).is_some_and(|(power, total)| power * 3 < total)
}

/// Whether nodes are a quorum of these members.
pub(super) fn is_quorum(members: &[Member], nodes: &[NodeId]) -> bool {
    share_of(members, nodes).is_some_and(|(power, total)| power * 3 > total * 2)
}

/// The power of nodes among these members, and that of all.
fn share_of(members: &[Member], nodes: &[NodeId]) -> Option<(u128, u128)> {
    let set = normalise(members).ok()?;
    let all = set.iter().map(|(_, validator)| validator);
    let named = all.filter(|validator| nodes.contains(&validator.node));
    let power = named.map(|validator| u128::from(validator.power.0)).sum();
    Some((power, set.total()))
}

/// The running honest process that has the most final blocks.
pub(crate) fn furthest<S: Subject>(hosts: &[Host<S>]) -> Option<&Ledger> {
    let honest = hosts.iter().filter(|host| host.is_honest());
    let running = honest.filter_map(|host| host.ledger());
    running
        .filter(|ledger| ledger.ledger_state().is_some())
        .max_by_key(|ledger| ledger.tip().map(|tip| tip.height))
}

/// The validators as the furthest node knows them.
pub(crate) fn members<S: Subject>(hosts: &[Host<S>]) -> Option<Vec<Member>> {
    Some(furthest(hosts)?.ledger_state()?.members().to_vec())
}

/// The Byzantine validators.
fn byzantine_nodes<S: Subject>(hosts: &[Host<S>]) -> Vec<NodeId> {
    let byzantine = hosts.iter().filter(|host| !host.is_honest());
    byzantine.map(|host| host.node).collect()
}

/// Who cannot be counted on: the Byzantine validators, honest nodes that lost their disk
/// and do not vote yet, machines that are gone or may end, and those that are not there
/// yet.
fn faulty_nodes<S: Subject>(hosts: &[Host<S>]) -> Vec<NodeId> {
    let is_absent =
        |host: &Host<S>| host.is_gone || host.is_at_risk || host.dead && host.process == 0;
    let faulty = hosts
        .iter()
        .filter(|host| !host.is_honest() || host.asks() || is_absent(host));
    faulty.map(|host| host.node).collect()
}
