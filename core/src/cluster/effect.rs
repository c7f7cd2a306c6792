//! Everything that a node's part in its cluster asks for.

use super::message::Message;
use super::request::Response;
use crate::part;

/// Everything that a node's part in its cluster asks for, in order.
pub type Effect = part::Effect<Message, Response, Notice>;

/// What other parts may want to know of it: nothing so far.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Notice {}
