//! The genesis file: how a ledger begins, for people to write and compare.

use std::collections::BTreeMap;

use decube_core::ledger::{Genesis, GenesisError, Member, Param, Params, TimeMs};
use decube_core::types::{ClusterId, NodeId};
use serde_json::{Map, Value, json};

use super::read::{DocumentError, Part};
use decube_core::limits::VALIDATORS_MAX;

/// Why a genesis file is refused.
#[derive(Debug, thiserror::Error)]
pub enum GenesisFileError {
    /// It is no JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Something in it cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It makes no ledger.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
}

/// Reads a genesis file.
///
/// # Errors
/// See [`GenesisFileError`].
pub fn parse(text: &str) -> Result<Genesis, GenesisFileError> {
    let document: Value = serde_json::from_str(text)?;
    let genesis = read(&Part::new(&document, "genesis"))?;
    genesis.validators()?;
    Ok(genesis)
}

fn read(part: &Part<'_>) -> Result<Genesis, DocumentError> {
    let mut params = Params::default();
    if let Some(given) = part.find("params") {
        let map = given.value().as_object();
        for name in map.ok_or_else(|| given.error("is no object"))?.keys() {
            let value = given.get(name)?;
            let param =
                Param::from_name(name).ok_or_else(|| value.error("is no parameter of a ledger"))?;
            params
                .set(param, value.number()?)
                .map_err(|error| value.error(error.to_string()))?;
        }
    }
    let members = part.get("validators")?.list(VALIDATORS_MAX)?;
    let members: Result<Vec<Member>, DocumentError> = members.iter().map(member).collect();
    Ok(Genesis {
        name: part.get("name")?.text()?.to_owned(),
        time: TimeMs(part.get("time_ms")?.number()?),
        params,
        members: members?,
    })
}

/// A member. The cluster is named, not numbered: that is how nodes know theirs.
fn member(part: &Part<'_>) -> Result<Member, DocumentError> {
    let key = part.get("key")?.key()?;
    let node = match part.find("node") {
        Some(node) => NodeId(node.id()?),
        None => key.node_id(),
    };
    let cluster = part.get("cluster")?;
    let weight = part
        .find("weight")
        .map_or(Ok(1), |weight| weight.number())?;
    if weight == 0 {
        return Err(part.error("weight is above zero"));
    }
    Ok(Member::new(
        node,
        key,
        ClusterId::from_name(cluster.text()?),
        weight,
    ))
}

/// The names of the clusters in a genesis file, as far as it can be read.
pub fn cluster_names(text: &str) -> BTreeMap<ClusterId, String> {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let members = document["validators"].as_array().into_iter().flatten();
    let names = members.filter_map(|member| member["cluster"].as_str());
    names
        .map(|name| (ClusterId::from_name(name), name.to_owned()))
        .collect()
}

/// A genesis file. Clusters are given by their names, in the order of the members.
pub fn render(genesis: &Genesis, clusters: &[String]) -> String {
    let mut params = Map::new();
    let usual = Params::default();
    for param in Param::ALL {
        let value = genesis.params.get(param);
        if value != usual.get(param) {
            params.insert(param.name().to_owned(), value.into());
        }
    }
    let members = genesis.members.iter().zip(clusters);
    let validators: Vec<Value> = members
        .map(|(member, cluster)| {
            assert_eq!(member.cluster, ClusterId::from_name(cluster));
            json!({
                "node": member.node.to_string(),
                "key": member.key.to_string(),
                "cluster": cluster,
                "weight": member.weight,
            })
        })
        .collect();
    let document = json!({
        "name": genesis.name,
        "time_ms": genesis.time.0,
        "params": params,
        "validators": validators,
    });
    format!("{document:#}\n")
}
