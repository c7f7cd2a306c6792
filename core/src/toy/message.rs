//! What toys say to each other.

use crate::bft::Height;
use crate::codec::{Decode, Encode};

/// One message. Everything in it is unverified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(what = "message of the toy")]
pub enum Message {
    /// The sender has taken all blocks up to this one, and that is durable.
    #[codec(tag = 0)]
    At {
        /// The block.
        height: Height,
    },
}
