//! Committed entries become state, answers and news for watchers.

use alloc::vec::Vec;

use super::effect::Effect;
use super::request::{Changes, Response};
use super::requests::stream;
use super::state::{Cluster, Ops};
use crate::codec::Decode;
use crate::kv::{Change, Outcome};
use crate::machine::Outbox;
use crate::raft::{self, Entry, EntryKind, Refusal, Runs};
use crate::replica::{Envelope, is_of_newer_version};
use crate::types::Time;

/// Nothing behind the command is applied either: the nodes of the newer version have
/// carried it out, and this one would go on from another state.
const NEWER_COMMAND: &str = "a committed command was written by a newer version, for a module \
                             that this one does not have: start the node with that version";

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
                self.replica.applied().index.next(),
                "entries are contiguous"
            );
            // What was applied in front of it is in the log, and is applied again by
            // the next start.
            if self.apply_one(entry, &mut ops, out).is_err() {
                return self.halt(NEWER_COMMAND, out);
            }
        }
        assert_eq!(self.replica.applied(), last.id);
        self.commit_to_store(ops, upto, false, out);
        self.step_raft(now, raft::Event::Applied { upto });
        self.answer_reads(out);
        self.answer_head_requests(now, out);
    }

    fn apply_one(
        &mut self,
        entry: &Entry,
        ops: &mut Ops,
        out: &mut Outbox<Effect>,
    ) -> Result<(), OfNewerVersion> {
        let outcome = match entry.kind {
            EntryKind::Noop | EntryKind::Membership => {
                self.replica.note_applied(entry.id, ops);
                None
            }
            EntryKind::App => Some(self.apply_command(entry, ops)?),
        };
        let changes = self.replica.take_notices();
        if !changes.is_empty() {
            self.tell_watches(&changes, out);
        }
        let Some((origin, is_ours)) = self.requests.take_placed(entry.id) else {
            return Ok(());
        };
        let Some(origin) = origin else {
            self.tick_in_flight = false;
            return Ok(());
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
        Ok(())
    }

    /// Bytes that no version would write are a command that is refused, by every
    /// replica alike, not a reason to stop.
    fn apply_command(&mut self, entry: &Entry, ops: &mut Ops) -> Result<Outcome, OfNewerVersion> {
        match Envelope::from_bytes(&entry.data) {
            Ok(envelope) if self.replica.is_newer(&envelope.command) => Err(OfNewerVersion),
            Ok(envelope) => Ok(self.replica.apply(entry.id, &envelope, ops)),
            Err(error) if is_of_newer_version(&error) => Err(OfNewerVersion),
            Err(_) => {
                self.replica.note_applied(entry.id, ops);
                Ok(Outcome::Invalid {
                    rule: "the entry is not a command of this version",
                })
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

/// A committed command says something that this version does not know.
struct OfNewerVersion;
