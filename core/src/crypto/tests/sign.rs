use alloc::format;
use alloc::string::ToString;

use super::{secret, signer};
use crate::codec::{Decode, DecodeError, Encode};
use crate::crypto::{
    Domain, P256Signer, P256Verifier, Preimage, Scope, SecretBytes, SecretKey, Signature,
    SignatureError, Signer, Verifier, VerifyError, hex,
};
use crate::types::ClusterId;

const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
const ORDER_HALF: &str = "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8";
const ORDER_HALF_NEXT: &str = "7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a9";
const ONE: &str = "0000000000000000000000000000000000000000000000000000000000000001";
const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn pair(r: &str, s: &str) -> [u8; 64] {
    hex::decode_array(&format!("{r}{s}")).unwrap()
}

/// `(r, n - s)`: what anybody can make of a signature.
pub(super) fn mirrored(signature: &Signature) -> [u8; 64] {
    let inner = p256::ecdsa::Signature::from_slice(signature.as_bytes()).unwrap();
    let (r, s) = inner.split_scalars();
    p256::ecdsa::Signature::from_scalars(r, -s)
        .unwrap()
        .to_bytes()
        .into()
}

/// RFC 6979 A.2.5 with the low form of `s`.
#[test]
fn rfc_6979_vectors() {
    let secret = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    let secret = SecretBytes::new(hex::decode_array(secret).unwrap());
    let signer = P256Signer::new(&SecretKey::from_bytes(&secret).unwrap());
    assert_eq!(
        signer.public_key().to_edge_text(),
        "0x0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
         7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
    );
    let sample = pair(
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    );
    assert_eq!(Signature::from_bytes(sample), Err(SignatureError::HighS));
    assert_eq!(
        Signature::normalise(sample),
        Ok(signer.sign_bytes(b"sample"))
    );
    let test = pair(
        "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
        "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
    );
    assert_eq!(Signature::from_bytes(test), Ok(signer.sign_bytes(b"test")));
}

#[test]
fn what_is_signed_verifies_and_nothing_else() {
    let (alice, bob) = (signer(1), signer(2));
    let statement = |cluster| Preimage::new(Domain::LogHead, Scope::Cluster(cluster)).u64(7);
    let signature = alice.sign(&statement(ClusterId(1)));
    let check = |key, cluster| P256Verifier.verify(key, &statement(cluster), &signature);
    assert_eq!(check(alice.public_key(), ClusterId(1)), Ok(()));
    assert_eq!(check(alice.public_key(), ClusterId(2)), Err(VerifyError));
    assert_eq!(check(bob.public_key(), ClusterId(1)), Err(VerifyError));
    let other = Preimage::new(Domain::NodeCert, Scope::Cluster(ClusterId(1))).u64(7);
    assert_eq!(
        P256Verifier.verify(alice.public_key(), &other, &signature),
        Err(VerifyError)
    );
}

#[test]
fn any_flipped_bit_breaks_a_signature() {
    let signer = signer(3);
    let signature = signer.sign_bytes(b"message");
    for bit in 0..512 {
        let mut bytes = *signature.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(forged) = Signature::from_bytes(bytes) {
            let verdict = P256Verifier.verify_bytes(signer.public_key(), b"message", &forged);
            assert_eq!(verdict, Err(VerifyError), "bit {bit}");
        }
    }
}

/// The curve implementation accepts both forms, so the type must not.
#[test]
fn the_mirrored_signature_has_no_inner_form() {
    let signer = signer(4);
    for message in 0u8..32 {
        let signature = signer.sign_bytes(&[message]);
        let high = mirrored(&signature);
        assert_eq!(Signature::from_bytes(high), Err(SignatureError::HighS));
        assert_eq!(Signature::from_slice(&high), Err(SignatureError::HighS));
        let invalid = Err(DecodeError::Invalid { what: "signature" });
        assert_eq!(<Signature as Decode>::from_slice(&high), invalid);
        assert_eq!(
            hex::encode(&high).parse::<Signature>(),
            Err(SignatureError::HighS)
        );
        assert_eq!(Signature::normalise(high), Ok(signature));
    }
}

