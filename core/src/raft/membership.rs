//! Who takes part: rules, joint changes (§6), and leadership transfer.

use alloc::vec::Vec;

use super::effect::{Effect, Refusal, Role};
use super::event::Context;
use super::message::Body;
use super::progress::{Mode, Progress};
use super::state::Raft;
use super::types::{EntryKind, Membership};
use crate::codec::{Decode, Encode};
use crate::limits::{LEARNERS_MAX, VOTERS_MAX};
use crate::machine::Outbox;
use crate::types::{NodeId, Time};

/// A hand-over in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Transfer {
    /// The next leader.
    pub to: NodeId,
    /// When it is given up.
    pub until: Time,
}

/// Why a membership, or the next leader, that was asked for is not allowed. It
/// travels by number: a peer cannot make this node show any text it likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub enum MembershipRule {
    /// A list is not sorted, or names a member twice.
    #[codec(tag = 0)]
    Unsorted,
    /// More than [`VOTERS_MAX`] voters.
    #[codec(tag = 1)]
    TooManyVoters,
    /// More than [`LEARNERS_MAX`] learners.
    #[codec(tag = 2)]
    TooManyLearners,
    /// Members without a voter among them.
    #[codec(tag = 3)]
    NoVoters,
    /// A voter that is a learner as well.
    #[codec(tag = 4)]
    VoterAndLearner,
    /// The request names outgoing voters, which follow from the present membership.
    #[codec(tag = 5)]
    OutgoingNamed,
    /// What is asked for is in force.
    #[codec(tag = 6)]
    Unchanged,
    /// The next leader is not a voter.
    #[codec(tag = 7)]
    HeirNotVoter,
}

impl MembershipRule {
    /// All of them, in the order of their numbers on the wire.
    pub const ALL: [Self; 8] = [
        Self::Unsorted,
        Self::TooManyVoters,
        Self::TooManyLearners,
        Self::NoVoters,
        Self::VoterAndLearner,
        Self::OutgoingNamed,
        Self::Unchanged,
        Self::HeirNotVoter,
    ];

    /// The rule, for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unsorted => "members are sorted and listed once",
            Self::TooManyVoters => "too many voters",
            Self::TooManyLearners => "too many learners",
            Self::NoVoters => "a membership has voters",
            Self::VoterAndLearner => "a voter is not a learner",
            Self::OutgoingNamed => "the outgoing voters are not for the asker to choose",
            Self::Unchanged => "this membership is in force already",
            Self::HeirNotVoter => "leadership can be handed to a voter only",
        }
    }
}

impl Membership {
    /// Voters and nothing else. Sorts them and drops duplicates.
    pub fn of_voters(voters: impl IntoIterator<Item = NodeId>) -> Self {
        let mut voters: Vec<NodeId> = voters.into_iter().collect();
        voters.sort_unstable();
        voters.dedup();
        Self {
            voters,
            ..Self::default()
        }
    }

    /// Whether two majorities are needed.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether a node counts in decisions.
    pub fn votes(&self, id: NodeId) -> bool {
        // A handful at the most: a search would cost more.
        self.voters.contains(&id) || self.outgoing.contains(&id)
    }

    /// Whether a node receives the log.
    pub fn contains(&self, id: NodeId) -> bool {
        self.votes(id) || self.learners.binary_search(&id).is_ok()
    }

    /// All members, sorted, each once.
    pub fn members(&self) -> Vec<NodeId> {
        let lists = [&self.voters, &self.outgoing, &self.learners];
        let mut members: Vec<NodeId> = lists.into_iter().flatten().copied().collect();
        members.sort_unstable();
        members.dedup();
        members
    }

