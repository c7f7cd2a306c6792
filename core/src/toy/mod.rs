//! A small part, for tests of how parts are put together. Never in a program.
//!
//! # Purpose
//! [`Toy`] follows the ledger: it keeps in its own volume how many final blocks it has
//! taken and a hash over their names, adds up numbers for clients, and tells its peers how
//! far it is. It does what a protocol needs that rests on another one: a link with a
//! durable cursor, a write before an answer, messages, health and an end.
//!
//! ```text
//!  ledger: Final, Replaced ──link──► Toy ──ReadOn──► ledger ──Run──► Toy
//!                                     └──Io::Commit(Position)──► its own store
//! ```
//!
//! # The link to the ledger
//! The cursor is the height in the [`Position`], stored in one batch with all that follows
//! from the blocks up to it: a crash takes both back together, and what is taken again has
//! not been taken yet. A block that follows the cursor is taken, an earlier one is ignored.
//! At readiness, where a notice leads further than to the next block, and at `Replaced` it
//! reads on from the cursor, page by page, until it has all that it has heard of. It asks at
//! a wake, never in the step of a link: so nothing that a link causes is a notice in the
//! same step.
//!
//! What the ledger has not kept is jumped over and leaves a mark in the hash: a protocol
//! would fetch what it needs of the state at that place.
//!
//! # Persistence
//! | what | where | before |
//! |---|---|---|
//! | the position, with numbers added | the store, synced | an answer, a message to peers, the end of a stop |
//! | the position, blocks alone | the store, synced with every eighth block | – (read again from the ledger) |
//!
//! Nothing is shown to clients or peers that is not synced.
//!
//! # Invariants
//! T1 What is durable was given to the store, and that was taken. T2 Everything kept has a
//! bound. T3 Peers that are not configured are not remembered.
//!
//! # Files
//! | file | holds |
//! |---|---|
//! | `config.rs` `event.rs` `effect.rs` `message.rs` `request.rs` | what goes in and out |
//! | `state.rs` | [`Toy`], [`Position`] |
//! | `step.rs` | the only mutator |
//! | `follow.rs` | the link to the ledger |
//! | `digest.rs` `invariants.rs` | the fingerprint; T1 to T3 |

pub mod config;
mod digest;
pub mod effect;
pub mod event;
mod follow;
mod invariants;
pub mod message;
pub mod request;
mod state;
mod step;

pub use config::{Bug, Config};
pub use effect::{Effect, Notice};
pub use event::{Event, Link};
pub use message::Message;
pub use request::{Request, Response, View};
pub use state::{Position, Toy};
