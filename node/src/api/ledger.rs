//! The ledger: `/consensus/…`.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use decube_core::bft::{Epoch, Header, Height};
use decube_core::ledger::{
    AccountId, AccountView, FinalBlock, Name, Rejection, Request, Response as Answer, TxId, TxState,
};
use decube_core::limits::{LEDGER_EPOCHS_ANSWERED_MAX, LEDGER_TX_BYTES_MAX};
use decube_core::types::ClusterId;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::Shared;
use super::delegated_signer;
use super::error::{ApiError, ApiResult, Code};
use super::extract::{Captured, JsonObject, Params};
use super::text;
use crate::ledger::read::Part;
use crate::ledger::{genesis, json as document, receipt};

/// How often a quiet stream shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Blocks in one list.
const LIST_MAX: u64 = 100;

/// `POST /consensus/transactions?wait=`: takes a transaction. The body is
/// `{"transaction":"0x…"}`, the canonical signed form, or the whitepaper's
/// `{"type","payload","signature","public_key"}`, which this node signs for.
/// Answered 202 with its hash; with `wait=finalized` 200 with the receipt.
pub async fn submit(
    State(gateway): State<Shared>,
    mut params: Params,
    body: JsonObject,
) -> ApiResult<Response> {
    let wait = match params.take("wait").as_deref() {
        None | Some("false") => false,
        Some("finalized" | "true") => true,
        Some(other) => {
            let detail = format!("wait must be finalized, found {other:?}");
            return Err(ApiError::invalid(detail));
        }
    };
    params.done()?;
    let body = Value::Object(body.0);
    let part = Part::new(&body, "body");
    let (bytes, ids) = match part.find("transaction") {
        Some(part) => {
            // Twice the bound, so that the ledger itself says what is too large.
            let bytes = part.bytes(2 * LEDGER_TX_BYTES_MAX);
            let bytes = bytes.map_err(|error| ApiError::invalid(error.to_string()))?;
            let bytes = bytes::Bytes::from(bytes);
            (bytes.clone(), hand_in(&gateway, bytes).await?)
        }
        None => delegated_signer::submit(&gateway, &part).await?,
    };
    let first = *ids.first().expect("a transaction has operations");
    if !wait {
        let hashes: Vec<String> = ids.iter().map(document::tx_hash).collect();
        let answer = json!({
            "tx_hash": hashes[0],
            "tx_id": hashes[0],
            "tx_hashes": hashes,
            "status": "submitted",
            "timestamp": text::now(),
        });
        return Ok((StatusCode::ACCEPTED, Json(answer)).into_response());
    }
    let request = Request::Submit {
        transaction: bytes,
        wait: true,
    };
    match ask(&gateway, request).await? {
        Answer::Transaction(TxState::Final(_)) => {}
        Answer::Rejected(rejection) if is_used(rejection) => {
            // It became final between the two questions.
        }
        other => return Err(refused(other, "transaction", &document::tx_hash(&first))),
    }
    Ok(Json(prove(&gateway, first, Epoch(0), false).await?).into_response())
}

/// Hands a transaction to the ledger; the names of its operations.
pub(super) async fn hand_in(gateway: &Shared, bytes: bytes::Bytes) -> ApiResult<Vec<TxId>> {
    let request = Request::Submit {
        transaction: bytes,
        wait: false,
    };
    match ask(gateway, request).await? {
        Answer::Accepted { ids } => Ok(ids),
        other => Err(refused(other, "transaction", "")),
    }
}

const fn is_used(rejection: Rejection) -> bool {
    matches!(
        rejection,
        Rejection::Invalid(decube_core::ledger::Invalid::Used(..))
    )
}

