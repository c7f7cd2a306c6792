//! The asserts of executed blocks, broken by hand.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Branch, Branches, Built, branch};
use crate::bft::{Block, BlockRef, Header, Height, View};
use crate::crypto::{Digest, SharedVerifier, sha256};
use crate::ledger::execution::executor::Executed;
use crate::ledger::pool::Pool;
use crate::ledger::{LedgerState, TimeMs};
use crate::ledger_types::tests::golden::genesis;
use crate::limits::BRANCHES_OPEN_MAX;
use crate::types::NodeId;

fn verifier() -> SharedVerifier {
    SharedVerifier::new(crate::crypto::fake::FakeAuthority::new(1).verifier())
}

fn executed() -> Executed {
    Executed {
        ledger_state: LedgerState::genesis(&genesis()).expect("a genesis"),
        changes: BTreeMap::new(),
        results: Vec::new(),
        results_root: Digest::default(),
    }
}

/// Block 0 and nothing on it.
fn first() -> Branches {
    let genesis = genesis();
    let ledger_state = LedgerState::genesis(&genesis).expect("a genesis");
    let tip = Branch::genesis(genesis.hash(), genesis.time, ledger_state);
    Branches::new(genesis.chain(), verifier(), Arc::new(tip))
}

/// The header of the next block.
fn next(branches: &Branches) -> Header {
    Header {
        height: Height(1),
        parent: branches.tip.hash,
        ..crate::golden::samples::header()
    }
}

fn opened(branches: &Branches, header: &Header) -> Branch {
    let mut open = branch(header, &branches.tip, executed(), Vec::new());
    open.time = TimeMs(branches.tip.time.0 + 1);
    open
}

/// Makes a block final that claims to be executed to this.
fn commit(change: impl Fn(&mut Branch)) {
    let mut branches = first();
    let header = next(&branches);
    let items = crate::golden::samples::items();
    let block = Block::new(header, items).expect("a block");
    let mut open = opened(&branches, block.header());
    change(&mut open);
    branches.open.insert(block.hash(), Arc::new(open));
    let pool = Pool::new(NodeId(1), branches.chain, verifier());
    let committed = branches.commit(&block, &pool);
    committed.expect("it was executed");
}

#[test]
fn a_block_that_was_executed_is_committed() {
    commit(|_| {});
}

/// The next block on one that is known, as a leader makes it.
fn built_on(branches: &mut Branches, parent: &BlockRef, pool: &mut Pool) -> Block {
    let content = branches.build(parent, TimeMs(0), pool);
    let content = content.expect("its parent is known");
    let header = Header {
        height: parent.height.next(),
        parent: parent.hash,
        parent_view: parent.view,
        content: content.commitments,
        ..crate::golden::samples::header()
    };
    Block::new(header, content.items).expect("a block")
}

/// Leaders whose views come to nothing leave as many blocks behind as are kept. A block
/// that comes then is judged, and so is the one that rests on it.
#[test]
fn blocks_that_nobody_keeps_leave_room_for_others() {
    let mut branches = first();
    let mut pool = Pool::new(NodeId(1), branches.chain, verifier());
    for view in (1_u64..).take(BRANCHES_OPEN_MAX) {
        let header = Header {
            view: View(view),
            ..next(&branches)
        };
        let open = opened(&branches, &header);
        branches.open.insert(open.hash, Arc::new(open));
    }
    let tip = BlockRef {
        hash: branches.tip.hash,
        ..BlockRef::default()
    };
    // What is built on a block that is forgotten is forgotten with it.
    let abandoned = branches.open.values().next().expect("many").clone();
    let abandoned = BlockRef {
        hash: abandoned.hash,
        height: abandoned.height,
        ..tip
    };
    built_on(&mut branches, &abandoned, &mut pool);
    let kept = *branches.open.keys().last().expect("many");
    branches.make_room(|hash| *hash == kept);
    assert!(branches.open.keys().eq([&kept]));
    assert!(branches.built.is_none());
    let good = built_on(&mut branches, &tip, &mut pool);
    branches.make_room(|_| false);
    assert_eq!(branches.open.len(), 1, "there is room");
    assert_eq!(branches.check(&good, &pool), Ok(()));
    let child = built_on(&mut branches, &good.place(), &mut pool);
    assert_eq!(branches.check(&child, &pool), Ok(()));
    branches.check_bounds();
    branches.check_open();
}

