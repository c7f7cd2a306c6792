//! Blocks that are executed and not final yet, and the last final one under them.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hash::{self, Hasher};

use bytes::Bytes;

use super::apply::next_set;
use super::executor::{BlockExecutor, Executed, Place, ends_epoch};
use super::ledger_state::LedgerState;
use crate::bft::{Block, BlockRef, Commitments, Content, Header, Height};
use crate::crypto::{ChainId, Digest, SharedVerifier};
use crate::ledger::pool::Pool;
use crate::ledger_types::{Checked, TimeMs};
use crate::limits::BRANCHES_OPEN_MAX;
use crate::merkle::{Frontier, LeafHash};

/// The executed blocks.
#[derive(Debug)]
pub(in crate::ledger) struct Branches {
    chain: ChainId,
    verifier: SharedVerifier,
    tip: Arc<Branch>,
    /// Blocks above the tip, by their hashes.
    open: BTreeMap<Digest, Arc<Branch>>,
    /// What this node built last: it is asked to judge that, too.
    built: Option<Built>,
}

/// A block with the state after it.
#[derive(Debug)]
pub(in crate::ledger) struct Branch {
    pub(in crate::ledger) hash: Digest,
    pub(in crate::ledger) height: Height,
    /// When it was made.
    pub(in crate::ledger) time: TimeMs,
    /// The tree over the hashes of all blocks up to it.
    pub(in crate::ledger) history: Frontier,
    /// What it did.
    pub(in crate::ledger) executed: Executed,
    /// What it holds.
    pub(in crate::ledger) transactions: Vec<Arc<Checked>>,
}

#[derive(Debug)]
struct Built {
    parent: Digest,
    commitments: Commitments,
    executed: Executed,
    transactions: Vec<Arc<Checked>>,
}

impl hash::Hash for Branches {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            chain: _,
            verifier: _,
            tip,
            open,
            built,
        } = self;
        hash::Hash::hash(&(tip, open, built), state);
    }
}

/// By the hash of the block, which decides all of it, and by the state, which is what this
/// node has computed.
impl hash::Hash for Branch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        hash::Hash::hash(&(self.hash, self.executed.ledger_state.root()), state);
    }
}

/// By what the header will say, which commits to the transactions.
impl hash::Hash for Built {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let root = self.executed.ledger_state.root();
        hash::Hash::hash(&(self.parent, self.commitments, root), state);
    }
}

/// Why a block is refused. Everybody who judges it comes to the same verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::ledger) enum Bad {
    #[error("its parent is not known to be good")]
    Parent,
    #[error("its time is not after its parent's")]
    Time,
    #[error("it holds something that is no transaction")]
    Transaction,
    #[error("it holds a transaction that has no place in it")]
    Invalid,
    #[error("its header does not say what executing it gives")]
    Commitments,
}

impl Branch {
    /// Block 0.
    pub(in crate::ledger) fn genesis(
        hash: Digest,
        time: TimeMs,
        ledger_state: LedgerState,
    ) -> Self {
        let mut history = Frontier::default();
        history.append(LeafHash::assume(hash));
        Self {
            hash,
            height: Height(0),
            time,
            history,
            executed: Executed {
                ledger_state,
                changes: BTreeMap::new(),
                results: Vec::new(),
                results_root: crate::ledger_types::ResultsHead::of(&[]).root(),
            },
            transactions: Vec::new(),
        }
    }

    pub(in crate::ledger) const fn ledger_state(&self) -> &LedgerState {
        &self.executed.ledger_state
    }

    /// Whether the epoch ends with a block on this one.
    fn child_ends_epoch(&self) -> bool {
        ends_epoch(self.ledger_state(), self.height.next())
    }

    /// What the header of a child says, but for its items and its time.
    fn commitments(&self, items: Commitments, time: TimeMs) -> Commitments {
        let ledger_state = self.ledger_state();
        let ends_epoch = self.child_ends_epoch();
        Commitments {
            time_ms: time.0,
            parent_state: ledger_state.root(),
            parent_receipts: self.executed.results_root,
            history: self.history.root(),
            validators: ledger_state.epoch().set().hash(),
            next_validators: match ends_epoch {
                true => next_set(ledger_state).hash(),
                false => Digest::default(),
            },
            ends_epoch,
            ..items
        }
    }
}

impl Branches {
    pub(in crate::ledger) const fn new(
        chain: ChainId,
        verifier: SharedVerifier,
        tip: Arc<Branch>,
    ) -> Self {
        Self {
            chain,
            verifier,
            tip,
            open: BTreeMap::new(),
            built: None,
        }
    }

    /// The last final block.
    pub(in crate::ledger) const fn tip(&self) -> &Arc<Branch> {
        &self.tip
    }

    fn get(&self, hash: &Digest) -> Option<&Arc<Branch>> {
        if *hash == self.tip.hash {
            return Some(&self.tip);
        }
        self.open.get(hash)
    }

    /// G2 So many executed blocks are kept at most.
    pub(in crate::ledger) fn check_bounds(&self) {
        assert!(self.open.len() <= BRANCHES_OPEN_MAX, "G2: executed blocks");
    }

    /// G4 What is open is above the tip. It need not rest on it: a block beside the
    /// final one may have had children, which are forgotten by their height.
    pub(in crate::ledger) fn check_open(&self) {
        for (hash, open) in &self.open {
            assert_eq!(*hash, open.hash, "G4: blocks are found by their hashes");
            assert!(
                open.height > self.tip.height,
                "G4: what is not above the tip is forgotten"
            );
        }
        let built_on = self.built.as_ref().map(|built| built.parent);
        assert!(
            built_on.is_none_or(|parent| self.get(&parent).is_some()),
            "G4: what was built rests on a known block"
        );
    }

