//! ECDSA P-256 signatures in their one inner form.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::hex::{self, HexError};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};

/// An ECDSA P-256 signature: 64 bytes, `r` then `s`, big-endian.
///
/// Whoever holds one may rely on `1 <= r < n` and `1 <= s <= n/2`: ECDSA accepts
/// `(r, n-s)` wherever it accepts `(r, s)`, and without the low-S rule everybody
/// on the path could give a message a second valid signature (rule C1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature([u8; 64]);

/// Why bytes are not a signature. Nothing was verified yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not 64 bytes.
    #[error("a signature has 64 bytes, not {found}")]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// `r` or `s` is zero or not below the order of the curve.
    #[error("a component of the signature is out of range")]
    OutOfRange,
    /// `s` is in the upper half: the same signature in its other form.
    #[error("the signature is not in low-S form")]
    HighS,
    /// Not the one DER encoding of a signature.
    #[error("the signature is not valid DER")]
    Der,
    /// Not hexadecimal text.
    #[error(transparent)]
    Hex(#[from] HexError),
}

/// The order `n` of the curve (FIPS 186-5, P-256).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// `(n - 1) / 2`, the largest low `s`.
const ORDER_HALF: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// Bytes of the longest DER encoding of a P-256 signature.
const DER_BYTES_MAX: usize = 72;

impl Signature {
    /// Bytes of a signature.
    pub const BYTES: usize = 64;

    /// Checks range, zero and low-S. Every other constructor ends here.
    pub fn from_bytes(bytes: [u8; 64]) -> Result<Self, SignatureError> {
        let signature = Self(bytes);
        let in_range = |scalar: &[u8; 32]| *scalar != [0; 32] && *scalar < ORDER;
        // Big-endian numbers of one width compare like byte strings.
        if !in_range(&signature.r()) || !in_range(&signature.s()) {
            return Err(SignatureError::OutOfRange);
        }
        if signature.s() > ORDER_HALF {
            return Err(SignatureError::HighS);
        }
        Ok(signature)
    }

    /// Like [`from_bytes`](Self::from_bytes), of a slice of any length.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, SignatureError> {
        let bytes = bytes
            .try_into()
            .map_err(|_| SignatureError::Length { found: bytes.len() })?;
        Self::from_bytes(bytes)
    }

    /// For the HTTP API only: takes either form of `s` and keeps the low one.
    pub fn normalise(bytes: [u8; 64]) -> Result<Self, SignatureError> {
        match Self::from_bytes(bytes) {
            Err(SignatureError::HighS) => {
                let any = p256::ecdsa::Signature::from_slice(&bytes)
                    .map_err(|_| SignatureError::OutOfRange)?;
                Self::from_bytes(any.normalize_s().to_bytes().into())
            }
            result => result,
        }
    }

    /// For the HTTP API only: reads the one DER encoding of a signature with either
    /// form of `s` and keeps the low one. BER variants and trailing bytes are
    /// refused.
    pub fn from_der(der: &[u8]) -> Result<Self, SignatureError> {
        if der.len() > DER_BYTES_MAX {
            return Err(SignatureError::Der);
        }
        let any = p256::ecdsa::Signature::from_der(der).map_err(|_| SignatureError::Der)?;
        Self::normalise(any.to_bytes().into())
    }

    /// For the HTTP API only: the DER encoding.
    pub fn to_der(&self) -> Vec<u8> {
        let inner =
            p256::ecdsa::Signature::from_slice(&self.0).expect("the constructor checked the range");
        let der = inner.to_der().as_bytes().to_vec();
        assert!(der.len() <= DER_BYTES_MAX);
        der
    }

    /// For the HTTP API only: `0x` and the DER encoding in hexadecimal.
    pub fn to_der_hex(&self) -> String {
        let mut text = String::from("0x");
        text.push_str(&hex::encode(&self.to_der()));
        text
    }

    /// For the HTTP API only: reads `0x…` or bare hexadecimal of the DER encoding or,
    /// if it is not DER, of the 64 bytes. A pair that reads as both would need
    /// eight fixed bytes inside `r` and `s`, and would then fail to verify.
    pub fn from_edge_text(text: &str) -> Result<Self, SignatureError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let bytes = hex::decode_bounded(digits, DER_BYTES_MAX)?;
        Self::from_der(&bytes).or_else(|error| match <[u8; 64]>::try_from(bytes.as_slice()) {
            Ok(raw) => Self::normalise(raw),
            Err(_) => Err(error),
        })
    }

    /// The 64 bytes.
    pub const fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// The first component.
    fn r(&self) -> [u8; 32] {
        let mut half = [0; 32];
        half.copy_from_slice(&self.0[..32]);
        half
    }

    /// The second component.
    fn s(&self) -> [u8; 32] {
        let mut half = [0; 32];
        half.copy_from_slice(&self.0[32..]);
        half
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    /// 128 hexadecimal digits of the inner form, strictly low-S.
    fn from_str(text: &str) -> Result<Self, SignatureError> {
        Self::from_bytes(hex::decode_array(text)?)
    }
}

impl fmt::Display for Signature {
    /// 128 lowercase hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, &self.0)
    }
}

impl fmt::Debug for Signature {
    /// The first eight digits: enough for a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature#")?;
        hex::write(f, &self.0[..4])
    }
}

// Not derived: both halves have to be in range.
impl Encode for Signature {
    const SIZE: Option<usize> = Some(Self::BYTES);

    fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.0);
    }

    fn size_hint(&self) -> usize {
        Self::BYTES
    }
}

impl Decode for Signature {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_bytes(reader.array()?).map_err(|_| DecodeError::Invalid { what: "signature" })
    }
}
