//! Single situations, by name.

extern crate std;

use super::cluster::{Cluster, ENDS_EPOCH, Knobs};
use super::solo::{DELTA, Keys, Solo};
use alloc::vec::Vec;

use crate::bft::{Bft, Message, Relay, Signers, ValidatorIndex, View, VoteKind};
use crate::mutant::Mutant;
use crate::types::{NodeId, Span};

/// Cuts a validator off from all others.
fn isolate(cluster: &mut Cluster, slot: usize) {
    for other in 0..cluster.slots.len() {
        cluster.cut.insert((slot, other));
        cluster.cut.insert((other, slot));
    }
}

#[test]
fn four_validators_finalise_an_item() {
    let mut cluster = Cluster::new(1, Knobs::default());
    cluster.submit(b"first");
    cluster.run_for(Span::from_secs(1));
    assert!(cluster.checker.is_final(b"first"));
    assert!(cluster.lowest() >= 11);
}

#[test]
fn a_dead_validator_does_not_stop_the_ledger() {
    for dead in 0..4 {
        let mut cluster = Cluster::new(2, Knobs::default());
        cluster.crash(dead);
        cluster.submit(b"without one");
        cluster.run_for(Span::from_secs(3));
        assert!(cluster.checker.is_final(b"without one"), "{dead} is dead");
    }
}

#[test]
fn half_of_the_validators_finalise_nothing_and_go_on_when_they_meet() {
    let mut cluster = Cluster::new(3, Knobs::default());
    for (one, other) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
        cluster.cut.insert((one, other));
        cluster.cut.insert((other, one));
    }
    cluster.submit(b"parted");
    cluster.run_for(Span::from_secs(10));
    assert!(!cluster.checker.is_final(b"parted"));
    cluster.must_progress(b"met", Span::from_secs(10));
    assert!(cluster.checker.is_final(b"parted"));
}

#[test]
fn a_crash_of_all_is_survived() {
    let mut cluster = Cluster::new(4, Knobs::default());
    cluster.submit(b"before");
    cluster.run_for(Span::from_millis(45));
    (0..4).for_each(|slot| cluster.crash(slot));
    cluster.must_progress(b"after", Span::from_secs(10));
    assert!(cluster.checker.is_final(b"before"));
}

#[test]
fn who_was_away_for_long_catches_up() {
    let mut cluster = Cluster::new(5, Knobs::default());
    isolate(&mut cluster, 2);
    for number in 0..40_u8 {
        cluster.submit(&[number]);
        cluster.run_for(Span::from_millis(400));
    }
    let height = cluster.checker.blocks;
    assert!(height > 10 + 20, "many blocks are final without it");
    cluster.must_progress(b"back", Span::from_secs(20));
    assert!(cluster.lowest() > height);
}

#[test]
fn who_lost_its_disk_comes_back_by_asking() {
    let mut cluster = Cluster::new(6, Knobs::default());
    cluster.submit(b"before");
    cluster.run_for(Span::from_secs(1));
    cluster.crash(1);
    cluster.slots[1].log.clear();
    cluster.start(1, true);
    let is_running =
        |cluster: &Cluster| cluster.slots[1].bft.as_ref().expect("it runs").is_running();
    assert!(!is_running(&cluster), "it asks before it votes");
    cluster.must_progress(b"after", Span::from_secs(20));
    assert!(is_running(&cluster));
}

#[test]
fn flooding_certificates_costs_more_and_changes_nothing() {
    let [sparse, flood] = [Relay::Sparse, Relay::Flood].map(|relay| {
        let mut cluster = Cluster::new(
            7,
            Knobs {
                count: 7,
                relay,
                ..Knobs::default()
            },
        );
        for number in 0..10_u8 {
            cluster.submit(&[number]);
            cluster.run_for(Span::from_millis(500));
        }
        assert!((0..10_u8).all(|number| cluster.checker.is_final(&[number])));
        cluster.bytes
    });
    assert!(sparse < flood, "{sparse} bytes, {flood} with flooding");
}

