//! The bytes of the state that operations change.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;

use crate::bft::{Epoch, Height};
use crate::golden::Table;
use crate::golden::samples::{digest, key, node, number, tiny, validators_of};
use crate::ledger::execution::ledger_state::encode_list;
use crate::ledger::*;
use crate::ledger_types::tests::golden::{account_id, genesis, member, name, snapshot_record};

pub fn add_to(table: &mut Table) {
    state(table);
    state_keys(table);
}

fn state(table: &mut Table) {
    let lane = |first| (Lane(tiny(first)), Sequence(number(first)));
    table.row(&Account {
        key: key(1).to_compressed(),
        lanes: BTreeMap::from([lane(0x01), lane(0x11)]),
        epoch: Epoch(number(0x21)),
        operations: number(0x31),
        bytes: number(0x41),
    });
    let epoch = EpochState {
        epoch: Epoch(number(0x01)),
        root_height: Height(number(0x11)),
        validators: Some(Arc::new(validators_of(0..3))),
        previous: Some(Arc::new(validators_of(3..5))),
        change_is_due: true,
    };
    table.row(&epoch);
    table.also(
        "first",
        &EpochState {
            previous: None,
            ..epoch
        },
    );
    let proposal = Proposal {
        operation: digest(0x01),
        approvals: vec![node(0x21), node(0x22)],
        expires: Height(number(0x31)),
    };
    table.row(&proposal);
    table.row(&SnapshotEntry {
        operation: TxId(digest(0x01)),
        record: snapshot_record(),
        account: account_id(),
        height: Height(number(0x21)),
    });
    table.row(&ImageEntry {
        digest: digest(0x01),
        account: account_id(),
        height: Height(number(0x21)),
    });
    table.bytes("list.members", &encode_list(&[member(), member()]));
    table.bytes("list.proposals", &encode_list(&[proposal]));
}

fn state_keys(table: &mut Table) {
    table.bytes("state_key.epoch", keys::EPOCH);
    table.bytes("state_key.members", keys::MEMBERS);
    table.bytes("state_key.proposals", keys::PROPOSALS);
    table.bytes("state_key.params", keys::PARAMS);
    table.bytes("state_key.account", &keys::account(&account_id()));
    table.bytes("state_key.snapshot", &keys::snapshot(&name()));
    table.bytes("state_key.image", &keys::image(&name()));
    let ledger_state = LedgerState::genesis(&genesis()).expect("a good beginning");
    for (place, entry) in ledger_state.tree().iter().enumerate() {
        table.bytes(&format!("genesis_state.{place}.key"), entry.key);
        table.bytes(&format!("genesis_state.{place}.value"), entry.value);
    }
    table.bytes("genesis_state.root", &ledger_state.root().0);
}
