//! What it once heard, again, of earlier epochs as well.

use std::ops::ControlFlow;

use super::{Adversary, Deviation, Mind, Scene};

/// Old messages of others.
#[derive(Debug)]
pub(super) struct Replay;

impl Adversary for Replay {
    fn on_idle(
        &mut self,
        mind: &mut Mind,
        scene: &Scene<'_>,
        deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        if !mind.heard.is_empty() {
            for _ in 0..4 {
                let at = mind.draw().index(mind.heard.len());
                let old = mind.heard[at].clone().into();
                mind.spread(scene, &old, deviations);
            }
        }
        ControlFlow::Continue(())
    }
}
