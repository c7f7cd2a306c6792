//! The REST API: the whitepaper's paths at the root and under `/v1`, ours under
//! `/v1`. Handlers translate; every decision is the core's.
//!
//! Any node answers: what only the leader can do is passed on by the core. Reads
//! are linearizable unless `?consistency=stale` asks for this node's own state.
//!
//! Keyspaces in the replicated state: `kv/<key>` for users, `catalog/<type>/<id>`
//! for the catalog, `objects/<id>` for objects.
//!
//! Named limits: deleting or replacing an object does not free its segments, which
//! other objects may share; keys are UTF-8 text over HTTP; one range per request.
//!
//! | file | what it holds |
//! |---|---|
//! | `gateway` | what handlers share; requests with bounded retries |
//! | `error` | every error and its problem document |
//! | `layer` | request ids, limits, time, metrics, around every handler |
//! | `extract` | path, query, headers and bodies, with our errors |
//! | `kv`, `watch`, `session` | keys, their changes, sessions, leases, locks |
//! | `catalog`, `query` | snapshots and images, and the language of `q` |
//! | `objects`, `manifest`, `segments`, `chunks`, `range` | bytes |
//! | `ledger`, `ledger_history` | the ledger of all clusters; heads of its history |
//! | `delegated_signer` | what this node signs for others |
//! | `log` | the log, signed, and proofs of its entries |
//! | `status`, `health`, `metrics` | the node and the cluster |
//! | `server` | sockets, time limits, graceful stop |

mod catalog;
mod chunks;
mod delegated_signer;
mod error;
mod extract;
mod gateway;
mod health;
mod kv;
mod layer;
mod ledger;
mod ledger_history;
mod log;
mod manifest;
mod metrics;
mod objects;
mod query;
mod range;
mod segments;
mod server;
mod session;
mod status;
#[cfg(test)]
mod tests;
mod text;
mod watch;

pub use delegated_signer::DelegatedSigner;
pub use error::{ApiError, Code, ERRORS};
pub use gateway::{ApiLimits, Gateway, NodeInfo};
pub use health::health_json;
pub use server::{Server, ServerConfig};

use std::sync::Arc;

use axum::Router;
use axum::routing::{delete, get, post, put};

/// What every handler gets.
type Shared = Arc<Gateway>;

/// The router with all routes and the layers around them.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let both = Router::new().merge(storage()).merge(catalog());
    let routes = Router::new()
        .merge(both.clone())
        .merge(ledger())
        .nest("/v1", both.merge(ledger()).merge(kv()).merge(cluster()))
        .merge(operations())
        .fallback(layer::no_route)
        .method_not_allowed_fallback(layer::no_method);
    layer::around(routes, gateway)
}

/// A router for scrapers alone: health and metrics.
pub fn metrics_router(gateway: Arc<Gateway>) -> Router {
    layer::around(operations().fallback(layer::no_route), gateway)
}

/// Objects, segments and chunks.
fn storage() -> Router<Shared> {
    let object = get(objects::get).put(objects::put).delete(objects::delete);
    let segment = get(segments::get).put(segments::put);
    Router::new()
        .route("/storage/objects", get(objects::list))
        .route("/storage/objects/{*id}", object)
        .route("/storage/segments/{id}", segment)
        .route("/storage/chunks", post(chunks::post))
}

/// The catalog of snapshots and images.
fn catalog() -> Router<Shared> {
    let entry = get(catalog::get).put(catalog::put).delete(catalog::delete);
    let snapshot = get(catalog::get_snapshot).delete(catalog::delete_snapshot);
    Router::new()
        .route("/catalog/query", get(catalog::query))
        .route("/catalog/{kind}", get(catalog::list).post(catalog::create))
        .route("/catalog/{kind}/{*id}", entry)
        .route(
            "/snapshots",
            get(catalog::list_snapshots).post(catalog::create_snapshot),
        )
        .route("/snapshots/{*id}", snapshot)
}

/// Keys, sessions, leases and locks.
fn kv() -> Router<Shared> {
    let lease = get(session::lease).delete(session::revoke);
    let lock = get(session::lock)
        .put(session::acquire)
        .delete(session::release);
    Router::new()
        .route("/kv", get(kv::list))
        .route("/kv/", get(kv::list))
        .route("/kv/{*key}", get(kv::get).put(kv::put).delete(kv::delete))
        .route("/sessions", post(session::open))
        .route("/sessions/{id}", delete(session::close))
        .route("/leases", post(session::grant))
        .route("/leases/{id}", lease)
        .route("/leases/{id}/renew", post(session::renew))
        .route("/locks/{*name}", lock)
}

/// The cluster, as seen and as changed from here.
fn cluster() -> Router<Shared> {
    let members = get(status::members)
        .put(status::set_members)
        .post(status::add_member);
    Router::new()
        .route("/status", get(status::status))
        .route("/cluster/members", members)
        .route("/cluster/members/{id}", delete(status::remove_member))
        .route("/cluster/leader", put(status::transfer))
        .route("/log/trust", get(log::trust))
        .route("/log/head", get(log::head))
        .route("/log/proof", get(log::proof))
}

/// The ledger of all clusters.
fn ledger() -> Router<Shared> {
    Router::new()
        .route("/consensus/transactions", post(ledger::submit))
        .route("/consensus/transactions/{hash}", get(ledger::transaction))
        .route("/consensus/transactions/{hash}/proof", get(ledger::proof))
        .route("/consensus/blocks", get(ledger::blocks))
        .route("/consensus/blocks/{height}", get(ledger::block))
        .route("/consensus/stream", get(ledger::follow))
        .route("/consensus/validators", get(ledger::validators))
        .route("/consensus/blocks/{height}/header", get(ledger::header))
        .route("/consensus/checkpoint", get(ledger_history::checkpoint))
        .route("/consensus/epochs", get(ledger_history::epochs))
        .route("/consensus/status", get(ledger::status))
        .route("/consensus/accounts/{id}", get(ledger::account))
        .route("/consensus/snapshots/{*id}", get(ledger::snapshot))
        .route("/consensus/genesis", get(ledger::genesis_file))
}

/// Health, metrics, and the pages of errors.
fn operations() -> Router<Shared> {
    Router::new()
        .route("/health", get(health::health))
        .route("/livez", get(health::live))
        .route("/health/live", get(health::live))
        .route("/ready", get(health::ready))
        .route("/readyz", get(health::ready))
        .route("/health/ready", get(health::ready))
        .route("/cluster/status", get(status::status))
        .route("/node/info", get(status::info))
        .route("/metrics", get(metrics::metrics))
        .route("/errors/{*slug}", get(health::error_page))
}
