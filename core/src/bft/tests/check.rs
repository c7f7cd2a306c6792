//! What only an observer of all validators can see. Knows the promises of the
//! ledger and none of the code that keeps them.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::bft::{
    Block, BlockRef, Cert, Committed, Evidence, Message, Record, ValidatorIndex, ValidatorSet,
    Vote, VoteKind,
};
use crate::crypto::fake::FakeVerifier;
use crate::crypto::{ChainId, Digest, Verifier as _};

/// The promises, with everything signed and done so far.
pub struct Checker {
    chain: ChainId,
    set: ValidatorSet,
    verifier: FakeVerifier,
    /// Validators that keep the rules.
    pub honest: BTreeSet<ValidatorIndex>,
    /// Whether fewer are Byzantine than the ledger tolerates.
    pub safe: bool,
    chain_by_height: BTreeMap<u64, Digest>,
    committed: BTreeMap<usize, BlockRef>,
    signed: BTreeMap<(ValidatorIndex, u64, u8), Vote>,
    certified: BTreeMap<(u64, u8), BlockRef>,
    items: BTreeSet<bytes::Bytes>,
    item_height: BTreeMap<bytes::Bytes, u64>,
    /// Blocks committed at least once.
    pub blocks: u64,
    pub convicted: BTreeSet<ValidatorIndex>,
}

impl Checker {
    pub fn new(chain: ChainId, set: ValidatorSet, verifier: FakeVerifier) -> Self {
        Self {
            chain,
            set,
            verifier,
            honest: BTreeSet::new(),
            safe: true,
            chain_by_height: BTreeMap::new(),
            committed: BTreeMap::new(),
            signed: BTreeMap::new(),
            certified: BTreeMap::new(),
            items: BTreeSet::new(),
            item_height: BTreeMap::new(),
            blocks: 0,
            convicted: BTreeSet::new(),
        }
    }

    /// I5, I6, I7: an honest vote at the wire is written, the only one of its
    /// kind, and never contradicts another, across all crashes.
    pub fn on_wire(&mut self, slot: usize, message: &Message, log: &[Record]) {
        match message {
            Message::Vote(vote) => self.on_vote(slot, vote, log),
            Message::Proposal(proposal) => self.on_vote(slot, &proposal.vote, log),
            Message::Cert(cert) => self.on_cert(cert),
            Message::Status(status) => {
                let certs = status.finalization.iter().chain(&status.entered_by);
                certs.for_each(|cert| self.on_cert(cert));
            }
            _ => {}
        }
    }

    fn on_vote(&mut self, slot: usize, vote: &Vote, log: &[Record]) {
        if !self.honest.contains(&vote.signer) {
            return;
        }
        let is_written = log
            .iter()
            .any(|record| matches!(record, Record::Vote(kept) if kept == vote));
        assert!(
            is_written,
            "I7: slot {slot} sent {vote:?} before it was written"
        );
        let key = |kind: VoteKind| (vote.signer, vote.statement.view().0, kind.tag());
        let first = *self.signed.entry(key(vote.statement.kind)).or_insert(*vote);
        assert_eq!(
            first.statement, vote.statement,
            "I5: two votes of one kind and view"
        );
        if vote.statement.kind == VoteKind::Finalize {
            let is_written = |wanted: &dyn Fn(&Record) -> bool| log.iter().any(wanted);
            let block = vote.statement.block;
            let has_block = is_written(
                &|record| matches!(record, Record::Block(kept) if kept.hash() == block.hash),
            );
            let has_cert = is_written(&|record| {
                matches!(record, Record::Cert(kept) if kept.statement.block == block
                    && kept.statement.kind == VoteKind::Notarize)
            });
            assert!(
                has_block && has_cert,
                "I7: slot {slot} finalised {block:?} before it was written"
            );
        }
        let both = self.signed.contains_key(&key(VoteKind::Nullify))
            && self.signed.contains_key(&key(VoteKind::Finalize));
        assert!(
            !both,
            "I6: a view given up and finalised by {:?}",
            vote.signer
        );
    }

    /// I8: what honest validators pass on verifies, by rules of its own. I3, I4:
    /// certificates of one view agree.
    pub fn on_cert(&mut self, cert: &Cert) {
        let mut power = 0_u128;
        let preimage = cert.statement.preimage(self.chain);
        let mut signatures = cert.signatures.iter();
        for place in 0..128_u16 {
            if cert.signers.0 >> place & 1 == 0 {
                continue;
            }
            let validator = self
                .set
                .get(ValidatorIndex(place))
                .expect("I8: signer exists");
            let signature = signatures.next().expect("I8: one signature each");
            let good = self.verifier.verify(&validator.key, &preimage, signature);
            assert!(good.is_ok(), "I8: bad signature in {:?}", cert.statement);
            power += u128::from(validator.power.0);
        }
        assert!(signatures.next().is_none(), "I8: one signature each");
        assert!(power * 3 > self.set.total() * 2, "I8: no quorum");
        if !self.safe {
            return;
        }
        let view = cert.statement.view().0;
        let block = cert.statement.block;
        let kind = cert.statement.kind.tag();
        let first = *self.certified.entry((view, kind)).or_insert(block);
        assert_eq!(first, block, "I4: two blocks of view {view} certified");
        let null = self
            .certified
            .contains_key(&(view, VoteKind::Nullify.tag()));
        let last = self.certified.get(&(view, VoteKind::Finalize.tag()));
        assert!(
            !(null && last.is_some()),
            "I3: view {view} given up and final"
        );
    }

    /// I1, I2, I11, I13: one chain, in order, each block once, each item once.
    pub fn on_commit(&mut self, slot: usize, committed: &Committed, root: BlockRef) {
        let block: &Block = &committed.block;
        let place = block.place();
        let last = *self.committed.get(&slot).unwrap_or(&root);
        assert_eq!(place.height.0, last.height.0 + 1, "I11: in order, once");
        assert_eq!(block.header().parent, last.hash, "I2: linked");
        self.committed.insert(slot, place);
        let mut certified = place;
        for header in &committed.path {
            assert_eq!(header.parent, certified.hash, "the path is linked");
            certified = header.place();
        }
        assert_eq!(committed.finalization.statement.block, certified);
        self.on_cert(&committed.finalization.to_cert());
        if !self.safe {
            return;
        }
        let height = place.height.0;
        let first = *self.chain_by_height.entry(height).or_insert(place.hash);
        assert_eq!(first, place.hash, "I1: agreement at height {height}");
        for item in block.items() {
            let at = *self.item_height.entry(item.clone()).or_insert(height);
            assert_eq!(at, height, "I13: an item at two heights");
            self.items.insert(item.clone());
        }
        self.blocks = self.blocks.max(height);
    }

    /// I14: evidence convicts Byzantine validators alone.
    pub fn on_evidence(&mut self, evidence: &Evidence) {
        let epoch = evidence.votes()[0].statement.epoch;
        let verdict = evidence.verify(self.chain, epoch, &self.set, &self.verifier);
        assert_eq!(verdict, Ok(()), "I14: evidence verifies");
        let culprit = evidence.culprit();
        assert!(
            !self.honest.contains(&culprit),
            "I14: {culprit:?} is honest"
        );
        self.convicted.insert(culprit);
    }

    /// Whether this item is final somewhere.
    pub fn is_final(&self, item: &[u8]) -> bool {
        self.items.contains(item)
    }
}
