//! Every bound of the system, in one place, with the relations between them
//! checked by the compiler.
//!
//! A bound is either on what an adversary or a disk can send (checked before
//! allocation) or on what a machine keeps (asserted by its invariants).

use crate::types::Span;

/// Bytes of one client command inside a log entry.
pub const ENTRY_BYTES_MAX: usize = 1 << 20;
/// Entries in one Append message.
pub const APPEND_ENTRIES_MAX: usize = 1024;
/// Payload bytes in one Append message (one larger entry may travel alone).
pub const APPEND_BYTES_MAX: usize = 1 << 20;
/// Append messages in flight to one follower.
pub const INFLIGHT_MESSAGES_MAX: usize = 256;
/// Payload bytes in flight to one follower.
pub const INFLIGHT_BYTES_MAX: usize = 16 << 20;
/// Payload bytes that a leader accepts before they are committed; above it
/// proposals are refused with a retryable error.
pub const UNCOMMITTED_BYTES_MAX: usize = 64 << 20;
/// Entries kept in the log after they are applied and stored, for slow followers.
pub const LOG_TRAILING_ENTRIES: u64 = 10_000;
/// Entries after which the log is compacted.
pub const LOG_ENTRIES_MAX: u64 = 100_000;
/// Payload bytes after which the log is compacted.
pub const LOG_BYTES_MAX: usize = 64 << 20;
/// Payload bytes that a log may hold at all; a leader refuses proposals above.
pub const LOG_BYTES_HARD_MAX: usize = 256 << 20;
/// Voters of a cluster (§6 of the design: 3 to 7, never more).
pub const VOTERS_MAX: usize = 7;
/// Learners of a cluster.
pub const LEARNERS_MAX: usize = 32;
/// Reads waiting for a leadership confirmation.
pub const READS_PENDING_MAX: usize = 65_536;
/// Persist batches that are written but not yet reported durable.
pub const PERSISTS_PENDING_MAX: usize = 1024;
/// Bytes of one chunk of a state snapshot.
pub const SNAPSHOT_CHUNK_BYTES: usize = 256 << 10;

/// Bytes that a node lets travel along with a snapshot: the sum of its log.
pub const SNAPSHOT_METADATA_BYTES_MAX: usize = 4 << 10;

/// Bytes of one message between nodes, header included.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;

/// Bytes of one WAL segment file.
pub const WAL_SEGMENT_BYTES: u64 = 64 << 20;
/// Bytes of one WAL record's payload.
pub const WAL_RECORD_BYTES_MAX: usize = 4 << 20;
/// Bytes of records that a WAL holds before they are written; its owner's own
/// bounds keep it far below.
pub const WAL_PENDING_BYTES_MAX: u64 = 256 << 20;
/// Bytes that a WAL reads at once when it recovers.
pub const WAL_READ_BYTES: u64 = 1 << 20;
/// The unit that a disk writes atomically, as far as the WAL assumes.
pub const SECTOR_BYTES: usize = 512;

/// Bytes of a user's key.
pub const KV_KEY_BYTES_MAX: usize = 4 << 10;
/// Bytes of the end of a range of keys: that of one key alone is the key and a zero.
pub const KV_RANGE_END_BYTES_MAX: usize = KV_KEY_BYTES_MAX + 1;
/// Bytes of a user's value.
pub const KV_VALUE_BYTES_MAX: usize = 512 << 10;
/// Bytes of all keys and values together; writes are refused above.
pub const KV_STATE_BYTES_MAX: u64 = 1 << 30;
/// Pairs in one range answer.
pub const KV_RANGE_PAIRS_MAX: usize = 1000;
/// Bytes in one range answer.
pub const KV_RANGE_BYTES_MAX: usize = 1 << 20;
/// Operations in one transaction.
pub const KV_TXN_OPS_MAX: usize = 128;
/// Revisions of history kept for watches.
pub const KV_HISTORY_REVISIONS_MAX: usize = 100_000;
/// Bytes of history kept for watches.
pub const KV_HISTORY_BYTES_MAX: usize = 64 << 20;
/// Client sessions at once.
pub const KV_SESSIONS_MAX: usize = 100_000;
/// Answers kept per session for retries.
pub const KV_SESSION_ANSWERS_MAX: usize = 64;
/// Seconds that an unused session may live at most.
pub const KV_SESSION_TTL_SECS_MAX: u64 = 24 * 3600;
/// Leases at once.
pub const KV_LEASES_MAX: usize = 100_000;
/// Keys bound to one lease.
pub const KV_LEASE_KEYS_MAX: usize = 10_000;
/// Changes of one revision: each operation of a transaction may delete a range.
pub const KV_CHANGES_MAX: usize = KV_TXN_OPS_MAX * KV_RANGE_PAIRS_MAX;
/// Seconds that a lease may live at most without renewal.
pub const KV_LEASE_TTL_SECS_MAX: u64 = 365 * 24 * 3600;

