//! The cluster's log, attested: who signs, the signed head, entries under it.
//! The documents are those of [`crate::logproof`].

use axum::Json;
use axum::extract::State;
use decube_core::cluster::{AttestedHead, Request, Response};
use decube_core::limits::LOG_PROOF_ENTRIES_MAX;
use decube_core::types::{Index, NodeId};
use serde_json::Value;

use super::Shared;
use super::error::{ApiError, ApiResult, Code};
use super::extract::Params;
use super::text;
use crate::logproof::{head_json, proof_json, trust_json};

/// `GET /v1/log/trust`: the voters under the present head, with their keys. To be
/// fetched once over a way that is trusted, and kept by whoever verifies.
pub async fn trust(State(gateway): State<Shared>, params: Params) -> ApiResult<Json<Value>> {
    params.done()?;
    let made = head_of(&gateway).await?;
    let keys = gateway.backend.voter_keys();
    if let Some(document) = trust_json(&gateway.info.cluster, &made, &keys) {
        return Ok(Json(document));
    }
    let voters = made.membership.voters.iter();
    let all = voters.chain(&made.membership.outgoing);
    let unknown: Vec<&NodeId> = all.filter(|node| !keys.contains_key(node)).collect();
    let detail = "this node has not met all voters since it started: their keys are not known yet";
    Err(ApiError::new(Code::VotersUnknown, detail).with("nodes", text::ids(unknown)))
}

/// `GET /v1/log/head`: the log that this node has applied, signed by a majority of
/// the voters.
pub async fn head(State(gateway): State<Shared>, params: Params) -> ApiResult<Json<Value>> {
    params.done()?;
    Ok(Json(head_json(&head_of(&gateway).await?.signed)))
}

/// `GET /v1/log/proof?first=&count=&data=`: entries under a signed head. `count`
/// is 1 without it; `data=false` leaves the data out, of which length and digest
/// remain. Fewer entries than asked for are given if more would not fit.
pub async fn proof(State(gateway): State<Shared>, mut params: Params) -> ApiResult<Json<Value>> {
    let first = params.number("first", 1, u64::MAX, 0)?;
    if first == 0 {
        return Err(ApiError::invalid(
            "first is missing: the index of the first entry, as `decube-index` of a write gives it",
        ));
    }
    let most = LOG_PROOF_ENTRIES_MAX as u64;
    let count = params.number("count", 1, most, 1)?;
    let with_data = match params.take("data").as_deref() {
        None | Some("true") => true,
        Some("false") => false,
        Some(other) => {
            let detail = format!("data must be true or false, found {other:?}");
            return Err(ApiError::invalid(detail));
        }
    };
    params.done()?;
    let request = Request::ProveLog {
        first: Index(first),
        count: u32::try_from(count).expect("bounded above"),
    };
    match gateway.ask(request).await? {
        Response::LogProof(proof) => Ok(Json(proof_json(&proof, !with_data))),
        Response::NoLogProof { first: from, last } => Err(not_provable(first, from, last)),
        other => Err(unexpected(&other)),
    }
}

async fn head_of(gateway: &Shared) -> ApiResult<AttestedHead> {
    match gateway.ask(Request::LogHead).await? {
        Response::LogHead(made) => Ok(*made),
        other => Err(unexpected(&other)),
    }
}

fn not_provable(wanted: u64, first: Index, last: Index) -> ApiError {
    let (code, detail) = if wanted > last.0 {
        (
            Code::NotApplied,
            format!("entry {wanted} is not applied on this node; its last one is {last}"),
        )
    } else {
        (
            Code::LogCompacted,
            format!("entry {wanted} is not in the log any more; the first kept one is {first}"),
        )
    };
    ApiError::new(code, detail)
        .with("first", first.0)
        .with("last", last.0)
}

fn unexpected(response: &Response) -> ApiError {
    let detail = format!("asked for a proof, got {response:?}");
    ApiError::new(Code::Internal, detail)
}
