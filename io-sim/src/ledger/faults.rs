//! Carrying out the plan of faults.

use super::host::Part;
use super::{Happening, LedgerWorld, MILLI};
use decube_core::io::Volume;
use decube_core::node::Event;

use crate::check::raft::Finding;
use crate::disk::Disk;
use crate::plan::{Fault, FaultKind};
use crate::rng::Draw;
use crate::shell::Doom;

impl LedgerWorld {
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
            FaultKind::Partition => {
                for (from, to) in fault.cut_links(self.hosts.len()) {
                    self.network.cut(from, to);
                }
                self.schedule(self.now + fault.duration, Happening::End(number));
            }
            FaultKind::Clog => {
                let to = self.slot_of(fault.args[1]);
                if to != slot {
                    self.network.clog(slot, to, self.now + fault.duration);
                }
            }
            FaultKind::Kill => self.doom(slot, false, &fault),
            FaultKind::Shutdown => {
                self.hosts[slot].stop_down = fault.duration;
                return self.give(slot, Event::Shutdown);
            }
            FaultKind::PowerLoss => self.doom(slot, true, &fault),
            FaultKind::Blackout => self.blackout(&fault),
            FaultKind::Pause => self.pause(slot, fault.duration),
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
            FaultKind::DiskFull => {
                self.afflict(slot, &fault, |disk| disk.set_full(true));
                self.schedule(self.now + fault.duration, Happening::End(number));
            }
            FaultKind::SlowSync => {
                let factor = fault.args[1].clamp(1, 1_000);
                self.afflict(slot, &fault, |disk| disk.slow_down(factor));
                self.schedule(self.now + fault.duration, Happening::End(number));
            }
            FaultKind::Reconfigure => self.begin_governing(&fault),
            FaultKind::LostDisk => self.lose_disk(slot, &fault),
            FaultKind::Rot | FaultKind::Misdirect => self.damage(slot, &fault),
            // The settings of the ledger draw none of these.
            FaultKind::Lies | FaultKind::Wipe | FaultKind::Transfer => {}
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
                }
            }
            _ => {}
        }
    }

    /// Does something to the devices that a fault is about: one of a node's, or all of
    /// them, as the time of the fault has it.
    fn afflict(&mut self, slot: usize, fault: &Fault, act: impl Fn(&mut Disk)) {
        let devices = &mut self.hosts[slot].devices;
        let count = u64::try_from(devices.len()).expect("few devices");
        let which = (fault.at / 1_000) % (count + u64::from(count > 1));
        for (number, device) in (0..).zip(devices.values_mut()) {
            if which == count || which == number {
                act(&mut device.disk);
            }
        }
    }

    fn slot_of(&self, arg: u64) -> usize {
        let slots = u64::try_from(self.hosts.len()).expect("few slots");
        usize::try_from(arg % slots).expect("few slots")
    }

    /// Kills a process: now, or between two effects of its next step.
    fn doom(&mut self, slot: usize, power: bool, fault: &Fault) {
        if !self.hosts[slot].is_up() {
            return;
        }
        let down = fault.duration;
        if fault.args[1] == 1 && !self.hosts[slot].paused {
            self.hosts[slot].doom = Some(Doom { power, down });
            return;
        }
        self.crash(slot, power);
        self.boot_after(slot, down);
    }

    fn blackout(&mut self, fault: &Fault) {
        for slot in 0..self.hosts.len() {
            if self.hosts[slot].is_up() {
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

    /// The log of a machine is damaged, which its next start notices: it has to take
    /// that for a lost disk, since own votes may be missing.
    fn damage(&mut self, slot: usize, fault: &Fault) {
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
        self.crash(slot, false);
        let host = &mut self.hosts[slot];
        host.device(Volume::Ledger).damaged = true;
        host.has_lost_disk = true;
        host.rejoined_in = None;
        self.boot_after(slot, MILLI);
    }

    /// Whether the others can do without this honest node until it has found its way
    /// back: it counts against the budget of lies, as if it were silent for ever.
    fn may_lose_disk(&self, slot: usize) -> bool {
        let mut faulty = self.lying_nodes();
        faulty.extend(self.asking_nodes());
        faulty.push(self.hosts[slot].node);
        matches!(self.hosts[slot].part, Part::Honest) && self.is_bearable(&faulty)
    }

    /// A machine loses the disk and store of the ledger and comes back with empty ones,
    /// as an operator says. What its cluster rests on is another device: a voter that
    /// lost that must never come back.
    fn lose_disk(&mut self, slot: usize, fault: &Fault) {
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
        self.boot_after(slot, fault.duration);
    }
}
