//! A tree that begins behind a frontier says what the whole tree says, and
//! refuses the rest.

use proptest::prelude::*;

use super::{leaf, tree};
use crate::codec::{Decode, Encode};
use crate::merkle::{Frontier, LeafIndex, MerkleError, Tree, TreeSize};

/// The frontier of the first `size` test leaves, without the code under test.
fn frontier(size: u64) -> Frontier {
    let mut frontier = Frontier::new();
    (0..size).for_each(|index| {
        frontier.append(leaf(index));
    });
    frontier
}

/// A tree of `size` leaves that never had the first `begin` ones.
fn tree_after(begin: u64, size: u64) -> Tree {
    let mut tree = Tree::after(&frontier(begin));
    (begin..size).for_each(|index| {
        assert_eq!(tree.append(leaf(index)).0, index);
    });
    tree
}

#[test]
fn the_tree_behind_a_frontier_equals_the_tree_that_forgot() {
    for size in 0..=70 {
        for begin in 0..=size {
            let mut forgetful = tree(size);
            forgetful.forget_before(TreeSize(begin)).unwrap();
            let after = tree_after(begin, size);
            assert_eq!(forgetful, after, "{begin} of {size}");
            assert_eq!(after.begin(), TreeSize(begin));
            assert_eq!(after.head(), tree(size).head());
        }
    }
}

#[test]
fn forgetting_in_two_steps_is_forgetting_in_one() {
    let size = 40;
    for first in 0..=size {
        for second in 0..=size {
            let mut stepwise = tree(size);
            stepwise.forget_before(TreeSize(first)).unwrap();
            stepwise.forget_before(TreeSize(second)).unwrap();
            assert_eq!(stepwise, tree_after(first.max(second), size));
        }
    }
}

#[test]
fn roots_leaves_and_frontiers_are_those_of_the_whole_tree_or_refused() {
    let size = 67;
    let whole = tree(size);
    for begin in 0..=size {
        let after = tree_after(begin, size);
        for at in 0..=size + 2 {
            let known = (begin..=size).contains(&at);
            let root = whole.root_at(TreeSize(at)).filter(|_| known);
            assert_eq!(after.root_at(TreeSize(at)), root);
            let leaf = whole.leaf(LeafIndex(at)).filter(|_| at >= begin);
            assert_eq!(after.leaf(LeafIndex(at)), leaf);
            let found = after.frontier_at(TreeSize(at));
            assert_eq!(found.is_ok(), known);
            if let Ok(found) = found {
                assert_eq!(found, frontier(at));
                assert_eq!(Frontier::from_bytes(&found.to_bytes()), Ok(found));
            }
        }
    }
}

#[test]
fn every_proof_is_that_of_the_whole_tree_or_refused() {
    let size = 35;
    let whole = tree(size);
    for begin in 0..=size {
        let after = tree_after(begin, size);
        let gone = MerkleError::Forgotten {
            begin: TreeSize(begin),
        };
        for small in 0..=size + 1 {
            for large in 0..=size + 1 {
                let (index, at) = (LeafIndex(small), TreeSize(large));
                let inclusion = whole.prove_inclusion(index, at);
                let expected = match inclusion {
                    Ok(_) if small < begin => Err(gone),
                    other => other,
                };
                assert_eq!(after.prove_inclusion(index, at), expected);
                let consistency = whole.prove_consistency(TreeSize(small), at);
                let expected = match consistency {
                    Ok(proof) if small < begin && !proof.path.is_empty() => Err(gone),
                    other => other,
                };
                let found = after.prove_consistency(TreeSize(small), at);
                if small >= begin || !is_trivial(small, large) {
                    assert_eq!(found, expected, "{small} to {large}, from {begin}");
                }
            }
        }
    }
}

/// Whether an extension needs no hashes: nothing has to be known for it.
fn is_trivial(old: u64, new: u64) -> bool {
    old == 0 || old >= new || old.is_power_of_two()
}

#[test]
fn every_range_is_that_of_the_whole_tree_or_refused() {
    let size = 21;
    let whole = tree(size);
    for begin in 0..=size {
        let after = tree_after(begin, size);
        for first in 0..=size + 1 {
            for count in 0..=usize::try_from(size).unwrap() + 1 {
                for at in [begin, (begin + size) / 2, size, size + 1].map(TreeSize) {
                    let expected = match whole.prove_range(LeafIndex(first), count, at) {
                        Ok(_) if first < begin => Err(MerkleError::Forgotten {
                            begin: TreeSize(begin),
                        }),
                        other => other,
                    };
                    let found = after.prove_range(LeafIndex(first), count, at);
                    assert_eq!(found, expected, "{count} from {first} at {at}");
                }
            }
        }
    }
}

#[test]
fn a_tree_does_not_forget_what_it_never_had() {
    let mut tree = tree(5);
    let refused = tree.forget_before(TreeSize(6));
    assert!(matches!(refused, Err(MerkleError::OtherSize { .. })));
    assert_eq!(tree, super::tree(5));
}

/// A frontier from outside may claim any size.
#[test]
fn the_largest_frontier_is_a_tree() {
    let mut bytes = alloc::vec![0xff; 8];
    bytes.resize(8 + 64 * 32, 7);
    let frontier = Frontier::from_slice(&bytes).unwrap();
    let tree = Tree::after(&frontier);
    assert_eq!(tree.size(), TreeSize(u64::MAX));
    assert_eq!(tree.root(), frontier.root());
    assert_eq!(tree.frontier_at(TreeSize(u64::MAX)), Ok(frontier));
    assert!(tree.prove_inclusion(LeafIndex(0), tree.size()).is_err());
}

proptest! {
    #[test]
    fn a_life_of_appending_and_forgetting_keeps_every_promise(
        turns in prop::collection::vec((0_u64..40, 0_u64..50), 1..20),
        pick in any::<(u64, u64, u64)>(),
    ) {
        let mut whole = Tree::new();
        let mut tree = Tree::new();
        for (appended, kept) in turns {
            for _ in 0..appended {
                let next = leaf(whole.size().0);
                prop_assert_eq!(whole.append(next), tree.append(next));
            }
            let upto = TreeSize(tree.size().0.saturating_sub(kept));
            tree.forget_before(upto).unwrap();
        }
        let (begin, size) = (tree.begin().0, tree.size().0);
        prop_assume!(begin < size);
        let at = begin + 1 + pick.0 % (size - begin);
        let index = begin + pick.1 % (at - begin);
        let count = usize::try_from(1 + pick.2 % (at - index)).unwrap();
        let (index, at) = (LeafIndex(index), TreeSize(at));
        prop_assert_eq!(tree.prove_inclusion(index, at), whole.prove_inclusion(index, at));
        prop_assert_eq!(tree.prove_range(index, count, at), whole.prove_range(index, count, at));
        let old = TreeSize(index.0);
        prop_assert_eq!(tree.prove_consistency(old, at), whole.prove_consistency(old, at));
        prop_assert_eq!(tree.root_at(at), whole.root_at(at));
    }
}
