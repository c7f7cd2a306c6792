//! The chained checksum over the log.
//!
//! ```text
//! sum_i   = XXH3-64(data_i)
//! chain_i = XXH3-128(cluster u128 ‖ chain_{i-1} ‖ sum_i ‖ term u64 ‖ index u64 ‖ kind u32 ‖ len u32)
//! ```
//!
//! Integers are big-endian; the chain of the empty log is all zero. The cluster
//! stands in every step, so that logs of different clusters never match, whatever
//! they begin with.
//!
//! # What it detects
//! Raft's Log Matching says that equal `(index, term)` means equal prefix, hence
//! equal chain. Each entry carries its chain and each Append that of its
//! predecessor, so a difference shows at once: an entry that was damaged in
//! memory, on a disk or under way, entries of another log or cluster, and every
//! bug by which two nodes hold different entries under one id. By accident,
//! damaged data is overlooked once in 2^64 times, anything else and a history
//! that differed before once in 2^128 times. (A sum of 128 bits would take a third
//! longer for data of some hundred bytes, and buy nothing: see the next section.)
//!
//! # What it does not detect
//! An attacker. XXH3 has no secret and collisions can be made at will, so a chain is
//! never a proof of anything to anybody outside: Raft tolerates crashes, not Byzantine faults.
//! What a cluster says to the outside rests on SHA-256 alone, in the log tree and
//! its signed heads ([`crate::proof`]).

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::types::{Entry, EntryKind};
use crate::types::{Chain, ClusterId, LogId};

/// The chain of the empty log.
pub const EMPTY: Chain = Chain([0; 16]);

/// Bytes of what is hashed for one entry, with the sum of its data.
const STEP_BYTES: usize = 64;

/// The chain after an entry, from the chain before it.
pub fn extend(cluster: ClusterId, before: Chain, id: LogId, kind: EntryKind, data: &[u8]) -> Chain {
    let length = u32::try_from(data.len()).expect("entries are far smaller than 4 GiB");
    let shape = u64::from(kind.tag()) << 32 | u64::from(length);
    // Aligned fields of whole words: the hash reads words, and a word that was
    // written in parts is slow to read back.
    let mut step = [0; STEP_BYTES];
    step[..16].copy_from_slice(&cluster.0.to_be_bytes());
    step[16..32].copy_from_slice(&before.0);
    step[32..40].copy_from_slice(&xxh3_64(data).to_be_bytes());
    step[40..48].copy_from_slice(&id.term.0.to_be_bytes());
    step[48..56].copy_from_slice(&id.index.0.to_be_bytes());
    step[56..].copy_from_slice(&shape.to_be_bytes());
    Chain(xxh3_128(&step).to_be_bytes())
}

/// Makes the entry that follows a log whose chain is `before`.
pub fn seal(cluster: ClusterId, before: Chain, id: LogId, kind: EntryKind, data: Bytes) -> Entry {
    let chain = extend(cluster, before, id, kind, &data);
    Entry {
        id,
        kind,
        chain,
        data,
    }
}

/// Whether `entry` carries the right chain for a log whose chain is `before`.
pub fn follows(cluster: ClusterId, before: Chain, entry: &Entry) -> bool {
    extend(cluster, before, entry.id, entry.kind, &entry.data) == entry.chain
}
