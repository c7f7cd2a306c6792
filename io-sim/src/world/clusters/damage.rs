//! What befalls the machines of a cluster: damage, and wiped machines that others replace.

use decube_core::io::Volume;

use super::{Cluster, World};
use crate::actors::Demand;
use crate::check::Finding;
use crate::plan::{Fault, FaultKind};
use crate::rng::Draw;
use crate::subject::Subject;

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
            self.note_hit(Volume::Cluster, fault.kind);
            self.damaged(slot, Volume::Cluster, 1);
            if self.log.is_some() {
                self.describe(slot, "**", &what);
            }
        }
    }

    /// The next syncs of a cluster's log do nothing.
    pub(in crate::world) fn arm_lying_syncs(&mut self, slot: usize, fault: &Fault) {
        if let Some(slot) = self.take_risk(slot) {
            let device = self.hosts[slot].device(Volume::Cluster);
            device.disk.arm_lying_syncs(fault.args[1]);
            self.note_hit(Volume::Cluster, fault.kind);
        }
    }

    /// The node whose cluster's log may be damaged when a fault is about this slot, or that
    /// of the next cluster that can bear it: few can where clusters are small.
    fn take_risk(&mut self, slot: usize) -> Option<usize> {
        let slots = self.hosts.len();
        (slot..slots)
            .chain(0..slot)
            .find_map(|slot| self.take_risk_near(slot))
    }

    /// It may end for ever, so the others must bear that, in its cluster and on the ledger.
    fn take_risk_near(&mut self, slot: usize) -> Option<usize> {
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
        self.note_hit(Volume::Cluster, FaultKind::Wipe);
        self.crash(old, true);
        self.hosts[old].dead = true;
        self.hosts[old].is_gone = true;
        self.hosts[new].dead = false;
        let operators = self.stage.operators.get(&cluster).copied();
        self.demand(operators, Demand::Replace { old, new })?;
        self.boot(new)
    }
}
