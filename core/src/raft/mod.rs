//! Consensus inside a cluster.

pub mod chain;
pub mod config;
mod digest;
pub mod effect;
mod election;
pub mod event;
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
mod wire;

#[cfg(test)]
mod tests;

pub use config::Config;
pub use effect::{Effect, Persist, Refusal, Role};
pub use event::{Context, Event, PersistSeq};
pub use message::{
    AppendResult, Body, CampaignId, Incarnation, InflightId, Message, RoundId, SnapshotResult,
};
pub use snapshot::CHUNK_BYTES_MAX;
pub use state::Raft;
pub use types::{Base, Entry, EntryKind, HardState, Membership, Recovered, SnapshotMeta};
