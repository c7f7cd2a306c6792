//! The safety of consensus, watched from outside.
//!
//! Every rule is restated here with its own arithmetic over plain facts (role,
//! term, log positions, chains) and over the messages that really left a node.
//! Nothing of the production code decides anything here.

mod clusters;
mod commits;

use std::collections::{BTreeMap, VecDeque};

use decube_core::cluster;
use decube_core::node::Message as NodeMessage;
use decube_core::raft::{AppendResult, Body, Membership, Role};
use decube_core::types::{Chain, Index, NodeId, Term};

use crate::check::Finding;
use crate::subject::{Facts, Subject};

pub use clusters::{ClusterSafety, leader, members};

/// What one entry of a log looked like when it was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    term: Term,
    chain: Chain,
    /// The event that appended it; 0 if it was there when the process started.
    appended: u64,
}

/// What the checker remembers of one node. Survives its processes.
#[derive(Debug, Clone, Default)]
struct Shadow {
    facts: Option<Facts>,
    /// Entries from `first` on, the base included.
    log: VecDeque<Seen>,
    first: u64,
    /// What it has acknowledged as durable: position and chain.
    acked: Option<(Index, Chain)>,
    /// The acknowledgement that left in this step.
    acking: Option<Index>,
    /// The last acknowledgements that its leader may have counted: the leader's
    /// term, and how far. Damage to the disk does not take them back.
    promised: (Term, Index),
    /// The highest term that it has shown to others.
    shown_term: Term,
    /// The event of the step that brought the present term.
    term_since: u64,
    /// The event of the step that brought the present vote.
    vote_since: u64,
    /// When the latest completed sync was asked for.
    synced: u64,
    /// Whether its disk was damaged: it may have lost what it acknowledged.
    damaged: bool,
    /// Set between a start and the first facts after it.
    recovering: bool,
}

/// The committed log as the first node to commit showed it.
#[derive(Debug, Clone, Copy)]
struct Committed {
    term: Term,
    chain: Chain,
    /// The term of the node that showed it.
    shown_in: Term,
}

/// The checker.
#[derive(Debug, Clone)]
pub struct RaftChecker {
    /// Who is in which slot.
    names: Vec<NodeId>,
    shadows: Vec<Shadow>,
    leaders: BTreeMap<Term, usize>,
    votes: BTreeMap<(usize, Term), NodeId>,
    /// The first chain seen for each position and term, and that before it.
    entries: BTreeMap<(Index, Term), (Chain, Option<Chain>)>,
    committed: Vec<Committed>,
    digests: BTreeMap<Index, u64>,
    /// Who takes part according to the log that ends with this entry.
    memberships: BTreeMap<(Index, Term), Membership>,
    event: u64,
}

impl RaftChecker {
    /// A checker of these nodes, one to a slot.
    pub fn new(names: Vec<NodeId>) -> Self {
        Self {
            shadows: vec![Shadow::default(); names.len()],
            names,
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            entries: BTreeMap::new(),
            committed: Vec::new(),
            digests: BTreeMap::new(),
            memberships: BTreeMap::new(),
            event: 0,
        }
    }

    /// The last committed position known.
    pub fn committed(&self) -> Index {
        Index(u64::try_from(self.committed.len()).expect("lengths fit 64 bits"))
    }

    /// The number of the event whose step is about to be watched.
    pub const fn begin(&mut self, event: u64) {
        self.event = event;
    }

    /// A new process of a slot starts.
    pub fn started(&mut self, slot: usize) {
        let shadow = &mut self.shadows[slot];
        shadow.facts = None;
        shadow.recovering = true;
        shadow.vote_since = 0;
        shadow.acking = None;
        shadow.log.clear();
        shadow.synced = 0;
        shadow.term_since = 0;
    }

    /// The disk of a slot was damaged behind its back.
    pub fn damaged(&mut self, slot: usize) {
        self.shadows[slot].damaged = true;
    }

    /// A sync that was asked for in the step of `asked` has completed.
    pub fn synced(&mut self, slot: usize, asked: u64) {
        self.shadows[slot].synced = self.shadows[slot].synced.max(asked);
    }

