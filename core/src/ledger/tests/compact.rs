//! Blocks that travel by the hashes of their transactions.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::cluster::{Cluster, Knobs, MILD, note};
use super::sync_codec::comes_back_and_stands_damage;
use crate::bft::{Block, Message as Consensus, Proposal};
use crate::codec::{Decode as _, Encode as _, Writer};
use crate::crypto::Digest;
use crate::ledger::*;
use crate::limits::*;
use crate::machine::{Machine as _, Outbox};
use crate::rig::Faults;
use crate::types::{NodeId, Span};

/// A block of the leader of the present view, as it would send it, and its slot.
fn leaders_block(cluster: &Cluster, items: Vec<Bytes>) -> (usize, Proposal) {
    cluster.leaders_block(items, cluster.ledger(0).wall().0)
}

fn quiet() -> Cluster {
    let mut cluster = Cluster::new(4, Knobs::default());
    cluster.run_for(Span::from_millis(100));
    cluster
}

/// What a node says in answer to a message, not delivered.
fn answers(cluster: &mut Cluster, slot: usize, from: NodeId, message: Message) -> Vec<Message> {
    let now = cluster.now;
    let ledger = cluster.slots[slot].machine.as_mut().unwrap();
    let mut out = Outbox::new();
    ledger.step(now, Event::Message { from, message }, &mut out);
    let sent = out.drain().filter_map(|effect| match effect {
        Effect::Send { message, .. } => Some(message),
        _ => None,
    });
    sent.collect()
}

fn signed(cluster: &Cluster, count: u64) -> Vec<Bytes> {
    let sign = |sequence| cluster.sign(100, sequence, vec![note("n")]).0;
    (0..count).map(sign).collect()
}

/// Whether a node has the block that the consensus needs to vote.
fn has(cluster: &Cluster, slot: usize, block: &Block) -> bool {
    let bft = cluster.ledger(slot).bft().unwrap();
    bft.block(&block.hash()).is_some()
}

fn asked(messages: &[Message]) -> Option<(Digest, Vec<u32>)> {
    messages.iter().find_map(|message| match message {
        Message::AskItems { block, items } => Some((*block, items.clone())),
        _ => None,
    })
}

#[test]
fn a_block_whose_transactions_are_known_takes_no_more_than_their_hashes() {
    // The hand-over of a transaction has to overtake the block.
    let knobs = Knobs {
        faults: Faults {
            delay_max: Span(1_000),
            disk_max: Span::from_millis(10),
            ..Faults::NONE
        },
        ..Knobs::default()
    };
    let mut cluster = Cluster::new(4, knobs);
    cluster.run_for(Span::from_millis(100));
    cluster.tamper = |_, _, message| {
        let whole = matches!(&message, Message::Bft(Consensus::Proposal(proposal))
            if !proposal.block.items().is_empty());
        assert!(!whole, "blocks with items travel in short");
        assert!(!matches!(message, Message::AskItems { .. }), "all is known");
        Some(message)
    };
    for sequence in 0..10 {
        let id = cluster.note(1, 100, sequence, "known everywhere");
        cluster.until("a note", Span::from_secs(5), |world| {
            world.checker.is_final(&id)
        });
    }
}

/// With one of four dead, the three others have to vote: one of them hears of no
/// transaction but by asking.
#[test]
fn who_lacks_transactions_asks_for_them_and_votes() {
    let mut cluster = quiet();
    cluster.tamper = |_, to, message| match message {
        Message::Transactions(_) if to == 3 => None,
        message => Some(message),
    };
    cluster.crash(2);
    for sequence in 0..10 {
        let id = cluster.note(0, 100, sequence, "not for all");
        cluster.until("a note", Span::from_secs(10), |world| {
            world.checker.is_final(&id)
        });
    }
    let (asked, refused) = cluster.ledger(3).assembled();
    assert!(asked > 0, "it never led all ten blocks");
    assert_eq!(refused, 0);
}

/// Answers that are lost or wrong cost one validator its vote; the block is fetched
/// whole when the others have voted for it.
#[test]
fn wrong_answers_do_no_harm() {
    let mut cluster = quiet();
    cluster.tamper = |_, to, message| match message {
        Message::Transactions(_) if to == 3 => None,
        Message::Items { block, items } => {
            let wrong = items.iter().map(|_| Bytes::from_static(b"something else"));
            let items = wrong.collect();
            (block.0[0] % 2 == 0).then_some(Message::Items { block, items })
        }
        message => Some(message),
    };
    for sequence in 0..10 {
        let id = cluster.note(0, 100, sequence, "not for all");
        cluster.until("a note", Span::from_secs(10), |world| {
            world.checker.is_final(&id) && world.lowest() >= world.checker.highest
        });
    }
    assert!(cluster.ledger(3).assembled().0 > 0);
}

