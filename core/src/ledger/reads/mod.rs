//! Reads of the store for peers and clients, and what is done with what they find.
//!
//! | file | holds |
//! |---|---|
//! | `request.rs` | what clients ask, and what they are answered |
//! | `requests.rs` | how each question is answered |
//! | `run.rs` | final blocks for other parts of the node |

pub mod request;
mod requests;
mod run;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::chain::consensus::answer_blocks;
use super::chain::history::{Draft, TileReads};
use super::chain::record::{FinalBlock, block_key, end_of, epoch_key, location_key, only};
use super::effect::Effect;
use super::event::{ReadOn, Reader};
use super::state::Ledger;
use super::state_sync::answer_ends;
use crate::bft::{Epoch, Header, Height};
use crate::codec::{Decode, Encode as _};
use crate::io::ReadId;
use crate::ledger_types::{ResultsHead, TxId};
use crate::limits::{
    LEDGER_ANSWER_BYTES_MAX, LEDGER_EPOCHS_ANSWERED_MAX, LEDGER_READS_MAX, LEDGER_READS_SERVED_MAX,
    STORE_READ_BYTES_MAX, VALIDATORS_MAX,
};
use crate::machine::Outbox;
use crate::merkle::{LeafHash, LeafIndex, Tree, TreeSize};
use crate::proof::ledger::{Checkpoint, EpochEnd, Extension, OutcomeProof, Past, Receipt};
use crate::store::Page;
use crate::types::{NodeId, RequestId};
use request::{OperationLocation, Response, TxState};
use requests::Again;

/// A receipt needs the block of its operation and the next one, which commits to the
/// results.
const RECEIPT_BLOCKS: usize = 2;

/// Reads that are under way.
#[derive(Debug, Default, Hash)]
pub(in crate::ledger) struct Reads {
    last: ReadId,
    open: BTreeMap<ReadId, Purpose>,
    /// Peers that blocks are being read for: one read each.
    serving: BTreeSet<NodeId>,
}

/// What a read is for.
#[derive(Debug, Hash)]
pub(in crate::ledger) enum Purpose {
    Recovery,
    /// A run of blocks for a peer.
    Serve(NodeId),
    /// Ends of epochs from this one on, for a peer.
    Ends(NodeId, Epoch),
    /// What an earlier life has fetched of a state.
    Staged,
    /// Where an operation stands.
    Locate(Question),
    /// The block of an operation and the one after it.
    Blocks(Question, OperationLocation),
    /// Where an operation of a refused transaction stands, if it is final.
    Again(Box<Again>),
    /// A block for a client.
    Block(RequestId),
    /// A header for a client.
    Header(RequestId),
    /// Ends of epochs for a client.
    Epochs(RequestId),
    /// A tile of the history for a proof.
    Tile(Box<TileReads>),
    /// A block whose history is wanted.
    Head(HeadAsk),
    /// Ends of epochs that complete a proof.
    Complete(RequestId, Proof, usize),
    /// Where whole blocks begin, for a part that reads on.
    RunHead(ReadOn),
    /// A run of blocks for it.
    Run(ReadOn),
}

/// What a client asks about an operation.
#[derive(Debug, Clone, Copy, Hash)]
pub(in crate::ledger) struct Question {
    pub(in crate::ledger) request: RequestId,
    pub(in crate::ledger) id: TxId,
    /// What proof is wanted; none if only the place is.
    pub(in crate::ledger) proof: Option<ProofAsk>,
}

/// Which proof of an operation is wanted.
#[derive(Debug, Clone, Copy, Hash)]
pub(in crate::ledger) struct ProofAsk {
    /// The epoch that the client trusts.
    pub(in crate::ledger) from: Epoch,
    /// Whether it is to be under the last final block.
    pub(in crate::ledger) fresh: bool,
}

/// What a client asks about the history before a block.
#[derive(Debug, Clone, Copy, Hash)]
pub(in crate::ledger) struct HeadAsk {
    pub(in crate::ledger) request: RequestId,
    /// The epoch that the client trusts.
    pub(in crate::ledger) from: Epoch,
    /// The size of the older history that it has to continue, if one is given.
    pub(in crate::ledger) old: Option<TreeSize>,
}

/// A proof that lacks the way from the trusted epoch.
#[derive(Debug, Hash)]
pub(in crate::ledger) enum Proof {
    Receipt(Box<Receipt>),
    Checkpoint(Box<Checkpoint>),
    Extension(Box<Extension>),
}

impl Reads {
    pub(in crate::ledger) fn begin(&mut self, purpose: Purpose) -> ReadId {
        self.last = ReadId(self.last.0.checked_add(1).expect("few reads"));
        self.open.insert(self.last, purpose);
        self.last
    }

