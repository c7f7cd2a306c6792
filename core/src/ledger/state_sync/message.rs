//! Messages about fetching a state.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::bft::{Epoch, Header, Height};
use crate::codec::{Decode, Encode};
use crate::crypto::Digest;
use crate::limits::{
    LEDGER_CHUNK_BYTES_MAX, LEDGER_CHUNK_PAIRS_MAX, LEDGER_POINT_TILES_MAX, LEDGER_SYNC_EPOCHS_MAX,
    STATE_KEY_BYTES_MAX, STATE_PATH_MAX, STATE_VALUE_BYTES_MAX,
};
use crate::merkle::{Frontier, KeyHash, StateStep, Tile};
use crate::proof::ledger::{EpochEnd, Finality};

/// Messages about fetching a state. Everything in it is unverified.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(what = "message about a state")]
pub enum SyncMessage {
    /// How did epochs hand over, from this one on?
    #[codec(tag = 0)]
    AskEpochs {
        /// The first epoch whose end is wanted.
        from: Epoch,
    },
    /// Ends of epochs, ascending; none if the asked one has not ended.
    #[codec(tag = 1)]
    Epochs(#[codec(max = LEDGER_SYNC_EPOCHS_MAX)] Vec<EpochEnd>),
    /// Which state, of a block above this height, can be fetched?
    #[codec(tag = 2)]
    AskCheckpoint { above: Height },
    /// A state that can be fetched.
    #[codec(tag = 3)]
    Checkpoint(Box<StateCheckpoint>),
    /// The entries of a state behind a place.
    #[codec(tag = 4)]
    AskChunk {
        /// The block that the state is after.
        block: Digest,
        /// The place of the last entry that is known; none at the beginning.
        after: Option<KeyHash>,
    },
    /// Some of them.
    #[codec(tag = 5)]
    Chunk(Box<Chunk>),
    /// This state cannot be fetched here, or not any more.
    #[codec(tag = 6)]
    Gone { block: Digest },
}

/// A block and the proof of the state after it: the header of the next block.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct StateCheckpoint {
    /// The header of the block.
    pub block: Header,
    /// That the next one is final.
    pub child: Finality,
    /// The tree over the hashes of all blocks up to it.
    pub history: Frontier,
    /// The tiles of that tree that are not full: with them the tree can go on.
    #[codec(max = LEDGER_POINT_TILES_MAX)]
    pub tiles: Vec<Tile>,
}

/// Consecutive entries of a state, in the order of their keys' hashes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(check = Chunk::check)]
pub struct Chunk {
    /// The block that the state is after.
    pub block: Digest,
    /// The place behind which the entries stand.
    pub after: Option<KeyHash>,
    /// Keys with their values.
    #[codec(max = [LEDGER_CHUNK_PAIRS_MAX, [STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX]])]
    pub pairs: Vec<(Bytes, Bytes)>,
    /// The Merkle path of the last of them.
    #[codec(max = STATE_PATH_MAX)]
    pub path: Vec<StateStep>,
}

impl Chunk {
    /// One entry may be larger than what is left, as the last one.
    fn check(&self) -> Result<(), &'static str> {
        let sizes = self.pairs.iter();
        let sizes = sizes.map(|(key, value)| key.len().saturating_add(value.len()));
        let before_last = self.pairs.len().saturating_sub(1);
        let bytes = sizes.take(before_last).fold(0, usize::saturating_add);
        if bytes < LEDGER_CHUNK_BYTES_MAX {
            Ok(())
        } else {
            Err("chunk")
        }
    }
}
