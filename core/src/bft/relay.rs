//! How certificates travel (C1 to C5), and what is retransmitted.
//!
//! Votes go from all to all, so everybody puts most certificates together by
//! itself. Sending each of them to everybody once more costs `n²` certificates
//! of `64·n` bytes per view, which with signatures that do not aggregate is most
//! of the traffic. So a certificate goes only to those who seem to need it:
//!
//! - C1: proposals carry the certificates that they rest on;
//! - C2: the validators that follow the next leader in the set, one more than may
//!   be Byzantine, send it to that leader;
//! - C3: after half a delay it goes to those who were not heard in its view;
//! - C4: who is stuck sends its votes and its entry certificate again, and
//!   whoever is ahead answers (S12);
//! - C5: finalizations go along with proposals and answers.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::cert::Proven;
use super::config::Relay;
use super::effect::Effect;
use super::message::Message;
use super::state::{Bft, Phase};
use super::timers::take_due;
use super::types::{ValidatorIndex, View};
use super::vote::{Vote, VoteKind};
use crate::limits::VIEWS_REPEATED;
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::types::{NodeId, Span};

impl Bft {
    /// Passes a new certificate on.
    pub(super) fn relay(&mut self, cert: &Proven, assembled: bool, out: &mut Outbox<Effect>) {
        if self.me.is_none() || !matches!(self.phase, Phase::Running) {
            return;
        }
        match self.config.relay {
            Relay::Flood => out.push(Effect::Broadcast {
                message: message(cert),
            }),
            Relay::Sparse if assembled => self.relay_sparsely(cert, out),
            Relay::Sparse => {}
        }
    }

    fn relay_sparsely(&mut self, cert: &Proven, out: &mut Outbox<Effect>) {
        let view = cert.statement.view();
        let leader = self.leaders.of(view.next());
        if Some(leader) != self.me && self.supplies(leader) {
            out.push(Effect::Send {
                to: self.node_at(leader),
                message: message(cert),
            });
        }
        let half = Span(self.config.timing.delta.0 / 2);
        self.timers.relay = Some((self.now.saturating_add(half), view));
    }

    /// Whether this node is one of those that follow the leader in the set.
    pub(super) fn supplies(&self, leader: ValidatorIndex) -> bool {
        let count = self.epoch.validators.len();
        let me = self.me.expect("only validators relay").position();
        assert!(me != leader.position(), "C2: nobody supplies itself");
        let distance = (me + count - leader.position()) % count;
        (1..=self.epoch.validators.faulty_max() + 1).contains(&distance)
    }

    /// What is due to be retransmitted.
    pub(super) fn repeat(&mut self, out: &mut Outbox<Effect>) {
        match self.phase {
            Phase::Running => {}
            Phase::Rejoining(_) => return self.repeat_rejoin(out),
            Phase::New | Phase::Ended | Phase::Forked | Phase::Halted(_) => return,
        }
        if let Some((due, view)) = self.timers.relay
            && due <= self.now
        {
            self.timers.relay = None;
            self.push_cert(view, out);
        }
        if take_due(&mut self.timers.retry, self.now) {
            self.timers.retry = Some(self.now.saturating_add(self.retry_after()));
            self.retransmit(out);
        }
    }

    /// C3: the certificates of a view, for those who were not heard in it.
    fn push_cert(&mut self, view: View, out: &mut Outbox<Effect>) {
        let silent: Vec<NodeId> = self
            .epoch
            .validators
            .iter()
            .map(|(_, validator)| validator.node)
            .filter(|node| *node != self.config.node)
            .filter(|node| self.peers.get(node).is_none_or(|peer| peer.view < view))
            .collect();
        let Some(round) = self.rounds.get(&view) else {
            return;
        };
        for to in silent {
            for cert in round.certs() {
                out.push(Effect::Send {
                    to,
                    message: message(cert),
                });
            }
        }
    }

    /// Sends the vote to finalise the newest notarised block again with each view that comes to
    /// nothing behind it: such views are over before [`retransmit`](Self::retransmit) is due.
    pub(super) fn repeat_unfinished(&self, out: &mut Outbox<Effect>) {
        let is_left_behind = |vote: &Vote| vote.statement.view().next() < self.view;
        if !matches!(self.phase, Phase::Running) {
            return;
        }
        if let Some(vote) = self.unfinished_vote().filter(is_left_behind) {
            out.push(Effect::Broadcast {
                message: Message::Vote(vote),
            });
        }
    }

    /// The durable own vote to finalise the newest notarised block that is not final.
    fn unfinished_vote(&self) -> Option<Vote> {
        let view = self.newest_unfinished()?;
        let vote = self.guard.vote(view, VoteKind::Finalize)?;
        self.guard.holds_durably(vote).then_some(*vote)
    }

    /// C4: own votes as they are, never signed again, and the entry certificate.
    /// Who has no vote to show asks for help by a status.
    pub(super) fn retransmit(&mut self, out: &mut Outbox<Effect>) {
        if self.config.mutant.is(Mutant::BftRepeatsNothing) {
            return;
        }
        let mut votes = self.guard.newest(VIEWS_REPEATED);
        votes.extend(self.unfinished_vote().filter(|vote| !votes.contains(vote)));
        if votes.is_empty() || self.me.is_none() {
            let peer = self.next_peer();
            let to = self.node_at(peer);
            if to != self.config.node {
                out.push(Effect::Send {
                    to,
                    message: Message::AskStatus,
                });
            }
        }
        for vote in votes {
            assert!(
                Some(vote.signer) == self.me && self.guard.holds_durably(&vote),
                "C4: own votes are sent again as they are on the disk"
            );
            out.push(Effect::Broadcast {
                message: Message::Vote(vote),
            });
        }
        if let Some(cert) = self.entered_by.as_ref().filter(|_| self.me.is_some()) {
            out.push(Effect::Broadcast {
                message: message(cert),
            });
        }
    }

    /// Another validator, drawn again each time. Taking turns would be a trap: who asks
    /// as many questions per pause as there are others puts the same question to the
    /// same one for ever, and that one may be down.
    pub(super) fn next_peer(&mut self) -> ValidatorIndex {
        let count = self.epoch.validators.len();
        self.peers_asked = self.peers_asked.wrapping_add(1);
        let others = u64::try_from(count).expect("at most 128").max(2) - 1;
        let drawn = usize::try_from(mix(self.peers_asked) % others).expect("below 128");
        let me = self.me.map_or(count, ValidatorIndex::position);
        let place = if drawn < me { drawn } else { drawn + 1 };
        ValidatorIndex(u16::try_from(place.min(count - 1)).expect("at most 128"))
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014, figure 10).
const fn mix(count: u64) -> u64 {
    let mut z = count.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn message(cert: &Proven) -> Message {
    Message::Cert(Box::new(cert.to_cert()))
}
