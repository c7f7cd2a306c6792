//! Objects, segments and chunks over HTTP.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use decube_core::limits::SEGMENT_BYTES;
use decube_core::types::NodeId;
use futures::stream;
use serde_json::json;

use super::super::ApiLimits;
use super::Api;
use crate::blobs::SegmentId;

const OBJECT: &str = "PUT /storage/objects/backup.tar";

#[tokio::test]
async fn an_object_is_stored_copied_and_read_back() {
    let api = Api::new();
    let put = api
        .call(
            OBJECT,
            &[("content-type", "application/x-tar")],
            "hello object",
        )
        .await;
    assert_eq!(put.status, 201, "{}", put.text());
    let stored = put.json();
    let id = SegmentId::of(b"hello object");
    assert_eq!(stored["object_id"], "backup.tar");
    assert_eq!(
        (&stored["size"], &stored["chunks"]),
        (&json!(12), &json!(1))
    );
    assert_eq!(stored["sha256"], id.to_string());
    assert_eq!(stored["merkle_root"].as_str().map(str::len), Some(64));
    let copies = [2, 3]
        .iter()
        .filter(|peer| api.peers.store(**peer).bytes(id).is_some())
        .count();
    assert_eq!(copies, 1, "one other member has it before the answer");

    let get = api.get("/v1/storage/objects/backup.tar").await;
    assert_eq!(
        (get.status.as_u16(), &get.body[..]),
        (200, &b"hello object"[..])
    );
    assert_eq!(get.header("content-type"), "application/x-tar");
    assert_eq!(get.header("content-length"), "12");
    assert_eq!(get.header("x-content-id"), id.to_string());
    assert_eq!(get.header("etag"), format!("\"{id}\""));
    let head = api
        .call("HEAD /storage/objects/backup.tar", &[], Body::empty())
        .await;
    assert_eq!((head.header("content-length"), head.body.len()), ("12", 0));
    let list = api.get("/storage/objects?prefix=back").await.json();
    assert_eq!(list["objects"][0]["object_id"], "backup.tar");

    let delete = "DELETE /storage/objects/backup.tar";
    assert_eq!(api.call(delete, &[], Body::empty()).await.status, 204);
    api.call(delete, &[], Body::empty())
        .await
        .refused(404, "not-found");
    api.get("/storage/objects/backup.tar")
        .await
        .refused(404, "not-found");
}

#[tokio::test]
async fn ranges_are_parts_of_the_object() {
    let api = Api::new();
    api.call(OBJECT, &[], "0123456789").await;
    for (range, status, body, content_range) in [
        ("bytes=0-3", 206, "0123", "bytes 0-3/10"),
        ("bytes=4-", 206, "456789", "bytes 4-9/10"),
        ("bytes=-3", 206, "789", "bytes 7-9/10"),
        ("bytes=-30", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=8-99", 206, "89", "bytes 8-9/10"),
        ("bytes=0-0,5-5", 200, "0123456789", ""),
        ("lines=1-2", 200, "0123456789", ""),
        ("bytes=5-2", 200, "0123456789", ""),
    ] {
        let get = api
            .call(
                "GET /storage/objects/backup.tar",
                &[("range", range)],
                Body::empty(),
            )
            .await;
        assert_eq!(
            (get.status.as_u16(), get.text().as_str()),
            (status, body),
            "{range}"
        );
        assert_eq!(get.header("content-range"), content_range, "{range}");
        assert_eq!(
            get.header("content-length"),
            body.len().to_string(),
            "{range}"
        );
    }
    for range in ["bytes=10-", "bytes=99-100", "bytes=-0"] {
        let get = api
            .call(
                "GET /storage/objects/backup.tar",
                &[("range", range)],
                Body::empty(),
            )
            .await;
        get.refused(416, "range-not-satisfiable");
        assert_eq!(get.header("content-range"), "bytes */10");
    }
    let other = [("range", "bytes=0-3"), ("if-range", "\"other\"")];
    let get = api
        .call("GET /storage/objects/backup.tar", &other, Body::empty())
        .await;
    assert_eq!(get.status, 200, "the range was of another version");
}

#[tokio::test]
async fn an_object_larger_than_a_segment_is_cut_and_joined() {
    let api = Api::new();
    let piece = Bytes::from(vec![b'x'; 1 << 20]);
    let size = SEGMENT_BYTES + (1 << 20);
    let pieces = (0..size >> 20).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
    let put = api
        .call(OBJECT, &[], Body::from_stream(stream::iter(pieces)))
        .await;
    assert_eq!(put.status, 201, "{}", put.text());
    assert_eq!(put.json()["chunks"], 2);
    assert_eq!(put.json()["size"], size);
    // Across the border of the two segments.
    let range = format!("bytes={}-{}", SEGMENT_BYTES - 2, SEGMENT_BYTES + 1);
    let get = api
        .call(
            "GET /storage/objects/backup.tar",
            &[("range", &range)],
            Body::empty(),
        )
        .await;
    assert_eq!((get.status.as_u16(), get.text().as_str()), (206, "xxxx"));
}

#[tokio::test]
async fn an_empty_object_is_an_object() {
    let api = Api::new();
    let put = api.call(OBJECT, &[], Body::empty()).await;
    assert_eq!(
        (put.status.as_u16(), &put.json()["chunks"]),
        (201, &json!(0))
    );
    let get = api.get("/storage/objects/backup.tar").await;
    assert_eq!(
        (get.status.as_u16(), get.header("content-length")),
        (200, "0")
    );
}

#[tokio::test]
async fn conditions_are_on_the_content() {
    let api = Api::new();
    assert_eq!(
        api.call(OBJECT, &[("if-none-match", "*")], "one")
            .await
            .status,
        201
    );
    api.call(OBJECT, &[("if-none-match", "*")], "two")
        .await
        .refused(412, "precondition-failed");
    let tag = format!("\"{}\"", SegmentId::of(b"one"));
    let wrong = format!("\"{}\"", SegmentId::of(b"zero"));
    api.call(OBJECT, &[("if-match", &wrong)], "two")
        .await
        .refused(412, "precondition-failed");
    let get = "GET /storage/objects/backup.tar";
    let unchanged = api
        .call(get, &[("if-none-match", &tag)], Body::empty())
        .await;
    assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0));
    api.call(get, &[("if-match", &wrong)], Body::empty())
        .await
        .refused(412, "precondition-failed");
    assert_eq!(
        api.call(OBJECT, &[("if-match", &tag)], "two").await.status,
        201
    );
    let delete = "DELETE /storage/objects/backup.tar";
    api.call(delete, &[("if-match", &tag)], Body::empty())
        .await
        .refused(412, "precondition-failed");
}

