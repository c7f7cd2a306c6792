use alloc::vec::Vec;

use proptest::prelude::*;

use super::leaf;
use crate::codec::{Decode, Encode};
use crate::crypto::Digest;
use crate::merkle::{
    Consistency, Frontier, Inclusion, LeafHash, LeafIndex, RangeProof, Tree, TreeHead, TreeSize,
    node_hash,
};

/// The recursion of RFC 6962 §2.1, word for word: the model of the tree.
fn model_root(leaves: &[LeafHash]) -> Digest {
    match leaves {
        [] => crate::crypto::sha256(b""),
        [leaf] => *leaf.digest(),
        _ => {
            let mut left = 1;
            while left * 2 < leaves.len() {
                left *= 2;
            }
            node_hash(&model_root(&leaves[..left]), &model_root(&leaves[left..]))
        }
    }
}

fn digests() -> impl Strategy<Value = Vec<Digest>> {
    prop::collection::vec(any::<[u8; 32]>().prop_map(Digest), 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn tree_and_frontier_follow_the_model(numbers in prop::collection::vec(0u64..50, 0..120)) {
        let leaves: Vec<LeafHash> = numbers.into_iter().map(leaf).collect();
        let tree: Tree = leaves.iter().copied().collect();
        let mut frontier = Frontier::new();
        for leaf in &leaves {
            frontier.append(*leaf);
        }
        prop_assert_eq!(tree.root(), model_root(&leaves));
        prop_assert_eq!(frontier.head(), tree.head());
    }

    #[test]
    fn different_lists_have_different_heads(
        left in prop::collection::vec(0u64..3, 0..6),
        right in prop::collection::vec(0u64..3, 0..6),
    ) {
        let root = |numbers: &[u64]| -> Digest {
            numbers.iter().copied().map(leaf).collect::<Tree>().root()
        };
        prop_assert_eq!(root(&left) == root(&right), left == right);
    }

    #[test]
    fn a_random_proof_is_refused(index: u64, size: u64, old: u64, path in digests()) {
        let head = TreeHead { size: TreeSize(size), root: Digest([1; 32]) };
        let before = TreeHead { size: TreeSize(old), root: Digest([2; 32]) };
        let (index, size) = (LeafIndex(index), TreeSize(size));
        let inclusion = Inclusion { index, size, path: path.clone() };
        prop_assert!(inclusion.verify(&head, &leaf(0)).is_err());
        let range = RangeProof { first: index, size, path: path.clone() };
        prop_assert!(range.verify(&head, &[leaf(0), leaf(1)]).is_err());
        let consistency = Consistency { old: TreeSize(old), new: size, path };
        prop_assert!(consistency.verify(&before, &head).is_err());
    }

    #[test]
    fn consistency_composes(sizes in prop::collection::vec(0u64..200, 3)) {
        let mut sizes = sizes;
        sizes.sort_unstable();
        let tree = super::tree(200);
        let heads: Vec<TreeHead> = sizes
            .iter()
            .map(|size| TreeHead { size: TreeSize(*size), root: tree.root_at(TreeSize(*size)).unwrap() })
            .collect();
        for (old, new) in [(0, 1), (1, 2), (0, 2)] {
            let proof = tree.prove_consistency(heads[old].size, heads[new].size).unwrap();
            prop_assert!(proof.verify(&heads[old], &heads[new]).is_ok());
        }
    }

    #[test]
    fn decoders_are_total_and_canonical(bytes in prop::collection::vec(any::<u8>(), 0..160)) {
        if let Ok(proof) = Inclusion::from_slice(&bytes) {
            prop_assert_eq!(proof.to_bytes().to_vec(), bytes.clone());
        }
        if let Ok(proof) = RangeProof::from_slice(&bytes) {
            prop_assert_eq!(proof.to_bytes().to_vec(), bytes.clone());
        }
        if let Ok(frontier) = Frontier::from_slice(&bytes) {
            prop_assert_eq!(frontier.to_bytes().to_vec(), bytes.clone());
        }
    }
}
