//! A world for the tests: nodes of the ledger, and what is special about them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::check::Checker;
use crate::bft::{
    Block, Commitments, Epoch, Header, Height, Message as Consensus, Proposal, Statement, Timing,
    Vote, VoteKind,
};
use crate::codec::{Decode as _, Encode as _};
use crate::crypto::fake::{FakeAuthority, FakeSigner};
use crate::crypto::{ChainId, SharedSigner, SharedVerifier, Signer as _};
use crate::ledger::state_sync::SyncMessage;
use crate::ledger::*;
use crate::machine::Machine as _;
use crate::mutant::Mutant;
use crate::proof::ledger::EpochEnd;
use crate::rig::{Disk, Faults, Rig, Setting, Slot, WALL_BEGIN_MS};
use crate::types::{ClusterId, NodeId, Span};

/// A network and disks that only take their time.
pub const MILD: Faults = Faults {
    delay_max: Span::from_millis(20),
    disk_max: Span::from_millis(2),
    ..Faults::NONE
};

/// What a test can turn.
#[derive(Debug, Clone)]
pub struct Knobs {
    /// Nodes of each cluster at the beginning, all of them validators.
    pub clusters: Vec<u64>,
    /// Nodes that follow.
    pub followers: u64,
    pub faults: Faults,
    pub params: Params,
    pub mutant: Mutant,
    /// Blocks between states that can be fetched, and how far behind they are.
    pub checkpoint_blocks: u64,
    pub fetch_behind: u64,
    /// Blocks that nodes keep whole, by their places; all if nothing is said.
    pub retain: Vec<u64>,
    /// How often an answer with blocks arrives.
    pub answer_copies: u64,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            clusters: alloc::vec![1, 1, 1, 1],
            followers: 0,
            faults: MILD,
            params: Params::default(),
            mutant: Mutant::None,
            checkpoint_blocks: 1024,
            fetch_behind: 10_000,
            retain: Vec::new(),
            answer_copies: 1,
        }
    }
}

/// What is special about nodes of the ledger.
pub struct Nodes {
    knobs: Knobs,
    pub genesis: Arc<Genesis>,
    pub checker: Checker,
    pub authority: FakeAuthority,
    /// Blocks that other parts have read, and on which node.
    pub runs: Vec<(usize, Run)>,
    /// Further keys of nodes, by their numbers.
    pub voting_keys: BTreeMap<usize, u64>,
    /// Runs of blocks that begin lower are lost, as if all had forgotten those.
    pub blocks_from: Height,
    /// Questions for final blocks so far.
    pub asked_blocks: u64,
    /// What becomes of a message of a node on its way to another one.
    pub tamper: fn(usize, usize, Message) -> Option<Message>,
    /// Chunks of states that were sent, by whom and to whom.
    pub chunks: BTreeMap<(usize, usize), u64>,
}

/// The nodes of a test.
pub type Cluster = Rig<Nodes>;

impl Setting for Nodes {
    type Machine = Ledger;
    type Message = Message;
    type Request = Request;
    type Response = Response;
    type Link = Link;
    type Notice = Notice;

    fn process(&mut self, slot: usize, node: NodeId) -> Ledger {
        let mut config = Config::new(node, self.genesis.clone());
        config.signer = Some(SharedSigner::new(self.signer(slot)));
        let voting_key = self.voting_keys.get(&slot);
        config.voting_key = voting_key.map(|key| SharedSigner::new(self.authority.signer(*key)));
        config.verifier = SharedVerifier::new(self.authority.verifier());
        config.timing = Timing {
            delta: Span::from_millis(100),
            idle_block: Span::from_secs(2),
        };
        config.wal_segment_bytes = 1 << 16;
        config.checkpoint_blocks = self.knobs.checkpoint_blocks;
        config.fetch_behind = self.knobs.fetch_behind;
        config.push_again = Span::from_millis(500);
        config.retain_blocks = self.knobs.retain.get(slot).copied().unwrap_or(0);
        config.mutant = self.knobs.mutant;
        self.checker.on_restart(slot);
        Ledger::new(config)
    }

