//! The router over a node and stores in memory.

mod catalog;
mod cluster;
mod general;
mod kv;
mod ledger;
mod ledger_history;
mod query;
mod session;
mod storage;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use decube_core::types::NodeId;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::{ApiLimits, Gateway, NodeInfo, router};
use crate::blobs::ReplicatedBlobs;
use crate::testing::{MemoryBlobs, MockNode, MockPeers};

/// A router with everything behind it.
struct Api {
    router: Router,
    gateway: Arc<Gateway>,
    node: MockNode,
    local: MemoryBlobs,
    peers: MockPeers,
}

/// An answer.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Api {
    fn new() -> Self {
        Self::with(ApiLimits {
            retry_for: Duration::from_millis(50),
            ..ApiLimits::default()
        })
    }

    /// A node that takes part in a ledger.
    fn with_ledger() -> Self {
        Self::build(ApiLimits::default(), Some("{}".to_owned()))
    }

    fn with(limits: ApiLimits) -> Self {
        Self::build(limits, None)
    }

    fn build(limits: ApiLimits, genesis: Option<String>) -> Self {
        let (node, local, peers) = (
            MockNode::default(),
            MemoryBlobs::default(),
            MockPeers::up([2, 3]),
        );
        let blobs = ReplicatedBlobs::new(
            NodeId(1),
            Arc::new(local.clone()),
            Arc::new(peers.clone()),
            None,
        );
        let info = NodeInfo {
            name: "one".to_owned(),
            cluster: "test".to_owned(),
            address: "127.0.0.1:8080".to_owned(),
            genesis,
        };
        let gateway = Gateway::new(Arc::new(node.clone()), blobs, limits, info, None);
        Self {
            router: router(gateway.clone()),
            gateway,
            node,
            local,
            peers,
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self
            .router
            .clone()
            .oneshot(request)
            .await
            .expect("infallible");
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body
                .collect()
                .await
                .expect("the body comes to its end")
                .to_bytes(),
        }
    }

    /// `call("PUT /path", &[("header", "value")], body)`.
    async fn call(&self, line: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let (method, path) = line.split_once(' ').expect("a method and a path");
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).expect("a request"))
            .await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(&format!("GET {path}"), &[], Body::empty()).await
    }
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    /// Checks status and code of an error, and that its document is whole.
    #[track_caller]
    fn refused(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("/errors/{code}"));
        assert_eq!(problem["request_id"], self.header("decube-request-id"));
        assert_eq!(problem["error"]["message"], problem["detail"]);
        let retryable = problem["retryable"].as_bool().expect("a flag");
        assert_eq!(retryable, self.headers.contains_key("retry-after"));
        problem
    }
}
