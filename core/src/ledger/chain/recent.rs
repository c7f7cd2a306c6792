//! The last final blocks, in memory: most questions are about them.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::hash::{self, Hasher};

use super::record::FinalBlock;
use crate::bft::Height;
use crate::crypto::Digest;
use crate::ledger::reads::request::OperationLocation;
use crate::ledger_types::TxId;
use crate::limits::{LEDGER_RECENT_BLOCKS_MAX, LEDGER_RECENT_BYTES_MAX};

/// The last final blocks, without a gap.
#[derive(Debug, Default)]
pub(in crate::ledger) struct Recent {
    blocks: VecDeque<Arc<FinalBlock>>,
    located: BTreeMap<TxId, OperationLocation>,
    bytes: usize,
}

/// By the hashes of the blocks: they decide the rest, and whatever proves that one is final
/// is as good as any other proof.
impl hash::Hash for Recent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            blocks,
            located,
            bytes,
        } = self;
        for block in blocks {
            hash::Hash::hash(&block.block, state);
        }
        hash::Hash::hash(&(located.len(), bytes), state);
    }
}

impl Recent {
    /// Adds the next one; the oldest leave when there are too many.
    pub(in crate::ledger) fn push(
        &mut self,
        block: Arc<FinalBlock>,
        located: &[(TxId, OperationLocation)],
    ) {
        let last = self.blocks.back().map(|last| last.height());
        assert!(
            last.is_none_or(|last| block.height() == last.next()),
            "G4: no block is left out"
        );
        self.bytes = self.bytes.saturating_add(block.block.size());
        self.blocks.push_back(block);
        self.located.extend(located.iter().copied());
        while self.blocks.len() > LEDGER_RECENT_BLOCKS_MAX
            || (self.bytes > LEDGER_RECENT_BYTES_MAX && self.blocks.len() > 1)
        {
            let oldest = self.blocks.pop_front().expect("just counted");
            self.bytes = self.bytes.saturating_sub(oldest.block.size());
            for result in &oldest.results {
                self.located.remove(&result.id);
            }
        }
    }

    /// The block at a height.
    pub(in crate::ledger) fn get(&self, height: Height) -> Option<&Arc<FinalBlock>> {
        let first = self.blocks.front()?.height();
        let place = height.0.checked_sub(first.0)?;
        self.blocks.get(usize::try_from(place).ok()?)
    }

    /// The block with a hash.
    pub(in crate::ledger) fn find(&self, hash: &Digest) -> Option<&Arc<FinalBlock>> {
        self.blocks
            .iter()
            .rev()
            .find(|one| one.block.hash() == *hash)
    }

    /// The last one.
    pub(in crate::ledger) fn last(&self) -> Option<&Arc<FinalBlock>> {
        self.blocks.back()
    }

    /// The blocks from a height on, if that one is here.
    pub(in crate::ledger) fn from(&self, height: Height) -> impl Iterator<Item = &Arc<FinalBlock>> {
        let is_here = self.get(height).is_some();
        let wanted = move |one: &&Arc<FinalBlock>| is_here && one.height() >= height;
        self.blocks.iter().filter(wanted)
    }

    /// Where an operation stands.
    pub(in crate::ledger) fn locate(&self, id: &TxId) -> Option<OperationLocation> {
        self.located.get(id).copied()
    }
}
