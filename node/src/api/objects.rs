//! Objects of any size, streamed in and out.
//!
//! A body is cut into segments of 64 MiB; while one is received the one before is
//! copied to other members. When all copies exist the manifest is committed to the
//! replicated state: from then on the object is visible, and not before.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use decube_core::cluster::Consistency;
use decube_core::kv::{Condition, Op, Outcome};
use decube_core::limits::{KV_RANGE_PAIRS_MAX, SEGMENT_BYTES};
use decube_core::types::Revision;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::Shared;
use super::error::{ApiError, ApiResult, Code};
use super::extract::{Captured, Params, check_id, content_length};
use super::gateway::check;
use super::kv::{after_prefix, prefixed, put_op, unexpected, written};
use super::manifest::{INLINE_MAX, Manifest, SEGMENTS_MAX, Segments, merkle_root};
use super::range::{Wanted, wanted};
use super::segments::{BodyReader, blob_error, permit, stream_out};
use super::text;
use crate::blobs::{BlobError, SegmentId, Stored};

const PREFIX: &str = "objects/";
/// Bytes of a content type that are kept.
const CONTENT_TYPE_BYTES_MAX: usize = 255;

/// `PUT /storage/objects/{id}`, with `If-Match` or `If-None-Match: *`.
pub async fn put(
    State(gateway): State<Shared>,
    Captured(id): Captured,
    params: Params,
    request: Request,
) -> ApiResult<Response> {
    check_id(&id)?;
    params.done()?;
    let key = prefixed(PREFIX, &id)?;
    let headers = request.headers().clone();
    let length = content_length(&headers);
    check_size(&gateway, length.unwrap_or(0))?;
    // A condition that does not hold now is refused before the body is taken, and
    // checked again when the manifest is committed.
    let condition = condition(&gateway, &headers, key.clone()).await?;
    let _permit = permit(&gateway)?;
    let received = receive(&gateway, request).await?;
    if length.is_some_and(|length| length != received.size) {
        return Err(ApiError::new(
            Code::BodyIncomplete,
            "the body is shorter than announced",
        ));
    }
    let manifest = Manifest {
        size: received.size,
        sha256: received.sha256,
        merkle_root: merkle_root(&received.segments),
        segments: list_segments(&gateway, received.segments).await?,
        content_type: content_type(&headers),
        uploaded_ns: text::now_ns(),
    };
    let op = put_op(key, manifest.encode(), condition);
    let (at, outcome) = gateway.change(op).await?;
    match check(outcome)? {
        Outcome::Changed { .. } => {
            let mut response = written(at, None, manifest.show(&id));
            *response.status_mut() = StatusCode::CREATED;
            let tag = HeaderValue::from_str(&manifest.etag()).expect("hexadecimal digits");
            response.headers_mut().insert(header::ETAG, tag);
            Ok(response)
        }
        other => Err(unexpected(&other)),
    }
}

/// `GET` and `HEAD /storage/objects/{id}`: the bytes, whole or a range.
pub async fn get(
    State(gateway): State<Shared>,
    method: Method,
    Captured(id): Captured,
    mut params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    check_id(&id)?;
    let consistency = params.consistency()?;
    params.done()?;
    let (manifest, _) = find(&gateway, &id, consistency).await?;
    let etag = manifest.etag();
    let tag = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if tag(header::IF_MATCH).is_some_and(|wanted| !tag_matches(wanted, &etag)) {
        return Err(
            ApiError::new(Code::PreconditionFailed, "the object has another version")
                .with("etag", etag),
        );
    }
    let unchanged = tag(header::IF_NONE_MATCH).is_some_and(|wanted| tag_matches(wanted, &etag));
    let (status, part) = match wanted(&headers, manifest.size, &etag) {
        _ if unchanged => (StatusCode::NOT_MODIFIED, 0..0),
        Ok(Wanted::Whole) => (StatusCode::OK, 0..manifest.size),
        Ok(Wanted::Part(part)) => (StatusCode::PARTIAL_CONTENT, part),
        Err(error) => {
            let range = format!("bytes */{}", manifest.size);
            return Ok(([(header::CONTENT_RANGE, range)], error).into_response());
        }
    };
    let length = part.end - part.start;
    let mut response = if unchanged || method == Method::HEAD || length == 0 {
        status.into_response()
    } else {
        let body = read(gateway, &manifest, part.clone()).await?;
        (status, body).into_response()
    };
    describe(&mut response, &manifest, status, &part);
    Ok(response)
}

