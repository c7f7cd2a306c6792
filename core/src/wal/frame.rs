//! The encoding of one record in a segment.
//!
//! ```text
//! magic 4 | payload sum 8 | payload length 4 | kind 1 | flags 1 | zero 2
//! salt 8 | lsn 8 | index 8 | segment 8 | offset 8 | synced 8 | state 8
//! link 16 | header sum 8 | payload
//! ```
//!
//! Two checksums instead of one: when only the payload is damaged, the intact
//! header still says which record was lost and where the next one begins. They
//! are XXH3-64, which overlooks damage once in 2^64 times and costs a fifth of a
//! CRC in tables.

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::config::{COUNT_MAX, length};
use super::record::{Record, RecordKind};
use crate::codec::{DecodeError, Field, Reader, Writer};
use crate::limits::WAL_RECORD_BYTES_MAX;

/// The checksum of everything that the log writes.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// First bytes of every record; the last one is the version of the format.
pub(super) const MAGIC: [u8; 4] = *b"DWR\x02";
/// Bytes of a header, with its checksum.
pub(super) const HEADER_BYTES: usize = 100;
/// Bytes of a checksum.
pub(super) const SUM_BYTES: usize = 8;
const FLAG_BATCH_END: u8 = 1;

/// Names the one record that a record follows: the XXH3-128 of that record's
/// header.
pub(super) type Link = [u8; 16];

/// What a record is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// The first record of a segment.
    Segment,
    /// A record of the owner.
    Owner(RecordKind),
}

impl Kind {
    /// Whether the record is more than an entry: term, vote, base or truncation.
    pub const fn is_state(self) -> bool {
        !matches!(self, Self::Segment | Self::Owner(RecordKind::Entry))
    }

    const fn tag(self) -> u8 {
        match self {
            Self::Segment => 0,
            Self::Owner(RecordKind::Entry) => 1,
            Self::Owner(RecordKind::State) => 2,
            Self::Owner(RecordKind::Truncate) => 3,
            Self::Owner(RecordKind::Base) => 4,
        }
    }

    const fn from_tag(tag: u8) -> Result<Self, DecodeError> {
        Ok(match tag {
            0 => Self::Segment,
            1 => Self::Owner(RecordKind::Entry),
            2 => Self::Owner(RecordKind::State),
            3 => Self::Owner(RecordKind::Truncate),
            4 => Self::Owner(RecordKind::Base),
            _ => {
                return Err(DecodeError::UnknownTag {
                    what: "wal record kind",
                    tag,
                });
            }
        })
    }
}

/// The fixed part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Header {
    /// The checksum of the payload.
    pub payload_sum: u64,
    /// Bytes of the payload.
    pub payload_bytes: usize,
    /// What it is.
    pub kind: Kind,
    /// Whether it completes its batch.
    pub batch_end: bool,
    /// The same in all records of a segment and not to be guessed from outside,
    /// so that a client's value that imitates a record is not taken for one.
    pub salt: u64,
    /// The number of the record, counted from 1 over the life of the log.
    pub lsn: u64,
    /// The owner's index.
    pub index: u64,
    /// The segment that it was written for.
    pub segment: u64,
    /// The byte offset that it was written for.
    pub offset: u64,
    /// The highest lsn known to be synced when it was written.
    pub synced: u64,
    /// The lsn of the last state record before it.
    pub state: u64,
    /// The record that it follows.
    pub link: Link,
}

/// The length of the payload, as errors name it.
const PAYLOAD: Field = Field {
    what: "frame",
    name: "payload",
};