/// Bytes of a key of the engine under the state.
pub const STORE_KEY_BYTES_MAX: usize = KV_KEY_BYTES_MAX + 64;
/// Bytes that one page of a scan of the engine aims at.
pub const STORE_PAGE_BYTES: usize = 1 << 20;
/// Bytes that any read of the engine may ask for: what is read at once, such as a few
/// blocks of the ledger or the ends of its epochs, is smaller.
pub const STORE_READ_BYTES_MAX: usize = 64 << 20;

/// Clients that follow the status of a node's part in its cluster.
pub const STATUS_FOLLOWERS_MAX: usize = 1024;
/// Clients that follow the final blocks of the ledger.
pub const LEDGER_FOLLOWERS_MAX: usize = 1024;

/// Other parts of a node that read final blocks on from the ledger's store.
pub const LEDGER_READERS_MAX: usize = 8;

/// Peers of a toy.
#[cfg(feature = "toy")]
pub const TOY_PEERS_MAX: usize = 64;
/// Numbers that clients of a toy have added and that no batch holds yet.
#[cfg(feature = "toy")]
pub const TOY_ADDS_MAX: usize = 1024;
/// Clients that follow a toy.
#[cfg(feature = "toy")]
pub const TOY_FOLLOWERS_MAX: usize = 64;

/// Requests that wait for one part of a node that recovers.
pub const REQUESTS_PARKED_MAX: usize = 16_384;
/// How often notices may lead to notices within one step of a node.
pub const NODE_LINK_ROUNDS_MAX: usize = 8;

/// Client requests that a node has open.
pub const REQUESTS_OPEN_MAX: usize = 65_536;

/// Forwarded requests of one process of a peer that a leader remembers, to know duplicates.
pub const FORWARDS_REMEMBERED: usize = 4096;

/// Processes of one peer whose forwarded requests are remembered: a copy would have to
/// outlive that many starts of its sender to be taken for a new request.
pub const PEER_PROCESSES_REMEMBERED: usize = 16;

/// Peers whose forwarded requests are remembered: all members, also while one membership
/// gives way to another, and as many that have left.
pub const FORWARDERS_REMEMBERED: usize = 2 * (2 * VOTERS_MAX + LEARNERS_MAX);

/// Deadlines of requests in the order of their coming: of those that are open, and of as
/// many that are answered already.
pub const REQUEST_DEADLINES_MAX: usize = 2 * REQUESTS_OPEN_MAX;

/// Elements of one list inside a recorded event.
pub const RECORDED_LIST_MAX: usize = 1 << 20;

