//! Everybody who asks something of the nodes of a run: clients, watchers, operators.
//!
//! The world knows them as [`Actor`]s in a list; which there are stands where a run is put
//! together. An actor sees nodes as anybody at their doors does, and acts through its
//! [`Context`] alone. What it saw goes to a checker that it shares
//! ([`Shared`](crate::check::Shared)): an actor does not judge nodes beyond what it needs in
//! order to go on.
//!
//! | file | who |
//! |---|---|
//! | `kv/` | clients of the keys, leases and locks of a cluster |
//! | `watchers.rs` | who follows the changes of a cluster |
//! | `operators.rs` | who changes the members of a cluster |
//! | `ledger.rs` | clients of the ledger |
//! | `auditor.rs` | who checks receipts at the end |
//! | `governors.rs` | validators that change their set and its parameters |

pub mod auditor;
pub mod governors;
pub mod kv;
pub mod ledger;
pub mod operators;
pub mod watchers;

use decube_core::node::Response;
use decube_core::types::RequestId;

use crate::check::Finding;
use crate::config::LoadSettings;
use crate::subject::Subject;

pub use crate::world::Context;

/// How a request travels, and who hears the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Over the network there and back. It is answered in any case: by the node, by a
    /// refused connection, or by one that breaks.
    Remote,
    /// Over the network, by somebody who does not wait for the answer.
    Unheard,
    /// At the machine: it arrives and is answered in the same instant, by the node or
    /// never.
    Local,
    /// As at the machine, and answered in parts until it is cancelled.
    Stream,
}

/// How a call ended, as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The node answered.
    Answered(Box<Response>),
    /// Nobody listens there: nothing happened.
    NoConnection,
    /// The connection broke: nothing is known.
    Lost,
}

/// What the plan of faults wants of those who look after nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Other members, as two sets of numbers.
    Members {
        /// Who shall vote.
        voters: u64,
        /// Who shall learn.
        learners: u64,
    },
    /// Another leader.
    Leader {
        /// The slot that shall lead.
        slot: usize,
    },
    /// A new machine in the place of a wiped one.
    Replace {
        /// The slot of the wiped one.
        old: usize,
        /// The slot of the new one.
        new: usize,
    },
}

/// Somebody who asks something of nodes, or many of a kind.
///
/// Wakes and calls carry a token that only the actor understands. A hook that returns an
/// error ends the run.
pub trait Actor<S: Subject> {
    /// The run begins.
    fn begin(&mut self, _ctx: &mut Context<'_, S>) {}

    /// A time that it asked for has come.
    fn wake(&mut self, _ctx: &mut Context<'_, S>, _token: u64) -> Result<(), Finding> {
        Ok(())
    }

    /// A call has ended. Within the step of a node if it was made at the machine, so
    /// that nothing can be asked in the same instant.
    fn answered(
        &mut self,
        _ctx: &mut Context<'_, S>,
        _token: u64,
        _id: RequestId,
        _answer: Answer,
    ) -> Result<(), Finding> {
        Ok(())
    }

    /// A part of an answer came, within the step of a node.
    fn streamed(
        &mut self,
        _ctx: &mut Context<'_, S>,
        _token: u64,
        response: Response,
    ) -> Result<(), Finding> {
        Err(("answer-kind", format!("a stream of {response:?}")))
    }

    /// The plan of faults wants something of it.
    fn demanded(&mut self, _ctx: &mut Context<'_, S>, _demand: Demand) -> Result<(), Finding> {
        Ok(())
    }

    /// The faults are over, and these settings hold from now on.
    fn healed(&mut self, _calm: &LoadSettings) {}

    /// Everybody has everything: what it still wants to know.
    fn finish(&mut self, _ctx: &mut Context<'_, S>) {}

    /// What it still waits for after that; the run does not end well before it has it.
    fn waits_for(&self) -> Option<Finding> {
        None
    }

    /// The run is over: what was asked and not answered stays open.
    fn close(&mut self) {}

    /// How many operations each of them has completed. After the faults every one of
    /// these numbers has to rise.
    fn completed(&self) -> Vec<u64> {
        Vec::new()
    }

    /// What they have done, for the report.
    fn stats(&self) -> ActorStats {
        ActorStats::default()
    }

    /// What tells what they saw from what they saw in another run, if the digest of a run
    /// is to hold it.
    fn fingerprint(&self) -> Option<u64> {
        None
    }
}

/// What actors have done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ActorStats {
    /// Operations that ended with an answer.
    pub completed: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Calls without an answer.
    pub lost: u64,
    /// Calls repeated in a session after no answer came.
    pub repeated: u64,
}

impl ActorStats {
    /// Adds what others have done.
    pub const fn add(&mut self, other: &Self) {
        self.completed += other.completed;
        self.refused += other.refused;
        self.lost += other.lost;
        self.repeated += other.repeated;
    }
}

/// The number of a slot, client or the like in lists.
pub(crate) fn at(number: u64) -> usize {
    usize::try_from(number).expect("a small number")
}

/// The same as a number.
pub(crate) fn number(at: usize) -> u64 {
    u64::try_from(at).expect("a small number")
}
