//! What a reader checks over a whole tree, beyond each page by itself.

use super::layout::Layout;
use super::manifest::{SegmentKind, Totals};
use super::tree::{Item, Kind, PageRef};
use crate::limits::TREE_DEPTH_MAX;

/// Counts a tree while it is read in walk order, and refuses what no honest maker
/// writes: pages or data used twice (a small snapshot that unfolds into endless
/// files), links to files that did not come yet, totals that do not add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeSummary {
    totals: Totals,
    layout: Layout,
    link_groups: u64,
    page_bytes: u64,
    /// Where the data of the last file ended. Files lie in walk order; bytes
    /// between them belong to reads that were repeated.
    data_end: u64,
}

/// A tree that no honest maker writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTree {
    /// Directories lie too deep inside each other.
    #[error("directories more than {TREE_DEPTH_MAX} deep")]
    TooDeep,
    /// Pages are used more than once.
    #[error("a directory is used twice")]
    PagesReused,
    /// Names do not ascend across the pages of a directory.
    #[error("the names of a directory are not in order")]
    NamesOutOfOrder,
    /// The data of a file overlaps that of another or lies outside of the stream.
    #[error("the data of a file is not where it belongs")]
    DataMisplaced,
    /// A link group is out of order, or a link comes before its file.
    #[error("a hard link refers to a file that did not come before it")]
    LinkUnknown,
    /// The tree does not have the totals that the manifest states.
    #[error("the tree does not have the stated totals")]
    TotalsDiffer,
}

impl TreeSummary {
    /// Begins before the first root.
    pub fn new(layout: Layout) -> Self {
        Self {
            totals: Totals::default(),
            layout,
            link_groups: 0,
            page_bytes: 0,
            data_end: 0,
        }
    }

    /// What has been counted.
    pub const fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Checks a page before it is read.
    pub fn page(&mut self, page: &PageRef, depth: usize) -> Result<(), BadTree> {
        if depth > TREE_DEPTH_MAX {
            return Err(BadTree::TooDeep);
        }
        self.page_bytes = self.page_bytes.saturating_add(u64::from(page.length));
        if self.page_bytes > self.layout.stream_bytes(SegmentKind::Metadata) {
            return Err(BadTree::PagesReused);
        }
        Ok(())
    }

    /// Checks and counts an item before it is used.
    pub fn item(&mut self, item: &Item) -> Result<(), BadTree> {
        match item {
            Item::HardLink { group } if (1..=self.link_groups).contains(group) => {
                self.totals.hard_links = self.totals.hard_links.saturating_add(1);
            }
            Item::HardLink { .. } => return Err(BadTree::LinkUnknown),
            Item::Node(node) => {
                if let Some(group) = node.link_group {
                    if self.link_groups.checked_add(1) != Some(group) {
                        return Err(BadTree::LinkUnknown);
                    }
                    self.link_groups = group;
                }
                self.kind(&node.kind)?;
            }
        }
        Ok(())
    }

    fn kind(&mut self, kind: &Kind) -> Result<(), BadTree> {
        let totals = &mut self.totals;
        let count = match kind {
            Kind::File { size, offset, .. } => {
                let length = kind.data_bytes().ok_or(BadTree::DataMisplaced)?;
                if length > 0 {
                    let end = offset.saturating_add(length);
                    let stream_bytes = self.layout.stream_bytes(SegmentKind::Data);
                    if *offset < self.data_end || end > stream_bytes {
                        return Err(BadTree::DataMisplaced);
                    }
                    self.data_end = end;
                }
                totals.file_bytes = totals.file_bytes.saturating_add(*size);
                totals.data_bytes = totals.data_bytes.saturating_add(length);
                &mut totals.files
            }
            Kind::Directory { .. } => &mut totals.directories,
            Kind::Symlink { .. } => &mut totals.symlinks,
            Kind::Fifo | Kind::Socket | Kind::CharDevice { .. } | Kind::BlockDevice { .. } => {
                &mut totals.specials
            }
        };
        *count = count.saturating_add(1);
        Ok(())
    }

    /// Checks the end of the last root: everything that the manifest states has
    /// come, and every page has been read.
    pub fn finish(self, stated: &Totals) -> Result<(), BadTree> {
        if self.totals != *stated {
            return Err(BadTree::TotalsDiffer);
        }
        if self.page_bytes != self.layout.stream_bytes(SegmentKind::Metadata) {
            return Err(BadTree::TotalsDiffer);
        }
        Ok(())
    }
}