/// Nodes in a Merkle proof: no tree with a `u64` size is deeper.
pub const MERKLE_PATH_MAX: usize = 64;
/// Hashes in one stored tile of a history tree: eight levels of the tree.
pub const MERKLE_TILE_WIDTH: usize = 256;
/// Nodes in a proof about a state tree: no two keys share more bits of their
/// hashes.
pub const STATE_PATH_MAX: usize = 256;
/// Bytes of a key of the ledger's state.
pub const STATE_KEY_BYTES_MAX: usize = 4 << 10;
/// Bytes of a value of the ledger's state.
pub const STATE_VALUE_BYTES_MAX: usize = 512 << 10;
/// Entries in one log proof.
pub const LOG_PROOF_ENTRIES_MAX: usize = 1024;
/// Bytes of the entries' data in one log proof that a node makes; the rest of a
/// larger range takes another proof.
pub const LOG_PROOF_BYTES_MAX: usize = 2 << 20;
/// Signed heads that a node gathers shares for at once.
pub const HEADS_GATHERED_MAX: usize = 64;
/// Requests for a share of a head that a voter keeps for one peer until it has
/// applied so much.
pub const HEAD_REQUESTS_PER_PEER_MAX: usize = 128;
/// Requests of a leader that wait for what nodes say of their modules.
pub const MODULE_CHECKS_MAX: usize = 16;
/// Bytes of one snapshot or object segment.
pub const SEGMENT_BYTES: u64 = 64 << 20;
/// The smallest segment that a snapshot may be cut into (its last ones may be
/// shorter).
pub const SEGMENT_BYTES_MIN: u64 = 1 << 10;
/// Bytes of a snapshot's name.
pub const SNAPSHOT_ID_BYTES_MAX: usize = 128;
/// Segments of one snapshot: 64 TiB at the full segment size.
pub const SNAPSHOT_SEGMENTS_MAX: usize = 1 << 20;
/// Source paths of one snapshot.
pub const SNAPSHOT_ROOTS_MAX: usize = 256;
/// Paths that a partial snapshot may list as missing.
pub const SNAPSHOT_OMISSIONS_MAX: usize = 10_000;
/// Bytes of a source path or of the path of a missing file.
pub const SNAPSHOT_PATH_BYTES_MAX: usize = 64 << 10;
/// Bytes of one encoded page of a directory.
pub const TREE_PAGE_BYTES_MAX: usize = 8 << 20;
/// Bytes after which a page of a directory is closed.
pub const TREE_PAGE_BYTES_TARGET: usize = 1 << 20;
/// Pages of one directory.
pub const TREE_PAGES_MAX: usize = 1 << 15;
/// Directories inside each other.
pub const TREE_DEPTH_MAX: usize = 1024;
/// Bytes of one name in a directory.
pub const TREE_NAME_BYTES_MAX: usize = 1024;
/// Bytes of the target of a symbolic link.
pub const TREE_LINK_BYTES_MAX: usize = 4096;
/// Data ranges of one sparse file; the rest of a more fragmented file is stored
/// with its holes as zeros.
pub const TREE_EXTENTS_MAX: usize = 1 << 15;
/// Extended attributes of one file.
pub const TREE_XATTRS_MAX: usize = 1024;
/// Bytes of the name of an extended attribute.
pub const TREE_XATTR_NAME_BYTES_MAX: usize = 255;
/// Bytes of the values of all extended attributes of one file together.
pub const TREE_XATTR_BYTES_MAX: usize = 1 << 20;

/// Validators of one epoch of the ledger: as many as one bitmap has bits.
pub const VALIDATORS_MAX: usize = 128;
/// Items (transactions) of one block.
pub const BLOCK_ITEMS_MAX: usize = 8192;
/// Bytes of all items of one block.
pub const BLOCK_BYTES_MAX: usize = 1 << 20;
/// Nullifications that travel along with a proposal; more are asked for.
pub const PROPOSAL_SKIPS_MAX: usize = 4;
/// Final blocks in one answer.
pub const BLOCKS_ANSWERED_MAX: usize = 64;
/// Headers between the last block of an answer and the certified one.
pub const PATH_HEADERS_MAX: usize = 1024;
/// Blocks that a validator keeps and that are not committed.
pub const BLOCKS_OPEN_MAX: usize = 256;
/// Executed blocks that the ledger keeps and that are not final: those of its validator,
/// and as many that it has forgotten.
pub const BRANCHES_OPEN_MAX: usize = 2 * BLOCKS_OPEN_MAX;
/// Blocks or views that a validator asks for at once.
pub const BLOCKS_WANTED_MAX: usize = 16;
/// Heights that a validator may be behind a finalization before it asks for runs
/// of blocks instead of single ones.
pub const CATCH_UP_GAP: u64 = 8;
/// Views before the committed one whose certificates are kept, and before the
/// present one whose votes are.
pub const VIEWS_KEPT: u64 = 32;
/// Views without a message of its leader, after which nobody waits for a leader.
pub const VIEWS_SILENT: u64 = 8;
/// Views whose own votes a stuck validator sends again.
pub const VIEWS_REPEATED: usize = 8;

