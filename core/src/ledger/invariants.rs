//! What is true after every step.

use super::state::{Ledger, Phase, Running};
use crate::bft::{Epoch, Height};
use crate::io::ReadId;
use crate::limits::{
    BRANCHES_OPEN_MAX, LEDGER_ASSEMBLIES_MAX, LEDGER_CHECKPOINTS_KEPT, LEDGER_FETCH_SHUNNED_MAX,
    LEDGER_FOLLOWERS_MAX, LEDGER_HELPED_MAX, LEDGER_READERS_MAX, LEDGER_READS_MAX,
    LEDGER_READS_SERVED_MAX, LEDGER_WAITS_MAX,
};
use crate::machine::is_sampled;
use crate::merkle::TreeSize;
use crate::mutant::Mutant;
use crate::store::StoreSeq;
use crate::wal::WalSeq;

/// See [`is_sampled`].
const STEPS_BETWEEN: u64 = 1024;

/// What only grows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    epoch: Epoch,
    tip: Height,
    base: Height,
    history: TreeSize,
    log_from: u64,
    log: WalSeq,
    store: StoreSeq,
    stored: StoreSeq,
    read: ReadId,
}

impl Ledger {
    /// Whether the step is one after which what costs much is checked.
    const fn is_sampled(&self) -> bool {
        is_sampled(self.steps, STEPS_BETWEEN)
    }

    /// Whether it has a planted bug, which is for the independent checkers to find.
    pub(super) fn is_planted(&self) -> bool {
        self.config.mutant != Mutant::None && cfg!(feature = "mutants")
    }

    /// Panics if an invariant is broken.
    pub(super) fn check_invariants(&self) {
        if self.is_planted() {
            return;
        }
        assert!(self.queue.is_empty(), "a step leaves no effect behind");
        if let Phase::Running(running) = &self.phase {
            self.position_invariants(running);
            running.branches.check_bounds();
        }
        self.bound_invariants();
        self.storage.check_order();
        if self.is_sampled() {
            self.pool.check_sums();
            self.waits.check();
            self.storage.check_writes();
            if let Phase::Running(running) = &self.phase {
                running.branches.check_open();
                self.reads.check();
                self.epoch_invariants(running);
            }
        }
    }

    /// What only grows, to be compared after the step; nothing before the end of
    /// recovery.
    pub(super) fn heads(&self) -> Option<Heads> {
        let running = self.phase.running()?;
        Some(Heads {
            epoch: running.bft.epoch().epoch,
            tip: running.tip().height,
            base: self.storage.pruning.base(),
            history: self.storage.history.size(),
            log_from: self.storage.pruned_below(),
            log: self.storage.written_seq(),
            store: self.storage.given_seq(),
            stored: self.storage.committed_seq(),
            read: self.reads.last(),
        })
    }

    /// G3 Heads never go back.
    pub(super) fn assert_forward(&self, before: Option<&Heads>) {
        let (Some(before), Some(now)) = (before, self.heads()) else {
            return;
        };
        if self.is_planted() {
            return;
        }
        assert!(now.epoch >= before.epoch, "G3: no epoch comes again");
        assert!(now.tip >= before.tip, "G3: what is final stays");
        assert!(now.base >= before.base, "G3: what is pruned stays away");
        assert!(now.history >= before.history, "G3: the history grows");
        assert!(
            now.log_from >= before.log_from,
            "G3: the log is cut upwards"
        );
        assert!(
            now.log >= before.log,
            "G3: batches of the log count upwards"
        );
        assert!(now.store >= before.store, "G3: batches of the store too");
        assert!(now.stored >= before.stored, "G3: what is stored stays");
        assert!(now.read >= before.read, "G3: reads count upwards");
    }

    /// G1 The validator, the state and the store speak of one block and epoch.
    fn position_invariants(&self, running: &Running) {
        let (bft, tip) = (&running.bft, running.tip());
        assert_eq!(
            (tip.height, tip.hash),
            (self.storage.tip.height, self.storage.tip.hash),
            "G1: the store is given the tip"
        );
        assert_eq!(
            tip.history.size().0,
            tip.height.0 + 1,
            "G1: one hash for each block"
        );
        assert_eq!(
            self.storage.history.size(),
            tip.history.size(),
            "G1: the tiles are of the tip"
        );
        assert!(
            bft.committed().height >= tip.height,
            "G1: what is committed and not durable yet is ahead of the tip"
        );
        let (epoch, state) = (bft.epoch(), tip.ledger_state().epoch());
        assert_eq!(epoch.epoch, state.epoch, "G1: one epoch");
        assert_eq!(epoch.validators, *state.set(), "G1: one set of validators");
        assert_eq!(epoch.root_height, state.root_height, "G1: one root");
        assert_eq!(
            epoch.root_hash, self.storage.epoch_root,
            "G1: the store knows what the epoch rests on"
        );
        assert!(epoch.root_height <= tip.height, "G1: the root is final");
        assert!(
            self.storage.pruning.base() <= tip.height.next(),
            "G1: only what is final is pruned"
        );
    }

    /// G2 Everything kept has a bound.
    fn bound_invariants(&self) {
        self.pool.check_bounds();
        assert!(self.waits.len() <= LEDGER_WAITS_MAX, "G2: waiting clients");
        assert!(
            self.followers.len() <= LEDGER_FOLLOWERS_MAX,
            "G2: following clients"
        );
        assert!(
            // One more looks for what an earlier life has fetched of a state.
            self.reads.len() <= LEDGER_READS_MAX + LEDGER_READS_SERVED_MAX + LEDGER_READERS_MAX + 1,
            "G2: reads"
        );
        let open = BRANCHES_OPEN_MAX;
        assert!(self.parked.blocks.len() <= open, "G2: parked blocks");
        assert!(self.early.len() <= open, "G2: early blocks");
        assert!(
            self.sync.checkpoints.len() <= LEDGER_CHECKPOINTS_KEPT,
            "G2: states"
        );
        assert!(
            self.sync.shunned() <= LEDGER_FETCH_SHUNNED_MAX,
            "G2: who is not asked for a state"
        );
        self.storage.pruning.check_bounds();
        assert!(
            self.assemblies.len() <= LEDGER_ASSEMBLIES_MAX,
            "G2: blocks in parts"
        );
        assert!(self.helped.len() <= LEDGER_HELPED_MAX, "G2: helped peers");
    }

    /// G8 An epoch is handed over whole, and its log begins with it.
    fn epoch_invariants(&self, running: &Running) {
        let epoch = running.bft.epoch();
        let powers = epoch.validators.iter();
        let sum: u128 = powers.map(|(_, one)| u128::from(one.power.0)).sum();
        assert_eq!(sum, epoch.validators.total(), "G8: powers add up");
        assert!(
            self.later_epochs.keys().all(|later| *later > epoch.epoch),
            "G8: what the log held of an epoch is taken up with it"
        );
    }
}
