//! The table of keys: the one place that says what can be configured.

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text but the empty one.
    Text,
    /// Text that is never shown. Each has a twin with `_file` at the end.
    Secret,
    /// A path of this machine.
    Path,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `host:port` or `:port`.
    Address,
    /// An HTTP URL.
    Url,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Count {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A number of bytes, with or without a unit.
    Bytes {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A length of time with a unit.
    Duration {
        /// The shortest, in milliseconds.
        min_ms: u64,
        /// The longest, in milliseconds.
        max_ms: u64,
    },
    /// A list of texts; between commas in the environment.
    List,
    /// A list of nodes with `id` and `addr`; `ID=ADDRESS` between commas in the
    /// environment.
    Peers,
}

impl Kind {
    /// For people.
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Secret => "secret text".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Address => "address, host:port".to_owned(),
            Self::Url => "URL".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Count { min, max } => format!("whole number, {min} to {max}"),
            Self::Bytes { min, max } => format!("bytes, {min} to {max}"),
            Self::Duration { min_ms, max_ms } => format!("time, {min_ms}ms to {max_ms}ms"),
            Self::List => "list of texts".to_owned(),
            Self::Peers => "list of nodes, each with id and addr".to_owned(),
        }
    }
}

/// Whether a key does something in this release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does.
    Used,
    /// It is read and checked, and nothing follows from it; this is why.
    NotYet(&'static str),
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its path, with dots.
    pub path: &'static str,
    /// What a value must look like.
    pub kind: Kind,
    /// The default, as text; `None` if there is none.
    pub default: Option<&'static str>,
    /// What it means.
    pub about: &'static str,
    /// Whether it does something.
    pub effect: Effect,
    /// Other paths by which published configurations name it.
    pub aliases: &'static [&'static str],
}

const GCL: Effect = Effect::NotYet(
    "every node of gcl.genesis is a part of the ledger itself: there is nothing to connect to",
);
const CAS: Effect = Effect::NotYet(
    "objects and segments are kept in the node's own content-addressed store in this release",
);
const GRPC: Effect = Effect::NotYet("gRPC is not part of this release");
const GOSSIP: Effect = Effect::NotYet("gossip between clusters is not part of this release");
const LABEL: Effect = Effect::NotYet("a label for people; nothing depends on it");

const MS_MAX: u64 = 24 * 3_600_000;

const fn key(path: &'static str, kind: Kind, default: Option<&'static str>) -> Key {
    Key {
        path,
        kind,
        default,
        about: "",
        effect: Effect::Used,
        aliases: &[],
    }
}

impl Key {
    const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    const fn aliases(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }

    const fn effect(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }

    /// The environment variable that overrides it.
    pub fn env_name(&self) -> String {
        format!(
            "DECUBE__{}",
            self.path.to_ascii_uppercase().replace('.', "__")
        )
    }

    /// The key with this path or alias.
    pub fn find(path: &str) -> Option<&'static Self> {
        KEYS.iter()
            .find(|key| key.path == path || key.aliases.contains(&path))
    }
}

const fn count(min: u64, max: u64) -> Kind {
    Kind::Count { min, max }
}

const fn bytes(min: u64, max: u64) -> Kind {
    Kind::Bytes { min, max }
}

const fn time(min_ms: u64, max_ms: u64) -> Kind {
    Kind::Duration { min_ms, max_ms }
}

