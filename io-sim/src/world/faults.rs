//! Carrying out the plan of faults.

use decube_core::cluster::Request;
use decube_core::node::Event;
use decube_core::raft::{Membership, Role};
use decube_core::types::NodeId;

use super::{Happening, World};
use crate::check::raft::{Finding, slot_id};
use crate::plan::{self, Fault, FaultKind};
use crate::rng::Draw;
use crate::shell::Doom;
use crate::subject::Subject;

const MILLI: u64 = 1_000_000;
/// How often an operator looks after a replacement.
const OPERATOR_NS: u64 = 400 * MILLI;

impl<S: Subject> World<S> {
    pub(super) fn begin_fault(&mut self, number: usize) -> Result<(), Finding> {
        let fault = self.plan[number];
        if self.healed {
            return Ok(());
        }
        let slots = u64::try_from(self.hosts.len()).expect("few slots");
        let slot = usize::try_from(fault.args[0] % slots).expect("few slots");
        if self.log.is_some() {
            self.describe(slot, "**", &format!("{fault:?}"));
        }
        self.faults[fault.kind.ordinal()] += 1;
        match fault.kind {
            FaultKind::Partition => self.partition(number, &fault),
            FaultKind::Clog => {
                let to = usize::try_from(fault.args[1] % slots).expect("few slots");
                if to != slot {
                    self.network.clog(slot, to, self.now + fault.duration);
                }
            }
            FaultKind::Kill => self.doom(slot, false, &fault),
            FaultKind::PowerLoss => self.doom(slot, true, &fault),
            FaultKind::Blackout => self.blackout(&fault),
            FaultKind::Pause => self.pause(slot, fault.duration),
            FaultKind::Shutdown => return self.shut_down(slot, &fault),
            FaultKind::ClockStep => self.step_clock(slot, &fault),
            FaultKind::DiskStall => self.hosts[slot]
                .device
                .disk
                .stall(self.now + fault.duration),
            FaultKind::SyncFailure => self.hosts[slot].device.disk.arm_sync_failure(),
            FaultKind::Lies => self.hosts[slot].device.disk.arm_lies(fault.args[1]),
            FaultKind::DiskFull => {
                self.hosts[slot].device.disk.set_full(true);
                self.schedule(self.now + fault.duration, Happening::End(number));
            }
            FaultKind::SlowSync => {
                self.hosts[slot]
                    .device
                    .disk
                    .slow_down(fault.args[1].clamp(1, 1_000));
                self.schedule(self.now + fault.duration, Happening::End(number));
            }
            FaultKind::PausedClockStep => {
                self.pause(slot, fault.duration);
                self.step_clock(slot, &fault);
            }
            FaultKind::Wipe => return self.wipe(slot),
            FaultKind::Rot | FaultKind::Misdirect => self.damage(slot, &fault),
            // A member of a cluster that lost its disk never comes back: see `Wipe`.
            FaultKind::LostDisk => {}
            FaultKind::Reconfigure => return self.reconfigure(&fault),
            FaultKind::Transfer => {
                let to = slot_id(slot);
                return self.operate(Request::TransferLeadership { to });
            }
        }
        Ok(())
    }

