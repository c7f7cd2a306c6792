//! Proofs about a state from an adversary that writes every byte of them.

use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::state_tree::{key, state, value};
use crate::codec::{Decode, DecodeError, Encode, Writer};
use crate::crypto::{Digest, sha256};
use crate::limits::{STATE_PATH_MAX, STATE_VALUE_BYTES_MAX};
use crate::merkle::{
    KeyHash, ProvenState, StateEnd, StateProof, StateProofError, StateStep, StateTree,
};

/// What the proof proves under the key, if anything, and that it is the truth.
fn check_truth(tree: &StateTree, proof: &StateProof, key: &[u8]) -> bool {
    match proof.verify(&tree.root(), key) {
        Ok(proven) => {
            assert_eq!(proven.value(), tree.get(key));
            assert_eq!((proven.root(), &proven.key()[..]), (&tree.root(), key));
            true
        }
        Err(_) => false,
    }
}

#[test]
fn presence_and_absence_are_proven() {
    for len in [0, 1, 2, 3, 10, 100, 1000] {
        let tree = state(len);
        for number in 0..len + 20 {
            let proof = tree.prove(&key(number));
            assert_eq!(StateProof::from_bytes(&proof.to_bytes()), Ok(proof.clone()));
            assert_eq!(proof.size_hint(), proof.to_bytes().len());
            let proven = proof.verify(&tree.root(), &key(number)).unwrap();
            assert_eq!(
                proven.value(),
                (number < len).then(|| value(number)).as_ref()
            );
            match proven {
                ProvenState::Present(entry) => assert_eq!(entry.value(), &value(number)),
                ProvenState::Absent(absence) => assert_eq!(absence.key(), &key(number)),
            }
        }
    }
}

/// No byte of a proof is ignored: each one changed makes it fail.
#[test]
fn every_flipped_bit_is_refused() {
    for len in [0, 1, 2, 5, 40] {
        let tree = state(len);
        for number in (0..len.min(8)).chain(len..len + 8) {
            let honest = tree.prove(&key(number)).to_bytes();
            for bit in 0..honest.len() * 8 {
                let mut bytes = honest.to_vec();
                bytes[bit / 8] ^= 1 << (bit % 8);
                if let Ok(proof) = StateProof::from_slice(&bytes) {
                    assert!(proof.verify(&tree.root(), &key(number)).is_err());
                }
            }
        }
    }
}

#[test]
fn shortened_and_lengthened_proofs_are_refused() {
    let tree = state(50);
    for number in [0, 7, 49, 50, 77] {
        let honest = tree.prove(&key(number));
        for at in 0..honest.path.len() {
            let mut shorter = honest.clone();
            let step = shorter.path.remove(at);
            assert!(!check_truth(&tree, &shorter, &key(number)));
            let mut twice = honest.clone();
            twice.path.insert(at, step);
            assert!(!check_truth(&tree, &twice, &key(number)));
            let mut swapped = honest.clone();
            swapped.path.swap(at, 0);
            assert_eq!(check_truth(&tree, &swapped, &key(number)), at == 0);
        }
    }
}

/// A proof is about one key, and about one state.
#[test]
fn a_proof_serves_no_other_key_or_state() {
    let (tree, other) = (state(60), state(61));
    for number in 0..80 {
        let proof = tree.prove(&key(number));
        assert_eq!(
            proof.verify(&other.root(), &key(number)),
            Err(StateProofError::RootMismatch)
        );
        for another in 0..80 {
            // A proof of absence serves every key whose walk ends at that leaf:
            // then it says the truth.
            let serves = check_truth(&tree, &proof, &key(another));
            assert!(!serves || another == number || (number >= 60 && another >= 60));
        }
    }
}

/// Everything that honest proofs hold, put together in every way that could show
/// a present key as absent.
#[test]
fn a_present_key_is_never_proven_absent() {
    let tree = state(24);
    let proofs: Vec<StateProof> = (0..48).map(|number| tree.prove(&key(number))).collect();
    let mut ends: Vec<StateEnd> = proofs.iter().map(|proof| proof.end.clone()).collect();
    ends.push(StateEnd::Empty);
    for entry in &tree {
        let length = u64::try_from(entry.key.len()).unwrap().to_be_bytes();
        let content = sha256(&[&[0x12], &length[..], entry.key, entry.value].concat());
        ends.push(StateEnd::Other {
            place: entry.hash,
            content,
        });
    }
    let mut served = 0;
    for number in 0..24 {
        for path in &proofs {
            for from in 0..=path.path.len() {
                for end in &ends {
                    let proof = StateProof {
                        path: path.path[from..].to_vec(),
                        end: end.clone(),
                    };
                    served += u32::from(check_truth(&tree, &proof, &key(number)));
                }
            }
        }
    }
    assert!(served > 24, "the honest proofs are among them");
}

/// The walk is given by the key: an honest leaf elsewhere in the tree does not
/// do, nor does a subtree in the place of a leaf.
#[test]
fn the_leaf_must_lie_on_the_way() {
    let tree = state(64);
    let (present, stranger) = (key(5), key(9));
    let place = KeyHash::of(&stranger);
    let StateEnd::Value(held) = tree.prove(&stranger).end else {
        unreachable!("the stranger is present");
    };
    let length = u64::try_from(stranger.len()).unwrap().to_be_bytes();
    let content = sha256(&[&[0x12], &length[..], &stranger, &held].concat());
    let mut moved = tree.prove(&stranger);
    moved.end = StateEnd::Other { place, content };
    assert!(matches!(
        moved.verify(&tree.root(), &present),
        Err(StateProofError::OffPath { .. })
    ));
    let mut own = tree.prove(&present);
    own.end = StateEnd::Other {
        place: KeyHash::of(&present),
        content,
    };
    assert_eq!(
        own.verify(&tree.root(), &present),
        Err(StateProofError::OwnLeaf)
    );
    let mut cut = tree.prove(&present);
    let lowest = cut.path.remove(0);
    cut.end = StateEnd::Other {
        place,
        content: lowest.sibling,
    };
    assert!(cut.verify(&tree.root(), &present).is_err());
}

