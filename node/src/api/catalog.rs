//! The catalog of snapshots and images, and queries over it.
//!
//! An entry is the JSON object `{"metadata", "status", "created_at"}` under
//! `catalog/<type>/<id>` in the replicated state.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use decube_core::cluster::Consistency;
use decube_core::kv::{Condition, Op, Outcome, Pair};
use decube_core::limits::{KV_RANGE_PAIRS_MAX, KV_VALUE_BYTES_MAX};
use decube_core::types::Revision;
use serde_json::{Map, Value, json};

use super::Shared;
use super::error::{ApiError, ApiResult, Code};
use super::extract::{Captured, CapturedPair, JsonObject, Params, check_id, command, condition};
use super::gateway::check;
use super::kv::{after_prefix, etag, prefixed, put_op, unexpected, written};
use super::query::Expression;
use super::text;

/// The types of entries.
const KINDS: [&str; 2] = ["snapshots", "images"];
/// What an entry may be; upstream's words.
const STATUSES: [&str; 6] = [
    "created",
    "uploading",
    "ready",
    "completed",
    "failed",
    "deleted",
];
/// How often a replacement without a condition is tried against others.
const PUT_ATTEMPTS: usize = 8;
/// Entries on one page.
const PAGE_MAX: u64 = 100;
/// Entries of one query's answer.
const QUERY_MAX: u64 = 1000;

/// `POST /catalog/{type}` `{"id", "metadata", "status"?}`.
pub async fn create(
    State(gateway): State<Shared>,
    Captured(kind): Captured,
    headers: HeaderMap,
    body: JsonObject,
) -> ApiResult<Response> {
    check_kind(&kind)?;
    let id = body.text("id")?.to_owned();
    let entry = Entry::of_body(&body, text::now())?;
    let op = put_op(key(&kind, &id)?, entry.encode()?, Condition::Absent);
    let (at, outcome) = gateway.write(command(&headers, op)?).await?;
    match outcome {
        Outcome::ConditionFailed { .. } => {
            let detail = format!("there is an entry {id:?} in {kind} already");
            Err(ApiError::new(Code::AlreadyExists, detail))
        }
        other => match check(other)? {
            Outcome::Changed { revision, .. } => {
                let mut shown = entry.show(&id);
                shown["timestamp"] = shown["created_at"].clone();
                Ok((StatusCode::CREATED, written(at, Some(revision), shown)).into_response())
            }
            other => Err(unexpected(&other)),
        },
    }
}

/// `PUT /catalog/{type}/{id}`: replaces metadata and status, with `If-Match`.
pub async fn put(
    State(gateway): State<Shared>,
    CapturedPair(kind, id): CapturedPair,
    headers: HeaderMap,
    body: JsonObject,
) -> ApiResult<Response> {
    check_kind(&kind)?;
    let key = key(&kind, &id)?;
    let given = condition(&headers)?;
    // In a session an answer is final: the same number gets the same one again.
    let repeats = given == Condition::Always && !headers.contains_key("decube-session");
    for _ in 0..PUT_ATTEMPTS {
        let (_, found) = gateway.pair(key.clone(), Consistency::Linearizable).await?;
        let known = found.as_ref().map(Entry::decode).transpose()?;
        let created_at = known.map_or_else(text::now, |entry| entry.created_at);
        let entry = Entry::of_body(&body, created_at)?;
        // Without a condition of the client's, the entry must still be the one
        // whose time of creation is kept; if it is not, it is read again.
        let wanted = match (&given, &found) {
            (Condition::Always, Some(pair)) => Condition::Revision(pair.modified),
            (Condition::Always, None) => Condition::Absent,
            (given, _) => given.clone(),
        };
        let op = put_op(key.clone(), entry.encode()?, wanted);
        match gateway.write(command(&headers, op)?).await? {
            (_, Outcome::ConditionFailed { .. }) if repeats => {}
            (at, outcome) => {
                return match check(outcome)? {
                    Outcome::Changed { revision, .. } => {
                        Ok(written(at, Some(revision), entry.show(&id)))
                    }
                    other => Err(unexpected(&other)),
                };
            }
        }
    }
    Err(ApiError::new(
        Code::Busy,
        "the entry was changed by others again and again",
    ))
}

