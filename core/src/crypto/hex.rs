//! Strict hexadecimal text. Output is lowercase; input may be of either case,
//! because people paste what other tools print.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Why text is not the hexadecimal value that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// The text has the wrong number of digits.
    #[error("{found} hexadecimal digits where {expected} are needed")]
    Length {
        /// Digits that the value has.
        expected: usize,
        /// Digits that were found.
        found: usize,
    },
    /// The text is longer than the field allows; nothing was allocated for it.
    #[error("{found} hexadecimal digits, more than the limit {limit}")]
    TooLong {
        /// Digits allowed.
        limit: usize,
        /// Digits found.
        found: usize,
    },
    /// A digit is missing: a byte takes two.
    #[error("an odd number of hexadecimal digits: {found}")]
    Odd {
        /// Digits found.
        found: usize,
    },
    /// A character is not a hexadecimal digit.
    #[error("the character at position {position} is not a hexadecimal digit")]
    Digit {
        /// Its position in bytes, after any prefix.
        position: usize,
    },
}

/// Writes bytes as lowercase digits.
pub fn write(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Bytes as lowercase digits.
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    assert_eq!(text.len(), bytes.len() * 2);
    text
}

/// Reads exactly `N` bytes.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let expected = N * 2;
    if text.len() != expected {
        return Err(HexError::Length {
            expected,
            found: text.len(),
        });
    }
    let mut bytes = [0; N];
    decode_into(text, &mut bytes)?;
    Ok(bytes)
}

/// Reads at most `bytes_max` bytes. The length is checked before allocation.
pub fn decode_bounded(text: &str, bytes_max: usize) -> Result<Vec<u8>, HexError> {
    let limit = bytes_max.saturating_mul(2);
    let found = text.len();
    if found > limit {
        return Err(HexError::TooLong { limit, found });
    }
    if !found.is_multiple_of(2) {
        return Err(HexError::Odd { found });
    }
    let mut bytes = alloc::vec![0; found / 2];
    decode_into(text, &mut bytes)?;
    Ok(bytes)
}

/// Fills `bytes` from twice as many digits.
fn decode_into(text: &str, bytes: &mut [u8]) -> Result<(), HexError> {
    assert_eq!(text.len(), bytes.len() * 2, "the callers check the length");
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty());
    for (position, (byte, [high, low])) in bytes.iter_mut().zip(pairs).enumerate() {
        let high = digit(*high).ok_or(HexError::Digit {
            position: position * 2,
        })?;
        let low = digit(*low).ok_or(HexError::Digit {
            position: position * 2 + 1,
        })?;
        *byte = (high << 4) | low;
    }
    Ok(())
}

/// The value of one digit.
const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        b'A'..=b'F' => Some(character - b'A' + 10),
        _ => None,
    }
}
