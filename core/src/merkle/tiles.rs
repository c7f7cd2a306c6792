//! A list of any length in a store: tiles of hashes, and `O(log n)` memory.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use super::consistency::{Consistency, subtrees_of_extension};
use super::error::MerkleError;
use super::frontier::Frontier;
use super::hash::{
    LeafHash, LeafIndex, TreeHead, TreeSize, bit_length, empty_root, hash_count, node_hash,
};
use super::inclusion::{Inclusion, subtrees_beside};
use crate::codec::{Decode, Encode};
use crate::crypto::Digest;
use crate::limits::MERKLE_TILE_WIDTH;

/// Levels of the binary tree that one tile spans: its hashes are the lowest, the
/// others are computed from them.
const TILE_HEIGHT: u32 = 8;
/// Levels of tiles over 2^64 leaves.
const TILE_LEVELS: u32 = u64::BITS / TILE_HEIGHT;

/// Which tile: the one with the hashes `index * 256 ..` of its level. A hash of
/// level `l` is the root over `256^l` leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[codec(check = TileId::check)]
pub struct TileId {
    /// The level, from the leaves up, at most 7.
    pub level: u8,
    /// The position within the level.
    pub index: u64,
}

impl TileId {
    /// Refuses tiles that no list of a `u64` size has.
    fn check(&self) -> Result<(), &'static str> {
        let leaf_bits = TILE_HEIGHT * (u32::from(self.level) + 1);
        if leaf_bits > u64::BITS || bit_length(self.index) > u64::BITS - leaf_bits {
            return Err("place of a tile");
        }
        Ok(())
    }
}

/// Up to 256 neighbouring hashes of one level, as they are stored (Russ Cox,
/// "Transparent Logs for Skeptical Clients", 2019, "Tiling a Log").
///
/// A tile grows with the list and keeps its place in the store. Its first hashes
/// never change, so a tile that is wider than a proof needs is as good as one
/// that was stored at the size of the proof.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(check = Tile::check)]
pub struct Tile {
    /// The level, from the leaves up, at most 7.
    pub level: u8,
    /// The position within the level.
    pub index: u64,
    /// At least one, at most 256. Each is the root of a complete subtree.
    #[codec(max = MERKLE_TILE_WIDTH)]
    pub hashes: Vec<Digest>,
}

/// Appends to a list whose tiles are in a store. It holds the rightmost tile of
/// each level as far as it is not full, at most 8 times 255 hashes, and the
/// [`Frontier`] of the list.
///
/// It writes nothing: whoever appends stores the tiles that come out, together
/// with the new [`TileWriter::head`], in one atomic batch. Tiles that are ahead
/// of the head do no harm, because only the hashes that belong to the head's size
/// are used of them; tiles that are behind it make the list unreadable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct TileWriter {
    frontier: Frontier,
    /// The hashes of the open tile of each level, from the leaves up; empty where
    /// the last tile was filled.
    open: Vec<Vec<Digest>>,
}

/// Why something could not be computed from tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// A tile that is needed was not given.
    #[error("tile {id} is missing")]
    Missing {
        /// The tile.
        id: TileId,
    },
    /// Under the name of a tile there is another one.
    #[error("tile {found} stands in the place of tile {id}")]
    Misplaced {
        /// The tile that should stand there.
        id: TileId,
        /// The tile that does.
        found: TileId,
    },
    /// A tile has fewer hashes than the size of the list says.
    #[error("tile {id} has {found} hashes of {needed}")]
    TooNarrow {
        /// The tile.
        id: TileId,
        /// How many hashes are needed.
        needed: usize,
        /// How many it has.
        found: usize,
    },
    /// The positions or sizes make no sense, or the tiles do not have the root
    /// that they should have.
    #[error(transparent)]
    Merkle(#[from] MerkleError),
}

impl TileWriter {
    /// The list without leaves.
    pub const fn new() -> Self {
        Self {
            frontier: Frontier::new(),
            open: Vec::new(),
        }
    }

