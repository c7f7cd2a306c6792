//! The hash chain over the log.
//!
//! ```text
//! entry_hash = SHA-256(0x00 ‖ cluster u128 ‖ term u64 ‖ index u64 ‖ kind u8 ‖ len u32 ‖ SHA-256(data))
//! chain_i    = SHA-256(0x01 ‖ chain_{i-1} ‖ entry_hash)
//! ```
//!
//! Integers are big-endian; the kinds are Noop 0, Membership 1, App 2; the chain
//! of the empty log is all zero. The data is hashed on its own first, so that a
//! proof can leave the payload out. Raft's Log Matching says that equal `(index,
//! term)` means equal prefix, hence equal chain: a difference is corruption or a
//! bug, and costs one comparison to find.

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::types::{Entry, EntryKind};
use crate::types::{Chain, ClusterId, LogId};

/// The chain of the empty log.
pub const EMPTY: Chain = Chain([0; 32]);

/// The byte that stands for a kind, in hashes and on the wire.
pub const fn kind_tag(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Noop => 0,
        EntryKind::Membership => 1,
        EntryKind::App => 2,
    }
}

/// The hash of one entry of one cluster, without its history.
pub fn entry_hash(cluster: ClusterId, id: LogId, kind: EntryKind, data: &[u8]) -> [u8; 32] {
    let length = u32::try_from(data.len()).expect("entries are far smaller than 4 GiB");
    hash_of_digest(cluster, id, kind, length, &Sha256::digest(data).into())
}

/// As [`entry_hash`], for a verifier that holds only length and digest of the
/// data.
pub fn hash_of_digest(
    cluster: ClusterId,
    id: LogId,
    kind: EntryKind,
    length: u32,
    data_digest: &[u8; 32],
) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update([0x00]);
    hasher.update(cluster.0.to_be_bytes());
    hasher.update(id.term.0.to_be_bytes());
    hasher.update(id.index.0.to_be_bytes());
    hasher.update([kind_tag(kind)]);
    hasher.update(length.to_be_bytes());
    hasher.update(data_digest);
    hasher.finalize().into()
}

/// The chain after an entry, from the chain before it.
pub fn extend(before: Chain, entry_hash: &[u8; 32]) -> Chain {
    let mut hasher = Sha256::new();
    hasher.update([0x01]);
    hasher.update(before.0);
    hasher.update(entry_hash);
    Chain(hasher.finalize().into())
}

/// Makes the entry that follows a log whose chain is `before`.
pub fn seal(cluster: ClusterId, before: Chain, id: LogId, kind: EntryKind, data: Bytes) -> Entry {
    let chain = extend(before, &entry_hash(cluster, id, kind, &data));
    Entry {
        id,
        kind,
        chain,
        data,
    }
}

/// Whether `entry` carries the right chain for a log whose chain is `before`.
pub fn follows(cluster: ClusterId, before: Chain, entry: &Entry) -> bool {
    extend(
        before,
        &entry_hash(cluster, entry.id, entry.kind, &entry.data),
    ) == entry.chain
}
