//! Between the consensus and what it orders.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::fork::fork_reason;
use super::record::{FinalBlock, LogHead, NOT_ASKED};
use crate::bft::{self, Block, Committed, EpochStart, Evidence, Header, Height};
use crate::crypto::Digest;
use crate::ledger::effect::{Effect, Notice};
use crate::ledger::execution::branch::{Bad, Branch};
use crate::ledger::execution::executor::following;
use crate::ledger::message::Message;
use crate::ledger::pool::{Admitted, Arrival, Rejection};
use crate::ledger::reads::request::OperationLocation;
use crate::ledger::state::{Ledger, Parked, Running};
use crate::ledger_types::{AccountId, Intent, Lane, Operation, TimeMs, TxId};
use crate::limits::{
    BLOCKS_ANSWERED_MAX, BLOCKS_OPEN_MAX, LEDGER_ANSWER_BYTES_MAX, LEDGER_HELPED_MAX,
    LEDGER_OWN_TX_VALID_BLOCKS, LEDGER_PUSH_BYTES_MAX, LEDGER_PUSH_TXS_MAX, PATH_HEADERS_MAX,
};
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::types::NodeId;

/// The lane of a node's account that the node itself uses, for evidence.
pub const SYSTEM_LANE: Lane = Lane(u16::MAX);

impl Ledger {
    pub(in crate::ledger) fn on_bft(&mut self, effect: bft::Effect, out: &mut Outbox<Effect>) {
        match effect {
            bft::Effect::Persist { seq, records } => {
                let Some(running) = self.phase.running() else {
                    return;
                };
                let epoch = running.bft.epoch().epoch;
                let has_asked = records
                    .iter()
                    .any(|one| matches!(one, bft::Record::VoteFloor(_)));
                self.persist(epoch, seq, records);
                if has_asked {
                    self.note_asked(epoch);
                }
            }
            bft::Effect::Send {
                to,
                message: bft::Message::AskBlocks { from },
            } => self.ask_blocks(to, from, out),
            // It is on its way in parts, and asked for again if it does not come.
            bft::Effect::Send {
                message: bft::Message::AskBlock { hash },
                ..
            } if self.is_assembling(&hash) => {}
            bft::Effect::Send { to, message } => {
                self.ask_outside(&message, out);
                send(to, message, out);
            }
            bft::Effect::Broadcast {
                message: bft::Message::Proposal(proposal),
            } => self.propose(*proposal, out),
            bft::Effect::Broadcast { message } => {
                self.ask_outside(&message, out);
                self.broadcast(&message.into(), out);
            }
            bft::Effect::Build { view, parent } => self.build(view, parent),
            bft::Effect::Check { block } => self.judge(block),
            bft::Effect::Commit(committed) => self.on_final(*committed, out),
            bft::Effect::ServeBlocks { to, from } => self.serve_blocks(to, from, out),
            bft::Effect::ServeBlock { to, hash } => {
                if let Some(found) = self.recent.find(&hash) {
                    let block = Box::new((*found.block).clone());
                    send(to, bft::Message::Block(block), out);
                }
            }
            bft::Effect::Evidence(evidence) => self.report_equivocation(*evidence),
            bft::Effect::SafetyViolation { culprits, .. } => {
                let running = self.phase.running().expect("its validator told it");
                let reason = fork_reason(&culprits, &running.bft.epoch().validators);
                out.push(Effect::Notice(Notice::Forked { culprits }));
                self.halt(reason, out);
            }
        }
    }

    /// The validator that lost its disk knows where the others are. A quorum of them
    /// was in this epoch when it answered, so what was signed before the loss may be
    /// of this epoch or, if some were ahead, of the next one: nothing later.
    fn note_asked(&mut self, epoch: bft::Epoch) {
        let lost_upto = Some(following(epoch));
        if self.storage.head.lost_upto > lost_upto {
            self.write_head(LogHead { lost_upto });
        }
    }

    /// Whoever asks where the others are asks one more, who need not be a validator of
    /// its epoch: those may all have left while it was away.
    fn ask_outside(&mut self, message: &bft::Message, out: &mut Outbox<Effect>) {
        let is_planted = self.config.mutant.is(Mutant::LedgerAsksItsEpochOnly);
        if !matches!(message, bft::Message::AskStatus) || self.config.peers.is_empty() || is_planted
        {
            return;
        }
        let count = self.config.peers.len();
        self.outside_asked = self.outside_asked.wrapping_add(1);
        let peer = self.config.peers[self.outside_asked % count];
        if peer != self.config.node {
            send(peer, message.clone(), out);
        }
    }

