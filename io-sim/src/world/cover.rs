//! Situations met, seen from outside: on messages, answers and roles.

use decube_core::kv::Outcome as Written;
use decube_core::node::{PeerMessage, Response};
use decube_core::raft::{AppendResult, Body, Role, SnapshotResult};
use decube_core::{bft, ledger};

use super::World;
use super::outcome::Coverage;
use crate::subject::Subject;

impl Coverage {
    /// A message leaves.
    pub(super) fn message(&mut self, message: &PeerMessage) {
        let message = match message {
            PeerMessage::Raft(message) => message,
            PeerMessage::Forward { .. } => {
                self.forwards += 1;
                return;
            }
            PeerMessage::ForwardReply { .. }
            | PeerMessage::HeadRequest { .. }
            | PeerMessage::HeadReply { .. }
            | PeerMessage::Ledger(_) => return,
        };
        let count = match &message.body {
            Body::Snapshot { .. } => &mut self.snapshot_chunks,
            Body::AppendReply {
                result: AppendResult::Reject { .. },
                ..
            } => &mut self.append_rejects,
            Body::TimeoutNow => &mut self.transfers,
            Body::PreVoteReply { granted: false, .. } => &mut self.prevotes_refused,
            Body::VoteReply { granted: false, .. } => &mut self.votes_refused,
            Body::SnapshotReply {
                result: SnapshotResult::Installed { .. },
                ..
            } => &mut self.snapshots_installed,
            _ => return,
        };
        *count += 1;
    }

    /// A node of the ledger speaks.
    pub(crate) fn ledger_message(&mut self, message: &ledger::Message) {
        let said = match message {
            ledger::Message::Bft(said) => said,
            ledger::Message::Items { .. } => {
                self.bodies_sent += 1;
                return;
            }
            _ => return,
        };
        match said {
            bft::Message::AskCerts { .. }
            | bft::Message::AskBlock { .. }
            | bft::Message::AskBlocks { .. }
            | bft::Message::AskStatus => self.questions += 1,
            bft::Message::Blocks(_) => self.catch_ups += 1,
            _ => {}
        }
    }

    /// A node answers.
    pub(super) fn response(&mut self, response: &Response) {
        let count = match response {
            Response::Refused(_) => &mut self.refusals,
            Response::Unknown => &mut self.unknown_answers,
            Response::Written { outcome, .. } => match outcome {
                Written::ConditionFailed { .. } => &mut self.conditions_failed,
                Written::NoSession => &mut self.sessions_ended,
                Written::NoLease => &mut self.leases_ended,
                Written::LockHeld { .. } => &mut self.locks_contended,
                _ => return,
            },
            _ => return,
        };
        *count += 1;
    }
}

impl<S: Subject> World<S> {
    /// A node shows another role than before.
    pub(super) fn cover_role(&mut self, slot: usize, role: Role) {
        let host = &mut self.hosts[slot];
        let before = host.role.replace(role);
        let left = |was: Role| before == Some(was) && role != was;
        self.coverage.elections += u64::from(role == Role::Leader && before != Some(role));
        self.coverage.repairs += u64::from(role == Role::Repairing && before != Some(role));
        self.coverage.step_downs += u64::from(left(Role::Leader));
        self.coverage.repaired += u64::from(left(Role::Repairing) && role == Role::Follower);
    }
}
