//! The typed configuration, and what must hold between its keys.

use std::path::PathBuf;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Report};
use super::layers::Resolved;
use super::value::{self, Peer, Value};

/// Everything that a node is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `node.name`, if given.
    pub name: Option<String>,
    /// `cluster.*`.
    pub cluster: ClusterSettings,
    /// `storage.*`.
    pub storage: StorageSettings,
    /// `api.rest.*` and `metrics.*`.
    pub api: ApiSettings,
    /// `limits.*`.
    pub limits: LimitSettings,
    /// `logging.*`.
    pub log: LogSettings,
    /// `record.*`.
    pub record: RecordSettings,
    /// `gcl.*`.
    pub gcl: GclSettings,
}

/// `gcl.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GclSettings {
    /// Take part in the ledger of `genesis`.
    pub enabled: bool,
    /// The file that tells how the ledger began.
    pub genesis: Option<PathBuf>,
    /// A further key to vote with.
    pub voting_key: Option<PathBuf>,
    /// Nodes of other clusters.
    pub peers: Vec<Peer>,
    /// The one-way delay that deadlines are measured by.
    pub message_delay: Duration,
    /// Between two blocks when nobody waits for one.
    pub idle_block: Duration,
    /// How many final blocks are kept whole; zero for all.
    pub retain_blocks: u64,
    /// How long a client may wait for a transaction to become final.
    pub timeout: Duration,
}

/// `cluster.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSettings {
    /// The cluster's name.
    pub id: String,
    /// Where other nodes reach this one, `host:port`.
    pub bind_addr: String,
    /// Log, state and keys.
    pub data_dir: PathBuf,
    /// The least rate of a leader's messages.
    pub heartbeat: Duration,
    /// The shortest election timeout.
    pub election_timeout: Duration,
    /// Entries in one message.
    pub append_entries_max: usize,
    /// Entries after which the log is compacted.
    pub log_entries_max: u64,
    /// The first nodes of the cluster.
    pub peers: Vec<Peer>,
    /// Start empty and wait to be added.
    pub join: bool,
    /// How long a request may wait.
    pub request_timeout: Duration,
}

/// `storage.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSettings {
    /// `embedded` or `rocksdb`.
    pub engine: String,
    /// The directory of the segments.
    pub data_dir: PathBuf,
    /// Copies before an acknowledgement; `None` for the default by members.
    pub replicas: Option<usize>,
}

/// `api.rest.*` and `metrics.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiSettings {
    /// Where the REST API listens.
    pub bind_addr: String,
    /// For the head of a request.
    pub read_timeout: Duration,
    /// For a request that does not stream.
    pub write_timeout: Duration,
    /// For a body that stands still.
    pub idle_timeout: Duration,
    /// Bytes of a JSON body.
    pub json_bytes_max: usize,
    /// How long open requests may go on after a stop.
    pub shutdown_timeout: Duration,
    /// Where `/metrics` is served as well.
    pub metrics_bind_addr: Option<String>,
}

/// `limits.*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitSettings {
    /// Open connections.
    pub connections_max: usize,
    /// Requests at once.
    pub requests_max: usize,
    /// Bodies received at once.
    pub uploads_max: usize,
    /// Watches at once.
    pub watches_max: usize,
    /// Bytes of one object.
    pub object_bytes_max: u64,
    /// Bytes of the head of a request.
    pub header_bytes_max: usize,
}

/// `record.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSettings {
    /// Where the flight recorder writes; `None` for no recording.
    pub dir: Option<PathBuf>,
    /// Bytes of all runs.
    pub bytes_max: u64,
}

/// `logging.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The level, a word that `tracing` knows.
    pub level: String,
    /// The form.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}

impl Settings {
    /// The typed values; an error for what is missing or does not fit together.
    pub fn from_resolved(resolved: &Resolved) -> Result<Self, Report> {
        let read = Read { resolved };
        let mut errors = Vec::new();
        if resolved.get("cluster.id").is_none() {
            let error = Diagnostic::new(resolved.origin("cluster.id"), "`cluster.id` is missing");
            errors.push(error.help(
                "name the cluster, the same on all its nodes: cluster: { id: \"my-cluster\" }",
            ));
        }
        let settings = Self {
            name: read.text("node.name"),
            cluster: read.cluster(),
            storage: read.storage(),
            api: read.api(),
            limits: read.limits(),
            log: read.log(),
            record: RecordSettings {
                dir: read.path("record.dir"),
                bytes_max: read.count("record.bytes_max"),
            },
            gcl: read.gcl(),
        };
        settings.check(resolved, &mut errors);
        Report::check(errors)?;
        Ok(settings)
    }

