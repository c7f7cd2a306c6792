//! Headers, certificates and transactions as documents, and back.

use std::collections::BTreeMap;

use decube_core::bft::{
    BlockRef, Cert, Commitments, Epoch, Header, Height, Power, Signers, Statement, Validator,
    ValidatorIndex, ValidatorSet, View, VoteKind,
};
use decube_core::codec::Encode as _;
use decube_core::crypto::{ChainId, Digest};
use decube_core::ledger::{
    FinalBlock, LedgerStatus, OpResult, Operation, OperationLocation, Transaction, TxId,
    ValidatorChange, ValidatorsView,
};
use decube_core::limits::VALIDATORS_MAX;
use decube_core::types::{ClusterId, NodeId};
use serde_json::{Value, json};

use super::read::{DocumentError, Part, hex_text};

/// A hash as documents write it.
pub fn digest(digest: &Digest) -> String {
    digest.to_0x()
}

/// An operation's name as documents write it.
pub fn tx_hash(id: &TxId) -> String {
    id.0.to_0x()
}

/// A header.
pub fn header(header: &Header) -> Value {
    let content = &header.content;
    json!({
        "chain_id": chain(header.chain),
        "epoch": header.epoch.0,
        "height": header.height.0,
        "view": header.view.0,
        "parent": digest(&header.parent),
        "parent_view": header.parent_view.0,
        "proposer": header.proposer.0,
        "time_ms": content.time_ms,
        "tx_root": digest(&content.items_root),
        "tx_count": content.items_count,
        "tx_bytes": content.items_bytes,
        "parent_state": digest(&content.parent_state),
        "parent_results": digest(&content.parent_receipts),
        "history": digest(&content.history),
        "validators": digest(&content.validators),
        "next_validators": digest(&content.next_validators),
        "ends_epoch": content.ends_epoch,
        "hash": digest(&header.hash()),
    })
}

/// A header, from a document.
///
/// # Errors
/// A field is missing or not valid. The hash is not read: it follows.
pub fn read_header(part: &Part<'_>) -> Result<Header, DocumentError> {
    Ok(Header {
        chain: ChainId(part.get("chain_id")?.id()?),
        epoch: Epoch(part.get("epoch")?.number()?),
        height: Height(part.get("height")?.number()?),
        view: View(part.get("view")?.number()?),
        parent: part.get("parent")?.digest()?,
        parent_view: View(part.get("parent_view")?.number()?),
        proposer: ValidatorIndex(part.get("proposer")?.number()?),
        content: Commitments {
            time_ms: part.get("time_ms")?.number()?,
            items_root: part.get("tx_root")?.digest()?,
            items_count: part.get("tx_count")?.number()?,
            items_bytes: part.get("tx_bytes")?.number()?,
            parent_state: part.get("parent_state")?.digest()?,
            parent_receipts: part.get("parent_results")?.digest()?,
            history: part.get("history")?.digest()?,
            validators: part.get("validators")?.digest()?,
            next_validators: part.get("next_validators")?.digest()?,
            ends_epoch: part.get("ends_epoch")?.flag()?,
        },
    })
}

/// The id of a ledger.
pub fn chain(chain: ChainId) -> String {
    hex_text(&chain.0.to_be_bytes())
}

/// A finalization, in the shape of the whitepaper's `CommitProof`. `Threshold`
/// says what a quorum of these validators is; a verifier works it out by itself.
pub fn commit_proof(cert: &Cert) -> Value {
    let signers = cert.signers.iter().zip(&cert.signatures);
    let signatures: Vec<Value> = signers
        .map(|(signer, signature)| {
            json!({ "validator": signer.0, "signature": hex_text(signature.as_bytes()) })
        })
        .collect();
    let block = cert.statement.block;
    json!({
        "BlockHeight": block.height.0,
        "BlockHash": digest(&block.hash),
        "epoch": cert.statement.epoch.0,
        "view": block.view.0,
        "Signatures": signatures,
    })
}

