//! What clients ask, and what they are answered.

use alloc::collections::BTreeMap;

use super::state::Position;
use crate::bft::Height;
use crate::codec::{Decode, Encode};
use crate::types::NodeId;

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[codec(what = "request to the toy")]
pub enum Request {
    /// Where it is.
    #[codec(tag = 0)]
    Read,
    /// Adds a number to the sum. Answered when that is durable.
    #[codec(tag = 1)]
    Add { number: u64 },
    /// Every durable position from now on, until the client cancels.
    #[codec(tag = 2)]
    Follow,
}

/// What a client is answered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Response {
    /// Where it is, as its volume says.
    Read(View),
    /// The number is part of the sum.
    Added {
        /// The sum with it.
        sum: u64,
    },
    /// A durable position, for who follows.
    At(Position),
    /// Nothing was done and nothing will be; the end of a stream.
    Unavailable,
    /// Too much at once: nothing was done.
    Busy,
    /// Nobody can say whether the number is part of the sum.
    Unknown,
}

/// Where a toy is, and where its peers say that they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct View {
    /// What is durable.
    pub position: Position,
    /// The last report of each peer.
    pub peers: BTreeMap<NodeId, Height>,
}
