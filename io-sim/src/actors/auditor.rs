//! Who asks at the end for receipts of what clients know to be final, and knows the genesis
//! alone.

use decube_core::bft::Epoch;
use decube_core::ledger::{Ledger, Request, Response, TxId};
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
    /// By the token of the call.
    questions: Vec<Question>,
    answered: usize,
}

/// A receipt that it wants.
#[derive(Debug, Clone, Copy)]
struct Question {
    id: TxId,
    /// The epoch that it knows.
    from: Epoch,
    fresh: bool,
    /// How many it has asked.
    times: usize,
}

impl Auditor {
    /// One who compares receipts with what the judge saw, where nodes may forget old blocks
    /// or not.
    pub const fn new(judge: Shared<LedgerChecker>, is_pruned: bool) -> Self {
        Self {
            judge,
            is_pruned,
            questions: Vec::new(),
            answered: 0,
        }
    }
}

impl Auditor {
    /// Asks the next honest node that is up.
    fn ask<S: Subject>(&mut self, ctx: &mut Context<'_, S>, token: usize) {
        let question = &mut self.questions[token];
        let hosts = ctx.hosts().iter().enumerate();
        let living = hosts.filter(|(_, host)| host.is_honest() && host.is_up());
        let slots: Vec<usize> = living.map(|(slot, _)| slot).collect();
        // Where none is up any is asked: the call fails, and counts.
        let at = (token + question.times) % slots.len().max(1);
        let slot = slots.get(at).copied().unwrap_or(0);
        question.times += 1;
        let request = Request::Prove {
            id: question.id,
            from: question.from,
            fresh: question.fresh,
        };
        ctx.call_now(number(token), slot, request);
    }
}

impl<S: Subject> Actor<S> for Auditor {
    fn finish(&mut self, ctx: &mut Context<'_, S>) {
        let judge = self.judge.clone();
        let judge = judge.borrow();
        let known = judge.told().iter();
        let known: Vec<_> = known
            .filter(|id| judge.height_of(id).is_some_and(|at| at <= judge.target()))
            .collect();
        let step = known.len() / RECEIPTS + 1;
        let asked = known.into_iter().rev().step_by(step);
        let asked = asked.filter_map(|id| Some((*id, judge.epoch_to_prove_from(id)?)));
        let questions = asked.enumerate().map(|(at, (id, from))| {
            // Every other one under a certificate of now instead of then.
            let now = furthest(ctx.hosts()).and_then(Ledger::bft);
            let now = now.map(|bft| bft.epoch().epoch);
            let is_near = now.is_some_and(|now| now.0 <= from.0 + EPOCHS_NEAR);
            Question {
                id,
                from,
                fresh: is_near && at % 2 == 1,
                times: 0,
            }
        });
        self.questions = questions.collect();
        for token in 0..self.questions.len() {
            self.ask(ctx, token);
        }
    }

    fn answered(
        &mut self,
        ctx: &mut Context<'_, S>,
        token: u64,
        _id: RequestId,
        answer: Answer,
    ) -> Result<(), Finding> {
        let token = usize::try_from(token).expect("few questions");
        let question = self.questions[token];
        let judge = self.judge.borrow();
        let is_gone = self.is_pruned || judge.states_fetched() > 0;
        match of_ledger(answer)? {
            Some(Response::Receipt(receipt)) => {
                self.answered += 1;
                ctx.coverage().receipts_checked += 1;
                judge.on_receipt(question.from, &receipt)
            }
            Some(Response::NotFound | Response::Pruned { .. }) if is_gone => {
                self.answered += 1;
                ctx.coverage().receipts_gone += 1;
                Ok(())
            }
            // It ended meanwhile: not every one that is up has a log that lets it stay.
            None if question.times < ctx.hosts().len() => {
                drop(judge);
                self.ask(ctx, token);
                Ok(())
            }
            other => {
                let message = format!("no receipt of a final operation: {other:?}");
                Err(("receipts", message))
            }
        }
    }

    fn waits_for(&self) -> Option<Finding> {
        let asked = self.questions.len();
        (self.answered < asked).then(|| {
            let message = format!("{asked} receipts were asked for, not all came");
            ("receipts", message)
        })
    }
}
