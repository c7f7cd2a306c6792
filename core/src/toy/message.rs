//! What toys say to each other.

use crate::bft::Height;

/// One message. Everything in it is unverified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// The sender has taken all blocks up to this one, and that is durable.
    At {
        /// The block.
        height: Height,
    },
}
