//! Whether the voters have a module.
//!
//! A node that meets a command of a module that its version does not have halts. So a
//! leader switches a module on only if every voter has it, and makes a voter only of a
//! node that has every module that is on. It asks the nodes for each such request again
//! and forgets their answers with it: a node may be started again with another version.
//!
//! Of a switch and a change of the voters in one log the second sees the first, whoever
//! led when that was proposed: both checks look at the end of the log, not at what is
//! applied.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::effect::Effect;
use super::message::Message;
use super::request::{Request, Response};
use super::state::{Cluster, Origin, Phase};
use crate::codec::Decode as _;
use crate::limits::MODULE_CHECKS_MAX;
use crate::machine::Outbox;
use crate::raft::{EntryKind, Raft, Refusal};
use crate::replica::{Command, Envelope};
use crate::types::{ModuleId, Modules, NodeId, PeerRequestId, RequestId, Span, Time};

/// How long a node may be silent: so short that a client of another node, whose request
/// was passed on, hears who it was.
const ANSWER_WAIT: Span = Span::from_secs(1);

/// Requests that wait for what nodes say of their modules.
#[derive(Debug, Default, Hash)]
pub(super) struct ModuleChecks {
    open: BTreeMap<PeerRequestId, Check>,
}

#[derive(Debug, Hash)]
struct Check {
    origin: Origin,
    request: Request,
    /// The deadline of the request.
    deadline: Time,
    /// When it is refused if somebody is silent.
    until: Time,
    /// Which modules the members have that have answered.
    answers: BTreeMap<NodeId, Modules>,
}

/// Who must have which modules.
struct Need {
    modules: Modules,
    nodes: Vec<NodeId>,
}

impl ModuleChecks {
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.open.values().map(|check| check.until).min()
    }

    /// Forgets a client; whether it waited here.
    pub(super) fn cancel(&mut self, id: RequestId) -> bool {
        let before = self.open();
        let origin = Origin::Client(id);
        self.open.retain(|_, check| check.origin != origin);
        self.open() < before
    }

    /// Takes every request away.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Origin> + use<> {
        let open = core::mem::take(&mut self.open);
        open.into_values().map(|check| check.origin)
    }
}

impl Need {
    /// Why the need is not met: rather who lacks a module than who is silent.
    fn objection(&self, answers: &BTreeMap<NodeId, Modules>) -> Option<Refusal> {
        let lacking = self.nodes.iter().find_map(|node| {
            let has = answers.get(node)?;
            let module = self.modules.iter().find(|module| !has.contains(*module))?;
            Some(Refusal::LacksModule {
                node: *node,
                module,
            })
        });
        lacking.or_else(|| {
            let node = *self.nodes.iter().find(|node| !answers.contains_key(node))?;
            let module = self.modules.iter().next()?;
            Some(Refusal::SilentOnModule { node, module })
        })
    }
}

impl Cluster {
    /// Serves a request as the leader, after the nodes that must have a module for it have
    /// answered that they do. Nearly all requests need nobody.
    pub(super) fn serve_checked(
        &mut self,
        now: Time,
        origin: Origin,
        request: Request,
        deadline: Time,
        out: &mut Outbox<Effect>,
    ) {
        let Some(need) = self.module_need(&request) else {
            return self.serve(now, origin, request, deadline, out);
        };
        if self.module_checks.open() >= MODULE_CHECKS_MAX {
            return self.answer(origin, Response::Refused(Refusal::Busy), out);
        }
        let id = self.attest.next_id(self.config.process);
        let of_others = need.nodes.iter().filter(|node| **node != self.config.id);
        for to in of_others.copied() {
            let message = Message::ModulesRequest { id };
            out.push(Effect::Send { to, message });
        }
        let check = Check {
            origin,
            request,
            deadline,
            until: deadline.min(now.saturating_add(ANSWER_WAIT)),
            answers: BTreeMap::from([(self.config.id, self.replica.modules_known())]),
        };
        self.module_checks.open.insert(id, check);
        self.settle_modules(now, id, out);
    }

