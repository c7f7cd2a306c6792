//! Client sessions: changes that happen exactly once (Ongaro's thesis, §6.3).
//!
//! A session remembers the answers of its last changes. A client numbers its
//! changes from 1 and says with each which answers it has; those are forgotten. A
//! repeated number gets the first answer again. Numbers may arrive in any order
//! within the window `confirmed + 1 ..= confirmed + session_answers_max`, so a
//! client can have several changes on their way.
//!
//! An answer is an outcome of a module, and its first byte says of which.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use super::command::{SessionId, Verdict};
use super::ctx::Ctx;
use super::image::size;
use super::layout::{ANSWER, Record, SESSION, SessionRecord, answer_name, session_name};
use super::load::{ImageError, Loading, ensure};
use super::module::Module;
use super::rules;
use super::state::{Holder, Shared, after};
use crate::codec::{Decode as _, Encode as _};
use crate::types::Span;

/// Bytes that a session adds to the state: space, id, record.
const SESSION_BYTES: u64 = 1 + 8 + 40;
/// Bytes that an answer adds besides its encoding: space, session, sequence.
const ANSWER_KEY_BYTES: u64 = 1 + 16;

/// The sessions, as computed from their pairs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sessions {
    records: BTreeMap<SessionId, SessionRecord>,
    nonces: BTreeMap<u128, SessionId>,
    answers: usize,
}

/// Where an answer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) session: SessionId,
    pub(super) sequence: u64,
}

impl Place {
    fn name(self) -> [u8; 16] {
        answer_name(self.session, self.sequence)
    }
}

/// Whether a space is written by sessions.
pub(super) const fn owns_space(space: u8) -> bool {
    matches!(space, SESSION | ANSWER)
}

/// The answer that a number was given.
pub(super) fn answer<M: Module>(shared: &Shared, place: Place) -> Option<M::Outcome> {
    let (_, value) = shared.get(ANSWER, &place.name())?;
    Some(M::Outcome::from_bytes(value).expect("only outcomes are kept"))
}

impl Sessions {
    pub(super) fn open(&mut self, ctx: &mut Ctx<'_>, nonce: u128, ttl: Span) -> Verdict {
        if let Some(session) = self.nonces.get(&nonce).copied() {
            self.touch(ctx, session, 0);
            return Verdict::SessionOpened(session);
        }
        if self.records.len() >= ctx.config.sessions_max {
            return exceeded(rules::SESSIONS);
        }
        if !ctx.has_room(SESSION_BYTES) {
            return exceeded(rules::STATE_BYTES);
        }
        let session = SessionId(ctx.index().0);
        let record = SessionRecord {
            nonce,
            ttl,
            expires_at: after(ctx.now(), ttl),
            answered_upto: 0,
        };
        let before = self.records.insert(session, record);
        assert!(before.is_none(), "an entry opens at most one session");
        self.nonces.insert(nonce, session);
        ctx.expire_at(record.expires_at, holder(session));
        ctx.set(SESSION, &session_name(session), record.to_bytes());
        Verdict::SessionOpened(session)
    }

    pub(super) fn close(&mut self, ctx: &mut Ctx<'_>, session: SessionId) -> Verdict {
        if !self.records.contains_key(&session) {
            return Verdict::NoSession;
        }
        self.end(ctx, session);
        Verdict::SessionClosed
    }

    /// Uses a session for a change, whose answer may be there already.
    ///
    /// # Errors
    /// The refusal: no such session, or a number outside of its window.
    pub(super) fn enter(
        &mut self,
        ctx: &mut Ctx<'_>,
        place: Place,
        answered_upto: u64,
    ) -> Result<(), Verdict> {
        assert!(place.sequence > answered_upto, "validation comes first");
        let record = self.records.get(&place.session);
        let record = record.ok_or(Verdict::NoSession)?;
        if place.sequence <= record.answered_upto {
            return Err(Verdict::AnswerGone);
        }
        let confirmed = record.answered_upto.max(answered_upto);
        if place.sequence - confirmed > size(ctx.config.session_answers_max) {
            return Err(Verdict::Invalid {
                rule: rules::SEQUENCE_AHEAD,
            });
        }
        self.touch(ctx, place.session, confirmed);
        Ok(())
    }

