//! Tiles against the tree in memory, at every size and after every restart.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::{leaf, leaves, tree};
use crate::codec::{Decode, DecodeError, Encode, Writer};
use crate::crypto::Digest;
use crate::merkle::{
    Frontier, LeafHash, LeafIndex, MerkleError, Tile, TileError, TileId, TileWriter, Tree,
    TreeHead, TreeSize, empty_root, node_hash, open_tiles, prove_consistency, prove_inclusion,
    root_at, tiles_for_consistency, tiles_for_inclusion,
};

type Store = BTreeMap<TileId, Tile>;

fn store_all(store: &mut Store, tiles: Vec<Tile>) {
    store.extend(tiles.into_iter().map(|tile| (tile.id(), tile)));
}

/// The store after this many test leaves.
fn stored(size: u64) -> Store {
    let mut store = Store::new();
    store_all(&mut store, TileWriter::new().append_all(leaves(0..size)));
    store
}

/// Only these tiles: what a reader gets that asks for no others.
fn only(store: &Store, ids: &[TileId]) -> Store {
    assert!(ids.is_sorted_by(|one, two| one < two));
    ids.iter().map(|id| (*id, store[id].clone())).collect()
}

/// The proof of one leaf is that of the tree and needs no tile but those named.
fn check_inclusion(tree: &Tree, store: &Store, index: u64, size: u64) {
    let (index, size) = (LeafIndex(index), TreeSize(size));
    let ids = tiles_for_inclusion(index, size);
    let tiles = only(store, &ids);
    let proof = prove_inclusion(index, size, &tiles).unwrap();
    assert_eq!(Ok(proof), tree.prove_inclusion(index, size));
    for id in ids {
        let mut fewer = tiles.clone();
        fewer.remove(&id);
        assert_eq!(
            prove_inclusion(index, size, &fewer),
            Err(TileError::Missing { id })
        );
    }
}

fn check_consistency(tree: &Tree, store: &Store, old: u64, new: u64) {
    let (old, new) = (TreeSize(old), TreeSize(new));
    let ids = tiles_for_consistency(old, new);
    let tiles = only(store, &ids);
    let proof = prove_consistency(old, new, &tiles).unwrap();
    assert_eq!(Ok(proof), tree.prove_consistency(old, new));
    for id in ids {
        let mut fewer = tiles.clone();
        fewer.remove(&id);
        assert_eq!(
            prove_consistency(old, new, &fewer),
            Err(TileError::Missing { id })
        );
    }
}

#[test]
fn roots_are_those_of_the_tree_after_every_restart() {
    let tree = tree(1300);
    let mut store = Store::new();
    let mut writer = TileWriter::new();
    assert_eq!(writer.head(), TreeHead::empty());
    for size in 1..=1300 {
        store_all(&mut store, writer.append(leaf(size - 1)));
        let size = TreeSize(size);
        assert_eq!(writer.size(), size);
        assert_eq!(Some(writer.root()), tree.root_at(size));
        assert_eq!(Ok(writer.frontier().clone()), tree.frontier_at(size));
        let tiles = only(&store, &open_tiles(size));
        assert_eq!(root_at(size, &tiles), Ok(writer.root()));
        let resumed = TileWriter::resume(&writer.head(), &tiles).unwrap();
        assert_eq!(resumed, writer);
        writer = resumed;
    }
    assert_eq!(store, stored(1300));
}

/// A store that is ahead of the head, as after a crash, or that is read at an
/// older size, gives the same.
#[test]
fn a_store_serves_every_size_that_it_has_passed() {
    let (tree, store) = (tree(1300), stored(1300));
    assert_eq!(root_at(TreeSize(0), &Store::new()), Ok(empty_root()));
    for size in 0..=1300 {
        let head = TreeHead {
            size: TreeSize(size),
            root: tree.root_at(TreeSize(size)).unwrap(),
        };
        let tiles = only(&store, &open_tiles(head.size));
        assert_eq!(root_at(head.size, &tiles), Ok(head.root));
        let mut writer = TileWriter::resume(&head, &tiles).unwrap();
        let mut again = store.clone();
        store_all(&mut again, writer.append_all(leaves(size..1300)));
        assert_eq!((&again, writer.root()), (&store, tree.root()));
    }
}

