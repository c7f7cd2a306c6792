//! Reading a trace from untrusted text.

use alloc::string::String;
use alloc::vec::Vec;
use core::str::SplitWhitespace;

use sha2::{Digest, Sha256};

use super::{Record, Trace, VERSION};

/// Bytes of a trace that is read at all.
const TEXT_BYTES_MAX: usize = 256 << 20;
/// Fields of one operation.
const WORK_FIELDS_MAX: usize = 64;

/// Why a text is no trace. Nothing of it may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TraceError {
    /// The line, from 1; 0 for the text as a whole.
    pub line: usize,
    /// What is wrong.
    pub what: &'static str,
}

pub(super) fn trace(text: &str) -> Result<Trace, TraceError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(whole("the text is too long"));
    }
    let mut trace = Trace::default();
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let above = offset;
        offset += line.len();
        let at = |what| TraceError {
            line: number + 1,
            what,
        };
        if trace.digest.is_some() {
            return Err(at("nothing may follow the E record"));
        }
        let content = line.strip_suffix('\n').unwrap_or(line);
        if number == 0 {
            check_format(content).map_err(at)?;
        } else if let Some(rest) = content.strip_prefix("E ") {
            trace.digest = Some(end(rest, &text[..above]).map_err(at)?);
        } else if !content.trim().is_empty() && !content.starts_with('#') {
            trace.records.push(record(content).map_err(at)?);
        }
    }
    if offset == 0 {
        return Err(whole("the text is empty"));
    }
    Ok(trace)
}

const fn whole(what: &'static str) -> TraceError {
    TraceError { line: 0, what }
}

fn check_format(line: &str) -> Result<(), &'static str> {
    let version = line
        .strip_prefix("M format dct/")
        .ok_or("not a .dct trace")?;
    if version == VERSION {
        Ok(())
    } else {
        Err("a version of the format that this program does not read")
    }
}

fn end(rest: &str, above: &str) -> Result<[u8; 32], &'static str> {
    let mut fields = Fields::new(rest);
    let digest = fields.hash()?;
    let check = fields.hash()?;
    fields.done()?;
    let actual: [u8; 32] = Sha256::digest(above.as_bytes()).into();
    if check == actual {
        Ok(digest)
    } else {
        Err("the text was changed: its check sum does not fit (drop the E record to use it)")
    }
}

fn record(line: &str) -> Result<Record, &'static str> {
    let (kind, rest) = line
        .split_once(' ')
        .ok_or("a record has a kind and fields")?;
    let mut fields = Fields::new(rest);
    let record = match kind {
        "M" => {
            let (key, value) = rest.split_once(' ').unwrap_or((rest, ""));
            return Ok(Record::Meta {
                key: key.into(),
                value: value.into(),
            });
        }
        "C" => Record::Setting {
            key: fields.word()?,
            value: fields.number()?,
        },
        "F" => Record::Fault {
            at: fields.number()?,
            duration: fields.number()?,
            kind: fields.word()?,
            args: [fields.number()?, fields.number()?, fields.number()?],
        },
        "W" => Record::Work {
            client: fields.number()?,
            number: fields.number()?,
            fields: fields.numbers()?,
        },
        "D" => Record::Decision {
            domain: fields.number()?,
            a: fields.number()?,
            b: fields.number()?,
            number: fields.number()?,
            value: fields.number()?,
        },
        "H" => Record::Checkpoint {
            event: fields.number()?,
            at: fields.number()?,
            hash: fields.hash()?,
        },
        "V" => {
            let event = fields.number()?;
            let checker = fields.word()?;
            let message = fields.rest();
            Record::Violation {
                event,
                checker,
                message,
            }
        }
        _ => return Err("unknown kind of record"),
    };
    fields.done()?;
    Ok(record)
}

struct Fields<'a> {
    words: SplitWhitespace<'a>,
}

impl<'a> Fields<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            words: text.split_whitespace(),
        }
    }

    fn text(&mut self) -> Result<&'a str, &'static str> {
        self.words.next().ok_or("a field is missing")
    }

    fn word(&mut self) -> Result<String, &'static str> {
        self.text().map(String::from)
    }

    fn number(&mut self) -> Result<u64, &'static str> {
        self.text()?.parse().map_err(|_| "a field is not a number")
    }

    fn numbers(&mut self) -> Result<Vec<u64>, &'static str> {
        let mut numbers = Vec::new();
        for word in self.words.by_ref() {
            if numbers.len() == WORK_FIELDS_MAX {
                return Err("too many fields");
            }
            numbers.push(word.parse().map_err(|_| "a field is not a number")?);
        }
        Ok(numbers)
    }

    fn rest(&mut self) -> String {
        let words: Vec<&str> = self.words.by_ref().collect();
        words.join(" ")
    }

    fn hash(&mut self) -> Result<[u8; 32], &'static str> {
        let digits = self.text()?.as_bytes();
        if digits.len() != 64 {
            return Err("a hash has 64 hexadecimal digits");
        }
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Ok(hash)
    }

    fn done(&mut self) -> Result<(), &'static str> {
        match self.words.next() {
            None => Ok(()),
            Some(_) => Err("a field too many"),
        }
    }
}

const fn hex_digit(digit: u8) -> Result<u8, &'static str> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err("a hash is written in lowercase hexadecimal"),
    }
}
