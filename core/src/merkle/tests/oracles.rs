//! `ours == rs_merkle == ct-merkle`, for every size up to 512 and every position.

use alloc::vec::Vec;

use ct_merkle::mem_backed_tree::MemoryBackedTree;

use super::{data, leaf, leaves, tree};
use crate::crypto::{Digest, Hasher};
use crate::merkle::{LeafIndex, TreeHead, TreeSize};

const SIZE_MAX: u64 = 512;

/// RFC 6962 as `rs_merkle` wants it told: odd nodes are promoted, inner nodes
/// have their prefix.
#[derive(Clone)]
pub(super) struct Rfc6962;

impl rs_merkle::Hasher for Rfc6962 {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        crate::merkle::LeafHash::of(data).digest().0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        let Some(right) = right else { return *left };
        let mut hasher = Hasher::new();
        hasher.update(&[0x01]);
        hasher.update(left);
        hasher.update(right);
        hasher.finish().0
    }
}

fn joined(path: &[Digest]) -> Vec<u8> {
    path.iter().flat_map(|hash| hash.0).collect()
}

#[test]
fn rs_merkle_builds_the_same_roots_and_paths() {
    let ours = tree(SIZE_MAX);
    let hashes: Vec<[u8; 32]> = leaves(0..SIZE_MAX)
        .iter()
        .map(|leaf| leaf.digest().0)
        .collect();
    for size in 1..=SIZE_MAX {
        let count = usize::try_from(size).unwrap();
        let theirs = rs_merkle::MerkleTree::<Rfc6962>::from_leaves(&hashes[..count]);
        let root = ours.root_at(TreeSize(size)).unwrap();
        assert_eq!(Some(root.0), theirs.root(), "{size}");
        for (index, position) in (0..size).zip(0..count) {
            let path = ours
                .prove_inclusion(LeafIndex(index), TreeSize(size))
                .unwrap()
                .path;
            let theirs = theirs.proof(&[position]).to_bytes();
            assert_eq!(joined(&path), theirs, "{index} of {size}");
        }
    }
}

#[test]
fn ct_merkle_builds_the_same_roots_and_paths_and_ours_verify() {
    let ours = tree(SIZE_MAX);
    let mut theirs = MemoryBackedTree::<sha2::Sha256, [u8; 9]>::new();
    for size in 1..=SIZE_MAX {
        theirs.push(data(size - 1));
        let root = ours.root_at(TreeSize(size)).unwrap();
        assert_eq!(
            root.0.as_slice(),
            theirs.root().as_bytes().as_slice(),
            "{size}"
        );
        let head = TreeHead {
            size: TreeSize(size),
            root,
        };
        for (index, position) in (0..size).zip(0..) {
            let proof = ours
                .prove_inclusion(LeafIndex(index), TreeSize(size))
                .unwrap();
            assert_eq!(
                joined(&proof.path),
                theirs.prove_inclusion(position).as_bytes()
            );
            let proven = proof.verify(&head, &leaf(index)).unwrap();
            assert_eq!((proven.index().0, *proven.head()), (index, head));
        }
    }
}

#[test]
fn ct_merkle_builds_the_same_consistency_proofs_and_ours_verify() {
    let ours = tree(SIZE_MAX);
    let mut theirs = MemoryBackedTree::<sha2::Sha256, [u8; 9]>::new();
    for new in 1..=SIZE_MAX {
        theirs.push(data(new - 1));
        let head = |size| TreeHead {
            size: TreeSize(size),
            root: ours.root_at(TreeSize(size)).unwrap(),
        };
        for old in 0..=new {
            let proof = ours
                .prove_consistency(TreeSize(old), TreeSize(new))
                .unwrap();
            if old > 0 {
                let additions = usize::try_from(new - old).unwrap();
                let expected = theirs.prove_consistency(additions);
                assert_eq!(joined(&proof.path), expected.as_bytes(), "{old} to {new}");
            }
            let proven = proof.verify(&head(old), &head(new)).unwrap();
            assert_eq!((*proven.old(), *proven.new_head()), (head(old), head(new)));
        }
    }
}
