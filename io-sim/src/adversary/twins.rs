//! Twins are two honest processes with one key that hear different halves of the others
//! (Bano et al., *Twins: BFT Systems Made Robust*, 2022). Together they are a Byzantine node.

use decube_core::types::NodeId;

use super::mind::low_bits;
use crate::rng::{Domain, Keyed};

/// What twins let through changes after so many message delays.
pub(crate) const WINDOW_DELAYS: u64 = 5;

/// Whether a twin, the first of its name or the second, and another slot hear each other in
/// a stretch of time: each twin has a part of the others.
pub(crate) fn let_pass(
    seed: u64,
    twin: NodeId,
    is_second: bool,
    other: usize,
    window: u64,
) -> bool {
    let name = low_bits(twin) << 16 ^ u64::try_from(other).expect("few slots");
    let draw = Keyed::new(seed, Domain::Byzantine).at(name | 1 << 40, window);
    match draw.below(4) {
        0 => true,
        1 | 2 => draw.again().coin() == is_second,
        _ => draw.again().again().coin(),
    }
}
