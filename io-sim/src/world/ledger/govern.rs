//! Validators that change their set and its parameters while everything fails: some
//! say the same operation until it is in force, or until they give up.

use std::sync::Arc;

use decube_core::bft::{Height, ValidatorSet};
use decube_core::codec::Encode as _;
use decube_core::crypto::{PublicKey, SharedSigner};
use decube_core::ledger::{
    AccountId, Intent, KeyOwner, KeyProof, Lane, Member, Operation, Param, Request, ValidatorChange,
};
use decube_core::types::NodeId;

use super::{Happening, MILLI, World};
use crate::plan::Fault;
use crate::rng::{Domain, Draw, Keyed};
use crate::subject::Subject;
use crate::world::calls::Caller;

/// What the governors are at.
#[derive(Debug, Default)]
pub(in crate::world) struct Governor {
    wanted: Option<Operation>,
    /// Changes that were asked for and may still come into force.
    open: Vec<(ValidatorChange, PublicKey)>,
    tries: u64,
    is_queued: bool,
}

const PAUSE_NS: u64 = 700 * MILLI;
const TRIES_MAX: u64 = 12;
/// Changes that may be open at once: all their combinations are looked at.
const OPEN_MAX: usize = 5;

impl<S: Subject> World<S> {
    /// Governors begin with another change, if they are at none.
    pub(in crate::world) fn begin_governing(&mut self, fault: &Fault) {
        if self.governor.wanted.is_some() {
            return;
        }
        let draw = Keyed::new(self.seed, Domain::Liar).at(fault.args[0] | 1 << 42, fault.args[1]);
        let wanted = match self.choose_change(draw) {
            Some((Operation::Validator(change), key)) => self
                .open_change(change.clone(), key)
                .then_some(Operation::Validator(change)),
            other => other.map(|(operation, _)| operation),
        };
        if wanted.is_none() {
            return;
        }
        if self.log.is_some() {
            self.describe(0, "**", &format!("governors want {wanted:?}"));
        }
        self.governor.wanted = wanted;
        self.governor.tries = 0;
        if !std::mem::replace(&mut self.governor.is_queued, true) {
            self.schedule(self.now, Happening::Govern);
        }
    }

    /// What to change, and the key of the node that it is about.
    fn choose_change(&self, draw: Draw) -> Option<(Operation, PublicKey)> {
        let members = self.members()?;
        let slot = draw.again().index(self.hosts.len());
        let host = &self.hosts[slot];
        let listed = members.iter().find(|member| member.node == host.node);
        let number = u64::try_from(slot).expect("few slots");
        let weight = u32::try_from(draw.again().again().range(1, 5)).expect("small");
        let change = match (draw.below(5), listed) {
            (3, _) => {
                let value = draw.again().range(2, 60);
                let param = Param::EpochBlocks;
                return Some((Operation::Param { param, value }, *host.key.public_key()));
            }
            (_, None) => ValidatorChange::Add {
                node: host.node,
                cluster: super::cluster_of(&self.config, number),
                weight,
                key: self.key_proof(host.node, &host.key),
            },
            // There and back again.
            (4, Some(member)) if host.is_honest() => {
                let further = host.voting_key.as_ref();
                let other = further.filter(|_| member.key == *host.key.public_key());
                let key = self.key_proof(host.node, other.unwrap_or(&host.key));
                ValidatorChange::Rotate {
                    node: host.node,
                    key,
                }
            }
            (0, Some(_)) if members.len() > 1 => ValidatorChange::Remove { node: host.node },
            (_, Some(_)) => ValidatorChange::SetWeight {
                node: host.node,
                weight,
            },
        };
        Some((Operation::Validator(change), *host.key.public_key()))
    }

