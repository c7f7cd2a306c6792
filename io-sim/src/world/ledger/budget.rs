//! How much may fail at once on the ledger: less than a third of the power, whichever of
//! the changes that are under way come into force.

use std::sync::Arc;

use decube_core::bft::ValidatorSet;
use decube_core::crypto::PublicKey;
use decube_core::ledger::{Member, ValidatorChange};
use decube_core::types::NodeId;

use super::{byzantine_nodes, faulty_nodes, is_within_budget, members};
use crate::subject::Subject;
use crate::world::host::Host;

/// Changes that may be open at once: all their combinations are looked at.
const OPEN_MAX: usize = 5;

/// The changes that are under way.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    /// Changes that were asked for and may still come into force.
    open: Vec<(ValidatorChange, PublicKey)>,
}

impl Budget {
    /// Whether these are less than a third of the power, whichever of the open
    /// changes come into force, and whether or not Byzantine nodes are convicted.
    pub(in crate::world) fn is_bearable<S: Subject>(
        &self,
        hosts: &[Host<S>],
        faulty: &[NodeId],
    ) -> bool {
        let Some(members) = members(hosts) else {
            return false;
        };
        let byzantine = byzantine_nodes(hosts);
        let open = &self.open;
        let is_minority = |set: &Arc<ValidatorSet>| {
            let power = |node: &NodeId| set.get(set.index_of(*node)?);
            let lost = faulty.iter().filter_map(power);
            let lost: u128 = lost.map(|one| u128::from(one.power.0)).sum();
            lost * 3 < set.total()
        };
        // Who votes where each node is: what the faulty have finalised in an epoch that
        // nobody else has seen yet is lost with them.
        let honest = hosts.iter().filter(|host| host.is_honest());
        let mut sets = honest.filter_map(|host| host.set.as_ref());
        sets.all(is_minority)
            && (0_u32..1 << open.len()).all(|set| {
                let chosen = (0..open.len()).filter(|number| set >> number & 1 == 1);
                let mut after = members.clone();
                for (change, key) in chosen.map(|number| &open[number]) {
                    after = changed(&after, change, key);
                }
                let mut convicted = after.clone();
                for member in &mut convicted {
                    member.is_jailed |= byzantine.contains(&member.node);
                }
                [after, convicted]
                    .iter()
                    .all(|members| is_within_budget(members, faulty))
            })
    }

    /// Takes up a change, if the budget bears it.
    pub(crate) fn open<S: Subject>(
        &mut self,
        hosts: &[Host<S>],
        change: ValidatorChange,
        key: PublicKey,
    ) -> bool {
        if self.open.len() >= OPEN_MAX {
            return false;
        }
        self.open.push((change, key));
        let keeps = self.is_bearable(hosts, &faulty_nodes(hosts));
        if !keeps {
            self.open.pop();
        }
        keeps
    }

    /// A change is in force.
    pub(crate) fn close(&mut self, change: &ValidatorChange) {
        self.open.retain(|(open, _)| open != change);
    }
}

/// The members after a change, as the harness reckons.
fn changed(members: &[Member], change: &ValidatorChange, key: &PublicKey) -> Vec<Member> {
    let mut after = members.to_vec();
    match change {
        ValidatorChange::Add {
            node,
            cluster,
            weight,
            ..
        } => {
            if after.iter().all(|member| member.node != *node) {
                after.push(Member::new(*node, *key, *cluster, *weight));
            }
        }
        ValidatorChange::Remove { node } => after.retain(|member| member.node != *node),
        ValidatorChange::SetWeight { node, weight } => {
            for member in &mut after {
                if member.node == *node {
                    member.weight = *weight;
                }
            }
        }
        ValidatorChange::Rotate { .. } => {}
    }
    after
}
