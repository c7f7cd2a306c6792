//! The ledger's part of a node: how it began, and whom it speaks to.

use std::collections::BTreeSet;
use std::sync::Arc;

use decube_core::crypto::{P256Signer, SharedSigner, SharedVerifier};
use decube_core::ledger::{Config, Genesis};
use decube_core::limits::LEDGER_PEERS_MAX;
use decube_core::types::NodeId;
use decube_io_real::data_dir::{NodeKeys, read_key};
use decube_io_real::verifier::FastVerifier;

use super::{LaunchError, span};
use crate::config::Settings;
use crate::ledger::genesis;

/// What a node of the ledger is started from.
pub struct LedgerPart {
    /// What the core is built from.
    pub config: Config,
    /// The genesis file as it was read.
    pub genesis: String,
}

/// Reads how the ledger began, if the settings name one.
pub fn prepare(settings: &Settings, keys: &NodeKeys) -> Result<Option<LedgerPart>, LaunchError> {
    let Some(text) = genesis_text(settings)? else {
        return Ok(None);
    };
    let began = parse(settings, &text)?;
    let mut config = Config::new(keys.node_id(), Arc::new(began));
    config.signer = Some(SharedSigner::new(P256Signer::new(&keys.identity)));
    config.voting_key = match &settings.gcl.voting_key {
        Some(path) => Some(SharedSigner::new(P256Signer::new(&read_key(path)?))),
        None => None,
    };
    config.verifier = SharedVerifier::new(FastVerifier);
    config.timing.delta = span(settings.gcl.message_delay);
    config.timing.idle_block = span(settings.gcl.idle_block);
    config.retain_blocks = settings.gcl.retain_blocks;
    config.wait_timeout = span(settings.gcl.timeout);
    let peers = settings.gcl.peers.iter().chain(&settings.cluster.peers);
    config.peers = peers.map(|peer| peer.id).take(LEDGER_PEERS_MAX).collect();
    Ok(Some(LedgerPart {
        config,
        genesis: text,
    }))
}

fn genesis_text(settings: &Settings) -> Result<Option<String>, LaunchError> {
    let Some(path) = settings
        .gcl
        .genesis
        .as_ref()
        .filter(|_| settings.gcl.enabled)
    else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(path);
    text.map(Some).map_err(|error| LaunchError::System {
        what: format!("gcl.genesis: cannot read {}", path.display()),
        reason: error.to_string(),
    })
}

fn parse(settings: &Settings, text: &str) -> Result<Genesis, LaunchError> {
    let path = settings.gcl.genesis.as_ref().expect("it was just read");
    genesis::parse(text).map_err(|error| LaunchError::System {
        what: format!("gcl.genesis: {}", path.display()),
        reason: error.to_string(),
    })
}

/// Nodes of other clusters.
pub fn foreign(settings: &Settings) -> BTreeSet<NodeId> {
    let own = settings.cluster.peers.iter().map(|peer| peer.id);
    let own: BTreeSet<NodeId> = own.collect();
    let peers = settings.gcl.peers.iter().map(|peer| peer.id);
    peers.filter(|id| !own.contains(id)).collect()
}
