//! The ledger of all clusters: transactions, the state that they make, and proofs.
//!
//! # Purpose
//! [`Ledger`] is one node of it: the owner of a [`Bft`](crate::bft::Bft) validator.
//! It takes transactions, fills and judges blocks, executes what is final, keeps
//! it, answers clients, and goes from epoch to epoch.
//!
//! ```text
//!  Submit ──► pool ──► Built ──► Bft ──Persist──► Wal ──Io──► shell
//!               │        ▲        │◄──Persisted────┘
//!               │     branches ◄──Check
//!               └◄──────┴──── Commit ──► Io::Commit, Notice, Reply
//! ```
//!
//! # Source
//! The note on the global consensus layer, §4.6 to §6; the whitepaper's ledger for
//! the kinds of transactions. RFC 6962 for all trees but the state's.
//!
//! # Blocks
//! A header commits to its transactions, to the state after its *parent*, to the
//! results of its parent, to the hashes of all blocks before it, and to the set that
//! votes. So a validator votes as soon as it has executed the parent, and whoever
//! holds one final header can check anything about the past. A block's time is after
//! its parent's, and nobody votes for a block before its own clock is within two
//! seconds of it; a slow clock is not punished, because a verdict that depends on
//! when it is asked for would split honest validators.
//!
//! # Transactions
//! One signed form ([`Intent`]), single or bundled. Every lane of an account is a
//! strict sequence, which excludes replays for ever without a memory of old
//! transactions. Everybody may begin an account; how many a block begins and what an
//! account may use in an epoch is bounded on the ledger, so that a Byzantine leader can
//! not fill the blocks of others.
//!
//! # Validators and epochs
//! Validators are nodes; all clusters weigh the same ([`normalise`]). They change
//! set and parameters by saying the same operation: it passes when a quorum of the
//! power has submitted it. A change of the set ends the epoch with the next block, whose
//! header names the new set. Since every epoch is handed over by a quorum of the one
//! before, and proofs follow epochs one by one, no overlap between sets is required.
//!
//! # Persistence
//! | what | where | before |
//! |---|---|---|
//! | own votes, open blocks, certificates | the log, one atomic batch per step of the validator | anything that the validator gates on it (D1, D2, D3) |
//! | a final block, what it changed, where the next start begins | the store, one atomic batch, not synced | – (rebuildable from the log) |
//! | the same, up to a block | the store, synced | the log is cut up to it |
//! | that the disk was lost | the head of the log | the first record of a new log |
//!
//! # Pruning
//! A node may keep the transactions of the last blocks only
//! ([`Config::retain_blocks`]). It always keeps headers, the places and outcomes of
//! operations, the tree over all blocks, and how epochs handed over. So it still
//! proves every header and every epoch, and no receipt of an operation whose block
//! it has pruned. Blocks that somebody fetches are kept a while longer. Among nodes that
//! have all pruned, who begins fetches the state.
//!
//! # Invariants
//! | name | what holds after every step, or at the place where it is decided |
//! |---|---|
//! | G1 | validator, state and store speak of one block, one epoch and one set |
//! | G2 | everything kept has a bound |
//! | G3 | what is final, stored, pruned, cut off or numbered never goes back |
//! | G4 | a block rests on its executed parent, and one is final at each height |
//! | G5 | whoever waits or is served is found by its request, its subject and its deadline |
//! | G6 | what waits in the pool is counted once, in all and by account, cluster and operation |
//! | G7 | log and store are given batches in order, and have no more than they were given |
//! | G8 | an epoch is handed over to the set that the last header names, and powers add up |
//!
//! A node asserts them; what walks over all that is kept is checked after the first
//! steps and then now and again. What an observer of all nodes sees (equal states, each
//! operation once, receipts that verify) is checked in `tests/`.
//!
//! # Adversary
//! Validators with less than a third of the power are Byzantine. Clients are hostile: whatever
//! can be refused without a signature check is refused before it, and who submits
//! bad signatures is counted. The node's own disk may lose what was not synced; a
//! hole in the log counts as a lost disk.
//!
//! # Files
//! | file | holds |
//! |---|---|
//! | [`ledger_types`](crate::ledger_types) | the vocabulary: transactions, operations, outcomes, genesis |
//! | `config.rs` `event.rs` `effect.rs` `message.rs` | what goes in and out |
//! | `digest.rs` | the fingerprint of what it remembers |
//! | `state.rs` | what a node remembers |
//! | `step.rs` | routing |
//! | `pool/` | transactions that wait; keys that need no square root again |
//! | `execution/` | the state, the execution of a block, blocks that are not final yet |
//! | `chain/` | between the validator and what it orders; log, store, history, pruning |
//! | `state_sync/` | fetching the state instead of executing all blocks |
//! | `reads/` | clients and other parts, and what has to be read for them |
//! | `wire.rs` | the encoding of the configuration |
//! | `invariants.rs` | what is checked after every step |

mod chain;
pub mod config;
mod digest;
pub mod effect;
pub mod event;
mod execution;
mod invariants;
pub mod message;
mod pool;
mod reads;
mod state;
pub mod state_sync;
mod step;
mod wire;

#[cfg(test)]
mod tests;

pub use crate::ledger_types::{
    AccountId, CLUSTER_POWER, Checked, Genesis, GenesisError, Intent, KeyOwner, KeyProof, Lane,
    Member, Name, NameError, OpResult, Operation, Outcome, Param, ParamError, Params, ResultsHead,
    Sequence, SnapshotRecord, TimeMs, Transaction, TxError, TxId, ValidatorChange, WEIGHT_MAX,
    normalise,
};
pub use chain::compact::{Compact, Proposals};
pub use chain::consensus::SYSTEM_LANE;
pub use chain::record::{FinalBlock, Head};
pub use config::Config;
pub use effect::{Effect, Notice, Run};
pub use event::{Event, Link, ReadOn, Reader};
pub use execution::executor::Invalid;
pub use execution::ledger_state::{
    Account, EpochState, ImageEntry, LedgerState, Proposal, SnapshotEntry, keys,
};
pub use message::Message;
pub use pool::{Admitted, Arrival, BadSignatures, Pool, Rejection, Share};
pub use reads::request::{
    self, AccountView, LaneView, LedgerStatus, OperationLocation, Request, Response, TxState,
    ValidatorsView,
};
pub use state::Ledger;
