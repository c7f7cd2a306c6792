//! Asking for what is missing, and answering. What comes back goes through the
//! same rules as what arrives by itself: there is no other mode.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::block::{Block, Header};
use super::cert::{Cert, Proven};
use super::effect::{Committed, Effect, Record};
use super::message::{FinalBlocks, Message, Status};
use super::state::{Asked, Bft, Verdict};
use super::types::{Epoch, Height, ValidatorIndex, View};
use super::vote::VoteKind;
use crate::crypto::Digest;
use crate::limits::{BLOCKS_WANTED_MAX, CATCH_UP_GAP, PATH_HEADERS_MAX};
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::types::NodeId;

impl Bft {
    /// Asks for blocks that are certified and not here, each at most once per
    /// delay.
    pub(super) fn ask_missing(&mut self, out: &mut Outbox<Effect>) {
        if !self.has_started() {
            return;
        }
        let is_missing = self.ask_what_is_due(out);
        self.rules_dirty |= is_missing;
        // Views may have become long by then, and nobody can build on what is missing:
        // it is asked for again at the pace of messages.
        let is_due = self.timers.ask.is_none_or(|due| due <= self.now);
        if !is_missing {
            self.timers.ask = None;
        } else if is_due {
            self.timers.ask = Some(self.now.saturating_add(self.config.timing.delta));
        }
    }

    /// Asks for what has not been asked for lately; whether anything is missing.
    fn ask_what_is_due(&mut self, out: &mut Outbox<Effect>) -> bool {
        if let Some(from) = self.gap_to_final() {
            self.ask_blocks(from, out);
            return true;
        }
        let mut missing = self.missing_blocks();
        let is_missing = !missing.is_empty();
        missing.truncate(BLOCKS_WANTED_MAX);
        self.wanted.retain(|hash, _| missing.contains(hash));
        for hash in missing {
            let mut asked = self.wanted.get(&hash).copied().unwrap_or_default();
            if self.is_time_to_ask(&mut asked) {
                self.wanted.insert(hash, asked);
                let to = self.next_peer();
                self.send(to, Message::AskBlock { hash }, out);
            }
        }
        // Others may have dropped the block that was certified: after the end of
        // the epoch only the way up to its last block is kept.
        let is_stuck = self.wanted.values().any(|asked| asked.times > 2);
        if is_stuck && self.is_final_ahead() {
            self.ask_blocks(self.committed.height.next(), out);
        }
        is_missing
    }

    fn is_final_ahead(&self) -> bool {
        let last = self.last_final.as_ref();
        last.is_some_and(|last| last.statement.block.height > self.committed.height)
    }

    /// The first height wanted, if so much is missing up to the highest
    /// finalization that single blocks would take long. What has arrived from its
    /// upper end is no reason to fetch the rest one by one.
    fn gap_to_final(&self) -> Option<Height> {
        let last = self.last_final.as_ref()?.statement.block;
        let present = u64::try_from(self.final_hashes().len()).expect("at most 256");
        let gap = last.height.0.checked_sub(self.committed.height.0)?;
        let is_far = gap.saturating_sub(present) > CATCH_UP_GAP;
        // All of it may be here, and too far below its certificate.
        let is_unproven = gap >= PATH_HEADERS_MAX as u64;
        (is_far || is_unproven).then(|| self.committed.height.next())
    }

    /// The blocks that are here, from the highest final one down to the first gap
    /// or to the committed one.
    pub(super) fn final_hashes(&self) -> BTreeSet<Digest> {
        let mut hashes = BTreeSet::new();
        let mut next = self
            .last_final
            .as_ref()
            .map(|last| last.statement.block.hash);
        while let Some((hash, known)) = next.and_then(|hash| self.blocks.get_key_value(&hash)) {
            hashes.insert(*hash);
            next = Some(known.block.header().parent);
        }
        hashes
    }

