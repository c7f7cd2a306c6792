//! What a node does about its disk: examining what it found at its start, and
//! repairing a log that lost synced entries (protocol-aware recovery).
//!
//! A node that acknowledged entries which it no longer has must neither vote nor
//! count before it has them again, or a committed entry may be lost. While
//! `Repairing` it grants no vote and no pre-vote, does not campaign, and answers
//! each Append with a *refusal* whose hint names what it durably holds: the
//! leader goes on from there and counts nothing.
//!
//! What it holds behind its base may be of a log that was given up: the record
//! that cut it off can be what was lost, or the state can come from a snapshot
//! whose base was not yet written. So it knows nothing to be committed but its
//! base, until a leader has matched the rest.
//!
//! It leaves that state only when it durably holds the leader's log up to
//! everything that it may ever have acknowledged, and up to an index of the
//! leader's own term that the leader reported as committed in a round begun
//! after the repair. A leader begins a round as soon as it meets a new
//! incarnation, whose predecessor's acknowledgements it voids at the same time.

use super::chain;
use super::config::Config;
use super::effect::Role;
use super::follow::{Incoming, is_content_valid};
use super::log::Log;
use super::message::{AppendResult, RoundId};
use super::state::Raft;
use super::types::{Base, HardState, Recovered};
use crate::mutant::Mutant;
use crate::types::{Index, LogId, Term};

/// A repair in progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Repair {
    /// The last index that this node may have acknowledged before.
    pub damaged_upto: Index,
    /// The first round of the present term that was seen.
    pub first_round: Option<RoundId>,
    /// What the leader reported as committed in a later one.
    pub confirmed: Option<Index>,
}

/// What a disk holds, examined.
pub(super) struct Found {
    pub hard: HardState,
    pub log: Log,
    /// Up to where the disk holds the log, or what it replaces.
    pub durable: Index,
    /// Set if the log begins again behind an installed state, which the disk does
    /// not know yet.
    pub begins_anew: bool,
    pub applied: Index,
    /// Set if entries are missing.
    pub damaged_upto: Option<Index>,
    /// Set if the state machine is behind the log's base.
    pub state_lost: bool,
    /// Set if the node must not run at all.
    pub halt: Option<&'static str>,
}

/// Holds what was recovered against itself. Never panics: a disk can hold
/// anything.
pub(super) fn examine(config: &Config, recovered: Recovered) -> Found {
    let Recovered {
        hard_state: mut hard,
        base,
        entries,
        applied,
        installed,
        damaged_upto,
        hard_state_lost,
    } = recovered;
    // A term is written before what is of it (P2): one that is older than the base is not
    // the last one that was. The node halts in the base's.
    let is_older = raise_to_base(config, &mut hard, base.id.term);
    let is_lost = hard_state_lost || is_older;
    let mut halt =
        is_lost.then_some("term and vote are lost: replace this node by one with a new id");
    if base.membership.broken_rule().is_some() {
        halt = Some("the membership on disk breaks a rule: replace this node");
    }
    let mut promised = entries.last().map_or(base.id.index, |entry| entry.id.index);
    let mut log = Log::new(base);
    for entry in entries {
        let last = log.last();
        let sound = entry.id.index == last.index.next()
            && entry.id.term >= last.term
            && entry.id.term <= hard.term
            && is_content_valid(&entry)
            && chain::follows(config.cluster, log.last_chain(), &entry);
        if !sound {
            break;
        }
        log.append(entry);
    }
    log.seal();
    let mut durable = log.last().index;
    let is_forgotten = config.mutant.is(Mutant::RaftInstallsHalf);
    let installed = installed.filter(|base| is_unfinished(base, applied, &log) && !is_forgotten);
    let begins_anew = installed.is_some();
    if let Some(base) = installed {
        durable = durable.min(base.id.index);
        // The term that brought the snapshot may not have been durable yet. Then
        // no vote in it was ever given (P1).
        raise_term(&mut hard, base.id.term);
        // Without damage, nothing that this log held behind it can be committed:
        // it is another log.
        if damaged_upto.is_none() {
            promised = base.id.index;
        }
        log = Log::new(base);
    }
    let promised = promised.max(hard.commit).max(applied.index);
    let state_lost = applied.index < log.base().id.index;
    // The store syncs an installed state before the log begins again behind it. A
    // crash in between leaves the old log, which may hold other entries.
    let of_this_log = log.term_at(applied.index) == Some(applied.term);
    let missing = state_lost || !of_this_log || promised > log.last().index;
    Found {
        hard,
        durable,
        begins_anew,
        applied: applied.index,
        damaged_upto: damaged_upto
            .max(hard.repair_upto)
            .map(|upto| upto.max(promised))
            .or(missing.then_some(promised)),
        state_lost,
        halt,
        log,
    }
}

