//! The vote guard: what this validator has signed, so that it signs nothing else.
//!
//! This is the whole safety of an honest validator: one block per view to
//! notarise, one to finalise, and never both a nullification and a finalization
//! of one view. Nothing else in the crate makes a vote.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::types::{View, drop_before};
use super::vote::{Statement, Vote, VoteKind};
use crate::mutant::Mutant;

/// The own votes of views that are not settled yet.
#[derive(Debug, Default, Clone, Hash)]
pub(super) struct Guard {
    slots: BTreeMap<View, Slot>,
    /// Up to this view nothing is signed any more: it is settled, or this node
    /// may have voted there with a disk that is lost. It never moves back.
    floor: View,
    mutant: Mutant,
}

/// The own votes of one view.
#[derive(Debug, Default, Clone, Copy, Hash)]
struct Slot {
    notarize: Option<Own>,
    nullify: Option<Own>,
    finalize: Option<Own>,
}

/// An own vote. It is bound by it from the moment it is signed, and says it only
/// when it is durable.
#[derive(Debug, Clone, Copy, Hash)]
struct Own {
    vote: Vote,
    is_durable: bool,
}

impl Guard {
    /// Nothing was signed yet.
    pub(super) fn new(mutant: Mutant) -> Self {
        Self {
            mutant,
            ..Self::default()
        }
    }

    /// Whether this may be signed.
    pub(super) fn allows(&self, statement: &Statement) -> bool {
        if statement.view() <= self.floor {
            return false;
        }
        let slot = self.slots.get(&statement.view()).copied();
        let slot = slot.unwrap_or_default();
        match statement.kind {
            VoteKind::Notarize => {
                let twice = self.mutant.is(Mutant::BftNotarizesTwice);
                let free = slot
                    .notarize
                    .is_none_or(|own| twice && own.vote.statement != *statement);
                free && slot.nullify.is_none()
            }
            VoteKind::Nullify => slot.nullify.is_none() && slot.finalize.is_none(),
            VoteKind::Finalize => {
                let open =
                    slot.nullify.is_none() || self.mutant.is(Mutant::BftFinalizesAfterNullify);
                slot.finalize.is_none() && open
            }
        }
    }

    /// Remembers an own vote: a new one, or one from the disk.
    pub(super) fn insert(&mut self, vote: Vote) {
        assert!(
            vote.statement.view() > self.floor,
            "D5: nothing is signed in a view that is settled or silent"
        );
        let slot = self.slots.entry(vote.statement.view()).or_default();
        let own = slot.place(vote.statement.kind);
        assert!(
            own.is_none_or(|own| own.vote == vote) || self.mutant != Mutant::None,
            "B2: one vote of each kind in a view"
        );
        *own = Some(Own {
            vote,
            is_durable: false,
        });
        let both = slot.nullify.is_some() && slot.finalize.is_some();
        assert!(
            !both || self.mutant != Mutant::None,
            "B2: never both a nullification and a finalization of one view"
        );
    }

    /// Notes that an own vote is on the disk. Without effect if it was settled
    /// in the meantime.
    pub(super) fn set_durable(&mut self, vote: &Vote) {
        let slot = self.slots.get_mut(&vote.statement.view());
        let own = slot.and_then(|slot| slot.place(vote.statement.kind).as_mut());
        if let Some(own) = own.filter(|own| own.vote == *vote) {
            own.is_durable = true;
        }
    }

    /// Whether an own vote is here and on the disk, or settled so that it does not
    /// matter any more.
    pub(super) fn holds_durably(&self, vote: &Vote) -> bool {
        let kept = self.own(vote.statement.view(), vote.statement.kind);
        vote.statement.view() <= self.floor
            || kept.is_some_and(|own| own.is_durable && own.vote == *vote)
    }

    /// The own vote of a kind in a view, durable or not.
    pub(super) fn vote(&self, view: View, kind: VoteKind) -> Option<&Vote> {
        self.own(view, kind).map(|own| &own.vote)
    }

    fn own(&self, view: View, kind: VoteKind) -> Option<&Own> {
        let slot = self.slots.get(&view)?;
        match kind {
            VoteKind::Notarize => slot.notarize.as_ref(),
            VoteKind::Nullify => slot.nullify.as_ref(),
            VoteKind::Finalize => slot.finalize.as_ref(),
        }
    }

    /// The durable own votes of the newest views, ascending, to be sent again as
    /// they are.
    pub(super) fn newest(&self, views: usize) -> Vec<Vote> {
        let slots = self.slots.values().rev().take(views);
        let mut newest: Vec<&Slot> = slots.collect();
        newest.reverse();
        newest
            .into_iter()
            .flat_map(|slot| [slot.notarize, slot.nullify, slot.finalize])
            .flatten()
            .filter(|own| own.is_durable)
            .map(|own| own.vote)
            .collect()
    }

    /// The last view with an own vote.
    pub(super) fn last_view(&self) -> View {
        self.slots.keys().next_back().copied().unwrap_or_default()
    }

    /// Signs nothing up to this view any more.
    pub(super) fn raise_floor(&mut self, floor: View) {
        self.floor = self.floor.max(floor);
        drop_before(&mut self.slots, self.floor.next());
    }

    /// Up to where nothing is signed.
    pub(super) const fn floor(&self) -> View {
        self.floor
    }

    /// All of them, durable or not. For invariants and digests.
    pub(super) fn votes(&self) -> impl Iterator<Item = &Vote> {
        self.slots
            .values()
            .flat_map(|slot| [&slot.notarize, &slot.nullify, &slot.finalize])
            .flatten()
            .map(|own| &own.vote)
    }
}

impl Slot {
    const fn place(&mut self, kind: VoteKind) -> &mut Option<Own> {
        match kind {
            VoteKind::Notarize => &mut self.notarize,
            VoteKind::Nullify => &mut self.nullify,
            VoteKind::Finalize => &mut self.finalize,
        }
    }
}
