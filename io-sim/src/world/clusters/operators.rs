//! What befalls the machines of a cluster, and what its operators do: damage, wiped
//! machines and their replacements, changes of members, transfers.

use decube_core::cluster::Request;
use decube_core::io::Volume;
use decube_core::raft::Membership;
use decube_core::types::NodeId;

use super::{Cluster, MILLI, World};
use crate::check::Finding;
use crate::plan::{self, Fault, FaultKind};
use crate::rng::Draw;
use crate::subject::Subject;
use crate::world::Happening;
use crate::world::calls::Caller;

/// How often an operator looks after a replacement.
const OPERATOR_NS: u64 = 400 * MILLI;

impl<S: Subject> World<S> {
    /// The log of a cluster is damaged, which the next start notices.
    pub(in crate::world) fn damage_cluster(&mut self, slot: usize, fault: &Fault) {
        let Some(slot) = self.take_risk(slot) else {
            return;
        };
        let disk = &mut self.hosts[slot].device(Volume::Cluster).disk;
        let what = match fault.kind {
            FaultKind::Rot => disk.rot(Draw(fault.args[1])),
            _ => disk.misdirect(Draw(fault.args[1])),
        };
        if let Some(what) = what {
            self.damaged(slot, Volume::Cluster, 1);
            if self.log.is_some() {
                self.describe(slot, "**", &what);
            }
        }
    }

    /// The next syncs of a cluster's log do nothing.
    pub(in crate::world) fn arm_lies(&mut self, slot: usize, fault: &Fault) {
        if let Some(slot) = self.take_risk(slot) {
            let device = self.hosts[slot].device(Volume::Cluster);
            device.disk.arm_lies(fault.args[1]);
        }
    }

    /// The node whose cluster's log may be damaged when a fault is about this slot. It may
    /// end for ever, so the others must bear that, in its cluster and on the ledger.
    fn take_risk(&mut self, slot: usize) -> Option<usize> {
        let (cluster, _) = self.clusters.places[slot]?;
        let slot = self.clusters.victim(cluster, slot)?;
        let is_bearable = !self.has_ledger || self.hosts[slot].is_at_risk;
        let is_bearable = is_bearable || self.may_lose_disk(slot);
        self.hosts[slot].is_at_risk |= is_bearable;
        is_bearable.then_some(slot)
    }

    /// A machine loses its disk. Its promises are lost with it, so it must never
    /// come back under its name: a new node with an empty disk and a new id takes
    /// its place, and an operator changes the membership until that is done.
    pub(in crate::world) fn wipe(&mut self, slot: usize) -> Result<(), Finding> {
        let Some((cluster, _)) = self.clusters.places[slot] else {
            return Ok(());
        };
        let Some(old) = self.clusters.victim(cluster, slot) else {
            return Ok(());
        };
        let Cluster {
            slots,
            replacements_from,
            ..
        } = &self.clusters.list[cluster];
        let unused = |slot: &&usize| self.hosts[**slot].dead && self.hosts[**slot].process == 0;
        let new = slots[*replacements_from..].iter().find(unused).copied();
        let is_bearable = !self.has_ledger || self.may_lose_disk(old);
        let Some(new) = new.filter(|_| is_bearable && !self.hosts[old].dead) else {
            return Ok(());
        };
        self.crash(old, true);
        self.hosts[old].dead = true;
        self.hosts[old].is_gone = true;
        self.hosts[new].dead = false;
        self.schedule(self.now + OPERATOR_NS, Happening::Replace { old, new });
        self.boot(new)
    }

    /// The operator's next step towards having `new` in the place of `old`.
    pub(in crate::world) fn replace(&mut self, old: usize, new: usize) -> Result<(), Finding> {
        let again = Happening::Replace { old, new };
        let (cluster, _) = self.clusters.places[old].expect("only members are replaced");
        let (old, new) = (self.hosts[old].node, self.hosts[new].node);
        let joint = |present: &&Membership| !present.outgoing.is_empty();
        let present = self.members_of(cluster).filter(|present| !joint(present));
        let Some(mut target) = present.cloned() else {
            self.schedule(self.now + OPERATOR_NS, again);
            return Ok(());
        };
        let votes = target.voters.contains(&new);
        if votes && !target.voters.contains(&old) {
            self.coverage.replacements += 1;
            return Ok(());
        }
        if votes || target.learners.contains(&new) {
            target.voters.retain(|id| *id != old);
            target.learners.retain(|id| *id != new);
            target.voters.push(new);
        } else {
            target.learners.push(new);
        }
        for ids in [&mut target.voters, &mut target.learners] {
            ids.sort_unstable();
            ids.dedup();
        }
        self.schedule(self.now + OPERATOR_NS, again);
        self.operate(cluster, Request::ChangeMembership(target))
    }

    /// An operator wants other voters. Who is not a member yet joins as a learner
    /// first; a later change makes it a voter.
    pub(in crate::world) fn reconfigure(
        &mut self,
        cluster: usize,
        fault: &Fault,
    ) -> Result<(), Finding> {
        let Some(present) = self.members_of(cluster).cloned() else {
            return Ok(());
        };
        let member = |id: &NodeId| present.voters.contains(id) || present.learners.contains(id);
        let wanted = self.named_in(cluster, fault.args[0]);
        let (mut voters, joining): (Vec<_>, Vec<_>) = wanted.into_iter().partition(member);
        if voters.is_empty() {
            voters.clone_from(&present.voters);
        }
        let mut learners = [joining, self.named_in(cluster, fault.args[1])].concat();
        learners.retain(|id| !voters.contains(id));
        voters.sort_unstable();
        learners.sort_unstable();
        learners.dedup();
        let target = Membership {
            voters,
            outgoing: Vec::new(),
            learners,
        };
        self.operate(cluster, Request::ChangeMembership(target))
    }

    /// An operator asks the leader of its cluster to hand over to a slot.
    pub(in crate::world) fn transfer(&mut self, slot: usize) -> Result<(), Finding> {
        let to = self.hosts[slot].node;
        match self.clusters.places[slot] {
            Some((cluster, _)) => self.operate(cluster, Request::TransferLeadership { to }),
            None => Ok(()),
        }
    }

    /// An operator asks the leader for something, if one is known.
    fn operate(&mut self, cluster: usize, request: Request) -> Result<(), Finding> {
        let Some(leader) = self.leader(cluster) else {
            return Ok(());
        };
        let id = self.clusters.list[cluster].clients.fresh_request();
        self.take_call(Caller::Operator, leader, id, request.into())
    }

    /// The nodes of a cluster at these places.
    fn named_in(&self, cluster: usize, set: u64) -> Vec<NodeId> {
        let names = self.clusters.list[cluster].names.iter().enumerate();
        let named = names.filter(|(place, _)| plan::names(set, *place));
        named.map(|(_, name)| *name).collect()
    }
}
