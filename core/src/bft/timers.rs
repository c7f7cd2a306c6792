//! Deadlines of a view. There are no ticks.

use super::block::BlockRef;
use super::state::{Bft, Phase};
use super::types::View;
use super::validators::Signers;
use super::vote::VoteKind;
use crate::limits::VIEWS_SILENT;
use crate::types::{Span, Time};

/// When something is due.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub(super) struct Timers {
    /// The leader is late.
    pub(super) leader: Option<Time>,
    /// The view is late.
    pub(super) view: Option<Time>,
    /// Own votes are sent again, missing things asked for again.
    pub(super) retry: Option<Time>,
    /// The certificate of this view is pushed to those who have not been heard in
    /// it or later (C3).
    pub(super) relay: Option<(Time, View)>,
    /// What is certified and not here is asked for again.
    pub(super) ask: Option<Time>,
    /// Nobody wants anything: a block is due all the same.
    pub(super) idle: Option<Time>,
    /// Set while the view runs only because a block is wanted: it may rest again,
    /// and until this time its leader says nothing rather than an empty block.
    pub(super) idle_hold: Option<Time>,
    /// Until when the leader's empty block is held back.
    pub(super) hold: Option<Time>,
    /// How often one was held back in this view.
    pub(super) held: u8,
}

/// How often the application is asked again while a leader holds an empty block back:
/// each time it goes through all that waits.
const HOLDS_MAX: u8 = 8;

/// The longest that a view may grow to, in units of its ordinary length.
const BACKOFF_MAX: u64 = 16;
/// Failed views that make a view longer: 1.5⁸ is above [`BACKOFF_MAX`].
const BACKOFF_STEPS_MAX: u64 = 8;

impl Timers {
    pub(super) fn earliest(&self) -> Option<Time> {
        let relay = self.relay.map(|(due, _)| due);
        Time::earliest([
            self.leader,
            self.view,
            self.retry,
            self.ask,
            relay,
            self.idle,
            self.hold,
        ])
    }
}

/// Takes a deadline that has come.
pub(super) fn take_due(timer: &mut Option<Time>, now: Time) -> bool {
    let is_due = timer.is_some_and(|due| due <= now);
    if is_due {
        *timer = None;
    }
    is_due
}

impl Bft {
    /// A number of message delays, longer if views have failed in a row: by half
    /// for each view beyond those that as many bad leaders as are tolerated could
    /// have spoiled, so that only a slow network slows the validator down.
    fn delays(&self, count: u64) -> Span {
        let since_final = self.view.0.saturating_sub(self.final_place().view.0);
        let expected = self.epoch.validators.faulty_max().saturating_add(2);
        let excess = since_final.saturating_sub(u64::try_from(expected).unwrap_or(u64::MAX));
        let unit = self.config.timing.delta.0;
        let mut scaled = unit;
        for _ in 0..excess.min(BACKOFF_STEPS_MAX) {
            scaled = scaled.saturating_add(scaled / 2);
        }
        let scaled = scaled.min(unit.saturating_mul(BACKOFF_MAX));
        Span(scaled.saturating_mul(count))
    }

    /// Sets the deadlines of the view that was just entered (S1, S11).
    pub(super) fn arm(&mut self) {
        let Timers { relay, ask, .. } = self.timers;
        self.timers = Timers {
            relay,
            ask,
            ..Timers::default()
        };
        let others_are_here = self
            .rounds
            .get(&self.view)
            .is_some_and(super::round::Round::has_votes);
        if others_are_here || self.me.is_none() {
            self.activate();
        } else if self.is_wanted() {
            self.activate_for_content();
        } else {
            self.sleep();
        }
    }

    /// Nothing is due but the block that an idle ledger makes now and then.
    fn sleep(&mut self) {
        let idle = self.now.saturating_add(self.config.timing.idle_block);
        self.timers = Timers {
            relay: self.timers.relay,
            idle: Some(idle),
            ..Timers::default()
        };
    }

    /// Lets the present view run: somebody wants a block, or somebody else is
    /// already at it. Without effect if it runs.
    pub(super) fn activate(&mut self) {
        if !matches!(self.phase, Phase::Running) || self.is_active() {
            return;
        }
        self.rules_dirty = true;
        self.timers.idle = None;
        let leaders = match self.leader_is_silent() {
            true => Span(0),
            false => self.delays(2),
        };
        self.timers.leader = Some(self.now.saturating_add(leaders));
        self.timers.view = Some(self.now.saturating_add(self.delays(3)));
        self.timers.retry = Some(self.now.saturating_add(self.delays(3)));
    }