impl Header {
    /// Decodes and verifies a header; the payload is not looked at.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let covered = reader.clone().raw(HEADER_BYTES - SUM_BYTES)?;
        let magic: [u8; 4] = reader.array()?;
        let payload_sum = reader.u64()?;
        let payload_bytes = reader.length(WAL_RECORD_BYTES_MAX, &PAYLOAD)?;
        let kind = Kind::from_tag(reader.u8()?)?;
        let flags = reader.u8()?;
        let zero = reader.u16()?;
        let header = Self {
            payload_sum,
            payload_bytes,
            kind,
            batch_end: flags & FLAG_BATCH_END != 0,
            salt: reader.u64()?,
            lsn: reader.u64()?,
            index: reader.u64()?,
            segment: reader.u64()?,
            offset: reader.u64()?,
            synced: reader.u64()?,
            state: reader.u64()?,
            link: reader.array()?,
        };
        let sum = reader.u64()?;
        let canonical = magic == MAGIC && flags & !FLAG_BATCH_END == 0 && zero == 0;
        // An lsn of 0 or a mark in the future is nothing that this log writes.
        let sane =
            header.synced < header.lsn && header.state < header.lsn && header.lsn < COUNT_MAX;
        if canonical && sane && sum == checksum(covered) {
            Ok(header)
        } else {
            Err(DecodeError::Invalid {
                what: "wal record header",
            })
        }
    }

    /// Appends header and payload; returns the link of the record.
    pub fn write(&self, writer: &mut Writer, payload: &[u8]) -> Link {
        assert_eq!(payload.len(), self.payload_bytes);
        assert!(payload.len() <= WAL_RECORD_BYTES_MAX);
        assert!(self.synced < self.lsn && self.state < self.lsn);
        let start = writer.len();
        self.put_fields(writer);
        let sum = checksum(&writer.as_slice()[start..]);
        writer.u64(sum);
        assert_eq!(writer.len() - start, HEADER_BYTES);
        let link = link_of(&writer.as_slice()[start..]);
        writer.raw(payload);
        link
    }

    fn put_fields(&self, writer: &mut Writer) {
        writer.raw(&MAGIC);
        writer.u64(self.payload_sum);
        writer.length(self.payload_bytes);
        writer.u8(self.kind.tag());
        writer.u8(if self.batch_end { FLAG_BATCH_END } else { 0 });
        writer.u16(0);
        for number in [
            self.salt,
            self.lsn,
            self.index,
            self.segment,
            self.offset,
            self.synced,
            self.state,
        ] {
            writer.u64(number);
        }
        writer.raw(&self.link);
    }

    /// The owner's record, or `None` for a record of the log itself.
    pub fn record(&self, payload: &[u8]) -> Option<Record> {
        match self.kind {
            Kind::Segment => None,
            Kind::Owner(kind) => Some(Record {
                kind,
                index: self.index,
                payload: Bytes::copy_from_slice(payload),
            }),
        }
    }
}

/// The link to the record with this header. The header holds the checksum of the
/// payload, the position, the lsn and the link before, so it names one record of
/// one life of the log; hashing the payload again would add nothing against a
/// disk, and against an attacker who can write the disk no link helps.
pub(super) fn link_of(header: &[u8]) -> Link {
    assert_eq!(header.len(), HEADER_BYTES);
    xxh3_128(header).to_be_bytes()
}

/// Bytes that a record takes on disk.
pub(super) fn record_bytes(record: &Record) -> u64 {
    length(HEADER_BYTES) + length(record.payload.len())
}

/// The payload of the first record of a segment: where the log went on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct SegmentStart {
    /// The segment that the log ended in when this one was opened. Files between
    /// the two are void.
    pub after_segment: u64,
    /// The last record of the log at that time. Records of earlier segments with
    /// a higher lsn are void: a recovery has cut them off.
    pub after_lsn: u64,
}

impl SegmentStart {
    /// Bytes of the payload.
    pub const BYTES: usize = 16;

    /// The payload.
    pub fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.after_segment.to_be_bytes());
        bytes[8..].copy_from_slice(&self.after_lsn.to_be_bytes());
        bytes
    }

    /// Reads the payload.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let start = Self {
            after_segment: reader.u64()?,
            after_lsn: reader.u64()?,
        };
        reader.finish()?;
        Ok(start)
    }
}