    /// What must hold between keys.
    fn check(&self, resolved: &Resolved, errors: &mut Vec<Diagnostic>) {
        let cluster = &self.cluster;
        if cluster.election_timeout < cluster.heartbeat * 3 {
            let message = format!(
                "`cluster.raft.election_timeout` ({}) must be at least three times \
                 `cluster.raft.heartbeat_timeout` ({})",
                value::duration_text(cluster.election_timeout),
                value::duration_text(cluster.heartbeat),
            );
            let error = Diagnostic::new(resolved.origin("cluster.raft.election_timeout"), message);
            errors.push(
                error.help("a follower must not call an election because one message was late"),
            );
        }
        for (place, peer) in cluster.peers.iter().enumerate() {
            let earlier = cluster.peers.iter().take(place);
            if earlier.clone().any(|other| other.id == peer.id) {
                let message = format!("`cluster.peers` names node {} twice", peer.id);
                errors.push(Diagnostic::new(resolved.origin("cluster.peers"), message));
            }
            if earlier.clone().any(|other| other.addr == peer.addr) {
                let message = format!("`cluster.peers` names the address {} twice", peer.addr);
                errors.push(Diagnostic::new(resolved.origin("cluster.peers"), message));
            }
        }
        for (place, peer) in self.gcl.peers.iter().enumerate() {
            let earlier = self.gcl.peers.iter().take(place).chain(&cluster.peers);
            if earlier.clone().any(|other| other.id == peer.id) {
                let message = format!(
                    "`gcl.peers` names node {} twice, or one of cluster.peers",
                    peer.id
                );
                errors.push(Diagnostic::new(resolved.origin("gcl.peers"), message));
            }
        }
        let least = decube_core::limits::LEDGER_RETAIN_BLOCKS_MIN;
        let retain = self.gcl.retain_blocks;
        if (1..least).contains(&retain) {
            let message = format!("`gcl.retain_blocks` is {retain}, and at least {least} or 0");
            let error = Diagnostic::new(resolved.origin("gcl.retain_blocks"), message);
            errors
                .push(error.help("whoever was away for a moment could not catch up; 0 keeps all"));
        }
        let voters_max = decube_core::limits::VOTERS_MAX;
        if cluster.peers.len() > voters_max {
            let message = format!(
                "`cluster.peers` names {} nodes; a cluster begins with at most {voters_max}",
                cluster.peers.len()
            );
            let error = Diagnostic::new(resolved.origin("cluster.peers"), message);
            errors.push(error.help("let more nodes join later as learners"));
        }
        self.check_replicas(resolved, errors);
        self.check_addresses(resolved, errors);
    }

    fn check_replicas(&self, resolved: &Resolved, errors: &mut Vec<Diagnostic>) {
        let nodes = self.cluster.peers.len().max(1);
        let Some(replicas) = self.storage.replicas else {
            return;
        };
        if !self.cluster.join && replicas > nodes {
            let message =
                format!("`storage.replicas` is {replicas}, the cluster begins with {nodes}");
            let error = Diagnostic::new(resolved.origin("storage.replicas"), message);
            errors.push(error.help("no write of an object could ever be acknowledged"));
        }
    }

    fn check_addresses(&self, resolved: &Resolved, errors: &mut Vec<Diagnostic>) {
        let mut taken: Vec<(&str, &str)> = Vec::new();
        let metrics = self.api.metrics_bind_addr.as_deref();
        let addresses = [
            (
                "cluster.raft.bind_addr",
                Some(self.cluster.bind_addr.as_str()),
            ),
            ("api.rest.bind_addr", Some(self.api.bind_addr.as_str())),
            ("metrics.bind_addr", metrics),
        ];
        for (key, addr) in addresses {
            let Some(addr) = addr else { continue };
            if let Some((other, _)) = taken
                .iter()
                .find(|(_, used)| *used == addr && !addr.ends_with(":0"))
            {
                let message = format!("`{key}` and `{other}` are both {addr}");
                errors.push(Diagnostic::new(resolved.origin(key), message));
            }
            taken.push((key, addr));
        }
    }
}

/// Typed access. Kinds and defaults are fixed by the table, so a value of another
/// kind cannot occur; a test builds the settings from defaults alone.
struct Read<'a> {
    resolved: &'a Resolved,
}

