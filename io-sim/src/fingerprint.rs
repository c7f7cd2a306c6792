//! The rolling digest of a run: equal digests mean equal runs.
//!
//! Every event and effect is folded into 64 bits by the fields that tell it from
//! others; now and then ([`checkpoint_every`]) the fold, and digests of all nodes that have
//! stepped, enter a SHA-256 chain. A full hash of each event would cost as much as the event itself.

use decube_core::codec::Encode as _;
use decube_core::io::{Done, FileName, FileOp, FileResult, Io, Read};
use decube_core::node::{self, Effect, Event, Notice, Request, Response};
use decube_core::raft::{AppendResult, Body, Message, SnapshotResult};
use decube_core::store::StoreOp;
use decube_core::types::LogId;
use decube_core::{cluster, ledger};
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::xxh3_64;

/// Events between two checkpoints, for each node: a checkpoint is over all of them, and
/// costs as much as they hold.
const CHECKPOINT_EVENTS_OF_NODE: u64 = 256;

/// Events between two checkpoints of a world with this many nodes.
pub fn checkpoint_every(nodes: usize) -> u64 {
    let nodes = u64::try_from(nodes.max(1)).expect("nodes fit into memory");
    CHECKPOINT_EVENTS_OF_NODE.saturating_mul(nodes)
}

/// The digest of a run so far.
#[derive(Debug, Clone, Default)]
pub struct Rolling {
    fold: Fold,
    chain: [u8; 32],
}

impl Rolling {
    /// Adds a number.
    pub fn add(&mut self, value: u64) {
        self.fold.add(value);
    }

    /// Closes a checkpoint over everything added so far.
    pub fn checkpoint(&mut self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.chain);
        hasher.update(self.fold.0.to_be_bytes());
        self.chain = hasher.finalize().into();
        self.chain
    }
}

/// A cheap order-dependent fold of numbers into 64 bits.
#[derive(Debug, Clone, Copy)]
pub struct Fold(pub u64);

impl Default for Fold {
    fn default() -> Self {
        Self(0x243f_6a88_85a3_08d3)
    }
}

impl Fold {
    /// Adds a number.
    pub fn add(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 32;
    }

    fn len(&mut self, len: usize) {
        self.add(u64::try_from(len).expect("lengths fit 64 bits"));
    }

    /// Adds a length and up to 16 bytes of both ends.
    fn bytes(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        if let Some(head) = bytes.first_chunk() {
            self.add(u64::from_be_bytes(*head));
        }
        if let Some(tail) = bytes.last_chunk() {
            self.add(u64::from_be_bytes(*tail));
        }
    }

    /// Adds bytes, all of them.
    fn all(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.add(xxh3_64(bytes));
    }

    fn id(&mut self, id: LogId) {
        self.add(id.term.0);
        self.add(id.index.0);
    }

    fn node(&mut self, id: u128) {
        self.bytes(&id.to_be_bytes());
    }
}

/// Folds an event.
pub fn event(fold: &mut Fold, event: &Event) {
    match event {
        Event::Start { used } => {
            fold.add(1);
            fold.len(used.len());
            used.iter().for_each(|volume| fold.add(*volume as u64));
        }
        Event::Wake => fold.add(2),
        Event::Clock { wall } => {
            fold.add(3);
            fold.add(wall.0);
        }
        Event::Message {
            from,
            scope,
            message,
        } => {
            fold.add(4);
            fold.node(from.0);
            fold.add(u64::from(*scope as u8));
            peer_message(fold, message);
        }
        Event::Peer { peer, scope, is_up } => {
            fold.add(5);
            fold.node(peer.0);
            fold.add(u64::from(*scope as u8));
            fold.add(u64::from(*is_up));
        }
        Event::Request { id, request: what } => {
            fold.add(7);
            fold.add(id.0);
            request(fold, what);
        }
        Event::Cancel { id } => {
            fold.add(8);
            fold.add(id.0);
        }
        Event::Io { volume, done } => {
            fold.add(9);
            fold.add(u64::from(*volume as u8));
            what_is_done(fold, done);
        }
        Event::Shutdown => fold.add(13),
    }
}

fn what_is_done(fold: &mut Fold, done: &Done) {
    match done {
        Done::File { id, result } => {
            fold.add(9);
            fold.add(id.0);
            file_result(fold, result);
        }
        Done::Committed { seq } => {
            fold.add(10);
            fold.add(seq.0);
        }
        Done::Read { id, page } => {
            fold.add(11);
            fold.add(id.0);
            fold.len(page.pairs.len());
            for (key, value) in &page.pairs {
                fold.all(key);
                fold.all(value);
            }
            fold.add(u64::from(page.is_last));
        }
        Done::Failed => fold.add(12),
    }
}

