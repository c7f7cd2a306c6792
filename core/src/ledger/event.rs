//! Everything that can happen to a node of the ledger.

use super::message::Message;
use super::reads::request::Request;
use crate::part;

/// Everything that can happen to a node of the ledger.
pub type Event = part::Event<Message, Request, Link>;

/// What other parts have to tell it: nothing so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {}
