//! Which blocks are kept whole, and who has those that are not.

use alloc::collections::BTreeMap;

use super::consensus::send;
use super::record::block_key;
use crate::bft::{self, Height};
use crate::ledger::effect::Effect;
use crate::ledger::reads::request::Response;
use crate::ledger::state::{Ledger, Running};
use crate::limits::{LEDGER_ASKERS_MAX, LEDGER_CATCH_UP_GRACE_SECS, VALIDATORS_MAX};
use crate::machine::Outbox;
use crate::store::StoreOp;
use crate::types::{NodeId, Span, Time};

/// What this node has pruned, what others have, and who is fetching what.
#[derive(Debug, Hash)]
pub(in crate::ledger) struct Pruning {
    /// The first block that the store has whole. It never falls.
    base: Height,
    /// Where the whole blocks of others begin, as they say.
    bases: BTreeMap<NodeId, Height>,
    /// From where others have asked last, and when.
    asked: BTreeMap<NodeId, (Height, Time)>,
}

impl Default for Pruning {
    fn default() -> Self {
        Self::resume(Height(1))
    }
}

impl Pruning {
    /// Takes it up where the store left it.
    pub(in crate::ledger) const fn resume(base: Height) -> Self {
        Self {
            base,
            bases: BTreeMap::new(),
            asked: BTreeMap::new(),
        }
    }

    /// The first block that the store has whole.
    pub(in crate::ledger) const fn base(&self) -> Height {
        self.base
    }

    /// Somebody fetches blocks from here on.
    ///
    /// What is to be kept is decided by whoever is the furthest behind, so where more ask
    /// than are remembered, whoever is the least behind is forgotten: nobody can crowd out
    /// those who need the most.
    pub(in crate::ledger) fn note_asked(&mut self, node: NodeId, from: Height, now: Time) {
        self.asked.insert(node, (from, now));
        if self.asked.len() > LEDGER_ASKERS_MAX {
            let places = self.asked.iter().map(|(node, (from, _))| (*from, *node));
            let (_, least_behind) = places.max().expect("somebody has asked");
            self.asked.remove(&least_behind);
        }
    }

    /// G2 What is known of others has a bound.
    pub(in crate::ledger) fn check_bounds(&self) {
        assert!(
            self.bases.len() <= VALIDATORS_MAX,
            "G2: where the blocks of validators begin"
        );
        assert!(self.asked.len() <= LEDGER_ASKERS_MAX, "G2: who fetches");
    }

    /// The first block that is to be kept when this many are final. What somebody is
    /// fetching is kept for longer, but never more than twice as much as is wanted:
    /// whoever asks for block 1 again and again must not fill the disk.
    pub(in crate::ledger) fn next_base(&mut self, tip: Height, retain: u64, now: Time) -> Height {
        if retain == 0 {
            return self.base;
        }
        let grace = Span::from_secs(LEDGER_CATCH_UP_GRACE_SECS);
        self.asked
            .retain(|_, (_, at)| at.saturating_add(grace) > now);
        let kept_from = |blocks: u64| tip.0.saturating_add(1).saturating_sub(blocks);
        let fetched = self.asked.values().map(|(from, _)| from.0).min();
        let wanted = kept_from(retain).min(fetched.unwrap_or(u64::MAX));
        let base = wanted.max(kept_from(retain.saturating_mul(2)));
        Height(base.max(self.base.0))
    }

    /// Whether a node is known to lack a block.
    fn lacks(&self, node: NodeId, height: Height) -> bool {
        self.bases.get(&node).is_some_and(|base| *base > height)
    }
}

impl Ledger {
    /// Whether a block was final and is not here whole any more.
    pub(in crate::ledger) fn is_pruned(&self, height: Height) -> bool {
        Height(0) < height && height < self.storage.pruning.base
    }

    /// The answer to who asks for it.
    pub(in crate::ledger) const fn pruned(&self) -> Response {
        Response::Pruned {
            base: self.storage.pruning.base,
        }
    }

    /// Deletes blocks that need not be kept, in the batch of the last final one.
    pub(in crate::ledger) fn prune(&mut self) -> Option<StoreOp> {
        let (tip, now) = (self.storage.tip.height, self.now);
        let retain = self.config.retain_blocks;
        let pruning = &mut self.storage.pruning;
        let (from, to) = (pruning.base, pruning.next_base(tip, retain, now));
        assert!(from <= to && to <= tip.next(), "the base only rises");
        pruning.base = to;
        (from < to).then(|| StoreOp::DeleteRange {
            from: block_key(from),
            to: block_key(to),
        })
    }

    /// Asks a peer for blocks, or another one if that is known to lack them.
    pub(in crate::ledger) fn ask_blocks(
        &mut self,
        to: NodeId,
        from: Height,
        out: &mut Outbox<Effect>,
    ) {
        let to = match self.storage.pruning.lacks(to, from) {
            true => self.who_has(from).unwrap_or(to),
            false => to,
        };
        self.sync.on_asked();
        send(to, bft::Message::AskBlocks { from }, out);
    }

    /// A validator that is not known to lack a block. Who asks differs, and so does
    /// who is asked.
    fn who_has(&self, height: Height) -> Option<NodeId> {
        let set = &self.phase.running()?.bft.epoch().validators;
        let others = set.iter().map(|(_, validator)| validator.node);
        let others = others.filter(|node| *node != self.config.node);
        let mut able = others.filter(|node| !self.storage.pruning.lacks(*node, height));
        let first = able.next()?;
        let next = able.find(|node| *node > self.config.node);
        Some(next.unwrap_or(first))
    }

    /// A peer lacks the block that it was asked for. What it says is a hint about
    /// itself; who is Byzantine is not asked any more.
    pub(in crate::ledger) fn on_earliest_retained(
        &mut self,
        from: NodeId,
        base: Height,
        out: &mut Outbox<Effect>,
    ) {
        let Some(Running { bft, .. }) = self.phase.running() else {
            return;
        };
        let is_validator = bft.epoch().validators.index_of(from).is_some();
        let wanted = bft.committed().height.next();
        if !is_validator || base <= wanted {
            return;
        }
        let before = self.storage.pruning.bases.insert(from, base);
        let is_news = before.is_none_or(|before| before <= wanted);
        match self.who_has(wanted) {
            Some(other) if is_news => {
                self.sync.on_asked();
                send(other, bft::Message::AskBlocks { from: wanted }, out);
            }
            Some(_) => {}
            // Nobody has it: what is left is to fetch the state behind it.
            None => {
                self.sync.on_nobody_has();
                self.consider_fetch(out);
            }
        }
    }

    /// Where the whole blocks of the validators begin, if all of them lack the one
    /// that is needed next.
    pub(in crate::ledger) fn stuck_below(&self) -> Option<Height> {
        let wanted = self.phase.running()?.bft.committed().height.next();
        let bases = self.storage.pruning.bases.values();
        let lowest = bases.filter(|base| **base > wanted).min().copied()?;
        self.who_has(wanted).is_none().then_some(lowest)
    }

    /// What is known of others ends with the epoch: other nodes may vote, and who
    /// lacked blocks may have fetched them.
    pub(in crate::ledger) fn forget_bases(&mut self) {
        self.storage.pruning.bases.clear();
    }
}

#[cfg(test)]
#[path = "../tests/asserts_pruning.rs"]
mod tests;
