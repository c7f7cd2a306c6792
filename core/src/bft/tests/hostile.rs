//! What peers can do may make them ignored, and never reaches an assert.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use super::solo::{Keys, Solo};
use crate::bft::*;
use crate::crypto::sha256;
use crate::limits::BLOCKS_OPEN_MAX;
use crate::mutant::Mutant;

fn one_of_four(keys: &Keys) -> Solo<'_> {
    let me = keys.without(&[keys.leader(1), keys.leader(2)])[0];
    Solo::new(keys, me, Mutant::None)
}

/// As many made-up blocks as are kept, each on the next one, the last of them first.
/// Their views and heights go down as told.
fn made_up(keys: &Keys, place: impl Fn(u64) -> (u64, u64)) -> Vec<Block> {
    let count = u64::try_from(BLOCKS_OPEN_MAX).unwrap() + 8;
    let mut parent = BlockRef {
        view: View(place(count).0),
        height: Height(place(count).1),
        hash: sha256(b"nowhere"),
    };
    let mut blocks = vec![];
    for number in (0..count).rev() {
        let (view, height) = place(number);
        let sample = keys.block(1, keys.epoch.root(), &[]);
        let header = Header {
            height: Height(height),
            view: View(view),
            parent: parent.hash,
            parent_view: parent.view,
            ..*sample.header()
        };
        let block = Block::new(header, vec![]).unwrap();
        parent = block.place();
        blocks.push(block);
    }
    blocks.reverse();
    blocks
}

/// A leader proposes a block on blocks that it made up, and sends those when they are
/// asked for. It may not take the room of all others' blocks.
#[test]
fn a_leader_can_not_fill_the_room_for_blocks() {
    let keys = Keys::new(&[1; 4]);
    let far_ahead = |number: u64| (1_000_000 - number, 1_000_000 - number);
    let all_alike = |_: u64| (1, 1_000_000);
    for place in [&far_ahead as &dyn Fn(u64) -> (u64, u64), &all_alike] {
        let mut solo = one_of_four(&keys);
        let byzantine = keys.leader(1);
        let blocks = made_up(&keys, place);
        let on = BlockRef {
            view: View(0),
            ..blocks[0].place()
        };
        solo.hear(
            byzantine,
            keys.proposal(&keys.block(1, on, &[]), None, vec![]),
        );
        for block in blocks {
            solo.hear(byzantine, Message::Block(Box::new(block)));
        }
        assert!(solo.bft.blocks.len() < 8, "{}", solo.bft.blocks.len());
        let others = keys.without(&[solo.me]);
        solo.hear_cert(others[0], keys.cert(&others, keys.null(1)));
        let good = keys.block(2, keys.epoch.root(), &[b"good"]);
        let skip = keys.cert(&others, keys.null(1));
        solo.hear(keys.leader(2), keys.proposal(&good, None, vec![skip]));
        assert!(solo.votes().contains(&keys.on(VoteKind::Notarize, &good)));
    }
}

/// So many blocks are notarised and not final that the leader has no room for its own.
#[test]
fn a_leader_without_room_gives_its_view_up() {
    let keys = Keys::new(&[1; 4]);
    let mut solo = Solo::new(&keys, keys.leader(1), Mutant::None);
    let others = keys.without(&[solo.me]);
    let mut parent = keys.epoch.root();
    let views = u64::try_from(BLOCKS_OPEN_MAX).unwrap();
    for view in 1..=views {
        let block = keys.block(view, parent, &[]);
        parent = block.place();
        let statement = keys.on(VoteKind::Notarize, &block);
        solo.hear_cert(others[0], keys.cert(&others, statement));
        solo.hear(others[0], Message::Block(Box::new(block)));
    }
    assert_eq!(solo.bft.building, Some(View(views + 1)), "it leads again");
    let content = Some(Box::new(Content {
        items: vec![],
        commitments: Commitments::to_items(&[]),
    }));
    solo.bft.timers.idle_hold = None;
    let view = View(views + 1);
    solo.step(Event::Built { view, content });
    assert!(solo.votes().contains(&keys.null(views + 1)));
}

