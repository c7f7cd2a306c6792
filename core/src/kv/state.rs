//! The replicated state and its one way to change: [`Kv::set`] and [`Kv::unset`]
//! keep the image, its digest, its size and the mirrored store operations in step.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use bytes::Bytes;

use super::command::{LeaseId, LogTime, SessionId};
use super::config::Config;
use super::cow::CowMap;
use super::digest::PairSum;
use super::history::History;
use super::layout::{Generation, HEADER_KEY, Header, Meta, STORE_PREFIX_BYTES, SessionRecord};
use super::query::Change;
use super::snapshot::Frozen;
use crate::codec::Encode as _;
use crate::store::StoreOp;
use crate::types::{Index, LogId, Revision, Span};

/// The replicated state machine of a cluster.
///
/// Contract of the owner:
/// 1. every log entry is handed over exactly once and in order: `App` entries to
///    [`Kv::apply`], all others (and entries that do not decode) to
///    [`Kv::note_applied`]; a gap or a repetition panics;
/// 2. the [`StoreOp`]s of one call, or of several in a row, go to the store in one
///    atomic batch, batches in order (persistence rule P6);
/// 3. nothing is answered to a client from a state whose entries may be undone:
///    only committed entries come here.
///
/// Contract of the machine: total, deterministic, and equal applied positions
/// mean equal digests on all nodes with the same [`Config`].
#[derive(Debug, Clone)]
pub struct Kv {
    pub(super) config: Config,
    pub(super) generation: Generation,
    pub(super) image: Image,
    pub(super) applied: LogId,
    pub(super) log_time: LogTime,
    pub(super) revision: Revision,
    pub(super) history: History,
    pub(super) derived: Derived,
}

/// How much there is of everything, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Keys of users.
    pub keys: usize,
    /// Leases alive.
    pub leases: usize,
    /// Locks held.
    pub locks: usize,
    /// Sessions open.
    pub sessions: usize,
    /// Answers kept for retries.
    pub answers: usize,
    /// Revisions kept for watches.
    pub history_revisions: usize,
    /// Bytes kept for watches.
    pub history_bytes: usize,
}

/// What can be computed from the image and is kept for speed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Derived {
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    pub(super) sessions: BTreeMap<SessionId, SessionRecord>,
    pub(super) nonces: BTreeMap<u128, SessionId>,
    /// What ends when, in the order in which it ends. Ids are log indexes, so no
    /// two holders share one.
    pub(super) expiry: BTreeSet<(LogTime, Holder)>,
    pub(super) keys: usize,
    pub(super) locks: usize,
    pub(super) answers: usize,
}

/// What can expire. The order is by id first, so that it is the same whatever the
/// kinds are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Holder {
    pub(super) id: u64,
    pub(super) kind: HolderKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HolderKind {
    Lease,
    Session,
}

/// A lease and what ends with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) ttl: Span,
    pub(super) expires_at: LogTime,
    /// Keys of users.
    pub(super) keys: BTreeSet<Bytes>,
    /// Names of locks.
    pub(super) locks: BTreeSet<Bytes>,
}

/// The pairs with their digest and their size.
#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    pub(super) map: CowMap,
    pub(super) sum: PairSum,
    pub(super) bytes: u64,
}

/// One call of [`Kv::apply`]: where it stands in the log, what time leases and
/// sessions see, and where its store operations go.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    pub(super) index: Index,
    pub(super) now: LogTime,
    pub(super) ops: &'a mut Vec<StoreOp>,
}

impl Kv {
    /// The empty state before the first entry.
    ///
    /// Panics on a configuration outside [`crate::limits`].
    pub fn new(config: Config) -> Self {
        config.check();
        Self {
            config,
            generation: Generation::FIRST,
            image: Image::default(),
            applied: LogId::ZERO,
            log_time: LogTime(0),
            revision: Revision(0),
            history: History::new(Revision(1)),
            derived: Derived::default(),
        }
    }

    /// The last entry applied.
    pub const fn applied(&self) -> LogId {
        self.applied
    }

    /// The log's time: the latest `proposed_at` of all entries applied.
    pub const fn log_time(&self) -> LogTime {
        self.log_time
    }

    /// The last entry that changed a user's key.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// Bytes of all keys and values of the image, bookkeeping included.
    pub const fn state_bytes(&self) -> u64 {
        self.image.bytes
    }

    /// Under which generation the state stands in the store.
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// When the next lease or session ends, in log time. The owner proposes a
    /// `Tick` then, for nothing expires but by an entry.
    pub fn next_expiry(&self) -> Option<LogTime> {
        self.derived.expiry.first().map(|(time, _)| *time)
    }

    /// How much there is of everything.
    pub fn counts(&self) -> Counts {
        Counts {
            keys: self.derived.keys,
            leases: self.derived.leases.len(),
            locks: self.derived.locks,
            sessions: self.derived.sessions.len(),
            answers: self.derived.answers,
            history_revisions: self.history.revisions(),
            history_bytes: self.history.bytes(),
        }
    }

    /// The digest of the whole state: pairs, applied position, log time, revision.
    /// Constant time. See the module's documentation for what it proves.
    pub fn digest(&self) -> [u8; 32] {
        self.image.digest(&self.header())
    }

    /// A copy of the state as it is now that does not change any more. Costs about
    /// one reference count per 64 pairs.
    pub fn freeze(&self) -> Frozen {
        Frozen::new(
            self.config.snapshot_chunk_bytes,
            self.header(),
            self.digest(),
            self.image.map.clone(),
        )
    }