    /// Goes on behind a list in a store, from its [`open_tiles`]. The tiles must
    /// have the trusted root, so damage is found here and not when the first
    /// proof is refused.
    pub fn resume(head: &TreeHead, tiles: &BTreeMap<TileId, Tile>) -> Result<Self, TileError> {
        let size = head.size.0;
        let mut open = Vec::new();
        for level in 0..tile_levels(size) {
            let (id, width) = open_tile(size, level);
            let hashes = match width {
                0 => &[],
                _ => hashes_of(id, 0, width, tiles)?,
            };
            open.push(hashes.to_vec());
        }
        let nodes = complete_parts(0, size).map(|node| node.root(tiles));
        let frontier = Frontier::from_peaks(head.size, nodes.collect::<Result<_, _>>()?);
        if frontier.root() != head.root {
            return Err(MerkleError::RootMismatch.into());
        }
        Ok(Self { frontier, open })
    }

    /// Appends a leaf and returns the tiles that grew by it: that of the leaf, and
    /// for each one that it filled one of the next level. More than `u64::MAX`
    /// leaves are a broken invariant.
    pub fn append(&mut self, leaf: LeafHash) -> Vec<Tile> {
        self.append_all([leaf])
    }

    /// Appends leaves and returns the tiles that grew by them, each once, as it is
    /// at the end. They are to be stored under their [`Tile::id`] in place of what
    /// stands there.
    pub fn append_all(&mut self, leaves: impl IntoIterator<Item = LeafHash>) -> Vec<Tile> {
        let mut grown = Vec::new();
        let mut levels = 0;
        for leaf in leaves {
            levels = levels.max(self.push(leaf, &mut grown));
        }
        // A level grows only when one below it is filled, so all up to the highest
        // one have grown. Those that are empty now are among the filled ones.
        for (level, open) in (0..levels).zip(&self.open) {
            if !open.is_empty() {
                let (id, _) = open_tile(self.size().0, level);
                grown.push(Tile::new(id, open.clone()));
            }
        }
        grown
    }

    /// Appends a leaf, moves the tiles that it fills to `filled`, and returns how
    /// many levels have grown.
    fn push(&mut self, leaf: LeafHash, filled: &mut Vec<Tile>) -> u32 {
        let index = self.frontier.append(leaf).0;
        let mut hash = *leaf.digest();
        for level in 0..TILE_LEVELS {
            if hash_count(level) == self.open.len() {
                self.open.push(Vec::new());
            }
            let open = &mut self.open[hash_count(level)];
            open.push(hash);
            if open.len() < MERKLE_TILE_WIDTH {
                return level + 1;
            }
            hash = complete_root(open);
            let id = tile_of(level, index >> (TILE_HEIGHT * level));
            filled.push(Tile::new(id, core::mem::take(open)));
        }
        unreachable!("the highest level has fewer than 256 hashes");
    }

    /// A tile that is not full yet. Those that are full are in the store only.
    pub fn open_tile(&self, id: &TileId) -> Option<Tile> {
        let hashes = self.open.get(usize::from(id.level))?;
        let (open, _) = open_tile(self.size().0, u32::from(id.level));
        (open == *id && !hashes.is_empty()).then(|| Tile::new(open, hashes.clone()))
    }

    /// The number of leaves.
    pub const fn size(&self) -> TreeSize {
        self.frontier.size()
    }

    /// The root over all leaves.
    pub fn root(&self) -> Digest {
        self.frontier.root()
    }

    /// Size and root.
    pub fn head(&self) -> TreeHead {
        self.frontier.head()
    }

    /// The subtrees that sum up the list.
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }
}

/// The tiles that are not full at this size: what [`TileWriter::resume`] and
/// [`root_at`] read. At most one for each level.
pub fn open_tiles(size: TreeSize) -> Vec<TileId> {
    let tiles = (0..tile_levels(size.0)).map(|level| open_tile(size.0, level));
    let open = tiles.filter(|(_, width)| *width > 0);
    open.map(|(id, _)| id).collect()
}

