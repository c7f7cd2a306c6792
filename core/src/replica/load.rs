//! Rebuilding a state from its pairs, at boot and after a snapshot.
//!
//! Both check everything: every pair decodes, every reference leads somewhere, and
//! the digest computed from the pairs is the one recorded. A store that has rotted
//! is found here, before the node serves anything from it.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use bytes::Bytes;

use super::command::LogTime;
use super::config::Config;
use super::image::{Image, size};
use super::layout::{Generation, HEADER_KEY, Header, Meta, split_store_key, store_end};
use super::module::Module;
use super::modules::Installed;
use super::session::{self, Sessions};
use super::snapshot::others;
use super::state::{Holder, Replica, Shared, known_modules};
use super::switches::{self, Switches};
use crate::codec::{Decode as _, DecodeError};
use crate::mutant::Mutant;
use crate::store::StoreOp;
use crate::types::{LogId, Revision};

/// Why pairs do not make a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// A pair does not decode.
    #[error("malformed pair: {0}")]
    Malformed(DecodeError),
    /// The digest is right, and there are pairs or tags that no module of this
    /// version knows: the state is sound and must not be touched.
    #[error("written by a newer version")]
    Newer,
    /// Pairs contradict each other or the header.
    #[error("inconsistent: {0}")]
    Inconsistent(&'static str),
    /// The digest is not the one expected: something was lost or altered.
    #[error("digest does not match")]
    Digest,
}

impl From<DecodeError> for ImageError {
    /// Pairs are decoded when their digest is known to be right: a tag that is not
    /// known was meant by whoever wrote it.
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::UnknownTag { .. } => Self::Newer,
            error => Self::Malformed(error),
        }
    }
}

/// Why the store's content is not a state. Unless it is [`ImageError::Newer`] nothing
/// of it can be trusted: the state must be rebuilt, from the log if that still begins
/// at entry 1, otherwise from a snapshot of the leader, and [`Replica::replace_ops`] or
/// [`wipe_ops`] clear the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The record that names the state does not decode.
    #[error("stored state, meta record: {0}")]
    Meta(DecodeError),
    /// The store's pages were not in ascending key order.
    #[error("stored state: keys are not in ascending order")]
    Order,
    /// The pairs do not make the state that was stored.
    #[error("stored state: {0}")]
    Content(#[from] ImageError),
}

impl LoadError {
    /// Whether the content is sound, and of a newer version than this one.
    pub const fn is_newer(&self) -> bool {
        matches!(self, Self::Content(ImageError::Newer))
    }
}

/// Rebuilds a state from the pages of the store.
#[derive(Debug)]
pub struct Loader<M: Module = Installed> {
    config: Config,
    module: M,
    meta: Option<Meta>,
    image: Image,
    last_key: Bytes,
    /// The highest generation of any pair seen.
    highest: Option<Generation>,
    stale: bool,
    error: Option<LoadError>,
}

impl<M: Module> Loader<M> {
    /// Nothing has been read yet. `module` is the module as configured.
    pub fn new(config: Config, module: M) -> Self {
        config.check();
        Self {
            config,
            module,
            meta: None,
            image: Image::default(),
            last_key: Bytes::new(),
            highest: None,
            stale: false,
            error: None,
        }
    }

    /// Takes pairs as they come from a scan of the whole store. Pairs that are not
    /// of the state in force are left out; an error is kept for [`Loader::finish`].
    pub fn push(&mut self, pairs: impl IntoIterator<Item = (Bytes, Bytes)>) {
        for (key, value) in pairs {
            if let Err(error) = self.take(key, value) {
                self.error.get_or_insert(error);
            }
        }
    }

    /// The operations that delete what an interrupted replacement left behind;
    /// empty if there is nothing. Asked for after the last page.
    pub fn cleanup(&self) -> Vec<StoreOp> {
        match (self.stale, &self.meta) {
            (false, _) => Vec::new(),
            (true, Some(meta)) => others(meta.generation),
            (true, None) => wipe_ops(),
        }
    }

    /// A generation above every one in the store, and above that of a state that
    /// begins empty, for [`Staging`](super::Staging): a replacement clears its own
    /// generation first, and must never clear the one in force.
    pub fn next_generation(&self) -> Generation {
        let named = self.meta.map(|meta| meta.generation);
        let highest = self.highest.max(named);
        if highest.is_none() && self.config.mutant.is(Mutant::ReplicaClearsStateInForce) {
            return Generation::FIRST;
        }
        // A rotten store may name any number; the end of the numbers is no reason
        // to stop, because a replacement clears its own generation first.
        match highest {
            Some(Generation(u64::MAX)) | None => Generation::FIRST.next(),
            Some(generation) => generation.next().max(Generation::FIRST.next()),
        }
    }