#[test]
#[should_panic(expected = "G4: what is final was executed")]
fn what_is_final_was_executed() {
    commit(|open| open.hash = sha256(b"another"));
}

#[test]
#[should_panic(expected = "G4: one block is final at each height")]
fn one_block_is_final_at_each_height() {
    commit(|open| open.height = Height(2));
}

#[test]
#[should_panic(expected = "G4: time moves on")]
fn time_moves_on() {
    commit(|open| open.time = TimeMs(0));
}

#[test]
#[should_panic(expected = "blocks are final in order")]
fn blocks_are_final_in_order() {
    let mut branches = first();
    let header = Header {
        parent: sha256(b"another"),
        ..next(&branches)
    };
    let block = Block::new(header, crate::golden::samples::items()).expect("a block");
    let pool = Pool::new(NodeId(1), branches.chain, verifier());
    drop(branches.commit(&block, &pool));
}

#[test]
#[should_panic(expected = "G4: its parent is known")]
fn the_parent_is_known() {
    let branches = first();
    let header = Header {
        parent: sha256(b"another"),
        ..next(&branches)
    };
    opened(&branches, &header);
}

#[test]
#[should_panic(expected = "G4: it is the next after its parent")]
fn a_block_follows_its_parent() {
    let branches = first();
    let header = Header {
        height: Height(2),
        ..next(&branches)
    };
    opened(&branches, &header);
}

#[test]
#[should_panic(expected = "G4: one hash for each block")]
fn the_history_has_all_blocks() {
    let mut branches = first();
    let header = next(&branches);
    let tip = Arc::get_mut(&mut branches.tip).expect("nobody else has it");
    tip.history = crate::merkle::Frontier::default();
    opened(&branches, &header);
}

/// What is wrong with the open blocks, and the rule that says so.
fn check_with(change: impl Fn(&mut Branches, Branch)) {
    let mut branches = first();
    let open = opened(&branches, &next(&branches));
    change(&mut branches, open);
    branches.check_bounds();
    branches.check_open();
}

#[test]
fn open_blocks_are_above_the_tip() {
    check_with(|branches, open| {
        branches.open.insert(open.hash, Arc::new(open));
    });
}

#[test]
#[should_panic(expected = "G4: blocks are found by their hashes")]
fn blocks_are_found_by_their_hashes() {
    check_with(|branches, open| {
        branches.open.insert(sha256(b"another"), Arc::new(open));
    });
}

#[test]
#[should_panic(expected = "G4: what is not above the tip is forgotten")]
fn what_is_not_above_the_tip_is_forgotten() {
    check_with(|branches, mut open| {
        open.height = Height(0);
        branches.open.insert(open.hash, Arc::new(open));
    });
}

#[test]
#[should_panic(expected = "G4: what was built rests on a known block")]
fn what_was_built_rests_on_a_known_block() {
    check_with(|branches, open| {
        branches.built = Some(Built {
            parent: open.hash,
            commitments: crate::golden::samples::header().content,
            executed: executed(),
            transactions: Vec::new(),
        });
    });
}

#[test]
#[should_panic(expected = "G2: executed blocks")]
fn executed_blocks_are_bounded() {
    check_with(|branches, open| {
        let open = Arc::new(open);
        for number in 0..=BRANCHES_OPEN_MAX {
            let hash = sha256(&number.to_be_bytes());
            branches.open.insert(hash, open.clone());
        }
    });
}
