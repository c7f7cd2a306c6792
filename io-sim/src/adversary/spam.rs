//! Work for nothing.

use std::ops::ControlFlow;

use bytes::Bytes;
use decube_core::bft::{self, BlockRef, Height, Statement, ValidatorIndex, View, VoteKind};
use decube_core::crypto::Digest;
use decube_core::ledger::{Message, Name, Operation};
use decube_core::node;

use super::{Adversary, Deviation, Mind, Scene, wrapped};
use crate::rng::Draw;

/// Questions, answers, votes and transactions that nobody needs.
#[derive(Debug)]
pub(super) struct Spam;

impl Adversary for Spam {
    fn on_idle(
        &mut self,
        mind: &mut Mind,
        scene: &Scene<'_>,
        deviations: &mut Vec<Deviation>,
    ) -> ControlFlow<()> {
        for _ in 0..4 {
            let message = spam(mind, scene);
            mind.spread(scene, &message, deviations);
        }
        ControlFlow::Continue(())
    }
}

/// Work for nothing.
fn spam(mind: &mut Mind, scene: &Scene<'_>) -> node::Message {
    let draw = mind.draw();
    let number = draw.again();
    let epoch = scene.bft.epoch().epoch;
    let message = match draw.below(10) {
        8 => {
            let places = [0, 1, 1, u32::MAX];
            return Message::AskItems {
                block: scene.bft.committed().hash,
                items: places.into_iter().take(number.index(5)).collect(),
            }
            .into();
        }
        9 => {
            return Message::Items {
                block: Digest([6; 32]),
                items: vec![Bytes::from_static(b"never asked for"); number.index(3)],
            }
            .into();
        }
        0 => {
            let junk = number.0.to_be_bytes().repeat(64);
            return Message::Transactions(vec![Bytes::from(junk)]).into();
        }
        1 => return unsigned(mind, scene, number),
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
            bft::Message::Vote(mind.signed(Statement::nullify(epoch, view), me))
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
            bft::Message::Vote(mind.signed(statement, ValidatorIndex(99)))
        }
    };
    wrapped(message)
}

/// A transaction whose signature is of something else.
fn unsigned(mind: &Mind, scene: &Scene<'_>, number: Draw) -> node::Message {
    let operation = Operation::Data {
        kind: Name::new("spam").expect("letters"),
        payload: Bytes::from(number.0.to_be_bytes().to_vec()),
    };
    let node::Message::Ledger(Message::Transactions(mut list)) = mind.transaction(scene, operation)
    else {
        unreachable!("a transaction was made");
    };
    for item in &mut list {
        let mut bytes = item.to_vec();
        let at = number.index(bytes.len());
        bytes[at] ^= 1;
        *item = Bytes::from(bytes);
    }
    Message::Transactions(list).into()
}
