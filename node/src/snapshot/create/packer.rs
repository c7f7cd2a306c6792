//! Cuts the two streams of a snapshot into segments.

use std::fs::File;
use std::io::{self, Read as _};

use bytes::Bytes;
use decube_core::snapshot::SegmentKind;
use tokio::sync::mpsc;

/// A full segment on its way to the upload.
#[derive(Debug)]
pub(super) struct Sealed {
    pub kind: SegmentKind,
    /// Its place among the segments of its kind.
    pub index: usize,
    pub bytes: Bytes,
}

/// The upload has failed or was cancelled: nobody takes segments any more.
#[derive(Debug)]
pub(super) struct Stopped;

/// Collects the bytes of the data stream and of the metadata stream, and hands on
/// each segment as it is full. Handing on waits for the upload: that is what
/// bounds the memory.
#[derive(Debug)]
pub(super) struct Packer {
    segment_bytes: usize,
    data: Stream,
    metadata: Stream,
    sink: mpsc::Sender<Sealed>,
}

#[derive(Debug)]
struct Stream {
    kind: SegmentKind,
    /// The open segment; never full between two calls.
    open: Vec<u8>,
    sealed: usize,
}

impl Packer {
    pub(super) fn new(segment_bytes: usize, sink: mpsc::Sender<Sealed>) -> Self {
        assert!(segment_bytes > 0);
        let stream = |kind| Stream {
            kind,
            open: Vec::new(),
            sealed: 0,
        };
        Self {
            segment_bytes,
            data: stream(SegmentKind::Data),
            metadata: stream(SegmentKind::Metadata),
            sink,
        }
    }

    /// Where the next byte of the data stream will lie.
    pub(super) fn data_position(&self) -> u64 {
        self.data.position(self.segment_bytes)
    }

    /// Adds to the metadata stream; returns where the bytes begin.
    pub(super) fn metadata(&mut self, mut bytes: &[u8]) -> Result<u64, Stopped> {
        let stream = &mut self.metadata;
        let position = stream.position(self.segment_bytes);
        while !bytes.is_empty() {
            let room = self.segment_bytes - stream.open.len();
            let (now, later) = bytes.split_at(bytes.len().min(room));
            stream.open.extend_from_slice(now);
            bytes = later;
            stream.seal_if_full(self.segment_bytes, &self.sink)?;
        }
        Ok(position)
    }

    /// Reads from a file straight into the open data segment: at most `length`
    /// bytes and at most what the segment has room for. 0 is the end of the file.
    pub(super) fn data_from(
        &mut self,
        file: &File,
        length: u64,
    ) -> Result<io::Result<u64>, Stopped> {
        let stream = &mut self.data;
        if stream.open.capacity() == 0 {
            // Small snapshots should not pay for a whole segment of memory.
            stream.open.reserve_exact(self.segment_bytes.min(1 << 20));
        }
        let room = self.segment_bytes - stream.open.len();
        let room = u64::try_from(room).unwrap_or(u64::MAX);
        if stream.open.len() == stream.open.capacity() {
            stream
                .open
                .reserve_exact(self.segment_bytes - stream.open.len());
        }
        // What is reserved, so that reading never reallocates to the double.
        let spare = stream.open.capacity() - stream.open.len();
        let spare = u64::try_from(spare).unwrap_or(u64::MAX);
        let wanted = length.min(room).min(spare);
        assert!(wanted > 0 || length == 0);
        let before = stream.open.len();
        let read = file.take(wanted).read_to_end(&mut stream.open);
        let count = u64::try_from(stream.open.len() - before).unwrap_or(u64::MAX);
        stream.seal_if_full(self.segment_bytes, &self.sink)?;
        Ok(read.map(|_| count))
    }

    /// Takes back the data after `position` if that is still possible. What has
    /// left with a full segment stays in the stream, used by no file.
    pub(super) fn rewind_data(&mut self, position: u64) {
        let stream = &mut self.data;
        let end = stream.position(self.segment_bytes);
        assert!(position <= end);
        let excess = usize::try_from(end - position).unwrap_or(usize::MAX);
        let keep = stream.open.len().saturating_sub(excess);
        stream.open.truncate(keep);
    }

    /// Hands on the last, short segments.
    pub(super) fn finish(mut self) -> Result<(), Stopped> {
        for stream in [&mut self.data, &mut self.metadata] {
            if !stream.open.is_empty() {
                stream.seal(&self.sink)?;
            }
        }
        Ok(())
    }
}

impl Stream {
    fn position(&self, segment_bytes: usize) -> u64 {
        let number = |count: usize| u64::try_from(count).expect("usize fits u64");
        number(self.sealed)
            .saturating_mul(number(segment_bytes))
            .saturating_add(number(self.open.len()))
    }

    fn seal_if_full(
        &mut self,
        segment_bytes: usize,
        sink: &mpsc::Sender<Sealed>,
    ) -> Result<(), Stopped> {
        assert!(self.open.len() <= segment_bytes);
        match self.open.len() == segment_bytes {
            true => {
                self.seal(sink)?;
                if self.kind == SegmentKind::Data {
                    self.open.reserve_exact(segment_bytes);
                }
                Ok(())
            }
            false => Ok(()),
        }
    }

    /// Blocks while enough segments are on their way.
    fn seal(&mut self, sink: &mpsc::Sender<Sealed>) -> Result<(), Stopped> {
        let sealed = Sealed {
            kind: self.kind,
            index: self.sealed,
            bytes: std::mem::take(&mut self.open).into(),
        };
        self.sealed += 1;
        sink.blocking_send(sealed).map_err(|_| Stopped)
    }
}
