//! Changes of keys as server-sent events. The id of an event is its revision, so
//! that a client that reconnects with `Last-Event-ID` misses nothing.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use decube_core::cluster::Changes;
use decube_core::kv::Change;
use decube_core::types::Revision;
use futures::StreamExt;
use futures::stream;
use serde_json::{Value, json};

use super::Shared;
use super::error::{ApiError, ApiResult, Code};
use super::extract::Params;
use super::kv::{name_key, pair_json};
use crate::backend::{Watch, WatchEnd};

/// How often a quiet watch shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Starts a watch over `from..to`, from `since` (a revision, 0 for "from now on")
/// or from the revision after `Last-Event-ID`.
pub async fn start(
    gateway: Shared,
    from: Bytes,
    to: Option<Bytes>,
    mut params: Params,
    headers: &HeaderMap,
) -> ApiResult<Response> {
    let since = params.number("since", 0, u64::MAX, 0)?;
    params.done()?;
    let since = match headers.get("last-event-id") {
        None => since,
        Some(last) => {
            let last = last.to_str().ok().and_then(|text| text.parse::<u64>().ok());
            let last = last.ok_or_else(|| ApiError::invalid("Last-Event-ID must be a revision"))?;
            last.saturating_add(1)
        }
    };
    let Ok(permit) = gateway.watches.clone().try_acquire_owned() else {
        let detail = format!("{} watches are open", gateway.limits.watches_max);
        return Err(ApiError::new(Code::TooMany, detail));
    };
    let watch = gateway
        .backend
        .watch(from, to, Revision(since))
        .await
        .map_err(refused)?;
    let Watch { revision, changes } = watch;
    let begun = Event::default()
        .event("watching")
        .data(json!({"revision": revision.0}).to_string());
    let mut stopping = gateway.stopping.subscribe();
    let stopped = async move {
        // The gateway outlives its watches, so waiting cannot fail.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let events = changes.flat_map(|item| stream::iter(events(item)));
    let events = stream::once(async move { begun })
        .chain(events)
        .take_until(stopped)
        .map(move |event| {
            let _held = &permit;
            Ok::<_, Infallible>(event)
        });
    let alive = KeepAlive::new().interval(KEEP_ALIVE).text("alive");
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

/// One event for each revision; an error ends the stream with its problem.
fn events(item: Result<Changes, WatchEnd>) -> Vec<Event> {
    match item {
        Ok(changes) => changes
            .changes
            .chunk_by(|a, b| a.revision == b.revision)
            .map(|group| {
                let revision = group[0].revision;
                let data = json!({
                    "revision": revision.0,
                    "changes": group.iter().map(change_json).collect::<Vec<Value>>(),
                });
                Event::default()
                    .id(revision.to_string())
                    .event("change")
                    .data(data.to_string())
            })
            .collect(),
        Err(end) => {
            let problem = refused(end).problem("");
            vec![Event::default().event("end").data(problem.to_string())]
        }
    }
}

fn change_json(change: &Change) -> Value {
    match &change.pair {
        Some(pair) => {
            let mut object = pair_json(pair, false);
            object["type"] = "put".into();
            object
        }
        None => {
            let mut object = json!({"type": "delete"});
            name_key(&mut object, &change.key);
            object
        }
    }
}

fn refused(end: WatchEnd) -> ApiError {
    match end {
        WatchEnd::Lagged => ApiError::new(
            Code::Compacted,
            "the watch took changes more slowly than they happened; list again and watch from there",
        ),
        WatchEnd::Compacted { oldest } => ApiError::new(
            Code::Compacted,
            format!("history before revision {oldest} is gone; list again and watch from there"),
        )
        .with("oldest", oldest.0),
        WatchEnd::Refused(_) => ApiError::new(Code::Busy, "the node takes no more watches now"),
        WatchEnd::Ended => ApiError::new(Code::Unavailable, "the node ended the watch"),
        WatchEnd::Gone => ApiError::new(Code::Unavailable, "the node has stopped"),
    }
}
