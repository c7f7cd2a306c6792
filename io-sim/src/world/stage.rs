//! What actors can do in the world, and how they are told what happens.

use std::collections::BTreeMap;

use decube_core::crypto::PublicKey;
use decube_core::ledger::ValidatorChange;
use decube_core::node::{Request, Response};
use decube_core::types::RequestId;

use super::calls::Caller;
use super::{Coverage, Host, MILLI, SimEvent, World};
use crate::actors::{Actor, Answer, Demand, Way};
use crate::check::Finding;
use crate::config::LoadSettings;
use crate::rng::{Domain, Draw, Keyed};
use crate::subject::Subject;

/// The numbers of the requests of guests: no other actor's get there.
const GUESTS_BEHIND: u64 = 1 << 63;
/// Tells the draws of actors from those of single clients.
const DRAWS: u64 = 1 << 42;

/// An actor on its stage.
pub(super) struct Role<S: Subject> {
    /// Away while it acts.
    actor: Option<Box<dyn Actor<S>>>,
    /// Which numbers its requests take.
    ids: usize,
    /// How often it drew.
    draws: u64,
}

/// The actors of a run.
pub(super) struct Stage<S: Subject> {
    roles: Vec<Role<S>>,
    /// The last number taken, of each sequence of numbers for requests.
    ids: Vec<u64>,
    /// Who changes the ledger's validators.
    pub(super) governors: Option<usize>,
    /// Who changes the members of each cluster.
    pub(super) operators: BTreeMap<usize, usize>,
}

impl<S: Subject> Default for Stage<S> {
    fn default() -> Self {
        Self {
            roles: Vec::new(),
            ids: Vec::new(),
            governors: None,
            operators: BTreeMap::new(),
        }
    }
}

impl<S: Subject> Stage<S> {
    /// A sequence of numbers for requests behind this one.
    pub(super) fn numbers_behind(&mut self, last: u64) -> usize {
        self.ids.push(last);
        self.ids.len() - 1
    }

    /// Another actor, whose requests take numbers of this sequence.
    pub(super) fn add(&mut self, ids: usize, actor: Box<dyn Actor<S>>) -> usize {
        let actor = Some(actor);
        self.roles.push(Role {
            actor,
            ids,
            draws: 0,
        });
        self.roles.len() - 1
    }

    /// Another actor that the scenario does not name.
    pub(super) fn add_guest(&mut self, actor: Box<dyn Actor<S>>) {
        let number = u64::try_from(self.roles.len()).expect("few actors");
        let ids = self.numbers_behind(GUESTS_BEHIND | number << 48);
        self.add(ids, actor);
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &dyn Actor<S>> {
        let actors = self.roles.iter().map(|role| role.actor.as_deref());
        actors.map(|actor| actor.expect("nobody acts now"))
    }

    pub(super) fn healed(&mut self, calm: &LoadSettings) {
        for role in &mut self.roles {
            role.actor.as_mut().expect("nobody acts now").healed(calm);
        }
    }

    pub(super) fn close(&mut self) {
        for role in &mut self.roles {
            role.actor.as_mut().expect("nobody acts now").close();
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.roles.len()
    }
}

/// What an actor does in the very instant, after its hook.
#[derive(Debug)]
enum Act {
    Ask {
        caller: Caller,
        slot: usize,
        id: RequestId,
        request: Request,
    },
    Cancel {
        slot: usize,
        id: RequestId,
    },
    Again {
        token: u64,
    },
}

/// The world as an actor sees it while one of its hooks runs.
pub struct Context<'a, S: Subject> {
    world: &'a mut World<S>,
    actor: usize,
    acts: Vec<Act>,
}

impl<S: Subject> Context<'_, S> {
    /// The time of the world, in nanoseconds.
    pub const fn now(&self) -> u64 {
        self.world.now
    }

    /// The nodes, by slot.
    pub fn hosts(&self) -> &[Host<S>] {
        &self.world.hosts
    }

    /// Describes something beside the steps, where a run is described.
    pub(crate) fn describe(&mut self, what: impl FnOnce() -> String) {
        if self.world.log.is_some() {
            self.world.describe(0, "**", &what());
        }
    }

