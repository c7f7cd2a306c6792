//! Watches of clients, and the leader's own commands that let log time pass.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Kind, TICK_INTERVAL_MIN, reply, stream};
use crate::cluster::Changes;
use crate::cluster::effect::Effect;
use crate::cluster::request::Response;
use crate::cluster::state::{Cluster, Watch};
use crate::limits::{REQUESTS_OPEN_MAX, STATUS_FOLLOWERS_MAX};
use crate::machine::Outbox;
use crate::raft::{Refusal, Role};
use crate::replica::Command;
use crate::types::{RequestId, Revision, Time};

impl Cluster {
    pub(in crate::cluster) fn watch(
        &mut self,
        id: RequestId,
        from: bytes::Bytes,
        to: Option<bytes::Bytes>,
        since: Revision,
        out: &mut Outbox<Effect>,
    ) {
        if self.watches.len() >= REQUESTS_OPEN_MAX {
            return reply(id, Response::Refused(Refusal::Busy), out);
        }
        let past = match since.0 {
            0 => Ok(Vec::new()),
            _ => self.replica.changes_since(&from, to.as_deref(), since),
        };
        match past {
            Err(oldest) => reply(id, Response::Compacted { oldest }, out),
            Ok(changes) => {
                let revision = self.revision();
                stream(id, Response::Watching { revision }, out);
                if !changes.is_empty() {
                    stream(id, Response::Changed(Changes { changes }), out);
                }
                self.watches.insert(id, Watch { from, to, since });
            }
        }
    }

    /// A client wants to know of every change of role, term, leader and membership.
    pub(in crate::cluster) fn follow_status(&mut self, id: RequestId, out: &mut Outbox<Effect>) {
        if self.followers.len() >= STATUS_FOLLOWERS_MAX {
            return reply(id, Response::Refused(Refusal::Busy), out);
        }
        self.followers.insert(id);
        let status = self.status().expect("a running node has a Raft");
        stream(id, Response::Status(Box::new(status)), out);
    }

    /// Role, term, leader or membership changed.
    pub(in crate::cluster) fn tell_followers(&self, out: &mut Outbox<Effect>) {
        let Some(status) = self.status().filter(|_| !self.followers.is_empty()) else {
            return;
        };
        for id in &self.followers {
            stream(*id, Response::Status(Box::new(status.clone())), out);
        }
    }

    /// A client is gone: what only waits is answered at once. What was proposed, read or
    /// passed on is answered when that has ended.
    pub(in crate::cluster) fn cancel(&mut self, id: RequestId, out: &mut Outbox<Effect>) {
        let waited = self.watches.remove(&id).is_some()
            || self.followers.remove(&id)
            || self.requests.unpark(id)
            || self.attest.cancel(id)
            || self.module_checks.cancel(id);
        if waited {
            reply(id, Response::Refused(Refusal::Unavailable), out);
        }
    }

    /// When this leader has to let log time pass for something to expire.
    pub(in crate::cluster) fn tick_deadline(&self) -> Option<Time> {
        let raft = self.raft.as_ref()?;
        if raft.role() != Role::Leader || self.tick_in_flight {
            return None;
        }
        let due = self.clock.time_of(self.replica.next_expiry()?);
        Some(due.max(self.requests.last_tick.saturating_add(TICK_INTERVAL_MIN)))
    }

    pub(in crate::cluster) fn propose_tick(&mut self, now: Time) {
        if self.tick_deadline().is_none_or(|due| due > now) {
            return;
        }
        self.tick_in_flight = true;
        self.requests.last_tick = now;
        let context = self.requests.enter_raft(None, Kind::Write(None), now);
        self.propose(now, context, Command::Tick);
    }
}
