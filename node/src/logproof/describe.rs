//! What an entry does, in words for a person who reads a verified proof.

use decube_core::codec::Decode as _;
use decube_core::kv::Op;
use decube_core::proof::{Payload, ProofEntry};
use decube_core::raft::{EntryKind, Membership};
use decube_core::replica::{Command, Envelope};

/// How many characters of a key or a value are shown.
const SHOWN_CHARS_MAX: usize = 60;

/// One line on what the entry does; its data was proven, so this is too.
pub fn describe(entry: &ProofEntry) -> String {
    let data = match &entry.payload {
        Payload::Data(data) => data,
        Payload::Omitted { len, digest } => {
            return format!("{len} bytes with SHA-256 {digest}, not shown");
        }
    };
    match entry.kind {
        EntryKind::Noop => "begins the term of a leader".to_owned(),
        EntryKind::Membership => match Membership::from_bytes(data) {
            Ok(membership) => format!(
                "sets the membership: {} voters, {} leaving, {} learners",
                membership.voters.len(),
                membership.outgoing.len(),
                membership.learners.len()
            ),
            Err(_) => unreadable(data.len()),
        },
        EntryKind::App => match Envelope::from_bytes(data) {
            Ok(envelope) => command(&envelope.command),
            Err(_) => unreadable(data.len()),
        },
    }
}

fn unreadable(len: usize) -> String {
    format!("{len} bytes that this version cannot read")
}

fn command(command: &Command) -> String {
    match command {
        Command::OpenSession { .. } => "opens a session".to_owned(),
        Command::CloseSession { session } => format!("closes session {}", session.0),
        Command::InSession {
            session, op: it, ..
        } => {
            format!("in session {}: {}", session.0, op(it))
        }
        Command::Once { op: it } => op(it),
        Command::Tick => "lets time pass".to_owned(),
        Command::Enable { module } => format!("switches module {module} on"),
    }
}

fn op(op: &Op) -> String {
    match op {
        Op::Put { key, value, .. } => {
            format!(
                "puts {} = {} ({} bytes)",
                show(key),
                show(value),
                value.len()
            )
        }
        Op::Delete { key, .. } => format!("deletes {}", show(key)),
        Op::DeleteRange { from, to } => format!("deletes {} up to {}", show(from), show(to)),
        Op::Txn { conditions, ops } => format!(
            "a transaction of {} conditions and {} changes",
            conditions.len(),
            ops.len()
        ),
        Op::LeaseGrant { .. } => "grants a lease".to_owned(),
        Op::LeaseRenew { lease } => format!("renews lease {}", lease.0),
        Op::LeaseRevoke { lease } => format!("ends lease {}", lease.0),
        Op::LockAcquire { name, lease } => format!("lease {} takes lock {}", lease.0, show(name)),
        Op::LockRelease { name, .. } => format!("releases lock {}", show(name)),
    }
}

/// Text in quotes with control characters escaped, other bytes in hexadecimal,
/// both cut: what users stored must not steer a terminal.
fn show(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().count() <= SHOWN_CHARS_MAX => format!("{text:?}"),
        Ok(text) => {
            let cut: String = text.chars().take(SHOWN_CHARS_MAX).collect();
            format!("{cut:?}…")
        }
        Err(_) => {
            let cut = bytes.len().min(SHOWN_CHARS_MAX / 2);
            let digits = decube_core::crypto::hex::encode(&bytes[..cut]);
            let more = if cut < bytes.len() { "…" } else { "" };
            format!("0x{digits}{more}")
        }
    }
}
