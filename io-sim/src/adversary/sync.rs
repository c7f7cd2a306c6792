//! Wrong answers to those who catch up.

use std::ops::ControlFlow;

use decube_core::bft::{self, Epoch, FinalBlocks, View, VoteKind};
use decube_core::ledger;
use decube_core::node::Message;

use super::{Adversary, Deviation, Mind, Outgoing, Scene, wrapped};

/// It twists what it answers, and answers what nobody asked.
#[derive(Debug)]
pub(super) struct SyncDeviations;

impl Adversary for SyncDeviations {
    fn on_send(&mut self, mind: &mut Mind, _scene: &Scene<'_>, deviation: Deviation) -> Outgoing {
        match deviation.message {
            Message::Ledger(ledger::Message::Bft(answer))
                if !matches!(answer, bft::Message::Proposal(_)) =>
            {
                match twist_answer(mind, answer) {
                    Some(answer) => Outgoing::Pass(Deviation {
                        message: wrapped(answer),
                        ..deviation
                    }),
                    None => Outgoing::Nothing,
                }
            }
            message => Outgoing::Pass(Deviation {
                message,
                ..deviation
            }),
        }
    }

    fn on_idle(
        &mut self,
        mind: &mut Mind,
        scene: &Scene<'_>,
        deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        if let Some(blocks) = blocks_of_nobody(mind) {
            let message = wrapped(bft::Message::Blocks(Box::new(blocks)));
            mind.spread(scene, &message, deviations);
        }
        ControlFlow::Continue(())
    }
}

/// An answer that nobody asked for: a block that it heard of, claimed to be final.
fn blocks_of_nobody(mind: &mut Mind) -> Option<FinalBlocks> {
    let proposed = |message: &ledger::Message| match message {
        ledger::Message::Bft(bft::Message::Proposal(proposal)) => Some(proposal.block.clone()),
        _ => None,
    };
    let block = mind.heard.iter().rev().find_map(proposed)?;
    let at = mind.draw().index(mind.certs.len().max(1));
    let mut finalization = mind.certs.get(at)?.clone();
    if mind.draw().coin() {
        // Good votes, for another block.
        finalization.statement.block = block.place();
        finalization.statement.kind = VoteKind::Finalize;
    }
    Some(FinalBlocks {
        blocks: vec![block],
        path: Vec::new(),
        finalization,
    })
}

/// Another answer than the honest one, or none.
fn twist_answer(mind: &mut Mind, answer: bft::Message) -> Option<bft::Message> {
    let way = mind.draw().below(6);
    Some(match answer {
        bft::Message::Blocks(mut blocks) => {
            match way {
                0 => return None,
                1 => blocks.blocks.reverse(),
                2 => {
                    let first = blocks.blocks[0].clone();
                    blocks.blocks.push(first);
                }
                3 => blocks.path.clear(),
                _ => {
                    let other = mind.certs.front().cloned();
                    blocks.finalization = other.unwrap_or(blocks.finalization);
                }
            }
            bft::Message::Blocks(blocks)
        }
        bft::Message::Status(mut status) => {
            match way {
                0 => return None,
                1 => status.view = View(status.view.0 + 1_000),
                2 => status.finalization = None,
                3 => status.entered_by = mind.certs.back().cloned(),
                _ => status.epoch = Epoch(status.epoch.0 + 1),
            }
            bft::Message::Status(status)
        }
        bft::Message::Block(_) if way < 3 => return None,
        answer => answer,
    })
}
