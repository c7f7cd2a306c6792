//! Everything that a node of the ledger asks for.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::chain::record::FinalBlock;
use super::message::Message;
use super::reads::request::Response;
use crate::bft::{Evidence, Height};
use crate::part;

/// Everything that a node of the ledger asks for, in order.
pub type Effect = part::Effect<Message, Response, Notice>;

/// What other parts, and whoever watches the node, may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// More than a third of the power lies. The ledger halts right after.
    Forked {
        /// Who signed both sides, with proof.
        culprits: Vec<Evidence>,
    },
}
