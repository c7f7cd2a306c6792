//! Directories as pages of entries.

use alloc::vec::Vec;

use bytes::Bytes;

use super::attributes::Attributes;
use super::id::SegmentId;
use crate::codec::{Decode, DecodeError, Encode, Field, Reader, Writer};
use crate::limits::{
    TREE_EXTENTS_MAX, TREE_LINK_BYTES_MAX, TREE_NAME_BYTES_MAX, TREE_PAGE_BYTES_MAX, TREE_PAGES_MAX,
};

/// The version of the page format.
pub(super) const PAGE_VERSION: u8 = 1;

/// A run of entries of one directory, strictly ascending by raw name. A directory
/// is a list of pages, and its names ascend across them too.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[codec(version = PAGE_VERSION, asserted_check = Page::check)]
pub struct Page {
    /// The entries; at least one.
    #[codec(max = TREE_PAGE_BYTES_MAX)]
    pub entries: Vec<Entry>,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// The name, raw: any bytes that [`name_is_valid`] allows.
    #[codec(max = TREE_NAME_BYTES_MAX)]
    pub name: Bytes,
    /// What it names.
    pub item: Item,
}

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A file of some kind, here for the first time.
    Node(Node),
    /// One more name of a file that came earlier in the walk order.
    HardLink {
        /// The [`Node::link_group`] of that file.
        group: u64,
    },
}

/// A file of some kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Permissions, owner, times.
    pub attributes: Attributes,
    /// Set when the file has several names: the number of the group, counted
    /// from 1 in walk order. Never set on a directory.
    pub link_group: Option<u64>,
    /// The kind, with its content.
    pub kind: Kind,
}

/// The kind of a file, with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File {
        /// Its length in bytes, holes included.
        size: u64,
        /// Where its data begins in the data stream; 0 if it has none. The
        /// extents follow one another there without gaps.
        offset: u64,
        /// Where there is data; everything else is a hole and reads as zeros.
        extents: Vec<Extent>,
    },
    Directory {
        /// Its pages, in order; none if it is empty.
        pages: Vec<PageRef>,
    },
    /// A symbolic link; never followed.
    Symlink {
        /// Its target, raw.
        target: Bytes,
    },
    /// A named pipe.
    Fifo,
    /// A socket in the file system.
    Socket,
    /// A character device.
    CharDevice {
        /// The major device number.
        major: u32,
        /// The minor device number.
        minor: u32,
    },
    BlockDevice {
        /// The major device number.
        major: u32,
        /// The minor device number.
        minor: u32,
    },
}

/// A range of a file that holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Extent {
    /// Where in the file it begins.
    pub start: u64,
    /// Its length in bytes, not zero.
    pub length: u64,
}

/// Where a page lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct PageRef {
    /// Where its encoding begins in the metadata stream.
    pub offset: u64,
    /// The length of its encoding in bytes.
    pub length: u32,
    /// The SHA-256 of its encoding.
    pub hash: SegmentId,
}

/// Whether bytes may be a name in a directory: not empty, not too long, not `.`
/// or `..`, without `/` and NUL. Nothing else is refused: names need not be UTF-8
/// and may hold newlines.
pub fn name_is_valid(name: &[u8]) -> bool {
    let length_fits = !name.is_empty() && name.len() <= TREE_NAME_BYTES_MAX;
    length_fits && name != b"." && name != b".." && !name.contains(&b'/') && !name.contains(&0)
}

impl Page {
    /// Whether the page keeps the rules of the format by itself.
    pub fn is_valid(&self) -> bool {
        !self.entries.is_empty()
            && self.entries.iter().all(|entry| name_is_valid(&entry.name))
            && self.entries.is_sorted_by(|one, next| one.name < next.name)
    }

    /// Whether the page may follow one that ended with the name `last`: names
    /// ascend across the pages of a directory. A reader must check it, because a
    /// repeated name would let one entry of a malicious tree replace another.
    pub fn may_follow(&self, last: &[u8]) -> bool {
        self.entries
            .first()
            .is_some_and(|entry| *entry.name > *last)
    }

    fn check(&self) -> Result<(), &'static str> {
        if self.is_valid() { Ok(()) } else { Err("page") }
    }
}

impl Node {
    /// Whether the node keeps the rules of the format.
    pub fn is_valid(&self) -> bool {
        let groupable = !matches!(self.kind, Kind::Directory { .. });
        let group_fits = self.link_group.is_none_or(|group| group > 0 && groupable);
        group_fits && self.attributes.is_valid() && self.kind.is_valid()
    }
}

impl Kind {
    /// The data bytes of a file: what it takes in the data stream. `None` if the
    /// sum overflows.
    pub fn data_bytes(&self) -> Option<u64> {
        match self {
            Self::File { extents, .. } => extents
                .iter()
                .try_fold(0_u64, |sum, extent| sum.checked_add(extent.length)),
            _ => Some(0),
        }
    }

    fn is_valid(&self) -> bool {
        match self {
            Self::File {
                size,
                offset,
                extents,
            } => file_is_valid(*size, *offset, extents),
            Self::Directory { pages } => {
                pages.len() <= TREE_PAGES_MAX && pages.iter().all(PageRef::is_valid)
            }
            Self::Symlink { target } => {
                !target.is_empty() && target.len() <= TREE_LINK_BYTES_MAX && !target.contains(&0)
            }
            Self::Fifo | Self::Socket | Self::CharDevice { .. } | Self::BlockDevice { .. } => true,
        }
    }
}

