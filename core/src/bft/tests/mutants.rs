//! Planted bugs have to be found by the schedules of `props`, or these prove
//! nothing. Found means: a checker saw a broken promise, the validator's own
//! asserts stopped it, or the validators did not recover. The `Bft` mutants that
//! are not listed survive these schedules or take minutes: they need scenarios.

extern crate std;

use alloc::vec;

use super::props::{faults, run};
use crate::mutant::Mutant;

/// The seeds that a mutant may survive.
const SEEDS_MAX: u64 = 300;

/// The seed that found it, or `None`.
fn hunt(mutant: Mutant) -> Option<u64> {
    (0..SEEDS_MAX).find(|seed| {
        let mut knobs = faults(*seed);
        knobs.mutant = mutant;
        match seed % 3 {
            0 => knobs.liars = vec![seed % 4],
            1 => knobs.twins = vec![seed % 4],
            _ => {}
        }
        std::panic::catch_unwind(move || run(*seed, knobs)).is_err()
    })
}

macro_rules! killed {
    ($($name:ident: $mutant:ident),+ $(,)?) => {$(
        #[test]
        fn $name() {
            let took = hunt(Mutant::$mutant);
            assert!(took.is_some(), "survived {SEEDS_MAX} seeds");
            std::println!("{}: found with seed {}", stringify!($mutant), took.unwrap());
        }
    )+};
}

killed! {
    quorum_rounded_down: BftQuorumRoundedDown,
    cert_signatures_unchecked: BftCertSignaturesUnchecked,
    vote_not_durable: BftVoteNotDurable,
    guard_not_recovered: BftGuardNotRecovered,
    finalizes_after_nullify: BftFinalizesAfterNullify,
    skips_unchecked: BftSkipsUnchecked,
    tally_ignores_block: BftTallyIgnoresBlock,
    commits_certified_only: BftCommitsCertifiedOnly,
}
