//! What a log is built from.

use crate::limits::{WAL_PENDING_BYTES_MAX, WAL_SEGMENT_BYTES};
use crate::mutant::Mutant;
use crate::types::Span;

/// How long the log waits without appends before it writes its synced mark into
/// a superblock. It bounds the window in which damage to the last group looks
/// like a torn tail, and is long enough that a busy log never pays for it.
pub const IDLE_MARK: Span = Span::from_millis(50);
/// The unit of writing: each group begins on such a boundary, so that no write
/// ever touches a block that holds synced data. 4 KiB is the physical sector of
/// current disks and the page of current kernels; both are rewritten as a whole.
pub const BLOCK_BYTES: u64 = 4096;
/// Bytes that one flush gathers, unless a single batch is larger: it bounds the
/// time that the first batch of a group waits for the last one to be written.
pub const GROUP_BYTES_MAX: u64 = 8 << 20;
/// Bytes of a segment file that recovery looks at. A batch larger than a segment
/// gets a segment of its own, so files are bounded by what can be pending.
pub const SEGMENT_FILE_BYTES_MAX: u64 = 2 * (WAL_PENDING_BYTES_MAX + WAL_SEGMENT_BYTES);
/// Records, segments and superblocks are counted below this, so that counting on
/// from what a file claims cannot overflow.
pub(super) const COUNT_MAX: u64 = 1 << 62;

/// What a log is built from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Config {
    /// Bytes of one segment file: a multiple of [`BLOCK_BYTES`], at least four
    /// blocks and at most [`WAL_SEGMENT_BYTES`].
    pub segment_bytes: u64,
    /// The planted bug, for tests of the tests.
    pub mutant: Mutant,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_bytes: WAL_SEGMENT_BYTES,
            mutant: Mutant::None,
        }
    }
}

impl Config {
    /// Panics when the configuration makes no sense: it comes from this program.
    pub(super) fn check(&self) {
        assert!(
            self.segment_bytes.is_multiple_of(BLOCK_BYTES),
            "segments consist of whole blocks"
        );
        assert!(
            self.segment_bytes >= 4 * BLOCK_BYTES,
            "a segment holds more than its header"
        );
        assert!(self.segment_bytes <= WAL_SEGMENT_BYTES);
    }
}

/// `bytes` rounded up to whole blocks.
pub(super) const fn blocks(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES)
}

/// A length of something in memory, as the files count.
pub(super) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).expect("a length in memory fits 64 bits")
}

/// A length of something in memory, from a file's count that was bounded before.
pub(super) fn in_memory(bytes: u64) -> usize {
    usize::try_from(bytes).expect("bounded by SEGMENT_FILE_BYTES_MAX")
}

const _: () = assert!(BLOCK_BYTES.is_multiple_of(crate::limits::SECTOR_BYTES as u64));
const _: () = assert!(SEGMENT_FILE_BYTES_MAX < u32::MAX as u64);
