//! From entries to encoded pages.

use alloc::vec::Vec;

use bytes::Bytes;

use super::tree::{Entry, PAGE_VERSION};
use crate::codec::Writer;
use crate::limits::{TREE_PAGE_BYTES_MAX, TREE_PAGE_BYTES_TARGET};

/// Collects the entries of one directory, in ascending order of names, and cuts
/// them into encoded pages. Each entry is encoded once, as it comes.
#[derive(Debug, Default)]
pub struct PageBuilder {
    /// The encoded entries of the open page.
    body: Writer,
    count: u32,
    last_name: Option<Bytes>,
}

impl PageBuilder {
    /// Adds the next entry; returns a finished page when one is full. Names must
    /// ascend strictly, over all pages: anything else is a bug and panics.
    pub fn push(&mut self, entry: &Entry) -> Option<Bytes> {
        let ascends = self
            .last_name
            .as_ref()
            .is_none_or(|last| *last < entry.name);
        assert!(ascends, "the entries of a directory ascend");
        self.last_name = Some(entry.name.clone());
        self.body.put(entry);
        self.count = self.count.checked_add(1).expect("a page is small");
        if self.body.len() < TREE_PAGE_BYTES_TARGET {
            return None;
        }
        self.finish()
    }

    /// The open page, if it has any entries.
    pub fn finish(&mut self) -> Option<Bytes> {
        if self.count == 0 {
            return None;
        }
        let mut page = Writer::with_capacity(self.body.len().saturating_add(5));
        page.u8(PAGE_VERSION);
        page.u32(self.count);
        page.raw(self.body.as_slice());
        self.body.clear();
        self.count = 0;
        let page: Vec<u8> = page.into_vec();
        assert!(page.len() <= TREE_PAGE_BYTES_MAX, "limits.rs proves it");
        Some(page.into())
    }
}
