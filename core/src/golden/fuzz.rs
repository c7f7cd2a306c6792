//! Damaged samples against the decoders. Whatever bytes arrive, a decoder does not panic,
//! and what it accepts is the one encoding of what it read.
//!
//! The damage is drawn from the name of the row, so that a run repeats.
//! `DECUBE_FUZZ_ROUNDS=N` draws `N` times for each row.

extern crate std;

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use crate::codec::{Decode, Encode};
use crate::crypto::hex;

/// How often damage is drawn for a row.
const ROUNDS: &str = "DECUBE_FUZZ_ROUNDS";
const ROUNDS_DEFAULT: usize = 250;

/// Up to here every byte of a row is damaged in turn.
const BYTES_IN_TURN: usize = 400;

/// A sample and the decoder of its type.
pub(super) struct Subject {
    name: String,
    bytes: Vec<u8>,
    /// What is written again of what was read, and how long that was said to be.
    again: fn(&Bytes) -> Option<(Bytes, usize)>,
}

impl Subject {
    pub(super) fn of<T: Encode + Decode>(name: String, bytes: Vec<u8>) -> Self {
        let again = |bytes: &Bytes| {
            let value = T::from_bytes(bytes).ok()?;
            Some((value.to_bytes(), value.size_hint()))
        };
        Self { name, bytes, again }
    }

    /// Whether these bytes are accepted.
    fn takes(&self, bytes: Vec<u8>) -> bool {
        let bytes = Bytes::from(bytes);
        let again = catch_unwind(AssertUnwindSafe(|| (self.again)(&bytes)));
        let shown = || hex::encode(&bytes);
        let Ok(again) = again else {
            panic!("{} panics at {}", self.name, shown());
        };
        let Some((again, size)) = again else {
            return false;
        };
        assert_eq!(again, bytes, "{} is not canonical: {}", self.name, shown());
        assert_eq!(size, bytes.len(), "the size of {} {}", self.name, shown());
        true
    }
}

/// Damages each sample, alone and with parts of the others.
pub(super) fn run(subjects: &[Subject]) {
    let rounds = std::env::var(ROUNDS).ok();
    let rounds = rounds.map_or(ROUNDS_DEFAULT, |rounds| {
        rounds.parse().expect("a number of rounds")
    });
    for subject in subjects {
        assert!(subject.takes(subject.bytes.clone()), "a sample decodes");
        in_turn(subject);
        let mut random = Random::of(&subject.name);
        for _ in 0..rounds {
            let mut bytes = subject.bytes.clone();
            for _ in 0..=random.below(3) {
                damage(&mut bytes, &mut random, subjects);
            }
            subject.takes(bytes);
        }
    }
}

/// Every cut, and every byte of a short sample as a wrong one or the first of a length.
fn in_turn(subject: &Subject) {
    let sample = &subject.bytes;
    for end in 0..sample.len().min(BYTES_IN_TURN) {
        subject.takes(sample[..end].to_vec());
    }
    let longer: Vec<u8> = sample.iter().copied().chain([0]).collect();
    assert!(!subject.takes(longer), "{} has no end", subject.name);
    for place in 0..sample.len().min(BYTES_IN_TURN) {
        for change in [0x01, 0x02, 0x80, 0xff] {
            let mut bytes = sample.clone();
            bytes[place] ^= change;
            subject.takes(bytes);
        }
        for length in [0, 1, 2, 0x0100, u32::MAX] {
            let mut bytes = sample.clone();
            let field = bytes.iter_mut().skip(place);
            let digits = length.to_be_bytes();
            field.zip(digits).for_each(|(byte, digit)| *byte = digit);
            subject.takes(bytes);
        }
    }
}

/// One accident of a kind that is drawn.
fn damage(bytes: &mut Vec<u8>, random: &mut Random, others: &[Subject]) {
    let part = random.range(bytes.len());
    match random.below(8) {
        0 => bytes[part]
            .iter_mut()
            .for_each(|byte| *byte ^= 1 << random.below(8)),
        1 => bytes[part].fill(if random.below(2) == 0 { 0 } else { 0xff }),
        2 => bytes.truncate(part.end),
        3 => drop(bytes.drain(part)),
        4 => {
            let inserted = bytes[part.clone()].to_vec();
            bytes.splice(part.end..part.end, inserted);
        }
        5 => {
            let inserted = (0..=random.below(8)).map(|_| random.byte());
            let inserted: Vec<u8> = inserted.collect();
            bytes.splice(part.start..part.start, inserted);
        }
        6 => {
            let small = u32::try_from(random.below(9)).unwrap_or(0);
            let end = part.start.saturating_add(4).min(bytes.len());
            bytes.splice(part.start..end, small.to_be_bytes());
        }
        _ => {
            let other = &others[random.below(others.len())].bytes;
            let inserted = other[random.range(other.len())].to_vec();
            bytes.splice(part, inserted);
        }
    }
}

/// splitmix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn of(name: &str) -> Self {
        let mix = |sum: u64, byte: u8| sum.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    /// A number below this one, which is above zero.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).expect("lists are short");
        usize::try_from(self.next() % end).expect("below a length")
    }

    /// A part of a list of this length, most often a short one.
    fn range(&mut self, length: usize) -> Range<usize> {
        let start = self.below(length.saturating_add(1));
        let left = length.saturating_sub(start);
        let most = if self.below(4) == 0 {
            left
        } else {
            left.min(8)
        };
        start..start.saturating_add(self.below(most.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Subject, run};
    use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};

    /// Takes every number but zero for true.
    struct Loose(bool);

    impl Encode for Loose {
        fn encode(&self, writer: &mut Writer) {
            writer.bool(self.0);
        }

        fn size_hint(&self) -> usize {
            1
        }
    }

    impl Decode for Loose {
        fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
            reader.u8().map(|byte| Self(byte != 0))
        }
    }

    /// Believes that there is always a second byte.
    struct Rash;

    impl Encode for Rash {
        fn encode(&self, writer: &mut Writer) {
            writer.u16(7);
        }

        fn size_hint(&self) -> usize {
            2
        }
    }

    impl Decode for Rash {
        fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
            reader.u8()?;
            match reader.u8().expect("a second one") {
                7 => Ok(Self),
                _ => Err(DecodeError::Invalid { what: "rash" }),
            }
        }
    }

    #[test]
    #[should_panic(expected = "loose is not canonical: 03")]
    fn a_second_encoding_of_a_value_is_found() {
        run(&[Subject::of::<Loose>("loose".into(), [1].into())]);
    }

    #[test]
    #[should_panic(expected = "rash panics at 00")]
    fn a_decoder_that_panics_is_found() {
        run(&[Subject::of::<Rash>("rash".into(), [0, 7].into())]);
    }
}
