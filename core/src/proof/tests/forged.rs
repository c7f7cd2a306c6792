//! Every forged variant of a log proof.

use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use bytes::Bytes;

use super::{Fixture, entry};
use crate::crypto::{Digest, sha256};
use crate::limits::{ENTRY_BYTES_MAX, LOG_PROOF_ENTRIES_MAX};
use crate::merkle::{LeafHash, TreeSize};
use crate::proof::{
    HeadError, LogHead, LogProof, LogProofError, Payload, ProofEntry, verify_log_proof,
};
use crate::raft::EntryKind;
use crate::types::{ClusterId, Index, NodeId, Term};

const FIRST: u64 = 5;
const COUNT: usize = 6;
const SIZE: u64 = 13;

fn verify(fixture: &Fixture, proof: &LogProof) -> Result<(), LogProofError> {
    verify_log_proof(&fixture.verifier, &fixture.trusted(), None, proof).map(|_| ())
}

/// Applies one change to the honest proof.
type Change<'a> = (String, &'a dyn Fn(&mut LogProof));

fn refused(fixture: &Fixture, changes: &[Change<'_>]) {
    let honest = fixture.proof(FIRST, COUNT);
    assert_eq!(verify(fixture, &honest), Ok(()));
    for (name, change) in changes {
        let mut forged = honest.clone();
        change(&mut forged);
        assert_ne!(forged, honest, "{name}");
        assert!(verify(fixture, &forged).is_err(), "{name}");
    }
}

#[test]
fn every_altered_field_of_the_head_is_refused() {
    let fixture = Fixture::new(5, SIZE);
    refused(
        &fixture,
        &[
            ("cluster".into(), &|proof| {
                proof.head.head.cluster = ClusterId(8)
            }),
            ("membership".into(), &|proof| {
                proof.head.head.membership_epoch = Index(1)
            }),
            ("size less".into(), &|proof| {
                proof.head.head.size = Index(SIZE - 1)
            }),
            ("size more".into(), &|proof| {
                proof.head.head.size = Index(SIZE + 1)
            }),
            ("size max".into(), &|proof| {
                proof.head.head.size = Index(u64::MAX)
            }),
            ("root".into(), &|proof| proof.head.head.root = Digest::ZERO),
            ("term".into(), &|proof| {
                proof.head.head.commit_term = Term(99)
            }),
            ("older head".into(), &|proof| {
                proof.head.head = Fixture::new(5, SIZE).head(12)
            }),
        ],
    );
}

#[test]
fn every_broken_rule_about_signers_is_refused() {
    let fixture = Fixture::new(5, SIZE);
    let stranger = fixture.head(SIZE).sign(&fixture.stranger);
    let other_head = fixture.head(SIZE - 1);
    refused(
        &fixture,
        &[
            ("nobody".into(), &|proof| proof.head.signatures.clear()),
            ("too few".into(), &|proof| proof.head.signatures.truncate(2)),
            ("duplicated".into(), &|proof| {
                proof.head.signatures[2] = proof.head.signatures[1];
            }),
            ("one for all".into(), &|proof| {
                let first = proof.head.signatures[0];
                proof.head.signatures = vec![first; 5];
            }),
            ("foreign".into(), &|proof| {
                proof.head.signatures[2] = stranger;
                proof
                    .head
                    .signatures
                    .sort_by_key(|signature| signature.node);
            }),
            ("foreign extra".into(), &|proof| {
                proof.head.signatures.push(stranger);
                proof
                    .head
                    .signatures
                    .sort_by_key(|signature| signature.node);
            }),
            ("renamed".into(), &|proof| {
                proof.head.signatures[0].node = NodeId(1)
            }),
            ("swapped".into(), &|proof| {
                let first = proof.head.signatures[0].signature;
                proof.head.signatures[0].signature = proof.head.signatures[1].signature;
                proof.head.signatures[1].signature = first;
            }),
            ("of another head".into(), &|proof| {
                let number = 0;
                let other = Fixture::new(5, SIZE).signature(&other_head, number);
                let at = proof
                    .head
                    .signatures
                    .iter()
                    .position(|s| s.node == other.node);
                proof.head.signatures[at.unwrap()] = other;
            }),
        ],
    );
}

#[test]
fn every_altered_entry_is_refused() {
    let fixture = Fixture::new(3, SIZE);
    for at in 0..COUNT {
        let digest = sha256(b"other");
        refused(
            &fixture,
            &[
                (format!("term {at}"), &|proof| proof.entries[at].term.0 += 1),
                (format!("kind {at}"), &|proof| {
                    proof.entries[at].kind = EntryKind::Noop
                }),
                (format!("kind {at}"), &|proof| {
                    proof.entries[at].kind = EntryKind::Membership
                }),
                (format!("data {at}"), &|proof| {
                    proof.entries[at].payload = Payload::Data(Bytes::from_static(b"other"));
                }),
                (format!("no data {at}"), &|proof| {
                    proof.entries[at].payload = Payload::Data(Bytes::new());
                }),
                (format!("digest {at}"), &|proof| {
                    proof.entries[at].payload = Payload::Omitted { len: 8, digest };
                }),
                (format!("length {at}"), &|proof| {
                    let Payload::Omitted { digest, .. } = proof.entries[at].payload.omit() else {
                        panic!("an omitted payload has a digest");
                    };
                    proof.entries[at].payload = Payload::Omitted { len: 9, digest };
                }),
                (format!("removed {at}"), &|proof| {
                    drop(proof.entries.remove(at))
                }),
                (format!("repeated {at}"), &|proof| {
                    proof.entries.insert(at, proof.entries[at].clone());
                }),
                (format!("inserted {at}"), &|proof| {
                    proof.entries.insert(at, entry(77, 2))
                }),
                (format!("replaced {at}"), &|proof| {
                    proof.entries[at] = entry(77, proof.entries[at].term.0);
                }),
            ],
        );
    }
    refused(
        &fixture,
        &[("swapped".into(), &|proof| proof.entries.swap(0, 1))],
    );
}

#[test]
fn every_altered_range_is_refused() {
    let fixture = Fixture::new(3, SIZE);
    for first in (0..20)
        .chain([1 << 32, u64::MAX - 5, u64::MAX])
        .filter(|first| *first != FIRST)
    {
        refused(
            &fixture,
            &[(format!("first {first}"), &|proof| {
                proof.first = Index(first)
            })],
        );
    }
    let other = fixture.proof(FIRST + 1, COUNT);
    refused(
        &fixture,
        &[
            ("entries of another range".into(), &|proof| {
                proof.entries.clone_from(&other.entries);
            }),
            ("path of another range".into(), &|proof| {
                proof.path.clone_from(&other.path)
            }),
            ("no path".into(), &|proof| proof.path.clear()),
            ("longer path".into(), &|proof| proof.path.push(Digest::ZERO)),
            ("reversed path".into(), &|proof| proof.path.reverse()),
            ("no entries".into(), &|proof| proof.entries.clear()),
        ],
    );
    for at in 0..fixture.proof(FIRST, COUNT).path.len() {
        refused(
            &fixture,
            &[
                (format!("flipped {at}"), &|proof| proof.path[at].0[31] ^= 1),
                (format!("removed {at}"), &|proof| {
                    drop(proof.path.drain(at..=at))
                }),
            ],
        );
    }
}

/// The whitepaper's rule: recompute the checksum that came with the entries.
/// Whoever invents entries invents the checksum; here the root.
#[test]
fn a_self_made_checksum_proves_nothing() {
    let fixture = Fixture::new(5, SIZE);
    let mut invented = Fixture::new(5, 0);
    (1..=SIZE).for_each(|index| invented.append(entry(index + 500, 1)));
    let mut forged = invented.proof(FIRST, COUNT);
    // Consistent in itself, as the whitepaper demands, and even signed by a
    // minority and a stranger.
    forged.head = invented.signed(invented.head(SIZE), &[0, 1]);
    let found = forged.head.signatures.len();
    let no_majority = LogProofError::Head(HeadError::NoMajority { found });
    assert_eq!(verify(&fixture, &forged), Err(no_majority));
    forged.head.signatures.clear();
    assert!(verify(&fixture, &forged).is_err());
    // With the honest head's signatures it is not the honest head's root.
    forged.head.signatures = fixture.signed(fixture.head(SIZE), &[0, 1, 2]).signatures;
    assert!(matches!(
        verify(&fixture, &forged),
        Err(LogProofError::Head(_))
    ));
    forged.head = fixture.signed(fixture.head(SIZE), &[0, 1, 2]);
    assert!(matches!(
        verify(&fixture, &forged),
        Err(LogProofError::Range(_) | LogProofError::BadTerms)
    ));
}

#[test]
fn a_proof_of_another_cluster_does_not_move() {
    let fixture = Fixture::new(3, SIZE);
    let mut proof = fixture.proof(FIRST, COUNT);
    let head = LogHead {
        cluster: ClusterId(8),
        ..proof.head.head
    };
    proof.head = fixture.signed(head, &[0, 1]);
    let verdict = verify(&fixture, &proof);
    assert!(matches!(
        verdict,
        Err(LogProofError::Head(HeadError::OtherCluster { .. }))
    ));
}

/// Even a Byzantine majority cannot have terms go down: the verifier sees it.
#[test]
fn forgeries_of_a_majority_that_show_are_refused() {
    let mut fixture = Fixture::new(3, 0);
    [3, 2, 2, 4]
        .into_iter()
        .zip(1..)
        .for_each(|(term, index)| fixture.append(entry(index, term)));
    assert_eq!(
        verify(&fixture, &fixture.proof(1, 3)),
        Err(LogProofError::BadTerms)
    );
    assert_eq!(verify(&fixture, &fixture.proof(2, 2)), Ok(()));
    let mut forged = fixture.proof(2, 2);
    forged.head = fixture.signed(
        LogHead {
            commit_term: Term(1),
            ..forged.head.head
        },
        &[0, 1],
    );
    assert_eq!(verify(&fixture, &forged), Err(LogProofError::BadTerms));
    let mut last = fixture.proof(4, 1);
    last.head = fixture.signed(
        LogHead {
            commit_term: Term(5),
            ..last.head.head
        },
        &[0, 1],
    );
    assert_eq!(verify(&fixture, &last), Err(LogProofError::BadTerms));
}

#[test]
fn an_extension_is_neither_ignored_nor_optional() {
    let fixture = Fixture::new(3, SIZE);
    let trusted = fixture.trusted();
    let anchor = fixture
        .signed(fixture.head(4), &[0, 1])
        .verify(&fixture.verifier, &trusted)
        .unwrap();
    let verify = |anchor, proof: &LogProof| {
        verify_log_proof(&fixture.verifier, &trusted, anchor, proof).map(|_| ())
    };
    let mut proof = fixture.proof(FIRST, COUNT);
    assert_eq!(
        verify(Some(&anchor), &proof),
        Err(LogProofError::ExtensionMismatch)
    );
    let extension = |old| {
        fixture
            .tree
            .prove_consistency(TreeSize(old), TreeSize(SIZE))
            .unwrap()
    };
    proof.extension = Some(extension(4));
    assert_eq!(verify(Some(&anchor), &proof), Ok(()));
    assert_eq!(verify(None, &proof), Err(LogProofError::ExtensionMismatch));
    proof.extension = Some(extension(3));
    assert!(matches!(
        verify(Some(&anchor), &proof),
        Err(LogProofError::Head(HeadError::NoExtension(_)))
    ));
}

#[test]
fn bounds_are_checked_before_any_signature() {
    let fixture = Fixture::new(3, SIZE);
    let mut proof = fixture.proof(FIRST, COUNT);
    proof.head.signatures.clear();
    let cheap: Vec<ProofEntry> = vec![entry(1, 1); LOG_PROOF_ENTRIES_MAX + 1];
    let many = LogProof {
        entries: cheap,
        ..proof.clone()
    };
    assert!(matches!(
        verify(&fixture, &many),
        Err(LogProofError::BadRange { .. })
    ));
    let digest = Digest::ZERO;
    let len = u32::try_from(ENTRY_BYTES_MAX).unwrap() + 1;
    let mut long = proof;
    long.entries[0].payload = Payload::Omitted { len, digest };
    assert!(matches!(
        verify(&fixture, &long),
        Err(LogProofError::EntryTooLong { .. })
    ));
}

/// An inner node of the log tree cannot stand for an entry: an entry's hash is
/// always computed from its fields.
#[test]
fn an_entry_hash_is_never_taken_from_the_proof() {
    let fixture = Fixture::new(3, SIZE);
    let proof = fixture.proof(FIRST, 1);
    let hash = proof.entries[0].hash(super::CLUSTER, Index(FIRST));
    assert_eq!(
        fixture.tree.leaf(crate::merkle::LeafIndex(FIRST - 1)),
        Some(LeafHash::assume(hash))
    );
    assert_ne!(
        hash,
        proof.entries[0].hash(super::CLUSTER, Index(FIRST + 1))
    );
    assert_ne!(hash, proof.entries[0].hash(ClusterId(8), Index(FIRST)));
}
