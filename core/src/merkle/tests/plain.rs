use alloc::vec::Vec;

use super::data;
use crate::crypto::{Digest, Hasher};
use crate::merkle::plain::{PlainProof, PlainRoot};
use crate::merkle::{LeafHash, LeafIndex, MerkleError, TreeSize};

fn hashes(size: u64) -> Vec<Digest> {
    (0..size)
        .map(|index| *LeafHash::of(&data(index)).digest())
        .collect()
}

/// The verifier exactly as the whitepaper prints it.
fn as_printed(root: &Digest, proof: &[Digest], leaf: &Digest, index: u64) -> bool {
    let (mut hash, mut index) = (*leaf, index);
    for sibling in proof {
        let mut hasher = Hasher::new();
        let (left, right) = if index % 2 == 0 {
            (&hash, sibling)
        } else {
            (sibling, &hash)
        };
        hasher.update(&left.0);
        hasher.update(&right.0);
        hash = hasher.finish();
        index /= 2;
    }
    hash == *root
}

#[test]
fn honest_proofs_verify_here_and_as_printed() {
    for size in 1..40 {
        let hashes = hashes(size);
        let root = PlainRoot::of(&hashes).unwrap();
        assert_eq!(root.num_leaves(), TreeSize(size));
        for (index, leaf) in (0..).zip(&hashes) {
            let proof = PlainProof::prove(&hashes, LeafIndex(index)).unwrap();
            assert_eq!(proof.verify_padded(&root, &data(index)), Ok(()));
            assert_eq!(proof.verify_leaf_hash(&root, leaf), Ok(()));
            assert!(as_printed(root.root(), &proof.hashes, leaf, index));
        }
    }
    assert_eq!(PlainRoot::of(&[]), None);
    assert!(PlainProof::prove(&hashes(3), LeafIndex(3)).is_err());
}

/// Each forgery passes the verifier as printed, and is refused here.
#[test]
fn forgeries_that_the_printed_verifier_accepts_are_refused() {
    let hashes = hashes(8);
    let root = PlainRoot::of(&hashes).unwrap();
    // The root as a leaf, with an empty proof.
    assert!(as_printed(root.root(), &[], root.root(), 0));
    let forged = PlainProof {
        index: LeafIndex(0),
        hashes: Vec::new(),
    };
    let too_short = MerkleError::WrongLength {
        expected: 3,
        found: 0,
    };
    assert_eq!(forged.verify_leaf_hash(&root, root.root()), Err(too_short));
    // An inner node as a leaf.
    let inner = *PlainRoot::of(&hashes[..2]).unwrap().root();
    let honest = PlainProof::prove(&hashes, LeafIndex(0)).unwrap();
    assert!(as_printed(root.root(), &honest.hashes[1..], &inner, 0));
    let forged = PlainProof {
        index: LeafIndex(0),
        hashes: honest.hashes[1..].to_vec(),
    };
    assert!(forged.verify_leaf_hash(&root, &inner).is_err());
    // A leaf at every congruent position.
    let honest = PlainProof::prove(&hashes, LeafIndex(3)).unwrap();
    for twin in (1..8).map(|k| 3 + 8 * k) {
        assert!(as_printed(root.root(), &honest.hashes, &hashes[3], twin));
        let forged = PlainProof {
            index: LeafIndex(twin),
            hashes: honest.hashes.clone(),
        };
        let beyond = MerkleError::IndexBeyondSize {
            index: LeafIndex(twin),
            size: TreeSize(8),
        };
        assert_eq!(forged.verify_leaf_hash(&root, &hashes[3]), Err(beyond));
    }
}

/// `[a, b, c]` and `[a, b, c, c]` have one root; the number of leaves tells them
/// apart.
#[test]
fn the_padding_is_no_leaf() {
    let mut hashes = hashes(3);
    let three = PlainRoot::of(&hashes).unwrap();
    hashes.push(hashes[2]);
    let four = PlainRoot::of(&hashes).unwrap();
    assert_eq!(three.root(), four.root());
    assert_ne!(three, four);
    let padding = PlainProof::prove(&hashes, LeafIndex(3)).unwrap();
    assert!(as_printed(three.root(), &padding.hashes, &hashes[3], 3));
    assert_eq!(padding.verify_leaf_hash(&four, &hashes[3]), Ok(()));
    assert!(padding.verify_leaf_hash(&three, &hashes[3]).is_err());
}

#[test]
fn damaged_proofs_are_refused() {
    for size in [1, 2, 3, 5, 8, 13] {
        let hashes = hashes(size);
        let root = PlainRoot::of(&hashes).unwrap();
        for index in 0..size {
            let honest = PlainProof::prove(&hashes, LeafIndex(index)).unwrap();
            let mut longer = honest.clone();
            longer.hashes.push(Digest::ZERO);
            assert!(longer.verify_padded(&root, &data(index)).is_err());
            for at in 0..honest.hashes.len() {
                let mut flipped = honest.clone();
                flipped.hashes[at].0[0] ^= 1;
                let verdict = flipped.verify_padded(&root, &data(index));
                assert_eq!(verdict, Err(MerkleError::RootMismatch));
                let mut shorter = honest.clone();
                shorter.hashes.remove(at);
                assert!(shorter.verify_padded(&root, &data(index)).is_err());
            }
            assert!(honest.verify_padded(&root, &data(index + 1)).is_err());
            let other = PlainRoot::published(*root.root(), TreeSize(size * 2 + 1));
            assert!(honest.verify_padded(&other, &data(index)).is_err());
        }
    }
}

#[test]
fn sizes_at_the_end_of_the_range_do_not_overflow() {
    let root = PlainRoot::published(Digest::ZERO, TreeSize(u64::MAX));
    let proof = PlainProof {
        index: LeafIndex(u64::MAX - 1),
        hashes: alloc::vec![Digest::ZERO; 64],
    };
    assert_eq!(
        proof.verify_padded(&root, b"x"),
        Err(MerkleError::RootMismatch)
    );
    let none = PlainRoot::published(Digest::ZERO, TreeSize(0));
    assert!(proof.verify_padded(&none, b"x").is_err());
}
