//! Keys over HTTP.

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use decube_core::cluster::Response;
use decube_core::limits::KV_KEY_BYTES_MAX;
use decube_core::raft::Refusal;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::Api;
use crate::backend::Gone;

#[tokio::test]
async fn a_key_is_put_read_and_deleted() {
    let api = Api::new();
    let put = api.call("PUT /v1/kv/a/b", &[], "hello").await;
    assert_eq!(put.status, 200, "{}", put.text());
    assert_eq!(put.json()["key"], "a/b");
    assert_eq!(put.header("etag"), "\"1\"");
    assert_eq!(put.header("decube-index"), "1");
    assert_eq!(put.header("decube-term"), "7");

    let get = api.get("/v1/kv/a%2Fb").await;
    assert_eq!((get.status.as_u16(), &get.body[..]), (200, &b"hello"[..]));
    assert_eq!(get.header("etag"), "\"1\"");
    let json = api
        .get("/v1/kv/a/b?format=json&consistency=stale")
        .await
        .json();
    assert_eq!(
        (&json["value"], &json["created"]),
        (&"hello".into(), &1.into())
    );

    let delete = api.call("DELETE /v1/kv/a/b", &[], Body::empty()).await;
    assert_eq!(delete.json()["deleted"], 1);
    api.get("/v1/kv/a/b").await.refused(404, "not-found");
    let again = api.call("DELETE /v1/kv/a/b", &[], Body::empty()).await;
    assert_eq!(
        again.json()["deleted"],
        0,
        "removing an absent key is no error"
    );
}

#[tokio::test]
async fn conditions_are_revisions() {
    let api = Api::new();
    let put = |tag: (&'static str, &'static str)| {
        let api = &api;
        async move { api.call("PUT /v1/kv/k", &[tag], "v").await }
    };
    assert_eq!(put(("if-none-match", "*")).await.status, 200);
    let problem = put(("if-none-match", "*"))
        .await
        .refused(412, "precondition-failed");
    assert_eq!(problem["error"]["details"]["revision"], 1);
    put(("if-match", "\"9\""))
        .await
        .refused(412, "precondition-failed");
    assert_eq!(put(("if-match", "\"1\"")).await.status, 200);
    assert_eq!(put(("if-match", "*")).await.status, 200);
    put(("if-match", "nonsense"))
        .await
        .refused(400, "request/invalid");
    put(("if-none-match", "\"1\""))
        .await
        .refused(400, "request/invalid");
    let tag = api.get("/v1/kv/k").await.header("etag").to_owned();
    let unchanged = api
        .call("GET /v1/kv/k", &[("if-none-match", &tag)], Body::empty())
        .await;
    assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0));
}

#[tokio::test]
async fn a_list_is_paged_by_cursor() {
    let api = Api::new();
    for key in ["a/1", "a/2", "a/3", "b/1"] {
        api.call(&format!("PUT /v1/kv/{key}"), &[], key).await;
    }
    let first = api.get("/v1/kv?prefix=a/&limit=2").await.json();
    assert_eq!(first["pairs"][1]["key"], "a/2");
    assert_eq!(first["pairs"][1]["value"], "a/2");
    let cursor = first["next"].as_str().expect("there is more");
    let second = api
        .get(&format!("/v1/kv?prefix=a/&limit=2&cursor={cursor}"))
        .await
        .json();
    assert_eq!(second["pairs"].as_array().expect("a list").len(), 1);
    assert!(second["next"].is_null());
    let long = URL_SAFE_NO_PAD.encode(format!("kv/a/{}", "k".repeat(KV_KEY_BYTES_MAX)));
    api.get(&format!("/v1/kv?prefix=a/&cursor={long}"))
        .await
        .refused(400, "request/invalid");
    api.get("/v1/kv?prefix=b/&cursor=YS8z")
        .await
        .refused(400, "request/invalid");
    let keys = api.get("/v1/kv?keys_only=true").await.json();
    assert_eq!(keys["pairs"].as_array().expect("a list").len(), 4);
    assert!(keys["pairs"][0].get("value").is_none());
}

