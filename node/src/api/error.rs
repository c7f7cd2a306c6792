//! Every error of the API in one enum: its code, its status, whether it may be
//! retried, and the page that explains it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use decube_core::types::NodeId;
use serde_json::{Map, Value, json};

/// What went wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// The request is not well formed.
    InvalidRequest,
    /// An id or a key cannot be used.
    InvalidId,
    /// The query `q` is not well formed.
    InvalidQuery,
    /// The body is larger than this route takes.
    BodyTooLarge,
    /// A limit of the cluster's state would be passed.
    StateLimit,
    /// There is no such thing.
    NotFound,
    /// There is no such route.
    NoRoute,
    /// The route does not know the method.
    MethodNotAllowed,
    /// It exists already.
    AlreadyExists,
    /// A condition of the request does not hold.
    PreconditionFailed,
    /// The range lies outside of the content.
    RangeNotSatisfiable,
    /// The bytes do not have the hash they were announced under.
    HashMismatch,
    /// The body came to an end before its announced length, or stood still.
    BodyIncomplete,
    /// No such session: it expired or never was.
    NoSession,
    /// This answer was confirmed as received and is gone.
    AnswerGone,
    /// No such lease: it ended or never was.
    NoLease,
    /// Another lease holds the lock.
    LockHeld,
    /// The lock is not held with this token.
    LockNotHeld,
    /// The history that a watch needs is gone.
    Compacted,
    /// Too many requests of this kind are open.
    TooMany,
    /// The cluster has no leader that can be reached.
    NoLeader,
    /// The leader has more work than it can queue.
    Busy,
    /// The node is starting, repairing itself, stopping, or has halted.
    Unavailable,
    /// A membership change is already in progress.
    ChangeInProgress,
    /// The entry is not in the log any more.
    LogCompacted,
    /// The entry is not applied yet.
    NotApplied,
    /// No majority of the voters signed.
    NoMajority,
    /// The keys of some voters are not known yet.
    VotersUnknown,
    /// The ledger does not take this transaction.
    TxRejected,
    /// Too many transactions wait for a block.
    LedgerFull,
    /// The transaction was not final in time.
    LedgerNotFinal,
    /// The block is final, and its transactions are not kept here.
    LedgerPruned,
    /// The node does not serve the ledger.
    LedgerUnavailable,
    /// Too few members could take a copy.
    TooFewCopies,
    /// The disk is full.
    NoSpace,
    /// Stored bytes are damaged and no member has them intact.
    Damaged,
    /// Nobody knows whether the request was carried out.
    OutcomeUnknown,
    /// A read took too long.
    Timeout,
    /// A defect of this program.
    Internal,
}

/// What is fixed about a [`Code`].
#[derive(Debug, Clone, Copy)]
pub struct About {
    pub code: Code,
    /// The page, `/errors/<slug>`, and the code as programs read it.
    pub slug: &'static str,
    /// The HTTP status.
    pub status: StatusCode,
    /// The word of the upstream error body.
    pub word: &'static str,
    /// Whether the same request may be sent again and can then succeed.
    pub retry_after_ms: Option<u64>,
    /// What it means and what to do.
    pub about: &'static str,
}

const fn about(
    code: Code,
    slug: &'static str,
    status: StatusCode,
    word: &'static str,
    retry_after_ms: Option<u64>,
    about: &'static str,
) -> About {
    About {
        code,
        slug,
        status,
        word,
        retry_after_ms,
        about,
    }
}

