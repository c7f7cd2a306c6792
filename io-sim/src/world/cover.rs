//! Situations met, seen from outside: on messages, answers and roles.

use decube_core::cluster::{self, Response};
use decube_core::kv::Outcome as Written;
use decube_core::node::Message;
use decube_core::raft::{AppendResult, Body, Role, SnapshotResult};
use decube_core::{bft, ledger};

use super::World;
use super::outcome::Coverage;
use crate::subject::Subject;

impl Coverage {
    /// A message leaves.
    pub(crate) fn message(&mut self, message: &Message) {
        let message = match message {
            Message::Cluster(cluster::Message::Raft(message)) => message,
            Message::Cluster(cluster::Message::Forward { .. }) => {
                self.forwards += 1;
                return;
            }
            _ => return,
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
        let bft = match message {
            ledger::Message::Bft(bft) => bft,
            ledger::Message::Items { .. } => {
                self.bodies_sent += 1;
                return;
            }
            _ => return,
        };
        match bft {
            bft::Message::AskCerts { .. }
            | bft::Message::AskBlock { .. }
            | bft::Message::AskBlocks { .. }
            | bft::Message::AskStatus => self.questions += 1,
            bft::Message::Blocks(_) => self.catch_ups += 1,
            _ => {}
        }
    }

    /// A node answers.
    pub(crate) fn response(&mut self, response: &Response) {
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
    /// A node that led its cluster does so no more.
    pub(super) fn leader_lost(&mut self, slot: usize) {
        let cluster = self.clusters.of(slot);
        let count = cluster.and_then(|place| self.leaders_lost.get_mut(place));
        if let Some(count) = count {
            *count += 1;
        }
    }

    /// What a node shows after a step.
    pub(super) fn cover_state(&mut self, slot: usize) {
        let host = &mut self.hosts[slot];
        let subject = host.subject.as_ref().expect("it took a step");
        let role = subject.facts().map(|facts| facts.role);
        let is_joint = subject
            .membership()
            .is_some_and(|membership| !membership.outgoing.is_empty());
        let was_joint = std::mem::replace(&mut host.was_joint, is_joint);
        self.coverage.joint_memberships += u64::from(is_joint && !was_joint);
        let Some(role) = role else { return };
        let before = host.role.replace(role);
        let left = |was: Role| before == Some(was) && role != was;
        self.coverage.elections += u64::from(role == Role::Leader && before != Some(role));
        self.coverage.repairs += u64::from(role == Role::Repairing && before != Some(role));
        self.coverage.step_downs += u64::from(left(Role::Leader));
        if left(Role::Leader) {
            self.leader_lost(slot);
        }
        self.coverage.repaired += u64::from(left(Role::Repairing) && role == Role::Follower);
    }
}