#[test]
fn bits_descend_from_the_leaf_up() {
    let step = |bit| StateStep {
        bit,
        sibling: Digest([bit; 32]),
    };
    for bits in [[3, 3], [3, 9]] {
        let proof = StateProof {
            path: bits.map(step).to_vec(),
            end: StateEnd::Value(value(1)),
        };
        let error = StateProofError::BitOrder {
            below: bits[0],
            bit: bits[1],
        };
        assert_eq!(proof.verify(&Digest::ZERO, &key(1)), Err(error));
        let invalid = DecodeError::Invalid {
            what: "order of the bits of a state proof",
        };
        assert_eq!(StateProof::from_bytes(&proof.to_bytes()), Err(invalid));
    }
    let proof = StateProof {
        path: [step(1)].to_vec(),
        end: StateEnd::Empty,
    };
    let error = StateProofError::PathOfEmpty { found: 1 };
    assert_eq!(proof.verify(&Digest::ZERO, &key(1)), Err(error));
    assert!(StateProof::from_bytes(&proof.to_bytes()).is_err());
}

/// The longest proof that exists is taken, and one more node is refused.
#[test]
fn proofs_are_bounded() {
    let step = |bit| StateStep {
        bit,
        sibling: sha256(&[bit]),
    };
    let path: Vec<StateStep> = (0..=u8::MAX).rev().map(step).collect();
    assert_eq!(path.len(), STATE_PATH_MAX);
    let longest = StateProof {
        path,
        end: StateEnd::Value(Bytes::new()),
    };
    assert_eq!(
        StateProof::from_bytes(&longest.to_bytes()),
        Ok(longest.clone())
    );
    assert_eq!(
        longest.verify(&Digest::ZERO, b"k"),
        Err(StateProofError::RootMismatch)
    );
    let mut longer = longest;
    longer.path.push(step(0));
    let error = StateProof::from_bytes(&Writer::lax(&longer));
    assert_eq!(
        error,
        Err(DecodeError::TooLong {
            what: "state proof",
            field: "path",
            length: 257,
            limit: 256
        })
    );
    assert!(matches!(
        longer.verify(&Digest::ZERO, b"k"),
        Err(StateProofError::BitOrder { .. })
    ));
    // A value's claimed length is refused before anything is reserved for it.
    let mut writer = Writer::new();
    writer.length(0);
    writer.u8(1);
    writer.length(STATE_VALUE_BYTES_MAX + 1);
    assert!(matches!(
        StateProof::from_slice(writer.as_slice()),
        Err(DecodeError::TooLong { .. })
    ));
}

fn proofs() -> impl Strategy<Value = StateProof> {
    let digest = || any::<[u8; 32]>().prop_map(Digest);
    let step = (any::<u8>(), digest()).prop_map(|(bit, sibling)| StateStep { bit, sibling });
    let end = prop_oneof![
        Just(StateEnd::Empty),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|value| StateEnd::Value(value.into())),
        (digest(), digest()).prop_map(|(place, content)| StateEnd::Other {
            place: KeyHash(place),
            content
        }),
    ];
    (prop::collection::vec(step, 0..6), end).prop_map(|(path, end)| StateProof { path, end })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn decoding_is_total_and_canonical(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(proof) = StateProof::from_slice(&bytes) {
            prop_assert_eq!(proof.to_bytes().to_vec(), bytes);
        }
    }

    /// Bytes that are almost a proof reach further than random ones.
    #[test]
    fn damaged_bytes_are_decoded_or_refused(
        number in 0u64..40,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
    ) {
        let tree = state(20);
        let honest = tree.prove(&key(number)).to_bytes().to_vec();
        let mut bytes = honest.clone();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(proof) = StateProof::from_slice(&bytes) {
            prop_assert_eq!(proof.to_bytes().to_vec(), bytes.clone());
            prop_assert_eq!(check_truth(&tree, &proof, &key(number)), bytes == honest);
        }
    }

    #[test]
    fn a_random_proof_is_refused(proof in proofs(), number in 0u64..40) {
        prop_assert!(!check_truth(&state(20), &proof, &key(number)));
    }

    /// Random pieces of honest proofs never prove anything but the truth.
    #[test]
    fn recombined_proofs_tell_the_truth(
        about in 0u64..60,
        pieces in prop::collection::vec((0u64..60, any::<prop::sample::Index>()), 0..12),
        end in 0u64..60,
    ) {
        let tree = state(30);
        let mut path: Vec<StateStep> = pieces
            .into_iter()
            .filter_map(|(number, at)| {
                let path = tree.prove(&key(number)).path;
                path.get(at.index(path.len().max(1))).copied()
            })
            .collect();
        path.sort_unstable_by_key(|step| core::cmp::Reverse(step.bit));
        path.dedup_by_key(|step| step.bit);
        let proof = StateProof { path, end: tree.prove(&key(end)).end };
        check_truth(&tree, &proof, &key(about));
    }
}
