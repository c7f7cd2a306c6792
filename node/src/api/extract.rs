//! What handlers take from requests, with our errors instead of the framework's.

use std::collections::BTreeMap;

use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use decube_core::cluster::Consistency;
use decube_core::kv::{Condition, Op};
use decube_core::replica::{Command, SessionId};
use decube_core::types::{NodeId, Revision};
use http_body_util::BodyExt;
use serde_json::Value;

use super::Shared;
use super::error::{ApiError, ApiResult, Code};

/// Bytes of an id.
pub const ID_BYTES_MAX: usize = 255;

/// The captured parts of the path, decoded.
pub struct Captured(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Captured {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(text)| Self(text))
            .map_err(|_| ApiError::new(Code::InvalidId, "the path is not valid UTF-8"))
    }
}

/// Two captured parts of the path.
pub struct CapturedPair(pub String, pub String);

impl<S: Send + Sync> FromRequestParts<S> for CapturedPair {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        path.map(|Path((first, second))| Self(first, second))
            .map_err(|_| ApiError::new(Code::InvalidId, "the path is not valid UTF-8"))
    }
}

/// The parameters of the query string, each at most once.
pub struct Params(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(pairs) = pairs.map_err(|_| ApiError::invalid("the query string is not valid"))?;
        let mut params = BTreeMap::new();
        for (name, value) in pairs {
            if params.contains_key(&name) {
                return Err(ApiError::invalid(format!(
                    "the parameter {name:?} is given twice"
                )));
            }
            params.insert(name, value);
        }
        Ok(Self(params))
    }
}

impl Params {
    /// Takes a parameter out.
    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Takes a number out, which must be at least `min`; above `max` it is `max`.
    pub fn number(&mut self, name: &str, min: u64, max: u64, default: u64) -> ApiResult<u64> {
        let Some(text) = self.take(name) else {
            return Ok(default);
        };
        let number: Option<u64> = text.parse().ok();
        match number.filter(|number| *number >= min) {
            Some(number) => Ok(number.min(max)),
            None => Err(ApiError::invalid(format!(
                "{name} must be a whole number from {min}, found {text:?}"
            ))),
        }
    }

    /// Takes a yes or no out; the bare name is a yes.
    pub fn flag(&mut self, name: &str) -> ApiResult<bool> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("" | "true") => Ok(true),
            Some(other) => Err(ApiError::invalid(format!(
                "{name} must be true or false, found {other:?}"
            ))),
        }
    }

    /// Takes `consistency` out.
    pub fn consistency(&mut self) -> ApiResult<Consistency> {
        match self.take("consistency").as_deref() {
            None | Some("linearizable") => Ok(Consistency::Linearizable),
            Some("stale") => Ok(Consistency::Stale),
            Some(other) => Err(ApiError::invalid(format!(
                "consistency must be linearizable or stale, found {other:?}"
            ))),
        }
    }

    /// Refuses what is left: a misspelt parameter must not be passed over.
    pub fn done(self) -> ApiResult<()> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(ApiError::invalid(format!("unknown parameter {name:?}"))),
        }
    }

    /// What is left.
    pub fn rest(self) -> BTreeMap<String, String> {
        self.0
    }
}

/// A JSON object of bounded size.
pub struct JsonObject(pub serde_json::Map<String, Value>);

impl FromRequest<Shared> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, gateway: &Shared) -> ApiResult<Self> {
        let bytes = collect(request, gateway, gateway.limits.json_bytes_max).await?;
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(_) => Err(ApiError::invalid("the body must be a JSON object")),
            Err(error) => Err(ApiError::invalid(format!(
                "the body is not valid JSON: {error}"
            ))),
        }
    }
}

impl JsonObject {
    /// A text field that must be there.
    pub fn text(&self, name: &str) -> ApiResult<&str> {
        let text = self.0.get(name).and_then(Value::as_str);
        text.ok_or_else(|| ApiError::invalid(format!("the body needs the text {name:?}")))
    }
}

