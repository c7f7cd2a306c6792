//! The bytes of all proofs.

use alloc::vec;

use crate::bft::VoteKind;
use crate::crypto::Digest;
use crate::golden::Table;
use crate::golden::samples::{
    applied_log, blob, cert, cluster, digest, epoch_end, finality, header, inclusion, log_head,
    log_id, number, past, signed_head, small,
};
use crate::ledger_types::{OpResult, Outcome, ResultsHead, TxId};
use crate::merkle::{Consistency, TreeHead, TreeSize};
use crate::proof::ledger::{Checkpoint, Extension, Finality, OutcomeProof, Receipt};
use crate::proof::split_view::ForkedPrefix;
use crate::proof::{
    AppliedLog, LogHead, LogProof, Payload, ProofEntry, SignedHead, SplitView, entry_hash,
};
use crate::raft::EntryKind;
use crate::types::{Index, Term};

#[test]
fn golden_bytes() {
    let mut table = Table::of("proof");
    logs(&mut table);
    ledgers(&mut table);
    table.check();
}

fn logs(table: &mut Table) {
    table.row(&applied_log());
    table.also("empty", &AppliedLog::new(cluster(0x01)));
    table.row(&log_head());
    table.bytes("log_head_preimage", log_head().preimage().as_bytes());
    table.row(&signed_head().signatures[0]);
    table.row(&signed_head());
    table.rows(payloads());
    for (place, kind) in (0..).zip([EntryKind::Noop, EntryKind::Membership, EntryKind::App]) {
        let [payload, _] = payloads();
        let term = Term(number(place));
        let entry = ProofEntry {
            term,
            kind,
            payload,
        };
        table.also(&alloc::format!("{kind:?}"), &entry);
        let hash = entry_hash(cluster(0x01), log_id(0x11), kind, b"data");
        table.bytes(&alloc::format!("entry_hash.{kind:?}"), &hash.0);
    }
    table.row(&log_proof());
    table.row(&forked_prefix());
    table.row(&SplitView {
        older: signed_head(),
        newer: newer_head(),
        prefix: Some(forked_prefix()),
    });
}

fn payloads() -> [Payload; 2] {
    [
        Payload::Data(blob("command")),
        Payload::Omitted {
            len: small(0x01),
            digest: digest(0x11),
        },
    ]
}

fn newer_head() -> SignedHead {
    let head = LogHead {
        size: Index(number(0x22)),
        ..log_head()
    };
    SignedHead::new(head, signed_head().signatures)
}

fn consistency() -> Consistency {
    Consistency {
        old: TreeSize(number(0x01)),
        new: TreeSize(number(0x11)),
        path: vec![digest(0x21)],
    }
}

fn forked_prefix() -> ForkedPrefix {
    ForkedPrefix {
        root: digest(0x31),
        proof: consistency(),
    }
}

fn log_proof() -> LogProof {
    let entries = payloads().map(|payload| ProofEntry {
        term: Term(number(0x01)),
        kind: EntryKind::App,
        payload,
    });
    LogProof {
        head: signed_head(),
        first: Index(number(0x11)),
        entries: entries.to_vec(),
        path: vec![digest(0x41), digest(0x42)],
        extension: Some(consistency()),
    }
}

fn ledgers(table: &mut Table) {
    table.row(&finality());
    table.also(
        "without_path",
        &Finality {
            header: header(),
            path: vec![],
            finalization: cert(VoteKind::Finalize),
        },
    );
    table.row(&epoch_end());
    table.row(&past());
    table.row(&checkpoint());
    table.row(&Extension {
        old: TreeHead {
            size: TreeSize(number(0x01)),
            root: digest(0x11),
        },
        checkpoint: checkpoint(),
        consistency: consistency(),
    });
    table.row(&outcome());
    table.row(&receipt());
    table.also(
        "least",
        &Receipt {
            epochs: vec![],
            past: None,
            outcome: None,
            ..receipt()
        },
    );
}

fn checkpoint() -> Checkpoint {
    Checkpoint {
        epochs: vec![epoch_end()],
        finality: finality(),
    }
}

fn outcome() -> OutcomeProof {
    let result = OpResult {
        id: TxId(digest(0x01)),
        outcome: Outcome::NotOwner,
    };
    let other = OpResult {
        id: TxId(Digest::ZERO),
        outcome: Outcome::Done,
    };
    OutcomeProof {
        child: Some(past()),
        result,
        results: ResultsHead::of(&[result, other]),
        inclusion: inclusion(),
    }
}

fn receipt() -> Receipt {
    Receipt {
        epochs: vec![epoch_end()],
        finality: finality(),
        past: Some(past()),
        inclusion: inclusion(),
        transaction: blob("transaction"),
        operation: small(0x51),
        outcome: Some(outcome()),
    }
}
