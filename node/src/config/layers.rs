//! The layers of a configuration and how they are laid over each other.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::diagnostic::{Diagnostic, Origin, Report};
use super::schema::{KEYS, Key, Kind};
use super::suggest::nearest;
use super::tree::{self, Content, Place, Source, Tree};
use super::value::{self, Value};

/// The prefix of environment variables that name keys.
const ENV_PREFIX: &str = "DECUBE__";

/// Where values may come from, from the weakest to the strongest.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    /// The file as the user named it, and its text.
    pub file: Option<(String, String)>,
    /// Environment variables; those without our prefix are passed over.
    pub env: Vec<(String, String)>,
    /// `KEY=VALUE` of each `--set`, in order.
    pub set: Vec<String>,
}

impl Layers {
    /// Reads the file and the environment of this process.
    pub fn of_process(file: Option<PathBuf>, set: Vec<String>) -> std::io::Result<Self> {
        let file = match file {
            Some(path) => Some((path.display().to_string(), std::fs::read_to_string(&path)?)),
            None => None,
        };
        // A variable that is not valid text cannot be one of ours.
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Ok(Self { file, env, set })
    }

    /// The value of each key, or every error in every layer.
    pub fn resolve(&self) -> Result<Resolved, Report> {
        let mut gather = Gather::default();
        for key in KEYS {
            if let Some(text) = key.default {
                let value = value::parse_scalar(key.kind, text);
                let value = value.expect("defaults are valid: a test reads them all");
                gather.values.insert(key.path, (value, Origin::Default));
            }
        }
        if let Some((file, text)) = &self.file {
            gather.file(Source { file, text });
        }
        let mut env: Vec<_> = self
            .env
            .iter()
            .filter(|(name, _)| name.starts_with(ENV_PREFIX))
            .collect();
        env.sort();
        for (name, text) in env {
            let path = name[ENV_PREFIX.len()..]
                .to_ascii_lowercase()
                .replace("__", ".");
            gather.text(&path, text, Origin::Env { name: name.clone() });
        }
        for text in &self.set {
            gather.set(text);
        }
        gather.twins();
        Report::check(gather.errors)?;
        Ok(Resolved {
            values: gather.values,
        })
    }
}

/// Each key's value and where it came from.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    values: BTreeMap<&'static str, (Value, Origin)>,
}

impl Resolved {
    /// The value of a key.
    pub fn get(&self, path: &str) -> Option<&Value> {
        debug_assert!(Key::find(path).is_some(), "a key of the table: {path}");
        self.values.get(path).map(|(value, _)| value)
    }

    /// Where the value of a key came from; keys without a value are at their
    /// default.
    pub fn origin(&self, path: &str) -> Origin {
        self.values
            .get(path)
            .map_or(Origin::Default, |(_, origin)| origin.clone())
    }
}

#[derive(Default)]
struct Gather {
    values: BTreeMap<&'static str, (Value, Origin)>,
    errors: Vec<Diagnostic>,
}

impl Gather {
    fn file(&mut self, source: Source<'_>) {
        match tree::parse(source) {
            Ok(root) => {
                // The same key by its name and by an alias would silently win by order.
                let mut seen = BTreeMap::new();
                self.subtree(source, "", root.place, &root, &mut seen);
            }
            Err(error) => self.errors.push(error),
        }
    }

