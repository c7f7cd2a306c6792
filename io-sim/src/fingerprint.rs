//! The rolling digest of a run: equal digests mean equal runs.
//!
//! Every event and effect is folded into 64 bits by the fields that tell it from
//! others; every 1024 events the fold, and digests of all nodes, enter a SHA-256
//! chain. A full hash of each event would cost as much as the event itself.

use decube_core::codec::Encode as _;
use decube_core::ledger;
use decube_core::node::{Effect, Event, PeerMessage, Request, Response};
use decube_core::raft::{AppendResult, Body, Message, SnapshotResult};
use decube_core::types::LogId;
use decube_core::wal::{FileName, FileOp, FileResult};
use sha2::{Digest, Sha256};

/// Events between two checkpoints.
pub const CHECKPOINT_EVENTS: u64 = 1024;

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
        Event::Start => fold.add(1),
        Event::Wake => fold.add(2),
        Event::Clock { wall } => {
            fold.add(3);
            fold.add(wall.0);
        }
        Event::Message { from, message } => {
            fold.add(4);
            fold.node(from.0);
            peer_message(fold, message);
        }
        Event::PeerUp { peer } => {
            fold.add(5);
            fold.node(peer.0);
        }
        Event::PeerDown { peer } => {
            fold.add(6);
            fold.node(peer.0);
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
        Event::File { id, result } => {
            fold.add(9);
            fold.add(id.0);
            file_result(fold, result);
        }
        Event::StoreCommitted { seq } => {
            fold.add(10);
            fold.add(seq.0);
        }
        Event::StorePage { pairs, done } => {
            fold.add(11);
            fold.len(pairs.len());
            fold.add(u64::from(*done));
        }
        Event::StoreFailed => fold.add(12),
        Event::Shutdown => fold.add(13),
        Event::Ledger(event) => {
            fold.add(14);
            fold.bytes(&event.to_bytes());
        }
    }
}

/// Folds an event of the ledger.
pub fn ledger_event(fold: &mut Fold, event: &ledger::Event) {
    fold.add(14);
    fold.bytes(&event.to_bytes());
}

/// Folds an effect of the ledger.
pub fn ledger_effect(fold: &mut Fold, effect: &ledger::Effect) {
    match effect {
        ledger::Effect::Send { to, message } => {
            fold.add(41);
            fold.node(to.0);
            fold.bytes(&message.to_bytes());
        }
        ledger::Effect::Reply { id, response } => {
            fold.add(42);
            fold.add(id.0);
            fold.add(u64::from(matches!(
                response,
                ledger::Response::Transaction(_)
            )));
        }
        ledger::Effect::Final(block) => {
            fold.add(43);
            fold.bytes(&block.block.hash().0);
        }
        ledger::Effect::File { id, op } => {
            fold.add(44);
            fold.add(id.0);
            file_op(fold, op);
        }
        ledger::Effect::StoreCommit(batch) => {
            fold.add(45);
            fold.add(batch.seq.0);
            fold.len(batch.ops.len());
        }
        ledger::Effect::StoreRead { id, from, .. } => {
            fold.add(46);
            fold.add(id.0);
            fold.bytes(from);
        }
        ledger::Effect::StateFetched { height } => {
            fold.add(50);
            fold.add(height.0);
        }
        ledger::Effect::Ready => fold.add(47),
        ledger::Effect::SafetyViolation { culprits } => {
            fold.add(48);
            fold.len(culprits.len());
        }
        ledger::Effect::Halted { .. } => fold.add(49),
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
        Effect::Changed { id, changes } => {
            fold.add(23);
            fold.add(id.0);
            fold.len(changes.changes.len());
        }
        Effect::File { id, op } => {
            fold.add(24);
            fold.add(id.0);
            file_op(fold, op);
        }
        Effect::StoreCommit(batch) => {
            fold.add(25);
            fold.add(batch.seq.0);
            fold.len(batch.ops.len());
            fold.add(u64::from(batch.sync));
        }
        Effect::StoreScan { from } => {
            fold.add(26);
            fold.bytes(from);
        }
        Effect::RoleChanged { role, term, leader } => {
            fold.add(27);
            fold.add(u64::from(*role as u8));
            fold.add(term.0);
            fold.node(leader.map_or(0, |leader| leader.0));
        }
        Effect::MembershipChanged { membership } => {
            fold.add(28);
            for part in [
                &membership.voters,
                &membership.outgoing,
                &membership.learners,
            ] {
                fold.len(part.len());
                part.iter().for_each(|id| fold.node(id.0));
            }
        }
        Effect::Ledger(effect) => {
            fold.add(32);
            fold.bytes(format!("{effect:?}").as_bytes());
        }
        Effect::Ready => fold.add(29),
        Effect::Stopped => fold.add(30),
        Effect::Halted { reason } => {
            fold.add(31);
            fold.bytes(reason.as_bytes());
        }
    }
}

