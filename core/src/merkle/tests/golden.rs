//! The bytes of proofs and tiles, and the roots of trees.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::tree;
use crate::golden::Table;
use crate::golden::samples::{blob, digest, frontier, inclusion, number};
use crate::merkle::{
    Consistency, Frontier, KeyHash, LeafHash, LeafIndex, RangeProof, StateEnd, StateProof,
    StateStep, StateTree, Tile, TileId, TileWriter, TreeHead, TreeSize,
};

#[test]
fn golden_bytes() {
    let mut table = Table::of("merkle");
    table.row(&LeafIndex(number(0x01)));
    table.row(&TreeSize(number(0x02)));
    table.row(&TreeHead {
        size: TreeSize(number(0x03)),
        root: digest(0x04),
    });
    table.also("empty", &TreeHead::empty());
    table.row(&frontier());
    table.also("empty", &Frontier::new());
    proofs(&mut table);
    state(&mut table);
    tiles(&mut table);
    table.check();
}

fn proofs(table: &mut Table) {
    table.row(&inclusion());
    table.row(&Consistency {
        old: TreeSize(number(0x01)),
        new: TreeSize(number(0x11)),
        path: vec![digest(0x21), digest(0x22)],
    });
    table.row(&RangeProof {
        first: LeafIndex(number(0x01)),
        size: TreeSize(number(0x11)),
        path: vec![digest(0x21), digest(0x22)],
    });
    let tree = tree(11);
    let (old, new) = (TreeSize(6), TreeSize(11));
    table.bytes("leaf_hash", &LeafHash::of(b"leaf").digest().0);
    table.bytes("root", &tree.root().0);
    let inclusion = tree.prove_inclusion(LeafIndex(6), new);
    table.also("real", &inclusion.expect("within"));
    let consistency = tree.prove_consistency(old, new);
    table.also("real", &consistency.expect("within"));
    let range = tree.prove_range(LeafIndex(3), 4, new);
    table.also("real", &range.expect("within"));
}

fn state(table: &mut Table) {
    table.named("KeyHash", &KeyHash(digest(0x01)));
    let step = |bit, sibling| StateStep {
        bit,
        sibling: digest(sibling),
    };
    table.row(&step(7, 0x02));
    let ends = || {
        [
            StateEnd::Empty,
            StateEnd::Value(blob("value")),
            StateEnd::Other {
                place: KeyHash(digest(0x03)),
                content: digest(0x23),
            },
        ]
    };
    table.rows(ends());
    let [_, value, _] = ends();
    table.row(&StateProof {
        path: vec![step(9, 0x04), step(3, 0x05)],
        end: value,
    });
    let mut tree = StateTree::new();
    table.bytes("state_root.empty", &tree.root().0);
    for number in 0..9_u8 {
        tree.insert(Bytes::copy_from_slice(&[number]), blob("value"));
    }
    table.bytes("state_root", &tree.root().0);
    table.also("present", &tree.prove(&[4]));
    table.also("absent", &tree.prove(&[40]));
    let order: Vec<u8> = tree.iter().flat_map(|entry| entry.key.to_vec()).collect();
    table.bytes("state_order", &order);
}

fn tiles(table: &mut Table) {
    let (level, index) = (3, 0x0102_0304);
    table.row(&TileId { level, index });
    table.row(&Tile {
        level,
        index,
        hashes: vec![digest(0x01), digest(0x02)],
    });
    let mut writer = TileWriter::new();
    let leaves = (0..=256_u16).map(|number| LeafHash::of(&number.to_be_bytes()));
    let grown = writer.append_all(leaves);
    let last = grown.iter().map(|tile| (tile.id(), tile.hashes.last()));
    for (id, hash) in last {
        let hash = hash.expect("a tile has hashes");
        table.bytes(&alloc::format!("tile_hash.{id}"), &hash.0);
    }
    table.bytes("tile_root", &writer.head().root.0);
}
