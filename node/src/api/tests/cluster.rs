//! The node and its cluster over HTTP.

use axum::body::Body;
use decube_core::cluster::{Request, Response};
use decube_core::io::Volume;
use decube_core::node::PartId;
use decube_core::part::Health as PartHealth;
use decube_core::raft::{Membership, MembershipRule, Refusal, Role};
use decube_core::types::{ModuleId, NodeId};
use decube_io_real::host::SlowVolume;
use serde_json::json;

use super::Api;
use crate::backend::Backend;

fn hex(id: u128) -> String {
    NodeId(id).to_string()
}

#[tokio::test]
async fn the_status_tells_what_the_node_knows() {
    let api = Api::new();
    let status = api.get("/v1/status").await.json();
    assert_eq!(status["node"], hex(1));
    assert_eq!(
        (&status["role"], &status["term"]),
        (&json!("leader"), &json!(7))
    );
    assert_eq!(status["members"]["voters"], json!([hex(1), hex(2), hex(3)]));
    assert_eq!(status["matched"][0], json!({"node": hex(2), "index": 0}));
    assert_eq!(api.get("/cluster/status").await.json()["cluster"], "test");
    let info = api.get("/node/info").await.json();
    assert_eq!(
        (&info["node_id"], &info["is_leader"]),
        (&json!(hex(1)), &json!(true))
    );
}

#[tokio::test]
async fn members_are_added_promoted_and_removed() {
    let api = Api::new();
    let last = || match api.node.requests().pop() {
        Some(Request::ChangeMembership(membership)) => membership,
        other => panic!("{other:?}"),
    };
    let body = json!({"id": hex(4)}).to_string();
    assert_eq!(
        api.call("POST /v1/cluster/members", &[], body).await.status,
        202
    );
    assert_eq!(last().learners, [NodeId(4)]);
    let body = json!({"id": hex(4), "role": "voter"}).to_string();
    api.call("POST /v1/cluster/members", &[], body).await;
    assert_eq!(last().voters, [NodeId(1), NodeId(2), NodeId(3), NodeId(4)]);
    let delete = |id: u128| format!("DELETE /v1/cluster/members/{}", hex(id));
    assert_eq!(api.call(&delete(3), &[], Body::empty()).await.status, 202);
    assert_eq!(last().voters, [NodeId(1), NodeId(2)]);
    api.call(&delete(9), &[], Body::empty())
        .await
        .refused(404, "not-found");
    let body = json!({"voters": [hex(2), hex(1)], "learners": [hex(5)]}).to_string();
    assert_eq!(
        api.call("PUT /v1/cluster/members", &[], body).await.status,
        202
    );
    let wanted = Membership {
        voters: vec![NodeId(1), NodeId(2)],
        outgoing: vec![],
        learners: vec![NodeId(5)],
    };
    assert_eq!(last(), wanted);
    for body in ["{}", r#"{"voters": ["x"]}"#, r#"{"voters": 1}"#] {
        assert_eq!(
            api.call("PUT /v1/cluster/members", &[], body).await.status,
            400
        );
    }
}

#[tokio::test]
async fn changes_that_raft_refuses_say_why() {
    let api = Api::new();
    let body = || json!({"to": hex(2)}).to_string();
    assert_eq!(
        api.call("PUT /v1/cluster/leader", &[], body()).await.status,
        202
    );
    for (refusal, status, code) in [
        (Refusal::ChangeInProgress, 409, "raft/change-in-progress"),
        (
            Refusal::InvalidMembership {
                rule: MembershipRule::NoVoters,
            },
            400,
            "request/invalid",
        ),
        (
            Refusal::NotCaughtUp { node: NodeId(4) },
            409,
            "raft/change-in-progress",
        ),
        (
            Refusal::LacksModule {
                node: NodeId(4),
                module: ModuleId::FIRST,
            },
            409,
            "raft/change-in-progress",
        ),
        (
            Refusal::SilentOnModule {
                node: NodeId(4),
                module: ModuleId::FIRST,
            },
            409,
            "raft/change-in-progress",
        ),
        (Refusal::Unavailable, 503, "node/unavailable"),
        (Refusal::HeadUnsigned, 503, "log/no-majority"),
        (Refusal::TooLarge, 413, "request/too-large"),
    ] {
        api.node.script(Ok(Response::Refused(refusal)));
        api.call("PUT /v1/cluster/leader", &[], body())
            .await
            .refused(status, code);
    }
}

#[tokio::test]
async fn health_and_readiness_follow_the_node() {
    let api = Api::new();
    assert_eq!(api.get("/health").await.json()["status"], "healthy");
    for path in [
        "/livez",
        "/ready",
        "/readyz",
        "/health/live",
        "/health/ready",
    ] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
    let mut health = api.node.health();
    (health.leader, health.role) = (None, Role::Follower);
    api.node.set_health(health.clone());
    assert_eq!(api.get("/ready").await.status, 503);
    let answer = api.get("/health").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["status"]),
        (200, &json!("degraded"))
    );
    let mut slow = api.node.health();
    let volume = SlowVolume {
        operation: "sync of segment-7".to_owned(),
        seconds: 12,
    };
    slow.slow.insert(Volume::Cluster, volume);
    api.node.set_health(slow);
    let slow = json!({"cluster": {"operation": "sync of segment-7", "seconds": 12}});
    assert_eq!(api.get("/v1/status").await.json()["slow_volumes"], slow);
    let halted = PartHealth::Halted("the disk failed".into());
    health.parts.insert(PartId::Cluster, halted);
    api.node.set_health(health);
    assert_eq!(api.get("/livez").await.status, 503);
    assert_eq!(api.get("/health").await.status, 503);

    let api = Api::new();
    api.gateway.stop();
    let ready = api.get("/ready").await;
    assert_eq!(
        (ready.status.as_u16(), &ready.json()["stopping"]),
        (503, &json!(true))
    );
}
