//! Situations in which one rule decides. Each runs on the validator as it is
//! meant here, and with a planted bug in `mutants`, where it has to fail by the
//! promise that it names.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::cluster::{Cluster, Knobs};
use super::solo::{DELTA, Keys, Solo};
use crate::bft::state::Verdict;
use crate::bft::*;
use crate::crypto::Digest;
use crate::limits::{BLOCKS_OPEN_MAX, PATH_HEADERS_MAX, VIEWS_KEPT};
use crate::machine::Machine as _;
use crate::mutant::Mutant;
use crate::types::Span;

/// So long that waiting for it is no progress.
const NEVER: Span = Span::from_secs(3600);

macro_rules! holds {
    ($($name:ident),+ $(,)?) => {
        mod holds {
            use crate::mutant::Mutant;
            $(
                #[test]
                fn $name() {
                    super::$name(Mutant::None);
                }
            )+
        }
    };
}

holds! {
    who_comes_back_to_an_idle_ledger_is_helped,
    what_one_validator_waits_for_wakes_the_others,
    what_was_lost_is_said_again,
    own_votes_count_after_a_crash_of_all,
    who_lacks_many_certificates_asks_for_them,
    a_finalization_comes_after_the_view,
    what_rests_on_a_bad_block_is_bad,
    a_certified_block_is_fetched_whatever_was_proposed,
    what_can_not_be_kept_is_asked_for_with_pauses,
    one_vote_per_view_across_a_restart,
    who_voted_for_a_block_keeps_it_across_a_restart,
    views_without_a_finalization_heal,
    a_vote_outlives_what_had_opened_its_view,
    a_single_answer_does_not_bring_a_lost_disk_back,
    a_claimed_view_without_proof_locks_nobody_out,
    a_lost_disk_keeps_a_margin,
    who_came_back_has_deadlines,
    forged_final_blocks_are_refused,
    final_blocks_have_to_follow_each_other,
    an_answer_that_comes_twice_is_taken_once,
    ancestors_come_before_descendants,
    what_is_committed_late_has_the_nearest_certificate,
    what_was_fetched_keeps_its_certificates,
    what_is_too_far_from_its_certificate_is_fetched,
    powers_near_the_limit_add_up,
    a_signer_outside_of_the_set_is_refused,
}

/// S9. The disk has more final blocks that the application has not seen than a proof may
/// have headers; every third one has a finalization.
pub fn what_is_committed_late_has_the_nearest_certificate(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = Solo::new(&keys, me, mutant);
    let (blocks, certs) = long_chain(&keys, me);
    for block in blocks {
        let cert = (block.header().view.0 % 3 == 0).then(|| &certs[block.header().view.0 as usize]);
        solo.log.extend(cert.cloned().map(Record::Cert));
        solo.log.push(Record::Block(Arc::new(block)));
    }
    solo.restart(false);
    assert_eq!(
        solo.commits.len(),
        certs.len() / 3 * 3,
        "S9: it has them all"
    );
    for committed in &solo.commits {
        let view = committed.block.header().view.0;
        let certified = committed.finalization.statement.view().0;
        let distance = usize::try_from(certified - view).unwrap();
        assert_eq!(distance, committed.path.len());
        assert!(distance < 3, "I16: the nearest certificate");
    }
}

/// D3. Each answer to catch up is written with its certificate.
pub fn what_was_fetched_keeps_its_certificates(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = Solo::new(&keys, me, mutant);
    let from = keys.without(&[me])[0];
    let (blocks, certs) = long_chain(&keys, me);
    solo.hear_cert(from, certs.last().unwrap().to_cert());
    for run in blocks.chunks(8) {
        let last = run.last().unwrap().header().view.0 as usize;
        let answer = FinalBlocks {
            blocks: run.to_vec(),
            path: vec![],
            finalization: certs[last].to_cert(),
        };
        solo.hear(from, Message::Blocks(Box::new(answer)));
    }
    assert_eq!(solo.commits.len(), blocks.len());
    // The store did not get that far.
    solo.commits.clear();
    solo.restart(false);
    assert_eq!(
        solo.commits.len(),
        blocks.len(),
        "D3: it has what they need"
    );
    let is_near = |one: &Committed| one.path.len() < 8;
    assert!(
        solo.commits.iter().all(is_near),
        "D3: with what proves each"
    );
}