    /// Whether the leader has sent nothing for so many views, in which a quorum of the
    /// others has, and for the length of a view: who is far away speaks of views that
    /// are over. Nobody waits for it then, and a dead leader costs one delay. It is
    /// listened to as ever: whatever it says ends its silence, also its votes in the
    /// views of others.
    fn leader_is_silent(&self) -> bool {
        let leader = self.leaders.of(self.view);
        let horizon = self.view.0.saturating_sub(VIEWS_SILENT);
        if horizon < self.listens_from.0 || Some(leader) == self.me {
            return false;
        }
        let set = &self.epoch.validators;
        let lately = self.now.0.saturating_sub(self.delays(3).0);
        let has_spoken = |node| {
            self.peers.get(node).is_some_and(|one| {
                one.view.0 >= horizon || one.heard_at.is_some_and(|at| at.0 > lately)
            })
        };
        let heard = set.iter().filter(|(_, one)| has_spoken(&one.node));
        let heard: Signers = heard.map(|(place, _)| place).chain(self.me).collect();
        !heard.contains(leader) && set.is_quorum(heard)
    }

    /// Lets the present view run because a block is wanted. If that is so no more
    /// before anybody has sent anything in the view, it rests again.
    pub(super) fn activate_for_content(&mut self) {
        if matches!(self.phase, Phase::Running) && !self.is_active() {
            self.activate();
            self.timers.idle_hold = Some(self.now.saturating_add(self.delays(1)));
        }
    }

    /// Whether somebody, this validator included, has sent something in the view.
    pub(super) fn has_begun(&self) -> bool {
        let round = self.rounds.get(&self.view);
        self.guard.last_view() >= self.view
            || round.is_some_and(|round| round.proposal.is_some() || round.has_votes())
    }

    /// What was wanted is final, and nobody has begun with the next block: there is
    /// no need for one. Whoever knows less than this validator gives the view up,
    /// and by that vote wakes it.
    pub(super) fn idle(&mut self) {
        let may_idle = self.timers.idle_hold.is_some() && self.is_active();
        if may_idle && !self.has_begun() && !self.is_wanted() {
            self.building = None;
            self.sleep();
        }
    }

    /// Whether an empty block is held back: the block before is about to be final
    /// without it. Not behind a view that failed or that somebody gave up, where it
    /// may take another block to make what waits final.
    pub(super) fn holds_back(&self, parent: &BlockRef) -> bool {
        let is_calm = parent.view.next() == self.view
            && self
                .rounds
                .get(&parent.view)
                .is_none_or(|round| !round.is_given_up_by_any());
        let is_held = self.timers.idle_hold.is_some_and(|until| self.now < until);
        is_held && is_calm && !self.has_begun() && self.timers.held < HOLDS_MAX
    }

    /// Whether the present view has deadlines.
    pub(super) fn is_active(&self) -> bool {
        self.timers.retry.is_some()
    }

    /// Whether a block is wanted: somebody waits, or one with content is not
    /// final yet (S11).
    pub(super) fn is_wanted(&self) -> bool {
        let last = self.final_place().view;
        let open = |known: &super::state::Known| {
            let header = known.block.header();
            let content = &header.content;
            header.view > last && (content.items_count > 0 || content.ends_epoch)
        };
        self.waiting || self.blocks.values().any(open)
    }

    /// What is due now.
    pub(super) fn on_deadlines(&mut self) {
        let now = self.now;
        if take_due(&mut self.timers.idle, now) {
            self.activate();
        }
        if self.timers.hold.is_some() && self.has_begun() {
            self.timers.hold = None;
            self.rules_dirty = true;
        }
        self.rules_dirty |= take_due(&mut self.timers.hold, now);
        let leader_is_late = take_due(&mut self.timers.leader, now);
        let view_is_late = take_due(&mut self.timers.view, now);
        if leader_is_late || view_is_late {
            self.nullify(self.view);
        }
    }

    /// Whether the leader's block was voted for in time.
    pub(super) fn on_notarized_by_me(&mut self, view: View) {
        assert!(
            self.guard.vote(view, VoteKind::Notarize).is_some(),
            "S4: the guard knows what is voted for"
        );
        self.timers.leader = None;
    }

    /// When to repeat what was not answered.
    pub(super) fn retry_after(&self) -> Span {
        self.delays(1)
    }
}
