//! The log's memory.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::config::Config;
use super::effect::Effect;
use super::frame::{Link, record_bytes};
use super::record::{Batch, Record, WalSeq};
use super::recover::Recovery;
use super::superblock::Superblock;
use crate::io::{FileOp, FileOpId};
use crate::machine::Outbox;
use crate::types::Time;

/// The write-ahead log: a pure machine that turns appends into file operations.
/// See the [module](super) for its rules.
#[derive(Debug, Hash)]
pub struct Wal {
    pub(super) config: Config,
    pub(super) phase: Phase,
    /// The latest time seen.
    pub(super) now: Time,
    pub(super) next_op: u64,
    /// Operations that were asked for and not yet answered, oldest first.
    pub(super) inflight: VecDeque<(FileOpId, Purpose)>,
    /// The writing that is under way, if any.
    pub(super) job: Option<Job>,
    pub(super) queue: Queue,
    /// What each new segment begins with.
    pub(super) head: Vec<Record>,
    /// Whether the log holds a state, so that a head must repeat one.
    pub(super) holds_vote: bool,
    /// The end of the log as written, durable or not.
    pub(super) tail: Tail,
    /// The segment that is written to, none right after recovery.
    pub(super) active: Option<Active>,
    /// An empty segment for the next roll.
    pub(super) spare: Option<Spare>,
    /// Whether a spare segment is being created.
    pub(super) creating: bool,
    /// The number of the next segment to create.
    pub(super) next_segment: u64,
    /// All segments with records, by number.
    pub(super) segments: BTreeMap<u64, Extent>,
    /// The superblock as last written.
    pub(super) superblock: Superblock,
    /// The highest durable lsn.
    pub(super) durable: u64,
    /// When it was last raised.
    pub(super) durable_at: Time,
    /// Whether a superblock is to be written at the next opportunity.
    pub(super) mark_wanted: bool,
    /// Segments to remove once nothing else is being written.
    pub(super) to_remove: Vec<u64>,
}

/// Which part of its life the log is in.
#[derive(Debug, Hash)]
pub(super) enum Phase {
    /// Not started.
    New,
    /// Reads what is there.
    Recovering(Box<Recovery>),
    /// Accepts appends.
    Open,
    /// The disk failed.
    Halted,
}

/// What an operation was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// A part of recovery.
    Recovery,
    /// A part of something larger; only its failure matters.
    Part,
    /// The sync that completes the job.
    Sync,
    /// A spare segment.
    Spare(Spare),
}

/// A writing: a write and a sync. At most one is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Job {
    /// A group of batches.
    Flush {
        /// Its last record.
        lsn: u64,
        /// Its last batch, if it has one of the owner's.
        seq: Option<WalSeq>,
    },
    /// A superblock.
    Mark {
        /// The mark that it carries.
        synced: u64,
        /// Whether the other one is to be written as well, and segments removed
        /// after that.
        prune: Prune,
    },
}

/// How far the removal of segments has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Prune {
    /// Nothing is to be removed.
    No,
    /// The first superblock that knows is being written.
    First,
    /// The second one is.
    Second,
}

/// What the owner asked for and is not yet written, in order.
#[derive(Debug, Default, Hash)]
pub(super) struct Queue {
    pub items: VecDeque<Item>,
    /// Bytes of all records in it, headers included.
    pub bytes: u64,
    /// The last batch ever taken.
    pub last_seq: WalSeq,
}

/// One request of the owner.
#[derive(Debug, Hash)]
pub(super) enum Item {
    /// Append.
    Batch(Batch),
    /// Begin new segments with this.
    Head(Vec<Record>),
    /// Entries below this are not needed.
    Prune(u64),
}

/// The end of the log as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(super) struct Tail {
    /// The segment that holds the last record.
    pub segment: u64,
    /// The highest lsn given out.
    pub lsn: u64,
    /// The last record that exists: lower than `lsn` only when damage was found.
    pub last_record: u64,
    /// The link to the last record.
    pub link: Link,
    /// The lsn of the last state record.
    pub state: u64,
}

/// The segment that is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Active {
    pub number: u64,
    pub len: u64,
    /// Where the next group begins; whole blocks.
    pub offset: u64,
    pub salt: u64,
}

/// An empty segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Spare {
    pub number: u64,
    pub len: u64,
}

/// What pruning has to know about a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(super) struct Extent {
    /// The highest index of its entries.
    pub entry_max: u64,
    /// The last lsn before it.
    pub after_lsn: u64,
}

impl Wal {
    /// A log that has not been started. Panics when `config` makes no sense.
    pub fn new(config: Config) -> Self {
        config.check();
        Self {
            config,
            phase: Phase::New,
            now: Time::ZERO,
            next_op: 0,
            inflight: VecDeque::new(),
            job: None,
            queue: Queue::default(),
            head: Vec::new(),
            holds_vote: false,
            tail: Tail::default(),
            active: None,
            spare: None,
            creating: false,
            next_segment: 1,
            segments: BTreeMap::new(),
            superblock: Superblock::default(),
            durable: 0,
            durable_at: Time::ZERO,
            mark_wanted: false,
            to_remove: Vec::new(),
        }
    }

    /// Whether recovery is complete and the disk has not failed: appends are
    /// taken.
    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Bytes of records that wait to be written, for the owner's back-pressure.
    pub const fn pending_bytes(&self) -> u64 {
        self.queue.bytes
    }

    /// Segment files with records. Each start that appends begins a new one, so an
    /// owner that compacts by size alone may want to compact by this as well.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Asks the shell for a file operation.
    pub(super) fn ask(&mut self, op: FileOp, purpose: Purpose, out: &mut Outbox<Effect>) {
        let id = FileOpId(self.next_op);
        self.next_op = self
            .next_op
            .checked_add(1)
            .expect("fewer than 2^64 operations");
        self.inflight.push_back((id, purpose));
        out.push(Effect::File { id, op });
    }

    /// Takes nothing more: what the disk holds is unknown.
    pub(super) fn fail(&mut self, reason: &'static str, out: &mut Outbox<Effect>) {
        self.phase = Phase::Halted;
        self.inflight.clear();
        self.job = None;
        self.queue = Queue::default();
        out.push(Effect::Failed { reason });
    }
}

/// Bytes that records take on disk.
pub(super) fn records_bytes(records: &[Record]) -> u64 {
    records
        .iter()
        .map(record_bytes)
        .fold(0, u64::saturating_add)
}
