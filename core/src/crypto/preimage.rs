//! What is signed: one canonical layout for every purpose.
//!
//! ```text
//! u32 length ‖ domain tag ‖ u8 scope kind ‖ u128 scope id ‖ fields…
//! ```
//!
//! Integers have a fixed width, byte strings a length in front ([`crate::codec`]).
//! The domain fixes which fields follow and in which order, and each domain is
//! one variant of [`Domain`]; so two different statements never have equal bytes.

use super::hash::{Digest, sha256};
use crate::codec::{Decode, Encode, Writer};
use crate::types::ClusterId;

/// The purpose of a signature. A new purpose is a new variant; a changed layout
/// is a new version in the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Domain {
    /// [`super::NodeCert`]: a node's key vouches for its transport key.
    NodeCert,
    /// The log head of [`crate::proof`]: a voter attests the log that it has applied.
    LogHead,
    /// A vote of [`crate::bft`]: a validator's statement about one view of the ledger.
    Vote,
    /// A transaction of [`crate::ledger`].
    Transaction,
    /// A new key of an account or validator says that it is meant to be one.
    KeyProof,
}

/// The ledger that a signature belongs to: the first 16 bytes of the SHA-256 of
/// the network's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct ChainId(pub u128);

/// Where a signature is valid. Kind and id are both signed, so that a cluster
/// and a chain of one name stay apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Inside one cluster.
    Cluster(ClusterId),
    /// On one ledger.
    Chain(ChainId),
}

/// The exact bytes of a statement. Build it with the chained methods, in the
/// order that the domain documents.
#[derive(Debug, Clone)]
pub struct Preimage {
    writer: Writer,
}

impl Domain {
    /// All domains, for tests that they differ.
    pub const ALL: [Self; 5] = [
        Self::NodeCert,
        Self::LogHead,
        Self::Vote,
        Self::Transaction,
        Self::KeyProof,
    ];

    /// The tag that goes in front of the statement.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::NodeCert => "decube/node-cert/v1",
            Self::LogHead => "decube/log-head/v1",
            Self::Vote => "decube/vote/v1",
            Self::Transaction => "decube/transaction/v1",
            Self::KeyProof => "decube/key-proof/v1",
        }
    }
}

impl ChainId {
    /// The id of the network with this name.
    pub fn from_name(name: &str) -> Self {
        Self(sha256(name.as_bytes()).first_u128())
    }
}

impl Preimage {
    /// Begins a statement.
    pub fn new(domain: Domain, scope: Scope) -> Self {
        let mut writer = Writer::with_capacity(256);
        writer.blob(domain.tag().as_bytes());
        let (kind, id) = match scope {
            Scope::Cluster(cluster) => (0, cluster.0),
            Scope::Chain(chain) => (1, chain.0),
        };
        writer.u8(kind);
        writer.u128(id);
        Self { writer }
    }

    /// Adds a `u8`.
    #[must_use]
    pub fn u8(mut self, value: u8) -> Self {
        self.writer.u8(value);
        self
    }

    /// Adds a `u32`.
    #[must_use]
    pub fn u32(mut self, value: u32) -> Self {
        self.writer.u32(value);
        self
    }

    /// Adds a `u64`.
    #[must_use]
    pub fn u64(mut self, value: u64) -> Self {
        self.writer.u64(value);
        self
    }

    /// Adds a byte string with its length.
    #[must_use]
    pub fn bytes(mut self, bytes: &[u8]) -> Self {
        self.writer.blob(bytes);
        self
    }

    /// Adds a value in its canonical encoding.
    #[must_use]
    pub fn put<T: Encode + ?Sized>(mut self, value: &T) -> Self {
        self.writer.put(value);
        self
    }

    /// The bytes that are signed.
    pub fn as_bytes(&self) -> &[u8] {
        self.writer.as_slice()
    }

    /// The SHA-256 of those bytes: an id of the statement that no re-signing can
    /// change.
    pub fn digest(&self) -> Digest {
        sha256(self.as_bytes())
    }
}
