//! What keeps the two sides of a fork apart.

use std::ops::ControlFlow;

use decube_core::bft::{self, VoteKind};
use decube_core::ledger;
use decube_core::node::Message;
use decube_core::types::NodeId;

use super::{Adversary, Deviation, Mind, Outgoing, Scene};

/// In a run that is to fork: the votes of the honest process do not leave, since they
/// would go to both sides, and it is remembered who is on which side of a block.
#[derive(Debug)]
pub(super) struct Forking;

impl Adversary for Forking {
    fn on_send(&mut self, _mind: &mut Mind, _scene: &Scene<'_>, deviation: Deviation) -> Outgoing {
        match deviation.bft() {
            Some(bft::Message::Vote(_)) => Outgoing::Nothing,
            _ => Outgoing::Pass(deviation),
        }
    }

    fn on_receive(
        &mut self,
        mind: &mut Mind,
        _scene: &Scene<'_>,
        from: NodeId,
        message: &Message,
        _deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        if let Message::Ledger(ledger::Message::Bft(bft::Message::Vote(vote))) = message
            && vote.statement.kind == VoteKind::Notarize
        {
            let side = mind.side(from, vote.statement.view().0);
            mind.sides.entry(vote.statement.block.hash).or_insert(side);
        }
        ControlFlow::Continue(())
    }
}
