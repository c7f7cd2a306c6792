//! The node's configuration as a record.

use decube_core::codec::{Decode as _, Encode};
use decube_core::crypto::{KeyError, PublicKey};
use decube_core::node::Config;
use decube_core::raft::Membership;
use decube_core::types::{ClusterId, NodeId, Span};
use decube_proto::journal::config::Raft;
use decube_proto::journal::{Config as Recorded, Header};

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::{FORMAT, first_8};

pub(super) fn header(config: &Config, segment: u64) -> Header {
    let mut header = Header {
        format: FORMAT,
        segment,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        config: Some(record(config)),
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

fn record(config: &Config) -> Recorded {
    let raft = &config.raft;
    let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
    Recorded {
        node: config.id.0.to_be_bytes().to_vec().into(),
        cluster: config.cluster.0.to_be_bytes().to_vec().into(),
        bootstrap: config.bootstrap.to_bytes(),
        seed: config.seed,
        request_timeout_nanos: config.request_timeout.0,
        wal_segment_bytes: config.wal_segment_bytes,
        log_entries_max: config.log_entries_max,
        log_trailing_entries: config.log_trailing_entries,
        signer_key: config
            .signer
            .as_ref()
            .map(|signer| signer.public_key().to_compressed().to_vec().into())
            .unwrap_or_default(),
        voter_keys: config
            .voter_keys
            .values()
            .map(|key| key.to_compressed().to_vec().into())
            .collect(),
        ledger: config
            .ledger
            .as_ref()
            .map(Encode::to_bytes)
            .unwrap_or_default(),
        foreign: config
            .foreign
            .iter()
            .map(|node| node.0.to_be_bytes().to_vec().into())
            .collect(),
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
    let mut config = Config::new(node, cluster, bootstrap, recorded.seed);
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
    if !recorded.ledger.is_empty() {
        config.ledger = Some(decube_core::ledger::Config::from_bytes(&recorded.ledger).ok()?);
    }
    for node in &recorded.foreign {
        config.foreign.insert(NodeId(id(node)?));
    }
    Some(config)
}

/// The public half of the key that the recorded node signed with.
pub(super) fn signer_key(header: &Header) -> Result<Option<PublicKey>, KeyError> {
    let key = header.config.as_ref().map(|config| &config.signer_key);
    let Some(key) = key.filter(|key| !key.is_empty()) else {
        return Ok(None);
    };
    let key = key.as_ref().try_into().map_err(|_| KeyError::Form)?;
    PublicKey::from_compressed(key).map(Some)
}
