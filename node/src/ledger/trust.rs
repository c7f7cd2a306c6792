//! What a verifier begins with: the genesis, or an epoch that it has proven before.

use decube_core::bft::{Epoch, Height};
use decube_core::crypto::ChainId;
use decube_core::ledger::TimeMs;
use decube_core::proof::ledger::TrustedEpoch;
use serde_json::{Value, json};

use super::genesis::{self, GenesisFileError};
use super::json::{chain, read_validator_set, validator_set};
use super::read::{DocumentError, Part};

/// The mark of a kept epoch.
pub const EPOCH: &str = "decube/epoch/v1";

/// What a verifier begins with.
#[derive(Debug, Clone)]
pub struct Trust {
    /// What the ledger is called: by its genesis, or by its id.
    pub ledger: String,
    /// The epoch whose validators are believed.
    pub epoch: TrustedEpoch,
}

/// Why a document is nothing to begin with.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It is no JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A kept epoch that cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A genesis that cannot be used.
    #[error(transparent)]
    Genesis(#[from] GenesisFileError),
}

/// Whether a document is the genesis of a ledger, or an epoch of one.
pub fn is_trust(text: &[u8]) -> bool {
    let parsed: Option<Value> = serde_json::from_slice(text).ok();
    parsed.is_some_and(|document| document.get("validators").is_some())
}

/// Reads a genesis or a kept epoch.
///
/// # Errors
/// See [`TrustError`].
pub fn read(text: &[u8]) -> Result<Trust, TrustError> {
    let document: Value = serde_json::from_slice(text)?;
    if document["document"] != json!(EPOCH) {
        let genesis = genesis::parse(&String::from_utf8_lossy(text))?;
        return Ok(Trust {
            epoch: TrustedEpoch::genesis(&genesis).map_err(GenesisFileError::from)?,
            ledger: genesis.name,
        });
    }
    let part = Part::new(&document, "epoch");
    let id = ChainId(part.get("chain_id")?.id()?);
    let root_height = Height(part.get("root_height")?.number()?);
    let root_time = TimeMs(part.get("time_ms")?.number()?);
    let number = Epoch(part.get("epoch")?.number()?);
    let validators = read_validator_set(&part.get("validators")?)?;
    let epoch = TrustedEpoch::kept(id, number, root_height, root_time, validators);
    if self::epoch(&epoch) != document {
        return Err(part.error("holds something that is not known").into());
    }
    Ok(Trust {
        ledger: chain(id),
        epoch,
    })
}

/// An epoch, to be kept by who has proven it. Nothing in it proves itself.
pub fn epoch(trusted: &TrustedEpoch) -> Value {
    json!({
        "document": EPOCH,
        "chain_id": chain(trusted.chain()),
        "epoch": trusted.epoch().0,
        "root_height": trusted.root_height().0,
        "time_ms": trusted.root_time().0,
        "validators": validator_set(trusted.validators()),
    })
}
