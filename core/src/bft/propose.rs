//! Leading a view, and the leader's block as it arrives (S2, S3).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::block::{Block, BlockRef, Header};
use super::effect::Effect;
use super::event::Content;
use super::gate::Held;
use super::message::{Message, Proposal};
use super::state::{Bft, Known, Phase, Verdict};
use super::types::View;
use super::vote::{Statement, VoteKind};
use crate::crypto::Digest;
use crate::limits::{BLOCKS_OPEN_MAX, PROPOSAL_SKIPS_MAX};
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::types::NodeId;

impl Bft {
    /// S2: asks the application for a block, if this node leads, a block is
    /// wanted, and there is something to build on.
    pub(super) fn try_propose(&mut self, out: &mut Outbox<Effect>) {
        let view = self.view;
        let is_busy = self.building.is_some() || self.timers.hold.is_some();
        if !self.leads() || !self.is_active() || is_busy {
            return;
        }
        let any = Statement::on(VoteKind::Notarize, self.epoch.epoch, here(view));
        if !self.may_vote(&any) {
            return;
        }
        match self.parent_for(view) {
            Ok(parent) if self.is_valid(&parent.hash) => {
                self.building = Some(view);
                self.builds_on = parent.hash;
                match self.tail_after(&parent) {
                    Some(content) => self.on_built(view, Some(content)),
                    None => out.push(Effect::Build { view, parent }),
                }
            }
            // The block comes, or the view ends.
            Ok(_) => {}
            Err(missing) => {
                let peer = self.next_peer();
                self.ask_certs(&[missing], peer, out);
            }
        }
    }

    /// The newest block that a leader of this view may build on, or the view whose
    /// certificates are missing.
    pub(super) fn parent_for(&self, view: View) -> Result<BlockRef, View> {
        let last = self.final_place();
        let mut before = view.prev().expect("views of blocks begin with 1");
        while before > last.view {
            let round = self.rounds.get(&before);
            if let Some(block) = round.and_then(super::round::Round::certified)
                && !self.is_spoiled(&block)
            {
                return Ok(block);
            }
            if self.cert(before, VoteKind::Nullify).is_none() {
                return Err(before);
            }
            before = before.prev().expect("above the last final view");
        }
        Ok(last)
    }

    /// The content of a block on the last block of the epoch, or on one that rests
    /// on it. The application has no say in those.
    fn tail_after(&self, parent: &BlockRef) -> Option<Content> {
        let parent = self.blocks.get(&parent.hash)?.block.header().content;
        parent.ends_epoch.then(|| Content {
            items: Vec::new(),
            commitments: parent.epoch_closing(),
        })
    }

    /// Whether a block was found bad.
    fn is_spoiled(&self, block: &BlockRef) -> bool {
        let known = self.blocks.get(&block.hash);
        known.is_some_and(|known| known.verdict == Verdict::Invalid)
    }

    /// The application has built, or could not.
    pub(super) fn on_built(&mut self, view: View, content: Option<Content>) {
        if self.building != Some(view) || view != self.view {
            return;
        }
        let Some(content) = content else {
            return self.nullify(view);
        };
        let Ok(parent) = self.parent_for(view) else {
            return;
        };
        if parent.hash != self.builds_on {
            // A certificate came in the meantime: it is built again, on that block.
            self.building = None;
            return;
        }
        if content.items.is_empty() && self.holds_back(&parent) {
            self.building = None;
            self.timers.hold = self.timers.idle_hold;
            self.timers.held = self.timers.held.saturating_add(1);
            return;
        }
        let me = self.me.expect("only a validator leads");
        let header = Header {
            chain: self.config.chain,
            epoch: self.epoch.epoch,
            height: parent.height.next(),
            view,
            parent: parent.hash,
            parent_view: parent.view,
            proposer: me,
            content: content.commitments,
        };
        assert!(
            self.leads() && header.stands_on(&parent),
            "S2: the leader of a view proposes a block on an earlier one"
        );
        let block = Block::new(header, content.items).expect("the application keeps the limits");
        let statement = Statement::on(VoteKind::Notarize, self.epoch.epoch, block.place());
        if !self.may_vote(&statement) {
            // If its disk hangs, it is built when that goes on.
            if !self.config.mutant.is(Mutant::BftForgetsAfterHang) {
                self.building = None;
            }
            return;
        }
        if !self.has_room() {
            return self.nullify(view);
        }
        let hash = self.keep_block(block.clone(), Verdict::Open);
        self.record_block(&hash);
        self.round(view).proposal = Some(hash);
        let vote = self.cast(statement).expect("just allowed");
        let proposal = Proposal {
            parent: self.cert_of(&parent),
            skips: self.skips(parent.view, view),
            block,
            vote,
        };
        self.timers.leader = None;
        self.gate
            .hold(Held::Proposal(Message::Proposal(Box::new(proposal))));
    }

