//! What liars make with their own key: blocks, certificates, answers, accusations.

use bytes::Bytes;
use decube_core::bft::{
    self, Block, BlockRef, Cert, Commitments, Epoch, Evidence, FinalBlocks, Height, Proposal,
    Signers, Statement, ValidatorIndex, View, Vote, VoteKind,
};
use decube_core::codec::Encode as _;
use decube_core::crypto::{Digest, Signer as _};
use decube_core::ledger::{AccountId, Compact, Intent, Lane, Message, Name, Operation, Sequence};
use decube_core::types::NodeId;

use super::liar::{Liar, Lie, Scene, Strategy};
use crate::rng::Draw;

impl Liar {
    /// Another block of the same view that breaks no rule.
    pub(super) fn other_block(&self, scene: &Scene<'_>, proposal: Proposal) -> Proposal {
        let mut header = *proposal.block.header();
        header.content.time_ms = header.content.time_ms.saturating_add(1);
        self.with_block(scene, proposal, header, None)
    }

    /// A block that breaks a rule.
    pub(super) fn invalid_block(
        &self,
        scene: &Scene<'_>,
        proposal: Proposal,
        draw: Draw,
    ) -> Proposal {
        let mut header = *proposal.block.header();
        let mut items = None;
        let wrong = Digest([7; 32]);
        match draw.below(16) {
            14 | 15 => return self.sibling(scene, proposal),
            0 => header.content.parent_state = wrong,
            1 => header.content.history = wrong,
            2 => header.content.parent_receipts = wrong,
            3 => header.content.validators = wrong,
            4 => {
                header.content.ends_epoch = !header.content.ends_epoch;
                header.content.next_validators = wrong;
            }
            5 => {
                let mut more = proposal.block.items().to_vec();
                more.push(Bytes::from_static(b"no transaction"));
                items = Some(more);
            }
            6 => {
                let mut twice = proposal.block.items().to_vec();
                twice.extend_from_within(..);
                items = Some(twice);
            }
            7 => header.content.time_ms += 3_600_000,
            8 => header.content.time_ms = 0,
            9 => header.height = header.height.next(),
            10 => header.proposer = ValidatorIndex(header.proposer.0 ^ 1),
            11 => header.epoch = Epoch(header.epoch.0 + 1),
            12 => header.parent_view = View(header.parent_view.0 ^ 1),
            _ => header.parent = wrong,
        }
        self.with_block(scene, proposal, header, items)
    }

    /// A block beside its own parent, good in itself: it passes by a view that was not
    /// given up.
    fn sibling(&self, scene: &Scene<'_>, proposal: Proposal) -> Proposal {
        let header = *proposal.block.header();
        let Some(parent) = scene.bft.block(&header.parent) else {
            return proposal;
        };
        let beside = bft::Header {
            view: header.view,
            proposer: header.proposer,
            ..*parent.header()
        };
        self.with_block(scene, proposal, beside, Some(parent.items().to_vec()))
    }

    /// A proposal with another header and, if given, other items.
    fn with_block(
        &self,
        scene: &Scene<'_>,
        proposal: Proposal,
        mut header: bft::Header,
        items: Option<Vec<Bytes>>,
    ) -> Proposal {
        let items = items.unwrap_or_else(|| proposal.block.items().to_vec());
        let content = Commitments::to_items(&items);
        header.content.items_root = content.items_root;
        header.content.items_count = content.items_count;
        header.content.items_bytes = content.items_bytes;
        let (Some(block), Some(me)) = (Block::new(header, items), scene.bft.validator()) else {
            return proposal;
        };
        let statement = Statement::on(VoteKind::Notarize, header.epoch, block.place());
        Proposal {
            block,
            vote: self.signed(statement, me),
            ..proposal
        }
    }

    /// A vote, whatever it says.
    pub(super) fn signed(&self, statement: Statement, signer: ValidatorIndex) -> Vote {
        Vote {
            statement,
            signer,
            signature: self.key.sign(&statement.preimage(self.chain)),
        }
    }

