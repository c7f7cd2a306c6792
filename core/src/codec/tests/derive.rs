//! What the macro writes: each shape, each attribute, and each way to be refused.

extern crate std;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use bytes::Bytes;

use crate::codec::{Decode, DecodeError, Encode, Writer, are_distinct, total};

const TEXT_BYTES_MAX: usize = 4;
const LAST: u8 = 0xf0;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
struct Number(u16);

#[derive(Debug, PartialEq, Encode, Decode)]
struct Nothing;

#[derive(Debug, PartialEq, Encode, Decode)]
struct Plain {
    number: Number,
    negative: i64,
    flag: bool,
    digest: [u8; 3],
    pair: (u8, Option<u32>),
    shared: Arc<Nothing>,
}

#[derive(Debug, PartialEq, Encode, Decode)]
enum ShapeOfWord {
    #[codec(tag = 1)]
    Unit,
    #[codec(tag = 0)]
    Tuple(u8, #[codec(max = TEXT_BYTES_MAX)] String),
    #[codec(tag = LAST)]
    Fields {
        #[codec(max = 2)]
        list: Vec<u8>,
        number: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Encode, Decode)]
enum Numbered {
    Two = 2,
    Nine = 9,
}

#[derive(Debug, Default, PartialEq, Encode, Decode)]
struct Bounds {
    #[codec(max = 3)]
    bytes: Bytes,
    #[codec(max = 3)]
    maybe: Option<Bytes>,
    #[codec(max = [2, 3])]
    list: Vec<Bytes>,
    #[codec(max = [2, [3, _]])]
    pairs: Vec<(Bytes, u8)>,
    #[codec(max = 2)]
    set: BTreeSet<u8>,
    #[codec(max = 2)]
    map: BTreeMap<u8, u16>,
}

#[derive(Debug, PartialEq, Encode, Decode)]
#[codec(what = "even number", check = Even::check)]
struct Even(u8);

#[derive(Debug, PartialEq, Encode, Decode)]
#[codec(asserted_check = Odd::check)]
struct Odd(u8);

#[derive(Debug, PartialEq, Encode, Decode)]
#[codec(version = 7_u16)]
struct Versioned {
    number: u8,
}

#[derive(Debug, PartialEq, Encode, Decode)]
struct Narrow(#[codec(with = narrow)] u32);

#[derive(Debug, PartialEq, Encode, Decode)]
struct Generic<T> {
    before: u8,
    inner: T,
}

impl Even {
    fn check(&self) -> Result<(), &'static str> {
        if self.0.is_multiple_of(2) {
            Ok(())
        } else {
            Err("odd number")
        }
    }
}

impl Odd {
    fn check(&self) -> Result<(), &'static str> {
        Even(self.0).check().map_or(Ok(()), |()| Err("even number"))
    }
}

/// A number in one byte.
mod narrow {
    use crate::codec::{DecodeError, Reader, Writer};

    pub(super) fn encode(number: &u32, writer: &mut Writer) {
        writer.u8(u8::try_from(*number).expect("a small one"));
    }

    pub(super) fn size_hint(_: &u32) -> usize {
        1
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
        reader.u8().map(u32::from)
    }
}

/// These are the bytes of the value, and no others are.
fn is_written_as<T: Encode + Decode + Debug + PartialEq>(value: &T, bytes: &[u8]) {
    assert_eq!(value.to_bytes()[..], *bytes);
    assert_eq!(T::from_slice(bytes).as_ref(), Ok(value));
    assert_eq!(value.size_hint(), bytes.len());
    assert!(T::SIZE.is_none_or(|size| size == bytes.len()));
    for end in 0..bytes.len() {
        let cut = T::from_slice(&bytes[..end]);
        assert!(matches!(cut, Err(DecodeError::Truncated { .. })), "{cut:?}");
    }
}

fn refused<T: Encode + Decode + Debug>(value: &T) -> DecodeError {
    T::from_bytes(&Writer::lax(value)).expect_err("over a bound")
}

const fn too_long(field: &'static str, length: usize, limit: usize) -> DecodeError {
    let what = "bounds";
    DecodeError::TooLong {
        what,
        field,
        length,
        limit,
    }
}

#[test]
fn fields_follow_each_other_in_their_order() {
    let plain = Plain {
        number: Number(0x0102),
        negative: -2,
        flag: true,
        digest: [7, 8, 9],
        pair: (5, Some(6)),
        shared: Arc::new(Nothing),
    };
    let bytes = [
        &[1, 2][..],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe],
        &[1],
        &[7, 8, 9],
        &[5, 1, 0, 0, 0, 6],
    ];
    is_written_as(&plain, &bytes.concat());
    is_written_as(&Nothing, &[]);
    is_written_as(
        &Generic {
            before: 1,
            inner: Number(2),
        },
        &[1, 0, 2],
    );
}

