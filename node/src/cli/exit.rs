//! How a command ends.

use std::fmt;

use serde_json::Value;

/// Done.
pub const DONE: u8 = 0;
/// Failed, and no other code fits.
pub const FAILED: u8 = 1;
/// Wrong arguments or configuration.
pub const USAGE: u8 = 2;
/// There is no such thing.
pub const NOT_FOUND: u8 = 3;
/// A condition does not hold, or it exists already.
pub const CONFLICT: u8 = 4;
/// Not allowed.
pub const FORBIDDEN: u8 = 5;
/// The cluster cannot be reached or did not answer; may be retried.
pub const UNAVAILABLE: u8 = 6;
/// Bytes are not what they must be.
pub const INTEGRITY: u8 = 7;
/// The simulator found something.
pub const FINDINGS: u8 = 8;
/// A snapshot lacks files that could not be stored.
pub const INCOMPLETE: u8 = 9;
/// Interrupted.
pub const INTERRUPTED: u8 = 130;

/// The result of a command.
pub type Outcome = Result<(), Failure>;

/// Why a command failed: what, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// Why exactly, as a stable word of the API, where it tells.
    pub reason: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            reason: None,
        }
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The failure that a problem document of the API describes.
    pub fn of_problem(status: u16, body: &[u8]) -> Self {
        let problem: Value = serde_json::from_slice(body).unwrap_or_default();
        let code = problem["code"].as_str().unwrap_or_default();
        let exit = match (code, status) {
            ("storage/hash-mismatch" | "storage/damaged", _) => INTEGRITY,
            (_, 404) => NOT_FOUND,
            (_, 409 | 410 | 412) => CONFLICT,
            (_, 401 | 403) => FORBIDDEN,
            ("ledger/tx-rejected", _) => CONFLICT,
            (_, 429 | 503 | 504) => UNAVAILABLE,
            _ => FAILED,
        };
        let detail = problem["detail"].as_str().map(str::to_owned);
        let detail = detail.unwrap_or_else(|| format!("the node answered with status {status}"));
        let mut failure = Self::new(exit, detail);
        failure.reason = problem["reason"].as_str().map(str::to_owned);
        match problem["title"].as_str() {
            Some(title) => failure.hint(title),
            None => failure,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  {hint}"),
            None => Ok(()),
        }
    }
}
