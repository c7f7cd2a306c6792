//! What handlers share, and requests to the node with bounded retries.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use decube_core::cluster::{Consistency, Request, Response};
use decube_core::kv::{Answer, Found, Op, Outcome, Pair, Query};
use decube_core::raft::Refusal;
use decube_core::replica::Command;
use decube_core::types::{LogId, Revision};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::DelegatedSigner;
use super::error::{ApiError, ApiResult, Code};
use super::metrics::HttpMetrics;
use crate::backend::{Backend, Gone};
use crate::blobs::ReplicatedBlobs;

/// The first pause before a refused request is asked again.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest.
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(200);

/// What users may ask of one node at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiLimits {
    /// Requests.
    pub requests_max: usize,
    /// Bodies received.
    pub uploads_max: usize,
    /// Watches.
    pub watches_max: usize,
    /// Bytes of a JSON body.
    pub json_bytes_max: usize,
    /// Bytes of an object.
    pub object_bytes_max: u64,
    /// How long a request may take that neither streams nor watches.
    pub request_timeout: Duration,
    /// How long a body may stand still.
    pub idle_timeout: Duration,
    /// How long a refused request is asked again before the client is told.
    pub retry_for: Duration,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            requests_max: 1024,
            uploads_max: 32,
            watches_max: 1024,
            json_bytes_max: 10 << 20,
            object_bytes_max: 1 << 40,
            request_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            retry_for: Duration::from_secs(3),
        }
    }
}

/// Names of this node for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// `node.name`.
    pub name: String,
    /// `cluster.id`.
    pub cluster: String,
    /// Where its API listens.
    pub address: String,
    /// How its ledger began, if it takes part in one.
    pub genesis: Option<String>,
}

/// What handlers share.
pub struct Gateway {
    /// The node.
    pub backend: Arc<dyn Backend>,
    /// Segments.
    pub blobs: ReplicatedBlobs,
    pub limits: ApiLimits,
    /// The names.
    pub info: NodeInfo,
    /// Signs what clients submit unsigned, if the node has an account.
    pub delegated_signer: Option<DelegatedSigner>,
    pub(super) http: HttpMetrics,
    pub(super) requests: Arc<Semaphore>,
    pub(super) uploads: Arc<Semaphore>,
    pub(super) watches: Arc<Semaphore>,
    pub(super) started: Instant,
    pub(super) stopping: tokio::sync::watch::Sender<bool>,
}

impl Gateway {
    /// A gateway to a node. Must be called inside of the async runtime.
    pub fn new(
        backend: Arc<dyn Backend>,
        blobs: ReplicatedBlobs,
        limits: ApiLimits,
        info: NodeInfo,
        delegated_signer: Option<DelegatedSigner>,
    ) -> Arc<Self> {
        Arc::new(Self {
            delegated_signer,
            backend,
            blobs,
            info,
            http: HttpMetrics::default(),
            requests: Arc::new(Semaphore::new(limits.requests_max)),
            uploads: Arc::new(Semaphore::new(limits.uploads_max)),
            watches: Arc::new(Semaphore::new(limits.watches_max)),
            started: Instant::now(),
            stopping: tokio::sync::watch::Sender::new(false),
            limits,
        })
    }

    /// From now on the node answers that it is not ready, and watches end.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Asks the node. A refusal means that nothing happened, so the request is
    /// asked again for a short time: an election takes less than that.
    pub(super) async fn ask(&self, request: Request) -> ApiResult<Response> {
        let deadline = Instant::now() + self.limits.retry_for;
        let mut pause = RETRY_PAUSE_MIN;
        loop {
            let refusal = match self.backend.request(request.clone()).await {
                Ok(Response::Refused(refusal)) => refusal,
                Ok(Response::Unknown) => return Err(unknown(&request)),
                Ok(response) => return Ok(response),
                Err(Gone) => return Err(unknown(&request)),
            };
            let error = refused(refusal);
            let soon = matches!(error.code, Code::NoLeader | Code::Busy);
            if !soon || Instant::now() + pause >= deadline {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_PAUSE_MAX);
        }
    }

    /// Commits a command; its place in the log and how it ended.
    pub(super) async fn write(&self, command: Command) -> ApiResult<(LogId, Outcome)> {
        match self.ask(Request::Write(command)).await? {
            Response::Written { at, outcome } => Ok((at, outcome)),
            other => Err(unexpected(&other)),
        }
    }

    /// Commits one change.
    pub(super) async fn change(&self, op: Op) -> ApiResult<(LogId, Outcome)> {
        self.write(Command::Once { op }).await
    }

    /// Reads.
    pub(super) async fn read(&self, query: Query, consistency: Consistency) -> ApiResult<Answer> {
        match self.ask(Request::Read { query, consistency }).await? {
            Response::Read(answer) => Ok(answer),
            other => Err(unexpected(&other)),
        }
    }