    fn on_way(&mut self, from: usize, to: usize, message: Message) -> Vec<Message> {
        if matches!(message, Message::Sync(SyncMessage::Chunk(_))) {
            *self.chunks.entry((from, to)).or_default() += 1;
        }
        let is_forgotten = match &message {
            Message::Bft(Consensus::Blocks(answer)) => {
                answer.blocks[0].header().height < self.blocks_from
            }
            _ => false,
        };
        if is_forgotten {
            return Vec::new();
        }
        let Some(message) = (self.tamper)(from, to, message) else {
            return Vec::new();
        };
        let copies = match &message {
            Message::Bft(Consensus::Blocks(_)) => self.knobs.answer_copies,
            _ => 1,
        };
        let is_question = matches!(message, Message::Bft(Consensus::AskBlocks { .. }));
        self.asked_blocks += u64::from(is_question);
        (0..copies).map(|_| message.clone()).collect()
    }

    fn on_notice(&mut self, at: usize, slot: &Slot<Ledger>, notice: Notice) {
        match notice {
            Notice::Final(block) => self.on_final(at, slot, &block),
            Notice::Replaced { at: height } => {
                let ledger = slot.machine();
                let (tip, state) = (ledger.tip().unwrap(), ledger.ledger_state().unwrap().root());
                assert_eq!(tip.height, height);
                self.checker.on_fetched(at, tip, state);
            }
            Notice::Run(run) => self.runs.push((at, run)),
            Notice::Forked { culprits } => panic!("a fork: {culprits:?}"),
        }
    }

    fn describe(ledger: &Ledger) -> String {
        let bft = ledger.bft();
        alloc::format!(
            "tip {:?} epoch {:?} view {:?} committed {:?} running {:?} pool {} rejected {:?} \
             final {:?} deadline {:?} clock {:?}",
            ledger.tip().map(|tip| tip.height),
            bft.map(|bft| bft.epoch().epoch),
            bft.map(crate::bft::Bft::view),
            bft.map(|bft| bft.committed().height),
            bft.map(crate::bft::Bft::is_running),
            ledger.pool().len(),
            bft.map(crate::bft::Bft::rejected),
            bft.and_then(|bft| bft.finalization().map(|f| f.statement)),
            ledger.deadline(),
            ledger.wall(),
        )
    }
}

impl Nodes {
    fn on_final(&mut self, at: usize, slot: &Slot<Ledger>, block: &FinalBlock) {
        let ledger = slot.machine();
        // Several blocks of one step are announced together: the state is that of
        // the last one.
        let is_last = ledger.tip().unwrap().height == block.height();
        let state = is_last.then(|| ledger.ledger_state().unwrap().root());
        self.checker.on_final(at, block, state);
        let header = block.block.header();
        if header.content.ends_epoch {
            let mut key = alloc::vec![b'e'];
            key.extend(header.epoch.0.to_be_bytes());
            let found = &slot.disk.pairs()[&key[..]];
            let end = EpochEnd::from_bytes(found).expect("the end is kept");
            self.checker.on_epoch_end(&end);
        }
    }

    pub fn chain(&self) -> ChainId {
        self.genesis.chain()
    }

    pub fn signer(&self, slot: usize) -> FakeSigner {
        self.authority.signer(u64::try_from(slot).unwrap())
    }
}

impl Cluster {
    pub fn new(seed: u64, knobs: Knobs) -> Self {
        let authority = FakeAuthority::new(seed);
        let mut members = Vec::new();
        let mut number = 0;
        for (cluster, count) in (1_u128..).zip(&knobs.clusters) {
            for _ in 0..*count {
                let key = *authority.signer(number).public_key();
                members.push(Member::new(key.node_id(), key, ClusterId(cluster), 1));
                number += 1;
            }
        }
        let genesis = Arc::new(Genesis {
            name: "test".into(),
            time: TimeMs(WALL_BEGIN_MS),
            params: knobs.params.clone(),
            members,
        });
        let (faults, count) = (knobs.faults, number + knobs.followers);
        let nodes = Nodes {
            checker: Checker::new(&genesis, authority.verifier()),
            genesis,
            authority,
            runs: Vec::new(),
            voting_keys: BTreeMap::new(),
            blocks_from: Height(0),
            asked_blocks: 0,
            tamper: |_, _, message| Some(message),
            chunks: BTreeMap::new(),
            knobs,
        };
        let mut cluster = Self::empty(seed, faults, nodes);
        for slot in 0..count {
            let node = cluster.authority.signer(slot).public_key().node_id();
            cluster.add(node, Disk::default());
        }
        (0..cluster.slots.len()).for_each(|slot| cluster.start(slot));
        cluster
    }