    /// Keeps an answer and gives it back. An answer that quotes data is not kept in
    /// a full state: its module says what stands for it. All others are small and
    /// always kept.
    pub(super) fn keep_answer<M: Module>(
        &mut self,
        ctx: &mut Ctx<'_>,
        place: Place,
        outcome: M::Outcome,
    ) -> M::Outcome {
        let mut kept = outcome;
        let mut encoded = kept.to_bytes();
        let growth = ANSWER_KEY_BYTES + size(encoded.len());
        if !ctx.has_room(growth)
            && let Some(instead) = M::for_full_state(&kept)
        {
            kept = instead;
            encoded = kept.to_bytes();
        }
        let (_, old) = ctx.set(ANSWER, &place.name(), encoded);
        self.answers += usize::from(old.is_none());
        kept
    }

    /// Ends a session and forgets its answers.
    pub(super) fn end(&mut self, ctx: &mut Ctx<'_>, session: SessionId) {
        self.forget_answers(ctx, session, u64::MAX);
        let record = self.records.remove(&session);
        let record = record.expect("the caller has seen the session");
        let named = self.nonces.remove(&record.nonce);
        assert!(named == Some(session), "every session has its nonce");
        ctx.forget_expiry(record.expires_at, holder(session));
        let stored = ctx.unset(SESSION, &session_name(session));
        assert!(stored.is_some(), "every session is stored");
    }

    /// Begins a session's time again and forgets the answers up to `confirmed`.
    fn touch(&mut self, ctx: &mut Ctx<'_>, session: SessionId, confirmed: u64) {
        let record = self.records.get_mut(&session);
        let record = record.expect("the caller has seen the session");
        let ended = record.expires_at;
        let had_confirmed = record.answered_upto;
        record.expires_at = after(ctx.now(), record.ttl);
        record.answered_upto = had_confirmed.max(confirmed);
        let record = *record;
        ctx.forget_expiry(ended, holder(session));
        ctx.expire_at(record.expires_at, holder(session));
        if record.answered_upto > had_confirmed {
            self.forget_answers(ctx, session, record.answered_upto);
        }
        ctx.set(SESSION, &session_name(session), record.to_bytes());
    }

    fn forget_answers(&mut self, ctx: &mut Ctx<'_>, session: SessionId, upto: u64) {
        let last = answer_name(session, upto);
        let names: Vec<Bytes> = ctx
            .range(ANSWER, &answer_name(session, 0), None)
            .map(|(key, _)| key.slice(1..))
            .take_while(|name| name.as_ref() <= last.as_slice())
            .collect();
        assert!(names.len() <= ctx.config.session_answers_max);
        for name in &names {
            let stored = ctx.unset(ANSWER, name);
            assert!(stored.is_some(), "an answer that was just listed exists");
        }
        self.answers -= names.len();
    }

    pub(super) fn count(&self) -> usize {
        self.records.len()
    }

    pub(super) const fn answers(&self) -> usize {
        self.answers
    }

    /// OneNonceEach and Bounds, for sessions.
    pub(super) fn invariants(&self, sessions_max: usize) {
        assert!(self.nonces.len() == self.records.len());
        assert!(self.records.len() <= sessions_max);
    }

    /// Computes the sessions from their pairs, and checks each.
    ///
    /// # Errors
    /// The pairs are not what sessions write.
    pub(super) fn load<M: Module>(loading: &mut Loading<'_>) -> Result<Self, ImageError> {
        let mut sessions = Self::default();
        for (key, value) in loading.pairs(SESSION).chain(loading.pairs(ANSWER)) {
            match Record::decode::<M::Outcome>(key, value)? {
                Record::Session(session, record) => {
                    loading.check_id(session.0)?;
                    loading.expire_at(record.expires_at, holder(session));
                    sessions.records.insert(session, record);
                    let twin = sessions.nonces.insert(record.nonce, session);
                    ensure(twin.is_none(), "two sessions with one nonce")?;
                }
                Record::Answer(session, sequence) => {
                    sessions.check_answer(loading, session, sequence)?;
                    sessions.answers += 1;
                }
            }
        }
        Ok(sessions)
    }

    fn check_answer(
        &self,
        loading: &Loading<'_>,
        session: SessionId,
        sequence: u64,
    ) -> Result<(), ImageError> {
        let record = self.records.get(&session);
        let record = record.ok_or(ImageError::Inconsistent("answer without a session"))?;
        let ahead = sequence.saturating_sub(record.answered_upto);
        ensure(
            ahead > 0 && ahead <= size(loading.config().session_answers_max),
            "answer outside the window",
        )
    }
}

const fn holder(session: SessionId) -> Holder {
    Holder {
        id: session.0,
        space: SESSION,
    }
}

const fn exceeded(limit: &'static str) -> Verdict {
    Verdict::LimitExceeded { limit }
}