/// S9. The disk has them all, and one finalization only: damage took the others.
pub fn what_is_too_far_from_its_certificate_is_fetched(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = Solo::new(&keys, me, mutant);
    let (blocks, certs) = long_chain(&keys, me);
    solo.log.push(Record::Cert(certs.last().unwrap().clone()));
    let all = blocks
        .iter()
        .cloned()
        .map(|block| Record::Block(Arc::new(block)));
    solo.log.extend(all);
    solo.restart(false);
    assert!(
        solo.commits.is_empty(),
        "no light client takes a path that long"
    );
    let asks = |(_, message): &(_, Message)| matches!(message, Message::AskBlocks { .. });
    assert!(
        solo.sent.iter().any(asks),
        "it asks for those with certificates"
    );
    let answer = FinalBlocks {
        blocks: blocks[..8].to_vec(),
        path: vec![],
        finalization: certs[8].to_cert(),
    };
    let from = keys.without(&[me])[0];
    solo.hear(from, Message::Blocks(Box::new(answer)));
    assert_eq!(
        solo.commits.len(),
        blocks.len(),
        "S9: and goes on from there"
    );
}

/// A few more blocks than a proof may have headers, one per view, and the finalization of
/// each by its view. There is none of view 0.
fn long_chain(keys: &Keys, me: u16) -> (Vec<Block>, Vec<Proven>) {
    let others = keys.without(&[me]);
    let mut parent = keys.epoch.root();
    let mut blocks = Vec::new();
    let mut certs = vec![Proven::assume(keys.cert(&others, keys.null(1)))];
    let views = u64::try_from(PATH_HEADERS_MAX).unwrap() + 8;
    for view in 1..=views {
        let block = keys.block(view, parent, &[]);
        let statement = keys.on(VoteKind::Finalize, &block);
        certs.push(Proven::assume(keys.cert(&others, statement)));
        parent = block.place();
        blocks.push(block);
    }
    (blocks, certs)
}

/// A world without idle blocks, so that only what somebody says moves it.
fn still_world(seed: u64, mutant: Mutant) -> Cluster {
    let knobs = Knobs {
        idle_block: NEVER,
        mutant,
        ..Knobs::default()
    };
    Cluster::new(seed, knobs)
}

/// Cuts a validator off from all others.
fn isolate(cluster: &mut Cluster, slot: usize) {
    for other in 0..cluster.slots.len() {
        cluster.cut.insert((slot, other));
        cluster.cut.insert((other, slot));
    }
}

/// S12. The others are done and silent: nobody but who hears the stuck one can
/// tell it.
pub fn who_comes_back_to_an_idle_ledger_is_helped(mutant: Mutant) {
    let mut cluster = still_world(1, mutant);
    isolate(&mut cluster, 2);
    cluster.submit(b"while away");
    cluster.run_for(Span::from_secs(5));
    assert!(cluster.checker.is_final(b"while away"));
    cluster.cut.clear();
    cluster.run_for(Span::from_secs(1));
    assert!(
        cluster.lowest() >= cluster.checker.blocks,
        "I10: nobody helps who is behind"
    );
}

/// S11. Only one knows of the item, and it does not lead.
pub fn what_one_validator_waits_for_wakes_the_others(mutant: Mutant) {
    for slot in 0..4 {
        let mut cluster = still_world(2, mutant);
        cluster.run_for(Span::from_secs(3));
        cluster.submit_at(slot, b"mine");
        // Four views, of which three end by being given up.
        cluster.run_for(Span::from_millis(4 * 3 * 100));
        assert!(
            cluster.checker.is_final(b"mine"),
            "I10: what slot {slot} alone waits for is final"
        );
    }
}