/// A finalization, from a document.
///
/// # Errors
/// A field is missing or not valid.
pub fn read_commit_proof(part: &Part<'_>) -> Result<Cert, DocumentError> {
    let mut signers = Signers::NONE;
    let mut signatures = Vec::new();
    let mut last = None;
    for one in part.get("Signatures")?.list(VALIDATORS_MAX)? {
        let place = one.get("validator")?;
        let signer: u16 = place.number()?;
        if usize::from(signer) >= VALIDATORS_MAX || last.is_some_and(|last| last >= signer) {
            return Err(place.error("validators come once each, in ascending order"));
        }
        last = Some(signer);
        signers.insert(ValidatorIndex(signer));
        signatures.push(one.get("signature")?.signature()?);
    }
    Ok(Cert {
        statement: Statement {
            kind: VoteKind::Finalize,
            epoch: Epoch(part.get("epoch")?.number()?),
            block: BlockRef {
                view: View(part.get("view")?.number()?),
                height: Height(part.get("BlockHeight")?.number()?),
                hash: part.get("BlockHash")?.digest()?,
            },
        },
        signers,
        signatures,
    })
}

/// A set of validators.
pub fn validator_set(set: &ValidatorSet) -> Value {
    let all = set.iter().map(|(place, validator)| {
        json!({
            "index": place.0,
            "node": validator.node.to_string(),
            "key": validator.key.to_string(),
            "power": validator.power.0,
        })
    });
    Value::Array(all.collect())
}

/// A set of validators, from a document.
///
/// # Errors
/// A field is missing or not valid, or these make no set.
pub fn read_validator_set(part: &Part<'_>) -> Result<ValidatorSet, DocumentError> {
    let list = part.list(VALIDATORS_MAX)?;
    let validators: Result<Vec<Validator>, DocumentError> = list
        .iter()
        .map(|one| {
            Ok(Validator {
                node: NodeId(one.get("node")?.id()?),
                key: one.get("key")?.key()?,
                power: Power(one.get("power")?.number()?),
            })
        })
        .collect();
    ValidatorSet::new(validators?).map_err(|error| part.error(error.to_string()))
}

/// An operation, for people: what it asks for.
pub fn operation(operation: &Operation) -> Value {
    let mut document = match operation {
        Operation::Data { payload, .. } => match serde_json::from_slice::<Value>(payload) {
            Ok(payload) => json!({ "payload": payload }),
            Err(_) => json!({ "payload_hex": hex_text(payload) }),
        },
        Operation::SnapshotCreate(record) => json!({ "payload": {
            "snapshot_id": record.id.as_str(),
            "manifest": digest(&record.manifest),
            "size": record.bytes,
            "segments": record.segments,
        }}),
        Operation::SnapshotDelete { id } => json!({ "payload": { "snapshot_id": id.as_str() } }),
        Operation::ImageRegister { name, digest: of } => {
            json!({ "payload": { "name": name.as_str(), "digest": digest(of) } })
        }
        Operation::KeyRotate(proof) => json!({ "payload": { "key": proof.key.to_string() } }),
        Operation::Validator(change) => json!({ "payload": validator_change(change) }),
        Operation::Param { param, value } => {
            json!({ "payload": { "param": param.name(), "value": value } })
        }
        Operation::Evidence(evidence) => json!({ "payload": {
            "validator": evidence.culprit().0,
            "epoch": evidence.votes()[0].statement.epoch.0,
            "view": evidence.votes()[0].statement.view().0,
            "form": format!("{:?}", evidence.form()),
        }}),
    };
    document["type"] = operation.kind().into();
    document
}

fn validator_change(change: &ValidatorChange) -> Value {
    match change {
        ValidatorChange::Add {
            node, weight, key, ..
        } => json!({
            "node": node.to_string(), "weight": weight, "key": key.key.to_string(),
        }),
        ValidatorChange::Remove { node } => json!({ "node": node.to_string() }),
        ValidatorChange::Rotate { node, key } => {
            json!({ "node": node.to_string(), "key": key.key.to_string() })
        }
        ValidatorChange::SetWeight { node, weight } => {
            json!({ "node": node.to_string(), "weight": weight })
        }
    }
}

/// A transaction, for people: what its signer said around its operations.
pub fn transaction(transaction: &Transaction) -> Value {
    let intent = transaction.intent();
    json!({
        "account": intent.account.to_string(),
        "key": transaction.key().to_string(),
        "lane": intent.lane.0,
        "sequence": intent.sequence.0,
        "valid_until": intent.valid_until.0,
        "operations": intent.operations.iter().map(operation).collect::<Vec<_>>(),
        "tx_hashes": intent.ids().map(|id| tx_hash(&id)).collect::<Vec<_>>(),
    })
}

