//! How operations end.

use crate::codec::{Decode, Encode};
use crate::crypto::{Digest, tagged};
use crate::merkle::{Frontier, LeafHash, TreeHead, TreeSize};

use super::types::TxId;

/// How one operation of a block ended: a leaf of the receipts root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct OpResult {
    /// The operation.
    pub id: TxId,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an operation ended. Whatever it is, its sequence number is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Outcome {
    /// It was done.
    #[codec(tag = 0)]
    Done,
    /// A validator has spoken for a change; others still have to.
    #[codec(tag = 1)]
    Approved,
    /// The name is taken.
    #[codec(tag = 2)]
    Exists,
    /// There is no such thing.
    #[codec(tag = 3)]
    NotFound,
    /// It belongs to another account.
    #[codec(tag = 4)]
    NotOwner,
    /// Only a validator may do this.
    #[codec(tag = 5)]
    NotValidator,
    /// A value is out of its bounds.
    #[codec(tag = 6)]
    OutOfBounds,
    /// Too many proposals are open.
    #[codec(tag = 7)]
    TooMany,
    /// The change would leave no set that can vote.
    #[codec(tag = 8)]
    NoSet,
    /// The evidence convicts nobody.
    #[codec(tag = 9)]
    NotProven,
    /// The validator is convicted already.
    #[codec(tag = 10)]
    AlreadyConvicted,
    /// The key is another account's or validator's.
    #[codec(tag = 11)]
    KeyInUse,
}

impl Outcome {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 12] = [
        Self::Done,
        Self::Approved,
        Self::Exists,
        Self::NotFound,
        Self::NotOwner,
        Self::NotValidator,
        Self::OutOfBounds,
        Self::TooMany,
        Self::NoSet,
        Self::NotProven,
        Self::AlreadyConvicted,
        Self::KeyInUse,
    ];

    /// Whether the ledger has changed as asked for, as far as one signer can.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Done | Self::Approved)
    }

    /// What it is called by the HTTP API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Approved => "approved",
            Self::Exists => "exists",
            Self::NotFound => "not_found",
            Self::NotOwner => "not_owner",
            Self::NotValidator => "not_validator",
            Self::OutOfBounds => "out_of_bounds",
            Self::TooMany => "too_many",
            Self::NoSet => "no_set",
            Self::NotProven => "not_proven",
            Self::AlreadyConvicted => "already_convicted",
            Self::KeyInUse => "key_in_use",
        }
    }
}

/// The tree over the results of a block. Headers commit to number and root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct ResultsHead {
    count: u64,
    root: Digest,
}

impl ResultsHead {
    /// The tree over these results.
    pub fn of(results: &[OpResult]) -> Self {
        let mut tree = Frontier::default();
        for result in results {
            tree.append(LeafHash::of(&result.to_bytes()));
        }
        Self {
            count: tree.size().0,
            root: tree.root(),
        }
    }

    /// What the header of the child says.
    pub fn root(&self) -> Digest {
        let parts: [&[u8]; 2] = [&self.count.to_be_bytes(), &self.root.0];
        tagged("decube/results/v1", &parts)
    }

    /// As a tree, to check that a result stands in it.
    pub const fn tree(&self) -> TreeHead {
        TreeHead {
            size: TreeSize(self.count),
            root: self.root,
        }
    }
}
