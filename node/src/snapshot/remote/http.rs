//! Snapshots on a running node, over HTTP.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use decube_core::snapshot::{SegmentId, SnapshotId};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::{Record, Remote, RemoteError};

/// Bytes of a JSON answer at most.
const JSON_BYTES_MAX: u64 = 64 << 20;
/// Bytes of an error's text that are shown.
const ERROR_BYTES_MAX: u64 = 64 << 10;
/// How long a peer may take to accept a connection.
const CONNECT_SECONDS: u64 = 10;
/// How long a request may take before its answer begins. A segment of 64 MiB
/// must be sent in this time: 0.9 Mbit/s is enough.
const ANSWER_SECONDS: u64 = 600;
/// How long the next bytes of an answer may take.
const PIECE_SECONDS: u64 = 60;
/// Snapshots that a list shows.
const LIST_MAX: u32 = 10_000;

/// A node's REST interface.
#[derive(Debug)]
pub struct HttpRemote {
    /// `http://host:port`, without a slash at the end.
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl HttpRemote {
    /// A client of the node at a base URL such as `http://127.0.0.1:8080`.
    pub fn new(base: &str) -> Result<Self, RemoteError> {
        let refuse = |reason: &str| Err(RemoteError::Refused(format!("{base}: {reason}")));
        let Ok(uri) = base.parse::<Uri>() else {
            return refuse("not a URL");
        };
        if uri.scheme_str() != Some("http") || uri.authority().is_none() {
            return refuse("an http:// URL is needed");
        }
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(Duration::from_secs(CONNECT_SECONDS)));
        connector.set_nodelay(true);
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            client: Client::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// Sends a request and waits for the head of its answer.
    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, RemoteError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::CONTENT_TYPE, content_type)
            .body(Full::new(body))
            .map_err(|error| RemoteError::Refused(error.to_string()))?;
        let answer = self.client.request(request);
        match tokio::time::timeout(Duration::from_secs(ANSWER_SECONDS), answer).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(RemoteError::Unavailable(format!(
                "no answer from {}: {}",
                self.base,
                with_causes(&error)
            ))),
            Err(_) => Err(RemoteError::Unavailable(format!(
                "no answer from {} in {ANSWER_SECONDS} s",
                self.base
            ))),
        }
    }

    /// Sends a request without a body.
    async fn ask(&self, method: Method, path: &str) -> Result<Response<Incoming>, RemoteError> {
        self.send(method, path, "application/json", Bytes::new())
            .await
    }
}

impl Remote for HttpRemote {
    async fn has_segment(&self, id: SegmentId, length: u64) -> Result<bool, RemoteError> {
        let response = self.ask(Method::HEAD, &segment_path(&id)).await?;
        let stated = response.headers().get(header::CONTENT_LENGTH);
        let stated = stated.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        match response.status() {
            // Bytes of another length cannot have this name; send them again, the
            // node will sort it out.
            StatusCode::OK => Ok(stated == Some(length)),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(failure(response).await),
        }
    }

    async fn put_segment(&self, id: SegmentId, bytes: Bytes) -> Result<(), RemoteError> {
        let path = segment_path(&id);
        let content_type = "application/octet-stream";
        let response = self.send(Method::PUT, &path, content_type, bytes).await?;
        match response.status().is_success() {
            true => Ok(()),
            false => Err(failure(response).await),
        }
    }

    async fn get_segment(
        &self,
        id: SegmentId,
        bytes_max: u64,
    ) -> Result<Option<Bytes>, RemoteError> {
        let response = self.ask(Method::GET, &segment_path(&id)).await?;
        match response.status() {
            StatusCode::OK => collect(response.into_body(), bytes_max).await.map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(failure(response).await),
        }
    }

    async fn register(&self, record: &Record) -> Result<(), RemoteError> {
        let body = record.to_json().to_string().into();
        let path = "/catalog/snapshots";
        let response = self
            .send(Method::POST, path, "application/json", body)
            .await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::CONFLICT => Err(RemoteError::Conflict),
            _ => Err(failure(response).await),
        }
    }

    async fn lookup(&self, id: &SnapshotId) -> Result<Option<Record>, RemoteError> {
        let response = self.ask(Method::GET, &snapshot_path(id)).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let value = json(response).await?;
        // A deleted snapshot may still be shown with its last state.
        if value.get("status").and_then(Value::as_str) == Some("deleted") {
            return Ok(None);
        }
        Record::from_json(&value).map(Some).ok_or_else(unexpected)
    }

    async fn list(&self) -> Result<Vec<Record>, RemoteError> {
        let path = format!("/catalog/query?type=snapshots&limit={LIST_MAX}");
        let value = json(self.ask(Method::GET, &path).await?).await?;
        let items = value.as_array().ok_or_else(unexpected)?;
        let mut records: Vec<_> = items.iter().filter_map(Record::from_json).collect();
        records.sort_by(|one, next| one.id.cmp(&next.id));
        Ok(records)
    }

    async fn unregister(&self, id: &SnapshotId) -> Result<bool, RemoteError> {
        let response = self.ask(Method::DELETE, &snapshot_path(id)).await?;
        match response.status() {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(failure(response).await),
        }
    }
}

fn segment_path(id: &SegmentId) -> String {
    format!("/storage/segments/{id}")
}

/// Names of snapshots need no escaping in a URL.
fn snapshot_path(id: &SnapshotId) -> String {
    format!("/catalog/snapshots/{id}")
}

/// Reads a body of limited length.
async fn collect(mut body: Incoming, bytes_max: u64) -> Result<Bytes, RemoteError> {
    let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let mut bytes = BytesMut::new();
    loop {
        let piece = tokio::time::timeout(Duration::from_secs(PIECE_SECONDS), body.frame()).await;
        let frame = match piece {
            Ok(None) => return Ok(bytes.freeze()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Err(RemoteError::Unavailable(with_causes(&error))),
            Err(_) => return Err(RemoteError::Unavailable("the answer stalled".to_owned())),
        };
        let Some(data) = frame.data_ref() else {
            continue;
        };
        if bytes.len().saturating_add(data.len()) > limit {
            return Err(RemoteError::Refused(format!(
                "the answer has more than {bytes_max} bytes"
            )));
        }
        bytes.extend_from_slice(data);
    }
}

/// Reads a JSON answer.
async fn json(response: Response<Incoming>) -> Result<Value, RemoteError> {
    if !response.status().is_success() {
        return Err(failure(response).await);
    }
    let bytes = collect(response.into_body(), JSON_BYTES_MAX).await?;
    serde_json::from_slice(&bytes).map_err(|_| unexpected())
}

fn unexpected() -> RemoteError {
    RemoteError::Refused("the node answered something unexpected".to_owned())
}

/// What an answer that is no success means.
async fn failure(response: Response<Incoming>) -> RemoteError {
    let status = response.status();
    let body = collect(response.into_body(), ERROR_BYTES_MAX).await;
    let body = body.unwrap_or_default();
    let problem: Option<Value> = serde_json::from_slice(&body).ok();
    let field = |key: &str| problem.as_ref()?.get(key)?.as_str().map(str::to_owned);
    let detail = ["detail", "message", "error", "title"]
        .into_iter()
        .find_map(field);
    let text = match detail {
        Some(detail) => format!("the node answered {status}: {detail}"),
        None => format!("the node answered {status}"),
    };
    let passing = status.is_server_error() && status != StatusCode::INSUFFICIENT_STORAGE
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        );
    match passing {
        true => RemoteError::Unavailable(text),
        false => RemoteError::Refused(text),
    }
}

/// An error with its causes on one line: hyper keeps the useful part inside.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
