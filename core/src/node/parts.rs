//! Which parts a node has: one line each.
//!
//! The macro makes what follows from the table: the node's configuration; its messages,
//! requests, responses, notices and links as sums of those of its parts; and the ways from
//! the node to each part. To add a protocol is a line here, its folder, its volume, and its
//! links in [`links`](super::links). A line may be behind a feature.

use alloc::collections::BTreeSet;

use super::slot::{Context, Signal, Slot};
use super::state::Node;
use crate::cluster::{self, Cluster};
use crate::codec::{Decode, Encode};
use crate::crypto::Fingerprint;
use crate::io::Volume;
use crate::ledger::{self, Ledger};
use crate::mutant::Mutant;
use crate::part::{Health, Part, Scope};
#[cfg(feature = "toy")]
use crate::toy::{self, Toy};
use crate::types::{NodeId, RequestId, Span, Time};

/// A part as the node knows it: its place in the table.
pub(super) trait InNode: Part {
    /// Which part it is.
    const ID: PartId;

    /// One of its messages as one of the node's.
    fn message(message: Self::Message) -> Message;

    /// One of its answers as one of the node's.
    fn response(response: Self::Response) -> Response;

    /// One of its notices as one of the node's.
    fn notice(notice: Self::Notice) -> Notice;
}