    /// Notes that something is read for a peer; whether nothing was before, and it has its
    /// place. Each validator has one of its own, which no others can take up.
    pub(in crate::ledger) fn begin_serving(&mut self, to: NodeId, is_validator: bool) -> bool {
        let of_others = LEDGER_READS_SERVED_MAX - VALIDATORS_MAX;
        let has_room = self.serving.len() < of_others
            || is_validator && self.serving.len() < LEDGER_READS_SERVED_MAX;
        has_room && self.serving.insert(to)
    }

    /// Whether so much is read for clients that nothing more should begin.
    pub(in crate::ledger) fn is_full(&self) -> bool {
        self.open.len().saturating_sub(self.serving.len()) >= LEDGER_READS_MAX
    }

    pub(in crate::ledger) fn len(&self) -> usize {
        self.open.len()
    }

    /// The last one that was begun.
    pub(in crate::ledger) const fn last(&self) -> ReadId {
        self.last
    }

    /// G5 Whoever is served is read for, and nobody twice.
    pub(in crate::ledger) fn check(&self) {
        let peers = self.open.values().filter_map(Purpose::peer);
        let peers: Vec<NodeId> = peers.collect();
        assert_eq!(
            peers.len(),
            self.serving.len(),
            "G5: one read for each peer"
        );
        assert!(
            peers.iter().all(|peer| self.serving.contains(peer)),
            "G5: who is read for is served"
        );
        let readers = || self.open.values().filter_map(Purpose::reader);
        assert_eq!(
            readers().collect::<BTreeSet<Reader>>().len(),
            readers().count(),
            "G5: one read for each part"
        );
        let newest = self.open.last_key_value().map(|(id, _)| *id);
        assert!(newest <= Some(self.last), "G5: only what was begun is read");
    }

    /// The clients that wait for a read; they are forgotten.
    pub(in crate::ledger) fn take_clients(&mut self) -> Vec<RequestId> {
        let open = core::mem::take(&mut self.open);
        open.values().filter_map(Purpose::client).collect()
    }
}

impl Purpose {
    /// The peer that it is for.
    const fn peer(&self) -> Option<NodeId> {
        match self {
            Self::Serve(peer) | Self::Ends(peer, _) => Some(*peer),
            _ => None,
        }
    }

    /// The part that it is for.
    const fn reader(&self) -> Option<Reader> {
        match self {
            Self::RunHead(ask) | Self::Run(ask) => Some(ask.reader),
            _ => None,
        }
    }

    /// The client that it is for.
    fn client(&self) -> Option<RequestId> {
        match self {
            Self::Recovery | Self::Serve(_) | Self::Ends(..) | Self::Staged => None,
            Self::RunHead(_) | Self::Run(_) => None,
            Self::Locate(question) | Self::Blocks(question, _) => Some(question.request),
            Self::Again(again) => Some(again.request),
            Self::Tile(reads) => Some(reads.request),
            Self::Head(ask) => Some(ask.request),
            Self::Block(request)
            | Self::Header(request)
            | Self::Epochs(request)
            | Self::Complete(request, ..) => Some(*request),
        }
    }
}

impl Ledger {
    pub(in crate::ledger) fn on_store_read(
        &mut self,
        id: ReadId,
        page: Page,
        out: &mut Outbox<Effect>,
    ) {
        let Some(purpose) = self.reads.open.remove(&id) else {
            return;
        };
        let Page { pairs, is_last } = page;
        match purpose {
            Purpose::Recovery => self.on_recovery_page(pairs, out),
            Purpose::Serve(to) => {
                self.reads.serving.remove(&to);
                if let Some(blocks) = decode_all::<FinalBlock>(&pairs) {
                    let blocks: Vec<Arc<FinalBlock>> = blocks.into_iter().map(Arc::new).collect();
                    answer_blocks(to, &blocks, out);
                }
            }
            Purpose::Ends(to, from) => {
                self.reads.serving.remove(&to);
                if let Some(ends) = decode_all::<EpochEnd>(&pairs) {
                    answer_ends(to, from, ends, out);
                }
            }
            Purpose::Staged => self.on_staged(pairs, out),
            Purpose::Locate(question) => match decode_all::<OperationLocation>(&pairs).as_deref() {
                Some([located]) => self.located(question, *located, out),
                Some(_) => reply(question.request, Response::NotFound, out),
                None => reply(question.request, Response::Unavailable, out),
            },
            Purpose::Again(again) => {
                let found = decode_all::<OperationLocation>(&pairs).and_then(|mut all| all.pop());
                self.on_looked_up_again(*again, found, out);
            }
            Purpose::Blocks(question, located) => match decode_all::<FinalBlock>(&pairs) {
                Some(blocks) => {
                    let blocks: Vec<Arc<FinalBlock>> = blocks.into_iter().map(Arc::new).collect();
                    self.prove(question, located, &blocks, out);
                }
                None => reply(question.request, Response::Unavailable, out),
            },
            Purpose::Block(request) => {
                let found = decode_all::<FinalBlock>(&pairs).and_then(|mut all| all.pop());
                let response =
                    found.map_or(Response::NotFound, |block| Response::Block(Arc::new(block)));
                reply(request, response, out);
            }
            Purpose::Header(request) => {
                let found = decode_all::<Header>(&pairs).and_then(|mut all| all.pop());
                let found = found.map(|header| Response::Header(Box::new(header)));
                reply(request, found.unwrap_or(Response::NotFound), out);
            }
            Purpose::Epochs(request) => reply(request, epochs(&pairs), out),
            Purpose::Tile(reads) => self.on_tile(reads, &pairs, out),
            Purpose::Head(ask) => {
                let found = decode_all::<FinalBlock>(&pairs).and_then(|mut all| all.pop());
                match found {
                    Some(block) => self.tell_history(ask, &block, out),
                    None => reply(ask.request, Response::NotFound, out),
                }
            }
            Purpose::RunHead(ask) => self.on_run_head(ask, &pairs, out),
            Purpose::Run(ask) => self.on_run(ask, &pairs, is_last, out),
            Purpose::Complete(request, proof, count) => {
                let ends = decode_all::<EpochEnd>(&pairs).filter(|ends| ends.len() == count);
                let response = ends.map_or(Response::NotFound, |ends| complete(proof, ends));
                reply(request, response, out);
            }
        }
    }

