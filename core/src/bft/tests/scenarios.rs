//! What the ledger promises beyond agreement: how fast, how quiet, to whom, and
//! what is left of it when too many are Byzantine.

extern crate std;

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use super::cluster::{CHAIN, Cluster, Knobs};
use super::solo::{Keys, Solo};
use crate::bft::*;
use crate::crypto::{ChainId, Signature, sha256};
use crate::mutant::Mutant;
use crate::types::Span;

/// The longest that a view lasts unless several fail in a row.
const VIEW_MILLIS: u64 = 3 * 100;

/// Runs until an item is final at all honest validators; how long it took.
fn time_to_final(cluster: &mut Cluster, item: &[u8], within: Span) -> Span {
    let begin = cluster.now;
    while cluster.now.saturating_since(begin) < within {
        if cluster.checker.is_final(item) && cluster.lowest() >= cluster.checker.blocks {
            return cluster.now.saturating_since(begin);
        }
        cluster.run_for(Span::from_millis(1));
    }
    panic!("I10: not final within {within}");
}

/// Who leads the first views of a world of so many.
fn first_leaders(count: u64) -> Vec<u64> {
    let cluster = Cluster::new(
        0,
        Knobs {
            count,
            ..Knobs::default()
        },
    );
    let bft = cluster.slots[0].bft.as_ref().unwrap();
    (1..=count)
        .map(|view| bft.leader_of(View(view)).0.into())
        .collect()
}

#[test]
fn without_faults_a_block_is_final_after_three_delays() {
    let delay = Span::from_millis(50);
    for count in [1_u64, 4, 7, 10] {
        let mut cluster = Cluster::new(
            8,
            Knobs {
                count,
                delay_min: delay,
                delay_max: delay,
                disk_max: Span::ZERO,
                ..Knobs::default()
            },
        );
        // Whoever starts begins with a block, wanted or not.
        cluster.run_for(Span::from_secs(1));
        cluster.submit(b"quick");
        let took = time_to_final(&mut cluster, b"quick", Span::from_secs(1));
        // The application takes up to a millisecond to build and one to judge,
        // and the clock above runs by milliseconds. A single validator sends
        // nothing.
        let delays = if count == 1 { 0 } else { 3 };
        let least = Span(delays * delay.0);
        assert!(took >= least, "{count} validators: {took}");
        assert!(
            took.as_millis() <= least.as_millis() + 4,
            "{count} validators: {took}"
        );
        std::println!("bft: {count} validators, one-way delay {delay}: final after {took}");
    }
}

#[test]
fn blocks_follow_each_other_after_two_delays() {
    let delay = Span::from_millis(50);
    let mut cluster = Cluster::new(
        9,
        Knobs {
            delay_min: delay,
            delay_max: delay,
            disk_max: Span::ZERO,
            ..Knobs::default()
        },
    );
    for number in 0..200_u64 {
        cluster.submit(&number.to_be_bytes());
    }
    cluster.run_for(Span::from_secs(2));
    // Eight items to a block.
    let blocks = cluster.checker.blocks - 10;
    assert!((19..=20).contains(&blocks), "{blocks} blocks in 40 delays");
}

#[test]
fn an_idle_ledger_makes_one_block_per_pause() {
    let mut cluster = Cluster::new(10, Knobs::default());
    cluster.run_for(Span::from_secs(60));
    let (blocks, messages) = (cluster.checker.blocks - 10, cluster.messages);
    assert!((27..=30).contains(&blocks), "{blocks} blocks in 30 pauses");
    assert_eq!(cluster.lowest(), cluster.checker.blocks);
    std::println!("bft idle: {blocks} blocks and {messages} messages in 30 pauses");
}

#[test]
fn what_one_of_seven_waits_for_is_final_within_a_turn_of_all() {
    let mut longest = Span::ZERO;
    for slot in 0..7 {
        let knobs = Knobs {
            count: 7,
            idle_block: Span::from_secs(3600),
            ..Knobs::default()
        };
        let mut cluster = Cluster::new(11, knobs);
        cluster.run_for(Span::from_secs(1));
        cluster.submit_at(slot, b"mine");
        let bound = Span::from_millis(7 * VIEW_MILLIS);
        longest = longest.max(time_to_final(&mut cluster, b"mine", bound));
    }
    std::println!("bft: what one of seven waits for is final after {longest} at most");
}

