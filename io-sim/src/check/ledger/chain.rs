//! What honest nodes take to be final.

use std::collections::BTreeMap;

use bytes::Bytes;
use decube_core::bft::{self, Epoch, Height};
use decube_core::crypto::Digest;
use decube_core::ledger::{FinalBlock, Genesis, Ledger, Message, TxId, keys};
use decube_core::proof::ledger::{EpochEnd, Finality, Receipt, TrustedEpoch};
use decube_core::types::NodeId;

use super::LedgerChecker;
use crate::check::Finding;

/// Epochs that a receipt of the auditor spans at most.
const EPOCHS_IN_RECEIPT: u64 = 40;

/// The one chain, as far as it was seen.
#[derive(Debug)]
pub(super) struct Chain {
    hashes: BTreeMap<Height, Digest>,
    states: BTreeMap<Height, Digest>,
    operations: BTreeMap<TxId, Height>,
    /// The last height that each process has announced.
    last: Vec<Option<Height>>,
    highest: Height,
    /// A light client that has followed the chain to each epoch.
    trusted: BTreeMap<Epoch, TrustedEpoch>,
    /// The last block of each epoch.
    ends: BTreeMap<Epoch, Finality>,
    convicted: Vec<NodeId>,
    /// The members as they were looked at last, in their encoding.
    members: Option<Bytes>,
}

impl Chain {
    pub(super) fn new(genesis: &Genesis, slots: usize) -> Self {
        let trusted = TrustedEpoch::genesis(genesis).expect("the genesis of a run is sound");
        Self {
            hashes: BTreeMap::from([(Height(0), genesis.hash())]),
            states: BTreeMap::new(),
            operations: BTreeMap::new(),
            last: vec![None; slots],
            highest: Height(0),
            trusted: BTreeMap::from([(Epoch(0), trusted)]),
            ends: BTreeMap::new(),
            convicted: Vec::new(),
            members: None,
        }
    }

    pub(super) const fn highest(&self) -> Height {
        self.highest
    }

    pub(super) fn started(&mut self, slot: usize) {
        self.last[slot] = None;
    }

    pub(super) fn fetched(&mut self, slot: usize, height: Height) {
        self.last[slot] = Some(height);
    }

    pub(super) fn height_of(&self, id: &TxId) -> Option<Height> {
        self.operations.get(id).copied()
    }

    pub(super) fn epochs_ended(&self) -> u64 {
        u64::try_from(self.ends.len()).expect("few epochs")
    }

    pub(super) fn convictions(&self) -> u64 {
        u64::try_from(self.convicted.len()).expect("few validators")
    }
}

impl LedgerChecker {
    /// An honest node says that a block is final.
    pub fn on_final(
        &mut self,
        slot: usize,
        block: &FinalBlock,
        ledger: &Ledger,
    ) -> Result<(), Finding> {
        let header = *block.block.header();
        let height = header.height;
        let last = self.chain.last[slot].replace(height);
        if last.is_some_and(|last| last.0 + 1 != height.0) {
            let message = format!("slot {slot} announces {height} after {last:?}");
            return Err(("I11 in order, once", message));
        }
        let hash = block.block.hash();
        let known = *self.chain.hashes.entry(height).or_insert(hash);
        if known != hash {
            if self.fork {
                self.take_cert(&block.finalization)?;
                return self.convict();
            }
            let message = format!("slot {slot} has {hash:?} at {height}, others {known:?}");
            return Err(("I1 agreement", message));
        }
        self.take_cert(&block.finalization)?;
        self.on_convictions(height, ledger)?;
        if self.fork {
            return Ok(());
        }
        let parent = height.0.checked_sub(1).map(Height);
        let parent = parent.and_then(|parent| self.chain.hashes.get(&parent));
        // Its announcement may have been lost in a crash right after it was written.
        if parent.is_some_and(|parent| *parent != header.parent) {
            let message = format!("block {height} of slot {slot} rests on another block");
            return Err(("I2 parent links", message));
        }
        self.on_state(slot, block, ledger)?;
        for result in &block.results {
            let at = *self.chain.operations.entry(result.id).or_insert(height);
            if at != height {
                let message = format!("{:?} stands at {at} and at {height}", result.id);
                return Err(("I13 an operation stands once", message));
            }
        }
        self.on_claim(&block.finality(), true)?;
        if header.content.ends_epoch {
            self.chain.ends.insert(header.epoch, block.finality());
        }
        self.chain.highest = self.chain.highest.max(height);
        Ok(())
    }

    /// The state after the last of the blocks that one step announces.
    fn on_state(
        &mut self,
        slot: usize,
        block: &FinalBlock,
        ledger: &Ledger,
    ) -> Result<(), Finding> {
        let height = block.height();
        let parent = Height(height.0 - 1);
        let stated = block.block.header().content.parent_state;
        if self
            .chain
            .states
            .get(&parent)
            .is_some_and(|at| *at != stated)
        {
            let message = format!("block {height} tells another state of its parent");
            return Err(("I12 one state", message));
        }
        let ledger_state = ledger.ledger_state().expect("it announces a block");
        if ledger.tip().is_none_or(|tip| tip.height != height) {
            return Ok(());
        }
        let state = ledger_state.root();
        let first = *self.chain.states.entry(height).or_insert(state);
        if first != state {
            let message =
                format!("slot {slot} is in {state:?} after {height}, others in {first:?}");
            return Err(("I12 one state", message));
        }
        Ok(())
    }

