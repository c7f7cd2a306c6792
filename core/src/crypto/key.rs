//! P-256 public keys, and the ids that follow from them.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::hash::sha256;
use super::hex::{self, HexError};
use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::types::{ClusterId, NodeId};

/// A point of the curve, never the identity. On the wire it is the 33-byte
/// compressed form of SEC 1 §2.3.3 and nothing else; in memory both coordinates
/// are kept, so that a verification does not pay for a square root each time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    /// `0x04 ‖ x ‖ y`.
    uncompressed: [u8; 65],
}

/// Why bytes are not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The first byte and the length are not those of the expected form. The
    /// hybrid and compact forms and the identity end here too.
    #[error("not the expected encoding of a point")]
    Form,
    /// The coordinates are no point of the curve.
    #[error("not a point of the curve")]
    NotOnCurve,
    /// A secret key is zero or not below the order of the curve.
    #[error("the secret key is out of range")]
    SecretOutOfRange,
    /// Not hexadecimal text.
    #[error(transparent)]
    Hex(#[from] HexError),
}

impl PublicKey {
    /// Bytes of the compressed form.
    pub const BYTES: usize = 33;
    /// Bytes of the uncompressed form.
    pub const UNCOMPRESSED_BYTES: usize = 65;

    /// Reads the compressed form, the only one on the wire.
    pub fn from_compressed(bytes: &[u8; 33]) -> Result<Self, KeyError> {
        if !matches!(bytes[0], 0x02 | 0x03) {
            return Err(KeyError::Form);
        }
        let key = Self::parse(bytes)?;
        assert_eq!(key.to_compressed(), *bytes, "one encoding for each key");
        Ok(key)
    }

    /// For the HTTP API only: reads the uncompressed form `04 ‖ x ‖ y`.
    pub fn from_uncompressed(bytes: &[u8; 65]) -> Result<Self, KeyError> {
        if bytes[0] != 0x04 {
            return Err(KeyError::Form);
        }
        let key = Self::parse(bytes)?;
        assert_eq!(key.uncompressed, *bytes, "one encoding for each key");
        Ok(key)
    }

    /// For the HTTP API only: reads `0x04…` (or bare hexadecimal), uncompressed or
    /// compressed.
    pub fn from_edge_text(text: &str) -> Result<Self, KeyError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() == Self::BYTES * 2 {
            Self::from_compressed(&hex::decode_array(digits)?)
        } else {
            Self::from_uncompressed(&hex::decode_array(digits)?)
        }
    }

    /// For the HTTP API: `0x04` and both coordinates.
    pub fn to_edge_text(&self) -> String {
        let mut text = String::from("0x");
        text.push_str(&hex::encode(&self.uncompressed));
        text
    }

    /// The compressed form.
    pub fn to_compressed(&self) -> [u8; 33] {
        let mut bytes = [0; 33];
        let y_is_odd = self.uncompressed[64] & 1;
        bytes[0] = 0x02 | y_is_odd;
        bytes[1..].copy_from_slice(&self.uncompressed[1..33]);
        bytes
    }

    /// The uncompressed form, as other implementations of ECDSA take it.
    pub const fn as_uncompressed(&self) -> &[u8; 65] {
        &self.uncompressed
    }

    /// The node that owns this key.
    pub fn node_id(&self) -> NodeId {
        NodeId(sha256(&self.to_compressed()).first_u128())
    }

    /// Takes a key that the curve implementation has already checked.
    pub(super) fn from_point(point: &p256::PublicKey) -> Self {
        use p256::elliptic_curve::sec1::ToSec1Point;
        let encoded = point.to_sec1_point(false);
        let mut uncompressed = [0; 65];
        uncompressed.copy_from_slice(encoded.as_bytes());
        assert_eq!(uncompressed[0], 0x04);
        Self { uncompressed }
    }

    /// The key as the curve implementation wants it.
    pub(super) fn to_verifying_key(self) -> p256::ecdsa::VerifyingKey {
        p256::ecdsa::VerifyingKey::from_sec1_bytes(&self.uncompressed)
            .expect("the constructor checked the point")
    }

    /// Reads a point whose form the caller has checked.
    fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        p256::PublicKey::from_sec1_bytes(bytes)
            .map(|point| Self::from_point(&point))
            .map_err(|_| KeyError::NotOnCurve)
    }
}

impl ClusterId {
    /// The id of the cluster with this name: the first 16 bytes of the SHA-256 of
    /// the name's UTF-8 bytes.
    pub fn from_name(name: &str) -> Self {
        Self(sha256(name.as_bytes()).first_u128())
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    /// 66 hexadecimal digits of the compressed form.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_compressed(&hex::decode_array(text)?)
    }
}

impl fmt::Display for PublicKey {
    /// 66 lowercase hexadecimal digits of the compressed form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, &self.to_compressed())
    }
}

impl fmt::Debug for PublicKey {
    /// The first ten digits: enough for a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicKey#")?;
        hex::write(f, &self.to_compressed()[..5])
    }
}

// Not derived: the encoding of a point, which has to be on the curve.
impl Encode for PublicKey {
    const SIZE: Option<usize> = Some(Self::BYTES);

    fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.to_compressed());
    }

    fn size_hint(&self) -> usize {
        Self::BYTES
    }
}

impl Decode for PublicKey {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_compressed(&reader.array()?)
            .map_err(|_| DecodeError::Invalid { what: "public key" })
    }
}
