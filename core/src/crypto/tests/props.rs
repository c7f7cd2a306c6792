use alloc::vec::Vec;

use proptest::prelude::*;

use super::sign::mirrored;
use super::signer;
use crate::codec::{Decode, Encode};
use crate::crypto::{
    NodeCert, P256Verifier, PublicKey, Signature, SignatureError, Signer, Verifier, hex, tagged,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn hex_round_trips(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assert_eq!(hex::decode_bounded(&hex::encode(&bytes), 80), Ok(bytes));
    }

    #[test]
    fn hex_is_total(text in ".{0,80}") {
        if let Ok(bytes) = hex::decode_bounded(&text, 40) {
            prop_assert_eq!(hex::encode(&bytes), text.to_lowercase());
        }
    }

    #[test]
    fn tagged_is_injective_in_its_parts(
        left in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..4),
        right in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..4),
    ) {
        let digest = |parts: &[Vec<u8>]| {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            tagged("test", &parts)
        };
        prop_assert_eq!(digest(&left) == digest(&right), left == right);
    }

    #[test]
    fn every_signature_has_one_inner_form(
        number in 0u8..4,
        message in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let signer = signer(number);
        let signature = signer.sign_bytes(&message);
        let verdict = P256Verifier.verify_bytes(signer.public_key(), &message, &signature);
        prop_assert_eq!(verdict, Ok(()));
        let high = mirrored(&signature);
        prop_assert_eq!(Signature::from_bytes(high), Err(SignatureError::HighS));
        prop_assert_eq!(Signature::normalise(high), Ok(signature));
    }

    #[test]
    fn decoders_are_total_and_canonical(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(key) = PublicKey::from_slice(&bytes) {
            prop_assert_eq!(key.to_bytes().to_vec(), bytes.clone());
        }
        if let Ok(cert) = NodeCert::from_slice(&bytes) {
            prop_assert_eq!(cert.to_bytes().to_vec(), bytes.clone());
        }
        if let Ok(signature) = Signature::from_der(&bytes) {
            prop_assert!(signature.to_der().len() <= bytes.len() + 1);
        }
    }

    #[test]
    fn compressed_and_uncompressed_agree(x in any::<[u8; 32]>(), odd in any::<bool>()) {
        let mut bytes = [0; 33];
        bytes[0] = 2 + u8::from(odd);
        bytes[1..].copy_from_slice(&x);
        if let Ok(key) = PublicKey::from_compressed(&bytes) {
            prop_assert_eq!(key.to_compressed(), bytes);
            prop_assert_eq!(PublicKey::from_uncompressed(key.as_uncompressed()), Ok(key));
        }
    }
}
