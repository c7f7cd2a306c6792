//! Two good blocks of one view, each to some.

use decube_core::bft::Proposal;

use super::{Adversary, Deviation, Mind, Outgoing, Scene};

/// One side hears of another block than the other one.
#[derive(Debug)]
pub(super) struct Equivocation;

impl Adversary for Equivocation {
    fn on_send(&mut self, mind: &mut Mind, scene: &Scene<'_>, deviation: Deviation) -> Outgoing {
        let Some(view) = deviation.view() else {
            return Outgoing::Pass(deviation);
        };
        Outgoing::Pass(match mind.side(deviation.to, view) {
            true => deviation.with_proposal(|proposal| other_block(mind, scene, proposal)),
            false => deviation,
        })
    }
}

/// Another block of the same view that breaks no rule.
fn other_block(mind: &Mind, scene: &Scene<'_>, proposal: Proposal) -> Proposal {
    let mut header = *proposal.block.header();
    header.content.time_ms = header.content.time_ms.saturating_add(1);
    mind.with_block(scene, proposal, header, None)
}