#[tokio::test]
async fn an_object_is_not_acknowledged_without_its_copies() {
    let api = Api::new();
    api.peers.set_up(NodeId(2), false);
    api.peers.set_up(NodeId(3), false);
    let problem = api
        .call(OBJECT, &[], "hello")
        .await
        .refused(503, "storage/too-few-copies");
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|text| text.starts_with("1 of 2 copies"))
    );
    api.get("/storage/objects/backup.tar")
        .await
        .refused(404, "not-found");
    api.peers.set_up(NodeId(3), true);
    assert_eq!(api.call(OBJECT, &[], "hello").await.status, 201);
}

#[tokio::test]
async fn damage_is_repaired_from_a_member_and_never_served() {
    let api = Api::new();
    api.call(OBJECT, &[], "hello").await;
    let id = SegmentId::of(b"hello");
    api.local.set(id, &b"hellO"[..]);
    assert_eq!(api.get("/storage/objects/backup.tar").await.text(), "hello");

    let api = Api::new();
    api.call(OBJECT, &[], "hello").await;
    api.local.set(id, &b"hellO"[..]);
    [2, 3]
        .iter()
        .for_each(|peer| api.peers.store(*peer).remove(id));
    api.get("/storage/objects/backup.tar")
        .await
        .refused(500, "storage/damaged");
}

#[tokio::test]
async fn a_broken_or_oversized_body_leaves_no_object() {
    let api = Api::with(ApiLimits {
        object_bytes_max: 100,
        ..ApiLimits::default()
    });
    let broken = stream::iter([
        Ok(Bytes::from("hel")),
        Err(std::io::Error::other("cut off")),
    ]);
    let put = api.call(OBJECT, &[], Body::from_stream(broken)).await;
    put.refused(400, "request/incomplete");
    api.call(OBJECT, &[("content-length", "101")], "x")
        .await
        .refused(413, "request/too-large");
    api.call(OBJECT, &[], Body::from(vec![0; 101]))
        .await
        .refused(413, "request/too-large");
    api.call(OBJECT, &[("content-length", "50")], "x")
        .await
        .refused(400, "request/incomplete");
    api.get("/storage/objects/backup.tar")
        .await
        .refused(404, "not-found");
    for id in ["a%2Fb", "a/b", "a:b", "a%0Ab"] {
        api.call(&format!("PUT /storage/objects/{id}"), &[], "x")
            .await
            .refused(400, "request/invalid-id");
    }
}

