//! Heads of the ledger's history, and how its epochs handed over.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use decube_core::bft::{Epoch, Header, Height, ValidatorSet};
use decube_core::ledger::{Request, Response as Answer};
use decube_core::merkle::TreeSize;
use decube_core::proof::ledger::EpochEnd;
use serde_json::Value;

use super::Shared;
use super::error::{ApiError, ApiResult, Code};
use super::extract::Params;
use super::ledger::{ask, gateway_status, header_at, refused};
use crate::ledger::{genesis, note, receipt};

/// `GET /consensus/checkpoint?height=&from=&from_epoch=&format=`: a final block, the
/// last one without `height`, as the signed head of the tree over all blocks before
/// it. With `from=HEIGHT` also the proof that it begins with the tree of that size;
/// `format=note` for the head as a signed note.
pub async fn checkpoint(State(gateway): State<Shared>, mut params: Params) -> ApiResult<Response> {
    let from = Epoch(params.number("from_epoch", 0, u64::MAX, 0)?);
    let mut height = |name: &str| match params.take(name) {
        None => Ok(None),
        Some(text) => match text.parse::<u64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(ApiError::invalid(format!(
                "{name} must be a whole number, found {text:?}"
            ))),
        },
    };
    let old = height("from")?.map(TreeSize);
    let height = height("height")?.map(Height);
    let format = params.take("format");
    params.done()?;
    match format.as_deref() {
        None | Some("json") => {}
        Some("note") if old.is_none() => return signed_note(&gateway, height).await,
        Some("note") => return Err(ApiError::invalid("a note has no place for a proof: from")),
        Some(other) => {
            let detail = format!("format must be json or note, found {other:?}");
            return Err(ApiError::invalid(detail));
        }
    }
    let request = Request::Checkpoint { from, height, old };
    match ask(&gateway, request).await? {
        Answer::Extension(made) => Ok(Json(receipt::extension(&made)).into_response()),
        Answer::Checkpoint(made) => Ok(Json(receipt::checkpoint(&made)).into_response()),
        other => {
            let height = height.map_or_else(String::new, |height| height.0.to_string());
            Err(refused(other, "checkpoint", &height))
        }
    }
}

/// The head as a note. Its lines are named after the keys of its own epoch.
async fn signed_note(gateway: &Shared, height: Option<Height>) -> ApiResult<Response> {
    let height = match height {
        Some(height) => height,
        None => gateway_status(gateway).await?.height,
    };
    let header: Header = header_at(gateway, height).await?;
    let set = set_of(gateway, header.epoch).await?;
    let request = Request::Checkpoint {
        from: header.epoch,
        height: Some(height),
        old: None,
    };
    match ask(gateway, request).await? {
        Answer::Checkpoint(made) => Ok(note::render(&made, &set).into_response()),
        other => Err(refused(other, "checkpoint", &height.0.to_string())),
    }
}

/// Who voted in an epoch.
async fn set_of(gateway: &Shared, epoch: Epoch) -> ApiResult<ValidatorSet> {
    let Some(before) = epoch.0.checked_sub(1) else {
        let text = gateway.info.genesis.as_deref().unwrap_or_default();
        let set = genesis::parse(text).and_then(|genesis| Ok(genesis.validators()?));
        return set.map_err(|error| ApiError::new(Code::Internal, error.to_string()));
    };
    let ends = ends(gateway, Epoch(before)).await?;
    let end = ends.into_iter().next();
    end.map(|end| end.next)
        .ok_or_else(|| ApiError::not_found("epoch", &epoch.0.to_string()))
}

async fn ends(gateway: &Shared, from: Epoch) -> ApiResult<Vec<EpochEnd>> {
    match ask(gateway, Request::Epochs { from }).await? {
        Answer::Epochs(ends) => Ok(ends),
        other => Err(refused(other, "epoch", &from.0.to_string())),
    }
}

/// `GET /consensus/epochs?from=`: how epochs handed over, from this one on, at most 64
/// of them.
pub async fn epochs(State(gateway): State<Shared>, mut params: Params) -> ApiResult<Json<Value>> {
    let from = Epoch(params.number("from", 0, u64::MAX, 0)?);
    params.done()?;
    Ok(Json(receipt::epochs(&ends(&gateway, from).await?)))
}
