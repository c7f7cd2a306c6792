//! Planted bugs have to be found, or the tests prove nothing: by the schedules of
//! `props`, or by one of the `directed` situations where chance would take too
//! long. Found means: a checker saw a broken promise, the validator's own asserts
//! stopped it, or the validators did not recover. A situation has to fail by the
//! promise that is named beside it, so that no other failure is taken for it.

extern crate std;

use alloc::string::String;
use alloc::vec;

use super::directed;
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
            0 => knobs.byzantine = vec![seed % 4],
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
    commit_not_durable: BftCommitNotDurable,
    proposal_not_durable: BftProposalNotDurable,
    finalizes_unwritten: BftFinalizesUnwritten,
    commits_newest_first: BftCommitsNewestFirst,
    ignores_late_finalize: BftIgnoresLateFinalize,
}

/// Why the situation fails with this bug, or `None` if it does not.
fn failure(situation: fn(Mutant), mutant: Mutant) -> Option<String> {
    let panic = std::panic::catch_unwind(move || situation(mutant)).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    let word = panic.downcast_ref::<&str>().map(|text| String::from(*text));
    Some(text.or(word).unwrap_or_default())
}

macro_rules! directed {
    ($($name:ident: $mutant:ident in $situation:ident by $promise:literal),+ $(,)?) => {$(
        #[test]
        fn $name() {
            let why = failure(directed::$situation, Mutant::$mutant).expect("survived");
            assert!(why.contains($promise), "found by accident: {why}");
        }
    )+};
}

directed! {
    forgets_unfinished: BftForgetsUnfinished
        in views_without_a_finalization_heal by "I10: no progress",
    takes_votes_last: BftTakesVotesLast
        in who_voted_for_a_block_keeps_it_across_a_restart by "is lost",
    helps_nobody: BftHelpsNobody
        in who_comes_back_to_an_idle_ledger_is_helped by "I10",
    sleeps_through_votes: BftSleepsThroughVotes
        in what_one_validator_waits_for_wakes_the_others by "I10",
    repeats_nothing: BftRepeatsNothing in what_was_lost_is_said_again by "I10",
    own_votes_not_recovered: BftOwnVotesNotRecovered
        in own_votes_count_after_a_crash_of_all by "I10",
    answers_no_certs: BftAnswersNoCerts
        in who_lacks_many_certificates_asks_for_them by "I10",
    late_finalize: BftIgnoresLateFinalize
        in a_finalization_comes_after_the_view by "I10",
    builds_on_invalid: BftBuildsOnInvalid in what_rests_on_a_bad_block_is_bad by "S5",
    keeps_equivocated_proposal: BftKeepsEquivocatedProposal
        in a_certified_block_is_fetched_whatever_was_proposed by "S5",
    notarizes_twice: BftNotarizesTwice in one_vote_per_view_across_a_restart by "I5",
    rejoins_on_one_answer: BftRejoinsOnOneAnswer
        in a_single_answer_does_not_bring_a_lost_disk_back by "I5",
    rejoins_without_margin: BftRejoinsWithoutMargin
        in a_lost_disk_keeps_a_margin by "I5",
    trusts_status_view: BftTrustsStatusView
        in a_claimed_view_without_proof_locks_nobody_out by "I10",
    sync_unchecked: BftSyncUnchecked in forged_final_blocks_are_refused by "I8",
    sync_links_unchecked: BftSyncLinksUnchecked
        in final_blocks_have_to_follow_each_other by "I2",
    sync_commits_again: BftSyncCommitsAgain
        in an_answer_that_comes_twice_is_taken_once by "I11",
    proves_by_last_final: BftProvesByLastFinal
        in what_is_committed_late_has_the_nearest_certificate by "I16",
    sync_forgets_cert: BftSyncForgetsCert in what_was_fetched_keeps_its_certificates by "D3",
    newest_first: BftCommitsNewestFirst in ancestors_come_before_descendants by "I11",
    power_wraps: BftPowerWraps in powers_near_the_limit_add_up by "I8",
    signer_out_of_range: BftSignerOutOfRange
        in a_signer_outside_of_the_set_is_refused by "checked above",
}