impl Read<'_> {
    fn cluster(&self) -> ClusterSettings {
        ClusterSettings {
            id: self.text("cluster.id").unwrap_or_default(),
            bind_addr: self.text("cluster.raft.bind_addr").unwrap_or_default(),
            data_dir: self.path("cluster.raft.data_dir").unwrap_or_default(),
            heartbeat: self.duration("cluster.raft.heartbeat_timeout"),
            election_timeout: self.duration("cluster.raft.election_timeout"),
            append_entries_max: self.size("cluster.raft.max_append_entries"),
            log_entries_max: self.count("cluster.raft.snapshot_threshold"),
            peers: self.peers("cluster.peers"),
            join: self.flag("cluster.join"),
            request_timeout: self.duration("cluster.request_timeout"),
        }
    }

    fn gcl(&self) -> GclSettings {
        GclSettings {
            enabled: self.flag("gcl.enabled"),
            genesis: self.path("gcl.genesis"),
            voting_key: self.path("gcl.voting_key"),
            peers: self.peers("gcl.peers"),
            message_delay: self.duration("gcl.message_delay"),
            idle_block: self.duration("gcl.idle_block"),
            retain_blocks: self.count("gcl.retain_blocks"),
            timeout: self.duration("gcl.timeout"),
        }
    }

    fn peers(&self, path: &str) -> Vec<Peer> {
        match self.resolved.get(path) {
            Some(Value::Peers(peers)) => peers.clone(),
            _ => Vec::new(),
        }
    }

    fn storage(&self) -> StorageSettings {
        let beside_log = || {
            let data_dir = self.path("cluster.raft.data_dir").unwrap_or_default();
            data_dir.join("blobs")
        };
        StorageSettings {
            engine: self.text("storage.engine").unwrap_or_default(),
            data_dir: self.path("storage.data_dir").unwrap_or_else(beside_log),
            replicas: self
                .resolved
                .get("storage.replicas")
                .map(|_| self.size("storage.replicas")),
        }
    }

    fn api(&self) -> ApiSettings {
        ApiSettings {
            bind_addr: self.text("api.rest.bind_addr").unwrap_or_default(),
            read_timeout: self.duration("api.rest.read_timeout"),
            write_timeout: self.duration("api.rest.write_timeout"),
            idle_timeout: self.duration("api.rest.idle_timeout"),
            json_bytes_max: self.size("api.rest.max_request_size"),
            shutdown_timeout: self.duration("api.rest.shutdown_timeout"),
            metrics_bind_addr: self.text("metrics.bind_addr"),
        }
    }

    fn limits(&self) -> LimitSettings {
        LimitSettings {
            connections_max: self.size("limits.connections_max"),
            requests_max: self.size("limits.requests_max"),
            uploads_max: self.size("limits.uploads_max"),
            watches_max: self.size("limits.watches_max"),
            object_bytes_max: self.count("limits.object_bytes_max"),
            header_bytes_max: self.size("limits.header_bytes_max"),
        }
    }

    fn log(&self) -> LogSettings {
        let json = self.text("logging.format").as_deref() == Some("json");
        LogSettings {
            level: self.text("logging.level").unwrap_or_default(),
            format: if json {
                LogFormat::Json
            } else {
                LogFormat::Pretty
            },
        }
    }

    fn text(&self, path: &str) -> Option<String> {
        match self.resolved.get(path)? {
            Value::Text(text) => Some(text.clone()),
            other => unreachable!("{path} is text by the table, not {other:?}"),
        }
    }

    fn path(&self, path: &str) -> Option<PathBuf> {
        self.text(path).map(PathBuf::from)
    }

    fn flag(&self, path: &str) -> bool {
        matches!(self.resolved.get(path), Some(Value::Bool(true)))
    }

    fn count(&self, path: &str) -> u64 {
        match self.resolved.get(path) {
            Some(Value::Count(count)) => *count,
            other => unreachable!("{path} is a count with a default, not {other:?}"),
        }
    }

    fn size(&self, path: &str) -> usize {
        usize::try_from(self.count(path)).expect("the table keeps sizes within 32 bits")
    }

    fn duration(&self, path: &str) -> Duration {
        match self.resolved.get(path) {
            Some(Value::Duration(span)) => *span,
            other => unreachable!("{path} is a time with a default, not {other:?}"),
        }
    }
}
