//! What it once heard, again, of earlier epochs as well.

use std::ops::ControlFlow;

use super::{Adversary, Lie, Mind, Scene};

/// Old messages of others.
#[derive(Debug)]
pub(super) struct Replay;

impl Adversary for Replay {
    fn on_idle(
        &mut self,
        mind: &mut Mind,
        scene: &Scene<'_>,
        lies: &mut Vec<Lie>,
    ) -> ControlFlow<()> {
        if !mind.heard.is_empty() {
            for _ in 0..4 {
                let at = mind.draw().index(mind.heard.len());
                let old = mind.heard[at].clone().into();
                mind.spread(scene, &old, lies);
            }
        }
        ControlFlow::Continue(())
    }
}
