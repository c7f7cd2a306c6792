//! A fetched state comes into force.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::fetch::{Loading, epoch_after};
use super::staging::clear_ops;
use crate::bft::{EpochStart, Height};
use crate::codec::Encode as _;
use crate::crypto::Digest;
use crate::ledger::chain::history::History;
use crate::ledger::chain::pruning::Pruning;
use crate::ledger::chain::recent::Recent;
use crate::ledger::chain::record::{block_key, end_of, header_key, state_key, tile_key};
use crate::ledger::effect::{Effect, Notice};
use crate::ledger::execution::branch::{Branch, Branches};
use crate::ledger::execution::executor::Executed;
use crate::ledger::execution::ledger_state::{Changes, LedgerState};
use crate::ledger::reads::request::Response;
use crate::ledger::state::{Inner, Ledger, Parked};
use crate::ledger_types::TimeMs;
use crate::machine::Outbox;
use crate::merkle::StateTree;
use crate::store::StoreOp;

impl Ledger {
    /// Replaces the old state by a fetched one, in memory and by one atomic batch of
    /// the store. `epoch_root` is the block that the present epoch then rests on.
    pub(super) fn install(
        &mut self,
        loading: Loading,
        epoch_root: Digest,
        out: &mut Outbox<Effect>,
    ) {
        assert!(
            loading.is_complete(),
            "only what was proven replaces the state"
        );
        let Loading {
            checkpoint, tree, ..
        } = loading;
        let Some(running) = self.phase.running() else {
            return;
        };
        let present = running.bft.epoch().epoch;
        let (block, epoch) = (checkpoint.block, epoch_after(&checkpoint));
        if block.height <= self.storage.tip.height || epoch <= present {
            // Blocks have brought the node further in the meantime.
            self.commit_to_store(clear_ops(), false, out);
            return;
        }
        let Ok(ledger_state) = LedgerState::of(tree) else {
            return self.halt(
                "the state that a quorum has signed does not decode: this node runs another \
                 version than the others",
                out,
            );
        };
        assert_eq!(
            ledger_state.epoch().epoch,
            epoch,
            "the state is of its block's epoch"
        );
        let branch = Arc::new(Branch {
            hash: block.hash(),
            height: block.height,
            time: TimeMs(block.content.time_ms),
            history: checkpoint.history,
            executed: Executed {
                ledger_state,
                changes: Changes::new(),
                results: Vec::new(),
                results_root: checkpoint.child.header.content.parent_receipts,
            },
            transactions: Vec::new(),
        });
        self.storage.tip = block.place();
        self.storage.epoch_root = epoch_root;
        let history = History::fetched(&branch.history.head(), &checkpoint.tiles);
        self.storage.history = history.expect("checked when the checkpoint came");
        self.storage.pruning = Pruning::resume(block.height.next());
        let mut ops = replacing_ops(branch.ledger_state().tree());
        ops.push(StoreOp::Put {
            key: header_key(block.height),
            value: block.to_bytes(),
        });
        ops.extend(checkpoint.tiles.iter().map(|tile| StoreOp::Put {
            key: tile_key(tile.id()),
            value: tile.to_bytes(),
        }));
        ops.push(self.head_op(block.epoch, &branch));
        let seq = self.commit_to_store(ops, true, out);
        self.storage.note_syncing(seq, block.epoch, block.place());
        self.enter_fetched(branch, out);
    }

    /// Goes on from the new state, with a validator of its epoch.
    fn enter_fetched(&mut self, branch: Arc<Branch>, out: &mut Outbox<Effect>) {
        let Some(running) = self.phase.running_mut() else {
            return;
        };
        // What the validator of the earlier epoch has asked for is of no use any more.
        self.queue.retain(|one| !matches!(one, Inner::Bft(_)));
        let (chain, verifier) = (self.chain, self.config.verifier.clone());
        running.branches = Branches::new(chain, verifier, branch.clone());
        self.recent = Recent::default();
        self.parked = Parked::default();
        self.ahead = None;
        self.sync.staged = None;
        self.sync.on_block();
        self.sync.installed = self.sync.installed.saturating_add(1);
        let state = branch.ledger_state().epoch();
        let (epoch, root_height) = (state.epoch, state.root_height);
        let start = EpochStart {
            epoch,
            root_height,
            root_hash: self.storage.epoch_root,
            validators: state.set().clone(),
        };
        let lost_disk = self.storage.head.lost_upto >= Some(epoch);
        let mut recovered = self.recovered_of(epoch, lost_disk);
        recovered.committed = (branch.height > root_height).then_some(self.storage.tip);
        self.begin_epoch(start, recovered);
        let expired = self.pool.on_jump(branch.ledger_state(), branch.height);
        for transaction in expired {
            self.answer_expired(&transaction, out);
        }
        self.end_followers(Response::Replaced { at: branch.height }, out);
        out.push(Effect::Notice(Notice::Replaced { at: branch.height }));
    }

    /// How many states this node has fetched instead of executing blocks. For
    /// checkers and metrics.
    pub const fn states_fetched(&self) -> u64 {
        self.sync.installed
    }
}

/// Everything of the old state goes, and so do blocks that nothing leads to any more.
fn replacing_ops(tree: &StateTree) -> Vec<StoreOp> {
    let mut ops = clear_ops();
    ops.push(StoreOp::DeleteRange {
        from: state_key(&[]),
        to: end_of(b's'),
    });
    ops.push(StoreOp::DeleteRange {
        from: block_key(Height(0)),
        to: end_of(b'b'),
    });
    // Tiles that have grown since are not here: an old one would stand for another list.
    ops.push(StoreOp::DeleteRange {
        from: Bytes::from_static(b"x"),
        to: end_of(b'x'),
    });
    ops.extend(tree.iter().map(|entry| StoreOp::Put {
        key: state_key(entry.key),
        value: entry.value.clone(),
    }));
    ops
}
