//! Keys: raw values under `/v1/kv/{key}`, lists and watches under `/v1/kv`.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::{BufMut, Bytes, BytesMut};
use decube_core::kv::{Condition, LeaseId, Op, Outcome, Pair};
use decube_core::limits::{KV_KEY_BYTES_MAX, KV_RANGE_PAIRS_MAX, KV_VALUE_BYTES_MAX};
use decube_core::types::{LogId, Revision};
use serde_json::{Value, json};

use super::Shared;
use super::error::{ApiError, ApiResult, Code};
use super::extract::{Captured, Params, collect, command, condition, number};
use super::gateway::check;
use super::watch;

/// Where users' keys live.
pub const PREFIX: &str = "kv/";

/// `GET /v1/kv/{key}`: the raw value; `?format=json` for the pair; `?watch=true`
/// for its changes.
pub async fn get(
    State(gateway): State<Shared>,
    Captured(key): Captured,
    mut params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let full = full_key(&key)?;
    if params.flag("watch")? {
        let after = successor(&full);
        return watch::start(gateway, full, Some(after), params, &headers).await;
    }
    let consistency = params.consistency()?;
    let as_json = match params.take("format").as_deref() {
        None | Some("raw") => false,
        Some("json") => true,
        Some(other) => {
            return Err(ApiError::invalid(format!(
                "format must be raw or json, found {other:?}"
            )));
        }
    };
    params.done()?;
    let (revision, pair) = gateway.pair(full, consistency).await?;
    let Some(pair) = pair else {
        return Err(ApiError::not_found("key", &key).with("revision", revision.0));
    };
    let tag = etag(pair.modified);
    let unchanged = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|wanted| *wanted == tag);
    let mut response = if unchanged {
        StatusCode::NOT_MODIFIED.into_response()
    } else if as_json {
        Json(pair_json(&pair, false)).into_response()
    } else {
        let octets = HeaderValue::from_static("application/octet-stream");
        ([(header::CONTENT_TYPE, octets)], pair.value.clone()).into_response()
    };
    let out = response.headers_mut();
    out.insert(header::ETAG, tag);
    out.insert(HeaderName::from_static("decube-index"), revision.0.into());
    Ok(response)
}

/// `PUT /v1/kv/{key}`: sets the raw value, with `If-Match` or `If-None-Match: *`,
/// and `?lease=`.
pub async fn put(
    State(gateway): State<Shared>,
    Captured(key): Captured,
    mut params: Params,
    headers: HeaderMap,
    request: Request,
) -> ApiResult<Response> {
    let full = full_key(&key)?;
    let lease = params
        .take("lease")
        .map(|text| number(&text, "lease"))
        .transpose()?;
    params.done()?;
    let value = collect(request, &gateway, KV_VALUE_BYTES_MAX).await?;
    let op = Op::Put {
        key: full,
        value,
        condition: condition(&headers)?,
        lease: lease.map(LeaseId),
    };
    let (at, outcome) = gateway.write(command(&headers, op)?).await?;
    match check(outcome)? {
        Outcome::Changed { revision, .. } => {
            let body = json!({
                "key": key,
                "revision": revision.0,
                // Under which the write can be proven.
                "index": at.index.0,
                "term": at.term.0,
            });
            Ok(written(at, Some(revision), body))
        }
        other => Err(unexpected(&other)),
    }
}

/// `DELETE /v1/kv/{key}`: removes it; removing an absent key is no error.
pub async fn delete(
    State(gateway): State<Shared>,
    Captured(key): Captured,
    params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    params.done()?;
    let op = Op::Delete {
        key: full_key(&key)?,
        condition: condition(&headers)?,
    };
    let (at, outcome) = gateway.write(command(&headers, op)?).await?;
    match check(outcome)? {
        Outcome::Changed { revision, deleted } => {
            let body = json!({
                "key": key,
                "revision": revision.0,
                "deleted": deleted,
                "index": at.index.0,
                "term": at.term.0,
            });
            Ok(written(at, None, body))
        }
        other => Err(unexpected(&other)),
    }
}

