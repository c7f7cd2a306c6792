//! The record and replay format of a simulated run: `.dct`, version 1.
//!
//! A trace is text, one record per line, so that two runs can be compared with
//! `diff` and a failure can be read, cut and edited by hand. The first word of a
//! line names its kind:
//!
//! | kind | fields | meaning |
//! |---|---|---|
//! | `M` | key value | meta: format, scenario, seed, mutant |
//! | `C` | key value | one drawn setting of the run |
//! | `F` | at duration kind a b c | one fault of the plan, times in ns |
//! | `W` | client n fields… | the operation number `n` of a client |
//! | `D` | domain a b n value | one decision that differs from the seed's |
//! | `H` | event at hash | a checkpoint of the rolling digest |
//! | `V` | event checker message | what was violated |
//! | `E` | digest check | digest of the whole run; SHA-256 of the text above |
//!
//! The format is data only: it knows nothing of what faults or settings mean, so
//! a reader can carry records that it does not understand.

mod parse;

#[cfg(test)]
mod tests;

pub use parse::TraceError;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use sha2::{Digest, Sha256};

/// The version that [`Trace::to_text`] writes and [`Trace::parse`] reads.
pub const VERSION: &str = "1";

/// One record of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// `M`: a fact about the run.
    Meta {
        /// Its name, one word.
        key: String,
        /// Its value, one line.
        value: String,
    },
    /// `C`: a setting of the run.
    Setting {
        /// Its name, one word.
        key: String,
        value: u64,
    },
    /// `F`: a fault of the plan.
    Fault {
        /// When it begins, in nanoseconds of world time.
        at: u64,
        /// How long it lasts, in nanoseconds.
        duration: u64,
        /// What it is, one word.
        kind: String,
        /// Its arguments.
        args: [u64; 3],
    },
    /// `W`: an operation of a client.
    Work {
        client: u64,
        /// Which of its operations, from 0.
        number: u64,
        /// The operation, as the workload encodes it.
        fields: Vec<u64>,
    },
    /// `D`: a decision that overrides the one drawn from the seed.
    Decision {
        /// What it is about.
        domain: u64,
        /// The first entity, such as the sender.
        a: u64,
        /// The second entity, such as the receiver.
        b: u64,
        /// Which decision.
        number: u64,
        /// What is decided.
        value: u64,
    },
    /// `H`: the rolling digest after so many events.
    Checkpoint {
        /// How many events.
        event: u64,
        /// The world time.
        at: u64,
        /// The digest.
        hash: [u8; 32],
    },
    /// `V`: a violated property.
    Violation {
        /// The event that showed it.
        event: u64,
        /// The checker, one word.
        checker: String,
        /// What is wrong, one line.
        message: String,
    },
}

/// A recorded run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// The records in order.
    pub records: Vec<Record>,
    /// The digest of the whole run, if it came to its end.
    pub digest: Option<[u8; 32]>,
}

impl Trace {
    /// Adds an `M` record. Line breaks in the value become spaces.
    pub fn meta(&mut self, key: &str, value: &str) {
        assert!(is_word(key), "a key is one word");
        self.records.push(Record::Meta {
            key: key.into(),
            value: one_line(value),
        });
    }

    /// The value of the first `M` record with this key.
    pub fn meta_value(&self, wanted: &str) -> Option<&str> {
        self.records.iter().find_map(|record| match record {
            Record::Meta { key, value } if key == wanted => Some(value.as_str()),
            _ => None,
        })
    }

    /// The canonical text, with its check sum.
    pub fn to_text(&self) -> String {
        let mut text = format!("M format dct/{VERSION}\n");
        for record in &self.records {
            writeln!(text, "{record}").expect("writing to a string cannot fail");
        }
        if let Some(digest) = &self.digest {
            let check: [u8; 32] = Sha256::digest(text.as_bytes()).into();
            writeln!(text, "E {} {}", Hex(digest), Hex(&check))
                .expect("writing to a string cannot fail");
        }
        text
    }

    /// Reads a trace. The text may come from anywhere: everything is checked, and
    /// an `E` record whose check sum does not fit is refused. A text without an
    /// `E` record is accepted: that is what an edited trace looks like.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        parse::trace(text)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meta { key, value } => write!(f, "M {key} {}", one_line(value)),
            Self::Setting { key, value } => write!(f, "C {key} {value}"),
            Self::Fault {
                at,
                duration,
                kind,
                args: [a, b, c],
            } => write!(f, "F {at} {duration} {kind} {a} {b} {c}"),
            Self::Work {
                client,
                number,
                fields,
            } => {
                write!(f, "W {client} {number}")?;
                fields.iter().try_for_each(|field| write!(f, " {field}"))
            }
            Self::Decision {
                domain,
                a,
                b,
                number,
                value,
            } => write!(f, "D {domain} {a} {b} {number} {value}"),
            Self::Checkpoint { event, at, hash } => write!(f, "H {event} {at} {}", Hex(hash)),
            Self::Violation {
                event,
                checker,
                message,
            } => write!(f, "V {event} {checker} {}", one_line(message)),
        }
    }
}

/// A digest in lowercase hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hex<'a>(pub &'a [u8; 32]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}