    /// Takes up a change of the ledger's validators, if the budget of Byzantine nodes bears it.
    pub(crate) fn open_change(&mut self, change: ValidatorChange, key: PublicKey) -> bool {
        let World { budget, hosts, .. } = &mut *self.world;
        budget.open(hosts, change, key)
    }

    /// A change of the ledger's validators is in force.
    pub(crate) fn close_change(&mut self, change: &ValidatorChange) {
        self.world.budget.close(change);
    }

    /// Counts of situations.
    pub const fn coverage(&mut self) -> &mut Coverage {
        &mut self.world.coverage
    }

    /// The slots of each cluster.
    pub fn clusters(&self) -> impl Iterator<Item = &[usize]> {
        let clusters = self.world.clusters.all().iter();
        clusters.map(|cluster| cluster.slots.as_slice())
    }

    /// A draw of this actor's own, which shifts nobody else's.
    pub fn draw(&mut self) -> Draw {
        let role = &mut self.world.stage.roles[self.actor];
        role.draws += 1;
        let entity = u64::try_from(self.actor).expect("few actors") | DRAWS;
        Keyed::new(self.world.seed, Domain::Client).at(entity, role.draws)
    }

    /// The number of a draw that belongs to nothing else.
    pub(crate) const fn draw_number(&mut self) -> u64 {
        self.world.fresh_draw()
    }

    /// Wakes it at this time.
    pub fn wake_at(&mut self, at: u64, token: u64) {
        let actor = self.actor;
        self.world.schedule(at, SimEvent::Actor { actor, token });
    }

    /// Wakes it as soon as what it does in this instant is done.
    pub fn wake_again(&mut self, token: u64) {
        self.acts.push(Act::Again { token });
    }

    /// Asks a node for something.
    pub fn call(
        &mut self,
        way: Way,
        token: u64,
        slot: usize,
        request: impl Into<Request>,
    ) -> RequestId {
        let id = self.fresh_id();
        let caller = self.caller(way, token);
        let request = request.into();
        match way {
            Way::Remote | Way::Unheard => self.world.call(caller, slot, id, request),
            Way::Local | Way::Stream => self.acts.push(Act::Ask {
                caller,
                slot,
                id,
                request,
            }),
        }
        id
    }

    /// Asks a node for something without being far away, and is answered as from afar.
    pub fn call_now(&mut self, token: u64, slot: usize, request: impl Into<Request>) -> RequestId {
        let id = self.fresh_id();
        let caller = self.caller(Way::Remote, token);
        let request = Box::new(request.into());
        let event = SimEvent::Call {
            caller,
            slot,
            id,
            request,
        };
        self.world.schedule(self.world.now, event);
        id
    }

    /// Tells a node that nobody waits any more for the answer to a remote call.
    pub fn cancel(&mut self, slot: usize, id: RequestId) {
        self.world.cancel_later(slot, id);
    }

    /// Ends a stream, or a call that was made at the machine.
    pub fn hang_up(&mut self, slot: usize, id: RequestId) {
        self.acts.push(Act::Cancel { slot, id });
    }

    const fn caller(&self, way: Way, token: u64) -> Caller {
        let actor = self.actor;
        Caller::Actor { actor, token, way }
    }

    fn fresh_id(&mut self) -> RequestId {
        let stage = &mut self.world.stage;
        let last = &mut stage.ids[stage.roles[self.actor].ids];
        *last += 1;
        RequestId(*last)
    }
}

/// How long actors may take for what they still want to know at the end.
const FINISH_NS: u64 = 10_000 * MILLI;

