//! Text to typed values.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use decube_core::types::NodeId;

use super::schema::Kind;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

/// Another node of the cluster, or this one as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its id, as `decube node id` prints it.
    pub id: NodeId,
    /// Where it is reached, `host:port`.
    pub addr: String,
}

/// A typed value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text, a word of a list, an address, a path.
    Text(String),
    /// Text that is never shown.
    Secret(Secret),
    /// Yes or no.
    Bool(bool),
    /// A count, or a number of bytes.
    Count(u64),
    /// A length of time.
    Duration(Duration),
    /// A list of texts.
    List(Vec<String>),
    /// A list of nodes.
    Peers(Vec<Peer>),
}

impl fmt::Display for Value {
    /// As it is written in a file; secrets as `"[REDACTED]"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Secret(_) => f.write_str("\"[REDACTED]\""),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Duration(span) => f.write_str(&duration_text(*span)),
            Self::List(items) => write!(f, "{items:?}"),
            Self::Peers(peers) => {
                f.write_str("[")?;
                for (place, peer) in peers.iter().enumerate() {
                    let comma = if place > 0 { ", " } else { "" };
                    write!(f, "{comma}{{ id: \"{}\", addr: {:?} }}", peer.id, peer.addr)?;
                }
                f.write_str("]")
            }
        }
    }
}

/// Reads the text of one scalar. The error is a sentence without its subject:
/// "must be ...".
pub fn parse_scalar(kind: Kind, text: &str) -> Result<Value, String> {
    let value = match kind {
        Kind::Text => Value::Text(nonempty(text)?),
        Kind::Secret => Value::Secret(Secret(text.to_owned())),
        Kind::Path => Value::Text(nonempty(text)?),
        Kind::Word(words) => word(words, text)?,
        Kind::Address => Value::Text(address(text)?),
        Kind::Url => Value::Text(url(text)?),
        Kind::Bool => Value::Bool(boolean(text)?),
        Kind::Count { min, max } => Value::Count(in_range(count(text)?, min, max)?),
        Kind::Bytes { min, max } => Value::Count(in_range(bytes(text)?, min, max)?),
        Kind::Duration { min_ms, max_ms } => Value::Duration(duration(text, min_ms, max_ms)?),
        Kind::List => Value::List(split(text).map(str::to_owned).collect()),
        Kind::Peers => Value::Peers(split(text).map(peer_pair).collect::<Result<_, _>>()?),
    };
    Ok(value)
}

/// A node of a peers list from its two fields.
pub fn peer(id: &str, addr: &str) -> Result<Peer, String> {
    Ok(Peer {
        id: node_id(id)?,
        addr: peer_address(addr)?,
    })
}

/// A node id from its 32 hexadecimal digits.
pub fn node_id(text: &str) -> Result<NodeId, String> {
    let hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = hex.then(|| u128::from_str_radix(text, 16).ok()).flatten();
    id.map(NodeId).ok_or_else(|| {
        format!("must be the 32 hexadecimal digits that `decube node id` prints, found `{text}`")
    })
}

/// `host:port`, from that or from a libp2p address over TCP.
pub fn peer_address(text: &str) -> Result<String, String> {
    let refuse =
        || format!("must be an address like node-2:7000 or /ip4/10.0.0.2/tcp/7000, found `{text}`");
    if !text.starts_with('/') {
        let (host, port) = split_host_port(text).ok_or_else(refuse)?;
        return Ok(join_host_port(host, port));
    }
    let parts: Vec<&str> = text.split('/').skip(1).collect();
    let [scheme, host, "tcp", port] = parts[..] else {
        return Err(refuse());
    };
    let host_ok = match scheme {
        "ip4" => host.parse::<std::net::Ipv4Addr>().is_ok(),
        "ip6" => host.parse::<std::net::Ipv6Addr>().is_ok(),
        "dns" | "dns4" | "dns6" => !host.is_empty() && !host.contains(':'),
        _ => false,
    };
    match port.parse() {
        Ok(port) if host_ok => Ok(join_host_port(host, port)),
        _ => Err(refuse()),
    }
}

fn join_host_port(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

/// The first socket address that `host:port` (or `:port` for all interfaces)
/// names.
pub fn socket_addr(text: &str) -> std::io::Result<SocketAddr> {
    let full = match text.strip_prefix(':') {
        Some(port) => format!("0.0.0.0:{port}"),
        None => text.to_owned(),
    };
    let mut found = full.to_socket_addrs()?;
    found
        .next()
        .ok_or_else(|| std::io::Error::other(format!("{text} names no address")))
}

/// The largest unit that divides a length of time: `1h30m` is never written,
/// `90m` is.
pub fn duration_text(span: Duration) -> String {
    let ms = span.as_millis();
    let units = [(3_600_000, "h"), (60_000, "m"), (1000, "s")];
    match units.iter().find(|(unit, _)| ms > 0 && ms % unit == 0) {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None => format!("{ms}ms"),
    }
}

/// Bytes with an optional binary or decimal unit: `64MiB`, `10MB`, `512`.
pub fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        "tib" | "t" => 1 << 40,
        _ => return Err(format!("must be a size like 64MiB, found `{text}`")),
    };
    let number: Option<u64> = number.parse().ok();
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| format!("must be a size like 64MiB, found `{text}`"))
}

fn nonempty(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    Ok(text.to_owned())
}

fn word(words: &[&str], text: &str) -> Result<Value, String> {
    if words.contains(&text) {
        return Ok(Value::Text(text.to_owned()));
    }
    Err(format!(
        "must be one of {}, found `{text}`",
        words.join(", ")
    ))
}

fn split_host_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let host_ok = bare
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b".-_:".contains(&b));
    (host_ok && !bare.is_empty()).then_some(())?;
    Some((bare, port.parse().ok()?))
}

fn address(text: &str) -> Result<String, String> {
    let all_interfaces = text
        .strip_prefix(':')
        .is_some_and(|port| port.parse::<u16>().is_ok());
    if all_interfaces || split_host_port(text).is_some() {
        return Ok(text.to_owned());
    }
    Err(format!(
        "must be an address like 0.0.0.0:8080, found `{text}`"
    ))
}

fn url(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(char::is_whitespace) => {
            Ok(text.to_owned())
        }
        _ => Err(format!(
            "must be a URL like http://cas:9000, found `{text}`"
        )),
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("must be true or false, found `{text}`")),
    }
}

fn count(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("must be a whole number, found `{text}`"))
}

fn in_range(number: u64, min: u64, max: u64) -> Result<u64, String> {
    if (min..=max).contains(&number) {
        return Ok(number);
    }
    Err(format!("must be between {min} and {max}, found {number}"))
}

fn duration(text: &str, min_ms: u64, max_ms: u64) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let number: Option<u64> = number.parse().ok();
    let ms = number
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor));
    let ms = ms.ok_or_else(|| format!("must be a time like 500ms or 2s, found `{text}`"))?;
    let span = Duration::from_millis(ms);
    if (min_ms..=max_ms).contains(&ms) {
        return Ok(span);
    }
    let min = duration_text(Duration::from_millis(min_ms));
    let max = duration_text(Duration::from_millis(max_ms));
    Err(format!(
        "must be between {min} and {max}, found {}",
        duration_text(span)
    ))
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

fn peer_pair(text: &str) -> Result<Peer, String> {
    let (id, addr) = text
        .split_once('=')
        .ok_or_else(|| format!("must be ID=ADDRESS pairs between commas, found `{text}`"))?;
    peer(id, addr)
}
