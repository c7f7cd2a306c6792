//! The bytes of operations and transactions, of how they end, and of how a ledger
//! begins.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use crate::bft::{Evidence, Height, VoteKind};
use crate::codec::Encode as _;
use crate::crypto::ChainId;
use crate::golden::Table;
use crate::golden::samples::{
    blob, cluster, counted, digest, key, node, number, signature, signer, small, tiny, vote, wide,
};
use crate::ledger_types::*;

#[test]
fn golden_bytes() {
    let mut table = Table::of("ledger_types");
    table.row(&Lane(tiny(0x01)));
    table.row(&Sequence(number(0x02)));
    table.row(&TimeMs(number(0x03)));
    table.row(&name());
    table.named("AccountId", &account_id());
    table.row(&TxId(digest(0x01)));
    table.row(&key_proof());
    table.row(&snapshot_record());
    table.rows(changes());
    table.rows(operations());
    for (place, change) in (0..).zip(changes()) {
        table.also(&format!("{place}"), &Operation::Validator(change));
    }
    transactions(&mut table);
    ends(&mut table);
    table.rows(Param::ALL);
    table.row(&params());
    table.row(&member());
    table.row(&genesis());
    table.bytes("genesis_hash", &genesis().hash().0);
    table.check();
}

pub(crate) fn name() -> Name {
    Name::new("a.name-1/of:it").expect("a good name")
}

pub(crate) fn account_id() -> AccountId {
    AccountId(counted(0x51))
}

fn key_proof() -> KeyProof {
    KeyProof {
        key: key(1),
        signature: signature(0x01),
    }
}

pub(crate) fn snapshot_record() -> SnapshotRecord {
    SnapshotRecord {
        id: name(),
        manifest: digest(0x01),
        bytes: number(0x21),
        segments: small(0x31),
    }
}

fn changes() -> [ValidatorChange; 4] {
    let node = node(0x01);
    [
        ValidatorChange::Add {
            node,
            cluster: cluster(0x11),
            weight: small(0x21),
            key: key_proof(),
        },
        ValidatorChange::Remove { node },
        ValidatorChange::Rotate {
            node,
            key: key_proof(),
        },
        ValidatorChange::SetWeight {
            node,
            weight: small(0x31),
        },
    ]
}

fn operations() -> [Operation; 8] {
    let [change, ..] = changes();
    let one = vote(VoteKind::Notarize);
    let mut other = one;
    other.statement.block.hash = digest(0x77);
    let evidence = Evidence::of(one, other).expect("two blocks in one view");
    [
        Operation::Data {
            kind: name(),
            payload: blob("payload"),
        },
        Operation::SnapshotCreate(snapshot_record()),
        Operation::SnapshotDelete { id: name() },
        Operation::ImageRegister {
            name: name(),
            digest: digest(0x01),
        },
        Operation::KeyRotate(key_proof()),
        Operation::Validator(change),
        Operation::Param {
            param: Param::NewAccounts,
            value: number(0x11),
        },
        Operation::Evidence(Box::new(evidence)),
    ]
}

fn transactions(table: &mut Table) {
    let intent = Intent {
        chain: ChainId(wide(0x01)),
        account: account_id(),
        lane: Lane(tiny(0x11)),
        sequence: Sequence(number(0x21)),
        valid_until: Height(number(0x31)),
        operations: operations().to_vec(),
    };
    let preimage = intent.preimage(&key(2));
    table.bytes("transaction_preimage", preimage.as_bytes());
    for (place, id) in intent.ids().enumerate() {
        table.bytes(&format!("operation_id.{place}"), &id.to_bytes());
    }
    table.row(&intent.sign(&signer(2)));
    table.bytes("account_of_key", &AccountId::of(&key(2)).0);
}

/// A list of ends, one of each kind.
pub(crate) fn results() -> Vec<OpResult> {
    let ends = (1_u8..).zip(Outcome::ALL);
    let result = |(first, outcome)| OpResult {
        id: TxId(digest(first)),
        outcome,
    };
    ends.map(result).collect()
}

fn ends(table: &mut Table) {
    table.rows(Outcome::ALL);
    table.row(&results()[3]);
    let head = ResultsHead::of(&results());
    table.row(&head);
    table.bytes("results_root", &head.root().0);
}

/// Values within the bounds of each parameter, none of them the initial one.
fn params() -> Params {
    let mut params = Params::default();
    for (more, param) in (1..).zip(Param::ALL) {
        let (least, _) = param.bounds();
        params.set(param, least + more).expect("within the bounds");
    }
    params
}

pub(crate) fn member() -> Member {
    Member {
        node: node(0x01),
        key: key(1),
        cluster: cluster(0x11),
        weight: small(0x21),
        is_jailed: true,
    }
}

pub(crate) fn genesis() -> Genesis {
    let member = |place: u64, first| {
        let key = key(place);
        Member::new(key.node_id(), key, cluster(first), 7)
    };
    Genesis {
        name: "ledger".into(),
        time: TimeMs(number(0x01)),
        params: params(),
        members: vec![member(0, 0x11), member(1, 0x12)],
    }
}