/// `DELETE /storage/objects/{id}`, with `If-Match`.
pub async fn delete(
    State(gateway): State<Shared>,
    Captured(id): Captured,
    params: Params,
    headers: HeaderMap,
) -> ApiResult<StatusCode> {
    check_id(&id)?;
    params.done()?;
    let key = prefixed(PREFIX, &id)?;
    let condition = condition(&gateway, &headers, key.clone()).await?;
    let (_, outcome) = gateway.change(Op::Delete { key, condition }).await?;
    match check(outcome)? {
        Outcome::Changed { deleted: 0, .. } => Err(ApiError::not_found("object", &id)),
        Outcome::Changed { .. } => Ok(StatusCode::NO_CONTENT),
        other => Err(unexpected(&other)),
    }
}

/// `GET /storage/objects?prefix=&limit=&cursor=`: what objects there are.
pub async fn list(State(gateway): State<Shared>, mut params: Params) -> ApiResult<Json<Value>> {
    let prefix = prefixed(PREFIX, &params.take("prefix").unwrap_or_default())?;
    let consistency = params.consistency()?;
    let limit = params.number("limit", 1, KV_RANGE_PAIRS_MAX as u64, 100)?;
    let from = match params.take("cursor") {
        None => prefix.clone(),
        // The cursor is the first id of the next page: ids are plain text.
        Some(cursor) => prefixed(PREFIX, &cursor)?.max(prefix.clone()),
    };
    params.done()?;
    let limit = u32::try_from(limit).expect("at most a thousand");
    let page = gateway
        .page(from, after_prefix(&prefix), limit, false, consistency)
        .await?;
    let name = |key: &Bytes| String::from_utf8_lossy(&key[PREFIX.len()..]).into_owned();
    let mut objects = Vec::new();
    for pair in &page.pairs {
        objects.push(Manifest::decode(&pair.value)?.show(&name(&pair.key)));
    }
    Ok(Json(json!({
        "objects": objects,
        "revision": page.revision.0,
        "next": page.next.as_ref().map(name),
    })))
}

/// A body that has been taken and copied.
struct Received {
    size: u64,
    sha256: SegmentId,
    segments: Vec<SegmentId>,
}

/// Takes a body segment by segment. At most two segments are under way: the one
/// received and the one copied.
async fn receive(gateway: &Shared, request: Request) -> ApiResult<Received> {
    let source = BodyReader::new(request.into_body(), gateway.limits.idle_timeout);
    let source = Arc::new(Mutex::new(Hashed {
        source,
        hasher: Sha256::new(),
        size: 0,
        ended: false,
    }));
    let mut segments = Vec::new();
    let mut last: Option<Stored> = None;
    loop {
        let part = Part(source.clone()).take(SEGMENT_BYTES);
        let store = gateway.blobs.put_local(None, Box::pin(part), SEGMENT_BYTES);
        let copy = async {
            match last {
                Some(stored) => gateway.blobs.replicate(stored).await,
                None => Ok(()),
            }
        };
        let (stored, ()) = futures::try_join!(store, copy).map_err(|error| blob_error(&error))?;
        let size = source.lock().expect("no panic while held").size;
        check_size(gateway, size)?;
        last = (stored.length > 0).then_some(stored);
        segments.extend(last.map(|stored| stored.id));
        if stored.length < SEGMENT_BYTES {
            break;
        }
    }
    if let Some(stored) = last {
        gateway
            .blobs
            .replicate(stored)
            .await
            .map_err(|error| blob_error(&error))?;
    }
    let mut source = source.lock().expect("no panic while held");
    Ok(Received {
        size: source.size,
        sha256: SegmentId(source.hasher.finalize_reset().into()),
        segments,
    })
}