    fn subtree(
        &mut self,
        source: Source<'_>,
        path: &str,
        at: Place,
        tree: &Tree,
        seen: &mut BTreeMap<&'static str, usize>,
    ) {
        if let Some(key) = Key::find(path) {
            if let Some(line) = seen.insert(key.path, at.line) {
                let message = format!(
                    "`{path}` sets `{}`, which line {line} sets already",
                    key.path
                );
                self.errors
                    .push(Diagnostic::new(source.origin(at), message));
                return;
            }
            return self.leaf(source, key, path, tree);
        }
        let known = path.is_empty() || is_section(path);
        match &tree.content {
            _ if !known => self.unknown(path, source.origin(at)),
            Content::Map(pairs) => {
                for (name, at, value) in pairs {
                    let path = if path.is_empty() {
                        name.clone()
                    } else {
                        format!("{path}.{name}")
                    };
                    self.subtree(source, &path, *at, value, seen);
                }
            }
            Content::Scalar { text, plain: true }
                if text.is_empty() || text == "~" || text == "null" => {}
            _ => {
                let what = if path.is_empty() { "the file" } else { path };
                let message = format!("`{what}` must hold keys, not a value");
                self.errors
                    .push(Diagnostic::new(source.origin(tree.place), message));
            }
        }
    }

    fn leaf(&mut self, source: Source<'_>, key: &'static Key, path: &str, tree: &Tree) {
        let origin = source.origin(tree.place);
        let value = match (&tree.content, key.kind) {
            (Content::Scalar { plain: true, text }, _)
                if text.is_empty() || text == "~" || text == "null" =>
            {
                Err("must have a value; remove the line to use the default".to_owned())
            }
            (Content::Scalar { text, .. }, Kind::List | Kind::Peers) => {
                Err(format!("must be a list, found `{text}`"))
            }
            (Content::Scalar { text, .. }, kind) => value::parse_scalar(kind, text),
            (Content::List(items), Kind::List) => list(items),
            (Content::List(items), Kind::Peers) => {
                return self.peers(source, key, path, items, origin);
            }
            (Content::List(_), _) => Err("must be one value, not a list".to_owned()),
            (Content::Map(_), _) => Err("must be one value, not a section".to_owned()),
        };
        self.take(key, path, value, origin);
    }

    fn peers(
        &mut self,
        source: Source<'_>,
        key: &'static Key,
        path: &str,
        items: &[Tree],
        origin: Origin,
    ) {
        let mut peers = Vec::new();
        for (place, item) in items.iter().enumerate() {
            match peer_fields(source, item) {
                Ok((id, addr)) => {
                    let id_text = id.1;
                    match (value::node_id(id_text), value::peer_address(addr.1)) {
                        (Ok(id), Ok(addr)) => peers.push(value::Peer { id, addr }),
                        (id_read, addr_read) => {
                            for (name, at, error) in [
                                ("id", id.0, id_read.err()),
                                ("addr", addr.0, addr_read.err()),
                            ] {
                                if let Some(error) = error {
                                    let message = format!("`{path}[{place}].{name}` {error}");
                                    self.errors
                                        .push(Diagnostic::new(source.origin(at), message));
                                }
                            }
                        }
                    }
                }
                Err(error) => self.errors.push(error),
            }
        }
        self.values.insert(key.path, (Value::Peers(peers), origin));
    }

    fn set(&mut self, text: &str) {
        let origin = Origin::Argument {
            text: format!("--set {}", redacted(text)),
        };
        match text.split_once('=') {
            Some((path, value)) => self.text(path, value, origin),
            None => {
                let error = Diagnostic::new(origin, "`--set` needs KEY=VALUE");
                self.errors
                    .push(error.help("for example --set api.rest.bind_addr=127.0.0.1:8080"));
            }
        }
    }

    fn text(&mut self, path: &str, text: &str, origin: Origin) {
        match Key::find(path) {
            Some(key) => {
                let value = value::parse_scalar(key.kind, text);
                self.take(key, path, value, origin);
            }
            None => self.unknown(path, origin),
        }
    }

    fn take(
        &mut self,
        key: &'static Key,
        path: &str,
        value: Result<Value, String>,
        origin: Origin,
    ) {
        match value {
            Ok(value) => {
                self.values.insert(key.path, (value, origin));
            }
            Err(reason) => {
                let error = Diagnostic::new(origin, format!("`{path}` {reason}"));
                self.errors.push(error);
            }
        }
    }