/// `GET /catalog/{type}/{id}`.
pub async fn get(
    State(gateway): State<Shared>,
    CapturedPair(kind, id): CapturedPair,
    mut params: Params,
) -> ApiResult<Response> {
    check_kind(&kind)?;
    let consistency = params.consistency()?;
    params.done()?;
    if let Some(bare) = id.strip_suffix("/status").filter(|_| kind == "snapshots") {
        return status(&gateway, bare, consistency).await;
    }
    let (entry, modified) = find(&gateway, &kind, &id, consistency).await?;
    Ok(([(header::ETAG, etag(modified))], Json(entry.show(&id))).into_response())
}

/// `DELETE /catalog/{type}/{id}`.
pub async fn delete(
    State(gateway): State<Shared>,
    CapturedPair(kind, id): CapturedPair,
    headers: HeaderMap,
) -> ApiResult<StatusCode> {
    check_kind(&kind)?;
    let op = Op::Delete {
        key: key(&kind, &id)?,
        condition: condition(&headers)?,
    };
    let (_, outcome) = gateway.write(command(&headers, op)?).await?;
    match check(outcome)? {
        Outcome::Changed { deleted: 0, .. } => Err(missing(&kind, &id)),
        Outcome::Changed { .. } => Ok(StatusCode::NO_CONTENT),
        other => Err(unexpected(&other)),
    }
}

/// `GET /catalog/{type}?page=&limit=&cluster=`: a page, oldest names first.
/// Other parameters are equality filters on the metadata.
pub async fn list(
    State(gateway): State<Shared>,
    Captured(kind): Captured,
    mut params: Params,
) -> ApiResult<Json<Value>> {
    check_kind(&kind)?;
    let consistency = params.consistency()?;
    let page = params.number("page", 1, u64::MAX, 1)?;
    let limit = params.number("limit", 1, PAGE_MAX, 10)?;
    let filter = filter(None, params)?;
    let mut total: u64 = 0;
    let mut shown = Vec::new();
    let first = (page - 1).saturating_mul(limit);
    scan(&gateway, &kind, consistency, |id, entry| {
        if entry.matches(&filter, id) {
            if (first..first.saturating_add(limit)).contains(&total) {
                shown.push(entry.show(id));
            }
            total += 1;
        }
        true
    })
    .await?;
    let pagination = json!({
        "page": page,
        "limit": limit,
        "total": total,
        "pages": total.div_ceil(limit),
    });
    let mut answer = json!({"pagination": pagination});
    answer[kind.as_str()] = shown.into();
    Ok(Json(answer))
}

/// `GET /catalog/query?type=&q=&tags=&limit=`: a bare list of `{"id", "metadata"}`.
/// Other parameters are equality filters on the metadata.
pub async fn query(State(gateway): State<Shared>, mut params: Params) -> ApiResult<Json<Value>> {
    let consistency = params.consistency()?;
    let limit = params.number("limit", 1, QUERY_MAX, 100)?;
    let kinds = match params.take("type") {
        None => KINDS.map(str::to_owned).to_vec(),
        Some(kind) => {
            check_kind(&kind)?;
            vec![kind]
        }
    };
    let q = params.take("q");
    let filter = filter(q.as_deref(), params)?;
    let mut found: Vec<Value> = Vec::new();
    for kind in kinds {
        scan(&gateway, &kind, consistency, |id, entry| {
            if entry.matches(&filter, id) && (found.len() as u64) < limit {
                found.push(json!({"id": id, "metadata": entry.metadata}));
            }
            (found.len() as u64) < limit
        })
        .await?;
    }
    Ok(Json(found.into()))
}

