use alloc::vec::Vec;

use bytes::Bytes;

use super::{CLUSTER, Fixture, entry};
use crate::codec::{Decode, Encode};
use crate::crypto::{P256Signer, P256Verifier, SecretBytes, SecretKey, Signer};
use crate::merkle::TreeSize;
use crate::proof::{LogProof, Payload, SignedHead, TrustedVoters, verify_log_proof};
use crate::types::{Index, LogId, Term};

#[test]
fn every_range_of_a_log_is_proven() {
    for voters in [1, 3, 5, 7] {
        let fixture = Fixture::new(voters, 11);
        for first in 1..=11u64 {
            for count in 1..=usize::try_from(12 - first).unwrap() {
                let proof = fixture.proof(first, count);
                let proven = verify_log_proof(&fixture.verifier, &fixture.trusted(), None, &proof);
                let proven = proven.unwrap();
                assert_eq!(proven.head().head(), &fixture.head(11));
                assert_eq!(proven.head().signers().len(), fixture.majority().len());
                let entries: Vec<_> = proven.iter().collect();
                assert_eq!(entries.len(), count);
                assert_eq!(entries[0].0, LogId::new(Term(first / 4 + 1), Index(first)));
                assert_eq!(*entries[0].1, entry(first, first / 4 + 1));
                assert_eq!(LogProof::from_bytes(&proof.to_bytes()), Ok(proof));
            }
        }
    }
}

/// Payloads can be left out one by one; lengths and digests stay proven.
#[test]
fn payloads_may_be_left_out() {
    let fixture = Fixture::new(3, 9);
    let mut proof = fixture.proof(3, 4);
    for at in [0, 2] {
        proof.entries[at].payload = proof.entries[at].payload.omit();
    }
    let proven = verify_log_proof(&fixture.verifier, &fixture.trusted(), None, &proof).unwrap();
    let shown: Vec<bool> = proven
        .iter()
        .map(|(_, entry)| matches!(entry.payload, Payload::Data(_)))
        .collect();
    assert_eq!(shown, [false, true, false, true]);
    assert_eq!(LogProof::from_bytes(&proof.to_bytes()), Ok(proof));
}

/// The same proof with the production scheme.
#[test]
fn a_proof_verifies_with_real_signatures() {
    let fixture = Fixture::new(3, 5);
    let signers: Vec<P256Signer> = (1..4)
        .map(|number| P256Signer::new(&SecretKey::from_entropy(&SecretBytes::new([number; 32]))))
        .collect();
    let keys: Vec<_> = signers.iter().map(|signer| *signer.public_key()).collect();
    let trusted = TrustedVoters::new(CLUSTER, Index(0), &keys).unwrap();
    let head = fixture.head(5);
    let signatures = signers[1..]
        .iter()
        .map(|signer| head.sign(signer))
        .collect();
    let signed = SignedHead::new(head, signatures);
    let entries = fixture.entries[1..3].to_vec();
    let proof = LogProof::prove(&fixture.tree, signed, Index(2), entries).unwrap();
    assert!(verify_log_proof(&P256Verifier, &trusted, None, &proof).is_ok());
    assert!(verify_log_proof(&fixture.verifier, &trusted, None, &proof).is_err());
    let mut forged = proof;
    forged.entries[0].payload = Payload::Data(Bytes::from_static(b"forged"));
    assert!(verify_log_proof(&P256Verifier, &trusted, None, &forged).is_err());
}

/// A verifier that follows a log asks each proof to continue what it has seen.
#[test]
fn a_proof_continues_the_head_that_the_verifier_holds() {
    let fixture = Fixture::new(3, 9);
    let (verifier, trusted) = (&fixture.verifier, fixture.trusted());
    for old in 1..=9 {
        let anchor = fixture.signed(fixture.head(old), &[0, 2]);
        let anchor = anchor.verify(verifier, &trusted).unwrap();
        let mut proof = fixture.proof(8, 2);
        let extension = fixture.tree.prove_consistency(TreeSize(old), TreeSize(9));
        proof.extension = Some(extension.unwrap());
        assert!(verify_log_proof(verifier, &trusted, Some(&anchor), &proof).is_ok());
        assert_eq!(LogProof::from_bytes(&proof.to_bytes()), Ok(proof));
    }
}

#[test]
fn provers_refuse_what_the_tree_does_not_have() {
    let fixture = Fixture::new(3, 5);
    let signed = fixture.signed(fixture.head(5), &[0, 1]);
    let entries = fixture.entries[..2].to_vec();
    for first in [0, 5, 6, u64::MAX] {
        let proof = LogProof::prove(&fixture.tree, signed.clone(), Index(first), entries.clone());
        assert!(proof.is_err(), "{first}");
    }
}
