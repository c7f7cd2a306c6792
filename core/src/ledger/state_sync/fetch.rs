//! Asking for a state, and verifying what comes.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use bytes::Bytes;

use super::message::{Chunk, StateCheckpoint, SyncMessage};
use super::serve::send;
use super::staging::{checkpoint_ops, chunk_ops};
use crate::bft::Epoch;
use crate::codec::Encode as _;
use crate::crypto::{Digest, Verifier};
use crate::ledger::chain::history::History;
use crate::ledger::chain::record::epoch_key;
use crate::ledger::effect::Effect;
use crate::ledger::execution::executor::following;
use crate::ledger::state::Ledger;
use crate::limits::{
    LEDGER_FETCH_FAILURES_MAX, LEDGER_FETCH_OUTSIDERS_MAX, LEDGER_FETCH_SHUNNED_MAX,
    LEDGER_FETCH_STALLED, LEDGER_TRUSTED_EPOCHS_MAX,
};
use crate::machine::Outbox;
use crate::merkle::{KeyHash, StateEnd, StateProof, StateTree};
use crate::proof::ledger::{EpochEnd, TrustedEpoch};
use crate::store::StoreOp;
use crate::types::{NodeId, Span, Time};

/// A state on its way.
#[derive(Debug, Hash)]
pub(super) struct Fetch {
    /// The last epochs that were verified, each with the block that it rests on.
    trusted: BTreeMap<Epoch, Root>,
    stage: Stage,
    /// Who is asked.
    peer: NodeId,
    /// Who sent a false part, or does not have it.
    shunned: BTreeSet<NodeId>,
    /// Who has answered that no more epochs have ended, and whether it then offered a
    /// state of a later one all the same.
    told_all: Option<(NodeId, bool)>,
    /// When the question is put to somebody else.
    pub(super) due: Time,
    failures: u32,
}

/// A trusted epoch and its root.
#[derive(Debug, Clone, Hash)]
pub(super) struct Root {
    pub(super) epoch: TrustedEpoch,
    pub(super) hash: Digest,
}

/// What is asked for.
#[derive(Debug, Hash)]
enum Stage {
    Epochs,
    Checkpoint,
    Chunks(Box<Loading>),
}

/// A state that is being fetched: all entries up to the last one.
#[derive(Debug, Hash)]
pub(super) struct Loading {
    pub(super) checkpoint: StateCheckpoint,
    pub(super) tree: StateTree,
    pub(super) last: Option<KeyHash>,
    /// Whether what is here was read from the disk, and no chunk has shown since that
    /// it is as it was written.
    pub(super) is_read: bool,
}

impl Fetch {
    pub(super) const fn is_loading(&self) -> bool {
        matches!(self.stage, Stage::Chunks(_))
    }

    /// How many are not asked again.
    pub(super) fn shunned(&self) -> usize {
        self.shunned.len()
    }

    fn newest(&self) -> &Root {
        let newest = self.trusted.values().next_back();
        newest.expect("the present epoch is trusted")
    }

    /// Goes on by one epoch.
    fn follow(&mut self, end: &EpochEnd, verifier: &(impl Verifier + ?Sized)) -> bool {
        let mut epoch = self.newest().epoch.clone();
        if epoch.follow(end, verifier).is_err() {
            return false;
        }
        let hash = end.finality.header.hash();
        self.trusted.insert(epoch.epoch(), Root { epoch, hash });
        if self.trusted.len() > LEDGER_TRUSTED_EPOCHS_MAX {
            self.trusted.pop_first();
        }
        true
    }
}

impl Loading {
    /// A state of which nothing is here.
    pub(super) const fn new(checkpoint: StateCheckpoint) -> Self {
        Self {
            checkpoint,
            tree: StateTree::new(),
            last: None,
            is_read: false,
        }
    }

    /// Takes a chunk, if it continues what is here and leads to the proven root.
    pub(super) fn take(&mut self, chunk: &Chunk) -> bool {
        if chunk.block != self.checkpoint.block.hash() || chunk.after != self.last {
            return false;
        }
        let mut before = self.last;
        for (key, _) in &chunk.pairs {
            let place = KeyHash::of(key);
            if before.is_some_and(|before| before >= place) {
                return false;
            }
            before = Some(place);
        }
        let Some((key, value)) = chunk.pairs.last() else {
            return false;
        };
        let mut tree = self.tree.clone();
        let changes = chunk.pairs.iter().cloned();
        tree.apply(changes.map(|(key, value)| (key, Some(value))).collect());
        let proof = StateProof {
            path: chunk.path.clone(),
            end: StateEnd::Value(value.clone()),
        };
        if proof.verify(&self.root(), key).is_err() || !proof.bounds(key, &tree) {
            return false;
        }
        self.tree = tree;
        self.last = before;
        self.is_read = false;
        true
    }

