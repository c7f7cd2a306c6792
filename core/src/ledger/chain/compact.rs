//! How a leader's block travels: by the hashes of its transactions, which everybody
//! has already.
//!
//! Whoever takes a transaction in hands it to all validators at once, so the block
//! would bring it a second time, and all of it from one leader. A [`Compact`] has 32
//! bytes for each instead. They are the leaves of the tree whose root the header
//! holds: nobody has to trust the list, and each transaction that is fetched is
//! checked by itself. What is not in the pool is asked for once, from the leader. If
//! that does not answer, the block is as late as if it had never been sent, and if a
//! quorum has voted for it nevertheless the validator fetches it whole.
//!
//! A block is voted for only when all of it is here, as ever; so a notarization still
//! proves that a third of the power has all of it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::bft::{self, Block, Cert, Header, Proposal, View, Vote};
use crate::codec::{Decode, Encode};
use crate::crypto::Digest;
use crate::ledger::effect::Effect;
use crate::ledger::message::Message;
use crate::ledger::pool::Pool;
use crate::ledger::state::{Ledger, Running};
use crate::limits::{BLOCK_BYTES_MAX, BLOCK_ITEMS_MAX, LEDGER_ASSEMBLIES_MAX, PROPOSAL_SKIPS_MAX};
use crate::machine::Outbox;
use crate::merkle::{Frontier, LeafHash};
use crate::types::{NodeId, Time};

/// How a leader's block is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub enum Proposals {
    /// By the hashes of its transactions.
    #[default]
    #[codec(tag = 0)]
    Compact,
    /// With all of them.
    #[codec(tag = 1)]
    Whole,
}

/// A [`Proposal`] without its transactions. Unverified.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Compact {
    pub header: Header,
    /// The leaf hash of each transaction, in order.
    #[codec(max = BLOCK_ITEMS_MAX)]
    pub leaves: Vec<Digest>,
    /// As in a [`Proposal`].
    pub parent: Option<Cert>,
    /// As in a [`Proposal`].
    #[codec(max = PROPOSAL_SKIPS_MAX)]
    pub skips: Vec<Cert>,
    /// As in a [`Proposal`].
    pub vote: Vote,
}

/// Blocks of leaders that are not whole yet.
#[derive(Debug, Default, Hash)]
pub(in crate::ledger) struct Assemblies {
    /// One for each view: the first that its leader sent.
    by_view: BTreeMap<View, Assembly>,
    /// The last block that this node led with, until it is final.
    led: Option<Digest>,
    /// Transactions that were asked for, ever.
    asked: u64,
    /// Blocks that were not what their headers say.
    refused: u64,
}

#[derive(Debug, Hash)]
struct Assembly {
    hash: Digest,
    compact: Compact,
    items: Vec<Option<Bytes>>,
    leader: NodeId,
    asked_at: Time,
}

impl Compact {
    /// The short form of a proposal.
    pub fn of(proposal: Proposal) -> Self {
        let items = proposal.block.items().iter();
        Self {
            header: *proposal.block.header(),
            leaves: items.map(|item| *LeafHash::of(item).digest()).collect(),
            parent: proposal.parent,
            skips: proposal.skips,
            vote: proposal.vote,
        }
    }

    /// Whether the list is the one that the header speaks of, and within the limits.
    fn fits(&self) -> bool {
        let content = &self.header.content;
        let has_room = usize::try_from(content.items_bytes).is_ok_and(|it| it <= BLOCK_BYTES_MAX);
        let mut tree = Frontier::default();
        for leaf in &self.leaves {
            tree.append(LeafHash::assume(*leaf));
        }
        has_room
            && u32::try_from(self.leaves.len()) == Ok(content.items_count)
            && tree.root() == content.items_root
    }
}

impl Assembly {
    /// Takes what the pool has by now.
    fn fill(&mut self, pool: &Pool) {
        for (leaf, item) in self.compact.leaves.iter().zip(&mut self.items) {
            if item.is_none() {
                *item = pool.get(leaf).map(|known| known.bytes().clone());
            }
        }
    }

    /// The places of what is missing.
    fn missing(&self) -> Vec<u32> {
        let places = (0_u32..).zip(&self.items);
        places
            .filter(|(_, item)| item.is_none())
            .map(|(place, _)| place)
            .collect()
    }

    /// Takes an answer: whatever of it was missing. Each item has to be one of the list,
    /// which the header commits to.
    fn take(&mut self, answer: Vec<Bytes>) {
        let hashed = answer
            .into_iter()
            .map(|item| (*LeafHash::of(&item).digest(), item));
        let answer: BTreeMap<Digest, Bytes> = hashed.collect();
        for (leaf, item) in self.compact.leaves.iter().zip(&mut self.items) {
            if item.is_none() {
                // A copy: the item is a part of its message, and would keep all of that.
                *item = answer.get(leaf).map(|item| Bytes::copy_from_slice(item));
            }
        }
    }

