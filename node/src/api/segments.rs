//! Segments by their hash: the fast way in and out, and what all byte routes share.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Buf, Bytes};
use decube_core::limits::SEGMENT_BYTES;
use futures::{Stream, StreamExt, ready, stream};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

use super::Shared;
use super::error::{ApiError, ApiResult, Code};
use super::extract::{Captured, Params, content_length};
use super::range::{Wanted, wanted};
use crate::blobs::{BlobError, SegmentId, Stored};

/// Bytes read from the store at once.
const READ_BYTES: usize = 256 << 10;

/// `PUT /storage/segments/{sha256}`: stores a body under the hash it must have.
pub async fn put(
    State(gateway): State<Shared>,
    Captured(id): Captured,
    params: Params,
    request: Request,
) -> ApiResult<Response> {
    params.done()?;
    let id = segment_id(&id)?;
    if content_length(request.headers()).is_some_and(|length| length > SEGMENT_BYTES) {
        return Err(blob_error(&BlobError::TooLarge {
            bytes_max: SEGMENT_BYTES,
        }));
    }
    let _permit = permit(&gateway)?;
    let body = BodyReader::new(request.into_body(), gateway.limits.idle_timeout);
    let stored = store(&gateway, id, Box::pin(body)).await?;
    let answer = json!({"hash": id.to_string(), "sha256": id.to_string(), "size": stored.length});
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// `GET` and `HEAD /storage/segments/{sha256}`, whole or a range.
pub async fn get(
    State(gateway): State<Shared>,
    method: Method,
    Captured(id): Captured,
    params: Params,
    headers: HeaderMap,
) -> ApiResult<Response> {
    params.done()?;
    let id = segment_id(&id)?;
    let etag = format!("\"{id}\"");
    let length = if method == Method::HEAD {
        let found = gateway
            .blobs
            .stat(id)
            .await
            .map_err(|error| blob_error(&error))?;
        found.ok_or_else(|| ApiError::not_found("segment", &id.to_string()))?
    } else {
        gateway
            .blobs
            .ensure(id)
            .await
            .map_err(|error| match error {
                BlobError::Missing { .. } => ApiError::not_found("segment", &id.to_string()),
                other => blob_error(&other),
            })?
    };
    let (status, part) = match wanted(&headers, length, &etag) {
        Ok(Wanted::Whole) => (StatusCode::OK, 0..length),
        Ok(Wanted::Part(part)) => (StatusCode::PARTIAL_CONTENT, part),
        Err(error) => {
            let range = format!("bytes */{length}");
            return Ok(([(header::CONTENT_RANGE, range)], error).into_response());
        }
    };
    let mut response = if method == Method::HEAD {
        status.into_response()
    } else {
        let body = gateway.blobs.open(id, part.clone()).await;
        let body = body.map_err(|error| blob_error(&error))?;
        (status, Body::from_stream(stream_out(body))).into_response()
    };
    let out = response.headers_mut();
    let text = |text: &str| HeaderValue::from_str(text).expect("plain text");
    out.insert(header::ETAG, text(&etag));
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    out.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    out.insert(header::CONTENT_LENGTH, (part.end - part.start).into());
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{length}", part.start, part.end - 1);
        out.insert(header::CONTENT_RANGE, text(&range));
    }
    Ok(response)
}

/// Stores a body under its announced hash and copies it.
pub async fn store(gateway: &Shared, id: SegmentId, body: crate::blobs::Body) -> ApiResult<Stored> {
    let write = async {
        let stored = gateway
            .blobs
            .put_local(Some(id), body, SEGMENT_BYTES)
            .await?;
        gateway.blobs.replicate(stored).await?;
        Ok(stored)
    };
    write.await.map_err(|error: BlobError| blob_error(&error))
}

/// The right to receive a body.
pub fn permit(gateway: &Shared) -> ApiResult<OwnedSemaphorePermit> {
    gateway.uploads.clone().try_acquire_owned().map_err(|_| {
        let detail = format!("{} bodies are being received", gateway.limits.uploads_max);
        ApiError::new(Code::TooMany, detail)
    })
}

/// The name in the path.
pub fn segment_id(text: &str) -> ApiResult<SegmentId> {
    text.parse()
        .map_err(|reason: &str| ApiError::new(Code::InvalidId, reason))
}

/// The error of the store as one of the API.
pub fn blob_error(error: &BlobError) -> ApiError {
    let code = match error {
        BlobError::Mismatch { .. } => Code::HashMismatch,
        BlobError::TooLarge { .. } => Code::BodyTooLarge,
        BlobError::NoSpace => Code::NoSpace,
        BlobError::Damaged { .. } => Code::Damaged,
        BlobError::Missing { .. } => Code::Unavailable,
        BlobError::TooFewCopies { .. } => Code::TooFewCopies,
        BlobError::Body(_) => Code::BodyIncomplete,
        BlobError::Disk(_) => Code::Internal,
    };
    ApiError::new(code, error.to_string())
}

/// A reader as a stream of bounded pieces.
pub fn stream_out(body: crate::blobs::Body) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
    stream::try_unfold(body, |mut body| async move {
        let mut piece = bytes::BytesMut::with_capacity(READ_BYTES);
        let count = body.read_buf(&mut piece).await?;
        Ok((count > 0).then(|| (piece.freeze(), body)))
    })
}

/// The body of a request as a reader that gives up when nothing comes.
pub struct BodyReader {
    source: BodyDataStream,
    piece: Bytes,
    idle: Pin<Box<Sleep>>,
    idle_timeout: Duration,
}

impl BodyReader {
    /// Reads this body; a pause longer than `idle_timeout` is an error.
    pub fn new(body: Body, idle_timeout: Duration) -> Self {
        Self {
            source: body.into_data_stream(),
            piece: Bytes::new(),
            idle: Box::pin(tokio::time::sleep(idle_timeout)),
            idle_timeout,
        }
    }
}

impl AsyncRead for BodyReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        while self.piece.is_empty() {
            if let Poll::Ready(next) = self.source.poll_next_unpin(context) {
                match next {
                    None => return Poll::Ready(Ok(())),
                    Some(Ok(piece)) => self.piece = piece,
                    Some(Err(error)) => return Poll::Ready(Err(std::io::Error::other(error))),
                }
                let until = Instant::now() + self.idle_timeout;
                self.idle.as_mut().reset(until);
            } else {
                ready!(self.idle.as_mut().poll(context));
                let error = std::io::Error::new(std::io::ErrorKind::TimedOut, "it stood still");
                return Poll::Ready(Err(error));
            }
        }
        let count = self.piece.len().min(buffer.remaining());
        buffer.put_slice(&self.piece[..count]);
        self.piece.advance(count);
        Poll::Ready(Ok(()))
    }
}
