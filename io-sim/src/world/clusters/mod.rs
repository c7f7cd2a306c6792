//! Clusters: who is in which, what befalls their machines, and what they say.
//!
//! Without a ledger all nodes of a world are one cluster: its voters, spare nodes that
//! may join, and those that take the place of wiped machines. With one, validators are
//! put into clusters in turns. A member of a cluster keeps to Raft's rules even where it
//! is Byzantine towards the ledger: a cluster is one organisation, the ledger is not. Twins are in
//! no cluster, since a name has one process there, and neither is who finds no place among
//! its voters.
//!
//! | file | holds |
//! |---|---|
//! | `mod.rs` | who is in which cluster |
//! | `send.rs` | messages between members, and who notices whom |
//! | `damage.rs` | damaged and wiped machines |
//! | `heal.rs` | who stays dead |

mod damage;
mod heal;
mod send;

use std::ops::Range;

use decube_core::crypto::SharedSigner;
use decube_core::crypto::fake::FakeAuthority;
use decube_core::io::Volume;
use decube_core::limits::VOTERS_MAX;
use decube_core::raft::Membership;
use decube_core::types::{ClusterId, NodeId};

use super::host::{Host, Part};
use super::{World, ledger};
use crate::check::raft::slot_id;
use crate::config::SimConfig;
use crate::device::Device;
use crate::plan;
use crate::rng::{Domain, Keyed};
use crate::shell::cluster_config;
use crate::subject::Subject;

/// The cluster of a world without a ledger.
const ALONE: ClusterId = ClusterId(0xdec0_be00);
/// Tells the draws of a cluster's disk from those of the ledger's in the same slot.
const ENTITY: u64 = 1 << 24;

/// One cluster.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) id: ClusterId,
    /// What its clients and victims are drawn by.
    pub(super) seed: u64,
    /// The slots of its nodes, in order: voters of the first hour, then the others.
    pub(super) slots: Vec<usize>,
    pub(super) names: Vec<NodeId>,
    /// Who votes at the beginning.
    voters: Vec<NodeId>,
    /// The first place that stays empty until it replaces a wiped machine.
    replacements_from: usize,
    /// Its nodes whose disks may return something else than what was synced: always
    /// fewer than a quorum, because no protocol survives more.
    victims: Vec<usize>,
    /// The settings as they are for it.
    pub(super) config: SimConfig,
    /// Where clients of several clusters ask the same nodes, their requests have
    /// different numbers.
    pub(super) requests_behind: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    list: Vec<Cluster>,
    /// For each slot, its cluster and its place there.
    places: Vec<Option<(usize, usize)>>,
}

/// The slots of a world without a ledger.
pub(super) fn hosts<S: Subject>(config: &SimConfig, authority: &FakeAuthority) -> Vec<Host<S>> {
    let used = config.replacements_from();
    let host = |slot: u64| {
        let key = SharedSigner::new(authority.signer(slot));
        let mut host = Host::new(slot_id(place(slot)), key);
        host.dead = slot >= used;
        host
    };
    (0..config.slots()).map(host).collect()
}

impl Clusters {
    /// Puts the nodes of a world into their clusters, if it has any.
    pub(super) fn new<S: Subject>(
        seed: u64,
        has_ledger: bool,
        config: &SimConfig,
        hosts: &mut [Host<S>],
    ) -> Self {
        let mut clusters = Self {
            places: vec![None; hosts.len()],
            ..Self::default()
        };
        if !has_ledger {
            let slots = (0..hosts.len()).collect();
            clusters.add(seed, 0, ALONE, slots, config.clone(), 0, hosts);
            return clusters;
        }
        let of_ledger = if config.topology.replicas == 0 {
            0
        } else {
            config.topology.clusters
        };
        for number in 0..of_ledger {
            let id = ledger::cluster_of(&config.topology, number);
            let [voters, spares, replacements] = nodes_of(config, id, hosts);
            if voters.is_empty() {
                continue;
            }
            let mut config = config.clone();
            config.topology.nodes = count(&voters);
            config.topology.spares = count(&spares);
            config.topology.wipes = count(&replacements);
            config.load.clients = config.load.cluster_clients;
            let slots = [voters, spares, replacements].concat();
            let seed = seed ^ (number + 1) << 40;
            let first = (number + 1) << 48;
            clusters.add(seed, ENTITY, id, slots, config, first, hosts);
        }
        clusters
    }