    /// Whether what is here takes more room than the header says: then the block will
    /// never be whole, and the leader must not fill the memory by it.
    fn is_too_large(&self) -> bool {
        let items = self.items.iter().flatten();
        let bytes = items.fold(0_usize, |sum, item| sum.saturating_add(item.len()));
        let stated = self.compact.header.content.items_bytes;
        u32::try_from(bytes).map_or(true, |bytes| bytes > stated)
    }

    /// The proposal, if nothing is missing.
    fn finish(self) -> Option<Proposal> {
        let items: Option<Vec<Bytes>> = self.items.into_iter().collect();
        let Compact {
            header,
            parent,
            skips,
            vote,
            ..
        } = self.compact;
        Some(Proposal {
            block: Block::new(header, items?)?,
            parent,
            skips,
            vote,
        })
    }
}

impl Assemblies {
    /// How many blocks are not whole.
    pub(in crate::ledger) fn len(&self) -> usize {
        self.by_view.len()
    }

    fn count_refused(&mut self) {
        self.refused = self.refused.saturating_add(1);
    }

    /// Forgets those of views that are over: whoever needs one of their blocks fetches
    /// it whole.
    pub(in crate::ledger) fn forget_before(&mut self, view: View) {
        bft::drop_before(&mut self.by_view, view);
    }

    /// A block is final.
    pub(in crate::ledger) fn on_final(&mut self, hash: &Digest) {
        self.led = self.led.filter(|led| led != hash);
    }

    /// Forgets all: the epoch is over.
    pub(in crate::ledger) fn clear(&mut self) {
        self.led = None;
        self.by_view.clear();
    }

    /// Whether a block was asked for after this time in parts.
    fn is_asked_since(&self, hash: &Digest, time: Time) -> bool {
        let mut all = self.by_view.values();
        all.any(|one| one.hash == *hash && one.asked_at > time)
    }
}

impl Ledger {
    /// This node's block leaves.
    pub(in crate::ledger) fn propose(&mut self, proposal: Proposal, out: &mut Outbox<Effect>) {
        // If the last one did not become final, perhaps too few could put it together in
        // time: somebody may hand transactions to leaders alone.
        let has_failed = self.assemblies.led.is_some();
        self.assemblies.led = Some(proposal.block.hash());
        let is_whole = self.config.proposals == Proposals::Whole || has_failed;
        let message = match is_whole || proposal.block.items().is_empty() {
            true => Message::Bft(bft::Message::Proposal(Box::new(proposal))),
            false => Message::Compact(Box::new(Compact::of(proposal))),
        };
        self.broadcast(&message, out);
    }

    /// A leader's block arrives without its transactions.
    pub(in crate::ledger) fn on_compact(
        &mut self,
        from: NodeId,
        compact: Compact,
        out: &mut Outbox<Effect>,
    ) {
        let was_expected = self.is_expected(from, &compact.header);
        if !was_expected {
            // What it rests on may lead into its view.
            self.on_certificates(from, &compact, out);
            if !self.is_expected(from, &compact.header) {
                return;
            }
        }
        let (view, hash) = (compact.header.view, compact.header.hash());
        let running = self.phase.running();
        if running.is_none_or(|running| running.bft.block(&hash).is_some()) {
            return;
        }
        if let Some(open) = self.assemblies.by_view.get(&view) {
            // Two blocks of one view are an equivocation: the vote of the second one shows it.
            if open.hash != hash && was_expected {
                self.on_certificates(from, &compact, out);
            }
            return;
        }
        if !compact.fits() {
            return self.assemblies.count_refused();
        }
        let mut assembly = Assembly {
            hash,
            items: alloc::vec![None; compact.leaves.len()],
            compact,
            leader: from,
            asked_at: self.now,
        };
        assembly.fill(&self.pool);
        let items = assembly.missing();
        if items.is_empty() {
            return self.on_assembled(assembly, out);
        }
        if was_expected {
            self.on_certificates(from, &assembly.compact, out);
        }
        let count = u64::try_from(items.len()).expect("at most 8192");
        self.assemblies.asked = self.assemblies.asked.saturating_add(count);
        self.assemblies.by_view.insert(view, assembly);
        let message = Message::AskItems { block: hash, items };
        out.push(Effect::Send { to: from, message });
    }

