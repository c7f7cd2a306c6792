use alloc::vec::Vec;

use proptest::prelude::*;

use super::Fixture;
use crate::codec::{Decode, Encode};
use crate::proof::{LogProof, SignedHead, SplitView, verify_log_proof};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A flipped bit anywhere in the bytes is refused, by the decoder or by the
    /// verifier.
    #[test]
    fn no_bit_of_a_proof_is_ignored(
        size in 1u64..24,
        place in any::<prop::sample::Index>(),
        flips in prop::collection::vec(any::<prop::sample::Index>(), 16),
    ) {
        let fixture = Fixture::new(3, size);
        let first = u64::try_from(place.index(usize::try_from(size).unwrap())).unwrap() + 1;
        let count = usize::try_from(size - first + 1).unwrap().min(3);
        let proof = fixture.proof(first, count);
        let trusted = fixture.trusted();
        let bytes = proof.to_bytes().to_vec();
        for flip in flips {
            let bit = flip.index(bytes.len() * 8);
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(forged) = LogProof::from_slice(&forged) {
                let verdict = verify_log_proof(&fixture.verifier, &trusted, None, &forged);
                prop_assert!(verdict.is_err(), "bit {bit}");
            }
        }
    }

    #[test]
    fn decoders_are_total(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(proof) = LogProof::from_slice(&bytes) {
            prop_assert_eq!(proof.to_bytes().to_vec(), bytes.clone());
        }
        if let Ok(evidence) = SplitView::from_slice(&bytes) {
            prop_assert_eq!(evidence.to_bytes().to_vec(), bytes.clone());
        }
    }

    /// Only a majority of the voters is enough, whichever it is.
    #[test]
    fn exactly_majorities_prove_a_head(voters in 1u64..=7, mask in any::<u8>()) {
        let fixture = Fixture::new(voters, 3);
        let numbers: Vec<usize> =
            (0..fixture.signers.len()).filter(|number| mask >> number & 1 == 1).collect();
        let signed: SignedHead = fixture.signed(fixture.head(3), &numbers);
        let is_proven = signed.verify(&fixture.verifier, &fixture.trusted()).is_ok();
        prop_assert_eq!(is_proven, numbers.len() * 2 > fixture.signers.len());
    }
}
