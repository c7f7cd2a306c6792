//! What the system says about a file, and its extended attributes.

use std::os::fd::AsFd;

use bytes::Bytes;
use decube_core::limits::{TREE_XATTR_BYTES_MAX, TREE_XATTR_NAME_BYTES_MAX, TREE_XATTRS_MAX};
use decube_core::snapshot::{Attributes, Timestamp, Xattr};
use rustix::fs::{self, FileType, Stat};
use rustix::io::Errno;

/// The fields of a `stat` call that identify a state of a file: two equal values
/// before and after a read mean, as far as the system can tell, that the content
/// did not change in between. (A write within one tick of the system's clock after
/// another cannot be told from it.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileStat {
    pub device: u64,
    pub inode: u64,
    pub kind: FileType,
    pub size: u64,
    mode: u32,
    uid: u32,
    gid: u32,
    modified: Timestamp,
    changed: Timestamp,
    /// How many names the file has.
    pub links: u64,
    /// Bytes that the file takes on the disk.
    pub disk_bytes: u64,
    /// Major and minor number of a device.
    pub device_numbers: (u32, u32),
}

impl FileStat {
    /// Whether another stat shows the same file in the same state. The time of
    /// the last access may differ, and so may the disk space: a file system may
    /// allocate late.
    pub(super) fn is_same_state(&self, other: &Self) -> bool {
        let comparable = |stat: &Self| Self {
            disk_bytes: 0,
            ..*stat
        };
        comparable(self) == comparable(other)
    }

    /// The attributes of the format, with the extended attributes given.
    pub(super) fn attributes(&self, xattrs: Vec<Xattr>) -> Attributes {
        Attributes {
            mode: self.mode & 0o7777,
            uid: self.uid,
            gid: self.gid,
            modified: self.modified,
            xattrs,
        }
    }
}

impl From<Stat> for FileStat {
    // The types of these fields differ between processors, so some conversions
    // are needed on one and useless on another.
    #[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
    fn from(stat: Stat) -> Self {
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        let time = |seconds: i64, nanos: u64| Timestamp {
            seconds,
            nanos: u32::try_from(nanos).unwrap_or(0).min(999_999_999),
        };
        Self {
            device: u64::from(stat.st_dev),
            inode: u64::from(stat.st_ino),
            kind: FileType::from_raw_mode(stat.st_mode),
            size: number(stat.st_size),
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            modified: time(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed: time(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
            links: u64::from(stat.st_nlink),
            disk_bytes: number(i64::try_from(stat.st_blocks).unwrap_or(0)).saturating_mul(512),
            device_numbers: (fs::major(stat.st_rdev), fs::minor(stat.st_rdev)),
        }
    }
}

/// The extended attributes of an open file, by name. A file system without them
/// has none.
pub(super) fn read_xattrs(file: impl AsFd) -> Result<Vec<Xattr>, String> {
    let file = file.as_fd();
    let names = match grow(|buffer| fs::flistxattr(file, buffer)) {
        Ok(names) => names,
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(error) => return Err(format!("its attributes could not be listed: {error}")),
    };
    let mut xattrs = Vec::new();
    let mut value_bytes = 0_usize;
    for name in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let value = match grow(|buffer| fs::fgetxattr(file, name, buffer)) {
            Ok(value) => value,
            // Removed in this moment; the second stat will tell.
            Err(Errno::NODATA) => continue,
            Err(error) => return Err(format!("an attribute could not be read: {error}")),
        };
        value_bytes = value_bytes.saturating_add(value.len());
        xattrs.push(Xattr {
            name: Bytes::copy_from_slice(name),
            value: value.into(),
        });
    }
    let names_fit = xattrs
        .iter()
        .all(|xattr| xattr.name.len() <= TREE_XATTR_NAME_BYTES_MAX);
    if xattrs.len() > TREE_XATTRS_MAX || value_bytes > TREE_XATTR_BYTES_MAX || !names_fit {
        return Err("it has too many or too large extended attributes".to_owned());
    }
    xattrs.sort_by(|one, next| one.name.cmp(&next.name));
    Ok(xattrs)
}

/// Calls with a growing buffer until the result fits.
fn grow(mut call: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut buffer = [0; 1024];
    match call(&mut buffer) {
        Ok(length) => return Ok(buffer[..length].to_vec()),
        Err(Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    let mut size = 64 << 10;
    loop {
        let mut buffer = vec![0; size];
        match call(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(Errno::RANGE) if size <= TREE_XATTR_BYTES_MAX => size *= 2,
            Err(error) => return Err(error),
        }
    }
}
