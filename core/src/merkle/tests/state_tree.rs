//! The state tree against a map, a model of its hash, and its clones.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use crate::crypto::{Digest, sha256};
use crate::merkle::{KeyHash, ProvenState, StateTree};

type Map = BTreeMap<Bytes, Bytes>;
type Batch = BTreeMap<Bytes, Option<Bytes>>;

pub(super) fn key(number: u64) -> Bytes {
    Bytes::from(format!("account/{number}"))
}

pub(super) fn value(number: u64) -> Bytes {
    Bytes::from(format!("balance {}", number * 7))
}

/// The tree with this many test entries.
pub(super) fn state(len: u64) -> StateTree {
    let mut tree = StateTree::new();
    tree.apply(
        (0..len)
            .map(|number| (key(number), Some(value(number))))
            .collect(),
    );
    tree
}

/// SHA-256 of a list of parts, written out for the model.
fn concat_hash(parts: &[&[u8]]) -> [u8; 32] {
    sha256(&parts.concat()).0
}

fn bit_of(place: &[u8; 32], bit: usize) -> u8 {
    place[bit / 8] >> (7 - bit % 8) & 1
}

/// The definition of the root, from nothing but sorted leaves: the model.
fn model_of_leaves(leaves: &[([u8; 32], [u8; 32])]) -> [u8; 32] {
    match leaves {
        [] => concat_hash(&[&[0x14]]),
        [(place, content)] => concat_hash(&[&[0x10], place, content]),
        _ => {
            let (first, last) = (leaves[0].0, leaves[leaves.len() - 1].0);
            let bit = (0..256)
                .find(|bit| bit_of(&first, *bit) != bit_of(&last, *bit))
                .unwrap();
            let (left, right): (Vec<_>, Vec<_>) = leaves
                .iter()
                .partition(|(place, _)| bit_of(place, bit) == 0);
            let name = u8::try_from(bit).unwrap();
            concat_hash(&[
                &[0x11, name],
                &model_of_leaves(&left),
                &model_of_leaves(&right),
            ])
        }
    }
}

fn model_leaf(place: [u8; 32], key: &[u8], value: &[u8]) -> ([u8; 32], [u8; 32]) {
    let length = u64::try_from(key.len()).unwrap().to_be_bytes();
    (place, concat_hash(&[&[0x12], &length, key, value]))
}

fn model_root(map: &Map) -> Digest {
    let leaf =
        |(key, value): (&Bytes, &Bytes)| model_leaf(concat_hash(&[&[0x13], key]), key, value);
    let mut leaves: Vec<_> = map.iter().map(leaf).collect();
    leaves.sort_unstable();
    Digest(model_of_leaves(&leaves))
}

/// Everything that can be read of a tree is what the map says.
fn assert_same(tree: &StateTree, map: &Map) {
    assert_eq!(tree.len(), map.len());
    assert_eq!(tree.is_empty(), map.is_empty());
    assert_eq!(tree.root(), model_root(map));
    let found: Map = tree
        .iter()
        .map(|entry| (entry.key.clone(), entry.value.clone()))
        .collect();
    assert_eq!(&found, map);
    let hashes: Vec<KeyHash> = tree.iter().map(|entry| entry.hash).collect();
    assert!(hashes.is_sorted_by(|one, two| one < two));
    for (key, value) in map {
        assert_eq!(tree.get(key), Some(value));
    }
}

#[test]
fn the_empty_tree_has_a_root_of_its_own() {
    let tree = StateTree::new();
    assert_eq!(tree.root(), sha256(&[0x14]));
    assert_eq!(tree, StateTree::default());
    assert_eq!(tree.iter().count(), 0);
    assert_eq!(tree.iter_after(&KeyHash(Digest::ZERO)).count(), 0);
    assert_eq!(tree.get(b""), None);
    assert_same(&tree, &Map::new());
}

/// A root that must never change: state roots stand in block headers.
#[test]
fn the_format_is_frozen() {
    let root = |len| String::from(&format!("{}", state(len).root())[..16]);
    assert_eq!([root(0), root(1), root(2), root(1000)], FROZEN);
}

/// The first digits of the roots over 0, 1, 2 and 1000 test entries.
const FROZEN: [&str; 4] = [
    "83891d7fe85c33e5",
    "d686d0aabb98922a",
    "48c1cb9ccc37a81a",
    "cd82301d28b28e49",
];

#[test]
fn single_changes_follow_a_map() {
    let (mut tree, mut map) = (StateTree::new(), Map::new());
    for step in 0..600u64 {
        // Half of the keys are hit again, some of them to be removed.
        let number = step * 31 % 211;
        if step % 3 == 2 {
            tree.remove(&key(number));
            map.remove(&key(number));
        } else {
            tree.insert(key(number), value(step));
            map.insert(key(number), value(step));
        }
        if step % 20 == 0 {
            assert_same(&tree, &map);
        }
    }
    assert_same(&tree, &map);
    for number in 0..211 {
        tree.remove(&key(number));
    }
    assert_eq!(tree, StateTree::new());
}

