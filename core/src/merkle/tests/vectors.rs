//! Negative vectors by construction. The kinds of damage are those that the
//! public test vectors of transparency logs name; here they are generated for
//! every position of every small tree instead of being stored.

use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use super::{leaf, tree};
use crate::crypto::Digest;
use crate::merkle::{Consistency, Inclusion, LeafHash, LeafIndex, TreeHead, TreeSize, empty_root};

/// Sizes whose proofs have every shape: perfect, one more, one less, ragged.
const SIZES: [u64; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 15, 16, 17, 33];

/// All that an inclusion verifier is told.
struct InclusionCase {
    name: String,
    head: TreeHead,
    leaf: LeafHash,
    proof: Inclusion,
}

#[test]
fn every_damaged_inclusion_is_refused() {
    let mut cases = 0;
    for size in SIZES {
        let tree = tree(size);
        for index in 0..size {
            let proof = tree.prove_inclusion(LeafIndex(index), tree.size()).unwrap();
            assert!(proof.verify(&tree.head(), &leaf(index)).is_ok());
            for case in damaged_inclusions(tree.head(), index, &proof) {
                let verdict = case.proof.verify(&case.head, &case.leaf);
                assert!(verdict.is_err(), "{} ({index} of {size})", case.name);
                cases += 1;
            }
        }
    }
    assert!(cases > 5_000, "{cases}");
}

#[test]
fn every_damaged_consistency_is_refused() {
    let mut cases = 0;
    let tree = tree(33);
    let head = |size| TreeHead {
        size: TreeSize(size),
        root: tree.root_at(TreeSize(size)).unwrap(),
    };
    for new in SIZES {
        for old in 1..new {
            let proof = tree
                .prove_consistency(TreeSize(old), TreeSize(new))
                .unwrap();
            assert!(proof.verify(&head(old), &head(new)).is_ok());
            for (name, old_head, new_head, proof) in
                damaged_consistencies(head(old), head(new), &proof)
            {
                let verdict = proof.verify(&old_head, &new_head);
                assert!(verdict.is_err(), "{name} ({old} to {new})");
                cases += 1;
            }
        }
    }
    assert!(cases > 4_000, "{cases}");
}

fn damaged_inclusions(head: TreeHead, index: u64, proof: &Inclusion) -> Vec<InclusionCase> {
    let mut cases = Vec::new();
    let mut add = |name: String, head: TreeHead, leaf: LeafHash, proof: Inclusion| {
        cases.push(InclusionCase {
            name,
            head,
            leaf,
            proof,
        });
    };
    let honest = leaf(index);
    for other in other_numbers(index) {
        let moved = Inclusion {
            index: LeafIndex(other),
            ..proof.clone()
        };
        add(format!("leafIdx {other}"), head, honest, moved);
    }
    for other in other_numbers(head.size.0) {
        let resized = Inclusion {
            size: TreeSize(other),
            ..proof.clone()
        };
        add(
            format!("treeSize {other} in the proof"),
            head,
            honest,
            resized.clone(),
        );
        // The same lie in the head too passes only where the shape is the same;
        // then the signature over the head is what refuses it.
        let lying = TreeHead {
            size: TreeSize(other),
            ..head
        };
        if path_length(index, other) != Some(proof.path.len()) {
            add(
                format!("treeSize {other} everywhere"),
                lying,
                honest,
                resized,
            );
        }
    }
    for (name, root) in other_roots(head.root) {
        add(name, TreeHead { root, ..head }, honest, proof.clone());
    }
    add("another leaf".into(), head, leaf(index + 1), proof.clone());
    // The root of one leaf is that leaf.
    if head.size != TreeSize(1) {
        add(
            "the root as leaf".into(),
            head,
            LeafHash::assume(head.root),
            proof.clone(),
        );
    }
    for (name, path) in damaged_paths(&proof.path, head.root) {
        add(
            name,
            head,
            honest,
            Inclusion {
                path,
                ..proof.clone()
            },
        );
    }
    cases
}

type ConsistencyCase = (String, TreeHead, TreeHead, Consistency);

