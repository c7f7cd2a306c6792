use alloc::format;
use alloc::string::ToString;

use crate::codec::{Decode, Encode};
use crate::crypto::{Digest, Hasher, HexError, hex, sha256, tagged};

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

#[test]
fn published_digests() {
    assert_eq!(sha256(b"abc").to_string(), ABC);
    assert_eq!(
        sha256(b"").to_string(),
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    );
}

#[test]
fn streaming_equals_one_shot_whatever_the_pieces() {
    let bytes: alloc::vec::Vec<u8> = (0..=255).cycle().take(1000).collect();
    for size in [1, 7, 63, 64, 65, 999, 1000] {
        let mut hasher = Hasher::new();
        bytes.chunks(size).for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.finish(), sha256(&bytes));
    }
}

/// OG-12: a hash of fields without lengths lets bytes wander between fields.
#[test]
fn bytes_can_not_wander_between_tagged_parts() {
    let honest = tagged("tx", &[b"tx1", b"transfer"]);
    assert_ne!(honest, tagged("tx", &[b"tx1t", b"ransfer"]));
    assert_ne!(honest, tagged("tx", &[b"tx1transfer"]));
    assert_ne!(honest, tagged("tx", &[b"tx1", b"transfer", b""]));
    assert_ne!(honest, tagged("txt", &[b"x1", b"transfer"]));
    assert_ne!(honest, tagged("ty", &[b"tx1", b"transfer"]));
    assert_eq!(honest, tagged("tx", &[b"tx1", b"transfer"]));
}

#[test]
fn three_text_forms_are_read_and_the_bare_one_is_written() {
    let digest = sha256(b"abc");
    for prefix in ["", "0x", "sha256:"] {
        assert_eq!(format!("{prefix}{ABC}").parse(), Ok(digest));
        let upper = ABC.to_uppercase();
        assert_eq!(format!("{prefix}{upper}").parse(), Ok(digest));
    }
    assert_eq!(digest.to_string(), ABC);
    assert_eq!(digest.to_0x(), format!("0x{ABC}"));
    assert_eq!(format!("{digest:?}"), "Digest#ba7816bf");
}

#[test]
fn bad_text_is_refused() {
    let length = |found| {
        Err::<Digest, _>(HexError::Length {
            expected: 64,
            found,
        })
    };
    assert_eq!("".parse(), length(0));
    assert_eq!(ABC[1..].parse(), length(63));
    assert_eq!(format!("{ABC}0").parse(), length(65));
    assert_eq!(
        format!("0x0x{}", &ABC[2..]).parse::<Digest>(),
        Err(HexError::Digit { position: 1 })
    );
    assert_eq!(format!("0X{ABC}").parse(), length(66));
    assert_eq!(format!("sha512:{ABC}").parse(), length(71));
    let with_space = format!("{} {}", &ABC[..10], &ABC[11..]);
    assert_eq!(
        with_space.parse::<Digest>(),
        Err(HexError::Digit { position: 10 })
    );
    // 64 bytes that are fewer characters must not cut a character in half.
    let wide = "é".repeat(32);
    assert_eq!(wide.parse::<Digest>(), Err(HexError::Digit { position: 0 }));
}

#[test]
fn bounded_text_is_measured_before_it_is_read() {
    assert_eq!(hex::decode_bounded("00ff", 2), Ok(alloc::vec![0, 255]));
    assert_eq!(
        hex::decode_bounded("00ff00", 2),
        Err(HexError::TooLong { limit: 4, found: 6 })
    );
    assert_eq!(
        hex::decode_bounded("00f", 2),
        Err(HexError::Odd { found: 3 })
    );
}

#[test]
fn the_encoding_is_the_32_bytes() {
    let digest = sha256(b"abc");
    assert_eq!(digest.to_bytes().as_ref(), digest.as_bytes());
    assert_eq!(Digest::from_slice(digest.as_bytes()), Ok(digest));
    assert!(Digest::from_slice(&[0; 31]).is_err());
    assert_eq!(digest.first_u128() >> 96, 0xba78_16bf);
}
