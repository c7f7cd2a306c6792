//! What the loop has to know of the machines that it drives.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Debug;

use super::event_loop::Slot;
use crate::codec::{Decode, Encode};
use crate::machine::Machine;
use crate::part::{Effect, Event};
use crate::types::NodeId;

/// The machines of a test, in the words of a part, and what its author adds: how they are
/// made, who changes what they say, and who watches.
pub(crate) trait Setting: Sized {
    /// What is driven.
    type Machine: Machine<
            Event = Event<Self::Message, Self::Request, Self::Link>,
            Effect = Effect<Self::Message, Self::Response, Self::Notice>,
        >;
    /// What machines say to each other.
    type Message: Encode + Decode + Clone + PartialEq + Debug;
    /// What clients ask.
    type Request;
    /// What they are answered.
    type Response: Debug;
    /// What other parts would tell.
    type Link;
    /// What other parts would be told.
    type Notice;

    /// A new process of the node in this slot.
    fn process(&mut self, slot: usize, node: NodeId) -> Self::Machine;

    /// What becomes of a message on its way: it arrives once, if nothing else is said.
    fn on_way(&mut self, from: usize, to: usize, message: Self::Message) -> Vec<Self::Message> {
        let _ = (from, to);
        vec![message]
    }

    /// A machine has told something. What else it did in the same step is done.
    fn on_notice(&mut self, at: usize, slot: &Slot<Self::Machine>, notice: Self::Notice);

    /// Where a machine is, for people.
    fn describe(machine: &Self::Machine) -> String;
}