    /// To all validators of the present epoch but this node.
    pub(in crate::ledger) fn broadcast(&self, message: &Message, out: &mut Outbox<Effect>) {
        let Some(Running { bft, .. }) = self.phase.running() else {
            return;
        };
        for (_, validator) in bft.epoch().validators.iter() {
            if validator.node != self.config.node {
                out.push(Effect::Send {
                    to: validator.node,
                    message: message.clone(),
                });
            }
        }
    }

    /// Judges a block. The verdict is the same everywhere, but for its time: clocks
    /// differ, so a good block of the future is neither good nor bad yet.
    fn judge(&mut self, block: Arc<Block>) {
        if self.is_store_behind() {
            self.park(block);
            return;
        }
        let hash = block.hash();
        let Some(Running { bft, branches }) = self.phase.running_mut() else {
            return;
        };
        branches.make_room(|hash| bft.block(hash).is_some());
        let valid = match branches.check(&block, &self.pool) {
            Ok(()) => true,
            // The consensus knows it to be final already; here it is when its
            // finalization is durable. A verdict now would be wrong for ever.
            Err(Bad::Parent) => {
                self.park(block);
                return;
            }
            Err(Bad::Commitments) => self.config.mutant.is(Mutant::LedgerStateUnchecked),
            Err(_) => false,
        };
        let time = TimeMs(block.header().content.time_ms);
        if valid && self.due(time) > self.now {
            self.keep_early(time, hash);
            return;
        }
        self.step_bft(bft::Event::Checked { hash, valid });
    }

    /// Keeps a block until it can be judged.
    pub(in crate::ledger) fn park(&mut self, block: Arc<Block>) {
        let parked = &mut self.parked.blocks;
        if parked.len() >= BLOCKS_OPEN_MAX
            && let Some(Running { bft, .. }) = self.phase.running()
        {
            parked.retain(|kept| bft.block(&kept.hash()).is_some() && kept.hash() != block.hash());
        }
        parked.push(block);
    }

    /// Keeps a good block until its time comes. A leader can make one of the future in
    /// every view that is its own; the validator forgets those, and so does this.
    pub(in crate::ledger) fn keep_early(&mut self, time: TimeMs, hash: Digest) {
        if self.early.len() >= BLOCKS_OPEN_MAX
            && let Some(Running { bft, .. }) = self.phase.running()
        {
            self.early.retain(|(_, kept)| bft.block(kept).is_some());
        }
        self.early.insert((time, hash));
    }

    /// Builds a block, or waits until the parent is final here.
    fn build(&mut self, view: bft::View, parent: bft::BlockRef) {
        if self.is_store_behind() {
            self.parked.build = Some((view, parent));
            return;
        }
        let now = self.wall();
        let Some(running) = self.phase.running_mut() else {
            return;
        };
        match running.branches.build(&parent, now, &mut self.pool) {
            Some(content) => {
                let content = Some(Box::new(content));
                self.step_bft(bft::Event::Built { view, content });
            }
            None => self.parked.build = Some((view, parent)),
        }
    }

    /// Takes up what waited for a block to become final.
    pub(in crate::ledger) fn unpark(&mut self) {
        let parked = core::mem::take(&mut self.parked);
        for block in parked.blocks {
            if block.header().height > self.storage.tip.height {
                self.judge(block);
            }
        }
        if let Some((view, parent)) = parked.build {
            self.build(view, parent);
        }
    }