/// C4. All votes of a view are lost, and nobody can vote again.
pub fn what_was_lost_is_said_again(mutant: Mutant) {
    let mut cluster = still_world(3, mutant);
    (0..4).for_each(|slot| isolate(&mut cluster, slot));
    cluster.submit(b"unheard");
    cluster.run_for(Span::from_secs(2));
    cluster.must_progress(b"heard", Span::from_secs(5));
}

/// All that are left have given the view up, but no two know of each other. With
/// one gone for good each vote is needed, the own ones too.
pub fn own_votes_count_after_a_crash_of_all(mutant: Mutant) {
    for gone in 0..4 {
        let mut cluster = still_world(4, mutant);
        cluster.crash(gone);
        cluster.gone.insert(gone);
        (0..4).for_each(|slot| isolate(&mut cluster, slot));
        cluster.submit(b"unheard");
        cluster.run_for(Span::from_secs(2));
        (0..4).for_each(|slot| cluster.crash(slot));
        cluster.must_progress(b"heard", Span::from_secs(5));
    }
}

/// S3. More views were given up than a proposal and repeated votes can show, and
/// who was not there has to vote for a block that rests on all of them.
pub fn who_lacks_many_certificates_asks_for_them(mutant: Mutant) {
    let mut cluster = still_world(5, mutant);
    isolate(&mut cluster, 3);
    cluster.filter = |message, _| !matches!(message, Message::Proposal(_));
    cluster.submit(b"many views");
    cluster.run_for(Span::from_secs(60));
    let view = cluster.slots[0].bft.as_ref().unwrap().view();
    assert!(view > View(20), "views are given up: {view}");
    cluster.crash(2);
    cluster.gone.insert(2);
    cluster.must_progress(b"after", Span::from_secs(60));
}

/// S9. Votes to finalise arrive when everybody is in the next view.
pub fn a_finalization_comes_after_the_view(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = Solo::new(&keys, me, mutant);
    let others = keys.without(&[me]);
    let block = keys.block(1, keys.epoch.root(), &[b"late"]);
    solo.hear(keys.leader(1), keys.proposal(&block, None, vec![]));
    let notarize = keys.on(VoteKind::Notarize, &block);
    solo.hear_cert(others[0], keys.cert(&others, notarize));
    assert_eq!(solo.bft.view(), View(2));
    for signer in others {
        let finalize = keys.vote(signer, keys.on(VoteKind::Finalize, &block));
        solo.hear(signer, Message::Vote(finalize));
    }
    assert_eq!(
        committed(&solo),
        [block.hash()],
        "I10: a late quorum finalises"
    );
}

/// Four validators, of which the one under test leads view 4, and the first
/// block.
fn four() -> (Keys, u16) {
    let keys = Keys::new(&[1; 4]);
    let me = keys.leader(4);
    (keys, me)
}

/// S5. The bad block was certified all the same, so a third of the power is Byzantine;
/// even then nobody honest builds on it.
pub fn what_rests_on_a_bad_block_is_bad(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = Solo::new(&keys, me, mutant);
    let others = keys.without(&[me]);
    let bad = keys.block(1, keys.epoch.root(), &[b"bad"]);
    let child = keys.block(2, bad.place(), &[b"fine"]);
    solo.hear(keys.leader(1), keys.proposal(&bad, None, vec![]));
    let cert = keys.cert(&others, keys.on(VoteKind::Notarize, &bad));
    solo.hear_cert(others[0], cert.clone());
    solo.hear(keys.leader(2), keys.proposal(&child, Some(cert), vec![]));
    let given_up = [keys.null(1), keys.null(2)];
    assert_eq!(
        solo.votes(),
        given_up,
        "S5: nothing that rests on a bad block is voted for"
    );
}

