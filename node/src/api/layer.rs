//! What surrounds every handler: request ids, limits, time, metrics, logs.

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;

use super::Shared;
use super::error::{ApiError, Code};

/// Names a request in answers and logs.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("decube-request-id");
/// Names the node that answered.
pub const NODE: HeaderName = HeaderName::from_static("decube-node");

/// Routes whose answers take as long as their bodies: no time limit for the
/// whole, one for each pause instead.
const STREAMS: [&str; 4] = [
    "/storage/objects/{*id}",
    "/storage/segments/{id}",
    "/storage/chunks",
    "/kv",
];

/// Puts all layers around the routes.
pub fn around(routes: Router<Shared>, gateway: Shared) -> Router {
    routes
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(gateway.clone(), limit))
        .layer(middleware::from_fn_with_state(gateway.clone(), observe))
        .with_state(gateway)
}

/// The answer for a path that has no route.
pub async fn no_route(request: Request) -> ApiError {
    ApiError::new(
        Code::NoRoute,
        format!("no route has the path {:?}", request.uri().path()),
    )
}

/// The answer for a method that a route does not take.
pub async fn no_method(request: Request) -> ApiError {
    let detail = format!(
        "{} is not a method of {:?}",
        request.method(),
        request.uri().path()
    );
    ApiError::new(Code::MethodNotAllowed, detail)
}

/// Bounds how many requests run at once and for how long. Health and metrics
/// must answer on a node that is full.
async fn limit(State(gateway): State<Shared>, request: Request, next: Next) -> Response {
    let route = route_of(&request);
    if ["/health", "/livez", "/ready", "/metrics"]
        .iter()
        .any(|free| route.starts_with(free))
    {
        return next.run(request).await;
    }
    let Ok(_permit) = Arc::clone(&gateway.requests).try_acquire_owned() else {
        let detail = format!("{} requests are open", gateway.limits.requests_max);
        return ApiError::new(Code::Busy, detail).into_response();
    };
    if STREAMS.iter().any(|stream| route.ends_with(stream)) || route.contains("/kv/") {
        return next.run(request).await;
    }
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    match tokio::time::timeout(gateway.limits.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) if reads => {
            ApiError::new(Code::Timeout, "the request took too long").into_response()
        }
        Err(_) => {
            let detail = "it is unknown whether the change happened: the request took too long";
            ApiError::new(Code::OutcomeUnknown, detail).into_response()
        }
    }
}

/// Names the request, renders errors, counts and logs.
async fn observe(State(gateway): State<Shared>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&request);
    let route = route_of(&request);
    let method = request.method().clone();
    request.extensions_mut().insert(id.clone());
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        if error.code == Code::Internal {
            tracing::error!(
                request_id = id.0,
                route,
                detail = error.detail,
                "internal error"
            );
        }
        let kept = std::mem::take(response.headers_mut());
        response = error.render(&id.0);
        response.headers_mut().extend(
            kept.into_iter()
                .filter_map(|(name, value)| Some((name?, value)))
                .filter(|(name, _)| {
                    // What the handler said beside the error; the body's own headers are new.
                    name != axum::http::header::CONTENT_TYPE
                        && name != axum::http::header::CONTENT_LENGTH
                }),
        );
    }
    let node = gateway.backend.health().node.to_string();
    let headers = response.headers_mut();
    headers.insert(
        REQUEST_ID,
        HeaderValue::from_str(&id.0).expect("checked when it was taken"),
    );
    headers.insert(
        NODE,
        HeaderValue::from_str(&node).expect("hexadecimal digits"),
    );
    let status = response.status().as_u16();
    gateway
        .http
        .record(&route, &method, status, started.elapsed());
    tracing::debug!(request_id = id.0, %method, route, status, "request");
    response
}

/// The id of a request.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// The client's own id if it is short and plain, else a new one.
fn request_id(request: &Request) -> RequestId {
    let given = request
        .headers()
        .get(REQUEST_ID)
        .or_else(|| request.headers().get("x-request-id"));
    let plain = |text: &&str| {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if let Some(given) = given.and_then(|value| value.to_str().ok()).filter(plain) {
        return RequestId(given.to_owned());
    }
    RequestId(super::extract::random_hex())
}

/// The route's pattern: paths themselves would be labels without bound.
fn route_of(request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned())
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = text, "a handler panicked");
    ApiError::new(
        Code::Internal,
        "a handler panicked; the log has the message",
    )
    .into_response()
}
