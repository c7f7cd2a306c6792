//! Ids, times and quantities as newtypes: a term cannot be passed for an index.

mod ids;
mod modules;
mod time;

pub use ids::{
    Chain, ClusterId, Index, LogId, NodeId, PeerRequestId, ProcessNonce, RequestId, Revision, Term,
};
pub use modules::{ModuleId, Modules};
pub use time::{Span, Time, WallTime};