/// S5. The leader showed this validator one block and the others another.
pub fn a_certified_block_is_fetched_whatever_was_proposed(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = Solo::new(&keys, me, mutant);
    let others = keys.without(&[me]);
    let shown = keys.block(1, keys.epoch.root(), &[b"shown"]);
    let certified = keys.block(1, keys.epoch.root(), &[b"certified"]);
    solo.hear(keys.leader(1), keys.proposal(&shown, None, vec![]));
    let statement = keys.on(VoteKind::Notarize, &certified);
    solo.hear_cert(others[0], keys.cert(&others, statement));
    assert!(
        solo.times_asked_for(certified.hash()) == 1,
        "S5: a certified block is fetched"
    );
    solo.hear(others[0], Message::Block(Box::new(certified.clone())));
    let shown_first = keys.on(VoteKind::Notarize, &shown);
    let finalize = keys.on(VoteKind::Finalize, &certified);
    assert_eq!(solo.votes(), [shown_first, finalize]);
}

/// So many blocks are open that no more are taken in. The answer changes nothing,
/// and asking again at once would make two validators fill the network.
pub fn what_can_not_be_kept_is_asked_for_with_pauses(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = Solo::new(&keys, me, mutant);
    let others = keys.without(&[me]);
    let mut parent = keys.epoch.root();
    for view in 1..=u64::try_from(BLOCKS_OPEN_MAX).unwrap() + 1 {
        let block = keys.block(view, parent, &[]);
        parent = block.place();
        let statement = keys.on(VoteKind::Notarize, &block);
        solo.hear_cert(others[0], keys.cert(&others, statement));
        solo.hear(others[0], Message::Block(Box::new(block)));
    }
    assert_eq!(solo.times_asked_for(parent.hash), 1, "asked at once again");
    solo.wait(DELTA);
    assert_eq!(solo.times_asked_for(parent.hash), 2);
}

/// S4. The leader shows a second block after a restart.
pub fn one_vote_per_view_across_a_restart(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = Solo::new(&keys, me, mutant);
    for name in [b"one", b"two"] {
        let block = keys.block(1, keys.epoch.root(), &[name]);
        solo.hear(keys.leader(1), keys.proposal(&block, None, vec![]));
        solo.restart(false);
    }
    assert_eq!(solo.votes().len(), 1, "I5: two votes of one kind and view");
}

/// S4. Others may have no copy of what it voted for: it still serves the block after a
/// restart, however many views have ended since.
pub fn who_voted_for_a_block_keeps_it_across_a_restart(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = Solo::new(&keys, me, mutant);
    let others = keys.without(&[me]);
    let block = keys.block(1, keys.epoch.root(), &[b"one"]);
    solo.hear(keys.leader(1), keys.proposal(&block, None, vec![]));
    for view in 1..=5 {
        solo.hear_cert(others[0], keys.cert(&others, keys.null(view)));
    }
    let hash = block.hash();
    let mut is_served = || {
        solo.restart(false);
        solo.sent.clear();
        solo.step(Event::Message {
            from: keys.node(others[0]),
            message: Message::AskBlock { hash },
        });
        let is_it =
            |message: &Message| matches!(message, Message::Block(one) if one.hash() == hash);
        solo.sent.iter().any(|(_, message)| is_it(message))
    };
    assert!(is_served(), "S4: the block that it voted for is lost");
    assert!(is_served(), "S4: the block that it voted for is lost later");
}

/// S1. The log has lost the certificate before the last view that it voted in.
pub fn a_vote_outlives_what_had_opened_its_view(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = voted_in_view_6(&keys, me, mutant);
    let lost = keys.null(5);
    solo.log
        .retain(|record| !matches!(record, Record::Cert(cert) if cert.statement == lost));
    solo.restart(false);
    assert_eq!(solo.bft.view(), View(6));
    tempt(&mut solo);
}

