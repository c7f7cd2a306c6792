//! Everything that a node of the ledger asks for.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::chain::record::FinalBlock;
use super::event::Reader;
use super::message::Message;
use super::reads::request::Response;
use crate::bft::{Evidence, Height};
use crate::part;

/// Everything that a node of the ledger asks for, in order.
pub type Effect = part::Effect<Message, Response, Notice>;

/// What other parts, and whoever watches the node, may want to know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Notice {
    /// A block is final, and durable here. Each height comes once in the life of a
    /// process, in order.
    Final(Arc<FinalBlock>),
    /// The state after this block was fetched instead of executing all blocks up to
    /// it. Final blocks go on behind it.
    Replaced {
        /// The block.
        at: Height,
    },
    /// Final blocks from the store, for a part that has asked for them.
    Run(Run),
    /// More than a third of the power is Byzantine. The ledger halts right after.
    Forked {
        /// Who signed both sides, with proof.
        culprits: Vec<Evidence>,
    },
}

/// Final blocks that follow each other, in answer to [`ReadOn`](super::ReadOn).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Run {
    /// Who has asked.
    pub reader: Reader,
    /// The block before the first of them: the one that was asked for, or a later one if
    /// this node has not kept what follows that. Those in between are not to be had here.
    pub after: Height,
    pub blocks: Vec<Arc<FinalBlock>>,
    /// Whether the store had no further one when it was read. What it was given since was
    /// told by a notice.
    pub is_last: bool,
}
