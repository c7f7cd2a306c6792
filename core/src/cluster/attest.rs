//! Signed heads of the log, and proofs under them.
//!
//! A client asks any node. The node fixes a size, what it has applied, and asks
//! the voters under the membership in force there for their signatures. A voter
//! signs what it has applied itself; if it is not that far yet it answers when it
//! is. With the signatures of a majority (of both sets while the membership is
//! joint) the head is complete and answers the client, or carries a proof.
//!
//! Nothing of this is durable: a head is a function of the committed log, so a
//! voter that forgets what it signed signs the same again.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::effect::Effect;
use super::message::{HeadShare, Message};
use super::request::{AttestedHead, Request, Response};
use super::requests::reply;
use super::state::{Cluster, Phase};
use crate::crypto::Signature;
use crate::limits::{
    HEAD_REQUESTS_PER_PEER_MAX, HEADS_GATHERED_MAX, LOG_PROOF_BYTES_MAX, LOG_PROOF_ENTRIES_MAX,
    REQUESTS_OPEN_MAX,
};
use crate::machine::Outbox;
use crate::proof::{HeadSignature, LogHead, LogProof, Payload, ProofEntry, SignedHead};
use crate::raft::{Membership, Refusal};
use crate::types::{Index, LogId, NodeId, PeerRequestId, ProcessNonce, RequestId, Span, Time};

/// How long a voter may be silent before it is asked again.
const ASK_AGAIN: Span = Span::from_millis(300);

/// Heads in the making, here and at peers.
#[derive(Debug, Default, Hash)]
pub(super) struct Attest {
    last_id: u64,
    collections: BTreeMap<PeerRequestId, SignatureCollection>,
    /// Clients that asked before this node knew the head of what it has applied.
    early: Vec<Early>,
    /// What peers want a share of as soon as it is applied here.
    wanted: BTreeSet<(Index, NodeId, PeerRequestId)>,
    /// The last head that was completed here.
    complete: Option<AttestedHead>,
    /// The last share of this node: signing is costly, and peers ask again.
    signed: Option<HeadShare>,
    disagreements: u64,
}

/// One head, and the shares of it so far.
#[derive(Debug, Hash)]
struct SignatureCollection {
    head: LogHead,
    membership: Membership,
    shares: BTreeMap<NodeId, Signature>,
    /// Voters that cannot sign it, or signed something else.
    declined: BTreeSet<NodeId>,
    clients: Vec<Client>,
    ask_at: Time,
}

#[derive(Debug, Hash)]
struct Client {
    id: RequestId,
    goal: Goal,
    deadline: Time,
}

/// A client whose question waits until there is a head: a node that has just started, or
/// repairs its log, has applied less than it will.
#[derive(Debug, Hash)]
struct Early {
    id: RequestId,
    request: Request,
    deadline: Time,
}

/// What a client wants the head for.
#[derive(Debug, Clone, Copy, Hash)]
enum Goal {
    Head,
    Entries { first: Index, last: Index },
}

impl Attest {
    /// Clients that wait.
    pub(super) fn open(&self) -> usize {
        let clients = self
            .collections
            .values()
            .map(|collection| collection.clients.len());
        clients.fold(self.early.len(), usize::saturating_add)
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let due = |collection: &SignatureCollection| {
            let clients = collection.clients.iter().map(|client| client.deadline);
            clients.chain([collection.ask_at]).min()
        };
        let early = self.early.iter().map(|early| early.deadline);
        self.collections.values().filter_map(due).chain(early).min()
    }

    /// Shares that contradicted this node's own log, or did not verify.
    pub(super) fn disagreements(&self) -> u64 {
        self.disagreements
    }

    /// Forgets a client; whether it waited here.
    pub(super) fn cancel(&mut self, id: RequestId) -> bool {
        let before = self.open();
        for collection in self.collections.values_mut() {
            collection.clients.retain(|client| client.id != id);
        }
        self.collections
            .retain(|_, collection| !collection.clients.is_empty());
        self.early.retain(|early| early.id != id);
        self.open() < before
    }

    /// A peer is gone: it does not wait for shares any more.
    pub(super) fn forget_peer(&mut self, peer: NodeId) {
        self.wanted.retain(|(_, from, _)| *from != peer);
    }

    pub(super) fn next_id(&mut self, process: ProcessNonce) -> PeerRequestId {
        self.last_id = self.last_id.checked_add(1).expect("ids suffice");
        PeerRequestId {
            process,
            number: self.last_id,
        }
    }

