use super::{CLUSTER, Fixture, entry};
use crate::codec::{Decode, Encode};
use crate::crypto::{Digest, Signer};
use crate::merkle::TreeSize;
use crate::proof::split_view::ForkedPrefix;
use crate::proof::{HeadError, LogHead, ProvenSplitView, SplitView, SplitViewError, TrustedVoters};
use crate::types::{ClusterId, Index, Term};

/// An honest log and one that leaves it after five entries.
struct Fork {
    honest: Fixture,
    forked: Fixture,
}

fn fork() -> Fork {
    let honest = Fixture::new(5, 9);
    let mut forked = Fixture::new(5, 5);
    (6..=12).for_each(|index| forked.append(entry(index + 100, 3)));
    Fork { honest, forked }
}

fn verify(fork: &Fork, evidence: &SplitView) -> Result<ProvenSplitView, SplitViewError> {
    let trusted = fork.honest.trusted();
    evidence.verify(&fork.honest.verifier, &trusted, &trusted)
}

fn prefix(fixture: &Fixture, old: u64, new: u64) -> Option<ForkedPrefix> {
    Some(ForkedPrefix {
        root: fixture.tree.root_at(TreeSize(old)).unwrap(),
        proof: fixture
            .tree
            .prove_consistency(TreeSize(old), TreeSize(new))
            .unwrap(),
    })
}

#[test]
fn two_heads_of_one_size_convict_their_common_signers() {
    let fork = fork();
    let older = fork.honest.signed(fork.honest.head(9), &[0, 1, 2]);
    let newer = fork.honest.signed(fork.forked.head(9), &[2, 3, 4]);
    let evidence = SplitView {
        older,
        newer,
        prefix: None,
    };
    let culprit = fork.honest.signers[2].public_key().node_id();
    assert_eq!(verify(&fork, &evidence).unwrap().culprits(), [culprit]);
    assert_eq!(SplitView::from_bytes(&evidence.to_bytes()), Ok(evidence));
}

#[test]
fn heads_of_different_sizes_are_refuted_by_the_real_prefix() {
    let fork = fork();
    for old in 6..=9 {
        let evidence = SplitView {
            older: fork.honest.signed(fork.honest.head(old), &[0, 1, 2]),
            newer: fork.honest.signed(fork.forked.head(12), &[0, 3, 4]),
            prefix: prefix(&fork.forked, old, 12),
        };
        assert_eq!(verify(&fork, &evidence).unwrap().culprits().len(), 1);
        assert_eq!(SplitView::from_bytes(&evidence.to_bytes()), Ok(evidence));
    }
}

#[test]
fn any_differing_field_at_one_size_is_a_contradiction() {
    let fork = fork();
    let honest = fork.honest.head(9);
    let others = [
        LogHead {
            root: Digest::ZERO,
            ..honest
        },
        LogHead {
            commit_term: Term(9),
            ..honest
        },
    ];
    for other in others {
        let evidence = SplitView {
            older: fork.honest.signed(honest, &[0, 1, 2]),
            newer: fork.honest.signed(other, &[0, 1, 2]),
            prefix: None,
        };
        assert_eq!(verify(&fork, &evidence).unwrap().culprits().len(), 3);
    }
}

#[test]
fn a_term_that_goes_back_is_a_contradiction() {
    let fork = fork();
    let back = LogHead {
        commit_term: Term(1),
        ..fork.honest.head(9)
    };
    let evidence = SplitView {
        older: fork.honest.signed(fork.honest.head(7), &[0, 1, 2]),
        newer: fork.honest.signed(back, &[0, 1, 2]),
        prefix: None,
    };
    assert_eq!(verify(&fork, &evidence).unwrap().culprits().len(), 3);
}

/// Nothing that an honest cluster signs is evidence against it.
#[test]
fn honest_heads_convict_nobody() {
    let fork = fork();
    let signed = |size| fork.honest.signed(fork.honest.head(size), &[0, 1, 2]);
    for old in 1..=9 {
        for new in 1..=9 {
            let (older, newer) = (signed(old), signed(new));
            let bare = SplitView {
                older: older.clone(),
                newer: newer.clone(),
                prefix: None,
            };
            assert_eq!(verify(&fork, &bare), Err(SplitViewError::NoContradiction));
            if old > new {
                continue;
            }
            // With its own prefix, with a made-up one, with a forked one.
            let own = prefix(&fork.honest, old, new);
            let made_up = own.clone().map(|prefix| ForkedPrefix {
                root: Digest::ZERO,
                ..prefix
            });
            let foreign = prefix(&fork.forked, old, new);
            for prefix in [own, made_up, foreign] {
                let evidence = SplitView {
                    older: older.clone(),
                    newer: newer.clone(),
                    prefix,
                };
                assert!(verify(&fork, &evidence).is_err(), "{old} {new}");
            }
        }
    }
}

#[test]
fn forged_evidence_convicts_nobody() {
    let fork = fork();
    let honest = fork.honest.signed(fork.honest.head(9), &[0, 1, 2]);
    // A fork that only a minority signed, or nobody.
    for numbers in [&[][..], &[3, 4]] {
        let newer = fork.honest.signed(fork.forked.head(9), numbers);
        let evidence = SplitView {
            older: honest.clone(),
            newer,
            prefix: None,
        };
        let found = numbers.len();
        let expected = SplitViewError::Head(HeadError::NoMajority { found });
        assert_eq!(verify(&fork, &evidence), Err(expected));
    }
    // Signatures moved from the honest head to the forked one.
    let mut newer = honest.clone();
    newer.head = fork.forked.head(9);
    let evidence = SplitView {
        older: honest.clone(),
        newer,
        prefix: None,
    };
    let verdict = verify(&fork, &evidence);
    assert!(matches!(
        verdict,
        Err(SplitViewError::Head(HeadError::BadSignature(_)))
    ));
    // A head of another cluster.
    let foreign = LogHead {
        cluster: ClusterId(8),
        ..fork.honest.head(9)
    };
    let newer = fork.honest.signed(foreign, &[0, 1, 2]);
    let evidence = SplitView {
        older: honest,
        newer,
        prefix: None,
    };
    assert!(matches!(
        verify(&fork, &evidence),
        Err(SplitViewError::Head(_))
    ));
}

/// Under two memberships the evidence stands even without a common signer.
#[test]
fn a_fork_across_memberships_is_evidence_too() {
    let fork = fork();
    let keys = fork.honest.keys();
    let before = TrustedVoters::new(CLUSTER, Index(0), &keys[..3]).unwrap();
    let after = TrustedVoters::new(CLUSTER, Index(11), &keys[3..]).unwrap();
    let newer = LogHead {
        membership_epoch: Index(11),
        ..fork.forked.head(12)
    };
    let evidence = SplitView {
        older: fork.honest.signed(fork.honest.head(9), &[0, 1]),
        newer: fork.honest.signed(newer, &[3, 4]),
        prefix: prefix(&fork.forked, 9, 12),
    };
    let verifier = &fork.honest.verifier;
    assert!(
        evidence
            .verify(verifier, &before, &after)
            .unwrap()
            .culprits()
            .is_empty()
    );
    assert!(evidence.verify(verifier, &before, &before).is_err());
    let elsewhere = TrustedVoters::new(ClusterId(8), Index(11), &keys[3..]).unwrap();
    let verdict = evidence.verify(verifier, &before, &elsewhere);
    assert_eq!(verdict, Err(SplitViewError::NoContradiction));
}