/// A list too long for the manifest becomes a segment itself.
async fn list_segments(gateway: &Shared, segments: Vec<SegmentId>) -> ApiResult<Segments> {
    if segments.len() <= INLINE_MAX {
        return Ok(Segments::Inline(segments));
    }
    let bytes: Vec<u8> = segments.iter().flat_map(|id| id.0).collect();
    let store = async {
        let body = Box::pin(std::io::Cursor::new(bytes));
        let stored = gateway.blobs.put_local(None, body, SEGMENT_BYTES).await?;
        gateway.blobs.replicate(stored).await?;
        Ok(stored.id)
    };
    let list = store.await.map_err(|error: BlobError| blob_error(&error))?;
    Ok(Segments::Listed { list })
}

/// The bytes of a range, one segment after the other. The first segment is
/// verified before the answer begins; a later one that is damaged everywhere
/// breaks the connection, because the status is sent already.
async fn read(gateway: Shared, manifest: &Manifest, part: Range<u64>) -> ApiResult<Body> {
    let pieces = pieces(&gateway, manifest, part).await?;
    let first = pieces.front().expect("a part that is not empty").0;
    gateway
        .blobs
        .ensure(first)
        .await
        .map_err(|error| blob_error(&error))?;
    let bodies = stream::iter(pieces).then(move |(id, range)| {
        let gateway = gateway.clone();
        async move {
            let length = gateway.blobs.ensure(id).await?;
            if range.end > length {
                return Err(BlobError::Damaged { id });
            }
            gateway.blobs.open(id, range).await
        }
    });
    let failed = |error: BlobError| {
        tracing::error!(%error, "an object could not be read to its end");
        std::io::Error::other(error)
    };
    Ok(Body::from_stream(
        bodies.map_err(failed).map_ok(stream_out).try_flatten(),
    ))
}

/// The segments that a range touches, with the range in each.
async fn pieces(
    gateway: &Shared,
    manifest: &Manifest,
    part: Range<u64>,
) -> ApiResult<VecDeque<(SegmentId, Range<u64>)>> {
    let ids = match &manifest.segments {
        Segments::Inline(ids) => ids.clone(),
        Segments::Listed { list } => listed(gateway, *list, manifest.count()).await?,
    };
    let mut pieces = VecDeque::new();
    let mut at = part.start;
    while at < part.end {
        let number = at / SEGMENT_BYTES;
        let start = number * SEGMENT_BYTES;
        let end = part.end.min(start + SEGMENT_BYTES);
        let id = usize::try_from(number)
            .ok()
            .and_then(|number| ids.get(number))
            .copied();
        let id =
            id.ok_or_else(|| ApiError::new(Code::Internal, "the manifest names too few segments"))?;
        pieces.push_back((id, at - start..end - start));
        at = end;
    }
    Ok(pieces)
}

async fn listed(gateway: &Shared, list: SegmentId, count: u64) -> ApiResult<Vec<SegmentId>> {
    let load = async {
        let length = gateway.blobs.ensure(list).await?;
        let mut bytes = Vec::new();
        let mut body = gateway.blobs.open(list, 0..length).await?;
        let read = body.read_to_end(&mut bytes).await;
        read.map_err(|error| BlobError::Disk(error.to_string()))?;
        Ok(bytes)
    };
    let bytes = load.await.map_err(|error: BlobError| blob_error(&error))?;
    let ids: Vec<SegmentId> = bytes.as_chunks().0.iter().copied().map(SegmentId).collect();
    if ids.len() as u64 != count {
        return Err(ApiError::new(
            Code::Internal,
            "the list of segments has another length",
        ));
    }
    Ok(ids)
}