    /// Takes every collection apart, for its clients.
    pub(super) fn take_clients(&mut self) -> impl Iterator<Item = RequestId> + use<> {
        let collections = core::mem::take(&mut self.collections);
        let clients = collections
            .into_values()
            .flat_map(|collection| collection.clients);
        let early = core::mem::take(&mut self.early).into_iter();
        let early = early.map(|early| early.id);
        clients.map(|client| client.id).chain(early)
    }
}

impl SignatureCollection {
    /// Whose share is still of use.
    fn awaits(&self, node: NodeId) -> bool {
        self.membership.votes(node)
            && !self.shares.contains_key(&node)
            && !self.declined.contains(&node)
    }

    fn is_complete(&self) -> bool {
        is_majority(&self.membership, |node| self.shares.contains_key(&node))
    }

    /// Whether too many voters declined.
    fn is_hopeless(&self) -> bool {
        !is_majority(&self.membership, |node| !self.declined.contains(&node))
    }

    fn attested(&self) -> AttestedHead {
        let signature = |(node, signature): (&NodeId, &Signature)| HeadSignature {
            node: *node,
            signature: *signature,
        };
        let signatures = self.shares.iter().map(signature).collect();
        AttestedHead {
            signed: SignedHead::new(self.head, signatures),
            membership: self.membership.clone(),
        }
    }
}

impl Cluster {
    /// A client asks for a signed head, or for entries under one.
    pub(super) fn on_attest(
        &mut self,
        now: Time,
        id: RequestId,
        request: Request,
        out: &mut Outbox<Effect>,
    ) {
        if self.requests_open() >= REQUESTS_OPEN_MAX {
            return reply(id, Response::Refused(Refusal::Busy), out);
        }
        let deadline = now.saturating_add(self.config.request_timeout);
        self.attest.early.push(Early {
            id,
            request,
            deadline,
        });
        self.serve_early(now, out);
    }

    /// Serves those that wait for a head, once there is one.
    fn serve_early(&mut self, now: Time, out: &mut Outbox<Effect>) {
        if self.attest.early.is_empty() {
            return;
        }
        self.follow_log();
        let head = self.head_at(self.replica.applied().index);
        for early in core::mem::take(&mut self.attest.early) {
            match head {
                Some(head) => self.attest_under(now, head, &early, out),
                // Without a tree there is none before the next snapshot.
                None if early.deadline <= now || self.log_tree.is_none() => {
                    reply(early.id, Response::Refused(Refusal::HeadUnsigned), out);
                }
                None => self.attest.early.push(early),
            }
        }
    }

    /// A client is answered under this head, as soon as enough voters have signed it.
    fn attest_under(&mut self, now: Time, head: LogHead, early: &Early, out: &mut Outbox<Effect>) {
        let id = early.id;
        let goal = match early.request {
            Request::ProveLog { first, count } => {
                let Some(last) = self.provable(first, count) else {
                    return reply(id, self.no_log_proof(), out);
                };
                Goal::Entries { first, last }
            }
            _ => Goal::Head,
        };
        // A head that is no older than what the client may have seen serves it.
        let serves = |old: &LogHead| match goal {
            Goal::Head => *old == head,
            Goal::Entries { last, .. } => {
                old.size >= last && old.membership_epoch == head.membership_epoch
            }
        };
        let complete = self.attest.complete.as_ref();
        if let Some(collection) = complete.filter(|collection| serves(&collection.signed.head)) {
            let response = self.attested(goal, collection);
            return reply(id, response, out);
        }
        let client = Client {
            id,
            goal,
            deadline: early.deadline,
        };
        let mut collections = self.attest.collections.values_mut();
        match collections.find(|collection| serves(&collection.head)) {
            Some(collection) => collection.clients.push(client),
            None => self.gather(now, head, client, out),
        }
    }

    /// Begins to gather shares of a head.
    fn gather(&mut self, now: Time, head: LogHead, client: Client, out: &mut Outbox<Effect>) {
        if self.attest.collections.len() >= HEADS_GATHERED_MAX {
            return reply(client.id, Response::Refused(Refusal::Busy), out);
        }
        let raft = self.raft.as_ref().expect("a running node has a Raft");
        let base = raft
            .base_at(head.size)
            .expect("the head is of the kept log");
        let mut collection = SignatureCollection {
            head,
            membership: base.membership,
            shares: BTreeMap::new(),
            declined: BTreeSet::new(),
            clients: alloc::vec![client],
            ask_at: now.saturating_add(ASK_AGAIN),
        };
        if let Some(share) = self.share_at(head.size) {
            collection.shares.insert(self.config.id, share.signature);
        } else {
            collection.declined.insert(self.config.id);
        }
        let id = self.attest.next_id(self.config.process);
        self.ask_voters(id, &collection, out);
        self.attest.collections.insert(id, collection);
        self.settle(id, out);
    }

