//! Total decoding from untrusted bytes.

use alloc::vec::Vec;

use bytes::Bytes;

/// A value that can be decoded from untrusted bytes.
pub trait Decode: Sized {
    /// Reads one value. On an error the reader's position is unspecified and
    /// nothing of the input may be used.
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Decodes a whole buffer; bytes left over are an error. Blobs inside share
    /// the buffer's allocation.
    fn from_bytes(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::from_bytes(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }

    /// Decodes a whole slice; bytes left over are an error. Blobs are copied.
    fn from_slice(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// A value that can be decoded from untrusted bytes and has no size of its own: who reads
/// it says how large it may be. It does not have [`Decode`], so that a field without a bound
/// does not compile.
///
/// `M` is the bound: a number of bytes or elements, `(N, M)` for a list whose elements have
/// bounds as well, a pair for a pair, and `()` for a part that has [`Decode`] and needs none.
pub trait DecodeBounded<M>: Sized {
    /// Reads one value, or refuses a length over its bound before anything is allocated.
    /// The error names the field.
    fn decode_bounded(
        reader: &mut Reader<'_>,
        max: M,
        field: &'static Field,
    ) -> Result<Self, DecodeError>;

    /// Whether it is within this bound. Encoders assert it: what no decoder takes is never
    /// written.
    fn fits(&self, max: M) -> bool;
}

/// A field, as errors name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The type that has it.
    pub what: &'static str,
    /// Its name, behind that of its variant.
    pub name: &'static str,
}

/// Why bytes were refused. Whatever the variant, nothing was changed: decoding
/// has no effect but its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Hash)]
pub enum DecodeError {
    /// The input ends inside a value.
    #[error("input ends inside a value: {needed} more bytes needed, {left} left")]
    Truncated {
        /// Bytes that the value still needs.
        needed: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A length exceeds the limit of its field; nothing was allocated for it.
    #[error("length {length} of `{field}` in {what} is over the limit {limit}")]
    TooLong {
        /// The type that was being decoded.
        what: &'static str,
        field: &'static str,
        /// The claimed length.
        length: usize,
        /// The limit of the field.
        limit: usize,
    },
    /// A tag has no meaning.
    #[error("unknown tag {tag} for {what}")]
    UnknownTag {
        /// The type that was being decoded.
        what: &'static str,
        /// The tag that was found.
        tag: u8,
    },
    /// The value is well-formed but not allowed, or not in canonical form.
    #[error("invalid {what}")]
    Invalid {
        /// What was wrong.
        what: &'static str,
    },
    /// A complete value is followed by more bytes.
    #[error("{left} bytes left over after a complete value")]
    TrailingBytes {
        /// How many.
        left: usize,
    },
}

/// A position in untrusted bytes.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// The buffer that `rest` lies in, when blobs can share its allocation.
    shared: Option<&'a Bytes>,
}

impl<'a> Reader<'a> {
    /// Reads from a slice; blobs will be copied.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            shared: None,
        }
    }

    /// Reads from a shared buffer; blobs will be slices of it.
    pub fn from_bytes(bytes: &'a Bytes) -> Self {
        Self {
            rest: bytes,
            shared: Some(bytes),
        }
    }

    /// How many bytes are left.
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Requires that nothing is left.
    pub const fn finish(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes { left }),
        }
    }

    /// Takes exactly `count` bytes, without a length in front.
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(count) {
            Some((head, tail)) => {
                self.rest = tail;
                Ok(head)
            }
            None => {
                let left = self.rest.len();
                Err(DecodeError::Truncated {
                    needed: count.saturating_sub(left),
                    left,
                })
            }
        }
    }

    /// Takes a fixed-size array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.raw(N)?);
        Ok(array)
    }

    /// Takes one byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Takes a big-endian `u16`.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// Takes a big-endian `u32`.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// Takes a big-endian `u64`.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// Takes a big-endian `u128`.
    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        self.array().map(u128::from_be_bytes)
    }

    /// Takes a boolean; anything but `0` and `1` is refused.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(DecodeError::UnknownTag { what: "bool", tag }),
        }
    }

    /// Takes a length-prefixed byte string of at most `limit` bytes.
    pub fn blob(&mut self, limit: usize, field: &'static Field) -> Result<Bytes, DecodeError> {
        let length = self.length(limit, field)?;
        let bytes = self.raw(length)?;
        Ok(match self.shared {
            Some(shared) => shared.slice_ref(bytes),
            None => Bytes::copy_from_slice(bytes),
        })
    }

    /// Takes a length-prefixed text of at most `limit` bytes, which has to be UTF-8.
    pub fn text(&mut self, limit: usize, field: &'static Field) -> Result<&'a str, DecodeError> {
        let length = self.length(limit, field)?;
        let what = field.what;
        core::str::from_utf8(self.raw(length)?).map_err(|_| DecodeError::Invalid { what })
    }

    /// Takes the length of a byte string or the count of a sequence.
    pub fn length(&mut self, limit: usize, field: &'static Field) -> Result<usize, DecodeError> {
        let length = self.u32()?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > limit {
            let Field { what, name: field } = *field;
            Err(DecodeError::TooLong {
                what,
                field,
                length,
                limit,
            })
        } else {
            Ok(length)
        }
    }

    /// Takes a sequence of at most `limit` elements. Memory grows with the
    /// elements really present, never with the claimed count.
    pub fn seq<T: Decode>(
        &mut self,
        limit: usize,
        field: &'static Field,
    ) -> Result<Vec<T>, DecodeError> {
        self.list(limit, field, T::decode)
    }

    /// [`Reader::seq`] of what is read in a way of its own.
    pub fn list<T>(
        &mut self,
        limit: usize,
        field: &'static Field,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.length(limit, field)?;
        // Each element takes at least one byte, so a larger count is false.
        let mut items = Vec::with_capacity(count.min(self.left()).min(1024));
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    /// Takes a value that has to be this one.
    pub fn constant<T: Decode + PartialEq>(
        &mut self,
        expected: &T,
        what: &'static str,
    ) -> Result<(), DecodeError> {
        if T::decode(self)? == *expected {
            Ok(())
        } else {
            Err(DecodeError::Invalid { what })
        }
    }

    /// Takes any decodable value.
    pub fn get<T: Decode>(&mut self) -> Result<T, DecodeError> {
        T::decode(self)
    }
}
