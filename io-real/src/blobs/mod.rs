//! The local content-addressed store: segments of snapshots and of objects as
//! plain files, named by the SHA-256 of their bytes.
//!
//! ```text
//! FORMAT             what this directory is
//! lock               held by the one process that has the store open
//! tmp/               unfinished writes; emptied when the store is opened
//! seg/aa/bb/<name>   the blobs: 64 hexadecimal digits, aa and bb the first four
//! quarantine/        blobs whose bytes no longer have their name
//! ```
//!
//! **Durability.** A put writes to `tmp/` under a name of its own, hashes the
//! bytes as they pass, compares the hash, `fdatasync`s, renames, and syncs the
//! directory and each parent that may not be on the disk yet. Only then is it
//! acknowledged. Any error on the way removes what was written: after a failed
//! write or sync nobody knows what is on the disk, so nothing is retried and the
//! bytes must come from the caller again.
//!
//! **Visibility.** A blob is reported present ([`BlobStore::stat`]) only when it
//! is durable: publishing holds a lock that `stat` takes too, and opening a store
//! syncs the file system once, because a crashed process may have left a renamed
//! file whose directory was not synced. Otherwise a client would skip an upload
//! that a power failure then undoes.
//!
//! **Integrity.** A put never trusts a blob that is there already: it hashes it
//! and replaces it if it is damaged. Damaged blobs are moved to `quarantine/`,
//! never deleted and never served by [`BlobStore::read`].
//!
//! **Space.** Puts are refused while the file system has less free than
//! [`BlobConfig::reserve_bytes`], so that the other files of a node (its log
//! above all) can still grow when the store is full.
//!
//! **Limits.** One process opens a store. There is no index: presence is a file.
//! All blocking work runs on tokio's blocking threads, at most
//! [`BlobConfig::writes_max`] puts at once.
//!
//! | file | holds |
//! |---|---|
//! | `store.rs` | [`BlobStore`]: open, stat, list, delete |
//! | `put.rs` | writing |
//! | `get.rs` | reading, verification, quarantine |
//! | `directory.rs` | paths and directory syncs |
//! | `error.rs` | [`BlobError`] |

mod directory;
mod error;
mod get;
mod put;
mod store;

#[cfg(test)]
mod tests;

pub use error::BlobError;
pub use get::BlobReader;
pub use put::Stored;
pub use store::{BlobConfig, BlobStat, BlobStore};
