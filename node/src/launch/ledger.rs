//! The ledger's part of a node: how it began, where it is kept, whom it speaks to.

use std::collections::BTreeSet;
use std::sync::Arc;

use decube_core::crypto::{P256Signer, SharedSigner, SharedVerifier};
use decube_core::ledger::{Config, Genesis};
use decube_core::limits::LEDGER_PEERS_MAX;
use decube_core::types::NodeId;
use decube_io_real::data_dir::{DataDir, LedgerDirs, NodeKeys, read_key};
use decube_io_real::disk::{Directory, DiskThread};
use decube_io_real::ports::LedgerPorts;
use decube_io_real::store::StoreThread;
use decube_io_real::verifier::FastVerifier;

use super::{LaunchError, engine, span, system};
use crate::config::Settings;
use crate::ledger::genesis;

/// What a node of the ledger is started from.
pub struct LedgerPart {
    /// What the core is built from.
    pub config: Config,
    /// The genesis file as it was read.
    pub genesis: String,
    dirs: LedgerDirs,
}

/// Reads how the ledger began, if the settings name one.
pub fn prepare(
    settings: &Settings,
    data: &DataDir,
    keys: &NodeKeys,
) -> Result<Option<LedgerPart>, LaunchError> {
    let Some(text) = genesis_text(settings)? else {
        return Ok(None);
    };
    let began = parse(settings, &text)?;
    let dirs = data.ledger()?;
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
    config.lost_disk = dirs.is_lost;
    if dirs.is_lost {
        tracing::warn!(
            "the log of the ledger is gone although this node has signed before: it asks the \
             others before it votes"
        );
    }
    Ok(Some(LedgerPart {
        config,
        genesis: text,
        dirs,
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
        what: format!("gcl.genesis: can not read {}", path.display()),
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

impl LedgerPart {
    /// Opens log and store.
    pub fn ports(
        &self,
        settings: &Settings,
    ) -> Result<LedgerPorts<DiskThread, StoreThread>, LaunchError> {
        let files = Directory::open(&self.dirs.wal).map_err(system("open the ledger's log"))?;
        let (disk, disk_events) = DiskThread::start(files).map_err(system("start a thread"))?;
        let (store, store_events) = engine::start(&settings.storage.engine, &self.dirs.store)?;
        let gcl = settings.gcl.peers.iter().map(|peer| peer.id);
        let cluster = settings.cluster.peers.iter().map(|peer| peer.id);
        let peers: BTreeSet<NodeId> = gcl.chain(cluster).collect();
        Ok(LedgerPorts {
            peers,
            disk,
            disk_events,
            store,
            store_events,
        })
    }
}

/// Nodes of other clusters.
pub fn foreign(settings: &Settings) -> BTreeSet<NodeId> {
    let own = settings.cluster.peers.iter().map(|peer| peer.id);
    let own: BTreeSet<NodeId> = own.collect();
    let peers = settings.gcl.peers.iter().map(|peer| peer.id);
    peers.filter(|id| !own.contains(id)).collect()
}
