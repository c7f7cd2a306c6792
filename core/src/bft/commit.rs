//! S9: what is final is committed, parent first, once each.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::block::{Block, Header};
use super::effect::{Committed, Record};
use super::gate::Held;
use super::state::{Bft, Phase};
use super::types::View;
use crate::crypto::Digest;
use crate::limits::VIEWS_KEPT;
use crate::mutant::Mutant;

impl Bft {
    /// Commits up to the highest finalization, if every block on the way is here.
    pub(super) fn commit_ready(&mut self) {
        let Some(finalization) = self.last_final.clone() else {
            return;
        };
        let last = finalization.statement.block;
        if !self.has_started() || last.height <= self.committed.height {
            return;
        }
        let Some(mut chain) = self.chain_down_from(last.hash) else {
            return;
        };
        let headers: Vec<Header> = chain
            .iter()
            .rev()
            .map(|hash| *self.blocks[hash].block.header())
            .collect();
        if self.config.mutant.is(Mutant::BftCommitsCertifiedOnly) {
            chain.truncate(1);
        }
        let offset = headers.len() - chain.len();
        for (place, hash) in chain.iter().rev().enumerate() {
            if self.has_ended() {
                return;
            }
            let block = self.blocks[hash].block.clone();
            let path = headers.iter().skip(offset + place + 1).copied().collect();
            self.commit(Committed {
                block,
                path,
                finalization: finalization.clone(),
            });
        }
    }

    /// The blocks from this one down to the child of the committed one.
    fn chain_down_from(&self, hash: Digest) -> Option<Vec<Digest>> {
        let mut chain = Vec::new();
        let mut next = hash;
        while next != self.committed.hash {
            let header = self.blocks.get(&next)?.block.header();
            assert!(
                header.height > self.committed.height,
                "what is final rests on what is committed"
            );
            chain.push(next);
            next = header.parent;
        }
        Some(chain)
    }

    /// Hands one block to the application, as soon as it is durable here (D3).
    pub(super) fn commit(&mut self, committed: Committed) {
        let place = committed.block.place();
        let follows = committed.block.header().parent == self.committed.hash
            && place.height == self.committed.height.next();
        assert!(
            follows || self.config.mutant != Mutant::None,
            "blocks are committed in order"
        );
        self.committed = place;
        let is_last = committed.block.header().content.ends_epoch;
        if self.blocks.contains_key(&place.hash) {
            self.record_block(&place.hash);
        } else {
            self.gate.record(Record::Block(committed.block.clone()));
        }
        if is_last {
            // Blocks behind the end are nothing but their headers. With them the log
            // alone proves that the epoch is over: a start goes on behind it.
            let tails = committed.path.iter();
            for tail in tails.filter_map(|header| Block::new(*header, Vec::new())) {
                self.gate.record(Record::Block(Arc::new(tail)));
            }
        }
        self.gate.hold(Held::Commit(Box::new(committed)));
        self.forget_settled();
        if is_last {
            self.end();
        }
    }

    /// The epoch is over: blocks after its last one only helped to finalise it and
    /// are dropped.
    fn end(&mut self) {
        self.phase = Phase::Ended;
        self.timers = super::timers::Timers::default();
        self.blocks.clear();
        self.wanted.clear();
        self.building = None;
    }

    /// Forgets what can not matter any more. Certificates of the last views are
    /// kept, to help those who are behind and to see a contradiction.
    fn forget_settled(&mut self) {
        let height = self.committed.height;
        self.blocks
            .retain(|_, known| known.block.header().height > height);
        let committed = self.committed.view;
        self.guard.raise_floor(committed);
        let oldest = View(committed.0.saturating_sub(VIEWS_KEPT));
        oldest.forget_older(&mut self.rounds);
    }
}
