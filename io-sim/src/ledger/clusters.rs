//! The clusters that the validators belong to, in worlds that have them: who is in which,
//! their clients, and their checkers.
//!
//! A member of a cluster keeps to Raft's rules even where it lies to the ledger: a cluster
//! is one organisation, the ledger is not. Twins are in no cluster, since a name has one
//! process there, and neither is who finds no place among its voters.

use decube_core::cluster::{Request, Response};
use decube_core::io::Volume;
use decube_core::limits::VOTERS_MAX;
use decube_core::node::{Event, Message};
use decube_core::part::Scope;
use decube_core::raft::{Membership, Role};
use decube_core::types::{ClusterId, Index, NodeId, RequestId};

use super::host::{Host, Part};
use super::load::Caller;
use super::{Happening, LedgerWorld, MILLI, parts};
use crate::check::history;
use crate::check::raft::{Finding, RaftChecker};
use crate::client::{Clients, Ending, Intent};
use crate::config::SimConfig;
use crate::device::Device;
use crate::fingerprint::message_size;
use crate::rng::{Domain, Keyed};
use crate::shell::cluster_config;
use crate::subject::Subject as _;
use crate::workload::Workload;

/// Tells the draws of a cluster's disk from those of the ledger's in the same slot.
const ENTITY: u64 = 1 << 24;
/// Operations that each client must complete after the faults ended.
const OPERATIONS_AFTER_HEAL: u64 = 3;

/// One cluster.
#[derive(Debug)]
struct Cluster {
    id: ClusterId,
    /// The slots of its members, in order.
    slots: Vec<usize>,
    names: Vec<NodeId>,
    /// The settings as its clients see them.
    config: SimConfig,
    clients: Clients,
    checker: RaftChecker,
}

/// Something that will happen between a cluster and its clients.
#[derive(Debug, Clone)]
pub(super) enum InCluster {
    Call {
        caller: (usize, usize),
        slot: usize,
        id: RequestId,
        request: Box<Request>,
    },
    Answer {
        caller: (usize, usize),
        id: RequestId,
        ending: Ending,
    },
    Client {
        cluster: usize,
        client: usize,
        generation: u64,
    },
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Clusters {
    list: Vec<Cluster>,
    /// For each slot, its cluster and its place there.
    places: Vec<Option<(usize, usize)>>,
    intents: Vec<Intent>,
}

impl Clusters {
    /// Puts the nodes of a world into their clusters, if it has any.
    pub(super) fn new(
        seed: u64,
        config: &SimConfig,
        workload: &Workload,
        hosts: &mut [Host],
    ) -> Self {
        let mut clusters = Self {
            places: vec![None; hosts.len()],
            ..Self::default()
        };
        if config.replicas == 0 {
            return clusters;
        }
        for number in 0..config.clusters {
            let id = parts::cluster_of(config, number);
            let is_member = |slot: &usize| {
                let at = u64::try_from(*slot).expect("few slots");
                let is_twin = matches!(hosts[*slot].part, Part::Twin);
                at < config.nodes && !is_twin && parts::cluster_of(config, at) == id
            };
            let slots: Vec<usize> = (0..hosts.len())
                .filter(is_member)
                .take(VOTERS_MAX)
                .collect();
            if slots.is_empty() {
                continue;
            }
            for (place, slot) in slots.iter().enumerate() {
                let entity = u64::try_from(*slot).expect("few slots") | ENTITY;
                let device = Device::new(seed, entity);
                hosts[*slot].devices.insert(Volume::Cluster, device);
                clusters.places[*slot] = Some((clusters.list.len(), place));
            }
            let names: Vec<NodeId> = slots.iter().map(|slot| hosts[*slot].node).collect();
            let config = SimConfig {
                nodes: u64::try_from(slots.len()).expect("few slots"),
                spares: 0,
                clients: config.cluster_clients,
                ..config.clone()
            };
            let clients = Clients::new(seed ^ (number + 1) << 40, &config, workload.clone());
            clusters.list.push(Cluster {
                id,
                clients: clients.with_requests_from((number + 1) << 48),
                checker: RaftChecker::new(names.clone()),
                slots,
                names,
                config,
            });
        }
        clusters
    }

