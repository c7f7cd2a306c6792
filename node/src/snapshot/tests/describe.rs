//! An independent description of a directory tree: nothing of the code under test
//! is used here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// Everything about one file that a restore must bring back.
#[derive(Debug, PartialEq, Eq)]
pub struct Description {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    size: u64,
    content: Vec<u8>,
    link_target: Option<PathBuf>,
    device: u64,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first path, in order, that names the same file.
    first_name: PathBuf,
}

/// Describes a tree, by path relative to its root.
pub fn describe(root: &Path) -> BTreeMap<PathBuf, Description> {
    let mut tree = BTreeMap::new();
    let mut inodes = BTreeMap::new();
    visit(root, Path::new(""), &mut inodes, &mut tree);
    tree
}

fn visit(
    root: &Path,
    relative: &Path,
    inodes: &mut BTreeMap<u64, PathBuf>,
    tree: &mut BTreeMap<PathBuf, Description>,
) {
    let path = match relative.as_os_str().is_empty() {
        true => root.to_path_buf(),
        false => root.join(relative),
    };
    let metadata = fs::symlink_metadata(&path).unwrap();
    let file_type = metadata.file_type();
    let kind = match () {
        () if file_type.is_file() => "file",
        () if file_type.is_dir() => "directory",
        () if file_type.is_symlink() => "link",
        () if file_type.is_fifo() => "pipe",
        () if file_type.is_socket() => "socket",
        () if file_type.is_char_device() => "character device",
        () => "block device",
    };
    let is_directory = kind == "directory";
    let first_name = match is_directory {
        true => relative.to_path_buf(),
        false => inodes
            .entry(metadata.ino())
            .or_insert(relative.to_path_buf())
            .clone(),
    };
    let readable = is_directory || kind == "file";
    let description = Description {
        kind,
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        size: if is_directory { 0 } else { metadata.len() },
        content: match kind {
            "file" => fs::read(&path).unwrap(),
            _ => Vec::new(),
        },
        link_target: fs::read_link(&path).ok(),
        device: metadata.rdev(),
        xattrs: if readable {
            xattrs(&path)
        } else {
            BTreeMap::new()
        },
        first_name,
    };
    tree.insert(relative.to_path_buf(), description);
    if is_directory {
        let mut names: Vec<OsString> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        for name in names {
            visit(root, &relative.join(name), inodes, tree);
        }
    }
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 1 << 16];
    let Ok(length) = rustix::fs::listxattr(path, &mut names[..]) else {
        return BTreeMap::new();
    };
    let names = names[..length].split(|byte| *byte == 0);
    names
        .filter(|name| !name.is_empty())
        .map(|name| {
            let mut value = vec![0; 1 << 16];
            let length = rustix::fs::getxattr(path, name, &mut value[..]).unwrap();
            value.truncate(length);
            (name.to_vec(), value)
        })
        .collect()
}
