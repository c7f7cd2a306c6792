//! What is true after every step.

use super::state::{Ledger, Phase};
use crate::limits::{
    BLOCKS_OPEN_MAX, LEDGER_ASSEMBLIES_MAX, LEDGER_METERS_MAX, LEDGER_POINTS_KEPT,
    LEDGER_POOL_BYTES_MAX, LEDGER_READS_MAX, LEDGER_WAITS_MAX, VALIDATORS_MAX,
};
use crate::mutant::Mutant;

impl Ledger {
    /// Panics if an invariant is broken.
    pub(super) fn check_invariants(&self) {
        if self.config.mutant != Mutant::None && cfg!(feature = "mutants") {
            // A planted bug is for the independent checkers to find.
            return;
        }
        assert!(self.queue.is_empty(), "a step leaves no effect behind");
        self.position_invariants();
        self.bound_invariants();
    }

    /// G1 The validator, the state and the store speak of one block and epoch.
    fn position_invariants(&self) {
        let Phase::Running(running) = &self.phase else {
            return;
        };
        let (bft, tip) = (&running.bft, running.tip());
        assert_eq!(tip.height, self.storage.tip.height);
        assert_eq!(tip.hash, self.storage.tip.hash);
        assert_eq!(tip.history.size().0, tip.height.0 + 1);
        assert_eq!(self.storage.history.size(), tip.history.size());
        // What is committed and not durable yet is ahead of the tip.
        assert!(bft.committed().height >= tip.height);
        assert_eq!(bft.epoch().epoch, tip.world().epoch().epoch);
        assert_eq!(bft.epoch().validators, *tip.world().epoch().set());
    }

    /// G2 Everything kept has a bound.
    fn bound_invariants(&self) {
        assert!(self.pool.bytes() <= LEDGER_POOL_BYTES_MAX);
        assert!(self.pool.meters_len() <= LEDGER_METERS_MAX);
        assert!(self.waits.len() <= LEDGER_WAITS_MAX);
        assert!(self.reads.len() <= LEDGER_READS_MAX + VALIDATORS_MAX);
        assert!(self.parked.blocks.len() <= 2 * BLOCKS_OPEN_MAX);
        assert!(self.early.len() <= 2 * BLOCKS_OPEN_MAX);
        assert!(self.sync.points.len() <= LEDGER_POINTS_KEPT);
        assert!(self.assemblies.len() <= LEDGER_ASSEMBLIES_MAX);
        assert!(self.helped.len() <= 4 * VALIDATORS_MAX);
    }
}
