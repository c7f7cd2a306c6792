//! Carrying out the plan of faults.

use decube_core::io::Volume;
use decube_core::node::Event;
use decube_core::raft::Role;

use super::{Host, MILLI, SimEvent, World};
use crate::actors::Demand;
use crate::check::Finding;
use crate::disk::Disk;
use crate::plan::{Fault, FaultKind, PartitionShape};
use crate::shell::PendingCrash;
use crate::subject::Subject;

impl<S: Subject> World<S> {
    pub(super) fn begin_fault(&mut self, number: usize) -> Result<(), Finding> {
        let fault = self.plan[number];
        if self.healed {
            return Ok(());
        }
        let slot = self.slot_of(fault.args[0]);
        if self.log.is_some() {
            self.describe(slot, "**", &format!("{fault:?}"));
        }
        self.faults[fault.kind.ordinal()] += 1;
        match fault.kind {
            FaultKind::Partition => self.partition(number),
            FaultKind::Clog => {
                let to = self.slot_of(fault.args[1]);
                if to != slot {
                    self.network.clog(slot, to, self.now + fault.duration);
                }
            }
            FaultKind::Kill => self.arm_crash(slot, false, &fault),
            FaultKind::PowerLoss => self.arm_crash(slot, true, &fault),
            FaultKind::Blackout => self.blackout(&fault),
            FaultKind::Pause => self.pause(slot, fault.duration),
            FaultKind::Shutdown => {
                self.hosts[slot].stop_down = fault.duration;
                return self.give(slot, Event::Shutdown);
            }
            FaultKind::ClockStep => self.step_clock(slot, &fault),
            FaultKind::PausedClockStep => {
                self.pause(slot, fault.duration);
                self.step_clock(slot, &fault);
            }
            FaultKind::DiskStall => {
                let until = self.now + fault.duration;
                self.afflict(slot, &fault, |disk| disk.stall(until));
            }
            FaultKind::SyncFailure => self.afflict(slot, &fault, Disk::arm_sync_failure),
            FaultKind::LyingSyncs => self.arm_lying_syncs(slot, &fault),
            FaultKind::DiskFull => {
                self.afflict(slot, &fault, |disk| disk.set_full(true));
                self.schedule(self.now + fault.duration, SimEvent::End(number));
            }
            FaultKind::SlowSync => {
                let factor = fault.args[1].clamp(1, 1_000);
                self.afflict(slot, &fault, |disk| disk.slow_down(factor));
                self.schedule(self.now + fault.duration, SimEvent::End(number));
            }
            FaultKind::Wipe => return self.wipe(slot),
            FaultKind::Rot | FaultKind::Misdirect => self.damage(slot, &fault),
            FaultKind::LostDisk => self.lose_disk(slot, &fault),
            FaultKind::Reconfigure => return self.reconfigure(&fault),
            FaultKind::Transfer => return self.transfer(slot),
        }
        Ok(())
    }

    pub(super) fn end_fault(&mut self, number: usize) {
        let fault = self.plan[number];
        if self.healed {
            return;
        }
        let slot = self.slot_of(fault.args[0]);
        match fault.kind {
            FaultKind::DiskFull => self.afflict(slot, &fault, |disk| disk.set_full(false)),
            FaultKind::SlowSync => self.afflict(slot, &fault, |disk| disk.slow_down(1)),
            FaultKind::Partition => {
                for (from, to) in fault.cut_links(self.hosts.len()) {
                    self.network.mend(from, to);
                    if fault.args[2] == 1 && self.network.is_open(from, to) {
                        self.tell_later(to, from, true);
                    }
                }
            }
            _ => {}
        }
    }

    fn partition(&mut self, number: usize) {
        let leaders = self.leaders();
        let fault = &mut self.plan[number];
        if leaders != 0 && PartitionShape::from_number(fault.args[1]) == PartitionShape::Leaders {
            fault.args[0] = leaders;
        }
        let fault = *fault;
        for (from, to) in fault.cut_links(self.hosts.len()) {
            self.network.cut(from, to);
            if fault.args[2] == 1 {
                self.tell_later(to, from, false);
            }
        }
        self.schedule(self.now + fault.duration, SimEvent::End(number));
    }

    /// The slots that lead their clusters, as a bit set.
    fn leaders(&self) -> u64 {
        let leads = |host: &Host<S>| host.role == Some(Role::Leader);
        let slots = (0..64_u32).zip(&self.hosts);
        let leaders = slots.filter(|(_, host)| leads(host));
        leaders.fold(0, |set, (slot, _)| set | 1 << slot)
    }

