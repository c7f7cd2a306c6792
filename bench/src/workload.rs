//! What every contender replicates, and what it does with it when it applies it.

use std::sync::Arc;

use bytes::Bytes;

/// Different payloads of one size, handed out in turn. They are made beforehand:
/// a contender that can share `Bytes` need not copy them.
#[derive(Debug, Clone)]
pub struct Payloads {
    pool: Arc<[Bytes]>,
    next: usize,
}

impl Payloads {
    /// Payloads of `size` bytes.
    pub fn new(size: usize) -> Self {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut byte = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        let pool = (0..61)
            .map(|_| (0..size).map(|_| byte()).collect())
            .collect();
        Self { pool, next: 0 }
    }

    /// The next payload.
    pub fn next(&mut self) -> Bytes {
        self.next = (self.next + 1) % self.pool.len();
        self.pool[self.next].clone()
    }
}

/// The state machine of every contender. It folds the length and the first bytes
/// of each command, by which the payloads differ, into one number that depends on
/// their order: so it shows that the right commands were applied in the right
/// order, and costs the same few nanoseconds for every contender and size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sink {
    /// Commands applied.
    pub count: u64,
    /// What they were, in their order.
    pub fold: u64,
}

impl Sink {
    /// Applies one command.
    pub fn apply(&mut self, data: &[u8]) {
        self.count += 1;
        let first = data
            .first_chunk::<8>()
            .map_or(0, |word| u64::from_le_bytes(*word));
        let command = first ^ data.len() as u64;
        self.fold = (self.fold.rotate_left(5) ^ command).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
