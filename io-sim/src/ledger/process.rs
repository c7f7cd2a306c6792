//! Processes: they boot, crash, pause, halt, and are started again.

use std::collections::BTreeSet;

use decube_core::bft::{Relay, Timing};
use decube_core::crypto::SharedVerifier;
use decube_core::io::Volume;
use decube_core::ledger::{Config, Proposals};
use decube_core::node::{self, Event, Node};
use decube_core::types::{Span, WallTime};

use super::host::{Host, Part};
use super::load::Answer;
use super::{Happening, LedgerWorld, MILLI};
use crate::check::raft::Finding;
use crate::shell::{FUTILE_STARTS_MAX, new_clock};

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
        host.process_node = Some(Node::new(node::Config::of_ledger(config)));
        let used = match host.has_lost_disk {
            true => BTreeSet::from([Volume::Ledger]),
            false => BTreeSet::new(),
        };
        self.checker.started(slot);
        self.coverage.boots += 1;
        let wall = self.wall(slot);
        self.step(slot, Event::Clock { wall })?;
        self.give(slot, Event::Start { used })?;
        let period = self.config.clock_period_ms.max(1) * MILLI;
        self.schedule(self.now + period, Happening::Clock { slot, process });
        Ok(())
    }

    /// Ends a process at once. What it had not synced is at risk if `power` is lost.
    pub(super) fn crash(&mut self, slot: usize, power: bool) {
        let host = &mut self.hosts[slot];
        host.disk.crash(&self.config, power);
        host.store.crash(power);
        if host.process_node.take().is_none() {
            return;
        }
        host.process += 1;
        host.store_tasks.clear();
        host.backlog.clear();
        host.paused = false;
        host.doom = None;
        host.wake = None;
        host.exits = None;
        host.ready = None;
        host.fatal = None;
        host.must_halt = false;
        for (id, caller) in std::mem::take(&mut host.open) {
            self.tell(caller, id, Answer::Lost);
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
        let process = self.hosts[slot].process;
        while let Some(event) = self.hosts[slot].backlog.pop_front() {
            self.step(slot, event)?;
            if self.hosts[slot].process != process || !self.hosts[slot].is_up() {
                return Ok(());
            }
        }
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
        self.give(slot, Event::Clock { wall })
    }

    fn wall(&self, slot: usize) -> WallTime {
        WallTime(self.hosts[slot].clock.wall(self.now))
    }

    fn node_config(&self, slot: usize) -> Config {
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