/// `GET /consensus/transactions/{hash}`: what became of an operation.
pub async fn transaction(
    State(gateway): State<Shared>,
    Captured(hash): Captured,
    params: Params,
) -> ApiResult<Json<Value>> {
    params.done()?;
    let id = tx_id(&hash)?;
    let state = match ask(&gateway, Request::Transaction { id }).await? {
        Answer::Transaction(state) => state,
        other => return Err(refused(other, "transaction", &hash)),
    };
    let TxState::Final(located) = state else {
        return Ok(Json(
            json!({ "hash": document::tx_hash(&id), "status": "pending" }),
        ));
    };
    let status = gateway_status(&gateway).await?;
    let height = located.height.0;
    let mut answer = json!({
        "hash": document::tx_hash(&id),
        "status": "confirmed",
        "block_height": height,
        "confirmations": status.height.0.saturating_sub(height).saturating_add(1),
        "outcome": located.outcome.name(),
        "location": document::located(&located),
    });
    match prove(&gateway, id, Epoch(0), false).await {
        Ok(proven) => {
            for name in ["type", "payload", "block_hash"] {
                answer[name] = proven[name].clone();
            }
            answer["timestamp"] = proven["time_ms"].clone();
        }
        // Where it stands and how it ended is known all the same.
        Err(error) if error.code == Code::LedgerPruned => {
            let header = header_at(&gateway, located.height).await?;
            answer["block_hash"] = document::digest(&header.hash()).into();
            answer["timestamp"] = header.content.time_ms.into();
            answer["pruned"] = true.into();
        }
        Err(error) => return Err(error),
    }
    Ok(Json(answer))
}

/// `GET /consensus/transactions/{hash}/proof?from_epoch=&fresh=`: the receipt, for
/// `decube verify`; with `fresh=true` under the certificate of the last final block.
pub async fn proof(
    State(gateway): State<Shared>,
    Captured(hash): Captured,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    let from = Epoch(params.number("from_epoch", 0, u64::MAX, 0)?);
    let fresh = params.flag("fresh")?;
    params.done()?;
    Ok(Json(prove(&gateway, tx_id(&hash)?, from, fresh).await?))
}

async fn prove(gateway: &Shared, id: TxId, from: Epoch, fresh: bool) -> ApiResult<Value> {
    match ask(gateway, Request::Prove { id, from, fresh }).await? {
        Answer::Receipt(made) => Ok(receipt::receipt(&made)),
        other => Err(refused(other, "transaction", &document::tx_hash(&id))),
    }
}

/// `GET /consensus/blocks?limit=&from=`: the last blocks, newest first.
pub async fn blocks(State(gateway): State<Shared>, mut params: Params) -> ApiResult<Json<Value>> {
    let limit = params.number("limit", 1, LIST_MAX, 10)?;
    let status = gateway_status(&gateway).await?;
    let newest = params.number("from", 0, u64::MAX, status.height.0)?;
    params.done()?;
    let newest = newest.min(status.height.0);
    let mut blocks = Vec::new();
    for back in 0..limit {
        let is_here = |height: &u64| *height >= status.base.0;
        let Some(height) = newest.checked_sub(back).filter(is_here) else {
            break;
        };
        let height = Some(Height(height));
        if let Answer::Block(block) = ask(&gateway, Request::Block { height }).await? {
            blocks.push(document::block_summary(&block));
        }
    }
    let base = status.base.0;
    Ok(Json(
        json!({ "count": blocks.len(), "base": base, "blocks": blocks }),
    ))
}

/// `GET /consensus/blocks/{height|latest}`: a final block.
pub async fn block(
    State(gateway): State<Shared>,
    Captured(which): Captured,
    params: Params,
) -> ApiResult<Json<Value>> {
    params.done()?;
    let height = match which.as_str() {
        "latest" => None,
        text => Some(Height(super::extract::number(text, "the height")?)),
    };
    match ask(&gateway, Request::Block { height }).await? {
        Answer::Block(block) => {
            let chain = block.block.header().chain;
            Ok(Json(document::block(&block, chain)))
        }
        other => Err(refused(other, "block", &which)),
    }
}

/// `GET /consensus/blocks/{height}/header`: what every node keeps of every block.
pub async fn header(
    State(gateway): State<Shared>,
    Captured(which): Captured,
    params: Params,
) -> ApiResult<Json<Value>> {
    params.done()?;
    let height = Height(super::extract::number(&which, "the height")?);
    let header = header_at(&gateway, height).await?;
    Ok(Json(document::header(&header)))
}