/// Which keys differ only by a boundary, and empty keys and values, matter.
#[test]
fn keys_and_values_are_told_apart() {
    let pairs: [(&[u8], &[u8]); 7] = [
        (b"", b""),
        (b"a", b""),
        (b"", b"a"),
        (b"a", b"b"),
        (b"ab", b""),
        (b"", b"ab"),
        (b"b", b"a"),
    ];
    let roots: Vec<Digest> = pairs
        .iter()
        .map(|(key, value)| {
            let mut tree = StateTree::new();
            tree.insert(Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
            assert_eq!(tree.get(key).map(|found| &found[..]), Some(*value));
            tree.root()
        })
        .collect();
    for (at, root) in roots.iter().enumerate() {
        assert!(!roots[..at].contains(root));
        assert_ne!(*root, StateTree::new().root());
    }
}

#[test]
fn a_change_without_effect_leaves_the_root() {
    let mut tree = state(100);
    let root = tree.root();
    tree.insert(key(7), value(7));
    tree.remove(&key(100));
    tree.apply(Batch::new());
    tree.apply([(key(3), Some(value(3))), (key(555), None)].into());
    assert_eq!((tree.root(), tree.len()), (root, 100));
}

#[test]
fn clones_do_not_see_each_other() {
    let mut tree = state(200);
    let versions: Vec<(StateTree, Map)> = (0..40)
        .map(|round| {
            let version = (
                tree.clone(),
                tree.iter()
                    .map(|e| (e.key.clone(), e.value.clone()))
                    .collect(),
            );
            let changes = (0..10).map(|step| {
                let number = round * 17 + step * 5;
                (key(number % 300), (step % 2 == 0).then(|| value(round)))
            });
            tree.apply(changes.collect());
            version
        })
        .collect();
    for (version, map) in &versions {
        assert_same(version, map);
    }
}

#[test]
fn an_iteration_goes_on_from_every_place() {
    let tree = state(300);
    let all: Vec<KeyHash> = tree.iter().map(|entry| entry.hash).collect();
    let after = |place: &KeyHash| -> Vec<KeyHash> {
        tree.iter_after(place).map(|entry| entry.hash).collect()
    };
    for (at, place) in all.iter().enumerate() {
        assert_eq!(after(place), all[at + 1..]);
    }
    for number in 0..500u64 {
        let place = KeyHash(sha256(&number.to_be_bytes()));
        let rest: Vec<KeyHash> = all.iter().copied().filter(|hash| *hash > place).collect();
        assert_eq!(after(&place), rest);
    }
    assert_eq!(after(&KeyHash(Digest::ZERO)), all);
    assert_eq!(after(&KeyHash(Digest([0xff; 32]))), []);
}

/// A place whose first `shared` bits are ones, and then zeros only.
fn ones(shared: usize) -> KeyHash {
    let mut bytes = [0; 32];
    for bit in 0..shared {
        bytes[bit / 8] |= 0x80 >> (bit % 8);
    }
    KeyHash(Digest(bytes))
}

/// The deepest tree that exists: places that share 0, 1, … 255 bits with the
/// last one.
#[test]
fn the_deepest_tree_works() {
    let places: Vec<KeyHash> = (0..=256).map(ones).collect();
    let mut up = StateTree::new();
    let mut down = StateTree::new();
    let entry = |place: &KeyHash| Some(Bytes::copy_from_slice(&place.0.0[..4]));
    for (low, high) in places.iter().zip(places.iter().rev()) {
        up.set_at(*low, entry(low));
        down.set_at(*high, entry(high));
    }
    let leaves: Vec<_> = places
        .iter()
        .map(|p| model_leaf(p.0.0, &p.0.0, &p.0.0[..4]))
        .collect();
    assert_eq!(up.root(), Digest(model_of_leaves(&leaves)));
    assert_eq!(up, down);
    assert_eq!(up.len(), 257);
    assert!(up.iter().map(|entry| entry.hash).eq(places.iter().copied()));
    for (at, place) in places.iter().enumerate() {
        assert!(
            up.iter_after(place)
                .map(|entry| entry.hash)
                .eq(places[at + 1..].iter().copied())
        );
    }
    let lengths: Vec<usize> = (0..64)
        .map(|number| up.prove(&key(number)).path.len())
        .collect();
    assert!(lengths.iter().all(|length| (1..=256).contains(length)));
    for number in 0..64 {
        let proven = up.prove(&key(number)).verify(&up.root(), &key(number));
        assert!(matches!(proven, Ok(ProvenState::Absent(_))));
    }
    for (at, place) in places.iter().enumerate() {
        up.set_at(*place, None);
        assert_eq!(up.root(), Digest(model_of_leaves(&leaves[at + 1..])));
    }
    drop(down);
}

#[test]
#[should_panic(expected = "the caller bounds values")]
fn a_value_that_nobody_could_prove_is_refused() {
    let value = alloc::vec![0; crate::limits::STATE_VALUE_BYTES_MAX + 1];
    StateTree::new().insert(key(0), Bytes::from(value));
}

#[test]
#[should_panic(expected = "the caller bounds keys")]
fn a_key_that_nobody_could_prove_is_refused() {
    let key = alloc::vec![0; crate::limits::STATE_KEY_BYTES_MAX + 1];
    StateTree::new().insert(Bytes::from(key), value(0));
}

/// Looking up or removing a key that is too long is no mistake: it is absent.
#[test]
fn a_long_key_is_absent() {
    let mut tree = state(10);
    let long = alloc::vec![1; crate::limits::STATE_KEY_BYTES_MAX * 2];
    assert_eq!(tree.get(&long), None);
    tree.remove(&long);
    assert_eq!(tree, state(10));
    let proven = tree.prove(&long).verify(&tree.root(), &long).unwrap();
    assert_eq!((proven.value(), &proven.key()[..]), (None, &long[..]));
}

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let change =
        (0u64..60, prop::option::of(0u64..4)).prop_map(|(name, held)| (key(name), held.map(value)));
    let batch =
        prop::collection::vec(change, 0..40).prop_map(|changes| changes.into_iter().collect());
    prop::collection::vec(batch, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Batches, single changes and a tree from nothing end at one root.
    #[test]
    fn batches_follow_a_map(batches in batches()) {
        let (mut tree, mut single, mut map) = (StateTree::new(), StateTree::new(), Map::new());
        for batch in batches {
            for (key, value) in &batch {
                match value {
                    Some(value) => {
                        map.insert(key.clone(), value.clone());
                        single.insert(key.clone(), value.clone());
                    }
                    None => {
                        map.remove(key);
                        single.remove(key);
                    }
                }
            }
            tree.apply(batch);
            assert_same(&tree, &map);
            prop_assert_eq!(tree.root(), single.root());
            prop_assert_eq!(tree.len(), single.len());
        }
        let mut fresh = StateTree::new();
        fresh.apply(map.into_iter().map(|(key, value)| (key, Some(value))).collect());
        prop_assert_eq!(tree, fresh);
    }

    #[test]
    fn the_order_of_insertion_leaves_no_trace(
        numbers in Just((0u64..80).collect::<Vec<_>>()).prop_shuffle(),
        passing in prop::collection::vec(80u64..120, 0..20),
    ) {
        let mut tree = StateTree::new();
        for number in passing.iter().chain(&numbers) {
            tree.insert(key(*number), value(*number));
        }
        for number in &passing {
            tree.remove(&key(*number));
        }
        prop_assert_eq!(tree.root(), state(80).root());
    }

    #[test]
    fn every_key_can_be_proven(len in 0u64..200, number in 0u64..400) {
        let tree = state(len);
        let proven = tree.prove(&key(number)).verify(&tree.root(), &key(number)).unwrap();
        prop_assert_eq!(proven.value(), tree.get(&key(number)));
        prop_assert_eq!(proven.value().is_some(), number < len);
        prop_assert_eq!(proven.root(), &tree.root());
        prop_assert_eq!(proven.key(), &key(number));
    }
}

#[test]
fn a_proof_of_the_last_key_bounds_what_stands_before_it() {
    for len in [1, 2, 3, 17, 200] {
        let whole = state(len);
        let entries: Vec<(Bytes, Bytes)> = whole
            .iter()
            .map(|entry| (entry.key.clone(), entry.value.clone()))
            .collect();
        for end in 1..=entries.len() {
            let batch = |entries: &[(Bytes, Bytes)]| -> Batch {
                let entries = entries.iter().cloned();
                entries.map(|(key, value)| (key, Some(value))).collect()
            };
            let mut part = StateTree::new();
            part.apply(batch(&entries[..end]));
            let last = &entries[end - 1].0;
            let proof = whole.prove(last);
            assert!(proof.verify(&whole.root(), last).is_ok());
            assert!(proof.bounds(last, &part));
            assert_eq!(proof.is_last(last), end == entries.len());
            // One entry left out, changed, added before, added behind.
            let mut fewer = part.clone();
            let mut changed = part.clone();
            let left_out = &entries[(end * 7) % end].0;
            fewer.remove(left_out);
            assert!(!proof.bounds(last, &fewer));
            changed.insert(left_out.clone(), Bytes::from_static(b"lie"));
            assert!(!proof.bounds(last, &changed));
            let place = KeyHash::of(last);
            let strangers = (0..40).map(|number| Bytes::from(format!("stranger {number}")));
            for stranger in strangers.filter(|key| KeyHash::of(key) < place).take(2) {
                let mut more = part.clone();
                more.insert(stranger, Bytes::new());
                assert!(!proof.bounds(last, &more));
            }
            if let Some((key, value)) = entries.get(end) {
                let mut longer = part.clone();
                longer.insert(key.clone(), value.clone());
                assert!(!proof.bounds(last, &longer), "it ends with another key");
            }
        }
    }
}
