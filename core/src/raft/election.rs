//! Elections: pre-vote, vote, stickiness, and what a role change does.

use alloc::vec::Vec;

use super::effect::{Effect, Role};
use super::message::{Body, CampaignId};
use super::quorum;
use super::state::Raft;
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::types::{LogId, NodeId, Span, Term};

/// One attempt to become leader.
#[derive(Debug, Clone, Default, Hash)]
pub struct Campaign {
    /// The attempt. Numbers start at a different place after each restart, so
    /// that an answer to a former life is void.
    pub id: CampaignId,
    /// Whether the old leader asked for it.
    pub transfer: bool,
    /// Who granted it. Sorted.
    pub granted: Vec<NodeId>,
    /// Who refused it. Sorted.
    pub refused: Vec<NodeId>,
}

/// An election timeout, and what it was drawn for.
#[derive(Debug, Clone, Copy, Hash)]
pub struct ElectionTimeout {
    term: Term,
    campaign: CampaignId,
    timeout: Span,
}

impl Campaign {
    /// Before the first attempt of an incarnation.
    pub fn new(incarnation: u64) -> Self {
        Self {
            id: CampaignId(incarnation.wrapping_shl(32)),
            ..Self::default()
        }
    }

    /// Begins another attempt.
    fn renew(&mut self, transfer: bool) {
        *self = Self {
            id: CampaignId(self.id.0.wrapping_add(1)),
            transfer,
            granted: Vec::new(),
            refused: Vec::new(),
        };
    }

    /// Counts an answer; the first one of a node stands.
    fn count(&mut self, from: NodeId, granted: bool) {
        if self.granted.binary_search(&from).is_ok() || self.refused.binary_search(&from).is_ok() {
            return;
        }
        let side = if granted {
            &mut self.granted
        } else {
            &mut self.refused
        };
        if let Err(place) = side.binary_search(&from) {
            side.insert(place, from);
        }
    }
}

impl Raft {
    /// Whether this node may stand for election. A voter of the committed
    /// membership may, even if a later one without it is in the log: until that
    /// one is committed, nobody else may be able to win (Raft dissertation
    /// §4.2.2).
    pub(super) fn is_eligible(&self) -> bool {
        self.membership().votes(self.config.id)
            || self.log.membership_at(self.commit).votes(self.config.id)
    }

    /// Whether a leader was heard so recently that another is not wanted (Raft
    /// paper §6, disruptive servers). A leader is sure of itself: it steps down
    /// by itself once it has lost its quorum.
    pub(super) fn is_sticky(&self) -> bool {
        if self.lead.is_some() {
            return true;
        }
        let recent = self
            .contact
            .is_some_and(|at| self.now < at.saturating_add(self.config.election_timeout_min));
        self.leader.is_some() && recent
    }

    /// Waits for the leader again. The timeout is drawn once per term and attempt.
    pub(super) fn reset_election_timer(&mut self) {
        let (term, campaign) = (self.hard.term, self.campaign.id);
        let drawn = self
            .election_timeout
            .filter(|drawn| drawn.term == term && drawn.campaign == campaign);
        let election_timeout = drawn.unwrap_or_else(|| ElectionTimeout {
            term,
            campaign,
            timeout: jittered(
                self.config.election_timeout_min,
                [
                    self.config.seed,
                    high_half(self.config.id),
                    low_half(self.config.id),
                    term.0,
                    campaign.0,
                ],
            ),
        });
        self.election_timeout = Some(election_timeout);
        self.election_at = self.now.saturating_add(election_timeout.timeout);
    }

    /// The leader was not heard for too long, or the last attempt led nowhere.
    pub(super) fn on_election_timeout(&mut self, out: &mut Outbox<Effect>) {
        assert!(self.lead.is_none());
        if !self.is_eligible()
            || self
                .staging
                .as_ref()
                .is_some_and(|staging| staging.installing)
        {
            self.reset_election_timer();
            return;
        }
        self.campaign.renew(false);
        self.reset_election_timer();
        self.role = Role::PreCandidate;
        self.leader = None;
        self.campaign.count(self.config.id, true);
        let last = self.log.last();
        let campaign = self.campaign.id;
        let term = self.hard.term.next();
        for to in self.other_voters() {
            // A question that changes nothing rests on nothing.
            let body = Body::PreVote { campaign, last };
            let message = super::message::Message { term, body };
            out.push(Effect::Send { to, message });
        }
        self.count_pre_votes(out);
    }