    /// A node is about to take a step.
    pub(super) fn begin_step(&mut self, slot: usize, event: u64) {
        if let Some((cluster, _)) = self.places[slot] {
            self.list[cluster].checker.begin(event);
        }
    }

    /// A new process of a slot starts.
    pub(super) fn started(&mut self, slot: usize) {
        if let Some((cluster, place)) = self.places[slot] {
            self.list[cluster].checker.started(place);
        }
    }

    /// The faults end: clients are patient no longer than elsewhere.
    pub(super) fn calm(&mut self) {
        for cluster in &mut self.list {
            crate::world::calm(&mut cluster.config);
        }
    }

    /// Whether each cluster has a majority without these slots.
    pub(super) fn can_do_without(&self, dead: &[usize]) -> bool {
        self.list.iter().all(|cluster| {
            let living = cluster.slots.iter().filter(|slot| !dead.contains(slot));
            living.count() * 2 > cluster.slots.len()
        })
    }

    /// What the clients of all clusters have completed.
    pub(super) fn completed_each(&self) -> Vec<u64> {
        let each = self.list.iter();
        each.flat_map(|cluster| cluster.clients.completed_each())
            .collect()
    }

    /// Whether every client was served since.
    pub(super) fn has_served(&self, start: &[u64]) -> bool {
        let each = self.completed_each();
        let mut each = each.iter().zip(start);
        each.all(|(now, then)| *now >= then + OPERATIONS_AFTER_HEAL)
    }

    /// What each cluster has committed.
    pub(super) fn committed(&self) -> Vec<Index> {
        let all = self.list.iter();
        all.map(|cluster| cluster.checker.committed()).collect()
    }
}

impl LedgerWorld {
    pub(super) fn begin_clusters(&mut self) {
        for cluster in 0..self.clusters.list.len() {
            for client in 0..self.clusters.list[cluster].clients.len() {
                let happening = InCluster::Client {
                    cluster,
                    client,
                    generation: 0,
                };
                self.schedule(MILLI, Happening::OfCluster(happening));
            }
        }
    }

    /// What a slot's part in its cluster is built from, if it is in one.
    pub(super) fn config_in_cluster(&self, slot: usize) -> Option<decube_core::cluster::Config> {
        let (cluster, place) = self.clusters.places[slot]?;
        let Cluster { id, names, .. } = &self.clusters.list[cluster];
        let mut voters = names.clone();
        voters.sort_unstable();
        let bootstrap = Membership {
            voters,
            ..Membership::default()
        };
        let entity = u64::try_from(slot).expect("few slots");
        let process = self.hosts[slot].process;
        let seed = Keyed::new(self.seed, Domain::NodeSeed).at(entity, process);
        let names = (names[place], *id);
        let config = cluster_config(&self.config, self.mutant, names, bootstrap, seed.0);
        Some(config)
    }

    pub(super) fn happen_in_cluster(&mut self, happening: InCluster) -> Result<(), Finding> {
        match happening {
            InCluster::Call {
                caller,
                slot,
                id,
                request,
            } => self.take_call_of_cluster(caller, slot, id, *request),
            InCluster::Answer { caller, id, ending } => {
                self.call_of_cluster_ended(caller, id, ending)
            }
            InCluster::Client {
                cluster,
                client,
                generation,
            } => {
                self.client_of_cluster_wakes(cluster, client, generation);
                Ok(())
            }
        }
    }

    fn client_of_cluster_wakes(&mut self, cluster: usize, client: usize, generation: u64) {
        let mut intents = std::mem::take(&mut self.clusters.intents);
        let Cluster {
            config, clients, ..
        } = &mut self.clusters.list[cluster];
        clients.wake(config, client, generation, &mut intents);
        self.carry_out(cluster, intents);
    }

    /// A call of a client has ended.
    fn call_of_cluster_ended(
        &mut self,
        (cluster, client): (usize, usize),
        id: RequestId,
        ending: Ending,
    ) -> Result<(), Finding> {
        let mut intents = std::mem::take(&mut self.clusters.intents);
        let Cluster {
            config, clients, ..
        } = &mut self.clusters.list[cluster];
        let outcome = clients.ended(config, client, id, ending, &mut intents);
        self.carry_out(cluster, intents);
        outcome
    }

