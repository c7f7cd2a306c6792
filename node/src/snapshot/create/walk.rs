//! Walks the sources and turns every file into an item of the tree.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use decube_core::limits::{
    SNAPSHOT_OMISSIONS_MAX, SNAPSHOT_PATH_BYTES_MAX, TREE_DEPTH_MAX, TREE_LINK_BYTES_MAX,
    TREE_PAGES_MAX,
};
use decube_core::snapshot::{
    Entry, Extent, Item, Kind, Node, Omission, PageBuilder, PageRef, Root, SegmentId, Totals,
    name_is_valid,
};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use super::super::progress::Progress;
use super::super::stat::{FileStat, read_xattrs};
use super::content::{ContentError, read_content};
use super::packer::{Packer, Stopped};
use super::sources::Source;

/// Attempts to read a file that changes under the walk.
const ATTEMPTS: u32 = 3;

/// What the walk found.
#[derive(Debug)]
pub(super) struct Walked {
    pub roots: Vec<Root>,
    pub totals: Totals,
    pub omissions: Vec<Omission>,
    /// Whether there were more omissions than can be listed.
    pub omissions_cut: bool,
}

/// The walk: one thread that reads files in order.
pub(super) struct Walker {
    pub packer: Packer,
    pub progress: Arc<Progress>,
    pub cancelled: Arc<AtomicBool>,
    pub one_file_system: bool,
    /// Called after a file was read and before it is checked for changes.
    #[cfg(test)]
    pub probe: Option<super::Probe>,
    links: BTreeMap<(u64, u64), u64>,
    totals: Totals,
    omissions: Vec<Omission>,
    omissions_cut: bool,
    /// The path of the file that is being visited, for messages.
    path: Vec<u8>,
    root_device: u64,
}

/// How an attempt at one file failed.
enum Failure {
    /// The file changed while it was read.
    Changed,
    /// It cannot be stored, for a reason.
    Failed(String),
    /// The upload stopped, or the user did.
    Stopped,
}

/// An item, or nothing if the file was left out and listed.
type Visited = Result<Option<Item>, Stopped>;

impl Walker {
    pub(super) fn new(packer: Packer, progress: Arc<Progress>, cancelled: Arc<AtomicBool>) -> Self {
        Self {
            packer,
            progress,
            cancelled,
            one_file_system: false,
            #[cfg(test)]
            probe: None,
            links: BTreeMap::new(),
            totals: Totals::default(),
            omissions: Vec::new(),
            omissions_cut: false,
            path: Vec::new(),
            root_device: 0,
        }
    }

    /// Walks all sources. A source that cannot be stored at all is left out of
    /// the roots and listed.
    pub(super) fn run(mut self, sources: &[Source]) -> Result<Walked, Stopped> {
        let mut roots = Vec::new();
        for source in sources {
            self.path = source.given.as_os_str().as_bytes().to_vec();
            let given = self.path.clone();
            if let Some(item) = self.visit(CWD, &given, 0)? {
                roots.push(Root {
                    source: given.into(),
                    path: source.path.clone().into(),
                    item,
                });
            }
        }
        self.packer.finish()?;
        Ok(Walked {
            roots,
            totals: self.totals,
            omissions: self.omissions,
            omissions_cut: self.omissions_cut,
        })
    }

