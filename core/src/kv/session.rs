//! Client sessions: changes that happen exactly once (Ongaro's thesis, §6.3).
//!
//! A session remembers the answers of its last changes. A client numbers its
//! changes from 1 and says with each which answers it has; those are forgotten. A
//! repeated number gets the first answer again. Numbers may arrive in any order
//! within the window `confirmed + 1 ..= confirmed + session_answers_max`, so a
//! client can have several changes on their way.

use alloc::vec::Vec;

use bytes::Bytes;

use super::command::{Op, Outcome, SessionId};
use super::data::exceeded;
use super::layout::{ANSWER, SESSION, SessionRecord};
use super::rules;
use super::state::{Holder, Kv, Turn, after, answer_name, image_key, session_name, size};
use crate::codec::{Decode as _, Encode as _};
use crate::mutant::Mutant;
use crate::types::Span;

/// Bytes that a session adds to the state: space, id, record.
const SESSION_BYTES: u64 = 1 + 8 + 40;
/// Bytes that an answer adds besides its encoding: space, session, sequence.
const ANSWER_KEY_BYTES: u64 = 1 + 16;

impl Kv {
    pub(super) fn open_session(&mut self, turn: &mut Turn<'_>, nonce: u128, ttl: Span) -> Outcome {
        if let Some(session) = self.derived.nonces.get(&nonce).copied() {
            self.use_session(turn, session, 0);
            return Outcome::SessionOpened(session);
        }
        if self.derived.sessions.len() >= self.config.sessions_max {
            return exceeded(rules::SESSIONS);
        }
        if !self.has_room(SESSION_BYTES) {
            return exceeded(rules::STATE_BYTES);
        }
        let session = SessionId(turn.index.0);
        let record = SessionRecord {
            nonce,
            ttl,
            expires_at: after(turn.now, ttl),
            answered_upto: 0,
        };
        let before = self.derived.sessions.insert(session, record);
        assert!(before.is_none(), "an entry opens at most one session");
        self.derived.nonces.insert(nonce, session);
        let entry = (record.expires_at, Holder::session(session));
        self.derived.expiry.insert(entry);
        self.set(turn, SESSION, &session_name(session), record.to_bytes());
        Outcome::SessionOpened(session)
    }

    pub(super) fn close_session(&mut self, turn: &mut Turn<'_>, session: SessionId) -> Outcome {
        if !self.derived.sessions.contains_key(&session) {
            return Outcome::NoSession;
        }
        self.end_session(turn, session);
        Outcome::SessionClosed
    }

    pub(super) fn in_session(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        sequence: u64,
        answered_upto: u64,
        op: &Op,
    ) -> Outcome {
        assert!(sequence > answered_upto, "validation comes first");
        let Some(record) = self.derived.sessions.get(&session) else {
            return Outcome::NoSession;
        };
        if sequence <= record.answered_upto {
            return Outcome::AnswerGone;
        }
        let confirmed = record.answered_upto.max(answered_upto);
        if sequence - confirmed > size(self.config.session_answers_max) {
            return Outcome::Invalid {
                rule: rules::SEQUENCE_AHEAD,
            };
        }
        self.use_session(turn, session, confirmed);
        let planted = self.config.mutant.is(Mutant::SessionAppliesTwice);
        match self.answer(session, sequence) {
            Some(first) if !planted => first,
            Some(_) | None => {
                let outcome = self.execute_op(turn, op);
                self.keep_answer(turn, session, sequence, outcome)
            }
        }
    }

    /// Ends a session and forgets its answers.
    pub(super) fn end_session(&mut self, turn: &mut Turn<'_>, session: SessionId) {
        self.forget_answers(turn, session, u64::MAX);
        let record = self.derived.sessions.remove(&session);
        let record = record.expect("the caller has seen the session");
        let named = self.derived.nonces.remove(&record.nonce);
        assert!(named == Some(session), "every session has its nonce");
        let entry = (record.expires_at, Holder::session(session));
        let ended = self.derived.expiry.remove(&entry);
        assert!(ended, "every session has its end");
        let stored = self.unset(turn, SESSION, &session_name(session));
        assert!(stored.is_some(), "every session is stored");
    }

    /// Begins a session's time anew and forgets the answers up to `confirmed`.
    fn use_session(&mut self, turn: &mut Turn<'_>, session: SessionId, confirmed: u64) {
        let record = self.derived.sessions.get_mut(&session);
        let record = record.expect("the caller has seen the session");
        let ended = (record.expires_at, Holder::session(session));
        let had_confirmed = record.answered_upto;
        record.expires_at = after(turn.now, record.ttl);
        record.answered_upto = had_confirmed.max(confirmed);
        let record = *record;
        let removed = self.derived.expiry.remove(&ended);
        assert!(removed, "every session has its end");
        let entry = (record.expires_at, Holder::session(session));
        self.derived.expiry.insert(entry);
        if record.answered_upto > had_confirmed {
            self.forget_answers(turn, session, record.answered_upto);
        }
        self.set(turn, SESSION, &session_name(session), record.to_bytes());
    }

    /// The answer that a number was given.
    fn answer(&self, session: SessionId, sequence: u64) -> Option<Outcome> {
        let (_, value) = self.get(ANSWER, &answer_name(session, sequence))?;
        Some(Outcome::from_bytes(value).expect("only outcomes are kept"))
    }

    /// Keeps an answer and gives it back. An answer that quotes a value is not
    /// kept in a full state: it is replaced by a refusal, which says as truly that
    /// nothing changed. All other answers are small and always kept.
    fn keep_answer(
        &mut self,
        turn: &mut Turn<'_>,
        session: SessionId,
        sequence: u64,
        outcome: Outcome,
    ) -> Outcome {
        let mut kept = outcome;
        let mut encoded = kept.to_bytes();
        let growth = ANSWER_KEY_BYTES + size(encoded.len());
        if matches!(kept, Outcome::ConditionFailed { .. }) && !self.has_room(growth) {
            kept = exceeded(rules::STATE_BYTES);
            encoded = kept.to_bytes();
        }
        let name = answer_name(session, sequence);
        let (_, old) = self.set(turn, ANSWER, &name, encoded);
        self.derived.answers += usize::from(old.is_none());
        kept
    }

    fn forget_answers(&mut self, turn: &mut Turn<'_>, session: SessionId, upto: u64) {
        let from = image_key(ANSWER, &answer_name(session, 0));
        let last = image_key(ANSWER, &answer_name(session, upto));
        let names: Vec<Bytes> = self
            .image
            .map
            .range_from(&from)
            .take_while(|(key, _)| key.as_ref() <= last.as_slice())
            .map(|(key, _)| key.slice(1..))
            .collect();
        assert!(names.len() <= self.config.session_answers_max);
        for name in &names {
            let stored = self.unset(turn, ANSWER, name);
            assert!(stored.is_some(), "an answer that was just listed exists");
        }
        self.derived.answers -= names.len();
    }
}
