//! Keys with revisions, leases, locks with fencing tokens, and watches: the first
//! module of the replicated state of a cluster ([`crate::replica`]).
//!
//! # Sources
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
//! - A lease that is due ends at the start of the next entry and its keys with it; so
//!   one entry can delete a key and set it again, and a watcher sees both changes, in
//!   order, under one revision.
//! - A refusal leaves no trace: every change is decided before anything is
//!   touched.
//! - `DeleteRange` removes the first `range_pairs_max` keys; whoever reads that
//!   many in `deleted` asks again.
//! - A put without a lease takes the key from its lease.
//! - Deletion never needs room. What a transaction deletes first is not counted as
//!   room for what it puts.
//! - An answer that quotes a value (`ConditionFailed`) becomes the refusal
//!   `LimitExceeded` where a session has no room for it.
//!
//! # Named invariants
//! Bounds after every entry; LeaseKeysBounded by
//! [`Replica::audit`](crate::replica::Replica::audit).
//!
//! # Bounds
//! All are in [`Config`]. One is soft: history may pass its bytes by its last revision.
//!
//! | file | holds |
//! |---|---|
//! | `command.rs`, `query.rs` | the vocabulary |
//! | `config.rs` | the limits |
//! | `state.rs` | [`Kv`] and its indexes |
//! | `module.rs` | what the replicated state asks of it |
//! | `validate.rs` | rules that need no state |
//! | `data.rs` | conditions and changes of keys |
//! | `lease.rs`, `lock.rs` | what their names say |
//! | `read.rs` | queries |
//! | `history.rs` | changes for watches |
//! | `layout.rs` | pairs of the image |

pub mod command;
mod config;
mod data;
mod history;
mod layout;
mod lease;
mod lock;
mod module;
pub mod query;
mod read;
mod state;
mod validate;

#[cfg(test)]
pub(crate) mod tests;

pub use command::{Condition, FencingToken, LeaseId, Op, Outcome};
pub use config::Config;
pub use query::{Answer, Change, Found, Pair, Query};
pub use state::{Counts, Kv};