#[test]
fn bad_leaders_in_a_row_cost_a_view_each() {
    let leaders = first_leaders(7);
    let mut longest = Span::ZERO;
    for seed in 0..40 {
        // A dead one first, then a Byzantine one, or the other way round.
        let (dead, byzantine) = match seed % 2 {
            0 => (leaders[0], leaders[1]),
            _ => (leaders[1], leaders[0]),
        };
        let knobs = Knobs {
            count: 7,
            byzantine: vec![byzantine],
            ..Knobs::default()
        };
        let mut cluster = Cluster::new(seed, knobs);
        cluster.crash(usize::try_from(dead).unwrap());
        cluster.submit(b"item");
        let faulty = 2;
        let bound = Span::from_millis((faulty + 2) * VIEW_MILLIS);
        longest = longest.max(time_to_final(&mut cluster, b"item", bound));
    }
    std::println!("bft: behind a dead and a Byzantine leader final after {longest} at most");
}

#[test]
fn who_only_follows_gets_every_block_and_signs_nothing() {
    let mut cluster = Cluster::new(
        12,
        Knobs {
            count: 7,
            keyless: vec![3],
            followers: 2,
            ..Knobs::default()
        },
    );
    for number in 0..30_u64 {
        cluster.submit(&number.to_be_bytes());
        let pause = 50 + cluster.random(400);
        cluster.run_for(Span::from_millis(pause));
    }
    cluster.run_for(Span::from_secs(1));
    let blocks: Vec<_> = chain(&cluster, 0);
    assert!(blocks.len() > 20);
    for follower in [3, 7, 8] {
        let followed = chain(&cluster, follower);
        assert_eq!(followed, blocks, "slot {follower} has each block once");
        assert_eq!(cluster.slots[follower].signed, 0);
    }
    std::println!("bft: three followers got all {} blocks", blocks.len());
}

fn chain(cluster: &Cluster, slot: usize) -> Vec<BlockRef> {
    let chain = &cluster.slots[slot].chain;
    chain.iter().map(|one| one.block.place()).collect()
}

/// Everything that differs from a good certificate in one place.
fn forgeries(good: &Cert, outsider: Signature) -> Vec<Cert> {
    let mut forged = Vec::new();
    let mut forge = |change: &dyn Fn(&mut Cert)| {
        let mut cert = good.clone();
        change(&mut cert);
        assert_ne!(cert, *good);
        forged.push(cert);
    };
    for kind in VoteKind::ALL {
        if kind != good.statement.kind {
            forge(&|cert| cert.statement.kind = kind);
        }
    }
    forge(&|cert| cert.statement.epoch = Epoch(cert.statement.epoch.0 + 1));
    forge(&|cert| cert.statement.block.view = cert.statement.block.view.next());
    forge(&|cert| cert.statement.block.height = cert.statement.block.height.next());
    forge(&|cert| cert.statement.block.hash = sha256(b"another"));
    for bit in [0_u32, 1, 2, 3, 4, 100, 127] {
        forge(&|cert| cert.signers.0 ^= 1 << bit);
        forge(&|cert| {
            cert.signers.0 ^= 1 << bit;
            cert.signatures.push(outsider);
        });
    }
    for place in 0..good.signatures.len() {
        forge(&|cert| cert.signatures[place] = outsider);
        forge(&|cert| cert.signatures[place] = broken(&cert.signatures[place]));
        forge(&|cert| {
            cert.signatures.remove(place);
        });
        forge(&|cert| {
            cert.signatures.remove(place);
            cert.signers = cert.signers.iter().skip(1).collect();
        });
        let next = (place + 1) % good.signatures.len();
        forge(&|cert| cert.signatures.swap(place, next));
        forge(&|cert| cert.signatures[place] = cert.signatures[next]);
    }
    forge(&|cert| cert.signatures.clear());
    forged
}