/// Bytes of one signed transaction of the ledger.
pub const LEDGER_TX_BYTES_MAX: usize = 64 << 10;
/// Operations under one signature.
pub const LEDGER_TX_OPERATIONS_MAX: usize = 256;
/// Bytes of an application's data in one operation.
pub const LEDGER_DATA_BYTES_MAX: usize = 48 << 10;
/// Bytes of a name on the ledger.
pub const LEDGER_NAME_BYTES_MAX: usize = 256;
/// Bytes of the name of a ledger.
pub const LEDGER_CHAIN_NAME_BYTES_MAX: usize = 64;
/// Lanes of one account.
pub const LEDGER_LANES_MAX: usize = 16;
/// Proposals of validators that are open at once.
pub const LEDGER_PROPOSALS_MAX: usize = 64;
/// Validators that a node names when it stops because the ledger is forked.
pub const LEDGER_GUILTY_NAMED_MAX: usize = 16;
/// Sequences that a waiting transaction may be ahead of its lane.
pub const LEDGER_LANE_GAP_MAX: u64 = 64;
/// Bytes of all transactions that wait for a block.
pub const LEDGER_POOL_BYTES_MAX: usize = 64 << 20;
/// From here on the pool takes nothing that has to wait for a gap to be filled.
pub const LEDGER_POOL_CROWDED_BYTES: usize = LEDGER_POOL_BYTES_MAX / 10 * 9;
/// Blocks that a transaction of the node itself is valid for: it is signed again if it has
/// not come into one of them.
pub const LEDGER_OWN_TX_VALID_BLOCKS: u64 = 100;
/// How far the time of a block may lie ahead of a validator's clock, beside the message
/// delay, before its vote waits.
pub const LEDGER_CLOCK_LEAD_MAX: Span = Span::from_secs(2);
/// Bytes of those of one account.
pub const LEDGER_POOL_ACCOUNT_BYTES_MAX: usize = 16 << 20;
/// Signed transactions that one account may submit per second, on the average.
pub const LEDGER_ACCOUNT_TXS_PER_SECOND: u64 = 5_000;
/// Bytes of them.
pub const LEDGER_ACCOUNT_BYTES_PER_SECOND: u64 = 4 << 20;
/// Signed transactions that the nodes of one cluster may submit per second, on the
/// average: more than one core verifies.
pub const LEDGER_CLUSTER_TXS_PER_SECOND: u64 = 20_000;
/// Bytes of them.
pub const LEDGER_CLUSTER_BYTES_PER_SECOND: u64 = 16 << 20;
/// Bad signatures per second for which one node is listened to, on the average.
pub const LEDGER_BAD_SIGNATURES_PER_SECOND: u64 = 16;
/// Nodes that the status names for the bad signatures that they submitted.
pub const LEDGER_BAD_SOURCES_NAMED: usize = 128;
/// Nodes whose bad signatures are held to that rate at once. To keep so many busy takes
/// more bad signatures per second than one core verifies.
pub const LEDGER_OFFENDERS_MAX: usize = 1024;
/// Clusters whose rates are remembered at once: those of the listed nodes, and as many
/// that have left.
pub const LEDGER_CLUSTER_METERS_MAX: usize = 2 * VALIDATORS_MAX;
/// How far senders may run ahead of these rates.
pub const LEDGER_RATE_BURST: Span = Span::from_secs(2);

