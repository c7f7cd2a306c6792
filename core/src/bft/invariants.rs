//! What is true after every step.

use super::cert::Proven;
use super::gate::Gate;
use super::round::Round;
use super::state::{Bft, Phase};
use super::types::{Height, PersistSeq, View};
use super::vote::{Vote, VoteKind};
use crate::limits::{BLOCKS_OPEN_MAX, BLOCKS_WANTED_MAX};
use crate::machine::{Outbox, is_sampled};
use crate::mutant::Mutant;

/// See [`is_sampled`].
const STEPS_BETWEEN: u64 = 64;

/// What only grows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    view: View,
    committed: (Height, View),
    announced: Height,
    last_final: View,
    floor: View,
    written: PersistSeq,
}

impl Bft {
    /// Whether the step is one after which what costs much is checked.
    pub(super) const fn is_sampled(&self) -> bool {
        is_sampled(self.steps, STEPS_BETWEEN)
    }

    /// Whether it has a planted bug that the independent checkers are to find, so that its
    /// own checks must be silent. A lost block is left to D1b: no checker sees that one
    /// validator misses it.
    pub(super) fn is_planted(&self) -> bool {
        let is_left_to_checkers = !matches!(
            self.config.mutant,
            Mutant::None | Mutant::BftLosesVotedBlock
        );
        is_left_to_checkers && cfg!(feature = "mutants")
    }

    /// Panics if an invariant is broken: the node must stop, since whatever it
    /// signs next could contradict it.
    pub fn invariants(&self) {
        if self.is_planted() {
            return;
        }
        self.position_invariants();
        self.timer_invariants();
        if self.is_sampled() {
            self.vote_invariants();
            self.bound_invariants();
            self.round_invariants();
            self.block_invariants();
            self.peer_invariants();
        }
    }

    /// Where it stands, to be compared after the step.
    pub(super) fn heads(&self) -> Heads {
        let last_final = self.last_final.as_ref();
        Heads {
            view: self.view,
            committed: (self.committed.height, self.committed.view),
            announced: self.announced,
            last_final: last_final.map_or(View(0), |last| last.statement.view()),
            floor: self.guard.floor(),
            written: self.gate.last(),
        }
    }

    /// B4 Heads never go back.
    pub(super) fn assert_forward(&self, before: &Heads) {
        if self.is_planted() {
            return;
        }
        let now = self.heads();
        assert!(now.view >= before.view, "B4: the view never goes back");
        assert!(
            now.committed == before.committed
                || now.committed.0 > before.committed.0 && now.committed.1 > before.committed.1,
            "B4: what is committed grows in height and in view"
        );
        assert!(
            now.announced >= before.announced,
            "B4: nothing is announced again"
        );
        assert!(
            now.last_final >= before.last_final,
            "B4: the highest finalization stays"
        );
        assert!(
            now.floor >= before.floor,
            "B4: what is silent remains silent"
        );
        assert!(
            now.written >= before.written,
            "B4: writes are numbered upwards"
        );
    }

    /// B1 Positions are ordered: announced <= committed <= final < the present view.
    fn position_invariants(&self) {
        assert!(self.view >= View(1), "B1: view 0 is that of the root");
        assert!(
            self.committed.height >= self.epoch.root_height,
            "B1: the root of the epoch is committed"
        );
        assert!(
            self.announced <= self.committed.height,
            "B1: nothing is announced that is not committed"
        );
        if let Some(cert) = &self.last_final {
            let last = cert.statement.block;
            assert_eq!(
                cert.statement.kind,
                VoteKind::Finalize,
                "B1: only a finalization makes final"
            );
            assert!(last.view < self.view, "B1: a final view has ended");
            assert!(
                last.view <= self.committed.view || last.height > self.committed.height,
                "B1: what is final later is higher"
            );
        }
        if let Some(cert) = &self.entered_by {
            assert_eq!(
                cert.statement.view().next(),
                self.view,
                "S1: the certificate of the view before opens a view"
            );
        }
        assert!(
            self.building.is_none_or(|view| view == self.view),
            "S2: blocks are built for the present view"
        );
        assert!(
            self.building.is_none() || self.leads(),
            "S2: only the leader builds"
        );
        assert!(
            !self.gives_up || self.gate.is_congested(),
            "S7: a view that is late is given up once the disk goes on"
        );
    }

    /// B7 Timers fit the phase and each other.
    fn timer_invariants(&self) {
        let timers = &self.timers;
        let is_active = self.is_active();
        assert!(
            timers.idle.is_none() || !is_active,
            "S11: a view sleeps or it runs"
        );
        if self.is_running() {
            assert!(
                timers.idle.is_some() || is_active,
                "S11: whoever sleeps is woken"
            );
        }
        assert!(
            is_active || timers.leader.is_none() && timers.view.is_none(),
            "B7: only a view that runs is late"
        );
        assert!(
            timers.idle_hold.is_none() || is_active,
            "B7: only a view that runs may rest"
        );
        assert!(
            timers.hold.is_none() || (self.leads() && timers.hold == timers.idle_hold),
            "B7: only a leader with an idle hold holds a block back"
        );
        assert!(
            timers.relay.is_none_or(|(_, view)| view < self.view),
            "C3: the certificates of views that have ended are pushed"
        );
        if self.has_ended() {
            let is_empty =
                self.blocks.is_empty() && self.wanted.is_empty() && self.building.is_none();
            assert!(is_empty, "B8: an epoch that has ended leaves nothing open");
        }
        if let Phase::Rejoining(rejoin) = &self.phase {
            let is_silent = |view: View| view <= self.guard.floor();
            assert!(
                rejoin.silent.is_none_or(is_silent),
                "D5: who is about to come back is silent before"
            );
        }
    }

