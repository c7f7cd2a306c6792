//! How a Byzantine node says a block: in the short form or not, and what it answers for it.

use std::collections::VecDeque;

use bytes::Bytes;
use decube_core::bft::{self, Block, Proposal};
use decube_core::crypto::Digest;
use decube_core::ledger::{self, Compact};
use decube_core::node::Message;
use decube_core::types::NodeId;

use super::{Deviation, Mind, wrapped};
use crate::config::AdversarySettings;

/// Blocks for whose items a Byzantine node answers.
const SPOKEN_MAX: usize = 8;

/// What every Byzantine node says of its blocks, whatever else it does.
#[derive(Debug)]
pub(super) struct Speech {
    /// Blocks that it sent by the hashes of their items, to answer for them.
    spoken: VecDeque<Block>,
    /// It lists wrong items.
    spoils: bool,
    /// It answers something else, or nothing.
    evades: bool,
}

impl Speech {
    pub(super) const fn new(settings: &AdversarySettings) -> Self {
        let withholds = settings.strategies >> 1 & 1 == 1;
        let spoils = settings.strategies >> 4 & 1 == 1;
        Self {
            spoken: VecDeque::new(),
            spoils,
            evades: spoils || withholds,
        }
    }

    /// A message leaves: a block of its own mostly in the short form.
    pub(super) fn say(&mut self, mind: &mut Mind, deviation: Deviation) -> Deviation {
        let Message::Ledger(ledger::Message::Bft(bft::Message::Proposal(proposal))) =
            deviation.message
        else {
            return deviation;
        };
        let header = *proposal.block.header();
        mind.note((header.epoch, header.view), proposal.block.place());
        if mind.fork {
            let side = mind.side(deviation.to, header.view.0);
            mind.sides.insert(proposal.block.hash(), side);
        }
        let draw = mind.of_view(header.view.0);
        let message = match draw.again().again().again().chance(700_000) {
            true => self.in_short(mind, *proposal),
            false => wrapped(bft::Message::Proposal(proposal)),
        };
        Deviation {
            message,
            ..deviation
        }
    }

    /// The short form of a block, which may be wrong.
    fn in_short(&mut self, mind: &mut Mind, proposal: Proposal) -> Message {
        if !self.spoken.contains(&proposal.block) {
            self.spoken.push_back(proposal.block.clone());
            if self.spoken.len() > SPOKEN_MAX {
                self.spoken.pop_front();
            }
        }
        let mut compact = Compact::of(proposal);
        if self.spoils && mind.draw().chance(300_000) {
            spoil_list(mind, &mut compact);
        }
        ledger::Message::Compact(Box::new(compact)).into()
    }

    /// What it says to those who lack items of its block: the truth, something else or
    /// nothing.
    pub(super) fn answer(
        &mut self,
        mind: &mut Mind,
        to: NodeId,
        block: Digest,
        places: &[u32],
    ) -> Option<Deviation> {
        let way = match self.evades {
            true => mind.draw().below(6),
            false => 5,
        };
        let known = self.spoken.iter().find(|known| known.hash() == block)?;
        let item = |place: &u32| known.items().get(usize::try_from(*place).ok()?).cloned();
        let mut items: Vec<Bytes> = places.iter().filter_map(item).collect();
        match way {
            0 => return None,
            1 => items.truncate(1),
            2 => items = vec![Bytes::from_static(b"something else"); items.len()],
            3 => items.reverse(),
            _ => {}
        }
        Some(Deviation {
            to,
            message: ledger::Message::Items { block, items }.into(),
            after: 0,
        })
    }
}

/// A list of items that is not the one of the header, or of items that nobody has.
fn spoil_list(mind: &mut Mind, compact: &mut Compact) {
    match mind.draw().below(4) {
        0 => compact.leaves.reverse(),
        1 => compact.leaves.push(Digest([8; 32])),
        2 => compact.leaves.clear(),
        _ => compact.header.content.items_bytes ^= 1,
    }
}
