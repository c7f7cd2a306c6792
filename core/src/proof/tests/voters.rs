use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::{CLUSTER, Fixture};
use crate::crypto::Signer;
use crate::proof::{TrustedVoters, VotersError};
use crate::types::{Index, NodeId};

fn ids(fixture: &Fixture, numbers: &[usize]) -> BTreeSet<NodeId> {
    numbers
        .iter()
        .map(|number| fixture.signers[*number].public_key().node_id())
        .collect()
}

#[test]
fn a_majority_is_more_than_half_for_every_number_of_voters() {
    for voters in 1..=7u64 {
        let fixture = Fixture::new(voters, 0);
        let trusted = fixture.trusted();
        for present in 0..=usize::try_from(voters).unwrap() {
            let numbers: Vec<usize> = (0..present).collect();
            let expected = 2 * present > fixture.signers.len();
            assert_eq!(trusted.is_majority(&ids(&fixture, &numbers)), expected);
        }
    }
}

#[test]
fn strangers_do_not_count() {
    let fixture = Fixture::new(3, 0);
    let mut signers = ids(&fixture, &[0]);
    signers.insert(fixture.stranger.public_key().node_id());
    signers.insert(NodeId(1));
    assert!(!fixture.trusted().is_majority(&signers));
}

#[test]
fn a_joint_membership_needs_both_majorities() {
    let fixture = Fixture::new(6, 0);
    let keys = fixture.keys();
    let trusted = TrustedVoters::joint(CLUSTER, Index(0), &keys[..3], &keys[3..]).unwrap();
    let is_majority = |numbers: &[usize]| trusted.is_majority(&ids(&fixture, numbers));
    assert!(is_majority(&[0, 1, 3, 4]));
    assert!(!is_majority(&[0, 1, 2, 3]));
    assert!(!is_majority(&[0, 3, 4, 5]));
    assert!(!is_majority(&[0, 1, 2]));
    // Overlapping sets share their voters.
    let trusted = TrustedVoters::joint(CLUSTER, Index(0), &keys[..3], &keys[1..4]).unwrap();
    assert!(trusted.is_majority(&ids(&fixture, &[1, 2])));
    assert_eq!(trusted.key(keys[3].node_id()), Some(&keys[3]));
}

#[test]
fn bad_sets_are_refused() {
    let fixture = Fixture::new(8, 0);
    let keys = fixture.keys();
    let new = |keys: &[_]| TrustedVoters::new(CLUSTER, Index(0), keys);
    assert_eq!(new(&[]), Err(VotersError::Empty));
    assert_eq!(new(&keys), Err(VotersError::TooMany { found: 8, limit: 7 }));
    let twice = [keys[0], keys[1], keys[0]];
    assert_eq!(new(&twice), Err(VotersError::Duplicate(keys[0].node_id())));
    assert_eq!(
        TrustedVoters::joint(CLUSTER, Index(0), &keys[..3], &[]),
        Err(VotersError::Empty)
    );
}
