//! The hook of the flight recorder.

use decube_core::node::{Effect, Event};
use decube_core::types::Time;

/// Sees everything that passes between the host and the machine, in order.
/// `()` records nothing.
pub trait Recorder: Send + 'static {
    /// The machine is about to take this event at this time.
    fn event(&mut self, now: Time, event: &Event);

    /// The machine answered the last event with these effects.
    fn effects(&mut self, effects: &[Effect]);

    /// The host ends; write what is buffered.
    fn close(self)
    where
        Self: Sized;
}

impl Recorder for () {
    fn event(&mut self, _now: Time, _event: &Event) {}

    fn effects(&mut self, _effects: &[Effect]) {}

    fn close(self) {}
}
