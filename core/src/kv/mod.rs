//! The replicated state machine of a cluster.

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
pub use snapshot::{Frozen, ReplaceOps, SnapshotError, Staging};
pub use state::{Counts, Kv};
