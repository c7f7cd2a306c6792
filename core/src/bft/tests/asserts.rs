//! The validator's own asserts. Each test breaks one thing by hand and expects the
//! assert that stands for it. Debug and release builds run the same ones.

extern crate std;

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::solo::{Keys, Solo, machine};
use crate::bft::gate::{Gate, Held};
use crate::bft::guard::Guard;
use crate::bft::rejoin::Rejoin;
use crate::bft::round::Round;
use crate::bft::state::{Known, Peer, Phase, Verdict};
use crate::bft::*;
use crate::crypto::{Digest, sha256};
use crate::limits::PERSISTS_PENDING_MAX;
use crate::machine::{Machine as _, Outbox};
use crate::mutant::Mutant;
use crate::types::{Span, Time};

/// A validator of four that neither leads view 1 nor view 2, in view 1.
fn one_of_four(keys: &Keys) -> Solo<'_> {
    let me = keys.without(&[keys.leader(1), keys.leader(2)])[0];
    Solo::new(keys, me, Mutant::None)
}

/// The leader of view 1, in view 1.
fn leader_of_four(keys: &Keys) -> Solo<'_> {
    Solo::new(keys, keys.leader(1), Mutant::None)
}

fn four() -> Keys {
    Keys::new(&[1; 4])
}

fn proven(keys: &Keys, statement: Statement) -> Proven {
    Proven::assume(keys.cert(&keys.without(&[]), statement))
}

fn final_cert(keys: &Keys, block: &Block) -> Proven {
    proven(keys, keys.on(VoteKind::Finalize, block))
}

/// Brings it into view 2, with the block of view 1 notarised and here.
fn block_1_notarised(solo: &mut Solo<'_>) -> Block {
    let keys = solo.keys;
    let block = keys.block(1, keys.epoch.root(), &[b"one"]);
    solo.hear(keys.leader(1), keys.proposal(&block, None, vec![]));
    let others = keys.without(&[solo.me]);
    solo.hear_cert(
        others[0],
        keys.cert(&others, keys.on(VoteKind::Notarize, &block)),
    );
    block
}

fn known(block: &Block) -> Known {
    Known {
        block: Arc::new(block.clone()),
        verdict: Verdict::Valid,
        recorded: true,
    }
}

fn wake(solo: &mut Solo<'_>) {
    solo.step(Event::Wake);
}

/// Each test gets four validators and a machine of one of them, or of the leader.
macro_rules! stopped {
    ($($name:ident: $name_of_rule:literal, $who:ident, |$keys:ident, $solo:ident| $break:block)+) => {$(
        #[test]
        #[should_panic(expected = $name_of_rule)]
        fn $name() {
            let keys = four();
            let mut solo = $who(&keys);
            let $solo = &mut solo;
            let $keys = &keys;
            $break
        }
    )+};
}

