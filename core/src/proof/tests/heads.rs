use super::{CLUSTER, Fixture, entry};
use crate::crypto::{Digest, Domain, Preimage, Scope, Signer};
use crate::merkle::{Consistency, MerkleError, TreeSize};
use crate::proof::{
    HeadError, HeadSignature, LogHead, ProvenHead, SignedHead, TrustedVoters, verify_head_extension,
};
use crate::types::{ClusterId, Index, NodeId, Term};

fn verify(fixture: &Fixture, signed: &SignedHead) -> Result<ProvenHead, HeadError> {
    signed.verify(&fixture.verifier, &fixture.trusted())
}

/// Every field that is altered after signing is noticed, and altered before
/// signing by too few it is no help.
#[test]
fn every_altered_field_of_a_head_is_refused() {
    let fixture = Fixture::new(5, 9);
    let honest = fixture.head(9);
    let altered = [
        LogHead {
            membership_epoch: Index(1),
            ..honest
        },
        LogHead {
            size: Index(8),
            ..honest
        },
        LogHead {
            size: Index(10),
            ..honest
        },
        LogHead {
            root: Digest::ZERO,
            ..honest
        },
        LogHead {
            commit_term: Term(9),
            ..honest
        },
        LogHead {
            cluster: ClusterId(8),
            ..honest
        },
    ];
    for head in altered {
        let mut signed = fixture.signed(honest, &[0, 1, 2]);
        signed.head = head;
        assert!(verify(&fixture, &signed).is_err(), "{head:?}");
        let minority = fixture.signed(head, &[0, 1]);
        assert!(verify(&fixture, &minority).is_err(), "{head:?}");
        let mut mixed = fixture.signed(head, &[0, 1]);
        mixed.signatures.push(fixture.signature(&honest, 2));
        mixed.signatures.sort_by_key(|signature| signature.node);
        assert!(verify(&fixture, &mixed).is_err(), "{head:?}");
    }
}

#[test]
fn too_few_signers_are_refused_whatever_they_repeat() {
    let fixture = Fixture::new(5, 9);
    let head = fixture.head(9);
    for numbers in [&[][..], &[0], &[3, 4]] {
        let verdict = verify(&fixture, &fixture.signed(head, numbers));
        assert_eq!(
            verdict,
            Err(HeadError::NoMajority {
                found: numbers.len()
            })
        );
    }
    // One signature repeated passed the whitepaper's count.
    let repeated = fixture.signed(head, &[1, 1, 1, 1, 1]);
    let node = fixture.signers[1].public_key().node_id();
    assert_eq!(
        verify(&fixture, &repeated),
        Err(HeadError::SignerOrder(node))
    );
    // Out of order is refused too: equal evidence has equal bytes.
    let mut unsorted = fixture.signed(head, &[0, 1, 2]);
    unsorted.signatures.reverse();
    assert!(matches!(
        verify(&fixture, &unsorted),
        Err(HeadError::SignerOrder(_))
    ));
}

#[test]
fn foreign_signers_are_refused() {
    let fixture = Fixture::new(3, 9);
    let head = fixture.head(9);
    let stranger = head.sign(&fixture.stranger);
    for numbers in [&[0][..], &[0, 1], &[0, 1, 2]] {
        let mut signed = fixture.signed(head, numbers);
        signed.signatures.push(stranger);
        signed.signatures.sort_by_key(|signature| signature.node);
        let verdict = verify(&fixture, &signed);
        assert_eq!(verdict, Err(HeadError::ForeignSigner(stranger.node)));
    }
    // A stranger who names itself after a voter is caught by the key.
    let voter = fixture.signers[1].public_key().node_id();
    let renamed = HeadSignature {
        node: voter,
        ..stranger
    };
    let signed = SignedHead::new(head, alloc::vec![fixture.signature(&head, 0), renamed]);
    assert_eq!(
        verify(&fixture, &signed),
        Err(HeadError::BadSignature(voter))
    );
    let nobody = HeadSignature {
        node: NodeId(1),
        ..stranger
    };
    let signed = SignedHead::new(head, alloc::vec![nobody]);
    assert_eq!(
        verify(&fixture, &signed),
        Err(HeadError::ForeignSigner(NodeId(1)))
    );
}

/// One bad signature refuses a head that would be fine without it.
#[test]
fn superfluous_signatures_are_checked_too() {
    let fixture = Fixture::new(5, 9);
    let mut signed = fixture.signed(fixture.head(9), &[0, 1, 2, 3]);
    assert!(verify(&fixture, &signed).is_ok());
    let node = signed.signatures[3].node;
    signed.signatures[3].signature = signed.signatures[0].signature;
    assert_eq!(
        verify(&fixture, &signed),
        Err(HeadError::BadSignature(node))
    );
}

#[test]
fn heads_of_other_clusters_and_memberships_are_refused() {
    let fixture = Fixture::new(3, 9);
    let honest = fixture.head(9);
    let foreign = fixture.signed(
        LogHead {
            cluster: ClusterId(8),
            ..honest
        },
        &[0, 1],
    );
    let other = HeadError::OtherCluster {
        expected: CLUSTER,
        found: ClusterId(8),
    };
    assert_eq!(verify(&fixture, &foreign), Err(other));
    let later = fixture.signed(
        LogHead {
            membership_epoch: Index(4),
            ..honest
        },
        &[0, 1],
    );
    let other = HeadError::OtherMembership {
        expected: Index(0),
        found: Index(4),
    };
    assert_eq!(verify(&fixture, &later), Err(other));
}