/// The age of the oldest open operation at which a volume is called slow. Far beyond what
/// a busy disk takes, and before an operator begins to wonder.
pub const VOLUME_SLOW_AFTER: Span = Span::from_secs(5);
/// Senders whose rates are remembered at once. Each is forgotten as soon as it has
/// kept its rate, so this takes more accounts than can be verified in a burst.
pub const LEDGER_METERS_MAX: usize = 131_072;
/// The quantum of the deficit round robin by which a block is filled: what a cluster may
/// add in each round.
pub const LEDGER_QUANTUM_BYTES: usize = 8 << 10;
/// Leaders' blocks that lack transactions: of the view before the present one, of that
/// one and of the next.
pub const LEDGER_ASSEMBLIES_MAX: usize = 3;
/// Keys that are remembered as points, of those who have signed lately.
pub const LEDGER_KEYS_KEPT: usize = 16_384;
/// Transactions in one message between nodes.
pub const LEDGER_PUSH_TXS_MAX: usize = 4096;
/// Bytes of them.
pub const LEDGER_PUSH_BYTES_MAX: usize = 256 << 10;
/// Final blocks that a node keeps in memory for those who are a little behind.
pub const LEDGER_RECENT_BLOCKS_MAX: usize = 256;
/// Bytes of them.
pub const LEDGER_RECENT_BYTES_MAX: usize = 32 << 20;
/// Bytes of blocks in one answer to somebody who is behind.
pub const LEDGER_ANSWER_BYTES_MAX: usize = 1 << 20;
/// Reads of the store that are under way for clients.
pub const LEDGER_READS_MAX: usize = 1024;
/// Reads of the store that are under way for peers: one for each validator, and as many
/// for others.
pub const LEDGER_READS_SERVED_MAX: usize = 2 * VALIDATORS_MAX;
/// Peers whose questions for blocks are remembered, to keep what they fetch.
pub const LEDGER_ASKERS_MAX: usize = 4 * VALIDATORS_MAX;
/// Peers of earlier epochs whose last help is remembered, to help each now and then only.
pub const LEDGER_HELPED_MAX: usize = 4 * VALIDATORS_MAX;
/// Clients that wait for a transaction to become final.
pub const LEDGER_WAITS_MAX: usize = 65_536;
/// Ends of epochs in one answer.
pub const LEDGER_EPOCHS_ANSWERED_MAX: usize = 64;
/// Ends of epochs in one answer to a node that fetches the state: each takes a
/// quorum of signature checks.
pub const LEDGER_SYNC_EPOCHS_MAX: usize = 16;
/// Verified epochs that such a node remembers: the offered state may be of one that
/// has ended meanwhile.
pub const LEDGER_TRUSTED_EPOCHS_MAX: usize = 32;
/// Entries of the state in one answer.
pub const LEDGER_CHUNK_PAIRS_MAX: usize = 8192;
/// Bytes of them, before the last one.
pub const LEDGER_CHUNK_BYTES_MAX: usize = 256 << 10;
/// States that a node keeps for others to fetch.
pub const LEDGER_CHECKPOINTS_KEPT: usize = 3;
/// Tiles that a list of 2^64 hashes has open: one of each level.
pub const LEDGER_POINT_TILES_MAX: usize = 8;
/// Questions for a block without an answer, after which a state is fetched instead.
pub const LEDGER_FETCH_STALLED: u32 = 16;
/// Questions for a state in a row without a good answer, after which it is put off.
pub const LEDGER_FETCH_FAILURES_MAX: u32 = 32;
/// Peers that sent a false state or do not have it, after which it is put off: validators
/// of the epochs that it takes to follow.
pub const LEDGER_FETCH_SHUNNED_MAX: usize = 2 * VALIDATORS_MAX;
/// How many of those there may be as long as somebody who is no validator is asked too.
pub const LEDGER_FETCH_OUTSIDERS_MAX: usize = 8;
/// Final blocks after which the ledger's state is made durable outside of its log.
pub const LEDGER_SYNC_BLOCKS: u64 = 64;
/// Other nodes that a node of the ledger may be told of.
pub const LEDGER_PEERS_MAX: usize = 1024;
/// Batches that the store may be behind before the node builds and votes no more.
pub const LEDGER_STORE_LAG_MAX: u64 = 128;
/// The fewest final blocks whose transactions a node keeps, if it does not keep all.
/// Enough for whoever was away for minutes, and more than a node has in memory.
pub const LEDGER_RETAIN_BLOCKS_MIN: u64 = 1024;
/// How long a node that prunes waits with blocks that somebody is fetching.
pub const LEDGER_CATCH_UP_GRACE_SECS: u64 = 600;
/// Evidence in one block: each costs two signature checks that nobody pays for.
pub const LEDGER_BLOCK_EVIDENCE_MAX: usize = 16;

/// Bytes of one certificate at most.
const CERT_BYTES_MAX: usize = 128 + VALIDATORS_MAX * 64;
const _: () = assert!(
    BLOCK_BYTES_MAX + BLOCK_ITEMS_MAX * 4 + (2 + PROPOSAL_SKIPS_MAX) * CERT_BYTES_MAX + 1024
        < MESSAGE_BYTES_MAX,
    "a proposal fits a message"
);
const _: () = assert!(
    BLOCK_BYTES_MAX + BLOCK_ITEMS_MAX * 4 + 1024 < WAL_RECORD_BYTES_MAX,
    "a block fits a record"
);
const _: () = assert!(LEDGER_DATA_BYTES_MAX + LEDGER_NAME_BYTES_MAX + 512 < LEDGER_TX_BYTES_MAX);
const _: () = assert!(LEDGER_TX_BYTES_MAX <= BLOCK_BYTES_MAX);
const _: () = assert!(LEDGER_TX_BYTES_MAX <= LEDGER_PUSH_BYTES_MAX);
const _: () = assert!(
    LEDGER_PROPOSALS_MAX * (48 + VALIDATORS_MAX * 16) + 8 <= STATE_VALUE_BYTES_MAX,
    "the open proposals fit a value of the state"
);
const _: () = assert!(
    LEDGER_ANSWER_BYTES_MAX + BLOCK_BYTES_MAX + PATH_HEADERS_MAX * 320 + CERT_BYTES_MAX + 4096
        < MESSAGE_BYTES_MAX,
    "an answer to who is behind fits a message"
);
const _: () = assert!(
    LEDGER_CHUNK_BYTES_MAX
        + STATE_KEY_BYTES_MAX
        + STATE_VALUE_BYTES_MAX
        + LEDGER_CHUNK_PAIRS_MAX * 8
        + STATE_PATH_MAX * 33
        + 4096
        < MESSAGE_BYTES_MAX,
    "a part of the state fits a message"
);
const _: () = assert!(
    LEDGER_ANSWER_BYTES_MAX + PATH_HEADERS_MAX * 320 + 2 * CERT_BYTES_MAX + 4096
        < MESSAGE_BYTES_MAX,
    "ends of epochs fit a message"
);
const _: () = assert!(
    ENTRY_BYTES_MAX + 1024 <= MESSAGE_BYTES_MAX,
    "one entry fits a message"
);
const _: () =
    assert!(APPEND_BYTES_MAX + ENTRY_BYTES_MAX + APPEND_ENTRIES_MAX * 96 < MESSAGE_BYTES_MAX);
