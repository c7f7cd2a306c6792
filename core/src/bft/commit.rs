//! S9: what is final is committed, parent first, once each.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::block::{Block, BlockRef, Header};
use super::cert::Proven;
use super::effect::{Committed, Effect, Record};
use super::gate::Held;
use super::state::{Bft, Phase};
use super::types::{Height, View};
use crate::crypto::Digest;
use crate::limits::VIEWS_KEPT;
use crate::machine::Outbox;
use crate::mutant::Mutant;

/// Why a node stops that sees what only too many liars can bring about.
pub(super) const BROKEN: &str = "the ledger is broken: more than a third of the power lies";

/// What is final does not rest on what is committed.
struct Broken;

impl Bft {
    /// Commits up to the highest finalization, if every block on the way is here.
    pub(super) fn commit_ready(&mut self, out: &mut Outbox<Effect>) {
        let Some(finalization) = self.last_final.clone() else {
            return;
        };
        let last = finalization.statement.block;
        // Blocks that were asked for by height can be ahead of the highest certificate.
        if !self.has_started() || last.view <= self.committed.view {
            return;
        }
        let mut chain = match self.chain_down_from(last) {
            Ok(Some(chain)) => chain,
            Ok(None) => return,
            Err(Broken) => return self.stop_as_broken(finalization, out),
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

    /// The blocks from this one down to the child of the committed one, if all are here.
    fn chain_down_from(&self, last: BlockRef) -> Result<Option<Vec<Digest>>, Broken> {
        let mut chain = Vec::new();
        let (mut next, mut height) = (last.hash, last.height);
        while next != self.committed.hash {
            if height <= self.committed.height {
                return Err(Broken);
            }
            let Some(known) = self.blocks.get(&next) else {
                return Ok(None);
            };
            let header = known.block.header();
            if header.height != height {
                return Err(Broken);
            }
            chain.push(next);
            (next, height) = (header.parent, Height(height.0 - 1));
        }
        match height == self.committed.height {
            true => Ok(Some(chain)),
            false => Err(Broken),
        }
    }

    /// A quorum finalised what does not rest on what is committed here: a fork over
    /// several views, or a block that breaks the rules. Less than a third of liars can
    /// not bring that about. Whom it convicts only the certificates of others show.
    fn stop_as_broken(&mut self, finalization: Proven, out: &mut Outbox<Effect>) {
        out.push(Effect::SafetyViolation {
            certs: alloc::vec![finalization],
            culprits: Vec::new(),
        });
        self.phase = Phase::Halted(BROKEN);
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
