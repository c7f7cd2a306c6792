//! What a node's part in the ledger is built from.

use decube_core::bft::{Relay, Timing};
use decube_core::crypto::SharedVerifier;
use decube_core::ledger::{Config, Proposals};
use decube_core::types::Span;

use super::World;
use crate::subject::Subject;
use crate::world::host::{Host, Part};

impl<S: Subject> World<S> {
    pub(in crate::world) fn config_of_ledger(&self, slot: usize) -> Config {
        let settings = &self.config;
        let Host {
            node,
            key,
            voting_key,
            part,
            ..
        } = &self.hosts[slot];
        let mut config = Config::new(*node, self.genesis.clone());
        config.signer = Some(key.clone());
        if matches!(part, Part::Honest) {
            config.voting_key.clone_from(voting_key);
        }
        config.verifier = SharedVerifier::new(self.authority.verifier());
        config.timing = Timing {
            delta: Span::from_millis(settings.ledger.delta_ms.max(1)),
            idle_block: Span::from_millis(settings.ledger.idle_block_ms.max(1)),
        };
        config.peers.clone_from(&self.names);
        (config.relay, config.proposals) = match settings.ledger.flood {
            0 => (Relay::Sparse, Proposals::Compact),
            _ => (Relay::Flood, Proposals::Whole),
        };
        if let Part::Byzantine(_) = part {
            // It changes its blocks, and then sends them in the short form or not.
            config.proposals = Proposals::Whole;
        }
        config.wait_timeout = Span::from_millis(settings.cluster.request_timeout_ms);
        config.push_again = Span::from_millis(settings.ledger.delta_ms.max(1) * 4);
        config.wal_segment_bytes = settings.cluster.wal_segment_bytes;
        let most = usize::try_from(settings.disk.writes_pending_max).expect("few writes");
        config.persists_pending_max = most.max(2);
        config.checkpoint_blocks = settings.ledger.checkpoint_blocks.max(1);
        config.fetch_behind = settings.ledger.fetch_behind;
        if slot % 2 == 1 {
            config.retain_blocks = settings.ledger.retain_blocks;
        }
        config.mutant = self.mutant;
        config
    }
}