    /// One key.
    pub(super) async fn pair(
        &self,
        key: Bytes,
        consistency: Consistency,
    ) -> ApiResult<(Revision, Option<Pair>)> {
        let answer = self.read(Query::Get { key }, consistency).await?;
        match answer.found {
            Found::One(pair) => Ok((answer.revision, pair)),
            other => Err(ApiError::new(
                Code::Internal,
                format!("asked for a key, got {other:?}"),
            )),
        }
    }

    /// One page of keys.
    pub(super) async fn page(
        &self,
        from: Bytes,
        to: Option<Bytes>,
        limit: u32,
        keys_only: bool,
        consistency: Consistency,
    ) -> ApiResult<Page> {
        let query = Query::Range {
            from,
            to,
            limit,
            keys_only,
        };
        let answer = self.read(query, consistency).await?;
        match answer.found {
            Found::Many { pairs, next } => Ok(Page {
                revision: answer.revision,
                pairs,
                next,
            }),
            other => Err(ApiError::new(
                Code::Internal,
                format!("asked for a range, got {other:?}"),
            )),
        }
    }
}

/// A page of a range.
pub(super) struct Page {
    pub revision: Revision,
    pub pairs: Vec<Pair>,
    pub next: Option<Bytes>,
}

/// The error of a refusal that did not go away.
fn refused(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::NotLeader { leader } => ApiError::no_leader(leader),
        Refusal::NotReady | Refusal::Transferring => ApiError::no_leader(None),
        Refusal::Busy => ApiError::new(Code::Busy, "the queue of the leader stayed full"),
        Refusal::TooLarge => ApiError::new(
            Code::BodyTooLarge,
            format!(
                "a change takes at most {} bytes",
                decube_core::limits::ENTRY_BYTES_MAX
            ),
        ),
        Refusal::ChangeInProgress => ApiError::new(
            Code::ChangeInProgress,
            "another membership change is not complete",
        ),
        Refusal::InvalidMembership { rule } => {
            ApiError::invalid(format!("this membership is not allowed: {}", rule.text()))
        }
        Refusal::NotCaughtUp { node } => ApiError::new(
            Code::ChangeInProgress,
            format!("node {node} has not caught up; make it a learner and try again later"),
        ),
        Refusal::Unavailable => ApiError::new(
            Code::Unavailable,
            "the node is starting, repairing its log, stopping, or has halted",
        ),
        Refusal::HeadUnsigned => ApiError::new(
            Code::NoMajority,
            "too few voters signed the head of this node's log in time",
        ),
        Refusal::LacksModule { node, module } => ApiError::new(
            Code::ChangeInProgress,
            format!("the version of node {node} does not have module {module}; update it first"),
        ),
        Refusal::SilentOnModule { node, module } => ApiError::new(
            Code::ChangeInProgress,
            format!("node {node} has not said whether it has module {module}; try again later"),
        ),
    }
}

fn unknown(request: &Request) -> ApiError {
    match request {
        Request::Read { .. }
        | Request::Status
        | Request::Watch { .. }
        | Request::LogHead
        | Request::ProveLog { .. } => {
            ApiError::new(Code::Timeout, "the node did not answer in time")
        }
        _ => ApiError::new(
            Code::OutcomeUnknown,
            "it is unknown whether the change happened: no answer came in time",
        ),
    }
}

fn unexpected(response: &Response) -> ApiError {
    ApiError::new(
        Code::Internal,
        format!("the node gave an answer of another kind: {response:?}"),
    )
}

/// The error of an outcome that changed nothing; `Ok` for all others.
pub(super) fn check(outcome: Outcome) -> ApiResult<Outcome> {
    let error = match outcome {
        Outcome::ConditionFailed { revision, .. } => {
            let error = ApiError::new(Code::PreconditionFailed, "the condition does not hold");
            match revision {
                Some(revision) => error.with("revision", revision.0),
                None => error.with("exists", false),
            }
        }
        Outcome::NoSession => ApiError::new(Code::NoSession, "there is no such session"),
        Outcome::AnswerGone => ApiError::new(Code::AnswerGone, "this answer is not kept any more"),
        Outcome::NoLease => ApiError::new(Code::NoLease, "there is no such lease"),
        Outcome::LockHeld { token } => {
            ApiError::new(Code::LockHeld, "another lease holds the lock").with("token", token.0)
        }
        Outcome::LockNotHeld => {
            ApiError::new(Code::LockNotHeld, "the lock is not held with this token")
        }
        Outcome::LimitExceeded { limit } => ApiError::new(
            Code::StateLimit,
            format!("a limit would be passed: {limit}"),
        ),
        Outcome::Invalid { rule } => ApiError::invalid(format!("a rule would be broken: {rule}")),
        Outcome::ModuleOff { module } => ApiError::invalid(format!(
            "module {module} is not switched on in this cluster"
        )),
        changed => return Ok(changed),
    };
    Err(error)
}