/// The condition on the manifest that the client's condition on the object means.
async fn condition(gateway: &Shared, headers: &HeaderMap, key: Bytes) -> ApiResult<Condition> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (None, None) => Ok(Condition::Always),
        (Some(tag), None) => {
            let (_, pair) = gateway.pair(key, Consistency::Linearizable).await?;
            let failed = |detail: &str| ApiError::new(Code::PreconditionFailed, detail);
            let pair = pair.ok_or_else(|| failed("there is no object under this id"))?;
            let etag = Manifest::decode(&pair.value)?.etag();
            if !tag_matches(tag, &etag) {
                return Err(failed("the object has another version").with("etag", etag));
            }
            Ok(Condition::Revision(pair.modified))
        }
        (None, Some("*")) => {
            let (_, pair) = gateway.pair(key, Consistency::Linearizable).await?;
            match pair {
                None => Ok(Condition::Absent),
                Some(_) => Err(ApiError::new(Code::PreconditionFailed, "the object exists")),
            }
        }
        (None, Some(_)) => Err(ApiError::invalid(
            "a write takes If-None-Match: * and no other",
        )),
        (Some(_), Some(_)) => Err(ApiError::invalid(
            "a write takes If-Match or If-None-Match, not both",
        )),
    }
}

async fn find(
    gateway: &Shared,
    id: &str,
    consistency: Consistency,
) -> ApiResult<(Manifest, Revision)> {
    let (_, pair) = gateway.pair(prefixed(PREFIX, id)?, consistency).await?;
    let pair = pair.ok_or_else(|| ApiError::not_found("object", id))?;
    Ok((Manifest::decode(&pair.value)?, pair.modified))
}

/// The headers that tell what an object is.
fn describe(response: &mut Response, manifest: &Manifest, status: StatusCode, part: &Range<u64>) {
    let text = |text: &str| HeaderValue::from_str(text).expect("plain text");
    let headers = response.headers_mut();
    headers.insert(header::ETAG, text(&manifest.etag()));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        HeaderName::from_static("x-content-id"),
        text(&manifest.sha256.to_string()),
    );
    if status == StatusCode::NOT_MODIFIED {
        return;
    }
    let octets = HeaderValue::from_static("application/octet-stream");
    let kind = HeaderValue::from_str(&manifest.content_type).unwrap_or(octets);
    headers.insert(header::CONTENT_TYPE, kind);
    // A browser must not run what somebody stored.
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::CONTENT_LENGTH, (part.end - part.start).into());
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{}", part.start, part.end - 1, manifest.size);
        headers.insert(header::CONTENT_RANGE, text(&range));
    }
}

fn content_type(headers: &HeaderMap) -> String {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let given = given.filter(|text| text.len() <= CONTENT_TYPE_BYTES_MAX && !text.is_empty());
    given.unwrap_or("application/octet-stream").to_owned()
}

fn check_size(gateway: &Shared, size: u64) -> ApiResult<()> {
    let most = gateway
        .limits
        .object_bytes_max
        .min(SEGMENTS_MAX * SEGMENT_BYTES);
    if size <= most {
        return Ok(());
    }
    Err(ApiError::new(
        Code::BodyTooLarge,
        format!("an object has at most {most} bytes"),
    ))
}

/// Whether a list of entity tags names this one.
fn tag_matches(wanted: &str, etag: &str) -> bool {
    wanted
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag == etag)
}

/// The body, hashed as it passes.
struct Hashed {
    source: BodyReader,
    hasher: Sha256,
    size: u64,
    ended: bool,
}

/// A handle on the body that the store of one segment can own.
struct Part(Arc<Mutex<Hashed>>);

impl AsyncRead for Part {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let hashed = &mut *self.0.lock().expect("no panic while held");
        if hashed.ended {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut hashed.source).poll_read(context, buffer);
        if matches!(polled, Poll::Ready(Ok(()))) {
            let read = &buffer.filled()[before..];
            hashed.ended = read.is_empty();
            hashed.size += read.len() as u64;
            hashed.hasher.update(read);
        }
        polled
    }
}
