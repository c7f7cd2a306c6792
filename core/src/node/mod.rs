//! The composition root: [`Node`] is the one machine that shells drive.
//!
//! # Purpose
//! A node is made of parts ([`crate::part`]): which, says one table. The node hands each
//! event to its part, lifts the effects of parts, keeps who waits for which of them, and
//! carries the notices of one along the links to others. It knows no protocol.
//!
//! ```text
//!            ┌───────────────────── node ─────────────────────┐
//!  Message ──► parts ──► cluster ──notice──► links ──► ledger │──► Send, Io, Connect
//!  Request ──► clients ──►   │                            │   │──► Reply, Stream
//!  Io ───────►               └──► Health ◄────────────────┘   │──► Health, Stopped
//!            └─────────────────────────────────────────────────┘
//! ```
//!
//! # Clients
//! The shell chooses ids. A request goes to the part that its type names. While that
//! part recovers the request is kept, up to a bound and a time. A part answers each
//! request exactly once; a stream is any number of parts of an answer before that. A
//! client that has cancelled is told nothing more, and its request stays open until the
//! part has answered: what is under way cannot be called back, and counts as open work.
//! Only a request that still waits for its part to recover is forgotten at once. When a
//! part ends, what is still open with it is answered here.
//!
//! # Peers
//! The transport says of each sender whether it has proven to be of the own cluster, or
//! who it is and no more. A message goes to the part that it names if that part admits
//! so much ([`Scope`](crate::part::Scope)), and is dropped otherwise.
//!
//! # Ends
//! A part that has halted gets nothing more, the others go on. A shutdown goes to all
//! parts at once. What a shell makes of the health of a part is the same everywhere:
//! when the cluster's part halts it shuts the rest down, when the ledger's does it stays.
//!
//! # Invariants
//! H1 What follows from a notice follows in its step. H2 Open requests have a bound.
//! H3 Who waits for a part that recovers is open. H4 Nobody waits for a node that has
//! ended. H5 The shell is told once when all parts have ended.
//!
//! # Files
//! | file | holds |
//! |---|---|
//! | `parts.rs` | the table of parts, and what follows from it: [`Config`], the sums |
//! | `links.rs` | who tells whom what |
//! | `config.rs` `event.rs` `effect.rs` | how a node is put together, what it takes and asks for |
//! | `state.rs` | [`Node`] |
//! | `step.rs` | the only mutator |
//! | `slot.rs` | a part in its place |
//! | `clients.rs` | who waits for which part |
//! | `wire.rs` | the encoding of volumes, for the flight recorder |
//! | `invariants.rs` | H1 to H5 |

pub mod effect;
pub mod event;

mod clients;
mod config;
mod invariants;
mod links;
mod parts;
mod slot;
mod state;
mod step;
mod wire;

#[cfg(test)]
mod tests;

pub use effect::Effect;
pub use event::Event;
pub use parts::{Config, Link, Message, Notice, PartId, Request, Response};
pub use state::Node;