/// The tiles that [`prove_inclusion`] reads, in ascending order. None if there is
/// no such leaf.
pub fn tiles_for_inclusion(index: LeafIndex, size: TreeSize) -> Vec<TileId> {
    if index.0 < size.0 {
        tiles_of(&subtrees_beside(index.0, size.0))
    } else {
        Vec::new()
    }
}

/// The tiles that [`prove_consistency`] reads, in ascending order. None if the
/// newer list is the shorter one.
pub fn tiles_for_consistency(old: TreeSize, new: TreeSize) -> Vec<TileId> {
    if old <= new {
        tiles_of(&subtrees_of_extension(old.0, new.0))
    } else {
        Vec::new()
    }
}

/// The root over the first `size` leaves, from their [`open_tiles`].
pub fn root_at(size: TreeSize, tiles: &BTreeMap<TileId, Tile>) -> Result<Digest, TileError> {
    if size.0 == 0 {
        return Ok(empty_root());
    }
    subtree_root(0, size.0, tiles)
}

/// Proves that a leaf stands at `index` of the first `size` leaves, as
/// [`super::Tree::prove_inclusion`] does.
///
/// The hashes in the tiles are taken as they are. A store that may be damaged
/// shows it when the proof is verified, which takes no more than `O(log n)`
/// hashes and should be done before the proof is sent.
pub fn prove_inclusion(
    index: LeafIndex,
    size: TreeSize,
    tiles: &BTreeMap<TileId, Tile>,
) -> Result<Inclusion, TileError> {
    if index.0 >= size.0 {
        return Err(MerkleError::IndexBeyondSize { index, size }.into());
    }
    let path = roots_of(&subtrees_beside(index.0, size.0), tiles)?;
    Ok(Inclusion { index, size, path })
}

/// Proves that the first `old` leaves are the beginning of the first `new`
/// leaves, as [`super::Tree::prove_consistency`] does. Of damage holds what is
/// said of [`prove_inclusion`].
pub fn prove_consistency(
    old: TreeSize,
    new: TreeSize,
    tiles: &BTreeMap<TileId, Tile>,
) -> Result<Consistency, TileError> {
    if old > new {
        return Err(MerkleError::Shrinks { old, new }.into());
    }
    let path = roots_of(&subtrees_of_extension(old.0, new.0), tiles)?;
    Ok(Consistency { old, new, path })
}

/// A complete subtree: the leaves `index * 2^level .. (index + 1) * 2^level`.
#[derive(Clone, Copy)]
struct Node {
    level: u32,
    index: u64,
}

impl Node {
    /// The tile that has the hashes of the subtree, the first of them and how many.
    fn place(&self) -> (TileId, usize, usize) {
        let above = self.level % TILE_HEIGHT;
        let first = self.index << above;
        let id = tile_of(self.level / TILE_HEIGHT, first);
        (id, place_in_tile(first), 1 << above)
    }

    /// The root of the subtree.
    fn root(&self, tiles: &BTreeMap<TileId, Tile>) -> Result<Digest, TileError> {
        let (id, first, count) = self.place();
        hashes_of(id, first, first + count, tiles).map(complete_root)
    }
}

/// The complete subtrees that the leaves `begin..end` consist of, from left to
/// right, each smaller than the one before. `begin` is a multiple of a power of
/// two that is not below the length: true of every node of the tree.
fn complete_parts(begin: u64, end: u64) -> impl DoubleEndedIterator<Item = Node> {
    let length = end - begin;
    let levels = (0..bit_length(length)).rev();
    levels
        .filter(move |level| length >> level & 1 == 1)
        .map(move |level| Node {
            level,
            // Larger parts come before this one, smaller ones after it.
            index: (begin >> level) + (length >> level) - 1,
        })
}