    fn carry_out(&mut self, cluster: usize, mut intents: Vec<Intent>) {
        for intent in intents.drain(..) {
            match intent {
                Intent::Call {
                    client,
                    slot,
                    id,
                    request,
                } => {
                    let slot = self.clusters.list[cluster].slots[slot];
                    let at = self.now + self.client_delay();
                    let happening = InCluster::Call {
                        caller: (cluster, client),
                        slot,
                        id,
                        request: Box::new(request),
                    };
                    self.schedule(at, Happening::OfCluster(happening));
                }
                Intent::Timer {
                    client,
                    generation,
                    after,
                } => {
                    let happening = InCluster::Client {
                        cluster,
                        client,
                        generation,
                    };
                    let at = self.now.saturating_add(after);
                    self.schedule(at, Happening::OfCluster(happening));
                }
                Intent::Cancel { slot, id } => {
                    let slot = self.clusters.list[cluster].slots[slot];
                    let at = self.now + self.client_delay();
                    self.schedule(at, Happening::Cancel { slot, id });
                }
            }
        }
        self.clusters.intents = intents;
    }

    /// A client asks a member of its cluster.
    fn take_call_of_cluster(
        &mut self,
        caller: (usize, usize),
        slot: usize,
        id: RequestId,
        request: Request,
    ) -> Result<(), Finding> {
        if !self.hosts[slot].is_up() {
            self.end_call_of_cluster(caller, id, Ending::NoConnection);
            return Ok(());
        }
        let (cluster, client) = caller;
        let caller = Caller::OfCluster(cluster, client);
        self.hosts[slot].open.insert(id, (caller, self.now));
        let request = request.into();
        self.give(slot, Event::Request { id, request })
    }

    /// A client does not wait any more.
    pub(super) fn cancel(&mut self, slot: usize, id: RequestId) -> Result<(), Finding> {
        let host = &mut self.hosts[slot];
        let Some((_, since)) = host.open.remove(&id) else {
            return Ok(());
        };
        if host.paused {
            // It may answer before it hears of this.
            host.open.insert(id, (Caller::Gone, since));
        }
        self.give(slot, Event::Cancel { id })
    }

    pub(super) fn reply_of_cluster(
        &mut self,
        slot: usize,
        id: RequestId,
        response: Response,
    ) -> Result<(), Finding> {
        self.coverage.response(&response);
        match self.hosts[slot].open.remove(&id).map(|(caller, _)| caller) {
            Some(Caller::OfCluster(cluster, client)) => {
                let ending = Ending::Answered(Box::new(response));
                self.end_call_of_cluster((cluster, client), id, ending);
                Ok(())
            }
            Some(Caller::Gone) => Ok(()),
            caller => {
                let message = format!("slot {slot} answers {id}, which {caller:?} asked");
                Err(("reply-once", message))
            }
        }
    }

    /// The end of a call is on its way to the client.
    pub(super) fn end_call_of_cluster(
        &mut self,
        caller: (usize, usize),
        id: RequestId,
        ending: Ending,
    ) {
        let at = self.now + self.client_delay();
        let happening = InCluster::Answer { caller, id, ending };
        self.schedule(at, Happening::OfCluster(happening));
    }

    /// A member says something to another one.
    pub(super) fn send_in_cluster(
        &mut self,
        slot: usize,
        to: NodeId,
        message: Message,
    ) -> Result<(), Finding> {
        let Some((cluster, place)) = self.clusters.places[slot] else {
            return Err(("other-part", format!("in no cluster: {message:?}")));
        };
        let Cluster {
            names,
            slots,
            checker,
            ..
        } = &mut self.clusters.list[cluster];
        checker.sending(place, to, &message)?;
        let target = names.iter().position(|name| *name == to);
        let Some(target) = target.map(|place| slots[place]).filter(|at| *at != slot) else {
            let message = format!("slot {slot} sends to {to} of another cluster or itself");
            return Err(("stray", message));
        };
        self.coverage.message(&message);
        let size = message_size(&message);
        let fate = self
            .network
            .send(&self.config, self.now, slot, target, size);
        let message = match self.config.codec {
            1 => {
                decube_core::node::Node::over_the_wire(message).map_err(|error| ("codec", error))?
            }
            _ => message,
        };
        let from = self.hosts[slot].node;
        for at in [fate.first, fate.second].into_iter().flatten() {
            let event = Box::new(Event::Message {
                from,
                scope: Scope::Cluster,
                message: message.clone(),
            });
            let happening = Happening::Deliver {
                slot: target,
                event,
            };
            self.schedule(at, happening);
        }
        Ok(())
    }

