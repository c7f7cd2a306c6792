//! The end of the faults in clusters: who stays dead, and what must follow.

use super::{Cluster, Clusters, World, place};
use crate::rng::{Domain, Keyed};
use crate::subject::Subject;

impl Clusters {
    /// Whether each cluster has a majority of its first voters without these slots, and
    /// without those whose logs may be damaged.
    pub(in crate::world) fn can_do_without(&self, dead: &[usize]) -> bool {
        self.list.iter().all(|cluster| {
            let voters = &cluster.slots[..cluster.voters.len()];
            let is_damaged =
                cluster.config.disk.cluster_damage == 1 || cluster.config.topology.wipes > 0;
            let is_victim = |slot: &usize| is_damaged && cluster.victims.contains(slot);
            let living = voters
                .iter()
                .filter(|slot| !dead.contains(slot) && !is_victim(slot));
            living.count() * 2 > voters.len()
        })
    }
}

impl<S: Subject> World<S> {
    /// In a world without a ledger, a random minority that stays dead. If disks were
    /// damaged, only those may be: the others are needed. After membership changes nobody
    /// is, because who forms a quorum is then up to the cluster.
    pub(in crate::world) fn choose_dead_members(&self) -> Vec<usize> {
        let draw = Keyed::new(self.seed, Domain::Heal).at(0, 0);
        let nodes = self.config.topology.nodes;
        let wiped = self
            .hosts
            .iter()
            .filter(|host| host.dead && host.process > 0);
        let wiped = u64::try_from(wiped.count()).expect("few slots");
        let spare = ((nodes.max(1) - 1) / 2).saturating_sub(wiped);
        if self.config.operators.reconfigurations > 0 || spare == 0 {
            return Vec::new();
        }
        let config = &self.config;
        let damage = config.disk.rots
            + config.disk.misdirects
            + config.disk.lying_syncs
            + config.topology.wipes
            > 0
            || config.disk.read_fail_ppm + config.disk.misread_ppm > 0;
        let Cluster { victims, slots, .. } = &self.clusters.list[0];
        let mut slots: Vec<usize> = match damage {
            true => victims.clone(),
            false => slots.iter().take(place(nodes)).copied().collect(),
        };
        let mut draw = draw;
        let count = draw.below(spare + 1);
        let mut dead = Vec::new();
        while u64::try_from(dead.len()).expect("few slots") < count && !slots.is_empty() {
            draw = draw.again();
            dead.push(slots.swap_remove(draw.index(slots.len())));
        }
        dead
    }
}
