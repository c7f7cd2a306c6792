//! Blocks: a header that is hashed and certified, and the items that it commits to.

use alloc::vec::Vec;

use bytes::Bytes;

use super::types::{Epoch, Height, ValidatorIndex, View};
use crate::codec::{Decode, DecodeError, Encode, Field, Reader, Writer};
use crate::crypto::{ChainId, Digest};
use crate::limits::{BLOCK_BYTES_MAX, BLOCK_ITEMS_MAX};
use crate::merkle::{Frontier, LeafHash};

/// The layout that this program reads and writes.
pub const HEADER_VERSION: u16 = 1;

/// What a block says of itself. Its hash is the leaf hash of these bytes, so the
/// same value is the block's leaf in the tree over the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(version = HEADER_VERSION)]
pub struct Header {
    /// The ledger.
    pub chain: ChainId,
    /// The epoch in which it was proposed.
    pub epoch: Epoch,
    /// The position in the chain: the parent's plus one.
    pub height: Height,
    /// The view in which it was proposed.
    pub view: View,
    pub parent: Digest,
    /// The view of the parent; every view in between was given up.
    pub parent_view: View,
    /// Who proposed it: the leader of the view.
    pub proposer: ValidatorIndex,
    /// What the application answers for.
    pub content: Commitments,
}

/// What the application commits to in a header. The consensus checks the root,
/// the number and the size of the items itself and hands on the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Encode, Decode)]
pub struct Commitments {
    /// Wall-clock time in milliseconds since 1970.
    pub time_ms: u64,
    /// The RFC 6962 root over the items.
    pub items_root: Digest,
    /// How many items.
    pub items_count: u32,
    /// Bytes of all items.
    pub items_bytes: u32,
    /// The state after the parent.
    pub parent_state: Digest,
    /// The receipts of the parent's items.
    pub parent_receipts: Digest,
    /// The tree over the hashes of all blocks before this one.
    pub history: Digest,
    /// The set that votes on this block. Zero behind the end of an epoch.
    pub validators: Digest,
    /// The set that votes after the epoch, if it ends with this block.
    pub next_validators: Digest,
    /// Whether the epoch ends with this block.
    pub ends_epoch: bool,
}

/// A block whose items are known to belong to its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    header: Header,
    items: Vec<Bytes>,
    hash: Digest,
}

/// By its hash, which commits to all of it.
impl core::hash::Hash for Block {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

/// A place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct BlockRef {
    /// Its view, in the present epoch.
    pub view: View,
    pub height: Height,
    pub hash: Digest,
}

impl Header {
    /// The hash by which the block is known.
    pub fn hash(&self) -> Digest {
        *LeafHash::of(&self.to_bytes()).digest()
    }

    /// Its place.
    pub fn place(&self) -> BlockRef {
        BlockRef {
            view: self.view,
            height: self.height,
            hash: self.hash(),
        }
    }

    /// Whether it stands on this block of its epoch: parent, height and views fit.
    pub fn stands_on(&self, parent: &BlockRef) -> bool {
        self.parent == parent.hash
            && parent.height.0.checked_add(1) == Some(self.height.0)
            && self.parent_view == parent.view
            && self.view > parent.view
    }
}

impl Commitments {
    /// The commitments to these items, everything else empty.
    pub fn to_items(items: &[Bytes]) -> Self {
        let (root, bytes) = root_and_bytes(items);
        Self {
            items_root: root,
            items_count: u32::try_from(items.len()).expect("the caller keeps the limit"),
            items_bytes: u32::try_from(bytes).expect("the caller keeps the limit"),
            ..Self::default()
        }
    }

    /// What an epoch-closing block commits to: one whose parent is, or rests on, the last block of the
    /// epoch. It is empty and commits to what its parent commits to: it only helps to finalise
    /// that one, and is dropped when the epoch has ended. It names no validators, so
    /// that nobody takes it for a block of the ledger although it is certified: its
    /// history is that of the last block, and not the one that its height tells.
    #[must_use]
    pub fn epoch_closing(&self) -> Self {
        let nothing = Self::to_items(&[]);
        Self {
            items_root: nothing.items_root,
            items_count: nothing.items_count,
            items_bytes: nothing.items_bytes,
            validators: Digest::default(),
            ..*self
        }
    }
}

/// More than a header and the lengths around it take.
const HEADER_ROOM_BYTES: usize = 512;

impl Block {
    /// Joins a header and items, if they belong together and keep the limits.
    pub fn new(header: Header, items: Vec<Bytes>) -> Option<Self> {
        if items.len() > BLOCK_ITEMS_MAX {
            return None;
        }
        let (root, bytes) = root_and_bytes(&items);
        let fits = bytes <= BLOCK_BYTES_MAX
            && u32::try_from(bytes) == Ok(header.content.items_bytes)
            && u32::try_from(items.len()) == Ok(header.content.items_count)
            && root == header.content.items_root;
        let hash = header.hash();
        fits.then_some(Self {
            header,
            items,
            hash,
        })
    }

    /// What it says of itself.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// What it carries.
    pub fn items(&self) -> &[Bytes] {
        &self.items
    }

    /// The hash of its header.
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    /// Its place.
    pub const fn place(&self) -> BlockRef {
        BlockRef {
            view: self.header.view,
            height: self.header.height,
            hash: self.hash,
        }
    }

    /// About the bytes that it takes.
    pub fn size(&self) -> usize {
        let items = usize::try_from(self.header.content.items_bytes).unwrap_or(usize::MAX);
        items.saturating_add(HEADER_ROOM_BYTES)
    }
}

fn root_and_bytes(items: &[Bytes]) -> (Digest, usize) {
    let mut tree = Frontier::default();
    let mut bytes = 0_usize;
    for item in items {
        tree.append(LeafHash::of(item));
        bytes = bytes.saturating_add(item.len());
    }
    (tree.root(), bytes)
}

// Not derived: the hash is worked out, and the items have one bound for all of them.
impl Encode for Block {
    fn encode(&self, writer: &mut Writer) {
        writer.put(&self.header);
        writer.put(&self.items);
    }

    fn size_hint(&self) -> usize {
        let items = self.items.size_hint();
        items.saturating_add(self.header.size_hint())
    }
}

impl Decode for Block {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let field = &Field {
            what: "block",
            name: "items",
        };
        let header = reader.get()?;
        let mut room = BLOCK_BYTES_MAX;
        let items = reader.list(BLOCK_ITEMS_MAX, field, |reader| {
            let item = reader.blob(room, field)?;
            room = room.saturating_sub(item.len());
            Ok(item)
        })?;
        Self::new(header, items).ok_or(DecodeError::Invalid {
            what: "items of a block",
        })
    }
}
