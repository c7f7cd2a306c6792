//! A validator that breaks every rule at the wire with its own key, and no other.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use super::cluster::CHAIN;
use crate::bft::*;
use crate::crypto::fake::FakeSigner;

/// One Byzantine validator with what it has heard.
pub struct ByzantineNode {
    me: ValidatorIndex,
    key: FakeSigner,
    epoch: EpochStart,
    leaders: Leaders,
    /// Blocks by view.
    blocks: BTreeMap<u64, Vec<BlockRef>>,
    certs: Vec<Cert>,
    led: u64,
    heard: Vec<Message>,
}

type Deviations = Vec<(ValidatorIndex, Message)>;

impl ByzantineNode {
    pub fn new(me: ValidatorIndex, key: FakeSigner, epoch: &EpochStart) -> Self {
        let leaders = Leaders::new(CHAIN, epoch.epoch, &epoch.root_hash, &epoch.validators);
        Self {
            me,
            key,
            epoch: epoch.clone(),
            leaders,
            blocks: BTreeMap::new(),
            certs: Vec::new(),
            led: 0,
            heard: Vec::new(),
        }
    }

    /// Answers whatever it hears with deviations.
    pub fn on_message(&mut self, message: &Message, dice: &mut u64) -> Deviations {
        let mut deviations = Deviations::new();
        let view = self.learn(message);
        if draw(dice, 4) == 0 {
            self.vote_for_all(view, dice, &mut deviations);
        }
        if draw(dice, 16) == 0 {
            self.forge_cert(dice, &mut deviations);
        }
        if draw(dice, 16) == 0 && !self.heard.is_empty() {
            let old = usize::try_from(draw(dice, 64)).unwrap() % self.heard.len();
            let old = self.heard[old].clone();
            self.to_some(&old, dice, &mut deviations);
        }
        self.lead(view, dice, &mut deviations);
        self.lead(view + 1, dice, &mut deviations);
        deviations
    }

    fn learn(&mut self, message: &Message) -> u64 {
        if self.heard.len() < 64 {
            self.heard.push(message.clone());
        }
        let block = match message {
            Message::Proposal(proposal) => {
                self.certs.extend(proposal.parent.clone());
                proposal.block.place()
            }
            Message::Vote(vote) => vote.statement.block,
            Message::Cert(cert) => {
                self.certs.push((**cert).clone());
                cert.statement.block
            }
            _ => return 0,
        };
        let known = self.blocks.entry(block.view.0).or_default();
        if block.height > Height(0) && !known.contains(&block) && known.len() < 4 {
            known.push(block);
        }
        if self.certs.len() > 64 {
            self.certs.drain(..32);
        }
        block.view.0
    }

    /// Notarises and finalises every block of a view, and gives the view up.
    fn vote_for_all(&self, view: u64, dice: &mut u64, deviations: &mut Deviations) {
        if view == 0 {
            return;
        }
        for block in self.blocks.get(&view).into_iter().flatten() {
            for kind in [VoteKind::Notarize, VoteKind::Finalize] {
                let statement = Statement::on(kind, self.epoch.epoch, *block);
                self.to_some(&Message::Vote(self.sign(statement)), dice, deviations);
            }
        }
        let nullify = Statement::nullify(self.epoch.epoch, View(view));
        self.to_some(&Message::Vote(self.sign(nullify)), dice, deviations);
    }

    /// Pads a certificate of its own with everybody's names.
    fn forge_cert(&self, dice: &mut u64, deviations: &mut Deviations) {
        let Some(template) = self.certs.last() else {
            return;
        };
        let view = View(template.statement.view().0 + draw(dice, 3));
        let statement = Statement::nullify(self.epoch.epoch, view);
        let signature = self.sign(statement).signature;
        let set = &self.epoch.validators;
        let signers: Signers = set.iter().map(|(index, _)| index).collect();
        let signatures = set.iter().map(|_| signature).collect();
        let forged = Cert {
            statement,
            signers,
            signatures,
        };
        self.to_some(&Message::Cert(Box::new(forged)), dice, deviations);
    }

    /// Proposes two blocks, each to some.
    fn lead(&mut self, view: u64, dice: &mut u64, deviations: &mut Deviations) {
        if view <= self.led || view == 0 || self.leaders.of(View(view)) != self.me {
            return;
        }
        let parent = self.certs.iter().rev().find(|cert| {
            cert.statement.kind != VoteKind::Nullify && cert.statement.view().0 < view
        });
        let root = self.epoch.root();
        let place = parent.map_or(root, |cert| cert.statement.block);
        self.led = view;
        let names: [&[u8]; 3] = [b"", b"bad", b"other"];
        for (number, name) in names.iter().enumerate() {
            if draw(dice, 3) == 0 {
                continue;
            }
            let mut item = name.to_vec();
            item.extend_from_slice(&view.to_be_bytes());
            let items: Vec<Bytes> = if number == 0 {
                Vec::new()
            } else {
                alloc::vec![item.into()]
            };
            let header = Header {
                chain: CHAIN,
                epoch: self.epoch.epoch,
                height: place.height.next(),
                view: View(view),
                parent: place.hash,
                parent_view: place.view,
                proposer: self.me,
                content: Commitments::to_items(&items),
            };
            let block = Block::new(header, items).unwrap();
            let statement = Statement::on(VoteKind::Notarize, self.epoch.epoch, block.place());
            self.blocks.entry(view).or_default().push(block.place());
            let proposal = Proposal {
                vote: self.sign(statement),
                parent: parent.cloned(),
                skips: self.skips(place.view, view),
                block,
            };
            self.to_some(&Message::Proposal(Box::new(proposal)), dice, deviations);
        }
    }

    fn skips(&self, after: View, before: u64) -> Vec<Cert> {
        let fits = |cert: &&Cert| {
            let view = cert.statement.view();
            cert.statement.kind == VoteKind::Nullify && view > after && view.0 < before
        };
        self.certs.iter().filter(fits).take(4).cloned().collect()
    }

    fn sign(&self, statement: Statement) -> Vote {
        Vote::sign(statement, CHAIN, self.me, &self.key)
    }

    /// To a random subset.
    fn to_some(&self, message: &Message, dice: &mut u64, deviations: &mut Deviations) {
        for (to, _) in self.epoch.validators.iter() {
            if to != self.me && draw(dice, 2) == 0 {
                deviations.push((to, message.clone()));
            }
        }
    }
}

fn draw(dice: &mut u64, below: u64) -> u64 {
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    *dice % below
}
