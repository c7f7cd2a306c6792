//! Frozen states, the chunks they travel in, and how a state that arrived takes
//! the place of the old one in the store.
//!
//! The stream of a snapshot is the header (as the pair of key `00`) and then every
//! pair of the image in key order. A chunk is a run of whole pairs that ends with
//! the first pair that brings it to `snapshot_chunk_bytes`: chunk borders depend on
//! the content alone, so any node with the same state sends the same chunks.

use alloc::vec::Vec;

use bytes::Bytes;

use super::command::LogTime;
use super::config::Config;
use super::cow::{CowMap, Position};
use super::image::{Image, size};
use super::layout::{
    Generation, HEADER_KEY, Header, IMAGE_KEY_BYTES_MAX, IMAGE_VALUE_BYTES_MAX, store_end,
};
use super::load::{ImageError, assemble};
use super::module::Module;
use super::modules::Installed;
use super::state::Replica;
use crate::codec::{Decode as _, DecodeBounded, DecodeError, Encode as _, Field, Reader, Writer};
use crate::limits::STORE_PAGE_BYTES;
use crate::store::StoreOp;
use crate::types::LogId;

/// Bytes that a pair costs in a chunk besides its key and value: two lengths.
const PAIR_BYTES: usize = 8;

/// A pair, as errors name it.
const PAIR: Field = Field {
    what: "chunk of a state",
    name: "pair",
};

/// A state that does not change any more, to be sent to a peer.
#[derive(Debug, Clone)]
pub struct Frozen {
    chunk_bytes: usize,
    header: Header,
    digest: [u8; 32],
    map: CowMap,
    /// Where the chunks found so far begin; the first begins with the header.
    starts: Vec<Position>,
}

impl Frozen {
    pub(super) fn new(chunk_bytes: usize, header: Header, digest: [u8; 32], map: CowMap) -> Self {
        Self {
            chunk_bytes,
            header,
            digest,
            map,
            starts: Vec::from([Position::default()]),
        }
    }

    /// The last entry that the state contains.
    pub const fn applied(&self) -> LogId {
        self.header.applied
    }

    /// The log's time in this state.
    pub const fn log_time(&self) -> LogTime {
        self.header.log_time
    }

    /// The digest of the state: what the receiver must arrive at.
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// A chunk of the stream, counted from 0, and whether it is the last; `None`
    /// after the last one. Chunks can be asked for in any order; finding a chunk
    /// costs a walk over the pairs between it and the furthest one found before.
    pub fn chunk(&mut self, number: u64) -> Option<(Bytes, bool)> {
        let number = usize::try_from(number).ok()?;
        while self.starts.len() <= number {
            let next = self.walk(self.starts.len() - 1, None)?;
            self.starts.push(next);
        }
        let mut writer = Writer::with_capacity(self.chunk_bytes + PAIR_BYTES);
        let next = self.walk(number, Some(&mut writer));
        if let Some(next) = next
            && self.starts.len() == number + 1
        {
            self.starts.push(next);
        }
        Some((writer.into_bytes(), next.is_none()))
    }

    /// Walks through a chunk, writes it if there is a writer, and tells where the
    /// next one begins.
    fn walk(&self, number: usize, mut writer: Option<&mut Writer>) -> Option<Position> {
        let mut bytes = 0;
        let mut visit = |key: &[u8], value: &[u8]| {
            if let Some(writer) = writer.as_deref_mut() {
                writer.blob(key);
                writer.blob(value);
            }
            bytes += PAIR_BYTES + key.len() + value.len();
            bytes >= self.chunk_bytes
        };
        let mut full = number == 0 && visit(HEADER_KEY, &self.header.to_bytes());
        let mut pairs = self.map.iter_at(self.starts[number]);
        while !full {
            let (key, value) = pairs.next()?;
            full = visit(key, value);
        }
        let next = pairs.position();
        pairs.next().map(|_| next)
    }
}