fn damaged_consistencies(
    old: TreeHead,
    new: TreeHead,
    proof: &Consistency,
) -> Vec<ConsistencyCase> {
    let mut cases: Vec<ConsistencyCase> = Vec::new();
    for other in other_numbers(old.size.0) {
        let resized = Consistency {
            old: TreeSize(other),
            ..proof.clone()
        };
        cases.push((format!("size1 {other} in the proof"), old, new, resized));
    }
    for other in other_numbers(new.size.0) {
        let resized = Consistency {
            new: TreeSize(other),
            ..proof.clone()
        };
        cases.push((format!("size2 {other} in the proof"), old, new, resized));
    }
    let swapped = Consistency {
        old: proof.new,
        new: proof.old,
        path: proof.path.clone(),
    };
    cases.push(("swapped sizes".into(), new, old, swapped.clone()));
    cases.push(("swapped sizes in the proof".into(), old, new, swapped));
    let swap_roots = |old: TreeHead, root| TreeHead { root, ..old };
    cases.push((
        "swapped roots".into(),
        swap_roots(old, new.root),
        swap_roots(new, old.root),
        proof.clone(),
    ));
    for (name, root) in other_roots(old.root) {
        cases.push((
            format!("root1: {name}"),
            TreeHead { root, ..old },
            new,
            proof.clone(),
        ));
    }
    for (name, root) in other_roots(new.root) {
        cases.push((
            format!("root2: {name}"),
            old,
            TreeHead { root, ..new },
            proof.clone(),
        ));
    }
    for (name, path) in damaged_paths(&proof.path, new.root) {
        cases.push((
            name,
            old,
            new,
            Consistency {
                path,
                ..proof.clone()
            },
        ));
    }
    cases
}

/// `leafIdx` and `treeSize` as the public vectors alter them, and the congruent
/// ones that the whitepaper's verifier accepts.
fn other_numbers(number: u64) -> Vec<u64> {
    let mut others = vec![
        number.wrapping_sub(1),
        number + 1,
        number ^ 2,
        number / 2,
        number * 2,
        number + 8,
        number + (1 << 32),
        number | (1 << 63),
        u64::MAX,
    ];
    others.retain(|other| *other != number);
    others
}

fn other_roots(root: Digest) -> Vec<(String, Digest)> {
    let mut roots = vec![
        ("empty root".into(), empty_root()),
        ("zero root".into(), Digest::ZERO),
        ("random root".into(), crate::crypto::sha256(b"random")),
    ];
    for bit in [0, 3, 255] {
        let mut flipped = root;
        flipped.0[bit / 8] ^= 1 << (bit % 8);
        roots.push((format!("modified-root-bit-{bit}"), flipped));
    }
    roots
}

fn damaged_paths(path: &[Digest], root: Digest) -> Vec<(String, Vec<Digest>)> {
    let mut paths: Vec<(String, Vec<Digest>)> = Vec::new();
    let mut edit = |name: String, change: &dyn Fn(&mut Vec<Digest>)| {
        let mut changed = path.to_vec();
        change(&mut changed);
        if changed != path {
            paths.push((name, changed));
        }
    };
    edit("trailing-garbage".into(), &|path| {
        path.push(crate::crypto::sha256(b"garbage"))
    });
    edit("trailing-root".into(), &|path| path.push(root));
    edit("preceding-garbage".into(), &|path| {
        path.insert(0, Digest::ZERO)
    });
    edit("preceding-root".into(), &|path| path.insert(0, root));
    edit("empty".into(), &Vec::clear);
    edit("reversed".into(), &|path| path.reverse());
    edit("64 more".into(), &|path| path.extend([Digest::ZERO; 64]));
    for at in 0..path.len() {
        edit(format!("truncated to {at}"), &|path| path.truncate(at));
        edit(format!("removed-component {at}"), &|path| {
            _ = path.remove(at);
        });
        edit(format!("inserted-component {at}"), &|path| {
            path.insert(at, Digest::ZERO)
        });
        edit(format!("duplicated-component {at}"), &|path| {
            path.insert(at, path[at])
        });
        edit(format!("zeroed-component {at}"), &|path| {
            path[at] = Digest::ZERO
        });
        edit(format!("root as component {at}"), &|path| path[at] = root);
        for bit in [0, 3, 128, 255] {
            edit(format!("modified-proof[{at}]-bit-{bit}"), &|path| {
                path[at].0[bit / 8] ^= 1 << (bit % 8);
            });
        }
        if at > 0 {
            edit(format!("swapped {at}"), &|path| path.swap(at - 1, at));
        }
    }
    paths
}

/// The length of an inclusion path, counted by walking down from the root.
fn path_length(index: u64, size: u64) -> Option<usize> {
    if index >= size {
        return None;
    }
    let (mut begin, mut end, mut length) = (0, size, 0);
    while end - begin > 1 {
        let mut left: u64 = 1;
        while left.saturating_mul(2) < end - begin {
            left *= 2;
        }
        if index < begin + left {
            end = begin + left;
        } else {
            begin += left;
        }
        length += 1;
    }
    Some(length)
}
