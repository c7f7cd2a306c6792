//! The secrets of a node.
//!
//! A key file is one line: what it holds, a space, and 64 hexadecimal digits. It
//! must be readable by its owner alone; a looser file is refused, because a key
//! that others could read is not only this node's any more.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use decube_core::crypto::{SecretBytes, SecretKey};
use decube_core::types::NodeId;
use rustix::fs::OFlags;

use super::{DataDirError, durable, io_error};

const IDENTITY: (&str, &str) = ("identity.key", "p256");
const TRANSPORT: (&str, &str) = ("transport.key", "ed25519");
/// Longer than any key file.
const FILE_BYTES_MAX: u64 = 256;

/// The keys of a node.
#[derive(Debug, Clone)]
pub struct NodeKeys {
    /// The key that the node is known by, on the ledger and in certificates.
    pub identity: SecretKey,
    /// The seed of the Ed25519 key that its connections are known by.
    pub transport: SecretBytes,
}

impl NodeKeys {
    /// The node that has these keys.
    pub fn node_id(&self) -> NodeId {
        self.identity.public_key().node_id()
    }

    /// Fresh keys from the operating system's entropy.
    pub fn generate() -> io::Result<Self> {
        Ok(Self {
            identity: SecretKey::from_entropy(&random_bytes()?),
            transport: random_bytes()?,
        })
    }
}

/// Reads the keys, and makes them if there are none and there may be none.
pub(super) fn load_or_create(directory: &Path, holds_log: bool) -> Result<NodeKeys, DataDirError> {
    let fresh = NodeKeys::generate().map_err(io_error(directory))?;
    let identity = directory.join(IDENTITY.0);
    let bytes = match load(&identity, IDENTITY.1)? {
        Some(bytes) => bytes,
        None if holds_log => return Err(DataDirError::LostKey { path: identity }),
        None => create(&identity, IDENTITY.1, fresh.identity.expose())?,
    };
    let what = "it is no P-256 key";
    let identity = SecretKey::from_bytes(&bytes).map_err(|_| DataDirError::DamagedKey {
        path: identity,
        what,
    })?;
    // A lost transport key costs nothing: the identity certifies a new one.
    let path = directory.join(TRANSPORT.0);
    let transport = match load(&path, TRANSPORT.1)? {
        Some(bytes) => bytes,
        None => create(&path, TRANSPORT.1, fresh.transport)?,
    };
    Ok(NodeKeys {
        identity,
        transport,
    })
}

/// Reads the key of a person or of a node from its file.
///
/// # Errors
/// There is none, others than its owner can read it, or it is damaged.
pub fn read_key(path: &Path) -> Result<SecretKey, DataDirError> {
    let Some(bytes) = load(path, IDENTITY.1)? else {
        return Err(io_error(path)(io::ErrorKind::NotFound.into()));
    };
    SecretKey::from_bytes(&bytes).map_err(|_| DataDirError::DamagedKey {
        path: path.to_owned(),
        what: "it is no P-256 key",
    })
}

/// Makes a fresh key and writes it to a file that did not exist.
///
/// # Errors
/// The file exists, or cannot be written.
pub fn create_key(path: &Path) -> Result<SecretKey, DataDirError> {
    if path.try_exists().map_err(io_error(path))? {
        return Err(io_error(path)(io::ErrorKind::AlreadyExists.into()));
    }
    let secret = SecretKey::from_entropy(&random_bytes().map_err(io_error(path))?);
    create(path, IDENTITY.1, secret.expose())?;
    Ok(secret)
}

fn create(path: &Path, kind: &str, secret: SecretBytes) -> Result<SecretBytes, DataDirError> {
    let digits = secret.as_bytes().iter().map(|byte| format!("{byte:02x}"));
    let text = format!("{kind} {}\n", digits.collect::<String>());
    durable::write_file(path, text.as_bytes(), 0o600)?;
    Ok(secret)
}

fn load(path: &Path, kind: &str) -> Result<Option<SecretBytes>, DataDirError> {
    // A link could point to a file that somebody else controls.
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("open flags fit a C int");
    let mut file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path)(error)),
    };
    let metadata = file.metadata().map_err(io_error(path))?;
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 || metadata.uid() != rustix::process::geteuid().as_raw() {
        let path = path.to_owned();
        return Err(DataDirError::Exposed { path, mode });
    }
    let mut text = String::new();
    (&mut file)
        .take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(io_error(path))?;
    parse(&text, kind)
        .map(Some)
        .ok_or_else(|| DataDirError::DamagedKey {
            path: path.to_owned(),
            what: "it is not one line of a key's kind and 64 hexadecimal digits",
        })
}

fn parse(text: &str, kind: &str) -> Option<SecretBytes> {
    let digits = text
        .strip_suffix('\n')?
        .strip_prefix(kind)?
        .strip_prefix(' ')?;
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(SecretBytes::new(bytes))
}

fn random_bytes() -> io::Result<SecretBytes> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(SecretBytes::new(bytes))
}
