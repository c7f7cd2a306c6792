//! The bytes of everything that validators say, sign and store.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use crate::bft::{
    Epoch, Evidence, FinalBlocks, Height, Leaders, Message, PersistSeq, Power, Proposal, Proven,
    Record, Signers, Status, ValidatorIndex, View, Vote, VoteKind,
};
use crate::crypto::ChainId;
use crate::golden::Table;
use crate::golden::samples::{
    blob, block, cert, digest, header, header_over, number, place, signature, statement, tiny,
    validators, vote, wide,
};

#[test]
fn golden_bytes() {
    let mut table = Table::of("bft");
    table.row(&Epoch(number(0x01)));
    table.row(&View(number(0x02)));
    table.row(&Height(number(0x03)));
    table.row(&Power(number(0x04)));
    table.row(&PersistSeq(number(0x05)));
    table.row(&ValidatorIndex(tiny(0x06)));
    blocks(&mut table);
    votes(&mut table);
    sets(&mut table);
    table.rows(messages());
    table.row(&proposal());
    table.row(&status());
    table.also(
        "empty",
        &Status {
            entered_by: None,
            finalization: None,
            ..status()
        },
    );
    table.row(&final_blocks());
    table.rows(records());
    table.check();
}

fn blocks(table: &mut Table) {
    table.row(&header());
    table.row(&header().content);
    table.row(&block());
    table.row(&place());
    table.bytes("header_hash", &header().hash().0);
}

fn votes(table: &mut Table) {
    table.rows(VoteKind::ALL);
    for kind in VoteKind::ALL {
        let note = alloc::format!("{kind:?}");
        table.also(&note, &statement(kind));
        table.also(&note, &vote(kind));
        table.also(&note, &cert(kind));
        let preimage = statement(kind).preimage(ChainId(wide(0x71)));
        table.bytes(&alloc::format!("preimage.{note}"), preimage.as_bytes());
    }
    let [notarize, _, finalize] = VoteKind::ALL.map(vote);
    let mut other = notarize;
    other.statement.block.hash = digest(0x77);
    let evidence = Evidence::of(other, notarize);
    table.row(&evidence.expect("two blocks in one view"));
    let nullify = Vote {
        signature: signature(0x09),
        ..vote(VoteKind::Nullify)
    };
    let evidence = Evidence::of(finalize, nullify);
    table.also("null_final", &evidence.expect("given up and finalised"));
}

fn sets(table: &mut Table) {
    let set = validators();
    table.row(set.get(ValidatorIndex(1)).expect("of three"));
    table.row(&set);
    table.row(&Signers(wide(0x07)));
    table.bytes("validators_hash", &set.hash().0);
    let leaders = Leaders::new(ChainId(wide(1)), Epoch(number(2)), &digest(3), &set);
    let order = (1..=6).map(|view| leaders.of(View(view)).0.to_be_bytes());
    table.bytes("leaders", &order.collect::<Vec<_>>().concat());
}

fn messages() -> [Message; 10] {
    [
        Message::Proposal(Box::new(proposal())),
        Message::Vote(vote(VoteKind::Notarize)),
        Message::Cert(Box::new(cert(VoteKind::Notarize))),
        Message::Status(Box::new(status())),
        Message::AskStatus,
        Message::AskCerts {
            epoch: Epoch(number(0x01)),
            view: View(number(0x11)),
        },
        Message::AskBlock { hash: digest(0x21) },
        Message::Block(Box::new(block())),
        Message::AskBlocks {
            from: Height(number(0x31)),
        },
        Message::Blocks(Box::new(final_blocks())),
    ]
}

fn proposal() -> Proposal {
    Proposal {
        block: block(),
        parent: Some(cert(VoteKind::Notarize)),
        skips: vec![cert(VoteKind::Nullify)],
        vote: vote(VoteKind::Notarize),
    }
}

fn status() -> Status {
    Status {
        epoch: Epoch(number(0x01)),
        view: View(number(0x11)),
        entered_by: Some(cert(VoteKind::Nullify)),
        finalization: Some(cert(VoteKind::Finalize)),
    }
}

fn final_blocks() -> FinalBlocks {
    FinalBlocks {
        blocks: vec![block(), block()],
        path: vec![header_over(&[blob("item")])],
        finalization: cert(VoteKind::Finalize),
    }
}

fn records() -> [Record; 4] {
    [
        Record::Vote(vote(VoteKind::Notarize)),
        Record::Block(Arc::new(block())),
        Record::Cert(Proven::assume(cert(VoteKind::Finalize))),
        Record::VoteFloor(View(number(0x41))),
    ]
}
