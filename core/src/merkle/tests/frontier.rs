use super::{leaf, tree};
use crate::codec::{Decode, DecodeError, Encode};
use crate::merkle::{Frontier, TreeHead, TreeSize};

#[test]
fn a_frontier_has_the_roots_of_the_tree_at_every_size() {
    let tree = tree(300);
    let mut frontier = Frontier::new();
    assert_eq!(frontier.head(), TreeHead::empty());
    for size in 1..=300 {
        assert_eq!(frontier.append(leaf(size - 1)).0, size - 1);
        assert_eq!(frontier.size(), TreeSize(size));
        assert_eq!(Some(frontier.root()), tree.root_at(TreeSize(size)));
        let bytes = frontier.to_bytes();
        let ones = usize::try_from(size.count_ones()).unwrap();
        assert_eq!(bytes.len(), 8 + 32 * ones);
        assert_eq!(Frontier::from_bytes(&bytes), Ok(frontier.clone()));
    }
}

#[test]
fn a_frontier_goes_on_after_decoding() {
    let mut frontier = Frontier::new();
    for index in 0..100 {
        frontier = Frontier::from_bytes(&frontier.to_bytes()).unwrap();
        frontier.append(leaf(index));
    }
    assert_eq!(frontier.head(), tree(100).head());
}

/// The size alone says how many nodes follow, so no length can be claimed.
#[test]
fn the_encoding_is_total_and_bounded() {
    let all_ones = [0xff; 8];
    assert_eq!(
        Frontier::from_slice(&all_ones),
        Err(DecodeError::Truncated {
            needed: 32,
            left: 0
        })
    );
    let mut zero_with_node = [0; 40];
    assert!(Frontier::from_slice(&zero_with_node).is_err());
    zero_with_node[7] = 1;
    assert_eq!(
        Frontier::from_slice(&zero_with_node).map(|f| f.size()),
        Ok(TreeSize(1))
    );
}

#[test]
fn an_empty_head_with_another_root_is_not_decoded() {
    assert_eq!(
        TreeHead::from_bytes(&TreeHead::empty().to_bytes()),
        Ok(TreeHead::empty())
    );
    assert!(TreeHead::from_slice(&[0; 40]).is_err());
}
