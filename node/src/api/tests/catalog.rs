//! The catalog over HTTP: the whitepaper's requests, word for word.

use axum::body::Body;
use serde_json::json;

use super::Api;

const SNAPSHOT: &str = r#"{
  "id": "snapshot-001",
  "metadata": {
    "size": 1073741824,
    "created": "2024-01-15T10:30:00Z",
    "cluster": "cluster-a"
  }
}"#;

const IMAGE: &str = r#"{
  "id": "image-ubuntu-20.04",
  "metadata": {
    "os": "ubuntu",
    "version": "20.04",
    "size": 2147483648
  }
}"#;

#[tokio::test]
async fn the_whitepapers_requests_are_served() {
    let api = Api::new();
    for prefix in ["", "/v1"] {
        let post = api
            .call(&format!("POST {prefix}/catalog/snapshots"), &[], SNAPSHOT)
            .await;
        assert_eq!(post.status, 201, "{}", post.text());
        let created = post.json();
        assert_eq!(created["status"], "created");
        assert_eq!(created["timestamp"], created["created_at"]);
        let image = api
            .call(&format!("POST {prefix}/catalog/images"), &[], IMAGE)
            .await;
        assert_eq!(image.status, 201);
        let get = api
            .get(&format!("{prefix}/catalog/snapshots/snapshot-001"))
            .await
            .json();
        assert_eq!(get["metadata"]["size"], 1_073_741_824);
        let path = format!("{prefix}/catalog/query?type=snapshots&q=cluster=cluster-a&limit=10");
        let found = api.get(&path).await.json();
        assert_eq!(found.as_array().expect("a bare list").len(), 1);
        assert_eq!(found[0]["id"], "snapshot-001");
        for entry in ["snapshots/snapshot-001", "images/image-ubuntu-20.04"] {
            let delete = format!("DELETE {prefix}/catalog/{entry}");
            assert_eq!(api.call(&delete, &[], Body::empty()).await.status, 204);
        }
        api.get("/catalog/snapshots/snapshot-001")
            .await
            .refused(404, "not-found");
    }
}

