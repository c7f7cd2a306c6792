//! The task that owns the swarm: it dials, closes, and keeps everything moving.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures::StreamExt as _;
use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::identity::Keypair;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, noise, ping, tcp, yamux};
use tokio::sync::{mpsc, oneshot, watch};

use super::address::{socket_address, tcp_multiaddr};
use super::port::NetworkError;
use super::{CONNECTIONS_MAX, CONNECTIONS_PER_PEER_MAX, HANDSHAKE_MAX, SILENCE_MAX};

/// Connections that are not through their handshake.
const PENDING_MAX: u32 = 256;

/// What other tasks ask of the swarm.
#[derive(Debug)]
pub(super) enum Command {
    /// Make sure of a connection and say to whom.
    Connect {
        /// Who is expected, if known.
        peer: Option<PeerId>,
        /// Where to dial if there is no connection.
        address: Option<Multiaddr>,
        /// The peer, or why it cannot be reached.
        reply: oneshot::Sender<Result<PeerId, String>>,
    },
    /// Close all connections to a peer.
    Disconnect(PeerId),
    /// Close everything.
    Close,
}

#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    limits: connection_limits::Behaviour,
    ping: ping::Behaviour,
    pub(super) streams: libp2p_stream::Behaviour,
}

/// The swarm and what waits for it.
pub(super) struct SwarmTask {
    swarm: Swarm<Behaviour>,
    commands: mpsc::Receiver<Command>,
    dialing: BTreeMap<ConnectionId, oneshot::Sender<Result<PeerId, String>>>,
    listening: watch::Sender<Vec<SocketAddr>>,
}

impl SwarmTask {
    /// Builds the swarm and begins to listen.
    pub(super) fn new(
        keypair: Keypair,
        listen: &[SocketAddr],
        commands: mpsc::Receiver<Command>,
        listening: watch::Sender<Vec<SocketAddr>>,
    ) -> Result<Self, NetworkError> {
        let mut swarm = build(keypair)?;
        for address in listen {
            swarm
                .listen_on(tcp_multiaddr(*address))
                .map_err(|error| NetworkError::Listen {
                    address: *address,
                    reason: error.to_string(),
                })?;
        }
        let dialing = BTreeMap::new();
        Ok(Self {
            swarm,
            commands,
            dialing,
            listening,
        })
    }

    pub(super) fn control(&self) -> libp2p_stream::Control {
        self.swarm.behaviour().streams.new_control()
    }

    /// Runs until it is told to close or nobody is left to tell it.
    pub(super) async fn run(mut self) {
        loop {
            tokio::select! {
                biased;
                command = self.commands.recv() => match command {
                    Some(Command::Connect { peer, address, reply }) => {
                        self.connect(peer, address, reply);
                    }
                    // An error means that there is nothing to close.
                    Some(Command::Disconnect(peer)) => drop(self.swarm.disconnect_peer_id(peer)),
                    Some(Command::Close) | None => return,
                },
                event = self.swarm.select_next_some() => self.on_event(event),
            }
        }
    }

    fn connect(
        &mut self,
        peer: Option<PeerId>,
        address: Option<Multiaddr>,
        reply: oneshot::Sender<Result<PeerId, String>>,
    ) {
        // Whoever asked may be gone; nothing depends on the reply being read.
        if let Some(peer) = peer.filter(|peer| self.swarm.is_connected(peer)) {
            let _ = reply.send(Ok(peer));
            return;
        }
        let Some(address) = address else {
            let _ = reply.send(Err("no address is known".to_owned()));
            return;
        };
        let options = match peer {
            Some(peer) => DialOpts::peer_id(peer)
                .condition(PeerCondition::Always)
                .addresses(vec![address])
                .build(),
            None => DialOpts::unknown_peer_id().address(address).build(),
        };
        let connection = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dialing.insert(connection, reply);
            }
            Err(error) => {
                let _ = reply.send(Err(error.to_string()));
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::ConnectionEstablished {
                peer_id,
                connection_id,
                ..
            } => {
                if let Some(reply) = self.dialing.remove(&connection_id) {
                    let _ = reply.send(Ok(peer_id));
                }
            }
            SwarmEvent::OutgoingConnectionError {
                connection_id,
                error,
                ..
            } => {
                if let Some(reply) = self.dialing.remove(&connection_id) {
                    let _ = reply.send(Err(error.to_string()));
                }
            }
            SwarmEvent::NewListenAddr { .. } | SwarmEvent::ExpiredListenAddr { .. } => {
                let now = self.swarm.listeners().filter_map(socket_address).collect();
                self.listening.send_replace(now);
            }
            SwarmEvent::ListenerError { error, .. } => tracing::warn!(%error, "listener"),
            SwarmEvent::ListenerClosed { reason, .. } => {
                tracing::error!(?reason, "a listener is closed");
            }
            _ => {}
        }
    }
}

fn build(keypair: Keypair) -> Result<Swarm<Behaviour>, NetworkError> {
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_MAX))
        .with_max_pending_outgoing(Some(PENDING_MAX))
        .with_max_established(Some(CONNECTIONS_MAX))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX));
    let builder = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(
            tcp::Config::default().nodelay(true),
            noise::Config::new,
            yamux::Config::default,
        )
        .map_err(|error| NetworkError::Keys(error.to_string()))?;
    let swarm = builder
        .with_behaviour(|_| Behaviour {
            limits: connection_limits::Behaviour::new(limits),
            ping: ping::Behaviour::default(),
            streams: libp2p_stream::Behaviour::new(),
        })
        .expect("building the behaviour cannot fail")
        .with_swarm_config(|config| config.with_idle_connection_timeout(SILENCE_MAX))
        .with_connection_timeout(HANDSHAKE_MAX)
        .build();
    Ok(swarm)
}
