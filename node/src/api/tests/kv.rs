//! Keys over HTTP.

use axum::body::Body;

use super::Api;

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

    let delete = api.call("DELETE /v1/kv/a/b", &[], Body::empty()).await;
    assert_eq!(delete.json()["deleted"], 1);
    api.get("/v1/kv/a/b").await.refused(404, "not-found");
}
