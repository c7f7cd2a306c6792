//! Small texts: times, numbers, ids.

use std::time::{SystemTime, UNIX_EPOCH};

use decube_core::replica::LogTime;
use decube_core::types::NodeId;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Now, as RFC 3339 in UTC.
pub fn now() -> String {
    rfc3339(now_ns())
}

/// Now, in nanoseconds since the Unix epoch.
pub fn now_ns() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds since the Unix epoch as RFC 3339 in UTC.
pub fn rfc3339(ns: u64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ns))
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{ns} ns"))
}

/// Log time as RFC 3339.
pub fn log_time(time: LogTime) -> String {
    rfc3339(time.0)
}

/// Ids as a JSON list.
pub fn ids<'a>(ids: impl IntoIterator<Item = &'a NodeId>) -> Value {
    ids.into_iter()
        .map(|id| Value::from(id.to_string()))
        .collect()
}

/// A length of time from a JSON number of seconds or a text like `30s`.
pub fn seconds(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim_end_matches('s').parse().ok(),
        _ => None,
    }
}
