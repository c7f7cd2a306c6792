//! `decube validator`: who votes, and votes about that.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use decube_core::crypto::Signature;
use decube_core::ledger::{KeyOwner, KeyProof, Lane, Operation, Param, ValidatorChange};
use decube_core::types::{ClusterId, NodeId};
use decube_io_real::data_dir::read_key;
use serde_json::Value;

use super::exit::{Failure, Outcome, USAGE};
use super::output::{self, Format, cell};
use super::{Remote, sign};
use crate::ledger::read::Part;

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ValidatorCommand {
    /// Who votes, who is listed for the next epoch, what is being voted on
    List(Remote),
    /// Vote for a node to become a validator
    Add {
        /// The name of its cluster
        #[arg(long)]
        cluster: String,
        /// The node's own key file, or the line that `decube validator consent` prints
        /// on the node
        #[arg(long, value_name = "FILE|KEY:SIGNATURE")]
        consent: String,
        /// Its weight inside of its cluster
        #[arg(long, default_value_t = 1)]
        weight: u32,
        #[command(flatten)]
        vote: VoteArgs,
    },
    /// Vote for a node to be a validator no more
    Remove {
        /// The node
        node: String,
        #[command(flatten)]
        vote: VoteArgs,
    },
    /// Vote for another key of a validator
    Rotate {
        /// The node
        node: String,
        /// The new key file, or the line that `decube validator consent --node` prints
        #[arg(long, value_name = "FILE|KEY:SIGNATURE")]
        consent: String,
        #[command(flatten)]
        vote: VoteArgs,
    },
    /// Vote for another weight of a validator inside of its cluster
    SetPower {
        /// The node
        node: String,
        /// Its weight
        weight: u32,
        #[command(flatten)]
        vote: VoteArgs,
    },
    /// Vote for another value of a parameter of the ledger
    Param {
        /// Its name, as `decube validator list -o json` shows it
        name: String,
        /// Its value
        value: u64,
        #[command(flatten)]
        vote: VoteArgs,
    },
    /// Print that the owner of a key wants to vote with it, for `validator add` and
    /// `validator rotate`
    Consent {
        /// The key file
        #[arg(value_name = "FILE")]
        key: PathBuf,
        /// The node that it is to vote for; the one whose own key it is without it
        #[arg(long)]
        node: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
}

const EXAMPLES: &str = "\
A change passes when validators with more than two thirds of the power have voted for it,
each with its own key. It comes into force with the next epoch, which begins at once.

Examples:
  decube validator list
  decube validator consent /var/lib/decube/keys/identity.key          # on the new node
  decube validator add --cluster b --consent 02ab…:0x30… --key /var/lib/decube/keys/identity.key
  decube validator remove 5f0c… --key /var/lib/decube/keys/identity.key
  decube key new /var/lib/decube/keys/voting.key                 # then gcl.voting_key
  decube validator consent --node 5f0c… /var/lib/decube/keys/voting.key
  decube validator rotate 5f0c… --consent 02cd…:0x30… --key /var/lib/decube/keys/identity.key";

#[derive(Debug, Args)]
pub struct VoteArgs {
    /// The key files of the validators that vote
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    key: Vec<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

/// Runs the command.
pub async fn run(command: ValidatorCommand) -> Outcome {
    match command {
        ValidatorCommand::List(remote) => {
            let answer = remote.client()?.get_json("/consensus/validators").await?;
            match remote.output {
                Format::Json => output::json(&answer),
                Format::Table => show(&answer),
            }
        }
        ValidatorCommand::Add {
            cluster,
            consent,
            weight,
            vote,
        } => {
            let key = consent_of(&consent, None, &vote.remote).await?;
            let change = ValidatorChange::Add {
                node: key.key.node_id(),
                cluster: ClusterId::from_name(&cluster),
                weight,
                key,
            };
            cast(&Operation::Validator(change), &vote).await
        }
        ValidatorCommand::Remove { node, vote } => {
            let node = node_id(&node)?;
            cast(
                &Operation::Validator(ValidatorChange::Remove { node }),
                &vote,
            )
            .await
        }
        ValidatorCommand::Rotate {
            node,
            consent,
            vote,
        } => {
            let node = node_id(&node)?;
            let key = consent_of(&consent, Some(node), &vote.remote).await?;
            let change = ValidatorChange::Rotate { node, key };
            cast(&Operation::Validator(change), &vote).await
        }
        ValidatorCommand::SetPower { node, weight, vote } => {
            let node = node_id(&node)?;
            let change = ValidatorChange::SetWeight { node, weight };
            cast(&Operation::Validator(change), &vote).await
        }
        ValidatorCommand::Param { name, value, vote } => {
            let param = Param::from_name(&name).ok_or_else(|| {
                let names: Vec<&str> = Param::ALL.iter().map(|param| param.name()).collect();
                Failure::new(USAGE, format!("there is no parameter {name:?}"))
                    .hint(format!("there are: {}", names.join(", ")))
            })?;
            cast(&Operation::Param { param, value }, &vote).await
        }
        ValidatorCommand::Consent { key, node, remote } => {
            let node = node.as_deref().map(node_id).transpose()?;
            let proof = consent(&key, node, &remote).await?;
            let line = format!("{}:{}\n", proof.key, proof.signature.to_der_hex());
            output::raw(line.as_bytes())
        }
    }
}

/// One vote for each key, one after the other; what became of each.
async fn cast(operation: &Operation, vote: &VoteArgs) -> Outcome {
    let client = vote.remote.client()?;
    let mut rows = Vec::new();
    for path in &vote.key {
        let account = sign::account(Some(path))?;
        let lane = Lane(0);
        let operations = std::slice::from_ref(operation);
        let receipt = sign::submit(&client, &account, lane, operations, true).await?;
        let hash = cell(&receipt["tx_hash"]);
        let path_of = format!("/consensus/transactions/{hash}");
        let found = client.get_json(&path_of).await?;
        rows.push(vec![
            account.id().to_string(),
            cell(&found["outcome"]),
            hash,
        ]);
    }
    output::table(&["ACCOUNT", "OUTCOME", "TRANSACTION"], &rows)
}

fn node_id(text: &str) -> Result<NodeId, Failure> {
    let value = Value::String(text.to_owned());
    let id = Part::new(&value, "node").id();
    id.map(NodeId)
        .map_err(|error| Failure::new(USAGE, error.to_string()))
}

/// The proof that the owner of a key wants to vote with it: from its key file, or as
/// it was printed elsewhere.
async fn consent_of(
    text: &str,
    node: Option<NodeId>,
    remote: &Remote,
) -> Result<KeyProof, Failure> {
    let Some((key, signature)) = text.split_once(':') else {
        return consent(&PathBuf::from(text), node, remote).await;
    };
    let wrong = |error: &dyn std::fmt::Display| Failure::new(USAGE, format!("--consent: {error}"));
    let key = Value::String(key.to_owned());
    Ok(KeyProof {
        key: Part::new(&key, "key")
            .key()
            .map_err(|error| wrong(&error))?,
        signature: Signature::from_edge_text(signature).map_err(|error| wrong(&error))?,
    })
}

/// What the owner of a key signs: that it is to vote for a node, or for the node whose
/// id follows from it.
async fn consent(
    path: &std::path::Path,
    node: Option<NodeId>,
    remote: &Remote,
) -> Result<KeyProof, Failure> {
    use decube_core::crypto::{ChainId, P256Signer, Signer as _};
    let secret = read_key(path).map_err(|error| Failure::new(USAGE, error.to_string()))?;
    let status = remote.client()?.get_json("/consensus/status").await?;
    let chain = Part::new(&status, "status").get("chain_id");
    let chain = chain.and_then(|part| part.id());
    let chain = chain.map_err(|error| Failure::new(super::exit::FAILED, error.to_string()))?;
    let signer = P256Signer::new(&secret);
    let key = *signer.public_key();
    let owner = KeyOwner::Validator(node.unwrap_or_else(|| key.node_id()));
    let signature = signer.sign(&KeyProof::preimage(ChainId(chain), owner, &key));
    Ok(KeyProof { key, signature })
}

fn show(answer: &Value) -> Outcome {
    output::fields(&[
        ("epoch", cell(&answer["epoch"])),
        ("since block", cell(&answer["root_height"])),
    ])?;
    output::raw(b"\n")?;
    let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let members = list("members");
    let rows: Vec<Vec<String>> = list("validators")
        .iter()
        .map(|one| {
            let member = members.iter().find(|member| member["node"] == one["node"]);
            let cluster = member.map_or_else(String::new, |member| {
                let name = member["cluster_name"].as_str();
                name.map_or_else(|| cell(&member["cluster"]), str::to_owned)
            });
            vec![
                cell(&one["index"]),
                cell(&one["node"]),
                cell(&one["power"]),
                cluster,
            ]
        })
        .collect();
    output::table(&["INDEX", "NODE", "POWER", "CLUSTER"], &rows)?;
    let proposals = list("proposals");
    if proposals.is_empty() {
        return Ok(());
    }
    output::raw(b"\n")?;
    let rows: Vec<Vec<String>> = proposals
        .iter()
        .map(|one| {
            let approvals = one["approvals"].as_array().map_or(0, Vec::len);
            vec![
                cell(&one["operation"]),
                approvals.to_string(),
                cell(&one["expires"]),
            ]
        })
        .collect();
    output::table(&["PROPOSAL", "APPROVALS", "EXPIRES AT BLOCK"], &rows)
}
