//! The tree over the hashes of all blocks: kept as tiles, and what is proven from it.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use super::record::{FinalBlock, Head, block_key, only, tile_key};
use crate::bft::{Epoch, Header};
use crate::codec::{Decode as _, Encode as _};
use crate::crypto::Digest;
use crate::ledger::effect::Effect;
use crate::ledger::reads::request::Response;
use crate::ledger::reads::{Proof, Purpose, reply};
use crate::ledger::state::Ledger;
use crate::limits::STORE_READ_BYTES_MAX;
use crate::machine::Outbox;
use crate::merkle::{
    Inclusion, LeafHash, LeafIndex, Tile, TileError, TileId, TileWriter, TreeHead, TreeSize,
    open_tiles, prove_consistency, prove_inclusion, root_at, tiles_for_consistency,
    tiles_for_inclusion,
};
use crate::proof::ledger::{Checkpoint, Extension, Past, Receipt};
use crate::store::StoreOp;
use crate::types::RequestId;

/// The tree over the hashes of all final blocks, block 0 first. The store has its
/// tiles; those that still grow are here as well.
#[derive(Debug, Default, Hash)]
pub(in crate::ledger) struct History {
    writer: TileWriter,
}

/// What a start reads of it: the tiles that still grow, and the last block.
#[derive(Debug, Hash)]
pub(in crate::ledger) struct HistoryImage {
    pub(in crate::ledger) head: Box<Head>,
    wanted: Vec<TileId>,
    tiles: BTreeMap<TileId, Tile>,
    is_block_read: bool,
    /// The last block: peers and proofs ask for it first.
    pub(in crate::ledger) block: Option<FinalBlock>,
}

/// A proof that lacks the hashes of the tree.
#[derive(Debug, Hash)]
pub(in crate::ledger) enum Draft {
    /// Of an operation, under a later block.
    Receipt(Box<Receipt>),
    /// Of one history in another.
    Extension(Box<Checkpoint>, TreeSize),
}

/// A draft with the tiles that were found for it so far.
#[derive(Debug, Hash)]
pub(in crate::ledger) struct TileReads {
    pub(in crate::ledger) request: RequestId,
    from: Epoch,
    draft: Draft,
    missing: Vec<TileId>,
    tiles: BTreeMap<TileId, Tile>,
}

impl History {
    /// Takes it up where the store left it.
    pub(in crate::ledger) fn resume(image: &HistoryImage) -> Option<Self> {
        let head = image.head.history.head();
        let writer = TileWriter::resume(&head, &image.tiles).ok()?;
        Some(Self { writer })
    }

    /// A tree that was fetched: its tiles must have the trusted root.
    pub(in crate::ledger) fn fetched(head: &TreeHead, tiles: &[Tile]) -> Option<Self> {
        let tiles = tiles.iter().map(|tile| (tile.id(), tile.clone())).collect();
        let writer = TileWriter::resume(head, &tiles).ok()?;
        Some(Self { writer })
    }

    /// The tiles that are not full.
    pub(in crate::ledger) fn open_tiles(&self) -> Vec<Tile> {
        let ids = open_tiles(self.size()).into_iter();
        ids.filter_map(|id| self.writer.open_tile(&id)).collect()
    }

    /// The hash of the next block; what the store has to be given with it.
    pub(in crate::ledger) fn append(&mut self, block: Digest) -> Vec<StoreOp> {
        let grown = self.writer.append(LeafHash::assume(block)).into_iter();
        let put = |tile: Tile| StoreOp::Put {
            key: tile_key(tile.id()),
            value: tile.to_bytes(),
        };
        grown.map(put).collect()
    }

    /// Size and root.
    pub(in crate::ledger) const fn size(&self) -> TreeSize {
        self.writer.size()
    }

    /// Whether it is this one.
    pub(in crate::ledger) fn is(&self, frontier: &crate::merkle::Frontier) -> bool {
        self.writer.frontier() == frontier
    }
}

impl HistoryImage {
    /// What is needed to go on behind a head.
    pub(in crate::ledger) fn new(head: Box<Head>) -> Self {
        Self {
            wanted: open_tiles(head.history.size()),
            head,
            tiles: BTreeMap::new(),
            is_block_read: false,
            block: None,
        }
    }

    /// What is to be read next; nothing, if all is here.
    pub(in crate::ledger) fn next(&self) -> Option<(Bytes, Bytes)> {
        match self.wanted.last() {
            Some(id) => Some(only(tile_key(*id))),
            None if self.is_block_read => None,
            None => Some(only(block_key(self.head.place.height))),
        }
    }

    /// What was read. A tile that is missing is found out when the tree is built.
    pub(in crate::ledger) fn take(&mut self, pairs: &[(Bytes, Bytes)]) {
        let value = pairs.first().map(|(_, value)| value);
        match self.wanted.pop() {
            Some(id) => {
                let tile = value.and_then(|value| Tile::from_bytes(value).ok());
                self.tiles.extend(tile.map(|tile| (id, tile)));
            }
            None => {
                assert!(!self.is_block_read, "nothing more was asked for");
                self.is_block_read = true;
                self.block = value.and_then(|value| FinalBlock::from_bytes(value).ok());
            }
        }
    }
}

