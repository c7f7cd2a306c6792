//! The names of rules and limits that a refusal can cite.
//!
//! They are part of answers that are replicated and hashed, so each is encoded as
//! its place in a table: **append only**, never reorder.

use crate::codec::{DecodeError, Reader, Writer};

/// A string that is in no table (made by code outside this module).
pub(crate) const OTHER: &str = "other";

pub(crate) const KEY_EMPTY: &str = "a key must not be empty";
pub(crate) const KEY_TOO_LONG: &str = "a key is too long";
pub(crate) const VALUE_TOO_LONG: &str = "a value is too long";
pub(crate) const RANGE_EMPTY: &str = "a range must begin before it ends";
pub(crate) const TXN_TOO_LONG: &str = "a transaction has too many conditions or operations";
pub(crate) const TXN_OP: &str = "a transaction holds only puts, deletes and range deletes";
pub(crate) const TXN_CONDITION: &str = "an operation in a transaction must have no condition";
pub(crate) const TXN_PUT_TWICE: &str = "a transaction must not put a key twice";
pub(crate) const TTL: &str = "a time to live must be above zero and within its limit";
pub(crate) const SEQUENCE_ZERO: &str = "a sequence counts from 1";
pub(crate) const SEQUENCE_CONFIRMED: &str = "a sequence must be above what it confirms";
pub(crate) const SEQUENCE_AHEAD: &str = "a sequence is too far ahead of what is confirmed";

pub(crate) const STATE_BYTES: &str = "bytes of the state";
pub(crate) const SESSIONS: &str = "sessions";
pub(crate) const LEASES: &str = "leases";
pub(crate) const LEASE_KEYS: &str = "keys and locks of a lease";

const RULES: [&str; 13] = [
    OTHER,
    KEY_EMPTY,
    KEY_TOO_LONG,
    VALUE_TOO_LONG,
    RANGE_EMPTY,
    TXN_TOO_LONG,
    TXN_OP,
    TXN_CONDITION,
    TXN_PUT_TWICE,
    TTL,
    SEQUENCE_ZERO,
    SEQUENCE_CONFIRMED,
    SEQUENCE_AHEAD,
];

const LIMITS: [&str; 5] = [OTHER, STATE_BYTES, SESSIONS, LEASES, LEASE_KEYS];

/// The place of a rule's name in its table.
pub(crate) fn rule_code(rule: &str) -> u8 {
    code(&RULES, rule)
}

/// The rule's name at a place, if there is one.
pub(crate) fn rule_name(code: u8) -> Option<&'static str> {
    RULES.get(usize::from(code)).copied()
}

/// The place of a limit's name in its table.
pub(crate) fn limit_code(limit: &str) -> u8 {
    code(&LIMITS, limit)
}

/// The limit's name at a place, if there is one.
pub(crate) fn limit_name(code: u8) -> Option<&'static str> {
    LIMITS.get(usize::from(code)).copied()
}

fn code(table: &[&str], name: &str) -> u8 {
    let place = table.iter().position(|known| *known == name).unwrap_or(0);
    u8::try_from(place).expect("the tables are short")
}

/// How a field holds a name of a table.
macro_rules! coded {
    ($(#[doc = $doc:literal] $module:ident: $code:ident, $name:ident;)+) => {$(
        #[doc = $doc]
        pub(crate) mod $module {
            use super::{DecodeError, Reader, Writer};

            pub(crate) fn encode(name: &str, writer: &mut Writer) {
                writer.u8(super::$code(name));
            }

            pub(crate) const fn size_hint(_: &str) -> usize {
                1
            }

            pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<&'static str, DecodeError> {
                let tag = reader.u8()?;
                let what = stringify!($module);
                super::$name(tag).ok_or(DecodeError::UnknownTag { what, tag })
            }
        }
    )+};
}

coded! {
    /// A rule.
    rule: rule_code, rule_name;
    /// A limit.
    limit: limit_code, limit_name;
}