    /// Reads blocks for a peer, one run at a time.
    pub(in crate::ledger) fn read_blocks_for(
        &mut self,
        to: NodeId,
        from: Height,
        out: &mut Outbox<Effect>,
    ) {
        if self.begin_serving(to) {
            let range = (block_key(from), end_of(b'b'));
            self.read(Purpose::Serve(to), range, LEDGER_ANSWER_BYTES_MAX, out);
        }
    }

    /// Whether something may be read for a peer now.
    pub(in crate::ledger) fn begin_serving(&mut self, to: NodeId) -> bool {
        let set = self.phase.running().map(|one| &one.bft.epoch().validators);
        let is_validator = set.is_some_and(|set| set.index_of(to).is_some());
        self.reads.begin_serving(to, is_validator)
    }

    /// What became of an operation that does not wait here.
    pub(in crate::ledger) fn look_up(&mut self, question: Question, out: &mut Outbox<Effect>) {
        match self.recent.locate(&question.id) {
            Some(located) => self.located(question, located, out),
            None => {
                let range = only(location_key(&question.id));
                self.read(Purpose::Locate(question), range, 1, out);
            }
        }
    }

    fn located(
        &mut self,
        question: Question,
        located: OperationLocation,
        out: &mut Outbox<Effect>,
    ) {
        if question.proof.is_none() {
            let state = TxState::Final(located);
            return reply(question.request, Response::Transaction(state), out);
        }
        let blocks: Vec<Arc<FinalBlock>> = self
            .recent
            .from(located.height)
            .take(RECEIPT_BLOCKS)
            .cloned()
            .collect();
        if !blocks.is_empty() {
            return self.prove(question, located, &blocks, out);
        }
        if self.is_pruned(located.height) {
            return reply(question.request, self.pruned(), out);
        }
        let behind = Height(located.height.0.saturating_add(RECEIPT_BLOCKS as u64));
        let range = (block_key(located.height), block_key(behind));
        self.read(
            Purpose::Blocks(question, located),
            range,
            STORE_READ_BYTES_MAX,
            out,
        );
    }

    fn prove(
        &mut self,
        question: Question,
        located: OperationLocation,
        blocks: &[Arc<FinalBlock>],
        out: &mut Outbox<Effect>,
    ) {
        let ask = question.proof.expect("only proofs come here");
        let child = blocks.get(1);
        let is_newer = |head: &&Arc<FinalBlock>| head.height() > located.height;
        // A client that trusts a later epoch only has no use for what the earlier
        // one has signed.
        let last = self.recent.last().filter(is_newer);
        let is_later = |child: &Arc<FinalBlock>| child.block.header().epoch >= ask.from;
        let head = match child.filter(|child| is_later(child) && !ask.fresh) {
            Some(child) => Some(child),
            None => last.or(child),
        };
        match receipt(question.id, located, blocks, head) {
            Some(receipt) => {
                let draft = Draft::Receipt(Box::new(receipt));
                self.complete_draft(question.request, ask.from, draft, out);
            }
            None => reply(question.request, Response::NotFound, out),
        }
    }

