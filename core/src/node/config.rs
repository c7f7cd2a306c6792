//! What a node is built from.

use crate::cluster;
use crate::ledger;
use crate::mutant::Mutant;
use crate::types::{NodeId, Span};

/// The configuration of a node: which parts it has, and what each is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// This node.
    pub node: NodeId,
    /// How long a request may wait for a part that recovers.
    pub patience: Span,
    /// Its part in a cluster, if it has one.
    pub cluster: Option<cluster::Config>,
    /// Its part in the ledger, if it has one.
    pub ledger: Option<ledger::Config>,
}

impl Config {
    /// A node of a cluster, without a ledger.
    pub fn of_cluster(cluster: cluster::Config) -> Self {
        Self {
            node: cluster.id,
            patience: cluster.request_timeout,
            cluster: Some(cluster),
            ledger: None,
        }
    }

    /// A node of the ledger that is in no cluster.
    pub fn of_ledger(ledger: ledger::Config) -> Self {
        Self {
            node: ledger.node,
            patience: ledger.wait_timeout,
            cluster: None,
            ledger: Some(ledger),
        }
    }

    /// The planted bug: the same in all parts.
    pub(super) fn mutant(&self) -> Mutant {
        let cluster = self.cluster.as_ref().map(|cluster| cluster.mutant);
        let ledger = self.ledger.as_ref().map(|ledger| ledger.mutant);
        cluster.or(ledger).unwrap_or_default()
    }

    /// The same, with a part in the ledger.
    ///
    /// # Panics
    /// If that is another node's.
    #[must_use]
    pub fn with_ledger(self, ledger: ledger::Config) -> Self {
        assert_eq!(self.node, ledger.node, "one identity");
        Self {
            ledger: Some(ledger),
            ..self
        }
    }
}