stopped! {
    a_view_is_opened_by_the_certificate_before_it: "S1: the certificate", one_of_four, |keys, solo| {
        block_1_notarised(solo);
        solo.bft.entered_by = Some(proven(keys, keys.null(2)));
        solo.bft.invariants();
    }
    what_opened_the_view_is_kept: "S1: what opened", one_of_four, |_keys, solo| {
        block_1_notarised(solo);
        solo.bft.rounds.clear();
        solo.bft.invariants();
    }
    only_a_disk_that_hangs_puts_off_giving_up: "S7: a view that is late", one_of_four, |_keys, solo| {
        solo.bft.gives_up = true;
        solo.bft.invariants();
    }
    only_giving_up_the_present_view_is_put_off: "S7: only the present view", one_of_four, |_keys, solo| {
        solo.bft.nullify(View(2));
    }
    only_the_leader_builds: "S2: only the leader", one_of_four, |_keys, solo| {
        solo.bft.building = Some(View(1));
        solo.bft.invariants();
    }
    only_the_leader_proposes: "S2: the leader of a view proposes", one_of_four, |keys, solo| {
        solo.bft.building = Some(View(1));
        solo.bft.builds_on = keys.epoch.root_hash;
        solo.step(Event::Built { view: View(1), content: Some(content(&[b"mine"])) });
    }
    blocks_are_built_for_the_present_view: "S2: blocks are built", leader_of_four, |_keys, solo| {
        solo.bft.building = Some(View(5));
        solo.bft.invariants();
    }
    only_the_present_view_is_voted_in: "S4: a block of the present view", one_of_four, |keys, solo| {
        let later = keys.block(3, keys.epoch.root(), &[]);
        solo.bft.cast(keys.on(VoteKind::Notarize, &later));
    }
    only_the_first_block_is_voted_for: "S4: the leader's first block", one_of_four, |keys, solo| {
        let block = keys.block(1, keys.epoch.root(), &[]);
        solo.bft.cast(keys.on(VoteKind::Notarize, &block));
    }
    what_is_voted_for_is_here: "S4: what is voted for is here", one_of_four, |keys, solo| {
        let block = keys.block(1, keys.epoch.root(), &[]);
        solo.bft.round(View(1)).proposal = Some(block.hash());
        solo.bft.cast(keys.on(VoteKind::Notarize, &block));
    }
    what_is_voted_for_is_written: "D1b: what is voted for", one_of_four, |keys, solo| {
        let block = keys.block(1, keys.epoch.root(), &[]);
        propose(solo, &block, false);
        solo.bft.cast(keys.on(VoteKind::Notarize, &block));
    }
    the_parent_of_what_is_voted_for_is_here: "S4: the parent", one_of_four, |keys, solo| {
        let elsewhere = BlockRef { hash: sha256(b"elsewhere"), ..keys.epoch.root() };
        let block = keys.block(1, elsewhere, &[]);
        propose(solo, &block, true);
        solo.bft.cast(keys.on(VoteKind::Notarize, &block));
    }
    no_final_view_is_skipped: "S8: no view is skipped", one_of_four, |keys, solo| {
        block_1_notarised(solo);
        let block = keys.block(2, keys.epoch.root(), &[]);
        let last = keys.block(1, keys.epoch.root(), &[b"one"]);
        propose(solo, &block, true);
        solo.bft.round(View(1)).keep_cert(final_cert(keys, &last));
        solo.bft.cast(keys.on(VoteKind::Notarize, &block));
    }
    what_is_finalised_is_notarised: "S6: what is finalised", one_of_four, |keys, solo| {
        let block = keys.block(1, keys.epoch.root(), &[]);
        solo.bft.cast(keys.on(VoteKind::Finalize, &block));
    }
    what_is_finalised_is_written: "D2: what is finalised", one_of_four, |keys, solo| {
        let block = keys.block(1, keys.epoch.root(), &[]);
        solo.bft.round(View(1)).keep_cert(proven(keys, keys.on(VoteKind::Notarize, &block)));
        propose(solo, &block, false);
        solo.bft.cast(keys.on(VoteKind::Finalize, &block));
    }
    only_the_present_view_is_given_up: "S7: only the present view", one_of_four, |keys, solo| {
        solo.bft.cast(keys.null(2));
    }
    a_certificate_is_of_a_quorum: "S5: a certificate is of a quorum", one_of_four, |keys, solo| {
        let two = Proven::assume(keys.cert(&[0, 1], keys.null(1)));
        solo.bft.accept(two, false, &mut Outbox::new());
    }
    each_signer_of_a_certificate_has_signed: "S5: a certificate has one", one_of_four, |keys, solo| {
        let mut cert = keys.cert(&keys.without(&[solo.me]), keys.null(1));
        cert.signatures.pop();
        Proven::assume(cert);
    }
    blocks_are_committed_on_their_parents: "S9: blocks are committed", one_of_four, |keys, solo| {
        let first = keys.block(1, keys.epoch.root(), &[]);
        let second = keys.block(2, first.place(), &[]);
        commit(solo, &second, &second);
    }
    what_is_committed_is_finalised: "S9: what is committed", one_of_four, |keys, solo| {
        let first = keys.block(1, keys.epoch.root(), &[]);
        let second = keys.block(2, first.place(), &[]);
        commit(solo, &first, &second);
    }
    nothing_is_committed_behind_the_end: "S9: nothing is behind", one_of_four, |keys, solo| {
        let first = keys.block(1, keys.epoch.root(), &[]);
        solo.bft.phase = Phase::Ended;
        commit(solo, &first, &first);
    }
    a_running_view_has_deadlines: "S11: whoever sleeps", one_of_four, |_keys, solo| {
        solo.bft.timers = timers::Timers::default();
        solo.bft.invariants();
    }
    a_view_that_sleeps_does_not_run: "S11: a view sleeps", one_of_four, |_keys, solo| {
        solo.bft.timers.idle = Some(solo.now);
        solo.bft.invariants();
    }
    who_was_not_heard_is_not_helped: "S12: only who was heard", one_of_four, |keys, solo| {
        let peer = Peer { helped_at: Some(Time(1)), ..Peer::default() };
        solo.bft.peers.insert(keys.node(0), peer);
        solo.bft.invariants();
    }
    nobody_elses_vote_waits_here: "D1: nobody else's vote", one_of_four, |keys, solo| {
        let other = keys.vote(keys.leader(1), keys.null(1));
        solo.bft.release(Held::Vote(other), &mut Outbox::new());
    }
    an_own_vote_counts_when_it_is_durable: "D1: an own vote counts", one_of_four, |keys, solo| {
        let vote = keys.vote(solo.me, keys.null(1));
        solo.bft.guard.insert(vote);
        solo.bft.count(vote, &mut Outbox::new());
    }
    each_height_is_announced_once: "D3: the application hears", one_of_four, |keys, solo| {
        let first = keys.block(1, keys.epoch.root(), &[]);
        let committed = Committed {
            finalization: final_cert(keys, &first),
            block: Arc::new(first),
            path: vec![],
        };
        let mut twice = || solo.bft.announce(Box::new(committed.clone()), &mut Outbox::new());
        twice();
        twice();
    }
    the_application_stands_on_the_root: "D4: the application stands", one_of_four, |keys, solo| {
        let below = BlockRef { height: Height(9), ..keys.epoch.root() };
        start(solo, Recovered { committed: Some(below), ..Recovered::default() });
    }
    what_was_signed_before_binds: "D6: what was signed", one_of_four, |keys, solo| {
        let vote = keys.vote(solo.me, keys.null(1));
        solo.bft.recover_votes(vec![vote], &mut Outbox::new());
    }
    a_vote_waits_for_the_write_of_it: "D1: a vote waits", one_of_four, |keys, solo| {
        solo.bft.gate.hold(Held::Vote(keys.vote(solo.me, keys.null(1))));
        wake(solo);
    }
    a_proposal_waits_for_the_write_of_its_vote: "D1: a proposal waits", one_of_four, |keys, solo| {
        let block = keys.block(1, keys.epoch.root(), &[]);
        solo.bft.gate.hold(Held::Proposal(keys.proposal(&block, None, vec![])));
        wake(solo);
    }
    only_a_proposal_waits_as_one: "D1: only a proposal", one_of_four, |_keys, solo| {
        solo.bft.gate.hold(Held::Proposal(Message::AskStatus));
        wake(solo);
    }
    only_what_was_asked_for_is_durable: "D1: only what was asked", one_of_four, |_keys, solo| {
        solo.step(Event::Persisted { seq: PersistSeq(99) });
    }
    who_comes_back_waits_for_its_silence: "D5: who comes back", one_of_four, |_keys, solo| {
        solo.bft.gate.hold(Held::Rejoined);
        wake(solo);
    }
    what_was_voted_for_is_written: "D1b: what was voted for", one_of_four, |keys, solo| {
        let block = keys.block(1, keys.epoch.root(), &[]);
        solo.bft.guard.insert(keys.vote(solo.me, keys.on(VoteKind::Notarize, &block)));
        propose(solo, &block, false);
        solo.bft.invariants();
    }
    own_votes_are_said_again_as_they_are: "C4: own votes", one_of_four, |keys, solo| {
        let other = keys.vote(keys.leader(1), keys.null(1));
        solo.bft.guard.insert(other);
        solo.bft.guard.set_durable(&other);
        solo.bft.retransmit(&mut Outbox::new());
    }
    a_block_is_judged_after_its_parent: "S3: a block is judged", one_of_four, |keys, solo| {
        let elsewhere = BlockRef { hash: sha256(b"elsewhere"), ..keys.epoch.root() };
        let block = keys.block(1, elsewhere, &[]);
        propose(solo, &block, false);
        solo.bft.ask_about(&block.hash(), &mut Outbox::new());
    }
    whom_it_reports_is_convicted: "S10: whom this validator", one_of_four, |keys, solo| {
        let blocks = [b"one", b"two"].map(|item| keys.block(1, keys.epoch.root(), &[item]));
        let votes = blocks.map(|block| keys.vote(0, keys.on(VoteKind::Notarize, &block)));
        let forged = Vote { signature: votes[1].signature, ..votes[0] };
        solo.bft.report_equivocation(Evidence::of(forged, votes[1]), &mut Outbox::new());
    }
    who_comes_back_is_silent_first: "D5: who lost its disk", one_of_four, |_keys, solo| {
        solo.bft.phase = Phase::Rejoining(Rejoin::new(solo.now));
        solo.bft.release(Held::Rejoined, &mut Outbox::new());
    }
    who_is_about_to_come_back_is_silent: "D5: who is about to", one_of_four, |_keys, solo| {
        let mut rejoin = Rejoin::new(solo.now);
        rejoin.silent = Some(View(7));
        solo.bft.phase = Phase::Rejoining(rejoin);
        solo.bft.invariants();
    }
    a_validator_starts_once: "B8: a validator starts once", one_of_four, |_keys, solo| {
        solo.step(Event::Start(Box::default()));
    }
    time_goes_on: "B4: time", one_of_four, |_keys, solo| {
        solo.now = Time(1);
        wake(solo);
    }
    the_view_never_goes_back: "B4: the view", one_of_four, |_keys, solo| {
        let before = solo.bft.heads();
        solo.bft.view = View(0);
        solo.bft.assert_forward(&before);
    }
    what_is_committed_stays: "B4: what is committed", one_of_four, |_keys, solo| {
        let before = solo.bft.heads();
        solo.bft.committed.height = solo.bft.committed.height.next();
        solo.bft.assert_forward(&before);
    }
    the_highest_finalization_stays: "B4: the highest", one_of_four, |keys, solo| {
        let block = block_1_notarised(solo);
        solo.bft.last_final = Some(final_cert(keys, &block));
        let before = solo.bft.heads();
        solo.bft.last_final = None;
        solo.bft.assert_forward(&before);
    }
    the_floor_of_the_guard_stays: "B4: what is silent", one_of_four, |_keys, solo| {
        solo.bft.guard.raise_floor(View(4));
        let before = solo.bft.heads();
        solo.bft.guard = Guard::new(Mutant::None);
        solo.bft.assert_forward(&before);
    }
    writes_are_numbered_upwards: "B4: writes", one_of_four, |_keys, solo| {
        block_1_notarised(solo);
        let before = solo.bft.heads();
        solo.bft.gate = Gate::new(PERSISTS_PENDING_MAX, Mutant::None);
        solo.bft.assert_forward(&before);
    }
    nothing_is_announced_again: "B4: nothing is announced", one_of_four, |_keys, solo| {
        let before = solo.bft.heads();
        solo.bft.announced = Height(0);
        solo.bft.assert_forward(&before);
    }
    there_is_no_view_of_the_root: "B1: view 0", one_of_four, |_keys, solo| {
        solo.bft.view = View(0);
        solo.bft.invariants();
    }
    the_root_is_committed: "B1: the root", one_of_four, |_keys, solo| {
        solo.bft.committed.height = Height(9);
        solo.bft.invariants();
    }
    what_is_announced_is_committed: "B1: nothing is announced", one_of_four, |_keys, solo| {
        solo.bft.announced = Height(11);
        solo.bft.invariants();
    }
    only_finalizations_make_final: "B1: only a finalization", one_of_four, |keys, solo| {
        let block = block_1_notarised(solo);
        solo.bft.last_final = Some(proven(keys, keys.on(VoteKind::Notarize, &block)));
        solo.bft.invariants();
    }
    a_final_view_has_ended: "B1: a final view", one_of_four, |keys, solo| {
        let block = keys.block(1, keys.epoch.root(), &[]);
        solo.bft.last_final = Some(final_cert(keys, &block));
        solo.bft.invariants();
    }
    what_is_final_later_is_higher: "B1: what is final later", one_of_four, |keys, solo| {
        let block = block_1_notarised(solo);
        solo.bft.last_final = Some(final_cert(keys, &block));
        solo.bft.committed.height = block.place().height;
        solo.bft.invariants();
    }
    own_votes_are_ones_own: "B2: own votes are one's own", one_of_four, |keys, solo| {
        solo.bft.guard.insert(keys.vote(keys.leader(1), keys.null(1)));
        solo.bft.invariants();
    }
    own_votes_are_of_this_epoch: "B2: own votes are of the present epoch", one_of_four, |keys, solo| {
        let other = Statement::nullify(Epoch(9), View(1));
        solo.bft.guard.insert(keys.vote(solo.me, other));
        solo.bft.invariants();
    }
    own_votes_are_of_views_that_are_reached: "B2: votes are of views", one_of_four, |keys, solo| {
        solo.bft.guard.insert(keys.vote(solo.me, keys.null(2)));
        solo.bft.invariants();
    }
    one_vote_of_each_kind: "B2: one vote of each kind", one_of_four, |keys, solo| {
        for item in [b"one", b"two"] {
            let block = keys.block(1, keys.epoch.root(), &[item]);
            let vote = keys.vote(solo.me, keys.on(VoteKind::Notarize, &block));
            solo.bft.guard.insert(vote);
        }
    }
    never_given_up_and_finalised: "B2: never both", one_of_four, |keys, solo| {
        let block = keys.block(1, keys.epoch.root(), &[]);
        solo.bft.guard.insert(keys.vote(solo.me, keys.on(VoteKind::Finalize, &block)));
        solo.bft.guard.insert(keys.vote(solo.me, keys.null(1)));
    }
    nothing_is_signed_in_silent_views: "D5: nothing is signed", one_of_four, |keys, solo| {
        solo.bft.guard.raise_floor(View(1));
        solo.bft.guard.insert(keys.vote(solo.me, keys.null(1)));
    }
    open_blocks_have_a_bound: "B3: open blocks", one_of_four, |keys, solo| {
        for number in 0..257_u16 {
            let block = keys.block(1, keys.epoch.root(), &[&number.to_be_bytes()]);
            solo.bft.blocks.insert(block.hash(), known(&block));
        }
        solo.bft.invariants();
    }
    wanted_blocks_have_a_bound: "B3: wanted blocks", one_of_four, |_keys, solo| {
        let hashes = (0..17_u8).map(|number| sha256(&[number]));
        solo.bft.wanted.extend(hashes.map(|hash| (hash, Default::default())));
        solo.bft.invariants();
    }
    a_step_leaves_nothing_unwritten: "B3: a step leaves", one_of_four, |_keys, solo| {
        solo.bft.gate.record(Record::VoteFloor(View(1)));
        solo.bft.invariants();
    }
    views_far_ahead_are_not_kept: "B3: views are kept", one_of_four, |_keys, solo| {
        solo.bft.round(View(3));
        solo.bft.invariants();
    }
    only_validators_are_peers: "B3: only validators", one_of_four, |_keys, solo| {
        let stranger = crate::types::NodeId(0);
        solo.bft.peers.insert(stranger, Peer::default());
        solo.bft.invariants();
    }
    certificates_of_a_view_agree: "B5: certificates of a view", one_of_four, |keys, solo| {
        let block = block_1_notarised(solo);
        solo.bft.round(View(1)).keep_cert(final_cert(keys, &block));
        solo.bft.round(View(1)).keep_cert(proven(keys, keys.null(1)));
        solo.bft.invariants();
    }
    certificates_are_kept_by_their_view: "B5: certificates are kept", one_of_four, |keys, solo| {
        solo.bft.round(View(2)).keep_cert(proven(keys, keys.null(1)));
        solo.bft.invariants();
    }
    votes_are_kept_by_their_view: "B5: votes are kept", one_of_four, |keys, solo| {
        solo.bft.round(View(1)).keep_vote(keys.vote(0, keys.null(2)));
        solo.bft.invariants();
    }
    only_places_of_the_set_vote: "B6: only places", one_of_four, |keys, solo| {
        let mut vote = keys.vote(0, keys.null(1));
        vote.signer = ValidatorIndex(9);
        solo.bft.round(View(1)).keep_vote(vote);
        solo.bft.invariants();
    }
    votes_under_a_wrong_name_do_not_count: "B6: what was counted", one_of_four, |keys, solo| {
        let set = Keys::new(&[5, 1, 1, 1]).epoch.validators;
        let strong = set.iter().find(|(_, one)| one.power == Power(5)).unwrap().0.0;
        let weak = keys.without(&[strong]);
        let mut round = Round::default();
        for place in keys.without(&[]) {
            round.keep_vote(keys.vote(place, keys.null(1)));
        }
        // Two votes of the strongest, one of them at the place of a weak one.
        let nullifications = &mut round.votes[usize::from(VoteKind::Nullify.tag())];
        nullifications.insert(ValidatorIndex(weak[0]), keys.vote(strong, keys.null(1)));
        drop(round.assemble(&keys.null(1), &set, Mutant::None));
        assert_eq!(solo.bft.view(), View(1));
    }
    powers_of_a_set_add_up: "B6: the power of all", one_of_four, |keys, solo| {
        let mut set = (*keys.epoch.validators).clone();
        set.total = 3;
        let epoch = EpochStart { validators: Arc::new(set), ..keys.epoch.clone() };
        Bft::new(solo.bft.config.clone(), epoch);
    }
    nobody_weighs_more_than_all: "B6: nobody together", one_of_four, |keys, _solo| {
        let mut set = (*keys.epoch.validators).clone();
        set.total = 3;
        set.is_quorum(Signers(0b1111));
    }
    only_a_view_that_runs_is_late: "B7: only a view that runs is late", one_of_four, |_keys, solo| {
        solo.bft.timers.retry = None;
        solo.bft.timers.idle = Some(solo.now);
        solo.bft.invariants();
    }
    only_a_view_that_runs_may_rest: "B7: only a view that runs may rest", one_of_four, |_keys, solo| {
        solo.bft.timers = timers::Timers {
            idle: Some(solo.now),
            idle_hold: Some(solo.now),
            ..timers::Timers::default()
        };
        solo.bft.invariants();
    }
    only_a_leader_holds_back: "B7: only a leader with an idle hold", one_of_four, |_keys, solo| {
        solo.bft.timers.hold = Some(solo.now);
        solo.bft.invariants();
    }
    certificates_of_ended_views_are_pushed: "C3: the certificates", one_of_four, |_keys, solo| {
        solo.bft.timers.relay = Some((solo.now, View(1)));
        solo.bft.invariants();
    }
    what_is_skipped_lies_between: "C1: what is skipped", one_of_four, |_keys, solo| {
        drop(solo.bft.skips(View(2), View(2)));
    }
    nobody_supplies_itself: "C2: nobody supplies", one_of_four, |_keys, solo| {
        solo.bft.supplies(ValidatorIndex(solo.me));
    }
    the_end_leaves_nothing_open: "B8: an epoch that has ended", one_of_four, |_keys, solo| {
        solo.bft.phase = Phase::Ended;
        solo.bft.wanted.insert(sha256(b"wanted"), Default::default());
        solo.bft.invariants();
    }
    blocks_are_kept_by_their_hash: "B8: blocks are kept", one_of_four, |keys, solo| {
        let block = keys.block(1, keys.epoch.root(), &[]);
        solo.bft.blocks.insert(Digest::default(), known(&block));
        solo.bft.invariants();
    }
    open_blocks_are_above: "B8: open blocks", one_of_four, |keys, solo| {
        let low = BlockRef { height: Height(9), ..keys.epoch.root() };
        let block = keys.block(1, low, &[]);
        solo.bft.blocks.insert(block.hash(), known(&block));
        solo.bft.invariants();
    }
    what_is_here_is_not_wanted: "B8: what is here", one_of_four, |_keys, solo| {
        let block = block_1_notarised(solo);
        solo.bft.wanted.insert(block.hash(), Default::default());
        solo.bft.invariants();
    }
    a_vote_that_adds_up_changes_nothing: "B9: nothing is asked for", one_of_four, |_keys, solo| {
        solo.bft.wanted.insert(sha256(b"wanted"), Default::default());
        solo.bft.assert_at_rest();
    }
    a_vote_that_adds_up_says_nothing: "B9: a vote that only", one_of_four, |keys, solo| {
        let block = keys.block(1, keys.epoch.root(), &[]);
        propose(solo, &block, false);
        solo.bft.assert_at_rest();
    }
    a_vote_that_adds_up_makes_nothing_due: "B9: nothing is due", one_of_four, |_keys, solo| {
        solo.bft.timers.ask = Some(solo.now);
        solo.bft.assert_at_rest();
    }
}

