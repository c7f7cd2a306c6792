//! Two good blocks of one view, each to some.

use decube_core::bft::Proposal;

use super::{Adversary, Deviation, Mind, Said, Scene};

/// One side hears of another block than the other one.
#[derive(Debug)]
pub(super) struct Equivocation;

impl Adversary for Equivocation {
    fn on_send(&mut self, mind: &mut Mind, scene: &Scene<'_>, deviation: Deviation) -> Said {
        let Some(view) = deviation.view() else {
            return Said::Pass(deviation);
        };
        Said::Pass(match mind.side(deviation.to, view) {
            true => deviation.with_proposal(|said| other_block(mind, scene, said)),
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
