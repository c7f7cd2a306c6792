//! What a module sees and may do while it carries out an entry.

use alloc::vec::Vec;
use core::ops::Deref;

use bytes::Bytes;

use super::command::LogTime;
use super::layout::STORE_PREFIX_BYTES;
use super::module::Module;
use super::state::{Holder, Shared};
use crate::store::StoreOp;
use crate::types::{Index, Revision};

/// One entry under way: where it stands in the log, what time holders see, and the
/// one way to change the state, [`Ctx::set`] and [`Ctx::unset`], which keep the
/// image, its digest, its size and the mirrored store operations in step.
///
/// Dereferences to the state for reading.
#[derive(Debug)]
pub struct Ctx<'a> {
    shared: &'a mut Shared,
    index: Index,
    now: LogTime,
    ops: &'a mut Vec<StoreOp>,
    /// The spaces that may be written.
    owns_space: fn(u8) -> bool,
}

impl<'a> Ctx<'a> {
    pub(super) fn new(
        shared: &'a mut Shared,
        index: Index,
        now: LogTime,
        ops: &'a mut Vec<StoreOp>,
        owns_space: fn(u8) -> bool,
    ) -> Self {
        Self {
            shared,
            index,
            now,
            ops,
            owns_space,
        }
    }

    /// The same for a module, which may write its own spaces only.
    pub fn of<M: Module>(&mut self) -> Ctx<'_> {
        self.within(M::owns_space)
    }

    pub(super) fn within(&mut self, owns_space: fn(u8) -> bool) -> Ctx<'_> {
        Ctx {
            shared: self.shared,
            index: self.index,
            now: self.now,
            ops: self.ops,
            owns_space,
        }
    }

    /// The entry. It is the id of whatever the entry makes.
    pub const fn index(&self) -> Index {
        self.index
    }

    /// The time that decides what has ended.
    pub const fn now(&self) -> LogTime {
        self.now
    }

    /// Sets a pair and gives back its key in the image and the old value.
    ///
    /// Panics if the space is not the module's.
    pub fn set(&mut self, space: u8, name: &[u8], value: Bytes) -> (Bytes, Option<Bytes>) {
        assert!((self.owns_space)(space), "a module writes its own spaces");
        let key = self.store_key(space, name);
        // Both keys share one allocation.
        let image_key = key.slice(STORE_PREFIX_BYTES..);
        let old = self.shared.image.insert(image_key.clone(), value.clone());
        self.ops.push(StoreOp::Put { key, value });
        (image_key, old)
    }

    /// Removes a pair and gives back its key in the image and the old value.
    ///
    /// Panics if the space is not the module's.
    pub fn unset(&mut self, space: u8, name: &[u8]) -> Option<(Bytes, Bytes)> {
        assert!((self.owns_space)(space), "a module writes its own spaces");
        let key = self.store_key(space, name);
        let image_key = key.slice(STORE_PREFIX_BYTES..);
        let old = self.shared.image.remove(&image_key)?;
        self.ops.push(StoreOp::Delete { key });
        Some((image_key, old))
    }

    /// Announces when something ends: [`Module::expire`] is called by the first
    /// entry at or after that time.
    ///
    /// Panics if it was announced for that time already.
    pub fn expire_at(&mut self, time: LogTime, holder: Holder) {
        assert!((self.owns_space)(holder.space), "a module ends its own");
        let added = self.shared.expiry.insert((time, holder));
        assert!(added, "what ends has one end");
    }

    /// Takes an announcement back.
    ///
    /// Panics if there is none.
    pub fn forget_expiry(&mut self, time: LogTime, holder: Holder) {
        let removed = self.shared.expiry.remove(&(time, holder));
        assert!(removed, "what ends has its end");
    }

    /// Moves the revision of the state to this entry: a key has changed that
    /// clients can watch.
    pub fn move_revision(&mut self) -> Revision {
        let revision = Revision(self.index.0);
        assert!(revision >= self.shared.revision, "revisions never decrease");
        self.shared.revision = revision;
        revision
    }

    fn store_key(&self, space: u8, name: &[u8]) -> Bytes {
        let mut writer = self.shared.generation.prefix(1 + name.len());
        writer.u8(space);
        writer.raw(name);
        writer.into_bytes()
    }
}

impl Deref for Ctx<'_> {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        self.shared
    }
}
