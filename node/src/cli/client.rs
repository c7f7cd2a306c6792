//! A small HTTP client: one connection for each request, bodies streamed.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::net::TcpStream;

use super::exit::{FAILED, Failure, UNAVAILABLE, USAGE};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of an answer that is read whole.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// What stands for itself in a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A client of one node.
#[derive(Debug, Clone)]
pub struct Client {
    authority: String,
}

/// A body to send.
pub enum Payload {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Bytes),
    /// So many bytes of a stream; without a length they are sent in chunks.
    Stream(Option<u64>, BoxStream<'static, std::io::Result<Bytes>>),
}

impl Client {
    /// A client for `http://host:port`.
    pub fn new(server: &str) -> Result<Self, Failure> {
        let bare = server
            .strip_prefix("http://")
            .unwrap_or(server)
            .trim_end_matches('/');
        if bare.contains("://") || bare.is_empty() || bare.contains('/') {
            let failure = Failure::new(
                USAGE,
                format!("{server:?} is not a server this client can reach"),
            );
            return Err(failure.hint("use http://host:port"));
        }
        let authority = match bare.contains(':') {
            true => bare.to_owned(),
            false => format!("{bare}:8080"),
        };
        Ok(Self { authority })
    }

    /// Sends a request and gives the answer if it is a success.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        payload: Payload,
    ) -> Result<Response<Incoming>, Failure> {
        let stream = self.connect().await?;
        let broken = |error: hyper::Error| {
            let message = format!("the connection to {} broke: {error}", self.authority);
            Failure::new(UNAVAILABLE, message)
        };
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        // Its errors come out of the request as well.
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        let (length, body) = boxed(payload);
        if let Some(length) = length {
            request = request.header("content-length", length);
        }
        let mut request = request
            .body(body)
            .map_err(|error| Failure::new(USAGE, error.to_string()))?;
        let host = HeaderValue::from_str(&self.authority)
            .map_err(|_| Failure::new(USAGE, "the server's name is not valid"))?;
        request.headers_mut().insert(HOST, host);
        for (name, value) in headers {
            let value = HeaderValue::from_str(value)
                .map_err(|_| Failure::new(USAGE, format!("{name} cannot be {value:?}")))?;
            request
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = whole(response).await?;
        Err(Failure::of_problem(status.as_u16(), &body))
    }

    /// The JSON that a `GET` is answered with.
    pub async fn get_json(&self, path: &str) -> Result<Value, Failure> {
        json(self.send(Method::GET, path, &[], Payload::Empty).await?).await
    }

    async fn connect(&self) -> Result<TcpStream, Failure> {
        let connect = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.authority));
        let reason = match connect.await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it did not answer in time".to_owned(),
        };
        let failure = Failure::new(
            UNAVAILABLE,
            format!("cannot reach {}: {reason}", self.authority),
        );
        Err(failure.hint(
            "is a node running there? `decube dev` starts a cluster, --api names another node",
        ))
    }
}

/// A whole answer.
pub async fn whole(response: Response<Incoming>) -> Result<Bytes, Failure> {
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
    let body =
        body.map_err(|error| Failure::new(UNAVAILABLE, format!("the answer broke off: {error}")))?;
    Ok(body.to_bytes())
}

/// A whole answer as JSON.
pub async fn json(response: Response<Incoming>) -> Result<Value, Failure> {
    let body = whole(response).await?;
    serde_json::from_slice(&body)
        .map_err(|error| Failure::new(FAILED, format!("the answer is not JSON: {error}")))
}

/// A part of a path or of a query.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

/// A query string; empty if there are no parameters.
pub fn query(parameters: &[(&str, Option<String>)]) -> String {
    let given = parameters
        .iter()
        .filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let pairs: Vec<String> = given
        .map(|(name, value)| format!("{name}={}", encode(value)))
        .collect();
    match pairs.is_empty() {
        true => String::new(),
        false => format!("?{}", pairs.join("&")),
    }
}

type Outgoing = BoxBody<Bytes, std::io::Error>;

fn boxed(payload: Payload) -> (Option<u64>, Outgoing) {
    let never = |error: std::convert::Infallible| match error {};
    match payload {
        Payload::Empty => (None, BoxBody::new(Full::default().map_err(never))),
        Payload::Bytes(bytes) => (None, BoxBody::new(Full::new(bytes).map_err(never))),
        Payload::Stream(length, stream) => {
            let frames = futures::StreamExt::map(stream, |piece| piece.map(Frame::data));
            (
                length,
                BoxBody::new(StreamBody::new(SyncStream(std::sync::Mutex::new(
                    Box::pin(frames),
                )))),
            )
        }
    }
}

/// Bodies must be `Sync`; only one thread ever polls one.
struct SyncStream(std::sync::Mutex<BoxStream<'static, std::io::Result<Frame<Bytes>>>>);

impl futures::Stream for SyncStream {
    type Item = std::io::Result<Frame<Bytes>>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let stream = &mut self.get_mut().0;
        stream
            .get_mut()
            .expect("never locked")
            .as_mut()
            .poll_next(context)
    }
}
