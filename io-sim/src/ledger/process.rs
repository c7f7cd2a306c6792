//! Processes: they boot, crash, pause, halt, and are started again.

use std::collections::BTreeSet;

use decube_core::bft::{Relay, Timing};
use decube_core::crypto::SharedVerifier;
use decube_core::io::Volume;
use decube_core::ledger::{Config, Proposals};
use decube_core::node::{self, Event, Node};
use decube_core::types::{Span, WallTime};

use super::host::{Host, Part};
use super::load::{Answer, Caller};
use super::{Happening, LedgerWorld, MILLI};
use crate::check::raft::Finding;
use crate::client::Ending;
use crate::device::Device;
use crate::shell::{FUTILE_STARTS_MAX, has_marks, new_clock};

/// How much later than its own deadlines a node may answer: disks and wakes are late.
const ANSWER_SLACK_MS: u64 = 2_000;

impl LedgerWorld {
    /// Starts the process of a slot, unless one runs.
    pub(super) fn boot(&mut self, slot: usize) -> Result<(), Finding> {
        if self.hosts[slot].is_up() || self.hosts[slot].dead {
            return Ok(());
        }
        let process = self.hosts[slot].process;
        let config = self.node_config(slot);
        let host = &mut self.hosts[slot];
        let offset = &mut host.wall_offset;
        host.clock = new_clock(self.seed, &self.config, (slot, process), self.now, offset);
        host.process_node = Some(Node::new(config));
        let used = self.used(slot);
        self.checker.started(slot);
        self.clusters.started(slot);
        self.coverage.boots += 1;
        let wall = self.wall(slot);
        self.step(slot, Event::Clock { wall })?;
        self.give(slot, Event::Start { used })?;
        let period = self.config.clock_period_ms.max(1) * MILLI;
        self.schedule(self.now + period, Happening::Clock { slot, process });
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
        for device in host.devices.values_mut() {
            device.crash(&self.config, power);
        }
        if host.process_node.take().is_none() {
            return;
        }
        host.process += 1;
        host.devices.values_mut().for_each(Device::forget_process);
        host.role = None;
        host.backlog.clear();
        host.paused = false;
        host.doom = None;
        host.wake = None;
        host.exits = None;
        host.ready = None;
        for (id, (caller, _)) in std::mem::take(&mut host.open) {
            match caller {
                Caller::OfCluster(cluster, client) => {
                    self.end_call_of_cluster((cluster, client), id, Ending::Lost);
                }
                caller => self.tell(caller, id, Answer::Lost),
            }
        }
        self.announce(slot, false);
    }

    /// Somebody looks after a machine with a part that halted, and starts it again.
    pub(super) fn look_after(&mut self, slot: usize, process: u64) {
        if self.hosts[slot].process == process && self.hosts[slot].is_up() {
            self.halted(slot, "an operator restarts it");
        }
    }

    pub(super) fn boot_after(&mut self, slot: usize, down: u64) {
        self.schedule(self.now + down, Happening::Boot { slot });
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
            self.schedule(self.now + duration, Happening::Resume { slot });
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
            self.step(slot, event)?;
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
        let period = self.config.clock_period_ms.max(1) * MILLI;
        self.schedule(self.now + period, Happening::Clock { slot, process });
        self.give(slot, Event::Clock { wall })?;
        self.answers_in_time(slot)
    }

    /// A node that runs answers every request: when its part does, when that does not
    /// recover in time, or when it ends.
    fn answers_in_time(&self, slot: usize) -> Result<(), Finding> {
        let host = &self.hosts[slot];
        let bound = 2 * self.config.request_timeout_ms + ANSWER_SLACK_MS;
        let is_late = |since: &u64| self.now > since + bound * MILLI;
        let late = host.open.iter().find(|(_, (_, since))| is_late(since));
        match late.filter(|_| host.is_up() && !host.paused) {
            Some((id, (caller, _))) => {
                let message = format!("slot {slot} keeps {id} of {caller:?} for {bound} ms");
                Err(("answers in time", message))
            }
            None => Ok(()),
        }
    }

    fn wall(&self, slot: usize) -> WallTime {
        WallTime(self.hosts[slot].clock.wall(self.now))
    }

    fn node_config(&self, slot: usize) -> node::Config {
        let ledger = self.config_of_ledger(slot);
        match self.config_in_cluster(slot) {
            Some(cluster) => node::Config::of_cluster(cluster).with_ledger(ledger),
            None => node::Config::of_ledger(ledger),
        }
    }

    fn config_of_ledger(&self, slot: usize) -> Config {
        let settings = &self.config;
        let Host {
            node,
            key,
            voting_key,
            part,
            ..
        } = &self.hosts[slot];
        let mut config = Config::new(*node, self.genesis.clone());
        config.signer = Some(key.clone());
        if matches!(part, Part::Honest) {
            config.voting_key.clone_from(voting_key);
        }
        config.verifier = SharedVerifier::new(self.authority.verifier());
        config.timing = Timing {
            delta: Span::from_millis(settings.delta_ms.max(1)),
            idle_block: Span::from_millis(settings.idle_block_ms.max(1)),
        };
        config.peers.clone_from(&self.names);
        (config.relay, config.proposals) = match settings.flood {
            0 => (Relay::Sparse, Proposals::Compact),
            _ => (Relay::Flood, Proposals::Whole),
        };
        if let Part::Liar(_) = part {
            // It changes its blocks, and then sends them in the short form or not.
            config.proposals = Proposals::Whole;
        }
        config.wait_timeout = Span::from_millis(settings.request_timeout_ms);
        config.push_again = Span::from_millis(settings.delta_ms.max(1) * 4);
        config.wal_segment_bytes = settings.wal_segment_bytes;
        config.point_blocks = settings.point_blocks.max(1);
        config.fetch_behind = settings.fetch_behind;
        if slot % 2 == 1 {
            config.retain_blocks = settings.retain_blocks;
        }
        config.mutant = self.mutant;
        config
    }
}
