//! What clients make of their answers.

use super::*;

impl Clients {
    pub(super) fn take_answer<S: Subject>(
        &mut self,
        ctx: &mut Context<'_, S>,
        at: usize,
        response: Response,
    ) -> Result<(), Finding> {
        let current = self.clients[at]
            .current
            .clone()
            .expect("a call belongs to an operation");
        match (&current.request, response) {
            (Request::Write(_), Response::Written { at: place, outcome }) => {
                self.written(at, &current, place, outcome)?;
            }
            (Request::Read { consistency, .. }, Response::Read(answer)) => {
                if *consistency == Consistency::Linearizable {
                    self.read(at, &current, &answer)?;
                }
            }
            (request, response) => {
                return Err((
                    "answer-kind",
                    format!("{request:?} was answered {response:?}"),
                ));
            }
        }
        self.stats.completed += 1;
        self.finish(ctx, at);
        Ok(())
    }

    pub(super) fn written(
        &mut self,
        at: usize,
        current: &Current,
        place: LogId,
        outcome: Outcome,
    ) -> Result<(), Finding> {
        if let (Some(asked), false) = (current.asked, matches!(outcome, Outcome::NoSession)) {
            return self.guarded(at, current, asked, place.index.0, &outcome);
        }
        let step = |value| Step::Write {
            value,
            requires: current.requires,
        };
        match outcome {
            Outcome::SessionOpened(session) if current.opens_session => {
                let client = &mut self.clients[at];
                client.session = Some(session);
                client.sequence = 0;
                Ok(())
            }
            Outcome::Changed { revision, deleted } if is_delete(current.planned.action) => {
                self.deleted(at, current, revision, deleted)
            }
            Outcome::Changed { revision, .. } => {
                self.see(at, current.planned.key, current.value, revision.0);
                self.in_order(current, revision.0, true)?;
                self.record(
                    at,
                    current,
                    current.planned.key,
                    step(current.value),
                    Some(revision.0),
                );
                Ok(())
            }
            Outcome::ConditionFailed {
                revision, value, ..
            } => self.condition_failed(at, current, place.index, revision, value),
            Outcome::NoSession if !current.opens_session => {
                self.clients[at].session = None;
                if current.uncertain {
                    self.leave_open(at);
                }
                Ok(())
            }
            other => Err((
                "outcome",
                format!("client {at}: {:?} ended with {other:?}", current.request),
            )),
        }
    }

    pub(super) fn deleted(
        &mut self,
        at: usize,
        current: &Current,
        revision: Revision,
        deleted: u64,
    ) -> Result<(), Finding> {
        let key = current.planned.key;
        self.see(at, key, 0, 0);
        if deleted == 0 {
            // Nothing was there, so nothing changed: as good as a read.
            if current.requires != Requires::Nothing {
                return Err((
                    "outcome",
                    format!("a conditional delete removed nothing: {current:?}"),
                ));
            }
            self.record(at, current, key, Step::Read(0), None);
            return Ok(());
        }
        self.in_order(current, revision.0, true)?;
        let requires = match current.requires {
            Requires::Nothing => Requires::Present,
            other => other,
        };
        self.record(
            at,
            current,
            key,
            Step::Write { value: 0, requires },
            Some(revision.0),
        );
        Ok(())
    }

    pub(super) fn condition_failed(
        &mut self,
        at: usize,
        current: &Current,
        _place: Index,
        revision: Option<Revision>,
        value: Option<Bytes>,
    ) -> Result<(), Finding> {
        let seen = value
            .as_deref()
            .map_or(0, |value| value_id(value).unwrap_or(u64::MAX));
        if current.requires == Requires::Value(seen) {
            return Err((
                "condition",
                format!("the condition held and failed: {current:?}"),
            ));
        }
        let key = current.planned.key;
        self.see(at, key, seen, revision.map_or(0, |revision| revision.0));
        self.record(at, current, key, Step::Read(seen), None);
        Ok(())
    }