#[test]
fn what_is_missing_may_come_by_the_pool() {
    let mut cluster = quiet();
    let items = signed(&cluster, 3);
    let (leader, proposal) = leaders_block(&cluster, items.clone());
    let (from, other) = (cluster.slots[leader].node, (leader + 1) % 4);
    let block = proposal.block.clone();
    let push = |list: &[Bytes]| Message::Transactions(list.to_vec());
    answers(&mut cluster, other, from, push(&items[1..2]));
    let compact = Compact::of(proposal);
    let message = Message::Compact(Box::new(compact.clone()));
    let answered = answers(&mut cluster, other, from, message.clone());
    assert_eq!(asked(&answered), Some((block.hash(), vec![0, 2])));
    // A copy asks for nothing.
    let answered = answers(&mut cluster, other, from, message);
    assert_eq!(asked(&answered), None);
    answers(&mut cluster, other, from, push(&items[..1]));
    assert!(!has(&cluster, other, &block));
    answers(&mut cluster, other, from, push(&items));
    assert!(has(&cluster, other, &block));
}

#[test]
fn an_answer_may_come_in_parts_and_is_taken_from_the_leader_alone() {
    let mut cluster = quiet();
    let items = signed(&cluster, 3);
    let (leader, proposal) = leaders_block(&cluster, items.clone());
    let (from, other) = (cluster.slots[leader].node, (leader + 1) % 4);
    let third = cluster.slots[(leader + 2) % 4].node;
    let block = proposal.block.clone();
    let compact = Message::Compact(Box::new(Compact::of(proposal)));
    assert_eq!(
        asked(&answers(&mut cluster, other, third, compact.clone())),
        None
    );
    assert!(asked(&answers(&mut cluster, other, from, compact)).is_some());
    let answer = |items: Vec<Bytes>| Message::Items {
        block: block.hash(),
        items,
    };
    answers(&mut cluster, other, third, answer(items.clone()));
    assert!(!has(&cluster, other, &block));
    let junk = Bytes::from_static(b"junk");
    let some = vec![junk, items[2].clone(), items[0].clone()];
    answers(&mut cluster, other, from, answer(some));
    assert!(!has(&cluster, other, &block));
    answers(&mut cluster, other, from, answer(items[1..2].to_vec()));
    assert!(has(&cluster, other, &block));
}

#[test]
fn a_list_that_the_header_does_not_commit_to_is_refused() {
    let cluster = quiet();
    let items = signed(&cluster, 2);
    let (_, proposal) = leaders_block(&cluster, items);
    let whole = Compact::of(proposal);
    let broken = |change: fn(&mut Compact)| {
        let mut compact = whole.clone();
        change(&mut compact);
        compact
    };
    let cases = [
        broken(|compact| compact.leaves.reverse()),
        broken(|compact| compact.leaves.clear()),
        broken(|compact| compact.leaves.push(Digest([1; 32]))),
        broken(|compact| compact.header.content.items_count += 1),
        broken(|compact| compact.header.content.items_bytes = u32::MAX),
    ];
    for compact in cases {
        let mut cluster = quiet();
        let (leader, _) = leaders_block(&cluster, vec![]);
        let (from, other) = (cluster.slots[leader].node, (leader + 1) % 4);
        let message = Message::Compact(Box::new(compact));
        assert_eq!(asked(&answers(&mut cluster, other, from, message)), None);
        assert_eq!(cluster.ledger(other).assembled(), (0, 1));
    }
}

/// A leader that says less than its items take must not fill the memory with them.
#[test]
fn items_take_no_more_room_than_the_header_says() {
    let mut cluster = quiet();
    let items = signed(&cluster, 3);
    let (leader, proposal) = leaders_block(&cluster, items.clone());
    let (from, other) = (cluster.slots[leader].node, (leader + 1) % 4);
    let mut compact = Compact::of(proposal);
    compact.header.content.items_bytes = 300;
    let block = compact.header.hash();
    let message = Message::Compact(Box::new(compact));
    assert!(asked(&answers(&mut cluster, other, from, message)).is_some());
    let message = Message::Items { block, items };
    answers(&mut cluster, other, from, message);
    assert_eq!(cluster.ledger(other).assembled(), (3, 1));
}