    /// A sync that was asked for in the step of `asked` has completed.
    pub(super) fn synced(&mut self, slot: usize, volume: Volume, asked: u64) {
        if volume == Volume::Cluster
            && let Some((cluster, place)) = self.clusters.places[slot]
        {
            self.clusters.list[cluster].checker.synced(place, asked);
        }
    }

    /// Lets the checker of its cluster look at a node after its step.
    pub(super) fn look_at_cluster(&mut self, slot: usize) -> Result<(), Finding> {
        let Some((cluster, place)) = self.clusters.places[slot] else {
            return Ok(());
        };
        let host = &mut self.hosts[slot];
        let node = host.process_node.as_ref().expect("it took a step");
        self.clusters.list[cluster].checker.stepped(place, node)?;
        let Some(role) = node.facts().map(|facts| facts.role) else {
            return Ok(());
        };
        let before = host.role.replace(role);
        self.coverage.elections += u64::from(role == Role::Leader && before != Some(role));
        self.coverage.step_downs += u64::from(role != Role::Leader && before == Some(Role::Leader));
        Ok(())
    }

    /// The transports of the other members notice that a slot came or went.
    pub(super) fn announce(&mut self, slot: usize, is_up: bool) {
        let Some((cluster, _)) = self.clusters.places[slot] else {
            return;
        };
        for other in self.clusters.list[cluster].slots.clone() {
            if other == slot || !self.hosts[other].is_up() {
                continue;
            }
            self.tell_later(other, slot, is_up);
            if is_up {
                self.tell_later(slot, other, is_up);
            }
        }
    }

    fn tell_later(&mut self, slot: usize, peer: usize, is_up: bool) {
        let event = Event::Peer {
            peer: self.hosts[peer].node,
            scope: Scope::Cluster,
            is_up,
        };
        let process = self.hosts[slot].process;
        let at = self.now + self.client_delay();
        let event = Box::new(event);
        let happening = Happening::Tell {
            slot,
            process,
            event,
        };
        self.schedule(at, happening);
    }

    /// Whether every living member has applied what its cluster had committed.
    pub(super) fn has_applied(&self, committed: &[Index]) -> bool {
        let mut all = self.clusters.list.iter().zip(committed);
        all.all(|(cluster, upto)| {
            cluster.slots.iter().all(|slot| {
                let host = &self.hosts[*slot];
                let facts = host.process_node.as_ref().and_then(|node| node.facts());
                host.dead || facts.is_some_and(|facts| facts.applied >= *upto)
            })
        })
    }

    /// Whether the clients of each cluster saw one order of what happened.
    pub(super) fn check_histories(&mut self) {
        for cluster in 0..self.clusters.list.len() {
            let clients = &mut self.clusters.list[cluster].clients;
            clients.close();
            let (undecided, finding) = history::check(&clients.history);
            self.coverage.keys_undecided += undecided;
            if let Some((checker, message)) = finding.or_else(|| clients.guards.check().err()) {
                let id = self.clusters.list[cluster].id;
                self.violate(checker, format!("cluster {id}: {message}"));
            }
        }
    }

    /// Where each member of a cluster is, for a finding.
    pub(super) fn describe_clusters(&self) -> String {
        let mut text = String::new();
        for cluster in &self.clusters.list {
            for slot in &cluster.slots {
                let node = self.hosts[*slot].process_node.as_ref();
                let facts = node.and_then(|node| node.facts());
                text += &format!(" cluster {} slot {slot}: {facts:?};", cluster.id);
            }
        }
        text
    }
}