/// Folds an effect.
pub fn effect(fold: &mut Fold, effect: &Effect) {
    match effect {
        Effect::Send { to, message } => {
            fold.add(21);
            fold.node(to.0);
            peer_message(fold, message);
        }
        Effect::Reply { id, response: what } => {
            fold.add(22);
            fold.add(id.0);
            response(fold, what);
        }
        Effect::Stream { id, response: what } => {
            fold.add(23);
            fold.add(id.0);
            response(fold, what);
        }
        Effect::Io { volume, io } => {
            fold.add(24);
            fold.add(u64::from(*volume as u8));
            what_to_do(fold, io);
        }
        Effect::Connect { peers } => {
            fold.add(28);
            peers.iter().for_each(|peer| fold.node(peer.0));
        }
        Effect::Health { part, health } => {
            fold.add(29);
            fold.add(u64::from(*part as u8));
            fold.all(format!("{health:?}").as_bytes());
        }
        Effect::Stopped => fold.add(30),
    }
}

fn what_to_do(fold: &mut Fold, io: &Io) {
    match io {
        Io::File { id, op } => {
            fold.add(24);
            fold.add(id.0);
            file_op(fold, op);
        }
        Io::Commit(batch) => {
            fold.add(25);
            fold.add(batch.seq.0);
            fold.len(batch.ops.len());
            batch.ops.iter().for_each(|op| store_op(fold, op));
            fold.add(u64::from(batch.sync));
        }
        Io::Read(Read {
            id,
            from,
            to,
            bytes_max,
        }) => {
            fold.add(26);
            fold.add(id.0);
            fold.all(from);
            fold.all(to.as_deref().unwrap_or_default());
            fold.len(*bytes_max);
        }
    }
}

fn store_op(fold: &mut Fold, op: &StoreOp) {
    match op {
        StoreOp::Put { key, value } => {
            fold.add(1);
            fold.all(key);
            fold.all(value);
        }
        StoreOp::Delete { key } => {
            fold.add(2);
            fold.all(key);
        }
        StoreOp::DeleteRange { from, to } => {
            fold.add(3);
            fold.all(from);
            fold.all(to);
        }
    }
}

/// Folds what a part told others.
pub fn notice(fold: &mut Fold, notice: &Notice) {
    match notice {
        Notice::Cluster(notice) => match *notice {},
        Notice::Ledger(ledger::Notice::Final(block)) => {
            fold.add(43);
            fold.all(&block.block.hash().0);
        }
        Notice::Ledger(ledger::Notice::Replaced { at }) => {
            fold.add(50);
            fold.add(at.0);
        }
        Notice::Ledger(ledger::Notice::Forked { culprits }) => {
            fold.add(48);
            culprits.iter().for_each(|one| fold.all(&one.to_bytes()));
        }
        // Of links that are there for tests of them alone.
        other => fold.all(format!("{other:?}").as_bytes()),
    }
}

/// About how many bytes a message takes on the wire.
pub fn message_size(message: &node::Message) -> u64 {
    let payload = match message {
        node::Message::Cluster(message) => match message {
            cluster::Message::Raft(raft) => match &raft.body {
                Body::Append { entries, .. } => {
                    entries.iter().map(|entry| entry.data.len() + 64).sum()
                }
                Body::Snapshot { data, .. } => data.len() + 128,
                _ => 0,
            },
            cluster::Message::Forward { .. } | cluster::Message::ForwardReply { .. } => 128,
            cluster::Message::HeadRequest { .. } | cluster::Message::HeadReply { .. } => 192,
            cluster::Message::ModulesRequest { .. } | cluster::Message::ModulesReply { .. } => 64,
        },
        // The byte of the part is not counted.
        other => other.to_bytes().len() - 1,
    };
    64 + u64::try_from(payload).expect("lengths fit 64 bits")
}

fn peer_message(fold: &mut Fold, message: &node::Message) {
    match message {
        node::Message::Cluster(message) => cluster_message(fold, message),
        other => {
            fold.add(45);
            fold.all(&other.to_bytes()[1..]);
        }
    }
}

fn cluster_message(fold: &mut Fold, message: &cluster::Message) {
    match message {
        cluster::Message::Raft(message) => raft(fold, message),
        cluster::Message::Forward {
            id,
            term,
            request: what,
        } => {
            fold.add(41);
            fold.add(id.process.0);
            fold.add(id.number);
            fold.add(term.0);
            fold.all(&what.to_bytes());
        }
        cluster::Message::ForwardReply { id, response: what } => {
            fold.add(42);
            fold.add(id.process.0);
            fold.add(id.number);
            fold.all(&what.to_bytes());
        }
        cluster::Message::HeadRequest { id, size } => {
            fold.add(43);
            fold.add(id.process.0);
            fold.add(id.number);
            fold.add(size.0);
        }
        cluster::Message::HeadReply { id, share } => {
            fold.add(44);
            fold.add(id.process.0);
            fold.add(id.number);
            if let Some(share) = share {
                fold.all(&share.to_bytes());
            }
        }
        cluster::Message::ModulesRequest { .. } | cluster::Message::ModulesReply { .. } => {
            fold.add(46);
            fold.all(&message.to_bytes());
        }
    }
}

