//! The vocabulary of the key-value engine of a volume.
//!
//! The engine holds only what can be had again: from the write-ahead log, or from other
//! nodes. What a log still holds is the truth about it.
//! The core owns the ordering: batches are numbered, applied in order, and each
//! is atomic. What the engine must promise is in [`Store`]; one conformance
//! suite ([`conformance`], under the feature of that name) holds every engine to
//! it, the simulated one included.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;

use alloc::vec::Vec;

use crate::codec::{Decode, Encode};
use crate::limits::{MESSAGE_BYTES_MAX, RECORDED_LIST_MAX, STORE_KEY_BYTES_MAX};
use bytes::Bytes;

/// The number of a batch, counted from 1 at each start of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct StoreSeq(pub u64);

/// One change inside a batch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StoreOp {
    /// Sets a key.
    Put {
        /// The key, at most [`STORE_KEY_BYTES_MAX`] bytes.
        key: Bytes,
        value: Bytes,
    },
    /// Removes a key; removing an absent key is no error.
    Delete { key: Bytes },
    /// Removes every key in `from..to`.
    DeleteRange {
        /// The first key removed.
        from: Bytes,
        /// The first key kept.
        to: Bytes,
    },
}

/// Changes that become visible and durable together or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreBatch {
    /// Where the batch stands in the order.
    pub seq: StoreSeq,
    /// The changes, in order: a later one overrides an earlier one.
    pub ops: Vec<StoreOp>,
    /// Whether this and every earlier batch must be on stable storage before
    /// the completion. Without it a crash may lose a suffix of the batches,
    /// never a part of one and never one from the middle.
    pub sync: bool,
}

/// A key-value engine with atomic batches, ordered scans and prefix durability.
///
/// Errors are final: after one the engine's content is unknown, the node halts,
/// and the next start rebuilds what is missing from the log.
pub trait Store {
    /// Why the engine failed.
    type Error;

    /// Applies a batch atomically. Batches survive a crash in order: if one
    /// survives, so do all before it. Returns after stable storage if `sync`.
    fn commit(&mut self, batch: &StoreBatch) -> Result<(), Self::Error>;

    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Self::Error>;

    /// Pairs with `from <= key`, and `key < to` if `to` is given, in key order,
    /// until about `bytes_max` bytes of keys and values are collected (at least
    /// one pair if there is any).
    fn scan(&self, from: &[u8], to: Option<&[u8]>, bytes_max: usize) -> Result<Page, Self::Error>;
}

/// Pairs that a scan found.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Encode, Decode)]
pub struct Page {
    /// The pairs, in key order.
    #[codec(max = [RECORDED_LIST_MAX, [STORE_KEY_BYTES_MAX, 2 * MESSAGE_BYTES_MAX]])]
    pub pairs: Vec<(Bytes, Bytes)>,
    /// Whether no further pair lies in the range.
    pub is_last: bool,
}

impl Page {
    /// What an empty range holds.
    pub const NONE: Self = Self {
        pairs: Vec::new(),
        is_last: true,
    };

    /// Takes pairs until about `bytes_max` bytes are collected, and looks whether
    /// there is another one.
    pub fn collect<E>(
        pairs: impl Iterator<Item = Result<(Bytes, Bytes), E>>,
        bytes_max: usize,
    ) -> Result<Self, E> {
        let mut page = Self {
            pairs: Vec::new(),
            is_last: true,
        };
        let mut bytes = 0_usize;
        for pair in pairs {
            let (key, value) = pair?;
            if bytes >= bytes_max && !page.pairs.is_empty() {
                page.is_last = false;
                break;
            }
            bytes = bytes.saturating_add(key.len()).saturating_add(value.len());
            page.pairs.push((key, value));
        }
        Ok(page)
    }
}
