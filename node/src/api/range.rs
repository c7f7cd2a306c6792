//! `Range: bytes=...`, one range per request (RFC 9110 §14).

use std::ops::Range;

use axum::http::{HeaderMap, header};

use super::error::{ApiError, Code};

/// What part of the content a request wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: no range, or one that is not understood, which is to be ignored.
    Whole,
    Part(Range<u64>),
}

/// Reads the `Range` of a request for content of `length` bytes with this tag.
pub fn wanted(headers: &HeaderMap, length: u64, etag: &str) -> Result<Wanted, ApiError> {
    let Some(text) = headers
        .get(header::RANGE)
        .and_then(|value| value.to_str().ok())
    else {
        return Ok(Wanted::Whole);
    };
    let other_version = |value: &axum::http::HeaderValue| value.as_bytes() != etag.as_bytes();
    if headers.get(header::IF_RANGE).is_some_and(other_version) {
        return Ok(Wanted::Whole);
    }
    let Some((first, last)) = text
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Ok(Wanted::Whole);
    };
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match (number(first), number(last)) {
        (Some(suffix), Some(count)) if first.is_empty() && !last.is_empty() => {
            debug_assert_eq!(suffix, u64::MAX, "an empty text is no number");
            length.saturating_sub(count)..length
        }
        (Some(start), Some(_)) if last.is_empty() && !first.is_empty() => start..length,
        (Some(start), Some(end)) if !first.is_empty() && start <= end => {
            start..end.saturating_add(1).min(length)
        }
        _ => return Ok(Wanted::Whole),
    };
    if range.start >= range.end {
        let error = ApiError::new(
            Code::RangeNotSatisfiable,
            format!("the content has {length} bytes"),
        );
        return Err(error.with("length", length));
    }
    Ok(Wanted::Part(range))
}
