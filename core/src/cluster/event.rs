//! Everything that can happen to a node's part in its cluster.

use super::message::Message;
use super::request::Request;
use crate::part;

/// Everything that can happen to a node's part in its cluster.
pub type Event = part::Event<Message, Request, Link>;

/// What other parts have to tell it: nothing so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {}
