//! Who is in a run: its topology, its actors, and its checkers. A scenario names them, and
//! the world puts them together (`world/compose.rs`). Which adversaries there are is a
//! setting that is drawn with the seed.

/// What nodes are to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topology {
    /// All are in one cluster, without a ledger.
    OneCluster,
    /// They validate a ledger, and are in clusters if the settings say so.
    Ledger,
}

/// Actors of one kind that have to do with the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfLedger {
    /// Clients.
    Clients,
    /// Validators that change their set and its parameters.
    Governors,
    /// Who checks receipts at the end.
    Auditor,
}

/// Actors of one kind that each cluster has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfCluster {
    /// Clients.
    Clients,
    /// Watchers.
    Watchers,
    /// Operators.
    Operators,
}

/// Checkers of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkers {
    /// Nobody listens to another cluster.
    Strangers,
    /// Who says that it is unavailable is.
    Refusals,
    /// The promises of the ledger.
    Ledger,
    /// Everything is bounded.
    Bounds,
    /// The safety of consensus in each cluster.
    Consensus,
    /// The clients of each cluster saw one order of what happened.
    OneOrder,
}

/// Who is in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cast {
    /// What nodes are to each other.
    pub topology: Topology,
    /// The actors of the ledger, in the order in which they begin.
    pub of_ledger: Vec<OfLedger>,
    /// The actors of each cluster, which begin behind those, in this order.
    pub of_clusters: Vec<OfCluster>,
    /// The checkers, in the order in which they are asked.
    pub checkers: Vec<Checkers>,
}

impl Topology {
    /// Whether nodes have a part in a ledger.
    pub const fn has_ledger(self) -> bool {
        matches!(self, Self::Ledger)
    }
}

impl Cast {
    /// One cluster with everybody who has to do with it. There are no strangers to it.
    pub fn of_one_cluster() -> Self {
        use Checkers::{Bounds, Consensus, OneOrder, Refusals};
        Self {
            topology: Topology::OneCluster,
            of_ledger: Vec::new(),
            of_clusters: vec![
                OfCluster::Clients,
                OfCluster::Watchers,
                OfCluster::Operators,
            ],
            checkers: vec![Refusals, Bounds, Consensus, OneOrder],
        }
    }

    /// A ledger, and the clusters of its validators, with everybody who has to do with
    /// them.
    pub fn of_ledger() -> Self {
        use Checkers::{Bounds, Consensus, Ledger, OneOrder, Refusals, Strangers};
        Self {
            topology: Topology::Ledger,
            of_ledger: vec![OfLedger::Clients, OfLedger::Governors, OfLedger::Auditor],
            checkers: vec![Strangers, Refusals, Ledger, Bounds, Consensus, OneOrder],
            ..Self::of_one_cluster()
        }
    }
}