/// The table of errors, one row for each [`Code`] in the same order.
#[rustfmt::skip]
pub const ERRORS: &[About] = &[
    about(Code::InvalidRequest, "request/invalid", StatusCode::BAD_REQUEST, "INVALID_REQUEST", None,
        "The request is not well formed. Correct it; sending it again changes nothing."),
    about(Code::InvalidId, "request/invalid-id", StatusCode::BAD_REQUEST, "INVALID_REQUEST", None,
        "Ids are 1 to 255 bytes of text without '/', ':' and control characters. Keys are 1 to 4093 bytes of text."),
    about(Code::InvalidQuery, "catalog/invalid-query", StatusCode::BAD_REQUEST, "INVALID_REQUEST", None,
        "A query is made of comparisons like cluster=a, size>1GB or id=snap*, joined by AND, OR, NOT and parentheses."),
    about(Code::BodyTooLarge, "request/too-large", StatusCode::PAYLOAD_TOO_LARGE, "INVALID_REQUEST", None,
        "The body is larger than this route takes. Objects of any size go to PUT /storage/objects/{id}."),
    about(Code::StateLimit, "state/limit", StatusCode::PAYLOAD_TOO_LARGE, "INVALID_REQUEST", None,
        "A limit of the replicated state would be passed. Nothing was changed."),
    about(Code::NotFound, "not-found", StatusCode::NOT_FOUND, "NOT_FOUND", None,
        "There is nothing under this id, as of this request."),
    about(Code::NoRoute, "no-route", StatusCode::NOT_FOUND, "NOT_FOUND", None,
        "No route has this path."),
    about(Code::MethodNotAllowed, "method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "INVALID_REQUEST", None,
        "The path exists and does not take this method."),
    about(Code::AlreadyExists, "already-exists", StatusCode::CONFLICT, "CONFLICT", None,
        "There is something under this id already. Nothing was changed."),
    about(Code::PreconditionFailed, "precondition-failed", StatusCode::PRECONDITION_FAILED, "CONFLICT", None,
        "If-Match or If-None-Match does not hold. Nothing was changed. Read again and decide again."),
    about(Code::RangeNotSatisfiable, "range-not-satisfiable", StatusCode::RANGE_NOT_SATISFIABLE,
        "INVALID_REQUEST", None,
        "The range begins behind the end of the content."),
    about(Code::HashMismatch, "storage/hash-mismatch", StatusCode::UNPROCESSABLE_ENTITY, "INVALID_REQUEST", None,
        "The bytes do not have the hash they were announced under. Nothing was stored."),
    about(Code::BodyIncomplete, "request/incomplete", StatusCode::BAD_REQUEST, "INVALID_REQUEST", None,
        "The body ended too early or stood still for too long. Nothing was stored; send it again."),
    about(Code::NoSession, "session/unknown", StatusCode::GONE, "NOT_FOUND", None,
        "The session expired or never was. Whether its last unanswered change happened cannot be told from this answer."),
    about(Code::AnswerGone, "session/answer-gone", StatusCode::CONFLICT, "CONFLICT", None,
        "The client confirmed this answer as received before; it is not kept any more."),
    about(Code::NoLease, "lease/unknown", StatusCode::NOT_FOUND, "NOT_FOUND", None,
        "The lease ended or never was. Nothing was changed."),
    about(Code::LockHeld, "lock/held", StatusCode::CONFLICT, "CONFLICT", None,
        "Another lease holds the lock. Watch or try again later."),
    about(Code::LockNotHeld, "lock/not-held", StatusCode::CONFLICT, "CONFLICT", None,
        "The lock is not held with this token. Nothing was changed."),
    about(Code::Compacted, "watch/compacted", StatusCode::GONE, "NOT_FOUND", None,
        "The history since that revision is gone. List the keys and watch from the revision of the list."),
    about(Code::TooMany, "request/too-many", StatusCode::TOO_MANY_REQUESTS, "RATE_LIMIT_EXCEEDED", Some(1000),
        "This node has as many requests of this kind as it takes. Nothing was done; try again or ask another node."),
    about(Code::NoLeader, "raft/no-leader", StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", Some(500),
        "The cluster has no leader that this node can reach. Nothing was done; try again or ask another node."),
    about(Code::Busy, "raft/busy", StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", Some(500),
        "The node has more work than it can queue. Nothing was done; try again later."),
    about(Code::Unavailable, "node/unavailable", StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", Some(1000),
        "This node is starting, repairing itself, stopping, or has halted. Nothing was done; ask another node."),
    about(Code::ChangeInProgress, "raft/change-in-progress", StatusCode::CONFLICT, "CONFLICT", Some(1000),
        "A membership change is in progress. Nothing was done; try again when it is complete."),
    about(Code::LogCompacted, "log/compacted", StatusCode::GONE, "NOT_FOUND", None,
        "The log does not hold this entry any more, so it cannot be proven here. Another node may keep more of the log; fetch proofs soon after the write."),
    about(Code::NotApplied, "log/not-applied", StatusCode::NOT_FOUND, "NOT_FOUND", Some(500),
        "This node has not applied this entry: it follows more slowly, or there is no such entry. Try again or ask the node that took the write."),
    about(Code::NoMajority, "log/no-majority", StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", Some(1000),
        "No majority of the voters signed what this node has applied. Are enough of them running? Try again or ask another node."),
    about(Code::VotersUnknown, "log/voters-unknown", StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", Some(1000),
        "This node has not met all voters since it started. Start the ones that are named, try again, or ask another node."),
    about(Code::TxRejected, "ledger/tx-rejected", StatusCode::UNPROCESSABLE_ENTITY, "INVALID_REQUEST", None,
        "The ledger does not take this transaction, and nothing of it happened. `reason` says why: a used sequence, a bad signature, another ledger. Sign it again and hand it in again."),
    about(Code::LedgerFull, "ledger/full", StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", Some(1000),
        "Too many transactions wait for a block, or they come too fast: those of all, of this account or of this cluster; `reason` says which. Nothing was taken; try again after Retry-After."),
    about(Code::LedgerNotFinal, "ledger/not-final", StatusCode::GATEWAY_TIMEOUT, "TIMEOUT", Some(1000),
        "The transaction was taken and is not final yet. Ask for its hash, or submit the same bytes again: it happens at most once. If this lasts, more than a third of the validators cannot be reached."),
    about(Code::LedgerPruned, "ledger/pruned", StatusCode::GONE, "NOT_FOUND", None,
        "The block is final, and this node keeps the transactions of later blocks only: those from `base` on (gcl.retain_blocks). Of earlier ones it keeps headers, the places and outcomes of operations, the tree over all blocks and how epochs handed over. Ask a node that keeps all blocks."),
    about(Code::LedgerUnavailable, "ledger/unavailable", StatusCode::SERVICE_UNAVAILABLE,
        "SERVICE_UNAVAILABLE", Some(1000),
        "This node does not serve the ledger: it starts, it has halted, or gcl.genesis is not set. Ask another node, and look into this one's log."),
    about(Code::TooFewCopies, "storage/too-few-copies", StatusCode::SERVICE_UNAVAILABLE,
        "SERVICE_UNAVAILABLE", Some(1000),
        "Too few members could take a copy of the bytes, so the write is not acknowledged. It can be sent again."),
    about(Code::NoSpace, "storage/no-space", StatusCode::INSUFFICIENT_STORAGE, "SERVICE_UNAVAILABLE", None,
        "The disk of this node is too full. Nothing was stored."),
    about(Code::Damaged, "storage/damaged", StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", None,
        "Stored bytes do not have their hash any more and no member that can be reached has them intact. They are never served."),
    about(Code::OutcomeUnknown, "outcome-unknown", StatusCode::GATEWAY_TIMEOUT, "SERVICE_UNAVAILABLE", None,
        "No answer came in time. The change may have happened, or may still happen. Read to find out, use conditions, or write in a session so that a retry is safe."),
    about(Code::Timeout, "timeout", StatusCode::GATEWAY_TIMEOUT, "SERVICE_UNAVAILABLE", Some(500),
        "The read took too long. It changed nothing and may be sent again."),
    about(Code::Internal, "internal", StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", None,
        "A defect of this program; the log of the node has the details under the request id."),
];

