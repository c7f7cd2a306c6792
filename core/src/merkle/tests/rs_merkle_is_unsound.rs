//! Why the verifier of `rs_merkle` is never used. It builds correct trees, and
//! the tests of [`super::oracles`] rely on that; but its `verify` does not tie the
//! position to the size. If one of these tests fails, the library was repaired
//! and the comparison may be revised; ours stays.

use alloc::vec::Vec;

use super::oracles::Rfc6962;
use super::{leaf, leaves, tree};
use crate::merkle::{Inclusion, LeafIndex};
use rs_merkle::MerkleProof;

fn hashes(size: u64) -> Vec<[u8; 32]> {
    leaves(0..size).iter().map(|leaf| leaf.digest().0).collect()
}

#[test]
fn it_accepts_a_leaf_at_congruent_positions() {
    let hashes = hashes(4);
    let theirs = rs_merkle::MerkleTree::<Rfc6962>::from_leaves(&hashes);
    let (root, proof) = (theirs.root().unwrap(), theirs.proof(&[3]));
    assert!(proof.verify(root, &[3], &hashes[3..], 4));
    // "Leaf 3 of 3": there is no such position.
    assert!(proof.verify(root, &[3], &hashes[3..], 3));
    // With a claimed total of two or three it takes congruent positions too.
    for total in [2, 3] {
        let twins: Vec<usize> = (4..40)
            .filter(|index| proof.verify(root, &[*index], &hashes[3..], total))
            .collect();
        let congruent: Vec<usize> = (4..40).filter(|index| index % 4 == 3).collect();
        assert_eq!(twins, congruent, "total {total}");
    }
    // Ours refuses each of them.
    let tree = tree(4);
    let honest = tree.prove_inclusion(LeafIndex(3), tree.size()).unwrap();
    for twin in (4..40).map(LeafIndex) {
        let forged = Inclusion {
            index: twin,
            ..honest.clone()
        };
        assert!(forged.verify(&tree.head(), &leaf(3)).is_err());
    }
}

/// Two claims about leaf 0, one of them false, are accepted together.
#[test]
fn it_accepts_two_leaves_at_one_position() {
    let hashes = hashes(2);
    let root = rs_merkle::MerkleTree::<Rfc6962>::from_leaves(&hashes)
        .root()
        .unwrap();
    let junk = MerkleProof::<Rfc6962>::new(alloc::vec![[7; 32], [8; 32]]);
    assert!(junk.verify(root, &[0, 0], &hashes, 2));
}

#[test]
fn it_ignores_trailing_hashes() {
    let hashes = hashes(4);
    let theirs = rs_merkle::MerkleTree::<Rfc6962>::from_leaves(&hashes);
    let mut path = theirs.proof(&[1]).proof_hashes().to_vec();
    path.push([9; 32]);
    let longer = MerkleProof::<Rfc6962>::new(path);
    assert!(longer.verify(theirs.root().unwrap(), &[1], &hashes[1..2], 4));
}