/// `GET /snapshots`.
pub async fn list_snapshots(state: State<Shared>, params: Params) -> ApiResult<Json<Value>> {
    list(state, Captured("snapshots".to_owned()), params).await
}

/// `POST /snapshots`.
pub async fn create_snapshot(
    state: State<Shared>,
    headers: HeaderMap,
    body: JsonObject,
) -> ApiResult<Response> {
    create(state, Captured("snapshots".to_owned()), headers, body).await
}

/// `GET /snapshots/{id}` and `GET /snapshots/{id}/status`.
pub async fn get_snapshot(
    state: State<Shared>,
    Captured(id): Captured,
    params: Params,
) -> ApiResult<Response> {
    get(state, CapturedPair("snapshots".to_owned(), id), params).await
}

/// `DELETE /snapshots/{id}`.
pub async fn delete_snapshot(
    state: State<Shared>,
    Captured(id): Captured,
    headers: HeaderMap,
) -> ApiResult<StatusCode> {
    delete(state, CapturedPair("snapshots".to_owned(), id), headers).await
}

/// An entry as it is stored.
struct Entry {
    metadata: Map<String, Value>,
    status: String,
    created_at: String,
}

impl Entry {
    fn of_body(body: &JsonObject, created_at: String) -> ApiResult<Self> {
        let metadata = match body.0.get("metadata") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(metadata)) => metadata.clone(),
            Some(_) => return Err(ApiError::invalid("metadata must be a JSON object")),
        };
        let status = match body.0.get("status") {
            None => "created",
            Some(status) => status
                .as_str()
                .filter(|status| STATUSES.contains(status))
                .ok_or_else(|| {
                    ApiError::invalid(format!("status must be one of {}", STATUSES.join(", ")))
                })?,
        };
        if let Some(name) = body
            .0
            .keys()
            .find(|name| !["id", "metadata", "status"].contains(&name.as_str()))
        {
            return Err(ApiError::invalid(format!("unknown field {name:?}")));
        }
        Ok(Self {
            metadata,
            status: status.to_owned(),
            created_at,
        })
    }

    fn encode(&self) -> ApiResult<Bytes> {
        let text = json!({
            "metadata": self.metadata,
            "status": self.status,
            "created_at": self.created_at,
        })
        .to_string();
        if text.len() > KV_VALUE_BYTES_MAX {
            let detail = format!("an entry takes at most {KV_VALUE_BYTES_MAX} bytes");
            return Err(ApiError::new(Code::BodyTooLarge, detail));
        }
        Ok(text.into())
    }

    fn decode(pair: &Pair) -> ApiResult<Self> {
        let broken = || {
            let key = String::from_utf8_lossy(&pair.key);
            ApiError::new(
                Code::Internal,
                format!("the stored entry {key:?} cannot be read"),
            )
        };
        let value: Value = serde_json::from_slice(&pair.value).map_err(|_| broken())?;
        let field = |name: &str| value[name].as_str().map(str::to_owned).ok_or_else(broken);
        Ok(Self {
            metadata: value["metadata"].as_object().cloned().ok_or_else(broken)?,
            status: field("status")?,
            created_at: field("created_at")?,
        })
    }

    fn show(&self, id: &str) -> Value {
        json!({
            "id": id,
            "metadata": self.metadata,
            "status": self.status,
            "created_at": self.created_at,
        })
    }

    fn matches(&self, filter: &Expression, id: &str) -> bool {
        let own = [
            ("id", Value::from(id)),
            ("status", Value::from(self.status.as_str())),
            ("created_at", Value::from(self.created_at.as_str())),
        ];
        filter.holds(&|field: &str| {
            let field = field.strip_prefix("metadata.").unwrap_or(field);
            let own = own
                .iter()
                .find(|(name, _)| *name == field)
                .map(|(_, value)| value);
            own.or_else(|| nested(&self.metadata, field))
        })
    }
}