/// The second block of a Byzantine leader is not taken in, but its vote is: with that of the
/// first one it is the proof.
#[test]
fn two_blocks_of_one_view_are_shown_though_neither_is_whole() {
    let mut cluster = quiet();
    let (leader, first) = leaders_block(&cluster, signed(&cluster, 1));
    let (_, second) = leaders_block(&cluster, signed(&cluster, 2));
    let (from, other) = (cluster.slots[leader].node, (leader + 1) % 4);
    let (view, signer) = (first.block.header().view, first.vote.signer);
    for proposal in [first, second] {
        let message = Message::Compact(Box::new(Compact::of(proposal)));
        answers(&mut cluster, other, from, message);
    }
    let bft = cluster.ledger(other).bft().unwrap();
    assert!(bft.has_reported(view, signer));
}

/// Somebody hands transactions to the next leader alone, so that nobody can put its
/// block together in time: it costs that leader one view, and then it sends all.
#[test]
fn a_leader_whose_block_failed_sends_the_next_one_whole() {
    let mut cluster = quiet();
    cluster.tamper = |_, _, message| match message {
        Message::Transactions(_) | Message::Items { .. } => None,
        message => Some(message),
    };
    for sequence in 0..6 {
        let id = cluster.note(0, 100, sequence, "for one only");
        cluster.until("a note", Span::from_secs(10), |world| {
            world.checker.is_final(&id)
        });
    }
}

#[test]
fn questions_for_items_are_answered_if_they_make_sense() {
    let mut cluster = quiet();
    let (transaction, ids) = cluster.sign(100, 0, vec![note("n")]);
    let request = Request::Submit {
        transaction: transaction.clone(),
        wait: true,
    };
    cluster.ask(0, request);
    assert!(cluster.checker.is_final(&ids[0]));
    let block = cluster.ledger(0).tip().unwrap().hash;
    let from = cluster.slots[1].node;
    let mut ask = |block, items: &[u32]| {
        let items = items.to_vec();
        answers(&mut cluster, 0, from, Message::AskItems { block, items })
    };
    let items = vec![transaction];
    assert_eq!(ask(block, &[0]), vec![Message::Items { block, items }]);
    assert_eq!(ask(block, &[0, 0]), vec![]);
    assert_eq!(ask(block, &[1]), vec![]);
    assert_eq!(ask(block, &[u32::MAX]), vec![]);
    assert_eq!(ask(Digest([1; 32]), &[0]), vec![]);
}

/// Pushes, questions and answers are lost like everything else.
#[test]
fn losses_delay_blocks_and_lose_none() {
    let mut questions = 0;
    for seed in 0..10 {
        let knobs = Knobs {
            faults: Faults {
                loss_percent: 20,
                ..MILD
            },
            ..Knobs::default()
        };
        let mut cluster = Cluster::new(seed, knobs);
        cluster.run_for(Span::from_millis(100));
        for sequence in 0..20 {
            cluster.note(usize::try_from(sequence % 4).unwrap(), 100, sequence, "n");
            cluster.run_for(Span::from_millis(50));
        }
        cluster.must_progress(101, Span::from_secs(30));
        questions += (0..4)
            .map(|slot| cluster.ledger(slot).assembled().0)
            .sum::<u64>();
    }
    assert!(questions > 0);
}

#[test]
fn messages_come_back_and_keep_their_bounds() {
    let cluster = quiet();
    let items = signed(&cluster, 2);
    let (_, proposal) = leaders_block(&cluster, items.clone());
    let block = proposal.block.hash();
    let messages = [
        Message::Compact(Box::new(Compact::of(proposal))),
        Message::AskItems {
            block,
            items: vec![0, 7, u32::MAX],
        },
        Message::Items { block, items },
    ];
    for message in messages {
        comes_back_and_stands_damage(&message);
    }
    let many = |count| Message::AskItems {
        block,
        items: vec![0; count],
    };
    assert!(Message::from_bytes(&many(BLOCK_ITEMS_MAX).to_bytes()).is_ok());
    assert!(Message::from_bytes(&Writer::lax(&many(BLOCK_ITEMS_MAX + 1))).is_err());
    let large = |count| Message::Items {
        block,
        items: vec![Bytes::from(vec![0; LEDGER_TX_BYTES_MAX]); count],
    };
    let fits = BLOCK_BYTES_MAX / LEDGER_TX_BYTES_MAX;
    assert!(Message::from_bytes(&large(fits).to_bytes()).is_ok());
    assert!(Message::from_bytes(&Writer::lax(&large(fits + 1))).is_err());
}