/// The signature with one bit turned that is still a pair of numbers in range.
fn broken(signature: &Signature) -> Signature {
    let mut bytes = *signature.as_bytes();
    bytes[63] ^= 1;
    Signature::from_bytes(bytes).unwrap()
}

#[test]
fn a_certificate_that_is_altered_anywhere_is_refused() {
    let keys = Keys::new(&[1; 4]);
    let me = keys.leader(4);
    let others = keys.without(&[me]);
    let block = keys.block(1, keys.epoch.root(), &[b"item"]);
    let verifier = keys.authority.verifier();
    let mut refused = 0;
    for statement in [
        keys.on(VoteKind::Notarize, &block),
        keys.on(VoteKind::Finalize, &block),
        keys.null(1),
    ] {
        let good = keys.cert(&others, statement);
        let verify = |cert: &Cert, chain| {
            cert.verify(chain, keys.epoch.epoch, &keys.epoch.validators, &verifier)
        };
        assert_eq!(verify(&good, CHAIN), Ok(()));
        assert!(verify(&good, ChainId(98)).is_err(), "another ledger");
        let outsider = keys.vote(me, keys.null(7)).signature;
        for forged in forgeries(&good, outsider) {
            assert!(verify(&forged, CHAIN).is_err(), "{forged:?}");
            let mut solo = Solo::new(&keys, me, Mutant::None);
            let sent = solo.sent.len();
            solo.hear_cert(others[0], forged.clone());
            assert_eq!(solo.bft.view(), View(1), "{forged:?}");
            assert_eq!(solo.bft.finalization(), None, "{forged:?}");
            assert!(solo.log.is_empty() && solo.sent.len() == sent);
            refused += 1;
        }
        let mut solo = Solo::new(&keys, me, Mutant::None);
        solo.hear_cert(others[0], good);
        assert_eq!(solo.bft.view(), View(2));
    }
    std::println!("bft: {refused} altered certificates refused");
}

/// Everything that differs from a vote in one place, as it stands.
fn altered(vote: &Vote) -> Vec<Vote> {
    let mut votes = Vec::new();
    let mut alter = |change: &dyn Fn(&mut Vote)| {
        let mut vote = *vote;
        change(&mut vote);
        votes.push(vote);
    };
    for place in [0, 1, 2, 3, 4, 127] {
        if place != vote.signer.0 {
            alter(&|vote| vote.signer = ValidatorIndex(place));
        }
    }
    for kind in VoteKind::ALL {
        if kind != vote.statement.kind {
            alter(&|vote| vote.statement.kind = kind);
        }
    }
    alter(&|vote| vote.statement.epoch = Epoch(vote.statement.epoch.0 + 1));
    alter(&|vote| vote.statement.block.view = View(9));
    alter(&|vote| vote.statement.block.height = Height(77));
    alter(&|vote| vote.statement.block.hash = sha256(b"another"));
    alter(&|vote| vote.signature = broken(&vote.signature));
    votes
}

#[test]
fn evidence_that_is_altered_anywhere_convicts_nobody() {
    let keys = Keys::new(&[1; 4]);
    let verifier = keys.authority.verifier();
    let set = &keys.epoch.validators;
    let [one, two] = [b"one", b"two"].map(|name| keys.block(1, keys.epoch.root(), &[name]));
    let double = |kind| [keys.on(kind, &one), keys.on(kind, &two)];
    let both = [keys.null(1), keys.on(VoteKind::Finalize, &one)];
    let mut refused = 0;
    for contradicting in [double(VoteKind::Notarize), double(VoteKind::Finalize), both] {
        let votes = contradicting.map(|statement| keys.vote(2, statement));
        let verify = |votes: [Vote; 2], chain, epoch| {
            let evidence = Evidence::of(votes[0], votes[1])?;
            let verdict = evidence.verify(chain, epoch, set, &verifier);
            verdict.ok().map(|()| evidence.culprit())
        };
        let (epoch, guilty) = (keys.epoch.epoch, Some(ValidatorIndex(2)));
        assert_eq!(verify(votes, CHAIN, epoch), guilty);
        assert_eq!(verify([votes[1], votes[0]], CHAIN, epoch), guilty);
        assert_eq!(verify(votes, ChainId(98), epoch), None);
        assert_eq!(verify(votes, CHAIN, Epoch(9)), None);
        for side in 0..2 {
            assert_eq!(
                verify([votes[side]; 2], CHAIN, epoch),
                None,
                "twice the same"
            );
            for vote in altered(&votes[side]) {
                let mut forged = votes;
                forged[side] = vote;
                assert_eq!(verify(forged, CHAIN, epoch), None, "{forged:?}");
                refused += 1;
            }
        }
    }
    // What an honest one signs in one view.
    let honest = [VoteKind::Notarize, VoteKind::Finalize].map(|kind| keys.on(kind, &one));
    for (a, b) in [(honest[0], honest[1]), (honest[0], keys.null(1))] {
        assert_eq!(Evidence::of(keys.vote(2, a), keys.vote(2, b)), None);
    }
    std::println!("bft: {refused} altered evidence refused");
}