    pub(super) fn read(
        &mut self,
        at: usize,
        current: &Current,
        answer: &ReadAnswer,
    ) -> Result<(), Finding> {
        let revision = answer.revision.0;
        self.in_order(current, revision, false)?;
        match &answer.found {
            Found::One(pair) => {
                let key = current.planned.key;
                self.read_one(at, current, key, pair.as_ref(), revision);
            }
            Found::Many { pairs, next } => {
                let end = match next {
                    Some(next) => key_number(next).unwrap_or(u64::MAX),
                    None => u64::MAX,
                };
                self.read_many(at, current, pairs, end, revision)?;
            }
            other => return Err(("answer-kind", format!("a read found {other:?}"))),
        }
        Ok(())
    }

    pub(super) fn read_one(
        &mut self,
        at: usize,
        current: &Current,
        key: u64,
        pair: Option<&Pair>,
        revision: u64,
    ) {
        let seen = pair.map_or(0, |pair| value_id(&pair.value).unwrap_or(u64::MAX));
        self.see(at, key, seen, pair.map_or(0, |pair| pair.modified.0));
        self.record(at, current, key, Step::Read(seen), Some(revision));
    }

    pub(super) fn read_many(
        &mut self,
        at: usize,
        current: &Current,
        pairs: &[Pair],
        end: u64,
        revision: u64,
    ) -> Result<(), Finding> {
        let names: Vec<Option<u64>> = pairs.iter().map(|pair| key_number(&pair.key)).collect();
        let ordered = names.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = names
            .iter()
            .all(|name| name.is_some_and(|name| name >= current.planned.key));
        if !ordered || !inside {
            return Err((
                "range",
                format!("keys {names:?} from {}", current.planned.key),
            ));
        }
        let keys = u64::try_from(self.clients[at].seen.len()).expect("few keys");
        let mut pairs = pairs.iter().zip(names).peekable();
        for key in current.planned.key..keys.min(end) {
            let pair = pairs
                .next_if(|(_, name)| *name == Some(key))
                .map(|(pair, _)| pair);
            self.read_one(at, current, key, pair, revision);
        }
        Ok(())
    }

    pub(super) fn in_order(
        &mut self,
        current: &Current,
        revision: u64,
        made: bool,
    ) -> Result<(), Finding> {
        let outcome = self.order.returned(current.floor, revision, made);
        outcome.map_err(|message| {
            (
                "real-time-order",
                format!("{message}: {:?}", current.request),
            )
        })
    }

    pub(super) fn see(&mut self, at: usize, key: u64, value: ValueId, revision: u64) {
        let seen = &mut self.clients[at].seen;
        let slot = usize::try_from(key).expect("few keys") % seen.len();
        seen[slot] = (value, revision);
    }

    pub(super) fn record(
        &mut self,
        at: usize,
        current: &Current,
        key: u64,
        step: Step,
        revision: Option<u64>,
    ) {
        self.stamp += 1;
        let client = &self.clients[at];
        let operation = Operation {
            client: client.number,
            number: client.completed_or_skipped(),
            invoked: current.invoked,
            returned: Some(self.stamp),
            step,
            revision,
        };
        self.records.borrow_mut().history.add(key, operation);
    }

    /// The present operation may or may not have happened, or happen later.
    pub(super) fn leave_open(&mut self, at: usize) {
        let client = &self.clients[at];
        let current = client.current.as_ref().expect("an operation is left open");
        if let Some(asked) = current.asked {
            return self.unanswered(at, asked);
        }
        let operation = Operation {
            client: client.number,
            number: client.completed_or_skipped(),
            invoked: current.invoked,
            returned: None,
            step: Step::Write {
                value: current.value,
                requires: current.requires,
            },
            revision: None,
        };
        self.records
            .borrow_mut()
            .history
            .add(current.planned.key, operation);
    }
}