    /// Stands for election in a new term. The requests and the node's own vote
    /// wait for the disk (P1).
    pub(super) fn stand(&mut self, transfer: bool, out: &mut Outbox<Effect>) {
        assert!(self.is_eligible());
        assert!(self.repair.is_none(), "a damaged log never leads");
        self.adopt_term(self.hard.term.next());
        self.hard.voted_for = Some(self.config.id);
        self.role = Role::Candidate;
        self.leader = None;
        self.campaign.renew(transfer);
        self.reset_election_timer();
        let last = self.log.last();
        let campaign = self.campaign.id;
        for to in self.other_voters() {
            let body = Body::Vote {
                campaign,
                last,
                transfer,
            };
            self.send(to, body, out);
        }
        self.flush_wanted = true;
    }

    /// The node's own vote counts as any other: once it is durable.
    pub(super) fn count_own_vote(&mut self, out: &mut Outbox<Effect>) {
        if self.role == Role::Candidate && self.gate.need_hard().is_none() {
            assert_eq!(self.hard.voted_for, Some(self.config.id));
            self.campaign.count(self.config.id, true);
            self.count_votes(out);
        }
    }

    /// Would this node vote for the candidate? Changes nothing.
    pub(super) fn on_pre_vote(
        &mut self,
        from: NodeId,
        term: Term,
        campaign: CampaignId,
        last: LogId,
        out: &mut Outbox<Effect>,
    ) {
        let granted = self.repair.is_none()
            && term > self.hard.term
            && !self.is_sticky()
            && self.is_up_to_date(last);
        let body = Body::PreVoteReply { campaign, granted };
        if granted {
            // The answer names the term asked about, which nobody is in yet.
            let message = super::message::Message { term, body };
            out.push(Effect::Send { to: from, message });
        } else {
            // A refusal names our term, so that a node that is behind learns of it.
            self.send(from, body, out);
        }
    }

    /// A node would vote for us.
    pub(super) fn on_pre_vote_granted(
        &mut self,
        from: NodeId,
        term: Term,
        campaign: CampaignId,
        out: &mut Outbox<Effect>,
    ) {
        let current = self.role == Role::PreCandidate
            && campaign == self.campaign.id
            && term == self.hard.term.next()
            && self.membership().votes(from);
        if current {
            self.campaign.count(from, true);
            self.count_pre_votes(out);
        }
    }

    /// A node of our term would not vote for us.
    pub(super) fn on_pre_vote_refused(
        &mut self,
        from: NodeId,
        campaign: CampaignId,
        out: &mut Outbox<Effect>,
    ) {
        let current = self.role == Role::PreCandidate && campaign == self.campaign.id;
        if current && self.membership().votes(from) {
            self.campaign.count(from, false);
            self.count_pre_votes(out);
        }
    }

    /// A candidate of our term asks for our vote. Decided on its log alone:
    /// whether *we* count is the candidate's business (etcd abb533c).
    pub(super) fn on_vote(
        &mut self,
        from: NodeId,
        campaign: CampaignId,
        last: LogId,
        out: &mut Outbox<Effect>,
    ) {
        let free = self.hard.voted_for.is_none_or(|other| other == from);
        let granted = free
            && self.lead.is_none()
            && self.repair.is_none()
            && (self.leader.is_none() || self.hard.voted_for == Some(from))
            && self.is_up_to_date(last);
        if granted && self.hard.voted_for.is_none() {
            self.hard.voted_for = Some(from);
            self.gate.mark_hard();
            self.flush_wanted = true;
        }
        if granted {
            self.reset_election_timer();
        }
        self.send(from, Body::VoteReply { campaign, granted }, out);
    }

    /// An answer to our candidacy.
    pub(super) fn on_vote_reply(
        &mut self,
        from: NodeId,
        campaign: CampaignId,
        granted: bool,
        out: &mut Outbox<Effect>,
    ) {
        let current = self.role == Role::Candidate && campaign == self.campaign.id;
        if current && self.membership().votes(from) {
            self.campaign.count(from, granted);
            self.count_votes(out);
        }
    }

    /// The leader wants us to take over at once.
    pub(super) fn on_timeout_now(&mut self, from: NodeId, out: &mut Outbox<Effect>) {
        let asked_by_leader = self.role == Role::Follower && self.leader == Some(from);
        let installing = self
            .staging
            .as_ref()
            .is_some_and(|staging| staging.installing);
        if asked_by_leader && self.is_eligible() && !installing {
            self.stand(true, out);
        }
    }

    /// A message of an older term: whoever leads there learns of ours.
    pub(super) fn on_stale(&mut self, from: NodeId, body: &Body, out: &mut Outbox<Effect>) {
        let reply = match body {
            Body::Vote { campaign, .. } => Body::VoteReply {
                campaign: *campaign,
                granted: false,
            },
            Body::Append {
                inflight, round, ..
            } => Body::AppendReply {
                inflight: *inflight,
                round: *round,
                incarnation: self.incarnation(),
                result: super::message::AppendResult::Busy,
            },
            Body::Snapshot {
                inflight, round, ..
            } => Body::SnapshotReply {
                inflight: *inflight,
                round: *round,
                incarnation: self.incarnation(),
                result: super::message::SnapshotResult::Refused,
            },
            _ => return,
        };
        self.send(from, reply, out);
    }

