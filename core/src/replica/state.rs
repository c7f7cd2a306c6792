//! The replicated state: what all modules share, the sessions, and the modules.

use alloc::collections::BTreeSet;

use bytes::Bytes;

use super::command::{Command, LogTime};
use super::config::Config;
use super::image::{Image, size};
use super::layout::{ANSWER, Generation, HEADER_KEY, Header, Meta, SESSION, SWITCH, image_key};
use super::module::Module;
use super::modules::Installed;
use super::session::Sessions;
use super::snapshot::Frozen;
use super::switches::Switches;
use crate::codec::Encode as _;
use crate::store::StoreOp;
use crate::types::{LogId, ModuleId, Modules, Revision, Span};

/// The replicated state machine of a cluster.
///
/// Contract of the owner:
/// 1. every log entry is handed over exactly once and in order: `App` entries to
///    [`Replica::apply`], all others (and entries that do not decode) to
///    [`Replica::note_applied`]; a gap or a repetition panics, and so does a command
///    that [`Replica::is_newer`] tells of;
/// 2. the [`StoreOp`]s of one call, or of several in a row, go to the store in one
///    atomic batch, batches in order (persistence rule P6);
/// 3. nothing is answered to a client from a state whose entries may be undone:
///    only committed entries come here.
///
/// Contract of the machine: total, deterministic, and equal applied positions
/// mean equal digests on all nodes with the same [`Config`] and modules.
#[derive(Debug, Clone)]
pub struct Replica<M: Module = Installed> {
    pub(super) shared: Shared,
    pub(super) sessions: Sessions,
    pub(super) switches: Switches,
    pub(super) module: M,
}

/// What all modules share: the pairs, the position, the time.
#[derive(Debug, Clone)]
pub struct Shared {
    pub(super) config: Config,
    pub(super) generation: Generation,
    pub(super) image: Image,
    pub(super) applied: LogId,
    pub(super) log_time: LogTime,
    pub(super) revision: Revision,
    /// What ends when, in the order in which it ends.
    pub(super) expiry: BTreeSet<(LogTime, Holder)>,
}

/// What can expire. The order is by id first, so that it is the same whatever the
/// kinds are. Ids are log indexes, so no two holders share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// The entry that made it.
    pub id: u64,
    /// The space of its pair, and so whose it is.
    pub space: u8,
}

/// How much there is of what is common to all modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Sessions open.
    pub sessions: usize,
    /// Answers kept for retries.
    pub answers: usize,
}

impl<M: Module> Replica<M> {
    /// The empty state before the first entry.
    ///
    /// Panics on a configuration outside [`crate::limits`].
    pub fn new(config: Config, module: M) -> Self {
        config.check();
        for space in [HEADER_KEY[0], SESSION, ANSWER, SWITCH] {
            assert!(!M::owns_space(space), "a space has one owner");
        }
        assert!(M::ids().contains(ModuleId::FIRST), "it is always on");
        Self {
            shared: Shared {
                config,
                generation: Generation::FIRST,
                image: Image::default(),
                applied: LogId::ZERO,
                log_time: LogTime(0),
                revision: Revision(0),
                expiry: BTreeSet::new(),
            },
            sessions: Sessions::default(),
            switches: Switches::new(),
            module,
        }
    }

    /// The last entry applied.
    pub const fn applied(&self) -> LogId {
        self.shared.applied
    }

    /// The log's time: the latest `proposed_at` of all entries applied.
    pub const fn log_time(&self) -> LogTime {
        self.shared.log_time
    }

    /// The last entry that changed a user's key.
    pub const fn revision(&self) -> Revision {
        self.shared.revision
    }

    /// Bytes of all keys and values of the image, bookkeeping included.
    pub const fn state_bytes(&self) -> u64 {
        self.shared.image.bytes
    }

    /// Under which generation the state stands in the store.
    pub const fn generation(&self) -> Generation {
        self.shared.generation
    }

    /// When the next holder ends, in log time. The owner proposes a `Tick` then,
    /// for nothing expires but by an entry.
    pub fn next_expiry(&self) -> Option<LogTime> {
        self.shared.expiry.first().map(|(time, _)| *time)
    }

    /// How much there is of what is common to all modules.
    pub fn counts(&self) -> Counts {
        Counts {
            sessions: self.sessions.count(),
            answers: self.sessions.answers(),
        }
    }

    /// The modules that are on.
    pub const fn modules_on(&self) -> Modules {
        self.switches.on()
    }

    /// The modules that this version has, be they on or off.
    pub fn modules_known(&self) -> Modules {
        known_modules::<M>(&self.shared.config)
    }

    /// Whether a command means a module that this version does not have. It decodes, for
    /// it is not of that module, and must stop the owner all the same.
    pub fn is_newer(&self, command: &Command<M::Op>) -> bool {
        match command {
            Command::Enable { module } => !self.modules_known().contains(*module),
            _ => false,
        }
    }

    /// The modules, for reading.
    pub const fn module(&self) -> &M {
        &self.module
    }

    /// What the modules share, for reading.
    pub const fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The digest of the whole state: pairs, applied position, log time, revision.
    /// Constant time. See the module's documentation for what it proves.
    pub fn digest(&self) -> [u8; 32] {
        self.shared.image.digest(&self.shared.header())
    }

    /// A copy of the state as it is now that does not change any more. Costs about
    /// one reference count per 64 pairs.
    pub fn freeze(&self) -> Frozen {
        Frozen::new(
            self.shared.config.snapshot_chunk_bytes,
            self.shared.header(),
            self.digest(),
            self.shared.image.map.clone(),
        )
    }

    /// What the modules tell of the last entry, in order. Taking it twice gives
    /// nothing the second time.
    pub fn take_notices(&mut self) -> alloc::vec::Vec<M::Notice> {
        self.module.take_notices()
    }
}

impl Shared {
    /// The last entry applied.
    pub const fn applied(&self) -> LogId {
        self.applied
    }

    /// The last entry that changed a user's key.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// A pair, with its key in the image.
    pub fn get(&self, space: u8, name: &[u8]) -> Option<(&Bytes, &Bytes)> {
        self.image.map.get_pair(&image_key(space, name))
    }

    /// The pairs of a space with names in `from..to`, or up to the end of the space,
    /// in order, with their keys in the image.
    pub fn range(
        &self,
        space: u8,
        from: &[u8],
        to: Option<&[u8]>,
    ) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        let end = to.map(|to| image_key(space, to));
        self.image
            .map
            .range_from(&image_key(space, from))
            .take_while(move |(key, _)| match &end {
                Some(end) => key.as_ref() < end.as_slice(),
                None => key.first() == Some(&space),
            })
    }

    /// Whether the state may grow by so many bytes.
    pub fn has_room(&self, growth: u64) -> bool {
        let grown = self.image.bytes.saturating_add(growth);
        growth == 0 || grown <= self.config.state_bytes_max
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
    pub(crate) fn meta_op(&self) -> StoreOp {
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
}

/// The modules that a version with this table has.
pub(super) fn known_modules<M: Module>(config: &Config) -> Modules {
    M::ids().and(config.claimed_modules)
}

/// When something that begins now ends.
pub(crate) const fn after(now: LogTime, ttl: Span) -> LogTime {
    LogTime(now.0.saturating_add(ttl.0))
}
