//! Who asks at the end for receipts of what clients know to be final, and knows the genesis
//! alone.

use decube_core::bft::Epoch;
use decube_core::ledger::{Ledger, Request, Response};
use decube_core::types::RequestId;

use super::ledger::of_ledger;
use super::{Actor, Answer, Context, number};
use crate::check::ledger::LedgerChecker;
use crate::check::{Finding, Shared};
use crate::subject::Subject;
use crate::world::furthest;

/// Epochs that an answer can lead over.
const EPOCHS_NEAR: u64 = 60;
/// Receipts that are asked for.
const RECEIPTS: usize = 6;

/// The auditor of a run.
#[derive(Debug)]
pub struct Auditor {
    judge: Shared<LedgerChecker>,
    /// Nodes may forget old blocks.
    is_pruned: bool,
    asked: u64,
    answered: u64,
}

impl Auditor {
    /// One who compares receipts with what the judge saw, where nodes may forget old blocks
    /// or not.
    pub const fn new(judge: Shared<LedgerChecker>, is_pruned: bool) -> Self {
        Self {
            judge,
            is_pruned,
            asked: 0,
            answered: 0,
        }
    }
}

impl<S: Subject> Actor<S> for Auditor {
    fn finish(&mut self, ctx: &mut Context<'_, S>) {
        let judge = self.judge.borrow();
        let known = judge.told().iter();
        let known: Vec<_> = known
            .filter(|id| judge.height_of(id).is_some_and(|at| at <= judge.target()))
            .collect();
        let step = known.len() / RECEIPTS + 1;
        let asked = known.into_iter().rev().step_by(step);
        let asked = asked.filter_map(|id| Some((*id, judge.epoch_to_prove_from(id)?)));
        let hosts = ctx.hosts().iter().enumerate();
        let living = hosts.filter(|(_, host)| host.is_honest() && host.is_up());
        let slots: Vec<usize> = living.map(|(slot, _)| slot).collect();
        for (at, (id, from)) in asked.enumerate() {
            // Every other one under a certificate of now instead of then.
            let now = furthest(ctx.hosts()).and_then(Ledger::bft);
            let now = now.map(|bft| bft.epoch().epoch);
            let is_near = now.is_some_and(|now| now.0 <= from.0 + EPOCHS_NEAR);
            let request = Request::Prove {
                id,
                from,
                fresh: is_near && at % 2 == 1,
            };
            ctx.call_now(from.0, slots[at % slots.len()], request);
            self.asked = number(at + 1);
        }
    }

    fn answered(
        &mut self,
        ctx: &mut Context<'_, S>,
        token: u64,
        _id: RequestId,
        answer: Answer,
    ) -> Result<(), Finding> {
        let judge = self.judge.borrow();
        let is_gone = self.is_pruned || judge.states_fetched() > 0;
        match of_ledger(answer)? {
            Some(Response::Receipt(receipt)) => {
                self.answered += 1;
                ctx.coverage().receipts_checked += 1;
                judge.on_receipt(Epoch(token), &receipt)
            }
            Some(Response::NotFound | Response::Pruned { .. }) if is_gone => {
                self.answered += 1;
                ctx.coverage().receipts_gone += 1;
                Ok(())
            }
            other => {
                let message = format!("no receipt of a final operation: {other:?}");
                Err(("receipts", message))
            }
        }
    }

    fn waits_for(&self) -> Option<Finding> {
        (self.answered < self.asked).then(|| {
            let message = format!("{} receipts were asked for, not all came", self.asked);
            ("receipts", message)
        })
    }
}
