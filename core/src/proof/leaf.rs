//! What the log tree has for leaves.
//!
//! ```text
//! entry_hash = SHA-256(0x00 ‖ cluster ‖ term ‖ index ‖ kind ‖ len ‖ SHA-256(data))
//! ```
//!
//! All fields have a fixed width and are big-endian: cluster 16 bytes, term 8,
//! index 8, kind 1, len 4, the digest 32. The data is hashed on its own first, so
//! a proof can leave it out. The leading `0x00` makes an entry hash a leaf hash
//! of RFC 6962 over the other fields, and the tree uses it as it is.
//!
//! It is computed once per entry and node, when the entry is applied: consensus
//! itself needs no collision resistance ([`crate::raft::chain`]).

use sha2::{Digest as _, Sha256};

use crate::crypto::{Digest, sha256};
use crate::merkle::LeafHash;
use crate::raft::EntryKind;
use crate::types::{ClusterId, LogId};

/// The hash of one log entry. Longer data than `u32::MAX` is a broken invariant;
/// an entry has at most [`ENTRY_BYTES_MAX`](crate::limits::ENTRY_BYTES_MAX).
pub fn entry_hash(cluster: ClusterId, id: LogId, kind: EntryKind, data: &[u8]) -> Digest {
    let length = u32::try_from(data.len()).expect("entries are far smaller than 4 GiB");
    entry_hash_of(cluster, id, kind, length, &sha256(data))
}

/// Like [`entry_hash`], of data that is known by its length and digest alone.
pub fn entry_hash_of(
    cluster: ClusterId,
    id: LogId,
    kind: EntryKind,
    len: u32,
    data_hash: &Digest,
) -> Digest {
    let mut hasher = Sha256::new();
    hasher.update([0x00]);
    hasher.update(cluster.0.to_be_bytes());
    hasher.update(id.term.0.to_be_bytes());
    hasher.update(id.index.0.to_be_bytes());
    hasher.update([kind.tag()]);
    hasher.update(len.to_be_bytes());
    hasher.update(data_hash.0);
    Digest(hasher.finalize().into())
}

/// An entry hash as a leaf of the log tree: it has the leaf prefix already.
pub(super) const fn entry_leaf(entry_hash: Digest) -> LeafHash {
    LeafHash::assume(entry_hash)
}