    pub(super) fn end_fault(&mut self, number: usize) {
        let fault = self.plan[number];
        if self.healed {
            return;
        }
        let slots = u64::try_from(self.hosts.len()).expect("few slots");
        let slot = usize::try_from(fault.args[0] % slots).expect("few slots");
        match fault.kind {
            FaultKind::DiskFull => self.hosts[slot].device.disk.set_full(false),
            FaultKind::SlowSync => self.hosts[slot].device.disk.slow_down(1),
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

    fn partition(&mut self, number: usize, fault: &Fault) {
        for (from, to) in fault.cut_links(self.hosts.len()) {
            self.network.cut(from, to);
            if fault.args[2] == 1 {
                self.tell_later(to, from, false);
            }
        }
        self.schedule(self.now + fault.duration, Happening::End(number));
    }

    /// Kills a process: now, or between two effects of its next step.
    fn doom(&mut self, slot: usize, power: bool, fault: &Fault) {
        if self.hosts[slot].subject.is_none() {
            return;
        }
        if fault.args[1] == 1 && !self.hosts[slot].paused {
            self.hosts[slot].doom = Some(Doom {
                power,
                down: fault.duration,
            });
            return;
        }
        self.crash(slot, power);
        self.boot_after(slot, fault.duration);
    }

    fn blackout(&mut self, fault: &Fault) {
        for slot in 0..self.hosts.len() {
            if self.hosts[slot].subject.is_some() {
                self.crash(slot, true);
                let stagger = u64::try_from(slot).expect("few slots") * (fault.args[0] + 1) * MILLI;
                self.boot_after(slot, fault.duration + stagger);
            }
        }
    }

    fn shut_down(&mut self, slot: usize, fault: &Fault) -> Result<(), Finding> {
        self.hosts[slot].stop_down = fault.duration;
        self.give(slot, Event::Shutdown)
    }

    fn step_clock(&mut self, slot: usize, fault: &Fault) {
        let host = &mut self.hosts[slot];
        host.clock.step_wall(fault.clock_step_ns());
        host.wall_offset = host.clock.wall_offset();
    }

    fn damage(&mut self, slot: usize, fault: &Fault) {
        let disk = &mut self.hosts[slot].device.disk;
        let what = match fault.kind {
            FaultKind::Rot => disk.rot(Draw(fault.args[1])),
            _ => disk.misdirect(Draw(fault.args[1])),
        };
        if let Some(what) = what {
            self.damaged(slot, 1);
            if self.log.is_some() {
                self.describe(slot, "**", &what);
            }
        }
    }

    /// The disk of a slot no longer holds what was synced to it.
    pub(super) fn damaged(&mut self, slot: usize, sectors: u64) {
        if sectors > 0 {
            self.checker.damaged(slot);
            self.hosts[slot].device.damaged = true;
            self.coverage.damages += sectors;
        }
    }

    /// A machine loses its disk. Its promises are lost with it, so it must never
    /// come back under its name: a new node with an empty disk and a new id takes
    /// its place, and an operator changes the membership until that is done.
    fn wipe(&mut self, old: usize) -> Result<(), Finding> {
        let from = usize::try_from(self.config.replacements_from()).expect("few slots");
        let unused = |slot: &usize| self.hosts[*slot].dead && self.hosts[*slot].process == 0;
        let Some(new) = (from..self.hosts.len()).find(unused) else {
            return Ok(());
        };
        if old >= from || self.hosts[old].dead {
            return Ok(());
        }
        self.crash(old, true);
        self.hosts[old].dead = true;
        self.hosts[new].dead = false;
        self.schedule(self.now + OPERATOR_NS, Happening::Replace { old, new });
        self.boot(new)
    }

    /// The operator's next step towards having `new` in the place of `old`.
    pub(super) fn replace(&mut self, old: usize, new: usize) -> Result<(), Finding> {
        let again = Happening::Replace { old, new };
        let (old, new) = (slot_id(old), slot_id(new));
        let present = self.leader().and_then(|leader| {
            let subject = self.hosts[leader].subject.as_ref();
            subject.and_then(Subject::membership).cloned()
        });
        let joint = |present: &Membership| !present.outgoing.is_empty();
        let Some(mut target) = present.filter(|present| !joint(present)) else {
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
        self.operate(Request::ChangeMembership(target))
    }

    /// An operator wants other voters. Who is not a member yet joins as a learner
    /// first; a later change makes it a voter.
    fn reconfigure(&mut self, fault: &Fault) -> Result<(), Finding> {
        let Some(leader) = self.leader() else {
            return Ok(());
        };
        let subject = self.hosts[leader]
            .subject
            .as_ref()
            .expect("a leader is running");
        let Some(present) = subject.membership().cloned() else {
            return Ok(());
        };
        let member = |id: &NodeId| present.voters.contains(id) || present.learners.contains(id);
        let wanted = self.ids(fault.args[0]);
        let (mut voters, joining): (Vec<_>, Vec<_>) = wanted.into_iter().partition(member);
        if voters.is_empty() {
            voters.clone_from(&present.voters);
        }
        let mut learners = [joining, self.ids(fault.args[1])].concat();
        learners.retain(|id| !voters.contains(id));
        learners.sort_unstable();
        learners.dedup();
        let target = Membership {
            voters,
            outgoing: Vec::new(),
            learners,
        };
        self.operate(Request::ChangeMembership(target))
    }

    /// An operator asks the leader for something, if one is known.
    fn operate(&mut self, request: Request) -> Result<(), Finding> {
        let Some(leader) = self.leader() else {
            return Ok(());
        };
        let id = self.clients.fresh_request();
        self.take_call(None, leader, id, request)
    }

    /// The running leader of the highest term.
    pub(super) fn leader(&self) -> Option<usize> {
        let facts = |slot: &usize| self.hosts[*slot].subject.as_ref().and_then(Subject::facts);
        let leads = |slot: &usize| facts(slot).is_some_and(|facts| facts.role == Role::Leader);
        (0..self.hosts.len())
            .filter(leads)
            .max_by_key(|slot| facts(slot).map(|facts| facts.term))
    }

    fn ids(&self, set: u64) -> Vec<NodeId> {
        (0..self.hosts.len())
            .filter(|slot| plan::names(set, *slot))
            .map(slot_id)
            .collect()
    }
}