    /// The state, or `None` if the store holds none.
    ///
    /// # Errors
    /// The store's content cannot be trusted; see [`LoadError`].
    pub fn finish(self) -> Result<Option<Replica<M>>, LoadError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let Some(meta) = self.meta else {
            return Ok(None);
        };
        let replica = assemble(
            self.config,
            &self.module,
            meta.generation,
            meta.header,
            self.image,
            meta.digest,
        )?;
        Ok(Some(replica))
    }

    fn take(&mut self, key: Bytes, value: Bytes) -> Result<(), LoadError> {
        // The first key is above the empty one, for no key is empty.
        if key <= self.last_key {
            return Err(LoadError::Order);
        }
        self.last_key = key.clone();
        if key == HEADER_KEY {
            self.meta = Some(Meta::from_bytes(&value).map_err(LoadError::Meta)?);
            return Ok(());
        }
        let Some((generation, image_key)) = split_store_key(&key) else {
            self.stale = true;
            return Ok(());
        };
        self.highest = self.highest.max(Some(generation));
        if self.meta.is_some_and(|meta| meta.generation == generation) {
            // Copies: a pair must not keep a page of the store in memory.
            let image_key = Bytes::copy_from_slice(&image_key);
            self.image.insert(image_key, Bytes::copy_from_slice(&value));
        } else {
            self.stale = true;
        }
        Ok(())
    }
}

/// The operations that empty the store.
pub fn wipe_ops() -> Vec<StoreOp> {
    Vec::from([StoreOp::DeleteRange {
        from: Bytes::from_static(HEADER_KEY),
        to: store_end(),
    }])
}

/// Makes a state of pairs and a header after checking that they fit. `module` is
/// the module as configured.
pub(super) fn assemble<M: Module>(
    config: Config,
    module: &M,
    generation: Generation,
    header: Header,
    image: Image,
    expected: [u8; 32],
) -> Result<Replica<M>, ImageError> {
    // The digest first: it names rot as rot, whatever the damage looks like.
    if image.digest(&header) != expected {
        return Err(ImageError::Digest);
    }
    ensure(header.pairs == size(image.map.len()), "count of pairs")?;
    ensure(header.bytes == image.bytes, "count of bytes")?;
    ensure(
        header.revision.0 <= header.applied.index.0,
        "revision after the applied entry",
    )?;
    let Derived {
        module,
        sessions,
        switches,
        expiry,
    } = derive(&config, module, &header, &image)?;
    let shared = Shared {
        config,
        generation,
        image,
        applied: header.applied,
        log_time: header.log_time,
        revision: header.revision,
        expiry,
    };
    Ok(Replica {
        shared,
        sessions,
        switches,
        module,
    })
}

/// What is computed from the image and kept for speed.
pub(super) struct Derived<M> {
    pub(super) module: M,
    pub(super) sessions: Sessions,
    pub(super) switches: Switches,
    pub(super) expiry: BTreeSet<(LogTime, Holder)>,
}

/// Computes what is kept for speed, and checks every pair on the way.
pub(super) fn derive<M: Module>(
    config: &Config,
    module: &M,
    header: &Header,
    image: &Image,
) -> Result<Derived<M>, ImageError> {
    // Before anything is read: what else is wrong may follow from this.
    for (key, _) in image.map.iter() {
        let space = key.first().copied();
        let space = space.ok_or(ImageError::Inconsistent("empty key"))?;
        let is_common = session::owns_space(space) || switches::owns_space(space);
        if !is_common && !M::owns_space(space) {
            return Err(ImageError::Newer);
        }
    }
    let mut loading = Loading {
        config,
        header,
        image,
        expiry: BTreeSet::new(),
    };
    let switches = Switches::load(&loading, known_modules::<M>(config))?;
    let sessions = Sessions::load::<M>(&mut loading)?;
    let mut module = module.emptied();
    module.load(&mut loading)?;
    Ok(Derived {
        module,
        sessions,
        switches,
        expiry: loading.expiry,
    })
}

/// The pairs of a whole state, from which its indexes are computed.
#[derive(Debug)]
pub struct Loading<'a> {
    config: &'a Config,
    header: &'a Header,
    image: &'a Image,
    expiry: BTreeSet<(LogTime, Holder)>,
}

impl<'a> Loading<'a> {
    /// The pairs of a space, in order, with their keys in the image.
    pub fn pairs(&self, space: u8) -> impl Iterator<Item = (&'a Bytes, &'a Bytes)> + use<'a> {
        self.image
            .map
            .range_from(&[space])
            .take_while(move |(key, _)| key.first() == Some(&space))
    }

    /// The last entry that the state contains.
    pub const fn applied(&self) -> LogId {
        self.header.applied
    }

    /// The revision of the state.
    pub const fn revision(&self) -> Revision {
        self.header.revision
    }

    /// Announces when something ends, as [`Ctx::expire_at`](super::Ctx::expire_at) did.
    pub fn expire_at(&mut self, time: LogTime, holder: Holder) {
        self.expiry.insert((time, holder));
    }

    /// Checks an id that an entry gave.
    ///
    /// # Errors
    /// No applied entry can have given it.
    pub fn check_id(&self, id: u64) -> Result<(), ImageError> {
        ensure(
            id > 0 && id <= self.header.applied.index.0,
            "id of an entry that is not applied",
        )
    }

    pub(super) const fn config(&self) -> &Config {
        self.config
    }
}

/// Checks that pairs keep a rule.
///
/// # Errors
/// They do not, and contradict each other or the header.
pub fn ensure(holds: bool, rule: &'static str) -> Result<(), ImageError> {
    if holds {
        Ok(())
    } else {
        Err(ImageError::Inconsistent(rule))
    }
}
