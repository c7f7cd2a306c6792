//! From the core's types to documents.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use decube_core::cluster::AttestedHead;
use decube_core::crypto::{PublicKey, hex};
use decube_core::proof::{LogHead, LogProof, Payload, ProofEntry, SignedHead};
use decube_core::raft::EntryKind;
use decube_core::types::NodeId;
use serde_json::{Value, json};

/// The trust document of the membership under a head. `None` in place of a key
/// that is not known is never written: the caller has all of them.
pub fn trust_json(
    name: &str,
    made: &AttestedHead,
    keys: &BTreeMap<NodeId, PublicKey>,
) -> Option<Value> {
    let head = &made.signed.head;
    let voters = |nodes: &[NodeId]| {
        let voter = |node: &NodeId| {
            let key = keys.get(node)?;
            Some(json!({"node": node.to_string(), "public_key": key.to_edge_text()}))
        };
        nodes.iter().map(voter).collect::<Option<Vec<Value>>>()
    };
    Some(json!({
        "cluster": name,
        "cluster_id": head.cluster.to_string(),
        "membership_epoch": head.membership_epoch.0,
        "voters": voters(&made.membership.voters)?,
        "outgoing": voters(&made.membership.outgoing)?,
    }))
}

/// A signed head.
pub fn head_json(signed: &SignedHead) -> Value {
    let mut document = fields_of(&signed.head);
    let signatures = signed
        .signatures
        .iter()
        .map(|one| json!({"node": one.node.to_string(), "signature": one.signature.to_der_hex()}));
    document["signatures"] = signatures.collect();
    document
}

/// A proof; with `omit` without the data of its entries, of which length and
/// digest remain.
pub fn proof_json(proof: &LogProof, omit: bool) -> Value {
    let entries = (proof.first.0..).zip(&proof.entries);
    let entries = entries.map(|(index, entry)| entry_json(index, entry, omit));
    json!({
        "term": proof.entries.first().map(|entry| entry.term.0),
        "index": proof.first.0,
        "entries": entries.collect::<Vec<Value>>(),
        "checksum": hex::encode(proof.head.head.root.as_bytes()),
        "path": proof.path.iter().map(|digest| hex::encode(digest.as_bytes())).collect::<Vec<_>>(),
        "head": head_json(&proof.head),
    })
}

fn fields_of(head: &LogHead) -> Value {
    json!({
        "cluster_id": head.cluster.to_string(),
        "membership_epoch": head.membership_epoch.0,
        "size": head.size.0,
        "root": hex::encode(head.root.as_bytes()),
        "commit_term": head.commit_term.0,
    })
}

fn entry_json(index: u64, entry: &ProofEntry, omit: bool) -> Value {
    let kind = match entry.kind {
        EntryKind::Noop => "noop",
        EntryKind::Membership => "membership",
        EntryKind::App => "app",
    };
    let mut document = json!({"index": index, "term": entry.term.0, "kind": kind});
    let payload = match omit {
        true => entry.payload.omit(),
        false => entry.payload.clone(),
    };
    match payload {
        Payload::Data(data) => document["data_base64"] = STANDARD.encode(&data).into(),
        Payload::Omitted { len, digest } => {
            document["data_bytes"] = len.into();
            document["data_sha256"] = hex::encode(digest.as_bytes()).into();
        }
    }
    document
}
