//! The promises of the ledger, watched from outside.
//!
//! | promise | where |
//! |---|---|
//! | I1 one block at a height · I2 each rests on the one before · I11 in order, once | `chain.rs` |
//! | I12 one state after a block · I13 an operation stands once | `chain.rs` |
//! | I3 no view given up and final · I4 one block of a view certified · I8 only good certificates are sent | `certs.rs` |
//! | I5 one vote per view and kind, over all lives of a process · I6 never given up and finalised · I7 no vote before it is on the disk | `votes.rs` |
//! | I9 bounds | [`crate::check::shape`] |
//! | I10 progress after healing | [`crate::world`] |
//! | I14 nobody honest is convicted · equivocations that honest nodes hear are reported | `chain.rs`, `equivocations.rs` |
//! | I15 epochs hand over to one set, and nobody votes in an earlier one | `votes.rs`, `chain.rs` |
//! | I16 a light client believes only the real chain | `chain.rs` |
//! | a fork convicts more than a third, unless Byzantine validators are a quorum, and nobody honest | `fork.rs` |
//!
//! Votes and certificates are judged by their bytes: what is signed is put together
//! here, and power is counted here.

mod certs;
mod chain;
mod equivocations;
mod fork;
mod judge;
mod votes;

use std::collections::BTreeMap;
use std::sync::Arc;

use decube_core::bft::{self, Cert, Epoch, Height, Statement, ValidatorIndex, ValidatorSet, Vote};
use decube_core::crypto::fake::FakeVerifier;
use decube_core::crypto::{ChainId, Signature, Verifier as _};
use decube_core::ledger::{Genesis, Ledger, Message, OperationLocation, TxId};
use decube_core::types::NodeId;

use crate::check::Finding;
use crate::config::SimConfig;
use crate::disk::Disk;
use crate::world::Coverage;

use certs::Certs;
use chain::Chain;
use equivocations::Equivocations;
use fork::Fork;
use votes::Votes;

/// The judge of one run.
#[derive(Debug)]
pub struct LedgerChecker {
    verifier: FakeVerifier,
    chain_id: ChainId,
    /// The name of each slot, and whether it is honest.
    nodes: Vec<NodeId>,
    honest: Vec<bool>,
    /// Who votes in each epoch, as the first honest node to enter it showed.
    sets: BTreeMap<Epoch, Arc<ValidatorSet>>,
    /// The set of each slot that was last found equal to the one of its epoch.
    alike: Vec<Option<(Epoch, Arc<ValidatorSet>)>>,
    votes: Votes,
    equivocations: Equivocations,
    certs: Certs,
    chain: Chain,
    /// What clients were told.
    acknowledged: BTreeMap<TxId, Height>,
    /// The same, in the order in which they were told.
    told: Vec<TxId>,
    /// More than a third is Byzantine: forks are expected.
    fork: bool,
    /// Byzantine validators are no quorum by themselves: a fork must convict.
    must_convict: bool,
    /// In such a run, all votes that were sent.
    tally: BTreeMap<Statement, BTreeMap<ValidatorIndex, Signature>>,
    /// A fork was seen and judged: there is no more to see.
    settled: Option<Fork>,
    /// States that were fetched instead of executing all blocks.
    fetched: u64,
    /// What everybody must have.
    target: Height,
}

impl LedgerChecker {
    /// A judge that has seen nothing yet.
    pub fn new(
        genesis: &Genesis,
        verifier: FakeVerifier,
        nodes: Vec<NodeId>,
        honest: Vec<bool>,
        config: &SimConfig,
    ) -> Self {
        let slots = nodes.len();
        let set = genesis.validators().expect("the genesis of a run is sound");
        let byzantine = nodes.iter().zip(&honest).filter(|(_, honest)| !**honest);
        let byzantine = byzantine.filter_map(|(node, _)| set.index_of(*node));
        let must_convict = power_of(&set, byzantine) * 3 <= total_power(&set) * 2;
        Self {
            chain: Chain::new(genesis, slots),
            chain_id: genesis.chain(),
            verifier,
            nodes,
            honest,
            sets: BTreeMap::new(),
            alike: vec![None; slots],
            votes: Votes::new(slots),
            equivocations: Equivocations::new(slots),
            certs: Certs::default(),
            acknowledged: BTreeMap::new(),
            told: Vec::new(),
            fork: config.may_fork(),
            must_convict,
            tally: BTreeMap::new(),
            settled: None,
            fetched: 0,
            target: Height(0),
        }
    }