/// Where a final operation stands, and how it ended.
pub fn located(located: &OperationLocation) -> Value {
    json!({
        "block_height": located.height.0,
        "index": located.item,
        "operation": located.operation,
        "outcome": located.outcome.name(),
    })
}

/// A final block. The whitepaper's names stand beside those of the header.
pub fn block(block: &FinalBlock, chain_id: ChainId) -> Value {
    let body = &block.block;
    let items = body.items().iter();
    let transactions: Vec<Value> = items
        .map(|bytes| match Transaction::decode(bytes, chain_id) {
            Ok(decoded) => transaction(&decoded),
            Err(_) => json!({ "bytes": hex_text(bytes) }),
        })
        .collect();
    let result = |result: &OpResult| json!({ "tx_hash": tx_hash(&result.id), "outcome": result.outcome.name() });
    let head = body.header();
    json!({
        "height": head.height.0,
        "hash": digest(&body.hash()),
        "previous_hash": digest(&head.parent),
        "timestamp": head.content.time_ms,
        "merkle_root": digest(&head.content.items_root),
        "header": header(head),
        "transactions": transactions,
        "results": block.results.iter().map(result).collect::<Vec<_>>(),
        "path": block.path.iter().map(header).collect::<Vec<_>>(),
        "finalization": commit_proof(&block.finalization),
    })
}

/// A line about a block, for lists and streams.
pub fn block_summary(block: &FinalBlock) -> Value {
    let head = block.block.header();
    json!({
        "height": head.height.0,
        "hash": digest(&block.block.hash()),
        "epoch": head.epoch.0,
        "view": head.view.0,
        "proposer": head.proposer.0,
        "time_ms": head.content.time_ms,
        "transactions": head.content.items_count,
        "operations": block.results.len(),
        "bytes": head.content.items_bytes,
        "tx_hashes": block.results.iter().take(64).map(|one| tx_hash(&one.id)).collect::<Vec<_>>(),
    })
}

/// Who votes.
pub fn validators(view: &ValidatorsView, names: &BTreeMap<ClusterId, String>) -> Value {
    let members = view.members.iter().map(|member| {
        json!({
            "node": member.node.to_string(),
            "key": member.key.to_string(),
            "cluster": format!("{:032x}", member.cluster.0),
            "cluster_name": names.get(&member.cluster),
            "weight": member.weight,
            "convicted": member.is_jailed,
        })
    });
    let proposals = view.proposals.iter().map(|proposal| {
        json!({
            "operation": digest(&proposal.operation),
            "approvals": proposal.approvals.iter().map(NodeId::to_string).collect::<Vec<_>>(),
            "expires": proposal.expires.0,
        })
    });
    let params: serde_json::Map<String, Value> = decube_core::ledger::Param::ALL
        .iter()
        .map(|param| (param.name().to_owned(), view.params.get(*param).into()))
        .collect();
    json!({
        "epoch": view.epoch.0,
        "root_height": view.root_height.0,
        "hash": digest(&view.set.hash()),
        "validators": validator_set(&view.set),
        "members": members.collect::<Vec<_>>(),
        "proposals": proposals.collect::<Vec<_>>(),
        "params": params,
    })
}

/// Where a node stands.
pub fn status(status: &LedgerStatus) -> Value {
    json!({
        "node": status.node.to_string(),
        "chain_id": chain(status.chain),
        "genesis": digest(&status.genesis),
        "epoch": status.epoch.0,
        "view": status.view.0,
        "height": status.height.0,
        "hash": digest(&status.hash),
        "base": status.base.0,
        "stuck_below": status.stuck_below.map(|base| base.0),
        "state": digest(&status.state),
        "time_ms": status.time_ms,
        "validator": status.is_validator,
        "voting": status.is_voting,
        "mempool_size": status.pooled,
        "mempool_bytes": status.pooled_bytes,
        "mempool_evicted": status.evicted,
        "waiting_clients": status.waiting,
        "bodies_asked": status.bodies_asked,
        "rejected_messages": status.rejected,
        "bad_signatures": status
            .bad_signatures
            .iter()
            .map(|(node, count)| json!({ "node": node.to_string(), "count": count }))
            .collect::<Vec<_>>(),
        "bad_signatures_of_others": status.bad_signatures_of_others,
    })
}

/// A signed transaction as it travels.
pub fn encoded(transaction: &Transaction) -> String {
    hex_text(&transaction.to_bytes())
}
