//! When clients go on.

use super::Clients;
use crate::actors::{Context, at, number};
use crate::subject::Subject;

/// A timer of a client.
#[derive(Debug, Clone, Copy, Default)]
struct Timer {
    at: u64,
    generation: u64,
    /// When it is next looked at.
    queued: Option<u64>,
}

/// The timers of a client: how long it thinks or waits to repeat, and how long it waits
/// for an answer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Timers([Timer; 2]);

impl Clients {
    /// Sets a timer of a client, which replaces its earlier one of the same kind.
    /// Only one of each is queued; one that comes too early is queued again.
    pub(super) fn set_timer<S: Subject>(
        &mut self,
        ctx: &mut Context<'_, S>,
        client: usize,
        after: u64,
    ) {
        let is_long = after >= self.load.client_timeout_ms * 1_000_000;
        let timer = &mut self.timers[client].0[usize::from(is_long)];
        timer.at = ctx.now().saturating_add(after);
        timer.generation = self.clients[client].generation;
        self.queue_timer(ctx, client, is_long);
    }

    fn queue_timer<S: Subject>(&mut self, ctx: &mut Context<'_, S>, client: usize, is_long: bool) {
        let timer = &mut self.timers[client].0[usize::from(is_long)];
        let at = timer.at;
        if timer.queued.is_none_or(|queued| queued > at) {
            timer.queued = Some(at);
            ctx.wake_at(at, number(client) << 1 | u64::from(is_long));
        }
    }

    /// The client whose timer this is, and what it was set for, if it goes off now.
    pub(super) fn due<S: Subject>(
        &mut self,
        ctx: &mut Context<'_, S>,
        token: u64,
    ) -> Option<(usize, u64)> {
        let (client, is_long) = (at(token >> 1), token & 1 == 1);
        let now = ctx.now();
        let timer = &mut self.timers[client].0[usize::from(is_long)];
        if timer.queued.is_none_or(|queued| queued > now) {
            return None;
        }
        timer.queued = None;
        let Timer { at, generation, .. } = *timer;
        if at > now {
            self.queue_timer(ctx, client, is_long);
            return None;
        }
        Some((client, generation))
    }
}
