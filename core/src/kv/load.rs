//! Rebuilding a state from its pairs, at boot and after a snapshot.
//!
//! Both check everything: every pair decodes, every reference leads somewhere, and
//! the digest computed from the pairs is the one recorded. A store that has rotted
//! is found here, before the node serves anything from it.

use alloc::vec::Vec;

use bytes::Bytes;

use super::command::{LeaseId, SessionId};
use super::config::Config;
use super::history::History;
use super::layout::{Generation, HEADER_KEY, Header, Meta, Record, split_store_key, store_end};
use super::snapshot::others;
use super::state::{Derived, Holder, Image, Kv, Lease, size};
use crate::codec::{Decode as _, DecodeError};
use crate::store::StoreOp;
use crate::types::Revision;

/// Why pairs do not make a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// A pair does not decode.
    #[error("malformed pair: {0}")]
    Malformed(#[from] DecodeError),
    /// Pairs contradict each other or the header.
    #[error("inconsistent: {0}")]
    Inconsistent(&'static str),
    /// The digest is not the one expected: something was lost or altered.
    #[error("digest does not match")]
    Digest,
}

/// Why the store's content is not a state. Nothing of it can be trusted: the state
/// must be rebuilt, from the log if that still begins at entry 1, otherwise from a
/// snapshot of the leader, and [`Kv::replace_ops`] or [`wipe_ops`] clear the store.
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

/// Rebuilds a state from the pages of the store.
#[derive(Debug)]
pub struct Loader {
    config: Config,
    meta: Option<Meta>,
    image: Image,
    last_key: Bytes,
    /// The highest generation of any pair seen.
    highest: Option<Generation>,
    stale: bool,
    error: Option<LoadError>,
}

impl Loader {
    /// Nothing has been read yet.
    pub fn new(config: Config) -> Self {
        config.check();
        Self {
            config,
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
    pub fn finish(self) -> Result<Option<Kv>, LoadError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let Some(meta) = self.meta else {
            return Ok(None);
        };
        let kv = assemble(
            self.config,
            meta.generation,
            meta.header,
            self.image,
            meta.digest,
        )?;
        Ok(Some(kv))
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

/// Makes a state of pairs and a header after checking that they fit.
pub(super) fn assemble(
    config: Config,
    generation: Generation,
    header: Header,
    image: Image,
    expected: [u8; 32],
) -> Result<Kv, ImageError> {
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
    let derived = derive(&config, &header, &image)?;
    let oldest = Revision(header.applied.index.next().0);
    Ok(Kv {
        config,
        generation,
        image,
        applied: header.applied,
        log_time: header.log_time,
        revision: header.revision,
        history: History::new(oldest),
        derived,
    })
}

/// Computes what is kept for speed, and checks every pair on the way.
pub(super) fn derive(
    config: &Config,
    header: &Header,
    image: &Image,
) -> Result<Derived, ImageError> {
    let mut derived = Derived::default();
    let mut bound = Vec::new();
    for (key, value) in image.map.iter() {
        match Record::decode(key, value)? {
            Record::Data(pair) => {
                ensure(
                    pair.created <= pair.modified,
                    "key changed before it was made",
                )?;
                ensure(
                    pair.modified <= header.revision,
                    "key newer than the revision",
                )?;
                derived.keys += 1;
                bound.extend(pair.lease.map(|lease| (lease, pair.key)));
            }
            Record::Lease(lease, ttl, expires_at) => {
                check_id(header, lease.0)?;
                derived.expiry.insert((expires_at, Holder::lease(lease)));
                let state = Lease {
                    ttl,
                    expires_at,
                    keys: Default::default(),
                    locks: Default::default(),
                };
                derived.leases.insert(lease, state);
            }
            Record::Lock(name, token, lease) => {
                // Locks come after leases in key order.
                check_id(header, token.0)?;
                find(&mut derived, lease)?.locks.insert(name);
                derived.locks += 1;
            }
            Record::Session(session, record) => {
                check_id(header, session.0)?;
                let entry = (record.expires_at, Holder::session(session));
                derived.expiry.insert(entry);
                derived.sessions.insert(session, record);
                let twin = derived.nonces.insert(record.nonce, session);
                ensure(twin.is_none(), "two sessions with one nonce")?;
            }
            Record::Answer(session, sequence) => {
                check_answer(config, &derived, session, sequence)?;
                derived.answers += 1;
            }
        }
    }
    for (lease, key) in bound {
        find(&mut derived, lease)?.keys.insert(key);
    }
    Ok(derived)
}

fn find(derived: &mut Derived, lease: LeaseId) -> Result<&mut Lease, ImageError> {
    let state = derived.leases.get_mut(&lease);
    state.ok_or(ImageError::Inconsistent(
        "bound to a lease that is not there",
    ))
}

fn check_id(header: &Header, id: u64) -> Result<(), ImageError> {
    ensure(
        id > 0 && id <= header.applied.index.0,
        "id of an entry that is not applied",
    )
}

/// Answers come after sessions in key order.
fn check_answer(
    config: &Config,
    derived: &Derived,
    session: SessionId,
    sequence: u64,
) -> Result<(), ImageError> {
    let record = derived.sessions.get(&session);
    let record = record.ok_or(ImageError::Inconsistent("answer without a session"))?;
    let ahead = sequence.saturating_sub(record.answered_upto);
    ensure(
        ahead > 0 && ahead <= size(config.session_answers_max),
        "answer outside the window",
    )
}

fn ensure(holds: bool, rule: &'static str) -> Result<(), ImageError> {
    if holds {
        Ok(())
    } else {
        Err(ImageError::Inconsistent(rule))
    }
}