/// Every key, in the order in which `decube config show` prints them.
pub const KEYS: &[Key] = &[
    key("cluster.id", Kind::Text, None)
        .about("The name of the cluster. All its nodes must be given the same."),
    key("cluster.name", Kind::Text, None)
        .about("A name for people.")
        .effect(LABEL),
    key("cluster.region", Kind::Text, None)
        .about("Where the cluster stands.")
        .effect(LABEL),
    key(
        "cluster.raft.bind_addr",
        Kind::Address,
        Some("0.0.0.0:7000"),
    )
    .about("Where this node listens for the other nodes of its cluster."),
    key(
        "cluster.raft.data_dir",
        Kind::Path,
        Some("/var/lib/decube/raft"),
    )
    .about("The directory of the log, the state and the keys of this node."),
    key(
        "cluster.raft.heartbeat_timeout",
        time(10, 10_000),
        Some("100ms"),
    )
    .about("How often a leader speaks to each follower at the least."),
    key(
        "cluster.raft.election_timeout",
        time(50, 60_000),
        Some("500ms"),
    )
    .about("The shortest time without a leader before an election; the longest is twice it."),
    key(
        "cluster.raft.max_append_entries",
        count(1, 1024),
        Some("1024"),
    )
    .about("Log entries in one message at most."),
    key(
        "cluster.raft.snapshot_threshold",
        count(100, 100_000),
        Some("100000"),
    )
    .about("Log entries after which the log is compacted."),
    key("cluster.raft.snapshot_interval", time(1, MS_MAX), None)
        .about("How often upstream looks whether the log should be compacted.")
        .effect(Effect::NotYet(
            "the log is compacted by its length, never by the clock",
        )),
    key("cluster.peers", Kind::Peers, Some("")).about(
        "The first nodes of the cluster, this one included or not, each with the id \
                that `decube node id` prints and its address. Members that join later are \
                found through the cluster.",
    ),
    key("cluster.join", Kind::Bool, Some("false")).about(
        "This node joins a cluster that exists: it starts empty and waits until a \
                membership change names it.",
    ),
    key("cluster.request_timeout", time(100, 600_000), Some("5s"))
        .about("How long a request may wait for the cluster before it is answered as unknown."),
    key("node.name", Kind::Text, None)
        .about("A name of this node for people; the default is the first digits of its id.")
        .aliases(&["node.id"]),
    key("api.rest.bind_addr", Kind::Address, Some("0.0.0.0:8080"))
        .about("Where the REST API listens.")
        .aliases(&["api.rest.address"]),
    key("api.rest.read_timeout", time(100, MS_MAX), Some("30s"))
        .about("How long a client may take to send the head of a request."),
    key("api.rest.write_timeout", time(100, MS_MAX), Some("30s"))
        .about("How long a request may take that neither streams nor watches."),
    key("api.rest.idle_timeout", time(100, MS_MAX), Some("120s"))
        .about("How long the streaming of a body may stand still."),
    key(
        "api.rest.max_request_size",
        bytes(1024, 1 << 30),
        Some("10485760"),
    )
    .about(
        "Bytes of a JSON body at most. Objects and segments are streamed and have \
                limits of their own.",
    ),
    key("api.rest.shutdown_timeout", time(0, 600_000), Some("10s"))
        .about("How long open requests may go on after the node was told to stop."),
    key("api.grpc.bind_addr", Kind::Address, None)
        .about("Where gRPC would listen.")
        .aliases(&["api.grpc.address"])
        .effect(GRPC),
    key("api.grpc.max_recv_msg_size", bytes(1024, 1 << 30), None)
        .about("Bytes of a gRPC message at most.")
        .effect(GRPC),
    key(
        "storage.engine",
        Kind::Word(&["embedded", "rocksdb"]),
        Some("embedded"),
    )
    .about(
        "The key-value engine under the replicated state. rocksdb needs a build with \
                that feature.",
    ),
    key("storage.data_dir", Kind::Path, None).about(
        "The directory of the segments; the default is `blobs` inside \
                cluster.raft.data_dir.",
    ),
    key("storage.replicas", count(1, 7), None).about(
        "Copies of each segment before a write is acknowledged; the default is 2, or 1 \
                in a cluster of one.",
    ),
    key("storage.cas_endpoint", Kind::Url, None)
        .about("An S3-compatible store.")
        .aliases(&["storage.cas.endpoint"])
        .effect(CAS),
    key("storage.access_key", Kind::Text, None)
        .about("The access key of storage.cas_endpoint.")
        .aliases(&["storage.cas.access_key"])
        .effect(CAS),
    key("storage.secret_key", Kind::Secret, None)
        .about("The secret key of storage.cas_endpoint; prefer storage.secret_key_file.")
        .aliases(&["storage.cas.secret_key"])
        .effect(CAS),
    key("storage.secret_key_file", Kind::Path, None)
        .about("A file that holds storage.secret_key.")
        .aliases(&["storage.cas.secret_key_file"])
        .effect(CAS),
    key("storage.cas.bucket", Kind::Text, None)
        .about("The bucket.")
        .effect(CAS),
    key("storage.cas.region", Kind::Text, None)
        .about("The region.")
        .effect(CAS),
    key("storage.cas.use_ssl", Kind::Bool, None)
        .about("Whether to use TLS.")
        .effect(CAS),
    key("storage.cas.chunk_size", bytes(1, 64 << 20), None)
        .about("Bytes of one segment.")
        .effect(Effect::NotYet("segments are always 64 MiB")),
    key(
        "storage.cas.compression",
        Kind::Word(&["none", "gzip", "lz4", "zstd"]),
        None,
    )
    .about("The compression of segments.")
    .effect(Effect::NotYet("objects are stored as they come")),
    key("gcl.enabled", Kind::Bool, Some("true"))
        .about("Whether to take part in the ledger of gcl.genesis, if that is given."),
    key("gcl.genesis", Kind::Path, None).about(
        "How the ledger began: the file that `decube ledger init` makes, and that `decube ledger \
         genesis` prints of a running one; the same on all nodes. Without it the node takes part \
         in no ledger.",
    ),
    key("gcl.voting_key", Kind::Path, None).about(
        "A further key file. The node votes with it as soon as `decube validator rotate` has \
         passed, and with its own key until then. It signs votes alone: the id of the node stays.",
    ),
    key("gcl.peers", Kind::Peers, None)
        .about("Nodes of other clusters that take part in the ledger, with their addresses."),
    key("gcl.message_delay", time(1, 60_000), Some("250ms")).about(
        "The one-way delay between nodes that the ledger's deadlines are measured by. A view \
         ends after three of them; set it above the real delay.",
    ),
    key("gcl.idle_block", time(10, MS_MAX), Some("5s"))
        .about("The time between two blocks when nobody waits for one."),
    key("gcl.retain_blocks", count(0, u64::MAX), Some("0")).about(
        "How many final blocks are kept with their transactions, at least 1024; 0 for all. Keep \
         all on some nodes: who begins again needs every block.",
    ),
    key("gcl.endpoints", Kind::List, None)
        .about("Nodes of the global consensus layer.")
        .effect(GCL),
    key("gcl.timeout", time(1, MS_MAX), Some("30s"))
        .about("How long a client may wait for a transaction to become final."),
    key("gcl.retry_attempts", count(0, 1000), None)
        .about("How often to retry.")
        .effect(GCL),
    key("gcl.batch_size", count(1, 1_000_000), None)
        .about("Transactions together.")
        .effect(GCL),
    key("gcl.batch_timeout", time(1, MS_MAX), None)
        .about("How long to gather.")
        .effect(GCL),
    key("gossip.enabled", Kind::Bool, None)
        .about("Whether to gossip.")
        .effect(GOSSIP),
    key("gossip.bind_addr", Kind::Address, None)
        .about("Where to listen.")
        .effect(GOSSIP),
    key("gossip.advertise_addr", Kind::Address, None)
        .about("What to tell.")
        .effect(GOSSIP),
    key("gossip.peers", Kind::List, None)
        .about("Whom to begin with.")
        .effect(GOSSIP),
    key("gossip.sync_interval", time(1, MS_MAX), None)
        .about("How often.")
        .effect(GOSSIP),
    key("gossip.anti_entropy_interval", time(1, MS_MAX), None)
        .about("How often to compare roots.")
        .effect(GOSSIP),
    key("gossip.fanout", count(1, 64), None)
        .about("To how many at once.")
        .effect(GOSSIP),
    key("gossip.max_message_size", bytes(1024, 1 << 30), None)
        .about("Bytes of a message at most.")
        .effect(GOSSIP),
    key("limits.connections_max", count(1, 20_000), Some("4096"))
        .about("Open connections to the REST API."),
    key("limits.requests_max", count(1, 65_536), Some("1024"))
        .about("Requests served at once; more are answered 503 and may be retried."),
    key("limits.uploads_max", count(1, 4096), Some("32"))
        .about("Bodies of objects, segments and chunks received at once."),
    key("limits.watches_max", count(0, 65_536), Some("1024")).about("Watches open at once."),
    key(
        "limits.object_bytes_max",
        bytes(1, 1 << 50),
        Some("1099511627776"),
    )
    .about("Bytes of one object."),
    key(
        "limits.header_bytes_max",
        bytes(8192, 1 << 20),
        Some("16384"),
    )
    .about("Bytes of the head of a request."),
    key("record.dir", Kind::Path, None).about(
        "Where the flight recorder writes what the node takes; without it nothing is recorded.",
    ),
    key(
        "record.bytes_max",
        bytes(1 << 20, 1 << 40),
        Some("4294967296"),
    )
    .about("Bytes of all recorded runs. Recording a run ends at a quarter of it."),
    key(
        "logging.level",
        Kind::Word(&["error", "warn", "info", "debug", "trace"]),
        Some("info"),
    )
    .about("What is logged. RUST_LOG, if set, says it in finer grain.")
    .aliases(&["log.level"]),
    key(
        "logging.format",
        Kind::Word(&["pretty", "text", "json"]),
        Some("pretty"),
    )
    .about("How it is written; text is another word for pretty.")
    .aliases(&["log.format"]),
    key("metrics.bind_addr", Kind::Address, None)
        .about("Where to serve /metrics beside the REST API, for scrapers that may not reach it."),
];
