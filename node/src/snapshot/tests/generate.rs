//! Builds directory trees from generated plans.

use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use proptest::collection::vec as vec_of;
use proptest::prelude::*;

/// One step of building a tree. Directories and link targets are chosen among
/// what is there, by number.
#[derive(Debug, Clone)]
pub struct Step {
    directory: usize,
    name: Vec<u8>,
    what: What,
    mode: u32,
    seconds: u64,
    nanos: u32,
}

#[derive(Debug, Clone)]
enum What {
    Directory,
    File(Vec<u8>),
    /// Length, and places at which something is written.
    Sparse(u64, Vec<(u64, u8)>),
    Symlink(Vec<u8>),
    HardLink(usize),
    Fifo,
    Xattr(Vec<u8>),
}

prop_compose! {
    /// Any step. Names are any bytes a file system allows.
    pub fn any_step()(
        directory: usize,
        name in vec_of(1..=255_u8, 1..12).prop_map(|name| name.into_iter().map(|byte| match byte {
            b'/' => b'\n',
            byte => byte,
        }).collect::<Vec<_>>()),
        what in prop_oneof![
            2 => Just(What::Directory),
            4 => vec_of(any::<u8>(), 0..12_000).prop_map(What::File),
            1 => (0..3_000_000_u64, vec_of((0..3_000_000_u64, any::<u8>()), 0..4))
                .prop_map(|(size, places)| What::Sparse(size, places)),
            1 => vec_of(1..=255_u8, 1..40).prop_map(What::Symlink),
            2 => any::<usize>().prop_map(What::HardLink),
            1 => Just(What::Fifo),
            1 => vec_of(any::<u8>(), 0..100).prop_map(What::Xattr),
        ],
        mode in 0..=0o7777_u32,
        seconds in 0..4_000_000_000_u64,
        nanos in 0..1_000_000_000_u32,
    ) -> Step {
        Step { directory, name, what, mode, seconds, nanos }
    }
}

/// Carries out the steps below an empty directory; what the file system refuses
/// (a name that is taken) is left out.
pub fn build(root: &Path, steps: &[Step]) {
    let mut directories = vec![root.to_path_buf()];
    let mut files: Vec<PathBuf> = Vec::new();
    for step in steps {
        let parent = &directories[step.directory % directories.len()];
        let path = parent.join(std::ffi::OsStr::from_bytes(&step.name));
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        match &step.what {
            What::Directory => {
                fs::create_dir(&path).unwrap();
                directories.push(path.clone());
            }
            What::File(content) => fs::write(&path, content).unwrap(),
            What::Sparse(size, places) => {
                let file = File::create(&path).unwrap();
                file.set_len(*size).unwrap();
                for (at, byte) in places {
                    file.write_all_at(&[*byte; 5000], *at).unwrap();
                }
            }
            What::Symlink(target) => {
                symlink(std::ffi::OsStr::from_bytes(target), &path).unwrap();
                continue;
            }
            What::HardLink(number) if !files.is_empty() => {
                fs::hard_link(&files[number % files.len()], &path).unwrap();
                continue;
            }
            What::HardLink(_) => continue,
            What::Fifo => {
                let mode = rustix::fs::Mode::from_raw_mode(0o644);
                rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
                continue;
            }
            What::Xattr(value) => {
                fs::write(&path, b"with an attribute").unwrap();
                let flags = rustix::fs::XattrFlags::empty();
                // Not every file system has them.
                let _ = rustix::fs::setxattr(&path, "user.test", value, flags);
            }
        }
        if !matches!(step.what, What::Directory) {
            files.push(path.clone());
        }
        set_attributes(&path, step);
    }
    // Content changes the times of directories, so they come last.
    for directory in directories.iter().rev() {
        let time = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
        File::open(directory).unwrap().set_modified(time).unwrap();
    }
}

fn set_attributes(path: &Path, step: &Step) {
    let file = File::open(path).unwrap();
    let time = UNIX_EPOCH + Duration::new(step.seconds, step.nanos);
    file.set_modified(time).unwrap();
    // The owner keeps its rights, so that the tests need not run as root.
    let mode = step.mode | 0o600 | if path.is_dir() { 0o700 } else { 0 };
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