    /// Whether these are less than a third of the power, whichever of the open
    /// changes come into force, and whether or not those who lie are convicted.
    pub(in crate::world) fn is_bearable(&self, faulty: &[NodeId]) -> bool {
        let Some(members) = self.members() else {
            return false;
        };
        let liars = self.lying_nodes();
        let open = &self.governor.open;
        let is_minority = |set: &Arc<ValidatorSet>| {
            let power = |node: &NodeId| set.get(set.index_of(*node)?);
            let lost = faulty.iter().filter_map(power);
            let lost: u128 = lost.map(|one| u128::from(one.power.0)).sum();
            lost * 3 < set.total()
        };
        // Who votes where each node is: what the faulty have finalised in an epoch that
        // nobody else has seen yet is lost with them.
        let honest = self.hosts.iter().filter(|host| host.is_honest());
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
                    member.is_jailed |= liars.contains(&member.node);
                }
                [after, convicted]
                    .iter()
                    .all(|members| super::is_within_budget(members, faulty))
            })
    }

    /// Takes up a change, if the budget of lies bears it.
    fn open_change(&mut self, change: ValidatorChange, key: PublicKey) -> bool {
        if self.governor.open.len() >= OPEN_MAX {
            return false;
        }
        self.governor.open.push((change, key));
        let keeps = self.is_bearable(&self.faulty_nodes());
        if !keeps {
            self.governor.open.pop();
        }
        keeps
    }

    fn key_proof(&self, node: NodeId, signer: &SharedSigner) -> KeyProof {
        let owner = KeyOwner::Validator(node);
        let key = *signer.public_key();
        let preimage = KeyProof::preimage(self.genesis.chain(), owner, &key);
        KeyProof {
            key,
            signature: signer.sign(&preimage),
        }
    }

    /// Every honest validator says the wanted operation again, through some node.
    pub(in crate::world) fn govern(&mut self) {
        self.governor.is_queued = false;
        self.governor.tries += 1;
        let Some(operation) = self.governor.wanted.clone() else {
            return;
        };
        if self.governor.tries > TRIES_MAX || self.is_in_force(&operation) {
            if self.is_in_force(&operation) {
                self.coverage.changes_in_force += 1;
                let is_rotation = matches!(
                    operation,
                    Operation::Validator(ValidatorChange::Rotate { .. })
                );
                self.coverage.keys_rotated += u64::from(is_rotation);
                self.coverage.outsiders_joined += u64::from(self.adds_outsider(&operation));
                let is_it =
                    |change: &ValidatorChange| operation == Operation::Validator(change.clone());
                self.governor.open.retain(|(change, _)| !is_it(change));
            }
            self.governor.wanted = None;
            return;
        }
        for slot in 0..self.hosts.len() {
            if self.hosts[slot].is_honest() {
                self.say_operation(slot, &operation);
            }
        }
        self.governor.is_queued = true;
        self.schedule(self.now + PAUSE_NS, Happening::Govern);
    }

    /// Whether an operation makes a node a validator that the genesis does not name.
    fn adds_outsider(&self, operation: &Operation) -> bool {
        let mut named = self.genesis.members.iter().map(|member| member.node);
        match operation {
            Operation::Validator(ValidatorChange::Add { node, .. }) => {
                !named.any(|name| name == *node)
            }
            _ => false,
        }
    }

    fn is_in_force(&self, operation: &Operation) -> bool {
        let Some(world) = self.furthest().and_then(|ledger| ledger.world()) else {
            return false;
        };
        let member = |node: &NodeId| world.members().into_iter().find(|one| one.node == *node);
        match operation {
            Operation::Param { param, value } => world.params().get(*param) == *value,
            Operation::Validator(ValidatorChange::Add { node, .. }) => member(node).is_some(),
            Operation::Validator(ValidatorChange::Remove { node }) => member(node).is_none(),
            Operation::Validator(ValidatorChange::SetWeight { node, weight }) => {
                member(node).is_none_or(|member| member.weight == *weight)
            }
            Operation::Validator(ValidatorChange::Rotate { node, key }) => {
                member(node).is_none_or(|member| member.key == key.key)
            }
            _ => true,
        }
    }

    fn say_operation(&mut self, slot: usize, operation: &Operation) {
        let Some(world) = self.furthest().and_then(|ledger| ledger.world()) else {
            return;
        };
        // It counts only under the key by which the present set knows its author.
        let signer = self.hosts[slot].key_in(world.epoch().set()).clone();
        let account = AccountId::of(signer.public_key());
        let known = world.account(&account);
        let lane = Lane(1);
        let next = known.map_or(decube_core::ledger::Sequence(0), |one| one.next(lane));
        let intent = Intent {
            chain: self.genesis.chain(),
            account,
            lane,
            sequence: next,
            valid_until: Height(self.judge.borrow().highest().0 + 100),
            operations: vec![operation.clone()],
        };
        let transaction = intent.sign(&*signer).to_bytes();
        let id = self.fresh_request();
        let request = Request::Submit {
            transaction,
            wait: false,
        };
        self.call(Caller::Nobody, slot, id, request.into());
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