pub(super) async fn header_at(gateway: &Shared, height: Height) -> ApiResult<Header> {
    match ask(gateway, Request::Header { height }).await? {
        Answer::Header(header) => Ok(*header),
        other => Err(refused(other, "block", &height.0.to_string())),
    }
}

/// `GET /consensus/validators`: who votes, who is listed, what is being voted on.
pub async fn validators(State(gateway): State<Shared>, params: Params) -> ApiResult<Json<Value>> {
    params.done()?;
    match ask(&gateway, Request::Validators).await? {
        Answer::Validators(view) => {
            // The ledger knows clusters by the hashes of their names.
            let text = gateway.info.genesis.as_deref().unwrap_or_default();
            let mut names = genesis::cluster_names(text);
            let own = gateway.info.cluster.clone();
            names.insert(ClusterId::from_name(&own), own);
            Ok(Json(document::validators(&view, &names)))
        }
        other => Err(refused(other, "validators", "")),
    }
}

/// `GET /consensus/status`: where this node stands.
pub async fn status(State(gateway): State<Shared>, params: Params) -> ApiResult<Json<Value>> {
    params.done()?;
    Ok(Json(document::status(&gateway_status(&gateway).await?)))
}

pub(super) async fn gateway_status(
    gateway: &Shared,
) -> ApiResult<decube_core::ledger::LedgerStatus> {
    match ask(gateway, Request::Status).await? {
        Answer::Status(status) => Ok(*status),
        other => Err(refused(other, "status", "")),
    }
}

/// `GET /consensus/accounts/{id}`: what a signer has to know.
pub async fn account(
    State(gateway): State<Shared>,
    Captured(text): Captured,
    params: Params,
) -> ApiResult<Json<Value>> {
    params.done()?;
    let id: Result<AccountId, _> = text.parse();
    let id = id.map_err(|error| ApiError::invalid(format!("the account: {error}")))?;
    let view = account_view(&gateway, id).await?;
    let lanes = view.lanes.iter();
    let lanes: Vec<Value> = lanes
        .map(|one| {
            json!({
                "lane": one.lane.0,
                "next": one.next.0,
                "next_final": one.next_final.0,
            })
        })
        .collect();
    Ok(Json(json!({
        "account": view.id.to_string(),
        "exists": view.exists,
        "lanes": lanes,
        "chain_id": document::chain(view.chain),
        "height": view.height.0,
        "valid_until_max": view.valid_until_max.0,
    })))
}

/// `GET /consensus/snapshots/{cluster}/{id}`: a snapshot's registration.
pub async fn snapshot(
    State(gateway): State<Shared>,
    Captured(name): Captured,
    params: Params,
) -> ApiResult<Json<Value>> {
    params.done()?;
    let id = Name::new(name.as_str());
    let id = id.map_err(|error| ApiError::invalid(format!("the snapshot: {error}")))?;
    match ask(&gateway, Request::Snapshot { id }).await? {
        Answer::Snapshot(entry) => Ok(Json(json!({
            "snapshot_id": entry.record.id.as_str(),
            "manifest": document::digest(&entry.record.manifest),
            "size": entry.record.bytes,
            "segments": entry.record.segments,
            "account": entry.account.to_string(),
            "block_height": entry.height.0,
            "tx_hash": document::tx_hash(&entry.operation),
            "status": "final",
        }))),
        other => Err(refused(other, "snapshot on the ledger", &name)),
    }
}

pub(super) async fn account_view(gateway: &Shared, id: AccountId) -> ApiResult<AccountView> {
    match ask(gateway, Request::Account { id }).await? {
        Answer::Account(view) => Ok(view),
        other => Err(refused(other, "account", &id.to_string())),
    }
}

/// `GET /consensus/genesis`: how the ledger began. To be fetched once over a way
/// that is trusted, and kept by whoever verifies.
pub async fn genesis_file(State(gateway): State<Shared>, params: Params) -> ApiResult<Response> {
    params.done()?;
    match &gateway.info.genesis {
        Some(text) => {
            let kind = [(axum::http::header::CONTENT_TYPE, "application/json")];
            Ok((kind, text.clone()).into_response())
        }
        None => Err(no_ledger()),
    }
}

