//! From a configuration to a running node.
//!
//! The order of the start: data directory and its lock, keys, segments, transport,
//! files and engine of the log, the node, the REST API. The order of the stop is
//! the reverse, so that an acknowledged request was carried out by something that
//! is still whole: stop accepting, let requests finish, hand leadership over, flush.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | the steps |
//! | `attach` | the node and the stores behind the gateway's traits |
//! | `engine` | the key-value engine that is configured |
//! | `ledger` | the ledger's part: genesis, directories, peers |
//! | `log` | the log of the program |

mod attach;
mod engine;
mod ledger;
mod log;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use decube_core::cluster;
use decube_core::crypto::{P256Signer, PublicKey, SharedSigner, SharedVerifier};
use decube_core::io::Volume;
use decube_core::node::{Config, Node, PartId};
use decube_core::raft::Membership;
use decube_core::types::{ClusterId, NodeId, Span};
use decube_io_real::blobs::{BlobConfig, BlobError, BlobStore};
use decube_io_real::data_dir::{DataDir, DataDirError, Marking, NodeKeys};
use decube_io_real::disk::{Directory, DiskThread};
use decube_io_real::host::{self, HostConfig, HostExit, NodeHandle};
use decube_io_real::journal::{JournalConfig, JournalRecorder};
use decube_io_real::network::libp2p::{self, Libp2pConfig, NetworkError, PeerAddress};
use decube_io_real::ports::{Ports, SystemClock, VolumePorts};
use decube_io_real::store::StoreThread;
use decube_io_real::verifier::FastVerifier;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::api::{self, ApiLimits, DelegatedSigner, Gateway, NodeInfo, Server, ServerConfig};
use crate::blobs::ReplicatedBlobs;
use crate::config::{Settings, socket_addr};
use crate::ledger::client::Account;

