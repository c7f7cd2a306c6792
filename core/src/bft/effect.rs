//! What a validator asks of its owner.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::block::{Block, BlockRef, Header};
use super::cert::Proven;
use super::evidence::Evidence;
use super::message::Message;
use super::types::{Height, PersistSeq, View};
use super::vote::Vote;
use crate::codec::{Decode, Encode};
use crate::crypto::Digest;
use crate::types::NodeId;

/// An effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write these records, in order, as one atomic batch, and report it by
    /// [`super::Event::Persisted`]. What depends on it has not been sent yet.
    Persist {
        /// Its number.
        seq: PersistSeq,
        /// What to write.
        records: Vec<Record>,
    },
    /// Send to one peer. May be lost.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Send to all other validators of the epoch. May be lost.
    Broadcast {
        /// What.
        message: Message,
    },
    /// Build the content of a block on this parent, which was found valid.
    Build {
        /// The view to answer with.
        view: View,
        parent: BlockRef,
    },
    /// Judge a block. Its parent was found valid before, or is final.
    Check { block: Arc<Block> },
    /// This block is final and durable here. Each height comes once, in order.
    Commit(Box<Committed>),
    /// Answer this peer with final blocks from this height on, as many as one
    /// answer holds, as [`Message::Blocks`]. If there are none, do nothing.
    ServeBlocks {
        /// The peer.
        to: NodeId,
        /// The first height wanted.
        from: Height,
    },
    /// Answer this peer with the final block of this hash, if it is kept.
    ServeBlock {
        /// The peer.
        to: NodeId,
        /// The block.
        hash: Digest,
    },
    /// A validator has signed two things that no honest one signs.
    Evidence(Box<Evidence>),
    /// More than a third of the power is Byzantine: the ledger is broken, and this node
    /// votes no more. The certificates prove it; who signed both sides is guilty.
    SafetyViolation {
        /// Certificates that contradict each other.
        certs: Vec<Proven>,
        /// The guilty, with proof, as far as these certificates show them. It takes
        /// the notarizations of both blocks to convict if one was only notarised.
        culprits: Vec<Evidence>,
    },
}

/// A final block.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Committed {
    pub block: Arc<Block>,
    /// The headers from its child up to the certified block; empty if it is
    /// certified itself.
    pub path: Vec<Header>,
    pub finalization: Proven,
}

impl Record {
    /// The view that it speaks of.
    pub fn view(&self) -> View {
        match self {
            Self::Vote(vote) => vote.statement.view(),
            Self::Block(block) => block.header().view,
            Self::Cert(cert) => cert.statement.view(),
            Self::VoteFloor(view) => *view,
        }
    }
}

/// One record of the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(what = "record of the ledger")]
pub enum Record {
    /// An own vote: the vote guard. Durable before the vote is sent (D1).
    #[codec(tag = 0)]
    Vote(Vote),
    /// A block. Durable before it is finalised (D2).
    #[codec(tag = 1)]
    Block(Arc<Block>),
    /// A certificate. A notarization is durable before the vote to finalise (D2),
    /// a finalization before its block is announced (D3).
    #[codec(tag = 2)]
    Cert(#[codec(with = assumed)] Proven),
    /// Never vote up to this view: the disk was lost.
    #[codec(tag = 3)]
    VoteFloor(View),
}

/// Certificates of records that this node has written itself: they were verified before,
/// and are not verified again. The log guards its records.
mod assumed {
    use super::Proven;
    use crate::codec::{DecodeError, Encode as _, Reader, Writer};

    pub(super) fn encode(cert: &Proven, writer: &mut Writer) {
        (**cert).encode(writer);
    }

    pub(super) fn size_hint(cert: &Proven) -> usize {
        (**cert).size_hint()
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Proven, DecodeError> {
        reader.get().map(Proven::assume)
    }
}