    /// The root that the state has to have.
    pub(super) const fn root(&self) -> Digest {
        self.checkpoint.child.header.content.parent_state
    }

    pub(super) fn is_complete(&self) -> bool {
        self.tree.root() == self.root()
    }
}

impl Ledger {
    /// Somebody is in a later epoch. Whether it is worth to ask for a state.
    pub(in crate::ledger) fn consider_fetch(&mut self, out: &mut Outbox<Effect>) {
        let Some((peer, claimed)) = self.ahead else {
            return;
        };
        let Some(running) = self.phase.running() else {
            return;
        };
        let present = running.bft.epoch();
        let is_far = claimed > following(present.epoch);
        let is_stalled = self.sync.unanswered >= LEDGER_FETCH_STALLED;
        let may = self.sync.is_ready && self.now >= self.sync.not_before;
        if self.sync.fetch.is_some() || !may || !(is_far || is_stalled) {
            return;
        }
        let epoch = TrustedEpoch::running(self.chain, present, running.tip().time);
        let hash = present.root_hash;
        let mut fetch = Fetch {
            trusted: BTreeMap::new(),
            stage: Stage::Epochs,
            peer,
            shunned: BTreeSet::new(),
            told_all: None,
            due: self.now,
            failures: 0,
        };
        fetch.trusted.insert(epoch.epoch(), Root { epoch, hash });
        self.sync.fetch = Some(Box::new(fetch));
        self.ask_sync(out);
    }

    /// Puts the present question to the present peer.
    fn ask_sync(&mut self, out: &mut Outbox<Effect>) {
        let due = self.now.saturating_add(self.fetch_pause());
        let above = self.storage.tip.height;
        let Some(fetch) = &mut self.sync.fetch else {
            return;
        };
        fetch.due = due;
        let question = match &fetch.stage {
            Stage::Epochs => SyncMessage::AskEpochs {
                from: fetch.newest().epoch.epoch(),
            },
            Stage::Checkpoint => SyncMessage::AskCheckpoint { above },
            Stage::Chunks(loading) => SyncMessage::AskChunk {
                block: loading.checkpoint.block.hash(),
                after: loading.last,
            },
        };
        send(fetch.peer, question, out);
    }

    /// How long an answer may take.
    const fn fetch_pause(&self) -> Span {
        Span(self.config.timing.delta.0.saturating_mul(4))
    }

    /// The answer is late: somebody else is asked.
    pub(in crate::ledger) fn on_sync_wake(&mut self, out: &mut Outbox<Effect>) {
        let is_due = self.sync.deadline().is_some_and(|due| due <= self.now);
        if is_due && self.is_running() {
            self.ask_another(false, out);
        }
    }

    /// Puts the question to somebody else; `shun` tells never to ask this one again.
    fn ask_another(&mut self, shun: bool, out: &mut Outbox<Effect>) {
        let (me, ahead) = (self.config.node, self.ahead.map(|(peer, _)| peer));
        let Some(fetch) = &mut self.sync.fetch else {
            return;
        };
        if shun {
            fetch.shunned.insert(fetch.peer);
        } else {
            fetch.failures = fetch.failures.saturating_add(1);
        }
        let validators = fetch.newest().epoch.validators().iter();
        let mut peers: BTreeSet<NodeId> = validators.map(|(_, one)| one.node).collect();
        // Whoever claims to be in a later epoch becomes the one to ask, and names cost
        // nothing: without end the validators would have to wait for their turn.
        let may_ask_outside = fetch.shunned.len() < LEDGER_FETCH_OUTSIDERS_MAX;
        peers.extend(ahead.filter(|_| may_ask_outside));
        peers.remove(&me);
        peers.retain(|peer| !fetch.shunned.contains(peer));
        let behind = peers.range((
            core::ops::Bound::Excluded(fetch.peer),
            core::ops::Bound::Unbounded,
        ));
        let next = behind.chain(&peers).next().copied();
        let is_over = fetch.failures > LEDGER_FETCH_FAILURES_MAX
            || fetch.shunned.len() >= LEDGER_FETCH_SHUNNED_MAX;
        match next.filter(|_| !is_over) {
            Some(next) => {
                fetch.peer = next;
                self.ask_sync(out);
            }
            None => self.give_up_fetch(),
        }
    }

