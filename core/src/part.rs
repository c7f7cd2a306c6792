//! What a node is made of: machines that share one vocabulary.
//!
//! A [`Part`] is a machine with a volume, peers, clients and a health of its own. It
//! knows nothing of the node around it, nor of other parts: what other parts may want
//! to know leaves it as a notice, and what follows from theirs reaches it as a link.
//! [`crate::node`] says which parts there are and who is told what.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use core::fmt::Debug;

use crate::codec::{Decode, Encode};
use crate::io::{Done, Io};
use crate::machine::{Machine, Outbox};
use crate::types::{NodeId, RequestId, WallTime};

/// Whom a part may hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Scope {
    /// Nodes of the own cluster, as the transport has proven. Never the present
    /// membership: Raft has to hear nodes that it does not know yet.
    #[codec(tag = 0)]
    Cluster,
    /// Any node that has proven who it is.
    #[codec(tag = 1)]
    Global,
}

impl Scope {
    /// Whether who was proven to be in `proven` may speak to a part of this scope.
    pub const fn admits(self, proven: Self) -> bool {
        matches!((self, proven), (Self::Global, _) | (_, Self::Cluster))
    }
}

/// Everything that can happen to a part: `M` are the messages of its peers, `R` the
/// requests of its clients, `L` what other parts have to tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<M, R, L> {
    /// The first event but for the clock: recover from the volume.
    Start {
        /// Whether the volume was used before. One that was and is empty has lost
        /// everything: what the node has promised is not known any more.
        is_used: bool,
    },
    /// A deadline has come, or the shell's queue of events is drained.
    Wake,
    /// The wall clock, as data: before `Start`, then now and again. No decision of a
    /// protocol rests on it.
    Clock {
        /// The time.
        wall: WallTime,
    },
    /// A message of a peer; the transport has proven who it is.
    Message {
        /// The peer.
        from: NodeId,
        /// The message.
        message: M,
    },
    /// The transport reached or lost a peer.
    Peer {
        peer: NodeId,
        /// Whether it was reached.
        is_up: bool,
    },
    /// A client asks something.
    Request {
        /// Echoed in the answer.
        id: RequestId,
        /// What.
        request: R,
    },
    /// A client is gone: nobody waits for the answer, a stream ends. The request is
    /// answered all the same, as soon as that is possible, so that it is known to be over.
    Cancel {
        /// The request.
        id: RequestId,
    },
    /// The volume has done what was asked of it, or failed.
    Io(Done),
    /// Another part has something to tell.
    Link(L),
    /// Stop gracefully: make durable what the next start would miss, then
    /// [`Health::Stopped`].
    Shutdown,
}

/// Everything that a part asks for: `M` are its messages, `A` its answers, `N` what
/// other parts may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect<M, A, N> {
    /// Send a message to a peer. It may be lost, doubled or overtaken.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: M,
    },
    /// The answer to a client: exactly one for each request, and the last one.
    Reply {
        /// The request.
        id: RequestId,
        /// The answer.
        response: A,
    },
    /// A part of the answer to a client; a `Reply` ends it.
    Stream {
        /// The request.
        id: RequestId,
        /// The next part.
        response: A,
    },
    /// Something is to be done with the volume; in order, as [`crate::io`] says.
    Io(Io),
    /// [`Part::peers`] has changed.
    Peers,
    /// [`Part::health`] has changed to this.
    Health(Health),
    /// News for other parts. A crash may lose or repeat it.
    Notice(N),
}

/// How a part is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Health {
    /// It recovers. Requests wait.
    Starting,
    /// It serves.
    Ready,
    /// It serves, but something is wrong.
    Degraded(Reason),
    /// It stops gracefully and serves no more.
    Stopping,
    /// It has stopped as asked, and takes nothing more.
    Stopped,
    /// It has stopped for good, and takes nothing more.
    Halted(Reason),
}

/// What happened and what to do, for people.
pub type Reason = Cow<'static, str>;

impl Health {
    /// Whether requests are served.
    pub const fn is_serving(&self) -> bool {
        matches!(self, Self::Ready | Self::Degraded(_))
    }

    /// Whether the part takes nothing more.
    pub const fn has_ended(&self) -> bool {
        matches!(self, Self::Stopped | Self::Halted(_))
    }
}

/// A machine that nodes are made of.
pub trait Part:
    Machine<
        Event = Event<Self::Message, Self::Request, Self::Link>,
        Effect = Effect<Self::Message, Self::Response, Self::Notice>,
    >
{
    /// What it says to its peers.
    type Message: Debug;
    /// What its clients ask.
    type Request: Debug;
    /// What they are answered.
    type Response: Debug;
    /// What other parts have to tell it.
    type Link: Debug;
    /// What other parts may want to know of it.
    type Notice: Debug;

    /// Whom it hears.
    const SCOPE: Scope;

    /// The node that it is of.
    fn node(&self) -> NodeId;

    /// Whom it wants to be connected to. Told again by [`Effect::Peers`].
    fn peers(&self) -> BTreeSet<NodeId>;

    /// How it is. Told again by [`Effect::Health`].
    fn health(&self) -> Health;

    /// Whether it takes messages and requests. One whose volume is behind does not:
    /// what is not taken waits with whoever sent it.
    fn accepts(&self) -> bool;

    /// Whether a request may change something: if it does, its loss is answered by
    /// [`Part::unknown`], if not by [`Part::unavailable`].
    fn is_change(request: &Self::Request) -> bool;

    /// What a client is told when nothing was done and nothing will be.
    fn unavailable() -> Self::Response;

    /// What a client is told that asks too much at once: nothing was done.
    fn busy() -> Self::Response;

    /// What a client is told whose request cannot be written down: something in it is over
    /// its bound or breaks a rule. Nothing was done.
    fn invalid(request: &Self::Request) -> Self::Response;

    /// What a client is told when nobody can say any more what became of its change.
    fn unknown() -> Self::Response;

    /// A fingerprint of everything that decides its future.
    fn digest(&self) -> u128;

    /// Panics if one of its invariants is broken.
    fn invariants(&self);
}

/// An outbox of a part.
pub type PartOutbox<P> =
    Outbox<Effect<<P as Part>::Message, <P as Part>::Response, <P as Part>::Notice>>;
