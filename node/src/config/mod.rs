//! The configuration of a node: one table of keys, layers with provenance, and
//! errors that point at the place to edit.
//!
//! A value comes from the last layer that names it: the built-in default, the
//! file, the environment (`DECUBE__CLUSTER__RAFT__BIND_ADDR`), `--set a.b=c`. Every
//! value remembers where it came from, so that `decube config explain` can tell.
//!
//! The whitepaper's keys load word for word, and so do the keys of the published
//! example configurations. A key that is known and has no effect in this release
//! is reported by `decube config check`; a key that is not known is an error.
//!
//! | file | what it holds |
//! |---|---|
//! | `schema` | the table of keys: type, default, meaning, effect |
//! | `tree` | YAML text to a tree with positions |
//! | `layers` | file, environment and arguments to values with origins |
//! | `value` | text to typed values |
//! | `settings` | the typed result and what must hold between keys |
//! | `show` | the result for people |
//! | `diagnostic`, `suggest` | errors with position, caret and suggestion |

mod diagnostic;
mod layers;
mod schema;
mod settings;
mod show;
mod suggest;
#[cfg(test)]
mod tests;
mod tree;
mod value;

pub use diagnostic::{Diagnostic, Origin, Report};
pub use layers::{Layers, Resolved};
pub use schema::{Effect, KEYS, Key, Kind};
pub use settings::{
    ApiSettings, ClusterSettings, LimitSettings, LogFormat, LogSettings, RecordSettings, Settings,
    StorageSettings,
};
pub use show::{explain, notes, show};
pub use value::{Peer, Secret, Value, bytes, node_id, socket_addr};

/// A configuration that passed every check.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The typed values.
    pub settings: Settings,
    /// Each key's value and where it came from.
    pub resolved: Resolved,
}

/// Resolves all layers and checks the result. The report holds every error
/// found, not only the first.
pub fn load(layers: &Layers) -> Result<Loaded, Report> {
    let resolved = layers.resolve()?;
    let settings = Settings::from_resolved(&resolved)?;
    Ok(Loaded { settings, resolved })
}
