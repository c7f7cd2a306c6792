//! Blocks so late that others may have given the view up.

use super::{Adversary, Deviation, Mind, Outgoing, Scene};

/// Some blocks of its own leave later.
#[derive(Debug)]
pub(super) struct Lateness;

impl Adversary for Lateness {
    fn on_send(&mut self, mind: &mut Mind, _scene: &Scene<'_>, deviation: Deviation) -> Outgoing {
        let Some(view) = deviation.view() else {
            return Outgoing::Pass(deviation);
        };
        let after = match mind.of_view(view).again().coin() {
            true => mind.draw().below(mind.delta * 6),
            false => 0,
        };
        Outgoing::Pass(Deviation { after, ..deviation })
    }
}
