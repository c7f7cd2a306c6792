//! When a block is voted for, finalised, or a view given up (S3 to S7).

use super::block::Header;
use super::effect::{Effect, Record};
use super::state::{Bft, Known, Verdict};
use super::types::{Height, View};
use super::vote::{Statement, VoteKind};
use crate::crypto::Digest;
use crate::machine::Outbox;
use crate::mutant::Mutant;
use alloc::vec::Vec;

/// Whether a block rests on what it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ParentJustification {
    /// Its parent is certified and every view in between given up.
    Sound,
    /// Not known: the certificates of these views are missing.
    Missing(Vec<View>),
    /// It does not.
    Broken,
}

impl Bft {
    /// S4: the leader's block of the present view, once it was found good.
    pub(super) fn try_notarize(&mut self, out: &mut Outbox<Effect>) {
        let view = self.view;
        let Some(hash) = self.rounds.get(&view).and_then(|round| round.proposal) else {
            return;
        };
        let Some(known) = self.blocks.get(&hash) else {
            return;
        };
        let (place, header) = (known.block.place(), *known.block.header());
        let (verdict, statement) = (
            known.verdict,
            Statement::on(VoteKind::Notarize, self.epoch.epoch, place),
        );
        if !self.may_vote(&statement) {
            return;
        }
        match self.parent_justification(&header) {
            ParentJustification::Missing(views) => {
                return self.ask_certs(&views, header.proposer, out);
            }
            ParentJustification::Broken => return self.nullify(view),
            ParentJustification::Sound => {}
        }
        match verdict {
            // The parent may have been dropped since, before it was certified: it is
            // fetched first.
            Verdict::Valid if self.is_valid(&header.parent) => {}
            Verdict::Invalid => return self.nullify(view),
            Verdict::Valid | Verdict::Open | Verdict::Asked => return,
        }
        // A notarization then proves that a third of the power has the block on disk:
        // without that a loss of power could leave a certificate for a block that
        // nobody has, and nobody could build on it or pass it by.
        self.record_block(&hash);
        if self.cast(statement).is_some() {
            self.on_notarized_by_me(view);
        }
    }

    /// S3: parent and skipped views of a block.
    pub(super) fn parent_justification(&self, header: &Header) -> ParentJustification {
        let last = self.final_place();
        if header.parent_view < last.view || header.parent_view >= header.view {
            return ParentJustification::Broken;
        }
        let mut missing = Vec::new();
        if header.parent_view == last.view {
            if header.parent != last.hash {
                return ParentJustification::Broken;
            }
        } else {
            let round = self.rounds.get(&header.parent_view);
            match round.and_then(super::round::Round::certified) {
                Some(block) if block.hash == header.parent => {}
                Some(_) => return ParentJustification::Broken,
                None => missing.push(header.parent_view),
            }
        }
        if !self.config.mutant.is(Mutant::BftSkipsUnchecked) {
            let given_up = |view: &View| self.cert(*view, VoteKind::Nullify).is_some();
            missing.extend(
                header
                    .parent_view
                    .until(header.view)
                    .filter(|view| !given_up(view)),
            );
        }
        if missing.is_empty() {
            ParentJustification::Sound
        } else {
            ParentJustification::Missing(missing)
        }
    }

    /// S6: a notarised block that was found good. Block and notarization are
    /// written with the vote (D2), and so are all blocks before it: a
    /// finalization then proves that a quorum holds everything.
    pub(super) fn try_finalize(&mut self, view: View) {
        if view <= self.final_place().view {
            return;
        }
        let Some(block) = self
            .cert(view, VoteKind::Notarize)
            .map(|cert| cert.statement.block)
        else {
            return;
        };
        let statement = Statement::on(VoteKind::Finalize, self.epoch.epoch, block);
        if !self.is_valid(&block.hash) || !self.may_vote(&statement) {
            return;
        }
        // One before it may have been dropped since, before it was certified: it is
        // fetched first. One that was voted for is written, and those before it may not
        // be: this validator may have been late for them.
        let Ok(chain) = self.chain_down_from(block.hash) else {
            return;
        };
        if !self.config.mutant.is(Mutant::BftFinalizesUnwritten) {
            chain.iter().rev().for_each(|hash| self.record_block(hash));
        }
        self.cast(statement);
    }

    /// Hands one block to the log, once.
    pub(super) fn record_block(&mut self, hash: &Digest) {
        let known = self.known_mut(hash);
        if !known.recorded {
            known.recorded = true;
            let block = known.block.clone();
            self.gate.record(Record::Block(block));
        }
    }