/// A block is known and found good, and the one below it is dropped before it is
/// certified. Neither is voted for before that one is here again.
#[test]
fn what_rests_on_a_dropped_block_is_not_voted_for() {
    let keys = Keys::new(&[1; 4]);
    let me = keys.leader(4);
    let mut solo = Solo::new(&keys, me, Mutant::None);
    let others = keys.without(&[me]);
    let cert = |statement| keys.cert(&others, statement);
    let below = keys.block(1, keys.epoch.root(), &[b"below"]);
    let above = keys.block(3, below.place(), &[b"above"]);
    // It has given view 1 up, so that the block in it is nobody's that it voted for.
    solo.wait(super::solo::DELTA);
    solo.wait(super::solo::DELTA);
    solo.wait(super::solo::DELTA);
    solo.hear(keys.leader(1), keys.proposal(&below, None, vec![]));
    solo.hear_cert(others[0], cert(keys.null(1)));
    solo.hear(keys.leader(3), keys.proposal(&above, None, vec![]));
    solo.hear_cert(others[0], cert(keys.null(2)));
    assert!(solo.bft.block(&above.hash()).is_some());
    assert!(solo.bft.block(&below.hash()).is_none(), "it was dropped");
    solo.hear_cert(others[0], cert(keys.on(VoteKind::Notarize, &below)));
    let vote = keys.on(VoteKind::Notarize, &above);
    assert!(!solo.votes().contains(&vote), "D2: its parent is not here");
    solo.hear(others[0], Message::Block(Box::new(below.clone())));
    assert!(solo.votes().contains(&vote));
    solo.hear_cert(others[0], cert(vote));
    assert!(solo.votes().contains(&keys.on(VoteKind::Finalize, &above)));
    let is_written = |record: &Record| matches!(record, Record::Block(one) if **one == below);
    assert!(solo.log.iter().any(is_written), "D2: with all before it");
}

/// A certificate comes while the application builds on the block before it.
#[test]
fn a_block_is_built_on_the_block_that_it_names() {
    let keys = Keys::new(&[1; 4]);
    let mut solo = Solo::new(&keys, keys.leader(2), Mutant::None);
    let others = keys.without(&[solo.me]);
    let first = keys.block(1, keys.epoch.root(), &[b"first"]);
    solo.hear(keys.leader(1), keys.proposal(&first, None, vec![]));
    solo.hear_cert(others[0], keys.cert(&others, keys.null(1)));
    assert_eq!(solo.bft.building, Some(View(2)), "on the root");
    solo.hear_cert(
        others[0],
        keys.cert(&others, keys.on(VoteKind::Notarize, &first)),
    );
    let content = || {
        let items = vec![bytes::Bytes::from_static(b"mine")];
        let commitments = Commitments::to_items(&items);
        Some(Box::new(Content { items, commitments }))
    };
    let built = |content| Event::Built {
        view: View(2),
        content,
    };
    let proposed = |solo: &Solo<'_>| {
        let messages = solo.sent.iter().filter_map(|(_, message)| match message {
            Message::Proposal(one) => Some(one.block.header().parent),
            _ => None,
        });
        messages.collect::<Vec<_>>()
    };
    solo.step(built(content()));
    assert_eq!(proposed(&solo), [], "it was built on the root");
    solo.step(built(content()));
    assert_eq!(proposed(&solo), [first.hash()]);
}

/// More than a third of the power is Byzantine, and no view has two certificates that exclude
/// each other: heights tell, or the blocks do.
#[test]
fn who_meets_a_fork_across_views_breaks_off() {
    let keys = Keys::new(&[1; 4]);
    let root = keys.epoch.root();
    let one = keys.block(1, root, &[b"one"]);
    let other = keys.block(2, root, &[b"other"]);
    let above = keys.block(3, other.place(), &[b"above"]);
    let is_final = |block: &Block| keys.on(VoteKind::Finalize, block);
    for (commits, statements) in [
        (1, [is_final(&one), is_final(&other)]),
        (0, [is_final(&other), is_final(&one)]),
        (1, [is_final(&one), keys.on(VoteKind::Notarize, &other)]),
        (0, [keys.on(VoteKind::Notarize, &other), is_final(&one)]),
        (1, [is_final(&one), is_final(&above)]),
    ] {
        let mut solo = one_of_four(&keys);
        let others = keys.without(&[solo.me]);
        solo.hear(keys.leader(1), keys.proposal(&one, None, vec![]));
        for statement in statements {
            solo.hear_cert(others[0], keys.cert(&others, statement));
        }
        for block in [&above, &other] {
            solo.hear(others[0], Message::Block(Box::new(block.clone())));
        }
        assert!(solo.bft.halt_reason().is_some(), "{statements:?}");
        assert_eq!(solo.commits.len(), commits, "{statements:?}");
        assert_eq!(solo.violations, 1, "it is reported once");
    }
}