impl Code {
    /// What is fixed about it.
    pub fn about(self) -> &'static About {
        ERRORS
            .iter()
            .find(|about| about.code == self)
            .expect("the table has every code")
    }
}

/// An error with its particulars.
#[derive(Debug, Clone)]
pub struct ApiError {
    /// What went wrong, for programs.
    pub code: Code,
    /// What went wrong this time, for people.
    pub detail: String,
    /// More, for programs.
    pub details: Map<String, Value>,
    /// When to try again, if that is known better than by the code.
    retry_after_ms: Option<u64>,
}

/// The result of a handler.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// An error with its own words.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            details: Map::new(),
            retry_after_ms: None,
        }
    }

    /// The same, to be tried again after this time.
    #[must_use]
    pub const fn retry_after_ms(mut self, retry_after_ms: u64) -> Self {
        self.retry_after_ms = Some(retry_after_ms);
        self
    }

    /// When the same request may be sent again, if ever.
    fn retries(&self) -> Option<u64> {
        self.retry_after_ms.or(self.code.about().retry_after_ms)
    }

    /// The same with one more particular.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    /// A thing that does not exist.
    pub fn not_found(what: &str, id: &str) -> Self {
        Self::new(Code::NotFound, format!("there is no {what} {id:?}"))
    }

    /// A request that is not well formed.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, detail)
    }

    /// The cluster has no leader, as far as known.
    pub fn no_leader(leader: Option<NodeId>) -> Self {
        let error = Self::new(
            Code::NoLeader,
            "no leader answered within the time for retries",
        );
        match leader {
            Some(leader) => error.with("leader", leader.to_string()),
            None => error,
        }
    }

    /// The problem document: RFC 9457, with the error object of upstream inside.
    pub fn problem(&self, request_id: &str) -> Value {
        let about = self.code.about();
        let mut document = json!({
            "type": format!("/errors/{}", about.slug),
            "title": about.about,
            "status": about.status.as_u16(),
            "detail": self.detail,
            "code": about.slug,
            "retryable": self.retries().is_some(),
            "request_id": request_id,
            "error": {
                "code": about.word,
                "message": self.detail,
                "details": self.details,
            },
        });
        if let Some(retry_after_ms) = self.retries() {
            document["retry_after_ms"] = retry_after_ms.into();
        }
        document
    }

    /// The response; `request_id` is in its body.
    pub fn render(&self, request_id: &str) -> Response {
        let about = self.code.about();
        let body = self.problem(request_id).to_string();
        let problem = HeaderValue::from_static("application/problem+json");
        let mut response = (about.status, [(header::CONTENT_TYPE, problem)], body).into_response();
        if let Some(retry_after_ms) = self.retries() {
            let seconds = retry_after_ms.div_ceil(1000);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl IntoResponse for ApiError {
    /// Only marks the response: the outermost layer knows the request id and
    /// renders the document.
    fn into_response(self) -> Response {
        let mut response = self.code.about().status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}
