//! What nodes are built from: the ways to a [`Config`].

use super::parts::Config;
use crate::cluster;
use crate::ledger;
use crate::mutant::Mutant;

impl Config {
    /// A node of a cluster, without a ledger.
    pub fn of_cluster(cluster: cluster::Config) -> Self {
        let bare = Self::bare(cluster.id, cluster.request_timeout);
        Self {
            cluster: Some(cluster),
            ..bare
        }
    }

    /// A node of the ledger that is in no cluster.
    pub fn of_ledger(ledger: ledger::Config) -> Self {
        let bare = Self::bare(ledger.node, ledger.wait_timeout);
        Self {
            ledger: Some(ledger),
            ..bare
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