#[test]
fn who_equivocates_is_reported_once_per_view() {
    let keys = Keys::new(&[1; 4]);
    let me = keys.leader(4);
    let byzantine = keys.leader(2);
    let mut solo = Solo::new(&keys, me, Mutant::None);
    for round in 0..3 {
        for name in [b"one", b"two"] {
            let block = keys.block(1, keys.epoch.root(), &[name]);
            for kind in [VoteKind::Notarize, VoteKind::Finalize] {
                let vote = keys.vote(byzantine, keys.on(kind, &block));
                solo.hear(byzantine, Message::Vote(vote));
            }
        }
        solo.hear(byzantine, Message::Vote(keys.vote(byzantine, keys.null(1))));
        assert_eq!(solo.evidence.len(), 1, "round {round}");
    }
    assert_eq!(solo.evidence[0].culprit(), ValidatorIndex(byzantine));
}

/// As many as tolerated and one more run twice with one key, once in each half of
/// a parted world. Each half is a quorum with them.
fn forked_world(seed: u64, count: u64) -> (Cluster, Vec<usize>) {
    let byzantine = (count - 1) / 3 + 1;
    let knobs = Knobs {
        count,
        twins: (0..byzantine).collect(),
        ..Knobs::default()
    };
    let mut cluster = Cluster::new(seed, knobs);
    let [count, byzantine] = [count, byzantine].map(|number| usize::try_from(number).unwrap());
    let honest_left = byzantine + (count - byzantine) / 2;
    let left: Vec<usize> = (0..honest_left).collect();
    let right: Vec<usize> = (honest_left..count + byzantine).collect();
    for &one in &left {
        cluster.submit_at(one, b"left");
        for &other in &right {
            cluster.cut.insert((one, other));
            cluster.cut.insert((other, one));
        }
    }
    for &other in &right {
        cluster.submit_at(other, b"right");
    }
    (cluster, vec![byzantine, honest_left])
}

fn certs_of(cluster: &Cluster, slot: usize) -> Vec<Proven> {
    let certs = cluster.slots[slot]
        .log
        .iter()
        .filter_map(|record| match record {
            Record::Cert(cert) => Some(cert.clone()),
            _ => None,
        });
    certs.collect()
}

/// Whom the certificates convict; the proofs have to hold before a judge that
/// knows nothing but the set.
fn convicted(cluster: &mut Cluster, certs: &[Proven]) -> BTreeSet<ValidatorIndex> {
    let culprits = forensics(certs);
    culprits
        .iter()
        .for_each(|one| cluster.checker.on_evidence(one));
    culprits.iter().map(Evidence::culprit).collect()
}

