//! What Raft chains, and what the log tree has for leaves.
//!
//! ```text
//! entry_hash = SHA-256(0x00 ‖ cluster ‖ term ‖ index ‖ kind ‖ len ‖ SHA-256(data))
//! chain_next = SHA-256(0x01 ‖ prev ‖ entry_hash)
//! ```
//!
//! All fields have a fixed width and are big-endian: cluster 16 bytes, term 8,
//! index 8, kind 1, len 4, the digest 32. The data is hashed on its own first, so
//! a proof can leave it out. The leading `0x00` makes an entry hash a leaf hash
//! of RFC 6962 over the other fields, and the tree uses it as it is. The definition
//! itself is Raft's, in [`crate::raft::chain`].

use crate::crypto::Digest;
use crate::merkle::LeafHash;
use crate::raft::{EntryKind, chain};
use crate::types::{Chain, ClusterId, LogId};

/// The hash of one log entry. Longer data than `u32::MAX` is a broken invariant;
/// an entry has at most [`ENTRY_BYTES_MAX`](crate::limits::ENTRY_BYTES_MAX).
pub fn entry_hash(cluster: ClusterId, id: LogId, kind: EntryKind, data: &[u8]) -> Digest {
    Digest(chain::entry_hash(cluster, id, kind, data))
}

/// Like [`entry_hash`], of data that is known by its length and digest alone.
pub fn entry_hash_of(
    cluster: ClusterId,
    id: LogId,
    kind: EntryKind,
    len: u32,
    data_hash: &Digest,
) -> Digest {
    Digest(chain::hash_of_digest(cluster, id, kind, len, &data_hash.0))
}

/// The chain after one more entry. The chain before the first entry is
/// [`Chain::default`], all zero bits.
pub fn chain_next(prev: Chain, entry_hash: Digest) -> Chain {
    chain::extend(prev, &entry_hash.0)
}

/// The byte that stands for a kind in hashes and encodings.
pub const fn kind_code(kind: EntryKind) -> u8 {
    chain::kind_tag(kind)
}

/// The kind that a byte stands for.
pub(super) const fn kind_of(code: u8) -> Option<EntryKind> {
    match code {
        0 => Some(EntryKind::Noop),
        1 => Some(EntryKind::Membership),
        2 => Some(EntryKind::App),
        _ => None,
    }
}

/// An entry hash as a leaf of the log tree: it has the leaf prefix already.
pub(super) const fn entry_leaf(entry_hash: Digest) -> LeafHash {
    LeafHash::assume(entry_hash)
}