const _: () = assert!(
    SNAPSHOT_CHUNK_BYTES
        + SNAPSHOT_METADATA_BYTES_MAX
        + KV_VALUE_BYTES_MAX
        + KV_KEY_BYTES_MAX
        + 4096
        < MESSAGE_BYTES_MAX
);
const _: () = assert!(ENTRY_BYTES_MAX <= LOG_PROOF_BYTES_MAX);
const _: () = assert!(
    STATE_VALUE_BYTES_MAX + STATE_KEY_BYTES_MAX + STATE_PATH_MAX * 33 + 4096 < MESSAGE_BYTES_MAX,
    "a proof about the state fits a message"
);
const _: () = assert!(
    LOG_PROOF_BYTES_MAX
        + LOG_PROOF_ENTRIES_MAX * 64
        + 2 * VOTERS_MAX * 128
        + 4 * MERKLE_PATH_MAX * 32
        + 4096
        < MESSAGE_BYTES_MAX,
    "a log proof fits a message"
);
const _: () = assert!(
    MERKLE_PATH_MAX * 32 + 256 <= SNAPSHOT_METADATA_BYTES_MAX,
    "the sum of a log fits what travels along with a snapshot"
);
const _: () = assert!(KV_KEY_BYTES_MAX + KV_VALUE_BYTES_MAX + 1024 <= ENTRY_BYTES_MAX);
const _: () = assert!(KV_LEASE_KEYS_MAX <= KV_CHANGES_MAX);
const _: () =
    assert!(KV_RANGE_BYTES_MAX + KV_VALUE_BYTES_MAX + KV_KEY_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(
    ENTRY_BYTES_MAX + 1024 <= WAL_RECORD_BYTES_MAX,
    "one entry fits a record"
);
const _: () = assert!(WAL_PENDING_BYTES_MAX >= 2 * UNCOMMITTED_BYTES_MAX as u64);
const _: () = assert!((WAL_RECORD_BYTES_MAX as u64) * 4 <= WAL_SEGMENT_BYTES);
const _: () = assert!(WAL_SEGMENT_BYTES.is_multiple_of(SECTOR_BYTES as u64));
const _: () = assert!(LOG_TRAILING_ENTRIES < LOG_ENTRIES_MAX);
const _: () = assert!(LOG_BYTES_MAX < LOG_BYTES_HARD_MAX);
const _: () = assert!(UNCOMMITTED_BYTES_MAX < LOG_BYTES_HARD_MAX);
const _: () = assert!(APPEND_BYTES_MAX <= INFLIGHT_BYTES_MAX);
const _: () = assert!(SEGMENT_BYTES_MIN <= SEGMENT_BYTES);
const _: () = assert!(
    SNAPSHOT_SEGMENTS_MAX * 41 < SEGMENT_BYTES as usize,
    "a full segment list leaves room in a manifest"
);
// The largest entry of a directory fits a page that is almost full: name, attributes and either the
// references of a large directory, the ranges of a sparse file or a link.
const _: () = assert!(
    TREE_PAGE_BYTES_TARGET
        + TREE_NAME_BYTES_MAX
        + TREE_XATTRS_MAX * (TREE_XATTR_NAME_BYTES_MAX + 8)
        + TREE_XATTR_BYTES_MAX
        + TREE_PAGES_MAX * 44
        + TREE_EXTENTS_MAX * 16
        + TREE_LINK_BYTES_MAX
        + 1024
        <= TREE_PAGE_BYTES_MAX
);
