//! Reports of equivocations that were none.

use std::ops::ControlFlow;

use decube_core::bft::{Epoch, Evidence, Height, Statement, VoteKind};
use decube_core::crypto::Digest;
use decube_core::ledger::Operation;
use decube_core::node::Message;

use super::{Adversary, Deviation, Mind, Scene};

/// Evidence with a vote that was never cast.
#[derive(Debug)]
pub(super) struct FalseReport;

impl Adversary for FalseReport {
    fn on_idle(
        &mut self,
        mind: &mut Mind,
        scene: &Scene<'_>,
        deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        if let Some(message) = false_report(mind, scene) {
            mind.spread(scene, &message, deviations);
        }
        ControlFlow::Continue(())
    }
}

/// Somebody honest, reported for a vote that it never cast.
fn false_report(mind: &mut Mind, scene: &Scene<'_>) -> Option<Message> {
    if mind.votes.is_empty() {
        return None;
    }
    let at = mind.draw().index(mind.votes.len());
    let real = mind.votes[at];
    let mut block = real.statement.block;
    block.hash = Digest([5; 32]);
    block.height = Height(block.height.0.max(1));
    let epoch = match mind.draw().below(4) {
        0 => Epoch(u64::MAX),
        _ => real.statement.epoch,
    };
    let kind = match real.statement.kind {
        VoteKind::Nullify => VoteKind::Finalize,
        kind => kind,
    };
    let mut first = real;
    first.statement.epoch = epoch;
    let forged = mind.signed(Statement::on(kind, epoch, block), real.signer);
    let evidence = Evidence::of(first, forged)?;
    Some(mind.transaction(scene, Operation::Evidence(Box::new(evidence))))
}