    fn unknown(&mut self, path: &str, origin: Origin) {
        let error = Diagnostic::new(origin, format!("unknown key `{path}`"));
        let words = KEYS
            .iter()
            .flat_map(|key| key.aliases.iter().chain([&key.path]))
            .copied();
        let sections = words.clone().flat_map(prefixes);
        let help = match nearest(path, words.chain(sections)) {
            Some(word) => format!("did you mean `{word}`?"),
            None => "`decube config show` lists every key".to_owned(),
        };
        self.errors.push(error.help(help));
    }

    /// Reads the files of secrets, unless the secret itself was given too.
    fn twins(&mut self) {
        for key in KEYS.iter().filter(|key| key.kind == Kind::Secret) {
            let twin = KEYS
                .iter()
                .find(|twin| twin.path.strip_suffix("_file") == Some(key.path));
            let Some((Value::Text(file), origin)) =
                twin.and_then(|twin| self.values.get(twin.path))
            else {
                continue;
            };
            let (file, origin) = (file.clone(), origin.clone());
            if self.values.contains_key(key.path) {
                let message = format!("both `{0}` and `{0}_file` are given", key.path);
                self.errors
                    .push(Diagnostic::new(origin, message).help("keep the file"));
                continue;
            }
            match std::fs::read_to_string(&file) {
                Ok(text) => {
                    let secret = value::Secret(text.trim_end_matches(['\r', '\n']).to_owned());
                    self.values
                        .insert(key.path, (Value::Secret(secret), origin));
                }
                Err(error) => {
                    let message = format!("`{}_file`: cannot read {file}: {error}", key.path);
                    self.errors.push(Diagnostic::new(origin, message));
                }
            }
        }
    }
}

fn list(items: &[Tree]) -> Result<Value, String> {
    let texts = items.iter().map(|item| match &item.content {
        Content::Scalar { text, .. } if !text.is_empty() => Ok(text.clone()),
        _ => Err("must be a list of texts".to_owned()),
    });
    Ok(Value::List(texts.collect::<Result<_, _>>()?))
}

type Field<'a> = (Place, &'a str);

fn peer_fields<'a>(
    source: Source<'_>,
    item: &'a Tree,
) -> Result<(Field<'a>, Field<'a>), Diagnostic> {
    let shape = "each node needs `id` and `addr`";
    let Content::Map(pairs) = &item.content else {
        return Err(Diagnostic::new(source.origin(item.place), shape));
    };
    let mut found: [Option<Field<'a>>; 2] = [None, None];
    for (name, at, value) in pairs {
        let slot = match (name.as_str(), &value.content) {
            ("id", Content::Scalar { text, .. }) => (0, text),
            ("addr", Content::Scalar { text, .. }) => (1, text),
            ("id" | "addr", _) => return Err(Diagnostic::new(source.origin(*at), shape)),
            _ => {
                let error = Diagnostic::new(
                    source.origin(*at),
                    format!("unknown field `{name}` of a node"),
                );
                return Err(match nearest(name, ["id", "addr"]) {
                    Some(word) => error.help(format!("did you mean `{word}`?")),
                    None => error.help(shape),
                });
            }
        };
        found[slot.0] = Some((value.place, slot.1.as_str()));
    }
    let [Some(id), Some(addr)] = found else {
        return Err(Diagnostic::new(source.origin(item.place), shape));
    };
    Ok((id, addr))
}

fn is_section(path: &str) -> bool {
    let inside = |key: &str| {
        key.strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    KEYS.iter()
        .any(|key| inside(key.path) || key.aliases.iter().any(|alias| inside(alias)))
}

fn prefixes(path: &'static str) -> impl Iterator<Item = &'static str> {
    path.match_indices('.').map(|(end, _)| &path[..end])
}

/// `--set` texts are shown in errors; a secret's value must not be.
fn redacted(text: &str) -> String {
    match text.split_once('=') {
        Some((path, _)) if Key::find(path).is_some_and(|key| key.kind == Kind::Secret) => {
            format!("{path}=[REDACTED]")
        }
        _ => text.to_owned(),
    }
}
