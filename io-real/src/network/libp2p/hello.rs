//! Who is at the other end of a stream.
//!
//! The opener shows its certificate first. The acceptor answers with its own, or
//! with the reason why it will not: a stranger learns only that it is one.

use std::io;

use bytes::Bytes;
use decube_core::codec::{Decode, DecodeError, Encode, Reader, Writer};
use decube_core::crypto::{NodeCert, TransportKey};
use decube_core::types::NodeId;
use libp2p::PeerId;
use libp2p::identity::{PublicKey, ed25519};
use tokio::io::{AsyncRead, AsyncWrite};

use super::frame;
use super::shared::Shared;

/// The version of the protocols behind the hello. Versions differ only when old
/// and new cannot talk at all; smaller changes negotiate inside.
pub(super) const VERSION: u16 = 3;
/// More than any hello needs.
const HELLO_BYTES_MAX: usize = 512;

/// Why a peer is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// It speaks another version.
    #[error("it speaks another version of the protocol")]
    Version,
    /// It belongs to another cluster, or its certificate is not its own.
    #[error("its certificate is not valid here")]
    Certificate,
    /// It is not a peer of this node.
    #[error("it is not a peer of this node")]
    Stranger,
}

/// What a peer said that refuses this node.
#[derive(Debug, thiserror::Error)]
#[error("the peer refuses this node: {0}")]
struct RefusedByPeer(Refusal);

/// Whether a hello failed because the two sides speak different versions, whichever
/// noticed.
pub(super) fn is_other_version(error: &io::Error) -> bool {
    let Some(reason) = error.get_ref() else {
        return false;
    };
    let own = reason.downcast_ref::<Refusal>();
    let theirs = reason.downcast_ref::<RefusedByPeer>();
    own.or(theirs.map(|RefusedByPeer(reason)| reason)) == Some(&Refusal::Version)
}

/// The first words of either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Hello {
    Welcome { version: u16, cert: Box<NodeCert> },
    Refused(Refusal),
}

/// Introduces this node on a stream that it opened, and learns who answers.
pub(super) async fn open(
    shared: &Shared,
    peer: PeerId,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<NodeId> {
    frame::write(stream, shared.hello()).await?;
    finish_open(shared, peer, stream).await
}

/// The second half of [`open`], for protocols that say more before they listen.
pub(super) async fn finish_open(
    shared: &Shared,
    peer: PeerId,
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<NodeId> {
    match read(stream).await? {
        Hello::Refused(reason) => {
            let reason = RefusedByPeer(reason);
            Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
        }
        Hello::Welcome { version, cert } => {
            let node = shared.identify(peer, version == VERSION, *cert);
            node.map_err(|reason| io::Error::new(io::ErrorKind::PermissionDenied, reason))
        }
    }
}

/// Learns who opened a stream, and introduces this node to it.
pub(super) async fn accept(
    shared: &Shared,
    peer: PeerId,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<NodeId> {
    let Hello::Welcome { version, cert } = read(stream).await? else {
        return Err(frame::invalid("a hello that refuses before it is asked"));
    };
    let claimed = cert.node_key.node_id();
    match shared.identify(peer, version == VERSION, *cert) {
        Ok(node) => {
            frame::write(stream, shared.hello()).await?;
            Ok(node)
        }
        Err(reason) => {
            if reason == Refusal::Version {
                shared.warn_of_version(claimed);
            }
            frame::write(stream, &Hello::Refused(reason).to_bytes()).await?;
            Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
        }
    }
}

/// This node's own hello.
pub(super) fn own(cert: NodeCert) -> Bytes {
    let cert = Box::new(cert);
    let version = VERSION;
    Hello::Welcome { version, cert }.to_bytes()
}

/// Whether a transport key is the one that a connection proved.
pub(super) fn is_key_of(key: &TransportKey, peer: PeerId) -> bool {
    let key = ed25519::PublicKey::try_from_bytes(&key.0);
    key.is_ok_and(|key| PublicKey::from(key).to_peer_id() == peer)
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Hello> {
    let bytes = frame::read(stream, HELLO_BYTES_MAX).await?;
    Hello::from_bytes(&bytes).map_err(|_| frame::invalid("an undecodable hello"))
}

// Not derived: the reason of a refusal is its tag.
impl Encode for Hello {
    fn encode(&self, writer: &mut Writer) {
        match self {
            Self::Welcome { version, cert } => {
                writer.u8(0);
                writer.u16(*version);
                writer.put(&**cert);
            }
            Self::Refused(Refusal::Version) => writer.u8(1),
            Self::Refused(Refusal::Certificate) => writer.u8(2),
            Self::Refused(Refusal::Stranger) => writer.u8(3),
        }
    }

    fn size_hint(&self) -> usize {
        match self {
            Self::Welcome { version, cert } => {
                let sizes = [1, version.size_hint(), cert.size_hint()];
                sizes.into_iter().sum()
            }
            Self::Refused(_) => 1,
        }
    }
}

impl Decode for Hello {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match reader.u8()? {
            0 => Ok(Self::Welcome {
                version: reader.u16()?,
                cert: Box::new(reader.get()?),
            }),
            1 => Ok(Self::Refused(Refusal::Version)),
            2 => Ok(Self::Refused(Refusal::Certificate)),
            3 => Ok(Self::Refused(Refusal::Stranger)),
            tag => Err(DecodeError::UnknownTag { what: "hello", tag }),
        }
    }
}