#[test]
fn a_fork_convicts_its_authors() {
    for (seed, count) in [(20, 4), (21, 4), (22, 7), (23, 7)] {
        let (mut cluster, sides) = forked_world(seed, count);
        let byzantine: BTreeSet<ValidatorIndex> = (0..sides[0])
            .map(|place| ValidatorIndex(u16::try_from(place).unwrap()))
            .collect();
        cluster.run_for(Span::from_secs(5));
        let [left, right] = [sides[0], sides[1]].map(|slot| certs_of(&cluster, slot));
        let finals = |certs: &[Proven]| -> Vec<Proven> {
            let is_final = |cert: &&Proven| cert.statement.kind == VoteKind::Finalize;
            certs.iter().filter(is_final).cloned().collect()
        };
        let mut forks = 0;
        for one in finals(&left) {
            for other in finals(&right) {
                if one.statement.view() == other.statement.view() {
                    assert_ne!(one.statement.block, other.statement.block);
                    let pair = [one.clone(), other.clone()];
                    let guilty = convicted(&mut cluster, &pair);
                    assert_eq!(guilty, byzantine, "both finalizations name them");
                    forks += 1;
                }
            }
        }
        assert!(
            forks > 0,
            "the halves finalise different blocks of one view"
        );
        let all: Vec<Proven> = left.into_iter().chain(right).collect();
        assert_eq!(convicted(&mut cluster, &all), byzantine);
        cluster.cut.clear();
        cluster.submit(b"met");
        cluster.run_for(Span::from_secs(5));
        let saw = |slot: &&super::cluster::Slot| slot.violation.is_some();
        let halted = cluster.slots.iter().filter(saw).count();
        assert!(halted > 0, "who sees both sides stops");
        std::println!("bft fork of {count}: {forks} views forked, {halted} saw it and stopped");
    }
}

/// The halves meet at any moment: in the middle of a view, or many blocks apart.
#[test]
fn who_meets_a_fork_stops_in_order() {
    let mut stopped = 0;
    for seed in 0..60 {
        let (mut cluster, _) = forked_world(seed, if seed % 3 == 0 { 7 } else { 4 });
        for round in 0..8_u64 {
            for slot in 0..cluster.slots.len() {
                let item = (round, slot / 2);
                cluster.submit_at(slot, alloc::format!("{item:?}").as_bytes());
            }
            let pause = 1 + cluster.random(150);
            cluster.run_for(Span::from_millis(pause));
            if cluster.random(4) == 0 {
                cluster.cut.clear();
            }
        }
        cluster.cut.clear();
        cluster.run_for(Span::from_secs(5));
        let saw = |slot: &&super::cluster::Slot| slot.violation.is_some();
        stopped += cluster.slots.iter().filter(saw).count();
    }
    assert!(stopped > 0);
    std::println!("bft forks: 60 seeds, {stopped} validators saw one and stopped");
}

/// Four validators, and two blocks of the first leader.
fn two_blocks_of_view_1() -> (Keys, [Block; 2]) {
    let keys = Keys::new(&[1; 4]);
    let root = keys.epoch.root();
    let blocks = [b"one", b"two"].map(|item| keys.block(1, root, &[&item[..]]));
    (keys, blocks)
}

/// I14, the other half: whatever an honest validator hears from a Byzantine validator itself in the
/// view that it is in, and that no honest one signs both of, it shows once. In every
/// order, and whatever a certificate says already.
#[test]
fn two_votes_that_contradict_each_other_are_shown_once() {
    let (keys, blocks) = two_blocks_of_view_1();
    let leader = keys.leader(1);
    let byzantine = keys.without(&[leader])[0];
    let others = keys.without(&[leader, byzantine]);
    let me = others[0];
    let mut statements = vec![keys.null(1)];
    for block in &blocks {
        statements
            .extend([VoteKind::Notarize, VoteKind::Finalize].map(|kind| keys.on(kind, block)));
    }
    let mut shown = 0;
    for first in &statements {
        for second in &statements {
            let contradicting =
                Evidence::of(keys.vote(byzantine, *first), keys.vote(byzantine, *second));
            for settled in [None, Some(*first), Some(*second)] {
                // A certificate that the Byzantine validator is not in, or that it is in.
                for signers in [
                    vec![leader, others[0], others[1]],
                    vec![leader, byzantine, others[1]],
                ] {
                    let mut solo = Solo::new(&keys, me, Mutant::None);
                    if let Some(statement) = settled {
                        solo.hear_cert(leader, keys.cert(&signers, statement));
                    }
                    for statement in [first, second, first] {
                        solo.hear(byzantine, Message::Vote(keys.vote(byzantine, *statement)));
                    }
                    let in_cert = settled.is_some_and(|_| signers.contains(&byzantine));
                    let expected = usize::from(contradicting.is_some());
                    assert_eq!(
                        solo.evidence.len(),
                        expected,
                        "{first:?}, {second:?}, {settled:?}, in the certificate: {in_cert}"
                    );
                    shown += expected;
                    if let Some(evidence) = solo.evidence.first() {
                        assert_eq!(evidence.culprit(), ValidatorIndex(byzantine));
                    }
                }
            }
        }
    }
    assert!(shown > 40, "{shown}");
}