    /// A message leaves a node.
    pub fn sending(
        &mut self,
        slot: usize,
        to: NodeId,
        message: &NodeMessage,
    ) -> Result<(), Finding> {
        let NodeMessage::Cluster(cluster::Message::Raft(message)) = message else {
            return Ok(());
        };
        let me = self.names[slot];
        let shadow = &mut self.shadows[slot];
        match &message.body {
            // The term of a pre-vote is only asked about.
            Body::PreVote { .. } | Body::PreVoteReply { .. } => Ok(()),
            Body::Vote { .. } => {
                shadow.shown_term = shadow.shown_term.max(message.term);
                self.vote(slot, message.term, me)?;
                // Its own vote is a promise like any other (rule P1).
                let term_since = self.shadows[slot].term_since;
                self.durable_since(slot, term_since, "asks for votes")
            }
            Body::VoteReply { granted: true, .. } => {
                shadow.shown_term = shadow.shown_term.max(message.term);
                self.vote(slot, message.term, to)?;
                let decided = self.decided(slot, message.term, to);
                self.durable_since(slot, decided, "grants a vote")
            }
            Body::AppendReply {
                result: AppendResult::Match { upto },
                ..
            } => {
                shadow.shown_term = shadow.shown_term.max(message.term);
                shadow.acking = shadow.acking.max(Some(*upto));
                shadow.promised = shadow.promised.max((message.term, *upto));
                Ok(())
            }
            _ => {
                shadow.shown_term = shadow.shown_term.max(message.term);
                Ok(())
            }
        }
    }

    /// A step is done: look at what the node shows now.
    pub fn stepped<S: Subject>(&mut self, slot: usize, subject: &S) -> Result<(), Finding> {
        let Some(facts) = subject.facts() else {
            return Ok(());
        };
        let shadow = &self.shadows[slot];
        if shadow.facts.as_ref() == Some(&facts) && shadow.acking.is_none() {
            return Ok(());
        }
        let before = shadow.facts;
        self.terms(slot, before, &facts)?;
        self.follow_log(slot, before, &facts, subject)?;
        self.recovered(slot, &facts)?;
        self.takes_part(slot, before, &facts, subject)?;
        self.commits(slot, before, &facts, subject)?;
        self.leads(slot, before, &facts, subject)?;
        self.acknowledges(slot)?;
        self.applied(before, &facts, subject)?;
        self.shadows[slot].facts = Some(facts);
        Ok(())
    }

    fn vote(&mut self, slot: usize, term: Term, candidate: NodeId) -> Result<(), Finding> {
        let first = *self.votes.entry((slot, term)).or_insert(candidate);
        if first == candidate {
            return Ok(());
        }
        Err((
            "vote-once",
            format!("slot {slot} votes for {candidate:?} in term {term} after {first:?}"),
        ))
    }

    /// The event in which a slot decided a vote. One that it did not show after
    /// its last step was decided in this step.
    fn decided(&self, slot: usize, term: Term, candidate: NodeId) -> u64 {
        let shadow = &self.shadows[slot];
        match shadow.facts {
            Some(facts) if facts.term > term => 0,
            Some(facts) if facts.term == term && facts.voted_for == Some(candidate) => {
                shadow.vote_since
            }
            _ => self.event,
        }
    }

    fn durable_since(&self, slot: usize, event: u64, what: &str) -> Result<(), Finding> {
        let synced = self.shadows[slot].synced;
        if synced >= event {
            return Ok(());
        }
        Err((
            "durable-before-send",
            format!(
                "slot {slot} {what}: decided in event {event}, last synced as of event {synced}"
            ),
        ))
    }

    fn terms(&mut self, slot: usize, before: Option<Facts>, facts: &Facts) -> Result<(), Finding> {
        let event = self.event;
        let shadow = &mut self.shadows[slot];
        let floor = match before {
            Some(before) => before.term,
            None if shadow.damaged => Term(0),
            None => shadow.shown_term,
        };
        if before.is_some_and(|before| before.term != facts.term) {
            shadow.term_since = event;
        }
        let vote = |facts: Facts| (facts.term, facts.voted_for);
        if before.is_some_and(|before| vote(before) != vote(*facts)) {
            shadow.vote_since = event;
        }
        if facts.term >= floor {
            return Ok(());
        }
        Err((
            "monotone-term",
            format!("slot {slot} goes back from term {floor} to {}", facts.term),
        ))
    }

