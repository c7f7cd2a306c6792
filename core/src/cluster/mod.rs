//! A node's part in its cluster: Raft, its log, the replicated state, their clients.
//!
//! # Purpose
//! [`Cluster`] owns these machines, routes events to them and lifts their effects. It
//! adds what lies between them and nothing else: which record of the write-ahead log
//! belongs to which write of Raft, which entry answers which client, when the log may
//! be compacted, and how a snapshot of the state is opened, sent, staged and swapped in.
//!
//! ```text
//!  Request ──► requests ──► Raft ──Persist──► Wal ──File──► shell
//!                 ▲           │◄──Persisted─────┘◄─completion──┘
//!                 │           ├──Send──► shell ──► peers
//!              Outcome ◄ Replica ◄─Apply
//!                              └──StoreBatch──► Io::Commit ──► shell
//! ```
//!
//! # Persistence
//! | what | where | before |
//! |---|---|---|
//! | term, vote, entries, base | write-ahead log, one atomic batch per write of Raft | anything that Raft gates on it |
//! | the log accumulator up to `base` | in the record of the base, and in snapshots | – |
//! | the replicated state | the store, one atomic batch per group of applied entries, not synced | – (rebuildable from the log) |
//! | the state up to `base` | the store, synced | the log is compacted to `base` |
//! | an installed snapshot, with its base beside it | the store, synced, under a new generation | Raft drops the log before it |
//!
//! A volume that was used before and whose log holds nothing has lost term and vote: the
//! node may have voted, so it halts. Without that mark an empty log is a new member.
//!
//! A module of the state is switched on by a command
//! ([`Command::Enable`](crate::replica::Command::Enable)), which the leader proposes only
//! after every voter has answered that it has the module; a node becomes a voter only after it
//! has answered so for all that are on.
//!
//! A sound state, in the store or in a snapshot, with pairs that no module of this version
//! knows is of a newer version, and so is a committed command that says something unknown:
//! the node halts and changes nothing on the disk. Only what is damaged is replaced.
//!
//! # Invariants
//! N1. The log base never passes what is durable in the store.
//! N2. Every open request has exactly one place: parked, forwarded, proposed,
//! reading, or waiting for a signed head or for what nodes say of their modules; it
//! leaves it with exactly one answer.
//! N3. Nothing is applied while a snapshot is being installed.
//! N4. Writes to the log carry consecutive numbers and complete in order.
//! N5. A head is signed only if the tree over the log is known from the base up to
//! exactly what is applied.
//!
//! # Adversary
//! Peers are authenticated by the transport and trusted to crash, not to be Byzantine;
//! still no message of theirs may make the node panic. Clients are hostile.
//!
//! # Files
//! | file | holds |
//! |---|---|
//! | `config.rs`, `event.rs`, `effect.rs`, `message.rs`, `request.rs` | the vocabulary |
//! | `digest.rs` | the fingerprint of what it remembers |
//! | `state.rs` | [`Cluster`] and what it remembers |
//! | `step.rs` | the only mutator: routing of events and of the machines' effects |
//! | `recovery.rs` | from files and store pages to a running Raft |
//! | `requests/` | clients: propose, read, forward, park, time out |
//! | `apply.rs` | committed entries into the state, answers and watches |
//! | `log_tree.rs` | the tree over the applied log |
//! | `attest.rs` | signed heads of the log, and proofs under them |
//! | `modules.rs` | whether the voters have a module that is to be used |
//! | `storage.rs` | batches of the log and of the store, compaction |
//! | `snapshots.rs` | snapshots to and from peers |
//! | `records.rs` | the records of the write-ahead log |
//! | `invariants.rs` | N1 to N5 |

pub mod config;
pub mod effect;
pub mod event;
pub mod message;
pub mod request;

mod apply;
mod attest;
mod digest;
mod invariants;
mod log_tree;
mod modules;
mod records;
mod recovery;
mod requests;
mod snapshots;
mod state;
mod step;
mod storage;

#[cfg(test)]
pub(crate) mod tests;

pub use config::Config;
pub use effect::{Effect, Notice};
pub use event::{Event, Link};
pub use message::{HeadShare, Message};
pub use request::{AttestedHead, Changes, Consistency, Request, Response, Status};
pub use state::Cluster;