    /// Stores one file of any kind. `name` is relative to `parent`; only the name
    /// of a root has several components.
    fn visit(&mut self, parent: BorrowedFd<'_>, name: &[u8], depth: usize) -> Visited {
        for _ in 0..ATTEMPTS {
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(Stopped);
            }
            match self.attempt(parent, name, depth) {
                Ok(item) => {
                    self.count(&item);
                    return Ok(Some(item));
                }
                Err(Failure::Changed) => {}
                // What is certain needs no further attempt.
                Err(failure) => return self.give_up(failure),
            }
        }
        self.give_up(Failure::Changed)
    }

    /// Lists a file that could not be stored.
    fn give_up(&mut self, failure: Failure) -> Visited {
        match failure {
            Failure::Stopped => return Err(Stopped),
            Failure::Changed => self.omit("it kept changing while it was read"),
            Failure::Failed(reason) => self.omit(&reason),
        }
        Ok(None)
    }

    fn omit(&mut self, reason: &str) {
        if self.omissions.len() == SNAPSHOT_OMISSIONS_MAX {
            self.omissions_cut = true;
            return;
        }
        let length = self.path.len().min(SNAPSHOT_PATH_BYTES_MAX);
        self.omissions.push(Omission {
            path: Bytes::copy_from_slice(&self.path[..length]),
            reason: Bytes::copy_from_slice(reason.as_bytes()),
        });
    }

    fn attempt(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        depth: usize,
    ) -> Result<Item, Failure> {
        // Only a root can end with a slash; then the directory behind a link is
        // meant.
        let flags = match name.ends_with(b"/") {
            true => AtFlags::empty(),
            false => AtFlags::SYMLINK_NOFOLLOW,
        };
        let stat: FileStat = statat(parent, name, flags).map_err(vanished)?.into();
        if stat.kind == FileType::Directory {
            return self.directory(parent, name, depth).map(Item::Node);
        }
        let key = (stat.device, stat.inode);
        if stat.links > 1
            && let Some(group) = self.links.get(&key)
        {
            return Ok(Item::HardLink { group: *group });
        }
        let mut node = self.leaf(parent, name, &stat)?;
        if stat.links > 1 {
            let group = u64::try_from(self.links.len()).unwrap_or(u64::MAX) + 1;
            self.links.insert(key, group);
            node.link_group = Some(group);
        }
        Ok(Item::Node(node))
    }

    /// Anything but a directory.
    fn leaf(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        stat: &FileStat,
    ) -> Result<Node, Failure> {
        let (major, minor) = stat.device_numbers;
        let kind = match stat.kind {
            FileType::RegularFile => return self.file(parent, name, stat),
            FileType::Symlink => {
                let target = readlinkat(parent, name, Vec::new()).map_err(vanished)?;
                let target = target.into_bytes();
                if target.is_empty() || target.len() > TREE_LINK_BYTES_MAX {
                    return Err(Failure::Failed("its target is too long".to_owned()));
                }
                Kind::Symlink {
                    target: target.into(),
                }
            }
            FileType::Fifo => Kind::Fifo,
            FileType::Socket => Kind::Socket,
            FileType::CharacterDevice => Kind::CharDevice { major, minor },
            FileType::BlockDevice => Kind::BlockDevice { major, minor },
            FileType::Directory | FileType::Unknown => {
                return Err(Failure::Failed("it is of an unknown kind".to_owned()));
            }
        };
        Ok(Node {
            attributes: stat.attributes(Vec::new()),
            link_group: None,
            kind,
        })
    }

    /// A regular file: stat, read, stat again.
    fn file(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        stat: &FileStat,
    ) -> Result<Node, Failure> {
        // Not blocking: the file may be replaced by a pipe in this moment.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = File::from(open_quietly(parent, name, flags)?);
        let before: FileStat = fstat(&file).map_err(failed)?.into();
        if !before.is_same_state(stat) {
            return Err(Failure::Changed);
        }
        let xattrs = read_xattrs(&file).map_err(Failure::Failed)?;
        let start = self.packer.data_position();
        let extents = self.content(&mut file, &before).inspect_err(|_| {
            self.packer.rewind_data(start);
        })?;
        self.progress.add_file();
        Ok(Node {
            attributes: before.attributes(xattrs),
            link_group: None,
            kind: Kind::File {
                size: before.size,
                offset: if extents.is_empty() { 0 } else { start },
                extents,
            },
        })
    }

    fn content(&mut self, file: &mut File, before: &FileStat) -> Result<Vec<Extent>, Failure> {
        let (progress, cancelled) = (&self.progress, &self.cancelled);
        let mut heard = |count| {
            progress.add_bytes(count);
            match cancelled.load(Ordering::Relaxed) {
                true => Err(Stopped),
                false => Ok(()),
            }
        };
        let read = read_content(file, before, &mut self.packer, &mut heard);
        let extents = read.map_err(|error| match error {
            ContentError::Changed => Failure::Changed,
            ContentError::Failed(reason) => Failure::Failed(reason),
            ContentError::Stopped => Failure::Stopped,
        })?;
        #[cfg(test)]
        if let Some(probe) = &self.probe {
            probe(&self.path).map_err(|error| Failure::Failed(error.to_string()))?;
        }
        let after: FileStat = fstat(&*file).map_err(failed)?.into();
        match after.is_same_state(before) {
            true => Ok(extents),
            false => Err(Failure::Changed),
        }
    }

    fn directory(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        depth: usize,
    ) -> Result<Node, Failure> {
        if depth >= TREE_DEPTH_MAX {
            let reason = format!("directories are more than {TREE_DEPTH_MAX} deep");
            return Err(Failure::Failed(reason));
        }
        let mut flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if !name.ends_with(b"/") {
            flags |= OFlags::NOFOLLOW;
        }
        let directory = open_quietly(parent, name, flags)?;
        let before: FileStat = fstat(&directory).map_err(failed)?.into();
        let xattrs = read_xattrs(&directory).map_err(Failure::Failed)?;
        let mut names = Vec::new();
        if depth == 0 {
            self.root_device = before.device;
        }
        // A file system mounted here is left out with its mount point kept.
        if !self.one_file_system || before.device == self.root_device {
            names = list(&directory)?;
        }
        let after: FileStat = fstat(&directory).map_err(failed)?.into();
        if !after.is_same_state(&before) {
            return Err(Failure::Changed);
        }
        let pages = self.entries(directory.as_fd(), names, depth)?;
        Ok(Node {
            attributes: before.attributes(xattrs),
            link_group: None,
            kind: Kind::Directory { pages },
        })
    }

    /// Stores the entries of a directory and then its pages.
    fn entries(
        &mut self,
        directory: BorrowedFd<'_>,
        names: Vec<Vec<u8>>,
        depth: usize,
    ) -> Result<Vec<PageRef>, Failure> {
        let mut builder = PageBuilder::default();
        let mut pages = Vec::new();
        for name in names {
            let length = self.path.len();
            if !self.path.ends_with(b"/") {
                self.path.push(b'/');
            }
            self.path.extend_from_slice(&name);
            let item = match name_is_valid(&name) {
                true => self.visit(directory, &name, depth + 1),
                false => {
                    self.omit("its name is too long");
                    Ok(None)
                }
            };
            self.path.truncate(length);
            let Some(item) = item.map_err(|Stopped| Failure::Stopped)? else {
                continue;
            };
            let name = name.into();
            if let Some(page) = builder.push(&Entry { name, item }) {
                pages.push(self.page(&page)?);
            }
        }
        if let Some(page) = builder.finish() {
            pages.push(self.page(&page)?);
        }
        assert!(
            pages.len() <= TREE_PAGES_MAX,
            "more names than memory holds"
        );
        Ok(pages)
    }

    fn page(&mut self, page: &[u8]) -> Result<PageRef, Failure> {
        let offset = self.packer.metadata(page);
        Ok(PageRef {
            offset: offset.map_err(|Stopped| Failure::Stopped)?,
            length: u32::try_from(page.len()).expect("the builder bounds pages"),
            hash: SegmentId::of(page),
        })
    }

    fn count(&mut self, item: &Item) {
        let totals = &mut self.totals;
        let count = match item {
            Item::HardLink { .. } => &mut totals.hard_links,
            Item::Node(node) => match &node.kind {
                Kind::File { size, .. } => {
                    let data_bytes = node.kind.data_bytes().expect("bounded by the disk");
                    totals.file_bytes = totals.file_bytes.saturating_add(*size);
                    totals.data_bytes = totals.data_bytes.saturating_add(data_bytes);
                    &mut totals.files
                }
                Kind::Directory { .. } => &mut totals.directories,
                Kind::Symlink { .. } => &mut totals.symlinks,
                Kind::Fifo | Kind::Socket | Kind::CharDevice { .. } | Kind::BlockDevice { .. } => {
                    &mut totals.specials
                }
            },
        };
        *count += 1;
    }
}

/// Opens without changing the time of the last access where that is allowed.
fn open_quietly(parent: BorrowedFd<'_>, name: &[u8], flags: OFlags) -> Result<OwnedFd, Failure> {
    match openat(parent, name, flags | OFlags::NOATIME, Mode::empty()) {
        // Only the owner may.
        Err(Errno::PERM) => openat(parent, name, flags, Mode::empty()).map_err(vanished),
        opened => opened.map_err(vanished),
    }
}

/// The names in a directory, sorted as raw bytes.
fn list(directory: &OwnedFd) -> Result<Vec<Vec<u8>>, Failure> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    names.sort_unstable();
    // A directory that changes while it is listed may show a name twice.
    names.dedup();
    Ok(names)
}

fn failed(error: Errno) -> Failure {
    Failure::Failed(error.to_string())
}

/// The error of an operation on a name that was listed a moment ago.
fn vanished(error: Errno) -> Failure {
    match error {
        Errno::NOENT => Failure::Failed("it vanished while the snapshot was taken".to_owned()),
        // It was replaced by a symbolic link or by something else.
        Errno::LOOP | Errno::NOTDIR => Failure::Changed,
        error => failed(error),
    }
}