fn raft(fold: &mut Fold, message: &Message) {
    fold.add(message.term.0);
    match &message.body {
        Body::PreVote { campaign, last } => {
            fold.add(51);
            fold.add(campaign.0);
            fold.id(*last);
        }
        Body::PreVoteReply { campaign, granted } => {
            fold.add(52);
            fold.add(campaign.0);
            fold.add(u64::from(*granted));
        }
        Body::Vote {
            campaign,
            last,
            transfer,
        } => {
            fold.add(53);
            fold.add(campaign.0);
            fold.id(*last);
            fold.add(u64::from(*transfer));
        }
        Body::VoteReply { campaign, granted } => {
            fold.add(54);
            fold.add(campaign.0);
            fold.add(u64::from(*granted));
        }
        Body::TimeoutNow => fold.add(59),
        body => replication(fold, body),
    }
}

fn replication(fold: &mut Fold, body: &Body) {
    match body {
        Body::Append {
            inflight,
            round,
            prev,
            commit,
            quiet,
            entries,
            ..
        } => {
            fold.add(55);
            fold.add(inflight.0);
            fold.add(round.0);
            fold.id(*prev);
            fold.add(commit.0);
            fold.add(u64::from(*quiet));
            fold.len(entries.len());
            if let Some(entry) = entries.last() {
                fold.id(entry.id);
                fold.bytes(&entry.chain.0);
            }
        }
        Body::AppendReply {
            inflight,
            round,
            incarnation,
            result,
        } => {
            fold.add(56);
            fold.add(inflight.0);
            fold.add(round.0);
            fold.add(incarnation.0);
            append_result(fold, result);
        }
        Body::Snapshot {
            inflight,
            meta,
            chunk,
            data,
            last,
            ..
        } => {
            fold.add(57);
            fold.add(inflight.0);
            fold.id(meta.base.id);
            fold.all(&meta.digest);
            fold.add(*chunk);
            fold.all(data);
            fold.add(u64::from(*last));
        }
        Body::SnapshotReply {
            inflight, result, ..
        } => {
            fold.add(58);
            fold.add(inflight.0);
            match result {
                SnapshotResult::Next { chunk } => fold.add(*chunk),
                SnapshotResult::Installed { upto } => fold.add(upto.0),
                SnapshotResult::Refused => fold.add(3),
            }
        }
        Body::PreVote { .. }
        | Body::PreVoteReply { .. }
        | Body::Vote { .. }
        | Body::VoteReply { .. }
        | Body::TimeoutNow => unreachable!("folded by the caller"),
    }
}

fn append_result(fold: &mut Fold, result: &AppendResult) {
    match result {
        AppendResult::Match { upto } => fold.add(upto.0),
        AppendResult::Reject { prev, hint } => {
            fold.add(prev.0);
            fold.id(*hint);
        }
        AppendResult::Busy => fold.add(3),
    }
}

fn request(fold: &mut Fold, request: &Request) {
    fold.all(&request.to_bytes());
}

fn response(fold: &mut Fold, response: &Response) {
    if let Response::Cluster(response) = response {
        fold.all(&response.to_bytes());
    } else if let Response::Ledger(response) = response {
        fold.all(format!("{response:?}").as_bytes());
    } else {
        // Of a part that no scenario knows: with its name.
        fold.all(format!("{response:?}").as_bytes());
    }
}

fn file_name(fold: &mut Fold, name: FileName) {
    match name {
        FileName::Superblock(which) => fold.add(u64::from(which)),
        FileName::Segment(number) => fold.add(number + 16),
    }
}

fn file_op(fold: &mut Fold, op: &FileOp) {
    match op {
        FileOp::List => fold.add(81),
        FileOp::Create { file, len } => {
            fold.add(82);
            file_name(fold, *file);
            fold.add(*len);
        }
        FileOp::Write { file, offset, data } => {
            fold.add(83);
            file_name(fold, *file);
            fold.add(*offset);
            fold.all(data);
        }
        FileOp::Sync { file } => {
            fold.add(84);
            file_name(fold, *file);
        }
        FileOp::Read { file, offset, len } => {
            fold.add(85);
            file_name(fold, *file);
            fold.add(*offset);
            fold.add(*len);
        }
        FileOp::Remove { file } => {
            fold.add(86);
            file_name(fold, *file);
        }
    }
}

fn file_result(fold: &mut Fold, result: &FileResult) {
    match result {
        FileResult::Done => fold.add(91),
        FileResult::Listed(files) => fold.len(files.len()),
        FileResult::Data(data) => fold.all(data),
        FileResult::Failed(error) => fold.add(94 + u64::from(*error as u8)),
    }
}
