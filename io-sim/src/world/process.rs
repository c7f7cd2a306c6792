//! Processes: they boot, crash, pause, halt, and are started again.

use std::collections::BTreeSet;

use decube_core::io::Volume;
use decube_core::node::{self, Event};
use decube_core::raft::Role;
use decube_core::types::WallTime;

use super::calls::Caller;
use super::{MILLI, SimEvent, World};
use crate::check::{Finding, Written};
use crate::device::Device;
use crate::shell::{FUTILE_STARTS_MAX, has_marks, new_clock};
use crate::subject::Subject;

impl<S: Subject> World<S> {
    /// Starts the process of a slot, unless one runs.
    pub(super) fn boot(&mut self, slot: usize) -> Result<(), Finding> {
        if self.hosts[slot].is_up() || self.hosts[slot].dead {
            return Ok(());
        }
        let process = self.hosts[slot].process;
        let config = self.node_config(slot);
        let host = &mut self.hosts[slot];
        let offset = &mut host.wall_offset;
        host.clock = new_clock(self.seed, &self.config, slot, process, self.now, offset);
        host.subject = Some(S::build(config));
        let used = self.used(slot);
        self.court.started(slot);
        self.coverage.boots += 1;
        let wall = self.wall(slot);
        self.step(slot, Event::Clock { wall })?;
        self.give(slot, Event::Start { used })?;
        let period = self.config.clock.clock_period_ms.max(1) * MILLI;
        self.schedule(self.now + period, SimEvent::Clock { slot, process });
        self.announce(slot, true);
        Ok(())
    }

    /// Which volumes the shell knows to have been used: the ledger's if its disk was lost,
    /// as the operator says, and those that are marked.
    fn used(&self, slot: usize) -> BTreeSet<Volume> {
        let host = &self.hosts[slot];
        let mut used = BTreeSet::new();
        if host.has_lost_disk {
            used.insert(Volume::Ledger);
        }
        if has_marks(self.seed, slot) {
            let devices = host.devices.iter().filter(|(_, device)| device.is_used);
            used.extend(devices.map(|(volume, _)| *volume));
        }
        used
    }

    /// Ends a process at once. What it had not synced is at risk if `power` is lost.
    pub(super) fn crash(&mut self, slot: usize, power: bool) {
        let host = &mut self.hosts[slot];
        let mut revealed = Vec::new();
        for (volume, device) in &mut host.devices {
            revealed.push((*volume, device.crash(&self.config.disk, power)));
        }
        for (volume, sectors) in revealed {
            self.damaged(slot, volume, sectors);
        }
        let host = &mut self.hosts[slot];
        if host.subject.take().is_none() {
            return;
        }
        if host.role == Some(Role::Leader) {
            self.leader_lost(slot);
        }
        let host = &mut self.hosts[slot];
        host.process += 1;
        host.devices.values_mut().for_each(Device::forget_process);
        host.backlog.clear();
        host.inbox.clear();
        host.paused = false;
        host.role = None;
        host.was_joint = false;
        host.connected.clear();
        host.pending_crash = None;
        host.wakes = [None; 2];
        host.exits = None;
        host.ready_parts.clear();
        host.ready = None;
        for (id, (caller, _)) in std::mem::take(&mut host.open) {
            self.lose_call(caller, id);
        }
        self.announce(slot, false);
    }

    /// A volume of a slot no longer holds what was synced to it.
    pub(super) fn damaged(&mut self, slot: usize, volume: Volume, sectors: u64) {
        if sectors > 0 {
            self.court.io(slot, volume, Written::Damaged);
            self.hosts[slot].device(volume).damaged = true;
            self.coverage.damages += sectors;
        }
    }

    /// Somebody looks after a machine with a part that halted, and starts it again.
    pub(super) fn look_after(&mut self, slot: usize, process: u64) {
        if self.hosts[slot].process == process && self.hosts[slot].is_up() {
            self.halted(slot, "an operator restarts it");
        }
    }

    pub(super) fn boot_after(&mut self, slot: usize, down: u64) {
        self.schedule(self.now + down, SimEvent::Boot { slot });
    }

    /// A process halted: a supervisor starts it again, for a while. A device that
    /// failed is taken out of its cache's hands: the machine is reset as well.
    pub(super) fn halted(&mut self, slot: usize, reason: &str) {
        self.coverage.halts += 1;
        if self.log.is_some() {
            self.describe(slot, "!!", reason);
        }
        let ready = self.hosts[slot].ready;
        let ran = ready.is_some_and(|ready| ready < self.events);
        self.crash(slot, true);
        let host = &mut self.hosts[slot];
        host.futile_starts = if ran { 1 } else { host.futile_starts + 1 };
        if host.futile_starts > FUTILE_STARTS_MAX {
            host.dead = true;
            return;
        }
        let down = 300 * MILLI * host.futile_starts;
        self.boot_after(slot, down);
    }

    pub(super) fn pause(&mut self, slot: usize, duration: u64) {
        if self.hosts[slot].is_up() && !self.hosts[slot].paused {
            self.hosts[slot].paused = true;
            self.schedule(self.now + duration, SimEvent::Resume { slot });
        }
    }

    /// Resumes a paused process: everything that waited happens now.
    pub(super) fn resume(&mut self, slot: usize) -> Result<(), Finding> {
        if !std::mem::take(&mut self.hosts[slot].paused) {
            return Ok(());
        }
        let now = self.now;
        let open = self.hosts[slot].open.values_mut();
        open.for_each(|(_, since)| *since = now);
        let process = self.hosts[slot].process;
        while let Some(event) = self.hosts[slot].backlog.pop_front() {
            self.give(slot, event)?;
            if self.hosts[slot].process != process || !self.hosts[slot].is_up() {
                return Ok(());
            }
        }
        let open = &mut self.hosts[slot].open;
        open.retain(|_, (caller, _)| *caller != Caller::Gone);
        self.schedule_wake(slot);
        Ok(())
    }

    pub(super) fn tell_clock(&mut self, slot: usize, process: u64) -> Result<(), Finding> {
        let host = &self.hosts[slot];
        if host.process != process || !host.is_up() {
            return Ok(());
        }
        let wall = self.wall(slot);
        let period = self.config.clock.clock_period_ms.max(1) * MILLI;
        self.schedule(self.now + period, SimEvent::Clock { slot, process });
        self.give(slot, Event::Clock { wall })?;
        self.answers_in_time(slot)
    }

    fn wall(&self, slot: usize) -> WallTime {
        WallTime(self.hosts[slot].clock.wall(self.now))
    }

    fn node_config(&self, slot: usize) -> node::Config {
        let cluster = self.config_in_cluster(slot);
        match (cluster, self.has_ledger) {
            (Some(cluster), false) => node::Config::of_cluster(cluster),
            (Some(cluster), true) => {
                node::Config::of_cluster(cluster).with_ledger(self.config_of_ledger(slot))
            }
            (None, _) => node::Config::of_ledger(self.config_of_ledger(slot)),
        }
    }
}
