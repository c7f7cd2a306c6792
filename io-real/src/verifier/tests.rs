//! The Wycheproof vectors for ECDSA P-256 with SHA-256, in DER and in the fixed
//! form, through both verifiers.
//!
//! Our rule is stricter than ECDSA's: a signature with a high `s` is refused
//! although it is valid. So the vectors fall into three groups, and the tests
//! name how many are in each: a change of a library or of our rule shows.

use decube_core::crypto::{
    P256Signer, P256Verifier, PublicKey, SecretBytes, SecretKey, Signature, SignatureError, Signer,
    Verifier, VerifyError,
};
use wycheproof::TestResult;
use wycheproof::ecdsa::{Test, TestGroup, TestName, TestSet};

use super::FastVerifier;

/// The largest low `s`: half the order of the curve, written down again so that
/// the rule is not checked against itself.
const ORDER_HALF: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// How the strict reading of the vectors came out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Valid, low `s`: accepted.
    accepted: usize,
    /// Valid, high `s`: refused by rule, accepted once normalised.
    high: usize,
    /// Invalid: refused.
    refused: usize,
}

#[test]
fn fixed_form_vectors() {
    let tally = run(TestName::EcdsaSecp256r1Sha256P1363, |bytes| {
        let strict = Signature::from_slice(bytes);
        // Big-endian numbers of one width compare like byte strings.
        let is_high = bytes.len() == 64 && bytes[32..] > ORDER_HALF[..];
        assert!(is_high || strict != Err(SignatureError::HighS));
        assert!(!is_high || strict.is_err());
        strict
    });
    let expected = Tally {
        accepted: 103,
        high: 70,
        refused: 89,
    };
    assert_eq!(tally, expected);
}

/// DER is read at the HTTP API, which normalises: there is no high `s` left to
/// refuse, so the strict reading is applied to the bytes that DER contains.
#[test]
fn der_vectors() {
    let tally = run(TestName::EcdsaSecp256r1Sha256, |bytes| {
        let normal = Signature::from_der(bytes)?;
        if normal.to_der() == bytes {
            Ok(normal)
        } else {
            Err(SignatureError::HighS)
        }
    });
    let expected = Tally {
        accepted: 103,
        high: 71,
        refused: 310,
    };
    assert_eq!(tally, expected);
}

/// Runs a set of vectors with a strict reader of signatures.
fn run(name: TestName, read: fn(&[u8]) -> Result<Signature, SignatureError>) -> Tally {
    let set = TestSet::load(name).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        let key = key_of(group);
        for test in &group.tests {
            judge(&key, test, read(&test.sig), &mut tally);
        }
    }
    let total = tally.accepted + tally.high + tally.refused;
    assert_eq!(total, set.number_of_tests);
    tally
}

/// Compares one verdict with the vector's.
fn judge(
    key: &PublicKey,
    test: &Test,
    strict: Result<Signature, SignatureError>,
    tally: &mut Tally,
) {
    let id = test.tc_id;
    let is_valid = match test.result {
        TestResult::Valid => true,
        TestResult::Invalid => false,
        TestResult::Acceptable => panic!("vector {id} leaves the answer open"),
    };
    match strict {
        Ok(signature) => {
            assert_eq!(verdict(key, &test.msg, &signature), is_valid, "vector {id}");
            if is_valid {
                tally.accepted += 1;
            } else {
                tally.refused += 1;
            }
        }
        Err(SignatureError::HighS) => {
            let normal = normalised(&test.sig);
            assert_eq!(verdict(key, &test.msg, &normal), is_valid, "vector {id}");
            if is_valid {
                tally.high += 1;
            } else {
                tally.refused += 1;
            }
        }
        Err(_) => {
            assert!(!is_valid, "vector {id} is valid and was not read");
            tally.refused += 1;
        }
    }
}

/// The low form of a signature that was refused for its high `s`.
fn normalised(bytes: &[u8]) -> Signature {
    match bytes.try_into() {
        Ok(fixed) => Signature::normalise(fixed).unwrap(),
        Err(_) => Signature::from_der(bytes).unwrap(),
    }
}

/// What both verifiers say.
fn verdict(key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
    let portable = P256Verifier.verify_bytes(key, message, signature);
    let fast = FastVerifier.verify_bytes(key, message, signature);
    assert_eq!(portable, fast, "the verifiers disagree");
    fast.is_ok()
}

fn key_of(group: &TestGroup) -> PublicKey {
    let uncompressed: &[u8; 65] = group.key.key.as_slice().try_into().unwrap();
    let key = PublicKey::from_uncompressed(uncompressed).unwrap();
    assert_eq!(PublicKey::from_compressed(&key.to_compressed()), Ok(key));
    key
}

#[test]
fn both_verifiers_agree_on_our_own_signatures_and_on_their_damage() {
    let signer = P256Signer::new(&SecretKey::from_entropy(&SecretBytes::new([1; 32])));
    let key = signer.public_key();
    for number in 0u8..16 {
        let signature = signer.sign_bytes(&[number]);
        assert!(verdict(key, &[number], &signature));
        assert!(!verdict(key, &[number, 0], &signature));
        for bit in (0..512).step_by(37) {
            let mut bytes = *signature.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(damaged) = Signature::from_bytes(bytes) {
                assert!(!verdict(key, &[number], &damaged));
            }
        }
    }
    let other = P256Signer::new(&SecretKey::from_entropy(&SecretBytes::new([2; 32])));
    let signature = signer.sign_bytes(b"m");
    let refused = FastVerifier.verify_bytes(other.public_key(), b"m", &signature);
    assert_eq!(refused, Err(VerifyError));
}
