//! Finding the valid records of one segment.

use alloc::vec::Vec;

use super::config::{in_memory, length};
use super::frame::{HEADER_BYTES, Header, Kind, Link, MAGIC, SegmentStart, checksum, link_of};
use super::record::Record;
use crate::mutant::Mutant;

/// A record whose header is valid at its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Frame {
    pub header: Header,
    /// Names it.
    pub link: Link,
    /// Whether the payload is as it was written.
    pub intact: bool,
    /// The owner's record, if it is one and is intact.
    pub record: Option<Record>,
    /// Where the log went on from, if it is the intact first record of a segment.
    pub start: Option<SegmentStart>,
    /// Where it begins.
    pub begin: u64,
    /// Where it ends.
    pub end: u64,
}

/// What a segment file holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SegmentScan {
    /// The segment.
    pub number: u64,
    /// Its valid records, with strictly increasing lsn. A missing lsn is a hole.
    pub frames: Vec<Frame>,
    /// Where its last byte that is not zero, or cannot be read, ends.
    pub used: u64,
}

impl SegmentScan {
    /// Whether nothing was ever written, as far as can be seen.
    pub const fn is_blank(&self) -> bool {
        self.used == 0
    }

    /// The declaration of the first record, if it is readable.
    pub fn start(&self) -> Option<SegmentStart> {
        self.frames.first().and_then(|frame| frame.start)
    }
}

/// Finds all valid records of a segment. Every byte is untrusted.
///
/// The search goes over padding, torn writes and damage alike and does not judge
/// them: a record is taken for valid when its checksums hold, it says that it
/// belongs to exactly this place, it carries the salt of its segment, and it
/// continues the records before it.
pub(super) fn scan_segment(
    number: u64,
    data: &[u8],
    unreadable_end: u64,
    mutant: Mutant,
) -> SegmentScan {
    let mut scanner = Scanner {
        number,
        data,
        mutant,
        last: None,
    };
    let mut frames: Vec<Frame> = Vec::new();
    let mut at = 0;
    while let Some(frame) = scanner.next_frame(at) {
        assert!(in_memory(frame.end) > at, "the scan moves on");
        at = in_memory(frame.end);
        frames.push(frame);
    }
    let used = data.iter().rposition(|byte| *byte != 0);
    let used = used.map_or(0, |last| length(last + 1)).max(unreadable_end);
    SegmentScan {
        number,
        frames,
        used,
    }
}

struct Scanner<'a> {
    number: u64,
    data: &'a [u8],
    mutant: Mutant,
    /// Salt, lsn and link of the last valid record.
    last: Option<(u64, u64, Link)>,
}

impl Scanner<'_> {
    fn next_frame(&mut self, from: usize) -> Option<Frame> {
        let mut at = from;
        loop {
            at += find(self.data.get(at..)?, MAGIC)?;
            if let Some(frame) = self.frame_at(at) {
                self.last = Some((frame.header.salt, frame.header.lsn, frame.link));
                return Some(frame);
            }
            at += 1;
        }
    }

    fn frame_at(&self, at: usize) -> Option<Frame> {
        let bytes = self.data.get(at..)?;
        let header = Header::decode(bytes).ok()?;
        let in_place = header.segment == self.number && header.offset == length(at);
        if !in_place && !self.mutant.is(Mutant::WalChecksumWithoutPosition) {
            // A misdirected write, or what a recycled block held before.
            return None;
        }
        if !self.continues(&header) {
            return None;
        }
        let (head, rest) = bytes.split_at(HEADER_BYTES);
        // A file that was cut short ends inside the payload.
        let payload = &rest[..header.payload_bytes.min(rest.len())];
        let intact =
            payload.len() == header.payload_bytes && checksum(payload) == header.payload_sum;
        let is_start = intact && at == 0 && header.kind == Kind::Segment;
        Some(Frame {
            header,
            link: link_of(head),
            intact,
            record: intact.then(|| header.record(payload)).flatten(),
            start: is_start
                .then(|| SegmentStart::decode(payload).ok())
                .flatten(),
            begin: length(at),
            end: length(at + HEADER_BYTES + payload.len()),
        })
    }

    /// All records of a segment are of one life of the log, so a valid one has a
    /// higher lsn than those before it, and names its predecessor if that is the
    /// last one.
    fn continues(&self, header: &Header) -> bool {
        self.last.is_none_or(|(salt, lsn, link)| {
            header.salt == salt
                && header.lsn > lsn
                && (header.lsn > lsn.saturating_add(1) || header.link == link)
        })
    }
}

fn find(data: &[u8], magic: [u8; 4]) -> Option<usize> {
    data.windows(magic.len()).position(|window| window == magic)
}
