//! The states that others may fetch here.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::message::{Chunk, StateCheckpoint, SyncMessage};
use crate::bft::{Epoch, Header, Height};
use crate::codec::Encode as _;
use crate::crypto::Digest;
use crate::ledger::chain::history::History;
use crate::ledger::chain::record::{FinalBlock, end_of, epoch_key};
use crate::ledger::effect::Effect;
use crate::ledger::execution::branch::Branch;
use crate::ledger::message::Message;
use crate::ledger::reads::Purpose;
use crate::ledger::state::Ledger;
use crate::limits::{
    LEDGER_ANSWER_BYTES_MAX, LEDGER_CHECKPOINTS_KEPT, LEDGER_CHUNK_BYTES_MAX,
    LEDGER_CHUNK_PAIRS_MAX, LEDGER_SYNC_EPOCHS_MAX,
};
use crate::machine::Outbox;
use crate::merkle::{KeyHash, StateTree, Tile};
use crate::proof::ledger::{EpochEnd, Finality};
use crate::types::NodeId;

/// The last states at heights that all nodes agree on. They share all that has not
/// changed since with the present one, so keeping them costs what has.
#[derive(Debug, Default, Hash)]
pub(in crate::ledger) struct StateCheckpoints {
    kept: VecDeque<Kept>,
}

/// One of them.
#[derive(Debug, Hash)]
struct Kept {
    branch: Arc<Branch>,
    block: Header,
    /// That the next block is final: only then the state is proven.
    child: Option<Finality>,
    /// The open tiles of the history up to it.
    tiles: Vec<Tile>,
}

impl StateCheckpoints {
    /// A block is final.
    pub(in crate::ledger) fn on_final(
        &mut self,
        branch: &Arc<Branch>,
        block: &FinalBlock,
        history: &History,
        spacing: u64,
    ) {
        let header = *block.block.header();
        if let Some(last) = self.kept.back_mut()
            && last.branch.height.next() == header.height
        {
            last.child = Some(block.finality());
        }
        if header.height.0.is_multiple_of(spacing.max(1)) {
            self.kept.push_back(Kept {
                branch: branch.clone(),
                block: header,
                child: None,
                tiles: history.open_tiles(),
            });
            if self.kept.len() > LEDGER_CHECKPOINTS_KEPT {
                self.kept.pop_front();
            }
        }
    }

    /// How many are kept.
    pub(in crate::ledger) fn len(&self) -> usize {
        self.kept.len()
    }

    /// The newest one that is proven.
    fn newest(&self) -> Option<StateCheckpoint> {
        self.kept.iter().rev().find_map(|kept| {
            Some(StateCheckpoint {
                block: kept.block,
                child: kept.child.clone()?,
                history: kept.branch.history.clone(),
                tiles: kept.tiles.clone(),
            })
        })
    }

    fn state(&self, block: &Digest) -> Option<&StateTree> {
        let kept = self.kept.iter().find(|kept| kept.branch.hash == *block)?;
        Some(kept.branch.ledger_state().tree())
    }
}

impl Ledger {
    pub(in crate::ledger) fn serve_sync(
        &mut self,
        to: NodeId,
        question: SyncMessage,
        out: &mut Outbox<Effect>,
    ) {
        match question {
            SyncMessage::AskEpochs { from } => self.read_ends_for(to, from, out),
            SyncMessage::AskCheckpoint { above } => self.serve_checkpoint(to, above, out),
            SyncMessage::AskChunk { block, after } => {
                let state = self.sync.checkpoints.state(&block);
                let found = state.and_then(|state| chunk(state, block, after));
                let answer = match found {
                    Some(chunk) => SyncMessage::Chunk(Box::new(chunk)),
                    None => SyncMessage::Gone { block },
                };
                send(to, answer, out);
            }
            _ => unreachable!("answers go elsewhere"),
        }
    }

    fn serve_checkpoint(&self, to: NodeId, above: Height, out: &mut Outbox<Effect>) {
        let newest = self.sync.checkpoints.newest();
        if let Some(checkpoint) = newest.filter(|checkpoint| checkpoint.block.height > above) {
            send(to, SyncMessage::Checkpoint(Box::new(checkpoint)), out);
        }
    }

    /// Reads how epochs ended for a peer, one read at a time.
    fn read_ends_for(&mut self, to: NodeId, from: Epoch, out: &mut Outbox<Effect>) {
        if self.begin_serving(to) {
            let range = (epoch_key(from), end_of(b'e'));
            self.read(Purpose::Ends(to, from), range, LEDGER_ANSWER_BYTES_MAX, out);
        }
    }
}

/// Sends the ends of epochs from one on, as many as one answer holds.
pub(in crate::ledger) fn answer_ends(
    to: NodeId,
    from: Epoch,
    ends: Vec<EpochEnd>,
    out: &mut Outbox<Effect>,
) {
    let mut room = LEDGER_ANSWER_BYTES_MAX;
    let mut answer = Vec::new();
    for (end, epoch) in ends.into_iter().zip(from.0..) {
        let is_next = end.finality.header.epoch == Epoch(epoch);
        if !is_next || room == 0 || answer.len() >= LEDGER_SYNC_EPOCHS_MAX {
            break;
        }
        room = room.saturating_sub(end.to_bytes().len());
        answer.push(end);
    }
    send(to, SyncMessage::Epochs(answer), out);
}

/// The entries behind a place, as many as one chunk holds; none if nothing stands
/// there.
fn chunk(state: &StateTree, block: Digest, after: Option<KeyHash>) -> Option<Chunk> {
    let entries = match &after {
        None => state.iter(),
        Some(after) => state.iter_after(after),
    };
    let mut room = LEDGER_CHUNK_BYTES_MAX;
    let mut pairs: Vec<(Bytes, Bytes)> = Vec::new();
    for entry in entries.take(LEDGER_CHUNK_PAIRS_MAX) {
        if room == 0 {
            break;
        }
        let bytes = entry.key.len().saturating_add(entry.value.len());
        room = room.saturating_sub(bytes);
        pairs.push((entry.key.clone(), entry.value.clone()));
    }
    let (last, _) = pairs.last()?;
    let path = state.prove(last).path;
    Some(Chunk {
        block,
        after,
        pairs,
        path,
    })
}

pub(super) fn send(to: NodeId, message: SyncMessage, out: &mut Outbox<Effect>) {
    let message = Message::Sync(message);
    out.push(Effect::Send { to, message });
}

#[cfg(test)]
#[path = "../tests/asserts_checkpoints.rs"]
mod tests;