#[tokio::test]
async fn values_and_keys_have_limits() {
    let api = Api::new();
    let value = vec![b'x'; decube_core::limits::KV_VALUE_BYTES_MAX + 1];
    api.call("PUT /v1/kv/k", &[], value)
        .await
        .refused(413, "request/too-large");
    let key = "k".repeat(4094);
    let refused = api.call(&format!("PUT /v1/kv/{key}"), &[], "v").await;
    let problem = refused.refused(400, "request/invalid-id");
    assert_eq!(
        problem["detail"],
        "a key is at most 4093 bytes long, this one 4094"
    );
    assert!(api.node.requests().is_empty(), "nothing reached the node");
    api.get("/v1/kv/%FF")
        .await
        .refused(400, "request/invalid-id");
    api.get("/v1/kv/k?consitency=stale")
        .await
        .refused(400, "request/invalid");
    api.get("/v1/kv/k?consistency=eventual")
        .await
        .refused(400, "request/invalid");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_base64_in_json() {
    let api = Api::new();
    api.call("PUT /v1/kv/k", &[], vec![0xFF, 0x00]).await;
    assert_eq!(
        api.get("/v1/kv/k?format=json").await.json()["value_base64"],
        "/wA="
    );
    assert_eq!(&api.get("/v1/kv/k").await.body[..], [0xFF, 0x00]);
}

#[tokio::test]
async fn refusals_are_retried_and_then_told() {
    let api = Api::new();
    let not_leader = || Ok(Response::Refused(Refusal::NotLeader { leader: None }));
    api.node.script(not_leader());
    api.node
        .script(Ok(Response::Refused(Refusal::Transferring)));
    assert_eq!(
        api.call("PUT /v1/kv/k", &[], "v").await.status,
        200,
        "the third try succeeds"
    );

    for _ in 0..20 {
        api.node.script(not_leader());
    }
    let problem = api
        .call("PUT /v1/kv/k", &[], "v")
        .await
        .refused(503, "raft/no-leader");
    assert_eq!(problem["error"]["code"], "SERVICE_UNAVAILABLE");
}

#[tokio::test]
async fn an_unknown_outcome_is_never_called_a_failure_or_retried() {
    let api = Api::new();
    for answer in [Ok(Response::Unknown), Err(Gone)] {
        let before = api.node.requests().len();
        api.node.script(answer);
        let problem = api
            .call("PUT /v1/kv/k", &[], "v")
            .await
            .refused(504, "outcome-unknown");
        assert_eq!(problem["retryable"], false);
        assert_eq!(api.node.requests().len(), before + 1, "asked once");
    }
    api.node.script(Ok(Response::Unknown));
    let problem = api.get("/v1/kv/k").await.refused(504, "timeout");
    assert_eq!(problem["retryable"], true, "a read may be repeated");
}

#[tokio::test]
async fn a_watch_streams_changes_with_revisions_as_ids() {
    let api = Api::new();
    api.call("PUT /v1/kv/w/1", &[], "one").await;
    api.call("PUT /v1/kv/other", &[], "x").await;
    let request = Request::get("/v1/kv?watch=true&prefix=w/&since=1").body(Body::empty());
    let response = api
        .router
        .clone()
        .oneshot(request.expect("a request"))
        .await
        .expect("infallible");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    api.call("PUT /v1/kv/w/2", &[], "two").await;
    api.call("DELETE /v1/kv/w/1", &[], Body::empty()).await;
    let mut text = String::new();
    while !text.contains("delete") {
        let frame = body.frame().await.expect("more").expect("whole");
        text.push_str(&String::from_utf8_lossy(frame.data_ref().expect("data")));
    }
    let ids: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("id: "))
        .collect();
    assert_eq!(ids, ["id: 1", "id: 3", "id: 4"], "{text}");
    assert!(
        text.starts_with("event: watching\ndata: {\"revision\":2}\n"),
        "{text}"
    );

    api.gateway.stop();
    assert!(
        body.frame().await.is_none(),
        "a stopping node ends its watches"
    );
}

#[tokio::test]
async fn a_watch_resumes_after_the_last_event_and_says_when_it_can_not() {
    let api = Api::new();
    let resumed = api
        .call(
            "GET /v1/kv?watch=true",
            &[("last-event-id", "12")],
            Body::empty(),
        )
        .await;
    let problem = resumed.refused(410, "watch/compacted");
    assert_eq!(
        problem["error"]["details"]["oldest"], 20,
        "13 was asked for"
    );
    let broken = api
        .call(
            "GET /v1/kv?watch=true",
            &[("last-event-id", "x")],
            Body::empty(),
        )
        .await;
    broken.refused(400, "request/invalid");
}