/// Brings a validator into view 6 and lets it vote there.
fn voted_in_view_6<'a>(keys: &'a Keys, me: u16, mutant: Mutant) -> Solo<'a> {
    let mut solo = Solo::new(keys, me, mutant);
    let others = keys.without(&[me]);
    for view in 1..=5 {
        solo.hear_cert(others[0], keys.cert(&others, keys.null(view)));
    }
    solo.hear(keys.leader(6), shown_in_view_6(keys, b"one"));
    let seen = |one: &Statement| one.view() == View(6) && one.kind == VoteKind::Notarize;
    assert!(solo.votes().iter().any(seen), "it has voted in view 6");
    solo
}

/// A block of view 6 that rests on the root, with what it needs to be voted for.
fn shown_in_view_6(keys: &Keys, name: &[u8]) -> Message {
    let all = keys.without(&[]);
    let block = keys.block(6, keys.epoch.root(), &[name]);
    let skips = (2..=5).map(|view| keys.cert(&all[..3], keys.null(view)));
    keys.proposal(&block, None, skips.collect())
}

fn status(keys: &Keys, view: u64, claimed: u64) -> Message {
    let all = keys.without(&[]);
    let entry = (view > 1).then(|| keys.cert(&all[..3], keys.null(view - 1)));
    Message::Status(Box::new(Status {
        epoch: keys.epoch.epoch,
        view: View(claimed),
        entered_by: entry,
        finalization: None,
    }))
}

/// Shows it everything that would make it vote a second time in view 6.
fn tempt(solo: &mut Solo<'_>) {
    let keys = solo.keys;
    let others = keys.without(&[solo.me]);
    for view in 1..=5 {
        solo.hear_cert(others[0], keys.cert(&others, keys.null(view)));
    }
    solo.hear(keys.leader(6), shown_in_view_6(keys, b"two"));
    let in_view_6 = |one: &&Statement| one.view() == View(6) && one.kind == VoteKind::Notarize;
    assert_eq!(
        solo.votes().iter().filter(in_view_6).count(),
        1,
        "I5: two votes of one kind and view"
    );
}

/// The single answer comes from a Byzantine validator, which tells of a view long past.
pub fn a_single_answer_does_not_bring_a_lost_disk_back(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = voted_in_view_6(&keys, me, mutant);
    solo.restart(true);
    solo.hear(keys.leader(6), status(&keys, 1, 1));
    tempt(&mut solo);
}

/// The others are one view behind the one that this validator reached, since not
/// all that it heard has reached them, and one of them is Byzantine.
pub fn a_lost_disk_keeps_a_margin(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = voted_in_view_6(&keys, me, mutant);
    solo.restart(true);
    for other in keys.without(&[me]) {
        let view = if other == keys.leader(6) { 1 } else { 5 };
        solo.hear(other, status(&keys, view, view));
    }
    assert!(solo.bft.is_running(), "all others have answered");
    tempt(&mut solo);
}

/// One of the answers claims a view that nobody has reached.
pub fn a_claimed_view_without_proof_locks_nobody_out(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = Solo::new(&keys, me, mutant);
    solo.restart(true);
    let others = keys.without(&[me]);
    for other in &others {
        let claimed = if *other == others[0] { 1_000_000 } else { 3 };
        solo.hear(*other, status(&keys, 3, claimed));
    }
    solo.hear(others[0], status(&keys, 3, 3));
    assert!(solo.bft.is_running(), "all others have answered");
    for view in 3..=8 {
        solo.hear_cert(others[0], keys.cert(&others, keys.null(view)));
    }
    (0..30).for_each(|_| solo.wait(DELTA));
    assert!(
        solo.votes().contains(&keys.null(9)),
        "I10: it votes again a few views later"
    );
}

/// It entered its view while it was not running.
pub fn who_came_back_has_deadlines(mutant: Mutant) {
    let (keys, me) = four();
    let mut solo = Solo::new(&keys, me, mutant);
    solo.restart(true);
    for other in keys.without(&[me]) {
        solo.hear(other, status(&keys, 3, 3));
    }
    assert!(solo.bft.is_running(), "all others have answered");
    assert!(solo.bft.deadline().is_some(), "it sleeps for good");
}

