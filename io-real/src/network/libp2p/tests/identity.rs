//! Nobody is believed to be somebody else.

use decube_core::codec::{Decode as _, Encode as _};
use decube_core::crypto::{NodeCert, P256Signer, P256Verifier, TransportKey};
use decube_core::types::ClusterId;
use libp2p::PeerId;
use libp2p::identity::Keypair;
use tokio::sync::mpsc;

use super::super::frame;
use super::super::hello::{self, Hello, Refusal};
use super::super::shared::Shared;
use super::{ANY_PORT, Station};
use crate::data_dir::NodeKeys;
use crate::inbox::{PartSet, network_inbox};
use crate::ports::{NetworkEvent, Peer};

use std::sync::Arc;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn a_stranger_is_refused_until_it_is_let_in() {
    let (mut a, b) = (Station::new().await, Station::new().await);
    a.reach_for(b.id, b.address);
    while b.control.counters().strangers.load(Ordering::Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(a.events.try_recv(PartSet::ALL).is_none(), "not connected");
    b.let_in(a.id);
    assert_eq!(a.next().await, NetworkEvent::Up(Peer::of_cluster(b.id)));
}

#[tokio::test]
async fn a_node_of_another_cluster_is_refused() {
    let mut a = Station::new().await;
    let other = NodeKeys::generate().unwrap();
    let mut b = Station::with("another", other, ANY_PORT, ()).await;
    a.let_in(b.id);
    b.reach_for(a.id, a.address);
    a.reach_for(b.id, b.address);
    while b.control.counters().attempts.load(Ordering::Relaxed) < 3 {
        tokio::task::yield_now().await;
    }
    assert!(a.events.try_recv(PartSet::ALL).is_none() && b.events.try_recv(PartSet::ALL).is_none());
}

#[tokio::test]
async fn a_node_that_is_not_the_one_asked_for_is_not_taken_for_it() {
    let (mut a, b) = (Station::new().await, Station::new().await);
    b.let_in(a.id);
    a.let_in(b.id);
    // The address of one node, the name of another.
    let nobody = NodeKeys::generate().unwrap().node_id();
    a.reach_for(nobody, b.address);
    while a.control.counters().attempts.load(Ordering::Relaxed) < 3 {
        tokio::task::yield_now().await;
    }
    assert!(a.events.try_recv(PartSet::ALL).is_none());
}

/// A node's certificate, and the peer id that its transport key proves.
fn certificate(keys: &NodeKeys, transport: [u8; 32], generation: u64) -> (NodeCert, PeerId) {
    let keypair = Keypair::ed25519_from_bytes(transport).unwrap();
    let key = keypair.public().try_into_ed25519().unwrap().to_bytes();
    let signer = P256Signer::new(&keys.identity);
    let cluster = ClusterId::from_name("test");
    let cert = NodeCert::issue(&signer, cluster, TransportKey(key), generation);
    (cert, keypair.public().to_peer_id())
}

/// A node that lets `friend` in.
fn shared(friend: &NodeKeys) -> Shared {
    let own = NodeKeys::generate().unwrap();
    let (cert, _) = certificate(&own, [1; 32], 1);
    let address = "friend:1".parse().unwrap();
    let addresses = [(friend.node_id(), vec![address])].into();
    let (events, _) = network_inbox(1);
    let (commands, _) = mpsc::channel(1);
    Shared::new(
        cert,
        Arc::new(P256Verifier),
        addresses,
        Default::default(),
        events,
        commands,
    )
}

#[test]
fn a_certificate_counts_only_on_a_connection_with_its_key() {
    let friend = NodeKeys::generate().unwrap();
    let shared = shared(&friend);
    let (cert, peer) = certificate(&friend, [2; 32], 1);
    let (_, other_peer) = certificate(&friend, [3; 32], 1);
    let stolen = shared.identify(other_peer, true, cert.clone());
    assert_eq!(stolen, Err(Refusal::Certificate), "somebody shows a copy");
    assert_eq!(
        shared.identify(peer, false, cert.clone()),
        Err(Refusal::Version)
    );
    assert_eq!(
        shared.identify(peer, true, cert.clone()),
        Ok(friend.node_id())
    );
    assert_eq!(
        shared.identify(peer, true, cert.clone()),
        Ok(friend.node_id()),
        "again"
    );
    assert_eq!(
        shared.identify(other_peer, true, cert),
        Err(Refusal::Certificate)
    );
}

#[test]
fn a_certificate_that_was_tampered_with_is_refused() {
    let friend = NodeKeys::generate().unwrap();
    let shared = shared(&friend);
    let (cert, peer) = certificate(&friend, [2; 32], 1);
    let later = NodeCert {
        generation: 2,
        ..cert.clone()
    };
    assert_eq!(
        shared.identify(peer, true, later),
        Err(Refusal::Certificate)
    );
    let (_, mallory) = certificate(&friend, [9; 32], 1);
    let key = Keypair::ed25519_from_bytes([9; 32]).unwrap().public();
    let transport_key = TransportKey(key.try_into_ed25519().unwrap().to_bytes());
    let bound = NodeCert {
        transport_key,
        ..cert
    };
    assert_eq!(
        shared.identify(mallory, true, bound),
        Err(Refusal::Certificate)
    );
}

#[test]
fn a_replaced_certificate_does_not_come_back() {
    let friend = NodeKeys::generate().unwrap();
    let shared = shared(&friend);
    let (old, old_peer) = certificate(&friend, [2; 32], 1);
    let (new, new_peer) = certificate(&friend, [3; 32], 2);
    assert_eq!(
        shared.identify(old_peer, true, old.clone()),
        Ok(friend.node_id())
    );
    assert_eq!(shared.identify(new_peer, true, new), Ok(friend.node_id()));
    assert_eq!(shared.peer_of(friend.node_id()), Some(new_peer));
    assert_eq!(
        shared.identify(old_peer, true, old),
        Err(Refusal::Certificate)
    );
}

#[test]
fn a_stranger_makes_no_work() {
    let (friend, stranger) = (NodeKeys::generate().unwrap(), NodeKeys::generate().unwrap());
    let shared = shared(&friend);
    let (cert, peer) = certificate(&stranger, [2; 32], 1);
    assert_eq!(shared.identify(peer, true, cert), Err(Refusal::Stranger));
    assert_eq!(shared.counters.strangers.load(Ordering::Relaxed), 1);
}

#[test]
fn a_node_of_another_cluster_shows_a_certificate_of_its_own() {
    let friend = NodeKeys::generate().unwrap();
    let mut shared = shared(&friend);
    let keypair = Keypair::ed25519_from_bytes([2; 32]).unwrap();
    let key = TransportKey(keypair.public().try_into_ed25519().unwrap().to_bytes());
    let (peer, signer) = (
        keypair.public().to_peer_id(),
        P256Signer::new(&friend.identity),
    );
    let other = NodeCert::issue(&signer, ClusterId::from_name("other"), key, 1);
    let own = NodeCert::issue(&signer, ClusterId::from_name("test"), key, 1);
    let refused = Err(Refusal::Certificate);
    assert_eq!(
        shared.identify(peer, true, other.clone()),
        refused,
        "a stranger to this cluster"
    );
    shared.set_foreign([friend.node_id()].into());
    assert_eq!(
        shared.identify(peer, true, own),
        refused,
        "it would be a member"
    );
    assert_eq!(shared.identify(peer, true, other), Ok(friend.node_id()));
}

/// Says hello to `shared` in the name of `cert` with another version, and reads its answer.
async fn accepted(shared: &Shared, peer: PeerId, cert: &NodeCert) -> (Hello, std::io::Error) {
    let (mut here, mut there) = tokio::io::duplex(1 << 12);
    let hello = Hello::Welcome {
        version: hello::VERSION + 1,
        cert: Box::new(cert.clone()),
    };
    frame::write(&mut here, &hello.to_bytes()).await.unwrap();
    let error = hello::accept(shared, peer, &mut there).await.unwrap_err();
    let answer = frame::read(&mut here, 512).await.unwrap();
    (Hello::from_bytes(&answer).unwrap(), error)
}

#[tokio::test]
async fn another_version_is_told_once_until_it_is_gone() {
    let (friend, stranger) = (NodeKeys::generate().unwrap(), NodeKeys::generate().unwrap());
    let shared = shared(&friend);
    let (cert, peer) = certificate(&friend, [2; 32], 1);
    let (answer, error) = accepted(&shared, peer, &cert).await;
    assert_eq!(answer, Hello::Refused(Refusal::Version));
    assert!(hello::is_other_version(&error));
    assert!(!shared.warn_of_version(friend.node_id()), "told already");
    assert!(
        !shared.warn_of_version(stranger.node_id()),
        "strangers fill no log"
    );
    shared.identify(peer, true, cert).unwrap();
    assert!(shared.warn_of_version(friend.node_id()), "again");
}

#[tokio::test]
async fn the_refused_side_knows_that_it_is_the_version() {
    let friend = NodeKeys::generate().unwrap();
    let shared = shared(&friend);
    let (_, peer) = certificate(&friend, [2; 32], 1);
    for (reason, is_version) in [(Refusal::Version, true), (Refusal::Stranger, false)] {
        let (mut here, mut there) = tokio::io::duplex(1 << 12);
        let refusal = Hello::Refused(reason).to_bytes();
        frame::write(&mut there, &refusal).await.unwrap();
        let error = hello::open(&shared, peer, &mut here).await.unwrap_err();
        assert_eq!(hello::is_other_version(&error), is_version, "{error}");
    }
}