    /// A message of our term came from its leader. False if we know another one,
    /// which no correct cluster can bring about.
    pub(super) fn accept_leader(&mut self, from: NodeId, out: &mut Outbox<Effect>) -> bool {
        if self.lead.is_some() || self.leader.is_some_and(|leader| leader != from) {
            return false;
        }
        if self.leader.is_none() {
            self.become_follower(self.hard.term, Some(from), out);
        }
        self.contact = Some(self.now);
        self.reset_election_timer();
        true
    }

    /// Follows, in this term or a later one. The vote of a term is kept through
    /// everything that happens in it (CCF #5891).
    pub(super) fn become_follower(
        &mut self,
        term: Term,
        leader: Option<NodeId>,
        out: &mut Outbox<Effect>,
    ) {
        assert!(term >= self.hard.term, "terms never go back");
        self.end_leadership(out);
        if term > self.hard.term {
            self.adopt_term(term);
        } else if self.config.mutant.is(Mutant::VoteForgottenInTerm) {
            self.hard.voted_for = None;
        }
        self.role = if self.repair.is_some() {
            Role::Repairing
        } else {
            Role::Follower
        };
        self.leader = leader;
        self.reset_election_timer();
    }

    /// Enters a later term. What waited in the old one is never sent.
    fn adopt_term(&mut self, term: Term) {
        assert!(term > self.hard.term);
        self.hard.term = term;
        self.hard.voted_for = None;
        self.gate.mark_hard();
        self.gate.drop_held();
        self.flush_wanted = true;
        // Another leader may cut its chunks at other places.
        self.staging.take_if(|staging| !staging.installing);
        if let Some(repair) = &mut self.repair {
            repair.first_round = None;
        }
    }

    /// Whether a candidate's log is at least as complete as ours (§5.4.1).
    fn is_up_to_date(&self, last: LogId) -> bool {
        if self.config.mutant.is(Mutant::UpToDateByIndex) {
            return last.index >= self.log.last().index;
        }
        last >= self.log.last()
    }

    /// The voters beside us, each once.
    fn other_voters(&self) -> Vec<NodeId> {
        let membership = self.membership();
        let mut voters: Vec<NodeId> = membership
            .voters
            .iter()
            .chain(&membership.outgoing)
            .copied()
            .filter(|id| *id != self.config.id)
            .collect();
        voters.sort_unstable();
        voters.dedup();
        voters
    }

    /// Goes on to the election, or back, once the pre-votes decide it.
    fn count_pre_votes(&mut self, out: &mut Outbox<Effect>) {
        assert_eq!(self.role, Role::PreCandidate);
        if self.is_won() {
            self.stand(false, out);
        } else if self.is_lost() {
            self.role = Role::Follower;
        }
    }

    /// Leads, or follows, once the votes decide it.
    fn count_votes(&mut self, out: &mut Outbox<Effect>) {
        assert_eq!(self.role, Role::Candidate);
        if self.is_won() && self.gate.need_hard().is_none() {
            self.become_leader(out);
        } else if self.is_lost() {
            self.role = Role::Follower;
        }
    }

    fn is_won(&self) -> bool {
        let granted = &self.campaign.granted;
        quorum::agrees(self.membership(), self.config.mutant, |id| {
            granted.binary_search(&id).is_ok()
        })
    }

    fn is_lost(&self) -> bool {
        let refused = &self.campaign.refused;
        !quorum::agrees(self.membership(), self.config.mutant, |id| {
            refused.binary_search(&id).is_err()
        })
    }
}

/// A timeout in `min..2*min`, a pure function of its sources. Integers only, and
/// frozen: a seed must mean the same tomorrow.
fn jittered(min: Span, sources: [u64; 5]) -> Span {
    let mixed = sources.into_iter().fold(0, |state: u64, source| {
        mix(state.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ mix(source))
    });
    Span(min.0.saturating_add(mixed.checked_rem(min.0).unwrap_or(0)))
}

/// The finaliser of SplitMix64: a bijection that spreads every bit.
fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

fn high_half(id: NodeId) -> u64 {
    u64::try_from(id.0 >> 64).expect("64 bits are left")
}

fn low_half(id: NodeId) -> u64 {
    u64::try_from(id.0 & u128::from(u64::MAX)).expect("64 bits are left")
}