    fn place(&self, height: Height) -> Place {
        Place {
            chain: self.chain,
            height,
            verifier: self.verifier.clone(),
        }
    }

    /// The content of a block on this parent, or nothing if that is not known.
    pub(in crate::ledger) fn build(
        &mut self,
        parent: &BlockRef,
        now: TimeMs,
        pool: &mut Pool,
    ) -> Option<Content> {
        let parent = self.get(&parent.hash)?.clone();
        let mut executor =
            BlockExecutor::new(parent.ledger_state(), self.place(parent.height.next()));
        let transactions = pool.fill(&mut executor);
        let items: Vec<Bytes> = transactions.iter().map(|one| one.bytes().clone()).collect();
        let time = TimeMs(now.0.max(parent.time.0.saturating_add(1)));
        let commitments = parent.commitments(Commitments::to_items(&items), time);
        let executed = executor.finish(commitments.ends_epoch);
        self.built = Some(Built {
            parent: parent.hash,
            commitments,
            executed,
            transactions,
        });
        Some(Content { items, commitments })
    }

    /// Forgets blocks that the validator has forgotten, if there is no room for one more.
    /// Views that come to nothing leave theirs behind until the next one is final: without
    /// room for a good block nobody could judge those that rest on it.
    pub(in crate::ledger) fn make_room(&mut self, is_known: impl Fn(&Digest) -> bool) {
        if self.open.len() < BRANCHES_OPEN_MAX {
            return;
        }
        self.open.retain(|hash, _| is_known(hash));
        let built_on = self.built.as_ref().map(|built| built.parent);
        if built_on.is_some_and(|parent| self.get(&parent).is_none()) {
            self.built = None;
        }
    }

    /// Judges a block by executing it.
    pub(in crate::ledger) fn check(&mut self, block: &Block, pool: &Pool) -> Result<(), Bad> {
        if self.get(&block.hash()).is_some() {
            return Ok(());
        }
        let branch = self.execute(block, pool)?;
        if self.open.len() < BRANCHES_OPEN_MAX {
            self.open.insert(branch.hash, Arc::new(branch));
        }
        Ok(())
    }

    fn execute(&mut self, block: &Block, pool: &Pool) -> Result<Branch, Bad> {
        let header = block.header();
        let parent = self.get(&header.parent).ok_or(Bad::Parent)?.clone();
        let time = TimeMs(header.content.time_ms);
        if time <= parent.time || header.height != parent.height.next() {
            return Err(Bad::Time);
        }
        let stated = header.content;
        let expected = parent.commitments(stated, time);
        if stated != expected {
            return Err(Bad::Commitments);
        }
        let is_own = |built: &mut Built| built.parent == parent.hash && built.commitments == stated;
        if let Some(built) = self.built.take_if(is_own) {
            return Ok(branch(header, &parent, built.executed, built.transactions));
        }
        let transactions = self.transactions(block, pool)?;
        let mut executor = BlockExecutor::new(parent.ledger_state(), self.place(header.height));
        for transaction in &transactions {
            executor.take(transaction).map_err(|_| Bad::Invalid)?;
        }
        let executed = executor.finish(stated.ends_epoch);
        Ok(branch(header, &parent, executed, transactions))
    }

    /// The transactions of a block, their signatures verified: those in the pool
    /// were verified when they came.
    fn transactions(&self, block: &Block, pool: &Pool) -> Result<Vec<Arc<Checked>>, Bad> {
        let check = |bytes: &Bytes| {
            let known = pool
                .get(LeafHash::of(bytes).digest())
                .filter(|known| known.bytes() == bytes);
            if let Some(known) = known {
                return Ok(known.clone());
            }
            let decoded = pool.decode(bytes);
            let checked = decoded.and_then(|one| one.verify(bytes.clone(), &*self.verifier));
            checked.map(Arc::new).map_err(|_| Bad::Transaction)
        };
        block.items().iter().map(check).collect()
    }

    /// A block is final: it is the tip from now on, executed if it was not.
    /// Whatever is not above it is forgotten.
    pub(in crate::ledger) fn commit(
        &mut self,
        block: &Block,
        pool: &Pool,
    ) -> Result<Arc<Branch>, Bad> {
        let header = block.header();
        assert_eq!(header.parent, self.tip.hash, "blocks are final in order");
        let branch = match self.open.remove(&block.hash()) {
            Some(branch) => branch,
            None => Arc::new(self.execute(block, pool)?),
        };
        assert_eq!(branch.hash, block.hash(), "G4: what is final was executed");
        assert_eq!(
            branch.height,
            self.tip.height.next(),
            "G4: one block is final at each height"
        );
        assert!(branch.time > self.tip.time, "G4: time moves on");
        self.tip = branch.clone();
        let height = branch.height;
        self.open.retain(|_, one| one.height > height);
        self.built = None;
        Ok(branch)
    }
}

fn branch(
    header: &Header,
    parent: &Branch,
    executed: Executed,
    transactions: Vec<Arc<Checked>>,
) -> Branch {
    let hash = header.hash();
    assert_eq!(header.parent, parent.hash, "G4: its parent is known");
    assert_eq!(
        header.height,
        parent.height.next(),
        "G4: it is the next after its parent"
    );
    let mut history = parent.history.clone();
    history.append(LeafHash::assume(hash));
    assert_eq!(
        history.size().0,
        header.height.0 + 1,
        "G4: one hash for each block"
    );
    Branch {
        hash,
        height: header.height,
        time: TimeMs(header.content.time_ms),
        history,
        executed,
        transactions,
    }
}

#[cfg(test)]
#[path = "../tests/asserts_branch.rs"]
mod tests;