#[tokio::test]
async fn a_segment_is_stored_under_its_hash_or_not_at_all() {
    let api = Api::new();
    let id = SegmentId::of(b"segment");
    let path = format!("/storage/segments/{id}");
    let put = api.call(&format!("PUT {path}"), &[], "segment").await;
    assert_eq!((put.status.as_u16(), &put.json()["size"]), (201, &json!(7)));
    assert_eq!(api.get(&path).await.text(), "segment");
    let part = api
        .call(
            &format!("GET {path}"),
            &[("range", "bytes=1-2")],
            Body::empty(),
        )
        .await;
    assert_eq!((part.status.as_u16(), part.text().as_str()), (206, "eg"));
    let head = api
        .call(
            &format!("HEAD /v1/storage/segments/0x{id}"),
            &[],
            Body::empty(),
        )
        .await;
    assert_eq!(
        (head.status.as_u16(), head.header("content-length")),
        (200, "7")
    );

    let before = api.local.count();
    let wrong = SegmentId::of(b"other");
    let put = api
        .call(
            &format!("PUT /storage/segments/sha256:{wrong}"),
            &[],
            "segment",
        )
        .await;
    put.refused(422, "storage/hash-mismatch");
    assert_eq!(api.local.count(), before, "nothing was stored");
    let missing = format!("/storage/segments/{wrong}");
    api.get(&missing).await.refused(404, "not-found");
    let head = api
        .call(&format!("HEAD {missing}"), &[], Body::empty())
        .await;
    assert_eq!(head.status, 404);
    api.get("/storage/segments/xyz")
        .await
        .refused(400, "request/invalid-id");
    let large = (SEGMENT_BYTES + 1).to_string();
    let put = api
        .call(&format!("PUT {path}"), &[("content-length", &large)], "x")
        .await;
    put.refused(413, "request/too-large");
}

#[tokio::test]
async fn the_whitepapers_chunk_is_decoded_and_checked() {
    let api = Api::new();
    let chunk = |data: &[u8], hash: SegmentId| {
        json!({
            "snapshot_id": "snapshot-001",
            "chunk_index": 0,
            "data": STANDARD.encode(data),
            "hash": hash.to_string(),
        })
    };
    let id = SegmentId::of(b"chunk");
    let post = api
        .call("POST /storage/chunks", &[], chunk(b"chunk", id).to_string())
        .await;
    assert_eq!(post.status, 201, "{}", post.text());
    assert_eq!(
        post.json(),
        json!({"hash": id.to_string(), "sha256": id.to_string(), "size": 5, "chunk_index": 0})
    );
    assert_eq!(
        api.get(&format!("/storage/segments/{id}")).await.text(),
        "chunk"
    );
    let wrong = chunk(b"other", id).to_string();
    api.call("POST /storage/chunks", &[], wrong)
        .await
        .refused(422, "storage/hash-mismatch");
    let mut broken = chunk(b"chunk", id);
    broken["data"] = "!".into();
    api.call("POST /storage/chunks", &[], broken.to_string())
        .await
        .refused(400, "request/invalid");
    let length = ((86 << 20) + 1).to_string();
    let large = api
        .call("POST /storage/chunks", &[("content-length", &length)], "x")
        .await;
    large.refused(413, "request/too-large");
}

#[tokio::test]
async fn a_whole_segment_fits_a_chunk() {
    let api = Api::new();
    let data = vec![7; usize::try_from(SEGMENT_BYTES).expect("fits")];
    let body = format!(
        r#"{{"snapshot_id":"s","chunk_index":1,"hash":"{}","data":"{}"}}"#,
        SegmentId::of(&data),
        STANDARD.encode(&data)
    );
    let post = api.call("POST /storage/chunks", &[], body).await;
    assert_eq!(post.status, 201, "{}", post.text());
    assert_eq!(post.json()["size"], SEGMENT_BYTES);
}

#[tokio::test]
async fn bodies_at_once_are_bounded() {
    let api = Api::with(ApiLimits {
        uploads_max: 0,
        ..ApiLimits::default()
    });
    api.call(OBJECT, &[], "x")
        .await
        .refused(429, "request/too-many");
    api.call("POST /storage/chunks", &[], "{}")
        .await
        .refused(429, "request/too-many");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_given_up() {
    let api = Api::new();
    let hangs = Body::from_stream(stream::pending::<std::io::Result<Bytes>>());
    api.call(OBJECT, &[], hangs)
        .await
        .refused(400, "request/incomplete");
    let hangs = Body::from_stream(stream::pending::<std::io::Result<Bytes>>());
    api.call("PUT /v1/kv/k", &[], hangs)
        .await
        .refused(400, "request/incomplete");
}