/// Leaves that were stored ahead of the head and then did not come to be leave
/// nothing behind.
#[test]
fn what_is_ahead_of_the_head_is_overwritten() {
    for (size, ahead, then) in [
        (0, 300, 300),
        (200, 700, 500),
        (256, 600, 300),
        (511, 520, 1000),
    ] {
        let mut store = stored(size + ahead);
        let head = TreeHead {
            size: TreeSize(size),
            root: tree(size).root(),
        };
        let mut writer = TileWriter::resume(&head, &store).unwrap();
        let others = || leaves(0..size).into_iter().chain(leaves(5000..5000 + then));
        store_all(&mut store, writer.append_all(leaves(5000..5000 + then)));
        let tree: Tree = others().collect();
        assert_eq!(writer.head(), tree.head());
        for index in (0..size + then).step_by(7) {
            let size = TreeSize(size + then);
            let proof = prove_inclusion(LeafIndex(index), size, &store).unwrap();
            assert_eq!(Ok(proof), tree.prove_inclusion(LeafIndex(index), size));
        }
    }
}

#[test]
fn small_lists_prove_every_leaf_at_every_size() {
    let (tree, store) = (tree(600), stored(600));
    for size in 1..=600 {
        for index in 0..size {
            let (index, size) = (LeafIndex(index), TreeSize(size));
            let proof = prove_inclusion(index, size, &store).unwrap();
            assert_eq!(Ok(proof), tree.prove_inclusion(index, size));
        }
        for index in (0..size).step_by(29).chain([size - 1]) {
            check_inclusion(&tree, &store, index, size);
        }
    }
}

#[test]
fn small_lists_prove_every_extension() {
    let (tree, store) = (tree(600), stored(600));
    for new in 0..=600 {
        for old in 0..=new {
            let (old, new) = (TreeSize(old), TreeSize(new));
            let proof = prove_consistency(old, new, &store).unwrap();
            assert_eq!(Ok(proof), tree.prove_consistency(old, new));
        }
        for old in (0..=new).step_by(31).chain([new]) {
            check_consistency(&tree, &store, old, new);
        }
    }
}

/// Around the first hash of the third level, and well above it.
#[test]
fn larger_lists_prove_the_same() {
    const LAST: u64 = 150_000;
    let (tree, store) = (tree(LAST), stored(LAST));
    let widest = store.keys().map(|id| id.level).max();
    assert_eq!(widest, Some(2));
    let around = |size: u64| size - 2..=size + 2;
    let sizes = [256, 257 * 256, 65_536, 65_536 + 256, 131_072]
        .into_iter()
        .flat_map(around);
    let sizes: Vec<u64> = sizes.chain([100_003, LAST]).collect();
    for size in &sizes {
        let head = TreeHead {
            size: TreeSize(*size),
            root: tree.root_at(TreeSize(*size)).unwrap(),
        };
        let resumed = TileWriter::resume(&head, &only(&store, &open_tiles(head.size)));
        assert_eq!(resumed.map(|writer| writer.head()), Ok(head));
        let indices = [
            0,
            1,
            255,
            256,
            257,
            65_535,
            65_536,
            65_537,
            size / 2,
            size - 1,
        ];
        for index in indices.into_iter().chain((0..*size).step_by(9973)) {
            if index < *size {
                check_inclusion(&tree, &store, index, *size);
            }
        }
        for old in sizes
            .iter()
            .chain(&[0, 1, 255, 1000])
            .filter(|old| *old <= size)
        {
            check_consistency(&tree, &store, *old, *size);
        }
    }
}

/// A list in which all leaves are alike has one hash for each level: so there are
/// proofs of sizes that no memory could hold.
struct Uniform {
    /// The root over `2^level` leaves.
    roots: Vec<Digest>,
}

impl Uniform {
    fn new() -> Self {
        let mut roots = alloc::vec![*leaf(0).digest()];
        for level in 0..63 {
            roots.push(node_hash(&roots[level], &roots[level]));
        }
        Self { roots }
    }

