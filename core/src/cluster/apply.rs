//! Committed entries become state, answers and news for watchers.

use alloc::vec::Vec;

use super::effect::Effect;
use super::request::{Changes, Response};
use super::requests::stream;
use super::state::{Cluster, Ops};
use crate::codec::Decode;
use crate::kv::{Change, Envelope, Outcome};
use crate::machine::Outbox;
use crate::raft::{self, Entry, EntryKind, Refusal, Runs};
use crate::types::Time;

impl Cluster {
    /// Applies a group of entries, as one batch of the store.
    pub(super) fn apply(&mut self, now: Time, entries: &Runs, out: &mut Outbox<Effect>) {
        assert!(
            !self.snapshots.is_installing(),
            "N3: Raft applies nothing during an install"
        );
        let Some(last) = entries.last() else { return };
        let upto = last.id.index;
        if !self.extend_log_tree(entries) {
            return self.halt(
                "a committed entry was damaged in memory: check the machine, then restart the node",
                out,
            );
        }
        let mut ops = Ops::new();
        for entry in entries.iter() {
            assert_eq!(
                entry.id.index,
                self.kv.applied().index.next(),
                "entries are contiguous"
            );
            self.apply_one(entry, &mut ops, out);
        }
        assert_eq!(self.kv.applied(), last.id);
        self.commit_to_store(ops, upto, false, out);
        self.step_raft(now, raft::Event::Applied { upto });
        self.answer_reads(out);
        self.answer_head_requests(out);
    }

    fn apply_one(&mut self, entry: &Entry, ops: &mut Ops, out: &mut Outbox<Effect>) {
        let outcome = match entry.kind {
            EntryKind::Noop | EntryKind::Membership => {
                self.kv.note_applied(entry.id, ops);
                None
            }
            EntryKind::App => Some(self.apply_command(entry, ops)),
        };
        let changes = self.kv.take_changes();
        if !changes.is_empty() {
            self.tell_watches(&changes, out);
        }
        let Some((origin, is_ours)) = self.requests.take_placed(entry.id) else {
            return;
        };
        let Some(origin) = origin else {
            self.tick_in_flight = false;
            return;
        };
        let response = match outcome {
            Some(outcome) if is_ours => Response::Written {
                at: entry.id,
                outcome,
            },
            // Another entry stands where the proposal was: it is void for ever.
            _ => Response::Refused(Refusal::NotLeader {
                leader: self.known_leader().map(|(leader, _)| leader),
            }),
        };
        self.answer(origin, response, out);
    }

    /// Every replica must do the same with bytes that do not decode, so they are
    /// a command that is refused, not a reason to stop.
    fn apply_command(&mut self, entry: &Entry, ops: &mut Ops) -> Outcome {
        match Envelope::from_bytes(&entry.data) {
            Ok(envelope) => self.kv.apply(entry.id, &envelope, ops),
            Err(_) => {
                self.kv.note_applied(entry.id, ops);
                Outcome::Invalid {
                    rule: "the entry is not a command of this version",
                }
            }
        }
    }

    fn tell_watches(&self, changes: &[Change], out: &mut Outbox<Effect>) {
        for (id, watch) in &self.watches {
            let wanted = |change: &&Change| {
                change.revision >= watch.since
                    && change.key >= watch.from
                    && watch.to.as_ref().is_none_or(|to| change.key < *to)
            };
            let changes: Vec<Change> = changes.iter().filter(wanted).cloned().collect();
            if !changes.is_empty() {
                stream(*id, Response::Changed(Changes { changes }), out);
            }
        }
    }
}