#[test]
fn variants_begin_with_their_tags() {
    is_written_as(&ShapeOfWord::Unit, &[1]);
    is_written_as(
        &ShapeOfWord::Tuple(3, "ab".into()),
        &[0, 3, 0, 0, 0, 2, b'a', b'b'],
    );
    let fields = ShapeOfWord::Fields {
        list: vec![5],
        number: 6,
    };
    is_written_as(&fields, &[LAST, 0, 0, 0, 1, 5, 0, 0, 0, 0, 0, 0, 0, 6]);
    is_written_as(&Numbered::Two, &[2]);
    is_written_as(&Numbered::Nine, &[9]);
    assert_eq!(Numbered::Nine as u8, 9);
}

#[test]
fn an_unknown_tag_is_refused_by_the_words_of_the_type() {
    let (what, tag) = ("shape of word", 2);
    let error = DecodeError::UnknownTag { what, tag };
    assert_eq!(ShapeOfWord::from_slice(&[2]), Err(error));
    assert_eq!(error.to_string(), "unknown tag 2 for shape of word");
    let error = DecodeError::UnknownTag {
        what: "numbered",
        tag: 0,
    };
    assert_eq!(Numbered::from_slice(&[0]), Err(error));
}

#[test]
fn what_is_as_long_as_its_bound_is_accepted() {
    let bytes = || Bytes::from_static(b"123");
    let full = Bounds {
        bytes: bytes(),
        maybe: Some(bytes()),
        list: vec![bytes(), bytes()],
        pairs: vec![(bytes(), 1), (bytes(), 2)],
        set: [1, 2].into(),
        map: [(1, 1), (2, 2)].into(),
    };
    assert_eq!(full.size_hint(), full.to_bytes().len());
    assert!(full.is_readable());
    assert_eq!(Bounds::from_bytes(&full.to_bytes()), Ok(full));
    assert!(
        Even(2).is_readable() && !Even(1).is_readable(),
        "nor a rule"
    );
    assert!(!Some(vec![Even(2), Even(1)]).is_readable(), "at any depth");
    let text = ShapeOfWord::Tuple(0, "1234".into());
    assert_eq!(ShapeOfWord::from_bytes(&text.to_bytes()), Ok(text));
}

#[test]
fn what_is_longer_is_refused_by_type_and_field() {
    let long = || Bytes::from_static(b"1234");
    let none = Bounds::default;
    let bytes = long();
    let over = Bounds { bytes, ..none() };
    assert_eq!(refused(&over), too_long("bytes", 4, 3));
    let maybe = Some(long());
    let over = Bounds { maybe, ..none() };
    assert_eq!(refused(&over), too_long("maybe", 4, 3));
    let list = vec![Bytes::new(); 3];
    let over = Bounds { list, ..none() };
    assert_eq!(refused(&over), too_long("list", 3, 2));
    let list = vec![Bytes::new(), long()];
    let over = Bounds { list, ..none() };
    assert_eq!(refused(&over), too_long("list", 4, 3));
    let pairs = vec![(long(), 0)];
    let over = Bounds { pairs, ..none() };
    assert_eq!(refused(&over), too_long("pairs", 4, 3));
    let set = [1, 2, 3].into();
    let over = Bounds { set, ..none() };
    assert_eq!(refused(&over), too_long("set", 3, 2));
    let map = [(1, 1), (2, 2), (3, 3)].into();
    let over = Bounds { map, ..none() };
    assert_eq!(refused(&over), too_long("map", 3, 2));
}

#[test]
fn errors_name_variant_and_field() {
    let long = ShapeOfWord::Tuple(0, "12345".into());
    let text = "length 5 of `Tuple.1` in shape of word is over the limit 4";
    assert_eq!(refused(&long).to_string(), text);
    let long = ShapeOfWord::Fields {
        list: vec![0; 3],
        number: 0,
    };
    let text = "length 3 of `Fields.list` in shape of word is over the limit 2";
    assert_eq!(refused(&long).to_string(), text);
}

#[test]
fn sets_and_maps_ascend() {
    let what = |what| Err(DecodeError::Invalid { what });
    for members in [[2, 1], [1, 1]] {
        let parts = [&[0; 13][..], &[0, 0, 0, 2], &members, &[0; 4]];
        assert_eq!(Bounds::from_slice(&parts.concat()), what("set"));
    }
    for [first, second] in [[2, 1], [1, 1]] {
        let parts = [&[0; 17][..], &[0, 0, 0, 2], &[first, 0, 0, second, 0, 0]];
        assert_eq!(Bounds::from_slice(&parts.concat()), what("map"));
    }
}