impl<S: Subject> World<S> {
    /// Lets an actor act, and does what it does in the very instant.
    fn act(
        &mut self,
        number: usize,
        hook: impl FnOnce(&mut dyn Actor<S>, &mut Context<'_, S>) -> Result<(), Finding>,
    ) -> Result<(), Finding> {
        let (outcome, acts) = self.hear(number, hook);
        outcome?;
        for act in acts {
            match act {
                Act::Ask {
                    caller,
                    slot,
                    id,
                    request,
                } => self.take_call(caller, slot, id, request)?,
                Act::Cancel { slot, id } => self.cancel(slot, id)?,
                Act::Again { token } => self.wake_actor(number, token)?,
            }
        }
        Ok(())
    }

    /// Lets an actor hear of something.
    fn hear(
        &mut self,
        number: usize,
        hook: impl FnOnce(&mut dyn Actor<S>, &mut Context<'_, S>) -> Result<(), Finding>,
    ) -> (Result<(), Finding>, Vec<Act>) {
        let actor = self.stage.roles[number].actor.take();
        let mut actor = actor.expect("an actor does one thing at a time");
        let mut ctx = Context {
            world: self,
            actor: number,
            acts: Vec::new(),
        };
        let outcome = hook(&mut *actor, &mut ctx);
        let acts = ctx.acts;
        self.stage.roles[number].actor = Some(actor);
        (outcome, acts)
    }

    /// As [`hear`](Self::hear), within the step of a node, which can take no other now.
    fn hear_in_step(
        &mut self,
        number: usize,
        hook: impl FnOnce(&mut dyn Actor<S>, &mut Context<'_, S>) -> Result<(), Finding>,
    ) -> Result<(), Finding> {
        let (outcome, acts) = self.hear(number, hook);
        assert!(acts.is_empty(), "no node is asked within a step: {acts:?}");
        outcome
    }

    /// Lets an actor act in a hook that finds nothing itself.
    fn act_freely(
        &mut self,
        number: usize,
        hook: impl FnOnce(&mut dyn Actor<S>, &mut Context<'_, S>),
    ) {
        let acted = self.act(number, |actor, ctx| {
            hook(actor, ctx);
            Ok(())
        });
        if let Err((checker, message)) = acted {
            self.violate(checker, message);
        }
    }

    pub(super) fn begin_actors(&mut self) {
        for number in 0..self.stage.len() {
            self.act_freely(number, |actor, ctx| actor.begin(ctx));
        }
    }

    pub(super) fn wake_actor(&mut self, number: usize, token: u64) -> Result<(), Finding> {
        self.act(number, |actor, ctx| actor.wake(ctx, token))
    }

    /// An answer arrives from afar.
    pub(super) fn answer_actor(
        &mut self,
        number: usize,
        token: u64,
        id: RequestId,
        answer: Answer,
    ) -> Result<(), Finding> {
        self.act(number, |actor, ctx| actor.answered(ctx, token, id, answer))
    }

    /// A node answers somebody at the machine.
    pub(super) fn answer_here(
        &mut self,
        number: usize,
        token: u64,
        id: RequestId,
        response: Response,
    ) -> Result<(), Finding> {
        let answer = Answer::Answered(Box::new(response));
        self.hear_in_step(number, |actor, ctx| actor.answered(ctx, token, id, answer))
    }

    /// A part of an answer: only streams have more than one.
    pub(super) fn stream(
        &mut self,
        slot: usize,
        id: RequestId,
        response: Response,
    ) -> Result<(), Finding> {
        match self.hosts[slot].open.get(&id) {
            Some((
                Caller::Actor {
                    actor,
                    token,
                    way: Way::Stream,
                },
                _,
            )) => {
                let (actor, token) = (*actor, *token);
                self.hear_in_step(actor, |actor, ctx| actor.streamed(ctx, token, response))
            }
            // Whoever follows has left, and the paused node does not know yet.
            Some((Caller::Gone, _)) => Ok(()),
            caller => {
                let message = format!("slot {slot} tells {id}, which does not follow: {caller:?}");
                Err(("watch-order", message))
            }
        }
    }

    /// The plan of faults wants something of an actor.
    /// If nobody has that office, nothing becomes of it.
    pub(super) fn demand(&mut self, of: Option<usize>, demand: Demand) -> Result<(), Finding> {
        match of {
            Some(number) => self.act(number, |actor, ctx| actor.demanded(ctx, demand)),
            None => Ok(()),
        }
    }

    /// Everybody has everything: actors ask for what they still want to know, and get it.
    pub(super) fn finish_actors(&mut self) {
        for number in 0..self.stage.len() {
            self.act_freely(number, |actor, ctx| actor.finish(ctx));
        }
        let end = self.now + FINISH_NS;
        while self.violation.is_none() {
            let waiting = self.stage.all().find_map(|actor| actor.waits_for());
            let Some((checker, message)) = waiting else {
                return;
            };
            if self.now >= end {
                return self.violate(checker, message);
            }
            self.run_until(self.now + super::heal::PROBE_NS);
        }
    }
}