    /// The highest final block.
    pub const fn highest(&self) -> Height {
        self.chain.highest()
    }

    /// Where an operation stands.
    pub fn height_of(&self, id: &TxId) -> Option<Height> {
        self.chain.height_of(id)
    }

    /// A process begins.
    pub fn started(&mut self, slot: usize) {
        self.chain.started(slot);
        self.equivocations.forget(slot);
    }

    /// A node has the state after this block, and none of the blocks up to it.
    pub fn fetched(&mut self, slot: usize, height: Height) {
        self.fetched += 1;
        self.chain.fetched(slot, height);
    }

    /// How often a node fetched a state instead of executing all blocks.
    pub const fn states_fetched(&self) -> u64 {
        self.fetched
    }

    /// The last block that everybody must have: the highest when the aim was taken.
    pub const fn target(&self) -> Height {
        self.target
    }

    /// An honest node says something. `disk` is what it would find after a power loss.
    pub fn sending(&mut self, slot: usize, message: &Message, disk: &Disk) -> Result<(), Finding> {
        if let Some(vote) = vote_of(message) {
            self.on_vote(slot, vote, disk)?;
        }
        certs_of(message)
            .into_iter()
            .try_for_each(|cert| self.on_cert(slot, cert))
    }

    /// An honest node took a step.
    pub fn stepped(&mut self, slot: usize, ledger: &Ledger) -> Result<(), Finding> {
        self.reports_equivocations(slot, ledger)?;
        let Some(bft) = ledger.bft() else {
            return Ok(());
        };
        let start = bft.epoch();
        let is_same = |(epoch, set): &(Epoch, Arc<_>)| {
            *epoch == start.epoch && Arc::ptr_eq(set, &start.validators)
        };
        if self.alike[slot].as_ref().is_some_and(is_same) {
            return Ok(());
        }
        match self.sets.get(&start.epoch) {
            Some(known) if **known == *start.validators => {
                self.alike[slot] = Some((start.epoch, start.validators.clone()));
                Ok(())
            }
            Some(_) if self.fork => Ok(()),
            Some(known) => {
                let message = format!(
                    "slot {slot} begins epoch {} with {:?}, others with {known:?}",
                    start.epoch, start.validators
                );
                Err(("I15 epoch hand-over", message))
            }
            None => {
                self.sets.insert(start.epoch, start.validators.clone());
                self.on_epoch(start.epoch)
            }
        }
    }

    /// A client was told that an operation is final. That may come before the first
    /// announcement of the block: what a node says to different ears has no order.
    pub fn acknowledged(&mut self, id: TxId, place: OperationLocation) -> Result<(), Finding> {
        self.acknowledged.insert(id, place.height);
        self.told.push(id);
        match self.chain.height_of(&id) {
            Some(height) if height != place.height && !self.fork => {
                let message = format!("{id:?} was reported to stand at {place:?}, not at {height}");
                Err(("acknowledged", message))
            }
            _ => Ok(()),
        }
    }

    /// What clients were told to be final, in order.
    pub fn told(&self) -> &[TxId] {
        &self.told
    }

    /// What clients were told is true, when all is over.
    pub fn kept_its_word(&self) -> Result<(), Finding> {
        for (id, height) in &self.acknowledged {
            let stands = self.chain.height_of(id);
            if stands != Some(*height) {
                let message =
                    format!("{id:?} was reported to stand at {height}, not at {stands:?}");
                return Err(("acknowledged", message));
            }
        }
        Ok(())
    }

