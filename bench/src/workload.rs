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

/// The state machine of every contender: it counts the commands, and adds up
/// their bytes so that nobody gets away without reading them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sink {
    /// Commands applied.
    pub count: u64,
    /// The sum of all their bytes, eight at a time.
    pub sum: u64,
}

impl Sink {
    /// Applies one command.
    pub fn apply(&mut self, data: &[u8]) {
        self.count += 1;
        let (words, rest) = data.as_chunks::<8>();
        for word in words {
            self.sum = self.sum.wrapping_add(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.sum = self.sum.wrapping_add(u64::from(*byte));
        }
    }
}