use attach::{ClusterPeers, HostBackend, LocalStore, ServedBlobs};
use ledger::LedgerPart;
pub use log::start_log;

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The data directory cannot be used.
    #[error(transparent)]
    Data(#[from] DataDirError),
    /// The segments cannot be used.
    #[error("segments: {0}")]
    Blobs(#[from] BlobError),
    /// The transport cannot start.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A part of the operating system refused.
    #[error("{what}: {reason}")]
    System {
        /// What was attempted.
        what: String,
        /// What it said.
        reason: String,
    },
    /// This build cannot do what the configuration asks.
    #[error("{0}")]
    Unsupported(String),
}

/// A node whose directories are locked and whose id is known, not yet started.
pub struct Prepared {
    settings: Settings,
    data: DataDir,
    keys: NodeKeys,
    blobs: BlobStore,
}

/// A running node.
pub struct Running {
    id: NodeId,
    gateway: Arc<Gateway>,
    server: Server,
    metrics: Option<Server>,
    handle: NodeHandle,
    host: JoinHandle<HostExit>,
    // Held until the node has ended: nobody else may open the directory before.
    data: DataDir,
}

impl Prepared {
    /// Takes the directories that the settings name.
    pub fn open(settings: Settings) -> Result<Self, LaunchError> {
        engine::check(&settings.storage.engine)?;
        let data = DataDir::open(&settings.cluster.data_dir)?;
        let keys = data.keys()?;
        let blobs = BlobStore::open(&settings.storage.data_dir, BlobConfig::default())?;
        Ok(Self {
            settings,
            data,
            keys,
            blobs,
        })
    }

    /// The id of the node.
    pub fn id(&self) -> NodeId {
        self.keys.node_id()
    }

    /// The key of the node.
    pub fn key(&self) -> PublicKey {
        self.keys.identity.public_key()
    }

    /// The settings, to be completed before the start.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Starts the node and its API. The node may need a while to recover and to
    /// find a leader; the API answers from the beginning.
    pub async fn start(self) -> Result<Running, LaunchError> {
        let Self {
            settings,
            data,
            keys,
            blobs,
        } = self;
        let id = keys.node_id();
        // Bound first: an address that is taken must not cost an election.
        let listener = bind("api.rest.bind_addr", &settings.api.bind_addr).await?;
        let metrics_listener = match &settings.api.metrics_bind_addr {
            Some(address) => Some(bind("metrics.bind_addr", address).await?),
            None => None,
        };
        let network = network_config(&settings, id)?;
        let served = ServedBlobs::new(blobs.clone(), ledger::foreign(&settings));
        let (network, network_events, control) =
            libp2p::start(network, &keys, Arc::new(FastVerifier), served)?;
        let ledger = ledger::prepare(&settings, &keys)?;
        let ports = Ports {
            network,
            network_events,
            volumes: open_volumes(&settings.storage.engine, &data, ledger.is_some())?,
            clock: SystemClock,
        };
        let mut config = core_config(&settings, &keys, ledger.as_ref())?;
        let recorder = recorder(&settings, &mut config)?;
        let (handle, host) = host::spawn(HostConfig::default(), Node::new(config), ports, recorder);
        let backend = Arc::new(HostBackend::new(
            keys.identity.public_key(),
            handle.clone(),
            control.clone(),
        ));
        let peers = ClusterPeers::new(id, backend.cluster(), control.blobs());
        let replicated = ReplicatedBlobs::new(
            id,
            Arc::new(LocalStore(blobs)),
            Arc::new(peers),
            settings.storage.replicas,
        );
        let info = node_info(&settings, id, &listener, ledger.as_ref())?;
        let signer = SharedSigner::new(P256Signer::new(&keys.identity));
        let delegated_signer = ledger.map(|_| DelegatedSigner::new(Account::new(signer)));
        let gateway = Gateway::new(
            backend,
            replicated,
            api_limits(&settings),
            info,
            delegated_signer,
        );
        let config = server_config(&settings);
        let started = system("start the API");
        let router = api::router(gateway.clone());
        let server = Server::start(listener, router, config).map_err(started)?;
        let metrics = metrics_listener
            .map(|listener| Server::start(listener, api::metrics_router(gateway.clone()), config))
            .transpose()
            .map_err(system("serve metrics"))?;
        Ok(Running {
            id,
            gateway,
            server,
            metrics,
            handle,
            host,
            data,
        })
    }
}

/// Opens the volume of each part that the node has.
fn open_volumes(
    engine: &str,
    data: &DataDir,
    has_ledger: bool,
) -> Result<BTreeMap<Volume, VolumePorts<DiskThread, StoreThread>>, LaunchError> {
    let wanted = Volume::ALL.into_iter();
    let wanted = wanted.filter(|volume| has_ledger || *volume != Volume::Ledger);
    let open = |volume| Ok((volume, open_volume(engine, data, volume)?));
    wanted.map(open).collect()
}

/// Opens log and store of a volume.
fn open_volume(
    engine: &str,
    data: &DataDir,
    volume: Volume,
) -> Result<VolumePorts<DiskThread, StoreThread>, LaunchError> {
    let dirs = data.volume(volume)?;
    let name = volume.name();
    let failed = |what: &str| {
        let what = format!("{what} of the {name} ({})", dirs.wal.display());
        move |error: std::io::Error| LaunchError::System {
            what,
            reason: error.to_string(),
        }
    };
    if dirs.is_used && dirs.is_empty {
        tracing::warn!(volume = name, log = %dirs.wal.display(), "the log is gone");
    }
    let files = Directory::open(&dirs.wal).map_err(failed("open the log"))?;
    let files = Marking::new(files, &dirs);
    let (disk, disk_events) = DiskThread::start(files).map_err(failed("serve the log"))?;
    let (store, store_events) = engine::start(engine, &dirs.store)?;
    Ok(VolumePorts {
        disk,
        disk_events,
        store,
        store_events,
        is_used: dirs.is_used,
    })
}

/// Whom the node speaks to, and where.
fn network_config(settings: &Settings, id: NodeId) -> Result<Libp2pConfig, LaunchError> {
    let listen = resolve("cluster.raft.bind_addr", &settings.cluster.bind_addr)?;
    Ok(Libp2pConfig {
        cluster: ClusterId::from_name(&settings.cluster.id),
        listen: vec![listen],
        addresses: addresses(settings, id)?,
        foreign: ledger::foreign(settings),
    })
}

/// What the API says of the node.
fn node_info(
    settings: &Settings,
    id: NodeId,
    listener: &TcpListener,
    ledger: Option<&LedgerPart>,
) -> Result<NodeInfo, LaunchError> {
    let address = listener.local_addr().map_err(system("read an address"))?;
    let short_id = || id.to_string()[..8].to_owned();
    Ok(NodeInfo {
        name: settings.name.clone().unwrap_or_else(short_id),
        cluster: settings.cluster.id.clone(),
        address: address.to_string(),
        genesis: ledger.map(|ledger| ledger.genesis.clone()),
    })
}

impl Running {
    /// The id of the node.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Whether requests can be expected to succeed.
    pub fn serving(&self) -> bool {
        let health = self.gateway.backend.health();
        let has_ledger = self.gateway.info.genesis.is_some();
        health.serving() && (!has_ledger || health.is_serving(PartId::Ledger))
    }

    /// Waits until the node ends by itself, which it does only when it must.
    pub async fn ended(&self) -> Option<HostExit> {
        self.handle.ended().await
    }

    /// Stops gracefully; how the node ended.
    pub async fn stop(self) -> Option<HostExit> {
        self.gateway.stop();
        self.server.stop().await;
        if let Some(metrics) = self.metrics {
            metrics.stop().await;
        }
        let exit = self.handle.shutdown().await;
        // The status said it already; the task is at its end.
        let _ = self.host.await;
        drop(self.data);
        exit
    }
}

/// What the core is built from.
fn core_config(
    settings: &Settings,
    keys: &NodeKeys,
    ledger: Option<&LedgerPart>,
) -> Result<Config, LaunchError> {
    let id = keys.node_id();
    let cluster = &settings.cluster;
    let mut voters: Vec<NodeId> = cluster
        .peers
        .iter()
        .map(|peer| peer.id)
        .chain([id])
        .collect();
    voters.sort_unstable();
    voters.dedup();
    if cluster.join {
        voters.clear();
    }
    let bootstrap = Membership {
        voters,
        ..Membership::default()
    };
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(system("read random bytes"))?;
    let name = ClusterId::from_name(&cluster.id);
    let mut config = cluster::Config::new(id, name, bootstrap, u64::from_be_bytes(seed));
    config.raft.heartbeat = span(cluster.heartbeat);
    config.raft.election_timeout_min = span(cluster.election_timeout);
    config.raft.append_entries_max = cluster.append_entries_max;
    config.request_timeout = span(cluster.request_timeout);
    config.log_entries_max = cluster.log_entries_max;
    config.signer = Some(SharedSigner::new(P256Signer::new(&keys.identity)));
    config.head_verifier = SharedVerifier::new(FastVerifier);
    config.log_trailing_entries = config.log_trailing_entries.min(cluster.log_entries_max / 2);
    let config = Config::of_cluster(config);
    Ok(match ledger {
        Some(ledger) => config.with_ledger(ledger.config.clone()),
        None => config,
    })
}

/// The flight recorder, if the settings ask for one.
fn recorder(
    settings: &Settings,
    config: &mut Config,
) -> Result<Option<JournalRecorder>, LaunchError> {
    let Some(directory) = &settings.record.dir else {
        return Ok(None);
    };
    let journal = JournalConfig::bounded(directory, settings.record.bytes_max);
    let started = JournalRecorder::start(&journal, config);
    started.map(Some).map_err(|error| LaunchError::System {
        what: format!("record.dir: cannot record into {}", directory.display()),
        reason: error.to_string(),
    })
}

fn addresses(
    settings: &Settings,
    me: NodeId,
) -> Result<BTreeMap<NodeId, Vec<PeerAddress>>, LaunchError> {
    let mut addresses = BTreeMap::new();
    let peers = settings.cluster.peers.iter().chain(&settings.gcl.peers);
    for peer in peers.filter(|peer| peer.id != me) {
        let address: PeerAddress = peer.addr.parse().map_err(system("the address of a peer"))?;
        addresses.insert(peer.id, vec![address]);
    }
    Ok(addresses)
}

fn api_limits(settings: &Settings) -> ApiLimits {
    ApiLimits {
        requests_max: settings.limits.requests_max,
        uploads_max: settings.limits.uploads_max,
        watches_max: settings.limits.watches_max,
        json_bytes_max: settings.api.json_bytes_max,
        object_bytes_max: settings.limits.object_bytes_max,
        request_timeout: settings.api.write_timeout,
        idle_timeout: settings.api.idle_timeout,
        // An election and a first heartbeat, with a margin.
        retry_for: settings.cluster.election_timeout * 4 + Duration::from_secs(1),
    }
}

fn server_config(settings: &Settings) -> ServerConfig {
    ServerConfig {
        connections_max: settings.limits.connections_max,
        header_bytes_max: settings.limits.header_bytes_max,
        header_timeout: settings.api.read_timeout,
        shutdown_timeout: settings.api.shutdown_timeout,
    }
}

async fn bind(key: &str, address: &str) -> Result<TcpListener, LaunchError> {
    let what = || format!("{key}: cannot listen on {address}");
    let address = resolve(key, address)?;
    TcpListener::bind(address)
        .await
        .map_err(|error| LaunchError::System {
            what: what(),
            reason: error.to_string(),
        })
}

fn resolve(key: &str, address: &str) -> Result<SocketAddr, LaunchError> {
    socket_addr(address).map_err(|error| LaunchError::System {
        what: format!("{key}: {address} cannot be looked up"),
        reason: error.to_string(),
    })
}

fn system<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> LaunchError {
    move |error| LaunchError::System {
        what: what.to_owned(),
        reason: error.to_string(),
    }
}

fn span(duration: Duration) -> Span {
    Span(u64::try_from(duration.as_nanos()).expect("the table keeps times within a day"))
}
