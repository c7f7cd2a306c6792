//! One log entry, one change of the state.

use alloc::vec::Vec;

use super::command::{Command, Envelope, LogTime, Op, Outcome};
use super::layout::HEADER_KEY;
use super::state::{HolderKind, Kv, Turn};
use super::{LeaseId, SessionId};
use crate::mutant::Mutant;
use crate::store::StoreOp;
use crate::types::LogId;

impl Kv {
    /// Applies a committed entry and appends its store operations to `ops`.
    ///
    /// Total: whatever the command says, the answer is an [`Outcome`]. First log
    /// time moves and everything due ends, then the command is carried out; all of
    /// that happens at the revision `at.index`.
    ///
    /// Panics if `at` does not directly follow the last entry applied.
    pub fn apply(&mut self, at: LogId, envelope: &Envelope, ops: &mut Vec<StoreOp>) -> Outcome {
        self.begin(at, ops);
        let now = self.pass_time(envelope.proposed_at);
        let mut turn = Turn {
            index: at.index,
            now,
            ops,
        };
        self.expire_due(&mut turn);
        let outcome = match self.config.validate(&envelope.command) {
            Ok(()) => self.execute(&mut turn, &envelope.command),
            Err(refusal) => refusal,
        };
        self.end(ops);
        outcome
    }

    /// Notes that an entry without a command is applied, so that the stored
    /// position moves: an empty entry, a membership, or one that does not decode.
    ///
    /// Panics if `at` does not directly follow the last entry applied.
    pub fn note_applied(&mut self, at: LogId, ops: &mut Vec<StoreOp>) {
        self.begin(at, ops);
        self.end(ops);
    }

    fn begin(&mut self, at: LogId, ops: &mut Vec<StoreOp>) {
        assert!(
            at.index == self.applied.index.next(),
            "entries are applied without a gap"
        );
        assert!(at.term >= self.applied.term, "terms never decrease");
        self.history.begin_turn();
        self.applied = at;
        // In a group of entries only the last position counts.
        if let Some(StoreOp::Put { key, .. }) = ops.last()
            && key.as_ref() == HEADER_KEY
        {
            ops.pop();
        }
    }

    fn end(&mut self, ops: &mut Vec<StoreOp>) {
        self.history.end_turn(
            self.config.history_revisions_max,
            self.config.history_bytes_max,
        );
        ops.push(self.meta_op());
        self.invariants();
    }

    /// Moves log time and gives back the time that leases and sessions see.
    fn pass_time(&mut self, proposed_at: LogTime) -> LogTime {
        let before = self.log_time;
        self.log_time = before.max(proposed_at);
        assert!(self.log_time >= before, "log time never runs backwards");
        if self.config.mutant.is(Mutant::LeaseByLocalClock) {
            return proposed_at;
        }
        self.log_time
    }

    /// Ends what is due, by the time it ends and then by id. The work is bounded
    /// only by what there is: leases that end together end in one entry, because
    /// a reader must never see a key outlive its lease.
    fn expire_due(&mut self, turn: &mut Turn<'_>) {
        while let Some((expires_at, holder)) = self.derived.expiry.first().copied() {
            if expires_at > turn.now {
                break;
            }
            match holder.kind {
                HolderKind::Lease => self.end_lease(turn, LeaseId(holder.id)),
                HolderKind::Session => self.end_session(turn, SessionId(holder.id)),
            }
        }
    }

    fn execute(&mut self, turn: &mut Turn<'_>, command: &Command) -> Outcome {
        match command {
            Command::OpenSession { nonce, ttl } => self.open_session(turn, *nonce, *ttl),
            Command::CloseSession { session } => self.close_session(turn, *session),
            Command::InSession {
                session,
                sequence,
                answered_upto,
                op,
            } => self.in_session(turn, *session, *sequence, *answered_upto, op),
            Command::Once { op } => self.execute_op(turn, op),
            Command::Tick => Outcome::Ticked,
        }
    }

    pub(super) fn execute_op(&mut self, turn: &mut Turn<'_>, op: &Op) -> Outcome {
        match op {
            Op::Put { .. } | Op::Delete { .. } | Op::DeleteRange { .. } => {
                self.change_one(turn, op)
            }
            Op::Txn { conditions, ops } => self.change_all(turn, conditions, ops),
            Op::LeaseGrant { ttl } => self.grant_lease(turn, *ttl),
            Op::LeaseRenew { lease } => self.renew_lease(turn, *lease),
            Op::LeaseRevoke { lease } => self.revoke_lease(turn, *lease),
            Op::LockAcquire { name, lease } => self.acquire_lock(turn, name, *lease),
            Op::LockRelease { name, token } => self.release_lock(turn, name, *token),
        }
    }
}