    /// Whether it breaks no rule, as decoders ask.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        self.broken_rule().map_or(Ok(()), |rule| Err(rule.text()))
    }

    /// The rule that this membership breaks, if any. The empty membership, of a
    /// node that waits to be added, breaks none.
    pub fn broken_rule(&self) -> Option<MembershipRule> {
        for list in [&self.voters, &self.outgoing, &self.learners] {
            if !list.is_sorted_by(|earlier, later| earlier < later) {
                return Some(MembershipRule::Unsorted);
            }
        }
        if self.voters.len() > VOTERS_MAX || self.outgoing.len() > VOTERS_MAX {
            return Some(MembershipRule::TooManyVoters);
        }
        if self.learners.len() > LEARNERS_MAX {
            return Some(MembershipRule::TooManyLearners);
        }
        if self.voters.is_empty() && !(self.outgoing.is_empty() && self.learners.is_empty()) {
            return Some(MembershipRule::NoVoters);
        }
        let doubled = self
            .learners
            .iter()
            .any(|id| self.voters.binary_search(id).is_ok());
        doubled.then_some(MembershipRule::VoterAndLearner)
    }
}

impl Raft {
    /// Begins a change of the membership.
    pub(super) fn on_change_membership(
        &mut self,
        context: Context,
        target: Membership,
        out: &mut Outbox<Effect>,
    ) {
        if let Some(reason) = self.refuse_change(&target) {
            out.push(Effect::Refused { context, reason });
            return;
        }
        let current = self.membership();
        let outgoing = if current.voters == target.voters {
            // The same majority on both sides of the change: nothing to join.
            Vec::new()
        } else {
            current.voters.clone()
        };
        let next = Membership { outgoing, ..target };
        let data = next.to_bytes();
        let id = self.append_own(EntryKind::Membership, data);
        self.follow_membership(out);
        out.push(Effect::Proposed { context, id });
    }

    /// Begins to hand leadership over. Nothing happens if that is impossible.
    pub(super) fn on_transfer(&mut self, to: NodeId) {
        let eligible = to != self.config.id && self.membership().voters.contains(&to);
        let Some(lead) = self.lead.as_mut() else {
            return;
        };
        if eligible && lead.transfer.is_none() {
            let until = self.now.saturating_add(self.config.election_timeout_min);
            lead.transfer = Some(Transfer { to, until });
            self.flush_wanted = true;
        }
    }

    /// Asks the next leader to take over, once it has the whole log.
    pub(super) fn continue_transfer(&mut self, from: NodeId) {
        let wanted = self.lead.as_ref().and_then(|lead| lead.transfer);
        self.flush_wanted |= wanted.is_some_and(|transfer| transfer.to == from);
    }

    /// Says so to the next leader at the end of an iteration, repeatedly until it
    /// stands or the time is over: the message may be lost.
    pub(super) fn send_timeout_now(&mut self, out: &mut Outbox<Effect>) {
        let last = self.log.last().index;
        let Some(lead) = self.lead.as_ref() else {
            return;
        };
        let Some(transfer) = lead.transfer else {
            return;
        };
        let matched = lead.position(transfer.to).map(|at| lead.peers[at].matched);
        if matched == Some(last) {
            self.send(transfer.to, Body::TimeoutNow, out);
        }
    }

    /// Gives a hand-over up when its time is over.
    pub(super) fn check_transfer(&mut self) {
        if let Some(lead) = self.lead.as_mut()
            && lead
                .transfer
                .is_some_and(|transfer| self.now >= transfer.until)
        {
            lead.transfer = None;
        }
    }

    /// What follows from a committed membership: a joint one is left, and a
    /// leader outside the new one goes. Both look at the log, not at a flag, so
    /// each happens exactly once, also under a new leader (etcd bd3c759).
    pub(super) fn advance_membership(&mut self, out: &mut Outbox<Effect>) {
        let epoch = self.log.membership_epoch();
        if self.final_epoch == Some(epoch)
            || !self.is_ready_leader()
            || self.log.membership_index() > self.commit
        {
            return;
        }
        let membership = self.log.membership();
        if membership.is_joint() {
            let data = Membership {
                outgoing: Vec::new(),
                ..membership.clone()
            }
            .to_bytes();
            self.append_own(EntryKind::Membership, data);
            self.follow_membership(out);
            self.advance_commit();
        } else if membership.votes(self.config.id) {
            self.final_epoch = Some(epoch);
        } else {
            self.retire(out);
        }
    }