/// A certificate can hold the other half of an equivocation.
#[test]
fn a_certificate_that_contradicts_a_vote_is_shown() {
    let (keys, blocks) = two_blocks_of_view_1();
    let leader = keys.leader(1);
    let [byzantine, me, other] = keys.without(&[leader])[..] else {
        panic!("three others");
    };
    let mut solo = Solo::new(&keys, me, Mutant::None);
    let vote = keys.vote(byzantine, keys.on(VoteKind::Notarize, &blocks[0]));
    solo.hear(byzantine, Message::Vote(vote));
    let cert = keys.cert(
        &[leader, byzantine, other],
        keys.on(VoteKind::Notarize, &blocks[1]),
    );
    solo.hear_cert(other, cert.clone());
    solo.hear_cert(leader, cert);
    assert_eq!(solo.evidence.len(), 1);
    assert_eq!(solo.evidence[0].culprit(), ValidatorIndex(byzantine));
}

/// Whoever speaks in somebody else's name takes nobody's place.
#[test]
fn a_forged_vote_does_not_hide_an_equivocation() {
    let (keys, blocks) = two_blocks_of_view_1();
    let leader = keys.leader(1);
    let [byzantine, me, other] = keys.without(&[leader])[..] else {
        panic!("three others");
    };
    let on = |block| keys.on(VoteKind::Notarize, block);
    let mut solo = Solo::new(&keys, me, Mutant::None);
    solo.hear_cert(leader, keys.cert(&[leader, me, other], on(&blocks[0])));
    let forged = Vote {
        signature: keys.vote(other, on(&blocks[0])).signature,
        ..keys.vote(byzantine, on(&blocks[0]))
    };
    solo.hear(other, Message::Vote(forged));
    solo.hear(byzantine, Message::Vote(forged));
    solo.hear(
        byzantine,
        Message::Vote(keys.vote(byzantine, on(&blocks[0]))),
    );
    solo.hear(
        byzantine,
        Message::Vote(keys.vote(byzantine, on(&blocks[1]))),
    );
    assert_eq!(solo.evidence.len(), 1);
}

/// A dead validator leads every fourth view: it is waited for at first, and not for
/// ever. When it is back its blocks are final again.
#[test]
fn a_leader_that_is_silent_for_long_is_not_waited_for() {
    let dead = 0;
    let mut cluster = Cluster::new(12, Knobs::default());
    cluster.run_for(Span::from_millis(500));
    cluster.crash(dead);
    cluster.gone.insert(dead);
    let longest = |cluster: &mut Cluster, prefix: u8| {
        let waits = (0..12_u8).map(|number| {
            cluster.submit(&[prefix, number]);
            time_to_final(cluster, &[prefix, number], Span::from_secs(5))
        });
        waits.max().unwrap()
    };
    let (first, later) = (longest(&mut cluster, 1), longest(&mut cluster, 2));
    std::println!("bft: a dead leader costs {first} at first, {later} later");
    assert!(first >= Span::from_millis(200), "it is waited for: {first}");
    assert!(later < Span::from_millis(200), "it is not: {later}");
    let node = cluster.slots[dead].node;
    let place = cluster.epoch.validators.index_of(node).unwrap();
    let led = |cluster: &Cluster| {
        let blocks = cluster.slots[1].chain.iter();
        let its = blocks.filter(|one| one.block.header().proposer == place);
        its.count()
    };
    let before = led(&cluster);
    cluster.gone.remove(&dead);
    cluster.start(dead, false);
    cluster.run_for(Span::from_secs(1));
    longest(&mut cluster, 3);
    assert!(led(&cluster) > before, "it leads again");
}
