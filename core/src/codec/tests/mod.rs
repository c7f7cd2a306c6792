mod derive;
mod golden;

use alloc::vec::Vec;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Decode, DecodeError, Encode, Field, Reader, Writer};
use crate::types::{Index, LogId, Term};

const FIELD: Field = Field {
    what: "type",
    name: "field",
};

#[test]
fn integers_are_fixed_width_big_endian() {
    let mut writer = Writer::new();
    writer.u16(0x0102);
    writer.u32(0x0304_0506);
    writer.u64(0x0708_090a_0b0c_0d0e);
    assert_eq!(
        writer.as_slice(),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]
    );
}

#[test]
fn a_length_over_the_limit_is_refused_before_it_is_read() {
    let bytes = [0xff, 0xff, 0xff, 0xff];
    let error = Reader::new(&bytes).blob(16, &FIELD).unwrap_err();
    assert_eq!(
        error,
        DecodeError::TooLong {
            what: "type",
            field: "field",
            length: 0xffff_ffff,
            limit: 16
        }
    );
}

#[test]
fn a_length_over_the_input_is_refused() {
    let error = Reader::new(&[0, 0, 0, 9, 1]).blob(16, &FIELD).unwrap_err();
    assert_eq!(error, DecodeError::Truncated { needed: 8, left: 1 });
}

#[test]
fn trailing_bytes_and_non_canonical_booleans_are_refused() {
    assert_eq!(
        Term::from_slice(&[0; 9]),
        Err(DecodeError::TrailingBytes { left: 1 })
    );
    let error = Reader::new(&[2]).bool().unwrap_err();
    assert_eq!(
        error,
        DecodeError::UnknownTag {
            what: "bool",
            tag: 2
        }
    );
}

#[test]
fn blobs_of_a_shared_buffer_share_its_allocation() {
    let mut writer = Writer::new();
    writer.blob(b"payload");
    let bytes = writer.into_bytes();
    let blob = Reader::from_bytes(&bytes).blob(16, &FIELD).unwrap();
    assert_eq!(blob, Bytes::from_static(b"payload"));
    assert_eq!(blob.as_ptr(), bytes[4..].as_ptr());
}

proptest! {
    #[test]
    fn accepted_bytes_are_canonical(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(value) = Option::<LogId>::from_slice(&bytes) {
            prop_assert_eq!(value.to_bytes().to_vec(), bytes);
        }
    }

    #[test]
    fn sequences_round_trip(terms in prop::collection::vec(any::<(u64, u64)>(), 0..20)) {
        let ids: Vec<LogId> =
            terms.into_iter().map(|(t, i)| LogId::new(Term(t), Index(i))).collect();
        let mut writer = Writer::new();
        writer.seq(&ids);
        let bytes = writer.into_bytes();
        prop_assert_eq!(Reader::from_bytes(&bytes).seq::<LogId>(20, &FIELD).unwrap(), ids);
    }
}

#[test]
fn a_sequence_over_its_limit_is_refused() {
    let mut writer = Writer::new();
    writer.seq(&[Term(1); 5]);
    let error = Reader::new(writer.as_slice())
        .seq::<Term>(4, &FIELD)
        .unwrap_err();
    assert_eq!(
        error,
        DecodeError::TooLong {
            what: "type",
            field: "field",
            length: 5,
            limit: 4
        }
    );
}
