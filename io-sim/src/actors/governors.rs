//! Validators that change their set and its parameters while everything fails: some
//! say the same operation until it is in force, or until they give up.

use std::sync::Arc;

use decube_core::bft::Height;
use decube_core::codec::Encode as _;
use decube_core::crypto::{PublicKey, SharedSigner};
use decube_core::ledger::{
    AccountId, Genesis, Intent, KeyOwner, KeyProof, Lane, Operation, Param, Request, Sequence,
    ValidatorChange,
};
use decube_core::types::NodeId;

use super::{Actor, Context, Demand, Way, number};
use crate::check::ledger::LedgerChecker;
use crate::check::{Finding, Shared};
use crate::config::TopologySettings;
use crate::rng::{Domain, Draw, Keyed};
use crate::subject::Subject;
use crate::world::{Host, cluster_of, furthest, members};

/// What the governors are at.
#[derive(Debug)]
pub struct Governors {
    draws: Keyed,
    topology: TopologySettings,
    genesis: Arc<Genesis>,
    judge: Shared<LedgerChecker>,
    wanted: Option<Operation>,
    tries: u64,
    is_queued: bool,
}

const PAUSE_NS: u64 = 700_000_000;
const TRIES_MAX: u64 = 12;

impl Governors {
    /// Those of a run.
    pub fn new(
        seed: u64,
        topology: TopologySettings,
        genesis: Arc<Genesis>,
        judge: Shared<LedgerChecker>,
    ) -> Self {
        Self {
            draws: Keyed::new(seed, Domain::Byzantine),
            topology,
            genesis,
            judge,
            wanted: None,
            tries: 0,
            is_queued: false,
        }
    }

    /// Governors begin with another change, if they are at none.
    fn begin_with<S: Subject>(&mut self, ctx: &mut Context<'_, S>, draw: Draw) {
        if self.wanted.is_some() {
            return;
        }
        let wanted = match self.choose_change(ctx.hosts(), draw) {
            Some((Operation::Validator(change), key)) => ctx
                .open_change(change.clone(), key)
                .then_some(Operation::Validator(change)),
            other => other.map(|(operation, _)| operation),
        };
        if wanted.is_none() {
            return;
        }
        ctx.describe(|| format!("governors want {wanted:?}"));
        self.wanted = wanted;
        self.tries = 0;
        if !std::mem::replace(&mut self.is_queued, true) {
            ctx.wake_at(ctx.now(), 0);
        }
    }

    /// What to change, and the key of the node that it is about.
    fn choose_change<S: Subject>(
        &self,
        hosts: &[Host<S>],
        draw: Draw,
    ) -> Option<(Operation, PublicKey)> {
        let members = members(hosts)?;
        let slot = draw.again().index(hosts.len());
        let host = &hosts[slot];
        let listed = members.iter().find(|member| member.node == host.name());
        let weight = u32::try_from(draw.again().again().range(1, 5)).expect("small");
        let change = match (draw.below(5), listed) {
            (3, _) => {
                let value = draw.again().range(2, 60);
                let param = Param::EpochBlocks;
                return Some((Operation::Param { param, value }, *host.key.public_key()));
            }
            (_, None) => ValidatorChange::Add {
                node: host.name(),
                cluster: cluster_of(&self.topology, number(slot)),
                weight,
                key: self.key_proof(host.name(), &host.key),
            },
            // There and back again.
            (4, Some(member)) if host.is_honest() => {
                let further = host.voting_key.as_ref();
                let other = further.filter(|_| member.key == *host.key.public_key());
                let key = self.key_proof(host.name(), other.unwrap_or(&host.key));
                ValidatorChange::Rotate {
                    node: host.name(),
                    key,
                }
            }
            (0, Some(_)) if members.len() > 1 => ValidatorChange::Remove { node: host.name() },
            (_, Some(_)) => ValidatorChange::SetWeight {
                node: host.name(),
                weight,
            },
        };
        Some((Operation::Validator(change), *host.key.public_key()))
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
    fn govern<S: Subject>(&mut self, ctx: &mut Context<'_, S>) {
        self.is_queued = false;
        self.tries += 1;
        let Some(operation) = self.wanted.clone() else {
            return;
        };
        let is_in_force = is_in_force(ctx.hosts(), &operation);
        if self.tries > TRIES_MAX || is_in_force {
            if is_in_force {
                ctx.coverage().changes_in_force += 1;
                let is_rotation = matches!(
                    operation,
                    Operation::Validator(ValidatorChange::Rotate { .. })
                );
                ctx.coverage().keys_rotated += u64::from(is_rotation);
                ctx.coverage().outsiders_joined += u64::from(self.adds_outsider(&operation));
                if let Operation::Validator(change) = &operation {
                    ctx.close_change(change);
                }
            }
            self.wanted = None;
            return;
        }
        for slot in 0..ctx.hosts().len() {
            if ctx.hosts()[slot].is_honest() {
                self.say_operation(ctx, slot, &operation);
            }
        }
        self.is_queued = true;
        ctx.wake_at(ctx.now() + PAUSE_NS, 0);
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

    fn say_operation<S: Subject>(
        &self,
        ctx: &mut Context<'_, S>,
        slot: usize,
        operation: &Operation,
    ) {
        let Some(ledger_state) = furthest(ctx.hosts()).and_then(|ledger| ledger.ledger_state())
        else {
            return;
        };
        // It counts only under the key by which the present set knows its author.
        let signer = ctx.hosts()[slot].key_in(ledger_state.epoch().set()).clone();
        let account = AccountId::of(signer.public_key());
        let known = ledger_state.account(&account);
        let lane = Lane(1);
        let next = known.map_or(Sequence(0), |one| one.next(lane));
        let intent = Intent {
            chain: self.genesis.chain(),
            account,
            lane,
            sequence: next,
            valid_until: Height(self.judge.borrow().highest().0 + 100),
            operations: vec![operation.clone()],
        };
        let transaction = intent.sign(&*signer).to_bytes();
        let request = Request::Submit {
            transaction,
            wait: false,
        };
        ctx.call(Way::Unheard, 0, slot, request);
    }
}

/// Whether what an operation wants is so, as the furthest node knows.
fn is_in_force<S: Subject>(hosts: &[Host<S>], operation: &Operation) -> bool {
    let Some(ledger_state) = furthest(hosts).and_then(|ledger| ledger.ledger_state()) else {
        return false;
    };
    let member = |node: &NodeId| ledger_state.members().iter().find(|one| one.node == *node);
    match operation {
        Operation::Param { param, value } => ledger_state.params().get(*param) == *value,
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

impl<S: Subject> Actor<S> for Governors {
    fn demanded(&mut self, ctx: &mut Context<'_, S>, demand: Demand) -> Result<(), Finding> {
        if let Demand::Members { voters, learners } = demand {
            let draw = self.draws.at(voters | 1 << 42, learners);
            self.begin_with(ctx, draw);
        }
        Ok(())
    }

    fn wake(&mut self, ctx: &mut Context<'_, S>, _token: u64) -> Result<(), Finding> {
        self.govern(ctx);
        Ok(())
    }
}
