//! Identities and log positions.

use crate::codec::{Decode, Encode};
use core::fmt;

/// A node: the first 16 bytes of the SHA-256 of its P-256 public key, so it can
/// neither be chosen freely nor reused. A node that lost its disk gets a new one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct NodeId(pub u128);

/// A cluster: the first 16 bytes of the SHA-256 of its name (`cluster.id`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct ClusterId(pub u128);

/// A Raft term: a logical clock of leaderships, 0 before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Term(pub u64);

/// A position in the replicated log. The first entry has index 1; index 0 is the
/// empty log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Index(pub u64);

/// A version of the replicated state: the index of the last log entry that
/// changed it. Users see it as a revision or an ETag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Revision(pub u64);

/// A client request, chosen by the shell, unique among the requests it has open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct RequestId(pub u64);

/// One life of a process, drawn at random by its shell. No clock is asked for it: clocks
/// run back, and two lives must never share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct ProcessNonce(pub u64);

/// A request from one node to another, chosen by the one that asks and never used twice.
/// Between processes the order means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct PeerRequestId {
    /// The process that asks.
    pub process: ProcessNonce,
    /// Counted by it.
    pub number: u64,
}

/// The chained checksum over a log up to and including one entry. Equal `(index,
/// term)` implies equal chain; a difference is corruption or a bug. It detects
/// accidents, not attackers: see [`crate::raft::chain`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Chain(pub [u8; 16]);

/// Term and index of an entry. The derived order is Raft's "at least as up to
/// date" (Raft paper §5.4.1): the later term wins, then the longer log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct LogId {
    /// The term in which the entry was created. First, because order depends on it.
    pub term: Term,
    /// The position of the entry.
    pub index: Index,
}

impl Term {
    /// The following term. Overflow is a broken invariant and panics.
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("term overflow"))
    }
}

impl Index {
    /// The empty log.
    pub const ZERO: Self = Self(0);

    /// The following position. Overflow is a broken invariant and panics.
    pub const fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("index overflow"))
    }

    /// The preceding position, or `None` for the empty log.
    pub const fn prev(self) -> Option<Self> {
        match self.0.checked_sub(1) {
            Some(index) => Some(Self(index)),
            None => None,
        }
    }

    /// The position `count` entries further on. Overflow panics.
    pub const fn plus(self, count: u64) -> Self {
        Self(self.0.checked_add(count).expect("index overflow"))
    }
}

impl LogId {
    /// The position before the first entry.
    pub const ZERO: Self = Self {
        term: Term(0),
        index: Index(0),
    };

    /// Joins a term and an index.
    pub const fn new(term: Term, index: Index) -> Self {
        Self { term, index }
    }
}

macro_rules! display_number {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    )+};
}

display_number!(Term, Index, Revision, RequestId);

macro_rules! display_hex_id {
    ($($name:ident),+) => {$(
        impl fmt::Display for $name {
            /// 32 lowercase hexadecimal digits.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            /// The first eight digits that tell nodes apart: enough for a log line.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match u64::try_from(self.0) {
                    Ok(small) => write!(f, "{}#{small}", stringify!($name)),
                    Err(_) => write!(f, "{}#{:08x}", stringify!($name), self.0 >> 96),
                }
            }
        }
    )+};
}

display_hex_id!(NodeId, ClusterId);

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "Chain#{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}
