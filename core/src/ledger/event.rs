//! Everything that can happen to a node of the ledger.

use super::message::Message;
use super::reads::request::Request;
use crate::bft::Height;
use crate::part;

/// Everything that can happen to a node of the ledger.
pub type Event = part::Event<Message, Request, Link>;

/// What other parts have to tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// A part wants the final blocks behind those that it has taken. Answered by one
    /// [`Run`](super::Run), unless the ledger ends first.
    ReadOn(ReadOn),
}

/// Which final blocks a part wants to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReadOn {
    /// Echoed in the answer. A reader asks again when it was answered, not before.
    pub reader: Reader,
    /// The last block that it has taken, as its own volume says.
    pub after: Height,
    /// About how many bytes of blocks it takes at once; at least one block, if there is
    /// any, and never more than an answer holds.
    pub bytes_max: usize,
}

/// A part that reads final blocks. The ledger does not know other parts: the links of the
/// node say who is who.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reader(pub u8);
