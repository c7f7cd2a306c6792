//! A digest of the whole state, to compare two runs step by step.

use super::state::{Bft, Phase, Verdict};
use crate::codec::Writer;
use crate::crypto::{Digest, sha256};
use crate::types::Time;

impl Bft {
    /// SHA-256 over everything that decides what this validator does next.
    pub fn digest(&self) -> Digest {
        let mut writer = Writer::new();
        writer.put(&self.now);
        writer.u8(match self.phase {
            Phase::New => 0,
            Phase::Rejoining(_) => 1,
            Phase::Running => 2,
            Phase::Halted(_) => 3,
            Phase::Ended => 4,
        });
        writer.put(&self.view);
        writer.put(&self.entered_at);
        writer.put(&self.committed);
        writer.put(&self.guard.floor());
        writer.bool(self.waiting);
        writer.put(&self.building);
        writer.bool(self.gives_up);
        writer.put(&self.gate.last());
        writer.length(self.gate.pending_len());
        if self.gate.is_full() {
            let (records, held) = self.gate.waits();
            writer.length(records);
            writer.length(held);
        }
        let timers = &self.timers;
        let of_view = [timers.leader, timers.view, timers.retry, timers.ask];
        let of_rest = [timers.idle, timers.patience, timers.hold];
        for timer in of_view.into_iter().chain(of_rest) {
            writer.put(&timer.unwrap_or(Time::MAX));
        }
        writer.u8(timers.held);
        writer.put(&timers.relay.map_or(Time::MAX, |(due, _)| due));
        for cert in [&self.entered_by, &self.last_final] {
            writer.put(&cert.as_ref().map(|cert| cert.statement));
        }
        self.wanted.keys().for_each(|hash| writer.put(hash));
        self.guard.votes().for_each(|vote| writer.put(vote));
        self.write_rounds(&mut writer);
        for (hash, known) in &self.blocks {
            writer.put(hash);
            writer.bool(known.recorded);
            writer.u8(match known.verdict {
                Verdict::Open => 0,
                Verdict::Asked => 1,
                Verdict::Valid => 2,
                Verdict::Invalid => 3,
            });
        }
        for (node, peer) in &self.peers {
            writer.put(node);
            writer.put(&peer.view);
            writer.put(&peer.heard_at);
            writer.put(&peer.helped_at);
        }
        writer.u64(self.peers_asked);
        writer.put(&self.listens_from);
        sha256(writer.as_slice())
    }

    fn write_rounds(&self, writer: &mut Writer) {
        for (view, round) in &self.rounds {
            writer.put(view);
            writer.put(&round.proposal);
            writer.put(&round.asked_at);
            round.votes().for_each(|vote| writer.put(vote));
            round.certs().for_each(|cert| writer.put(&cert.statement));
        }
    }
}