/// About how many bytes a message takes on the wire.
pub fn message_size(message: &PeerMessage) -> u64 {
    let payload = match message {
        PeerMessage::Raft(raft) => match &raft.body {
            Body::Append { entries, .. } => entries.iter().map(|entry| entry.data.len() + 64).sum(),
            Body::Snapshot { data, .. } => data.len() + 128,
            _ => 0,
        },
        PeerMessage::Forward { .. } | PeerMessage::ForwardReply { .. } => 128,
        PeerMessage::HeadRequest { .. } | PeerMessage::HeadReply { .. } => 192,
        PeerMessage::Ledger(message) => message.to_bytes().len(),
    };
    64 + u64::try_from(payload).expect("lengths fit 64 bits")
}

fn peer_message(fold: &mut Fold, message: &PeerMessage) {
    match message {
        PeerMessage::Raft(message) => raft(fold, message),
        PeerMessage::Forward {
            id,
            term,
            request: what,
        } => {
            fold.add(41);
            fold.add(id.0);
            fold.add(term.0);
            request(fold, what);
        }
        PeerMessage::ForwardReply { id, response: what } => {
            fold.add(42);
            fold.add(id.0);
            response(fold, what);
        }
        PeerMessage::HeadRequest { id, size } => {
            fold.add(43);
            fold.add(id.0);
            fold.add(size.0);
        }
        PeerMessage::HeadReply { id, share } => {
            fold.add(44);
            fold.add(id.0);
            if let Some(share) = share {
                fold.bytes(&share.head.root.0);
            }
        }
        PeerMessage::Ledger(message) => {
            fold.add(45);
            fold.bytes(&message.to_bytes());
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
            fold.bytes(&meta.digest);
            fold.add(*chunk);
            fold.bytes(data);
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
    fold.add(match request {
        Request::Write(_) => 61,
        Request::Read { .. } => 62,
        Request::Watch { .. } => 63,
        Request::Status => 64,
        Request::ChangeMembership(_) => 65,
        Request::TransferLeadership { .. } => 66,
        Request::LogHead => 67,
        Request::ProveLog { .. } => 68,
    });
}

fn response(fold: &mut Fold, response: &Response) {
    match response {
        Response::Written { at, .. } => {
            fold.add(71);
            fold.id(*at);
        }
        Response::Read(answer) => {
            fold.add(72);
            fold.add(answer.revision.0);
        }
        Response::Watching { revision } => {
            fold.add(73);
            fold.add(revision.0);
        }
        Response::Compacted { oldest } => {
            fold.add(74);
            fold.add(oldest.0);
        }
        Response::Status(status) => {
            fold.add(75);
            fold.id(status.last);
        }
        Response::Accepted => fold.add(76),
        Response::Refused(_) => fold.add(77),
        Response::Unknown => fold.add(78),
        Response::LogHead(head) => {
            fold.add(79);
            fold.bytes(&head.signed.head.root.0);
        }
        Response::LogProof(proof) => {
            fold.add(80);
            fold.bytes(&proof.head.head.root.0);
        }
        Response::NoLogProof { first, last } => {
            fold.add(81);
            fold.add(first.0);
            fold.add(last.0);
        }
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
            fold.bytes(data);
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
        FileResult::Data(data) => fold.bytes(data),
        FileResult::Failed(error) => fold.add(94 + u64::from(*error as u8)),
    }
}
