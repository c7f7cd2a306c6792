//! Watchers: each follows the keys of all clients through one node, and turns to
//! another one now and then.

use std::cell::RefMut;

use decube_core::cluster::{Request, Response};
use decube_core::kv::Change;
use decube_core::types::{RequestId, Revision};

use super::World;
use crate::check::Finding;
use crate::check::watches::Watches;
use crate::rng::{Domain, Keyed};
use crate::subject::Subject;
use crate::workload::{key_number, keys_end, keys_start, value_id};
use crate::world::Happening;
use crate::world::calls::Caller;

/// How long a watcher stays on average.
const STAY_NS: u64 = 800_000_000;

/// Where a watcher is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Connection {
    slot: usize,
    id: RequestId,
}

impl<S: Subject> World<S> {
    /// A watcher turns to another node.
    pub(in crate::world) fn turn_watcher(
        &mut self,
        cluster: usize,
        watcher: usize,
    ) -> Result<(), Finding> {
        let draws = Keyed::new(self.seed, Domain::Client);
        let entity = u64::try_from(cluster << 8 | watcher).expect("few");
        let draw = draws.at(entity | 1 << 40, self.now);
        let stay = draw.exponential(STAY_NS).max(1_000_000);
        self.schedule(self.now + stay, Happening::Watcher { cluster, watcher });
        let connection = self.clusters.list[cluster].watching[watcher].take();
        if let Some(Connection { slot, id }) = connection {
            self.cancel(slot, id)?;
        }
        let cluster = &mut self.clusters.list[cluster];
        let slot = cluster.slots[draw.again().index(cluster.slots.len())];
        if !self.hosts[slot].is_up() {
            return Ok(());
        }
        let id = cluster.clients.fresh_request();
        cluster.watching[watcher] = Some(Connection { slot, id });
        let request = Request::Watch {
            from: keys_start(),
            to: Some(keys_end()),
            since: Revision(cluster.clients.records.borrow().watches.next(watcher)),
        };
        self.take_call(Caller::Watcher(watcher), slot, id, request.into())
    }

    /// A part of an answer: only watches have more than one.
    pub(in crate::world) fn stream(
        &mut self,
        slot: usize,
        id: RequestId,
        response: Response,
    ) -> Result<(), Finding> {
        match response {
            Response::Changed(changes) => self.changed(slot, id, &changes.changes),
            Response::Watching { revision } => self.watching(slot, id, revision),
            other => Err(("answer-kind", format!("a stream of {other:?}"))),
        }
    }

    /// What the watchers of the cluster of a slot saw.
    fn watches(&self, slot: usize) -> RefMut<'_, Watches> {
        let (cluster, _) = self.clusters.places[slot].expect("a member is watched");
        let records = self.clusters.list[cluster].clients.records.borrow_mut();
        RefMut::map(records, |records| &mut records.watches)
    }

    /// A node answers a watcher.
    pub(in crate::world) fn answer_watcher(
        &mut self,
        slot: usize,
        watcher: usize,
        response: &Response,
    ) -> Result<(), Finding> {
        match response {
            Response::Compacted { .. } => {
                self.coverage.watches_compacted += 1;
                self.watches(slot).lost(watcher);
            }
            Response::Refused(_) | Response::Unknown => {}
            other => {
                return Err(("answer-kind", format!("a watch was answered {other:?}")));
            }
        }
        Ok(())
    }

    /// Who is told a part of an answer; `None` if it has left and the paused node does not
    /// know yet.
    fn watcher(&self, slot: usize, id: RequestId) -> Result<Option<usize>, Finding> {
        match self.hosts[slot].open.get(&id) {
            Some((Caller::Watcher(watcher), _)) => Ok(Some(*watcher)),
            Some((Caller::Gone, _)) => Ok(None),
            caller => {
                let message = format!("slot {slot} tells {id}, which does not watch: {caller:?}");
                Err(("watch-order", message))
            }
        }
    }

    /// A watch has begun.
    fn watching(&mut self, slot: usize, id: RequestId, revision: Revision) -> Result<(), Finding> {
        if let Some(watcher) = self.watcher(slot, id)? {
            self.watches(slot).began(watcher, revision.0);
        }
        Ok(())
    }

    /// A node tells of changes.
    fn changed(&mut self, slot: usize, id: RequestId, changes: &[Change]) -> Result<(), Finding> {
        let Some(watcher) = self.watcher(slot, id)? else {
            return Ok(());
        };
        let told: Option<Vec<(u64, u64, u64)>> = changes
            .iter()
            .map(|change| {
                let value = match &change.pair {
                    Some(pair) => value_id(&pair.value)?,
                    None => 0,
                };
                Some((change.revision.0, key_number(&change.key)?, value))
            })
            .collect();
        let Some(told) = told else {
            return Err((
                "watch-order",
                format!("changes that no client made: {changes:?}"),
            ));
        };
        self.coverage.changes_watched += u64::try_from(told.len()).expect("few");
        self.watches(slot).changed(watcher, &told)
    }
}
