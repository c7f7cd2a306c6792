//! Nothing at all to some, for a while.

use super::mind::low_bits;
use super::{Adversary, Deviation, Mind, Outgoing, Scene};

/// Some hear nothing of it.
#[derive(Debug)]
pub(super) struct Withholding;

impl Adversary for Withholding {
    fn on_send(&mut self, mind: &mut Mind, scene: &Scene<'_>, deviation: Deviation) -> Outgoing {
        let window = mind.window(scene.now);
        let salt = mind.entity << 16 ^ low_bits(deviation.to);
        match mind.keyed.at(salt, window | 1 << 54).coin() {
            true => Outgoing::Nothing,
            false => Outgoing::Pass(deviation),
        }
    }
}
