//! The end of the faults, and what must follow: progress.
//!
//! Safety under faults is half of the truth; a cluster that never answers is
//! safe as well. So all faults end at the horizon, a random minority may stay
//! dead for ever, and then every client must get answers, and every node that
//! lives must apply everything that is committed, within a bound of virtual time.

use super::World;
use crate::check::raft::{Finding, all_voters, id_slot};
use crate::config::SimConfig;
use crate::plan;
use crate::rng::{Domain, Keyed};
use crate::subject::Subject;

const MILLI: u64 = 1_000_000;
/// How often it is looked whether the cluster has converged.
const PROBE_NS: u64 = 50 * MILLI;
/// Slots that a finding describes.
const SLOTS_TOLD: usize = 16;
/// Operations that each client must complete after the faults ended.
const OPERATIONS_AFTER_HEAL: u64 = 3;

impl<S: Subject> World<S> {
    /// Ends the faults and requires progress.
    pub(super) fn converge(&mut self) {
        if let Err((checker, message)) = self.heal() {
            self.violate(checker, message);
            return;
        }
        let start = self.clients.completed_each();
        let end = self.now + self.config.heal_ms * MILLI;
        let mut target = None;
        while self.violation.is_none() && self.now < end {
            let until = self.now + PROBE_NS;
            self.run_until(until);
            if self.is_exhausted() {
                return;
            }
            let served = || {
                let each = self.clients.completed_each();
                each.iter()
                    .zip(&start)
                    .all(|(now, then)| *now >= then + OPERATIONS_AFTER_HEAL)
            };
            match target {
                None if served() => target = Some(self.checker.committed()),
                Some(target) if self.applied_everywhere(target.0) => return,
                _ => {}
            }
        }
        if self.violation.is_none() {
            let message = self.stuck(&start, target.is_some());
            self.violate("liveness", message);
        }
    }

    fn heal(&mut self) -> Result<(), Finding> {
        self.healed = true;
        self.network.heal();
        let dead = self.choose_dead();
        calm(&mut self.config);
        for slot in 0..self.hosts.len() {
            self.hosts[slot].device.disk.heal();
            self.hosts[slot].doom = None;
            self.resume(slot)?;
        }
        for slot in 0..self.hosts.len() {
            if self.hosts[slot].dead {
                continue;
            }
            if dead.contains(&slot) {
                self.hosts[slot].dead = true;
                self.crash(slot, false);
            } else {
                self.boot(slot)?;
            }
        }
        Ok(())
    }

    /// A random minority that stays dead. If disks were damaged, only those may
    /// be: the others are needed. After membership changes nobody is, because
    /// who forms a quorum is then up to the cluster.
    fn choose_dead(&self) -> Vec<usize> {
        let draw = Keyed::new(self.seed, Domain::Heal).at(0, 0);
        let nodes = self.config.nodes;
        let wiped = self
            .hosts
            .iter()
            .filter(|host| host.dead && host.process > 0);
        let wiped = u64::try_from(wiped.count()).expect("few slots");
        let spare = ((nodes.max(1) - 1) / 2).saturating_sub(wiped);
        if self.config.reconfigurations > 0 || spare == 0 {
            return Vec::new();
        }
        let config = &self.config;
        let damage = config.rots + config.misdirects + config.lies + config.wipes > 0
            || config.read_fail_ppm + config.misread_ppm > 0;
        let mut slots: Vec<u64> = match damage {
            true => plan::victims(self.seed, config),
            false => (0..nodes).collect(),
        };
        let mut draw = draw;
        let count = draw.below(spare + 1);
        let mut dead = Vec::new();
        while u64::try_from(dead.len()).expect("few slots") < count && !slots.is_empty() {
            draw = draw.again();
            let slot = slots.swap_remove(draw.index(slots.len()));
            dead.push(usize::try_from(slot).expect("few slots"));
        }
        dead
    }

    /// Whether every living member has applied up to `index`.
    fn applied_everywhere(&self, index: u64) -> bool {
        let Some(leader) = self.leader() else {
            return false;
        };
        let subject = self.hosts[leader]
            .subject
            .as_ref()
            .expect("a leader is running");
        let Some(membership) = subject.membership() else {
            return false;
        };
        let mut members = all_voters(membership);
        members.extend(&membership.learners);
        members
            .into_iter()
            .filter_map(|id| id_slot(id, self.hosts.len()))
            .all(|slot| {
                let host = &self.hosts[slot];
                let facts = host.subject.as_ref().and_then(Subject::facts);
                let lost = host.device.damaged && host.futile_starts > 1;
                host.dead || lost || facts.is_some_and(|facts| facts.applied.0 >= index)
            })
    }

    fn stuck(&self, start: &[u64], served: bool) -> String {
        let what = if served {
            "a node lags for ever"
        } else {
            "clients are not served"
        };
        let mut message = format!(
            "{what} {} ms after the faults ended; operations {start:?} then {:?};",
            self.config.heal_ms,
            self.clients.completed_each()
        );
        for (slot, host) in self.hosts.iter().enumerate().take(SLOTS_TOLD) {
            let state = match host.subject.as_ref().map(Subject::facts) {
                None if host.dead => "dead".to_owned(),
                None => "down".to_owned(),
                Some(None) => "recovering".to_owned(),
                Some(Some(facts)) => format!("{facts:?}"),
            };
            message += &format!(" slot {slot}: {state};");
        }
        message
    }
}

/// The settings of a world without faults: what delays, delays little.
pub(crate) fn calm(config: &mut SimConfig) {
    let usual = SimConfig::default();
    config.loss_ppm = 0;
    config.duplicate_ppm = 0;
    config.reorder_ppm = 0;
    config.corrupt_ppm = 0;
    config.bandwidth_bytes_per_ms = 0;
    config.sync_fail_ppm = 0;
    config.write_fail_ppm = 0;
    config.read_fail_ppm = 0;
    config.full_ppm = 0;
    config.misread_ppm = 0;
    config.delay_kind = usual.delay_kind;
    config.delay_base_us = config.delay_base_us.min(1_000);
    config.delay_mean_us = config.delay_mean_us.min(1_000);
    config.sync_mean_us = config.sync_mean_us.min(1_000);
    config.store_mean_us = config.store_mean_us.min(1_000);
    config.wake_late_us = 0;
    // Members that were removed do not know it and keep a request until it times
    // out: whether the cluster serves must not hang on how often a client tries.
    config.client_timeout_ms = config.client_timeout_ms.min(1_000);
}
