//! What nodes are built from.

use std::sync::Arc;

use bytes::Bytes;
use decube_core::bft::{Height, Timing};
use decube_core::codec::Encode as _;
use decube_core::crypto::fake::FakeAuthority;
use decube_core::crypto::{SharedSigner, SharedVerifier};
use decube_core::ledger::{
    self, AccountId, Genesis, Intent, Lane, Member, Name, Operation, Param, Params, Sequence,
    TimeMs,
};
use decube_core::node::Config;
use decube_core::toy;
use decube_core::types::{ClusterId, NodeId, Span};

/// Wall-clock time at the beginning of every test.
pub const BEGIN_MS: u64 = 1_700_000_000_000;

/// Blocks of an epoch.
pub const EPOCH_BLOCKS: u64 = 10;

/// Keys of nodes and how their ledger begins: node 0 votes, the others follow.
#[derive(Debug, Clone)]
pub struct Nodes {
    keys: Vec<SharedSigner>,
    verifier: SharedVerifier,
    genesis: Arc<Genesis>,
    client: SharedSigner,
}

impl Nodes {
    /// So many nodes.
    pub fn new(count: u64) -> Self {
        let authority = FakeAuthority::new(7);
        let keys = (0..count).map(|number| SharedSigner::new(authority.signer(number)));
        let keys: Vec<SharedSigner> = keys.collect();
        let key = *keys[0].public_key();
        let mut params = Params::default();
        params
            .set(Param::EpochBlocks, EPOCH_BLOCKS)
            .expect("epochs may be short");
        let members = vec![Member::new(key.node_id(), key, ClusterId(1), 1)];
        Self {
            keys,
            verifier: SharedVerifier::new(authority.verifier()),
            genesis: Arc::new(Genesis {
                name: "toy".into(),
                time: TimeMs(BEGIN_MS),
                params,
                members,
            }),
            client: SharedSigner::new(authority.signer(1000)),
        }
    }

    /// The id of a node.
    pub fn id(&self, node: usize) -> NodeId {
        self.keys[node].public_key().node_id()
    }

    /// The node with its part in the ledger and a toy.
    pub fn config(&self, node: usize) -> Config {
        let id = self.id(node);
        let mut ledger = ledger::Config::new(id, self.genesis.clone());
        ledger.signer = Some(self.keys[node].clone());
        ledger.verifier = self.verifier.clone();
        ledger.timing = Timing {
            delta: Span::from_millis(100),
            idle_block: Span::from_millis(500),
        };
        ledger.wal_segment_bytes = 1 << 16;
        let others = (0..self.keys.len()).filter(|other| *other != node);
        let others: Vec<NodeId> = others.map(|other| self.id(other)).collect();
        ledger.peers.clone_from(&others);
        let mut toy = toy::Config::new(id);
        toy.peers = others.into_iter().collect();
        toy.page_bytes = 4096;
        Config {
            toy: Some(toy),
            ..Config::of_ledger(ledger)
        }
    }

    /// A transaction that notes its number.
    pub fn note(&self, sequence: u64) -> Bytes {
        let intent = Intent {
            chain: self.genesis.chain(),
            account: AccountId::of(self.client.public_key()),
            lane: Lane(0),
            sequence: Sequence(sequence),
            valid_until: Height(1000),
            operations: vec![Operation::Data {
                kind: Name::new("note").expect("a name"),
                payload: Bytes::copy_from_slice(&sequence.to_be_bytes()),
            }],
        };
        intent.sign(&*self.client).to_bytes()
    }
}
