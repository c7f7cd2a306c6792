//! Watches of clients, and the leader's own commands that let log time pass.

use alloc::vec::Vec;

use super::{Kind, TICK_INTERVAL_MIN, reply};
use crate::kv::Command;
use crate::limits::REQUESTS_OPEN_MAX;
use crate::machine::Outbox;
use crate::node::Changes;
use crate::node::effect::Effect;
use crate::node::request::Response;
use crate::node::state::{Node, Watch};
use crate::raft::{Refusal, Role};
use crate::types::{RequestId, Revision, Time};

impl Node {
    pub(in crate::node) fn watch(
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
            _ => self.kv.changes_since(&from, to.as_deref(), since),
        };
        match past {
            Err(oldest) => reply(id, Response::Compacted { oldest }, out),
            Ok(changes) => {
                reply(
                    id,
                    Response::Watching {
                        revision: self.revision(),
                    },
                    out,
                );
                if !changes.is_empty() {
                    out.push(Effect::Changed {
                        id,
                        changes: Changes { changes },
                    });
                }
                self.watches.insert(id, Watch { from, to, since });
            }
        }
    }

    /// A client is gone. What was proposed for it goes on; nobody is told.
    pub(in crate::node) fn cancel(&mut self, id: RequestId) {
        self.watches.remove(&id);
        self.requests.parked.retain(|parked| parked.id != id);
        self.attest.cancel(id);
    }

    /// When this leader has to let log time pass for something to expire.
    pub(in crate::node) fn tick_deadline(&self) -> Option<Time> {
        let raft = self.raft.as_ref()?;
        if raft.role() != Role::Leader || self.tick_in_flight {
            return None;
        }
        let due = self.clock.time_of(self.kv.next_expiry()?);
        Some(due.max(self.requests.last_tick.saturating_add(TICK_INTERVAL_MIN)))
    }

    pub(in crate::node) fn propose_tick(&mut self, now: Time) {
        if self.tick_deadline().is_none_or(|due| due > now) {
            return;
        }
        self.tick_in_flight = true;
        self.requests.last_tick = now;
        let context = self.requests.enter_raft(None, Kind::Write(None), now);
        self.propose(now, context, Command::Tick);
    }
}
