//! What a log entry can ask of the state, whatever the modules are.

use super::module::Module;
use super::modules::Installed;
use crate::codec::{Decode, DecodeError, Encode};
use crate::types::{ModuleId, Span};

/// A client session: the index of the log entry that opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct SessionId(pub u64);

/// Wall-clock time as the log knows it: nanoseconds since the Unix epoch, as
/// stamped by the leader that proposed the entry, and never decreasing from one
/// entry to the next. The only time that the state machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct LogTime(pub u64);

/// The content of an `App` entry.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Envelope<O = <Installed as Module>::Op> {
    /// The proposer's clock. The state machine takes the maximum with the last.
    pub proposed_at: LogTime,
    /// What to do.
    pub command: Command<O>,
}

/// What a log entry can ask of the state. `O` is what the modules can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Command<O = <Installed as Module>::Op> {
    /// Opens a session that ends when unused for `ttl` of log time. `nonce` is
    /// random, chosen by the client: opening twice with the same nonce gives the
    /// same session, so that opening can be retried as well.
    #[codec(tag = 0)]
    OpenSession {
        /// Chosen by the client.
        nonce: u128,
        /// How long the session outlives its last use.
        ttl: Span,
    },
    /// Ends a session.
    #[codec(tag = 1)]
    CloseSession { session: SessionId },
    /// Changes the state exactly once, however often the entry is repeated.
    #[codec(tag = 2)]
    InSession {
        session: SessionId,
        /// Counts the session's changes from 1. A repeated number gives the
        /// first answer again.
        sequence: u64,
        /// Every number up to this has been answered and its answer may go.
        answered_upto: u64,
        /// The change.
        op: O,
    },
    /// Changes the state once per entry: a client that retries may do it twice.
    #[codec(tag = 3)]
    Once {
        /// The change.
        op: O,
    },
    /// Lets log time pass, so that leases and sessions expire.
    #[codec(tag = 4)]
    Tick,
    /// Switches a module on, for good. Whoever proposes it sees to it that every voter
    /// has the module, for one that has not halts at this entry.
    #[codec(tag = 5)]
    Enable { module: ModuleId },
}

/// What the state itself answers, whatever the modules are. The outcomes of a
/// module can say all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The session is open.
    SessionOpened(SessionId),
    /// The session is closed.
    SessionClosed,
    /// Log time has passed.
    Ticked,
    /// The module is on, by this command or before it.
    ModuleOn {
        /// Which.
        module: ModuleId,
    },
    /// Refused, nothing changed: the module that was asked is not on.
    ModuleOff {
        /// Which.
        module: ModuleId,
    },
    /// Refused, nothing changed: no such session; it expired or never was.
    NoSession,
    /// Refused: this answer was confirmed as received and is gone.
    AnswerGone,
    /// Refused, nothing changed: a limit would be passed.
    LimitExceeded {
        /// Which.
        limit: &'static str,
    },
    /// Refused, nothing changed: the command breaks a rule.
    Invalid {
        /// Which.
        rule: &'static str,
    },
}

/// Whether a command does not decode because it says something that this version
/// does not know. Commands get into the log as they were encoded by a node of the
/// cluster, so that node is of a newer version.
pub const fn is_of_newer_version(error: &DecodeError) -> bool {
    matches!(error, DecodeError::UnknownTag { .. })
}
