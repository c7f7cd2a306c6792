//! The certificate that binds a node's P-256 key to the Ed25519 key of its
//! transport.
//!
//! A node is known by its P-256 key; libp2p speaks with an Ed25519 key, because
//! other implementations support P-256 peer ids unevenly. A [`NodeCert`] is the
//! P-256 key's statement "this transport key is mine, in this cluster".
//!
//! The transport key itself does not sign: a node could certify somebody else's
//! transport key. So a certificate counts only on a connection whose handshake
//! proved possession of that transport key, and [`NodeCert::verify`] takes the
//! key that the handshake proved.

use core::fmt;

use super::hex;
use super::key::PublicKey;
use super::preimage::{Domain, Preimage, Scope};
use super::sign::{Signer, Verifier};
use super::signature::Signature;
use crate::codec::{Decode, Encode};
use crate::types::{ClusterId, NodeId};

/// The 32 bytes of an Ed25519 public key. Opaque here: the transport that uses
/// the key checks that it is a valid one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct TransportKey(pub [u8; 32]);

/// A certificate as it arrives: nothing in it may be believed before
/// [`NodeCert::verify`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NodeCert {
    /// The cluster that the node belongs to.
    pub cluster: ClusterId,
    /// The node's identity.
    pub node_key: PublicKey,
    /// The key that it speaks with.
    pub transport_key: TransportKey,
    /// Counts the node's transport keys: a higher generation replaces all lower
    /// ones. Who keeps certificates refuses to go back.
    pub generation: u64,
    /// The signature of `node_key` over all fields above.
    pub signature: Signature,
}

/// A certificate that was verified. Only [`NodeCert::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCert {
    cert: NodeCert,
    node_id: NodeId,
}

/// Why a certificate was refused. Nothing was changed; the connection that
/// brought it is to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertError {
    /// It is a certificate of another cluster.
    #[error("the certificate belongs to another cluster")]
    OtherCluster,
    /// The connection proved possession of another transport key.
    #[error("the certificate names another transport key than the connection")]
    OtherTransportKey,
    /// The signature is not that of the node's key over these fields.
    #[error("the certificate's signature does not verify")]
    BadSignature,
}

impl NodeCert {
    /// Issues the certificate of the signer's own transport key.
    pub fn issue(
        signer: &dyn Signer,
        cluster: ClusterId,
        transport_key: TransportKey,
        generation: u64,
    ) -> Self {
        let node_key = *signer.public_key();
        let preimage = Self::preimage(cluster, &node_key, &transport_key, generation);
        Self {
            cluster,
            node_key,
            transport_key,
            generation,
            signature: signer.sign(&preimage),
        }
    }

    /// Believes the certificate if it is of this cluster, names the transport key
    /// that the connection's handshake proved, and is signed by its node key.
    pub fn verify(
        self,
        verifier: &dyn Verifier,
        cluster: ClusterId,
        proven_transport_key: &TransportKey,
    ) -> Result<VerifiedCert, CertError> {
        if self.cluster != cluster {
            return Err(CertError::OtherCluster);
        }
        if self.transport_key != *proven_transport_key {
            return Err(CertError::OtherTransportKey);
        }
        // The costly check comes last.
        let preimage = Self::preimage(
            self.cluster,
            &self.node_key,
            &self.transport_key,
            self.generation,
        );
        verifier
            .verify(&self.node_key, &preimage, &self.signature)
            .map_err(|_| CertError::BadSignature)?;
        let node_id = self.node_key.node_id();
        Ok(VerifiedCert {
            cert: self,
            node_id,
        })
    }

    /// What is signed. The fields are all of fixed width.
    fn preimage(
        cluster: ClusterId,
        node_key: &PublicKey,
        transport_key: &TransportKey,
        generation: u64,
    ) -> Preimage {
        Preimage::new(Domain::NodeCert, Scope::Cluster(cluster))
            .put(node_key)
            .bytes(&transport_key.0)
            .u64(generation)
    }
}

impl VerifiedCert {
    /// The node, derived from its key.
    pub const fn node_id(&self) -> NodeId {
        self.node_id
    }

    /// The certificate.
    pub const fn cert(&self) -> &NodeCert {
        &self.cert
    }
}

impl fmt::Display for TransportKey {
    /// 64 lowercase hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, &self.0)
    }
}

impl fmt::Debug for TransportKey {
    /// The first eight digits: enough for a log line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TransportKey#")?;
        hex::write(f, &self.0[..4])
    }
}