    fn head(&self, size: u64) -> TreeHead {
        let set = (0..64).rev().filter(|level| size >> level & 1 == 1);
        let peaks = set.map(|level| self.roots[level]).collect();
        Frontier::from_peaks(TreeSize(size), peaks).head()
    }

    fn tiles(&self, ids: &[TileId], size: u64) -> Store {
        let tile = |id: &TileId| {
            let below = 8 * u32::from(id.level);
            let width = ((size >> below) - (id.index << 8)).min(256);
            let hash = self.roots[usize::try_from(below).unwrap()];
            let hashes = alloc::vec![hash; usize::try_from(width).unwrap()];
            let tile = Tile {
                level: id.level,
                index: id.index,
                hashes,
            };
            (*id, Tile::from_bytes(&tile.to_bytes()).unwrap())
        };
        ids.iter().map(tile).collect()
    }
}

fn check_huge(list: &Uniform, index: u64, old: u64, size: u64) {
    let (head, before) = (list.head(size), list.head(old));
    let index = LeafIndex(index);
    let tiles = list.tiles(&tiles_for_inclusion(index, head.size), size);
    assert!(tiles.len() <= 16, "two tiles for each level at most");
    let proof = prove_inclusion(index, head.size, &tiles).unwrap();
    assert!(proof.verify(&head, &leaf(0)).is_ok());
    let tiles = list.tiles(&tiles_for_consistency(before.size, head.size), size);
    assert!(tiles.len() <= 16);
    let proof = prove_consistency(before.size, head.size, &tiles).unwrap();
    assert!(proof.verify(&before, &head).is_ok());
    let tiles = list.tiles(&open_tiles(head.size), size);
    assert_eq!(root_at(head.size, &tiles), Ok(head.root));
    let mut writer = TileWriter::resume(&head, &tiles).unwrap();
    if size < u64::MAX {
        writer.append(leaf(0));
        assert_eq!(writer.head(), list.head(size + 1));
    }
}

#[test]
fn the_largest_lists_work() {
    let list = Uniform::new();
    for level in 1..64 {
        let size = 1 << level;
        for size in [size - 1, size, size + 1] {
            for index in [0, size / 2, size - 1] {
                check_huge(&list, index, index, size);
            }
        }
    }
    for index in [0, 1 << 63, u64::MAX - 1] {
        check_huge(&list, index, index + 1, u64::MAX);
    }
}

/// Each leaf that fills tiles hands out all of them, once.
#[test]
fn an_append_names_the_tiles_that_grew() {
    let mut writer = TileWriter::new();
    for index in 0..70_000u64 {
        let tiles = writer.append(leaf(index));
        let names: Vec<(u8, u64, usize)> = tiles
            .iter()
            .map(|tile| (tile.level, tile.index, tile.hashes.len()))
            .collect();
        let width = |hashes: u64| usize::try_from(hashes & 255).unwrap() + 1;
        let mut expected = alloc::vec![(0, index >> 8, width(index))];
        for level in 1..3 {
            let below = 8 * u32::from(level);
            if (index + 1).is_multiple_of(1 << below) {
                let hash = index >> below;
                expected.push((level, hash >> 8, width(hash)));
            }
        }
        assert_eq!(names, expected);
    }
    assert_eq!(writer.append_all([]), []);
}

#[test]
fn positions_that_do_not_exist_are_refused() {
    let store = stored(300);
    for (index, size) in [(0, 0), (5, 5), (u64::MAX, 300), (u64::MAX, u64::MAX)] {
        let (index, size) = (LeafIndex(index), TreeSize(size));
        assert_eq!(tiles_for_inclusion(index, size), []);
        let beyond = MerkleError::IndexBeyondSize { index, size };
        assert_eq!(prove_inclusion(index, size, &store), Err(beyond.into()));
    }
    let (old, new) = (TreeSize(9), TreeSize(8));
    assert_eq!(tiles_for_consistency(old, new), []);
    let shrinks = MerkleError::Shrinks { old, new };
    assert_eq!(prove_consistency(old, new, &store), Err(shrinks.into()));
    // A size that the list has not reached.
    assert!(prove_inclusion(LeafIndex(0), TreeSize(301), &store).is_err());
    assert!(prove_consistency(TreeSize(3), TreeSize(u64::MAX), &store).is_err());
    assert!(root_at(TreeSize(1 << 40), &store).is_err());
}

