//! What holds of every node, whatever its parts are: it does not step without end, what it
//! keeps is bounded, it listens to nobody of another cluster, and it says that it is
//! unavailable when it is.

use decube_core::cluster::Response;
use decube_core::limits::{LEDGER_POOL_BYTES_MAX, REQUESTS_OPEN_MAX};
use decube_core::node::{self, Effect, Event, Message, PartId};
use decube_core::part::Scope;
use decube_core::raft::{Refusal, Role};

use super::{Checker, Finding, Hooks, Step};
use crate::subject::Subject;

/// Steps in one instant after which something spins.
const STEPS_PER_INSTANT_MAX: u64 = 100_000;
/// What may be to come at one time: beyond that, messages bring about more messages
/// without end, and the run would not end either.
const TO_COME_MAX: usize = 1 << 17;
/// File operations that may be queued at one disk.
const DISK_QUEUE_MAX: usize = 16_384;

/// A message inside of another cluster changes nothing in a node, and makes it do
/// nothing.
#[derive(Debug, Default)]
pub struct Stranger {
    /// The digest of a node that a stranger speaks to.
    before: Option<u64>,
}

impl<S: Subject> Checker<S> for Stranger {
    fn hooks(&self) -> Hooks {
        Hooks::RECEIVED | Hooks::ACTED
    }

    fn received(&mut self, step: &Step<'_, S>, event: &Event) -> Result<(), Finding> {
        let is_from_stranger = matches!(
            event,
            Event::Message {
                scope: Scope::Global,
                message: Message::Cluster(_),
                ..
            }
        );
        self.before = is_from_stranger.then(|| step.subject().digest());
        Ok(())
    }

    fn acted(&mut self, step: &Step<'_, S>, effects: &[Effect]) -> Result<(), Finding> {
        let before = self.before.take();
        if before.is_some_and(|before| !effects.is_empty() || step.subject().digest() != before) {
            let message = format!("slot {} listens to another cluster", step.slot);
            return Err(("stranger", message));
        }
        Ok(())
    }
}

/// A node that says of its part in a cluster that it is unavailable speaks of itself: the
/// part starts, stops, repairs its log or has halted. What befalls others it says otherwise.
#[derive(Debug)]
pub struct Unavailable;

impl Unavailable {
    fn is_out<S: Subject>(subject: &S) -> bool {
        let role = subject.facts().map(|facts| facts.role);
        !subject.is_serving(PartId::Cluster) || matches!(role, Some(Role::Repairing | Role::Halted))
    }
}

impl<S: Subject> Checker<S> for Unavailable {
    fn hooks(&self) -> Hooks {
        Hooks::ACTED
    }

    fn acted(&mut self, step: &Step<'_, S>, effects: &[Effect]) -> Result<(), Finding> {
        let says_so = |effect: &Effect| {
            let Effect::Reply { response, .. } = effect else {
                return false;
            };
            let refused = Response::Refused(Refusal::Unavailable);
            matches!(response, node::Response::Cluster(response) if *response == refused)
        };
        // The step in which it begins to serve answers what it could not before.
        let part = PartId::Cluster;
        let begins =
            |effect: &Effect| matches!(effect, Effect::Health { part: of, .. } if *of == part);
        if !effects.iter().any(says_so)
            || effects.iter().any(begins)
            || Self::is_out(step.subject())
            || step.host.role_before() == Some(Role::Repairing)
        {
            return Ok(());
        }
        let message = format!("slot {} serves, and says that it is unavailable", step.slot);
        Err(("needless-refusal", message))
    }
}

/// Time goes on, messages do not multiply, and queues, open requests and transactions are bounded.
#[derive(Debug)]
pub struct Bounded;

impl<S: Subject> Checker<S> for Bounded {
    fn hooks(&self) -> Hooks {
        Hooks::STEPPED
    }

    fn stepped(&mut self, step: &Step<'_, S>) -> Result<(), Finding> {
        let Step { slot, host, .. } = *step;
        if step.in_this_instant > STEPS_PER_INSTANT_MAX {
            let message = format!("slot {slot} steps without end at {}", step.now);
            return Err(("spin", message));
        }
        if step.to_come > TO_COME_MAX {
            let message = format!("{} events are to come at {}", step.to_come, step.now);
            return Err(("storm", message));
        }
        let (files, open) = (host.files_queued(), host.requests_open());
        let pooled = host.ledger().map_or(0, |ledger| ledger.pool().bytes());
        if files > DISK_QUEUE_MAX || open > REQUESTS_OPEN_MAX || pooled > LEDGER_POOL_BYTES_MAX {
            let message = format!(
                "slot {slot}: {files} file operations, {open} requests, {pooled} bytes of \
                 transactions"
            );
            return Err(("bounded", message));
        }
        Ok(())
    }
}