    /// The members after the last of the blocks that one step announces.
    fn on_convictions(&mut self, height: Height, ledger: &Ledger) -> Result<(), Finding> {
        let ledger_state = ledger.ledger_state().expect("it announces a block");
        let is_last = ledger.tip().is_some_and(|tip| tip.height == height);
        let listed = ledger_state.tree().get(keys::MEMBERS);
        let is_old = height <= self.chain.highest || self.chain.members.as_ref() == listed;
        if !is_last || is_old {
            return Ok(());
        }
        self.chain.members = listed.cloned();
        for member in ledger_state.members() {
            if !member.is_jailed || self.chain.convicted.contains(&member.node) {
                continue;
            }
            if self.is_honest_node(member.node) {
                let message = format!("{} is convicted and was always honest", member.node);
                return Err(("I14 nobody honest is convicted", message));
            }
            self.chain.convicted.push(member.node);
        }
        Ok(())
    }

    /// An epoch begins: a light client that is told how the one before ended comes to
    /// the same set.
    pub(super) fn on_epoch(&mut self, epoch: Epoch) -> Result<(), Finding> {
        let set = self.sets[&epoch].clone();
        let wrong = |what: String| Err(("I15 epoch hand-over", what));
        if epoch == Epoch(0) {
            let first = &self.chain.trusted[&epoch];
            return match *first.validators() == *set {
                true => Ok(()),
                false => wrong("epoch 0 begins with other validators than the genesis".to_owned()),
            };
        }
        if self.fork {
            return Ok(());
        }
        let before = Epoch(epoch.0 - 1);
        let (Some(trusted), Some(finality)) = (
            self.chain.trusted.get(&before),
            self.chain.ends.get(&before),
        ) else {
            // Whoever could have told crashed right after it was written.
            return Ok(());
        };
        let mut trusted = trusted.clone();
        let end = EpochEnd {
            finality: finality.clone(),
            next: (*set).clone(),
        };
        if let Err(error) = trusted.follow(&end, &self.verifier) {
            return wrong(format!("a light client cannot follow to {epoch}: {error}"));
        }
        self.chain.trusted.insert(epoch, trusted);
        Ok(())
    }

    /// A Byzantine validator claims that blocks are final.
    pub fn on_deviation(&self, message: &Message) -> Result<(), Finding> {
        let Message::Bft(bft::Message::Blocks(claim)) = message else {
            return Ok(());
        };
        let Some(last) = claim.blocks.last() else {
            return Ok(());
        };
        let claim = Finality {
            header: *last.header(),
            path: claim.path.clone(),
            finalization: claim.finalization.clone(),
        };
        self.on_claim(&claim, false)
    }

    /// Somebody claims that a block is final. A light client that follows the real
    /// chain must not believe anything else, and must believe what is real.
    pub fn on_claim(&self, claim: &Finality, is_real: bool) -> Result<(), Finding> {
        if self.fork {
            return Ok(());
        }
        let Some(trusted) = self.chain.trusted.get(&claim.header.epoch) else {
            return Ok(());
        };
        match claim.verify(trusted, &self.verifier) {
            Ok(proven) => {
                let header = proven.header();
                let known = self.chain.hashes.get(&header.height);
                if known.is_some_and(|known| *known != header.hash()) {
                    let message = format!("a light client believes {header:?}");
                    return Err(("I16 light client", message));
                }
                Ok(())
            }
            Err(error) if is_real => {
                let message = format!("a light client refuses {:?}: {error}", claim.header);
                Err(("I16 light client", message))
            }
            Err(_) => Ok(()),
        }
    }

    /// An epoch that is trusted, and from which a receipt of this operation is short
    /// enough for one answer.
    pub fn epoch_to_prove_from(&self, id: &TxId) -> Option<Epoch> {
        let height = self.height_of(id)?;
        let ends = self.chain.ends.iter();
        let before = ends.take_while(|(_, end)| end.header.height < height);
        let of = before.last().map_or(0, |(epoch, _)| epoch.0 + 1);
        let wanted = Epoch(of.saturating_sub(EPOCHS_IN_RECEIPT))..=Epoch(of);
        self.chain
            .trusted
            .range(wanted)
            .next()
            .map(|(epoch, _)| *epoch)
    }

    /// A receipt that a node gave out, for somebody who trusts this epoch.
    pub fn on_receipt(&self, from: Epoch, receipt: &Receipt) -> Result<(), Finding> {
        let trusted = &self.chain.trusted[&from];
        let wrong = |what: String| Err(("receipts", what));
        match receipt.verify(trusted, &self.verifier) {
            Err(error) => wrong(format!("a receipt does not hold: {error}")),
            Ok(proven) => {
                let header = proven.block().header();
                let stands = self.chain.operations.get(&proven.id());
                if stands != Some(&header.height)
                    || self.chain.hashes.get(&header.height) != Some(&proven.block_hash())
                {
                    return wrong(format!("a receipt proves another block than {stands:?}"));
                }
                Ok(())
            }
        }
    }
}