    /// B2 Own votes are those of this validator, in views that it has reached,
    /// and never contradict each other.
    fn vote_invariants(&self) {
        for vote in self.guard.votes() {
            let view = vote.statement.view();
            assert_eq!(Some(vote.signer), self.me, "B2: own votes are one's own");
            assert_eq!(
                vote.statement.epoch, self.epoch.epoch,
                "B2: own votes are of the present epoch"
            );
            assert!(view <= self.view, "B2: votes are of views that are reached");
            assert!(
                view > self.guard.floor(),
                "D5: silent and settled views have no votes"
            );
            if vote.statement.kind == VoteKind::Finalize {
                let contrary = self.guard.vote(view, VoteKind::Nullify);
                assert!(
                    contrary.is_none(),
                    "B2: no view is given up and finalised by one validator"
                );
            }
        }
    }

    /// B3 Everything kept has a bound, and a step leaves nothing unwritten.
    fn bound_invariants(&self) {
        assert!(
            self.blocks.len() <= BLOCKS_OPEN_MAX.max(self.blocks_taken_up),
            "B3: open blocks have a bound"
        );
        assert!(
            self.wanted.len() <= BLOCKS_WANTED_MAX,
            "B3: wanted blocks have a bound"
        );
        assert!(
            self.gate.pending_len() <= self.config.persists_pending_max,
            "B3: writes under way have a bound"
        );
        assert!(
            Gate::is_flushed(&self.gate),
            "B3: a step leaves nothing unwritten"
        );
        let is_near = |(last, _): (&View, &Round)| *last <= self.view.next();
        assert!(
            self.rounds.last_key_value().is_none_or(is_near),
            "B3: views are kept up to the next one"
        );
        let one_each = self.epoch.validators.len();
        assert!(
            self.rounds.values().all(|round| round.fits(one_each)),
            "B3: one vote of each kind per validator and view"
        );
    }

    /// B5 No two certificates of a view exclude each other: who meets such a pair
    /// stops before it keeps the second.
    fn round_invariants(&self) {
        for (view, round) in &self.rounds {
            assert!(
                round.certs_agree(),
                "B5: certificates of a view do not exclude each other"
            );
            let is_here = |cert: &Proven| {
                cert.statement.view() == *view && cert.statement.epoch == self.epoch.epoch
            };
            assert!(
                round.certs().all(is_here),
                "B5: certificates are kept by their view"
            );
        }
        // Votes of views before were looked at when those were the present ones.
        let before = self.view.prev().unwrap_or_default();
        let set = &self.epoch.validators;
        for (view, round) in self.rounds.range(before..) {
            let is_here = |vote: &Vote| {
                vote.statement.view() == *view && vote.statement.epoch == self.epoch.epoch
            };
            assert!(
                round.votes().all(is_here),
                "B5: votes are kept by their view"
            );
            let fits = |signer| set.get(signer).is_some();
            assert!(
                round.votes().all(|vote| fits(vote.signer)),
                "B6: only places of the set have votes"
            );
        }
        if let Some(cert) = &self.entered_by {
            let kept = self.cert(cert.statement.view(), cert.statement.kind);
            assert_eq!(
                kept.map(|kept| kept.statement),
                Some(cert.statement),
                "S1: what opened the view is kept"
            );
        }
    }

    /// B8 Open blocks lie above the committed one, and what is here is not wanted.
    fn block_invariants(&self) {
        for (hash, known) in &self.blocks {
            let place = known.block.place();
            assert_eq!(*hash, place.hash, "B8: blocks are kept by their hash");
            assert!(
                place.height > self.committed.height,
                "B8: open blocks lie above the committed one"
            );
            assert!(
                !self.wanted.contains_key(hash),
                "B8: what is here is not asked for"
            );
            let mine = self.guard.vote(place.view, VoteKind::Notarize);
            assert!(
                known.recorded || mine.is_none_or(|vote| vote.statement.block != place),
                "D1b: what was voted for is written"
            );
        }
    }

    /// S12 Who is helped was heard, and only validators are.
    fn peer_invariants(&self) {
        for (node, peer) in &self.peers {
            assert!(
                self.epoch.validators.index_of(*node).is_some(),
                "B3: only validators are kept as peers"
            );
            assert!(
                peer.helped_at <= peer.heard_at && peer.heard_at <= Some(self.now),
                "S12: only who was heard is helped"
            );
        }
    }

    /// That no rule has anything to do: they were left out for a reason. It is tried on
    /// a copy, so that nothing depends on whether it is tried. No rule looks back behind the
    /// last final block, and most of what is kept is of views before it.
    pub(super) fn assert_at_rest(&mut self) {
        let rounds = core::mem::take(&mut self.rounds);
        let mut copy = self.clone();
        self.rounds = rounds;
        let open = self.rounds.range(self.final_place().view..);
        copy.rounds = open.map(|(view, round)| (*view, round.clone())).collect();
        let mut out = Outbox::new();
        copy.advance(&mut out);
        assert!(
            out.is_empty() && copy.gate.waits() == self.gate.waits(),
            "B9: a vote that only adds up says nothing new and lets nothing be written"
        );
        assert!(
            copy.timers == self.timers && !copy.rules_dirty,
            "B9: nothing is due because of a vote that only adds up"
        );
        assert!(
            copy.wanted.keys().eq(self.wanted.keys()) && copy.peers_asked == self.peers_asked,
            "B9: nothing is asked for because of a vote that only adds up"
        );
    }
}
