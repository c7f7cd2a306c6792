//! The authenticated map against a plain one, and its proofs against forgers.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use crate::codec::{Decode as _, Encode as _};
use crate::merkle::{StateProof, StateTree, Step, empty_state_root};

fn key(number: u16) -> Bytes {
    Bytes::copy_from_slice(&number.to_be_bytes())
}

fn tree_of(pairs: &BTreeMap<Bytes, Bytes>) -> StateTree {
    let mut tree = StateTree::new();
    tree.apply(
        pairs
            .iter()
            .map(|(key, value)| (key.clone(), Some(value.clone())))
            .collect(),
    );
    tree
}

#[test]
fn the_empty_map_proves_absence_and_nothing_else() {
    let tree = StateTree::new();
    assert_eq!(tree.root(), empty_state_root());
    let proof = tree.prove(b"x");
    let proven = proof.verify(&tree.root(), b"x").unwrap();
    assert_eq!(proven.value(), None);
    let other = tree_of(&BTreeMap::from([(key(1), key(1))]));
    assert!(proof.verify(&other.root(), b"x").is_err());
}

#[test]
fn copies_do_not_see_each_other() {
    let mut one = tree_of(&BTreeMap::from([(key(1), key(1)), (key(2), key(2))]));
    let other = one.clone();
    one.insert(key(1), key(9));
    one.remove(&key(2));
    assert_eq!(other.get(&key(1)), Some(&key(1)));
    assert_eq!(other.get(&key(2)), Some(&key(2)));
    assert_eq!((one.len(), other.len()), (1, 2));
}

proptest! {
    /// Equal content has an equal root, in whatever order and batches it came.
    #[test]
    fn it_is_a_map_and_its_root_tells_the_content(
        steps in prop::collection::vec((0_u16..60, prop::option::of(0_u16..5)), 0..120),
        batch in 1_usize..20,
    ) {
        let mut tree = StateTree::new();
        let mut map = BTreeMap::new();
        for chunk in steps.chunks(batch) {
            let changes: BTreeMap<Bytes, Option<Bytes>> = chunk
                .iter()
                .map(|(name, value)| (key(*name), value.map(key)))
                .collect();
            for (name, value) in &changes {
                match value {
                    Some(value) => map.insert(name.clone(), value.clone()),
                    None => map.remove(name),
                };
            }
            tree.apply(changes);
        }
        prop_assert_eq!(tree.len(), map.len());
        prop_assert_eq!(tree.root(), tree_of(&map).root());
        let pairs: BTreeMap<Bytes, Bytes> =
            tree.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        prop_assert_eq!(&pairs, &map);
        for name in 0..64 {
            let name = key(name);
            prop_assert_eq!(tree.get(&name), map.get(&name));
            let proven = tree.prove(&name).verify(&tree.root(), &name).unwrap();
            prop_assert_eq!(proven.value(), map.get(&name));
        }
    }

    /// Whatever is made of the parts of true proofs, it never proves a lie.
    #[test]
    fn parts_of_proofs_prove_no_lies(
        names in prop::collection::btree_set(0_u16..200, 1..60),
        wanted in 0_u16..200,
        other in 0_u16..200,
        cut in 0_usize..12,
        flip in any::<(usize, u8)>(),
    ) {
        let map: BTreeMap<Bytes, Bytes> = names.iter().map(|one| (key(*one), key(1))).collect();
        let tree = tree_of(&map);
        let (mine, theirs) = (tree.prove(&key(wanted)), tree.prove(&key(other)));
        let mut mixes = Vec::from([theirs.clone()]);
        let steps = |one: &StateProof| one.steps.iter().skip(cut).copied().collect::<Vec<Step>>();
        mixes.push(StateProof { steps: steps(&theirs), leaf: mine.leaf.clone() });
        mixes.push(StateProof { steps: steps(&mine), leaf: theirs.leaf.clone() });
        mixes.push(StateProof { steps: mine.steps.clone(), leaf: None });
        let mut bytes = mine.to_bytes().to_vec();
        let place = flip.0 % bytes.len();
        bytes[place] ^= flip.1;
        mixes.extend(StateProof::from_bytes(&bytes.into()).ok());
        for mix in mixes {
            if let Ok(proven) = mix.verify(&tree.root(), &key(wanted)) {
                prop_assert_eq!(proven.value(), map.get(&key(wanted)));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let bytes = Bytes::from(bytes);
        if let Ok(proof) = StateProof::from_bytes(&bytes) {
            prop_assert_eq!(proof.to_bytes(), bytes);
            prop_assert!(proof.verify(&empty_state_root(), b"k").is_err() || proof.leaf.is_none());
        }
    }
}
