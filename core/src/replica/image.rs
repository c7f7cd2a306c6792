//! The pairs of the state with their digest and their size.

use bytes::Bytes;

use super::cow::CowMap;
use super::digest::PairSum;
use super::layout::{HEADER_KEY, Header};
use crate::codec::Encode as _;

/// The pairs with their digest and their size.
#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    pub(super) map: CowMap,
    pub(super) sum: PairSum,
    pub(super) bytes: u64,
}

impl Image {
    /// Sets a pair and gives back the old value.
    pub(super) fn insert(&mut self, key: Bytes, value: Bytes) -> Option<Bytes> {
        self.sum.add(&key, &value);
        let added = size(key.len() + value.len());
        let old = self.map.insert(key.clone(), value);
        let removed = match &old {
            None => 0,
            Some(old) => {
                self.sum.remove(&key, old);
                size(key.len() + old.len())
            }
        };
        self.bytes = self.bytes + added - removed;
        old
    }

    /// Removes a pair and gives back its value.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Bytes> {
        let old = self.map.remove(key)?;
        self.sum.remove(key, &old);
        self.bytes -= size(key.len() + old.len());
        Some(old)
    }

    /// The digest of a state with these pairs and this header.
    pub(super) fn digest(&self, header: &Header) -> [u8; 32] {
        let mut sum = self.sum;
        sum.add(HEADER_KEY, &header.to_bytes());
        sum.to_bytes()
    }
}

/// A length as a quantity of bytes or pairs.
pub(crate) fn size(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits 64 bits")
}