    /// Brings the shadow of the log up to date and checks Log Matching and that
    /// leaders only append.
    fn follow_log<S: Subject>(
        &mut self,
        slot: usize,
        before: Option<Facts>,
        facts: &Facts,
        subject: &S,
    ) -> Result<(), Finding> {
        if before.is_some_and(|before| before.last == facts.last && before.base == facts.base) {
            return Ok(());
        }
        let shadow = &mut self.shadows[slot];
        let base = facts.base.index.0;
        if shadow.log.is_empty() || shadow.end() < base {
            shadow.log.clear();
            shadow.first = base;
        }
        while shadow.first < base {
            shadow.log.pop_front();
            shadow.first += 1;
        }
        if shadow.first > base {
            return Err((
                "log-base",
                format!("slot {slot}: the log's base went back to {base}"),
            ));
        }
        let common = shadow.common(facts.last.index.0, subject);
        let cut = shadow.end() > common;
        let was_leader = before.is_some_and(|before| {
            before.role == Role::Leader && facts.role == Role::Leader && before.term == facts.term
        });
        if cut && was_leader {
            return Err((
                "leader-append-only",
                format!("slot {slot} cuts its log as a leader"),
            ));
        }
        if cut
            && let Some(before) = before
            && before.committed.0 > common
            && !shadow.damaged
        {
            return Err((
                "committed-never-cut",
                format!(
                    "slot {slot} cuts to {common}, committed {}",
                    before.committed
                ),
            ));
        }
        shadow.truncate(common);
        if shadow.acked.is_some_and(|(acked, _)| acked.0 > common) && !shadow.recovering {
            shadow.acked = shadow.at(common).map(|seen| (Index(common), seen.chain));
        }
        self.append(slot, before.is_none(), facts, subject)
    }

    fn append<S: Subject>(
        &mut self,
        slot: usize,
        first_look: bool,
        facts: &Facts,
        subject: &S,
    ) -> Result<(), Finding> {
        let shadow = &mut self.shadows[slot];
        let appended = if first_look { 0 } else { self.event };
        for index in
            shadow.first + u64::try_from(shadow.log.len()).expect("fits")..=facts.last.index.0
        {
            let index = Index(index);
            let Some((term, chain)) = subject.entry_at(index) else {
                return Err(("log-gap", format!("slot {slot} has no entry at {index}")));
            };
            let prev = shadow.log.back().map(|seen| seen.chain);
            let known = self.entries.entry((index, term)).or_insert((chain, prev));
            known.1 = known.1.or(prev);
            if known.0 != chain || prev.is_some_and(|prev| known.1 != Some(prev)) {
                return Err((
                    "log-matching",
                    format!(
                        "slot {slot}: entry {index}@{term} has chain {chain:?} after {prev:?}, \
                         elsewhere {known:?}"
                    ),
                ));
            }
            shadow.log.push_back(Seen {
                term,
                chain,
                appended,
            });
        }
        Ok(())
    }

    /// Equal logs mean equal memberships: one takes effect when it is appended,
    /// and travels with snapshots. And who lost nothing needs no repair.
    fn takes_part<S: Subject>(
        &mut self,
        slot: usize,
        before: Option<Facts>,
        facts: &Facts,
        subject: &S,
    ) -> Result<(), Finding> {
        let repairs = facts.role == Role::Repairing;
        let shadow = &self.shadows[slot];
        if repairs && !shadow.damaged {
            let message = format!("slot {slot} repairs a log that was not damaged: {facts:?}");
            return Err(("needless-repair", message));
        }
        let spare = facts.last.index.0 == 0 || facts.role == Role::Repairing;
        if spare || before.is_some_and(|before| before.last == facts.last) {
            return Ok(());
        }
        // A node that joins knows nobody until it has the entry that added it.
        let Some(mine) = subject.membership().filter(|mine| !mine.voters.is_empty()) else {
            return Ok(());
        };
        let at = (facts.last.index, facts.last.term);
        let known = self.memberships.entry(at).or_insert_with(|| mine.clone());
        if known == mine {
            return Ok(());
        }
        Err((
            "membership-of-log",
            format!("slot {slot} at {at:?} has {mine:?}, elsewhere {known:?}"),
        ))
    }

