//! Votes to some only.

use decube_core::bft;

use super::mind::low_bits;
use super::{Adversary, Deviation, Mind, Outgoing, Scene};

/// For each view some get its votes, and the others do not.
#[derive(Debug)]
pub(super) struct Selection;

impl Adversary for Selection {
    fn on_send(&mut self, mind: &mut Mind, _scene: &Scene<'_>, deviation: Deviation) -> Outgoing {
        let Some(bft::Message::Vote(vote)) = deviation.bft() else {
            return Outgoing::Pass(deviation);
        };
        let view = vote.statement.view().0;
        match mind.keyed.at(low_bits(deviation.to), view | 1 << 50).coin() {
            true => Outgoing::Final(deviation),
            false => Outgoing::Nothing,
        }
    }
}
