//! Votes for everything, and for giving it up.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use decube_core::bft::{self, BlockRef, Epoch, Statement, VoteKind};
use decube_core::crypto::Digest;
use decube_core::node::Message;
use decube_core::types::NodeId;

use super::mind::{VIEWS_MAX, place_in};
use super::{Adversary, Deviation, Mind, Scene, wrapped};

/// How far from its own view a Byzantine node votes for everything: fewer views than it remembers,
/// so that none of them is forgotten while it may be voted in.
const VIEWS_NEAR: u64 = 15;
const _: () = assert!(2 * VIEWS_NEAR < VIEWS_MAX as u64);
/// Times that it votes for everything in one view.
const VOTES_PER_VIEW_MAX: u64 = 8;

/// It votes for whatever it hears of.
#[derive(Debug, Default)]
pub(super) struct DoubleVotes {
    /// How often it voted for everything in a view: Byzantine nodes hear each other, and would
    /// answer each other without end.
    voted: BTreeMap<(Epoch, bft::View), u64>,
}

impl Adversary for DoubleVotes {
    fn on_receive(
        &mut self,
        mind: &mut Mind,
        scene: &Scene<'_>,
        _from: NodeId,
        message: &Message,
        deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        if let Message::Ledger(message) = message
            && let Some((epoch, block)) = place_in(message)
        {
            self.vote_for_all(mind, scene, epoch, block, deviations);
        }
        ControlFlow::Continue(())
    }
}

impl DoubleVotes {
    /// Notarises and finalises every block of a view that it knows of, and one that nobody
    /// has, and gives the view up as well. In a run that is to fork each side hears of its own
    /// block.
    fn vote_for_all(
        &mut self,
        mind: &mut Mind,
        scene: &Scene<'_>,
        epoch: Epoch,
        block: BlockRef,
        deviations: &mut Vec<Deviation>,
    ) {
        let Some(me) = scene.bft.validator() else {
            return;
        };
        let is_near = block.view.0.abs_diff(scene.bft.view().0) <= VIEWS_NEAR;
        let is_now = epoch == scene.bft.epoch().epoch && is_near;
        if !is_now || (!mind.fork && !mind.draw().chance(300_000)) {
            return;
        }
        let known = mind.blocks.get(&(epoch, block.view));
        let known = known.cloned().unwrap_or_default();
        let times = self.voted.entry((epoch, block.view)).or_default();
        *times += 1;
        let is_enough = *times > VOTES_PER_VIEW_MAX;
        while self.voted.len() > VIEWS_MAX {
            self.voted.pop_first();
        }
        if is_enough {
            return;
        }
        if !mind.fork {
            // For what nobody has, and first: a tally must keep it apart from the rest.
            let nowhere = BlockRef {
                hash: Digest([8; 32]),
                ..block
            };
            let vote = mind.signed(Statement::on(VoteKind::Notarize, epoch, nowhere), me);
            mind.spread(scene, &wrapped(bft::Message::Vote(vote)), deviations);
        }
        for block in known {
            for kind in kinds_for(mind, &block) {
                let vote = mind.signed(Statement::on(*kind, epoch, block), me);
                let message = wrapped(bft::Message::Vote(vote));
                match mind.fork {
                    true => spread_on_its_side(mind, scene, block, &message, deviations),
                    false => mind.spread(scene, &message, deviations),
                }
            }
        }
        if !mind.fork {
            let vote = mind.signed(Statement::nullify(epoch, block.view), me);
            mind.spread(scene, &wrapped(bft::Message::Vote(vote)), deviations);
        }
    }
}

/// Which votes it casts for a block.
fn kinds_for(mind: &Mind, block: &BlockRef) -> &'static [VoteKind] {
    match (mind.leaves_no_proof, mind.sides.get(&block.hash)) {
        (true, Some(true)) => &[VoteKind::Finalize],
        (true, _) => &[VoteKind::Notarize],
        (false, _) => &[VoteKind::Notarize, VoteKind::Finalize],
    }
}

/// To those that have this block, and to the other Byzantine nodes.
fn spread_on_its_side(
    mind: &Mind,
    scene: &Scene<'_>,
    block: BlockRef,
    message: &Message,
    deviations: &mut Vec<Deviation>,
) {
    let Some(side) = mind.sides.get(&block.hash) else {
        return;
    };
    for to in scene.peers.iter().filter(|peer| **peer != scene.me) {
        if mind.side(*to, block.view.0) == *side {
            let (to, message) = (*to, message.clone());
            deviations.push(Deviation {
                to,
                message,
                after: 0,
            });
        }
    }
}