#[test]
fn tiles_that_are_too_narrow_or_out_of_place_are_refused() {
    let store = stored(300);
    let id = TileId { level: 0, index: 0 };
    let mut narrow = store.clone();
    narrow.get_mut(&id).unwrap().hashes.truncate(5);
    let proof = prove_inclusion(LeafIndex(4), TreeSize(7), &narrow);
    let too_narrow = TileError::TooNarrow {
        id,
        needed: 6,
        found: 5,
    };
    assert_eq!(proof, Err(too_narrow));
    assert!(prove_inclusion(LeafIndex(3), TreeSize(5), &narrow).is_ok());
    let mut misplaced = store.clone();
    let found = TileId { level: 0, index: 1 };
    misplaced.insert(id, store[&found].clone());
    let proof = prove_inclusion(LeafIndex(4), TreeSize(7), &misplaced);
    assert_eq!(proof, Err(TileError::Misplaced { id, found }));
    let head = tree(300).head();
    let mut missing = store.clone();
    missing.remove(&found);
    assert_eq!(
        TileWriter::resume(&head, &missing),
        Err(TileError::Missing { id: found })
    );
}

/// Damage inside a tile is found by the root, at the restart or in the proof.
#[test]
fn damaged_hashes_are_found() {
    let tree = tree(300);
    let head = tree.head();
    let ids = open_tiles(head.size);
    for id in &ids {
        for at in 0..stored(300)[id].hashes.len() {
            let mut store = stored(300);
            store.get_mut(id).unwrap().hashes[at].0[31] ^= 1;
            let mismatch = TileError::Merkle(MerkleError::RootMismatch);
            assert_eq!(TileWriter::resume(&head, &store), Err(mismatch));
            for index in 256..300 {
                let honest = tree.prove_inclusion(LeafIndex(index), head.size).unwrap();
                let proof = prove_inclusion(LeafIndex(index), head.size, &store).unwrap();
                assert_eq!(proof.verify(&head, &leaf(index)).is_ok(), proof == honest);
            }
        }
    }
}

#[test]
fn the_encoding_is_canonical_and_bounded() {
    let tile = |level, index, width| Tile {
        level,
        index,
        hashes: alloc::vec![Digest([7; 32]); width],
    };
    for good in [
        tile(0, 0, 1),
        tile(0, (1 << 56) - 1, 256),
        tile(6, 255, 9),
        tile(7, 0, 255),
    ] {
        let bytes = good.to_bytes();
        assert_eq!(bytes.len(), good.size_hint());
        assert_eq!(Tile::from_bytes(&bytes), Ok(good.clone()));
        for cut in 0..bytes.len() {
            assert!(Tile::from_slice(&bytes[..cut]).is_err());
        }
    }
    let misplaced = DecodeError::Invalid {
        what: "place of a tile",
    };
    for bad in [
        tile(8, 0, 1),
        tile(255, 0, 1),
        tile(7, 1, 1),
        tile(0, 1 << 56, 1),
        tile(6, 256, 1),
    ] {
        assert_eq!(Tile::from_bytes(&bad.to_bytes()), Err(misplaced));
        assert_eq!(TileId::from_bytes(&bad.id().to_bytes()), Err(misplaced));
    }
    let empty = DecodeError::Invalid {
        what: "tile without hashes",
    };
    assert_eq!(Tile::from_bytes(&tile(0, 0, 0).to_bytes()), Err(empty));
    let too_long = DecodeError::TooLong {
        what: "tile",
        field: "hashes",
        length: 257,
        limit: 256,
    };
    assert_eq!(
        Tile::from_bytes(&Writer::lax(&tile(0, 0, 257))),
        Err(too_long)
    );
    // A claimed length reserves nothing.
    let mut writer = Writer::new();
    writer.put(&TileId { level: 0, index: 0 });
    writer.u32(u32::MAX);
    assert!(matches!(
        Tile::from_slice(writer.as_slice()),
        Err(DecodeError::TooLong { .. })
    ));
}

