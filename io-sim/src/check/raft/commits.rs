//! What is committed, on which quorum, and who leads.

use super::*;

impl RaftChecker {
    pub(super) fn commits<S: Subject>(
        &mut self,
        slot: usize,
        before: Option<Facts>,
        facts: &Facts,
        subject: &S,
    ) -> Result<(), Finding> {
        if let Some(before) = before
            && (facts.committed < before.committed || facts.applied < before.applied)
        {
            return Err((
                "monotone-commit",
                format!("slot {slot}: {before:?} then {facts:?}"),
            ));
        }
        if before.is_some_and(|before| before.committed == facts.committed) {
            return Ok(());
        }
        if facts.committed > facts.last.index {
            return Err(("commit-in-log", format!("slot {slot}: {facts:?}")));
        }
        self.extend_committed(slot, before, facts, subject)?;
        let Some(mine) = self.shadows[slot].at(facts.committed.0) else {
            return Ok(());
        };
        let Some(known) = self.committed_at(facts.committed) else {
            return Ok(());
        };
        if mine.chain == known.chain {
            return Ok(());
        }
        Err((
            "state-machine-safety",
            format!(
                "slot {slot} commits {}@{}, elsewhere {}@{} was committed there",
                facts.committed, mine.term, facts.committed, known.term
            ),
        ))
    }

    pub(super) fn extend_committed<S: Subject>(
        &mut self,
        slot: usize,
        before: Option<Facts>,
        facts: &Facts,
        subject: &S,
    ) -> Result<(), Finding> {
        let known = self.committed();
        if facts.committed <= known {
            return Ok(());
        }
        if facts.role == Role::Leader {
            self.on_quorum(slot, before, facts, subject)?;
            self.of_own_term(slot, facts)?;
        }
        for index in known.0 + 1..=facts.committed.0 {
            let Some(seen) = self.shadows[slot].at(index) else {
                return Err((
                    "commit-unknown",
                    format!("slot {slot} has compacted entry {index}, which nobody committed"),
                ));
            };
            self.committed.push(Committed {
                term: seen.term,
                chain: seen.chain,
                shown_in: facts.term,
            });
        }
        Ok(())
    }

    /// A leader commits only what a majority of the voters has made durable: of
    /// those in force now, or, if the step that commits also appended a change of
    /// members, of those in force before it.
    pub(super) fn on_quorum<S: Subject>(
        &self,
        slot: usize,
        before: Option<Facts>,
        facts: &Facts,
        subject: &S,
    ) -> Result<(), Finding> {
        let Some(now) = subject.membership() else {
            return Ok(());
        };
        let verdict = self.on_quorum_of(slot, facts, now);
        let earlier = before.filter(|before| before.last.index >= facts.committed);
        let earlier = earlier.and_then(|before| {
            let end = (before.last.index, before.last.term);
            self.memberships.get(&end)
        });
        match (verdict, earlier) {
            (Err(_), Some(earlier)) => self.on_quorum_of(slot, facts, earlier),
            (verdict, _) => verdict,
        }
    }

    fn on_quorum_of(
        &self,
        slot: usize,
        facts: &Facts,
        membership: &Membership,
    ) -> Result<(), Finding> {
        let index = facts.committed;
        let Some(entry) = self.shadows[slot].at(index.0) else {
            return Ok(());
        };
        for voters in [&membership.voters, &membership.outgoing] {
            let has = voters
                .iter()
                .filter(|id| self.holds(**id, slot, facts.term, index, &entry))
                .count();
            if !voters.is_empty() && has <= voters.len() / 2 {
                return Err((
                    "commit-on-quorum",
                    format!(
                        "slot {slot} commits {index}@{} of term {} with {has} of {} voters",
                        entry.term,
                        facts.term,
                        voters.len()
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Only entries of the leader's own term are committed by counting (Raft
    /// paper §5.4.2); what is before them is committed with them.
    pub(super) fn of_own_term(&self, slot: usize, facts: &Facts) -> Result<(), Finding> {
        match self.shadows[slot].at(facts.committed.0) {
            Some(seen) if seen.term != facts.term => Err((
                "commit-own-term",
                format!(
                    "slot {slot} leads term {} and commits {}@{}",
                    facts.term, facts.committed, seen.term
                ),
            )),
            _ => Ok(()),
        }
    }

    /// Whether a voter has made an entry durable, as far as the leader of a term
    /// can know. A disk that is damaged after the acknowledgement left takes the
    /// entry away without the leader's knowledge: the commit stands, because the
    /// voter repairs its log before it votes again (`leader-completeness` watches
    /// that it does).
    fn holds(&self, voter: NodeId, leader: usize, term: Term, index: Index, entry: &Seen) -> bool {
        let Some(slot) = self.names.iter().position(|name| *name == voter) else {
            return false;
        };
        let shadow = &self.shadows[slot];
        if slot == leader {
            return entry.appended <= shadow.synced;
        }
        let (promised_in, promised) = shadow.promised;
        shadow.acked.is_some_and(|(acked, _)| acked >= index)
            || shadow.damaged && promised_in == term && promised >= index
    }

    /// One leader per term, with every entry committed in earlier terms.
    pub(super) fn leads<S: Subject>(
        &mut self,
        slot: usize,
        before: Option<Facts>,
        facts: &Facts,
        subject: &S,
    ) -> Result<(), Finding> {
        let already =
            before.is_some_and(|before| before.role == Role::Leader && before.term == facts.term);
        if facts.role != Role::Leader || already {
            return Ok(());
        }
        let first = *self.leaders.entry(facts.term).or_insert(slot);
        if first != slot {
            return Err((
                "election-safety",
                format!("slots {first} and {slot} both lead term {}", facts.term),
            ));
        }
        let earlier = |committed: &Committed| committed.shown_in < facts.term;
        let Some(last) = self.committed.iter().rposition(earlier) else {
            return Ok(());
        };
        let index = Index(u64::try_from(last + 1).expect("fits"));
        let mine = self.shadows[slot].at(index.0).map(|seen| seen.chain);
        let mine = mine.or_else(|| subject.entry_at(index).map(|(_, chain)| chain));
        if index <= facts.base.index || mine == Some(self.committed[last].chain) {
            return Ok(());
        }
        Err((
            "leader-completeness",
            format!(
                "slot {slot} leads term {} without committed entry {index}",
                facts.term
            ),
        ))
    }

    /// What left as an acknowledgement in this step must be synced and matching.
    pub(super) fn acknowledges(&mut self, slot: usize) -> Result<(), Finding> {
        let Some(upto) = self.shadows[slot].acking.take() else {
            return Ok(());
        };
        let Some(seen) = self.shadows[slot].at(upto.0) else {
            return Ok(());
        };
        self.durable_since(slot, seen.appended, "acknowledges entries")?;
        let shadow = &mut self.shadows[slot];
        if shadow.acked.is_none_or(|(acked, _)| acked < upto) {
            shadow.acked = Some((upto, seen.chain));
        }
        Ok(())
    }
}
