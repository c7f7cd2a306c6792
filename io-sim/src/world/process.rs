//! Processes: they boot, crash, pause, halt, and are started again.

use std::collections::BTreeSet;

use decube_core::io::Volume;
use decube_core::node::{Config, Event};
use decube_core::part::Scope;
use decube_core::raft::Membership;
use decube_core::types::{ClusterId, WallTime};

use super::{Happening, World};
use crate::check::raft::{Finding, slot_id};
use crate::client::Ending;
use crate::rng::{Domain, Keyed};
use crate::shell::{FUTILE_STARTS_MAX, cluster_config, has_marks, new_clock};
use crate::subject::Subject;

const MILLI: u64 = 1_000_000;
impl<S: Subject> World<S> {
    /// Starts the process of a slot, unless one runs.
    pub(super) fn boot(&mut self, slot: usize) -> Result<(), Finding> {
        if self.hosts[slot].subject.is_some() || self.hosts[slot].dead {
            return Ok(());
        }
        let process = self.hosts[slot].process;
        let config = self.node_config(slot);
        let host = &mut self.hosts[slot];
        let offset = &mut host.wall_offset;
        host.clock = new_clock(self.seed, &self.config, (slot, process), self.now, offset);
        host.subject = Some(S::build(config));
        let wall = WallTime(host.clock.wall(self.now));
        self.checker.started(slot);
        self.coverage.boots += 1;
        self.step(slot, Event::Clock { wall })?;
        let is_marked = self.hosts[slot].device.is_used && has_marks(self.seed, slot);
        let used = match is_marked {
            true => BTreeSet::from([Volume::Cluster]),
            false => BTreeSet::new(),
        };
        self.give(slot, Event::Start { used })?;
        let period = self.config.clock_period_ms.max(1) * MILLI;
        self.schedule(self.now + period, Happening::Clock { slot, process });
        self.announce(slot, true);
        Ok(())
    }

    /// Ends a process at once. What it had not synced is at risk if `power` is lost.
    pub(super) fn crash(&mut self, slot: usize, power: bool) {
        let host = &mut self.hosts[slot];
        let revealed = host.device.crash(&self.config, power);
        self.damaged(slot, revealed);
        let host = &mut self.hosts[slot];
        if host.subject.take().is_none() {
            return;
        }
        host.process += 1;
        host.device.forget_process();
        host.backlog.clear();
        host.paused = false;
        host.role = None;
        host.was_joint = false;
        host.watchers.clear();
        host.doom = None;
        host.wakes = [None; 2];
        host.exits = None;
        host.ready = None;
        for (id, client) in std::mem::take(&mut host.open) {
            let Some(client) = client else { continue };
            let at = self.now + self.client_delay(id.0 ^ 1 << 59);
            let ending = Ending::Lost;
            self.schedule(at, Happening::Answer { client, id, ending });
        }
        self.announce(slot, false);
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
        let ran = self.hosts[slot]
            .ready
            .is_some_and(|ready| ready < self.events);
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
        if self.hosts[slot].subject.is_some() && !self.hosts[slot].paused {
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
            if self.hosts[slot].process != process || self.hosts[slot].subject.is_none() {
                return Ok(());
            }
        }
        self.schedule_wake(slot);
        Ok(())
    }

    pub(super) fn tell_clock(&mut self, slot: usize, process: u64) -> Result<(), Finding> {
        let host = &self.hosts[slot];
        if host.process != process || host.subject.is_none() {
            return Ok(());
        }
        let wall = WallTime(host.clock.wall(self.now));
        let period = self.config.clock_period_ms.max(1) * MILLI;
        self.schedule(self.now + period, Happening::Clock { slot, process });
        self.give(slot, Event::Clock { wall })
    }

    pub(super) fn tell_peer(
        &mut self,
        slot: usize,
        process: u64,
        peer: usize,
        up: bool,
    ) -> Result<(), Finding> {
        if self.hosts[slot].process != process {
            return Ok(());
        }
        let event = Event::Peer {
            peer: slot_id(peer),
            scope: Scope::Cluster,
            is_up: up,
        };
        self.give(slot, event)
    }

    /// The transports of a slot and of everybody else notice that it came or went.
    fn announce(&mut self, slot: usize, up: bool) {
        for other in 0..self.hosts.len() {
            if other == slot || self.hosts[other].subject.is_none() {
                continue;
            }
            if self.network.is_open(slot, other) {
                self.tell_later(other, slot, up);
            }
            if up && self.network.is_open(other, slot) {
                self.tell_later(slot, other, up);
            }
        }
    }

    pub(super) fn tell_later(&mut self, slot: usize, peer: usize, up: bool) {
        let process = self.hosts[slot].process;
        let salt = self.queue_draws() ^ 1 << 58;
        let at = self.now + self.client_delay(salt);
        let happening = Happening::Peer {
            slot,
            process,
            peer,
            up,
        };
        self.schedule(at, happening);
    }

    fn node_config(&self, slot: usize) -> Config {
        let settings = &self.config;
        let cluster = ClusterId(0xdec0_be00);
        let entity = u64::try_from(slot).expect("few slots");
        let process = self.hosts[slot].process;
        let seed = Keyed::new(self.seed, Domain::NodeSeed)
            .at(entity, process)
            .0;
        let bootstrap = if entity < settings.nodes {
            let voters = usize::try_from(settings.nodes).expect("few nodes");
            Membership {
                voters: (0..voters).map(slot_id).collect(),
                ..Membership::default()
            }
        } else {
            Membership::default()
        };
        let config = cluster_config(
            settings,
            self.mutant,
            (slot_id(slot), cluster),
            bootstrap,
            seed,
        );
        Config::of_cluster(config)
    }
}