    fn add<S: Subject>(
        &mut self,
        seed: u64,
        entity: u64,
        id: ClusterId,
        slots: Vec<usize>,
        config: SimConfig,
        requests_behind: u64,
        hosts: &mut [Host<S>],
    ) {
        let victims = plan::victims(seed, &config).into_iter();
        let victims: Vec<usize> = victims.map(|victim| slots[place(victim)]).collect();
        for (place, slot) in slots.iter().enumerate() {
            let entity = u64::try_from(*slot).expect("few slots") | entity;
            let mut device = Device::new(seed, entity);
            if victims.contains(slot) {
                device.disk.allow_lost_reads();
            }
            hosts[*slot].devices.insert(Volume::Cluster, device);
            self.places[*slot] = Some((self.list.len(), place));
        }
        let names: Vec<NodeId> = slots.iter().map(|slot| hosts[*slot].node).collect();
        let mut voters: Vec<NodeId> = names
            .iter()
            .take(place(config.topology.nodes))
            .copied()
            .collect();
        voters.sort_unstable();
        self.list.push(Cluster {
            id,
            seed,
            requests_behind,
            slots,
            names,
            voters,
            replacements_from: place(config.replacements_from()),
            victims,
            config,
        });
    }

    /// The node of a cluster that damage of a slot befalls: that slot, if it is within the
    /// budget, or another one that is.
    fn victim(&self, cluster: usize, slot: usize) -> Option<usize> {
        let victims = &self.list[cluster].victims;
        match victims.contains(&slot) {
            true => Some(slot),
            false => victims.get(slot % victims.len().max(1)).copied(),
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> &[Cluster] {
        &self.list
    }

    /// The number of the cluster of a slot.
    pub(super) fn of(&self, slot: usize) -> Option<usize> {
        self.places[slot].map(|(cluster, _)| cluster)
    }

    /// Whether two slots are in one cluster.
    pub(super) fn are_together(&self, one: usize, other: usize) -> bool {
        let cluster = |slot: usize| self.places[slot].map(|(cluster, _)| cluster);
        cluster(one).is_some() && cluster(one) == cluster(other)
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// The nodes of a cluster: the validators that find a place among its voters, spare
/// nodes, and those that replace wiped machines.
fn nodes_of<S: Subject>(config: &SimConfig, id: ClusterId, hosts: &[Host<S>]) -> [Vec<usize>; 3] {
    let among = |numbers: Range<u64>| -> Vec<usize> {
        let is_its = |at: &u64| ledger::cluster_of(&config.topology, *at) == id;
        let slots = numbers.filter(is_its).map(place);
        slots
            .filter(|slot| !matches!(hosts[*slot].part, Part::Twin))
            .collect()
    };
    let replacements_from = config.replacements_from();
    let mut voters = among(0..config.topology.nodes);
    voters.truncate(VOTERS_MAX);
    let spares = among(config.topology.nodes..replacements_from);
    [voters, spares, among(replacements_from..config.slots())]
}

fn count(slots: &[usize]) -> u64 {
    u64::try_from(slots.len()).expect("few slots")
}

fn place(number: u64) -> usize {
    usize::try_from(number).expect("few slots")
}

impl<S: Subject> World<S> {
    /// What a slot's part in its cluster is built from, if it is in one.
    pub(super) fn config_in_cluster(&self, slot: usize) -> Option<decube_core::cluster::Config> {
        let (cluster, _) = self.clusters.places[slot]?;
        let Cluster { id, voters, .. } = &self.clusters.list[cluster];
        let name = self.hosts[slot].node;
        // Who joins later knows nobody yet.
        let bootstrap = match voters.contains(&name) {
            true => Membership {
                voters: voters.clone(),
                ..Membership::default()
            },
            false => Membership::default(),
        };
        let entity = u64::try_from(slot).expect("few slots");
        let process = self.hosts[slot].process;
        let seed = Keyed::new(self.seed, Domain::NodeSeed).at(entity, process);
        let config = cluster_config(&self.config, self.mutant, name, *id, bootstrap, seed.0);
        Some(config)
    }

    /// The slot of a node of a cluster.
    fn slot_in(&self, cluster: usize, name: NodeId) -> Option<usize> {
        let Cluster { names, slots, .. } = &self.clusters.list[cluster];
        let place = names.iter().position(|known| *known == name)?;
        Some(slots[place])
    }
}