#[tokio::test]
async fn an_entry_is_created_once_and_changed_under_conditions() {
    let api = Api::new();
    let post = api.call("POST /snapshots", &[], SNAPSHOT).await;
    let tag = post.header("etag").to_owned();
    api.call("POST /snapshots", &[], SNAPSHOT)
        .await
        .refused(409, "already-exists");
    let body = r#"{"metadata": {"chunks_total": 4}, "status": "ready"}"#;
    let put = "PUT /catalog/snapshots/snapshot-001";
    assert_eq!(api.call(put, &[("if-match", &tag)], body).await.status, 200);
    api.call(put, &[("if-match", &tag)], body)
        .await
        .refused(412, "precondition-failed");
    let put = api.call(put, &[], body).await.json();
    assert_eq!(
        put["created_at"],
        post.json()["created_at"],
        "the creation stays"
    );
    let status = api.get("/snapshots/snapshot-001/status").await.json();
    assert_eq!(
        (&status["phase"], &status["progress"]),
        (&json!("ready"), &json!(100))
    );
    let delete = "DELETE /snapshots/snapshot-001";
    assert_eq!(api.call(delete, &[], Body::empty()).await.status, 204);
    api.call(delete, &[], Body::empty())
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn lists_have_pages_and_filters() {
    let api = Api::new();
    for number in 0..25 {
        let cluster = if number % 2 == 0 { "even" } else { "odd" };
        let body = json!({"id": format!("s-{number:02}"), "metadata": {"cluster": cluster}});
        api.call("POST /catalog/snapshots", &[], body.to_string())
            .await;
    }
    let page = api.get("/catalog/snapshots?page=3&limit=10").await.json();
    assert_eq!(
        page["pagination"],
        json!({"page": 3, "limit": 10, "total": 25, "pages": 3})
    );
    assert_eq!(page["snapshots"].as_array().expect("a list").len(), 5);
    let odd = api.get("/snapshots?cluster=odd&limit=1000").await.json();
    assert_eq!(odd["pagination"]["total"], 12);
    assert_eq!(odd["pagination"]["limit"], 100, "a larger limit is cut");
    assert_eq!(api.get("/catalog/images").await.json()["images"], json!([]));
    api.get("/catalog/snapshots?page=0")
        .await
        .refused(400, "request/invalid");
}

#[tokio::test]
async fn ids_that_can_not_be_used_are_refused_with_the_reason() {
    let api = Api::new();
    for (id, reason) in [
        (
            "a:b",
            "it contains ':', which separates the parts of catalog keys",
        ),
        ("a/b", "it contains '/'"),
        ("a\nb", "it contains a control character"),
        ("", "it is empty"),
        (&"x".repeat(256), "it is longer than 255 bytes"),
    ] {
        let body = json!({"id": id}).to_string();
        let problem = api
            .call("POST /catalog/snapshots", &[], body)
            .await
            .refused(400, "request/invalid-id");
        assert_eq!(
            problem["detail"],
            format!("the id {id:?} cannot be used: {reason}")
        );
    }
    api.get("/catalog/snapshots/a%3Ab")
        .await
        .refused(400, "request/invalid-id");
    api.get("/catalog/pods").await.refused(404, "not-found");
}

#[tokio::test]
async fn bodies_that_are_not_entries_are_refused() {
    let api = Api::new();
    for body in [
        "",
        "[]",
        "{",
        r#"{"metadata": {}}"#,
        r#"{"id": 5}"#,
        r#"{"id": "a", "metadata": []}"#,
        r#"{"id": "a", "status": "lost"}"#,
        r#"{"id": "a", "metdata": {}}"#,
    ] {
        api.call("POST /catalog/snapshots", &[], body)
            .await
            .refused(400, "request/invalid");
    }
    let metadata = json!({"id": "a", "metadata": {"x": "y".repeat(600 << 10)}});
    let large = api
        .call("POST /catalog/snapshots", &[], metadata.to_string())
        .await;
    large.refused(413, "request/too-large");
    assert!(api.node.requests().is_empty(), "nothing reached the node");
}

#[tokio::test]
async fn queries_search_all_types_and_tags() {
    let api = Api::new();
    for (kind, id, metadata) in [
        (
            "snapshots",
            "web-1",
            json!({"size": 2_000_000_000, "tags": ["db", "nightly"]}),
        ),
        (
            "snapshots",
            "web-2",
            json!({"size": 100, "tags": ["db"], "deep": {"er": "x"}}),
        ),
        ("images", "web-3", json!({"os": "linux"})),
    ] {
        let body = json!({"id": id, "metadata": metadata}).to_string();
        api.call(&format!("POST /catalog/{kind}"), &[], body).await;
    }
    for (parameters, wanted) in [
        ("", vec!["web-1", "web-2", "web-3"]),
        ("limit=2", vec!["web-1", "web-2"]),
        ("q=id=web-*%20AND%20NOT%20os=linux", vec!["web-1", "web-2"]),
        ("q=size%3E1GB", vec!["web-1"]),
        ("tags=db,nightly", vec!["web-1"]),
        ("deep.er=x", vec!["web-2"]),
        ("type=images&q=metadata.os=linux", vec!["web-3"]),
        ("q=status=ready", vec![]),
    ] {
        let found = api
            .get(&format!("/catalog/query?{parameters}"))
            .await
            .json();
        let ids: Vec<_> = found
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| one["id"].clone())
            .collect();
        assert_eq!(ids, wanted, "{parameters}");
    }
    let problem = api
        .get("/catalog/query?q=cluster")
        .await
        .refused(400, "catalog/invalid-query");
    assert_eq!(
        problem["detail"],
        "q, at byte 7: expected one of = != > < >= <="
    );
    api.get("/catalog/query?type=pods")
        .await
        .refused(404, "not-found");
}