    /// A certificate that no quorum signed.
    pub(super) fn garbage_cert(&mut self, scene: &Scene<'_>) -> Option<Cert> {
        if self.certs.is_empty() {
            return None;
        }
        let at = self.draw().index(self.certs.len());
        let mut cert = self.certs[at].clone();
        let me = scene.bft.validator().unwrap_or_default();
        match self.draw().below(6) {
            // Everybody's name, its own signature.
            0 => {
                let view = View(scene.bft.view().0 + self.draw().below(4));
                cert.statement = Statement::nullify(scene.bft.epoch().epoch, view);
                let signature = self.signed(cert.statement, me).signature;
                let set = &scene.bft.epoch().validators;
                cert.signers = set.iter().map(|(index, _)| index).collect();
                cert.signatures = set.iter().map(|_| signature).collect();
            }
            // Fewer than a quorum.
            1 => {
                let fewer: Vec<_> = cert.signers.iter().take(1).collect();
                cert.signers = fewer.into_iter().collect();
                cert.signatures.truncate(1);
            }
            // Good signatures under something else.
            2 => cert.statement.block.hash = Digest([9; 32]),
            3 => {
                cert.statement.kind = match cert.statement.kind {
                    VoteKind::Notarize => VoteKind::Finalize,
                    VoteKind::Finalize | VoteKind::Nullify => VoteKind::Notarize,
                }
            }
            // A signer that the set does not have.
            4 => {
                let mut signers: Signers = cert.signers;
                if signers.insert(ValidatorIndex(127)) {
                    cert.signers = signers;
                    cert.signatures.push(cert.signatures[0]);
                }
            }
            // One signature in the place of another.
            _ => cert.signatures.rotate_left(1),
        }
        Some(cert)
    }

    /// A list of items that is not the one of the header, or of items that nobody has.
    pub(super) fn spoil_list(&mut self, compact: &mut Compact) {
        match self.draw().below(4) {
            0 => compact.leaves.reverse(),
            1 => compact.leaves.push(Digest([8; 32])),
            2 => compact.leaves.clear(),
            _ => compact.header.content.items_bytes ^= 1,
        }
    }

    /// What it says to those who lack items of its block: the truth, something else or
    /// nothing.
    pub(super) fn answer_items(
        &mut self,
        to: NodeId,
        block: Digest,
        places: &[u32],
    ) -> Option<Lie> {
        let way = match self.has(Strategy::InvalidBody) || self.has(Strategy::Withhold) {
            true => self.draw().below(6),
            false => 5,
        };
        let known = self.spoken.iter().find(|known| known.hash() == block)?;
        let item = |place: &u32| known.items().get(usize::try_from(*place).ok()?).cloned();
        let mut items: Vec<Bytes> = places.iter().filter_map(item).collect();
        match way {
            0 => return None,
            1 => items.truncate(1),
            2 => items = vec![Bytes::from_static(b"something else"); items.len()],
            3 => items.reverse(),
            _ => {}
        }
        Some(Lie {
            to,
            message: Message::Items { block, items },
            after: 0,
        })
    }

    /// An answer that nobody asked for: a block that it heard of, said to be final.
    pub(super) fn blocks_of_nobody(&mut self) -> Option<FinalBlocks> {
        let proposed = |message: &Message| match message {
            Message::Bft(bft::Message::Proposal(proposal)) => Some(proposal.block.clone()),
            _ => None,
        };
        let block = self.heard.iter().rev().find_map(proposed)?;
        let at = self.draw().index(self.certs.len().max(1));
        let mut finalization = self.certs.get(at)?.clone();
        if self.draw().coin() {
            // Good votes, for another block.
            finalization.statement.block = block.place();
            finalization.statement.kind = VoteKind::Finalize;
        }
        Some(FinalBlocks {
            blocks: vec![block],
            path: Vec::new(),
            finalization,
        })
    }

    /// Another answer than the honest one, or none.
    pub(super) fn twist_answer(&mut self, said: bft::Message) -> Option<bft::Message> {
        let way = self.draw().below(6);
        Some(match said {
            bft::Message::Blocks(mut blocks) => {
                match way {
                    0 => return None,
                    1 => blocks.blocks.reverse(),
                    2 => {
                        let first = blocks.blocks[0].clone();
                        blocks.blocks.push(first);
                    }
                    3 => blocks.path.clear(),
                    _ => {
                        let other = self.certs.front().cloned();
                        blocks.finalization = other.unwrap_or(blocks.finalization);
                    }
                }
                bft::Message::Blocks(blocks)
            }
            bft::Message::Status(mut status) => {
                match way {
                    0 => return None,
                    1 => status.view = View(status.view.0 + 1_000),
                    2 => status.finalization = None,
                    3 => status.entered_by = self.certs.back().cloned(),
                    _ => status.epoch = Epoch(status.epoch.0 + 1),
                }
                bft::Message::Status(status)
            }
            bft::Message::Block(_) if way < 3 => return None,
            said => said,
        })
    }

