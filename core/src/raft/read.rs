//! Linearizable reads without the log: ReadIndex (Raft dissertation §6.4).
//!
//! A read notes the commit index, then waits for a round of leadership
//! confirmation that began after it arrived. Rounds are numbered and never
//! reused: a late answer to an older round confirms nothing newer (etcd #20418).

use super::effect::{Effect, Refusal};
use super::event::Context;
use super::message::RoundId;
use super::quorum;
use super::state::{PendingRead, Raft};
use crate::limits::READS_PENDING_MAX;
use crate::machine::Outbox;
use crate::types::NodeId;

impl Raft {
    /// A client wants to read.
    pub(super) fn on_read(&mut self, context: Context, out: &mut Outbox<Effect>) {
        if let Some(reason) = self.refuse_read() {
            out.push(Effect::Refused { context, reason });
            return;
        }
        let index = self.commit;
        let lead = self.lead.as_mut().expect("only a leader serves reads");
        lead.round_wanted = true;
        lead.reads.push_back(PendingRead {
            round: RoundId(lead.round.0 + 1),
            context,
            index,
        });
        self.flush_wanted = true;
    }

    /// Answers the reads whose round a quorum has confirmed.
    pub(super) fn answer_reads(&mut self, out: &mut Outbox<Effect>) {
        let Some(lead) = &self.lead else {
            return;
        };
        if lead.reads.is_empty() {
            return;
        }
        let confirmed = quorum::reached(self.membership(), self.config.mutant, |id: NodeId| {
            if id == self.config.id {
                return lead.round.0;
            }
            let at = lead.position(id);
            at.map_or(0, |at| lead.peers[at].confirmed_round.0)
        });
        let confirmed = RoundId(confirmed.unwrap_or(0));
        let lead = self.lead.as_mut().expect("just seen");
        while let Some(read) = lead.reads.front().copied() {
            if read.round > confirmed {
                break;
            }
            lead.reads.pop_front();
            assert!(read.index <= self.commit);
            out.push(Effect::ReadReady {
                context: read.context,
                index: read.index,
            });
        }
    }

    /// Why a read cannot be taken now.
    fn refuse_read(&self) -> Option<Refusal> {
        if let Some(reason) = self.refuse_service() {
            return Some(reason);
        }
        if !self.is_ready_leader() {
            return Some(Refusal::NotReady);
        }
        let lead = self.lead.as_ref().expect("service is refused otherwise");
        (lead.reads.len() >= READS_PENDING_MAX).then_some(Refusal::Busy)
    }
}