    /// Goes on block by block, and looks for a state again later. What was fetched
    /// is kept.
    fn give_up_fetch(&mut self) {
        let pause = Span(self.fetch_pause().0.saturating_mul(8));
        self.sync.not_before = self.now.saturating_add(pause);
        self.sync.unanswered = 0;
        let Some(fetch) = self.sync.fetch.take() else {
            return;
        };
        if let Stage::Chunks(loading) = fetch.stage {
            self.sync.keep(*loading);
        }
    }

    /// What a peer says about states.
    pub(in crate::ledger) fn on_sync(
        &mut self,
        from: NodeId,
        message: SyncMessage,
        out: &mut Outbox<Effect>,
    ) {
        let is_question = matches!(
            message,
            SyncMessage::AskEpochs { .. }
                | SyncMessage::AskCheckpoint { .. }
                | SyncMessage::AskChunk { .. }
        );
        if is_question {
            return self.serve_sync(from, message, out);
        }
        // Only what was asked for, of whom it was asked.
        let Some(fetch) = self.sync.fetch.as_mut().filter(|fetch| fetch.peer == from) else {
            return;
        };
        match (message, &fetch.stage) {
            (SyncMessage::Epochs(ends), Stage::Epochs) => self.on_ends(&ends, out),
            (SyncMessage::Checkpoint(checkpoint), Stage::Checkpoint) => {
                self.on_checkpoint(*checkpoint, out)
            }
            (SyncMessage::Chunk(chunk), Stage::Chunks(_)) => self.on_chunk(*chunk, out),
            (SyncMessage::Gone { block }, Stage::Chunks(loading))
                if loading.checkpoint.block.hash() == block =>
            {
                self.on_gone(out);
            }
            _ => {}
        }
    }

    fn on_ends(&mut self, ends: &[EpochEnd], out: &mut Outbox<Effect>) {
        let fetch = self.sync.fetch.as_mut().expect("the caller has seen it");
        let mut ops = Vec::new();
        let mut is_false = false;
        for end in ends {
            if !fetch.follow(end, &*self.config.verifier) {
                is_false = true;
                break;
            }
            // True whatever the state is: they prove themselves.
            ops.push(StoreOp::Put {
                key: epoch_key(end.finality.header.epoch),
                value: end.to_bytes(),
            });
        }
        if !ops.is_empty() {
            fetch.failures = 0;
            fetch.told_all = None;
            self.commit_to_store(ops, false, out);
        }
        if is_false {
            return self.ask_another(true, out);
        }
        if ends.is_empty() {
            let fetch = self.sync.fetch.as_mut().expect("just used");
            let was_told = fetch.told_all.filter(|(peer, _)| *peer == fetch.peer);
            fetch.told_all = Some(was_told.unwrap_or((fetch.peer, false)));
            fetch.stage = Stage::Checkpoint;
            if self.resume_staged() {
                return self.after_chunk(out);
            }
        }
        self.ask_sync(out);
    }

    /// Goes on with what an earlier life, or an earlier attempt, has fetched.
    fn resume_staged(&mut self) -> bool {
        let (Some(running), Some(fetch)) = (self.phase.running(), &mut self.sync.fetch) else {
            return false;
        };
        let (present, tip) = (running.bft.epoch().epoch, self.storage.tip.height);
        let is_useful = |checkpoint: &StateCheckpoint| {
            checkpoint.block.height > tip
                && epoch_after(checkpoint) > present
                && is_proven(fetch, checkpoint, &*self.config.verifier)
        };
        let staged = self.sync.staged.take();
        let Some(staged) = staged.filter(|staged| is_useful(&staged.0.checkpoint)) else {
            return false;
        };
        fetch.stage = Stage::Chunks(Box::new(staged.0));
        true
    }

    fn on_checkpoint(&mut self, checkpoint: StateCheckpoint, out: &mut Outbox<Effect>) {
        let (Some(running), Some(fetch)) = (self.phase.running(), &mut self.sync.fetch) else {
            return;
        };
        let (present, tip) = (running.bft.epoch().epoch, self.storage.tip.height);
        if checkpoint.child.header.epoch > fetch.newest().epoch.epoch() {
            // An epoch has ended meanwhile, or another peer has told of fewer.
            let told = fetch.told_all.filter(|(peer, _)| *peer == fetch.peer);
            if let Some((_, true)) = told {
                return self.ask_another(true, out);
            }
            fetch.told_all = told.map(|(peer, _)| (peer, true));
            fetch.stage = Stage::Epochs;
            return self.ask_sync(out);
        }
        if !is_proven(fetch, &checkpoint, &*self.config.verifier) {
            return self.ask_another(true, out);
        }
        let behind = checkpoint.block.height.0.saturating_sub(tip.0);
        let is_stalled = self.sync.unanswered >= LEDGER_FETCH_STALLED;
        let is_later = epoch_after(&checkpoint) > present && behind > 0;
        if !is_later || !(is_stalled || behind > self.config.fetch_behind) {
            return self.give_up_fetch();
        }
        let ops = checkpoint_ops(&checkpoint);
        fetch.stage = Stage::Chunks(Box::new(Loading::new(checkpoint)));
        fetch.failures = 0;
        self.commit_to_store(ops, false, out);
        self.ask_sync(out);
    }

