//! Sessions, leases and locks.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use decube_core::kv::{FencingToken, Found, LeaseId, Op, Outcome, Query};
use decube_core::replica::{Command, SessionId};
use decube_core::types::Span;
use serde_json::{Value, json};

use super::Shared;
use super::error::{ApiError, ApiResult, Code};
use super::extract::{Captured, JsonObject, Params, command, number, random};
use super::gateway::check;
use super::kv::{name_key, prefixed, unexpected, written};
use super::text;

/// The longest life of a session or a lease without use.
const TTL_SECS_MAX: u64 = 24 * 3600;
/// The life of one that did not say.
const TTL_SECS_DEFAULT: u64 = 30;

/// `POST /v1/sessions` `{"ttl_seconds", "nonce"?}`: opens a session. With the same
/// nonce, 32 hexadecimal digits, opening may be repeated.
pub async fn open(State(gateway): State<Shared>, body: JsonObject) -> ApiResult<Response> {
    let nonce = match body.0.get("nonce") {
        None => random(),
        Some(nonce) => {
            let hex = nonce.as_str().filter(|text| (1..=32).contains(&text.len()));
            let nonce = hex.and_then(|text| u128::from_str_radix(text, 16).ok());
            nonce.ok_or_else(|| ApiError::invalid("nonce must be up to 32 hexadecimal digits"))?
        }
    };
    let ttl = ttl(&body)?;
    match gateway.write(Command::OpenSession { nonce, ttl }).await? {
        (at, Outcome::SessionOpened(session)) => {
            let body = json!({"session": session.0, "ttl_seconds": ttl.0 / 1_000_000_000});
            Ok((StatusCode::CREATED, written(at, None, body)).into_response())
        }
        (_, other) => Err(unexpected(&check(other)?)),
    }
}

/// `DELETE /v1/sessions/{id}`.
pub async fn close(State(gateway): State<Shared>, Captured(id): Captured) -> ApiResult<StatusCode> {
    let session = SessionId(number(&id, "a session")?);
    let (_, outcome) = gateway.write(Command::CloseSession { session }).await?;
    check(outcome)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/leases` `{"ttl_seconds"}`.
pub async fn grant(
    State(gateway): State<Shared>,
    headers: HeaderMap,
    body: JsonObject,
) -> ApiResult<Response> {
    let op = Op::LeaseGrant { ttl: ttl(&body)? };
    let response = lease_change(&gateway, &headers, op).await?;
    Ok((StatusCode::CREATED, response).into_response())
}

/// `POST /v1/leases/{id}/renew`.
pub async fn renew(
    State(gateway): State<Shared>,
    Captured(id): Captured,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let lease = lease_id(&id)?;
    lease_change(&gateway, &headers, Op::LeaseRenew { lease }).await
}

/// `DELETE /v1/leases/{id}`: ends it and deletes its keys.
pub async fn revoke(
    State(gateway): State<Shared>,
    Captured(id): Captured,
    headers: HeaderMap,
) -> ApiResult<StatusCode> {
    let lease = lease_id(&id)?;
    let (_, outcome) = gateway
        .write(command(&headers, Op::LeaseRevoke { lease })?)
        .await?;
    check(outcome)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/leases/{id}`: when it ends, and its keys.
pub async fn lease(
    State(gateway): State<Shared>,
    Captured(id): Captured,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let consistency = params.consistency()?;
    params.done()?;
    let lease = lease_id(&id)?;
    let answer = gateway.read(Query::Lease { lease }, consistency).await?;
    let Found::Lease(Some((expires_at, keys))) = answer.found else {
        return Err(ApiError::new(
            Code::NoLease,
            format!("there is no lease {id}"),
        ));
    };
    let keys: Vec<Value> = keys
        .iter()
        .map(|key| {
            let mut object = json!({});
            name_key(&mut object, key);
            object
        })
        .collect();
    Ok(Json(json!({
        "lease": lease.0,
        "expires_at": text::log_time(expires_at),
        "keys": keys,
        "revision": answer.revision.0,
    })))
}

/// `PUT /v1/locks/{name}` `{"lease"}`: takes the lock; the token guards what it
/// protects.
pub async fn acquire(
    State(gateway): State<Shared>,
    Captured(name): Captured,
    headers: HeaderMap,
    body: JsonObject,
) -> ApiResult<Response> {
    let lease = body.0.get("lease").and_then(Value::as_u64).map(LeaseId);
    let lease = lease.ok_or_else(|| ApiError::invalid("the body needs the number \"lease\""))?;
    let op = Op::LockAcquire {
        name: lock_name(&name)?,
        lease,
    };
    let (at, outcome) = gateway.write(command(&headers, op)?).await?;
    match check(outcome)? {
        Outcome::Locked { token } => {
            let body = json!({"lock": name, "lease": lease.0, "token": token.0});
            Ok(written(at, None, body))
        }
        other => Err(unexpected(&other)),
    }
}

/// `DELETE /v1/locks/{name}?token=`: gives the lock back.
pub async fn release(
    State(gateway): State<Shared>,
    Captured(name): Captured,
    mut params: Params,
    headers: HeaderMap,
) -> ApiResult<StatusCode> {
    let token = params
        .take("token")
        .ok_or_else(|| ApiError::invalid("token is missing"))?;
    params.done()?;
    let op = Op::LockRelease {
        name: lock_name(&name)?,
        token: FencingToken(number(&token, "token")?),
    };
    let (_, outcome) = gateway.write(command(&headers, op)?).await?;
    check(outcome)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /v1/locks/{name}`: who holds it.
pub async fn lock(
    State(gateway): State<Shared>,
    Captured(name): Captured,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let consistency = params.consistency()?;
    params.done()?;
    let query = Query::Lock {
        name: lock_name(&name)?,
    };
    match gateway.read(query, consistency).await?.found {
        Found::Lock(Some((token, lease))) => Ok(Json(
            json!({"lock": name, "held": true, "token": token.0, "lease": lease.0}),
        )),
        _ => Ok(Json(json!({"lock": name, "held": false}))),
    }
}

async fn lease_change(gateway: &Shared, headers: &HeaderMap, op: Op) -> ApiResult<Response> {
    let (at, outcome) = gateway.write(command(headers, op)?).await?;
    match check(outcome)? {
        Outcome::Lease { lease, expires_at } => {
            let body = json!({"lease": lease.0, "expires_at": text::log_time(expires_at)});
            Ok(written(at, None, body))
        }
        other => Err(unexpected(&other)),
    }
}

fn ttl(body: &JsonObject) -> ApiResult<Span> {
    let seconds = match body.0.get("ttl_seconds").or_else(|| body.0.get("ttl")) {
        None => Some(TTL_SECS_DEFAULT),
        Some(value) => text::seconds(value),
    };
    match seconds.filter(|seconds| (1..=TTL_SECS_MAX).contains(seconds)) {
        Some(seconds) => Ok(Span::from_secs(seconds)),
        None => Err(ApiError::invalid(format!(
            "ttl_seconds must be 1 to {TTL_SECS_MAX}"
        ))),
    }
}

fn lease_id(text: &str) -> ApiResult<LeaseId> {
    number(text, "a lease").map(LeaseId)
}

fn lock_name(name: &str) -> ApiResult<Bytes> {
    prefixed("", name)
}
