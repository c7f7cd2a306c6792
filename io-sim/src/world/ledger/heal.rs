//! The end of the faults on the ledger, and what must follow: progress, though the liars
//! go on.

use decube_core::bft::{Bft, Epoch};
use decube_core::ledger::{Ledger, Member, Request, Response};
use decube_core::types::NodeId;

use super::{MILLI, World};
use crate::check::Finding;
use crate::config::SimConfig;
use crate::rng::{Domain, Keyed};
use crate::subject::Subject;
use crate::world::calls::Caller;
use crate::world::heal::PROBE_NS;
use crate::world::host::Host;
use crate::world::{Coverage, Happening};

/// Epochs that an answer can lead over.
const EPOCHS_NEAR: u64 = 60;
/// Receipts that are asked for at the end.
const RECEIPTS: usize = 6;

impl<S: Subject> World<S> {
    /// How long it may take: views that liars and the dead lead, at deadlines that
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

    /// Some who stay dead for ever: never so many that liars, the dead and those who
    /// ask their way back are a third of the validators, now or after the epoch.
    pub(in crate::world) fn choose_dead_validators(&self) -> Vec<usize> {
        let Some(world) = self.furthest().and_then(Ledger::world) else {
            return Vec::new();
        };
        let members = world.members();
        let mut draw = Keyed::new(self.seed, Domain::Heal).at(0, 0);
        let mut dead = Vec::new();
        if draw.coin()
            || !world.proposals().is_empty()
            || self.config.operators.reconfigurations > 0
        {
            return dead;
        }
        let mut faulty = self.faulty_nodes();
        for _ in 0..self.hosts.len() {
            draw = draw.again();
            let slot = draw.index(self.hosts.len());
            let node = self.hosts[slot].node;
            if !self.hosts[slot].is_honest() || faulty.contains(&node) {
                continue;
            }
            faulty.push(node);
            let more = [dead.as_slice(), &[slot]].concat();
            if !self.can_do_without(&members, &faulty) || !self.clusters.can_do_without(&more) {
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

    /// Asks for receipts of what clients know to be final, as somebody would who
    /// knows the genesis alone.
    pub(in crate::world) fn audit(&mut self) {
        let judge = self.judge.borrow();
        let upto = judge.target();
        let known = judge.told().iter();
        let known: Vec<_> = known
            .filter(|id| judge.height_of(id).is_some_and(|at| at <= upto))
            .copied()
            .collect();
        let step = known.len() / RECEIPTS + 1;
        let asked: Vec<_> = known.into_iter().rev().step_by(step).collect();
        let asked: Vec<_> = asked
            .into_iter()
            .filter_map(|id| Some((id, judge.epoch_to_prove_from(&id)?)))
            .collect();
        drop(judge);
        let living = |slot: &usize| {
            let host = &self.hosts[*slot];
            host.is_honest() && host.is_up()
        };
        let slots: Vec<usize> = (0..self.hosts.len()).filter(living).collect();
        for (number, (id, from)) in asked.iter().enumerate() {
            let from = *from;
            // Every other one under a certificate of now instead of then.
            let now = self.furthest().and_then(Ledger::bft).map(|bft| bft.epoch());
            let is_near = now.is_some_and(|now| now.epoch.0 <= from.0 + EPOCHS_NEAR);
            let request = Request::Prove {
                id: *id,
                from,
                fresh: is_near && number % 2 == 1,
            };
            let slot = slots[number % slots.len()];
            let id = self.fresh_request();
            let happening = Happening::Call {
                caller: Caller::Auditor(from),
                slot,
                id,
                request: Box::new(request.into()),
            };
            self.schedule(self.now, happening);
        }
        let answers = |coverage: &Coverage| coverage.receipts_checked + coverage.receipts_gone;
        let before = answers(&self.coverage);
        let wanted = u64::try_from(asked.len()).expect("few receipts");
        let end = self.now + 10_000 * MILLI;
        while self.violation.is_none() && answers(&self.coverage) < before + wanted {
            if self.now >= end {
                let message = format!("{wanted} receipts were asked for, not all came");
                return self.violate("receipts", message);
            }
            self.run_until(self.now + PROBE_NS);
        }
    }

    /// An answer to the auditor.
    pub(in crate::world) fn audited(
        &mut self,
        from: Epoch,
        answer: Option<Response>,
    ) -> Result<(), Finding> {
        let is_gone =
            self.config.ledger.retain_blocks > 0 || self.judge.borrow().states_fetched() > 0;
        match answer {
            Some(Response::Receipt(receipt)) => {
                self.coverage.receipts_checked += 1;
                self.judge.borrow().on_receipt(from, &receipt)
            }
            Some(Response::NotFound | Response::Pruned { .. }) if is_gone => {
                self.coverage.receipts_gone += 1;
                Ok(())
            }
            other => {
                let message = format!("no receipt of a final operation: {other:?}");
                Err(("receipts", message))
            }
        }
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
