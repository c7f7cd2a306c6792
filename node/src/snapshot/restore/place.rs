//! Puts the items of a tree where they belong.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use decube_core::snapshot::{
    Extent, Item, Kind, Manifest, Node, PageRef, Root, SegmentKind, SnapshotId, name_is_valid,
};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, fstat, ftruncate, linkat, makedev, mkdirat, mknodat, openat,
    renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::super::error::{FetchError, SnapshotError};
use super::super::fetch::TreeReader;
use super::super::progress::Progress;
use super::super::remote::Remote;
use super::attributes::{set_named, set_open};
use super::target::Target;

/// Notes that are kept in full; the rest is only counted.
const NOTES_MAX: usize = 100;

const OPEN_DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Writes a tree in walk order.
pub(super) struct Placer<'a, R> {
    tree: TreeReader<R>,
    id: &'a SnapshotId,
    target: &'a Target,
    progress: &'a Progress,
    cancelled: &'a AtomicBool,
    as_root: bool,
    /// Where the first name of each link group is, below the target.
    links: BTreeMap<u64, Vec<u8>>,
    notes: Vec<String>,
    notes_left_out: u64,
    owners_left_out: bool,
    /// The path below the target of what is being placed.
    path: Vec<u8>,
    next_temporary: u64,
}

type Placed = Result<(), SnapshotError>;

impl<'a, R: Remote> Placer<'a, R> {
    pub(super) fn new(
        tree: TreeReader<R>,
        manifest: &'a Manifest,
        target: &'a Target,
        progress: &'a Progress,
        cancelled: &'a AtomicBool,
    ) -> Self {
        Self {
            tree,
            id: &manifest.id,
            target,
            progress,
            cancelled,
            as_root: geteuid().is_root(),
            links: BTreeMap::new(),
            notes: Vec::new(),
            notes_left_out: 0,
            owners_left_out: false,
            path: Vec::new(),
            next_temporary: 0,
        }
    }