impl Draft {
    /// The final block under which it proves something.
    fn head(&self) -> &Header {
        match self {
            Self::Receipt(receipt) => &receipt.finality.header,
            Self::Extension(checkpoint, _) => &checkpoint.finality.header,
        }
    }

    /// The tiles that it needs.
    fn tiles(&self) -> Vec<TileId> {
        let size = TreeSize(self.head().height.0);
        match self {
            Self::Receipt(receipt) => {
                let index = |past: &Past| LeafIndex(past.header.height.0);
                let of = |past: &Past| tiles_for_inclusion(index(past), size);
                let mut ids: Vec<TileId> = pasts(receipt).flat_map(of).collect();
                ids.sort_unstable();
                ids.dedup();
                ids
            }
            Self::Extension(_, old) => {
                let mut ids = tiles_for_consistency(*old, size);
                // Its own root is computed as well.
                ids.extend(open_tiles(*old));
                ids.sort_unstable();
                ids.dedup();
                ids
            }
        }
    }

    /// Completes it. The store may be damaged, so whatever is made is verified.
    fn finish(self, tiles: &BTreeMap<TileId, Tile>) -> Result<Proof, TileError> {
        let head = self.head();
        let head = TreeHead {
            size: TreeSize(head.height.0),
            root: head.content.history,
        };
        match self {
            Self::Receipt(mut receipt) => {
                let outcome = receipt.outcome.as_mut();
                let child = outcome.and_then(|outcome| outcome.child.as_mut());
                for past in receipt.past.iter_mut().chain(child) {
                    past.inclusion = included(&past.header, &head, tiles)?;
                }
                Ok(Proof::Receipt(receipt))
            }
            Self::Extension(checkpoint, size) => {
                let root = root_at(size, tiles)?;
                let old = TreeHead { size, root };
                let consistency = prove_consistency(size, head.size, tiles)?;
                consistency.verify(&old, &head)?;
                Ok(Proof::Extension(Box::new(Extension {
                    old,
                    checkpoint: *checkpoint,
                    consistency,
                })))
            }
        }
    }
}

/// The earlier blocks that a receipt speaks of.
fn pasts(receipt: &Receipt) -> impl Iterator<Item = &Past> {
    let outcome = receipt.outcome.as_ref();
    let child = outcome.and_then(|outcome| outcome.child.as_ref());
    receipt.past.iter().chain(child)
}

fn included(
    header: &Header,
    head: &TreeHead,
    tiles: &BTreeMap<TileId, Tile>,
) -> Result<Inclusion, TileError> {
    let index = LeafIndex(header.height.0);
    let inclusion = prove_inclusion(index, head.size, tiles)?;
    inclusion.verify(head, &LeafHash::assume(header.hash()))?;
    Ok(inclusion)
}

impl Ledger {
    /// Completes a proof: first the hashes of the tree, then the way from the epoch
    /// that the client trusts.
    pub(in crate::ledger) fn complete_draft(
        &mut self,
        request: RequestId,
        from: Epoch,
        draft: Draft,
        out: &mut Outbox<Effect>,
    ) {
        let mut reads = TileReads {
            request,
            from,
            missing: draft.tiles(),
            draft,
            tiles: BTreeMap::new(),
        };
        let writer = &self.storage.history.writer;
        reads.missing.retain(|id| {
            let open = writer.open_tile(id);
            let is_missing = open.is_none();
            reads.tiles.extend(open.map(|tile| (*id, tile)));
            is_missing
        });
        self.read_tiles(Box::new(reads), out);
    }

    /// A tile was read, or it is not there.
    pub(in crate::ledger) fn on_tile(
        &mut self,
        mut reads: Box<TileReads>,
        pairs: &[(Bytes, Bytes)],
        out: &mut Outbox<Effect>,
    ) {
        let id = reads.missing.pop().expect("it was asked for");
        let Some((_, value)) = pairs.first() else {
            return reply(reads.request, Response::NotFound, out);
        };
        match Tile::from_bytes(value) {
            Ok(tile) => {
                reads.tiles.insert(id, tile);
                self.read_tiles(reads, out);
            }
            Err(_) => reply(reads.request, Response::Unavailable, out),
        }
    }

    fn read_tiles(&mut self, reads: Box<TileReads>, out: &mut Outbox<Effect>) {
        if let Some(id) = reads.missing.last() {
            let range = only(tile_key(*id));
            return self.read(Purpose::Tile(reads), range, STORE_READ_BYTES_MAX, out);
        }
        let (request, from) = (reads.request, reads.from);
        let to = reads.draft.head().epoch;
        match reads.draft.finish(&reads.tiles) {
            Ok(proof) => self.complete(request, proof, from, to, out),
            Err(_) => reply(request, Response::Unavailable, out),
        }
    }
}
