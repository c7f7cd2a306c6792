//! The node's configuration as a record.

use bytes::Bytes;
use decube_core::cluster;
use decube_core::codec::{Decode as _, Encode};
use decube_core::crypto::{KeyError, PublicKey, SharedSigner};
use decube_core::ledger;
use decube_core::node::Config;
use decube_core::raft::Membership;
use decube_core::types::{ClusterId, NodeId, Span};
use decube_proto::journal::config::Raft;
use decube_proto::journal::{Config as Recorded, Header};

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::{FORMAT, first_8};

/// The header of a segment. Nodes in no cluster are not recorded.
pub(super) fn header(config: &Config, segment: u64) -> Header {
    let mut header = Header {
        format: FORMAT,
        segment,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        config: config
            .cluster
            .as_ref()
            .map(|cluster| record(cluster, config.ledger.as_ref())),
        checksum: 0,
    };
    header.checksum = checksum(&header);
    header
}

/// Whether a header is what was written: a node must not be built from another.
pub(super) fn is_whole(header: &Header) -> bool {
    header.checksum == checksum(header)
}

fn checksum(header: &Header) -> u64 {
    let unsummed = Header {
        checksum: 0,
        ..header.clone()
    };
    first_8(Sha256::digest(unsummed.encode_to_vec()).into())
}

fn record(config: &cluster::Config, ledger: Option<&ledger::Config>) -> Recorded {
    let raft = &config.raft;
    let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    Recorded {
        node: config.id.0.to_be_bytes().to_vec().into(),
        cluster: config.cluster.0.to_be_bytes().to_vec().into(),
        bootstrap: config.bootstrap.to_bytes(),
        seed: config.process.0,
        request_timeout_nanos: config.request_timeout.0,
        wal_segment_bytes: config.wal_segment_bytes,
        log_entries_max: config.log_entries_max,
        log_trailing_entries: config.log_trailing_entries,
        signer_key: public_key(config.signer.as_ref()),
        voting_key: public_key(ledger.and_then(|ledger| ledger.voting_key.as_ref())),
        voter_keys: config
            .voter_keys
            .values()
            .map(|key| key.to_compressed().to_vec().into())
            .collect(),
        ledger: ledger.map(Encode::to_bytes).unwrap_or_default(),
        raft: Some(Raft {
            seed: raft.seed,
            heartbeat_nanos: raft.heartbeat.0,
            election_timeout_min_nanos: raft.election_timeout_min.0,
            append_entries_max: count(raft.append_entries_max),
            append_bytes_max: count(raft.append_bytes_max),
            inflight_messages_max: count(raft.inflight_messages_max),
            inflight_bytes_max: count(raft.inflight_bytes_max),
            uncommitted_bytes_max: count(raft.uncommitted_bytes_max),
        }),
    }
}

/// The public half of a key, or nothing.
fn public_key(signer: Option<&SharedSigner>) -> Bytes {
    let key = signer.map(|signer| signer.public_key().to_compressed().to_vec());
    key.unwrap_or_default().into()
}

/// The configuration that a header records, if it records one: without the key
/// that the node signs with, which is never written.
pub(super) fn config(header: &Header) -> Option<Config> {
    let recorded = header.config.as_ref()?;
    let raft = recorded.raft.as_ref()?;
    let id = |bytes: &[u8]| bytes.try_into().map(u128::from_be_bytes).ok();
    let count = |value: u64| usize::try_from(value).ok();
    let node = NodeId(id(&recorded.node)?);
    let cluster = ClusterId(id(&recorded.cluster)?);
    let bootstrap = Membership::from_bytes(&recorded.bootstrap).ok()?;
    let mut config = cluster::Config::new(node, cluster, bootstrap, recorded.seed);
    config.request_timeout = Span(recorded.request_timeout_nanos);
    config.wal_segment_bytes = recorded.wal_segment_bytes;
    config.log_entries_max = recorded.log_entries_max;
    config.log_trailing_entries = recorded.log_trailing_entries;
    config.raft.seed = raft.seed;
    config.raft.heartbeat = Span(raft.heartbeat_nanos);
    config.raft.election_timeout_min = Span(raft.election_timeout_min_nanos);
    config.raft.append_entries_max = count(raft.append_entries_max)?;
    config.raft.append_bytes_max = count(raft.append_bytes_max)?;
    config.raft.inflight_messages_max = count(raft.inflight_messages_max)?;
    config.raft.inflight_bytes_max = count(raft.inflight_bytes_max)?;
    config.raft.uncommitted_bytes_max = count(raft.uncommitted_bytes_max)?;
    for key in &recorded.voter_keys {
        let key = PublicKey::from_compressed(key.as_ref().try_into().ok()?).ok()?;
        config.voter_keys.insert(key.node_id(), key);
    }
    let config = Config::of_cluster(config);
    if recorded.ledger.is_empty() {
        return Some(config);
    }
    let ledger = ledger::Config::from_bytes(&recorded.ledger).ok()?;
    (ledger.node == config.node).then(|| config.with_ledger(ledger))
}

/// The public halves of the keys that the recorded node signed with: its own, and a
/// further one that it voted with.
pub(super) fn signer_keys(
    header: &Header,
) -> Result<(Option<PublicKey>, Option<PublicKey>), KeyError> {
    let Some(config) = &header.config else {
        return Ok((None, None));
    };
    Ok((
        decode_key(&config.signer_key)?,
        decode_key(&config.voting_key)?,
    ))
}

fn decode_key(key: &[u8]) -> Result<Option<PublicKey>, KeyError> {
    if key.is_empty() {
        return Ok(None);
    }
    let key = key.try_into().map_err(|_| KeyError::Form)?;
    PublicKey::from_compressed(key).map(Some)
}