    /// Certified blocks that are not here, and those before them.
    fn missing_blocks(&self) -> Vec<Digest> {
        let from = self.final_place().view;
        let certified = self
            .rounds
            .range(from..)
            .filter(|(_, round)| {
                let other = round.proposal.is_some() && round.cert(VoteKind::Finalize).is_none();
                !(other && self.config.mutant.is(Mutant::BftKeepsEquivocatedProposal))
            })
            .filter_map(|(_, round)| round.certified());
        let proposed = self.rounds.get(&self.view).and_then(|round| round.proposal);
        let mut missing = Vec::new();
        for hash in certified.map(|block| block.hash).chain(proposed) {
            if let Some(absent) = self.first_absent(hash).filter(|one| !missing.contains(one)) {
                missing.push(absent);
            }
        }
        missing
    }

    /// The first block that is not here, on the way from this one down to the
    /// committed one. Nobody certified what a leader has proposed: what it names as
    /// parents is fetched only as far as views and heights fit, which leaves it no more
    /// blocks than there are views, or it could fill the room for all others.
    fn first_absent(&self, hash: Digest) -> Option<Digest> {
        let mut next = hash;
        let mut child: Option<&Header> = None;
        while next != self.committed.hash {
            let known = self.blocks.get(&next);
            let place = known.map(|known| known.block.place());
            let fits = child.is_none_or(|child| match &place {
                Some(place) => child.stands_on(place),
                None => {
                    child.parent_view > self.committed.view
                        && child.height > self.committed.height.next()
                }
            });
            if !fits {
                return None;
            }
            let Some(known) = known else {
                return Some(next);
            };
            child = Some(known.block.header());
            next = known.block.header().parent;
        }
        None
    }

    fn ask_blocks(&mut self, from: Height, out: &mut Outbox<Effect>) {
        let mut asked = self.catch_up;
        if self.is_time_to_ask(&mut asked) {
            self.catch_up = asked;
            let to = self.next_peer();
            self.send(to, Message::AskBlocks { from }, out);
        }
    }

    /// Whether a question is due; notes it as asked then.
    fn is_time_to_ask(&self, asked: &mut Asked) -> bool {
        let pause = self.config.timing.delta;
        let is_due = asked
            .last_at
            .is_none_or(|last| last.saturating_add(pause) <= self.now);
        if is_due {
            asked.last_at = Some(self.now);
            asked.times = asked.times.wrapping_add(1);
        }
        is_due
    }

    /// Asks for the certificates of views, each at most once per delay.
    pub(super) fn ask_certs(
        &mut self,
        views: &[View],
        first: ValidatorIndex,
        out: &mut Outbox<Effect>,
    ) {
        let (now, pause, epoch) = (self.now, self.config.timing.delta, self.epoch.epoch);
        self.rules_dirty |= !views.is_empty();
        for &view in views.iter().take(BLOCKS_WANTED_MAX) {
            let round = self.round(view);
            let to = match round.asked_at {
                None => first,
                Some(last) if last.saturating_add(pause) <= now => self.next_peer(),
                Some(_) => continue,
            };
            self.round(view).asked_at = Some(now);
            self.send(to, Message::AskCerts { epoch, view }, out);
        }
    }

    fn send(&self, to: ValidatorIndex, message: Message, out: &mut Outbox<Effect>) {
        let to = self.node_at(to);
        if to != self.config.node {
            out.push(Effect::Send { to, message });
        }
    }

    /// Answers with the certificates of a view, or with a later finalization.
    pub(super) fn on_ask_certs(
        &self,
        from: NodeId,
        epoch: Epoch,
        view: View,
        out: &mut Outbox<Effect>,
    ) {
        let is_silent = self.config.mutant.is(Mutant::BftAnswersNoCerts);
        if epoch != self.epoch.epoch || is_silent {
            return;
        }
        let round = self.rounds.get(&view);
        let certs = round.into_iter().flat_map(super::round::Round::certs);
        let later = self
            .last_final
            .iter()
            .filter(|last| last.statement.view() > view);
        for cert in certs.chain(later) {
            out.push(Effect::Send {
                to: from,
                message: Message::Cert(Box::new(cert.to_cert())),
            });
        }
    }

    /// Answers with a block.
    pub(super) fn on_ask_block(&self, from: NodeId, hash: Digest, out: &mut Outbox<Effect>) {
        match self.blocks.get(&hash) {
            Some(known) => out.push(Effect::Send {
                to: from,
                message: Message::Block(Box::new((*known.block).clone())),
            }),
            None => out.push(Effect::ServeBlock { to: from, hash }),
        }
    }

