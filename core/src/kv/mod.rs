//! The replicated state machine of a cluster: keys with revisions, leases, locks
//! with fencing tokens, watches, and client sessions.
//!
//! # Sources
//! - Sessions: Ongaro, *Consensus: Bridging Theory and Practice*, §6.3. Deviations:
//!   a session keeps several answers, so that a client may have several changes on
//!   their way; opening one is idempotent by the client's nonce; a full table
//!   refuses new sessions instead of ending the least recently used one, because
//!   ending a session silently turns a retry into a second change.
//! - Revisions, conditions, leases, watches: the data model of etcd v3. Deviations:
//!   a revision is the index of the log entry (so it has gaps); old revisions can
//!   be watched for a while but not read; a transaction has no else branch; keys
//!   that a transaction deletes it may also put, in the order of its operations.
//! - Fencing tokens: Kleppmann, *Designing Data-Intensive Applications*, §8.4.
//!
//! # Rules
//! - An entry's changes all have the revision `index`. `Outcome::Changed` and
//!   [`Answer::revision`] give the revision of the state, which a change that
//!   removed nothing does not move.
//! - Log time is the maximum of all `proposed_at` so far. It is the only clock.
//!   What is due ends at the start of the next entry, by time of end and then by
//!   id, at the revision of that entry; so one entry can delete a key and set it
//!   again, and a watcher sees both changes, in order, under one revision.
//! - A refusal leaves no trace: every change is decided before anything is
//!   touched. (A refused change in a session is an answer, and is kept as one.)
//! - `DeleteRange` removes the first `range_pairs_max` keys; whoever reads that
//!   many in `deleted` asks again.
//! - A put without a lease takes the key from its lease.
//! - Deletion never needs room. What a transaction deletes first is not counted as
//!   room for what it puts.
//!
//! # Layout and persistence
//! The state is one ordered set of pairs, the *image* (`layout.rs`). Whatever
//! changes it goes through [`Kv`]'s one primitive that sets or removes a pair, and
//! that primitive also updates the digest and emits the store operation. From this
//! follow: P6 (the operations of an entry, applied position included, are one
//! batch); the snapshot (the image in key order); recovery (read the image, derive
//! the indexes, compare the digest).
//!
//! An installed snapshot is written under a new *generation* beside the old state
//! and takes its place in one batch ([`Kv::replace_ops`]).
//!
//! # The digest
//! The sum modulo 2^256 of the SHA-256 of every pair and of the header (position,
//! log time, revision, counts). It is kept up to date in constant time, does not
//! depend on order, and so is equal on any two nodes that applied the same log.
//! Pairs that differ by a lost write, a flipped bit or a bug collide with
//! probability about 2^-256 per comparison: that is the crash-fault model of Raft,
//! and a mismatch at equal positions is corruption or a bug. It is **not** collision
//! resistant against someone who chooses pairs: sums of hashes fall to Wagner's
//! generalised birthday attack at a cost far below 2^128. So it never leaves the
//! cluster as a proof; what outsiders verify is a Merkle root.
//!
//! # Named invariants (`invariants.rs`)
//! RevisionApplied, OneEndEach, OneNonceEach, Bounds and NothingElse after every
//! entry; Derivable, Digest, Size, Ordered, NothingOverdue and LeaseKeysBounded by
//! [`Kv::audit`].
//!
//! # Adversary and bounds
//! Commands, snapshot chunks and store pages may hold anything: decoders are total
//! and bounded, `apply` answers every command, and a snapshot or a store is a state
//! only if every reference in it leads somewhere and its digest is the one
//! announced. The leader's clock is trusted within Raft's crash-fault model: one
//! far in the future ends all leases, and log time does not come back. All bounds
//! are in [`Config`]; two are soft: history may pass its bytes by its last revision,
//! and the small answers of sessions are kept in a full state (at most 64 bytes
//! each). Leases that end together end in one entry, however many keys they have.
//!
//! | file | holds |
//! |---|---|
//! | `command.rs`, `query.rs` | the vocabulary |
//! | `config.rs` | the limits |
//! | `state.rs` | [`Kv`], the image, the primitive |
//! | `validate.rs` | rules that need no state |
//! | `apply.rs` | one entry: time, expiry, command |
//! | `data.rs` | conditions and changes of keys |
//! | `lease.rs`, `lock.rs`, `session.rs` | what their names say |
//! | `read.rs` | queries |
//! | `history.rs` | changes for watches |
//! | `cow.rs` | the ordered map with cheap clones |
//! | `digest.rs` | the sum of hashes |
//! | `layout.rs` | pairs of the image and keys of the store |
//! | `snapshot.rs` | freezing, chunks, staging, replacing |
//! | `load.rs` | recovery and the checks of a foreign image |
//! | `wire.rs`, `rules.rs` | encodings, and the names refusals cite |
//! | `invariants.rs` | what always holds |

mod apply;
pub mod command;
mod config;
mod cow;
mod data;
mod digest;
mod history;
mod invariants;
mod layout;
mod lease;
mod load;
mod lock;
pub mod query;
mod read;
mod rules;
mod session;
mod snapshot;
mod state;
mod validate;
mod wire;

#[cfg(test)]
mod tests;

pub use command::{
    Command, Condition, Envelope, FencingToken, LeaseId, LogTime, Op, Outcome, SessionId,
};
pub use config::Config;
pub use layout::Generation;
pub use load::{ImageError, LoadError, Loader, wipe_ops};
pub use query::{Answer, Change, Found, Pair, Query};
pub use snapshot::{Frozen, ReplaceOps, SnapshotError, Staging, is_switch};
pub use state::{Counts, Kv};
