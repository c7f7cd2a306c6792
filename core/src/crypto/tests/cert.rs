use super::signer;
use crate::codec::{Decode, Encode};
use crate::crypto::{CertError, NodeCert, P256Verifier, Signer, TransportKey};
use crate::types::ClusterId;

const CLUSTER: ClusterId = ClusterId(7);
const TRANSPORT: TransportKey = TransportKey([9; 32]);

fn honest() -> NodeCert {
    NodeCert::issue(&signer(1), CLUSTER, TRANSPORT, 3)
}

fn verify(cert: NodeCert) -> Result<crate::types::NodeId, CertError> {
    cert.verify(&P256Verifier, CLUSTER, &TRANSPORT)
        .map(|verified| verified.node_id())
}

#[test]
fn an_issued_certificate_verifies_and_names_its_node() {
    assert_eq!(verify(honest()), Ok(signer(1).public_key().node_id()));
    let verified = honest().verify(&P256Verifier, CLUSTER, &TRANSPORT).unwrap();
    assert_eq!(*verified.cert(), honest());
}

#[test]
fn every_altered_field_is_refused() {
    let other = signer(2);
    let forged = [
        (
            NodeCert {
                cluster: ClusterId(8),
                ..honest()
            },
            CertError::OtherCluster,
        ),
        (
            NodeCert {
                transport_key: TransportKey([8; 32]),
                ..honest()
            },
            CertError::OtherTransportKey,
        ),
        (
            NodeCert {
                node_key: *other.public_key(),
                ..honest()
            },
            CertError::BadSignature,
        ),
        (
            NodeCert {
                generation: 4,
                ..honest()
            },
            CertError::BadSignature,
        ),
        (
            NodeCert {
                signature: other.sign_bytes(b""),
                ..honest()
            },
            CertError::BadSignature,
        ),
    ];
    for (cert, error) in forged {
        assert_eq!(verify(cert.clone()), Err(error), "{cert:?}");
    }
}

/// A certificate of another cluster does not become ours by renaming it.
#[test]
fn a_certificate_can_not_move_to_another_cluster() {
    let foreign = NodeCert::issue(&signer(1), ClusterId(8), TRANSPORT, 3);
    assert_eq!(verify(foreign.clone()), Err(CertError::OtherCluster));
    let renamed = NodeCert {
        cluster: CLUSTER,
        ..foreign
    };
    assert_eq!(verify(renamed), Err(CertError::BadSignature));
}

/// Claiming somebody else's transport key is possible, speaking with it is not.
#[test]
fn a_claimed_transport_key_counts_only_on_its_own_connection() {
    let thief = NodeCert::issue(&signer(2), CLUSTER, TRANSPORT, 1);
    let own_connection = TransportKey([2; 32]);
    let verdict = thief.verify(&P256Verifier, CLUSTER, &own_connection);
    assert_eq!(verdict, Err(CertError::OtherTransportKey));
}

#[test]
fn the_encoding_round_trips_and_is_strict() {
    let bytes = honest().to_bytes();
    assert_eq!(NodeCert::from_bytes(&bytes), Ok(honest()));
    for end in 0..bytes.len() {
        assert!(NodeCert::from_slice(&bytes[..end]).is_err());
    }
    let mut longer = bytes.to_vec();
    longer.push(0);
    assert!(NodeCert::from_slice(&longer).is_err());
}
