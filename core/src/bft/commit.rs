//! S9: what is final is committed, parent first, once each.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::block::{Block, BlockRef, Header};
use super::cert::Proven;
use super::effect::{Committed, Effect, Record};
use super::gate::Held;
use super::state::{Bft, Phase};
use super::types::{View, drop_before};
use super::vote::VoteKind;
use crate::crypto::Digest;
use crate::limits::{PATH_HEADERS_MAX, VIEWS_KEPT};
use crate::machine::Outbox;
use crate::mutant::Mutant;

/// Why a block cannot be followed down to the committed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// A block on the way is not here.
    Missing,
    /// It does not rest on the committed one. If it is final, the ledger is broken.
    Elsewhere,
}

impl Bft {
    /// Commits up to the highest finalization, if every block on the way is here.
    pub(super) fn commit_ready(&mut self) {
        let Some(finalization) = self.last_final.clone() else {
            return;
        };
        let last = finalization.statement.block;
        // Blocks that were asked for by height can be ahead of the highest certificate.
        if !self.has_started() || last.view <= self.committed.view {
            return;
        }
        let chain = match self.chain_down_from(last.hash) {
            Ok(chain) => chain,
            Err(Gap::Missing) => return,
            Err(Gap::Elsewhere) => {
                assert!(
                    !self.config.mutant.is(Mutant::BftTrustsFinality),
                    "what is final rests on what is committed"
                );
                return self.break_off(alloc::vec![finalization], Vec::new());
            }
        };
        let Some(mut ready) = self.with_nearest_certs(&chain, &finalization) else {
            return;
        };
        if self.config.mutant.is(Mutant::BftCommitsCertifiedOnly) {
            ready.drain(..ready.len().saturating_sub(1));
        }
        for committed in ready {
            if self.has_ended() {
                return;
            }
            self.commit(committed);
        }
    }

    /// These final blocks in ascending order, each with the headers up to the first one at
    /// or above it that has a certificate of its own; the last one has this. A node that
    /// starts may have thousands of blocks to commit, and how far each is from its
    /// certificate is what the disk, proofs and light clients have to bear. Nothing if
    /// that is too far for one of them: they are asked for by height then, and come with
    /// certificates.
    fn with_nearest_certs(&self, chain: &[Digest], last: &Proven) -> Option<Vec<Committed>> {
        let looks_for_nearest = !self.config.mutant.is(Mutant::BftProvesByLastFinal);
        // Before anything is copied: paths that are too long would fill the memory for
        // nothing, at each step until the certificates are here.
        if looks_for_nearest && !self.are_near_certs(chain) {
            return None;
        }
        let mut nearest = last.clone();
        let mut path: VecDeque<Header> = VecDeque::new();
        let mut ready = VecDeque::new();
        for hash in chain {
            let block = &self.blocks[hash].block;
            let own = self.own_cert(&block.place());
            if let Some(own) = own.filter(|_| looks_for_nearest) {
                nearest = own.clone();
                path.clear();
            }
            ready.push_front(Committed {
                block: block.clone(),
                path: path.iter().copied().collect(),
                finalization: nearest.clone(),
            });
            path.push_front(*block.header());
        }
        Some(ready.into())
    }

    /// Whether each of these blocks, descending, can be proven: a run of blocks and the
    /// headers behind it have to fit an answer to whoever catches up.
    fn are_near_certs(&self, chain: &[Digest]) -> bool {
        let mut distance = 0_usize;
        for hash in chain {
            if self.own_cert(&self.blocks[hash].block.place()).is_some() {
                distance = 0;
            }
            if distance >= PATH_HEADERS_MAX {
                return false;
            }
            distance = distance.saturating_add(1);
        }
        true
    }

    /// The finalization of exactly this block.
    fn own_cert(&self, place: &BlockRef) -> Option<&Proven> {
        let cert = self.cert(place.view, VoteKind::Finalize);
        cert.filter(|cert| cert.statement.block == *place)
    }

