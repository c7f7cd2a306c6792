//! What may happen to a validator.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::block::{Block, BlockRef, Commitments};
use super::cert::Proven;
use super::message::Message;
use super::types::{PersistSeq, View};
use super::vote::Vote;
use crate::crypto::Digest;
use crate::types::NodeId;

/// An event.
#[derive(Debug, Clone)]
pub enum Event {
    /// Recovery is done. The first event.
    Start(Box<Recovered>),
    /// The deadline has come, or an iteration of the shell ends.
    Wake,
    /// A message from a peer that the transport has authenticated.
    Message {
        /// Who.
        from: NodeId,
        /// What it says.
        message: Message,
    },
    /// Everything up to this write is durable. Writes complete in order.
    Persisted {
        /// The last of them.
        seq: PersistSeq,
    },
    /// A write failed: the validator halts.
    StoreFailed,
    /// What the application puts into the block of this view; nothing if it can
    /// not build one.
    Built {
        /// The view that it was asked for.
        view: View,
        /// The items, and what the header commits to.
        content: Option<Box<Content>>,
    },
    /// The application's judgement of a block.
    Checked {
        /// The block.
        hash: Digest,
        /// Whether it follows the application's rules.
        valid: bool,
    },
    /// Whether somebody waits for a block: the pool of transactions is not empty.
    Pending {
        /// Whether so.
        waiting: bool,
    },
}

/// What the application puts into a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub items: Vec<Bytes>,
    /// What the header says of them and of the application.
    pub commitments: Commitments,
}

/// What the disk held when the node started.
#[derive(Debug, Clone, Default)]
pub struct Recovered {
    /// This node's own votes of the present epoch.
    pub votes: Vec<Vote>,
    /// Certificates of the present epoch. They were verified before they were
    /// written, and the log below guards its records.
    pub certs: Vec<Proven>,
    /// Blocks of the present epoch that may not be final.
    pub blocks: Vec<Block>,
    /// The last block that was handed to the application and is durable there;
    /// none if the application holds nothing after the root of the epoch. Never
    /// the last block of the epoch: then the owner begins with the next one.
    pub committed: Option<BlockRef>,
    /// The view up to which this node never votes again, because it may have
    /// voted there with a disk that is lost.
    pub vote_floor: View,
    /// The disk was empty although this validator may have voted before. It asks
    /// the others before it votes.
    pub lost_disk: bool,
}