    /// What holds when anything is signed, whatever made the rules sign it.
    pub(super) fn assert_may_sign(&self, statement: &Statement) {
        let (view, place) = (statement.view(), &statement.block);
        if self.is_planted() {
            return;
        }
        match statement.kind {
            VoteKind::Nullify => {
                assert_eq!(view, self.view, "S7: only the present view is given up");
            }
            VoteKind::Notarize => {
                assert_eq!(
                    view, self.view,
                    "S4: a block of the present view is voted for"
                );
                let proposal = self.rounds.get(&view).and_then(|round| round.proposal);
                assert_eq!(
                    proposal,
                    Some(place.hash),
                    "S4: the leader's first block is"
                );
                let known = self.blocks.get(&place.hash);
                let known = known.expect("S4: what is voted for is here");
                assert!(
                    known.recorded,
                    "D1b: what is voted for is written with the vote"
                );
                let header = known.block.header();
                let parent = self.height_of(&header.parent);
                assert_eq!(
                    parent.map(Height::next),
                    Some(header.height),
                    "S4: the parent of what is voted for is here"
                );
                let is_final = |view| self.cert(view, VoteKind::Finalize).is_some();
                assert!(
                    !header.parent_view.until(view).any(is_final),
                    "S8: no view is skipped that is final"
                );
            }
            VoteKind::Finalize => {
                let notarized = self.cert(view, VoteKind::Notarize);
                assert_eq!(
                    notarized.map(|cert| cert.statement.block),
                    Some(*place),
                    "S6: what is finalised is notarised"
                );
                assert!(
                    self.is_written(place.hash),
                    "D2: what is finalised is written, with all before it"
                );
            }
        }
    }

    /// Whether a block and all before it, down to the committed one, were handed to the
    /// log.
    fn is_written(&self, hash: Digest) -> bool {
        let mut next = hash;
        while next != self.committed.hash {
            let Some(known) = self.blocks.get(&next).filter(|known| known.recorded) else {
                return false;
            };
            next = known.block.header().parent;
        }
        true
    }

    /// S7: gives the present view up, unless it was finalised here. While its disk hangs
    /// no vote is given: it is remembered, because what led here comes once. Without that
    /// validators whose disks hang at one time would all wait in the view for ever.
    pub(super) fn nullify(&mut self, view: View) {
        assert_eq!(view, self.view, "S7: only the present view is given up");
        let statement = Statement::nullify(self.epoch.epoch, view);
        let may = self.is_running() && self.me.is_some() && self.guard.allows(&statement);
        let waits = may && self.gate.is_congested();
        self.gives_up = waits && !self.config.mutant.is(Mutant::BftForgetsAfterHang);
        self.cast(statement);
    }

    /// S7, put off.
    pub(super) fn try_nullify(&mut self) {
        if self.gives_up {
            self.nullify(self.view);
        }
    }

    /// The application's judgement. What rests on a bad block is bad.
    pub(super) fn on_checked(&mut self, hash: &Digest, valid: bool) {
        let Some(known) = self.blocks.get_mut(hash) else {
            return;
        };
        if known.verdict == Verdict::Asked {
            known.verdict = if valid {
                Verdict::Valid
            } else {
                Verdict::Invalid
            };
        }
    }

    /// Asks the application about each block whose parent was found good.
    pub(super) fn ask_application(&mut self, out: &mut Outbox<Effect>) {
        loop {
            let open = self
                .blocks
                .iter()
                .filter(|(_, known)| known.verdict == Verdict::Open);
            let open: Vec<(Digest, Verdict)> = open
                .filter_map(|(hash, known)| Some((*hash, self.first_verdict(known)?)))
                .collect();
            if open.is_empty() {
                return;
            }
            for (hash, verdict) in open {
                match verdict {
                    Verdict::Asked => self.ask_about(&hash, out),
                    verdict => self.known_mut(&hash).verdict = verdict,
                }
            }
        }
    }

    /// Asks the application about a block.
    pub(super) fn ask_about(&mut self, hash: &Digest, out: &mut Outbox<Effect>) {
        let parent = self.known_mut(hash).block.header().parent;
        assert!(
            self.is_valid(&parent) || self.is_planted(),
            "S3: a block is judged when its parent was found good"
        );
        let known = self.known_mut(hash);
        known.verdict = Verdict::Asked;
        let block = known.block.clone();
        out.push(Effect::Check { block });
    }

    fn known_mut(&mut self, hash: &Digest) -> &mut Known {
        self.blocks.get_mut(hash).expect("the caller has it")
    }

    /// What can be checked of a block by its parent alone.
    fn first_verdict(&self, known: &Known) -> Option<Verdict> {
        let header = known.block.header();
        if self.is_valid(&header.parent) {
            let height = self
                .height_of(&header.parent)
                .expect("a valid block is known");
            let follows = header.height == height.next();
            let parent = self.blocks.get(&header.parent);
            return Some(match parent.map(|parent| parent.block.header().content) {
                _ if !follows => Verdict::Invalid,
                Some(parent) if parent.ends_epoch => match header.content == parent.epoch_closing()
                {
                    true => Verdict::Valid,
                    false => Verdict::Invalid,
                },
                _ => Verdict::Asked,
            });
        }
        let parent = self.blocks.get(&header.parent)?;
        let verdict = if self.config.mutant.is(Mutant::BftBuildsOnInvalid) {
            Verdict::Asked
        } else {
            Verdict::Invalid
        };
        (parent.verdict == Verdict::Invalid).then_some(verdict)
    }
}