/// Tiles with any content under any name.
fn hostile_tiles() -> impl Strategy<Value = Store> {
    let level = prop_oneof![0u8..3, any::<u8>()];
    let index = || prop_oneof![0u64..3, any::<u64>()];
    let tile = (level.clone(), index(), 0usize..300).prop_map(|(level, index, width)| Tile {
        level,
        index,
        hashes: alloc::vec![Digest([level; 32]); width],
    });
    let name = (level, index()).prop_map(|(level, index)| TileId { level, index });
    prop::collection::vec((prop::option::of(name), tile), 0..8).prop_map(|tiles| {
        let named = tiles
            .into_iter()
            .map(|(name, tile)| (name.unwrap_or(tile.id()), tile));
        named.collect()
    })
}

fn sizes() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..1000, 60_000u64..70_000, any::<u64>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn batches_and_restarts_leave_no_trace(batches in prop::collection::vec(0u64..400, 0..8)) {
        let (mut store, mut writer, mut size) = (Store::new(), TileWriter::new(), 0);
        for batch in batches {
            let tiles = writer.append_all(leaves(size..size + batch));
            let ids: Vec<TileId> = tiles.iter().map(Tile::id).collect();
            store_all(&mut store, tiles);
            for (at, id) in ids.iter().enumerate() {
                prop_assert!(!ids[..at].contains(id), "each tile is written once");
            }
            size += batch;
            let bytes: Vec<_> = store.values().map(Encode::to_bytes).collect();
            let read = bytes.iter().map(|bytes| Tile::from_bytes(bytes).unwrap());
            let read: Store = read.map(|tile| (tile.id(), tile)).collect();
            writer = TileWriter::resume(&writer.head(), &read).unwrap();
        }
        prop_assert_eq!(writer.head(), tree(size).head());
        prop_assert_eq!(store, stored(size));
    }

    #[test]
    fn hostile_tiles_never_panic(tiles in hostile_tiles(), index in sizes(), size in sizes(), old in sizes()) {
        let (index, size, old) = (LeafIndex(index), TreeSize(size), TreeSize(old));
        let _ = prove_inclusion(index, size, &tiles);
        let _ = prove_consistency(old, size, &tiles);
        let _ = root_at(size, &tiles);
        let head = TreeHead { size, root: Digest([1; 32]) };
        prop_assert!(TileWriter::resume(&head, &tiles).is_err());
        let needed = tiles_for_inclusion(index, size).len() + tiles_for_consistency(old, size).len();
        prop_assert!(needed <= 32);
        for id in tiles_for_inclusion(index, size) {
            prop_assert_eq!(TileId::from_bytes(&id.to_bytes()), Ok(id));
        }
    }

    #[test]
    fn decoding_tiles_is_total_and_canonical(
        level in prop_oneof![0u8..9, any::<u8>()],
        rest in prop::collection::vec(any::<u8>(), 0..120),
        width in prop::option::of(0u8..4),
    ) {
        let mut bytes = rest;
        bytes.insert(0, level);
        if let (Some(width), true) = (width, bytes.len() >= 13) {
            bytes[1..13].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, width]);
            bytes.resize(13 + 32 * usize::from(width), 5);
        }
        if let Ok(tile) = Tile::from_slice(&bytes) {
            prop_assert_eq!(tile.to_bytes().to_vec(), bytes);
        }
    }

    #[test]
    fn equal_lists_have_equal_tiles(numbers in prop::collection::vec(0u64..9, 0..700)) {
        let hashes: Vec<LeafHash> = numbers.into_iter().map(leaf).collect();
        let mut one = TileWriter::new();
        let mut store = Store::new();
        for leaf in &hashes {
            store_all(&mut store, one.append(*leaf));
        }
        let mut all = TileWriter::new();
        let mut at_once = Store::new();
        store_all(&mut at_once, all.append_all(hashes));
        prop_assert_eq!(store, at_once);
        prop_assert_eq!(one, all);
    }
}
