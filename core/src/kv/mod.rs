//! The replicated state machine of a cluster.

pub mod command;
pub mod query;

pub use command::{
    Command, Condition, Envelope, FencingToken, LeaseId, LogTime, Op, Outcome, SessionId,
};
pub use query::{Answer, Change, Found, Pair, Query};
