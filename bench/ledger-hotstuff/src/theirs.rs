//! Four replicas of `hotstuff_rs` in one process: three threads each, channels between
//! them, a store in memory, an application that does nothing.
//!
//! What is final is read off the store and not from its events: their bus would keep
//! one of the processors busy.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ed25519_dalek::{SigningKey, VerifyingKey};
use hotstuff_rs::app::{
    App, ProduceBlockRequest, ProduceBlockResponse, ValidateBlockRequest, ValidateBlockResponse,
};
use hotstuff_rs::block_tree::pluggables::{KVGet, KVStore, WriteBatch};
use hotstuff_rs::block_tree::variables::HIGHEST_COMMITTED_BLOCK;
use hotstuff_rs::networking::messages::Message;
use hotstuff_rs::networking::network::Network;
use hotstuff_rs::replica::{Configuration, Replica, ReplicaSpec};
use hotstuff_rs::types::data_types::{
    BufferSize, ChainID, CryptoHash, Data, Datum, EpochLength, Power,
};
use hotstuff_rs::types::update_sets::{AppStateUpdates, ValidatorSetUpdates};
use hotstuff_rs::types::validator_set::{ValidatorSet, ValidatorSetState};

use crate::post::{self, Inbox, Outbox};
use crate::record::Record;

type Letter = (VerifyingKey, Message);

/// Channels to everybody, oneself included.
#[derive(Clone)]
struct Post {
    me: VerifyingKey,
    others: HashMap<VerifyingKey, Outbox<Letter>>,
    inbox: Arc<Mutex<Inbox<Letter>>>,
}

impl Network for Post {
    fn init_validator_set(&mut self, _: ValidatorSet) {}

    fn update_validator_set(&mut self, _: ValidatorSetUpdates) {}

    fn broadcast(&mut self, message: Message) {
        for to in self.others.values() {
            to.send((self.me, message.clone()));
        }
    }

    fn send(&mut self, peer: VerifyingKey, message: Message) {
        if let Some(to) = self.others.get(&peer) {
            to.send((self.me, message));
        }
    }

    fn recv(&mut self) -> Option<Letter> {
        // The trait wants no waiting here. Waiting a millisecond made it a third slower.
        let mut inbox = self.inbox.lock().expect("no panics");
        inbox.receive(Duration::ZERO).ok()
    }
}

/// A store in memory, which tells of blocks that become final.
#[derive(Clone)]
struct Memory {
    pairs: Arc<Mutex<HashMap<Vec<u8>, Vec<u8>>>>,
    watch: Option<Watch>,
}

/// What the replica that counts knows of blocks: their views by their hashes.
#[derive(Clone)]
struct Watch {
    views: Arc<Mutex<HashMap<[u8; 32], u64>>>,
    record: Arc<Record>,
}

impl Watch {
    fn commit(&self, hash: &[u8]) {
        let hash: &[u8; 32] = hash.try_into().expect("a hash");
        if let Some(view) = self.views.lock().expect("no panics").remove(hash) {
            self.record.commit(view);
        }
    }
}

#[derive(Default)]
struct Batch(Vec<(Vec<u8>, Option<Vec<u8>>)>);

struct View<'a>(MutexGuard<'a, HashMap<Vec<u8>, Vec<u8>>>);

impl KVStore for Memory {
    type WriteBatch = Batch;
    type Snapshot<'a> = View<'a>;

    fn write(&mut self, batch: Batch) {
        let mut pairs = self.pairs.lock().expect("no panics");
        for (key, value) in batch.0 {
            if let (Some(watch), Some(hash)) = (&self.watch, &value)
                && key == HIGHEST_COMMITTED_BLOCK
            {
                watch.commit(hash);
            }
            match value {
                Some(value) => pairs.insert(key, value),
                None => pairs.remove(&key),
            };
        }
    }

    fn clear(&mut self) {
        self.pairs.lock().expect("no panics").clear();
    }

    fn snapshot(&self) -> View<'_> {
        View(self.pairs.lock().expect("no panics"))
    }
}

impl KVGet for Memory {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.pairs.lock().expect("no panics").get(key).cloned()
    }
}

impl KVGet for View<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key).cloned()
    }
}

impl WriteBatch for Batch {
    fn new() -> Self {
        Self::default()
    }

    fn set(&mut self, key: &[u8], value: &[u8]) {
        self.0.push((key.to_vec(), Some(value.to_vec())));
    }