/// `GET /v1/kv?prefix=&limit=&cursor=&keys_only=`: a page of pairs in key order;
/// `?watch=true&since=` for the changes under the prefix.
pub async fn list(
    State(gateway): State<Shared>,
    mut params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let prefix = params.take("prefix").unwrap_or_default();
    let from = prefixed(PREFIX, &prefix)?;
    let to = after_prefix(&from);
    if params.flag("watch")? {
        return watch::start(gateway, from, to, params, &headers).await;
    }
    let consistency = params.consistency()?;
    let keys_only = params.flag("keys_only")?;
    let most = KV_RANGE_PAIRS_MAX as u64;
    let limit = params.number("limit", 1, most, 100)?;
    let from = match params.take("cursor") {
        None => from,
        Some(cursor) => {
            let key = URL_SAFE_NO_PAD.decode(&cursor).map(Bytes::from);
            let inside = key.ok().filter(|key| {
                key.len() <= KV_KEY_BYTES_MAX
                    && *key >= from
                    && to.as_ref().is_none_or(|to| key < to)
            });
            inside.ok_or_else(|| ApiError::invalid("the cursor is not one of this list"))?
        }
    };
    params.done()?;
    let limit = u32::try_from(limit).expect("at most a thousand");
    let page = gateway
        .page(from, to, limit, keys_only, consistency)
        .await?;
    let pairs: Vec<Value> = page
        .pairs
        .iter()
        .map(|pair| pair_json(pair, keys_only))
        .collect();
    Ok(Json(json!({
        "revision": page.revision.0,
        "pairs": pairs,
        "next": page.next.map(|key| URL_SAFE_NO_PAD.encode(key)),
    }))
    .into_response())
}

/// A pair for people and programs: text as text, other bytes as base64.
pub fn pair_json(pair: &Pair, keys_only: bool) -> Value {
    let mut object = json!({
        "created": pair.created.0,
        "modified": pair.modified.0,
        "lease": pair.lease.map(|lease| lease.0),
    });
    name_key(&mut object, &pair.key);
    if !keys_only {
        match std::str::from_utf8(&pair.value) {
            Ok(text) => object["value"] = text.into(),
            Err(_) => object["value_base64"] = STANDARD.encode(&pair.value).into(),
        }
    }
    object
}

/// Puts the user's name of a key into an object.
pub fn name_key(object: &mut Value, key: &Bytes) {
    let bare = key.strip_prefix(PREFIX.as_bytes()).unwrap_or(key);
    match std::str::from_utf8(bare) {
        Ok(text) => object["key"] = text.into(),
        Err(_) => object["key_base64"] = STANDARD.encode(bare).into(),
    }
}

/// The answer to a write.
pub fn written(at: LogId, revision: Option<Revision>, body: Value) -> Response {
    let mut response = Json(body).into_response();
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("decube-index"), at.index.0.into());
    headers.insert(HeaderName::from_static("decube-term"), at.term.0.into());
    if let Some(revision) = revision {
        headers.insert(header::ETAG, etag(revision));
    }
    response
}

/// A revision as an entity tag.
pub fn etag(revision: Revision) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{revision}\"")).expect("digits and quotes")
}

/// A key of the replicated state under a prefix, checked for its length.
pub fn prefixed(prefix: &str, key: &str) -> ApiResult<Bytes> {
    let length = prefix.len() + key.len();
    if length > KV_KEY_BYTES_MAX {
        let most = KV_KEY_BYTES_MAX - prefix.len();
        let detail = format!("a key is at most {most} bytes long, this one {}", key.len());
        return Err(ApiError::new(Code::InvalidId, detail));
    }
    let mut full = BytesMut::with_capacity(length);
    full.put_slice(prefix.as_bytes());
    full.put_slice(key.as_bytes());
    Ok(full.freeze())
}

/// The first key after all keys that begin with `prefix`; `None` if there is none.
pub fn after_prefix(prefix: &Bytes) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut after = BytesMut::from(&prefix[..=last]);
    after[last] += 1;
    Some(after.freeze())
}

/// The error of an answer of the wrong kind.
pub fn unexpected(outcome: &Outcome) -> ApiError {
    ApiError::new(
        Code::Internal,
        format!("the change ended in another way: {outcome:?}"),
    )
}

/// A put under a condition.
pub fn put_op(key: Bytes, value: impl Into<Bytes>, condition: Condition) -> Op {
    Op::Put {
        key,
        value: value.into(),
        condition,
        lease: None,
    }
}

fn full_key(key: &str) -> ApiResult<Bytes> {
    if key.is_empty() {
        return Err(ApiError::new(Code::InvalidId, "a key must not be empty"));
    }
    prefixed(PREFIX, key)
}

fn successor(key: &Bytes) -> Bytes {
    let mut after = BytesMut::from(&key[..]);
    after.put_u8(0);
    after.freeze()
}
