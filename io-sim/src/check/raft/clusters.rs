//! The safety of every cluster of a run, and that what it commits reaches its members.

use decube_core::io::Volume;
use decube_core::node::Message;
use decube_core::raft::{Membership, Role};
use decube_core::types::{Index, NodeId};

use super::{RaftChecker, all_voters};
use crate::check::{Checker, Finding, Hooks, Step, Written};
use crate::subject::Subject;
use crate::world::Host;

/// One cluster.
#[derive(Debug)]
struct Cluster {
    checker: RaftChecker,
    /// The slots of its nodes, in order.
    slots: Vec<usize>,
    /// What everybody must have applied.
    target: Index,
}

/// A judge of all clusters.
#[derive(Debug, Default)]
pub struct ClusterSafety {
    list: Vec<Cluster>,
    /// For each slot, its cluster and its place there.
    places: Vec<Option<(usize, usize)>>,
}

impl ClusterSafety {
    /// A judge of so many slots, none of which is in a cluster yet.
    pub fn new(slots: usize) -> Self {
        Self {
            list: Vec::new(),
            places: vec![None; slots],
        }
    }

    /// Another cluster: the names and slots of its nodes.
    pub fn add(&mut self, names: Vec<NodeId>, slots: Vec<usize>) {
        for (place, slot) in slots.iter().enumerate() {
            self.places[*slot] = Some((self.list.len(), place));
        }
        self.list.push(Cluster {
            checker: RaftChecker::new(names),
            slots,
            target: Index(0),
        });
    }

    /// The judge of the cluster of a slot, and the place of that slot there.
    fn of(&mut self, slot: usize) -> Option<(&mut RaftChecker, usize)> {
        let (cluster, place) = self.places[slot]?;
        Some((&mut self.list[cluster].checker, place))
    }
}

impl<S: Subject> Checker<S> for ClusterSafety {
    fn hooks(&self) -> Hooks {
        Hooks::STARTED | Hooks::SENT | Hooks::STEPPED | Hooks::IO
    }

    fn started(&mut self, slot: usize) {
        if let Some((checker, place)) = self.of(slot) {
            checker.started(place);
        }
    }

    fn sent(&mut self, step: &Step<'_, S>, to: NodeId, message: &Message) -> Result<(), Finding> {
        if !matches!(message, Message::Cluster(_)) {
            return Ok(());
        }
        match self.of(step.slot) {
            Some((checker, place)) => {
                checker.begin(step.event);
                checker.sending(place, to, message)
            }
            None => Err(("other-part", format!("in no cluster: {message:?}"))),
        }
    }

    fn stepped(&mut self, step: &Step<'_, S>) -> Result<(), Finding> {
        match self.of(step.slot) {
            Some((checker, place)) => {
                checker.begin(step.event);
                checker.stepped(place, step.subject())
            }
            None => Ok(()),
        }
    }

    fn io(&mut self, slot: usize, volume: Volume, written: Written) {
        let of = self.of(slot).filter(|_| volume == Volume::Cluster);
        match (of, written) {
            (Some((checker, place)), Written::Durable { asked }) => checker.synced(place, asked),
            (Some((checker, place)), Written::Damaged) => checker.damaged(place),
            (None, _) => {}
        }
    }

    fn aim(&mut self) {
        for cluster in &mut self.list {
            cluster.target = cluster.checker.committed();
        }
    }

    fn is_reached(&self, hosts: &[Host<S>]) -> bool {
        self.list.iter().all(|cluster| cluster.is_reached(hosts))
    }

    fn committed(&self) -> u64 {
        let all = self.list.iter();
        all.map(|cluster| cluster.checker.committed().0).sum()
    }
}

impl Cluster {
    /// Whether every living member has applied what was committed.
    fn is_reached<S: Subject>(&self, hosts: &[Host<S>]) -> bool {
        let Some(membership) = members(hosts, &self.slots) else {
            return false;
        };
        let mut members = all_voters(membership);
        members.extend(&membership.learners);
        let known = self.slots.iter().map(|slot| &hosts[*slot]);
        let mut known = known.filter(|host| members.contains(&host.name()));
        known.all(|host| {
            let facts = host.subject().and_then(Subject::facts);
            host.is_dead()
                || host.is_lost()
                || facts.is_some_and(|facts| facts.applied >= self.target)
        })
    }
}

/// The running leader of the highest term among some slots.
pub fn leader<S: Subject>(hosts: &[Host<S>], slots: &[usize]) -> Option<usize> {
    let facts = |slot: &usize| hosts[*slot].subject().and_then(Subject::facts);
    let leads = |slot: &usize| facts(slot).is_some_and(|facts| facts.role == Role::Leader);
    let slots = slots.iter().copied().filter(leads);
    slots.max_by_key(|slot| facts(slot).map(|facts| facts.term))
}

/// Who takes part in the cluster of some slots, as its leader knows.
pub fn members<'a, S: Subject>(hosts: &'a [Host<S>], slots: &[usize]) -> Option<&'a Membership> {
    let leader = leader(hosts, slots)?;
    hosts[leader].subject()?.membership()
}
