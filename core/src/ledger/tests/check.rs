//! What only an observer of all nodes can see: one chain, one state, each operation
//! once, and proofs that hold for a client that knows the genesis alone.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::bft::{BlockRef, Epoch, Height};
use crate::crypto::Digest;
use crate::crypto::fake::FakeVerifier;
use crate::ledger::{FinalBlock, Genesis, TxId};
use crate::proof::ledger::{EpochEnd, TrustedEpoch};

/// The promises, with everything seen so far.
pub struct Checker {
    verifier: FakeVerifier,
    /// A light client for each epoch, from the genesis on.
    pub trusted: BTreeMap<Epoch, TrustedEpoch>,
    hashes: BTreeMap<Height, Digest>,
    states: BTreeMap<Height, Digest>,
    operations: BTreeMap<TxId, Height>,
    /// The last height that each node has announced in its present life.
    last: BTreeMap<usize, Height>,
    pub highest: Height,
}

impl Checker {
    pub fn new(genesis: &Genesis, verifier: FakeVerifier) -> Self {
        let first = TrustedEpoch::genesis(genesis).expect("a genesis");
        Self {
            verifier,
            trusted: BTreeMap::from([(Epoch(0), first)]),
            hashes: BTreeMap::from([(Height(0), genesis.hash())]),
            states: BTreeMap::new(),
            operations: BTreeMap::new(),
            last: BTreeMap::new(),
            highest: Height(0),
        }
    }

    pub fn on_restart(&mut self, slot: usize) {
        self.last.remove(&slot);
    }

    /// A node says that it goes on from the state after this block.
    pub fn on_fetched(&mut self, slot: usize, tip: BlockRef, state: Digest) {
        assert_eq!(
            self.hashes.get(&tip.height),
            Some(&tip.hash),
            "a final block"
        );
        let known = self.states.get(&tip.height);
        assert!(known.is_none_or(|known| *known == state), "another state");
        let last = self.last.insert(slot, tip.height);
        assert!(last.is_none_or(|last| last < tip.height), "never back");
    }

    /// A node says that a block is final. `state` is its state after it.
    pub fn on_final(&mut self, slot: usize, block: &FinalBlock, state: Option<Digest>) {
        let header = *block.block.header();
        let height = header.height;
        if let Some(last) = self.last.insert(slot, height) {
            assert_eq!(height, last.next(), "in order, once");
        }
        let hash = *self.hashes.entry(height).or_insert(block.block.hash());
        assert_eq!(hash, block.block.hash(), "one block at height {height}");
        let parent = self.hashes[&Height(height.0 - 1)];
        assert_eq!(header.parent, parent, "linked at height {height}");
        if let Some(state) = state {
            let first = *self.states.entry(height).or_insert(state);
            assert_eq!(first, state, "one state after height {height}");
        }
        if let Some(before) = self.states.get(&Height(height.0 - 1)) {
            assert_eq!(
                header.content.parent_state, *before,
                "headers tell the state"
            );
        }
        for result in &block.results {
            let at = *self.operations.entry(result.id).or_insert(height);
            assert_eq!(at, height, "an operation stands once");
        }
        let trusted = &self.trusted[&header.epoch];
        let finality = block.finality();
        finality
            .verify(trusted, &self.verifier)
            .expect("it is final");
        self.highest = self.highest.max(height);
    }

    /// A node says how an epoch handed over.
    pub fn on_epoch_end(&mut self, end: &EpochEnd) {
        let epoch = end.finality.header.epoch;
        let mut trusted = self.trusted[&epoch].clone();
        trusted.follow(end, &self.verifier).expect("it handed over");
        let known = self
            .trusted
            .entry(trusted.epoch())
            .or_insert_with(|| trusted.clone());
        assert_eq!(*known, trusted, "one set in each epoch");
    }

    /// Whether this block is final somewhere.
    pub fn is_block(&self, hash: &Digest) -> bool {
        self.hashes.values().any(|one| one == hash)
    }

    /// The hashes of the blocks below a height, block 0 first.
    pub fn hashes_below(&self, height: Height) -> Vec<Digest> {
        let below = self.hashes.range(..height);
        below.map(|(_, hash)| *hash).collect()
    }

    pub fn height_of(&self, id: &TxId) -> Height {
        self.operations[id]
    }

    pub fn is_final(&self, id: &TxId) -> bool {
        self.operations.contains_key(id)
    }
}
