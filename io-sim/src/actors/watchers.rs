//! Watchers: each follows the keys of all clients of a cluster through one node, and turns
//! to another one now and then.

use decube_core::cluster::{Request, Response};
use decube_core::kv::Change;
use decube_core::node;
use decube_core::types::{RequestId, Revision};

use super::{Actor, Answer, Context, Way, at, number};
use crate::check::records::Records;
use crate::check::{Finding, Shared};
use crate::rng::{Domain, Draw, Keyed};
use crate::subject::Subject;
use crate::workload::{key_number, keys_end, keys_start, value_id};

/// How long a watcher stays on average.
const STAY_NS: u64 = 800_000_000;
/// The token of a watcher that has left its node and turns to the next one.
const TURNS: u64 = 1 << 32;

/// Where a watcher is.
#[derive(Debug, Clone, Copy)]
struct Connection {
    slot: usize,
    id: RequestId,
}

/// The watchers of a cluster.
#[derive(Debug)]
pub struct Watchers {
    draws: Keyed,
    /// Which cluster, among all.
    cluster: usize,
    /// The slots of its nodes.
    slots: Vec<usize>,
    /// Where each watcher is.
    watching: Vec<Option<Connection>>,
    /// What they saw.
    records: Shared<Records>,
}

impl Watchers {
    /// As many as the records of the cluster with this number have room for.
    pub fn new(seed: u64, cluster: usize, slots: Vec<usize>, records: Shared<Records>) -> Self {
        let watching = vec![None; records.borrow().watches.len()];
        Self {
            draws: Keyed::new(seed, Domain::Client),
            cluster,
            slots,
            watching,
            records,
        }
    }

    /// What a watcher draws when it turns.
    fn draw(&self, watcher: usize, now: u64) -> Draw {
        let entity = number(self.cluster << 8 | watcher);
        self.draws.at(entity | 1 << 40, now)
    }

    /// A watcher leaves its node.
    fn leave<S: Subject>(&mut self, ctx: &mut Context<'_, S>, watcher: usize) {
        let draw = self.draw(watcher, ctx.now());
        let stay = draw.exponential(STAY_NS).max(1_000_000);
        ctx.wake_at(ctx.now() + stay, number(watcher));
        if let Some(Connection { slot, id }) = self.watching[watcher].take() {
            ctx.hang_up(slot, id);
        }
        ctx.wake_again(TURNS | number(watcher));
    }

    /// It follows through the next one, if that is up.
    fn follow<S: Subject>(&mut self, ctx: &mut Context<'_, S>, watcher: usize) {
        let draw = self.draw(watcher, ctx.now());
        let slot = self.slots[draw.again().index(self.slots.len())];
        if !ctx.hosts()[slot].is_up() {
            return;
        }
        let since = self.records.borrow().watches.next(watcher);
        let request = Request::Watch {
            from: keys_start(),
            to: Some(keys_end()),
            since: Revision(since),
        };
        let id = ctx.call(Way::Stream, number(watcher), slot, request);
        self.watching[watcher] = Some(Connection { slot, id });
    }

    /// A node tells of changes.
    fn changed<S: Subject>(
        &self,
        ctx: &mut Context<'_, S>,
        watcher: usize,
        changes: &[Change],
    ) -> Result<(), Finding> {
        let told = changes.iter().map(|change| {
            let value = match &change.pair {
                Some(pair) => value_id(&pair.value)?,
                None => 0,
            };
            Some((change.revision.0, key_number(&change.key)?, value))
        });
        let Some(told) = told.collect::<Option<Vec<(u64, u64, u64)>>>() else {
            let message = format!("changes that no client made: {changes:?}");
            return Err(("watch-order", message));
        };
        ctx.coverage().changes_watched += number(told.len());
        self.records.borrow_mut().watches.changed(watcher, &told)
    }
}

impl<S: Subject> Actor<S> for Watchers {
    fn begin(&mut self, ctx: &mut Context<'_, S>) {
        for watcher in 0..self.watching.len() {
            ctx.wake_at(1_000_000, number(watcher));
        }
    }

    fn wake(&mut self, ctx: &mut Context<'_, S>, token: u64) -> Result<(), Finding> {
        match token & TURNS {
            0 => self.leave(ctx, at(token)),
            _ => self.follow(ctx, at(token ^ TURNS)),
        }
        Ok(())
    }

    fn streamed(
        &mut self,
        ctx: &mut Context<'_, S>,
        token: u64,
        response: node::Response,
    ) -> Result<(), Finding> {
        match response {
            node::Response::Cluster(Response::Changed(changes)) => {
                self.changed(ctx, at(token), &changes.changes)
            }
            node::Response::Cluster(Response::Watching { revision }) => {
                let watches = &mut self.records.borrow_mut().watches;
                watches.began(at(token), revision.0);
                Ok(())
            }
            other => Err(("answer-kind", format!("a stream of {other:?}"))),
        }
    }

    /// A node ends a watch.
    fn answered(
        &mut self,
        ctx: &mut Context<'_, S>,
        token: u64,
        _id: RequestId,
        answer: Answer,
    ) -> Result<(), Finding> {
        let Answer::Answered(response) = answer else {
            return Ok(());
        };
        match *response {
            node::Response::Cluster(Response::Compacted { .. }) => {
                ctx.coverage().watches_compacted += 1;
                self.records.borrow_mut().watches.lost(at(token));
                Ok(())
            }
            node::Response::Cluster(Response::Refused(_) | Response::Unknown) => Ok(()),
            other => Err(("answer-kind", format!("a watch was answered {other:?}"))),
        }
    }
}