/// A chain of final blocks in views 1 to `count`, with the certificate of the
/// last.
fn final_chain(keys: &Keys, count: u64, signers: &[u16]) -> FinalBlocks {
    let mut parent = keys.epoch.root();
    let mut blocks = vec![];
    for view in 1..=count {
        let block = keys.block(view, parent, &[&view.to_be_bytes()]);
        parent = block.place();
        blocks.push(block);
    }
    let statement = Statement::on(VoteKind::Finalize, keys.epoch.epoch, parent);
    FinalBlocks {
        blocks,
        path: vec![],
        finalization: keys.cert(signers, statement),
    }
}

fn hear_blocks(solo: &mut Solo<'_>, blocks: FinalBlocks) {
    let others = solo.keys.without(&[solo.me]);
    solo.hear(others[0], Message::Blocks(Box::new(blocks)));
}

fn committed(solo: &Solo<'_>) -> alloc::vec::Vec<Digest> {
    solo.commits.iter().map(|one| one.block.hash()).collect()
}

/// The certificate is of one signer only, or carries somebody else's signatures.
pub fn forged_final_blocks_are_refused(mutant: Mutant) {
    let (keys, me) = four();
    let others = keys.without(&[me]);
    let mut solo = Solo::new(&keys, me, mutant);
    hear_blocks(&mut solo, final_chain(&keys, 2, &others[..1]));
    let mut padded = final_chain(&keys, 2, &others);
    let mine = padded.finalization.signatures[0];
    padded.finalization.signatures.fill(mine);
    hear_blocks(&mut solo, padded);
    let mut another = final_chain(&keys, 2, &others);
    another.finalization = final_chain(&keys, 1, &others).finalization;
    hear_blocks(&mut solo, another);
    assert_eq!(solo.commits.len(), 0, "I8: nothing unproven is final");
    hear_blocks(&mut solo, final_chain(&keys, 2, &others));
    assert_eq!(solo.commits.len(), 2);
}

/// The certificate is good, but the first block is not its block's parent.
pub fn final_blocks_have_to_follow_each_other(mutant: Mutant) {
    let (keys, me) = four();
    let others = keys.without(&[me]);
    let mut solo = Solo::new(&keys, me, mutant);
    let good = final_chain(&keys, 2, &others);
    let mut spliced = good.clone();
    spliced.blocks[0] = keys.block(1, keys.epoch.root(), &[b"slipped in"]);
    hear_blocks(&mut solo, spliced);
    let mut doubled = good.clone();
    doubled.blocks.insert(1, good.blocks[0].clone());
    hear_blocks(&mut solo, doubled);
    assert_eq!(solo.commits.len(), 0, "I2: blocks follow their parents");
    hear_blocks(&mut solo, good);
    assert_eq!(solo.commits.len(), 2);
}

pub fn an_answer_that_comes_twice_is_taken_once(mutant: Mutant) {
    let (keys, me) = four();
    let others = keys.without(&[me]);
    let mut solo = Solo::new(&keys, me, mutant);
    let good = final_chain(&keys, 3, &others);
    hear_blocks(&mut solo, good.clone());
    hear_blocks(&mut solo, good.clone());
    let hashes: alloc::vec::Vec<Digest> = good.blocks.iter().map(Block::hash).collect();
    assert_eq!(committed(&solo), hashes, "I11: each block once, in order");
}

/// S9. Three blocks become final by the certificate of the last.
pub fn ancestors_come_before_descendants(mutant: Mutant) {
    let (keys, me) = four();
    let others = keys.without(&[me]);
    let mut solo = Solo::new(&keys, me, mutant);
    let chain = final_chain(&keys, 3, &others);
    for block in &chain.blocks {
        let view = block.header().view.0;
        solo.hear(keys.leader(view), keys.proposal(block, None, vec![]));
        let statement = keys.on(VoteKind::Notarize, block);
        solo.hear_cert(others[0], keys.cert(&others, statement));
    }
    assert_eq!(solo.commits.len(), 0, "nothing is final yet");
    solo.hear_cert(others[0], chain.finalization.clone());
    let hashes: alloc::vec::Vec<Digest> = chain.blocks.iter().map(Block::hash).collect();
    assert_eq!(committed(&solo), hashes, "I11: each block once, in order");
}