    fn on_chunk(&mut self, chunk: Chunk, out: &mut Outbox<Effect>) {
        let fetch = self.sync.fetch.as_mut().expect("the caller has seen it");
        let Stage::Chunks(loading) = &mut fetch.stage else {
            return;
        };
        if chunk.after != loading.last || chunk.block != loading.checkpoint.block.hash() {
            // An earlier answer that came twice or late.
            return;
        }
        if !loading.take(&chunk) {
            if loading.is_read {
                return self.begin_anew(out);
            }
            return self.ask_another(true, out);
        }
        fetch.failures = 0;
        self.commit_to_store(chunk_ops(&chunk.pairs), false, out);
        self.after_chunk(out);
    }

    /// Asks for the next chunk, or puts the state into force.
    fn after_chunk(&mut self, out: &mut Outbox<Effect>) {
        let fetch = self.sync.fetch.as_mut().expect("the caller has seen it");
        let Stage::Chunks(loading) = &fetch.stage else {
            return;
        };
        if !loading.is_complete() {
            return self.ask_sync(out);
        }
        let fetch = self.sync.fetch.take().expect("just seen");
        let Stage::Chunks(loading) = fetch.stage else {
            unreachable!("just seen")
        };
        let Some(root) = root_of(&fetch.trusted, &loading.checkpoint) else {
            return;
        };
        self.install(*loading, root, out);
    }

    /// What was read from the disk does not fit what somebody says. The disk may be
    /// damaged, and then all others would look like Byzantine validators: it is dropped.
    fn begin_anew(&mut self, out: &mut Outbox<Effect>) {
        let Some(fetch) = &mut self.sync.fetch else {
            return;
        };
        if let Stage::Chunks(loading) = &mut fetch.stage {
            let checkpoint = loading.checkpoint.clone();
            let ops = checkpoint_ops(&checkpoint);
            **loading = Loading::new(checkpoint);
            self.commit_to_store(ops, false, out);
        }
        self.ask_sync(out);
    }

    /// This peer does not have the state. When nobody does, another one is asked for.
    fn on_gone(&mut self, out: &mut Outbox<Effect>) {
        if let Some(fetch) = &self.sync.fetch
            && let Stage::Chunks(loading) = &fetch.stage
            && loading.is_read
        {
            return self.begin_anew(out);
        }
        self.ask_another(true, out);
        if self.sync.fetch.is_none() {
            // What is there of it is of no use any more.
            self.sync.staged = None;
            self.sync.not_before = self.now;
        }
    }
}

/// The epoch of the blocks behind a checkpoint's.
pub(super) fn epoch_after(checkpoint: &StateCheckpoint) -> Epoch {
    match checkpoint.block.content.ends_epoch {
        true => following(checkpoint.block.epoch),
        false => checkpoint.block.epoch,
    }
}

/// Whether state, history and block of a checkpoint are what a final block commits to.
fn is_proven(
    fetch: &Fetch,
    checkpoint: &StateCheckpoint,
    verifier: &(impl Verifier + ?Sized),
) -> bool {
    let Some(root) = fetch.trusted.get(&checkpoint.child.header.epoch) else {
        return false;
    };
    let child = &checkpoint.child.header;
    let follows = child.parent == checkpoint.block.hash()
        && checkpoint.block.height.0.checked_add(1) == Some(child.height.0)
        && epoch_after(checkpoint) == child.epoch
        && checkpoint.history.size().0 == child.height.0
        && checkpoint.history.root() == child.content.history
        && History::fetched(&checkpoint.history.head(), &checkpoint.tiles).is_some();
    follows && checkpoint.child.verify(&root.epoch, verifier).is_ok()
}

/// The block that the epoch behind a checkpoint rests on: itself, if it ends one.
fn root_of(trusted: &BTreeMap<Epoch, Root>, checkpoint: &StateCheckpoint) -> Option<Digest> {
    if checkpoint.block.content.ends_epoch {
        return Some(checkpoint.block.hash());
    }
    trusted.get(&checkpoint.block.epoch).map(|root| root.hash)
}

/// Keys and values of a chunk, as the store takes them.
pub(super) type Pairs = [(Bytes, Bytes)];