    /// The blocks from this one down to the child of the committed one.
    pub(super) fn chain_down_from(&self, hash: Digest) -> Result<Vec<Digest>, Gap> {
        let mut chain = Vec::new();
        let mut next = hash;
        while next != self.committed.hash {
            let known = self.blocks.get(&next).ok_or(Gap::Missing)?;
            let header = known.block.header();
            // Nothing as low as the committed block is kept or fetched.
            let is_lowest = header.height <= self.committed.height.next();
            if is_lowest && header.parent != self.committed.hash {
                return Err(Gap::Elsewhere);
            }
            chain.push(next);
            next = header.parent;
        }
        let mut below = self.committed;
        for hash in chain.iter().rev() {
            let block = &self.blocks[hash].block;
            if !block.header().stands_on(&below) {
                return Err(Gap::Elsewhere);
            }
            below = block.place();
        }
        Ok(chain)
    }

    /// What is committed next: one block per height, on the one before, by a
    /// certificate of a block that rests on it.
    fn assert_commits_next(&self, committed: &Committed) {
        if self.is_planted() {
            return;
        }
        let header = committed.block.header();
        assert!(!self.has_ended(), "S9: nothing is behind the end");
        assert!(
            header.stands_on(&self.committed),
            "S9: blocks are committed in order, each on its parent"
        );
        let certified = committed
            .path
            .last()
            .map_or_else(|| committed.block.place(), Header::place);
        let statement = &committed.finalization.statement;
        assert!(
            statement.kind == VoteKind::Finalize && statement.block == certified,
            "S9: what is committed is finalised, or what rests on it is"
        );
        assert!(
            committed.path.len() < PATH_HEADERS_MAX,
            "I16: what is committed can be proven to a light client"
        );
    }

    /// Hands one block to the application, as soon as it is durable here (D3).
    pub(super) fn commit(&mut self, committed: Committed) {
        let place = committed.block.place();
        self.assert_commits_next(&committed);
        self.committed = place;
        let is_last = committed.block.header().content.ends_epoch;
        if self.blocks.contains_key(&place.hash) {
            self.record_block(&place.hash);
        } else {
            self.gate.record(Record::Block(committed.block.clone()));
        }
        if is_last {
            // Epoch-closing blocks are nothing but their headers. With them the log
            // alone proves that the epoch is over: a start goes on behind it.
            let closing = committed.path.iter();
            for block in closing.filter_map(|header| Block::new(*header, Vec::new())) {
                self.gate.record(Record::Block(Arc::new(block)));
            }
        }
        self.gate.hold(Held::Commit(Box::new(committed)));
        self.forget_settled();
        if is_last {
            self.end();
        }
    }

    /// Tells the application of a block that is final and durable.
    pub(super) fn announce(&mut self, committed: Box<Committed>, out: &mut Outbox<Effect>) {
        let height = committed.block.header().height;
        assert!(
            height == self.announced.next() || self.is_planted(),
            "D3: the application hears of each height once, in order"
        );
        self.announced = height;
        out.push(Effect::Commit(committed));
    }

    /// The epoch is over: blocks after its last one only helped to finalise it and
    /// are dropped.
    fn end(&mut self) {
        self.phase = Phase::Ended;
        self.timers = super::timers::Timers::default();
        self.blocks.clear();
        self.wanted.clear();
        self.building = None;
        self.gives_up = false;
    }

    /// Forgets what cannot matter any more. Certificates of the last views are
    /// kept, to help those who are behind and to see a contradiction.
    fn forget_settled(&mut self) {
        let height = self.committed.height;
        self.blocks
            .retain(|_, known| known.block.header().height > height);
        let committed = self.committed.view;
        self.guard.raise_floor(committed);
        let oldest = View(committed.0.saturating_sub(VIEWS_KEPT));
        drop_before(&mut self.rounds, oldest);
    }
}