#[test]
fn a_text_is_utf_8() {
    let bytes = [0, 0, 0, 0, 0, 1, 0xff];
    let what = "shape of word";
    assert_eq!(
        ShapeOfWord::from_slice(&bytes),
        Err(DecodeError::Invalid { what })
    );
}

#[test]
fn a_check_refuses_what_it_does_not_like() {
    is_written_as(&Even(2), &[2]);
    let what = "odd number";
    assert_eq!(Even::from_slice(&[3]), Err(DecodeError::Invalid { what }));
    assert_eq!(Even(3).to_bytes()[..], [3]);
    is_written_as(&Odd(3), &[3]);
    let what = "even number";
    assert_eq!(Odd::from_slice(&[2]), Err(DecodeError::Invalid { what }));
}

#[test]
#[should_panic(expected = "the maker of this odd keeps its rules")]
fn an_asserted_check_stops_the_encoder() {
    Odd(2).to_bytes();
}

#[test]
fn a_version_stands_in_front_and_is_the_only_one() {
    is_written_as(&Versioned { number: 5 }, &[0, 7, 5]);
    let what = "version of versioned";
    let other = Versioned::from_slice(&[0, 8, 5]);
    assert_eq!(other, Err(DecodeError::Invalid { what }));
}

#[test]
fn a_field_can_be_written_by_a_module() {
    is_written_as(&Narrow(200), &[200]);
    assert_eq!(Narrow::SIZE, None);
}

#[test]
fn sizes_follow_from_types_where_they_can() {
    assert_eq!(Number::SIZE, Some(2));
    assert_eq!(Nothing::SIZE, Some(0));
    assert_eq!(Numbered::SIZE, Some(1));
    assert_eq!(<(u8, u128, [u64; 2])>::SIZE, Some(33));
    assert_eq!(Plain::SIZE, None);
    assert_eq!(ShapeOfWord::SIZE, None);
    assert_eq!(total(&[Some(1), None]), None);
}

#[test]
fn tags_are_told_apart() {
    assert!(are_distinct(&[]));
    assert!(are_distinct(&[0, 255, 7]));
    assert!(!are_distinct(&[7, 0, 7]));
}

#[test]
fn every_claimed_length_is_held_against_its_bound() {
    // Where the lengths of an empty value stand.
    for (place, field) in [
        (0, "bytes"),
        (5, "list"),
        (9, "pairs"),
        (13, "set"),
        (17, "map"),
    ] {
        let mut bytes = vec![0; place];
        bytes.extend([0xff; 4]);
        let error = Bounds::from_slice(&bytes).expect_err("a lie");
        let DecodeError::TooLong { field: named, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(named, field);
    }
}

#[test]
#[should_panic = "`Fields.list` is within its bound when it is written"]
fn what_is_over_its_bound_is_not_written() {
    let long = ShapeOfWord::Fields {
        list: vec![0; 3],
        number: 0,
    };
    let _ = long.to_bytes();
}

#[test]
fn whoever_writes_keeps_exactly_the_bounds_of_who_reads() {
    let long = Bytes::from_static(b"1234");
    let none = Bounds::default;
    let bytes = long.clone();
    let over = [
        Bounds { bytes, ..none() },
        Bounds {
            maybe: Some(long.clone()),
            ..none()
        },
        Bounds {
            list: vec![Bytes::new(); 3],
            ..none()
        },
        Bounds {
            list: vec![Bytes::new(), long.clone()],
            ..none()
        },
        Bounds {
            pairs: vec![(long, 0)],
            ..none()
        },
        Bounds {
            set: [1, 2, 3].into(),
            ..none()
        },
        Bounds {
            map: [(1, 1), (2, 2), (3, 3)].into(),
            ..none()
        },
    ];
    for over in over {
        assert!(!over.is_readable(), "{over:?}");
        let written = std::panic::catch_unwind(|| over.to_bytes());
        assert!(written.is_err(), "{over:?}");
    }
    let short = Bytes::from_static(b"123");
    let full = Bounds {
        bytes: short.clone(),
        maybe: Some(short.clone()),
        list: vec![short.clone(); 2],
        pairs: vec![(short, 0)],
        set: [1, 2].into(),
        map: [(1, 1), (2, 2)].into(),
    };
    assert!(full.is_readable());
    assert_eq!(Bounds::from_bytes(&full.to_bytes()), Ok(full));
    assert!(
        Even(2).is_readable() && !Even(1).is_readable(),
        "nor a rule"
    );
    assert!(!Some(vec![Even(2), Even(1)]).is_readable(), "at any depth");
}