    /// Does something to the devices that a fault is about: one of a node's, or all of
    /// them, as the time of the fault has it.
    fn afflict(&mut self, slot: usize, fault: &Fault, act: impl Fn(&mut Disk)) {
        let devices = &mut self.hosts[slot].devices;
        let count = u64::try_from(devices.len()).expect("few devices");
        let which = (fault.at / 1_000) % (count + u64::from(count > 1));
        for (number, (volume, device)) in (0..).zip(devices) {
            if which == count || which == number {
                act(&mut device.disk);
                self.volume_faults[*volume as usize][fault.kind.ordinal()] += 1;
            }
        }
    }

    /// A fault of the plan has hit a volume.
    pub(super) fn note_hit(&mut self, volume: Volume, fault: FaultKind) {
        self.volume_faults[volume as usize][fault.ordinal()] += 1;
    }

    fn slot_of(&self, arg: u64) -> usize {
        let slots = u64::try_from(self.hosts.len()).expect("few slots");
        usize::try_from(arg % slots).expect("few slots")
    }

    /// Kills a process: now, or between two effects of its next step.
    fn arm_crash(&mut self, slot: usize, power: bool, fault: &Fault) {
        if !self.hosts[slot].is_up() {
            return;
        }
        let down = fault.duration;
        if fault.args[1] == 1 && !self.hosts[slot].paused {
            self.hosts[slot].pending_crash = Some(PendingCrash { power, down });
            return;
        }
        self.crash(slot, power);
        self.boot_after(slot, down);
    }

    /// All machines lose power, or all of one cluster where there are several.
    fn blackout(&mut self, fault: &Fault) {
        let of = self.slot_of(fault.args[0]);
        let is_all = self.clusters.len() < 2 || fault.args[1] == 0;
        for slot in 0..self.hosts.len() {
            let is_hit = is_all || self.clusters.are_together(of, slot);
            if is_hit && self.hosts[slot].is_up() {
                self.crash(slot, true);
                let stagger = u64::try_from(slot).expect("few slots") * (fault.args[0] + 1) * MILLI;
                self.boot_after(slot, fault.duration + stagger);
            }
        }
    }

    fn step_clock(&mut self, slot: usize, fault: &Fault) {
        let host = &mut self.hosts[slot];
        host.clock.step_wall(fault.clock_step_ns());
        host.wall_offset = host.clock.wall_offset();
    }

    /// A log is damaged: that of the cluster or that of the ledger, as the time of the
    /// fault has it where there are both.
    fn damage(&mut self, slot: usize, fault: &Fault) {
        let of_cluster = match (self.has_ledger, self.config.disk.cluster_damage) {
            (false, _) => true,
            (true, 0) => false,
            (true, _) => is_odd(fault),
        };
        match of_cluster {
            true => self.damage_cluster(slot, fault),
            false => self.damage_ledger(slot, fault),
        }
    }

    /// Other members are wanted: of a cluster, or other validators.
    fn reconfigure(&mut self, fault: &Fault) -> Result<(), Finding> {
        let wanted = Demand::Members {
            voters: fault.args[0],
            learners: fault.args[1],
        };
        let actor = match self.cluster_that_changes(fault) {
            Some(cluster) => self.stage.operators.get(&cluster).copied(),
            None => self.stage.governors,
        };
        self.demand(actor, wanted)
    }

    /// The cluster of a slot shall be led by it.
    fn transfer(&mut self, slot: usize) -> Result<(), Finding> {
        let operators = &self.stage.operators;
        let of = self.clusters.of(slot);
        let actor = of.and_then(|cluster| operators.get(&cluster).copied());
        self.demand(actor, Demand::Leader { slot })
    }

    /// Whose members change, if it is not the set of validators.
    fn cluster_that_changes(&self, fault: &Fault) -> Option<usize> {
        let changes = match (self.has_ledger, self.config.operators.cluster_changes) {
            (false, _) => true,
            (true, 0) => false,
            (true, _) => is_odd(fault),
        };
        let clusters = u64::try_from(self.clusters.len()).expect("few clusters");
        let which = (fault.at / 2_000) % clusters.max(1);
        changes.then(|| usize::try_from(which).expect("few clusters"))
    }
}

/// A coin that the time of a fault has thrown.
const fn is_odd(fault: &Fault) -> bool {
    fault.at / 1_000 % 2 == 1
}
