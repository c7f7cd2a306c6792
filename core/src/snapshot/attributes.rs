//! Permissions, owner, times and extended attributes of a file.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::codec::{Decode, DecodeError, Encode, Reader, Writer};
use crate::limits::{TREE_XATTR_BYTES_MAX, TREE_XATTR_NAME_BYTES_MAX, TREE_XATTRS_MAX};

/// What a file carries besides its content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// The permission bits with set-user-id, set-group-id and sticky: `0o7777`
    /// at most, without the file type.
    pub mode: u32,
    /// The owner, as a number.
    pub uid: u32,
    /// The group, as a number.
    pub gid: u32,
    /// When the content was last changed.
    pub modified: Timestamp,
    /// Extended attributes, strictly ascending by name.
    pub xattrs: Vec<Xattr>,
}

/// A wall-clock time of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Timestamp {
    /// Seconds since the Unix epoch; files may be older.
    pub seconds: i64,
    /// Nanoseconds after that, below a thousand million.
    pub nanos: u32,
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xattr {
    /// Its full name, such as `user.comment`.
    pub name: Bytes,
    /// Its value, raw.
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
}

impl Xattr {
    fn name_is_valid(&self) -> bool {
        !self.name.is_empty()
            && self.name.len() <= TREE_XATTR_NAME_BYTES_MAX
            && !self.name.contains(&0)
    }
}

impl Encode for Attributes {
    fn encode(&self, writer: &mut Writer) {
        assert!(self.is_valid(), "the maker of attributes checks them");
        writer.u16(u16::try_from(self.mode).expect("is_valid bounds the mode"));
        writer.u32(self.uid);
        writer.u32(self.gid);
        writer.u64(self.modified.seconds.cast_unsigned());
        writer.u32(self.modified.nanos);
        writer.seq(&self.xattrs);
    }
}

impl Decode for Attributes {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let attributes = Self {
            mode: u32::from(reader.u16()?),
            uid: reader.u32()?,
            gid: reader.u32()?,
            modified: Timestamp {
                seconds: reader.u64()?.cast_signed(),
                nanos: reader.u32()?,
            },
            xattrs: reader.seq(TREE_XATTRS_MAX)?,
        };
        if attributes.is_valid() {
            Ok(attributes)
        } else {
            Err(DecodeError::Invalid { what: "attributes" })
        }
    }
}

impl Encode for Xattr {
    fn encode(&self, writer: &mut Writer) {
        writer.blob(&self.name);
        writer.blob(&self.value);
    }
}

impl Decode for Xattr {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: reader.blob(TREE_XATTR_NAME_BYTES_MAX)?,
            value: reader.blob(TREE_XATTR_BYTES_MAX)?,
        })
    }
}