/// `GET /consensus/stream`: final blocks as they come, as server-sent events.
pub async fn follow(State(gateway): State<Shared>, params: Params) -> ApiResult<Response> {
    params.done()?;
    let Ok(permit) = gateway.watches.clone().try_acquire_owned() else {
        let detail = format!("{} watches are open", gateway.limits.watches_max);
        return Err(ApiError::new(Code::TooMany, detail));
    };
    if gateway.info.genesis.is_none() {
        return Err(no_ledger());
    }
    let blocks = gateway.backend.blocks();
    let mut stopping = gateway.stopping.subscribe();
    let stopped = async move {
        // The gateway outlives its streams, so waiting cannot fail.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let events = stream::unfold((blocks, permit), |(mut blocks, permit)| async move {
        let event = match blocks.recv().await {
            Ok(block) => block_event(&block),
            Err(RecvError::Lagged(missed)) => Event::default()
                .event("missed")
                .data(json!({ "blocks": missed }).to_string()),
            Err(RecvError::Closed) => return None,
        };
        Some((Ok::<_, Infallible>(event), (blocks, permit)))
    });
    let events = futures::StreamExt::take_until(events, Box::pin(stopped));
    let alive = KeepAlive::new().interval(KEEP_ALIVE).text("alive");
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

fn block_event(block: &FinalBlock) -> Event {
    Event::default()
        .id(block.height().0.to_string())
        .event("block")
        .data(document::block_summary(block).to_string())
}

pub(super) async fn ask(gateway: &Shared, request: Request) -> ApiResult<Answer> {
    if gateway.info.genesis.is_none() {
        return Err(no_ledger());
    }
    let answer = gateway.backend.ledger(request).await;
    answer.map_err(|_| ApiError::new(Code::LedgerUnavailable, "the node has stopped"))
}

fn no_ledger() -> ApiError {
    ApiError::new(
        Code::LedgerUnavailable,
        "this node takes part in no ledger: gcl.genesis is not set",
    )
}

pub(super) fn refused(answer: Answer, what: &str, id: &str) -> ApiError {
    match answer {
        Answer::Rejected(rejection) => rejected(rejection),
        Answer::NotFound => ApiError::not_found(what, id),
        Answer::Pruned { base } => {
            let detail = format!(
                "this node keeps whole blocks from {} on; {what} {id} is older",
                base.0
            );
            ApiError::new(Code::LedgerPruned, detail).with("base", base.0)
        }
        Answer::OutOfReach { to } => ApiError::invalid(format!(
            "the proof is of epoch {}: from_epoch must be at most that and at most \
             {LEDGER_EPOCHS_ANSWERED_MAX} before it; `decube ledger follow` brings trust there",
            to.0
        )),
        Answer::TimedOut => ApiError::new(
            Code::LedgerNotFinal,
            "the transaction is not final yet and may still become so",
        )
        .with("tx_hash", id),
        Answer::Unavailable => ApiError::new(
            Code::LedgerUnavailable,
            "the ledger starts, or has halted; the log of the node tells which",
        ),
        Answer::Busy => ApiError::new(Code::LedgerFull, "too much is asked of the ledger at once"),
        other => ApiError::new(Code::Internal, format!("unexpected answer: {other:?}")),
    }
}

fn rejected(rejection: Rejection) -> ApiError {
    let retry_after = rejection.retry_after();
    let code = match retry_after {
        Some(_) => Code::LedgerFull,
        None => Code::TxRejected,
    };
    let error = ApiError::new(code, rejection.to_string()).with("reason", rejection.code());
    match retry_after {
        Some(wait) => error.retry_after_ms(wait.as_millis().saturating_add(1)),
        None => error,
    }
}

fn tx_id(text: &str) -> ApiResult<TxId> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let id: Result<TxId, _> = digits.parse();
    id.map_err(|error| ApiError::invalid(format!("the hash of a transaction: {error}")))
}