    /// A block is final, and durable here (D3).
    fn on_final(&mut self, committed: Committed, out: &mut Outbox<Effect>) {
        let Committed {
            block,
            path,
            finalization,
        } = committed;
        let Some(running) = self.phase.running_mut() else {
            return;
        };
        let branch = match running.branches.commit(&block, &self.pool) {
            Ok(branch) => branch,
            Err(bad) => return self.halt(why_not_executed(bad), out),
        };
        let located = locate(&branch);
        let block = Arc::new(FinalBlock {
            block,
            path,
            finalization: finalization.to_cert(),
            results: branch.executed.results.clone(),
        });
        let header = *block.block.header();
        self.storage.tip = block.block.place();
        self.assemblies.on_final(&self.storage.tip.hash);
        self.store_block(&block, &branch, &located, out);
        self.recent.push(block.clone(), &located);
        let spacing = self.config.checkpoint_blocks;
        let history = &self.storage.history;
        self.sync
            .checkpoints
            .on_final(&branch, &block, history, spacing);
        self.sync.on_block();
        let ledger_state = branch.ledger_state();
        let expired = self
            .pool
            .on_final(&branch.transactions, ledger_state, branch.height);
        self.is_pool_changed = true;
        for transaction in expired {
            self.answer_expired(&transaction, out);
        }
        self.answer_final(&located, out);
        self.finals.note(&block);
        self.tell_followers(&block, out);
        out.push(Effect::Notice(Notice::Final(block)));
        if header.content.ends_epoch {
            self.parked = Parked::default();
            self.hand_over(&branch, &header);
        } else {
            self.unpark();
        }
    }

    /// The epoch has ended: on with the next one.
    pub(in crate::ledger) fn hand_over(&mut self, last: &Branch, header: &Header) {
        let state = last.ledger_state().epoch();
        assert_eq!(
            state.epoch,
            following(header.epoch),
            "G8: epochs follow each other"
        );
        assert_eq!(
            state.root_height, last.height,
            "G8: an epoch rests on the last block of the one before"
        );
        assert!(
            self.is_planted() || state.set().hash() == header.content.next_validators,
            "G8: the set is the one that the header names"
        );
        let start = EpochStart {
            epoch: state.epoch,
            root_height: last.height,
            root_hash: last.hash,
            validators: state.set().clone(),
        };
        let lost_disk = self.storage.head.lost_upto >= Some(start.epoch);
        let recovered = self.recovered_of(start.epoch, lost_disk);
        self.begin_epoch(start, recovered);
    }

    /// What the log held of an epoch, as the validator takes it up.
    pub(in crate::ledger) fn recovered_of(
        &mut self,
        epoch: bft::Epoch,
        lost_disk: bool,
    ) -> bft::Recovered {
        let records = self.later_epochs.remove(&epoch).unwrap_or_default();
        self.later_epochs = self.later_epochs.split_off(&epoch);
        let mutant = self.config.mutant;
        let mut recovered = bft::Recovered {
            lost_disk: lost_disk && !mutant.is(Mutant::LedgerForgetsLostDisk),
            ..bft::Recovered::default()
        };
        for record in records {
            match record.record {
                bft::Record::Vote(vote) => recovered.votes.push(vote),
                bft::Record::Block(block) => recovered.blocks.push(Arc::unwrap_or_clone(block)),
                bft::Record::Cert(cert) => recovered.certs.push(cert),
                bft::Record::VoteFloor(view) => {
                    recovered.vote_floor = recovered.vote_floor.max(view);
                    // It has asked already, and may vote behind that view. If more was
                    // lost since, that answer is too old.
                    recovered.lost_disk &= self.storage.head.lost_upto == Some(NOT_ASKED)
                        && !mutant.is(Mutant::LedgerTrustsOldAnswer);
                }
            }
        }
        recovered
    }

    /// A message of the consensus. Those of another epoch are not for the
    /// validator: who is behind is told so, who is ahead is asked.
    pub(in crate::ledger) fn on_bft_message(
        &mut self,
        from: NodeId,
        message: bft::Message,
        out: &mut Outbox<Effect>,
    ) {
        let Some(Running { bft, .. }) = self.phase.running() else {
            return;
        };
        let present = bft.epoch().epoch;
        let before = bft.committed().height;
        let is_answer = matches!(message, bft::Message::Blocks(_));
        match message.epoch() {
            Some(epoch) if epoch > present => {
                self.ahead = Some((from, epoch));
                let pause = self.config.timing.delta;
                let is_due = |last: crate::types::Time| last.saturating_add(pause) <= self.now;
                if self.asked_ahead_at.is_none_or(is_due) {
                    self.ask_ahead(out);
                }
                self.consider_fetch(out);
            }
            Some(epoch) if epoch < present => self.help(from),
            _ => self.step_bft(bft::Event::Message { from, message }),
        }
        // What brought nothing new is no reason to ask at once: a copy of an answer
        // would bring another answer, which may be copied as well, without end.
        let Some(Running { bft, .. }) = self.phase.running() else {
            return;
        };
        let is_ahead = self
            .ahead
            .is_some_and(|(_, epoch)| epoch > bft.epoch().epoch);
        let is_news = bft.committed().height > before
            || is_answer && self.config.mutant.is(Mutant::LedgerAsksOnEveryAnswer);
        if is_news && is_ahead {
            self.ask_ahead(out);
        }
    }

