//! Encoding into a growing buffer.

use alloc::vec::Vec;

use bytes::Bytes;

/// Up to here an exact copy is cheaper than giving back what is too much.
const COPIED_BYTES_MAX: usize = 4096;

/// A value with a canonical encoding.
pub trait Encode {
    /// How many bytes the encoding of every value takes, if that follows from the type.
    const SIZE: Option<usize> = None;

    /// Appends the canonical encoding of `self`.
    fn encode(&self, writer: &mut Writer);

    /// How many bytes the encoding takes: room that is made at once, where growing would
    /// copy several times. Wrong does no harm.
    fn size_hint(&self) -> usize;

    /// Whether it could be read again: all in it is within its bounds and keeps the rules
    /// of its type. Whoever takes a value from outside that did not come through a decoder
    /// asks first, for [`Encode::encode`] panics on one that is over a bound.
    fn is_readable(&self) -> bool {
        true
    }

    /// The canonical encoding as one buffer.
    fn to_bytes(&self) -> Bytes {
        let mut writer = Writer::with_capacity(self.size_hint());
        self.encode(&mut writer);
        writer.into_bytes()
    }
}

/// A growing buffer of canonical bytes.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    buffer: Vec<u8>,
    /// Writes what is over its bound as well, for tests of decoders.
    #[cfg(test)]
    is_lax: bool,
}

impl Writer {
    /// An empty writer.
    pub const fn new() -> Self {
        Self {
            buffer: Vec::new(),
            #[cfg(test)]
            is_lax: false,
        }
    }

    /// The encoding of a value that may be over its bounds.
    #[cfg(test)]
    pub(crate) fn lax<T: Encode>(value: &T) -> Bytes {
        let mut writer = Self::new();
        writer.is_lax = true;
        value.encode(&mut writer);
        writer.into_bytes()
    }

    /// An empty writer with room for `bytes`.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            buffer: Vec::with_capacity(bytes),
            #[cfg(test)]
            is_lax: false,
        }
    }

    /// Panics if a value is over the bound of its field: who makes one has broken an
    /// invariant, and what no decoder takes must not reach a disk or a peer.
    pub fn assert_fits(&self, fits: bool, broken: &'static str) {
        #[cfg(test)]
        let fits = fits || self.is_lax;
        assert!(fits, "{broken}");
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) {
        self.buffer.push(value);
    }

    /// Appends a big-endian `u16`.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    /// Appends a big-endian `u32`.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// Appends a big-endian `u64`.
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_be_bytes());
    }

    /// Appends a big-endian `u128`.
    pub fn u128(&mut self, value: u128) {
        self.raw(&value.to_be_bytes());
    }

    /// Appends `0` or `1`.
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// Appends bytes as they are, without a length: only for fixed-size fields.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Appends a `u32` length and the bytes. Longer than `u32::MAX` is a broken
    /// invariant (every blob has a limit far below) and panics.
    pub fn blob(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    /// Appends the `u32` count of a sequence; its elements follow.
    pub fn length(&mut self, count: usize) {
        self.u32(u32::try_from(count).expect("sequence longer than u32::MAX"));
    }

    /// Appends a count and each element.
    pub fn seq<T: Encode>(&mut self, items: &[T]) {
        self.length(items.len());
        for item in items {
            item.encode(self);
        }
    }

    /// Appends any encodable value.
    pub fn put<T: Encode + ?Sized>(&mut self, value: &T) {
        value.encode(self);
    }

    /// How many bytes have been written.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing has been written.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// What has been written so far.
    pub fn as_slice(&self) -> &[u8] {
        &self.buffer
    }

    /// The buffer itself, for checksums and lengths that are patched in later.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// Forgets the content and keeps the allocation.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }

    /// The finished bytes.
    pub fn into_bytes(self) -> Bytes {
        if self.buffer.len() < self.buffer.capacity() && self.buffer.len() <= COPIED_BYTES_MAX {
            return Bytes::copy_from_slice(&self.buffer);
        }
        Bytes::from(self.buffer.into_boxed_slice())
    }

    /// The finished buffer.
    pub fn into_vec(self) -> Vec<u8> {
        self.buffer
    }
}

/// The sum of sizes that are known; nothing if one is not.
pub const fn total(sizes: &[Option<usize>]) -> Option<usize> {
    let mut sum = 0_usize;
    let mut rest = sizes;
    while let Some((first, behind)) = rest.split_first() {
        match *first {
            Some(size) => sum = sum.checked_add(size).expect("types are small"),
            None => return None,
        }
        rest = behind;
    }
    Some(sum)
}

/// Whether no number stands twice in a list.
pub const fn are_distinct(tags: &[u8]) -> bool {
    let mut seen = [false; 256];
    let mut rest = tags;
    while let Some((first, behind)) = rest.split_first() {
        let place = *first as usize;
        if seen[place] {
            return false;
        }
        seen[place] = true;
        rest = behind;
    }
    true
}
