//! The light client, on a chain that is made by hand: the tests decide what each
//! header says and who signs what.

mod claims;
mod printed;
mod whitepaper;

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::bft::{
    BlockRef, Cert, Commitments, Epoch, Header, Height, Signers, Statement, ValidatorIndex,
    ValidatorSet, View, VoteKind,
};
use crate::codec::Encode as _;
use crate::crypto::Signer as _;
use crate::crypto::fake::{FakeAuthority, FakeSigner, FakeVerifier};
use crate::crypto::{ChainId, Digest};
use crate::ledger_types::{
    AccountId, Genesis, Intent, Lane, Member, Name, OpResult, Operation, Outcome, Params,
    ResultsHead, Sequence, TimeMs, TxId, normalise,
};
use crate::merkle::{LeafHash, LeafIndex, Tree, TreeHead, TreeSize};
use crate::proof::ledger::{
    Checkpoint, EpochEnd, Extension, Finality, OutcomeProof, Past, Receipt, TrustedEpoch,
};
use crate::types::ClusterId;

/// A block as the tests made it.
pub struct Made {
    pub header: Header,
    items: Vec<Bytes>,
    results: Vec<OpResult>,
}

/// A ledger: validators 0 to 3 in epoch 0, 1 to 4 in epoch 1, and so on.
pub struct Chain {
    pub genesis: Genesis,
    pub verifier: FakeVerifier,
    authority: FakeAuthority,
    sets: Vec<ValidatorSet>,
    /// The block at height `n` is `blocks[n - 1]`.
    pub blocks: Vec<Made>,
    /// The hashes of all blocks, block 0 first.
    pub tree: Tree,
    next_sequence: u64,
}

impl Chain {
    pub fn new() -> Self {
        let authority = FakeAuthority::new(7);
        let genesis = Genesis {
            name: "hand-made".into(),
            time: TimeMs(1_000),
            params: Params::default(),
            members: members(&authority, 0),
        };
        let mut tree = Tree::new();
        tree.append(LeafHash::assume(genesis.hash()));
        Self {
            sets: alloc::vec![genesis.validators().unwrap()],
            verifier: authority.verifier(),
            genesis,
            authority,
            blocks: Vec::new(),
            tree,
            next_sequence: 0,
        }
    }

    pub fn id(&self) -> ChainId {
        self.genesis.chain()
    }

    pub fn set(&self, epoch: Epoch) -> &ValidatorSet {
        &self.sets[usize::try_from(epoch.0).unwrap()]
    }

    /// Who signs for a validator of an epoch.
    pub fn key(&self, epoch: Epoch, validator: ValidatorIndex) -> FakeSigner {
        let node = self.set(epoch).get(validator).unwrap().node;
        let all = (0..64).map(|number| self.authority.signer(number));
        let mut own = all.filter(|signer| signer.public_key().node_id() == node);
        own.next().unwrap()
    }

    /// Adds a block with one note for each text.
    pub fn block(&mut self, notes: &[&str]) -> Height {
        self.add(notes, false)
    }

    /// Adds the last block of the epoch.
    pub fn last_block(&mut self, notes: &[&str]) -> Height {
        let epoch = self.sets.len();
        let next = normalise(&members(&self.authority, u64::try_from(epoch).unwrap()));
        self.sets.push(next.unwrap());
        self.add(notes, true)
    }

    fn add(&mut self, notes: &[&str], ends_epoch: bool) -> Height {
        let last = self.blocks.last();
        let height = Height(last.map_or(1, |last| last.header.height.0 + 1));
        let epoch = Epoch(u64::try_from(self.sets.len()).unwrap() - 1 - u64::from(ends_epoch));
        let begins = last.is_none_or(|last| last.header.epoch != epoch);
        let parent_view = match last {
            Some(last) if !begins => last.header.view,
            _ => View(0),
        };
        let (items, results) = self.transactions(notes);
        let before = self.blocks.last().map_or(&[][..], |last| &last.results);
        let next_validators = match ends_epoch {
            true => self.sets.last().unwrap().hash(),
            false => Digest::default(),
        };
        let parent = match self.blocks.last() {
            Some(last) => last.header.hash(),
            None => self.genesis.hash(),
        };
        let header = Header {
            chain: self.id(),
            epoch,
            height,
            view: View(parent_view.0 + 1),
            parent,
            parent_view,
            proposer: ValidatorIndex(0),
            content: Commitments {
                time_ms: 1_000 * height.0 + 1_000,
                parent_receipts: ResultsHead::of(before).root(),
                history: self.tree.root(),
                validators: self.set(epoch).hash(),
                next_validators,
                ends_epoch,
                ..Commitments::to_items(&items)
            },
        };
        self.tree.append(LeafHash::assume(header.hash()));
        self.blocks.push(Made {
            header,
            items,
            results,
        });
        height
    }

    fn transactions(&mut self, notes: &[&str]) -> (Vec<Bytes>, Vec<OpResult>) {
        let signer = self.authority.signer(500);
        let mut items = Vec::new();
        let mut results = Vec::new();
        for text in notes {
            let intent = Intent {
                chain: self.id(),
                account: AccountId::of(signer.public_key()),
                lane: Lane(0),
                sequence: Sequence(self.next_sequence),
                valid_until: Height(1_000),
                operations: alloc::vec![Operation::Data {
                    kind: Name::new("note").unwrap(),
                    payload: Bytes::copy_from_slice(text.as_bytes()),
                }],
            };
            self.next_sequence += 1;
            results.extend(intent.ids().map(|id| OpResult {
                id,
                outcome: Outcome::Done,
            }));
            items.push(intent.sign(&signer).to_bytes());
        }
        (items, results)
    }

