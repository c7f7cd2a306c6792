//! Everything that a toy asks for.

use super::message::Message;
use super::request::Response;
use crate::bft::Height;
use crate::part;

/// Everything that a toy asks for, in order.
pub type Effect = part::Effect<Message, Response, Notice>;

/// What other parts may want to know.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Notice {
    /// It wants the final blocks behind its cursor.
    ReadOn {
        /// The cursor.
        after: Height,
        /// About how many bytes it takes at once.
        bytes_max: usize,
    },
    /// What only a broken one tells, and tells itself.
    Echo,
}
