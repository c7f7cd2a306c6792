//! Everything that can happen to a toy.

use alloc::vec::Vec;

use super::message::Message;
use super::request::Request;
use crate::bft::Height;
use crate::crypto::Digest;
use crate::part;

/// Everything that can happen to a toy.
pub type Event = part::Event<Message, Request, Link>;

/// What other parts have to tell it, in its own words: it knows none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// A block is final.
    Final {
        height: Height,
        /// Its name.
        hash: Digest,
    },
    /// The state after this block came into force without the blocks up to it.
    Replaced {
        /// The block.
        at: Height,
    },
    /// Blocks that it has asked for.
    Run {
        /// The block before the first of them.
        after: Height,
        /// Their names.
        blocks: Vec<Digest>,
        /// Whether there was no further one.
        is_last: bool,
    },
    /// What it has told itself: only one that is broken does.
    Echo,
}