macro_rules! parts {
    ($(
        $(#[doc = $doc:literal])*
        $(#[cfg($cfg:meta)])?
        $field:ident: $Variant:ident = $tag:literal, $module:ident, $name:literal;
    )+) => {
        /// A part of a node.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum PartId {
            $($(#[doc = $doc])* $(#[cfg($cfg)])? $Variant,)+
        }

        impl PartId {
            /// All of them, in the order in which a node starts them.
            pub const ALL: [Self; [$($(#[cfg($cfg)])? $tag),+].len()] = [$($(#[cfg($cfg)])? Self::$Variant),+];

            /// What people call it.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(#[cfg($cfg)])? Self::$Variant => $name,)+
                }
            }

            /// What encodings begin with.
            pub(super) const fn tag(self) -> u8 {
                match self {
                    $($(#[cfg($cfg)])? Self::$Variant => $tag,)+
                }
            }

            /// Its volume.
            pub const fn volume(self) -> Volume {
                match self {
                    $($(#[cfg($cfg)])? Self::$Variant => Volume::$Variant,)+
                }
            }

            /// Whom it may hear.
            pub const fn scope(self) -> Scope {
                match self {
                    $($(#[cfg($cfg)])? Self::$Variant => <$Variant as Part>::SCOPE,)+
                }
            }

            /// The part that a volume belongs to.
            pub const fn of(volume: Volume) -> Self {
                match volume {
                    $($(#[cfg($cfg)])? Volume::$Variant => Self::$Variant,)+
                }
            }

            /// The part that an encoded message is for, if there is such a part.
            pub fn of_message(bytes: &[u8]) -> Option<Self> {
                match bytes.first()? {
                    $($(#[cfg($cfg)])? $tag => Some(Self::$Variant),)+
                    _ => None,
                }
            }
        }

        /// A message between two nodes. Its encoding begins with the part.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
        #[codec(what = "part")]
        pub enum Message {
            $($(#[doc = $doc])* $(#[cfg($cfg)])? #[codec(tag = $tag)] $Variant($module::Message),)+
        }

        /// What a client asks of a node.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
        #[codec(what = "part")]
        pub enum Request {
            $($(#[doc = $doc])* $(#[cfg($cfg)])? #[codec(tag = $tag)] $Variant($module::Request),)+
        }

        /// What a client is answered.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Response {
            $($(#[doc = $doc])* $(#[cfg($cfg)])? $Variant($module::Response),)+
        }

        /// What a part lets others know.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Notice {
            $($(#[doc = $doc])* $(#[cfg($cfg)])? $Variant($module::Notice),)+
        }

        /// What a part has to be told.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Link {
            $($(#[doc = $doc])* $(#[cfg($cfg)])? $Variant($module::Link),)+
        }

        impl Message {
            /// The part that it is for.
            pub const fn part(&self) -> PartId {
                match self {
                    $($(#[cfg($cfg)])? Self::$Variant(_) => PartId::$Variant,)+
                }
            }
        }

        impl Request {
            /// The part that it is for.
            pub const fn part(&self) -> PartId {
                match self {
                    $($(#[cfg($cfg)])? Self::$Variant(_) => PartId::$Variant,)+
                }
            }

            /// Whether it may change something.
            pub fn is_change(&self) -> bool {
                match self {
                    $($(#[cfg($cfg)])? Self::$Variant(request) => $Variant::is_change(request),)+
                }
            }
        }

        $(
            $(#[cfg($cfg)])?
            impl From<$module::Request> for Request {
                fn from(request: $module::Request) -> Self {
                    Self::$Variant(request)
                }
            }

            $(#[cfg($cfg)])?
            impl From<$module::Response> for Response {
                fn from(response: $module::Response) -> Self {
                    Self::$Variant(response)
                }
            }

            $(#[cfg($cfg)])?
            impl From<$module::Message> for Message {
                fn from(message: $module::Message) -> Self {
                    Self::$Variant(message)
                }
            }

            $(#[cfg($cfg)])?
            impl InNode for $Variant {
                const ID: PartId = PartId::$Variant;

                fn message(message: Self::Message) -> Message {
                    Message::$Variant(message)
                }

                fn response(response: Self::Response) -> Response {
                    Response::$Variant(response)
                }

                fn notice(notice: Self::Notice) -> Notice {
                    Notice::$Variant(notice)
                }
            }
        )+

        /// The configuration of a node: which parts it has, and what each is built from.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Config {
            pub node: NodeId,
            /// How long a request may wait for a part that recovers.
            pub park_timeout: Span,
            $($(#[doc = $doc])* $(#[cfg($cfg)])? pub $field: Option<$module::Config>,)+
        }

        impl Config {
            /// A node without a part so far.
            pub(super) const fn bare(node: NodeId, park_timeout: Span) -> Self {
                Self {
                    node,
                    park_timeout,
                    $($(#[cfg($cfg)])? $field: None,)+
                }
            }
        }

        impl Node {
            $(
                $(#[doc = $doc])*
                ///
                /// The part itself, if the node has it. For checkers and metrics.
                $(#[cfg($cfg)])?
                pub fn $field(&self) -> Option<&$Variant> {
                    self.parts.$field.as_ref().map(Slot::part)
                }
            )+
        }

        /// The parts of one node. Which are there is fixed at its start.
        #[derive(Debug)]
        pub(super) struct Parts {
            $($(#[cfg($cfg)])? pub(super) $field: Option<Slot<$Variant>>,)+
        }

        impl Request {
            /// The answer to a request that cannot be written down. A shell asks before it
            /// takes one, for everything behind that writes it: the recorder, the log, a
            /// message to the leader.
            pub fn refusal(&self) -> Option<Response> {
                if self.is_readable() {
                    return None;
                }
                Some(match self {
                    $($(#[cfg($cfg)])? Self::$Variant(request) => {
                        Response::$Variant($Variant::invalid(request))
                    })+
                })
            }
        }

        impl Response {
            /// What a client of a part is told that is not there, or has ended: nothing
            /// was done.
            pub fn unavailable(part: PartId) -> Self {
                match part {
                    $($(#[cfg($cfg)])? PartId::$Variant => Self::$Variant($Variant::unavailable()),)+
                }
            }

            /// What a client of a part is told when too much is asked at once: nothing
            /// was done.
            pub fn busy(part: PartId) -> Self {
                match part {
                    $($(#[cfg($cfg)])? PartId::$Variant => Self::$Variant($Variant::busy()),)+
                }
            }

            /// What is told of a change when nobody can say any more what became of it.
            pub(super) fn unknown(part: PartId) -> Self {
                match part {
                    $($(#[cfg($cfg)])? PartId::$Variant => Self::$Variant($Variant::unknown()),)+
                }
            }
        }

        impl Parts {
            /// The parts that a configuration names, not started.
            pub(super) fn new(config: &Config) -> Self {
                Self {
                    $($(#[cfg($cfg)])? $field: {
                        config.$field.clone().map(|config| Slot::new($Variant::new(config)))
                    },)+
                }
            }

            /// The node that each part is of.
            pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
                [$($(#[cfg($cfg)])? self.$field.as_ref().map(|slot| slot.part().node()),)+]
                    .into_iter()
                    .flatten()
            }

            /// The health of each part that is there, in the order of the table.
            pub(super) fn health(&self) -> impl Iterator<Item = (PartId, &Health)> {
                [$($(#[cfg($cfg)])? self.$field.as_ref().map(|slot| (PartId::$Variant, slot.health())),)+]
                    .into_iter()
                    .flatten()
            }

            /// Tells all parts, in the order of the table.
            pub(super) fn signal_all(&mut self, signal: &Signal, cx: &mut Context<'_>) {
                $($(#[cfg($cfg)])? if let Some(slot) = &mut self.$field {
                    slot.signal(signal.clone(), cx);
                    if signal.is_for_first(cx.mutant) {
                        return;
                    }
                })+
            }

            /// Tells one part.
            pub(super) fn signal(&mut self, part: PartId, signal: Signal, cx: &mut Context<'_>) {
                match part {
                    $($(#[cfg($cfg)])? PartId::$Variant => if let Some(slot) = &mut self.$field {
                        slot.signal(signal, cx);
                    })+
                }
            }

            /// A peer speaks to a part.
            #[inline]
            pub(super) fn message(
                &mut self,
                from: NodeId,
                scope: Scope,
                message: Message,
                cx: &mut Context<'_>,
            ) {
                match message {
                    $($(#[cfg($cfg)])? Message::$Variant(message) => if let Some(slot) = &mut self.$field {
                        slot.message(from, scope, message, cx);
                    })+
                }
            }

            /// A client asks a part, which is there.
            pub(super) fn request(
                &mut self,
                id: RequestId,
                request: Request,
                cx: &mut Context<'_>,
            ) {
                match request {
                    $($(#[cfg($cfg)])? Request::$Variant(request) => {
                        let slot = self.$field.as_mut().expect("the caller asks who is there");
                        slot.request(id, request, cx);
                    })+
                }
            }

            /// A part is told what follows from another.
            pub(super) fn link(&mut self, link: Link, cx: &mut Context<'_>) {
                match link {
                    $($(#[cfg($cfg)])? Link::$Variant(link) => if let Some(slot) = &mut self.$field {
                        slot.link(link, cx);
                    })+
                }
            }

            /// Whether a part is there and takes requests: it has not ended.
            pub(super) fn is_open(&self, part: PartId) -> bool {
                match part {
                    $($(#[cfg($cfg)])? PartId::$Variant => {
                        self.$field.as_ref().is_some_and(|slot| !slot.health().has_ended())
                    })+
                }
            }

            /// Whether a part takes messages and requests now.
            pub(super) fn accepts(&self, part: PartId) -> bool {
                match part {
                    $($(#[cfg($cfg)])? PartId::$Variant => {
                        self.$field.as_ref().is_none_or(|slot| slot.part().accepts())
                    })+
                }
            }

            /// The earliest deadline of all parts.
            pub(super) fn deadline(&self, mutant: Mutant) -> Option<Time> {
                let each = [$($(#[cfg($cfg)])? self.$field.as_ref().and_then(Slot::deadline)),+];
                match mutant.is(Mutant::NodeDeadlineOfFirst) {
                    true => each.into_iter().flatten().next(),
                    false => Time::earliest(each),
                }
            }

            /// Whom the parts want to be connected to.
            pub(super) fn peers(&self, mutant: Mutant) -> BTreeSet<NodeId> {
                let mut peers = BTreeSet::new();
                $($(#[cfg($cfg)])? if let Some(slot) = &self.$field {
                    peers.extend(slot.peers());
                    if mutant.is(Mutant::NodeConnectsFirst) {
                        return peers;
                    }
                })+
                peers
            }

            /// Adds everything that decides the future of the parts.
            pub(super) fn digest_into(&self, fingerprint: &mut Fingerprint) {
                $($(#[cfg($cfg)])? {
                    fingerprint.add(&self.$field.is_some());
                    if let Some(slot) = &self.$field {
                        slot.digest_into(fingerprint);
                    }
                })+
            }

            /// Requests that are kept until a part has recovered.
            pub(super) fn parked(&self) -> usize {
                let each = [$($(#[cfg($cfg)])? self.$field.as_ref().map_or(0, Slot::parked)),+];
                each.into_iter().fold(0, usize::saturating_add)
            }

        }
    };
}

parts! {
    /// Raft, the replicated state, and the log's proofs.
    cluster: Cluster = 0, cluster, "cluster";
    /// The ledger of all clusters.
    ledger: Ledger = 1, ledger, "ledger";
    /// A small part, for tests.
    #[cfg(feature = "toy")]
    toy: Toy = 255, toy, "toy";
}
