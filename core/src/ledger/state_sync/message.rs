//! What is said about fetching a state.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::bft::{Epoch, Header, Height};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::crypto::Digest;
use crate::limits::{
    LEDGER_CHUNK_BYTES_MAX, LEDGER_CHUNK_PAIRS_MAX, LEDGER_POINT_TILES_MAX, LEDGER_SYNC_EPOCHS_MAX,
    STATE_KEY_BYTES_MAX, STATE_PATH_MAX, STATE_VALUE_BYTES_MAX,
};
use crate::merkle::{Frontier, KeyHash, StateStep, Tile};
use crate::proof::ledger::{EpochEnd, Finality};

/// What is said about fetching a state. Everything in it is unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncMessage {
    /// How did epochs hand over, from this one on?
    AskEpochs {
        /// The first epoch whose end is wanted.
        from: Epoch,
    },
    /// Ends of epochs, ascending; none if the asked one has not ended.
    Epochs(Vec<EpochEnd>),
    /// Which state, of a block above this height, can be fetched?
    AskPoint {
        /// The height.
        above: Height,
    },
    /// A state that can be fetched.
    Point(Box<Point>),
    /// The entries of a state behind a place.
    AskChunk {
        /// The block that the state is after.
        block: Digest,
        /// The place of the last entry that is known; none at the beginning.
        after: Option<KeyHash>,
    },
    /// Some of them.
    Chunk(Box<Chunk>),
    /// This state can not be fetched here, or not any more.
    Gone {
        /// The block.
        block: Digest,
    },
}

/// A block and the proof of the state after it: the header of the next block.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Point {
    /// The header of the block.
    pub block: Header,
    /// That the next one is final.
    pub child: Finality,
    /// The tree over the hashes of all blocks up to it.
    pub history: Frontier,
    /// The tiles of that tree that are not full: with them the tree can go on.
    pub tiles: Vec<Tile>,
}

/// Consecutive entries of a state, in the order of their keys' hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The block that the state is after.
    pub block: Digest,
    /// The place behind which the entries stand.
    pub after: Option<KeyHash>,
    /// Keys with their values.
    pub pairs: Vec<(Bytes, Bytes)>,
    /// The way from the last of them up to the root of the state.
    pub path: Vec<StateStep>,
}

impl Encode for Point {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.block);
        writer.put(&self.child);
        writer.put(&self.history);
        writer.seq(&self.tiles);
    }
}

impl Decode for Point {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            block: reader.get()?,
            child: reader.get()?,
            history: reader.get()?,
            tiles: reader.seq(LEDGER_POINT_TILES_MAX)?,
        })
    }
}

impl Encode for Chunk {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.block);
        writer.put(&self.after);
        writer.length(self.pairs.len());
        for (key, value) in &self.pairs {
            writer.blob(key);
            writer.blob(value);
        }
        writer.seq(&self.path);
    }
}

impl Decode for Chunk {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (block, after) = (reader.get()?, reader.get()?);
        let count = reader.length(LEDGER_CHUNK_PAIRS_MAX)?;
        // One entry may be larger than what is left, as the last one.
        let mut room = LEDGER_CHUNK_BYTES_MAX;
        let mut pairs = Vec::new();
        for _ in 0..count {
            if room == 0 {
                return Err(DecodeError::Invalid { what: "chunk" });
            }
            let key = reader.blob(STATE_KEY_BYTES_MAX)?;
            let value = reader.blob(STATE_VALUE_BYTES_MAX)?;
            room = room.saturating_sub(key.len().saturating_add(value.len()));
            pairs.push((key, value));
        }
        Ok(Self {
            block,
            after,
            pairs,
            path: reader.seq(STATE_PATH_MAX)?,
        })
    }
}

impl Encode for SyncMessage {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::AskEpochs { from } => {
                writer.u8(0);
                writer.put(from);
            }
            Self::Epochs(ends) => {
                writer.u8(1);
                writer.seq(ends);
            }
            Self::AskPoint { above } => {
                writer.u8(2);
                writer.put(above);
            }
            Self::Point(point) => {
                writer.u8(3);
                writer.put(point);
            }
            Self::AskChunk { block, after } => {
                writer.u8(4);
                writer.put(block);
                writer.put(after);
            }
            Self::Chunk(chunk) => {
                writer.u8(5);
                writer.put(chunk);
            }
            Self::Gone { block } => {
                writer.u8(6);
                writer.put(block);
            }
        }
    }
}

impl Decode for SyncMessage {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::AskEpochs {
                from: reader.get()?,
            },
            1 => Self::Epochs(reader.seq(LEDGER_SYNC_EPOCHS_MAX)?),
            2 => Self::AskPoint {
                above: reader.get()?,
            },
            3 => Self::Point(reader.get()?),
            4 => Self::AskChunk {
                block: reader.get()?,
                after: reader.get()?,
            },
            5 => Self::Chunk(reader.get()?),
            6 => Self::Gone {
                block: reader.get()?,
            },
            tag => {
                return Err(DecodeError::UnknownTag {
                    what: "message about a state",
                    tag,
                });
            }
        })
    }
}
