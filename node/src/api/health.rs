//! Whether the node is alive, whether it can serve, and the pages of errors.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use decube_core::node::PartId;
use decube_core::part::Health as PartHealth;
use decube_core::raft::Role;
use serde_json::{Value, json};

use super::Shared;
use super::error::{ApiError, ApiResult, Code, ERRORS};
use super::extract::Captured;
use super::status::role_name;
use super::text;
use crate::backend::Health;

/// `GET /health`, in upstream's shape. 503 only when the node has halted.
pub async fn health(State(gateway): State<Shared>) -> (StatusCode, Json<Value>) {
    let health = gateway.backend.health();
    let (status, word) = match (health.halted(PartId::Cluster), health.serving()) {
        (Some(_), _) => (StatusCode::SERVICE_UNAVAILABLE, "halted"),
        (None, true) => (StatusCode::OK, "healthy"),
        (None, false) => (StatusCode::OK, "degraded"),
    };
    let body = json!({
        "status": word,
        "timestamp": text::now(),
        "is_leader": health.role == Role::Leader,
    });
    (status, Json(body))
}

/// `GET /livez`: the process answers and the node has not halted.
pub async fn live(State(gateway): State<Shared>) -> (StatusCode, &'static str) {
    match gateway.backend.health().halted(PartId::Cluster) {
        None => (StatusCode::OK, "ok\n"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "halted\n"),
    }
}

/// `GET /ready`: requests can be expected to succeed here.
pub async fn ready(State(gateway): State<Shared>) -> (StatusCode, Json<Value>) {
    let health = gateway.backend.health();
    let stopping = *gateway.stopping.borrow();
    let ledger = match (&gateway.info.genesis, health.is_serving(PartId::Ledger)) {
        (None, _) => "none",
        (Some(_), true) => "ready",
        // The rest of the node serves on without it; `parts` says why.
        (Some(_), false) if health.halted(PartId::Ledger).is_some() => "halted",
        (Some(_), false) if is_stopping(&health) => "stopping",
        (Some(_), false) => "starting",
    };
    let ready = health.serving() && !stopping && !matches!(ledger, "starting" | "stopping");
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = json!({
        "ready": ready,
        "recovered": health.is_serving(PartId::Cluster),
        "leader_known": health.leader.is_some(),
        "ledger": ledger,
        "role": role_name(health.role),
        "halted": health.halted(PartId::Cluster),
        "parts": parts_json(&health),
        "stopping": stopping,
    });
    (status, Json(body))
}

/// Whether the ledger of a node stops or has stopped, and has not halted.
fn is_stopping(health: &Health) -> bool {
    let ledger = health.parts.get(&PartId::Ledger);
    matches!(ledger, Some(PartHealth::Stopping | PartHealth::Stopped))
}

/// How each part of a node is, by name.
pub(super) fn parts_json(health: &Health) -> Value {
    let parts = health.parts.iter();
    let parts = parts.map(|(part, health)| (part.name().to_owned(), health_json(health)));
    Value::Object(parts.collect())
}

/// How a part is: `{"state": ..., "reason": ...}`, the reason where there is one.
pub fn health_json(health: &PartHealth) -> Value {
    let (state, reason) = match health {
        PartHealth::Starting => ("starting", None),
        PartHealth::Ready => ("ready", None),
        PartHealth::Degraded(reason) => ("degraded", Some(reason)),
        PartHealth::Stopping => ("stopping", None),
        PartHealth::Stopped => ("stopped", None),
        PartHealth::Halted(reason) => ("halted", Some(reason)),
    };
    match reason {
        None => json!({"state": state}),
        Some(reason) => json!({"state": state, "reason": reason}),
    }
}

/// `GET /errors/{slug}`: what an error means and what to do, without a network.
pub async fn error_page(Captured(slug): Captured) -> ApiResult<Response> {
    let about = ERRORS.iter().find(|about| about.slug == slug);
    let about = about
        .ok_or_else(|| ApiError::new(Code::NotFound, format!("there is no error {slug:?}")))?;
    let retry = match about.retry_after_ms {
        Some(ms) => format!("The same request may be sent again after {ms} ms."),
        None => "Sending the same request again does not help, or is not safe.".to_owned(),
    };
    let page = format!(
        "{}\n\nHTTP status: {}\nCode: {} ({})\n\n{}\n\n{retry}\n",
        about.slug, about.status, about.slug, about.word, about.about
    );
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, plain)], page).into_response())
}
