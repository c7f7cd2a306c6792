//! What the ledger keeps on the disk.
//!
//! | key of the store | value |
//! |---|---|
//! | `H` | [`Head`]: the last block that the store covers |
//! | `s` + key | the state |
//! | `b` + height | [`FinalBlock`], from the base on |
//! | `h` + height | [`Header`] |
//! | `t` + operation | [`OperationLocation`] |
//! | `e` + epoch | [`EpochEnd`]: how it handed over |
//! | `Y` | [`StateCheckpoint`](crate::ledger::state_sync::StateCheckpoint): the state that is being fetched |
//! | `y` + key | what has come of it |
//! | `x` + tile | tiles of the tree over all blocks |
//!
//! Votes, certificates and open blocks are in the log, and so is every final block
//! that the store may not have yet.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::bft::{self, Block, BlockRef, Cert, Epoch, Header, Height};
use crate::codec::{Decode, Encode};
use crate::crypto::Digest;
use crate::ledger_types::{OpResult, TimeMs, TxId};
use crate::limits::{BLOCK_BYTES_MAX, PATH_HEADERS_MAX};
use crate::merkle::{Frontier, TileId};
use crate::proof::ledger::Finality;

/// A final block with why it is final and what it did.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct FinalBlock {
    pub block: Arc<Block>,
    /// The headers from its child up to the certified block.
    #[codec(max = PATH_HEADERS_MAX)]
    pub path: Vec<Header>,
    pub finalization: Cert,
    /// How each operation ended.
    #[codec(max = BLOCK_BYTES_MAX)]
    pub results: Vec<OpResult>,
}

/// Where the store stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Head {
    /// The epoch of the block.
    pub epoch: Epoch,
    /// The last block that the store covers.
    pub place: BlockRef,
    /// When it was made.
    pub time: TimeMs,
    /// The root over its results.
    pub results_root: Digest,
    /// The block that the epoch after it rests on: itself, if it ends one.
    pub epoch_root: Digest,
    /// The tree over the hashes of all blocks up to it.
    pub history: Frontier,
    /// The root of the state: what the pairs have to add up to.
    pub state: Digest,
    /// The first block that the store has whole. Blocks before it were pruned.
    pub base: Height,
}

/// One record of the log: what the consensus wants to keep, with its epoch.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub(in crate::ledger) struct LogRecord {
    pub(in crate::ledger) epoch: Epoch,
    pub(in crate::ledger) record: bft::Record,
}

/// [`LogHead::lost_upto`] of a node that has not asked since it lost something.
pub(in crate::ledger) const NOT_ASKED: Epoch = Epoch(u64::MAX);

/// What each segment of the log begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Encode, Decode)]
pub(in crate::ledger) struct LogHead {
    /// Up to this epoch the node asks before it votes: its disk was lost.
    pub(in crate::ledger) lost_upto: Option<Epoch>,
}

impl FinalBlock {
    /// That it is final, for those who have not seen the certificate.
    pub fn finality(&self) -> Finality {
        Finality {
            header: *self.block.header(),
            path: self.path.clone(),
            finalization: self.finalization.clone(),
        }
    }

    /// Its height.
    pub fn height(&self) -> Height {
        self.block.header().height
    }
}

/// The key of the head.
pub(in crate::ledger) const HEAD_KEY: &[u8] = b"H";

/// The key of the state that is being fetched.
pub(in crate::ledger) const STAGED_POINT_KEY: &[u8] = b"Y";

fn key(kind: u8, name: &[u8]) -> Bytes {
    let mut key = Vec::with_capacity(name.len().saturating_add(1));
    key.push(kind);
    key.extend_from_slice(name);
    key.into()
}

pub(in crate::ledger) fn state_key(name: &[u8]) -> Bytes {
    key(b's', name)
}

pub(in crate::ledger) fn staged_key(name: &[u8]) -> Bytes {
    key(b'y', name)
}

pub(in crate::ledger) fn block_key(height: Height) -> Bytes {
    key(b'b', &height.0.to_be_bytes())
}

pub(in crate::ledger) fn header_key(height: Height) -> Bytes {
    key(b'h', &height.0.to_be_bytes())
}

pub(in crate::ledger) fn location_key(id: &TxId) -> Bytes {
    key(b't', &id.0.0)
}

pub(in crate::ledger) fn epoch_key(epoch: Epoch) -> Bytes {
    key(b'e', &epoch.0.to_be_bytes())
}

pub(in crate::ledger) fn tile_key(id: TileId) -> Bytes {
    key(b'x', &id.to_bytes())
}

/// The first key behind all that begin with `kind`.
pub(in crate::ledger) fn end_of(kind: u8) -> Bytes {
    key(kind.checked_add(1).expect("kinds are letters"), &[])
}

/// The range of exactly one key.
pub(in crate::ledger) fn only(key: Bytes) -> (Bytes, Bytes) {
    let mut behind = key.to_vec();
    behind.push(0);
    (key, behind.into())
}
