//! The segmented write-ahead log as a sans-IO machine.
//!
//! It holds what a part of a node must not forget: the state and the log of Raft, or the
//! votes, certificates and open blocks of a validator. Batches go
//! in with [`Event::Append`] and are reported with [`Effect::Durable`]; at a
//! start [`Effect::Recovered`] gives everything back, together with an honest
//! account of what the disk has lost. Every access to a file is an effect, so
//! the same code runs on real files and on a simulated disk.
//!
//! Sources: group commit (DeWitt et al. 1984, §3), segments and an LSN per
//! record (ARIES, 1992), damage told from torn tails (Protocol-Aware Recovery,
//! FAST 2018, §3.3), no second attempt at a sync (Rebello et al., "Can
//! Applications Recover from fsync Failures?", ATC 2020).
//! Deviation from ARIES: records are found by number, not by byte address, so
//! that a number survives a recovery that moves on to a new segment.
//!
//! # On disk
//!
//! - **Segments**, created at full length one ahead of need. A batch never spans
//!   two; one that is larger than a segment gets a file of its own. Writes go to
//!   whole blocks of [`BLOCK_BYTES`] behind all earlier ones: **no write ever
//!   touches a block that holds synced data**, so neither a torn sector nor a
//!   torn 4 KiB page, nor a drive that rewrites a physical sector, can take
//!   synced records along. The price is padding per *group*, not per record: for
//!   256-byte entries the log writes 16 times the payload when each is synced
//!   alone (the device and the page cache move 4 KiB anyway), 2 times at 8 per
//!   sync and 1.5 times at 64 per sync, of which 1.39 is record and header.
//! - **Records** (`frame.rs`): a header with its own checksum that covers segment
//!   and offset, the number of the record (lsn), the owner's index, the highest
//!   lsn known to be synced, the lsn of the last record that is no entry, a salt,
//!   the link to the record before, and length and checksum of the payload. The
//!   link is the XXH3-128 of the header before: see `link_of` for why that is
//!   enough. The salt comes from the links of the whole log and is the same
//!   throughout a segment, so that a client cannot store a value that recovery
//!   would take for a record.
//! - **Two superblocks** (`superblock.rs`), written in turn: at recovery, at each
//!   roll, before segments are removed (both), and after [`IDLE_MARK`] without
//!   appends. They hold the synced mark, where the log begins, and where the last
//!   recovery cut it.
//!
//! # Recovery
//!
//! All segments are read and searched for valid records (`scan.rs`), which are
//! then joined (`stitch.rs`). A number that is missing up to the synced mark, the
//! highest that any superblock *or any later record* knows, is [`Damage`];
//! behind the mark it is a torn tail, and the log ends with the last whole batch
//! before it. Then the tail is synced (after a mere restart it may have been read
//! from a cache), a fresh segment is created, both superblocks record the cut,
//! and appends are taken. Nothing is overwritten and only blank or pruned files
//! are removed. Since appends never go to a segment of an earlier life, and the
//! first record of a segment and the superblocks declare where the log went on
//! from, nothing that lies behind a cut comes back, even if it becomes readable
//! again.
//!
//! Damage at the end leaves a gap in the numbers; it is reported by every later
//! recovery until the segments around it are pruned. Damage inside a synced batch
//! loses the damaged records only: the others are returned, and the report says
//! which indexes the hole lies between and whether it may hide anything but
//! entries.
//!
//! # Rules for the owner
//!
//! - Batches are numbered from 1 at each start. What was not reported durable is
//!   there as a whole or not at all after a crash, and never without everything
//!   before it.
//! - [`Event::SetHead`] follows the append that it repeats. The log writes it at
//!   the beginning of each segment and at each prune, so **recovered records hold
//!   copies of state and base in the middle**: replaying one where it stands
//!   must change nothing (a base in a head must not void the entries behind it).
//!   A state that is appended replaces the one in the head by itself; a base
//!   that is older than an appended one is left out.
//! - Before [`Event::Prune`]`{below}` the head must hold a base at or behind
//!   `below - 1`, and the state if there is one. Entries below may still come back, and the first record may be
//!   an entry whose base follows later.
//! - [`Effect::Failed`] is final.
//!
//! # Invariants
//!
//! - *Durable after sync*: `Durable{seq}` follows the successful sync of every
//!   record up to `seq` (asserted: durable never exceeds what was written).
//! - *One writing*: at most one write and sync is under way, segments and
//!   superblocks together; so never are both superblocks unsynced.
//! - *Forward only*: the write position of a segment never decreases.
//! - *Fresh numbers*: segment numbers and lsns only grow, over restarts too.
//! - *Known before gone*: a segment is removed after both superblocks, synced,
//!   say that the log begins behind it.
//!
//! # What the disk may do, and the limits of this
//!
//! Unsynced sectors may be kept, dropped or torn in any order; synced bytes may
//! rot, be unreadable, be overwritten by misdirected writes, or have never been
//! written; removed files may be back after a crash; a sync may fail and drop
//! data. Named limits:
//!
//! - **The last group.** With one sync per group, evidence that a group was
//!   synced lies in later groups and in superblocks. Until one of them is durable
//!   (at the latest [`IDLE_MARK`] after the last group) damage that begins in the
//!   last group, or reaches from an earlier one to the very end of the log, looks
//!   exactly like a torn tail and is cut. It takes a crash *and* damage to the
//!   newest bytes within that time.
//! - With both superblocks lost it is unknown whether the end is missing: one
//!   hole at the end is reported, never silence. When all segments are blank as
//!   well, the log is taken for new.
//! - A lost first header hides the salt of its segment; the first record behind
//!   it is then taken at its own word.
//! - A kernel that serves unwritten pages as clean after a failed sync can show
//!   recovery what is not on the disk; the sync at recovery cannot help that.
//! - Each start that appends begins a new segment file at full length; until they
//!   are pruned, restarts cost space ([`Wal::segment_count`] tells).
//! - Checksums and links defend against disks, not against who can write them.
//!
//! # Bounds
//!
//! Records wait up to [`WAL_PENDING_BYTES_MAX`](crate::limits::WAL_PENDING_BYTES_MAX)
//! (asserted: the owner's own limits are lower, [`Wal::pending_bytes`] tells).
//! Recovery reads [`WAL_READ_BYTES`](crate::limits::WAL_READ_BYTES) at once and
//! holds one segment and the records found. A flush allocates its output buffer
//! once and copies each payload once; the machine alone takes about 0.6 µs for a
//! 256-byte record, and moves large payloads at about
//! 3 GB/s, so a log is as fast as its disk. Recovery searches 1 GB/s.
//!
//! | file | holds |
//! |---|---|
//! | `config.rs` | [`Config`] and the sizes |
//! | `record.rs` `event.rs` `effect.rs` | the vocabulary |
//! | `state.rs` | [`Wal`]: its memory |
//! | `step.rs` | events and deadlines |
//! | `flush.rs` | group commit, rolls, heads |
//! | `mark.rs` | superblock writes, removal of segments |
//! | `recover.rs` | reading, opening |
//! | `scan.rs` `stitch.rs` | finding valid records; joining them to a log |
//! | `frame.rs` `superblock.rs` `name.rs` | encodings and file names |
//! | `invariants.rs` | what holds after every step |
//! | `tests/` | a disk that tears, lies and rots; each rule; a fuzz loop against a list; arbitrary bytes |

pub mod effect;
pub mod event;
pub mod record;

mod config;
mod flush;
mod frame;
mod invariants;
mod mark;
mod name;
mod recover;
mod scan;
mod state;
mod step;
mod stitch;
mod superblock;

#[cfg(test)]
mod tests;

pub use config::{BLOCK_BYTES, Config, IDLE_MARK};
pub use effect::{Effect, Recovered};
pub use event::Event;
pub use name::{file_name, parse_file_name};
pub use record::{Batch, Damage, Record, RecordKind, WalSeq};
pub use state::Wal;