    /// The certificate of a block that a proposal rests on.
    fn cert_of(&self, block: &BlockRef) -> Option<super::cert::Cert> {
        let finalized = self.cert(block.view, VoteKind::Finalize);
        let cert = finalized.or_else(|| self.cert(block.view, VoteKind::Notarize));
        cert.map(super::cert::Proven::to_cert)
    }

    /// The newest nullifications between two views, as many as a proposal takes.
    pub(super) fn skips(&self, after: View, before: View) -> Vec<super::cert::Cert> {
        assert!(
            after < before,
            "C1: what is skipped lies between a block and its parent"
        );
        let views = after.until(before).rev();
        views
            .filter_map(|view| self.cert(view, VoteKind::Nullify))
            .take(PROPOSAL_SKIPS_MAX)
            .map(super::cert::Proven::to_cert)
            .collect()
    }

    /// A leader's block.
    pub(super) fn on_proposal(
        &mut self,
        from: NodeId,
        proposal: Proposal,
        out: &mut Outbox<Effect>,
    ) {
        let Proposal {
            block,
            parent,
            skips,
            vote,
        } = proposal;
        let header = *block.header();
        if header.chain != self.config.chain || header.epoch != self.epoch.epoch {
            return;
        }
        let statement = Statement::on(VoteKind::Notarize, self.epoch.epoch, block.place());
        let leader = self.leaders.of(header.view);
        let is_leaders = header.proposer == leader
            && vote.signer == leader
            && vote.statement == statement
            && header.view > View(0)
            && header.parent_view < header.view;
        if !is_leaders {
            return self.reject();
        }
        if Some(leader) == self.me {
            return self.on_vote(from, vote, out);
        }
        if header.view < self.view {
            self.on_vote(from, vote, out);
            return self.on_block(block);
        }
        if !self.verifies(&vote) {
            return self.reject();
        }
        for cert in skips.iter().chain(&parent) {
            self.on_cert(cert, out);
        }
        if header.view == self.view {
            self.activate();
        }
        self.take_vote(from, vote, true, out);
        let is_near = header.view == self.view || header.view == self.view.next();
        let may_replace = self.config.mutant.is(Mutant::BftNotarizesTwice);
        if is_near && (self.round(header.view).proposal.is_none() || may_replace) {
            let hash = self.keep_block(block, Verdict::Open);
            self.round(header.view).proposal = Some(hash);
        }
    }

    /// Keeps a block that is wanted.
    pub(super) fn keep_block(&mut self, block: Block, verdict: Verdict) -> Digest {
        let hash = block.hash();
        let header = block.header();
        if header.height > self.committed.height && self.has_room() {
            // Only now: what cannot be kept would be asked for again at once.
            self.wanted.remove(&hash);
            self.blocks.entry(hash).or_insert(Known {
                block: Arc::new(block),
                verdict,
                recorded: false,
            });
            self.write_again(&hash);
        }
        hash
    }

    /// Writes a block that it voted for (D1b) and that a damaged log has lost, once others
    /// have given it back.
    fn write_again(&mut self, hash: &Digest) {
        if self.config.mutant.is(Mutant::BftLosesVotedBlock) {
            return;
        }
        let is_new = matches!(self.phase, Phase::New);
        let place = self.blocks[hash].block.place();
        let mine = self.guard.vote(place.view, VoteKind::Notarize);
        if !is_new && mine.is_some_and(|vote| vote.statement.block == place) {
            self.record_block(hash);
        }
    }

    /// Whether one more open block is kept. What the own log holds was bounded when it
    /// came, and is more than that when the application's data lags: dropped at the
    /// start it might be lost everywhere.
    fn has_room(&self) -> bool {
        let is_recovered = matches!(self.phase, Phase::New)
            && !self.config.mutant.is(Mutant::LedgerOutrunsItsStore);
        self.blocks.len() < BLOCKS_OPEN_MAX || is_recovered
    }

    /// Takes a block up from the disk.
    pub(super) fn recover_block(&mut self, block: Block) {
        let (hash, view) = (block.hash(), block.header().view);
        let is_leaders = block.header().proposer == self.leaders.of(view);
        if block.header().epoch == self.epoch.epoch && is_leaders {
            self.keep_block(block, Verdict::Open);
            if let Some(known) = self.blocks.get_mut(&hash) {
                known.recorded = true;
                self.round(view).proposal.get_or_insert(hash);
            }
        }
    }
}

/// Any block of a view, to ask the guard.
fn here(view: View) -> BlockRef {
    BlockRef {
        view,
        ..BlockRef::default()
    }
}
