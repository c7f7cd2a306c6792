//! Every planted bug has to be found by the schedules of `props`, or these prove
//! nothing. Found means: a checker saw a broken promise, the node's own asserts
//! stopped it, or the cluster did not recover.

extern crate std;

use super::cases;
use super::props::{Mix, run_schedule};
use crate::mutant::Mutant;

/// The seeds that a mutant may survive.
const SEEDS_MAX: u64 = 400;

/// How many seeds it took, or `None`.
fn hunt(mutant: Mutant) -> Option<u64> {
    (0..SEEDS_MAX).find(|seed| {
        let mix = Mix {
            membership: seed % 2 == 0,
            damage: false,
            harsh: seed % 4 < 2,
        };
        let run = move || run_schedule(*seed + 5000, mix, mutant, true);
        match std::panic::catch_unwind(run) {
            Ok(cluster) => !cluster.checker.violations.is_empty(),
            Err(_) => true,
        }
    })
}

macro_rules! killed {
    ($($name:ident: $mutant:ident),+ $(,)?) => {$(
        #[test]
        fn $name() {
            let took = hunt(Mutant::$mutant);
            assert!(took.is_some(), "survived {SEEDS_MAX} seeds");
        }
    )+};
}

killed! {
    vote_not_durable: VoteNotDurable,
    commit_beyond_verified: CommitBeyondVerified,
    truncate_matching: TruncateMatching,
    up_to_date_by_index: UpToDateByIndex,
    leader_counts_unsynced: LeaderCountsUnsynced,
    ack_before_sync: AckBeforeSync,
    skip_prev_check: SkipPrevCheck,
    quorum_too_small: QuorumTooSmall,
    learner_counts: LearnerCounts,
    read_before_term_commit: ReadBeforeTermCommit,
    membership_at_commit: MembershipAtCommit,
}

/// These need a rare coincidence; a scenario of `cases` brings it about.
#[test]
fn rare_ones_are_found_by_their_scenarios() {
    assert!(!cases::old_terms_wait(Mutant::CommitOldTerm));
    assert!(!cases::a_vote_outlives_leadership(
        Mutant::VoteForgottenInTerm
    ));
    assert!(!cases::rounds_are_not_reused(Mutant::ReadRoundReused));
    assert!(!cases::a_snapshot_brings_its_membership(
        Mutant::SnapshotKeepsMembership
    ));
    assert!(!cases::a_log_that_begins_anew_vouches_for_nothing(
        Mutant::ResetKeepsDurable
    ));
}