    /// The history before a final block, alone or as the continuation of an older
    /// one.
    pub(in crate::ledger) fn tell_history(
        &mut self,
        ask: HeadAsk,
        block: &FinalBlock,
        out: &mut Outbox<Effect>,
    ) {
        let checkpoint = Box::new(Checkpoint {
            epochs: Vec::new(),
            finality: block.finality(),
        });
        let header = block.block.header();
        match ask.old {
            None => {
                let proof = Proof::Checkpoint(checkpoint);
                self.complete(ask.request, proof, ask.from, header.epoch, out);
            }
            Some(old) if old.0 <= header.height.0 => {
                let draft = Draft::Extension(checkpoint, old);
                self.complete_draft(ask.request, ask.from, draft, out);
            }
            Some(_) => reply(ask.request, Response::NotFound, out),
        }
    }

    /// Adds the way from the epoch that the client trusts to that of the proof.
    pub(in crate::ledger) fn complete(
        &mut self,
        request: RequestId,
        proof: Proof,
        from: Epoch,
        to: Epoch,
        out: &mut Outbox<Effect>,
    ) {
        let count =
            to.0.checked_sub(from.0)
                .and_then(|count| usize::try_from(count).ok());
        match count {
            Some(0) => reply(request, complete(proof, Vec::new()), out),
            Some(count) if count <= LEDGER_EPOCHS_ANSWERED_MAX => {
                let range = (epoch_key(from), epoch_key(to));
                let purpose = Purpose::Complete(request, proof, count);
                self.read(purpose, range, STORE_READ_BYTES_MAX, out);
            }
            _ => reply(request, Response::OutOfReach { to }, out),
        }
    }
}

/// The ends of epochs that were read, as many as one answer holds.
fn epochs(pairs: &[(Bytes, Bytes)]) -> Response {
    let Some(mut ends) = decode_all::<EpochEnd>(pairs) else {
        return Response::Unavailable;
    };
    ends.truncate(LEDGER_EPOCHS_ANSWERED_MAX);
    Response::Epochs(ends)
}

fn complete(proof: Proof, epochs: Vec<EpochEnd>) -> Response {
    match proof {
        Proof::Receipt(mut receipt) => {
            receipt.epochs = epochs;
            Response::Receipt(receipt)
        }
        Proof::Checkpoint(mut checkpoint) => {
            checkpoint.epochs = epochs;
            Response::Checkpoint(checkpoint)
        }
        Proof::Extension(mut extension) => {
            extension.checkpoint.epochs = epochs;
            Response::Extension(extension)
        }
    }
}

/// The proof of an operation from its block and the one after it, under the
/// certificate of a later one if there is any. What it has to say of the history is
/// filled in when the tiles are read.
fn receipt(
    id: TxId,
    located: OperationLocation,
    blocks: &[Arc<FinalBlock>],
    head: Option<&Arc<FinalBlock>>,
) -> Option<Receipt> {
    let block = blocks.first()?;
    let item = usize::try_from(located.item).ok()?;
    let transaction = block.block.items().get(item)?.clone();
    let mut tree = Tree::new();
    for item in block.block.items() {
        tree.append(LeafHash::of(item));
    }
    let index = LeafIndex(u64::from(located.item));
    let inclusion = tree.prove_inclusion(index, tree.size()).ok()?;
    let header = block.block.header();
    let under = head.map(|head| head.block.header());
    Some(Receipt {
        epochs: Vec::new(),
        finality: head.unwrap_or(block).finality(),
        past: under.map(|head| Past::unproven(header, head)),
        inclusion,
        transaction,
        operation: located.operation,
        outcome: match (blocks.get(1), under) {
            (Some(child), Some(head)) => outcome(id, block, child, head),
            _ => None,
        },
    })
}

fn outcome(
    id: TxId,
    block: &FinalBlock,
    child: &FinalBlock,
    head: &Header,
) -> Option<OutcomeProof> {
    let place = block.results.iter().position(|result| result.id == id)?;
    let mut tree = Tree::new();
    for result in &block.results {
        tree.append(LeafHash::of(&result.to_bytes()));
    }
    let index = LeafIndex(u64::try_from(place).ok()?);
    let child = child.block.header();
    Some(OutcomeProof {
        child: (child.height < head.height).then(|| Past::unproven(child, head)),
        result: block.results[place],
        results: ResultsHead::of(&block.results),
        inclusion: tree.prove_inclusion(index, tree.size()).ok()?,
    })
}

/// The values of pairs, if all of them decode. The store is this node's own, but it
/// rests on a disk.
fn decode_all<T: Decode>(pairs: &[(Bytes, Bytes)]) -> Option<Vec<T>> {
    let values = pairs.iter().map(|(_, value)| T::from_bytes(value).ok());
    values.collect()
}

pub(in crate::ledger) fn reply(id: RequestId, response: Response, out: &mut Outbox<Effect>) {
    out.push(Effect::Reply { id, response });
}

#[cfg(test)]
#[path = "../tests/asserts_reads.rs"]
mod tests;
