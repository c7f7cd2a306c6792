//! Nothing at all, for a while.

use std::ops::ControlFlow;

use decube_core::node::Message;
use decube_core::types::NodeId;

use super::{Adversary, Deviation, Mind, Outgoing, Scene};

/// It listens, and says nothing.
#[derive(Debug)]
pub(super) struct Silence;

/// Whether it is silent now.
fn is_silent(mind: &Mind, now: u64) -> bool {
    let window = mind.window(now);
    mind.keyed.at(mind.entity, window | 1 << 53).coin()
}

/// The others speak unless it is.
fn unless_silent(mind: &Mind, now: u64) -> ControlFlow<()> {
    match is_silent(mind, now) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    }
}

impl Adversary for Silence {
    fn on_send(&mut self, mind: &mut Mind, scene: &Scene<'_>, deviation: Deviation) -> Outgoing {
        match is_silent(mind, scene.now) {
            true => Outgoing::Nothing,
            false => Outgoing::Pass(deviation),
        }
    }

    fn on_receive(
        &mut self,
        mind: &mut Mind,
        scene: &Scene<'_>,
        _from: NodeId,
        _message: &Message,
        _deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        unless_silent(mind, scene.now)
    }

    fn on_idle(
        &mut self,
        mind: &mut Mind,
        scene: &Scene<'_>,
        _deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        unless_silent(mind, scene.now)
    }
}