    /// Restores one root.
    pub(super) fn root(&mut self, root: &Root) -> Placed {
        self.tree
            .root(&root.item)
            .map_err(|error| self.damaged(error))?;
        let target = self.target;
        let mut directory = target
            .directory()
            .try_clone_to_owned()
            .map_err(SnapshotError::disk("open", target.path()))?;
        self.path.clear();
        let mut names = root.path.split(|byte| *byte == b'/').peekable();
        if root.path.is_empty() {
            return match &root.item {
                Item::Node(node) if matches!(node.kind, Kind::Directory { .. }) => {
                    self.directory_content(directory.as_fd(), node, 1)
                }
                _ => Err(self.damaged(FetchError::Tree(
                    "a root without a name is not a directory".to_owned(),
                ))),
            };
        }
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                return self.item(directory.as_fd(), name, &root.item, 1);
            }
            self.enter(name);
            // Above the root: not part of the snapshot, so ordinary permissions.
            directory = self.make_directory(directory.as_fd(), name, Mode::from_raw_mode(0o755))?;
        }
        Ok(())
    }

    /// Checks that the tree is complete; what could not be restored as it was.
    pub(super) fn finish(mut self) -> Result<Vec<String>, SnapshotError> {
        self.tree.finish().map_err(|error| self.damaged(error))?;
        if self.owners_left_out {
            self.notes
                .push("owners and groups are restored only by root".to_owned());
        }
        if self.notes_left_out > 0 {
            self.notes
                .push(format!("and {} more of these", self.notes_left_out));
        }
        Ok(self.notes)
    }

    fn item(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        item: &Item,
        depth: usize,
    ) -> Placed {
        // The decoders have refused every other name; a write outside of the
        // target would be so bad that it is checked where it would happen.
        assert!(name_is_valid(name));
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(SnapshotError::Interrupted);
        }
        let length = self.path.len();
        self.enter(name);
        match item {
            Item::HardLink { group } => self.hard_link(directory, name, *group)?,
            Item::Node(node) => {
                self.node(directory, name, node, depth)?;
                if let Some(group) = node.link_group {
                    self.links.insert(group, self.path.clone());
                }
            }
        }
        self.path.truncate(length);
        Ok(())
    }

    fn node(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        node: &Node,
        depth: usize,
    ) -> Placed {
        match &node.kind {
            Kind::Directory { .. } => {
                let made = self.make_directory(directory, name, Mode::from_raw_mode(0o700))?;
                self.directory_content(made.as_fd(), node, depth)
            }
            Kind::File {
                size,
                offset,
                extents,
            } => self.file(directory, name, node, *size, *offset, extents),
            Kind::Symlink { target } => {
                self.replace(directory, name, |name| {
                    symlinkat(&**target, directory, name)
                })?;
                self.named_attributes(directory, name, node, true);
                Ok(())
            }
            Kind::Fifo => self.special(directory, name, node, FileType::Fifo, (0, 0)),
            Kind::Socket => self.special(directory, name, node, FileType::Socket, (0, 0)),
            Kind::CharDevice { major, minor } => {
                let numbers = (*major, *minor);
                self.special(directory, name, node, FileType::CharacterDevice, numbers)
            }
            Kind::BlockDevice { major, minor } => {
                let numbers = (*major, *minor);
                self.special(directory, name, node, FileType::BlockDevice, numbers)
            }
        }
    }

    /// The entries of a directory, then its own attributes.
    fn directory_content(
        &mut self,
        directory: BorrowedFd<'_>,
        node: &Node,
        depth: usize,
    ) -> Placed {
        let Kind::Directory { pages } = &node.kind else {
            unreachable!("the callers match on the kind")
        };
        self.entries(directory, pages, depth)?;
        let refused = set_open(directory, &node.attributes, self.as_root);
        self.note_refused(refused);
        Ok(())
    }

    fn entries(&mut self, directory: BorrowedFd<'_>, pages: &[PageRef], depth: usize) -> Placed {
        let mut last_name = None;
        for page in pages {
            let page = self.tree.page(page, &mut last_name, depth);
            for entry in page.map_err(|error| self.damaged(error))? {
                let admitted = self.tree.admit(&entry);
                admitted.map_err(|error| self.damaged(error))?;
                self.item(directory, &entry.name, &entry.item, depth + 1)?;
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        node: &Node,
        size: u64,
        offset: u64,
        extents: &[Extent],
    ) -> Placed {
        let (file, temporary) = self.create_file(directory, name)?;
        let written = self.file_content(&file, size, offset, extents);
        if written.is_ok() {
            let refused = set_open(file.as_fd(), &node.attributes, self.as_root);
            self.note_refused(refused);
        }
        let Some(temporary) = temporary else {
            return written;
        };
        let temporary = temporary.as_bytes();
        let renamed = written.and_then(|()| {
            renameat(directory, temporary, directory, name).map_err(self.disk("replace"))
        });
        if renamed.is_err() {
            // The first error is the one to report.
            let _ = unlinkat(directory, temporary, AtFlags::empty());
        }
        renamed
    }

    /// Creates a file under its name, or under a temporary one if that is taken.
    fn create_file(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
    ) -> Result<(File, Option<String>), SnapshotError> {
        let create = |name: &[u8]| {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(directory, name, flags, Mode::from_raw_mode(0o600)).map(File::from)
        };
        match create(name) {
            Ok(file) => return Ok((file, None)),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(self.disk("create")(error)),
        }
        self.refuse_directory(directory, name)?;
        let temporary = self.temporary_name();
        let file = create(temporary.as_bytes()).map_err(self.disk("create"))?;
        Ok((file, Some(temporary)))
    }

    fn file_content(&mut self, file: &File, size: u64, offset: u64, extents: &[Extent]) -> Placed {
        let failed = self.disk("write");
        ftruncate(file, size).map_err(&failed)?;
        let (progress, cancelled) = (self.progress, self.cancelled);
        let mut from = offset;
        for extent in extents {
            let mut at = extent.start;
            let write = |bytes: &[u8]| {
                if cancelled.load(Ordering::Relaxed) {
                    return Err(SnapshotError::Interrupted);
                }
                file.write_all_at(bytes, at)
                    .map_err(|error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
                let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                at += count;
                progress.add_bytes(count);
                Ok(())
            };
            let fetcher = &mut self.tree.fetcher;
            fetcher.pieces(SegmentKind::Data, from, extent.length, write, self.id)?;
            from += extent.length;
        }
        Ok(())
    }

    fn hard_link(&mut self, directory: BorrowedFd<'_>, name: &[u8], group: u64) -> Placed {
        let Some(first) = self.links.get(&group).cloned() else {
            // The first name was a device that only root can make.
            self.note("not restored: it is a link to a file that was not".to_owned());
            return Ok(());
        };
        let (parent, first) = self.open_parent(&first)?;
        self.replace(directory, name, |name| {
            linkat(&parent, &*first, directory, name, AtFlags::empty())
        })
    }

    /// Opens the directory of a path below the target, component by component
    /// without following links; also returns the last name.
    fn open_parent(&self, path: &[u8]) -> Result<(OwnedFd, Vec<u8>), SnapshotError> {
        let target = self.target;
        let mut directory = target
            .directory()
            .try_clone_to_owned()
            .map_err(SnapshotError::disk("open", target.path()))?;
        let mut names = path.split(|byte| *byte == b'/').peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                return Ok((directory, name.to_vec()));
            }
            let opened = openat(&directory, name, OPEN_DIRECTORY, Mode::empty());
            directory = opened.map_err(self.disk("open the directory of"))?;
        }
        unreachable!("splitting yields at least one name")
    }

    fn special(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        node: &Node,
        kind: FileType,
        (major, minor): (u32, u32),
    ) -> Placed {
        let is_device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
        if is_device && !self.as_root {
            self.note("not restored: only root can make devices".to_owned());
            return Ok(());
        }
        let mode = Mode::from_raw_mode(0o600);
        self.replace(directory, name, |name| {
            mknodat(directory, name, kind, mode, makedev(major, minor))
        })?;
        self.named_attributes(directory, name, node, false);
        Ok(())
    }

    /// Makes a directory, or opens the one that is there (as `force` allows).
    /// Anything else of that name is removed.
    fn make_directory(
        &mut self,
        parent: BorrowedFd<'_>,
        name: &[u8],
        mode: Mode,
    ) -> Result<OwnedFd, SnapshotError> {
        match mkdirat(parent, name, mode) {
            Err(Errno::EXIST) => {
                let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
                let stat = stat.map_err(self.disk("read"))?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    let removed = unlinkat(parent, name, AtFlags::empty());
                    removed.map_err(self.disk("replace"))?;
                    mkdirat(parent, name, mode).map_err(self.disk("create"))?;
                }
            }
            made => made.map_err(self.disk("create"))?,
        }
        let opened = openat(parent, name, OPEN_DIRECTORY, Mode::empty());
        let opened = opened.map_err(self.disk("open"))?;
        let stat = fstat(&opened).map_err(self.disk("read"))?;
        assert_eq!(FileType::from_raw_mode(stat.st_mode), FileType::Directory);
        Ok(opened)
    }

    /// Makes a name by a call that fails if it is taken; what is there, if it is
    /// no directory, is replaced by one rename.
    fn replace(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        make: impl Fn(&[u8]) -> Result<(), Errno>,
    ) -> Placed {
        match make(name) {
            Err(Errno::EXIST) => {}
            made => return made.map_err(self.disk("create")),
        }
        self.refuse_directory(directory, name)?;
        let temporary = self.temporary_name();
        let temporary = temporary.as_bytes();
        make(temporary).map_err(self.disk("create"))?;
        let renamed = renameat(directory, temporary, directory, name);
        // Renaming between two names of one file does nothing and succeeds.
        let _ = unlinkat(directory, temporary, AtFlags::empty());
        renamed.map_err(self.disk("replace"))
    }

    /// A directory in the way of a file may hold anything: it is never removed.
    fn refuse_directory(&self, directory: BorrowedFd<'_>, name: &[u8]) -> Placed {
        let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(self.disk("read"))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Err(self.disk("replace")(Errno::ISDIR)),
            _ => Ok(()),
        }
    }

    fn temporary_name(&mut self) -> String {
        self.next_temporary += 1;
        format!(".decube-{}-{}", std::process::id(), self.next_temporary)
    }

    fn named_attributes(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &[u8],
        node: &Node,
        is_link: bool,
    ) {
        let refused = set_named(directory, name, &node.attributes, is_link, self.as_root);
        self.note_refused(refused);
    }

    fn note_refused(&mut self, refused: Vec<String>) {
        self.owners_left_out |= !self.as_root;
        for text in refused {
            self.note(text);
        }
    }

    fn note(&mut self, text: String) {
        if self.notes.len() < NOTES_MAX {
            let path = String::from_utf8_lossy(&self.path);
            self.notes.push(format!("{path}: {text}"));
        } else {
            self.notes_left_out += 1;
        }
    }

    fn enter(&mut self, name: &[u8]) {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
    }

    fn damaged(&self, error: FetchError) -> SnapshotError {
        SnapshotError::fetch(self.id, error)
    }

    /// For `map_err`: names the action and what is being placed.
    fn disk(&self, action: &'static str) -> impl Fn(Errno) -> SnapshotError + use<R> {
        let path: PathBuf = self.target.path().join(OsStr::from_bytes(&self.path));
        move |error| SnapshotError::disk(action, path.clone())(error)
    }
}
