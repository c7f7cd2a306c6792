//! Permissions, owner, times and extended attributes of a file.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::{Decode, Encode};
use crate::limits::{TREE_XATTR_BYTES_MAX, TREE_XATTR_NAME_BYTES_MAX, TREE_XATTRS_MAX};

/// What a file carries besides its content.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[codec(asserted_check = Attributes::check)]
pub struct Attributes {
    /// The permission bits with set-user-id, set-group-id and sticky: `0o7777`
    /// at most, without the file type.
    #[codec(with = mode)]
    pub mode: u32,
    /// The owner, as a number.
    pub uid: u32,
    /// The group, as a number.
    pub gid: u32,
    /// When the content was last changed.
    pub modified: Timestamp,
    /// Extended attributes, strictly ascending by name.
    #[codec(max = TREE_XATTRS_MAX)]
    pub xattrs: Vec<Xattr>,
}

/// A wall-clock time of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Encode, Decode)]
pub struct Timestamp {
    /// Seconds since the Unix epoch; files may be older.
    pub seconds: i64,
    /// Nanoseconds after that, below a thousand million.
    pub nanos: u32,
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Xattr {
    /// Its full name, such as `user.comment`.
    #[codec(max = TREE_XATTR_NAME_BYTES_MAX)]
    pub name: Bytes,
    /// Its value, raw.
    #[codec(max = TREE_XATTR_BYTES_MAX)]
    pub value: Bytes,
}

impl Attributes {
    /// Whether the attributes keep the rules of the format. The encoder asserts
    /// it, the decoder refuses what breaks it.
    pub fn is_valid(&self) -> bool {
        let value_bytes: usize = self.xattrs.iter().map(|xattr| xattr.value.len()).sum();
        self.mode <= 0o7777
            && self.modified.nanos < 1_000_000_000
            && self.xattrs.len() <= TREE_XATTRS_MAX
            && value_bytes <= TREE_XATTR_BYTES_MAX
            && self.xattrs.iter().all(Xattr::name_is_valid)
            && self.xattrs.is_sorted_by(|one, next| one.name < next.name)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.is_valid() {
            Ok(())
        } else {
            Err("attributes")
        }
    }
}

impl Xattr {
    fn name_is_valid(&self) -> bool {
        !self.name.is_empty()
            && self.name.len() <= TREE_XATTR_NAME_BYTES_MAX
            && !self.name.contains(&0)
    }
}

/// The permission bits fit two bytes.
mod mode {
    use crate::codec::{DecodeError, Reader, Writer};

    pub(super) fn encode(mode: &u32, writer: &mut Writer) {
        writer.u16(u16::try_from(*mode).expect("the check bounds the mode"));
    }

    pub(super) const fn size_hint(_: &u32) -> usize {
        size_of::<u16>()
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
        reader.u16().map(u32::from)
    }
}
