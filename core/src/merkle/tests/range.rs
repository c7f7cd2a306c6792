use super::{leaf, leaves, tree};
use crate::codec::{Decode, Encode};
use crate::merkle::{LeafIndex, MerkleError, RangeProof, TreeHead, TreeSize};

const SIZE_MAX: u64 = 40;

#[test]
fn every_range_of_every_small_tree_verifies() {
    let tree = tree(SIZE_MAX);
    for size in 1..=SIZE_MAX {
        let head = TreeHead {
            size: TreeSize(size),
            root: tree.root_at(TreeSize(size)).unwrap(),
        };
        for first in 0..size {
            for end in first + 1..=size {
                let count = usize::try_from(end - first).unwrap();
                let proof = tree
                    .prove_range(LeafIndex(first), count, head.size)
                    .unwrap();
                assert!(proof.path.len() <= 12);
                let proven = proof.verify(&head, &leaves(first..end)).unwrap();
                assert_eq!((proven.first().0, proven.count()), (first, count));
                assert_eq!(RangeProof::from_bytes(&proof.to_bytes()), Ok(proof));
            }
        }
    }
}

/// A range of one leaf has the hashes of an inclusion path, in another order.
#[test]
fn a_range_of_one_is_an_inclusion() {
    let tree = tree(SIZE_MAX);
    for index in 0..SIZE_MAX {
        let range = tree.prove_range(LeafIndex(index), 1, tree.size()).unwrap();
        let inclusion = tree.prove_inclusion(LeafIndex(index), tree.size()).unwrap();
        let (mut left, mut right) = (range.path, inclusion.path);
        left.sort();
        right.sort();
        assert_eq!(left, right);
    }
}

#[test]
fn moved_shortened_and_extended_ranges_are_refused() {
    let tree = tree(13);
    let head = tree.head();
    let honest = tree.prove_range(LeafIndex(4), 3, head.size).unwrap();
    assert!(honest.verify(&head, &leaves(4..7)).is_ok());
    for (first, end) in [(0, 3), (3, 6), (5, 8), (4, 6), (4, 8), (3, 7), (10, 13)] {
        assert!(
            honest.verify(&head, &leaves(first..end)).is_err(),
            "{first}..{end}"
        );
        for claimed in 0..13 {
            let moved = RangeProof {
                first: LeafIndex(claimed),
                ..honest.clone()
            };
            let is_honest = (first, end, claimed) == (4, 7, 4);
            assert_eq!(moved.verify(&head, &leaves(first..end)).is_ok(), is_honest);
        }
    }
    let swapped = [leaf(5), leaf(4), leaf(6)];
    assert_eq!(
        honest.verify(&head, &swapped),
        Err(MerkleError::RootMismatch)
    );
}

#[test]
fn empty_and_overflowing_ranges_are_refused() {
    let tree = tree(13);
    let head = tree.head();
    for (first, count) in [
        (0, 0),
        (13, 0),
        (13, 1),
        (12, 2),
        (u64::MAX, 1),
        (u64::MAX, 2),
    ] {
        let first = LeafIndex(first);
        let bad = MerkleError::BadRange {
            first,
            count,
            size: head.size,
        };
        assert_eq!(tree.prove_range(first, count, head.size), Err(bad));
        let proof = RangeProof {
            first,
            size: head.size,
            path: alloc::vec![],
        };
        let leaves = alloc::vec![leaf(0); count];
        assert_eq!(proof.verify(&head, &leaves).unwrap_err(), bad);
    }
    let empty = RangeProof {
        first: LeafIndex(0),
        size: TreeSize(0),
        path: alloc::vec![],
    };
    assert!(empty.verify(&TreeHead::empty(), &[]).is_err());
    assert!(tree.prove_range(LeafIndex(0), 1, TreeSize(14)).is_err());
}

#[test]
fn every_altered_hash_and_length_is_refused() {
    let tree = tree(29);
    let head = tree.head();
    let honest = tree.prove_range(LeafIndex(9), 7, head.size).unwrap();
    let leaves = leaves(9..16);
    assert!(honest.path.len() > 2);
    for at in 0..honest.path.len() {
        for bit in [0, 7, 100, 255] {
            let mut forged = honest.clone();
            forged.path[at].0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                forged.verify(&head, &leaves),
                Err(MerkleError::RootMismatch)
            );
        }
        let mut shorter = honest.clone();
        shorter.path.remove(at);
        assert!(matches!(
            shorter.verify(&head, &leaves),
            Err(MerkleError::WrongLength { .. })
        ));
        let mut longer = honest.clone();
        longer.path.insert(at, honest.path[at]);
        assert!(matches!(
            longer.verify(&head, &leaves),
            Err(MerkleError::WrongLength { .. })
        ));
    }
    for size in [0, 28, 30, u64::MAX] {
        let other = RangeProof {
            size: TreeSize(size),
            ..honest.clone()
        };
        assert!(matches!(
            other.verify(&head, &leaves),
            Err(MerkleError::OtherSize { .. })
        ));
    }
}

/// The largest tree that a `u64` can number has 64 levels, and the walk ends.
#[test]
fn the_deepest_tree_is_walked_in_bounded_steps() {
    let head = TreeHead {
        size: TreeSize(u64::MAX),
        root: crate::crypto::Digest::ZERO,
    };
    for first in [0, 1 << 40, u64::MAX - 1] {
        let first = LeafIndex(first);
        let mut proof = RangeProof {
            first,
            size: head.size,
            path: alloc::vec![],
        };
        let Err(MerkleError::WrongLength { expected, .. }) = proof.verify(&head, &[leaf(0)]) else {
            panic!("the empty path is too short");
        };
        assert!(expected <= 64);
        proof.path = alloc::vec![crate::crypto::Digest::ZERO; expected];
        assert_eq!(
            proof.verify(&head, &[leaf(0)]),
            Err(MerkleError::RootMismatch)
        );
    }
}