    /// Somebody honest, accused by a vote that it never cast.
    pub(super) fn false_accusation(&mut self, scene: &Scene<'_>) -> Option<Message> {
        if self.votes.is_empty() {
            return None;
        }
        let at = self.draw().index(self.votes.len());
        let real = self.votes[at];
        let mut block = real.statement.block;
        block.hash = Digest([5; 32]);
        block.height = Height(block.height.0.max(1));
        let epoch = match self.draw().below(4) {
            0 => Epoch(u64::MAX),
            _ => real.statement.epoch,
        };
        let kind = match real.statement.kind {
            VoteKind::Nullify => VoteKind::Finalize,
            kind => kind,
        };
        let mut first = real;
        first.statement.epoch = epoch;
        let forged = self.signed(Statement::on(kind, epoch, block), real.signer);
        let evidence = Evidence::of(first, forged)?;
        Some(self.transaction(scene, Operation::Evidence(Box::new(evidence))))
    }

    /// A transaction of the liar's own account.
    fn transaction(&self, scene: &Scene<'_>, operation: Operation) -> Message {
        let account = AccountId::of(self.key.public_key());
        let world = scene.ledger.world();
        let known = world.and_then(|world| world.account(&account));
        let next = known.map_or(Sequence(0), |account| account.next(Lane(0)));
        let height = scene.ledger.tip().map_or(Height(0), |tip| tip.height);
        let intent = Intent {
            chain: self.chain,
            account,
            lane: Lane(0),
            sequence: next,
            valid_until: Height(height.0 + 50),
            operations: vec![operation],
        };
        Message::Transactions(vec![intent.sign(&self.key).to_bytes()])
    }

    /// Work for nothing.
    pub(super) fn spam(&mut self, scene: &Scene<'_>) -> Message {
        let draw = self.draw();
        let number = draw.again();
        let epoch = scene.bft.epoch().epoch;
        let said = match draw.below(10) {
            8 => {
                let places = [0, 1, 1, u32::MAX];
                return Message::AskItems {
                    block: scene.bft.committed().hash,
                    items: places.into_iter().take(number.index(5)).collect(),
                };
            }
            9 => {
                return Message::Items {
                    block: Digest([6; 32]),
                    items: vec![Bytes::from_static(b"never asked for"); number.index(3)],
                };
            }
            0 => {
                let junk = number.0.to_be_bytes().repeat(64);
                return Message::Transactions(vec![Bytes::from(junk)]);
            }
            1 => return self.unsigned(scene, number),
            2 => bft::Message::AskBlocks {
                from: Height(number.below(4)),
            },
            3 => bft::Message::AskCerts {
                epoch,
                view: View(number.below(scene.bft.view().0 + 3)),
            },
            4 => bft::Message::AskBlock {
                hash: Digest([3; 32]),
            },
            5 => bft::Message::AskStatus,
            6 => {
                let view = View(scene.bft.view().0 + number.below(1 << 40));
                let me = scene.bft.validator().unwrap_or_default();
                bft::Message::Vote(self.signed(Statement::nullify(epoch, view), me))
            }
            _ => {
                let statement = Statement::on(
                    VoteKind::Notarize,
                    epoch,
                    BlockRef {
                        view: scene.bft.view(),
                        height: Height(1),
                        hash: Digest([4; 32]),
                    },
                );
                bft::Message::Vote(self.signed(statement, ValidatorIndex(99)))
            }
        };
        Message::Bft(said)
    }

    /// A transaction whose signature is of something else.
    fn unsigned(&self, scene: &Scene<'_>, number: Draw) -> Message {
        let operation = Operation::Data {
            kind: Name::new("spam").expect("letters"),
            payload: Bytes::from(number.0.to_be_bytes().to_vec()),
        };
        let Message::Transactions(mut list) = self.transaction(scene, operation) else {
            unreachable!("a transaction was made");
        };
        for item in &mut list {
            let mut bytes = item.to_vec();
            let at = number.index(bytes.len());
            bytes[at] ^= 1;
            *item = Bytes::from(bytes);
        }
        Message::Transactions(list)
    }
}