    fn ask_voters(
        &self,
        id: PeerRequestId,
        collection: &SignatureCollection,
        out: &mut Outbox<Effect>,
    ) {
        let size = collection.head.size;
        let voters = collection.membership.members();
        for to in voters.into_iter().filter(|node| collection.awaits(*node)) {
            assert_ne!(to, self.config.id, "its own share is there, or declined");
            let message = Message::HeadRequest { id, size };
            out.push(Effect::Send { to, message });
        }
    }

    /// A peer wants this node's share of the head at `size`.
    pub(super) fn on_head_request(
        &mut self,
        from: NodeId,
        id: PeerRequestId,
        size: Index,
        out: &mut Outbox<Effect>,
    ) {
        if !matches!(self.phase, Phase::Running) || !self.is_member(from) {
            return;
        }
        if size <= self.replica.applied().index {
            let share = self.share_at(size).map(Box::new);
            let message = Message::HeadReply { id, share };
            out.push(Effect::Send { to: from, message });
            return;
        }
        let of_peer = self
            .attest
            .wanted
            .iter()
            .filter(|(_, peer, _)| *peer == from);
        if of_peer.count() < HEAD_REQUESTS_PER_PEER_MAX {
            self.attest.wanted.insert((size, from, id));
        }
    }

    /// More is applied: answers the peers and the clients that waited for it.
    pub(super) fn answer_head_requests(&mut self, now: Time, out: &mut Outbox<Effect>) {
        self.serve_early(now, out);
        let applied = self.replica.applied().index;
        while let Some(&(size, from, id)) = self.attest.wanted.first()
            && size <= applied
        {
            self.attest.wanted.pop_first();
            self.on_head_request(from, id, size, out);
        }
    }

    /// A voter answers. A share of another head is a disagreement about the log,
    /// or is false; either way it is counted and not used.
    pub(super) fn on_head_reply(
        &mut self,
        from: NodeId,
        id: PeerRequestId,
        share: Option<&HeadShare>,
        out: &mut Outbox<Effect>,
    ) {
        let Some(collection) = self.attest.collections.get_mut(&id) else {
            return;
        };
        if !collection.awaits(from) {
            return;
        }
        let key = self.config.voter_keys.get(&from);
        let is_good = |share: &HeadShare| {
            let verifier = &self.config.head_verifier;
            let verify = |key| verifier.verify(key, &share.head.preimage(), &share.signature);
            share.head == collection.head && key.is_none_or(|key| verify(key).is_ok())
        };
        match share {
            Some(share) if is_good(share) => {
                collection.shares.insert(from, share.signature);
            }
            other => {
                collection.declined.insert(from);
                if other.is_some() {
                    self.attest.disagreements = self.attest.disagreements.saturating_add(1);
                }
            }
        }
        self.settle(id, out);
    }

    /// Answers the clients of a collection if it has succeeded or cannot succeed.
    fn settle(&mut self, id: PeerRequestId, out: &mut Outbox<Effect>) {
        let collection = self.attest.collections.get(&id).expect("the caller has it");
        let complete = collection.is_complete().then(|| collection.attested());
        if complete.is_none() && !collection.is_hopeless() {
            return;
        }
        let collection = self.attest.collections.remove(&id).expect("just seen");
        for client in collection.clients {
            let response = match &complete {
                Some(complete) => self.attested(client.goal, complete),
                None => Response::Refused(Refusal::HeadUnsigned),
            };
            reply(client.id, response, out);
        }
        let size = |collection: &AttestedHead| collection.signed.head.size;
        if complete.as_ref().map(size) >= self.attest.complete.as_ref().map(size) {
            self.attest.complete = complete.or_else(|| self.attest.complete.take());
        }
    }