/// A field of the metadata; dots lead into objects, unless a name has them itself.
fn nested<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a Value> {
    if let Some(value) = object.get(field) {
        return Some(value);
    }
    let (first, rest) = field.split_once('.')?;
    nested(object.get(first)?.as_object()?, rest)
}

/// What the parameters ask of an entry: `q`, `tags` (all of them), and equalities.
fn filter(q: Option<&str>, mut params: Params) -> ApiResult<Expression> {
    let mut parts = Vec::new();
    if let Some(q) = q.filter(|q| !q.trim().is_empty()) {
        parts.push(Expression::parse(q)?);
    }
    if let Some(tags) = params.take("tags") {
        let tags = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty());
        parts.extend(tags.map(|tag| Expression::equal("tags", tag)));
    }
    parts.extend(
        params
            .rest()
            .iter()
            .map(|(field, value)| Expression::equal(field, value)),
    );
    Ok(Expression::All(parts))
}

/// Visits the entries of a type in the order of their ids until `visit` says no.
async fn scan(
    gateway: &Shared,
    kind: &str,
    consistency: Consistency,
    mut visit: impl FnMut(&str, &Entry) -> bool,
) -> ApiResult<()> {
    let prefix = format!("catalog/{kind}/");
    let mut from = prefixed(&prefix, "")?;
    let to = after_prefix(&from);
    let most = u32::try_from(KV_RANGE_PAIRS_MAX).expect("a thousand");
    loop {
        let page = gateway
            .page(from, to.clone(), most, false, consistency)
            .await?;
        for pair in &page.pairs {
            let key = String::from_utf8_lossy(&pair.key).into_owned();
            let id = key.strip_prefix(&prefix).unwrap_or(&key);
            if !visit(id, &Entry::decode(pair)?) {
                return Ok(());
            }
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

async fn find(
    gateway: &Shared,
    kind: &str,
    id: &str,
    consistency: Consistency,
) -> ApiResult<(Entry, Revision)> {
    let (_, pair) = gateway.pair(key(kind, id)?, consistency).await?;
    let pair = pair.ok_or_else(|| missing(kind, id))?;
    Ok((Entry::decode(&pair)?, pair.modified))
}

/// The progress of a snapshot, in upstream's shape.
async fn status(gateway: &Shared, id: &str, consistency: Consistency) -> ApiResult<Response> {
    let (entry, _) = find(gateway, "snapshots", id, consistency).await?;
    let count = |name: &str| entry.metadata.get(name).and_then(Value::as_u64);
    let done = matches!(entry.status.as_str(), "ready" | "completed");
    let total = count("chunks_total").or_else(|| count("chunk_count"));
    let uploaded = if done {
        total
    } else {
        count("chunks_uploaded")
    };
    let progress = match (done, total, uploaded) {
        (true, ..) => 100,
        (_, Some(total), Some(uploaded)) if total > 0 => uploaded.saturating_mul(100) / total,
        _ => 0,
    };
    Ok(Json(json!({
        "id": id,
        "phase": entry.status,
        "progress": progress,
        "chunks_total": total,
        "chunks_uploaded": uploaded,
        "estimated_time_remaining": Value::Null,
        "errors": entry.metadata.get("errors").cloned().unwrap_or_else(|| json!([])),
    }))
    .into_response())
}

fn check_kind(kind: &str) -> ApiResult<()> {
    if KINDS.contains(&kind) {
        return Ok(());
    }
    let detail = format!("the catalog has snapshots and images, not {kind:?}");
    Err(ApiError::new(Code::NotFound, detail))
}

fn key(kind: &str, id: &str) -> ApiResult<Bytes> {
    check_id(id)?;
    prefixed(&format!("catalog/{kind}/"), id)
}

fn missing(kind: &str, id: &str) -> ApiError {
    ApiError::not_found(kind.trim_end_matches('s'), id)
}
