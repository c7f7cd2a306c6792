//! Each known attack on Merkle proofs by name.

use super::{data, leaf, tree};
use crate::codec::{Decode, DecodeError, Encode};
use crate::crypto::Digest;
use crate::merkle::{
    Consistency, Inclusion, LeafHash, LeafIndex, MerkleError, TreeHead, TreeSize, node_hash,
};

fn inclusion(index: u64, size: u64, path: &[Digest]) -> Inclusion {
    Inclusion {
        index: LeafIndex(index),
        size: TreeSize(size),
        path: path.to_vec(),
    }
}

/// The whitepaper's verifier takes the root for a leaf with an empty proof.
#[test]
fn the_root_is_no_leaf() {
    let head = tree(8).head();
    let root_as_leaf = LeafHash::assume(head.root);
    let too_short = MerkleError::WrongLength {
        expected: 3,
        found: 0,
    };
    assert_eq!(
        inclusion(0, 8, &[]).verify(&head, &root_as_leaf),
        Err(too_short)
    );
    // Hashing it as data is no way around: the leaf prefix makes another hash.
    let hashed = LeafHash::of(&head.root.0);
    assert_eq!(inclusion(0, 8, &[]).verify(&head, &hashed), Err(too_short));
}

/// OG-10: two hashes, taken as data, passed for a transaction.
#[test]
fn an_inner_node_is_no_leaf() {
    let tree = tree(4);
    let (left, right) = (*leaf(0).digest(), *leaf(1).digest());
    let inner = node_hash(&left, &right);
    let sibling = node_hash(leaf(2).digest(), leaf(3).digest());
    assert_eq!(node_hash(&inner, &sibling), tree.root());
    let forged = inclusion(0, 4, &[sibling]);
    let too_short = MerkleError::WrongLength {
        expected: 2,
        found: 1,
    };
    assert_eq!(
        forged.verify(&tree.head(), &LeafHash::assume(inner)),
        Err(too_short)
    );
    // As a smaller tree the lengths fit, but that size was never signed.
    let smaller = inclusion(0, 2, &[sibling]);
    let other = MerkleError::OtherSize {
        expected: TreeSize(4),
        found: TreeSize(2),
    };
    assert_eq!(
        smaller.verify(&tree.head(), &LeafHash::assume(inner)),
        Err(other)
    );
    // And honest data cannot hash to an inner node at all.
    let mut forged_data = [0; 64];
    forged_data[..32].copy_from_slice(&left.0);
    forged_data[32..].copy_from_slice(&right.0);
    assert_ne!(*LeafHash::of(&forged_data).digest(), inner);
}

/// The whitepaper's verifier accepts leaf 3 of 8 at 3, 11, 19, 27 and so on.
#[test]
fn a_position_has_no_congruent_twins() {
    let tree = tree(8);
    let honest = tree.prove_inclusion(LeafIndex(3), TreeSize(8)).unwrap();
    for twin in (1..64).map(|k| 3 + 8 * k) {
        let forged = Inclusion {
            index: LeafIndex(twin),
            ..honest.clone()
        };
        let beyond = MerkleError::IndexBeyondSize {
            index: LeafIndex(twin),
            size: TreeSize(8),
        };
        assert_eq!(forged.verify(&tree.head(), &leaf(3)), Err(beyond));
    }
}

#[test]
fn the_index_is_below_the_size_exactly() {
    let tree = tree(5);
    for index in [5, 6, 7, 8, u64::MAX] {
        for length in 0..5 {
            let forged = inclusion(index, 5, &alloc::vec![tree.root(); length]);
            let verdict = forged.verify(&tree.head(), &leaf(4));
            assert!(matches!(verdict, Err(MerkleError::IndexBeyondSize { .. })));
        }
    }
    let none = inclusion(0, 0, &[]).verify(&TreeHead::empty(), &leaf(0));
    assert!(matches!(none, Err(MerkleError::IndexBeyondSize { .. })));
}

/// CVE-2012-2459 and OG-11: with duplicated last leaves two lists share a root.
#[test]
fn a_duplicated_last_leaf_changes_the_root() {
    for size in 1..40 {
        let honest = tree(size);
        for repeat in 1..5 {
            let mut padded = honest.clone();
            for _ in 0..repeat {
                padded.append(leaf(size - 1));
            }
            assert_ne!(padded.root(), honest.root(), "{size} + {repeat}");
        }
    }
}

/// OG-9: every honest proof verifies, at odd sizes too, at its own place only.
#[test]
fn each_leaf_verifies_at_its_own_place_only() {
    for size in 1..24 {
        let tree = tree(size);
        for index in 0..size {
            let proof = tree.prove_inclusion(LeafIndex(index), tree.size()).unwrap();
            for claimed in 0..size {
                for other in 0..size {
                    let moved = Inclusion {
                        index: LeafIndex(claimed),
                        ..proof.clone()
                    };
                    let accepted = moved.verify(&tree.head(), &leaf(other)).is_ok();
                    assert_eq!(accepted, claimed == index && other == index);
                }
            }
        }
    }
}

