//! Consensus inside a cluster.

pub mod config;
pub mod effect;
pub mod event;
pub mod message;
pub mod types;

pub use config::Config;
pub use effect::{Effect, Persist, Refusal, Role};
pub use event::{Context, Event, PersistSeq};
pub use message::{
    AppendResult, Body, CampaignId, Incarnation, InflightId, Message, RoundId, SnapshotResult,
};
pub use types::{Base, Entry, EntryKind, HardState, Membership, Recovered, SnapshotMeta};