    /// Asks silent voters again, and gives clients up whose time is over.
    pub(super) fn drive_attest(&mut self, now: Time, out: &mut Outbox<Effect>) {
        self.serve_early(now, out);
        if self.attest.deadline().is_none_or(|due| due > now) {
            return;
        }
        let mut collections = core::mem::take(&mut self.attest.collections);
        for (id, collection) in &mut collections {
            collection.clients.retain(|client| {
                if client.deadline <= now {
                    reply(client.id, Response::Refused(Refusal::HeadUnsigned), out);
                }
                client.deadline > now
            });
            if !collection.clients.is_empty() && collection.ask_at <= now {
                collection.ask_at = now.saturating_add(ASK_AGAIN);
                self.ask_voters(*id, collection, out);
            }
        }
        collections.retain(|_, collection| !collection.clients.is_empty());
        self.attest.collections = collections;
    }

    /// What a client is answered under a complete head.
    fn attested(&self, goal: Goal, collection: &AttestedHead) -> Response {
        let (first, last) = match goal {
            Goal::Head => return Response::LogHead(Box::new(collection.clone())),
            Goal::Entries { first, last } => (first, last),
        };
        let entries = self.proof_entries(first, last);
        let proof = self.known_log_tree().and_then(|tree| {
            LogProof::prove(tree.tree(), collection.signed.clone(), first, entries).ok()
        });
        match proof {
            Some(proof) => Response::LogProof(Box::new(proof)),
            // The log was compacted while the shares were gathered.
            None => self.no_log_proof(),
        }
    }

    /// As many of the entries as one proof carries.
    fn proof_entries(&self, first: Index, last: Index) -> Vec<ProofEntry> {
        let raft = self.raft.as_ref().expect("a running node has a Raft");
        let mut bytes = 0_usize;
        let mut entries = Vec::new();
        let mut index = first;
        while let Some(entry) = raft.entry(index).filter(|_| index <= last) {
            bytes = bytes.saturating_add(entry.data.len());
            if entries.len() >= LOG_PROOF_ENTRIES_MAX || bytes > LOG_PROOF_BYTES_MAX {
                break;
            }
            entries.push(ProofEntry {
                term: entry.id.term,
                kind: entry.kind,
                payload: Payload::Data(entry.data.clone()),
            });
            index = index.next();
        }
        entries
    }

    /// The last entry of the range that this node can prove, or `None` if it can
    /// not prove its first.
    fn provable(&self, first: Index, count: u32) -> Option<Index> {
        let (oldest, newest) = self.provable_range();
        let count = u64::from(count).min(u64::try_from(LOG_PROOF_ENTRIES_MAX).ok()?);
        let last = first.0.checked_add(count.checked_sub(1)?)?;
        let known = oldest <= first && first <= newest;
        known.then(|| newest.min(Index(last)))
    }

    fn no_log_proof(&self) -> Response {
        let (first, last) = self.provable_range();
        Response::NoLogProof { first, last }
    }

    /// The first and the last entry that this node can prove now.
    fn provable_range(&self) -> (Index, Index) {
        let base = self.raft.as_ref().map(|raft| raft.base().id.index);
        let tree = self.log_tree.as_ref().map(|tree| tree.begin());
        let oldest = base.max(tree).unwrap_or_default();
        (oldest.next(), self.replica.applied().index)
    }

    /// This node's share of the head at `size`: only of what it has applied, and
    /// only as a voter under the membership in force there.
    fn share_at(&mut self, size: Index) -> Option<HeadShare> {
        self.follow_log();
        let signer = self.config.signer.as_ref()?;
        let membership = self.raft.as_ref()?.base_at(size)?.membership;
        if !membership.votes(self.config.id) {
            return None;
        }
        let head = self.head_at(size)?;
        if self
            .attest
            .signed
            .as_ref()
            .is_none_or(|last| last.head != head)
        {
            let HeadSignature { node, signature } = head.sign(&**signer);
            assert_eq!(node, self.config.id, "the key is this node's");
            self.attest.signed = Some(HeadShare { head, signature });
        }
        self.attest.signed
    }

    /// The head at a size that is applied, kept and known.
    fn head_at(&self, size: Index) -> Option<LogHead> {
        let tree = self.known_log_tree()?;
        if size > tree.last().index {
            return None;
        }
        let term = self.raft.as_ref()?.term_at(size)?;
        tree.head_at(LogId::new(term, size))
    }
}

/// Whether those that pass are a majority of the voters, and of the outgoing
/// voters if there are any.
fn is_majority(membership: &Membership, passes: impl Fn(NodeId) -> bool) -> bool {
    let majority_of = |set: &[NodeId]| {
        let count = set.iter().filter(|node| passes(**node)).count();
        count > set.len() / 2
    };
    majority_of(&membership.voters)
        && (membership.outgoing.is_empty() || majority_of(&membership.outgoing))
}
