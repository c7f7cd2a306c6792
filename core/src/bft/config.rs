//! What a validator is built from.

use alloc::sync::Arc;

use super::block::BlockRef;
use super::types::{Epoch, Height, View};
use super::validators::ValidatorSet;
use crate::codec::{Decode, Encode};
use crate::crypto::{ChainId, Digest, SharedSigner, SharedVerifier};
use crate::mutant::Mutant;
use crate::types::{NodeId, Span};

/// How certificates travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub enum Relay {
    /// Only to those that seem to need them (rules C1 to C5).
    #[default]
    #[codec(tag = 0)]
    Sparse,
    /// Everybody sends every certificate to everybody, once: what Simplex says.
    #[codec(tag = 1)]
    Flood,
}

/// Spans of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Timing {
    /// The delay of a message that everything is measured by. The leader has two
    /// of them to propose, a view three to end.
    pub delta: Span,
    /// Between two blocks when nobody wants anything.
    pub idle_block: Span,
}

/// One validator, or a node that only follows.
#[derive(Debug, Clone)]
pub struct Config {
    pub node: NodeId,
    /// The ledger.
    pub chain: ChainId,
    /// Its key. Without one, or outside of the set, it follows and never votes.
    pub signer: Option<SharedSigner>,
    /// How signatures are checked.
    pub verifier: SharedVerifier,
    /// Spans of time.
    pub timing: Timing,
    /// How certificates travel.
    pub relay: Relay,
    /// Writes under way at most, two or more; fewer than [`PERSISTS_PENDING_MAX`] only in
    /// simulation. With half as many no vote is given.
    ///
    /// [`PERSISTS_PENDING_MAX`]: crate::limits::PERSISTS_PENDING_MAX
    pub persists_pending_max: usize,
    /// The planted bug, if any.
    pub mutant: Mutant,
}

/// An epoch: who votes, and on what it rests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochStart {
    /// Its number.
    pub epoch: Epoch,
    /// The height of the block that it rests on.
    pub root_height: Height,
    /// The hash of that block.
    pub root_hash: Digest,
    /// Who votes.
    pub validators: Arc<ValidatorSet>,
}

impl EpochStart {
    /// The place of the block that the epoch rests on: view 0 of the epoch.
    pub const fn root(&self) -> BlockRef {
        BlockRef {
            view: View(0),
            height: self.root_height,
            hash: self.root_hash,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            delta: Span::from_millis(250),
            idle_block: Span::from_secs(5),
        }
    }
}
