//! When a block is voted for, finalised, or a view given up (S3 to S7).

use super::block::Header;
use super::effect::{Effect, Record};
use super::state::{Bft, Known, Verdict};
use super::types::View;
use super::vote::{Statement, VoteKind};
use crate::crypto::Digest;
use crate::machine::Outbox;
use crate::mutant::Mutant;
use alloc::vec::Vec;

/// Whether a block rests on what it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Footing {
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
        match self.footing(&header) {
            Footing::Missing(views) => return self.ask_certs(&views, header.proposer, out),
            Footing::Broken => return self.nullify(view),
            Footing::Sound => {}
        }
        match verdict {
            Verdict::Valid => {}
            Verdict::Invalid => return self.nullify(view),
            Verdict::Open | Verdict::Asked => return,
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
    pub(super) fn footing(&self, header: &Header) -> Footing {
        let last = self.final_place();
        if header.parent_view < last.view || header.parent_view >= header.view {
            return Footing::Broken;
        }
        let mut missing = Vec::new();
        if header.parent_view == last.view {
            if header.parent != last.hash {
                return Footing::Broken;
            }
        } else {
            let round = self.rounds.get(&header.parent_view);
            match round.and_then(super::round::Round::certified) {
                Some(block) if block.hash == header.parent => {}
                Some(_) => return Footing::Broken,
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
            Footing::Sound
        } else {
            Footing::Missing(missing)
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
        if !self.config.mutant.is(Mutant::BftFinalizesUnwritten) {
            self.record_chain(block.hash);
        }
        self.cast(statement);
    }

    /// Hands a block and those before it to the log, oldest first.
    fn record_chain(&mut self, hash: Digest) {
        let mut chain = Vec::new();
        let mut next = hash;
        while let Some(known) = self.blocks.get(&next).filter(|known| !known.recorded) {
            chain.push(next);
            next = known.block.header().parent;
        }
        for hash in chain.into_iter().rev() {
            self.record_block(&hash);
        }
    }

    /// Hands one block to the log, once.
    pub(super) fn record_block(&mut self, hash: &Digest) {
        let known = self.blocks.get_mut(hash).expect("the caller has it");
        if !known.recorded {
            known.recorded = true;
            self.gate.record(Record::Block(known.block.clone()));
        }
    }

    /// S7: gives the view up, unless it was finalised here.
    pub(super) fn nullify(&mut self, view: View) {
        assert!(view <= self.view, "views are given up when they are due");
        self.cast(Statement::nullify(self.epoch.epoch, view));
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
                let known = self.blocks.get_mut(&hash).expect("just listed");
                known.verdict = verdict;
                if verdict == Verdict::Asked {
                    let block = known.block.clone();
                    out.push(Effect::Check { block });
                }
            }
        }
    }

    /// What can be said of a block by its parent alone.
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
                Some(parent) if parent.ends_epoch => match header.content == parent.tail() {
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
