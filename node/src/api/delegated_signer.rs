//! The whitepaper's transaction, `{"type","payload","signature","public_key"}`, on
//! its way into the canonical signed form.
//!
//! Its signature covers the payload alone: it binds neither ledger nor order, so it
//! can be replayed, and it cannot be a signature of the ledger. This node puts the
//! document as it is into a transaction of its own account. What the user signed
//! stays readable on the ledger; what orders it is the node's word.

use bytes::Bytes;
use decube_core::crypto::{Verifier as _, VerifyError};
use decube_core::ledger::{Lane, Name, Operation, Rejection, Response, TxId};
use serde_json::Value;

use super::Shared;
use super::error::{ApiError, ApiResult, Code};
use super::ledger::{account_view, ask, refused};
use crate::ledger::client::{Account, Standing};
use crate::ledger::read::{DocumentError, Part};

/// The lane of the node's account for what it signs for others.
const LANE: Lane = Lane(1);
/// How often a place in the lane is taken by somebody else before it is given up.
const ATTEMPTS: usize = 5;

/// Signs for a document and submits it. The signed transaction and its names.
pub(super) async fn submit(gateway: &Shared, body: &Part<'_>) -> ApiResult<(Bytes, Vec<TxId>)> {
    let operation = operation(body).map_err(|error| ApiError::invalid(error.to_string()))?;
    let Some(signer) = &gateway.delegated_signer else {
        let detail = "this node signs for nobody: send {\"transaction\":\"0x…\"}";
        return Err(ApiError::invalid(detail));
    };
    let mut last = None;
    for _ in 0..ATTEMPTS {
        // One at a time, or they would take each other's place.
        let _in_order = signer.in_order.lock().await;
        let bytes = sign(gateway, &signer.account, operation.clone()).await?;
        let request = decube_core::ledger::Request::Submit {
            transaction: bytes.clone(),
            wait: false,
        };
        match ask(gateway, request).await? {
            Response::Accepted { ids } => return Ok((bytes, ids)),
            Response::Rejected(rejection @ (Rejection::Taken(_) | Rejection::Invalid(_))) => {
                last = Some(rejection);
            }
            other => return Err(refused(other, "transaction", "")),
        }
    }
    let detail = last.map_or_else(String::new, |rejection| rejection.to_string());
    Err(ApiError::new(Code::LedgerFull, detail))
}

async fn sign(gateway: &Shared, account: &Account, operation: Operation) -> ApiResult<Bytes> {
    let id = account.id();
    let view = account_view(gateway, id).await?;
    let next = view.lanes.iter().find(|one| one.lane == LANE);
    let standing = Standing {
        chain: view.chain,
        next: next.map(|one| one.next).unwrap_or_default(),
        height: view.height,
        valid_until_max: view.valid_until_max,
    };
    let signed = account.sign(id, LANE, &standing, vec![operation]);
    Ok(decube_core::codec::Encode::to_bytes(&signed))
}

/// The document as data of the ledger. A signature whose key is given has to hold.
fn operation(body: &Part<'_>) -> Result<Operation, DocumentError> {
    let kind = body.get("type")?;
    let name = Name::new(kind.text()?).map_err(|error| kind.error(error.to_string()))?;
    let payload = body.get("payload")?;
    if let (Some(signature), Some(key)) = (body.find("signature"), body.find("public_key")) {
        let (signature, key) = (signature.signature()?, key.key()?);
        let signed = serde_json::to_vec(payload.value()).expect("a value is JSON");
        verify(&key, &signed, &signature)
            .map_err(|_| body.error("the signature does not verify under public_key"))?;
    }
    let mut kept = serde_json::Map::new();
    for field in ["payload", "signature", "public_key"] {
        if let Some(part) = body.find(field) {
            kept.insert(field.to_owned(), part.value().clone());
        }
    }
    let payload = serde_json::to_vec(&Value::Object(kept)).expect("a value is JSON");
    if payload.len() > decube_core::limits::LEDGER_DATA_BYTES_MAX {
        return Err(body.error("is larger than one transaction may be"));
    }
    Ok(Operation::Data {
        kind: name,
        payload: payload.into(),
    })
}

/// The whitepaper's check: ECDSA over the SHA-256 of the payload.
fn verify(
    key: &decube_core::crypto::PublicKey,
    payload: &[u8],
    signature: &decube_core::crypto::Signature,
) -> Result<(), VerifyError> {
    decube_core::crypto::P256Verifier.verify_bytes(key, payload, signature)
}

/// Who signs for others.
pub struct DelegatedSigner {
    /// The node's account.
    pub account: Account,
    in_order: tokio::sync::Mutex<()>,
}

impl DelegatedSigner {
    /// A node that signs for others with this account.
    pub fn new(account: Account) -> Self {
        Self {
            account,
            in_order: tokio::sync::Mutex::new(()),
        }
    }
}
