//! The end of the faults on the ledger, and what must follow: progress, though the Byzantine nodes
//! go on.

use decube_core::bft::Bft;
use decube_core::ledger::{Ledger, Member};
use decube_core::types::NodeId;

use super::{MILLI, World, faulty_nodes, furthest};
use crate::config::SimConfig;
use crate::rng::{Domain, Keyed};
use crate::subject::Subject;
use crate::world::host::Host;

impl<S: Subject> World<S> {
    /// How long it may take: views that Byzantine nodes and the dead lead, at deadlines that
    /// have grown while the network was down, and blocks whose time is still to come
    /// because clocks were ahead.
    pub(in crate::world) fn bound_of_ledger(&self) -> u64 {
        let delta = self.config.ledger.delta_ms.max(1) * MILLI;
        let validators = self.config.slots();
        let deadlines = 16 * 3 * delta;
        let ahead = self
            .hosts
            .iter()
            .map(|host| host.wall_offset.unsigned_abs());
        let clocks = ahead.max().unwrap_or(0);
        let views = validators / 3 + 2;
        let clients =
            2 * self.config.load.client_timeout_ms + self.config.cluster.request_timeout_ms;
        views * deadlines + 2 * clocks + 10 * clients * MILLI + 20_000 * MILLI
    }

    /// Some who stay dead for ever: never so many that Byzantine nodes, the dead and those who
    /// ask their way back are a third of the validators, now or after the epoch.
    pub(in crate::world) fn choose_dead_validators(&self) -> Vec<usize> {
        let Some(ledger_state) = furthest(&self.hosts).and_then(Ledger::ledger_state) else {
            return Vec::new();
        };
        let members = ledger_state.members();
        let mut draw = Keyed::new(self.seed, Domain::Heal).at(0, 0);
        let mut dead = Vec::new();
        if draw.coin()
            || !ledger_state.proposals().is_empty()
            || self.config.operators.reconfigurations > 0
        {
            return dead;
        }
        let mut faulty = faulty_nodes(&self.hosts);
        for _ in 0..self.hosts.len() {
            draw = draw.again();
            let slot = draw.index(self.hosts.len());
            let node = self.hosts[slot].node;
            if !self.hosts[slot].is_honest() || faulty.contains(&node) {
                continue;
            }
            faulty.push(node);
            let more = [dead.as_slice(), &[slot]].concat();
            if !self.can_do_without(members, &faulty) || !self.clusters.can_do_without(&more) {
                break;
            }
            dead = more;
        }
        dead
    }

    /// Whether the others are a quorum, of those who vote now and of those who will.
    fn can_do_without(&self, members: &[Member], faulty: &[NodeId]) -> bool {
        let others: Vec<NodeId> = self
            .hosts
            .iter()
            .map(|host| host.node)
            .filter(|node| !faulty.contains(node))
            .collect();
        let free: Vec<_> = members
            .iter()
            .map(|member| Member {
                is_jailed: false,
                ..*member
            })
            .collect();
        super::is_quorum(members, &others) && super::is_quorum(&free, &others)
    }
}

/// Where a node is, for a finding.
pub(in crate::world) fn standing<S: Subject>(host: &Host<S>) -> Option<String> {
    let ledger = host.ledger()?;
    let bft = ledger.bft();
    Some(format!(
        "height {:?} epoch {:?} view {:?} running {:?} pool {} wall {:?}",
        ledger.tip().map(|tip| tip.height.0),
        bft.map(|bft| bft.epoch().epoch.0),
        bft.map(|bft| bft.view().0),
        bft.map(Bft::is_running),
        ledger.pool().len(),
        host.wall_offset,
    ))
}

/// What validators reckon with is kept once the faults are over.
pub(in crate::world) fn calm(config: &mut SimConfig) {
    let delay_us = config.ledger.delta_ms * 250;
    config.network.delay_base_us = config.network.delay_base_us.min(delay_us);
    config.network.delay_mean_us = config.network.delay_mean_us.min(delay_us);
    config.disk.sync_mean_us = config.disk.sync_mean_us.min(delay_us);
}
