//! Encodings of what types are made of.

use super::{Decode, DecodeBounded, DecodeError, Encode, Field, Reader, Writer, total};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

/// Bytes of the length in front of what has no size of its own.
const LENGTH_BYTES: usize = 4;

/// Encodes numbers with the methods of their names.
macro_rules! numbers {
    ($($number:ident),+) => {$(
        impl Encode for $number {
            const SIZE: Option<usize> = Some(size_of::<Self>());

            #[inline]
            fn encode(&self, writer: &mut Writer) {
                writer.$number(*self);
            }

            #[inline]
            fn size_hint(&self) -> usize {
                size_of::<Self>()
            }
        }

        impl Decode for $number {
            #[inline]
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                reader.$number()
            }
        }
    )+};
}

numbers!(u8, u16, u32, u64, u128, bool);

/// As the unsigned number with the same bits.
impl Encode for i64 {
    const SIZE: Option<usize> = Some(size_of::<Self>());

    fn encode(&self, writer: &mut Writer) {
        writer.u64(self.cast_unsigned());
    }

    fn size_hint(&self) -> usize {
        size_of::<Self>()
    }
}

impl Decode for i64 {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.u64().map(u64::cast_signed)
    }
}

/// The bytes as they are.
impl<const N: usize> Encode for [u8; N] {
    const SIZE: Option<usize> = Some(N);

    #[inline]
    fn encode(&self, writer: &mut Writer) {
        writer.raw(self);
    }

    #[inline]
    fn size_hint(&self) -> usize {
        N
    }
}

impl<const N: usize> Decode for [u8; N] {
    #[inline]
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.array()
    }
}

impl<const N: usize> Encode for [u64; N] {
    const SIZE: Option<usize> = Some(size_of::<Self>());

    fn encode(&self, writer: &mut Writer) {
        self.iter().for_each(|number| writer.u64(*number));
    }

    fn size_hint(&self) -> usize {
        size_of::<Self>()
    }
}

impl<const N: usize> Decode for [u64; N] {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = reader.u64()?;
        }
        Ok(numbers)
    }
}

/// One behind the other.
macro_rules! tuples {
    ($(($($part:ident $place:tt $bound:ident),+);)+) => {$(
        impl<$($part: Encode),+> Encode for ($($part,)+) {
            const SIZE: Option<usize> = total(&[$($part::SIZE),+]);

            fn encode(&self, writer: &mut Writer) {
                $(self.$place.encode(writer);)+
            }

            fn size_hint(&self) -> usize {
                0_usize$(.saturating_add(self.$place.size_hint()))+
            }

            fn is_readable(&self) -> bool {
                $(self.$place.is_readable())&&+
            }
        }

        impl<$($part: Decode),+> Decode for ($($part,)+) {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(($($part::decode(reader)?,)+))
            }
        }

        impl<$($part: DecodeBounded<$bound>, $bound),+> DecodeBounded<($($bound,)+)>
            for ($($part,)+)
        {
            fn decode_bounded(
                reader: &mut Reader<'_>,
                max: ($($bound,)+),
                field: &'static Field,
            ) -> Result<Self, DecodeError> {
                Ok(($($part::decode_bounded(reader, max.$place, field)?,)+))
            }

            fn fits(&self, max: ($($bound,)+)) -> bool {
                $(self.$place.fits(max.$place))&&+
            }
        }
    )+};
}

tuples! {
    (A 0 M, B 1 N);
    (A 0 M, B 1 N, C 2 O);
}

/// A part that needs no bound, beside others that do.
impl<T: Decode> DecodeBounded<()> for T {
    fn decode_bounded(
        reader: &mut Reader<'_>,
        (): (),
        _: &'static Field,
    ) -> Result<Self, DecodeError> {
        T::decode(reader)
    }

    fn fits(&self, (): ()) -> bool {
        true
    }
}

/// Where a value lies in memory does not show.
macro_rules! pointers {
    ($($pointer:ident),+) => {$(
        impl<T: Encode> Encode for $pointer<T> {
            const SIZE: Option<usize> = T::SIZE;

            fn encode(&self, writer: &mut Writer) {
                (**self).encode(writer);
            }

            fn size_hint(&self) -> usize {
                (**self).size_hint()
            }

            fn is_readable(&self) -> bool {
                (**self).is_readable()
            }
        }

        impl<T: Decode> Decode for $pointer<T> {
            fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                T::decode(reader).map(Self::new)
            }
        }
    )+};
}

pointers!(Box, Arc);

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, writer: &mut Writer) {
        match self {
            None => writer.u8(0),
            Some(value) => {
                writer.u8(1);
                value.encode(writer);
            }
        }
    }

    fn size_hint(&self) -> usize {
        let inner = self.as_ref().map_or(0, T::size_hint);
        inner.saturating_add(1)
    }

    fn is_readable(&self) -> bool {
        self.as_ref().is_none_or(T::is_readable)
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        option(reader, T::decode)
    }
}

impl<T: DecodeBounded<usize>> DecodeBounded<usize> for Option<T> {
    fn decode_bounded(
        reader: &mut Reader<'_>,
        max: usize,
        field: &'static Field,
    ) -> Result<Self, DecodeError> {
        option(reader, |reader| T::decode_bounded(reader, max, field))
    }

    fn fits(&self, max: usize) -> bool {
        self.as_ref().is_none_or(|value| value.fits(max))
    }
}

impl<T: DecodeBounded<(M, N)>, M, N> DecodeBounded<(M, N)> for Option<T> {
    fn decode_bounded(
        reader: &mut Reader<'_>,
        max: (M, N),
        field: &'static Field,
    ) -> Result<Self, DecodeError> {
        option(reader, |reader| T::decode_bounded(reader, max, field))
    }