    /// A block that was asked for: its hash was certified, so whoever sent it.
    pub(super) fn on_block(&mut self, block: Block) {
        if self.wanted.contains_key(&block.hash()) {
            self.keep_block(block, Verdict::Open);
        }
    }

    /// Final blocks that were asked for by height. Everything is checked before
    /// anything is used: the first follows what is committed here, each follows
    /// the one before, the certificate speaks of the last.
    pub(super) fn on_blocks(&mut self, answer: FinalBlocks, out: &mut Outbox<Effect>) {
        let first = answer.blocks.first().map(Block::header);
        let again = self.config.mutant.is(Mutant::BftSyncCommitsAgain);
        let follows = first.is_some_and(|first| {
            again || first.stands_on(&self.committed) && first.chain == self.config.chain
        });
        if !follows || !self.has_started() {
            return;
        }
        if answer.blocks.len().saturating_add(answer.path.len()) > PATH_HEADERS_MAX {
            return self.reject();
        }
        let mut certified = answer.certified_place();
        if self.config.mutant.is(Mutant::BftSyncLinksUnchecked) {
            certified = answer.blocks.last().map(Block::place);
        }
        let statement = answer.finalization.statement;
        let is_final = statement.kind == VoteKind::Finalize && certified == Some(statement.block);
        let unchecked = self.config.mutant.is(Mutant::BftSyncUnchecked);
        if !unchecked && !is_final {
            return self.reject();
        }
        let Some(finalization) = self.proof_of(&answer.finalization, unchecked, out) else {
            return self.reject();
        };
        if !self.has_started() {
            return;
        }
        self.catch_up.last_at = None;
        let headers: Vec<_> = answer
            .blocks
            .iter()
            .map(|block| *block.header())
            .chain(answer.path)
            .collect();
        for (place, block) in answer.blocks.into_iter().enumerate() {
            if self.has_ended() {
                return;
            }
            let path = headers.iter().skip(place + 1).copied().collect();
            let block = Arc::new(block);
            self.commit(Committed {
                block,
                path,
                finalization: finalization.clone(),
            });
        }
    }

    /// The proven form of the certificate that came with blocks. It may be far
    /// below the highest finalization, and then nothing but these blocks needs it.
    fn proof_of(
        &mut self,
        cert: &Cert,
        unchecked: bool,
        out: &mut Outbox<Effect>,
    ) -> Option<Proven> {
        if unchecked {
            return Some(Proven::assume(cert.clone()));
        }
        let proven = self.prove(cert)?;
        let last = self.last_final.as_ref().map(|last| last.statement.view());
        if last < Some(proven.statement.view()) {
            self.accept(proven.clone(), false, out);
        } else if self.contradicts(&proven) {
            return None;
        } else if !self.config.mutant.is(Mutant::BftSyncForgetsCert) {
            // D3: these blocks are proven by it after a crash as well, and not by one that
            // is thousands of blocks above them.
            self.gate.record(Record::Cert(proven.clone()));
        }
        Some(proven)
    }

    /// Tells where this node stands.
    pub(super) fn on_ask_status(&self, from: NodeId, out: &mut Outbox<Effect>) {
        if !self.is_running() {
            return;
        }
        let status = Status {
            epoch: self.epoch.epoch,
            view: self.view,
            entered_by: self.entered_by.as_ref().map(Proven::to_cert),
            finalization: self.last_final.as_ref().map(Proven::to_cert),
        };
        out.push(Effect::Send {
            to: from,
            message: Message::Status(Box::new(status)),
        });
    }

    /// Where somebody else stands: a hint, but for its certificates.
    pub(super) fn on_status(&mut self, from: NodeId, status: &Status, out: &mut Outbox<Effect>) {
        if status.epoch != self.epoch.epoch {
            return;
        }
        let mut holds =
            |cert: &Option<Cert>| cert.as_ref().is_none_or(|cert| self.on_cert(cert, out));
        let (finalization, entered_by) = (holds(&status.finalization), holds(&status.entered_by));
        if finalization && entered_by {
            self.on_standing(from, status);
        }
    }
}
