//! The end of the faults, and what must follow: progress.
//!
//! Safety under faults is half of the truth; a system that never answers is
//! safe as well. So all faults end at the horizon, some nodes may stay
//! dead for ever, and then every client must get answers, and every node that
//! lives must have everything that is committed, within a bound of virtual time.

use super::{MILLI, World, ledger};
use crate::check::Finding;
use crate::config::SimConfig;
use crate::subject::Subject;

/// How often it is looked whether the world has converged.
pub(super) const PROBE_NS: u64 = 50 * MILLI;
/// Slots that a finding describes.
const SLOTS_TOLD: usize = 16;
/// Operations that each client must complete after the faults ended.
const OPERATIONS_AFTER_HEAL: u64 = 3;

impl<S: Subject> World<S> {
    /// Ends the faults and requires progress.
    pub(super) fn converge(&mut self) {
        if let Err((checker, message)) = self.heal() {
            return self.violate(checker, message);
        }
        let start = self.completed();
        let bound = self.bound();
        let end = self.now + bound;
        let mut is_served = false;
        while self.violation.is_none() && self.now < end {
            self.run_until(self.now + PROBE_NS);
            if self.is_exhausted() {
                return;
            }
            if !is_served {
                is_served = self.has_served(&start);
                if is_served {
                    self.court.aim();
                }
            } else if self.court.is_reached(&self.hosts) {
                if let Err((checker, message)) = self.court.converged() {
                    return self.violate(checker, message);
                }
                return self.finish_actors();
            }
        }
        if self.violation.is_none() {
            let message = self.stuck(bound, &start, is_served);
            let name = if self.has_ledger {
                "I10 liveness"
            } else {
                "liveness"
            };
            self.violate(name, message);
        }
    }

    /// What each client has completed.
    fn completed(&self) -> Vec<u64> {
        self.stage
            .all()
            .flat_map(|actor| actor.completed())
            .collect()
    }

    /// Whether every client was served since.
    fn has_served(&self, start: &[u64]) -> bool {
        let each = self.completed();
        let mut each = each.iter().zip(start);
        each.all(|(now, then)| *now >= then + OPERATIONS_AFTER_HEAL)
    }

    /// How long it may take.
    fn bound(&self) -> u64 {
        let of_clusters = match self.clusters.is_empty() {
            true => 0,
            false => self.config.span.heal_ms * MILLI,
        };
        match self.has_ledger {
            true => self.bound_of_ledger().max(of_clusters),
            false => of_clusters,
        }
    }

    fn heal(&mut self) -> Result<(), Finding> {
        self.healed = true;
        self.network.heal();
        let dead = match self.has_ledger {
            true => self.choose_dead_validators(),
            false => self.choose_dead_members(),
        };
        calm(&mut self.config);
        self.stage.healed(&self.config.load);
        if self.has_ledger {
            ledger::calm(&mut self.config);
        }
        for slot in 0..self.hosts.len() {
            let host = &mut self.hosts[slot];
            let devices = host.devices.values_mut();
            devices.for_each(|device| device.disk.heal());
            host.pending_crash = None;
            if self.has_ledger {
                let back = -host.wall_offset;
                host.clock.step_wall(back);
                host.wall_offset = 0;
            }
            self.resume(slot)?;
        }
        for slot in 0..self.hosts.len() {
            let host = &mut self.hosts[slot];
            if dead.contains(&slot) && !host.dead {
                host.dead = true;
                self.crash(slot, false);
                continue;
            }
            if self.has_ledger && !host.is_gone {
                // Devices that failed are whole again, and logs are repaired from others.
                host.dead = dead.contains(&slot);
                host.futile_starts = 0;
            }
            self.boot(slot)?;
        }
        Ok(())
    }

    fn stuck(&self, bound: u64, start: &[u64], is_served: bool) -> String {
        let what = match is_served {
            true => "a node lags for ever",
            false => "clients are not served",
        };
        let mut message = format!(
            "{what} {} ms after the faults ended; operations {start:?} then {:?};",
            bound / MILLI,
            self.completed()
        );
        for (slot, host) in self.hosts.iter().enumerate().take(SLOTS_TOLD) {
            let part = if host.is_honest() { "" } else { " (Byzantine)" };
            let state = match &host.subject {
                None if host.dead => "dead".to_owned(),
                None => "down".to_owned(),
                Some(subject) => {
                    let of_ledger = ledger::standing(host).unwrap_or_default();
                    format!("{of_ledger} {:?}", subject.facts())
                }
            };
            message += &format!(" slot {slot}{part}: {state};");
        }
        message
    }
}

/// The settings of a world without faults: what delays, delays little.
pub(crate) fn calm(config: &mut SimConfig) {
    let usual = SimConfig::default();
    config.network.loss_ppm = 0;
    config.network.duplicate_ppm = 0;
    config.network.reorder_ppm = 0;
    config.network.corrupt_ppm = 0;
    config.network.bandwidth_bytes_per_ms = 0;
    config.disk.sync_fail_ppm = 0;
    config.disk.write_fail_ppm = 0;
    config.disk.read_fail_ppm = 0;
    config.disk.full_ppm = 0;
    config.disk.misread_ppm = 0;
    config.network.delay_kind = usual.network.delay_kind;
    config.network.delay_base_us = config.network.delay_base_us.min(1_000);
    config.network.delay_mean_us = config.network.delay_mean_us.min(1_000);
    config.disk.sync_mean_us = config.disk.sync_mean_us.min(1_000);
    config.disk.store_mean_us = config.disk.store_mean_us.min(1_000);
    config.process.wake_late_us = 0;
    // Members that were removed do not know it and keep a request until it times
    // out: whether the cluster serves must not hang on how often a client tries.
    config.load.client_timeout_ms = config.load.client_timeout_ms.min(1_000);
}
