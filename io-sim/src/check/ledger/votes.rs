//! What honest validators sign, seen at the wire over all their lives.

use std::collections::BTreeMap;

use decube_core::bft::{Epoch, View, Vote, VoteKind};

use super::LedgerChecker;
use crate::check::Finding;
use crate::disk::Disk;

/// The votes of all honest slots.
#[derive(Debug)]
pub(super) struct Votes {
    cast: Vec<BTreeMap<(Epoch, View, VoteKind), Vote>>,
    /// The latest epoch that each slot has voted in.
    latest: Vec<Epoch>,
}

impl Votes {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            cast: vec![BTreeMap::new(); slots],
            latest: vec![Epoch(0); slots],
        }
    }
}

impl LedgerChecker {
    /// An honest slot sends a vote. That of somebody else proves nothing.
    pub(super) fn on_vote(&mut self, slot: usize, vote: &Vote, disk: &Disk) -> Result<(), Finding> {
        let statement = vote.statement;
        let (epoch, view) = (statement.epoch, statement.block.view);
        if self.slot_of(epoch, vote.signer) != Some(slot) {
            return Ok(());
        }
        if !self.is_good(vote) {
            let message = format!("slot {slot} sends a vote that it has not signed: {vote:?}");
            return Err(("own-vote", message));
        }
        let votes = &mut self.votes.cast[slot];
        match votes.get(&(epoch, view, statement.kind)) {
            Some(before) if before.statement == statement => return Ok(()),
            Some(before) => {
                let before = before.statement;
                let message = format!("slot {slot} signed {before:?}, and now {statement:?}");
                return Err(("I5 one vote", message));
            }
            None => {}
        }
        let opposite = match statement.kind {
            VoteKind::Notarize => None,
            VoteKind::Nullify => Some(VoteKind::Finalize),
            VoteKind::Finalize => Some(VoteKind::Nullify),
        };
        if opposite.is_some_and(|kind| votes.contains_key(&(epoch, view, kind))) {
            let message = format!("slot {slot} gives up and finalises view {view} of {epoch}");
            return Err(("I6 given up and final", message));
        }
        if epoch < self.votes.latest[slot] {
            let latest = self.votes.latest[slot];
            let message = format!("slot {slot} votes in epoch {epoch} after epoch {latest}");
            return Err(("I15 vote in an earlier epoch", message));
        }
        if !disk.holds_stable(vote.signature.as_bytes()) {
            let message =
                format!("slot {slot} would forget after a power loss what it says: {vote:?}");
            return Err(("I7 durable before sent", message));
        }
        votes.insert((epoch, view, statement.kind), *vote);
        self.votes.latest[slot] = epoch;
        Ok(())
    }

    /// Whether its signer signed this vote. Each goes to everybody, and is looked at on
    /// each way and at each end: what was found good once, to the last byte, is good.
    pub(super) fn is_good(&self, vote: &Vote) -> bool {
        let statement = &vote.statement;
        let slot = self.slot_of(statement.epoch, vote.signer);
        let place = (statement.epoch, statement.block.view, statement.kind);
        let known = slot.and_then(|slot| self.votes.cast[slot].get(&place));
        known == Some(vote) || self.is_signed(statement, vote.signer, &vote.signature)
    }
}