/// The root over the leaves of a node of the tree, which need not be complete.
fn subtree_root(begin: u64, end: u64, tiles: &BTreeMap<TileId, Tile>) -> Result<Digest, TileError> {
    assert!(begin < end);
    let mut parts = complete_parts(begin, end).rev();
    let last = parts.next().expect("a length that is not zero has a bit");
    parts.try_fold(last.root(tiles)?, |right, part| {
        Ok(node_hash(&part.root(tiles)?, &right))
    })
}

/// The roots of several nodes of the tree.
fn roots_of(
    subtrees: &[(u64, u64)],
    tiles: &BTreeMap<TileId, Tile>,
) -> Result<Vec<Digest>, TileError> {
    let roots = subtrees.iter();
    roots
        .map(|(begin, end)| subtree_root(*begin, *end, tiles))
        .collect()
}

/// The tiles that have the roots of several nodes of the tree.
fn tiles_of(subtrees: &[(u64, u64)]) -> Vec<TileId> {
    let parts = subtrees
        .iter()
        .flat_map(|(begin, end)| complete_parts(*begin, *end));
    let ids: BTreeSet<TileId> = parts.map(|node| node.place().0).collect();
    ids.into_iter().collect()
}

/// Hashes of a tile that is what it should be and wide enough.
fn hashes_of(
    id: TileId,
    first: usize,
    end: usize,
    tiles: &BTreeMap<TileId, Tile>,
) -> Result<&[Digest], TileError> {
    assert!(first < end && end <= MERKLE_TILE_WIDTH);
    let tile = tiles.get(&id).ok_or(TileError::Missing { id })?;
    let found = tile.id();
    if found != id {
        return Err(TileError::Misplaced { id, found });
    }
    tile.hashes.get(first..end).ok_or(TileError::TooNarrow {
        id,
        needed: end,
        found: tile.hashes.len(),
    })
}

/// The root over hashes whose number is a power of two.
fn complete_root(hashes: &[Digest]) -> Digest {
    assert!(hashes.len().is_power_of_two() && hashes.len() <= MERKLE_TILE_WIDTH);
    match hashes {
        [hash] => *hash,
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            node_hash(&complete_root(left), &complete_root(right))
        }
    }
}

/// How many levels of tiles a list of this size has.
fn tile_levels(size: u64) -> u32 {
    bit_length(size).div_ceil(TILE_HEIGHT)
}

/// The tile of a level that is open at this size, and its width: zero if the last
/// one was filled.
fn open_tile(size: u64, level: u32) -> (TileId, usize) {
    let hashes = size >> (TILE_HEIGHT * level);
    (tile_of(level, hashes), place_in_tile(hashes))
}

/// The tile that has this hash of a level.
fn tile_of(level: u32, hash: u64) -> TileId {
    assert!(level < TILE_LEVELS);
    TileId {
        level: u8::try_from(level).expect("below eight"),
        index: hash >> TILE_HEIGHT,
    }
}

/// The place of a hash of a level within its tile.
fn place_in_tile(hash: u64) -> usize {
    usize::from(hash.to_le_bytes()[0])
}

impl Tile {
    fn new(id: TileId, hashes: Vec<Digest>) -> Self {
        assert!((1..=MERKLE_TILE_WIDTH).contains(&hashes.len()));
        let TileId { level, index } = id;
        Self {
            level,
            index,
            hashes,
        }
    }

    /// Which tile it is.
    pub const fn id(&self) -> TileId {
        TileId {
            level: self.level,
            index: self.index,
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        self.id().check()?;
        if self.hashes.is_empty() {
            return Err("tile without hashes");
        }
        Ok(())
    }
}

impl fmt::Display for TileId {
    /// Level and position, as in `2/17`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.level, self.index)
    }
}

const _: () = assert!(MERKLE_TILE_WIDTH == 1 << TILE_HEIGHT);
