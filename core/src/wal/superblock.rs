//! The superblocks: what must be known of the log without reading it.

use bytes::Bytes;

use super::config::{BLOCK_BYTES, COUNT_MAX, in_memory};
use super::frame::{SUM_BYTES, checksum};
use crate::codec::{DecodeError, Reader, Writer};

const MAGIC: [u8; 4] = *b"DWS\x02";
/// Bytes that the fields take; the rest of the block is zero.
const USED_BYTES: usize = 4 + 8 * 8 + SUM_BYTES;

/// The content of a superblock. Generation `g` lives in slot `g % 2`, so a write
/// never touches the newest valid one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(super) struct Superblock {
    /// Counts the writes of superblocks.
    pub generation: u64,
    /// The first segment of the log; earlier files are left over from a prune.
    pub first_segment: u64,
    /// The last lsn before `first_segment`.
    pub first_after_lsn: u64,
    /// Segments from here on were opened after the last recovery.
    pub open_segment: u64,
    /// The segment that this recovery found the end of the log in.
    pub cut_segment: u64,
    /// The last record that it kept: later ones in segments before
    /// `open_segment` are void.
    pub cut_lsn: u64,
    /// The highest lsn known to be synced.
    pub synced: u64,
    /// The last state record up to `synced`.
    pub state: u64,
}

impl Superblock {
    /// The slot that this generation belongs in.
    pub const fn slot(&self) -> u8 {
        if self.generation.is_multiple_of(2) {
            0
        } else {
            1
        }
    }

    /// The whole block.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::with_capacity(in_memory(BLOCK_BYTES));
        writer.raw(&MAGIC);
        for number in [
            self.generation,
            self.first_segment,
            self.first_after_lsn,
            self.open_segment,
            self.cut_segment,
            self.cut_lsn,
            self.synced,
            self.state,
        ] {
            writer.u64(number);
        }
        let sum = checksum(writer.as_slice());
        writer.u64(sum);
        assert_eq!(writer.len(), USED_BYTES);
        let mut block = writer.into_vec();
        block.resize(in_memory(BLOCK_BYTES), 0);
        Bytes::from(block)
    }

    /// Reads and verifies the block of `slot`.
    pub fn decode(bytes: &[u8], slot: u8) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let covered = reader.clone().raw(USED_BYTES - SUM_BYTES)?;
        let magic: [u8; 4] = reader.array()?;
        let block = Self {
            generation: reader.u64()?,
            first_segment: reader.u64()?,
            first_after_lsn: reader.u64()?,
            open_segment: reader.u64()?,
            cut_segment: reader.u64()?,
            cut_lsn: reader.u64()?,
            synced: reader.u64()?,
            state: reader.u64()?,
        };
        let sum = reader.u64()?;
        let sound = magic == MAGIC
            && sum == checksum(covered)
            && block.slot() == slot
            && [block.generation, block.first_segment, block.open_segment]
                .iter()
                .chain(&[block.first_after_lsn, block.cut_lsn, block.synced])
                .all(|number| *number < COUNT_MAX);
        if sound {
            Ok(block)
        } else {
            Err(DecodeError::Invalid {
                what: "wal superblock",
            })
        }
    }
}
