//! A Byzantine node: an honest process whose messages pass through its behaviours on their way out.

use std::collections::BTreeSet;

use decube_core::crypto::ChainId;
use decube_core::crypto::fake::FakeSigner;
use decube_core::ledger;
use decube_core::node::Message;
use decube_core::types::NodeId;

use super::speech::Speech;
use super::{Adversary, Deviation, Mind, Outgoing, Scene, behaviours};
use crate::config::SimConfig;

/// One Byzantine node with what it has heard.
#[derive(Debug)]
pub struct ByzantineNode {
    mind: Mind,
    behaviours: Vec<Box<dyn Adversary>>,
    speech: Speech,
}

impl ByzantineNode {
    pub(crate) fn new(
        seed: u64,
        entity: u64,
        key: FakeSigner,
        chain: ChainId,
        config: &SimConfig,
        second_side: BTreeSet<NodeId>,
    ) -> Self {
        Self {
            mind: Mind::new(seed, entity, key, chain, config, second_side),
            behaviours: behaviours(&config.adversary),
            speech: Speech::new(&config.adversary),
        }
    }

    /// Another behaviour, which is asked behind those that it has.
    pub(crate) fn add(&mut self, behaviour: Box<dyn Adversary>) {
        self.behaviours.push(behaviour);
    }

    /// What becomes of a message of the honest process.
    pub(crate) fn on_send(
        &mut self,
        scene: &Scene<'_>,
        to: NodeId,
        message: Message,
    ) -> Vec<Deviation> {
        let after = 0;
        let mut deviation = Deviation { to, message, after };
        for behaviour in &mut self.behaviours {
            match behaviour.on_send(&mut self.mind, scene, deviation) {
                Outgoing::Pass(changed) => deviation = changed,
                Outgoing::Final(deviation) => return vec![deviation],
                Outgoing::Nothing => return Vec::new(),
            }
        }
        vec![self.speech.say(&mut self.mind, deviation)]
    }

    /// Deviations that a message provokes.
    pub(crate) fn on_receive(
        &mut self,
        scene: &Scene<'_>,
        from: NodeId,
        message: &Message,
    ) -> Vec<Deviation> {
        if let Message::Ledger(message) = message {
            if let ledger::Message::AskItems { block, items } = message {
                let answer = self.speech.answer(&mut self.mind, from, *block, items);
                return answer.into_iter().collect();
            }
            self.mind.learn(message);
        }
        let mut deviations = Vec::new();
        for behaviour in &mut self.behaviours {
            let next = behaviour.on_receive(&mut self.mind, scene, from, message, &mut deviations);
            if next.is_break() {
                break;
            }
        }
        deviations
    }

    /// Deviations that need no occasion.
    pub(crate) fn on_idle(&mut self, scene: &Scene<'_>) -> Vec<Deviation> {
        let mut deviations = Vec::new();
        for behaviour in &mut self.behaviours {
            if behaviour
                .on_idle(&mut self.mind, scene, &mut deviations)
                .is_break()
            {
                break;
            }
        }
        deviations
    }
}
