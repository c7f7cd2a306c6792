//! Sessions, leases and locks over HTTP.

use axum::body::Body;

use super::Api;

#[tokio::test]
async fn a_change_in_a_session_happens_once() {
    let api = Api::new();
    let open = api
        .call("POST /v1/sessions", &[], r#"{"ttl_seconds": 60}"#)
        .await;
    assert_eq!(open.status, 201, "{}", open.text());
    let session = open.json()["session"].to_string();
    let headers = [
        ("decube-session", session.as_str()),
        ("decube-sequence", "1"),
    ];
    let first = api.call("PUT /v1/kv/k", &headers, "v").await.json();
    let again = api.call("PUT /v1/kv/k", &headers, "v").await.json();
    assert_eq!(first["revision"], again["revision"]);

    let half = [("decube-session", session.as_str())];
    api.call("PUT /v1/kv/k", &half, "v")
        .await
        .refused(400, "request/invalid");
    let close = format!("DELETE /v1/sessions/{session}");
    assert_eq!(api.call(&close, &[], Body::empty()).await.status, 204);
    api.call(&close, &[], Body::empty())
        .await
        .refused(410, "session/unknown");
    api.call("PUT /v1/kv/k", &headers, "v")
        .await
        .refused(410, "session/unknown");
    let nonce = api
        .call("POST /v1/sessions", &[], r#"{"nonce": "xyz"}"#)
        .await;
    nonce.refused(400, "request/invalid");
}

#[tokio::test]
async fn a_lease_is_granted_renewed_shown_and_revoked() {
    let api = Api::new();
    let granted = api
        .call("POST /v1/leases", &[], r#"{"ttl_seconds": 30}"#)
        .await;
    assert_eq!(granted.status, 201);
    let granted = granted.json();
    assert_eq!(granted["expires_at"], "2023-11-14T22:13:50Z");
    let lease = granted["lease"].to_string();
    api.call(&format!("PUT /v1/kv/k?lease={lease}"), &[], "v")
        .await;
    let shown = api.get(&format!("/v1/leases/{lease}")).await.json();
    assert_eq!(shown["keys"][0]["key"], "k");
    let renew = api
        .call(
            &format!("POST /v1/leases/{lease}/renew"),
            &[],
            Body::empty(),
        )
        .await;
    assert_eq!(renew.status, 200);
    let revoke = format!("DELETE /v1/leases/{lease}");
    assert_eq!(api.call(&revoke, &[], Body::empty()).await.status, 204);
    api.call(&revoke, &[], Body::empty())
        .await
        .refused(404, "lease/unknown");
    api.get(&format!("/v1/leases/{lease}"))
        .await
        .refused(404, "lease/unknown");
    api.call("PUT /v1/kv/k?lease=999", &[], "v")
        .await
        .refused(404, "lease/unknown");
    api.call("POST /v1/leases", &[], r#"{"ttl_seconds": 0}"#)
        .await
        .refused(400, "request/invalid");
    api.get("/v1/leases/abc")
        .await
        .refused(400, "request/invalid-id");
}

#[tokio::test]
async fn a_lock_has_one_holder_and_a_token() {
    let api = Api::new();
    let lease = |_| async {
        let granted = api.call("POST /v1/leases", &[], "{}").await.json();
        granted["lease"].to_string()
    };
    let (one, two) = (lease(1).await, lease(2).await);
    let take = |lease: String| {
        let api = &api;
        let body = format!(r#"{{"lease": {lease}}}"#);
        async move { api.call("PUT /v1/locks/jobs/a", &[], body).await }
    };
    let token = take(one.clone()).await.json()["token"].clone();
    assert_eq!(
        take(one).await.json()["token"],
        token,
        "taking it again is harmless"
    );
    let problem = take(two.clone()).await.refused(409, "lock/held");
    assert_eq!(problem["error"]["details"]["token"], token);
    assert_eq!(api.get("/v1/locks/jobs/a").await.json()["held"], true);

    let release = |token: &str| format!("DELETE /v1/locks/jobs/a?token={token}");
    api.call(&release("0"), &[], Body::empty())
        .await
        .refused(409, "lock/not-held");
    api.call("DELETE /v1/locks/jobs/a", &[], Body::empty())
        .await
        .refused(400, "request/invalid");
    let released = api
        .call(&release(&token.to_string()), &[], Body::empty())
        .await;
    assert_eq!(released.status, 204);
    assert_eq!(api.get("/v1/locks/jobs/a").await.json()["held"], false);
    assert_eq!(take(two).await.status, 200);
}