/// Each has so much power that four of them, or three times one, overflow.
pub fn powers_near_the_limit_add_up(mutant: Mutant) {
    let keys = Keys::new(&[1 << 63; 4]);
    let me = keys.leader(4);
    let mut solo = Solo::new(&keys, me, mutant);
    for (count, signer) in (1..).zip([keys.leader(2), keys.leader(3), keys.leader(1)]) {
        let nullify = keys.vote(signer, keys.null(1));
        solo.hear(signer, Message::Vote(nullify));
        let expected = if count < 3 { View(1) } else { View(2) };
        assert_eq!(solo.bft.view(), expected, "I8: {count} of four votes");
    }
}

/// The bitmap of the certificate has a bit that no validator has.
pub fn a_signer_outside_of_the_set_is_refused(mutant: Mutant) {
    let (keys, me) = four();
    let others = keys.without(&[me]);
    let mut solo = Solo::new(&keys, me, mutant);
    let mut cert = keys.cert(&others, keys.null(1));
    cert.signers.insert(ValidatorIndex(100));
    cert.signatures.push(cert.signatures[0]);
    solo.hear_cert(others[0], cert);
    assert_eq!(solo.bft.view(), View(1));
    assert_eq!(solo.bft.rejected(), 1);
}

/// D1b: a damaged log kept the vote and lost the block. When somebody gives the block
/// back it is written, as before the vote.
#[test]
fn a_voted_block_that_was_lost_is_written_again() {
    let keys = Keys::new(&[1; 4]);
    let me = keys.without(&[keys.leader(1), keys.leader(2)])[0];
    let mut solo = Solo::new(&keys, me, Mutant::None);
    let [voted, other] = [b"one", b"two"].map(|item| keys.block(1, keys.epoch.root(), &[item]));
    let statement = keys.on(VoteKind::Notarize, &voted);
    solo.bft.guard.insert(keys.vote(me, statement));
    for (block, is_written) in [(voted, true), (other, false)] {
        let hash = solo.bft.keep_block(block, Verdict::Open);
        assert_eq!(solo.bft.blocks[&hash].recorded, is_written);
    }
}

/// Nothing becomes final for more views than blocks may be open, and all are started again.
/// Then the network is whole and quiet.
pub fn views_without_a_finalization_heal(mutant: Mutant) {
    let mut cluster = Cluster::new(
        11,
        Knobs {
            mutant,
            ..Knobs::default()
        },
    );
    cluster.filter = |message, _| match message {
        Message::Vote(vote) => vote.statement.kind != VoteKind::Finalize,
        Message::Cert(cert) => cert.statement.kind != VoteKind::Finalize,
        _ => true,
    };
    let mut number = 0_u64;
    let view_of = |cluster: &Cluster| cluster.slots[0].bft.as_ref().unwrap().view();
    let enough = View(u64::try_from(BLOCKS_OPEN_MAX).unwrap() + VIEWS_KEPT + 8);
    while view_of(&cluster) < enough {
        cluster.submit(&number.to_be_bytes());
        number += 1;
        cluster.run_for(Span::from_millis(20));
        assert!(number < 20_000, "views go on: {:?}", view_of(&cluster));
    }
    for slot in 0..2 {
        cluster.crash(slot);
        cluster.start(slot, false);
    }
    assert_eq!(cluster.checker.blocks, 0, "nothing is final");
    cluster.must_progress(b"healed", Span::from_secs(20));
    let open = u64::try_from(BLOCKS_OPEN_MAX).unwrap();
    assert!(cluster.checker.blocks >= open, "all of them are final");
}