/// Why a snapshot was refused. The staged content is void; the state in force is
/// untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A chunk does not decode.
    #[error("snapshot chunk: {0}")]
    Malformed(#[from] DecodeError),
    /// Keys do not ascend from one pair to the next.
    #[error("snapshot keys are not in ascending order")]
    Order,
    /// The stream does not begin with its header.
    #[error("snapshot without a header")]
    NoHeader,
    /// There is more than the header announces or the configuration allows.
    #[error("snapshot is larger than announced or allowed")]
    TooLarge,
    /// The pairs do not make a state, or not the one that was announced.
    #[error("snapshot content: {0}")]
    Content(#[from] ImageError),
}

impl SnapshotError {
    /// Whether the snapshot is sound, and of a newer version than this one.
    pub const fn is_newer(&self) -> bool {
        matches!(self, Self::Content(ImageError::Newer))
    }
}

/// A snapshot that is arriving.
#[derive(Debug)]
pub struct Staging<M: Module = Installed> {
    config: Config,
    module: M,
    header: Option<Header>,
    image: Image,
    last_key: Bytes,
}

impl<M: Module> Staging<M> {
    /// Nothing has arrived yet. `module` is the module as configured.
    pub fn new(config: Config, module: M) -> Self {
        config.check();
        Self {
            config,
            module,
            header: None,
            image: Image::default(),
            last_key: Bytes::new(),
        }
    }

    /// Takes the next chunk. Memory grows with the bytes really received and never
    /// beyond what the header announces and the configuration allows.
    ///
    /// # Errors
    /// The snapshot is refused as a whole; drop the staging.
    pub fn push_chunk(&mut self, chunk: &[u8]) -> Result<(), SnapshotError> {
        // Read without sharing: a pair must not keep a whole chunk in memory.
        let mut reader = Reader::new(chunk);
        while reader.left() > 0 {
            let bounds = (IMAGE_KEY_BYTES_MAX, IMAGE_VALUE_BYTES_MAX);
            let (key, value): (Bytes, Bytes) =
                DecodeBounded::decode_bounded(&mut reader, bounds, &PAIR)?;
            match self.header {
                None => self.take_header(&key, &value)?,
                Some(header) => self.take_pair(header, key, value)?,
            }
        }
        Ok(())
    }

    /// Checks the whole and makes it a state under `generation`, which must be
    /// above every generation in the store.
    ///
    /// # Errors
    /// The snapshot is refused: it is incomplete, inconsistent, or not the one
    /// with the digest `expected`.
    pub fn finish(
        self,
        expected: [u8; 32],
        generation: Generation,
    ) -> Result<Replica<M>, SnapshotError> {
        let header = self.header.ok_or(SnapshotError::NoHeader)?;
        let replica = assemble(
            self.config,
            &self.module,
            generation,
            header,
            self.image,
            expected,
        )?;
        assert!(replica.digest() == expected, "the digest was checked");
        Ok(replica)
    }

    fn take_header(&mut self, key: &[u8], value: &Bytes) -> Result<(), SnapshotError> {
        if key != HEADER_KEY {
            return Err(SnapshotError::NoHeader);
        }
        let header = Header::from_bytes(value)?;
        if header.bytes > image_bytes_max(&self.config) {
            return Err(SnapshotError::TooLarge);
        }
        self.header = Some(header);
        self.last_key = Bytes::from_static(HEADER_KEY);
        Ok(())
    }

    fn take_pair(&mut self, header: Header, key: Bytes, value: Bytes) -> Result<(), SnapshotError> {
        if key <= self.last_key {
            return Err(SnapshotError::Order);
        }
        self.last_key = key.clone();
        let old = self.image.insert(key, value);
        assert!(old.is_none(), "ascending keys do not repeat");
        if self.image.bytes > header.bytes || size(self.image.map.len()) > header.pairs {
            return Err(SnapshotError::TooLarge);
        }
        Ok(())
    }
}

/// How large an image can grow by the rules of `apply`: the limit, and the small
/// answers of sessions, which are kept even in a full state.
fn image_bytes_max(config: &Config) -> u64 {
    let answers = size(config.sessions_max).saturating_mul(size(config.session_answers_max));
    config
        .state_bytes_max
        .saturating_add(answers.saturating_mul(64))
}

/// The store batches that put a whole state in the place of another.
///
/// The pairs are written under a new generation, then one batch names it as the
/// state, then everything else is deleted. A crash before that batch leaves the
/// old state in force, a crash after it the new one; [`Loader`](super::Loader)
/// reports the rest for deletion. Each item is the operations of one atomic batch
/// of about [`STORE_PAGE_BYTES`]; all must be committed, in order and before any
/// operation of a later entry.
#[derive(Debug)]
pub struct ReplaceOps {
    generation: Generation,
    meta: StoreOp,
    map: CowMap,
    stage: ReplaceStage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReplaceStage {
    Clear,
    Write(Position),
    Switch,
    Clean,
    Done,
}

impl<M: Module> Replica<M> {
    /// The batches that make this state the one in the store, whatever is there.
    pub fn replace_ops(&self) -> ReplaceOps {
        ReplaceOps {
            generation: self.shared.generation,
            meta: self.shared.meta_op(),
            map: self.shared.image.map.clone(),
            stage: ReplaceStage::Clear,
        }
    }
}

/// Whether a batch is the one that puts a replacement into force.
pub fn is_switch(ops: &[StoreOp]) -> bool {
    ops.iter()
        .any(|op| matches!(op, StoreOp::Put { key, .. } if key == HEADER_KEY))
}

impl Iterator for ReplaceOps {
    type Item = Vec<StoreOp>;

    fn next(&mut self) -> Option<Self::Item> {
        let (ops, stage) = match self.stage {
            ReplaceStage::Clear => {
                let leftover = StoreOp::DeleteRange {
                    from: self.generation.first_key(),
                    to: self.generation.end_key(),
                };
                (
                    Vec::from([leftover]),
                    ReplaceStage::Write(Position::default()),
                )
            }
            ReplaceStage::Write(position) => {
                let (ops, next) = self.write(position);
                if ops.is_empty() {
                    (Vec::from([self.meta.clone()]), ReplaceStage::Clean)
                } else {
                    (ops, next.map_or(ReplaceStage::Switch, ReplaceStage::Write))
                }
            }
            ReplaceStage::Switch => (Vec::from([self.meta.clone()]), ReplaceStage::Clean),
            ReplaceStage::Clean => (others(self.generation), ReplaceStage::Done),
            ReplaceStage::Done => return None,
        };
        self.stage = stage;
        Some(ops)
    }
}

impl ReplaceOps {
    fn write(&self, position: Position) -> (Vec<StoreOp>, Option<Position>) {
        let mut ops = Vec::new();
        let mut bytes = 0;
        let mut pairs = self.map.iter_at(position);
        while bytes < STORE_PAGE_BYTES {
            let Some((key, value)) = pairs.next() else {
                return (ops, None);
            };
            let mut writer = self.generation.prefix(key.len());
            writer.raw(key);
            bytes += key.len() + value.len();
            ops.push(StoreOp::Put {
                key: writer.into_bytes(),
                value: value.clone(),
            });
        }
        (ops, Some(pairs.position()))
    }
}

/// Deletes every generation but one.
pub(super) fn others(generation: Generation) -> Vec<StoreOp> {
    let below = StoreOp::DeleteRange {
        from: Generation(0).first_key(),
        to: generation.first_key(),
    };
    let above = StoreOp::DeleteRange {
        from: generation.end_key(),
        to: store_end(),
    };
    Vec::from([below, above])
}
