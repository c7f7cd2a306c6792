//! `POST /storage/chunks`: the whitepaper's JSON form of a segment, base64 inside.
//!
//! The body is read whole, up to 86 MiB, and decoded in place of a copy: at most
//! twice that is in memory for one request, and the limit on uploads bounds how
//! many there are. Large clients use `PUT /storage/segments/{sha256}`.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use decube_core::limits::SEGMENT_BYTES;
use serde_json::{Value, json};

use super::Shared;
use super::error::{ApiError, ApiResult, Code};
use super::extract::{JsonObject, Params, check_id, collect};
use super::segments::{permit, segment_id, store};

/// 64 MiB in base64 are 89,478,488 bytes; the rest is for the other fields.
pub const BODY_BYTES_MAX: usize = 86 << 20;

const _: () = assert!(SEGMENT_BYTES.div_ceil(3) * 4 + 4096 <= BODY_BYTES_MAX as u64);

/// `{"snapshot_id", "chunk_index", "data": base64, "hash"}`.
pub async fn post(
    State(gateway): State<Shared>,
    params: Params,
    request: Request,
) -> ApiResult<Response> {
    params.done()?;
    let _permit = permit(&gateway)?;
    let bytes = collect(request, &gateway, BODY_BYTES_MAX).await?;
    let body = match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => JsonObject(object),
        Ok(_) => return Err(ApiError::invalid("the body must be a JSON object")),
        Err(error) => {
            return Err(ApiError::invalid(format!(
                "the body is not valid JSON: {error}"
            )));
        }
    };
    drop(bytes);
    check_id(body.text("snapshot_id")?)?;
    let index = body.0.get("chunk_index").and_then(Value::as_u64);
    let index = index.ok_or_else(|| ApiError::invalid("chunk_index must be a whole number"))?;
    let id = segment_id(body.text("hash")?)?;
    let data = STANDARD.decode(body.text("data")?);
    let data = data.map_err(|error| ApiError::invalid(format!("data is not base64: {error}")))?;
    if data.len() as u64 > SEGMENT_BYTES {
        let detail = format!("a chunk has at most {SEGMENT_BYTES} bytes");
        return Err(ApiError::new(Code::BodyTooLarge, detail));
    }
    let stored = store(&gateway, id, Box::pin(std::io::Cursor::new(data))).await?;
    let answer = json!({
        "hash": id.to_string(),
        "sha256": id.to_string(),
        "size": stored.length,
        "chunk_index": index,
    });
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}
