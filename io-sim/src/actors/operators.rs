//! Who changes the members of a cluster: as the plan of faults wants, and until a new
//! machine has the place of a wiped one.

use decube_core::cluster::{Request, Response};
use decube_core::node;
use decube_core::raft::Membership;
use decube_core::types::{NodeId, RequestId};

use super::{Actor, Answer, Context, Demand, Way, at, number};
use crate::check::Finding;
use crate::check::raft::{leader, members};
use crate::plan;
use crate::subject::Subject;

/// How often an operator looks after a replacement.
const PAUSE_NS: u64 = 400_000_000;

/// The operators of a cluster.
#[derive(Debug)]
pub struct Operators {
    /// Which node is in which place of the cluster, by slot and name.
    slots: Vec<usize>,
    names: Vec<NodeId>,
}

impl Operators {
    /// Those of a cluster whose nodes have these slots and names.
    pub const fn new(slots: Vec<usize>, names: Vec<NodeId>) -> Self {
        Self { slots, names }
    }

    /// The next step towards having `new` in the place of `old`.
    fn replace<S: Subject>(&self, ctx: &mut Context<'_, S>, old: usize, new: usize) {
        let again = number(old) << 32 | number(new);
        let (old, new) = (ctx.hosts()[old].name(), ctx.hosts()[new].name());
        let present = members(ctx.hosts(), &self.slots);
        let present = present.filter(|present| present.outgoing.is_empty());
        let Some(mut target) = present.cloned() else {
            return ctx.wake_at(ctx.now() + PAUSE_NS, again);
        };
        let votes = target.voters.contains(&new);
        if votes && !target.voters.contains(&old) {
            ctx.coverage().replacements += 1;
            return;
        }
        if votes || target.learners.contains(&new) {
            target.voters.retain(|id| *id != old);
            target.learners.retain(|id| *id != new);
            target.voters.push(new);
        } else {
            target.learners.push(new);
        }
        for ids in [&mut target.voters, &mut target.learners] {
            ids.sort_unstable();
            ids.dedup();
        }
        ctx.wake_at(ctx.now() + PAUSE_NS, again);
        self.operate(ctx, Request::ChangeMembership(target));
    }

    /// Other voters and learners. Who is not a member yet joins as a learner first; a
    /// later change makes it a voter.
    fn reconfigure<S: Subject>(&self, ctx: &mut Context<'_, S>, voters: u64, learners: u64) {
        let Some(present) = members(ctx.hosts(), &self.slots) else {
            return;
        };
        let member = |id: &NodeId| present.voters.contains(id) || present.learners.contains(id);
        let wanted = self.named(voters).into_iter();
        let (mut voters, joining): (Vec<_>, Vec<_>) = wanted.partition(member);
        if voters.is_empty() {
            voters.clone_from(&present.voters);
        }
        let mut learners = [joining, self.named(learners)].concat();
        learners.retain(|id| !voters.contains(id));
        voters.sort_unstable();
        learners.sort_unstable();
        learners.dedup();
        let target = Membership {
            voters,
            outgoing: Vec::new(),
            learners,
        };
        self.operate(ctx, Request::ChangeMembership(target));
    }

    /// Asks the leader for something, if one is known.
    fn operate<S: Subject>(&self, ctx: &mut Context<'_, S>, request: Request) {
        if let Some(leader) = leader(ctx.hosts(), &self.slots) {
            ctx.call(Way::Local, 0, leader, request);
        }
    }

    /// The nodes of the cluster at these places.
    fn named(&self, set: u64) -> Vec<NodeId> {
        let names = self.names.iter().enumerate();
        let named = names.filter(|(place, _)| plan::names(set, *place));
        named.map(|(_, name)| *name).collect()
    }
}

impl<S: Subject> Actor<S> for Operators {
    fn demanded(&mut self, ctx: &mut Context<'_, S>, demand: Demand) -> Result<(), Finding> {
        match demand {
            Demand::Members { voters, learners } => self.reconfigure(ctx, voters, learners),
            Demand::Leader { slot } => {
                let to = ctx.hosts()[slot].name();
                self.operate(ctx, Request::TransferLeadership { to });
            }
            Demand::Replace { old, new } => {
                ctx.wake_at(ctx.now() + PAUSE_NS, number(old) << 32 | number(new));
            }
        }
        Ok(())
    }

    fn wake(&mut self, ctx: &mut Context<'_, S>, token: u64) -> Result<(), Finding> {
        self.replace(ctx, at(token >> 32), at(token & 0xffff_ffff));
        Ok(())
    }

    /// It looks at what becomes of the cluster, and not at the answer.
    fn answered(
        &mut self,
        ctx: &mut Context<'_, S>,
        _token: u64,
        _id: RequestId,
        answer: Answer,
    ) -> Result<(), Finding> {
        let accepted = node::Response::Cluster(Response::Accepted);
        let is_accepted = answer == Answer::Answered(Box::new(accepted));
        ctx.coverage().changes_accepted += u64::from(is_accepted);
        Ok(())
    }
}
