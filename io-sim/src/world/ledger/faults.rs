//! Disks of the ledger that are damaged or lost.

use decube_core::io::Volume;

use super::{MILLI, World, faulty_nodes};
use crate::plan::{Fault, FaultKind};
use crate::rng::Draw;
use crate::subject::Subject;
use crate::world::host::Part;

impl<S: Subject> World<S> {
    /// The log of a machine is damaged, which its next start notices: it has to take
    /// that for a lost disk, since own votes may be missing.
    pub(in crate::world) fn damage_ledger(&mut self, slot: usize, fault: &Fault) {
        if !self.may_lose_disk(slot) {
            return;
        }
        let disk = &mut self.hosts[slot].device(Volume::Ledger).disk;
        let what = match fault.kind {
            FaultKind::Rot => disk.rot(Draw(fault.args[1])),
            _ => disk.misdirect(Draw(fault.args[1])),
        };
        let Some(what) = what else {
            return;
        };
        if self.log.is_some() {
            self.describe(slot, "**", &what);
        }
        self.coverage.damages += 1;
        self.note_hit(Volume::Ledger, fault.kind);
        self.crash(slot, false);
        let host = &mut self.hosts[slot];
        host.device(Volume::Ledger).damaged = true;
        host.has_lost_disk = true;
        host.rejoined_in = None;
        self.boot_after(slot, MILLI);
    }

    /// Whether the others can do without this honest node until it has found its way
    /// back: it counts against the budget of Byzantine nodes, as if it were silent for ever.
    pub(in crate::world) fn may_lose_disk(&self, slot: usize) -> bool {
        let mut faulty = faulty_nodes(&self.hosts);
        faulty.push(self.hosts[slot].node);
        matches!(self.hosts[slot].part, Part::Honest)
            && self.budget.is_bearable(&self.hosts, &faulty)
    }

    /// A machine loses the disk and store of the ledger and comes back with empty ones,
    /// as an operator says. What its cluster rests on is another device: a voter that
    /// lost that must never come back.
    pub(in crate::world) fn lose_disk(&mut self, slot: usize, fault: &Fault) {
        if !self.may_lose_disk(slot) {
            return;
        }
        self.crash(slot, true);
        if self.log.is_some() {
            self.describe(slot, "**", "the disk is lost");
        }
        let host = &mut self.hosts[slot];
        let process = host.process;
        host.device(Volume::Ledger).replace(self.seed, process);
        host.has_lost_disk = true;
        host.rejoined_in = None;
        self.coverage.disks_lost += 1;
        self.note_hit(Volume::Ledger, fault.kind);
        self.boot_after(slot, fault.duration);
    }
}
