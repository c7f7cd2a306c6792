//! What is kept of a state that is being fetched, beside the one in force.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::StateSync;
use super::fetch::{Loading, Pairs};
use super::message::StateCheckpoint;
use crate::codec::{Decode as _, Encode as _};
use crate::ledger::chain::record::{STAGED_POINT_KEY, end_of, only, staged_key};
use crate::ledger::effect::Effect;
use crate::ledger::reads::Purpose;
use crate::ledger::state::Ledger;
use crate::limits::STORE_PAGE_BYTES;
use crate::machine::Outbox;
use crate::merkle::KeyHash;
use crate::store::StoreOp;

/// What the store has of a state.
#[derive(Debug, Hash)]
pub(super) struct Staged(pub(super) Loading);

/// Begins with another state: what there was of an earlier one goes.
pub(super) fn checkpoint_ops(checkpoint: &StateCheckpoint) -> Vec<StoreOp> {
    let mut ops = clear_ops();
    ops.push(StoreOp::Put {
        key: Bytes::from_static(STAGED_POINT_KEY),
        value: checkpoint.to_bytes(),
    });
    ops
}

/// Adds entries.
pub(super) fn chunk_ops(pairs: &Pairs) -> Vec<StoreOp> {
    let put = |(key, value): &(Bytes, Bytes)| StoreOp::Put {
        key: staged_key(key),
        value: value.clone(),
    };
    pairs.iter().map(put).collect()
}

/// Takes everything away.
pub(super) fn clear_ops() -> Vec<StoreOp> {
    vec![
        StoreOp::Delete {
            key: Bytes::from_static(STAGED_POINT_KEY),
        },
        StoreOp::DeleteRange {
            from: staged_key(&[]),
            to: end_of(b'y'),
        },
    ]
}

impl StateSync {
    /// Keeps what was fetched for the next attempt.
    pub(super) fn keep(&mut self, loading: Loading) {
        self.staged = Some(alloc::boxed::Box::new(Staged(loading)));
    }
}

impl Ledger {
    /// Looks for what an earlier life has fetched.
    pub(in crate::ledger) fn read_staged(&mut self, out: &mut Outbox<Effect>) {
        let range = only(Bytes::from_static(STAGED_POINT_KEY));
        self.read(Purpose::Staged, range, 1, out);
    }

    /// A page of it. The checkpoint comes first, then its entries. A damaged page is as
    /// good as none: what is there leads to the proven root in the end, or is dropped.
    pub(in crate::ledger) fn on_staged(
        &mut self,
        pairs: Vec<(Bytes, Bytes)>,
        out: &mut Outbox<Effect>,
    ) {
        let Some((last, value)) = pairs.last() else {
            self.sync.is_ready = true;
            return;
        };
        let from = match &mut self.sync.staged {
            None => {
                let Ok(checkpoint) = StateCheckpoint::from_bytes(value) else {
                    self.sync.is_ready = true;
                    return;
                };
                if checkpoint.block.height <= self.storage.tip.height {
                    // The node has come further without it.
                    self.sync.is_ready = true;
                    self.commit_to_store(clear_ops(), false, out);
                    return;
                }
                self.sync.keep(Loading {
                    is_read: true,
                    ..Loading::new(checkpoint)
                });
                staged_key(&[])
            }
            Some(staged) => {
                let loading = &mut staged.0;
                let entries = pairs.iter().map(|(key, value)| (key.slice(1..), value));
                let places = entries.clone().map(|(key, _)| KeyHash::of(&key));
                loading.last = loading.last.max(places.max());
                let changes = entries.map(|(key, value)| (key, Some(value.clone())));
                loading.tree.apply(changes.collect());
                only(last.clone()).1
            }
        };
        let range = (from, end_of(b'y'));
        self.read(Purpose::Staged, range, STORE_PAGE_BYTES, out);
    }
}