#[test]
fn heads_that_contradict_themselves_are_refused() {
    let fixture = Fixture::new(3, 9);
    let trusted = TrustedVoters::new(CLUSTER, Index(10), &fixture.keys()).unwrap();
    let head = LogHead {
        membership_epoch: Index(10),
        ..fixture.head(9)
    };
    let verdict = fixture
        .signed(head, &[0, 1])
        .verify(&fixture.verifier, &trusted);
    assert_eq!(verdict, Err(HeadError::Malformed));
    let empty = LogHead {
        size: Index(0),
        ..fixture.head(9)
    };
    assert_eq!(
        verify(&fixture, &fixture.signed(empty, &[0, 1])),
        Err(HeadError::Malformed)
    );
}

/// A voter's signature for another purpose is no signature under a head.
#[test]
fn signatures_of_other_purposes_do_not_count() {
    let fixture = Fixture::new(1, 9);
    let head = fixture.head(9);
    let statement = Preimage::new(Domain::NodeCert, Scope::Cluster(CLUSTER))
        .put(&head.membership_epoch)
        .put(&head.size)
        .put(&head.root)
        .put(&head.commit_term);
    let mut signed = fixture.signed(head, &[0]);
    signed.signatures[0].signature = fixture.signers[0].sign(&statement);
    assert!(matches!(
        verify(&fixture, &signed),
        Err(HeadError::BadSignature(_))
    ));
}

#[test]
fn every_head_continues_every_older_one() {
    let fixture = Fixture::new(3, 12);
    let proven = |size| verify(&fixture, &fixture.signed(fixture.head(size), &[0, 1])).unwrap();
    for old in 1..=12 {
        for new in 1..=12 {
            let (older, newer) = (proven(old), proven(new));
            match fixture.tree.prove_consistency(TreeSize(old), TreeSize(new)) {
                Ok(proof) => {
                    assert_eq!(verify_head_extension(&older, &newer, &proof), Ok(()));
                    let swapped = verify_head_extension(&newer, &older, &proof);
                    assert_eq!(swapped.is_ok(), old == new);
                }
                Err(_) => {
                    let forged = Consistency {
                        old: TreeSize(old),
                        new: TreeSize(new),
                        path: alloc::vec![],
                    };
                    let shrinks = MerkleError::Shrinks {
                        old: TreeSize(old),
                        new: TreeSize(new),
                    };
                    let verdict = verify_head_extension(&older, &newer, &forged);
                    assert_eq!(verdict, Err(HeadError::NoExtension(shrinks)));
                }
            }
        }
    }
}

/// A Byzantine majority can sign such heads; they still do not pass for the
/// continuation of an honest one.
#[test]
fn a_forked_or_backward_head_continues_nothing() {
    let fixture = Fixture::new(3, 9);
    let mut fork = Fixture::new(3, 5);
    (6..=9).for_each(|index| fork.append(entry(index + 100, 3)));
    let trusted = fixture.trusted();
    let proven = |head: LogHead, trusted: &TrustedVoters| {
        fixture
            .signed(head, &[0, 1])
            .verify(&fixture.verifier, trusted)
            .unwrap()
    };
    let old = proven(fixture.head(7), &trusted);
    let forked = proven(fork.head(9), &trusted);
    for tree in [&fixture.tree, &fork.tree] {
        let proof = tree.prove_consistency(TreeSize(7), TreeSize(9)).unwrap();
        let verdict = verify_head_extension(&old, &forked, &proof);
        assert!(matches!(verdict, Err(HeadError::NoExtension(_))));
    }
    let proof = fixture
        .tree
        .prove_consistency(TreeSize(7), TreeSize(9))
        .unwrap();
    let backward = proven(
        LogHead {
            commit_term: Term(1),
            ..fixture.head(9)
        },
        &trusted,
    );
    assert_eq!(
        verify_head_extension(&old, &backward, &proof),
        Err(HeadError::Contradiction)
    );
    // A membership that the older head would have to know already.
    for (epoch, verdict) in [(7, Err(HeadError::Contradiction)), (8, Ok(()))] {
        let later = TrustedVoters::new(CLUSTER, Index(epoch), &fixture.keys()).unwrap();
        let head = LogHead {
            membership_epoch: Index(epoch),
            ..fixture.head(9)
        };
        let newer = proven(head, &later);
        assert_eq!(verify_head_extension(&old, &newer, &proof), verdict);
        let back = verify_head_extension(&newer, &old, &proof);
        assert!(back.is_err(), "back to an older membership");
    }
    let same = fixture
        .tree
        .prove_consistency(TreeSize(7), TreeSize(7))
        .unwrap();
    let other_term = proven(
        LogHead {
            commit_term: Term(9),
            ..fixture.head(7)
        },
        &trusted,
    );
    assert_eq!(
        verify_head_extension(&old, &other_term, &same),
        Err(HeadError::Contradiction)
    );
}

#[test]
fn heads_of_two_clusters_are_never_compared() {
    let fixture = Fixture::new(3, 9);
    let other = TrustedVoters::new(ClusterId(8), Index(0), &fixture.keys()).unwrap();
    let foreign = LogHead {
        cluster: ClusterId(8),
        ..fixture.head(9)
    };
    let foreign = fixture
        .signed(foreign, &[0, 1])
        .verify(&fixture.verifier, &other)
        .unwrap();
    let old = verify(&fixture, &fixture.signed(fixture.head(7), &[0, 1])).unwrap();
    let proof = fixture
        .tree
        .prove_consistency(TreeSize(7), TreeSize(9))
        .unwrap();
    let verdict = verify_head_extension(&old, &foreign, &proof);
    assert!(matches!(verdict, Err(HeadError::OtherCluster { .. })));
}
