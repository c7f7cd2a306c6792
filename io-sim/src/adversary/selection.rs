//! Votes to some only.

use decube_core::bft;

use super::mind::low_bits;
use super::{Adversary, Lie, Mind, Said, Scene};

/// For each view some get its votes, and the others do not.
#[derive(Debug)]
pub(super) struct Selection;

impl Adversary for Selection {
    fn on_send(&mut self, mind: &mut Mind, _scene: &Scene<'_>, lie: Lie) -> Said {
        let Some(bft::Message::Vote(vote)) = lie.bft() else {
            return Said::Pass(lie);
        };
        let view = vote.statement.view().0;
        match mind.keyed.at(low_bits(lie.to), view | 1 << 50).coin() {
            true => Said::Final(lie),
            false => Said::Nothing,
        }
    }
}
