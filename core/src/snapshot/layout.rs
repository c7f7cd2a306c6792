//! From a place in a stream to pieces of segments.

use super::manifest::{Manifest, SegmentKind};

/// Where the streams of a snapshot lie in its segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    segment_bytes: u64,
    data: Stream,
    metadata: Stream,
}

/// A part of one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The segment, by its place in the manifest.
    pub segment: usize,
    /// Where in the segment the piece begins.
    pub start: u64,
    /// The length of the piece, not zero.
    pub length: u64,
}

/// A tree names a place that its snapshot does not have: the snapshot is damaged
/// or was made to deceive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bytes {offset}+{length} lie outside of the {kind:?} stream of {stream_bytes} bytes")]
pub struct OutOfStream {
    /// The stream.
    pub kind: SegmentKind,
    /// Where the range begins.
    pub offset: u64,
    pub length: u64,
    /// How long the stream is.
    pub stream_bytes: u64,
}

/// One stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stream {
    /// The place of its first segment in the manifest.
    first: usize,
    bytes: u64,
}

impl Layout {
    /// The layout of a manifest, which its decoder has found valid.
    pub fn new(manifest: &Manifest) -> Self {
        let bytes = |kind: SegmentKind| {
            let segments = manifest.segments.iter();
            segments
                .filter(|segment| segment.kind == kind)
                .map(|segment| segment.length)
                .sum()
        };
        let data_segments = manifest
            .segments
            .partition_point(|segment| segment.kind == SegmentKind::Data);
        let layout = Self {
            segment_bytes: manifest.segment_bytes,
            data: Stream {
                first: 0,
                bytes: bytes(SegmentKind::Data),
            },
            metadata: Stream {
                first: data_segments,
                bytes: bytes(SegmentKind::Metadata),
            },
        };
        assert!(layout.segment_bytes > 0);
        layout
    }

    /// The length of a stream in bytes.
    pub const fn stream_bytes(&self, kind: SegmentKind) -> u64 {
        self.stream(kind).bytes
    }

    /// The pieces that make up a range of a stream, in order.
    pub fn pieces(
        &self,
        kind: SegmentKind,
        offset: u64,
        length: u64,
    ) -> Result<impl Iterator<Item = Piece> + use<>, OutOfStream> {
        let stream = *self.stream(kind);
        let end = offset
            .checked_add(length)
            .filter(|end| *end <= stream.bytes)
            .ok_or(OutOfStream {
                kind,
                offset,
                length,
                stream_bytes: stream.bytes,
            })?;
        let segment_bytes = self.segment_bytes;
        let mut at = offset;
        Ok(core::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let index = usize::try_from(at / segment_bytes).expect("bounded by the segment count");
            let start = at % segment_bytes;
            let length = (segment_bytes - start).min(end - at);
            at += length;
            Some(Piece {
                segment: stream.first + index,
                start,
                length,
            })
        }))
    }

    const fn stream(&self, kind: SegmentKind) -> &Stream {
        match kind {
            SegmentKind::Data => &self.data,
            SegmentKind::Metadata => &self.metadata,
        }
    }
}