    pub fn made(&self, height: Height) -> &Made {
        &self.blocks[usize::try_from(height.0).unwrap() - 1]
    }

    /// What these validators sign about a block.
    pub fn cert(&self, epoch: Epoch, block: BlockRef, signers: &[u16]) -> Cert {
        let statement = Statement::on(VoteKind::Finalize, epoch, block);
        let preimage = statement.preimage(self.id());
        let mut all = Signers::NONE;
        let mut signatures = Vec::new();
        for signer in signers {
            all.insert(ValidatorIndex(*signer));
            signatures.push(self.key(epoch, ValidatorIndex(*signer)).sign(&preimage));
        }
        Cert {
            statement,
            signers: all,
            signatures,
        }
    }

    /// Three of four sign the block itself.
    pub fn finality(&self, height: Height) -> Finality {
        self.certified(self.made(height).header)
    }

    pub fn certified(&self, header: Header) -> Finality {
        Finality {
            header,
            path: Vec::new(),
            finalization: self.cert(header.epoch, header.place(), &[0, 1, 3]),
        }
    }

    pub fn end(&self, epoch: Epoch) -> EpochEnd {
        let last = self.blocks.iter().find(|made| {
            let header = &made.header;
            header.epoch == epoch && header.content.ends_epoch
        });
        EpochEnd {
            finality: self.certified(last.unwrap().header),
            next: self.set(Epoch(epoch.0 + 1)).clone(),
        }
    }

    /// The light client that has followed up to an epoch.
    pub fn trusted(&self, epoch: Epoch) -> TrustedEpoch {
        let mut trusted = TrustedEpoch::genesis(&self.genesis).unwrap();
        for before in 0..epoch.0 {
            let end = self.end(Epoch(before));
            trusted.follow(&end, &self.verifier).unwrap();
        }
        trusted
    }

    /// The tree before a block.
    pub fn head_before(&self, height: Height) -> TreeHead {
        let size = TreeSize(height.0);
        let root = self.made(height).header.content.history;
        TreeHead { size, root }
    }

    pub fn past(&self, height: Height, head: Height) -> Past {
        Past {
            header: self.made(height).header,
            inclusion: self
                .tree
                .prove_inclusion(LeafIndex(height.0), TreeSize(head.0))
                .unwrap(),
        }
    }

    /// The first note of a block, under the certificate of the same or a later one.
    pub fn receipt(&self, height: Height, head: Height) -> Receipt {
        let made = self.made(height);
        let tree = tree_of(made.items.iter().map(|item| LeafHash::of(item)));
        let is_later = head > height;
        Receipt {
            epochs: Vec::new(),
            finality: self.finality(head),
            past: is_later.then(|| self.past(height, head)),
            inclusion: tree.prove_inclusion(LeafIndex(0), tree.size()).unwrap(),
            transaction: made.items[0].clone(),
            operation: 0,
            outcome: is_later.then(|| self.outcome(height, head)),
        }
    }

    fn outcome(&self, height: Height, head: Height) -> OutcomeProof {
        let results = &self.made(height).results;
        let leaves = results.iter().map(|one| LeafHash::of(&one.to_bytes()));
        let tree = tree_of(leaves);
        let child = height.next();
        OutcomeProof {
            child: (child < head).then(|| self.past(child, head)),
            result: results[0],
            results: ResultsHead::of(results),
            inclusion: tree.prove_inclusion(LeafIndex(0), tree.size()).unwrap(),
        }
    }

    pub fn first_id(&self, height: Height) -> TxId {
        self.made(height).results[0].id
    }

    pub fn checkpoint(&self, height: Height) -> Checkpoint {
        Checkpoint {
            epochs: Vec::new(),
            finality: self.finality(height),
        }
    }

    pub fn extension(&self, old: Height, new: Height) -> Extension {
        Extension {
            old: self.head_before(old),
            checkpoint: self.checkpoint(new),
            consistency: self
                .tree
                .prove_consistency(TreeSize(old.0), TreeSize(new.0))
                .unwrap(),
        }
    }
}

fn members(authority: &FakeAuthority, first: u64) -> Vec<Member> {
    let keys = (first..first + 4).map(|number| *authority.signer(number).public_key());
    keys.zip(1..)
        .map(|(key, cluster)| Member::new(key.node_id(), key, ClusterId(cluster), 1))
        .collect()
}

pub fn tree_of(leaves: impl Iterator<Item = LeafHash>) -> Tree {
    let mut tree = Tree::new();
    leaves.for_each(|leaf| {
        tree.append(leaf);
    });
    tree
}

/// A chain of three epochs: blocks 1 to 5, 6 to 9, and 10 to 12. Each has a note
/// with its height, and the last ones of epochs too.
pub fn three_epochs() -> Arc<Chain> {
    let mut chain = Chain::new();
    for height in 1_u64..=12 {
        let text = alloc::format!("note {height}");
        let notes = [text.as_str(), "another"];
        match height {
            5 | 9 => chain.last_block(&notes),
            _ => chain.block(&notes),
        };
    }
    Arc::new(chain)
}