/// Puts a block in the place of the leader's of its view, found good.
fn propose(solo: &mut Solo<'_>, block: &Block, recorded: bool) {
    let view = block.header().view;
    let known = Known {
        recorded,
        ..known(block)
    };
    solo.bft.round(view).proposal = Some(block.hash());
    solo.bft.blocks.insert(block.hash(), known);
}

fn content(items: &[&[u8]]) -> Box<Content> {
    let items: Vec<bytes::Bytes> = items
        .iter()
        .map(|one| bytes::Bytes::copy_from_slice(one))
        .collect();
    let commitments = Commitments::to_items(&items);
    Box::new(Content { items, commitments })
}

fn commit(solo: &mut Solo<'_>, block: &Block, certified: &Block) {
    solo.bft.commit(Committed {
        block: Arc::new(block.clone()),
        path: vec![],
        finalization: final_cert(solo.keys, certified),
    });
}

fn start(solo: &Solo<'_>, recovered: Recovered) {
    let mut bft = machine(solo.keys, solo.me, Mutant::None);
    bft.step(
        solo.now,
        Event::Start(Box::new(recovered)),
        &mut Outbox::new(),
    );
}

/// Each invariant that the module's head lists is the name of an assert, and each
/// assert has a name that is listed.
#[test]
fn every_name_has_an_assert() {
    let head = include_str!("../mod.rs");
    let rows = head.lines().filter_map(|line| line.strip_prefix("//! | "));
    let firsts = rows.filter_map(|row| row.split(" |").next());
    let listed: BTreeSet<&str> = firsts.flat_map(str::split_whitespace).collect();
    let listed: BTreeSet<&str> = listed.into_iter().filter(|one| is_name(one)).collect();
    let sources = [
        include_str!("../cert.rs"),
        include_str!("../commit.rs"),
        include_str!("../gate.rs"),
        include_str!("../guard.rs"),
        include_str!("../invariants.rs"),
        include_str!("../propose.rs"),
        include_str!("../rejoin.rs"),
        include_str!("../relay.rs"),
        include_str!("../round.rs"),
        include_str!("../rules.rs"),
        include_str!("../state.rs"),
        include_str!("../step.rs"),
        include_str!("../timers.rs"),
        include_str!("../validators.rs"),
        include_str!("../votes.rs"),
    ];
    let quoted = sources.iter().flat_map(|text| text.split('"').skip(1));
    let names = quoted.filter_map(|text| text.split_once(": ").map(|(name, _)| name));
    let asserted: BTreeSet<&str> = names.filter(|name| is_name(name)).collect();
    assert_eq!(asserted, listed);
}

