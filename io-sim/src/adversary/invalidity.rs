//! Blocks that break a rule.

use bytes::Bytes;
use decube_core::bft::{self, Epoch, Proposal, ValidatorIndex, View};
use decube_core::crypto::Digest;

use super::{Adversary, Deviation, Mind, Outgoing, Scene};
use crate::rng::Draw;

/// Every other block of its own is none that anybody may vote for.
#[derive(Debug)]
pub(super) struct Invalidity;

impl Adversary for Invalidity {
    fn on_send(&mut self, mind: &mut Mind, scene: &Scene<'_>, deviation: Deviation) -> Outgoing {
        let Some(view) = deviation.view() else {
            return Outgoing::Pass(deviation);
        };
        let bad = mind.of_view(view);
        Outgoing::Pass(match bad.coin() {
            true => deviation
                .with_proposal(|proposal| invalid_block(mind, scene, proposal, bad.again())),
            false => deviation,
        })
    }
}

/// A block that breaks a rule.
fn invalid_block(mind: &Mind, scene: &Scene<'_>, proposal: Proposal, draw: Draw) -> Proposal {
    let mut header = *proposal.block.header();
    let mut items = None;
    let wrong = Digest([7; 32]);
    match draw.below(16) {
        14 | 15 => return sibling(mind, scene, proposal),
        0 => header.content.parent_state = wrong,
        1 => header.content.history = wrong,
        2 => header.content.parent_receipts = wrong,
        3 => header.content.validators = wrong,
        4 => {
            header.content.ends_epoch = !header.content.ends_epoch;
            header.content.next_validators = wrong;
        }
        5 => {
            let mut more = proposal.block.items().to_vec();
            more.push(Bytes::from_static(b"no transaction"));
            items = Some(more);
        }
        6 => {
            let mut twice = proposal.block.items().to_vec();
            twice.extend_from_within(..);
            items = Some(twice);
        }
        7 => header.content.time_ms += 3_600_000,
        8 => header.content.time_ms = 0,
        9 => header.height = header.height.next(),
        10 => header.proposer = ValidatorIndex(header.proposer.0 ^ 1),
        11 => header.epoch = Epoch(header.epoch.0 + 1),
        12 => header.parent_view = View(header.parent_view.0 ^ 1),
        _ => header.parent = wrong,
    }
    mind.with_block(scene, proposal, header, items)
}

/// A block beside its own parent, good in itself: it passes by a view that was not
/// given up.
fn sibling(mind: &Mind, scene: &Scene<'_>, proposal: Proposal) -> Proposal {
    let header = *proposal.block.header();
    let Some(parent) = scene.bft.block(&header.parent) else {
        return proposal;
    };
    let beside = bft::Header {
        view: header.view,
        proposer: header.proposer,
        ..*parent.header()
    };
    mind.with_block(scene, proposal, beside, Some(parent.items().to_vec()))
}
