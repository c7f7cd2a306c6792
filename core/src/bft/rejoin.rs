//! Coming back after the loss of the disk.
//!
//! A validator that forgot its votes could vote twice. It asks the others where
//! they are and never votes again up to a view that it cannot have reached. A
//! validator enters a view `v` by a certificate of `v - 1`, which at least one
//! third of the power, all honest, signed in that view. Any quorum of answers
//! contains one of those, and it can prove the certificate by which it entered
//! `v - 1`, or a later one. So the highest view that the answers prove is at
//! least `v - 1`, and three more are a margin. In the meantime it follows what the
//! others finalise: those that it asks may be in a later epoch.

use alloc::collections::BTreeMap;

use super::effect::{Effect, Record};
use super::gate::Held;
use super::message::{Message, Status};
use super::state::{Bft, Phase};
use super::types::View;
use super::validators::Signers;
use crate::machine::Outbox;
use crate::mutant::Mutant;
use crate::types::{NodeId, Time};

/// Views beyond the highest proven one in which it still does not vote.
const MARGIN: u64 = 3;

/// The answers so far.
#[derive(Debug, Clone, Hash)]
pub(super) struct Rejoin {
    /// The view that each of the others has proven.
    standing: BTreeMap<NodeId, View>,
    pub(super) ask_at: Time,
    /// The view up to which it will be silent, once enough is known: only the write is
    /// waited for.
    pub(super) silent: Option<View>,
}

impl Rejoin {
    pub(super) const fn new(ask_at: Time) -> Self {
        Self {
            standing: BTreeMap::new(),
            ask_at,
            silent: None,
        }
    }
}

impl Bft {
    /// Asks all others, again and again.
    pub(super) fn repeat_rejoin(&mut self, out: &mut Outbox<Effect>) {
        let (now, pause) = (self.now, self.config.timing.delta);
        let Phase::Rejoining(rejoin) = &mut self.phase else {
            return;
        };
        if rejoin.ask_at <= now {
            rejoin.ask_at = now.saturating_add(pause);
            out.push(Effect::Broadcast {
                message: Message::AskStatus,
            });
        }
    }

    /// The view up to which it is silent is durable: it votes again.
    pub(super) fn on_rejoined(&mut self) {
        let Phase::Rejoining(rejoin) = &self.phase else {
            return;
        };
        assert!(
            rejoin.silent.is_some_and(|view| view <= self.guard.floor()),
            "D5: who lost its disk is silent before it votes again"
        );
        self.phase = Phase::Running;
        // Views that were entered meanwhile have no deadlines.
        self.arm();
    }

    /// Where another one stands, its certificates being verified.
    pub(super) fn on_standing(&mut self, from: NodeId, status: &Status) {
        let entered = status.entered_by.as_ref();
        let mut proven = entered.map_or(View(1), |cert| cert.statement.view().next());
        if self.config.mutant.is(Mutant::BftTrustsStatusView) {
            proven = status.view;
        }
        if proven != status.view || from == self.config.node {
            return;
        }
        let set = self.epoch.validators.clone();
        let mutant = self.config.mutant;
        let Phase::Rejoining(rejoin) = &mut self.phase else {
            return;
        };
        if set.index_of(from).is_none() || rejoin.silent.is_some() {
            return;
        }
        rejoin.standing.insert(from, proven);
        let nodes = rejoin.standing.keys();
        let answered: Signers = nodes.filter_map(|node| set.index_of(*node)).collect();
        let highest = rejoin.standing.values().max().copied().unwrap_or_default();
        let is_enough =
            set.is_quorum_under(answered, mutant) || mutant.is(Mutant::BftRejoinsOnOneAnswer);
        if is_enough {
            let has_margin = !mutant.is(Mutant::BftRejoinsWithoutMargin);
            let margin = if has_margin { MARGIN } else { 0 };
            let silent = View(highest.0.saturating_add(margin));
            rejoin.silent = Some(silent);
            self.guard.raise_floor(silent);
            self.gate.record(Record::VoteFloor(silent));
            self.gate.hold(Held::Rejoined);
        }
    }
}
