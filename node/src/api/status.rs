//! The node and its cluster, as seen and as changed from here.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use decube_core::cluster::{Request, Response as Answer, Status};
use decube_core::node::PartId;
use decube_core::raft::{Membership, Role};
use decube_core::types::NodeId;
use decube_io_real::host::SlowVolume;
use serde_json::{Value, json};

use super::Shared;
use super::error::{ApiError, ApiResult, Code};
use super::extract::{Captured, JsonObject, node_id};
use super::health::parts_json;
use super::text;
use crate::backend::Health;

/// `GET /v1/status`: what this node knows.
pub async fn status(State(gateway): State<Shared>) -> ApiResult<Json<Value>> {
    let status = ask(&gateway).await?;
    let health = gateway.backend.health();
    Ok(Json(json!({
        "node": status.node.to_string(),
        "name": gateway.info.name,
        "cluster": gateway.info.cluster,
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": gateway.started.elapsed().as_secs(),
        "role": role_name(status.role),
        "term": status.term.0,
        "leader": status.leader.map(|id| id.to_string()),
        "ready": health.serving(),
        "halted": health.halted(PartId::Cluster),
        "parts": parts_json(&health),
        "slow_volumes": slow_json(&health),
        "last_index": status.last.index.0,
        "committed_index": status.committed.0,
        "applied_index": status.applied.0,
        "base_index": status.base.0,
        "stored_index": status.stored.0,
        "revision": status.revision.0,
        "state_bytes": status.state_bytes,
        "members": membership_json(&status.membership),
        "matched": status.matched.iter().map(|(id, index)| {
            json!({"node": id.to_string(), "index": index.0})
        }).collect::<Vec<_>>(),
    })))
}

/// The slow volumes by name: `{"operation": ..., "seconds": ...}`.
fn slow_json(health: &Health) -> Value {
    let slow = health.slow.iter();
    let slow = slow.map(|(volume, slow)| {
        let SlowVolume { operation, seconds } = slow;
        let slow = json!({"operation": operation, "seconds": seconds});
        (volume.name().to_owned(), slow)
    });
    Value::Object(slow.collect())
}

/// `GET /node/info`, in upstream's shape.
pub async fn info(State(gateway): State<Shared>) -> Json<Value> {
    let health = gateway.backend.health();
    Json(json!({
        "node_id": health.node.to_string(),
        "version": env!("CARGO_PKG_VERSION"),
        "is_leader": health.role == Role::Leader,
        "leader_addr": health.leader.map(|id| id.to_string()),
        "address": gateway.info.address,
    }))
}

/// `GET /v1/cluster/members`.
pub async fn members(State(gateway): State<Shared>) -> ApiResult<Json<Value>> {
    Ok(Json(membership_json(&ask(&gateway).await?.membership)))
}

/// `PUT /v1/cluster/members` `{"voters": [...], "learners": [...]}`.
pub async fn set_members(State(gateway): State<Shared>, body: JsonObject) -> ApiResult<Response> {
    let list = |name: &str| match body.0.get(name) {
        None => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(id_of).collect::<ApiResult<Vec<_>>>(),
        Some(_) => Err(ApiError::invalid(format!(
            "{name} must be a list of node ids"
        ))),
    };
    let target = Membership {
        voters: list("voters")?,
        learners: list("learners")?,
        outgoing: Vec::new(),
    };
    if target.voters.is_empty() {
        return Err(ApiError::invalid("a cluster needs at least one voter"));
    }
    change(&gateway, target).await
}

/// `POST /v1/cluster/members` `{"id", "role": "learner" | "voter"}`: adds a member
/// or changes its role. A new node must be a learner first.
pub async fn add_member(State(gateway): State<Shared>, body: JsonObject) -> ApiResult<Response> {
    let id = node_id(body.text("id")?)?;
    let mut target = settled(&gateway).await?;
    target.voters.retain(|voter| *voter != id);
    target.learners.retain(|learner| *learner != id);
    match body.0.get("role").map_or(Some("learner"), Value::as_str) {
        Some("learner") => target.learners.push(id),
        Some("voter") => target.voters.push(id),
        _ => return Err(ApiError::invalid("role must be learner or voter")),
    }
    change(&gateway, target).await
}

/// `DELETE /v1/cluster/members/{id}`.
pub async fn remove_member(
    State(gateway): State<Shared>,
    Captured(id): Captured,
) -> ApiResult<Response> {
    let id = node_id(&id)?;
    let mut target = settled(&gateway).await?;
    let before = target.clone();
    target.voters.retain(|voter| *voter != id);
    target.learners.retain(|learner| *learner != id);
    if target == before {
        return Err(ApiError::not_found("member", &id.to_string()));
    }
    if target.voters.is_empty() {
        return Err(ApiError::invalid("the last voter cannot be removed"));
    }
    change(&gateway, target).await
}

/// `PUT /v1/cluster/leader` `{"to": id}`: hands leadership over.
pub async fn transfer(State(gateway): State<Shared>, body: JsonObject) -> ApiResult<Response> {
    let to = node_id(body.text("to")?)?;
    accepted(&gateway, Request::TransferLeadership { to }).await
}

/// A role in one word.
pub fn role_name(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre-candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
        Role::Repairing => "repairing",
        Role::Halted => "halted",
    }
}

async fn ask(gateway: &Shared) -> ApiResult<Status> {
    match gateway.ask(Request::Status).await? {
        Answer::Status(status) => Ok(*status),
        other => Err(ApiError::new(
            Code::Internal,
            format!("asked for the status, got {other:?}"),
        )),
    }
}

/// The membership, unless it is just changing.
async fn settled(gateway: &Shared) -> ApiResult<Membership> {
    let membership = ask(gateway).await?.membership;
    if membership.outgoing.is_empty() {
        return Ok(membership);
    }
    Err(ApiError::new(
        Code::ChangeInProgress,
        "a membership change is not complete",
    ))
}

async fn change(gateway: &Shared, mut target: Membership) -> ApiResult<Response> {
    target.voters.sort_unstable();
    target.learners.sort_unstable();
    accepted(gateway, Request::ChangeMembership(target)).await
}

async fn accepted(gateway: &Shared, request: Request) -> ApiResult<Response> {
    match gateway.ask(request).await? {
        Answer::Accepted => {
            let body = json!({"status": "accepted", "timestamp": text::now()});
            Ok((StatusCode::ACCEPTED, Json(body)).into_response())
        }
        other => Err(ApiError::new(
            Code::Internal,
            format!("asked for a change, got {other:?}"),
        )),
    }
}

fn membership_json(membership: &Membership) -> Value {
    json!({
        "voters": text::ids(&membership.voters),
        "outgoing": text::ids(&membership.outgoing),
        "learners": text::ids(&membership.learners),
    })
}

fn id_of(value: &Value) -> ApiResult<NodeId> {
    let text = value
        .as_str()
        .ok_or_else(|| ApiError::invalid("a node id must be a text"))?;
    node_id(text)
}