    fn fits(&self, max: (M, N)) -> bool {
        self.as_ref().is_none_or(|value| value.fits(max))
    }
}

fn option<T>(
    reader: &mut Reader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Option<T>, DecodeError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => read(reader).map(Some),
        tag => Err(DecodeError::UnknownTag {
            what: "option",
            tag,
        }),
    }
}

impl Encode for Bytes {
    fn encode(&self, writer: &mut Writer) {
        writer.blob(self);
    }

    fn size_hint(&self) -> usize {
        self.len().saturating_add(LENGTH_BYTES)
    }
}

impl DecodeBounded<usize> for Bytes {
    fn decode_bounded(
        reader: &mut Reader<'_>,
        max: usize,
        field: &'static Field,
    ) -> Result<Self, DecodeError> {
        reader.blob(max, field)
    }

    fn fits(&self, max: usize) -> bool {
        self.len() <= max
    }
}

impl Encode for String {
    fn encode(&self, writer: &mut Writer) {
        writer.blob(self.as_bytes());
    }

    fn size_hint(&self) -> usize {
        self.len().saturating_add(LENGTH_BYTES)
    }
}

impl DecodeBounded<usize> for String {
    fn decode_bounded(
        reader: &mut Reader<'_>,
        max: usize,
        field: &'static Field,
    ) -> Result<Self, DecodeError> {
        reader.text(max, field).map(Self::from)
    }

    fn fits(&self, max: usize) -> bool {
        self.len() <= max
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self, writer: &mut Writer) {
        writer.seq(self);
    }

    fn size_hint(&self) -> usize {
        size_of_all(self.len(), self)
    }

    fn is_readable(&self) -> bool {
        self.iter().all(T::is_readable)
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, writer: &mut Writer) {
        writer.seq(self);
    }

    fn size_hint(&self) -> usize {
        size_of_all(self.len(), self)
    }

    fn is_readable(&self) -> bool {
        self.iter().all(T::is_readable)
    }
}

impl<T: Decode> DecodeBounded<usize> for Vec<T> {
    fn decode_bounded(
        reader: &mut Reader<'_>,
        max: usize,
        field: &'static Field,
    ) -> Result<Self, DecodeError> {
        reader.seq(max, field)
    }

    fn fits(&self, max: usize) -> bool {
        self.len() <= max
    }
}

impl<T: DecodeBounded<M>, M: Copy> DecodeBounded<(usize, M)> for Vec<T> {
    fn decode_bounded(
        reader: &mut Reader<'_>,
        (count, max): (usize, M),
        field: &'static Field,
    ) -> Result<Self, DecodeError> {
        reader.list(count, field, |reader| T::decode_bounded(reader, max, field))
    }

    fn fits(&self, (count, max): (usize, M)) -> bool {
        self.len() <= count && self.iter().all(|item| item.fits(max))
    }
}

/// Ascending, as every set is.
impl<T: Encode> Encode for BTreeSet<T> {
    fn encode(&self, writer: &mut Writer) {
        writer.length(self.len());
        self.iter().for_each(|item| item.encode(writer));
    }

    fn size_hint(&self) -> usize {
        size_of_all(self.len(), self)
    }

    fn is_readable(&self) -> bool {
        self.iter().all(T::is_readable)
    }
}

impl<T: Decode + Ord> DecodeBounded<usize> for BTreeSet<T> {
    fn decode_bounded(
        reader: &mut Reader<'_>,
        max: usize,
        field: &'static Field,
    ) -> Result<Self, DecodeError> {
        let items: Vec<T> = reader.seq(max, field)?;
        if items.is_sorted_by(|one, next| one < next) {
            Ok(items.into_iter().collect())
        } else {
            Err(DecodeError::Invalid { what: field.name })
        }
    }

    fn fits(&self, max: usize) -> bool {
        self.len() <= max
    }
}

/// Ascending by key, as every map is.
impl<K: Encode, V: Encode> Encode for BTreeMap<K, V> {
    fn encode(&self, writer: &mut Writer) {
        writer.length(self.len());
        for (key, value) in self {
            key.encode(writer);
            value.encode(writer);
        }
    }

    fn size_hint(&self) -> usize {
        let keys = size_of_all(self.len(), self.keys());
        let values = size_of_all(self.len(), self.values());
        keys.saturating_add(values).saturating_sub(LENGTH_BYTES)
    }

    fn is_readable(&self) -> bool {
        self.iter()
            .all(|(key, value)| key.is_readable() && value.is_readable())
    }
}

impl<K: Decode + Ord, V: Decode> DecodeBounded<usize> for BTreeMap<K, V> {
    fn decode_bounded(
        reader: &mut Reader<'_>,
        max: usize,
        field: &'static Field,
    ) -> Result<Self, DecodeError> {
        let pairs: Vec<(K, V)> = reader.seq(max, field)?;
        if pairs.is_sorted_by(|(one, _), (next, _)| one < next) {
            Ok(pairs.into_iter().collect())
        } else {
            Err(DecodeError::Invalid { what: field.name })
        }
    }

    fn fits(&self, max: usize) -> bool {
        self.len() <= max
    }
}

/// The bytes of a count and of so many elements.
fn size_of_all<'a, T: Encode + 'a>(count: usize, items: impl IntoIterator<Item = &'a T>) -> usize {
    let sizes = match T::SIZE {
        Some(size) => count.saturating_mul(size),
        None => {
            let sizes = items.into_iter().map(T::size_hint);
            sizes.fold(0, usize::saturating_add)
        }
    };
    sizes.saturating_add(LENGTH_BYTES)
}
