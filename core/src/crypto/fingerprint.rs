//! Fingerprints of states, to compare two runs.

use alloc::vec::Vec;
use core::hash::Hash;

use xxhash_rust::xxh3::Xxh3;

/// What is gathered before it is hashed: most pieces are a number, and to hash each by
/// itself costs more than the hashing.
const GATHERED_BYTES: usize = 4096;

/// XXH3, 128 bits wide, over what `#[derive(Hash)]` names: a state that derives it is
/// covered to its last field, and a new field cannot be forgotten. Numbers enter
/// big-endian and sizes as `u64`, so that platforms agree.
///
/// It is no commitment and never leaves the node: what derives `Hash` may change, and nobody
/// gains by two states that share one. So it need not resist an adversary, and a simulator
/// that takes thousands of them a second need not pay for that.
#[derive(Clone, Default)]
pub struct Fingerprint {
    state: Xxh3,
    gathered: Vec<u8>,
}

impl Fingerprint {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value.
    pub fn add(&mut self, value: &(impl Hash + ?Sized)) {
        value.hash(self);
    }

    /// The fingerprint of everything added.
    pub fn digest(mut self) -> u128 {
        self.state.update(&self.gathered);
        self.state.digest128()
    }
}

impl core::hash::Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHERED_BYTES {
            self.state.update(&self.gathered);
            self.gathered.clear();
        }
    }

    fn write_u16(&mut self, value: u16) {
        self.write(&value.to_be_bytes());
    }

    fn write_u32(&mut self, value: u32) {
        self.write(&value.to_be_bytes());
    }

    fn write_u64(&mut self, value: u64) {
        self.write(&value.to_be_bytes());
    }

    fn write_u128(&mut self, value: u128) {
        self.write(&value.to_be_bytes());
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(u64::try_from(value).unwrap_or(u64::MAX));
    }

    fn write_isize(&mut self, value: isize) {
        self.write_u64(i64::try_from(value).unwrap_or(i64::MAX).cast_unsigned());
    }

    fn finish(&self) -> u64 {
        let mut state = self.state.clone();
        state.update(&self.gathered);
        state.digest()
    }
}
