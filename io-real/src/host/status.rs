//! What a host tells everyone about itself.

use decube_core::raft::{Membership, Role};
use decube_core::types::{NodeId, Term};

/// The state of a host, as of the last turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostStatus {
    /// The node's role in its cluster.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The leader, if known.
    pub leader: Option<NodeId>,
    /// Recovery is complete and requests are served.
    pub ready: bool,
    /// Why the node halted itself, if it did.
    pub halted: Option<&'static str>,
    /// Who takes part in the cluster, as far as the node knows.
    pub membership: Membership,
    /// The ledger serves.
    pub ledger_ready: bool,
    /// Why the ledger halted, if it did.
    pub ledger_halted: Option<&'static str>,
    /// How the host ended, if it has.
    pub exit: Option<HostExit>,
}

impl Default for HostStatus {
    fn default() -> Self {
        Self {
            role: Role::Follower,
            term: Term::default(),
            leader: None,
            ready: false,
            halted: None,
            membership: Membership::default(),
            ledger_ready: false,
            ledger_halted: None,
            exit: None,
        }
    }
}

/// How a host ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostExit {
    /// The machine stopped as asked; everything is flushed and closed.
    Stopped,
    /// The machine was asked to stop and did not in time. Nothing acknowledged
    /// is lost, but leadership was not handed over.
    ShutdownTimedOut,
    /// The machine gave up, for this reason. The process must end.
    Halted(&'static str),
    /// An adapter's thread is gone. The process must end.
    AdapterGone(&'static str),
}
