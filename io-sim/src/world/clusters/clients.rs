//! Clients of clusters: their timers, their calls, and the answers.

use decube_core::types::RequestId;

use super::{Cluster, World};
use crate::check::Finding;
use crate::client::{Ending, Intent};
use crate::subject::Subject;
use crate::world::Happening;
use crate::world::calls::Caller;

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

impl<S: Subject> World<S> {
    /// Sets a timer of a client, which replaces its earlier one of the same kind.
    /// Only one of each is queued; one that comes too early is queued again.
    pub(super) fn set_timer(&mut self, cluster: usize, client: usize, generation: u64, after: u64) {
        let Cluster { config, timers, .. } = &mut self.clusters.list[cluster];
        let long = after >= config.load.client_timeout_ms * 1_000_000;
        let at = self.now.saturating_add(after);
        let timer = &mut timers[client].0[usize::from(long)];
        (timer.at, timer.generation) = (at, generation);
        self.queue_timer(cluster, client, long);
    }

    fn queue_timer(&mut self, cluster: usize, client: usize, long: bool) {
        let timers = &mut self.clusters.list[cluster].timers;
        let timer = &mut timers[client].0[usize::from(long)];
        let at = timer.at;
        if timer.queued.is_none_or(|queued| queued > at) {
            timer.queued = Some(at);
            let happening = Happening::Timer {
                cluster,
                client,
                long,
            };
            self.schedule(at, happening);
        }
    }

    pub(in crate::world) fn timer(&mut self, cluster: usize, client: usize, long: bool) {
        let now = self.now;
        let Cluster {
            config,
            clients,
            timers,
            ..
        } = &mut self.clusters.list[cluster];
        let timer = &mut timers[client].0[usize::from(long)];
        if timer.queued.is_none_or(|queued| queued > now) {
            return;
        }
        timer.queued = None;
        let Timer { at, generation, .. } = *timer;
        if at > now {
            self.queue_timer(cluster, client, long);
            return;
        }
        clients.wake(&config.load, client, generation, &mut self.clusters.intents);
        self.carry_out(cluster);
    }

    /// A call of a client has ended.
    pub(in crate::world) fn client_of_cluster_answered(
        &mut self,
        cluster: usize,
        client: usize,
        id: RequestId,
        ending: Ending,
    ) -> Result<(), Finding> {
        let Cluster {
            config, clients, ..
        } = &mut self.clusters.list[cluster];
        let intents = &mut self.clusters.intents;
        let outcome = clients.ended(&config.load, client, id, ending, intents);
        self.carry_out(cluster);
        outcome
    }

    fn carry_out(&mut self, cluster: usize) {
        let mut intents = std::mem::take(&mut self.clusters.intents);
        for intent in intents.drain(..) {
            match intent {
                Intent::Call {
                    client,
                    slot,
                    id,
                    request,
                } => {
                    let slot = self.clusters.list[cluster].slots[slot];
                    let caller = Caller::OfCluster(cluster, client);
                    self.call(caller, slot, id, request.into());
                }
                Intent::Timer {
                    client,
                    generation,
                    after,
                } => self.set_timer(cluster, client, generation, after),
                Intent::Cancel { slot, id } => {
                    let slot = self.clusters.list[cluster].slots[slot];
                    self.cancel_later(slot, id);
                }
            }
        }
        self.clusters.intents = intents;
    }
}