/// A letter and a number, and perhaps a letter behind it.
fn is_name(text: &str) -> bool {
    let digits = text.trim_start_matches(['S', 'D', 'C', 'B']);
    let digits = digits.trim_end_matches('b');
    digits.len() < text.len()
        && !digits.is_empty()
        && digits.bytes().all(|one| one.is_ascii_digit())
}

/// A view that became late while the disk hung is given up when it has gone on: nothing
/// else would, if the disks of all hung.
#[test]
fn a_view_that_is_late_while_the_disk_hangs_is_given_up_afterwards() {
    let keys = four();
    let mut solo = one_of_four(&keys);
    solo.bft.gate = Gate::new(2, Mutant::None);
    solo.bft.gate.record(Record::VoteFloor(View(1)));
    let Some(Effect::Persist { seq, .. }) = solo.bft.gate.flush() else {
        panic!("it is written");
    };
    let given_up = Statement::nullify(keys.epoch.epoch, View(1));
    for _ in 0..10 {
        solo.wait(Span::from_secs(1));
        assert!(!solo.votes().contains(&given_up));
    }
    solo.step(Event::Persisted { seq });
    assert!(solo.votes().contains(&given_up));
}

/// A disk that hangs stops nobody: what comes on is one write, when it has gone on.
#[test]
fn writes_under_way_have_a_bound() {
    let mut gate = Gate::new(PERSISTS_PENDING_MAX, Mutant::None);
    let most = PERSISTS_PENDING_MAX;
    let mut last = None;
    for _ in 0..most {
        gate.record(Record::VoteFloor(View(1)));
        last = gate.flush().or(last);
    }
    for _ in 0..3 {
        gate.record(Record::VoteFloor(View(2)));
        assert!(gate.flush().is_none() && gate.is_flushed());
    }
    assert_eq!(gate.pending_len(), most);
    let keys = four();
    let mut solo = one_of_four(&keys);
    assert!(solo.bft.accepts());
    core::mem::swap(&mut solo.bft.gate, &mut gate);
    assert!(!solo.bft.accepts(), "no more is taken in");
    core::mem::swap(&mut solo.bft.gate, &mut gate);
    let Some(Effect::Persist { seq, .. }) = last else {
        panic!("there were writes");
    };
    gate.release(seq);
    let Some(Effect::Persist { records, .. }) = gate.flush() else {
        panic!("the disk goes on");
    };
    assert_eq!(records.len(), 3);
}