/// Reads a whole body of at most `bytes_max` bytes. Nothing is allocated for what
/// was only announced.
pub async fn collect(request: Request, gateway: &Shared, bytes_max: usize) -> ApiResult<Bytes> {
    let too_large = || {
        let detail = format!("this route takes at most {bytes_max} bytes");
        ApiError::new(Code::BodyTooLarge, detail)
    };
    if content_length(request.headers()).is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large());
    }
    let mut body = request.into_body();
    let mut bytes = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(gateway.limits.idle_timeout, body.frame()).await;
        let frame =
            frame.map_err(|_| ApiError::new(Code::BodyIncomplete, "the body stood still"))?;
        let Some(frame) = frame else {
            return Ok(bytes.freeze());
        };
        let frame =
            frame.map_err(|error| ApiError::new(Code::BodyIncomplete, error.to_string()))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > bytes_max {
            return Err(too_large());
        }
        bytes.extend_from_slice(&data);
    }
}

/// The announced length of the body.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// An id of a catalog entry or an object.
pub fn check_id(id: &str) -> ApiResult<()> {
    let refusal = if id.is_empty() {
        "it is empty"
    } else if id.len() > ID_BYTES_MAX {
        "it is longer than 255 bytes"
    } else if id.contains('/') {
        "it contains '/'"
    } else if id.contains(':') {
        "it contains ':', which separates the parts of catalog keys"
    } else if id.chars().any(char::is_control) {
        "it contains a control character"
    } else {
        return Ok(());
    };
    Err(ApiError::new(
        Code::InvalidId,
        format!("the id {id:?} cannot be used: {refusal}"),
    ))
}

/// A node id.
pub fn node_id(text: &str) -> ApiResult<NodeId> {
    let id = crate::config::node_id(text);
    id.map_err(|reason| ApiError::new(Code::InvalidId, format!("a node id {reason}")))
}

/// A number that names a session, lease or token.
pub fn number(text: &str, what: &str) -> ApiResult<u64> {
    text.parse().map_err(|_| {
        ApiError::new(
            Code::InvalidId,
            format!("{what} must be a number, found {text:?}"),
        )
    })
}

/// The condition that `If-Match` and `If-None-Match` put on a revision.
pub fn condition(headers: &HeaderMap) -> ApiResult<Condition> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text(header::IF_MATCH), text(header::IF_NONE_MATCH)) {
        (None, None) => Ok(Condition::Always),
        (Some("*"), None) => Ok(Condition::Exists),
        (None, Some("*")) => Ok(Condition::Absent),
        (Some(tag), None) => {
            let revision = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
            let revision = revision.and_then(|revision| revision.parse().ok());
            let revision = revision.ok_or_else(|| {
                ApiError::invalid(format!(
                    "If-Match must be one quoted revision or *, found {tag}"
                ))
            })?;
            Ok(Condition::Revision(Revision(revision)))
        }
        (None, Some(_)) => Err(ApiError::invalid(
            "a write takes If-None-Match: * and no other",
        )),
        (Some(_), Some(_)) => Err(ApiError::invalid(
            "a write takes If-Match or If-None-Match, not both",
        )),
    }
}

/// The command of a change: in the session that the headers name, else once.
pub fn command(headers: &HeaderMap, op: Op) -> ApiResult<Command> {
    let field = |name: &str| match headers.get(name) {
        None => Ok(None),
        Some(value) => number(value.to_str().unwrap_or("?"), name).map(Some),
    };
    match (field("decube-session")?, field("decube-sequence")?) {
        (None, None) => Ok(Command::Once { op }),
        (Some(session), Some(sequence)) if sequence > 0 => Ok(Command::InSession {
            session: SessionId(session),
            sequence,
            answered_upto: field("decube-answered-upto")?.unwrap_or(0),
            op,
        }),
        _ => Err(ApiError::invalid(
            "decube-session and decube-sequence (from 1) go together",
        )),
    }
}

/// 128 random bits in hexadecimal digits.
pub fn random_hex() -> String {
    format!("{:032x}", random())
}

/// 128 random bits.
pub fn random() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system has random bytes");
    u128::from_be_bytes(bytes)
}
