//! What the simulator needs to know of the machine that it drives.
//!
//! The world feeds events and carries effects out; for that the [`Machine`]
//! contract is enough. The checkers also look at the machine's state, and this
//! trait is all that they see: plain facts, no production predicate.

use bytes::Bytes;
use decube_core::cluster::{self, Response};
use decube_core::codec::{Decode, Encode};
use decube_core::io::Volume;
use decube_core::ledger::Ledger;
use decube_core::limits::MESSAGE_BYTES_MAX;
use decube_core::machine::Machine;
use decube_core::mutant::Mutant;
use decube_core::node::{Config, Effect, Event, Message, Node, Notice, PartId};
use decube_core::raft::{Membership, MembershipRule, Refusal, Role};
use decube_core::types::{Chain, Index, LogId, NodeId, Term};

use crate::rng::Draw;

/// What a node shows of itself after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    pub role: Role,
    pub term: Term,
    /// Whom it voted for in that term.
    pub voted_for: Option<NodeId>,
    /// The leader that it follows.
    pub leader: Option<NodeId>,
    /// The end of its log.
    pub last: LogId,
    /// The last entry that is not in the log any more.
    pub base: LogId,
    /// What it takes to be committed.
    pub committed: Index,
    /// What it has applied.
    pub applied: Index,
}

/// A machine that the simulator can drive and watch.
pub trait Subject: Machine<Event = Event, Effect = Effect> + Sized {
    /// Its volumes beside those of its parts in a cluster and the ledger: for tests of
    /// parts that no scenario knows.
    const MORE_VOLUMES: &'static [Volume] = &[];

    /// A node that has not started.
    fn build(config: Config) -> Self;

    /// Its part in the ledger, if it has one that runs.
    fn ledger(&self) -> Option<&Ledger>;

    /// Whether a part of it takes messages now. Those for one that does not are left
    /// with the transport, as the real host does.
    fn accepts(&self, part: PartId) -> bool;

    /// Whether a part of it serves, as it tells the shell.
    fn is_serving(&self, part: PartId) -> bool;

    /// What its parts told each other in its last step.
    fn notices(&self) -> &[Notice];

    /// What it shows of its part in a cluster, or `None` before that has recovered.
    fn facts(&self) -> Option<Facts>;

    /// Term and chain of the entry at `index`: of entries in the log and of the
    /// last one before it.
    fn entry_at(&self, index: Index) -> Option<(Term, Chain)>;

    /// Who takes part, as this node knows it.
    fn membership(&self) -> Option<&Membership>;

    /// A digest of the replicated state as applied, if it is cheap to have.
    fn state_digest(&self) -> Option<u64>;

    /// Encodes a message and decodes it again; an error if it is too long, cannot be
    /// decoded, or comes out as another one.
    fn over_the_wire(message: &Message, mutant: Mutant) -> Result<(), String>;

    /// Decodes a message whose encoding has flipped bits. Returns whether it was
    /// accepted, as what it then says; an error if the decoder took bytes that are
    /// not the encoding of what it made of them.
    fn damaged_on_the_wire(message: &Message, flips: Draw) -> Result<bool, String>;

    /// A digest of everything that decides what it will do.
    fn digest(&self) -> u64;
}

impl Subject for Node {
    fn build(config: Config) -> Self {
        Self::new(config)
    }

    fn ledger(&self) -> Option<&Ledger> {
        Self::ledger(self)
    }

    fn accepts(&self, part: PartId) -> bool {
        Self::accepts(self, part)
    }

    fn is_serving(&self, part: PartId) -> bool {
        let mut health = self.health();
        health.any(|(named, health)| named == part && health.is_serving())
    }

    fn notices(&self) -> &[Notice] {
        Self::notices(self)
    }

    fn facts(&self) -> Option<Facts> {
        let cluster = self.cluster()?;
        let raft = cluster.raft()?;
        Some(Facts {
            role: raft.role(),
            term: raft.term(),
            voted_for: raft.hard_state().voted_for,
            leader: raft.leader(),
            last: raft.last(),
            base: raft.base().id,
            committed: raft.committed(),
            applied: cluster.replica().applied().index,
        })
    }

    fn entry_at(&self, index: Index) -> Option<(Term, Chain)> {
        let raft = self.cluster()?.raft()?;
        Some((raft.term_at(index)?, raft.chain_at(index)?))
    }

    fn membership(&self) -> Option<&Membership> {
        Some(self.cluster()?.raft()?.membership())
    }

    fn state_digest(&self) -> Option<u64> {
        Some(first_word(&self.cluster()?.replica().digest()))
    }

    fn over_the_wire(message: &Message, mutant: Mutant) -> Result<(), String> {
        let bytes = message.to_bytes();
        match Message::from_bytes(&bytes).map(|decoded| as_planted(decoded, mutant)) {
            _ if bytes.len() > MESSAGE_BYTES_MAX => Err(format!("{message:?} is too long")),
            _ if bytes.len() != message.size_hint() => {
                Err(format!("{message:?} takes another room than it says"))
            }
            Ok(decoded) if decoded == *message => Ok(()),
            Ok(decoded) => Err(format!("{message:?} arrives as {decoded:?}")),
            Err(error) => Err(format!("{message:?} cannot be decoded: {error}")),
        }
    }

    fn damaged_on_the_wire(message: &Message, flips: Draw) -> Result<bool, String> {
        let mut bytes = message.to_bytes().to_vec();
        let mut draw = flips;
        for _ in 0..1 + draw.below(4) {
            draw = draw.again();
            let bit = draw.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        let bytes = Bytes::from(bytes);
        match Message::from_bytes(&bytes) {
            Err(_) => Ok(false),
            Ok(decoded) if decoded.to_bytes() == bytes => Ok(true),
            Ok(decoded) => Err(format!("{decoded:?} has two encodings")),
        }
    }

    fn digest(&self) -> u64 {
        low_word(Self::digest(self))
    }
}

/// What arrives under a planted bug: a decoder knows of none.
fn as_planted(mut message: Message, mutant: Mutant) -> Message {
    if let Message::Cluster(cluster::Message::ForwardReply { response, .. }) = &mut message
        && let Response::Refused(Refusal::InvalidMembership { rule }) = response
        && mutant.is(Mutant::WireLosesRule)
    {
        *rule = MembershipRule::Unsorted;
    }
    message
}

fn first_word(digest: &[u8; 32]) -> u64 {
    u64::from_be_bytes(*digest.first_chunk().expect("32 bytes hold 8"))
}

#[expect(clippy::cast_possible_truncation, reason = "the halves are as good")]
const fn low_word(digest: u128) -> u64 {
    digest as u64
}
