//! One validator, fed by hand: for tests of single rules. Whoever feeds it holds
//! the keys of all others.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::cluster::CHAIN;
use crate::bft::*;
use crate::crypto::fake::{FakeAuthority, FakeSigner};
use crate::crypto::{Digest, SharedSigner, SharedVerifier, Signer as _, sha256};
use crate::limits::PERSISTS_PENDING_MAX;
use crate::machine::{Machine as _, Outbox};
use crate::mutant::Mutant;
use crate::types::{NodeId, Span, Time};

/// The delay that the validator reckons with.
pub const DELTA: Span = Span::from_millis(100);

/// All keys, and what their holders can say.
pub struct Keys {
    pub authority: FakeAuthority,
    /// By place in the set.
    pub numbers: Vec<u64>,
    signers: Vec<FakeSigner>,
    pub epoch: EpochStart,
    leaders: Leaders,
}

impl Keys {
    /// As many validators as powers.
    pub fn new(powers: &[u64]) -> Self {
        Self::in_epoch(Epoch(3), powers)
    }

    /// The same validators in another epoch: the order of leaders differs.
    pub fn in_epoch(epoch: Epoch, powers: &[u64]) -> Self {
        let authority = FakeAuthority::new(7);
        let mut numbered: Vec<(u64, Validator)> = (0..)
            .zip(powers)
            .map(|(number, power)| {
                let key = *authority.signer(number).public_key();
                let (node, power) = (key.node_id(), Power(*power));
                (number, Validator { node, key, power })
            })
            .collect();
        numbered.sort_by_key(|(_, validator)| validator.node);
        let set = ValidatorSet::new(numbered.iter().map(|(_, one)| *one).collect());
        let epoch = EpochStart {
            epoch,
            root_height: Height(10),
            root_hash: sha256(b"root"),
            validators: Arc::new(set.expect("a set")),
        };
        let numbers: Vec<u64> = numbered.iter().map(|(number, _)| *number).collect();
        Self {
            leaders: Leaders::new(CHAIN, epoch.epoch, &epoch.root_hash, &epoch.validators),
            signers: numbers.iter().map(|one| authority.signer(*one)).collect(),
            numbers,
            epoch,
            authority,
        }
    }

    pub fn leader(&self, view: u64) -> u16 {
        self.leaders.of(View(view)).0
    }

    pub fn node(&self, place: u16) -> NodeId {
        let validator = self.epoch.validators.get(ValidatorIndex(place));
        validator.unwrap().node
    }

    /// All places but these.
    pub fn without(&self, left_out: &[u16]) -> Vec<u16> {
        let all = 0..u16::try_from(self.signers.len()).unwrap();
        all.filter(|place| !left_out.contains(place)).collect()
    }

    /// A block of this view's leader.
    pub fn block(&self, view: u64, parent: BlockRef, items: &[&[u8]]) -> Block {
        let items: Vec<Bytes> = items
            .iter()
            .map(|one| Bytes::copy_from_slice(one))
            .collect();
        let header = Header {
            chain: CHAIN,
            epoch: self.epoch.epoch,
            height: parent.height.next(),
            view: View(view),
            parent: parent.hash,
            parent_view: parent.view,
            proposer: ValidatorIndex(self.leader(view)),
            content: Commitments::to_items(&items),
        };
        Block::new(header, items).unwrap()
    }

    pub fn on(&self, kind: VoteKind, block: &Block) -> Statement {
        Statement::on(kind, self.epoch.epoch, block.place())
    }

    pub fn null(&self, view: u64) -> Statement {
        Statement::nullify(self.epoch.epoch, View(view))
    }

    pub fn vote(&self, signer: u16, statement: Statement) -> Vote {
        let key = &self.signers[usize::from(signer)];
        Vote::sign(statement, CHAIN, ValidatorIndex(signer), key)
    }

    /// A certificate, whether these are a quorum or not.
    pub fn cert(&self, signers: &[u16], statement: Statement) -> Cert {
        let mut signers = signers.to_vec();
        signers.sort_unstable();
        Cert {
            statement,
            signers: signers.iter().copied().map(ValidatorIndex).collect(),
            signatures: signers
                .iter()
                .map(|signer| self.vote(*signer, statement).signature)
                .collect(),
        }
    }

    /// What the leader sends.
    pub fn proposal(&self, block: &Block, parent: Option<Cert>, skips: Vec<Cert>) -> Message {
        let statement = self.on(VoteKind::Notarize, block);
        Message::Proposal(Box::new(Proposal {
            block: block.clone(),
            parent,
            skips,
            vote: self.vote(block.header().proposer.0, statement),
        }))
    }
}