    /// Somebody is in an earlier epoch: it is told where this node is, now and then.
    fn help(&mut self, from: NodeId) {
        let (now, pause) = (self.now, self.config.timing.delta);
        let is_due = |last: crate::types::Time| last.saturating_add(pause) <= now;
        if !self.helped.contains_key(&from) && self.helped.len() >= LEDGER_HELPED_MAX {
            // Who may be helped again is like one who never was. Without this some who
            // come under ever new names would end the help for all.
            self.helped.retain(|_, last| !is_due(*last));
        }
        let last = self.helped.get(&from).copied();
        let has_room = last.is_some() || self.helped.len() < LEDGER_HELPED_MAX;
        if has_room && last.is_none_or(is_due) {
            self.helped.insert(from, now);
            self.step_bft(bft::Event::Message {
                from,
                message: bft::Message::AskStatus,
            });
        }
    }

    fn ask_ahead(&mut self, out: &mut Outbox<Effect>) {
        if let Some((peer, _)) = self.ahead
            && let Some(running) = self.phase.running()
            && !self.sync.is_fetching()
        {
            self.asked_ahead_at = Some(self.now);
            let from = running.bft.committed().height.next();
            self.ask_blocks(peer, from, out);
        }
    }

    fn serve_blocks(&mut self, to: NodeId, from: Height, out: &mut Outbox<Effect>) {
        if self.is_pruned(from) {
            let message = Message::EarliestRetained(self.storage.pruning.base());
            return out.push(Effect::Send { to, message });
        }
        self.storage.pruning.note_asked(to, from, self.now);
        let recent: Vec<Arc<FinalBlock>> = self
            .recent
            .from(from)
            .take(BLOCKS_ANSWERED_MAX)
            .cloned()
            .collect();
        if !recent.is_empty() {
            return answer_blocks(to, &recent, out);
        }
        let is_stored = from <= self.storage.tip.height && from > Height(0);
        if is_stored {
            self.read_blocks_for(to, from, out);
        }
    }

    /// A validator equivocated: the proof goes onto the ledger.
    fn report_equivocation(&mut self, evidence: Evidence) {
        let Some(signer) = self.config.signer.clone() else {
            return;
        };
        self.submit_own(Operation::Evidence(Box::new(evidence)), &signer);
    }

    /// Puts an operation of the node itself into the pool. It may fail there, as any
    /// other: whoever else has seen the equivocation reports it as well.
    fn submit_own(&mut self, operation: Operation, signer: &crate::crypto::SharedSigner) {
        let Some(running) = self.phase.running() else {
            return;
        };
        let tip = running.tip().clone();
        let key = *signer.public_key();
        let id = AccountId::of(&key);
        let sequence = self
            .pool
            .next_sequence(&id, SYSTEM_LANE, tip.ledger_state());
        let intent = Intent {
            chain: self.chain,
            account: id,
            lane: SYSTEM_LANE,
            sequence,
            valid_until: Height(tip.height.0.saturating_add(LEDGER_OWN_TX_VALID_BLOCKS)),
            operations: alloc::vec![operation],
        };
        let bytes = crate::codec::Encode::to_bytes(&intent.sign(&**signer));
        if self.admit(bytes.clone(), self.config.node, &tip).is_ok() {
            self.push.fresh.push(bytes);
            self.is_pool_changed = true;
        }
    }

    /// Puts a transaction into the pool, if it has a place behind the last final block.
    pub(in crate::ledger) fn admit(
        &mut self,
        bytes: Bytes,
        source: NodeId,
        tip: &Branch,
    ) -> Result<Admitted, Rejection> {
        let arrival = Arrival {
            source,
            now: self.now,
            ledger_state: tip.ledger_state(),
            height: tip.height,
        };
        self.pool.admit(bytes, &arrival)
    }