    fn module_need(&self, request: &Request) -> Option<Need> {
        let raft = self.raft.as_ref().expect("only a leader asks");
        let membership = raft.membership();
        let (modules, nodes) = match request {
            Request::Write(Command::Enable { module }) => {
                let mut nodes = membership.members();
                // A leader that does not vote any more would halt as well.
                nodes.retain(|node| membership.votes(*node) || *node == self.config.id);
                (Modules::of(*module), nodes)
            }
            Request::ChangeMembership(target) => {
                // Raft refuses voters that are not members yet.
                let mut nodes = target.voters.clone();
                nodes.retain(|node| membership.contains(*node) && !membership.votes(*node));
                (self.modules_ahead(raft), nodes)
            }
            _ => return None,
        };
        // All versions have the first one.
        let modules = modules.without(ModuleId::FIRST);
        (modules != Modules::NONE).then_some(Need { modules, nodes })
    }

    /// The modules that are on at the end of the log.
    fn modules_ahead(&self, raft: &Raft) -> Modules {
        let mut modules = self.replica.modules_on();
        let mut index = self.replica.applied().index.next();
        while let Some(entry) = raft.entry(index) {
            if entry.kind == EntryKind::App
                && let Ok(envelope) = <Envelope>::from_bytes(&entry.data)
                && let Command::Enable { module } = envelope.command
            {
                modules = modules.and(Modules::of(module));
            }
            index = index.next();
        }
        modules
    }

    /// The leader wants to know which modules this node has.
    pub(super) fn on_modules_request(
        &self,
        from: NodeId,
        id: PeerRequestId,
        out: &mut Outbox<Effect>,
    ) {
        if matches!(self.phase, Phase::Running) && self.is_member(from) {
            let modules = self.replica.modules_known();
            let message = Message::ModulesReply { id, modules };
            out.push(Effect::Send { to: from, message });
        }
    }

    pub(super) fn on_modules_reply(
        &mut self,
        now: Time,
        from: NodeId,
        id: PeerRequestId,
        modules: Modules,
        out: &mut Outbox<Effect>,
    ) {
        let is_member = self.is_member(from);
        let Some(check) = self.module_checks.open.get_mut(&id).filter(|_| is_member) else {
            return;
        };
        check.answers.insert(from, modules);
        self.settle_modules(now, id, out);
    }

    /// Serves or refuses a request if that is decided.
    fn settle_modules(&mut self, now: Time, id: PeerRequestId, out: &mut Outbox<Effect>) {
        let check = &self.module_checks.open[&id];
        // Anew: the membership may be another one by now.
        let need = self.module_need(&check.request);
        let objection = need.and_then(|need| need.objection(&check.answers));
        let is_silence = matches!(objection, Some(Refusal::SilentOnModule { .. }));
        if is_silence && now < check.until {
            return;
        }
        let check = self.module_checks.open.remove(&id).expect("just seen");
        match objection {
            None => self.serve(now, check.origin, check.request, check.deadline, out),
            Some(refusal) => self.answer(check.origin, Response::Refused(refusal), out),
        }
    }

    /// Refuses what has waited long enough.
    pub(super) fn expire_module_checks(&mut self, now: Time, out: &mut Outbox<Effect>) {
        let due = |(id, check): (&PeerRequestId, &Check)| (check.until <= now).then_some(*id);
        let due: Vec<PeerRequestId> = self.module_checks.open.iter().filter_map(due).collect();
        for id in due {
            self.settle_modules(now, id, out);
        }
    }

    /// This node does not lead any more: nothing of what waits was proposed.
    pub(super) fn give_up_module_checks(&mut self, out: &mut Outbox<Effect>) {
        let leader = self.known_leader().map(|(leader, _)| leader);
        for origin in self.module_checks.take() {
            let refusal = Refusal::NotLeader { leader };
            self.answer(origin, Response::Refused(refusal), out);
        }
    }
}