    /// Whether this comes from the leader of a view that is or comes next.
    fn is_expected(&self, from: NodeId, header: &Header) -> bool {
        let Some(Running { bft, .. }) = self.phase.running() else {
            return false;
        };
        let is_near = header.view == bft.view() || header.view == bft.view().next();
        let leader = bft.epoch().validators.get(bft.leader_of(header.view));
        is_near
            && header.epoch == bft.epoch().epoch
            && leader.is_some_and(|leader| leader.node == from)
    }

    /// What a block says beside its transactions, which is of use without them.
    fn on_certificates(&mut self, from: NodeId, compact: &Compact, out: &mut Outbox<Effect>) {
        for cert in compact.skips.iter().chain(&compact.parent) {
            let cert = Box::new(cert.clone());
            self.on_bft_message(from, bft::Message::Cert(cert), out);
        }
        self.on_bft_message(from, bft::Message::Vote(compact.vote), out);
    }

    /// Nothing is missing: the block is as good as if it had come whole.
    fn on_assembled(&mut self, assembly: Assembly, out: &mut Outbox<Effect>) {
        let leader = assembly.leader;
        // Its header may still speak of other bytes than the items have.
        match assembly.finish() {
            Some(proposal) => {
                let message = bft::Message::Proposal(Box::new(proposal));
                self.on_bft_message(leader, message, out);
            }
            None => self.assemblies.count_refused(),
        }
    }

    /// Transactions have come in: some block may be whole by that.
    pub(in crate::ledger) fn fill_assemblies(&mut self, out: &mut Outbox<Effect>) {
        for assembly in self.assemblies.by_view.values_mut() {
            assembly.fill(&self.pool);
        }
        self.take_assembled(out);
    }

    fn take_assembled(&mut self, out: &mut Outbox<Effect>) {
        let all = self.assemblies.by_view.iter();
        let whole: Vec<View> = all
            .filter(|(_, one)| one.items.iter().all(Option::is_some))
            .map(|(view, _)| *view)
            .collect();
        for view in whole {
            // One that is taken may end the epoch of the others.
            if let Some(assembly) = self.assemblies.by_view.remove(&view) {
                self.on_assembled(assembly, out);
            }
        }
    }

    /// A validator lacks transactions of a block.
    pub(in crate::ledger) fn on_ask_items(
        &self,
        from: NodeId,
        block: Digest,
        places: &[u32],
        out: &mut Outbox<Effect>,
    ) {
        let Some(Running { bft, .. }) = self.phase.running() else {
            return;
        };
        let recent = self.recent.find(&block).map(|found| &found.block);
        let Some(found) = bft.block(&block).or(recent) else {
            return;
        };
        let ascend = places.windows(2).all(|pair| pair[0] < pair[1]);
        let item = |place: &u32| found.items().get(usize::try_from(*place).ok()?).cloned();
        let items: Option<Vec<Bytes>> = places.iter().map(item).collect();
        if let Some(items) = items.filter(|_| ascend) {
            let message = Message::Items { block, items };
            out.push(Effect::Send { to: from, message });
        }
    }

    /// The answer to such a question.
    pub(in crate::ledger) fn on_items(
        &mut self,
        from: NodeId,
        block: Digest,
        items: Vec<Bytes>,
        out: &mut Outbox<Effect>,
    ) {
        let all = self.assemblies.by_view.iter_mut();
        let mut asked = all.filter(|(_, one)| one.hash == block && one.leader == from);
        let Some((view, assembly)) = asked.next() else {
            return;
        };
        let view = *view;
        assembly.take(items);
        if assembly.is_too_large() {
            self.assemblies.by_view.remove(&view);
            return self.assemblies.count_refused();
        }
        self.take_assembled(out);
    }

    /// Whether a block that the consensus lacks is on its way in parts.
    pub(in crate::ledger) fn is_assembling(&self, hash: &Digest) -> bool {
        let delta = self.config.timing.delta.0;
        let lately = Time(self.now.0.saturating_sub(delta));
        self.assemblies.is_asked_since(hash, lately)
    }

    /// How many transactions of leaders' blocks this node lacked and asked for, since it
    /// started, and how many blocks were not what their headers say.
    pub const fn assembled(&self) -> (u64, u64) {
        (self.assemblies.asked, self.assemblies.refused)
    }

    /// Forgets parts of blocks that are no more to be had.
    pub(in crate::ledger) fn forget_assemblies(&mut self) {
        let running = self.phase.running();
        if let Some(running) = running.filter(|_| self.assemblies.len() > 0) {
            let view = running.bft.view().0.saturating_sub(1);
            self.assemblies.forget_before(View(view));
        }
        assert!(
            self.assemblies.len() <= LEDGER_ASSEMBLIES_MAX,
            "of few views at a time"
        );
    }
}

#[cfg(test)]
#[path = "../tests/asserts_compact.rs"]
mod tests;