    /// Feeds exactly the members: new ones are probed, others forgotten.
    pub(super) fn follow_membership(&mut self, out: &mut Outbox<Effect>) {
        let mut members = self.membership().members();
        members.retain(|id| *id != self.config.id);
        let next = self.log.last().index.next();
        let Some(lead) = self.lead.as_mut() else {
            return;
        };
        let mut former = core::mem::take(&mut lead.peers);
        for id in members {
            let known = former.iter().position(|peer| peer.id == id);
            let peer = known.map_or_else(|| Progress::new(id, next), |at| former.remove(at));
            lead.peers.push(peer);
        }
        for gone in former {
            if let Mode::Snapshot(_) = gone.mode {
                out.push(Effect::SnapshotClose { peer: gone.id });
            }
        }
        let peers = &lead.peers;
        let stays = |to: NodeId| peers.iter().any(|peer| peer.id == to);
        if lead.transfer.is_some_and(|transfer| !stays(transfer.to)) {
            lead.transfer = None;
        }
        self.flush_wanted = true;
    }

    /// Why a change cannot begin.
    fn refuse_change(&self, target: &Membership) -> Option<Refusal> {
        if let Some(reason) = self.refuse_proposal(0) {
            return Some(reason);
        }
        if !self.is_ready_leader() {
            return Some(Refusal::NotReady);
        }
        let current = self.log.membership();
        if current.is_joint() || self.log.membership_index() > self.commit {
            return Some(Refusal::ChangeInProgress);
        }
        if let Some(rule) = target.broken_rule() {
            return Some(Refusal::InvalidMembership { rule });
        }
        let rule = if target.is_joint() {
            Some(MembershipRule::OutgoingNamed)
        } else if target.voters.is_empty() {
            Some(MembershipRule::NoVoters)
        } else if target == current {
            Some(MembershipRule::Unchanged)
        } else {
            None
        };
        if let Some(rule) = rule {
            return Some(Refusal::InvalidMembership { rule });
        }
        let lagging = target.voters.iter().find(|id| !self.may_vote(**id));
        lagging.map(|node| Refusal::NotCaughtUp { node: *node })
    }

    /// Whether a node votes already, or is a learner within one message of the
    /// end of the log.
    fn may_vote(&self, id: NodeId) -> bool {
        if self.log.membership().votes(id) {
            return true;
        }
        let lead = self.lead.as_ref().expect("only a leader asks");
        let slack = u64::try_from(self.config.append_entries_max).unwrap_or(u64::MAX);
        lead.position(id).is_some_and(|at| {
            let peer = &lead.peers[at];
            peer.mode == Mode::Replicate
                && peer.matched.0.saturating_add(slack) >= self.log.last().index.0
                && peer.matched > crate::types::Index::ZERO
        })
    }

    /// Leaves leadership to the most advanced voter of a membership that this
    /// node is not in any more.
    fn retire(&mut self, out: &mut Outbox<Effect>) {
        assert_eq!(self.role, Role::Leader);
        let lead = self.lead.as_ref().expect("leading");
        let voters = &self.log.membership().voters;
        let successor = lead
            .peers
            .iter()
            .filter(|peer| voters.binary_search(&peer.id).is_ok())
            .max_by_key(|peer| (peer.matched, core::cmp::Reverse(peer.id)))
            .map(|peer| peer.id);
        if let Some(to) = successor {
            self.send(to, Body::TimeoutNow, out);
        }
        self.become_follower(self.hard.term, None, out);
    }
}