/// The validator with everything that it has sent. Its disk is quick, and its
/// application refuses items that begin with `bad`.
pub struct Solo<'a> {
    pub keys: &'a Keys,
    pub me: u16,
    pub bft: Bft,
    pub now: Time,
    pub log: Vec<Record>,
    /// To all others if to nobody by name.
    pub sent: Vec<(Option<NodeId>, Message)>,
    pub commits: Vec<Committed>,
    pub evidence: Vec<Evidence>,
    /// Whom it found guilty when it saw the ledger broken.
    pub culprits: Option<Vec<Evidence>>,
    /// How often it has reported that the ledger is broken.
    pub violations: usize,
    mutant: Mutant,
}

impl<'a> Solo<'a> {
    pub fn new(keys: &'a Keys, me: u16, mutant: Mutant) -> Self {
        let mut solo = Self {
            keys,
            me,
            bft: machine(keys, me, mutant),
            now: Time(1_000),
            log: Vec::new(),
            sent: Vec::new(),
            commits: Vec::new(),
            evidence: Vec::new(),
            culprits: None,
            violations: 0,
            mutant,
        };
        solo.start(false);
        solo
    }

    /// Starts it again from its disk.
    pub fn restart(&mut self, lost_disk: bool) {
        self.bft = machine(self.keys, self.me, self.mutant);
        if lost_disk {
            self.log.clear();
        }
        self.start(lost_disk);
    }

    fn start(&mut self, lost_disk: bool) {
        let mut recovered = Recovered {
            lost_disk,
            committed: self.commits.last().map(|one| one.block.place()),
            ..Recovered::default()
        };
        for record in &self.log {
            match record {
                Record::Vote(vote) => recovered.votes.push(*vote),
                Record::Block(block) => recovered.blocks.push((**block).clone()),
                Record::Cert(cert) => recovered.certs.push(cert.clone()),
                Record::VoteFloor(view) => recovered.vote_floor = *view,
            }
        }
        self.step(Event::Start(Box::new(recovered)));
        self.step(Event::Pending { waiting: true });
    }

    /// One event, and whatever the disk and the application answer to it.
    pub fn step(&mut self, event: Event) {
        let mut events = alloc::vec![event];
        while let Some(event) = events.pop() {
            let mut out = Outbox::new();
            self.bft.step(self.now, event, &mut out);
            events.extend(out.drain().filter_map(|effect| self.on_effect(effect)));
        }
    }

    fn on_effect(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Persist { seq, records } => {
                self.log.extend(records);
                return Some(Event::Persisted { seq });
            }
            Effect::Check { block } => {
                let bad = |item: &Bytes| item.starts_with(b"bad");
                let valid = !block.items().iter().any(bad);
                let hash = block.hash();
                return Some(Event::Checked { hash, valid });
            }
            Effect::Send { to, message } => self.sent.push((Some(to), message)),
            Effect::Broadcast { message } => self.sent.push((None, message)),
            Effect::Commit(committed) => self.commits.push(*committed),
            Effect::Evidence(evidence) => self.evidence.push(*evidence),
            Effect::SafetyViolation { culprits, .. } => {
                self.culprits = Some(culprits);
                self.violations += 1;
            }
            Effect::Build { .. } | Effect::ServeBlocks { .. } | Effect::ServeBlock { .. } => {}
        }
        None
    }

    /// A message of another validator.
    pub fn hear(&mut self, from: u16, message: Message) {
        let from = self.keys.node(from);
        self.step(Event::Message { from, message });
    }

    pub fn hear_cert(&mut self, from: u16, cert: Cert) {
        self.hear(from, Message::Cert(Box::new(cert)));
    }

    /// Lets the time pass.
    pub fn wait(&mut self, span: Span) {
        self.now = self.now + span;
        self.step(Event::Wake);
    }

    /// What it has voted for, in all its lives, once each.
    pub fn votes(&self) -> Vec<Statement> {
        let mut votes = Vec::new();
        for (_, message) in &self.sent {
            if let Message::Vote(vote) = message
                && vote.signer.0 == self.me
                && !votes.contains(&vote.statement)
            {
                votes.push(vote.statement);
            }
        }
        votes
    }

    /// How often it has asked for this block.
    pub fn times_asked_for(&self, hash: Digest) -> usize {
        let asks = |(_, message): &&(_, Message)| *message == Message::AskBlock { hash };
        self.sent.iter().filter(asks).count()
    }
}

/// A validator that has not started.
pub fn machine(keys: &Keys, me: u16, mutant: Mutant) -> Bft {
    let signer = keys.authority.signer(keys.numbers[usize::from(me)]);
    let config = Config {
        node: keys.node(me),
        chain: CHAIN,
        signer: Some(SharedSigner::new(signer)),
        verifier: SharedVerifier::new(keys.authority.verifier()),
        timing: Timing {
            delta: DELTA,
            idle_block: Span::from_secs(2),
        },
        relay: Relay::Sparse,
        persists_pending_max: PERSISTS_PENDING_MAX,
        mutant,
    };
    Bft::new(config, keys.epoch.clone())
}