    /// What was acknowledged before a crash must be there after it.
    fn recovered(&mut self, slot: usize, facts: &Facts) -> Result<(), Finding> {
        let shadow = &mut self.shadows[slot];
        if !std::mem::take(&mut shadow.recovering) {
            return Ok(());
        }
        let out = matches!(facts.role, Role::Repairing | Role::Halted);
        let Some((acked, chain)) = shadow.acked else {
            return Ok(());
        };
        if acked.0 < shadow.first {
            return Ok(());
        }
        if shadow.at(acked.0).is_some_and(|seen| seen.chain == chain) {
            return Ok(());
        }
        shadow.acked = None;
        if shadow.damaged || out {
            return Ok(());
        }
        Err((
            "acked-durable",
            format!("slot {slot} acknowledged entry {acked} and does not have it after a restart"),
        ))
    }

    /// Equal applied positions mean equal states.
    fn applied<S: Subject>(
        &mut self,
        before: Option<Facts>,
        facts: &Facts,
        subject: &S,
    ) -> Result<(), Finding> {
        // A node that lost its log may still have the state that the log made.
        let out = matches!(facts.role, Role::Repairing | Role::Halted);
        if facts.applied > facts.committed && !out {
            return Err(("applied-committed", format!("{facts:?}")));
        }
        if before.is_some_and(|before| before.applied == facts.applied) {
            return Ok(());
        }
        let Some(digest) = subject.state_digest() else {
            return Ok(());
        };
        let known = *self.digests.entry(facts.applied).or_insert(digest);
        if known == digest {
            return Ok(());
        }
        Err((
            "state-digest",
            format!(
                "two states after entry {}: {digest:016x} and {known:016x}",
                facts.applied
            ),
        ))
    }

    fn committed_at(&self, index: Index) -> Option<Committed> {
        let at = usize::try_from(index.0.checked_sub(1)?).ok()?;
        self.committed.get(at).copied()
    }
}

impl Shadow {
    /// The last position in the shadow.
    fn end(&self) -> u64 {
        (self.first + u64::try_from(self.log.len()).expect("fits")).saturating_sub(1)
    }

    fn at(&self, index: u64) -> Option<Seen> {
        let at = usize::try_from(index.checked_sub(self.first)?).ok()?;
        self.log.get(at).copied()
    }

    /// The last position where shadow and log agree; by the chain they then
    /// agree on everything before it. One before the base if on nothing.
    fn common<S: Subject>(&self, last: u64, subject: &S) -> u64 {
        let mut at = self.end().min(last);
        while at >= self.first && at > 0 {
            let seen = self.at(at).map(|seen| (seen.term, seen.chain));
            if seen.is_some() && seen == subject.entry_at(Index(at)) {
                return at;
            }
            at -= 1;
        }
        at
    }

    fn truncate(&mut self, common: u64) {
        while !self.log.is_empty() && self.end() > common {
            self.log.pop_back();
        }
    }
}

/// The id of the node in a slot.
pub fn slot_id(slot: usize) -> NodeId {
    NodeId(u128::try_from(slot + 1).expect("few slots"))
}

/// The slot of a node.
pub fn id_slot(id: NodeId, slots: usize) -> Option<usize> {
    let slot = usize::try_from(id.0.checked_sub(1)?).ok()?;
    (slot < slots).then_some(slot)
}

/// The voters of both halves of a membership.
pub fn all_voters(membership: &Membership) -> Vec<NodeId> {
    let mut voters = [membership.voters.as_slice(), &membership.outgoing].concat();
    voters.sort_unstable();
    voters.dedup();
    voters
}
