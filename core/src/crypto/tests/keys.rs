use alloc::format;
use alloc::string::ToString;

use super::{secret, signer};
use crate::codec::{Decode, DecodeError, Encode};
use crate::crypto::{KeyError, PublicKey, SecretBytes, SecretKey, Signer, hex, sha256};
use crate::types::{ClusterId, NodeId};

/// The base point of the curve, whose secret key is one.
const G: &str = "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296\
                 4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

fn secret_of(text: &str) -> Result<SecretKey, KeyError> {
    SecretKey::from_bytes(&SecretBytes::new(hex::decode_array(text).unwrap()))
}

#[test]
fn the_secret_key_one_has_the_base_point() {
    let one = secret_of(&format!("{:064x}", 1)).unwrap();
    let key = one.public_key();
    assert_eq!(key.to_edge_text(), format!("0x{G}"));
    assert_eq!(key.to_string(), format!("03{}", &G[2..66]));
    assert_eq!(PublicKey::from_edge_text(&format!("0x{G}")), Ok(key));
    assert_eq!(PublicKey::from_edge_text(G), Ok(key));
    assert_eq!(PublicKey::from_edge_text(&key.to_string()), Ok(key));
    assert_eq!(key.to_string().parse(), Ok(key));
    assert_eq!(one.expose().as_bytes()[31], 1);
}

#[test]
fn secret_keys_out_of_range_are_refused() {
    assert_eq!(
        secret_of(&"00".repeat(32)).unwrap_err(),
        KeyError::SecretOutOfRange
    );
    assert_eq!(secret_of(ORDER).unwrap_err(), KeyError::SecretOutOfRange);
    assert_eq!(
        secret_of(&"ff".repeat(32)).unwrap_err(),
        KeyError::SecretOutOfRange
    );
    let largest = format!("{}50", &ORDER[..62]);
    let key = secret_of(&largest).unwrap().public_key();
    // n - 1 is the negative of the base point: equal x, the other y.
    assert_eq!(key.to_string(), format!("02{}", &G[2..66]));
}

#[test]
fn only_the_compressed_form_is_decoded() {
    let key = *signer(1).public_key();
    let compressed = key.to_compressed();
    assert_eq!(key.to_bytes().as_ref(), compressed);
    assert_eq!(PublicKey::from_slice(&compressed), Ok(key));
    let invalid = Err(DecodeError::Invalid { what: "public key" });
    for first in [0x00, 0x01, 0x04, 0x05, 0x06, 0x07, 0xff] {
        let mut other = compressed;
        other[0] = first;
        assert_eq!(PublicKey::from_slice(&other), invalid, "{first:#x}");
    }
    assert!(PublicKey::from_slice(&compressed[..32]).is_err());
    assert!(PublicKey::from_slice(key.as_uncompressed()).is_err());
}

#[test]
fn hybrid_forms_and_points_off_the_curve_are_refused() {
    let honest = *signer(1).public_key().as_uncompressed();
    for first in [0x00, 0x02, 0x03, 0x06, 0x07] {
        let mut other = honest;
        other[0] = first;
        assert_eq!(PublicKey::from_uncompressed(&other), Err(KeyError::Form));
    }
    let mut off_curve = honest;
    off_curve[64] ^= 1;
    assert_eq!(
        PublicKey::from_uncompressed(&off_curve),
        Err(KeyError::NotOnCurve)
    );
    // x = p has no point below the modulus, and x = 0 encodes twice if reduced.
    let p = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
    let text = format!("02{p}");
    assert_eq!(text.parse::<PublicKey>(), Err(KeyError::NotOnCurve));
    assert!(PublicKey::from_edge_text("0x00").is_err());
}

#[test]
fn ids_follow_from_the_key_and_from_the_name() {
    let key = *signer(1).public_key();
    let expected = &sha256(&key.to_compressed()).to_string()[..32];
    assert_eq!(key.node_id().to_string(), expected);
    assert_ne!(key.node_id(), signer(2).public_key().node_id());
    assert_ne!(key.node_id(), NodeId(0));
    assert_eq!(
        ClusterId::from_name("abc").to_string(),
        "ba7816bf8f01cfea414140de5dae2223"
    );
}

#[test]
fn secrets_do_not_print() {
    let key = secret(1);
    let digits = hex::encode(key.expose().as_bytes());
    for text in [format!("{key:?}"), format!("{:?}", key.expose())] {
        assert!(text.contains("[REDACTED]"));
        assert!(!text.contains(&digits[..8]));
    }
    let signer = format!("{:?}", signer(1));
    assert!(!signer.contains(&digits[..8]), "{signer}");
}

#[test]
fn equal_entropy_gives_the_equal_key() {
    assert_eq!(secret(1).public_key(), secret(1).public_key());
    assert_ne!(secret(1).public_key(), secret(2).public_key());
}