#[test]
fn the_bounds_of_r_and_s_are_exact() {
    let largest = format!("{}50", &ORDER[..62]);
    assert!(Signature::from_bytes(pair(ONE, ONE)).is_ok());
    assert!(Signature::from_bytes(pair(&largest, ORDER_HALF)).is_ok());
    let refused = [
        (ZERO, ONE, SignatureError::OutOfRange),
        (ONE, ZERO, SignatureError::OutOfRange),
        (ZERO, ZERO, SignatureError::OutOfRange),
        (ORDER, ONE, SignatureError::OutOfRange),
        (ONE, ORDER, SignatureError::OutOfRange),
        (ONE, ORDER_HALF_NEXT, SignatureError::HighS),
        (ONE, &largest, SignatureError::HighS),
    ];
    for (r, s, error) in refused {
        assert_eq!(Signature::from_bytes(pair(r, s)), Err(error), "{r} {s}");
    }
    assert_eq!(
        Signature::from_slice(&[1; 63]),
        Err(SignatureError::Length { found: 63 })
    );
    // The half of the order is where the curve implementation has it.
    let half = Signature::from_bytes(pair(ONE, ORDER_HALF)).unwrap();
    assert_eq!(mirrored(&half), pair(ONE, ORDER_HALF_NEXT));
}

#[test]
fn der_is_read_in_both_forms_and_written_low() {
    let signer = signer(5);
    for message in 0u8..32 {
        let signature = signer.sign_bytes(&[message]);
        let der = signature.to_der();
        assert_eq!(Signature::from_der(&der), Ok(signature));
        let high = p256::ecdsa::Signature::from_slice(&mirrored(&signature)).unwrap();
        assert_eq!(Signature::from_der(high.to_der().as_bytes()), Ok(signature));
        assert_eq!(
            Signature::from_edge_text(&signature.to_der_hex()),
            Ok(signature)
        );
        assert_eq!(
            Signature::from_edge_text(&signature.to_string()),
            Ok(signature)
        );
    }
}

#[test]
fn der_with_any_freedom_is_refused() {
    let der = signer(5).sign_bytes(b"m").to_der();
    let mut trailing = der.clone();
    trailing.push(0);
    let mut long_length = der.clone();
    long_length.insert(1, 0x81);
    let mut wrong_tag = der.clone();
    wrong_tag[0] = 0x31;
    for bad in [&trailing, &long_length, &wrong_tag] {
        assert_eq!(Signature::from_der(bad), Err(SignatureError::Der));
    }
    for end in 0..der.len() {
        assert_eq!(
            Signature::from_der(&der[..end]),
            Err(SignatureError::Der),
            "{end}"
        );
    }
    let negative = [0x30, 6, 2, 1, 0x81, 2, 1, 1];
    let padded = [0x30, 7, 2, 2, 0, 1, 2, 1, 1];
    let zero = [0x30, 6, 2, 1, 0, 2, 1, 1];
    assert_eq!(Signature::from_der(&negative), Err(SignatureError::Der));
    assert_eq!(Signature::from_der(&padded), Err(SignatureError::Der));
    assert_eq!(Signature::from_der(&zero), Err(SignatureError::Der));
    assert_eq!(Signature::from_der(&[0x30; 4096]), Err(SignatureError::Der));
    assert!(Signature::from_edge_text(&"0".repeat(1 << 16)).is_err());
}

#[test]
fn signing_is_deterministic_and_low() {
    for number in 0..8 {
        let (first, second) = (signer(number), signer(number));
        for message in 0u8..8 {
            let signature = first.sign_bytes(&[message]);
            assert_eq!(signature, second.sign_bytes(&[message]));
            assert_eq!(Signature::from_bytes(*signature.as_bytes()), Ok(signature));
        }
    }
    assert_eq!(secret(1).public_key(), *signer(1).public_key());
}

#[test]
fn the_encoding_is_the_64_bytes() {
    let signature = signer(6).sign_bytes(b"m");
    assert_eq!(signature.to_bytes().as_ref(), signature.as_bytes());
    assert_eq!(
        <Signature as Decode>::from_slice(signature.as_bytes()),
        Ok(signature)
    );
    assert_eq!(signature.to_string().parse(), Ok(signature));
    assert!("00".parse::<Signature>().is_err());
}
