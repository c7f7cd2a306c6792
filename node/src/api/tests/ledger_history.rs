//! How the ledger's history looks at the HTTP API, and what is gone of it.

use decube_core::bft::{Epoch, Header, Height, ValidatorIndex, View};
use decube_core::crypto::{ChainId, Digest};
use decube_core::ledger::{
    LedgerStatus, OperationLocation, Outcome, Request, Response, TxId, TxState,
};
use decube_core::merkle::TreeSize;
use decube_core::node::PartId;
use decube_core::part::Health as PartHealth;
use decube_core::types::NodeId;
use serde_json::json;

use super::Api;

const HASH: &str = "0x0101010101010101010101010101010101010101010101010101010101010101";

fn status() -> LedgerStatus {
    LedgerStatus {
        node: NodeId(1),
        chain: ChainId(7),
        genesis: Digest::default(),
        epoch: Epoch(3),
        view: View(9),
        height: Height(200),
        hash: Digest::default(),
        base: Height(100),
        stuck_below: None,
        state: Digest::default(),
        time_ms: 0,
        is_validator: true,
        is_voting: true,
        pooled: 0,
        pooled_bytes: 0,
        final_blocks: 5,
        final_operations: 6,
        evicted: 4,
        waiting: 5,
        bodies_asked: 6,
        rejected: 0,
        bad_signatures: vec![(NodeId(2), 7), (NodeId(3), 8)],
        bad_signatures_of_others: 9,
    }
}

#[tokio::test]
async fn metrics_speak_of_the_ledger_if_there_is_one() {
    let page = Api::new().get("/metrics").await.text();
    assert!(!page.contains("decube_ledger_"));
    let api = Api::with_ledger();
    api.node.script_ledger(Response::Status(Box::new(status())));
    let page = api.get("/metrics").await.text();
    for line in [
        "decube_ledger_height 200",
        "decube_ledger_epoch 3",
        "decube_ledger_is_voting 1",
        "decube_ledger_waiting_clients 5",
        "decube_ledger_pool_evicted_total 4",
        "decube_ledger_bodies_asked_total 6",
        "decube_ledger_bad_signatures_total 24",
    ] {
        assert!(page.lines().any(|one| one == line), "{line}:\n{page}");
    }
}

fn header() -> Header {
    Header {
        chain: ChainId(7),
        epoch: Epoch(0),
        height: Height(5),
        view: View(5),
        parent: Digest::default(),
        parent_view: View(4),
        proposer: ValidatorIndex(0),
        content: decube_core::bft::Commitments {
            time_ms: 1234,
            ..Default::default()
        },
    }
}

#[tokio::test]
async fn pruned_blocks_are_gone_and_it_is_said_what_is_kept() {
    let api = Api::with_ledger();
    let base = Height(100);
    for path in [
        "/consensus/blocks/5",
        "/consensus/checkpoint?height=5",
        &format!("/consensus/transactions/{HASH}/proof"),
    ] {
        api.node.script_ledger(Response::Pruned { base });
        let problem = api.get(path).await.refused(410, "ledger/pruned");
        assert_eq!(problem["error"]["details"]["base"], 100, "{problem}");
        assert!(
            problem["detail"]
                .as_str()
                .expect("text")
                .contains("from 100 on")
        );
    }
    let place = OperationLocation {
        height: Height(5),
        item: 0,
        operation: 0,
        outcome: Outcome::Done,
    };
    api.node
        .script_ledger(Response::Transaction(TxState::Final(place)));
    api.node.script_ledger(Response::Status(Box::new(status())));
    api.node.script_ledger(Response::Pruned { base });
    api.node.script_ledger(Response::Header(Box::new(header())));
    let answer = api.get(&format!("/consensus/transactions/{HASH}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let found = answer.json();
    assert_eq!(found["status"], "confirmed");
    assert_eq!(found["pruned"], true);
    assert_eq!(found["outcome"], "done");
    assert_eq!(found["confirmations"], 196);
    assert_eq!(found["timestamp"], 1234);
    assert_eq!(found["block_hash"], header().hash().to_0x());

    api.node.script_ledger(Response::Header(Box::new(header())));
    let found = api.get("/consensus/blocks/5/header").await.json();
    assert_eq!(found["hash"], header().hash().to_0x());
    // A list ends where whole blocks begin.
    api.node.script_ledger(Response::Status(Box::new(status())));
    let list = api.get("/consensus/blocks?from=99").await.json();
    assert_eq!(list["count"], 0);
    assert_eq!(list["base"], 100);
}

#[tokio::test]
async fn a_node_is_ready_when_its_ledger_is() {
    let api = Api::with_ledger();
    let starting = api.get("/ready").await;
    assert_eq!(starting.status, 503);
    assert_eq!(starting.json()["ledger"], "starting");
    for (ledger, word, part) in [
        (PartHealth::Ready, "ready", json!({"state": "ready"})),
        (
            PartHealth::Halted("damaged".into()),
            "halted",
            json!({"state": "halted", "reason": "damaged"}),
        ),
    ] {
        let mut health = api.gateway.backend.health();
        health.parts.insert(PartId::Ledger, ledger);
        api.node.set_health(health);
        let answer = api.get("/ready").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["ledger"], word);
        assert_eq!(answer.json()["parts"]["ledger"], part);
    }
    for ledger in [PartHealth::Stopping, PartHealth::Stopped] {
        let mut health = api.gateway.backend.health();
        health.parts.insert(PartId::Ledger, ledger);
        api.node.set_health(health);
        let answer = api.get("/ready").await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.json()["ledger"], "stopping");
    }
}

#[tokio::test]
async fn what_is_asked_about_the_history_reaches_the_ledger() {
    let api = Api::with_ledger();
    for (path, height, old) in [
        ("/consensus/checkpoint", None, None),
        ("/consensus/checkpoint?from=7", None, Some(7)),
        ("/consensus/checkpoint?from=7&height=9", Some(9), Some(7)),
    ] {
        api.get(path).await.refused(503, "ledger/unavailable");
        let asked = api.node.ledger_requests().pop();
        let expected = Request::Checkpoint {
            from: Epoch(0),
            height: height.map(Height),
            old: old.map(TreeSize),
        };
        assert_eq!(asked, Some(expected), "{path}");
    }
    let path = format!("/consensus/transactions/{HASH}/proof?fresh=true&from_epoch=4");
    api.get(&path).await.refused(503, "ledger/unavailable");
    let expected = Request::Prove {
        id: TxId(Digest([1; 32])),
        from: Epoch(4),
        fresh: true,
    };
    assert_eq!(api.node.ledger_requests().pop(), Some(expected));
    for wrong in [
        "/consensus/checkpoint?from=x",
        "/consensus/checkpoint?from=1&format=note",
        "/consensus/checkpoint?format=text",
        "/consensus/checkpoint?since=1",
        "/consensus/epochs?from=x",
    ] {
        api.get(wrong).await.refused(400, "request/invalid");
    }
}