#[test]
fn a_tree_can_not_shrink_or_forget() {
    let tree = tree(9);
    let head = |size| TreeHead {
        size: TreeSize(size),
        root: tree.root_at(TreeSize(size)).unwrap(),
    };
    let back = Consistency {
        old: TreeSize(9),
        new: TreeSize(5),
        path: alloc::vec![],
    };
    let shrinks = MerkleError::Shrinks {
        old: TreeSize(9),
        new: TreeSize(5),
    };
    assert_eq!(back.verify(&head(9), &head(5)), Err(shrinks));
    assert_eq!(
        tree.prove_consistency(TreeSize(9), TreeSize(5)),
        Err(shrinks)
    );
    // A log that changed an old leaf has no proof, whatever it sends.
    let mut rewritten: crate::merkle::Tree =
        (0..5).map(|i| leaf(if i == 2 { 99 } else { i })).collect();
    for index in 5..9 {
        rewritten.append(leaf(index));
    }
    for path_tree in [&tree, &rewritten] {
        let proof = path_tree
            .prove_consistency(TreeSize(5), TreeSize(9))
            .unwrap();
        assert!(proof.verify(&head(5), &rewritten.head()).is_err());
    }
}

#[test]
fn equal_sizes_need_equal_roots_and_no_hashes() {
    let head = tree(6).head();
    let other = TreeHead {
        root: Digest::ZERO,
        ..head
    };
    let proof = |path| Consistency {
        old: TreeSize(6),
        new: TreeSize(6),
        path,
    };
    assert!(proof(alloc::vec![]).verify(&head, &head).is_ok());
    assert_eq!(
        proof(alloc::vec![]).verify(&other, &head),
        Err(MerkleError::RootMismatch)
    );
    let longer = MerkleError::WrongLength {
        expected: 0,
        found: 1,
    };
    assert_eq!(
        proof(alloc::vec![head.root]).verify(&head, &head),
        Err(longer)
    );
}

#[test]
fn everything_extends_the_empty_tree_and_only_that() {
    let head = tree(6).head();
    let proof = |path| Consistency {
        old: TreeSize(0),
        new: TreeSize(6),
        path,
    };
    assert!(
        proof(alloc::vec![])
            .verify(&TreeHead::empty(), &head)
            .is_ok()
    );
    assert!(
        proof(alloc::vec![head.root])
            .verify(&TreeHead::empty(), &head)
            .is_err()
    );
    let lie = TreeHead {
        size: TreeSize(0),
        root: head.root,
    };
    assert_eq!(
        proof(alloc::vec![]).verify(&lie, &head),
        Err(MerkleError::BadEmptyRoot)
    );
}

#[test]
fn sizes_at_the_end_of_the_range_do_not_overflow() {
    let head = TreeHead {
        size: TreeSize(u64::MAX),
        root: Digest::ZERO,
    };
    for index in [0, 1, u64::MAX / 2, u64::MAX - 1] {
        let path = alloc::vec![Digest::ZERO; 64];
        let forged = inclusion(index, u64::MAX, &path).verify(&head, &leaf(0));
        assert!(forged.is_err());
    }
    for old in [1, 2, 1 << 63, u64::MAX - 1] {
        let old = TreeHead {
            size: TreeSize(old),
            root: Digest::ZERO,
        };
        for length in [0, 1, 63, 64, 65, 66] {
            let path = alloc::vec![Digest::ZERO; length];
            let forged = Consistency {
                old: old.size,
                new: head.size,
                path,
            };
            assert!(forged.verify(&old, &head).is_err());
        }
    }
}

#[test]
fn decoders_refuse_long_paths_before_they_allocate() {
    let tree = tree(9);
    let honest = tree.prove_inclusion(LeafIndex(4), TreeSize(9)).unwrap();
    assert_eq!(
        Inclusion::from_bytes(&honest.to_bytes()),
        Ok(honest.clone())
    );
    let mut bytes = honest.to_bytes().to_vec();
    bytes[16..20].copy_from_slice(&u32::MAX.to_be_bytes());
    let refused = DecodeError::TooLong {
        what: "inclusion",
        field: "path",
        length: 0xffff_ffff,
        limit: 64,
    };
    assert_eq!(Inclusion::from_slice(&bytes), Err(refused));
    let consistency = tree.prove_consistency(TreeSize(3), TreeSize(9)).unwrap();
    assert_eq!(
        Consistency::from_bytes(&consistency.to_bytes()),
        Ok(consistency.clone())
    );
    for end in 0..consistency.to_bytes().len() {
        assert!(Consistency::from_slice(&consistency.to_bytes()[..end]).is_err());
    }
}

#[test]
fn a_proof_says_what_was_proven() {
    let tree = tree(5);
    let proof = tree.prove_inclusion(LeafIndex(4), TreeSize(5)).unwrap();
    let proven = proof.verify(&tree.head(), &leaf(4)).unwrap();
    assert_eq!(*proven.leaf(), LeafHash::of(&data(4)));
    assert_eq!(tree.leaf(LeafIndex(4)), Some(leaf(4)));
    assert_eq!(tree.leaf(LeafIndex(5)), None);
}

#[test]
fn provers_refuse_what_does_not_exist() {
    let tree = tree(5);
    assert!(tree.prove_inclusion(LeafIndex(5), TreeSize(5)).is_err());
    assert!(tree.prove_inclusion(LeafIndex(0), TreeSize(0)).is_err());
    assert!(tree.prove_inclusion(LeafIndex(0), TreeSize(6)).is_err());
    assert!(tree.prove_consistency(TreeSize(0), TreeSize(6)).is_err());
}