/// Everybody ends the epoch with the same block, although messages are lost,
/// validators crash, and some are cut off when it happens; nobody signs on.
#[test]
fn an_epoch_ends_with_one_block_for_all() {
    let (mut closing_blocks, mut heights) = (0, 0);
    for seed in 0..40 {
        let knobs = Knobs {
            loss_percent: seed % 4 * 10,
            crash_percent: seed % 3 * 5,
            count: 4 + seed % 4,
            ..Knobs::default()
        };
        let mut cluster = Cluster::new(seed, knobs);
        cluster.submit(b"before");
        if seed % 2 == 1 {
            isolate(&mut cluster, 1);
        }
        cluster.run_for(Span::from_millis(300));
        cluster.submit(ENDS_EPOCH);
        cluster.run_for(Span::from_secs(20));
        cluster.cut.clear();
        (cluster.knobs.loss_percent, cluster.knobs.crash_percent) = (0, 0);
        cluster.run_for(Span::from_secs(20));
        let chains = cluster.slots.iter().map(|slot| &slot.chain);
        let lasts: Vec<_> = chains.filter_map(|chain| chain.last()).collect();
        assert_eq!(lasts.len(), cluster.slots.len(), "seed {seed}");
        for last in &lasts {
            assert!(last.block.header().content.ends_epoch, "seed {seed}");
            assert_eq!(last.block.hash(), lasts[0].block.hash(), "seed {seed}");
            closing_blocks += usize::from(!last.path.is_empty());
        }
        heights += lasts[0].block.header().height.0 - 10;
        let ended = |slot: &super::cluster::Slot| slot.bft.as_ref().is_none_or(Bft::has_ended);
        assert!(cluster.slots.iter().all(ended), "seed {seed}");
    }
    assert!(
        closing_blocks > 0,
        "some epochs end through an epoch-closing block"
    );
    std::println!(
        "epochs: 40 seeds, {heights} blocks, {closing_blocks} ends through an epoch-closing block"
    );
}

/// S12: the last votes of a view come when the others have ended it. That is no cry
/// for help; the same after a delay is, and so is a vote of a view before that.
#[test]
fn votes_under_way_when_a_view_ends_are_not_answered() {
    let keys = Keys::new(&[1; 7]);
    let answers = |solo: &Solo<'_>, to: u16| {
        let is_answer = |(addressee, message): &&(Option<NodeId>, Message)| {
            *addressee == Some(keys.node(to)) && matches!(message, Message::Cert(_))
        };
        solo.sent.iter().filter(is_answer).count()
    };
    // None of them supplies or is the next leader, who gets certificates anyway.
    let mut solo = Solo::new(&keys, keys.leader(1), Mutant::None);
    let others = keys.without(&[solo.me, keys.leader(2), keys.leader(3)]);
    let [late, later, latest, other, ..] = others[..] else {
        unreachable!("four are left of seven")
    };
    solo.hear_cert(late, keys.cert(&keys.without(&[late, later]), keys.null(1)));
    assert_eq!(solo.bft.view(), View(2));
    solo.hear(late, Message::Vote(keys.vote(late, keys.null(1))));
    assert_eq!(answers(&solo, late), 0, "it was under way");
    solo.now = solo.now + DELTA;
    solo.hear(later, Message::Vote(keys.vote(later, keys.null(1))));
    assert_eq!(answers(&solo, later), 1, "it is stuck");
    solo.hear_cert(late, keys.cert(&keys.without(&[late, later]), keys.null(2)));
    assert_eq!(solo.bft.view(), View(3));
    solo.hear(latest, Message::Vote(keys.vote(latest, keys.null(1))));
    assert_eq!(answers(&solo, latest), 1, "it is two views behind");
    let block = keys.block(1, keys.epoch.root(), &[]);
    let finalize = keys.on(VoteKind::Finalize, &block);
    solo.hear(other, Message::Vote(keys.vote(other, finalize)));
    assert_eq!(
        answers(&solo, other),
        0,
        "who finalises a view is in the next"
    );
}

#[test]
fn bitmaps_list_their_signers_in_order() {
    for places in [&[][..], &[0], &[127], &[0, 1, 64, 127], &[5, 6, 7]] {
        let signers: Signers = places.iter().copied().map(ValidatorIndex).collect();
        let listed: Vec<u16> = signers.iter().map(|signer| signer.0).collect();
        assert_eq!(listed, places);
        assert_eq!(signers.count(), places.len());
        for (before, place) in places.iter().enumerate() {
            assert_eq!(signers.count_before(ValidatorIndex(*place)), before);
        }
        assert_eq!(signers.count_before(ValidatorIndex(128)), places.len());
    }
}

/// What saves work may never cost a certificate: whoever is a quorum passes the quick
/// test, and with equal powers nobody else does.
#[test]
fn the_quick_test_denies_no_quorum() {
    for powers in [
        &[1; 4][..],
        &[1; 7],
        &[5, 1, 1, 1],
        &[3, 3, 2, 1, 1],
        &[u64::MAX; 3],
    ] {
        let set = Keys::new(powers).epoch.validators;
        let are_equal = powers.iter().all(|power| *power == powers[0]);
        for bits in 0..1_u128 << powers.len() {
            let signers = Signers(bits);
            let is_quorum = set.is_quorum(signers);
            let passes = set.can_be_quorum(signers.count());
            assert!(passes || !is_quorum, "{powers:?} {bits:b}");
            assert!(!are_equal || passes == is_quorum, "{powers:?} {bits:b}");
        }
    }
}
