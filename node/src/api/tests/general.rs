//! What surrounds every route: ids, limits, errors, metrics.

use std::collections::BTreeMap;

use axum::body::Body;

use super::super::{ApiLimits, ERRORS};
use super::Api;

#[tokio::test]
async fn every_answer_names_its_request_and_its_node() {
    let api = Api::new();
    let get = api
        .call(
            "GET /health",
            &[("decube-request-id", "my-id_1")],
            Body::empty(),
        )
        .await;
    assert_eq!(get.header("decube-request-id"), "my-id_1");
    assert_eq!(get.header("decube-node"), format!("{:032x}", 1));
    for strange in ["a b", "é", &"x".repeat(65)] {
        let get = api
            .call("GET /health", &[("x-request-id", strange)], Body::empty())
            .await;
        assert_eq!(
            get.header("decube-request-id").len(),
            32,
            "{strange:?} is replaced"
        );
    }
}

#[tokio::test]
async fn strange_paths_and_methods_are_problems_too() {
    let api = Api::new();
    api.get("/nowhere").await.refused(404, "no-route");
    let patch = api.call("PATCH /catalog/query", &[], Body::empty()).await;
    patch.refused(405, "method-not-allowed");
    assert!(patch.headers.contains_key("allow"));
}

#[tokio::test]
async fn every_error_has_a_page_on_the_node_itself() {
    let api = Api::new();
    for about in ERRORS {
        let page = api.get(&format!("/errors/{}", about.slug)).await;
        assert_eq!(page.status, 200, "{}", about.slug);
        assert!(page.text().contains(about.about));
        assert_eq!(about.code.about().slug, about.slug);
    }
    api.get("/errors/none").await.refused(404, "not-found");
}

#[tokio::test]
async fn a_full_node_refuses_work_and_still_tells_its_health() {
    let api = Api::with(ApiLimits {
        requests_max: 0,
        watches_max: 0,
        ..ApiLimits::default()
    });
    api.get("/v1/kv/k").await.refused(503, "raft/busy");
    for path in ["/health", "/livez", "/ready", "/metrics"] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
    let api = Api::with(ApiLimits {
        watches_max: 0,
        ..ApiLimits::default()
    });
    api.get("/v1/kv?watch=true")
        .await
        .refused(429, "request/too-many");
}

#[tokio::test]
async fn json_bodies_are_bounded() {
    let api = Api::with(ApiLimits {
        json_bytes_max: 10,
        ..ApiLimits::default()
    });
    let body = r#"{"id": "longer than ten"}"#;
    api.call("POST /catalog/images", &[], body)
        .await
        .refused(413, "request/too-large");
}

#[tokio::test]
async fn a_parameter_is_given_once() {
    let api = Api::new();
    api.get("/catalog/query?q=a=1&q=b=2")
        .await
        .refused(400, "request/invalid");
}

/// The exposition format, as the Prometheus documentation defines it.
#[tokio::test]
async fn metrics_keep_to_the_format() {
    let api = Api::new();
    api.get("/v1/kv/k").await;
    api.call("PUT /v1/kv/k", &[], "v").await;
    api.get("/nowhere").await;
    let page = api.get("/metrics").await;
    assert_eq!(
        page.header("content-type"),
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = page.text();
    assert!(text.ends_with('\n'));
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    let mut current = "";
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            current = help.split_once(' ').expect("a help text").0;
            assert!(!kinds.contains_key(current), "{current} has two families");
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type");
            assert_eq!(name, current);
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            kinds.insert(name, kind);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(seen.insert(series), "{series} stands twice");
        let name = series.split('{').next().expect("a name");
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        assert!(name.bytes().all(plain), "{name}");
        let base = match kinds.get(current) {
            Some(&"histogram") => ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end)),
            _ => Some(name),
        };
        assert_eq!(base, Some(current), "{line}");
    }
    for name in [
        "decube_http_requests_total",
        "decube_http_request_duration_seconds",
        "decube_raft_term",
        "decube_raft_is_leader",
        "decube_raft_commit_index",
        "decube_raft_applied_index",
        "decube_raft_fsync_duration_seconds",
        "decube_build_info",
    ] {
        assert!(kinds.contains_key(name), "{name} is missing");
    }
    assert!(
        text.contains(
            "decube_http_requests_total{route=\"/v1/kv/{*key}\",method=\"PUT\",status=\"200\"} 1"
        ),
        "{text}"
    );
    assert!(
        text.contains("route=\"none\",method=\"GET\",status=\"404\""),
        "paths are no labels"
    );
}