/// Makes the term at least that of the base. Whether it was older.
fn raise_to_base(config: &Config, hard: &mut HardState, term: Term) -> bool {
    let is_older = hard.term < term && !config.mutant.is(Mutant::RaftTrustsOlderTerm);
    if is_older {
        raise_term(hard, term);
    }
    is_older
}

/// Makes the term at least this one: nobody was voted for in a later one.
const fn raise_term(hard: &mut HardState, term: Term) {
    if hard.term.0 < term.0 {
        hard.term = term;
        hard.voted_for = None;
    }
}

/// Whether a state was installed and the log did not follow it any more.
fn is_unfinished(base: &Base, applied: LogId, log: &Log) -> bool {
    base.id == applied
        && base.id.index > log.base().id.index
        && base.membership.broken_rule().is_none()
        && log.term_at(base.id.index) != Some(base.id.term)
}

impl Raft {
    /// Starts to repair. The unreadable rest of the log is cut on disk too. A
    /// node whose state is gone forgets the log as well: it needs a snapshot.
    pub(super) fn begin_repair(&mut self, damaged_upto: Index, state_lost: bool) {
        if state_lost {
            let membership = self.log.membership().clone();
            self.log.reset(Base {
                membership,
                ..Base::default()
            });
            self.gate.mark_reset(Index::ZERO);
            self.commit = Index::ZERO;
        } else {
            self.gate.mark_unknown_tail(self.log.last().index);
        }
        self.hard.repair_upto = Some(damaged_upto);
        self.gate.mark_hard();
        self.role = Role::Repairing;
        self.repair = Some(Repair {
            damaged_upto,
            first_round: None,
            confirmed: None,
        });
        self.flush_wanted = true;
    }

    /// The answer to an Append that fits, while repairing: what is held, as a
    /// refusal, so that it is not counted.
    pub(super) fn repair_answer(&self, prev: Index, upto: Index) -> AppendResult {
        assert!(self.repair.is_some());
        let index = upto.min(self.log.last().index);
        let hint = self.log.last_at_most(index, Term(u64::MAX));
        AppendResult::Reject { prev, hint }
    }

    /// Notes the first round heard of in this term. It began before the leader
    /// can have met this incarnation, since that takes an answer.
    pub(super) fn note_first_round(&mut self, round: RoundId) {
        if let Some(repair) = &mut self.repair {
            repair.first_round.get_or_insert(round);
        }
    }

    /// Notes what the leader reports as committed in rounds begun since.
    pub(super) fn note_round(&mut self, head: &Incoming) {
        if let Some(repair) = &mut self.repair
            && self.log.term_at(head.commit) == Some(self.hard.term)
            && repair.first_round.is_some_and(|first| head.round > first)
        {
            repair.confirmed = repair.confirmed.max(Some(head.commit));
        }
    }

    /// Takes part again, once everything is there.
    pub(super) fn leave_repair_if_whole(&mut self) {
        let Some(repair) = &self.repair else {
            return;
        };
        let Some(confirmed) = repair.confirmed else {
            return;
        };
        let whole = self.gate.durable() >= confirmed.max(repair.damaged_upto);
        if whole && self.commit >= self.handed {
            assert!(self.log.last().index >= confirmed);
            self.repair = None;
            self.hard.repair_upto = None;
            self.gate.mark_hard();
            self.flush_wanted = true;
            self.role = Role::Follower;
            self.reset_election_timer();
        }
    }
}