impl PageRef {
    fn is_valid(&self) -> bool {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        length > 0
            && length <= TREE_PAGE_BYTES_MAX
            && self.offset.checked_add(u64::from(self.length)).is_some()
    }
}

/// Extents ascend with a gap between them (or they would be one), end within the
/// file, and their sum stays within a stream.
fn file_is_valid(size: u64, offset: u64, extents: &[Extent]) -> bool {
    // Offsets in files are signed 64-bit numbers on every system.
    if i64::try_from(size).is_err() || extents.len() > TREE_EXTENTS_MAX {
        return false;
    }
    if extents.is_empty() && offset != 0 {
        return false;
    }
    let mut end_before: Option<u64> = None;
    let mut stream_end = offset;
    for extent in extents {
        let separate = end_before.is_none_or(|end| extent.start > end);
        let (Some(end), Some(sum)) = (
            extent.start.checked_add(extent.length),
            stream_end.checked_add(extent.length),
        ) else {
            return false;
        };
        if !separate || extent.length == 0 || end > size {
            return false;
        }
        end_before = Some(end);
        stream_end = sum;
    }
    true
}

/// The tag of a hard link; smaller tags are the kinds of nodes.
const TAG_HARD_LINK: u8 = 7;

/// The fields of a node that are bounded, as errors name them.
const EXTENTS: Field = node_field("extents");
const PAGES: Field = node_field("pages");
const TARGET: Field = node_field("target");

const fn node_field(name: &'static str) -> Field {
    Field { what: "node", name }
}

// Not derived: the kinds of nodes and the hard link share one row of tags.
impl Encode for Item {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Node(node) => writer.put(node),
            Self::HardLink { group } => {
                assert!(*group > 0, "groups are counted from 1");
                writer.u8(TAG_HARD_LINK);
                writer.u64(*group);
            }
        }
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Node(node) => node.size_hint(),
            Self::HardLink { group } => group.size_hint().saturating_add(1),
        }
    }
}

impl Decode for Item {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            TAG_HARD_LINK => match reader.u64()? {
                0 => Err(DecodeError::Invalid { what: "link group" }),
                group => Ok(Self::HardLink { group }),
            },
            tag => decode_node(tag, reader).map(Self::Node),
        }
    }
}

// Not derived: the tag of the kind stands in front of everything else.
impl Encode for Node {
    fn encode(&self, writer: &mut Writer) {
        assert!(self.is_valid(), "the maker of a node checks it");
        let tag = match &self.kind {
            Kind::File { .. } => 0,
            Kind::Directory { .. } => 1,
            Kind::Symlink { .. } => 2,
            Kind::Fifo => 3,
            Kind::Socket => 4,
            Kind::CharDevice { .. } => 5,
            Kind::BlockDevice { .. } => 6,
        };
        writer.u8(tag);
        writer.put(&self.attributes);
        writer.u64(self.link_group.unwrap_or(0));
        match &self.kind {
            Kind::File {
                size,
                offset,
                extents,
            } => {
                writer.u64(*size);
                writer.u64(*offset);
                writer.seq(extents);
            }
            Kind::Directory { pages } => writer.seq(pages),
            Kind::Symlink { target } => writer.blob(target),
            Kind::Fifo | Kind::Socket => {}
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                writer.u32(*major);
                writer.u32(*minor);
            }
        }
    }

    fn size_hint(&self) -> usize {
        let kind = match &self.kind {
            Kind::File { extents, .. } => extents.size_hint().saturating_add(2 * size_of::<u64>()),
            Kind::Directory { pages } => pages.size_hint(),
            Kind::Symlink { target } => target.size_hint(),
            Kind::Fifo | Kind::Socket => 0,
            Kind::CharDevice { .. } | Kind::BlockDevice { .. } => 2 * size_of::<u32>(),
        };
        let attributes = self.attributes.size_hint();
        let before = attributes.saturating_add(1 + size_of::<u64>());
        kind.saturating_add(before)
    }
}

/// Decodes what follows the tag of a node.
fn decode_node(tag: u8, reader: &mut Reader<'_>) -> Result<Node, DecodeError> {
    let attributes = reader.get()?;
    let link_group = Some(reader.u64()?).filter(|group| *group > 0);
    let kind = match tag {
        0 => Kind::File {
            size: reader.u64()?,
            offset: reader.u64()?,
            extents: reader.seq(TREE_EXTENTS_MAX, &EXTENTS)?,
        },
        1 => Kind::Directory {
            pages: reader.seq(TREE_PAGES_MAX, &PAGES)?,
        },
        2 => Kind::Symlink {
            target: reader.blob(TREE_LINK_BYTES_MAX, &TARGET)?,
        },
        3 => Kind::Fifo,
        4 => Kind::Socket,
        5 => Kind::CharDevice {
            major: reader.u32()?,
            minor: reader.u32()?,
        },
        6 => Kind::BlockDevice {
            major: reader.u32()?,
            minor: reader.u32()?,
        },
        tag => return Err(DecodeError::UnknownTag { what: "item", tag }),
    };
    let node = Node {
        attributes,
        link_group,
        kind,
    };
    if node.is_valid() {
        Ok(node)
    } else {
        Err(DecodeError::Invalid { what: "node" })
    }
}
