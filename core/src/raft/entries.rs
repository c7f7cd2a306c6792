//! Consecutive entries that many hold and nobody copies.
//!
//! A leader makes the entries of an iteration once; its log, its write and its messages
//! to all followers share them, and so do the log, the write and the state
//! machine of a follower.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::ops::{Deref, Range};

use super::types::Entry;
use crate::codec::{DecodeBounded, DecodeError, Encode, Field, Reader, Writer};

/// A run of entries with consecutive positions, or a part of one.
#[derive(Clone, Default)]
pub struct Entries {
    /// `None` stands for no entries at all.
    run: Option<Arc<[Entry]>>,
    from: u32,
    upto: u32,
}

impl Entries {
    /// A part of the run, which stays alive as a whole.
    ///
    /// # Panics
    /// If the range is not inside.
    pub fn part(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.len());
        if range.is_empty() {
            return Self::default();
        }
        let at = |offset: usize| self.from + u32::try_from(offset).expect("runs are short");
        Self {
            run: self.run.clone(),
            from: at(range.start),
            upto: at(range.end),
        }
    }

    /// How many entries.
    pub const fn len(&self) -> usize {
        // No slice is made for it: it is asked for often.
        (self.upto - self.from) as usize
    }

    /// Whether there is no entry.
    pub const fn is_empty(&self) -> bool {
        self.upto == self.from
    }

    /// Payload bytes.
    pub fn payload_bytes(&self) -> usize {
        self.iter().map(|entry| entry.data.len()).sum()
    }
}

/// By the last of them: its chain value is over it and all before it.
impl Hash for Entries {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len().hash(state);
        let last = self.last().map(|entry| (entry.id, entry.chain));
        last.hash(state);
    }
}

impl Deref for Entries {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        match &self.run {
            Some(run) => &run[self.from as usize..self.upto as usize],
            None => &[],
        }
    }
}

impl From<Arc<[Entry]>> for Entries {
    fn from(run: Arc<[Entry]>) -> Self {
        let upto = u32::try_from(run.len()).expect("runs are short");
        Self {
            run: (upto > 0).then_some(run),
            from: 0,
            upto,
        }
    }
}

impl From<Vec<Entry>> for Entries {
    fn from(entries: Vec<Entry>) -> Self {
        Self::from(Arc::<[Entry]>::from(entries))
    }
}

impl FromIterator<Entry> for Entries {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self::from(entries.into_iter().collect::<Arc<[Entry]>>())
    }
}

impl<'a> IntoIterator for &'a Entries {
    type Item = &'a Entry;
    type IntoIter = core::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl Eq for Entries {}

// Not derived: it is written as the part that it shows of its run.
impl Encode for Entries {
    fn encode(&self, writer: &mut Writer) {
        (**self).encode(writer);
    }

    fn size_hint(&self) -> usize {
        (**self).size_hint()
    }

    fn is_readable(&self) -> bool {
        (**self).is_readable()
    }
}

impl DecodeBounded<usize> for Entries {
    fn decode_bounded(
        reader: &mut Reader<'_>,
        max: usize,
        field: &'static Field,
    ) -> Result<Self, DecodeError> {
        Vec::decode_bounded(reader, max, field).map(Self::from)
    }

    fn fits(&self, max: usize) -> bool {
        self.len() <= max
    }
}

impl fmt::Debug for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self[..].fmt(f)
    }
}

/// Consecutive entries in one or more runs. The first stands apart because there
/// is seldom another, and one needs no list.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    first: Entries,
    rest: Vec<Entries>,
}

impl Runs {
    /// Appends a run, unless it is empty.
    pub fn push(&mut self, run: Entries) {
        if run.is_empty() {
            return;
        }
        if self.first.is_empty() {
            self.first = run;
        } else {
            self.rest.push(run);
        }
    }

    /// The runs, none of them empty.
    pub fn runs(&self) -> impl Iterator<Item = &Entries> {
        let first = Some(&self.first).filter(|run| !run.is_empty());
        first.into_iter().chain(&self.rest)
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.first.iter().chain(self.rest.iter().flatten())
    }

    /// The runs themselves.
    pub fn into_runs(self) -> impl Iterator<Item = Entries> {
        let first = Some(self.first).filter(|run| !run.is_empty());
        first.into_iter().chain(self.rest)
    }

    /// How many entries.
    pub fn len(&self) -> usize {
        self.runs().map(|run| run.len()).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The last entry.
    pub fn last(&self) -> Option<&Entry> {
        self.rest.last().unwrap_or(&self.first).last()
    }
}

impl From<Entries> for Runs {
    fn from(run: Entries) -> Self {
        Self {
            first: run,
            rest: Vec::new(),
        }
    }
}

impl PartialEq for Runs {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Runs {}
