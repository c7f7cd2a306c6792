//! A configuration for people.

use std::fmt::Write;

use super::Loaded;
use super::diagnostic::Origin;
use super::layers::Resolved;
use super::schema::{Effect, KEYS, Key};
use super::suggest::nearest;

/// All keys with a value as a file that would load again, each with its origin.
/// Secrets are redacted.
pub fn show(loaded: &Loaded) -> String {
    let mut out = String::new();
    let mut open: Vec<&str> = Vec::new();
    for key in KEYS {
        let Some(value) = loaded.resolved.get(key.path) else {
            continue;
        };
        let mut parts: Vec<&str> = key.path.split('.').collect();
        let name = parts.pop().expect("a path has a last part");
        let shared = open.iter().zip(&parts).take_while(|(a, b)| a == b).count();
        for (depth, section) in parts.iter().enumerate().skip(shared) {
            let _ = writeln!(out, "{:indent$}{section}:", "", indent = depth * 2);
        }
        let indent = parts.len() * 2;
        let origin = loaded.resolved.origin(key.path);
        let _ = writeln!(out, "{:indent$}{name}: {value}  # {origin}", "");
        open = parts;
    }
    out
}

/// What a key means, what it is and where its value came from; the error
/// suggests a key.
pub fn explain(resolved: &Resolved, path: &str) -> Result<String, String> {
    let Some(key) = Key::find(path) else {
        let help = match nearest(path, KEYS.iter().map(|key| key.path)) {
            Some(word) => format!("did you mean `{word}`?"),
            None => "`decube config show` lists every key".to_owned(),
        };
        return Err(format!("unknown key `{path}`; {help}"));
    };
    let mut out = String::new();
    let about = key.about.split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = writeln!(out, "{}\n  {about}", key.path);
    let _ = writeln!(out, "  type:        {}", key.kind.describe());
    let _ = writeln!(out, "  default:     {}", key.default.unwrap_or("none"));
    let _ = writeln!(out, "  environment: {}", key.env_name());
    if !key.aliases.is_empty() {
        let _ = writeln!(out, "  also:        {}", key.aliases.join(", "));
    }
    if let Effect::NotYet(reason) = key.effect {
        let _ = writeln!(out, "  no effect:   {reason}");
    }
    match resolved.get(key.path) {
        Some(value) => {
            let _ = writeln!(out, "  value:       {value}");
            let _ = writeln!(out, "  from:        {}", resolved.origin(key.path));
        }
        None => out.push_str("  value:       not set\n"),
    }
    Ok(out)
}

/// What a user should know of a configuration that is valid: keys that were set
/// and have no effect, and secrets in the open.
pub fn notes(loaded: &Loaded) -> Vec<String> {
    let mut notes = Vec::new();
    for key in KEYS {
        let origin = loaded.resolved.origin(key.path);
        if let (Effect::NotYet(reason), true) = (key.effect, origin != Origin::Default) {
            notes.push(format!("{origin}: `{}` has no effect: {reason}", key.path));
        }
    }
    for key in KEYS
        .iter()
        .filter(|key| key.kind == super::schema::Kind::Secret)
    {
        let origin = loaded.resolved.origin(key.path);
        let from_twin = origin == loaded.resolved.origin(&format!("{}_file", key.path));
        if origin != Origin::Default && !from_twin {
            notes.push(format!(
                "{origin}: `{0}` is a secret in the open; prefer `{0}_file`",
                key.path
            ));
        }
    }
    if loaded.settings.cluster.peers.is_empty() && !loaded.settings.cluster.join {
        notes.push("`cluster.peers` is empty: this node begins a cluster of one".to_owned());
    }
    notes
}
