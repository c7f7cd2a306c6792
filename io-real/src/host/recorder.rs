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

/// Records if there is a recorder.
impl<R: Recorder> Recorder for Option<R> {
    fn event(&mut self, now: Time, event: &Event) {
        if let Some(recorder) = self {
            recorder.event(now, event);
        }
    }

    fn effects(&mut self, effects: &[Effect]) {
        if let Some(recorder) = self {
            recorder.effects(effects);
        }
    }

    fn close(self) {
        if let Some(recorder) = self {
            recorder.close();
        }
    }
}

impl Recorder for () {
    fn event(&mut self, _now: Time, _event: &Event) {}

    fn effects(&mut self, _effects: &[Effect]) {}

    fn close(self) {}
}
