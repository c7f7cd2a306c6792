//! Owner, extended attributes, permissions and times of a restored file.

use std::os::fd::BorrowedFd;

use decube_core::snapshot::{Attributes, Timestamp};
use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags, chmodat, chownat,
    fchmod, fchown, fsetxattr, futimens, utimensat,
};
use rustix::io::Errno;

/// Sets everything on an open file or directory. What the system refuses to this
/// user is described in the result; the rest is set all the same.
pub(super) fn set_open(
    file: BorrowedFd<'_>,
    attributes: &Attributes,
    as_root: bool,
) -> Vec<String> {
    let mut refused = Refused::default();
    if as_root {
        let (uid, gid) = owner(attributes);
        refused.check("owner", fchown(file, Some(uid), Some(gid)));
    }
    for xattr in &attributes.xattrs {
        let set = fsetxattr(file, &*xattr.name, &xattr.value, XattrFlags::empty());
        let name = String::from_utf8_lossy(&xattr.name);
        refused.check(&format!("attribute {name}"), set);
    }
    let mode = Mode::from_raw_mode(attributes.mode);
    refused.check("permissions", fchmod(file, mode));
    let times = timestamps(attributes.modified);
    refused.check("time", futimens(file, &times));
    refused.0
}

/// Sets everything on a name that cannot be opened without side effects: a pipe,
/// a socket, a device, or a link, which has no permissions of its own.
pub(super) fn set_named(
    directory: BorrowedFd<'_>,
    name: &[u8],
    attributes: &Attributes,
    is_link: bool,
    as_root: bool,
) -> Vec<String> {
    let mut refused = Refused::default();
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    if as_root {
        let (uid, gid) = owner(attributes);
        refused.check(
            "owner",
            chownat(directory, name, Some(uid), Some(gid), flags),
        );
    }
    if !is_link {
        let mode = Mode::from_raw_mode(attributes.mode);
        // The name was made by this process a moment ago and is no link.
        refused.check(
            "permissions",
            chmodat(directory, name, mode, AtFlags::empty()),
        );
    }
    let times = timestamps(attributes.modified);
    refused.check("time", utimensat(directory, name, &times, flags));
    refused.0
}

/// What the system refused.
#[derive(Default)]
struct Refused(Vec<String>);

impl Refused {
    fn check(&mut self, what: &str, result: Result<(), Errno>) {
        if let Err(error) = result {
            self.0.push(format!("{what} not set: {error}"));
        }
    }
}

fn owner(attributes: &Attributes) -> (Uid, Gid) {
    (Uid::from_raw(attributes.uid), Gid::from_raw(attributes.gid))
}

/// The time of the last access is not part of a snapshot.
fn timestamps(modified: Timestamp) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: modified.seconds,
            tv_nsec: modified.nanos.into(),
        },
    }
}
