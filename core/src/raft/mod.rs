//! Consensus inside a cluster: a replicated log that survives the crash of any
//! minority.
//!
//! # Source
//! Ongaro and Ousterhout, *In Search of an Understandable Consensus Algorithm*
//! (extended version), sections 5 to 8; Ongaro's dissertation §3.10 (transfer),
//! §4 (membership), §6.4 (reads), §9.6 (pre-vote), §10.2.1 (parallel writes).
//! Repair of damaged logs follows the idea of protocol-aware recovery.
//!
//! # Deviations from the paper
//! - Pre-vote, quorum check and leader stickiness are always on.
//! - Every membership change of voters is joint and takes effect when appended.
//!   A change of learners alone needs no joint step: its majorities are equal.
//! - A voter of the *committed* membership may stand for election although a
//!   later one in its log leaves it out (dissertation §4.2.2).
//! - Every entry carries a chained checksum ([`chain`]), every Append that of its
//!   predecessor. Equal `(index, term)` with unequal chains halts the node. It
//!   finds damage and bugs, not attackers: it is fast and not collision-resistant.
//!   What is proven to others rests on the log tree alone ([`crate::proof`]).
//! - The whole kept log is in memory, up to
//!   [`LOG_BYTES_HARD_MAX`](crate::limits::LOG_BYTES_HARD_MAX): so `step` never
//!   has to ask for old entries and wait, and its memory is bounded anyway. A
//!   follower that needs more than that gets a snapshot.
//! - A positive acknowledgement is believed whenever it carries the present term
//!   and incarnation, since within both it stays true. A *refusal* is believed
//!   only if it answers a message of the present way of feeding that follower.
//! - A message that brings nothing but news of a commit is not answered if it
//!   fits: a commit takes six messages in a group of three.
//! - A repairing follower answers with refusals whose hint moves *forward*: it
//!   makes progress and is not counted.
//!
//! # The iteration
//! `step` of an ordinary event only gathers work. If something has to be written
//! or sent, [`deadline`](crate::machine::Machine::deadline) is now; the owner
//! drains its inputs and delivers [`Event::Wake`], which emits one
//! [`Effect::Persist`] and at most one Append per peer. Answers that rest on
//! nothing unwritten leave at once. The order of all effects is part of every
//! golden trace.
//!
//! # Persistence
//! | rule | must be durable | before |
//! |---|---|---|
//! | P1 | term and vote, one record | a vote, a candidacy, any message in a new term |
//! | P2 | term `t` | the first entry of term `t` (same write at the latest) |
//! | P3 | entries up to `i`, with their truncation | the acknowledgement of `i` |
//! | P4 | nothing | a leader's Append; its own match moves when its write is durable |
//! | P5 | an entry, here | its `Apply` here |
//! | P6 | the state machine's data with its applied index | the owner's business |
//! | P7 | state, then base, chain and membership of a snapshot | the answer `Installed` |
//! | P8 | the commit index need not be; it rides along now and then | |
//! | P9 | committed and applied here | a share of a certificate: the owner's business |
//! | P10 | | a failed write halts the node |
//!
//! The node itself holds what must wait and says it in `step(Persisted)`. What
//! waits when the term changes is never sent.
//!
//! # Incarnation and repair
//! [`HardState`] carries the number of the present start. It is raised and
//! written before anything is sent, and stands in every acknowledgement. A leader
//! that meets a higher one forgets what the former one acknowledged. A node that
//! lost synced entries repairs its log before it takes part again; the mark for
//! that ([`HardState::repair_upto`]) is durable itself. See `repair.rs`. A node
//! that crashed between the two writes of P7 finishes them at its next start
//! ([`Recovered::installed`]).
//!
//! # Invariants (`invariants.rs`)
//! R1 the role agrees with what it needs · R2 base ≤ applied ≤ handed ≤ commit ≤
//! last, and durable ≤ last · R3 everything kept has a bound · R4 a leader's view
//! of its followers is possible. Checked after every step in debug builds,
//! sampled in release. What only an observer of all nodes can see (election
//! safety, log matching, leader completeness, state machine safety) is checked in
//! `tests/check.rs` and by the simulator.
//!
//! # Adversary
//! Crash faults, any network, a disk that loses or damages what it confirmed.
//! Peers are authenticated by the transport and may be confused or hostile in
//! what they say: no message makes the node panic, grow without bound, or change
//! a committed entry. A hostile *leader* can halt a follower and spoil its own
//! cluster's log: a cluster is one Byzantine fault domain (see the architecture).
//!
//! # Bounds
//! Log bytes, uncommitted bytes, window per follower, reads waiting, writes in
//! flight: [`limits`](crate::limits). Messages held for a write:
//! `persist::HELD_MAX`, then they count as lost. One snapshot chunk in flight per
//! follower.
//!
//! # Limits that an operator can meet
//! - A node whose term and vote are lost halts; replace it under a new id.
//! - While a node repairs, a quorum must exist without it: in a cluster of two
//!   voters the loss of synced entries on one stops the cluster.
//! - A repairing node stays so until the log has grown to the last index that it
//!   may have acknowledged: an idle cluster whose leader lost that tail has to
//!   write on first.
//! - `Transfer` has no answer of its own: watch `RoleChanged`.
//!
//! # Files
//! | file | holds |
//! |---|---|
//! | `config.rs` `types.rs` `message.rs` `event.rs` `effect.rs` | the vocabulary |
//! | `state.rs` | the node's state and accessors |
//! | `step.rs` | construction, routing, the iteration, what follows from any event |
//! | `election.rs` | pre-vote, vote, stickiness, role changes |
//! | `replication.rs` | leading: proposals, Append, its answers, the commit index |
//! | `follow.rs` | following: Append received |
//! | `progress.rs` | what a leader knows of one follower |
//! | `membership.rs` | rules, joint changes, transfer |
//! | `read.rs` | ReadIndex |
//! | `snapshot.rs` | sending and receiving snapshots |
//! | `repair.rs` | examining the disk, repairing the log |
//! | `persist.rs` | the gate between memory and disk |
//! | `log.rs` `entries.rs` | the log, and the runs of entries that it shares |
//! | `chain.rs` `quorum.rs` | the chained checksum, majorities |
//! | `invariants.rs` `digest.rs` | what always holds; the state in 32 bytes |

pub mod chain;
pub mod config;
mod digest;
pub mod effect;
mod election;
pub mod entries;
pub mod event;
mod follow;
mod invariants;
mod log;
mod membership;
pub mod message;
mod persist;
mod progress;
mod quorum;
mod read;
mod repair;
mod replication;
mod snapshot;
mod state;
mod step;
pub mod types;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use effect::{Effect, Persist, Refusal, Role};
pub use entries::{Entries, Runs};
pub use event::{Context, Event, PersistSeq};
pub use membership::MembershipRule;
pub use message::{
    AppendResult, Body, CampaignId, Incarnation, InflightId, Message, RoundId, SnapshotResult,
};
pub use snapshot::CHUNK_BYTES_MAX;
pub use state::Raft;
pub use types::{Base, Entry, EntryKind, HardState, Membership, Recovered, SnapshotMeta};