    /// The changes of the last call of [`Kv::apply`], for the watchers, in order.
    /// Taking them twice gives nothing the second time.
    pub fn take_changes(&mut self) -> Vec<Change> {
        self.history.take_last()
    }

    /// The changes of keys with `from <= key`, and `key < to` if `to` is given,
    /// made at `since` or later, in order. `since` 0 asks for none.
    ///
    /// # Errors
    /// The oldest revision that is still complete, if `since` is before it.
    pub fn changes_since(
        &self,
        from: &[u8],
        to: Option<&[u8]>,
        since: Revision,
    ) -> Result<Vec<Change>, Revision> {
        self.history.since(from, to, since)
    }

    pub(super) fn header(&self) -> Header {
        Header {
            applied: self.applied,
            log_time: self.log_time,
            revision: self.revision,
            pairs: size(self.image.map.len()),
            bytes: self.image.bytes,
        }
    }

    /// The operation that makes all operations before it the state at `applied`.
    pub(super) fn meta_op(&self) -> StoreOp {
        let header = self.header();
        let meta = Meta {
            generation: self.generation,
            header,
            digest: self.image.digest(&header),
        };
        StoreOp::Put {
            key: Bytes::from_static(HEADER_KEY),
            value: meta.to_bytes(),
        }
    }

    /// Sets a pair of the image and mirrors it; gives back the key as stored and
    /// the old value.
    pub(super) fn set(
        &mut self,
        turn: &mut Turn<'_>,
        space: u8,
        name: &[u8],
        value: Bytes,
    ) -> (Bytes, Option<Bytes>) {
        let key = self.store_key(space, name);
        // Both keys share one allocation.
        let image_key = key.slice(STORE_PREFIX_BYTES..);
        let old = self.image.insert(image_key.clone(), value.clone());
        turn.ops.push(StoreOp::Put { key, value });
        (image_key, old)
    }

    /// Removes a pair of the image and mirrors that; gives back the key as it was
    /// stored and the old value.
    pub(super) fn unset(
        &mut self,
        turn: &mut Turn<'_>,
        space: u8,
        name: &[u8],
    ) -> Option<(Bytes, Bytes)> {
        let key = self.store_key(space, name);
        let image_key = key.slice(STORE_PREFIX_BYTES..);
        let old = self.image.remove(&image_key)?;
        turn.ops.push(StoreOp::Delete { key });
        Some((image_key, old))
    }

    pub(super) fn get(&self, space: u8, name: &[u8]) -> Option<(&Bytes, &Bytes)> {
        self.image.map.get_pair(&image_key(space, name))
    }

    /// Whether the state may grow by so many bytes.
    pub(super) fn has_room(&self, growth: u64) -> bool {
        let grown = self.image.bytes.saturating_add(growth);
        growth == 0 || grown <= self.config.state_bytes_max
    }

    fn store_key(&self, space: u8, name: &[u8]) -> Bytes {
        let mut writer = self.generation.prefix(1 + name.len());
        writer.u8(space);
        writer.raw(name);
        writer.into_bytes()
    }
}

impl Image {
    /// Sets a pair and gives back the old value.
    pub(super) fn insert(&mut self, key: Bytes, value: Bytes) -> Option<Bytes> {
        self.sum.add(&key, &value);
        let added = size(key.len() + value.len());
        let old = self.map.insert(key.clone(), value);
        let removed = match &old {
            None => 0,
            Some(old) => {
                self.sum.remove(&key, old);
                size(key.len() + old.len())
            }
        };
        self.bytes = self.bytes + added - removed;
        old
    }

    /// Removes a pair and gives back its value.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<Bytes> {
        let old = self.map.remove(key)?;
        self.sum.remove(key, &old);
        self.bytes -= size(key.len() + old.len());
        Some(old)
    }

    /// The digest of a state with these pairs and this header.
    pub(super) fn digest(&self, header: &Header) -> [u8; 32] {
        let mut sum = self.sum;
        sum.add(HEADER_KEY, &header.to_bytes());
        sum.to_bytes()
    }
}

impl Holder {
    pub(super) const fn lease(lease: LeaseId) -> Self {
        Self {
            id: lease.0,
            kind: HolderKind::Lease,
        }
    }

    pub(super) const fn session(session: SessionId) -> Self {
        Self {
            id: session.0,
            kind: HolderKind::Session,
        }
    }
}

impl Lease {
    /// How many keys and locks end with the lease.
    pub(super) fn bound(&self) -> usize {
        self.keys.len() + self.locks.len()
    }
}

/// The name of a lease's pair.
pub(super) const fn lease_name(lease: LeaseId) -> [u8; 8] {
    lease.0.to_be_bytes()
}

/// The name of a session's pair.
pub(super) const fn session_name(session: SessionId) -> [u8; 8] {
    session.0.to_be_bytes()
}

/// The name of an answer's pair.
pub(super) fn answer_name(session: SessionId, sequence: u64) -> [u8; 16] {
    let joined = (u128::from(session.0) << 64) | u128::from(sequence);
    joined.to_be_bytes()
}

/// The key of a pair inside the image.
pub(super) fn image_key(space: u8, name: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + name.len());
    key.push(space);
    key.extend_from_slice(name);
    key
}

/// When something that begins now ends.
pub(super) const fn after(now: LogTime, ttl: Span) -> LogTime {
    LogTime(now.0.saturating_add(ttl.0))
}

/// A length as a quantity of bytes or pairs.
pub(super) fn size(length: usize) -> u64 {
    u64::try_from(length).expect("a length fits 64 bits")
}