    /// Transactions that a peer hands on. What is refused is counted there.
    pub(in crate::ledger) fn on_pushed(
        &mut self,
        from: NodeId,
        transactions: Vec<Bytes>,
        out: &mut Outbox<Effect>,
    ) {
        let Some(running) = self.phase.running() else {
            return;
        };
        let tip = running.tip().clone();
        let mut any_new = false;
        for bytes in transactions {
            // A copy: what is kept would keep the whole message.
            let admitted = self.admit(Bytes::copy_from_slice(&bytes), from, &tip);
            any_new |= admitted.is_ok_and(|admitted| admitted.is_new);
        }
        self.is_pool_changed |= any_new;
        if any_new && self.assemblies.len() > 0 {
            self.fill_assemblies(out);
        }
    }

    /// Hands what came by this node to the validators: at once, and again as long as
    /// it is not final.
    pub(in crate::ledger) fn push_transactions(&mut self, out: &mut Outbox<Effect>) {
        if !self.is_running() {
            return;
        }
        let mut list = core::mem::take(&mut self.push.fresh);
        if self.push.again_at.is_some_and(|due| due <= self.now) {
            self.push.again_at = None;
            let waiting = self.pool.of_source(self.config.node);
            list = waiting.map(|one| one.bytes().clone()).collect();
        }
        if list.is_empty() {
            return;
        }
        self.push.again_at = Some(self.now.saturating_add(self.config.push_again));
        for chunk in chunks(list) {
            self.broadcast(&Message::Transactions(chunk), out);
        }
    }
}

pub(in crate::ledger) fn send(to: NodeId, message: bft::Message, out: &mut Outbox<Effect>) {
    let message = Message::Bft(message);
    out.push(Effect::Send { to, message });
}

/// Where each operation of a block stands.
fn locate(branch: &Branch) -> Vec<(TxId, OperationLocation)> {
    let mut results = branch.executed.results.iter();
    let mut located = Vec::new();
    for (item, transaction) in (0_u32..).zip(&branch.transactions) {
        let count = u32::try_from(transaction.intent().count()).expect("at most 256");
        for operation in 0..count {
            let result = results.next().expect("one result for each operation");
            let place = OperationLocation {
                height: branch.height,
                item,
                operation,
                outcome: result.outcome,
            };
            located.push((result.id, place));
        }
    }
    located
}

/// Sends a run of blocks of one epoch, as long as it fits an answer.
pub(in crate::ledger) fn answer_blocks(
    to: NodeId,
    blocks: &[Arc<FinalBlock>],
    out: &mut Outbox<Effect>,
) {
    let Some(first) = blocks.first() else { return };
    let epoch = first.block.header().epoch;
    let mut bytes = 0_usize;
    let fits = |one: &&Arc<FinalBlock>| {
        bytes = bytes.saturating_add(one.block.size());
        let is_first = one.height() == first.height();
        one.block.header().epoch == epoch && (is_first || bytes <= LEDGER_ANSWER_BYTES_MAX)
    };
    let run: Vec<&Arc<FinalBlock>> = blocks
        .iter()
        .take_while(fits)
        .take(BLOCKS_ANSWERED_MAX)
        .collect();
    let last = run.last().expect("the first one always fits");
    if run.len().saturating_add(last.path.len()) > PATH_HEADERS_MAX {
        return;
    }
    let answer = bft::FinalBlocks {
        blocks: run.iter().map(|one| (*one.block).clone()).collect(),
        path: last.path.clone(),
        finalization: last.finalization.clone(),
    };
    send(to, bft::Message::Blocks(Box::new(answer)), out);
}

/// Lists that fit a message each.
fn chunks(list: Vec<Bytes>) -> Vec<Vec<Bytes>> {
    let mut chunks: Vec<Vec<Bytes>> = Vec::new();
    let mut room = 0_usize;
    for bytes in list {
        let is_full = chunks
            .last()
            .is_none_or(|chunk| chunk.len() >= LEDGER_PUSH_TXS_MAX || bytes.len() > room);
        if is_full {
            chunks.push(Vec::new());
            room = LEDGER_PUSH_BYTES_MAX;
        }
        room = room.saturating_sub(bytes.len());
        chunks.last_mut().expect("just pushed").push(bytes);
    }
    chunks
}

const fn why_not_executed(bad: Bad) -> &'static str {
    match bad {
        Bad::Commitments => {
            "a final block says something else than executing it gives: this node's state is \
             damaged, or it runs another version than the others. Stop it and compare"
        }
        Bad::Parent | Bad::Time | Bad::Transaction | Bad::Invalid => {
            "a final block breaks the rules of the ledger: more than a third of the power is Byzantine, \
             or this node runs another version than the others. Stop it and compare"
        }
    }
}