    /// A signed transaction of the account of signer `number`.
    pub fn sign(
        &self,
        number: u64,
        sequence: u64,
        operations: Vec<Operation>,
    ) -> (Bytes, Vec<TxId>) {
        let signer = self.authority.signer(number);
        let intent = Intent {
            chain: self.chain(),
            account: AccountId::of(signer.public_key()),
            lane: Lane(0),
            sequence: Sequence(sequence),
            valid_until: Height(self.checker.highest.0 + 5_000),
            operations,
        };
        let ids = intent.ids().collect();
        (intent.sign(&signer).to_bytes(), ids)
    }

    /// A block of the leader of the present view with this time, as it would send it,
    /// and the leader's slot. The ledger is idle.
    pub fn leaders_block(&self, items: Vec<Bytes>, time_ms: u64) -> (usize, Proposal) {
        let ledger = self.ledger(0);
        let (bft, tip) = (ledger.bft().unwrap(), ledger.tip().unwrap());
        let (view, set) = (bft.view(), bft.epoch().validators.clone());
        assert_eq!(view, tip.view.next(), "the ledger is idle");
        let leader = bft.leader_of(view);
        let node = set.get(leader).unwrap().node;
        let slot = self.slots.iter().position(|slot| slot.node == node);
        let slot = slot.unwrap();
        let parent = ledger.phase.running().unwrap().tip();
        let header = Header {
            chain: self.chain(),
            epoch: Epoch(0),
            height: tip.height.next(),
            view,
            parent: tip.hash,
            parent_view: tip.view,
            proposer: leader,
            content: Commitments {
                time_ms,
                parent_state: parent.ledger_state().root(),
                parent_receipts: parent.executed.results_root,
                history: parent.history.root(),
                validators: set.hash(),
                ..Commitments::to_items(&items)
            },
        };
        let block = Block::new(header, items).unwrap();
        let statement = Statement::on(VoteKind::Notarize, Epoch(0), block.place());
        let signature = self.signer(slot).sign(&statement.preimage(self.chain()));
        let proposal = Proposal {
            parent: None,
            skips: Vec::new(),
            vote: Vote {
                statement,
                signer: leader,
                signature,
            },
            block,
        };
        (slot, proposal)
    }

    /// Submits a note of account `number` and gives its id.
    pub fn note(&mut self, slot: usize, number: u64, sequence: u64, text: &str) -> TxId {
        let (transaction, ids) = self.sign(number, sequence, alloc::vec![note(text)]);
        let request = Request::Submit {
            transaction,
            wait: false,
        };
        let id = self.request(slot, request);
        let response = self.replies.remove(&id);
        assert!(
            matches!(
                response,
                Some(Response::Accepted { .. } | Response::Unavailable) | None
            ),
            "{response:?}"
        );
        ids[0]
    }

    /// The lowest tip of all running nodes.
    pub fn lowest(&self) -> Height {
        let tips = self.slots.iter().map(|slot| {
            let ledger = slot.machine.as_ref();
            let tip = ledger.and_then(Ledger::tip);
            tip.map_or(Height(0), |tip| tip.height)
        });
        tips.min().unwrap()
    }

    pub fn ledger(&self, slot: usize) -> &Ledger {
        self.slots[slot].machine()
    }

    pub fn epoch(&self, slot: usize) -> Epoch {
        self.ledger(slot)
            .ledger_state()
            .expect("recovered")
            .epoch()
            .epoch
    }

    /// Heals everything and requires that a new note becomes final everywhere.
    pub fn must_progress(&mut self, number: u64, within: Span) {
        self.cut.clear();
        self.faults.loss_percent = 0;
        self.faults.crash_permille = 0;
        for slot in 0..self.slots.len() {
            if self.slots[slot].machine.is_none() {
                self.start(slot);
            }
        }
        self.run_for(Span::from_secs(1));
        let id = self.note(0, number, 0, "healed");
        self.until("progress after healing", within, |world| {
            world.checker.is_final(&id) && world.lowest() >= world.checker.highest
        });
    }
}

/// A note.
pub fn note(text: &str) -> Operation {
    Operation::Data {
        kind: Name::new("note").unwrap(),
        payload: Bytes::copy_from_slice(text.as_bytes()),
    }
}
