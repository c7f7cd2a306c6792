//! Blocks so late that others may have given the view up.

use super::{Adversary, Deviation, Mind, Said, Scene};

/// Some blocks of its own leave later.
#[derive(Debug)]
pub(super) struct Lateness;

impl Adversary for Lateness {
    fn on_send(&mut self, mind: &mut Mind, _scene: &Scene<'_>, deviation: Deviation) -> Said {
        let Some(view) = deviation.view() else {
            return Said::Pass(deviation);
        };
        let after = match mind.of_view(view).again().coin() {
            true => mind.draw().below(mind.delta * 6),
            false => 0,
        };
        Said::Pass(Deviation { after, ..deviation })
    }
}
