//! One log entry, one change of the state.

use alloc::vec::Vec;

use super::command::{Command, Envelope, LogTime, Verdict};
use super::config::Config;
use super::ctx::Ctx;
use super::layout::{HEADER_KEY, SESSION};
use super::module::Module;
use super::rules;
use super::session::{Place, Sessions};
use super::state::{Replica, Shared};
use super::switches::Switches;
use super::{SessionId, session, switches};
use crate::mutant::Mutant;
use crate::store::StoreOp;
use crate::types::{LogId, Span};

impl<M: Module> Replica<M> {
    /// Applies a committed entry and appends its store operations to `ops`.
    ///
    /// Total: whatever the command says, the answer is an outcome. First log
    /// time moves and everything due ends, then the command is carried out; all of
    /// that happens at the revision `at.index`.
    ///
    /// Panics if `at` does not directly follow the last entry applied, and on a command
    /// of a newer version ([`Replica::is_newer`]).
    pub fn apply(
        &mut self,
        at: LogId,
        envelope: &Envelope<M::Op>,
        ops: &mut Vec<StoreOp>,
    ) -> M::Outcome {
        let is_newer = self.is_newer(&envelope.command);
        assert!(
            !is_newer,
            "whoever does not know a command stops in front of it"
        );
        self.begin(at, ops);
        let now = self.shared.pass_time(envelope.proposed_at);
        let mut context = ApplyContext {
            config: self.shared.config,
            ctx: Ctx::new(&mut self.shared, at.index, now, ops, session::owns_space),
            sessions: &mut self.sessions,
            switches: &mut self.switches,
            module: &mut self.module,
        };
        context.expire_due();
        let outcome = match context.validate(&envelope.command) {
            Ok(()) => context.execute(&envelope.command),
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
        let applied = self.shared.applied;
        assert!(
            at.index == applied.index.next(),
            "entries are applied without a gap"
        );
        assert!(at.term >= applied.term, "terms never decrease");
        self.module.begin_entry();
        self.shared.applied = at;
        // In a group of entries only the last position counts.
        if let Some(StoreOp::Put { key, .. }) = ops.last()
            && key.as_ref() == HEADER_KEY
        {
            ops.pop();
        }
    }

    fn end(&mut self, ops: &mut Vec<StoreOp>) {
        self.module.end_entry();
        ops.push(self.shared.meta_op());
        self.invariants();
    }
}

impl Shared {
    /// Moves log time and gives back the time that holders see.
    fn pass_time(&mut self, proposed_at: LogTime) -> LogTime {
        let before = self.log_time;
        self.log_time = before.max(proposed_at);
        assert!(self.log_time >= before, "log time never runs backwards");
        if self.config.mutant.is(Mutant::LeaseByLocalClock) {
            return proposed_at;
        }
        self.log_time
    }
}

/// An entry with a command, under way.
struct ApplyContext<'a, M> {
    config: Config,
    /// May write what sessions own.
    ctx: Ctx<'a>,
    sessions: &'a mut Sessions,
    switches: &'a mut Switches,
    module: &'a mut M,
}

impl<M: Module> ApplyContext<'_, M> {
    /// Ends what is due, by the time it ends and then by id. The work is bounded
    /// only by what there is: holders that end together end in one entry, because
    /// a reader must never see a key outlive its lease.
    fn expire_due(&mut self) {
        while let Some((expires_at, holder)) = self.ctx.expiry.first().copied() {
            if expires_at > self.ctx.now() {
                break;
            }
            match holder.space {
                SESSION => self.sessions.end(&mut self.ctx, SessionId(holder.id)),
                _ => self.module.expire(&mut self.ctx.of::<M>(), holder),
            }
            assert!(
                self.ctx.expiry.first() != Some(&(expires_at, holder)),
                "what is due has ended"
            );
        }
    }

    /// Whether a command keeps the rules that do not depend on the state.
    fn validate(&self, command: &Command<M::Op>) -> Result<(), M::Outcome> {
        match command {
            Command::OpenSession { ttl, .. } => require(
                *ttl > Span::ZERO && *ttl <= self.config.session_ttl_max,
                rules::TTL,
            )?,
            Command::CloseSession { .. } | Command::Tick | Command::Enable { .. } => {}
            Command::InSession {
                sequence,
                answered_upto,
                op,
                ..
            } => {
                require(*sequence > 0, rules::SEQUENCE_ZERO)?;
                require(answered_upto < sequence, rules::SEQUENCE_CONFIRMED)?;
                self.validate_op(op)?;
            }
            Command::Once { op } => self.validate_op(op)?,
        }
        Ok(())
    }

    /// A module that is off is not asked: its operations are refused when their turn
    /// comes, so that a session keeps the refusal.
    fn validate_op(&self, op: &M::Op) -> Result<(), M::Outcome> {
        match self.switches.on().contains(M::owner(op)) {
            true => self.module.validate(op),
            false => Ok(()),
        }
    }

    fn execute(&mut self, command: &Command<M::Op>) -> M::Outcome {
        match command {
            Command::OpenSession { nonce, ttl } => {
                self.sessions.open(&mut self.ctx, *nonce, *ttl).into()
            }
            Command::CloseSession { session } => {
                self.sessions.close(&mut self.ctx, *session).into()
            }
            Command::InSession {
                session,
                sequence,
                answered_upto,
                op,
            } => self.in_session(*session, *sequence, *answered_upto, op),
            Command::Once { op } => self.carry_out(op),
            Command::Tick => Verdict::Ticked.into(),
            Command::Enable { module } => {
                let mut ctx = self.ctx.within(switches::owns_space);
                self.switches.switch_on(&mut ctx, *module).into()
            }
        }
    }

    fn carry_out(&mut self, op: &M::Op) -> M::Outcome {
        let module = M::owner(op);
        if !self.switches.on().contains(module) {
            return Verdict::ModuleOff { module }.into();
        }
        self.module.apply(&mut self.ctx.of::<M>(), op)
    }

    fn in_session(
        &mut self,
        session: SessionId,
        sequence: u64,
        answered_upto: u64,
        op: &M::Op,
    ) -> M::Outcome {
        let place = Place { session, sequence };
        if let Err(refusal) = self.sessions.enter(&mut self.ctx, place, answered_upto) {
            return refusal.into();
        }
        let planted = self.config.mutant.is(Mutant::SessionAppliesTwice);
        match session::answer::<M>(&self.ctx, place) {
            Some(first) if !planted => first,
            Some(_) | None => {
                let outcome = self.carry_out(op);
                self.sessions
                    .keep_answer::<M>(&mut self.ctx, place, outcome)
            }
        }
    }
}

fn require(holds: bool, rule: &'static str) -> Result<(), Verdict> {
    if holds {
        Ok(())
    } else {
        Err(Verdict::Invalid { rule })
    }
}
