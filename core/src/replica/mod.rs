//! The replicated state of a cluster: what is common to all modules of it, and which
//! modules there are.
//!
//! # Sources
//! - Sessions: Ongaro, *Consensus: Bridging Theory and Practice*, §6.3. Deviations:
//!   a session keeps several answers, so that a client may have several changes on
//!   their way; opening one is idempotent by the client's nonce; a full table
//!   refuses new sessions instead of ending the least recently used one, because
//!   ending a session silently turns a retry into a second change.
//!
//! # Rules
//! - What is kept is kept by a [`Module`], which owns *spaces* (the first byte of the
//!   keys of its pairs) and *tags* (the first byte of its operations and outcomes).
//!   Which there are stands in `modules.rs`.
//! - A module is used only in clusters in which a command has switched it on
//!   ([`Command::Enable`]); what is asked of it before is refused. The first module is
//!   always on. The cluster proposes that command when every voter has the module.
//! - Whatever an entry makes has the entry's index for its id.
//! - Log time is the maximum of all `proposed_at` so far. It is the only clock.
//!   What is due ends at the start of the next entry, by time of end and then by
//!   id, at the revision of that entry.
//! - A refusal leaves no trace: every change is decided before anything is
//!   touched. (A refused change in a session is an answer, and is kept as one.)
//! - A sound state with a space or a tag that no module knows or a switch of one that
//!   this version does not have, and such a command, were written by a newer version.
//!   They are no damage: the owner stops and touches nothing ([`ImageError::Newer`],
//!   [`is_of_newer_version`], [`Replica::is_newer`]), for what this version would skip
//!   newer ones apply.
//!
//! # Layout and persistence
//! The state is one ordered set of pairs, the *image* (`layout.rs`). Whatever
//! changes it goes through the one primitive that sets or removes a pair
//! ([`Ctx::set`], [`Ctx::unset`]), and that primitive also updates the digest and
//! emits the store operation. From this follow: P6 (the operations of an entry,
//! applied position included, are one batch); the snapshot (the image in key order);
//! recovery (read the image, derive the indexes, compare the digest).
//!
//! An installed snapshot is written under a new *generation* beside the old state
//! and takes its place in one batch ([`Replica::replace_ops`]).
//!
//! # The digest
//! The sum modulo 2^256 of the SHA-256 of every pair and of the header (position,
//! log time, revision, counts). It is kept up to date in constant time, does not
//! depend on order, and so is equal on any two nodes that applied the same log.
//! Pairs that differ by a lost write, a flipped bit or a bug collide with
//! probability about 2^-256 per comparison: that is the crash-fault model of Raft,
//! and a mismatch at equal positions is corruption or a bug. It is **not** collision
//! resistant against someone who chooses pairs: sums of hashes fall to Wagner's
//! generalised birthday attack at a cost far below 2^128. So it never leaves the
//! cluster as a proof; what outsiders verify is a Merkle root.
//!
//! # Named invariants (`invariants.rs`)
//! RevisionApplied, OneEndEach, OneNonceEach, Bounds and NothingElse after every
//! entry; Derivable, Digest, Size, Ordered and NothingOverdue by [`Replica::audit`],
//! and what the modules add.
//!
//! # Adversary and bounds
//! Commands, snapshot chunks and store pages may hold anything: decoders are total
//! and bounded, `apply` answers every command, and a snapshot or a store is a state
//! only if every reference in it leads somewhere and its digest is the one
//! announced. The leader's clock is trusted within Raft's crash-fault model: one
//! far in the future ends all leases, and log time does not come back. All bounds
//! are in [`Config`] and in those of the modules. One is soft: the small answers of
//! sessions are kept in a full state (at most 64 bytes each). Holders that end
//! together end in one entry, however much ends with them.
//!
//! | file | holds |
//! |---|---|
//! | `modules.rs` | the table of modules |
//! | `module.rs` | [`Module`]: what one is |
//! | `command.rs` | the vocabulary |
//! | `config.rs` | the limits |
//! | `state.rs` | [`Replica`], and what modules share |
//! | `ctx.rs` | [`Ctx`]: the primitive, as a module sees it |
//! | `apply.rs` | one entry: time, expiry, command |
//! | `session.rs` | answers that are given once |
//! | `switches.rs` | which modules are on |
//! | `cow.rs` | the ordered map with cheap clones |
//! | `digest.rs`, `image.rs` | the sum of hashes, and the pairs that it is over |
//! | `layout.rs` | pairs of the image and keys of the store |
//! | `snapshot.rs` | freezing, chunks, staging, replacing |
//! | `load.rs` | recovery and the checks of a foreign image |
//! | `rules.rs` | the names refusals cite |
//! | `invariants.rs` | what always holds |

mod apply;
mod command;
mod config;
mod cow;
mod ctx;
mod digest;
mod image;
mod invariants;
mod layout;
mod load;
mod module;
mod modules;
pub(crate) mod rules;
mod session;
mod snapshot;
mod state;
mod switches;

#[cfg(test)]
pub(crate) mod tests;

pub use command::{Command, Envelope, LogTime, SessionId, Verdict, is_of_newer_version};
pub use config::Config;
pub use ctx::Ctx;
pub(crate) use image::size;
pub use layout::Generation;
#[cfg(test)]
pub(crate) use layout::{HEADER_KEY, image_key};
pub use load::{ImageError, LoadError, Loader, Loading, ensure, wipe_ops};
pub use module::{Held, Module};
pub use modules::Installed;
pub use snapshot::{Frozen, ReplaceOps, SnapshotError, Staging, is_switch};
pub(crate) use state::after;
pub use state::{Counts, Holder, Replica, Shared};
