//! Signing and submitting transactions.

use std::path::{Path, PathBuf};

use decube_core::bft::Height;
use decube_core::codec::Encode;
use decube_core::crypto::{ChainId, P256Signer, SharedSigner};
use decube_core::ledger::{AccountId, Lane, Operation, Sequence};
use decube_core::limits::{LEDGER_DATA_BYTES_MAX, LEDGER_TX_OPERATIONS_MAX};
use decube_io_real::data_dir::{create_key, read_key};
use hyper::Method;
use serde_json::{Value, json};

use super::client::{self, Client, Payload};
use super::exit::{FAILED, Failure, USAGE};
use super::output;
use crate::ledger::client::{Account, Standing};
use crate::ledger::json::encoded;
use crate::ledger::read::{DocumentError, Part};

/// How often somebody else may take the place in the lane before it is given up.
const ATTEMPTS: usize = 8;

/// Where this user's key is, unless told otherwise.
pub fn default_key() -> PathBuf {
    super::user_dir("XDG_CONFIG_HOME", ".config")
        .join("decube")
        .join("key")
}

/// The account of a key file; that of this user without one, made at its first use.
pub fn account(key: Option<&Path>) -> Result<Account, Failure> {
    let secret = match key {
        Some(path) => read_key(path).map_err(|error| {
            Failure::new(USAGE, error.to_string()).hint("`decube key new FILE` makes a key")
        })?,
        None => {
            let path = default_key();
            if path.exists() {
                read_key(&path).map_err(|error| Failure::new(FAILED, error.to_string()))?
            } else {
                let secret = make(&path)?;
                output::note(&format!("made a new key in {}", path.display()));
                secret
            }
        }
    };
    Ok(Account::new(SharedSigner::new(P256Signer::new(&secret))))
}

/// Makes a key in a file that did not exist.
pub fn make(path: &Path) -> Result<decube_core::crypto::SecretKey, Failure> {
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        std::fs::create_dir_all(parent)
            .map_err(|error| Failure::new(FAILED, format!("{}: {error}", parent.display())))?;
    }
    create_key(path).map_err(|error| Failure::new(FAILED, error.to_string()))
}

/// Refuses what no transaction can hold, before anything is signed.
fn fits(operations: &[Operation]) -> Result<(), Failure> {
    let count = operations.len();
    if count > LEDGER_TX_OPERATIONS_MAX {
        let most = LEDGER_TX_OPERATIONS_MAX;
        let message = format!("{count} operations are too many: a transaction has at most {most}");
        return Err(Failure::new(USAGE, message));
    }
    if operations.iter().all(Encode::is_readable) {
        return Ok(());
    }
    let most = LEDGER_DATA_BYTES_MAX;
    let message = format!("an operation is too large: it holds at most {most} bytes of data");
    Err(Failure::new(USAGE, message))
}

/// Signs operations and hands them in: what the node answers. Others may use the
/// same account; whose place is taken signs again.
pub async fn submit(
    client: &Client,
    account: &Account,
    lane: Lane,
    operations: &[Operation],
    wait: bool,
) -> Result<Value, Failure> {
    fits(operations)?;
    let id = account.id();
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let standing = standing(client, id, lane).await?;
        let signed = account.sign(id, lane, &standing, operations.to_vec());
        let bytes = signed.to_bytes().len();
        if bytes > decube_core::limits::LEDGER_TX_BYTES_MAX {
            let most = decube_core::limits::LEDGER_TX_BYTES_MAX;
            let message = format!("the transaction has {bytes} bytes; at most {most} are taken");
            return Err(Failure::new(USAGE, message));
        }
        let path = match wait {
            true => "/consensus/transactions?wait=finalized",
            false => "/consensus/transactions",
        };
        let body = json!({ "transaction": encoded(&signed) }).to_string();
        let kind = [("content-type", "application/json".to_owned())];
        let payload = Payload::Bytes(body.into());
        match client.send(Method::POST, path, &kind, payload).await {
            Ok(response) => return client::json(response).await,
            Err(failure) => match failure.reason.as_deref() {
                Some("tx_sequence_taken" | "tx_sequence_used") => last = Some(failure),
                _ => return Err(failure),
            },
        }
    }
    Err(last
        .expect("there was an attempt")
        .hint("others use this account at the same time: give each its own --lane, or its own key"))
}

async fn standing(client: &Client, id: AccountId, lane: Lane) -> Result<Standing, Failure> {
    let answer = client
        .get_json(&format!("/consensus/accounts/{id}"))
        .await?;
    read_standing(&answer, lane).map_err(|error| Failure::new(FAILED, error.to_string()))
}

fn read_standing(answer: &Value, lane: Lane) -> Result<Standing, DocumentError> {
    let part = Part::new(answer, "account");
    let mut next = Sequence(0);
    for one in part
        .get("lanes")?
        .list(decube_core::limits::LEDGER_LANES_MAX)?
    {
        if one.get("lane")?.number::<u16>()? == lane.0 {
            next = Sequence(one.get("next")?.number()?);
        }
    }
    Ok(Standing {
        chain: ChainId(part.get("chain_id")?.id()?),
        next,
        height: Height(part.get("height")?.number()?),
        valid_until_max: Height(part.get("valid_until_max")?.number()?),
    })
}