    fn delete(&mut self, key: &[u8]) {
        self.0.push((key.to_vec(), None));
    }
}

/// Blocks hold nothing but their view, and all are good.
struct Nothing {
    record: Arc<Record>,
    watch: Option<Watch>,
}

impl App<Memory> for Nothing {
    fn produce_block(&mut self, request: ProduceBlockRequest<Memory>) -> ProduceBlockResponse {
        // Blocks that are equal have one hash: the view makes them differ.
        let view = request.cur_view().int();
        self.record.propose(view);
        ProduceBlockResponse {
            data_hash: CryptoHash::new([0; 32]),
            data: Data::new(vec![Datum::new(view.to_le_bytes().to_vec())]),
            app_state_updates: None,
            validator_set_updates: None,
        }
    }

    fn validate_block(&mut self, request: ValidateBlockRequest<Memory>) -> ValidateBlockResponse {
        self.validate_block_for_sync(request)
    }

    fn validate_block_for_sync(
        &mut self,
        request: ValidateBlockRequest<Memory>,
    ) -> ValidateBlockResponse {
        if let Some(watch) = &self.watch {
            let block = request.proposed_block();
            let view = block.data.vec()[0].bytes().as_slice();
            let view = u64::from_le_bytes(view.try_into().expect("a view"));
            let mut views = watch.views.lock().expect("no panics");
            views.insert(block.hash.bytes(), view);
        }
        ValidateBlockResponse::Valid {
            app_state_updates: None,
            validator_set_updates: None,
        }
    }
}

/// Replicas at work; they stop when dropped.
pub struct Replicas {
    record: Arc<Record>,
    _replicas: Vec<Replica<Memory>>,
}

impl Replicas {
    /// Starts so many of them, so far apart.
    pub fn start(count: usize, delay: Duration) -> Self {
        let keys: Vec<SigningKey> = (1..=count)
            .map(|number| SigningKey::from_bytes(&[u8::try_from(number).expect("few"); 32]))
            .collect();
        let mut updates = ValidatorSetUpdates::new();
        let (mut others, mut inboxes) = (HashMap::new(), Vec::new());
        for key in &keys {
            let (sender, inbox) = post::channel(delay);
            updates.insert(key.verifying_key(), Power::new(1));
            others.insert(key.verifying_key(), sender);
            inboxes.push(Arc::new(Mutex::new(inbox)));
        }
        let record = Arc::new(Record::default());
        let mut replicas = Vec::new();
        for (number, (key, inbox)) in keys.into_iter().zip(inboxes).enumerate() {
            let post = Post {
                me: key.verifying_key(),
                others: others.clone(),
                inbox,
            };
            // The first one counts.
            let watch = (number == 0).then(|| Watch {
                views: Arc::default(),
                record: record.clone(),
            });
            let app = Nothing {
                record: record.clone(),
                watch,
            };
            replicas.push(start_one(key, post, &updates, app));
        }
        Self {
            record,
            _replicas: replicas,
        }
    }

    /// What the first one has seen.
    pub fn record(&self) -> &Record {
        &self.record
    }
}

fn start_one(
    key: SigningKey,
    post: Post,
    updates: &ValidatorSetUpdates,
    app: Nothing,
) -> Replica<Memory> {
    let store = Memory {
        pairs: Arc::default(),
        watch: app.watch.clone(),
    };
    let mut set = ValidatorSet::new();
    set.apply_updates(updates);
    let state = ValidatorSetState::new(set.clone(), set, None, true);
    Replica::initialize(store.clone(), AppStateUpdates::new(), state);
    let configuration = Configuration::builder()
        .me(key)
        .chain_id(ChainID::new(0))
        .block_sync_request_limit(10)
        .block_sync_server_advertise_time(Duration::from_secs(10))
        .block_sync_response_timeout(Duration::from_secs(3))
        .block_sync_blacklist_expiry_time(Duration::from_secs(10))
        .block_sync_trigger_min_view_difference(2)
        .block_sync_trigger_timeout(Duration::from_secs(60))
        .progress_msg_buffer_capacity(BufferSize::new(1 << 20))
        .epoch_length(EpochLength::new(50))
        .max_view_time(Duration::from_millis(2_000))
        .log_events(false)
        .build();
    let spec = ReplicaSpec::builder()
        .app(app)
        .network(post)
        .kv_store(store)
        .configuration(configuration);
    spec.build().start()
}
