//! The rolling digest of a run: equal digests mean equal runs.
//!
//! Every event and effect is folded by what derives `Hash`, as the state of a node is: it is
//! covered to its last field. Now and then ([`checkpoint_every`]) the fold, with the digests of
//! all nodes that have stepped, enters a SHA-256 chain. A full hash of each event would cost as
//! much as the event itself.

use std::hash::{Hash, Hasher};

use decube_core::codec::Encode as _;
use decube_core::raft::Body;
use decube_core::{cluster, node};
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes up to which words are folded one by one: less than it takes to begin a hash.
const WORDS_BYTES_MAX: usize = 32;

/// Events between two checkpoints, for each node: a checkpoint is over all of them, and
/// costs as much as they hold.
const CHECKPOINT_EVENTS_OF_NODE: u64 = 256;

/// Events between two checkpoints of a world with this many nodes.
pub fn checkpoint_every(nodes: usize) -> u64 {
    let nodes = u64::try_from(nodes.max(1)).expect("nodes fit into memory");
    CHECKPOINT_EVENTS_OF_NODE.saturating_mul(nodes)
}

/// The digest of a run so far.
#[derive(Debug, Clone, Default)]
pub struct Rolling {
    fold: Fold,
    chain: [u8; 32],
}

impl Rolling {
    /// Adds a value.
    pub fn add(&mut self, value: &impl Hash) {
        value.hash(&mut self.fold);
    }

    /// Closes a checkpoint over everything added so far.
    pub fn checkpoint(&mut self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.chain);
        hasher.update(self.fold.0.to_be_bytes());
        self.chain = hasher.finalize().into();
        self.chain
    }
}

/// A cheap order-dependent fold of numbers into 64 bits. It depends on no platform: numbers
/// enter as they are, sizes as `u64`.
#[derive(Debug, Clone, Copy)]
struct Fold(u64);

impl Default for Fold {
    fn default() -> Self {
        Self(0x243f_6a88_85a3_08d3)
    }
}

impl Hasher for Fold {
    fn write(&mut self, bytes: &[u8]) {
        if bytes.len() > WORDS_BYTES_MAX {
            return self.write_u64(xxh3_64(bytes));
        }
        let (words, rest) = bytes.as_chunks();
        words
            .iter()
            .for_each(|word| self.write_u64(u64::from_be_bytes(*word)));
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_be_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }

    fn write_u128(&mut self, value: u128) {
        self.write(&value.to_be_bytes());
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(u64::try_from(value).unwrap_or(u64::MAX));
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(i64::try_from(value).unwrap_or(i64::MAX).cast_unsigned());
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// About how many bytes a message takes on the wire.
pub fn message_size(message: &node::Message) -> u64 {
    let payload = match message {
        node::Message::Cluster(message) => match message {
            cluster::Message::Raft(raft) => match &raft.body {
                Body::Append { entries, .. } => {
                    entries.iter().map(|entry| entry.data.len() + 64).sum()
                }
                Body::Snapshot { data, .. } => data.len() + 128,
                _ => 0,
            },
            cluster::Message::Forward { .. } | cluster::Message::ForwardReply { .. } => 128,
            cluster::Message::HeadRequest { .. } | cluster::Message::HeadReply { .. } => 192,
            cluster::Message::ModulesRequest { .. } | cluster::Message::ModulesReply { .. } => 64,
        },
        // The byte of the part is not counted.
        other => other.size_hint() - 1,
    };
    64 + u64::try_from(payload).expect("lengths fit 64 bits")
}
