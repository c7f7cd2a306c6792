//! Equivocations that honest nodes hear are reported (I14, the other half).

use std::collections::BTreeMap;

use decube_core::bft::{Epoch, Statement, ValidatorIndex, View, Vote, VoteKind};
use decube_core::ledger::Ledger;
use decube_core::part::Part as _;
use decube_core::types::NodeId;

use super::LedgerChecker;
use crate::check::Finding;

/// What a slot heard in the view that it is in, from the signers themselves.
#[derive(Debug, Clone, Default)]
struct Heard {
    at: (Epoch, View),
    signed: BTreeMap<ValidatorIndex, Vec<Statement>>,
}

/// The same of all slots.
#[derive(Debug)]
pub(super) struct Equivocations {
    heard: Vec<Heard>,
    /// Byzantine validators that an honest node has shown in some view.
    shown: u64,
}

impl Equivocations {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            heard: vec![Heard::default(); slots],
            shown: 0,
        }
    }

    /// A process begins: it remembers nothing of what others signed.
    pub(super) fn forget(&mut self, slot: usize) {
        self.heard[slot] = Heard::default();
    }

    pub(super) const fn shown(&self) -> u64 {
        self.shown
    }
}

impl LedgerChecker {
    /// An honest node is about to hear a vote. What is of another view than its own,
    /// or comes from somebody else, it may drop unread, and everything while it stops.
    pub fn hearing(&mut self, slot: usize, from: NodeId, vote: &Vote, ledger: &Ledger) {
        if !ledger.health().is_serving() {
            return;
        }
        let Some(bft) = ledger.bft().filter(|bft| bft.is_running()) else {
            return;
        };
        let (statement, at) = (vote.statement, (bft.epoch().epoch, bft.view()));
        let author = bft.epoch().validators.get(vote.signer);
        let is_own = bft.validator() == Some(vote.signer);
        let is_direct = author.is_some_and(|author| author.node == from);
        if (statement.epoch, statement.block.view) != at || is_own || !is_direct {
            return;
        }
        if !self.is_good(vote) {
            return;
        }
        let heard = &mut self.equivocations.heard[slot];
        if heard.at != at {
            heard.at = at;
            heard.signed.clear();
        }
        let list = heard.signed.entry(vote.signer).or_default();
        if !list.contains(&statement) {
            list.push(statement);
        }
    }

    /// After the step: whoever signed two statements that exclude each other is reported.
    pub(super) fn reports_equivocations(
        &mut self,
        slot: usize,
        ledger: &Ledger,
    ) -> Result<(), Finding> {
        let Some(bft) = ledger.bft().filter(|bft| bft.is_running()) else {
            return Ok(());
        };
        let heard = &mut self.equivocations.heard[slot];
        let (epoch, view) = heard.at;
        if bft.epoch().epoch != epoch {
            return Ok(());
        }
        let has_equivocated = |list: &[Statement]| {
            let mut pairs = list.iter().flat_map(|a| list.iter().map(move |b| (a, b)));
            pairs.any(|(a, b)| exclude(a, b))
        };
        let culprits = heard
            .signed
            .iter()
            .filter(|(_, list)| has_equivocated(list));
        let culprits: Vec<ValidatorIndex> = culprits.map(|(signer, _)| *signer).collect();
        for culprit in culprits {
            let signed = heard.signed.remove(&culprit);
            if !bft.has_reported(view, culprit) {
                let message = format!("slot {slot} does not show that {culprit} signed {signed:?}");
                return Err(("I14 equivocations are reported", message));
            }
            self.equivocations.shown += 1;
        }
        Ok(())
    }
}

/// What no honest validator signs both of.
fn exclude(a: &Statement, b: &Statement) -> bool {
    match (a.kind, b.kind) {
        (VoteKind::Nullify, VoteKind::Finalize) => true,
        (kind, same) => kind == same && a.block.hash != b.block.hash,
    }
}