    /// Adds what was met.
    pub fn cover(&self, coverage: &mut Coverage) {
        coverage.blocks_final += self.chain.highest().0;
        coverage.states_fetched += self.fetched;
        coverage.epochs_ended += self.chain.epochs_ended();
        coverage.convictions += self.chain.convictions();
        coverage.equivocations_reported += self.equivocations.shown();
        coverage.views_given_up += self.certs.given_up();
        coverage.forks_convicted += u64::from(self.settled == Some(Fork::Convicted));
        coverage.forks_unproven += u64::from(self.settled == Some(Fork::Unproven));
    }

    /// Whether a validator of an epoch signed a statement: by its bytes.
    fn is_signed(&self, statement: &Statement, signer: ValidatorIndex, by: &Signature) -> bool {
        let set = self.sets.get(&statement.epoch);
        let Some(validator) = set.and_then(|set| set.get(signer)) else {
            return false;
        };
        let bytes = self.signed_bytes(statement);
        self.verifier
            .verify_bytes(&validator.key, &bytes, by)
            .is_ok()
    }

    /// What a vote signs: the tag with its length, the scope, the ledger, and the
    /// statement field by field.
    fn signed_bytes(&self, statement: &Statement) -> Vec<u8> {
        let tag = b"decube/vote/v1";
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&u32::try_from(tag.len()).expect("short").to_be_bytes());
        bytes.extend_from_slice(tag);
        bytes.push(1);
        bytes.extend_from_slice(&self.chain_id.0.to_be_bytes());
        bytes.push(match statement.kind {
            bft::VoteKind::Notarize => 0,
            bft::VoteKind::Nullify => 1,
            bft::VoteKind::Finalize => 2,
        });
        bytes.extend_from_slice(&statement.epoch.0.to_be_bytes());
        bytes.extend_from_slice(&statement.block.view.0.to_be_bytes());
        bytes.extend_from_slice(&statement.block.height.0.to_be_bytes());
        bytes.extend_from_slice(&statement.block.hash.0);
        bytes
    }

    /// The slot of the validator at a place of an epoch's set.
    fn slot_of(&self, epoch: Epoch, index: ValidatorIndex) -> Option<usize> {
        let node = self.sets.get(&epoch)?.get(index)?.node;
        self.nodes.iter().position(|one| *one == node)
    }

    fn is_honest_node(&self, node: NodeId) -> bool {
        let slot = self.nodes.iter().position(|one| *one == node);
        slot.is_some_and(|slot| self.honest[slot])
    }
}

/// The vote in a message.
const fn vote_of(message: &Message) -> Option<&Vote> {
    match message {
        Message::Bft(bft::Message::Vote(vote)) => Some(vote),
        Message::Bft(bft::Message::Proposal(proposal)) => Some(&proposal.vote),
        Message::Compact(compact) => Some(&compact.vote),
        _ => None,
    }
}

/// The certificates in a message.
fn certs_of(message: &Message) -> Vec<&Cert> {
    let bft = match message {
        Message::Bft(bft) => bft,
        Message::Compact(compact) => return compact.parent.iter().chain(&compact.skips).collect(),
        _ => return Vec::new(),
    };
    match bft {
        bft::Message::Proposal(proposal) => proposal.parent.iter().chain(&proposal.skips).collect(),
        bft::Message::Cert(cert) => vec![cert],
        bft::Message::Status(status) => {
            let entered = status.entered_by.iter();
            entered.chain(&status.finalization).collect()
        }
        bft::Message::Blocks(blocks) => vec![&blocks.finalization],
        _ => Vec::new(),
    }
}

/// The power of some validators of a set, counted here; places that it does not have
/// weigh nothing.
fn power_of(set: &ValidatorSet, places: impl IntoIterator<Item = ValidatorIndex>) -> u128 {
    let named = places.into_iter().filter_map(|place| set.get(place));
    named.map(|one| u128::from(one.power.0)).sum()
}

/// The power of all.
fn total_power(set: &ValidatorSet) -> u128 {
    power_of(set, set.iter().map(|(place, _)| place))
}

#[cfg(test)]
#[path = "../../tests/ledger.rs"]
mod tests;
